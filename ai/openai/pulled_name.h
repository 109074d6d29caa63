// SPDX-License-Identifier: GPL-2.0-or-later
// The names of pulled models: a bundle's name is that of a folder, so it has no place and no tag. A
// request may use either. Any context.
#pragma once

#include <string_view>

#include "kernel/base/containers.h"
#include "kernel/base/text.h"

namespace ai::openai {

// Returns the name that a bundle gets when a model is pulled by a name such as "owner/tiny:1b"
// ("tiny-1b"), "tiny:latest" ("tiny") or "hf.co/owner/Tiny-GGUF:Q8_0" ("Tiny-Q8_0").
inline Result<String> pulled_name(std::string_view wanted) {
  constexpr std::string_view kLatest = "latest", kFormat = "-GGUF", kFile = ".gguf";
  auto ends = [](std::string_view text, std::string_view with) {
    return text.size() > with.size() &&
           base::equal_ignoring_case(text.substr(text.size() - with.size()), with);
  };
  usize slash = wanted.rfind('/');
  std::string_view name = wanted.substr(slash == wanted.npos ? 0 : slash + 1), tag;
  if (usize colon = name.find(':'); colon != name.npos) {
    tag = name.substr(colon + 1);
    name = name.substr(0, colon);
  }
  if (ends(tag, kFile)) return String::from(tag.substr(0, tag.size() - kFile.size()));
  if (ends(name, kFormat)) name.remove_suffix(kFormat.size());
  String made = TRY(String::from(name));
  if (tag.empty() || base::equal_ignoring_case(tag, kLatest)) return made;
  TRY(made.push_back('-'));
  TRY(made.append(tag));
  return made;
}

}  // namespace ai::openai
