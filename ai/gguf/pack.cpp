// SPDX-License-Identifier: GPL-2.0-or-later
// Groups matrices in place, and writes the packed file: metadata copied, layout declared, tensors
// in file order.
#include "ai/gguf/pack.h"

#include <algorithm>

#include "ai/gguf/layout.h"
#include "ai/gguf/placement.h"
#include "ai/gguf/writer.h"
#include "ai/quant/groups.h"

namespace ai {

Result<void> check_parts(const GgufFile& file, std::span<const std::span<Byte>> parts) {
  for (const GgufTensor& t : file.tensors())
    if (!stays_in_file(t) &&
        (t.part >= parts.size() || parts[t.part].data() + t.offset != t.view.data.data()))
      return fail(Errc::kInvalidArgument,
                  "model: the given bytes do not belong to the parsed file");
  return {};
}

u64 ArrivingGroups::Matrices::place(u32 group) const {
  u32 each = rows / kGroupRows;
  return offset + (u64{group / each} * rows + u64{group % each} * kGroupRows) * row_bytes;
}

u32 ArrivingGroups::Matrices::whole(u64 bytes) const {
  if (bytes <= offset) return 0;
  u32 each = rows / kGroupRows;
  u64 rows_there = (bytes - offset) / row_bytes;
  u64 full = std::min<u64>(rows_there / rows, stack), rest = rows_there % rows / kGroupRows;
  return full == stack ? groups() : static_cast<u32>(full * each + rest);
}

Result<ArrivingGroups> ArrivingGroups::create(const GgufFile& file, u32 part, std::span<Byte> data,
                                              Platform& platform) {
  ArrivingGroups made(data, platform);
  for (const GgufTensor& t : file.tensors()) {
    bool grouped = t.part == part && t.dimension_count > 1 && !group_fields(t.view.type).empty();
    u32 rows = static_cast<u32>(t.dimensions[1]);
    if (!grouped || rows < kGroupRows) continue;
    TRY(made.matrices_.push_back({.type = t.view.type,
                                  .columns = t.view.columns,
                                  .rows = rows,
                                  .stack = t.view.rows / rows,
                                  .row_bytes = t.view.row_bytes,
                                  .offset = t.offset}));
    made.largest_ = std::max(made.largest_, kGroupRows * t.view.row_bytes);
  }
  std::sort(made.matrices_.begin(), made.matrices_.end(),
            [](const Matrices& a, const Matrices& b) { return a.offset < b.offset; });
  TRY(made.temporary_.resize(made.largest_ * platform.worker_count()));
  return made;
}

void ArrivingGroups::advance(u64 bytes) {
  constexpr usize kPieceBytes = 2 * kMiB;  // takes a millisecond; after it other threads run
  for (; current_ < matrices_.size(); current_++, done_ = 0) {
    const Matrices& m = matrices_[current_];
    u32 ready = m.whole(bytes);
    u32 piece = static_cast<u32>(std::max<usize>(kPieceBytes / (kGroupRows * m.row_bytes), 1));
    while (done_ < ready) {
      u32 before = done_;
      done_ += std::min(ready - before, piece);
      parallel_ranges(*platform_, done_ - before, 1, [&](u32 first, u32 last, u32 worker) {
        for (u32 g = before + first; g < before + last; g++)
          interleave_group(m.type, m.columns, data_.data() + m.place(g),
                           temporary_.data() + worker * largest_);
      });
      platform_->breathe();
    }
    if (done_ < m.groups()) return;
  }
}

Result<void> group_matrices(const GgufFile& file, std::span<const std::span<Byte>> parts,
                            Platform& platform) {
  TRY(check_parts(file, parts));
  Vector<ArrivingGroups> groups;
  for (u32 i = 0; i < parts.size(); i++)
    TRY(groups.push_back(TRY(ArrivingGroups::create(file, i, parts[i], platform))));
  for (u32 i = 0; i < parts.size(); i++) groups[i].advance(parts[i].size());
  return {};
}

namespace {

constexpr u32 kPackedAlignment = 64;  // one vector of every instruction set, and one cache line
constexpr std::string_view kNotCopied[] = {"general.alignment", "split.no", "split.count",
                                           "split.tensors.count"};

// Returns indices into file.tensors() in the order of the file's bytes, so that tensors which are
// read together stay together.
Result<Vector<u32>> in_file_order(const GgufFile& file) {
  auto tensors = file.tensors();
  Vector<u32> order;
  TRY(order.resize(tensors.size()));
  for (u32 i = 0; i < order.size(); i++) order[i] = i;
  std::sort(order.begin(), order.end(), [&](u32 a, u32 b) {
    const GgufTensor &x = tensors[a], &y = tensors[b];
    return x.part != y.part ? x.part < y.part : x.offset < y.offset;
  });
  return order;
}

Result<Vector<Byte>> packed_header(const GgufFile& file, std::span<const u32> order) {
  GgufWriter writer;
  for (usize i = 0; i < file.key_count(); i++)
    if (std::find(std::begin(kNotCopied), std::end(kNotCopied), file.key(i)) ==
        std::end(kNotCopied))
      TRY(writer.copy(file, i));
  TRY(writer.add_u32("general.alignment", kPackedAlignment));
  TRY(writer.add_string(kLayoutKey, kGroupedLayout));
  u64 offset = 0;
  for (u32 i : order) {
    const GgufTensor& t = file.tensors()[i];
    TRY(writer.add_tensor(t.name, {t.dimensions, t.dimension_count},
                          quant_info(t.view.type).ggml_type, offset));
    offset += base::round_up(t.view.data.size(), kPackedAlignment);
  }
  return writer.finish(kPackedAlignment);
}

}  // namespace

Result<void> pack_model(const GgufFile& file, std::span<const std::span<Byte>> parts,
                        Platform& platform, ByteSink& out) {
  if (file.has(kLayoutKey)) {
    log(platform, LogLevel::kError, "pack: the file has the key '{}' already", kLayoutKey);
    return fail(Errc::kInvalidArgument, "pack: the file is packed already");
  }
  Vector<u32> order = TRY(in_file_order(file));
  Vector<Byte> header = TRY(packed_header(file, order.view()));
  TRY(group_matrices(file, parts, platform));
  TRY(out.write(header.view()));
  constexpr Byte kPadding[kPackedAlignment] = {};
  for (u32 i : order) {
    std::span<const Byte> data = file.tensors()[i].view.data;
    TRY(out.write(data));
    usize rest = base::round_up(data.size(), kPackedAlignment) - data.size();
    if (rest > 0) TRY(out.write({kPadding, rest}));
  }
  return {};
}

}  // namespace ai
