// SPDX-License-Identifier: GPL-2.0-or-later
// The choice of the prefetch: from given times, on a clock that the products move, and as text.
#include "ai/kernels/probe.h"

#include <cstring>

#include "kernel/base/test.h"
#include "tests/hosted/test_platform.h"

namespace {

using namespace ai;

ProbeTimes steady(u64 ns) {
  ProbeTimes times;
  for (u64& round : times.ns) round = ns;
  return times;
}

// A table whose product takes the time that its prefetch is given here.
struct FakeProducts {
  TestPlatform* platform = nullptr;
  Prefetch quick;
  u64 quick_ns = 0, other_ns = 0;
  u32 calls = 0, slow_after = ~0u;  // from then on a call takes a tenth of a second
  u64 groups = 0;
  bool stays_inside = true;
  std::span<Byte> memory;
} fake;

void fake_product(const MatMul& job) {
  fake.calls++;
  fake.groups += job.last_group - job.first_group;
  auto* first = static_cast<const Byte*>(job.groups);
  const Byte* end = first + job.last_group * job.group_bytes;
  auto* out = reinterpret_cast<const Byte*>(job.out + job.rows);
  fake.stays_inside =
      fake.stays_inside && first >= out && end <= fake.memory.data() + fake.memory.size();
  u64 ns = job.prefetch == fake.quick ? fake.quick_ns : fake.other_ns;
  fake.platform->pass_ns(fake.calls > fake.slow_after ? 100'000'000 : ns);
}

ProbeResult probe_with(TestPlatform& platform, Prefetch quick, u64 quick_ns, u64 other_ns,
                       usize bytes = kProbeBytes, u32 slow_after = ~0u) {
  platform.fixed_step_ns = 1;
  std::span<Byte> memory = MUST(platform.allocate_pages(bytes, "engine"));
  std::memset(memory.data(), 0xff, memory.size());
  fake = {&platform, quick, quick_ns, other_ns, 0, slow_after, 0, true, memory};
  KernelTable table = kReferenceKernels;
  for (auto& product : table.mat_mul) product = fake_product;
  ProbeResult result = probe_prefetch(table, memory, platform);
  platform.free_pages(memory);
  return result;
}

}  // namespace

TEST(kernels_probe, the_lowest_median_wins) {
  ProbeTimes times[] = {steady(1000), steady(900), steady(700), steady(800)};
  EXPECT_EQ(best_setting(times), 2u);
  // One round in which something else ran, or two, do not change the median of five.
  times[2].ns[0] = times[2].ns[3] = 1'000'000;
  EXPECT_EQ(best_setting(times), 2u);
  times[2].ns[1] = 1'000'000;
  EXPECT_EQ(best_setting(times), 3u);
}

TEST(kernels_probe, ties_and_noise_keep_the_usual_setting) {
  ProbeTimes times[] = {steady(1000), steady(1000), steady(1000)};
  EXPECT_EQ(best_setting(times), 0u);
  times[1] = steady(971);  // less than 3 % faster
  EXPECT_EQ(best_setting(times), 0u);
  times[1] = steady(969);
  EXPECT_EQ(best_setting(times), 1u);
  times[2] = steady(969);  // the first of two equal ones
  EXPECT_EQ(best_setting(times), 1u);
  EXPECT_EQ(best_setting({times, 1}), 0u);
  ProbeTimes stopped[] = {steady(0), steady(0)};  // a clock that does not move
  EXPECT_EQ(best_setting(stopped), 0u);
}

TEST(kernels_probe, every_setting_can_win) {
  for (Prefetch quick : kPrefetchSettings) {
    TestPlatform platform;
    ProbeResult result = probe_with(platform, quick, 100'000, 130'000);
    EXPECT(result.end == ProbeEnd::kMeasured);
    EXPECT(result.prefetch == quick);
    EXPECT(result.best_ns <= result.usual_ns && result.best_ns >= 200'000);
    EXPECT(fake.stays_inside && fake.groups > 0 && result.bytes_a_run > 0);
    EXPECT_EQ(fake.calls, 1 + kProbeRounds * 2 * static_cast<u32>(std::size(kPrefetchSettings)));
    EXPECT(platform.breaths > 0);
  }
}

TEST(kernels_probe, little_memory_and_slow_cpus_keep_the_usual_setting) {
  TestPlatform platform;
  ProbeResult result = probe_with(platform, {4096, 8192}, 1, 1000, kProbeBytes / 2 - 1);
  EXPECT(result.end == ProbeEnd::kMemory && result.prefetch == kUsualPrefetch);
  EXPECT_EQ(fake.calls, 0u);
  result = probe_with(platform, {4096, 8192}, 1, 1000, kProbeBytes / 2);
  EXPECT(result.end == ProbeEnd::kMeasured && fake.stays_inside);
  // A small product takes too long each time, and no large one is made.
  result = probe_with(platform, {}, 1, 300'000);
  EXPECT(result.end == ProbeEnd::kSlow && result.prefetch == kUsualPrefetch);
  EXPECT_EQ(fake.calls, 3u);
  // The large ones take too long: one round is made.
  result = probe_with(platform, {}, 1, 1000, kProbeBytes, 1);
  EXPECT(result.end == ProbeEnd::kSlow && result.prefetch == kUsualPrefetch);
  EXPECT_EQ(fake.calls, 1 + 2 * static_cast<u32>(std::size(kPrefetchSettings)));
}

TEST(kernels_probe, the_real_products_run_on_all_workers) {
  TestPlatform platform(2);
  platform.fixed_step_ns = 1;  // as fast as any machine
  std::span<Byte> memory = MUST(platform.allocate_pages(kProbeBytes, "engine"));
  std::memset(memory.data(), 0xff, memory.size());  // NaN, unless it is cleared
  ProbeResult result = probe_prefetch(select_kernels(platform.cpu_features()), memory, platform);
  EXPECT(result.end == ProbeEnd::kMeasured && result.prefetch == kUsualPrefetch);
  bool clear = true;  // zero weights and zero activations make zeros
  for (Byte b : memory) clear = clear && b == 0;
  EXPECT(clear);
  platform.free_pages(memory);
}

TEST(kernels_probe, prefetches_as_text) {
  struct Row {
    const char* text;
    Prefetch wanted;
  } const kRows[] = {{"0", {}}, {"8192", {8192, 0}}, {"4096+8192", {4096, 8192}}};
  for (const Row& row : kRows) {
    Prefetch read{1, 1};
    EXPECT(parse_prefetch(row.text, read) && read == row.wanted);
    char text[32];
    base::BufferWriter out(text);
    write_prefetch(out, read);
    EXPECT_EQ(out.view(), std::string_view(row.text));
  }
  for (const char* text : {"", "+", "4096+", "+8192", "4 096", "-1", "4096+8192+1", "1048577",
                           "99999999999", "auto", "0x10"}) {
    Prefetch read{7, 7};
    EXPECT(!parse_prefetch(text, read));
    EXPECT(read == (Prefetch{7, 7}));
  }
}
