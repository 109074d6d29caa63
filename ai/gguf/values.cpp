// SPDX-License-Identifier: GPL-2.0-or-later
// Gives typed access to GGUF metadata, which the reader has checked and sorted.
#include "ai/gguf/reader.h"

namespace ai {
namespace {

// Loads any integer type, sign-extended to 64 bits; a u64 keeps its bits.
i64 load_integer(GgufType type, const Byte* at) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kBool:
      return *at;
    case GgufType::kI8:
      return base::load<i8>(at);
    case GgufType::kU16:
      return base::load<u16>(at);
    case GgufType::kI16:
      return base::load<i16>(at);
    case GgufType::kU32:
      return base::load<u32>(at);
    case GgufType::kI32:
      return base::load<i32>(at);
    case GgufType::kU64:
    case GgufType::kI64:
      return base::load<i64>(at);
    default:
      return 0;
  }
}

float load_real(GgufType type, const Byte* at) {
  if (type == GgufType::kF32) return base::load<float>(at);
  if (type == GgufType::kF64) return static_cast<float>(base::load<double>(at));
  if (type == GgufType::kU64) return static_cast<float>(base::load<u64>(at));
  return static_cast<float>(load_integer(type, at));
}

bool is_integer(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kU16:
    case GgufType::kI16:
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kU64:
    case GgufType::kI64:
      return true;
    default:
      return false;
  }
}

usize element_bytes(GgufType type) {
  switch (type) {
    case GgufType::kU16:
    case GgufType::kI16:
      return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32:
      return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64:
      return 8;
    default:
      return 1;
  }
}

}  // namespace

i64 GgufNumbers::integer(usize i) const {
  ASSERT(i < count_);
  return load_integer(type_, base_ + i * element_bytes(type_));
}

float GgufNumbers::real(usize i) const {
  ASSERT(i < count_);
  return load_real(type_, base_ + i * element_bytes(type_));
}

std::unexpected<Error> GgufFile::wrong_type(const Value& value, const char* wanted) const {
  const char* of = value.type == GgufType::kArray ? gguf_type_name(value.element) : "";
  log(platform_, LogLevel::kError, "gguf: key '{}' is of type {} {}, expected {}", value.key,
      gguf_type_name(value.type), of, wanted);
  return fail(Errc::kCorrupt, "gguf: a key has the wrong type");
}

Result<const GgufFile::Value*> GgufFile::require(std::string_view key) const {
  const Value* value = find(key);
  if (value != nullptr) return value;
  log(platform_, LogLevel::kError, "gguf: key '{}' is missing", key);
  return fail(Errc::kNotFound, "gguf: a key is missing");
}

bool GgufFile::has(std::string_view key) const {
  return find(key) != nullptr;
}

Result<GgufType> GgufFile::type_of(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return fail(Errc::kNotFound, "gguf: a key is missing");
  return value->type;
}

Result<u64> GgufFile::unsigned_value(const Value& value) const {
  if (!is_integer(value.type)) return wrong_type(value, "an integer");
  i64 number = load_integer(value.type, value.data);
  if (number < 0 && value.type != GgufType::kU64) return wrong_type(value, "0 or more");
  return static_cast<u64>(number);
}

Result<u64> GgufFile::get_u64(std::string_view key) const {
  const Value* value = TRY(require(key));
  return unsigned_value(*value);
}

Result<i64> GgufFile::get_i64(std::string_view key) const {
  const Value* value = TRY(require(key));
  if (!is_integer(value->type)) return wrong_type(*value, "an integer");
  i64 number = load_integer(value->type, value->data);
  if (number < 0 && value->type == GgufType::kU64) return wrong_type(*value, "less than 2^63");
  return number;
}

Result<float> GgufFile::get_f32(std::string_view key) const {
  const Value* value = TRY(require(key));
  if (value->type != GgufType::kF32 && value->type != GgufType::kF64)
    return wrong_type(*value, "f32");
  return load_real(value->type, value->data);
}

Result<bool> GgufFile::get_bool(std::string_view key) const {
  const Value* value = TRY(require(key));
  if (value->type != GgufType::kBool) return wrong_type(*value, "bool");
  return *value->data == 1;
}

Result<std::string_view> GgufFile::get_string(std::string_view key) const {
  const Value* value = TRY(require(key));
  if (value->type != GgufType::kString) return wrong_type(*value, "string");
  const char* text = reinterpret_cast<const char*>(value->data + sizeof(u64));
  return std::string_view(text, base::load<u64>(value->data));
}

Result<GgufStrings> GgufFile::get_strings(std::string_view key) const {
  const Value* value = TRY(require(key));
  if (value->type != GgufType::kArray || value->element != GgufType::kString)
    return wrong_type(*value, "array of string");
  return GgufStrings(value->data,
                     string_offsets_.view().subspan(value->first_offset, value->count));
}

Result<GgufNumbers> GgufFile::get_numbers(std::string_view key) const {
  const Value* value = TRY(require(key));
  if (value->type != GgufType::kArray || value->element == GgufType::kString)
    return wrong_type(*value, "array of numbers");
  return GgufNumbers(value->element, value->data, value->count);
}

Result<u64> GgufFile::get_u64(std::string_view key, u64 fallback) const {
  return has(key) ? get_u64(key) : Result<u64>(fallback);
}
Result<i64> GgufFile::get_i64(std::string_view key, i64 fallback) const {
  return has(key) ? get_i64(key) : Result<i64>(fallback);
}
Result<float> GgufFile::get_f32(std::string_view key, float fallback) const {
  return has(key) ? get_f32(key) : Result<float>(fallback);
}
Result<bool> GgufFile::get_bool(std::string_view key, bool fallback) const {
  return has(key) ? get_bool(key) : Result<bool>(fallback);
}
Result<std::string_view> GgufFile::get_string(std::string_view key,
                                              std::string_view fallback) const {
  return has(key) ? get_string(key) : Result<std::string_view>(fallback);
}

}  // namespace ai
