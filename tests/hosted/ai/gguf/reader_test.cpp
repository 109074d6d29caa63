// SPDX-License-Identifier: GPL-2.0-or-later
// The GGUF reader: what it reads, and that it refuses the known ways to break such readers.
#include "ai/gguf/reader.h"

#include <cmath>

#include "ai/gguf/writer.h"
#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "tests/hosted/test_platform.h"

namespace {

using ai::GgufFile;
using ai::GgufType;
using ai::GgufWriter;

struct Shape {
  std::string_view name;
  u64 dimensions[4];
  u32 dimension_count;
  u32 ggml_type;
  u64 offset;
};

void fill_values(GgufWriter& w) {
  MUST(w.add_string("general.architecture", "llama"));
  MUST(w.add_u32("llama.block_count", 7));
  MUST(w.add_f32("llama.eps", 0.5f));
  MUST(w.add_bool("flag", true));
  const std::string_view tokens[] = {"<s>", "", "hello"};
  MUST(w.add_strings("tokens", tokens));
  const float scores[] = {0.5f, -1.0f};
  MUST(w.add_f32s("scores", scores));
  const i32 types[] = {3, -1, 6};
  MUST(w.add_i32s("types", types));
}

// A header with `shapes` and `data` bytes behind it.
Vector<Byte> build(std::span<const Shape> shapes, usize data, GgufWriter w = {}) {
  for (const Shape& s : shapes)
    MUST(w.add_tensor(s.name, {s.dimensions, s.dimension_count}, s.ggml_type, s.offset));
  Vector<Byte> out = MUST(w.finish());
  MUST(out.resize(out.size() + data));
  return out;
}

Errc parse_error(TestPlatform& platform, std::span<const Byte> bytes) {
  auto file = GgufFile::parse(bytes, platform);
  ASSERT(!file.has_value());
  return file.error().code;
}

}  // namespace

TEST(gguf_reader, values_of_every_kind) {
  TestPlatform platform;
  GgufWriter w;
  fill_values(w);
  Vector<Byte> bytes = build({}, 0, std::move(w));
  auto parsed = GgufFile::parse(bytes.view(), platform);
  REQUIRE(parsed.has_value());
  const GgufFile& file = **parsed;
  EXPECT_EQ(file.get_string("general.architecture").value(), "llama");
  EXPECT_EQ(file.get_u64("llama.block_count").value(), 7u);
  EXPECT(file.get_f32("llama.eps").value() == 0.5f);
  EXPECT(file.get_bool("flag").value());
  auto tokens = file.get_strings("tokens").value();
  REQUIRE(tokens.size() == 3);
  EXPECT_EQ(tokens[0], "<s>");
  EXPECT_EQ(tokens[1], "");
  EXPECT_EQ(tokens[2], "hello");
  EXPECT(file.get_numbers("scores").value().real(1) == -1.0f);
  EXPECT_EQ(file.get_numbers("types").value().integer(1), i64{-1});
  EXPECT_EQ(file.get_u64("absent", 9).value(), 9u);
  EXPECT_EQ(file.key_count(), usize{7});
}

TEST(gguf_reader, wrong_types_and_absent_keys_are_named) {
  TestPlatform platform;
  GgufWriter w;
  fill_values(w);
  Vector<Byte> bytes = build({}, 0, std::move(w));
  auto file = MUST(GgufFile::parse(bytes.view(), platform));
  EXPECT(file->get_u64("absent").error().code == Errc::kNotFound);
  EXPECT(platform.logged("'absent' is missing"));
  EXPECT(file->get_u64("llama.eps").error().code == Errc::kCorrupt);
  EXPECT(platform.logged("'llama.eps' is of type f32"));
  EXPECT(!file->get_u64("llama.eps", 3).has_value());  // a fallback does not hide a wrong type
  EXPECT(!file->get_strings("scores").has_value());
  EXPECT(!file->get_numbers("tokens").has_value());
  EXPECT(!file->get_string("tokens").has_value());
  EXPECT(!file->get_bool("llama.block_count").has_value());
}

TEST(gguf_reader, tensors_are_placed) {
  TestPlatform platform;
  const Shape shapes[] = {{"b", {32, 3, 2, 0}, 3, 8, 0}, {"a", {4, 0, 0, 0}, 1, 0, 224}};
  Vector<Byte> bytes = build(shapes, 240);
  auto file = MUST(GgufFile::parse(bytes.view(), platform));
  const ai::GgufTensor* b = MUST(file->tensor("b"));
  EXPECT_EQ(b->view.columns, 32u);
  EXPECT_EQ(b->view.rows, 6u);
  EXPECT_EQ(b->view.row_bytes, usize{34});
  EXPECT_EQ(b->view.data.size(), usize{204});
  EXPECT_EQ(b->offset, bytes.size() - 240);
  EXPECT_EQ(file->find_tensor("a")->view.data.data() - b->view.data.data(), 224);
  EXPECT(file->find_tensor("c") == nullptr);
  EXPECT(file->tensor("c").error().code == Errc::kNotFound);
}

TEST(gguf_reader, refuses_bad_tensors) {
  TestPlatform platform;
  const u64 big = u64{1} << 32;
  const struct {
    Shape shape;
    Errc code;
  } kCases[] = {
      {{"past the end", {32, 2, 0, 0}, 2, 0, 0}, Errc::kCorrupt},
      {{"offset past the end", {4, 0, 0, 0}, 1, 0, 512}, Errc::kCorrupt},
      {{"offset wraps", {4, 0, 0, 0}, 1, 0, ~u64{31}}, Errc::kCorrupt},
      {{"not aligned", {4, 0, 0, 0}, 1, 0, 16}, Errc::kCorrupt},
      {{"zero", {4, 0, 0, 0}, 2, 0, 0}, Errc::kCorrupt},
      {{"no dimensions", {4, 0, 0, 0}, 0, 0, 0}, Errc::kCorrupt},
      {{"product wraps", {big / 2, big / 2, big / 2, 8}, 4, 0, 0}, Errc::kCorrupt},
      {{"huge", {u64{1} << 42, 1, 1, 1}, 1, 0, 0}, Errc::kCorrupt},
      {{"half a block", {31, 1, 1, 1}, 2, 8, 0}, Errc::kCorrupt},
      {{"unknown type", {32, 0, 0, 0}, 1, 0x7fffffff, 0}, Errc::kUnsupported},
      {{"", {32, 0, 0, 0}, 1, 0, 0}, Errc::kCorrupt},
  };
  for (const auto& c : kCases) {
    platform.log_text.clear();
    Vector<Byte> bytes = build({&c.shape, 1}, 128);
    EXPECT(parse_error(platform, bytes.view()) == c.code);
    EXPECT(platform.logged(c.shape.name));
  }
}

TEST(gguf_reader, refuses_duplicates_and_overlaps) {
  TestPlatform platform;
  const Shape twice[] = {{"a", {8}, 1, 0, 0}, {"a", {8}, 1, 0, 32}};
  EXPECT(parse_error(platform, build(twice, 64).view()) == Errc::kCorrupt);
  EXPECT(platform.logged("'a' occurs twice"));
  const Shape overlap[] = {{"a", {16}, 1, 0, 0}, {"b", {8}, 1, 0, 32}};
  EXPECT(parse_error(platform, build(overlap, 64).view()) == Errc::kCorrupt);
  EXPECT(platform.logged("overlap"));
  GgufWriter w;
  MUST(w.add_u32("k", 1));
  MUST(w.add_u32("k", 2));
  EXPECT(parse_error(platform, build({}, 0, std::move(w)).view()) == Errc::kCorrupt);
  EXPECT(platform.logged("'k' occurs twice"));
}

TEST(gguf_reader, alignment_must_be_a_power_of_two) {
  TestPlatform platform;
  for (u32 bad : {0u, 3u, 33u, 0x80000000u, ~0u}) {
    GgufWriter w;
    MUST(w.add_u32("general.alignment", bad));
    EXPECT(parse_error(platform, build({}, 0, std::move(w)).view()) == Errc::kCorrupt);
  }
  GgufWriter text;
  MUST(text.add_string("general.alignment", "32"));
  EXPECT(parse_error(platform, build({}, 0, std::move(text)).view()) == Errc::kCorrupt);
  GgufWriter fine;
  MUST(fine.add_u32("general.alignment", 1));
  EXPECT(GgufFile::parse(build({}, 0, std::move(fine)).view(), platform).has_value());
}

TEST(gguf_reader, hostile_values) {
  TestPlatform platform;
  auto with = [&](GgufType type, std::initializer_list<Byte> value) {
    GgufWriter w;
    MUST(w.add_raw("k", type, {value.begin(), value.size()}));
    return build({}, 0, std::move(w));
  };
  const Vector<Byte> cases[] = {
      with(GgufType::kBool, {2}),
      with(GgufType::kCount, {0, 0, 0, 0}),
      with(GgufType::kString, {255, 255, 255, 255, 255, 255, 255, 255}),
      with(GgufType::kString, {0, 0, 0, 0, 0, 0, 0, 128}),
      with(GgufType::kArray, {9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}),            // of arrays
      with(GgufType::kArray, {4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64}),           // 2^62 of u32
      with(GgufType::kArray, {8, 0, 0, 0, 255, 255, 255, 255, 255, 0, 0, 0}),  // strings
      with(GgufType::kArray, {77, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}),
  };
  for (const Vector<Byte>& bytes : cases) EXPECT(!GgufFile::parse(bytes.view(), platform));
}

TEST(gguf_reader, every_truncation_and_every_count_is_refused) {
  TestPlatform platform;
  GgufWriter w;
  fill_values(w);
  const Shape shapes[] = {{"a", {8}, 1, 0, 0}};
  Vector<Byte> bytes = build(shapes, 32, std::move(w));
  REQUIRE(GgufFile::parse(bytes.view(), platform).has_value());
  i64 before = host::live_allocations();
  for (usize n = 0; n < bytes.size(); n++)
    EXPECT(!GgufFile::parse(bytes.view().first(n), platform).has_value());
  for (u64 count : {u64{1} << 31, u64{0xffffffff}, u64{1} << 61, ~u64{0}}) {
    for (usize at : {8u, 16u}) {  // tensors, keys
      Vector<Byte> hostile = MUST(bytes.clone());
      base::store(hostile.data() + at, count);
      EXPECT(parse_error(platform, hostile.view()) == Errc::kCorrupt);
    }
  }
  for (u32 version : {0u, 1u, 4u, 0x03000000u}) {
    Vector<Byte> other = MUST(bytes.clone());
    base::store(other.data() + 4, version);
    EXPECT(parse_error(platform, other.view()) == Errc::kUnsupported);
  }
  EXPECT_EQ(host::live_allocations(), before);
}

TEST(gguf_reader, out_of_memory_at_every_allocation) {
  TestPlatform platform;
  GgufWriter w;
  fill_values(w);
  Vector<Byte> bytes = build({}, 0, std::move(w));
  i64 before = host::live_allocations();
  u32 failures = 0;
  for (u64 nth = 1;; nth++, failures++) {
    host::fail_allocation(nth);
    auto file = GgufFile::parse(bytes.view(), platform);
    host::fail_allocation(0);
    if (file.has_value()) break;
    EXPECT(file.error().code == Errc::kOutOfMemory);
    EXPECT_EQ(host::live_allocations(), before);
  }
  EXPECT(failures >= 3);
}

TEST(gguf_reader, split_files) {
  TestPlatform platform;
  Vector<Byte> parts[2];
  const Shape shapes[] = {{"a", {8}, 1, 0, 0}, {"b", {8}, 1, 0, 0}};
  for (u32 i = 0; i < 2; i++) {
    GgufWriter w;
    MUST(w.add_u32("split.no", i));
    MUST(w.add_u32("split.count", 2));
    if (i == 0) fill_values(w);
    parts[i] = build({&shapes[i], 1}, 32, std::move(w));
  }
  const std::span<const Byte> both[] = {parts[0].view(), parts[1].view()};
  auto file = MUST(GgufFile::parse(both, platform));
  EXPECT_EQ(file->find_tensor("b")->part, 1u);
  EXPECT_EQ(file->get_u64("llama.block_count").value(), 7u);
  EXPECT(parse_error(platform, parts[0].view()) == Errc::kInvalidArgument);
  EXPECT(platform.logged("part 1 of 2, expected part 1 of 1"));
  const std::span<const Byte> swapped[] = {parts[1].view(), parts[0].view()};
  EXPECT(!GgufFile::parse(swapped, platform).has_value());
}
