// SPDX-License-Identifier: GPL-2.0-or-later
// The key by which a GGUF file declares that its matrices are grouped already (`pack` writes it).
#pragma once

#include "ai/gguf/reader.h"

namespace ai {

constexpr std::string_view kLayoutKey = "marrow.layout";
// In this layout every tensor with two or more dimensions and a block type is in groups of 16 rows
// (ai/quant/groups.h). Stacked matrices are grouped separately, and tensors begin at multiples of
// 64.
constexpr std::string_view kGroupedLayout = "rows16.1";

// Returns kUnsupported if the file declares a layout that this build does not know.
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
