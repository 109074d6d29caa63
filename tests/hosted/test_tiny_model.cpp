// SPDX-License-Identifier: GPL-2.0-or-later
// Makes the bytes of tiny_models.py: streams of random bytes from the names of tensors.
#include "tests/hosted/test_tiny_model.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "ai/gguf/writer.h"
#include "ai/quant/half.h"
#include "ai/quant/types.h"
#include "kernel/base/hash.h"
#include "tests/hosted/test_files.h"
#include "tests/hosted/test_platform.h"

namespace {

constexpr const char* kFolder = "tests/goldens/models";

// splitmix64 over a counter, from the FNV-1a hash of the name.
std::vector<Byte> stream(std::string_view name, usize count) {
  u64 seed = base::fnv1a(name);
  std::vector<Byte> out(count + 8);
  for (usize i = 0; i < count; i += 8) {
    u64 z = seed + (i / 8 + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z = z ^ (z >> 31);
    std::memcpy(out.data() + i, &z, 8);
  }
  out.resize(count);
  return out;
}

float weight(std::string_view name, i8 b) {
  float x = b;
  if (name.ends_with("norm.weight") || name.ends_with("norm_2.weight")) return 1 + x / 512;
  if (name.ends_with("ssm_a")) return -(std::fabs(x) + 1) / 32;
  if (name.starts_with("rope_f")) return 1 + std::fabs(x) / 64;
  if (name.ends_with(".bias")) return x / 512;
  if (name.ends_with(".scale")) return 1 + std::fabs(x) / 256;
  if (name.starts_with("token_embd") || name.starts_with("position_embd")) return x / 256;
  if (name.find("ffn_gate_inp") != name.npos) return x / 64;
  return x / 512;
}

// The numbers that tiny_models.py puts into blocks.
struct Field {
  ai::QuantType type;
  u32 offset;
  float value;
};
using enum ai::QuantType;
constexpr Field kFields[] = {
    {kQ4_0, 0, 0.02f},      {kQ4_1, 0, 0.02f},    {kQ4_1, 2, -0.15f},     {kQ5_0, 0, 0.01f},
    {kQ5_1, 0, 0.01f},      {kQ5_1, 2, -0.15f},   {kQ8_0, 0, 0.00125f},   {kQ2_K, 80, 0.01f},
    {kQ2_K, 82, 0.0125f},   {kQ3_K, 108, 0.002f}, {kQ4_K, 0, 0.0005f},    {kQ4_K, 2, 0.004f},
    {kQ5_K, 0, 0.00025f},   {kQ5_K, 2, 0.004f},   {kQ6_K, 208, 0.00007f}, {kIQ4_NL, 0, 0.00125f},
    {kIQ4_XS, 0, 0.00007f}, {kTQ1_0, 52, 0.08f},  {kTQ2_0, 64, 0.08f},
};

void fill(const ai::GgufTensor& tensor, Byte* out) {
  const ai::TensorView& view = tensor.view;
  usize count = usize{view.columns} * view.rows;
  std::vector<Byte> bytes = stream(tensor.name, std::max(count, view.data.size()));
  bool floats = view.type == kF32 || view.type == kF16 || view.type == kBF16;
  for (usize i = 0; floats && i < count; i++) {
    float value = weight(tensor.name, static_cast<i8>(bytes[i]));
    u32 bits = std::bit_cast<u32>(value);
    if (view.type == kF32) std::memcpy(out + 4 * i, &value, 4);
    u16 brain = static_cast<u16>(bits >> 16);
    if (view.type == kBF16) std::memcpy(out + 2 * i, &brain, 2);
    u16 half = ai::f32_to_f16(value);
    if (view.type == kF16) std::memcpy(out + 2 * i, &half, 2);
  }
  if (floats) return;
  if (view.type == kTQ2_0)  // weights of 2 bits: 3 becomes 1
    for (Byte& b : bytes) b ^= static_cast<Byte>((b & b >> 1 & 0x55) << 1);
  std::memcpy(out, bytes.data(), view.data.size());
  usize block = ai::quant_info(view.type).block_bytes;
  for (usize at = 0; at < view.data.size(); at += block) {
    if (view.type == kMXFP4) out[at] = 122;
    for (const Field& field : kFields) {
      u16 half = ai::f32_to_f16(field.value);
      if (field.type == view.type) std::memcpy(out + at + field.offset, &half, 2);
    }
  }
}

class Cursor {
 public:
  explicit Cursor(const std::string& bytes) : bytes_(bytes) {}
  template <class T>
  T next() {
    T value{};
    if (at_ + sizeof(T) <= bytes_.size()) std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }
  std::string_view take(usize n) {
    std::string_view part = std::string_view(bytes_).substr(std::min(at_, bytes_.size()), n);
    at_ += n;
    return part;
  }
  bool inside() const { return at_ <= bytes_.size(); }

 private:
  const std::string& bytes_;
  usize at_ = 0;
};

bool make_file(std::string_view header, std::vector<Byte>& out) {
  constexpr usize kMostData = 16 << 20;
  TestPlatform platform;
  Vector<Byte> copy;
  MUST(copy.append({reinterpret_cast<const Byte*>(header.data()), header.size()}));
  std::vector<Byte> data(kMostData);
  auto file = ai::GgufFile::parse_header(std::move(copy), data, platform);
  if (!file.has_value()) return false;
  usize end = 0;
  for (const ai::GgufTensor& tensor : (*file)->tensors()) {
    fill(tensor, data.data() + tensor.offset);
    end = std::max(end, tensor.offset + tensor.view.data.size());
  }
  out.assign(header.begin(), header.end());
  out.insert(out.end(), data.begin(), data.begin() + static_cast<i64>(end));
  return true;
}

Result<void> add_tokens(ai::GgufWriter& out, u32 count, bool bytes_by_merges) {
  std::vector<std::string> tokens, merges;
  std::vector<i32> types;
  std::vector<float> scores;
  for (u32 i = 0; i < count; i++) {
    char text[16];
    bool letter = i >= 3 && i < 29;
    std::snprintf(text, sizeof text, "%c%c", 'a' + static_cast<int>(i % 26),
                  'a' + static_cast<int>(i / 26 % 26));
    if (i < 3) std::snprintf(text, sizeof text, "<%u>", i);
    if (letter) text[0] = static_cast<char>('a' + i - 3), text[1] = 0;
    tokens.emplace_back(text);
    if (i >= 29) merges.push_back(tokens.back().substr(0, 1) + " " + tokens.back().substr(1));
    types.push_back(i == 0 ? 2 : i < 3 ? 3 : 1);
    scores.push_back(-static_cast<float>(i));
  }
  std::vector<std::string_view> views(tokens.begin(), tokens.end()),
      merge_views(merges.begin(), merges.end());
  TRY(out.add_string("tokenizer.ggml.model", bytes_by_merges ? "gpt2" : "llama"));
  if (bytes_by_merges) TRY(out.add_string("tokenizer.ggml.pre", "default"));
  TRY(out.add_strings("tokenizer.ggml.tokens", views));
  TRY(out.add_i32s("tokenizer.ggml.token_type", types));
  if (bytes_by_merges) TRY(out.add_strings("tokenizer.ggml.merges", merge_views));
  if (!bytes_by_merges) TRY(out.add_f32s("tokenizer.ggml.scores", scores));
  TRY(out.add_u32("tokenizer.ggml.bos_token_id", 1));
  TRY(out.add_u32("tokenizer.ggml.eos_token_id", 2));
  TRY(out.add_string("tokenizer.chat_template",
                     "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{% endfor %}"));
  return {};
}

}  // namespace

std::vector<std::string> tiny_model_names() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder, error))
    if (entry.path().extension() == ".golden") names.push_back(entry.path().stem());
  std::sort(names.begin(), names.end());
  return names;
}

bool make_tiny_model(const std::string& name, TinyModel& out) {
  std::string bytes;
  if (!read_file(std::filesystem::path(kFolder) / (name + ".golden"), bytes)) return false;
  Cursor cursor(bytes);
  std::string_view header = cursor.take(cursor.next<u32>());
  if (!make_file(header, out.file)) return false;
  u32 count = cursor.next<u32>();
  out.vocabulary = cursor.next<u32>();
  u32 tables = cursor.next<u32>();
  out.tokens.clear();
  for (u32 i = 0; i < count; i++) out.tokens.push_back(cursor.next<u32>());
  for (u32 t = 0; t < tables; t++) {
    float step = cursor.next<float>();
    std::vector<float>& logits = t == 0 ? out.logits : out.reference;
    logits.clear();
    for (usize i = 0; i < usize{count} * out.vocabulary; i++)
      logits.push_back(step * cursor.next<i16>());
  }
  return cursor.inside();
}

void change_header(TinyModel& tiny, const KeepsKey& keeps, const AddsKeys& adds) {
  TestPlatform platform;
  auto file = MUST(ai::GgufFile::parse(tiny.file, platform));
  ai::GgufWriter out;
  for (usize i = 0; i < file->key_count(); i++)
    if (keeps(file->key(i))) MUST(out.copy(*file, i));
  MUST(adds(out));
  usize first = tiny.file.size();
  for (const ai::GgufTensor& t : file->tensors()) first = std::min<usize>(first, t.offset);
  for (const ai::GgufTensor& t : file->tensors())
    MUST(out.add_tensor(t.name, {t.dimensions, t.dimension_count},
                        ai::quant_info(t.view.type).ggml_type, t.offset - first));
  Vector<Byte> header = MUST(out.finish());
  std::vector<Byte> made(header.data(), header.data() + header.size());
  made.insert(made.end(), tiny.file.begin() + static_cast<i64>(first), tiny.file.end());
  tiny.file = std::move(made);
}

bool not_of_the_tokenizer(std::string_view key) {
  return !key.starts_with("tokenizer.");
}

void give_tokenizer(TinyModel& tiny, bool merges) {
  change_header(tiny, not_of_the_tokenizer,
                [&](ai::GgufWriter& out) { return add_tokens(out, tiny.vocabulary, merges); });
}
