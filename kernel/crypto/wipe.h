// SPDX-License-Identifier: GPL-2.0-or-later
// base::wipe under the name that code about secrets uses.
#pragma once

#include "kernel/base/wipe.h"

namespace crypto {

using base::wipe;

}  // namespace crypto
