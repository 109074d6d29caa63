// SPDX-License-Identifier: GPL-2.0-or-later
// Commands whose first word says what to do, as `bundle sign` or `update status`: a table of verbs.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/format.h"
#include "kernel/base/result.h"

namespace console {

struct Verb {
  std::string_view name;
  usize least, most;  // words behind it
  Result<void> (*run)(std::span<const std::string_view> words, base::Writer& out);
};

// Returns the row that the first word names, or null.
inline const Verb* find_verb(std::span<const Verb> verbs, std::span<const std::string_view> words) {
  for (const Verb& verb : verbs)
    if (!words.empty() && words[0] == verb.name) return &verb;
  return nullptr;
}

// Runs a verb with the words behind it. `verb` may be null; then, and if their number is wrong, the
// error is `usage`, a literal.
inline Result<void> run_verb(const Verb* verb, std::span<const std::string_view> words,
                             const char* usage, base::Writer& out) {
  if (verb == nullptr || words.size() - 1 < verb->least || words.size() - 1 > verb->most)
    return fail(Errc::kInvalidArgument, usage);
  return verb->run(words.subspan(1), out);
}

inline void complete_verbs(std::span<const Verb> verbs, void (*add)(void*, std::string_view),
                           void* context) {
  for (const Verb& verb : verbs) add(context, verb.name);
}

}  // namespace console
