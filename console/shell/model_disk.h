// SPDX-License-Identifier: GPL-2.0-or-later
// The verbs of the command `model` that change what lies on disks: import, pull, remove, list. For
// the shell's thread only; they wait for disks, and pull for the network.
#pragma once

#include "console/shell/command.h"

namespace console {

using Words = std::span<const std::string_view>;  // behind the verb

Result<void> import_model(Words words, base::Writer& out);
Result<void> pull_model(Words words, base::Writer& out);
Result<void> remove_model(Words words, base::Writer& out);
Result<void> list_models(Words words, base::Writer& out);

// ---- what they share -------------------------------------------------------------------------

// The words of a verb: options with a value, and the others in their order.
struct Given {
  StaticVector<std::string_view, 2> plain;
  std::string_view place, name;    // --to or --from; --name
  std::string_view sha256, token;  // --sha256, --token
  bool yes = false;                // --yes
};
// Returns kInvalidArgument with `usage` for an option that the verb does not have: `options` has
// those that it has, each followed by a blank.
Result<Given> parse_words(Words words, std::string_view options, const char* usage);

base::Decimal mebibytes_per_second(u64 bytes, u64 ns);

}  // namespace console
