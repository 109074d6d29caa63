// SPDX-License-Identifier: GPL-2.0-or-later
// The verbs of the command `model` that change what lies on disks: import, remove, list. For the
// shell's thread only; they wait for disks.
#pragma once

#include "console/shell/command.h"

namespace console {

using Words = std::span<const std::string_view>;  // behind the verb

Result<void> import_model(Words words, base::Writer& out);
Result<void> remove_model(Words words, base::Writer& out);
Result<void> list_models(Words words, base::Writer& out);

}  // namespace console
