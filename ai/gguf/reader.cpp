// SPDX-License-Identifier: GPL-2.0-or-later
// Parses GGUF files, versions 2 and 3, following docs/gguf.md of the ggml project.
#include "ai/gguf/reader.h"

#include <algorithm>

namespace ai {
namespace {

constexpr u32 kMagic = 0x46554747;               // "GGUF"
constexpr usize kSmallestValue = 8 + 1 + 4 + 1;  // key length, key, type, value
constexpr usize kSmallestTensor = 8 + 1 + 4 + 8 + 4 + 8;
constexpr usize kLongestKey = 65535;  // the specification's limit
constexpr usize kLongestName = 127;   // of a tensor; the specification says 64
constexpr u64 kDefaultAlignment = 32;
constexpr u64 kLargestAlignment = u64{1} << 20;
constexpr u64 kLargestDimension = u64{1} << 31;

struct TypeRow {
  const char* name;
  usize bytes;  // size of a scalar
};
constexpr TypeRow kTypes[] = {{"u8", 1},  {"i8", 1},  {"u16", 2},  {"i16", 2},    {"u32", 4},
                              {"i32", 4}, {"f32", 4}, {"bool", 1}, {"string", 0}, {"array", 0},
                              {"u64", 8}, {"i64", 8}, {"f64", 8}};
static_assert(std::size(kTypes) == static_cast<usize>(GgufType::kCount));

usize scalar_bytes(GgufType type) {
  return kTypes[static_cast<usize>(type)].bytes;
}

Result<GgufType> read_type(base::ByteReader& reader) {
  u32 number = TRY(reader.read<u32>());
  if (number >= static_cast<u32>(GgufType::kCount))
    return fail(Errc::kCorrupt, "gguf: unknown value type");
  return static_cast<GgufType>(number);
}

Result<std::string_view> read_string(base::ByteReader& reader) {
  return reader.read_text(TRY(reader.read<u64>()));
}

}  // namespace

const char* gguf_type_name(GgufType type) {
  return type < GgufType::kCount ? kTypes[static_cast<usize>(type)].name : "unknown";
}

Result<base::Owner<GgufFile>> GgufFile::parse(std::span<const Byte> file, Platform& platform) {
  return parse(std::span<const std::span<const Byte>>(&file, 1), platform);
}

Result<base::Owner<GgufFile>> GgufFile::parse(std::span<const std::span<const Byte>> parts,
                                              Platform& platform) {
  if (parts.empty()) return fail(Errc::kInvalidArgument, "gguf: no file");
  auto file = TRY(base::make<GgufFile>(platform));
  file->part_count_ = static_cast<u32>(parts.size());
  for (u32 i = 0; i < parts.size(); i++) TRY(file->parse_part(parts[i], parts[i], i));
  TRY(file->sort_tensors());
  TRY(file->check_overlaps());
  return file;
}

Result<base::Owner<GgufFile>> GgufFile::parse_header(Vector<Byte> header,
                                                     std::span<const Byte> data,
                                                     Platform& platform) {
  auto file = TRY(base::make<GgufFile>(platform));
  file->owned_header_ = std::move(header);
  TRY(file->parse_part(file->owned_header_.view(), data, 0));
  TRY(file->sort_tensors());
  TRY(file->check_overlaps());
  return file;
}

Result<base::Owner<GgufFile>> GgufFile::parse_heads(std::span<const std::span<const Byte>> heads,
                                                    std::span<const u64> file_bytes,
                                                    Platform& platform) {
  if (heads.empty() || heads.size() != file_bytes.size())
    return fail(Errc::kInvalidArgument, "gguf: no file");
  auto file = TRY(base::make<GgufFile>(platform));
  file->part_count_ = static_cast<u32>(heads.size());
  for (u32 i = 0; i < heads.size(); i++)
    TRY(file->parse_part(heads[i], {heads[i].data(), file_bytes[i]}, i));
  TRY(file->sort_tensors());
  TRY(file->check_overlaps());
  return file;
}

bool GgufFile::has_magic(std::span<const Byte> file) {
  return file.size() >= sizeof(u32) && base::load<u32>(file.data()) == kMagic;
}

// In an ordinary file `header` and `data` are the same bytes, and the tensors' data begin at the
// first aligned byte after the header. Otherwise they begin at the start of `data`.
Result<void> GgufFile::parse_part(std::span<const Byte> header, std::span<const Byte> data,
                                  u32 part) {
  base::ByteReader reader(header);
  u32 version = TRY(read_head(reader));
  if (part == 0) version_ = version;
  u64 tensor_count = TRY(reader.read<u64>());
  u64 value_count = TRY(reader.read<u64>());
  if (value_count > reader.remaining() / kSmallestValue ||
      tensor_count > reader.remaining() / kSmallestTensor) {
    log(platform_, LogLevel::kError,
        "gguf: {} keys and {} tensors announced, more than {} bytes can hold", value_count,
        tensor_count, reader.remaining());
    return fail(Errc::kCorrupt, "gguf: impossible count");
  }
  usize first_value = values_.size(), first_string = string_offsets_.size();
  TRY(read_values(reader, value_count));
  TRY(sort_values(first_value));
  u64 align = TRY(alignment(first_value));
  TRY(check_split(first_value, part));

  usize first_tensor = tensors_.size();
  TRY(tensors_.reserve(first_tensor + tensor_count));
  for (u64 i = 0; i < tensor_count; i++) TRY(tensors_.push_back(TRY(read_tensor(reader, part))));
  bool elsewhere = header.data() != data.data();
  u64 data_offset = elsewhere ? 0 : base::round_up(reader.position(), align);
  for (usize i = first_tensor; i < tensors_.size(); i++)
    TRY(place_tensor(tensors_[i], data, data_offset, align));
  if (part > 0) {  // only the first part's keys describe the model
    values_.truncate(first_value);
    string_offsets_.truncate(first_string);
  }
  return {};
}

Result<u32> GgufFile::read_head(base::ByteReader& reader) {
  auto magic = reader.read<u32>();
  if (!magic.has_value() || *magic != kMagic)
    return fail(Errc::kCorrupt, "gguf: does not begin with GGUF");
  u32 version = TRY(reader.read<u32>());
  if (version == 2 || version == 3) return version;
  const char* hint = (version & 0xffff) == 0 ? " (a big-endian file?)" : "";
  log(platform_, LogLevel::kError, "gguf: version {}{}, expected 2 or 3", version, hint);
  return fail(Errc::kUnsupported, "gguf: unsupported version");
}

// ---- metadata ------------------------------------------------------------------------------

Result<void> GgufFile::read_values(base::ByteReader& reader, u64 count) {
  TRY(values_.reserve(values_.size() + count));
  std::string_view last = "(none)";
  for (u64 i = 0; i < count; i++) {
    auto key = read_string(reader);
    if (!key.has_value() || key->empty() || key->size() > kLongestKey) {
      log(platform_, LogLevel::kError, "gguf: key {} of {} (after '{}') is empty, too long or cut",
          i + 1, count, last);
      return fail(Errc::kCorrupt, "gguf: a key is empty, too long or cut");
    }
    u64 position = reader.position();
    auto value = read_value(reader, *key);
    if (!value.has_value()) {
      log(platform_, LogLevel::kError, "gguf: key '{}': {}", *key, value.error());
      return std::unexpected(value.error());
    }
    constexpr usize kArrayHead = sizeof(u32) + sizeof(u64);  // element type, count
    const Byte* raw = value->data - (value->type == GgufType::kArray ? kArrayHead : 0);
    value->bytes = {raw, reader.position() - position - sizeof(u32)};
    TRY(values_.push_back(*value));
    last = *key;
  }
  return {};
}

Result<GgufFile::Value> GgufFile::read_value(base::ByteReader& reader, std::string_view key) {
  Value value;
  value.key = key;
  value.type = TRY(read_type(reader));
  if (value.type == GgufType::kArray) {
    TRY(read_array(reader, value));
    return value;
  }
  if (value.type == GgufType::kString) {
    std::string_view text = TRY(read_string(reader));
    value.data = reinterpret_cast<const Byte*>(text.data()) - sizeof(u64);
    return value;
  }
  auto bytes = TRY(reader.read_bytes(scalar_bytes(value.type)));
  value.data = bytes.data();
  if (value.type == GgufType::kBool && bytes[0] > 1)
    return fail(Errc::kCorrupt, "gguf: a bool is neither 0 nor 1");
  return value;
}

Result<void> GgufFile::read_array(base::ByteReader& reader, Value& value) {
  value.element = TRY(read_type(reader));
  value.count = TRY(reader.read<u64>());
  if (value.element == GgufType::kArray)
    return fail(Errc::kUnsupported, "gguf: arrays of arrays are not supported");
  if (value.element == GgufType::kString) return index_strings(reader, value);
  u64 bytes = TRY(base::checked_mul(value.count, scalar_bytes(value.element)));
  value.data = TRY(reader.read_bytes(bytes)).data();
  return {};
}

Result<void> GgufFile::index_strings(base::ByteReader& reader, Value& value) {
  if (value.count > reader.remaining() / sizeof(u64))
    return fail(Errc::kCorrupt, "gguf: an array of strings reaches past the end");
  value.data = TRY(reader.read_bytes(0)).data();
  value.first_offset = string_offsets_.size();
  TRY(string_offsets_.reserve(value.first_offset + value.count));
  u64 begin = reader.position();
  for (u64 i = 0; i < value.count; i++) {
    u64 offset = reader.position() - begin;
    if (offset > ~u32{0}) return fail(Errc::kUnsupported, "gguf: an array of strings over 4 GiB");
    TRY(string_offsets_.push_back(static_cast<u32>(offset)));
    TRY(read_string(reader));
  }
  return {};
}

Result<void> GgufFile::sort_values(usize first) {
  auto range = values_.view().subspan(first);
  std::sort(range.begin(), range.end(),
            [](const Value& a, const Value& b) { return a.key < b.key; });
  for (usize i = 1; i < range.size(); i++) {
    if (range[i - 1].key != range[i].key) continue;
    log(platform_, LogLevel::kError, "gguf: key '{}' occurs twice", range[i].key);
    return fail(Errc::kCorrupt, "gguf: a key occurs twice");
  }
  return {};
}

Result<u64> GgufFile::alignment(usize first_value) const {
  const Value* value = find("general.alignment", first_value);
  if (value == nullptr) return kDefaultAlignment;
  u64 align = TRY(unsigned_value(*value));
  if (base::is_power_of_two(align) && align <= kLargestAlignment) return align;
  log(platform_, LogLevel::kError,
      "gguf: general.alignment is {}, expected a power of two up to {}", align, kLargestAlignment);
  return fail(Errc::kCorrupt, "gguf: bad alignment");
}

Result<void> GgufFile::check_split(usize first_value, u32 part) const {
  const Value* count = find("split.count", first_value);
  const Value* number = find("split.no", first_value);
  u64 parts = count == nullptr ? 1 : TRY(unsigned_value(*count));
  u64 here = number == nullptr ? 0 : TRY(unsigned_value(*number));
  if (parts == 0) parts = 1;  // a split file that was joined again
  if (parts == part_count_ && here == part) return {};
  log(platform_, LogLevel::kError,
      "gguf: this is part {} of {}, expected part {} of {} (give all parts in order)", here + 1,
      parts, part + 1, part_count_);
  return fail(Errc::kInvalidArgument, "gguf: parts of a split file are missing or out of order");
}

// ---- tensors -------------------------------------------------------------------------------

Result<GgufTensor> GgufFile::read_tensor(base::ByteReader& reader, u32 part) {
  GgufTensor tensor;
  tensor.part = part;
  auto name = read_string(reader);
  if (!name.has_value() || name->empty() || name->size() > kLongestName) {
    log(platform_, LogLevel::kError, "gguf: name of tensor {} is empty, too long or cut",
        tensors_.size() + 1);
    return fail(Errc::kCorrupt, "gguf: a tensor's name is empty, too long or cut");
  }
  tensor.name = *name;
  Result<void> shape = read_shape(reader, tensor);
  if (!shape.has_value()) {
    log(platform_, LogLevel::kError, "gguf: tensor '{}': {}", tensor.name, shape.error());
    return std::unexpected(shape.error());
  }
  return tensor;
}

Result<void> GgufFile::read_shape(base::ByteReader& reader, GgufTensor& tensor) {
  tensor.dimension_count = TRY(reader.read<u32>());
  if (tensor.dimension_count < 1 || tensor.dimension_count > 4)
    return fail(Errc::kCorrupt, "expected 1 to 4 dimensions");
  u64 rows = 1;
  for (u32 i = 0; i < tensor.dimension_count; i++) {
    u64 n = TRY(reader.read<u64>());
    if (n == 0 || n > kLargestDimension)
      return fail(Errc::kCorrupt, "a dimension is 0 or over 2^31");
    tensor.dimensions[i] = n;
    if (i > 0) rows = TRY(base::checked_mul(rows, n));
  }
  if (rows > kLargestDimension) return fail(Errc::kCorrupt, "more than 2^31 rows");
  u32 ggml_type = TRY(reader.read<u32>());
  auto type = quant_from_ggml(ggml_type);
  if (!type.has_value()) {
    log(platform_, LogLevel::kError, "gguf: tensor '{}' has ggml type {}", tensor.name, ggml_type);
    return std::unexpected(type.error());
  }
  tensor.offset = TRY(reader.read<u64>());
  const QuantInfo& info = quant_info(*type);
  if (tensor.dimensions[0] % info.block_weights != 0)
    return fail(Errc::kCorrupt, "its rows are not whole blocks of its type");
  tensor.view.type = *type;
  tensor.view.columns = static_cast<u32>(tensor.dimensions[0]);
  tensor.view.rows = static_cast<u32>(rows);
  tensor.view.row_bytes = tensor.dimensions[0] / info.block_weights * info.block_bytes;
  return {};
}

Result<void> GgufFile::place_tensor(GgufTensor& tensor, std::span<const Byte> data, u64 data_offset,
                                    u64 align) {
  u64 bytes = TRY(base::checked_mul(tensor.view.row_bytes, tensor.view.rows));
  auto offset = base::checked_add(data_offset, tensor.offset);
  auto body = offset.has_value() ? base::slice(data, *offset, bytes)
                                 : Result<std::span<const Byte>>(std::unexpected(offset.error()));
  if (!body.has_value()) {
    log(platform_, LogLevel::kError,
        "gguf: tensor '{}' needs {} bytes at {} of the data, the file has {} in all", tensor.name,
        bytes, tensor.offset, data.size());
    return fail(Errc::kCorrupt, "gguf: a tensor reaches past the end of the file");
  }
  // Requires alignment to four bytes even if the file declares less, because blocks and floats are
  // read in place.
  if (tensor.offset % align != 0 || *offset % sizeof(float) != 0) {
    log(platform_, LogLevel::kError, "gguf: tensor '{}' at {} is not aligned to {} bytes",
        tensor.name, tensor.offset, std::max<u64>(align, sizeof(float)));
    return fail(Errc::kCorrupt, "gguf: a tensor is not aligned");
  }
  tensor.offset = *offset;
  tensor.view.data = *body;
  return {};
}

Result<void> GgufFile::sort_tensors() {
  auto all = tensors_.view();
  std::sort(all.begin(), all.end(),
            [](const GgufTensor& a, const GgufTensor& b) { return a.name < b.name; });
  for (usize i = 1; i < all.size(); i++) {
    if (all[i - 1].name != all[i].name) continue;
    log(platform_, LogLevel::kError, "gguf: tensor '{}' occurs twice", all[i].name);
    return fail(Errc::kCorrupt, "gguf: duplicate tensor");
  }
  return {};
}

// Loading rewrites rows in place, so two tensors must never share bytes.
Result<void> GgufFile::check_overlaps() {
  Vector<u32> order;
  TRY(order.resize(tensors_.size()));
  for (u32 i = 0; i < order.size(); i++) order[i] = i;
  std::sort(order.begin(), order.end(), [this](u32 a, u32 b) {
    const GgufTensor &x = tensors_[a], &y = tensors_[b];
    return x.part != y.part ? x.part < y.part : x.offset < y.offset;
  });
  for (usize i = 1; i < order.size(); i++) {
    const GgufTensor &a = tensors_[order[i - 1]], &b = tensors_[order[i]];
    if (a.part != b.part || a.offset + a.view.data.size() <= b.offset) continue;
    log(platform_, LogLevel::kError, "gguf: tensors '{}' and '{}' overlap", a.name, b.name);
    return fail(Errc::kCorrupt, "gguf: tensors overlap");
  }
  return {};
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const GgufTensor* at = std::lower_bound(
      tensors_.begin(), tensors_.end(), name,
      [](const GgufTensor& tensor, std::string_view wanted) { return tensor.name < wanted; });
  return at != tensors_.end() && at->name == name ? at : nullptr;
}

Result<const GgufTensor*> GgufFile::tensor(std::string_view name) const {
  const GgufTensor* found = find_tensor(name);
  if (found != nullptr) return found;
  log(platform_, LogLevel::kError, "gguf: tensor '{}' is missing", name);
  return fail(Errc::kNotFound, "gguf: a tensor is missing");
}

const GgufFile::Value* GgufFile::find(std::string_view key, usize first_value) const {
  const Value* at = std::lower_bound(
      values_.begin() + first_value, values_.end(), key,
      [](const Value& value, std::string_view wanted) { return value.key < wanted; });
  return at != values_.end() && at->key == key ? at : nullptr;
}

}  // namespace ai
