// SPDX-License-Identifier: GPL-2.0-or-later
// kernel/base: Result, containers, formatting, bounded bytes.
#include "arch/host/memory.h"
#include "kernel/base/bytes.h"
#include "kernel/base/cpu_features.h"
#include "kernel/base/hash.h"
#include "kernel/base/test.h"
#include "kernel/base/text.h"

namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return fail(Errc::kInvalidArgument, "odd");
  return n / 2;
}

Result<int> quarter(int n) {
  int h = TRY(half(n));
  return TRY(half(h));
}

}  // namespace

TEST(base_result, try_passes_values_and_errors) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT(!quarter(6).has_value());
  EXPECT_EQ(std::string_view(quarter(6).error().what), "odd");
  EXPECT_EQ(std::string_view(errc_name(Errc::kContextFull)), "context_full");
}

TEST(base_vector, grows_and_reports_exhaustion) {
  Vector<u32> v;
  for (u32 i = 0; i < 100; i++) REQUIRE(v.push_back(i).has_value());
  EXPECT_EQ(v.size(), 100u);
  EXPECT_EQ(v[99], 99u);
  host::fail_allocation(1);
  Result<void> r = v.reserve(10000);
  host::fail_allocation(0);
  EXPECT(!r.has_value());
  EXPECT_EQ(v.size(), 100u);
  v.erase(0);
  EXPECT_EQ(v[0], 1u);
  EXPECT_EQ(v.size(), 99u);
}

TEST(base_vector, owns_its_elements) {
  i64 before = host::live_allocations();
  {
    Vector<String> strings;
    for (int i = 0; i < 20; i++)
      REQUIRE(strings.push_back(String::from("some text").value()).has_value());
    strings.erase(3);
    strings.truncate(10);
  }
  EXPECT_EQ(host::live_allocations(), before);
}

TEST(base_format, kinds_widths_and_signs) {
  char buffer[128];
  EXPECT_EQ(base::format_into(buffer, "{} {} {}", -5, 7u, 'x'), "-5 7 x");
  EXPECT_EQ(base::format_into(buffer, "{:08x}|{:#x}", 0xbeefu, 255u), "0000beef|0xff");
  EXPECT_EQ(base::format_into(buffer, "[{:>5}] [{:<5}] [{:5}]", 42, 42, "ab"),
            "[   42] [42   ] [ab   ]");
  EXPECT_EQ(base::format_into(buffer, "{{}} {}", true), "{} yes");
  EXPECT_EQ(base::format_into(buffer, "{} {}", 1), "1 {missing}");
  EXPECT_EQ(base::format_into(buffer, "{}", i64{-9223372036854775807 - 1}), "-9223372036854775808");
}

TEST(base_format, decimals) {
  char buffer[64];
  EXPECT_EQ(base::format_into(buffer, "{}", base::Decimal{12345, 3}), "12.345");
  EXPECT_EQ(base::format_into(buffer, "{}", base::Decimal{-5, 2}), "-0.05");
  EXPECT_EQ(base::format_into(buffer, "{:>8}", base::ratio(2, 3, 2)), "    0.67");
  EXPECT_EQ(base::format_into(buffer, "{}", base::ratio(1, 0, 1)), "0.0");
  EXPECT_EQ(base::format_into(buffer, "{}", base::ratio(~u64{0}, u64{1} << 63, 3)), "2.000");
}

TEST(base_format, truncates_instead_of_overflowing) {
  char buffer[4];
  base::BufferWriter writer(buffer);
  base::format_to(writer, "{}", 123456);
  EXPECT_EQ(writer.view(), "1234");
  EXPECT(writer.truncated());
}

TEST(base_bytes, slices_and_reads_are_checked) {
  const Byte bytes[] = {1, 0, 0, 0, 'a', 'b'};
  base::ByteReader reader(bytes);
  EXPECT_EQ(reader.read<u32>().value(), 1u);
  EXPECT_EQ(reader.read_text(2).value(), "ab");
  EXPECT(!reader.read<u8>().has_value());
  EXPECT(!base::slice(bytes, 4, ~u64{0}).has_value());
  EXPECT(!base::slice(bytes, 7, 0).has_value());
  EXPECT_EQ(base::slice(bytes, 6, 0).value().size(), usize{0});
  EXPECT(!base::checked_mul(u64{1} << 40, u64{1} << 30).has_value());
}

TEST(base_cpu, feature_names) {
  CpuFeatures f = CpuFeatures{}.with(CpuFeature::kAvx2).with(CpuFeature::kSse41);
  EXPECT(f.has(CpuFeature::kAvx2));
  EXPECT(!f.has(CpuFeature::kNeon));
  EXPECT(!CpuFeatures{}.has_all(f));
  EXPECT_EQ(std::string_view(cpu_feature_name(CpuFeature::kAvx512Vnni)), "avx512-vnni");
}

TEST(text, letters_compare_without_case_in_ascii_only) {
  EXPECT(base::equal_ignoring_case("Content-LENGTH", "content-length"));
  EXPECT(!base::equal_ignoring_case("abc", "abcd"));
  EXPECT(!base::equal_ignoring_case("[", "{"));  // 0x20 apart, but no letters
  EXPECT(!base::equal_ignoring_case("\xc4", "\xe4"));
  EXPECT(base::contains_ignoring_case("Qwen3-0.6B", "b"));
  EXPECT(base::contains_ignoring_case("Qwen3", "WEN"));
  EXPECT(base::contains_ignoring_case("", ""));
  EXPECT(!base::contains_ignoring_case("Qwen3", "wen4"));
}

TEST(text, trims_and_splits) {
  EXPECT(base::trim(" \t a b\r\n") == "a b");
  EXPECT(base::trim(" \t ") == "");
  EXPECT(base::trim("--a-", "-") == "a");
  EXPECT(base::base_name("/models/a.gguf") == "a.gguf");
  EXPECT(base::base_name("a.gguf") == "a.gguf");
  EXPECT(base::base_name("/models/") == "");
  std::string_view rest = "a,,b";
  EXPECT(base::split_off(rest, ',') == "a" && rest == ",b");
  EXPECT(base::split_off(rest, ',') == "" && rest == "b");
  EXPECT(base::split_off(rest, ',') == "b" && rest.empty());
  EXPECT(base::split_off(rest, ',') == "" && rest.empty());
}

// The test vectors of the FNV authors' page for 64 bits.
TEST(hash, fnv1a_is_the_published_one) {
  EXPECT_EQ(base::fnv1a(""), 0xcbf29ce484222325u);
  EXPECT_EQ(base::fnv1a("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(base::fnv1a("foobar"), 0x85944171f73967e8u);
}
