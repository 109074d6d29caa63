// SPDX-License-Identifier: GPL-2.0-or-later
// Reads arbitrary bytes as a saved text, with or without layers that see a window. The result is an
// error, or a text whose pages are known; the page counts must add up.
#include "ai/engine/kv_file.h"
#include "ai/engine/numerics.h"
#include "kernel/base/bytes.h"
#include "tests/hosted/ai/engine/stored_bytes.h"
#include "tests/hosted/test_platform.h"

namespace {

constexpr u32 kPages = 16, kPositions = 4, kWindow = 6, kWindowPages = 8;
constexpr usize kPageBytes = 64, kWindowPageBytes = 32, kHeadBytes = 56, kWindowHeadBytes = 16;

// FNV-1a as the format has it, so that the fuzzer gets past the sum: over the pieces that are read.
class Sum {
 public:
  explicit Sum(std::span<const Byte> bytes) : bytes_(bytes) {}
  void piece(usize size) {
    usize end = at_ + size;
    for (; at_ + 8 <= end; at_ += 8) mix(base::load<u64>(bytes_.data() + at_));
    for (; at_ < end; at_++) mix(bytes_[at_]);
  }
  u64 value() const { return value_; }

 private:
  void mix(u64 v) {
    value_ = (value_ ^ v) * 0x100000001b3;
    value_ ^= value_ >> 32;
  }
  std::span<const Byte> bytes_;
  usize at_ = 0;
  u64 value_ = 0xcbf29ce484222325;
};

// Makes the head, the lengths and the sum right; counts and contents stay the fuzzer's.
void repair(std::vector<Byte>& bytes, const ai::KvStore& store, bool old) {
  usize head = kHeadBytes + (old ? 0 : kWindowHeadBytes);
  bytes.resize(std::max(bytes.size(), head));
  std::memcpy(bytes.data(), "MarrowKV\4\0\0\0\1\0\0\0q8\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32);
  base::store(bytes.data() + 12, ai::kNumericsVersion);
  if (old) bytes[8] = 2, bytes[12] = 0;
  base::store(bytes.data() + 32, kPositions);
  base::store(bytes.data() + 40, u64{kPageBytes});
  u32 tokens = base::load<u32>(bytes.data() + 36) % 48;
  u32 pages = base::load<u32>(bytes.data() + 48) % 16, window_pages = 0;
  base::store(bytes.data() + 36, tokens), base::store(bytes.data() + 48, pages);
  if (!old) {
    if (store.has_windows()) window_pages = pages - store.window_first(pages * kPositions);
    base::store(bytes.data() + 56, u64{store.window_pool().page_bytes()});
    base::store(bytes.data() + 64, u64{window_pages});
  }
  usize end = head + tokens * 4 + pages * kPageBytes + window_pages * kWindowPageBytes;
  bytes.resize(end + 8);
  for (u32 i = 0; i < tokens; i++) std::memset(bytes.data() + head + 4 * i + 1, 0, 3);
  Sum sum(bytes);
  sum.piece(kHeadBytes), sum.piece(head - kHeadBytes), sum.piece(tokens * 4);
  for (usize page = 0; page < pages; page++) sum.piece(kPageBytes);
  for (usize page = 0; page < window_pages; page++) sum.piece(kWindowPageBytes);
  base::store(bytes.data() + end, sum.value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  if (size == 0) return 0;
  TestPlatform platform;
  // The first byte decides what the reader is, and whether the bytes are made right.
  bool repaired = data[0] % 2 == 1, windows = (data[0] & 2) != 0, old = (data[0] & 4) != 0;
  auto store = ai::KvStore::create(platform, {.pages = kPages,
                                              .page_bytes = kPageBytes,
                                              .page_positions = kPositions,
                                              .window = windows ? kWindow : 0,
                                              .window_pages = windows ? kWindowPages : 0,
                                              .window_page_bytes = windows ? kWindowPageBytes : 0,
                                              .most_rows = 8});
  if (!store.has_value()) return 0;
  const ai::KvFileKey key{
      .model = 0, .cache_type = ai::KvType::kQ8, .vocabulary = 256, .context = 40};
  std::vector<Byte> bytes(data + 1, data + size);
  if (repaired && bytes.size() >= kHeadBytes) repair(bytes, *store, old);
  for (int times = 0; times < 2; times++) {
    Stored stored(bytes);
    auto tokens = ai::read_kv_file(*store, key, stored);
    ASSERT(store->consistent() && store->held() == 0);
    ASSERT(!tokens.has_value() || !windows || !old || !repaired);
    if (tokens.has_value()) ASSERT(tokens->size() <= key.context);
    // Damaged bytes are damaged the second time too, right ones right.
    static bool first;
    if (times == 0) first = tokens.has_value();
    ASSERT(tokens.has_value() == first);
  }
  return 0;
}
