// SPDX-License-Identifier: GPL-2.0-or-later
// Looks at the first bytes of files that are named like models.
#include "service/model_head.h"

#include "kernel/base/text.h"

namespace service {
namespace {

// Files that a failed download leaves under a model's name, by their first bytes.
struct Mistaken {
  std::string_view begins;
  const char* fault;
};
constexpr Mistaken kMistaken[] = {
    {"version https://git-lfs", "is a git-lfs pointer, not the model: `git lfs pull` fetches that"},
    {"<!doctype", "is a web page, not a model: take the address of the file itself"},
    {"<html", "is a web page, not a model: take the address of the file itself"},
    {"{\"error", "is a server's error message, not a model: download it again"},
    {"PK", "is a ZIP archive: unpack it"},
    {"\x1f\x8b", "is a gzip archive: unpack it"},
};

bool begins_ignoring_case(std::string_view text, std::string_view part) {
  return base::equal_ignoring_case(text.substr(0, part.size()), part);
}

}  // namespace

const char* head_fault(std::string_view head) {
  if (head.empty()) return "is empty: copy it again";
  if (head.starts_with("GGUF")) return nullptr;
  for (const Mistaken& row : kMistaken)
    if (begins_ignoring_case(head, row.begins)) return row.fault;
  return "does not begin as a GGUF file: download or copy it again";
}

}  // namespace service
