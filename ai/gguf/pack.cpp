// SPDX-License-Identifier: GPL-2.0-or-later
// Grouping in place, and the packed file: metadata copied, layout declared, tensors in file order.
#include "ai/gguf/pack.h"

#include <algorithm>

#include "ai/gguf/layout.h"
#include "ai/gguf/writer.h"
#include "ai/quant/groups.h"

namespace ai {

Result<void> check_parts(const GgufFile& file, std::span<const std::span<Byte>> parts) {
  for (const GgufTensor& t : file.tensors())
    if (t.part >= parts.size() || parts[t.part].data() + t.offset != t.view.data.data())
      return fail(Errc::kInvalidArgument, "model: the bytes are not those of the file");
  return {};
}

Result<void> group_matrices(const GgufFile& file, std::span<const std::span<Byte>> parts,
                            Platform& platform) {
  TRY(check_parts(file, parts));
  usize largest = 0;
  for (const GgufTensor& t : file.tensors())
    if (t.dimension_count > 1) largest = std::max(largest, kGroupRows * t.view.row_bytes);
  Vector<Byte> temporary;
  TRY(temporary.resize(largest * platform.worker_count()));
  for (const GgufTensor& t : file.tensors()) {
    if (t.dimension_count < 2 || group_fields(t.view.type).empty()) continue;
    usize group_bytes = kGroupRows * t.view.row_bytes;
    u32 rows = static_cast<u32>(t.dimensions[1]), groups = rows / kGroupRows;
    u32 stack = t.view.rows / rows;
    Byte* data = parts[t.part].data() + t.offset;
    parallel_ranges(platform, stack * groups, 1, [&](u32 first, u32 last, u32 worker) {
      for (u32 g = first; g < last; g++)
        interleave_group(
            t.view.type, t.view.columns,
            data + usize{g / groups} * rows * t.view.row_bytes + g % groups * group_bytes,
            temporary.data() + worker * largest);
    });
    platform.breathe();
  }
  return {};
}

namespace {

constexpr u32 kPackedAlignment = 64;  // a vector of every instruction set, a cache line
constexpr std::string_view kNotCopied[] = {"general.alignment", "split.no", "split.count",
                                           "split.tensors.count"};

// Positions in file.tensors() as they lie in the file: what is read together stays together.
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
