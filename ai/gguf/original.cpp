// SPDX-License-Identifier: GPL-2.0-or-later
// Writes a part from front to back: groups of 16 rows are taken apart in a copy, everything else is
// written as it is.
#include "ai/gguf/original.h"

#include <algorithm>

#include "ai/gguf/layout.h"
#include "ai/quant/groups.h"

namespace ai {
namespace {

constexpr usize kPlainBytes = kMiB;  // most bytes in one piece, so that other threads can run

class OriginalWriter {
 public:
  OriginalWriter(std::span<const Byte> part, Platform& platform, ByteSink& out)
      : part_(part), platform_(platform), out_(out) {}

  // Writes everything up to `end` as it is.
  Result<void> plain(usize end) {
    while (at_ < end) {
      usize bytes = std::min(end - at_, kPlainBytes);
      TRY(out_.write(part_.subspan(at_, bytes)));
      at_ += bytes;
      platform_.breathe();
    }
    return {};
  }
  // Writes the matrix that begins here.
  Result<void> matrix(const GgufTensor& t) {
    usize group_bytes = kGroupRows * t.view.row_bytes;
    u32 rows = static_cast<u32>(t.dimensions[1]);
    TRY(group_.resize(group_bytes));
    TRY(temporary_.resize(group_bytes));
    for (u32 stack = 0; stack < t.view.rows / rows; stack++) {
      for (u32 g = 0; g < rows / kGroupRows; g++) TRY(group(t, group_bytes));
      TRY(plain(at_ + rows % kGroupRows * t.view.row_bytes));
    }
    return {};
  }

 private:
  Result<void> group(const GgufTensor& t, usize bytes) {
    std::copy_n(part_.begin() + static_cast<std::ptrdiff_t>(at_), bytes, group_.begin());
    deinterleave_group(t.view.type, t.view.columns, group_.data(), temporary_.data());
    TRY(out_.write(group_.view()));
    at_ += bytes;
    platform_.breathe();
    return {};
  }

  std::span<const Byte> part_;
  Platform& platform_;
  ByteSink& out_;
  usize at_ = 0;
  Vector<Byte> group_, temporary_;
};

}  // namespace

Result<void> write_original(const GgufFile& file, std::span<const Byte> part, u32 index,
                            Platform& platform, ByteSink& out) {
  Vector<const GgufTensor*> grouped;
  for (const GgufTensor& t : file.tensors()) {
    bool rewritten = t.part == index && t.dimension_count > 1 && !group_fields(t.view.type).empty();
    if (rewritten && !is_grouped_file(file)) TRY(grouped.push_back(&t));
  }
  std::sort(grouped.begin(), grouped.end(),
            [](const GgufTensor* a, const GgufTensor* b) { return a->offset < b->offset; });
  OriginalWriter writer(part, platform, out);
  for (const GgufTensor* t : grouped) {
    TRY(writer.plain(t->offset));
    TRY(writer.matrix(*t));
  }
  return writer.plain(part.size());
}

}  // namespace ai
