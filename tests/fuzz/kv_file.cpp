// SPDX-License-Identifier: GPL-2.0-or-later
// Reads arbitrary bytes as a saved text. The result is an error, or a text whose pages are known;
// the page counts must add up.
#include "ai/engine/kv_file.h"
#include "kernel/base/bytes.h"
#include "tests/hosted/ai/engine/stored_bytes.h"
#include "tests/hosted/test_platform.h"

namespace {

constexpr u32 kPages = 16, kPositions = 4;
constexpr usize kPageBytes = 64, kHeadBytes = 56;

// FNV-1a as the format has it, so that the fuzzer gets past the sum: over the pieces that are read.
u64 sum_of(std::span<const Byte> bytes, usize tokens, usize pages) {
  u64 value = 0xcbf29ce484222325;
  auto mix = [&](u64 v) {
    value = (value ^ v) * 0x100000001b3;
    value ^= value >> 32;
  };
  usize at = 0;
  auto piece = [&](usize size) {
    usize end = at + size;
    for (; at + 8 <= end; at += 8) mix(base::load<u64>(bytes.data() + at));
    for (; at < end; at++) mix(bytes[at]);
  };
  piece(kHeadBytes), piece(tokens * 4);
  for (usize page = 0; page < pages; page++) piece(kPageBytes);
  return value;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  if (size == 0) return 0;
  TestPlatform platform;
  auto store = ai::KvStore::create(platform, kPages, kPageBytes, kPositions);
  if (!store.has_value()) return 0;
  const ai::KvFileKey key{
      .model = 0, .cache_type = ai::KvType::kQ8, .vocabulary = 256, .context = 40};
  bool repair = data[0] % 2 == 1;
  std::vector<Byte> bytes(data + 1, data + size);
  if (repair && bytes.size() >= kHeadBytes) {
    std::memcpy(bytes.data(), "MarrowKV\2\0\0\0\0\0\0\0q8\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32);
    base::store(bytes.data() + 32, kPositions);
    base::store(bytes.data() + 40, u64{kPageBytes});
    u32 tokens = base::load<u32>(bytes.data() + 36) % 48;
    u32 pages = base::load<u32>(bytes.data() + 48) % 16;
    base::store(bytes.data() + 36, tokens), base::store(bytes.data() + 48, pages);
    usize end = kHeadBytes + tokens * 4 + pages * kPageBytes;
    bytes.resize(end + 8);
    for (u32 i = 0; i < tokens; i++) std::memset(bytes.data() + kHeadBytes + 4 * i + 1, 0, 3);
    base::store(bytes.data() + end, sum_of(bytes, tokens, pages));
  }
  for (int times = 0; times < 2; times++) {
    Stored stored(bytes);
    auto tokens = ai::read_kv_file(*store, key, stored);
    ASSERT(store->consistent() && store->pool().held() == 0);
    if (tokens.has_value()) ASSERT(tokens->size() <= key.context);
    // Damaged bytes are damaged the second time too, right ones right.
    static bool first;
    if (times == 0) first = tokens.has_value();
    ASSERT(tokens.has_value() == first);
  }
  return 0;
}
