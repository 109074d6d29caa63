// SPDX-License-Identifier: GPL-2.0-or-later
// How a GGUF file says that its matrices are grouped already (written by `pack`).
#pragma once

#include "ai/gguf/reader.h"

namespace ai {

constexpr std::string_view kLayoutKey = "marrow.layout";
// Every tensor of two or more dimensions and a block type lies in groups of 16 rows
// (ai/quant/groups.h); stacked matrices each by themselves; tensors begin at multiples of 64.
constexpr std::string_view kGroupedLayout = "rows16.1";

// kUnsupported when a layout is declared that this build does not know.
inline Result<void> check_layout(const GgufFile& file) {
  if (!file.has(kLayoutKey)) return {};
  std::string_view layout = TRY(file.get_string(kLayoutKey));
  if (layout == kGroupedLayout) return {};
  log(file.platform(), LogLevel::kError, "gguf: key '{}' is '{}', expected '{}'", kLayoutKey,
      layout.substr(0, 40), kGroupedLayout);
  return fail(Errc::kUnsupported, "gguf: packed in a layout that this build does not know");
}

inline bool is_grouped_file(const GgufFile& file) {
  if (file.marked_grouped()) return true;
  auto layout = file.get_string(kLayoutKey, "");
  return layout.has_value() && *layout == kGroupedLayout;
}

}  // namespace ai
