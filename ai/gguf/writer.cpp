// SPDX-License-Identifier: GPL-2.0-or-later
// Writes GGUF version 3 (docs/gguf.md of the ggml project).
#include "ai/gguf/writer.h"

namespace ai {
namespace {

template <class T>
Result<void> put(Vector<Byte>& out, T value) {
  Byte bytes[sizeof(T)];
  base::store(bytes, value);
  return out.append(bytes);
}

Result<void> put_text(Vector<Byte>& out, std::string_view text) {
  TRY(put<u64>(out, text.size()));
  return out.append({reinterpret_cast<const Byte*>(text.data()), text.size()});
}

template <class T>
Result<void> put_array(Vector<Byte>& out, GgufType type, std::span<const T> values) {
  TRY(put(out, static_cast<u32>(type)));
  TRY(put<u64>(out, values.size()));
  return out.append({reinterpret_cast<const Byte*>(values.data()), values.size_bytes()});
}

}  // namespace

Result<void> GgufWriter::begin(std::string_view key, GgufType type) {
  value_count_++;
  TRY(put_text(values_, key));
  return put(values_, static_cast<u32>(type));
}

Result<void> GgufWriter::add_u32(std::string_view key, u32 value) {
  TRY(begin(key, GgufType::kU32));
  return put(values_, value);
}
Result<void> GgufWriter::add_f32(std::string_view key, float value) {
  TRY(begin(key, GgufType::kF32));
  return put(values_, value);
}
Result<void> GgufWriter::add_bool(std::string_view key, bool value) {
  TRY(begin(key, GgufType::kBool));
  return put<Byte>(values_, value ? 1 : 0);
}
Result<void> GgufWriter::add_string(std::string_view key, std::string_view value) {
  TRY(begin(key, GgufType::kString));
  return put_text(values_, value);
}
Result<void> GgufWriter::add_strings(std::string_view key,
                                     std::span<const std::string_view> values) {
  TRY(begin(key, GgufType::kArray));
  TRY(put(values_, static_cast<u32>(GgufType::kString)));
  TRY(put<u64>(values_, values.size()));
  for (std::string_view text : values) TRY(put_text(values_, text));
  return {};
}
Result<void> GgufWriter::add_f32s(std::string_view key, std::span<const float> values) {
  TRY(begin(key, GgufType::kArray));
  return put_array(values_, GgufType::kF32, values);
}
Result<void> GgufWriter::add_i32s(std::string_view key, std::span<const i32> values) {
  TRY(begin(key, GgufType::kArray));
  return put_array(values_, GgufType::kI32, values);
}
Result<void> GgufWriter::add_raw(std::string_view key, GgufType type, std::span<const Byte> value) {
  TRY(begin(key, type));
  return values_.append(value);
}
Result<void> GgufWriter::copy(const GgufFile& file, usize position) {
  return add_raw(file.key(position), file.type(position), file.raw(position));
}

Result<void> GgufWriter::add_tensor(std::string_view name, std::span<const u64> dimensions,
                                    u32 ggml_type, u64 offset) {
  tensor_count_++;
  TRY(put_text(tensors_, name));
  TRY(put(tensors_, static_cast<u32>(dimensions.size())));
  for (u64 n : dimensions) TRY(put(tensors_, n));
  TRY(put(tensors_, ggml_type));
  return put(tensors_, offset);
}

Result<Vector<Byte>> GgufWriter::finish(u32 alignment) const {
  Vector<Byte> out;
  TRY(out.append({reinterpret_cast<const Byte*>("GGUF"), 4}));
  TRY(put<u32>(out, 3));
  TRY(put(out, tensor_count_));
  TRY(put(out, value_count_));
  TRY(out.append(values_.view()));
  TRY(out.append(tensors_.view()));
  TRY(out.resize(base::round_up(out.size(), alignment)));
  return out;
}

}  // namespace ai
