// SPDX-License-Identifier: GPL-2.0-or-later
// Reads GGUF files, versions 2 and 3: metadata by key, tensors by name, over bytes that somebody
// else owns.
//
// Nothing is trusted before it is checked: lengths, counts, types, alignment, offsets, products of
// dimensions, duplicates, overlaps. Every error is logged with its key or tensor and what was
// expected. Views (strings, arrays, tensors) point into the file, which must outlive this object.
#pragma once

#include <span>
#include <string_view>

#include "ai/platform.h"
#include "ai/tensor.h"
#include "kernel/base/bytes.h"
#include "kernel/base/containers.h"

namespace ai {

// The value types of the format, with their numbers in the file.
enum class GgufType : u32 {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64,
  kCount,
};

// An array of strings. Indexing finds a string's length in the file through `offsets`.
class GgufStrings {
 public:
  GgufStrings() = default;
  GgufStrings(const Byte* base, std::span<const u32> offsets) : base_(base), offsets_(offsets) {}
  usize size() const { return offsets_.size(); }
  bool empty() const { return offsets_.empty(); }
  std::string_view operator[](usize i) const {
    ASSERT(i < offsets_.size());
    const Byte* at = base_ + offsets_[i];
    return {reinterpret_cast<const char*>(at + sizeof(u64)), base::load<u64>(at)};
  }

 private:
  const Byte* base_ = nullptr;  // the array's first element
  std::span<const u32> offsets_;
};

// An array of numbers or booleans, all of one type.
class GgufNumbers {
 public:
  GgufNumbers() = default;
  GgufNumbers(GgufType type, const Byte* base, usize count)
      : type_(type), base_(base), count_(count) {}
  usize size() const { return count_; }
  bool empty() const { return count_ == 0; }
  GgufType type() const { return type_; }
  bool is_real() const { return type_ == GgufType::kF32 || type_ == GgufType::kF64; }
  i64 integer(usize i) const;  // booleans are 0 and 1; a large u64 wraps; 0 for an array of reals
  float real(usize i) const;   // integers are converted

 private:
  GgufType type_ = GgufType::kU8;
  const Byte* base_ = nullptr;
  usize count_ = 0;
};

struct GgufTensor {
  std::string_view name;
  u32 dimension_count = 0;
  u64 dimensions[4] = {1, 1, 1, 1};  // 0 is the contiguous one; unused ones are 1
  u32 part = 0;                      // index of the part in a split file, otherwise 0
  u64 offset = 0;                    // of the data, from the start of that part
  TensorView view;                   // rows = product of dimensions 1 to 3
};

class GgufFile {
 public:
  static Result<base::Owner<GgufFile>> parse(std::span<const Byte> file, Platform& platform);
  // Parses the parts of a split file, given in order (…-00001-of-0000N first).
  static Result<base::Owner<GgufFile>> parse(std::span<const std::span<const Byte>> parts,
                                             Platform& platform);
  // Parses a header whose tensors' data are elsewhere: offsets count from the start of `data`. For
  // checkpoints of other formats (ai/gguf/llama2c.h). Takes ownership of the header.
  static Result<base::Owner<GgufFile>> parse_header(Vector<Byte> header, std::span<const Byte> data,
                                                    Platform& platform);
  // Parses only the beginning of each part; `file_bytes` are the whole sizes. For questions about a
  // file that is not in memory. The tensors' views point to bytes that do not exist and must not be
  // read.
  static Result<base::Owner<GgufFile>> parse_heads(std::span<const std::span<const Byte>> heads,
                                                   std::span<const u64> file_bytes,
                                                   Platform& platform);
  static bool has_magic(std::span<const Byte> file);

  // Getters return kNotFound if the key is absent and kCorrupt if it has another type, and log
  // both. With a fallback, an absent key gives the fallback, but a wrong type is still an error.
  bool has(std::string_view key) const;
  Result<u64> get_u64(std::string_view key) const;  // any integer type, if the value fits
  Result<u64> get_u64(std::string_view key, u64 fallback) const;
  Result<i64> get_i64(std::string_view key) const;
  Result<i64> get_i64(std::string_view key, i64 fallback) const;
  Result<float> get_f32(std::string_view key) const;  // f32 or f64
  Result<float> get_f32(std::string_view key, float fallback) const;
  Result<bool> get_bool(std::string_view key) const;
  Result<bool> get_bool(std::string_view key, bool fallback) const;
  Result<std::string_view> get_string(std::string_view key) const;
  Result<std::string_view> get_string(std::string_view key, std::string_view fallback) const;
  Result<GgufStrings> get_strings(std::string_view key) const;
  Result<GgufNumbers> get_numbers(std::string_view key) const;
  // Returns kArray for arrays. Returns kNotFound, without a log line, if the key is absent.
  Result<GgufType> type_of(std::string_view key) const;

  // Access by index, sorted by key.
  usize key_count() const { return values_.size(); }
  std::string_view key(usize i) const { return values_[i].key; }
  GgufType type(usize i) const { return values_[i].type; }
  std::span<const Byte> raw(usize i) const { return values_[i].bytes; }  // as in the file

  // Returns all tensors, sorted by name.
  std::span<const GgufTensor> tensors() const { return tensors_.view(); }
  const GgufTensor* find_tensor(std::string_view name) const;     // null if absent
  Result<const GgufTensor*> tensor(std::string_view name) const;  // logs an absent tensor

  // Says that the matrices were interleaved in memory, whatever the file declares (ArrivingGroups).
  void mark_grouped() { grouped_ = true; }
  bool marked_grouped() const { return grouped_; }

  u32 version() const { return version_; }
  u32 part_count() const { return part_count_; }
  Platform& platform() const { return platform_; }

  explicit GgufFile(Platform& platform) : platform_(platform) {}

 private:
  struct Value {
    std::string_view key;
    GgufType type = GgufType::kU8;
    GgufType element = GgufType::kU8;  // element type of an array
    const Byte* data = nullptr;        // the scalar, the first element, or a string's length
    u64 count = 0;                     // elements of an array
    usize first_offset = 0;            // for an array of strings: index into string_offsets_
    std::span<const Byte> bytes;       // everything after the type
  };

  Result<void> parse_part(std::span<const Byte> header, std::span<const Byte> data, u32 part);
  Result<u32> read_head(base::ByteReader& reader);
  Result<void> read_values(base::ByteReader& reader, u64 count);
  Result<Value> read_value(base::ByteReader& reader, std::string_view key);
  Result<void> read_array(base::ByteReader& reader, Value& value);
  Result<void> index_strings(base::ByteReader& reader, Value& value);
  Result<void> sort_values(usize first);
  Result<GgufTensor> read_tensor(base::ByteReader& reader, u32 part);
  Result<void> read_shape(base::ByteReader& reader, GgufTensor& tensor);
  Result<void> place_tensor(GgufTensor& tensor, std::span<const Byte> data, u64 data_offset,
                            u64 alignment);
  Result<void> sort_tensors();
  Result<void> check_overlaps();
  Result<u64> alignment(usize first_value) const;
  Result<void> check_split(usize first_value, u32 part) const;
  Result<u64> unsigned_value(const Value& value) const;
  const Value* find(std::string_view key, usize first_value = 0) const;
  Result<const Value*> require(std::string_view key) const;
  std::unexpected<Error> wrong_type(const Value& value, const char* wanted) const;

  Platform& platform_;
  Vector<Byte> owned_header_;
  Vector<Value> values_;
  Vector<GgufTensor> tensors_;
  Vector<u32> string_offsets_;
  u32 version_ = 0;
  u32 part_count_ = 1;
  bool grouped_ = false;
};

const char* gguf_type_name(GgufType type);

}  // namespace ai
