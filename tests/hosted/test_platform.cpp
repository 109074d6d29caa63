// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the tests' platform, which counts and refuses allocations and keeps the log.
#include "tests/hosted/test_platform.h"

#include <vector>

#include "arch/host/memory.h"
#include "kernel/base/test.h"

Result<std::span<Byte>> TestPlatform::allocate_pages(usize bytes, const char* purpose) {
  if (!host::allocation_may_succeed() || bytes > page_limit ||
      live_page_bytes_ > page_limit - bytes) {
    ai::log(*this, ai::LogLevel::kError, "no {} bytes of pages for {}", bytes, purpose);
    return fail(Errc::kOutOfMemory, "out of pages");
  }
  std::span<Byte> pages = TRY(HostPlatform::allocate_pages(bytes, purpose));
  live_page_bytes_ += bytes;
  live_page_blocks_++;
  return pages;
}

void TestPlatform::free_pages(std::span<Byte> pages) {
  if (pages.data() == nullptr) return;
  ASSERT(live_page_bytes_ >= pages.size() && live_page_blocks_ > 0);
  live_page_bytes_ -= pages.size();
  live_page_blocks_--;
  HostPlatform::free_pages(pages);
}

u64 TestPlatform::now_ns() {
  if (fixed_step_ns != 0) return fixed_now_ns_ += fixed_step_ns;
  return HostPlatform::now_ns();
}

void TestPlatform::log(ai::LogLevel level, std::string_view text) {
  log_text += log_level_prefix(level);
  log_text += text;
  log_text += '\n';
  if (echo) HostPlatform::log(level, text);
}

TEST(platform, ranges_cover_every_item_once) {
  for (u32 workers : {1u, 2u, 3u}) {
    TestPlatform platform(workers);
    for (u32 count : {0u, 1u, 15u, 16u, 17u, 100u}) {
      std::vector<u32> seen(count, 0);
      ai::parallel_ranges(platform, count, 16, [&](u32 first, u32 last, u32) {
        for (u32 i = first; i < last; i++) seen[i]++;
      });
      for (u32 n : seen) EXPECT_EQ(n, 1u);
    }
  }
}

TEST(platform, pages_are_aligned_zeroed_counted_and_refusable) {
  TestPlatform platform;
  platform.page_limit = 3 * kMiB;
  auto pages = platform.allocate_pages(1000, "a test");
  REQUIRE(pages.has_value());
  EXPECT_EQ(reinterpret_cast<u64>(pages->data()) % (2 * kMiB), 0u);
  for (Byte b : *pages) EXPECT_EQ(b, 0);
  EXPECT_EQ(platform.live_page_bytes(), 1000u);
  EXPECT(!platform.allocate_pages(3 * kMiB, "too much").has_value());
  EXPECT(platform.logged("3145728 bytes of pages for too much"));
  host::fail_allocation(1);
  EXPECT(!platform.allocate_pages(1, "an injected failure").has_value());
  host::fail_allocation(0);
  platform.free_pages(*pages);
  EXPECT_EQ(platform.live_page_bytes(), 0u);
  EXPECT_EQ(platform.live_page_blocks(), 0u);
}
