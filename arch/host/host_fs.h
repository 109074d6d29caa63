// SPDX-License-Identifier: GPL-2.0-or-later
// The host's files, which the twin shows under /host: /host/tmp/x is /tmp/x.
#pragma once

#include "kernel/fs/file_system.h"

namespace host {

fs::FileSystem& file_system();

}  // namespace host
