// SPDX-License-Identifier: GPL-2.0-or-later
// The head of a file of a KvHome, and what may stand in it.
#pragma once

#include "ai/engine/kv_checksum.h"
#include "kernel/base/result.h"

namespace ai {

constexpr usize kKvHomeAlignment = 4096;  // of the first page in its file

struct KvHomeHead {
  char magic[8] = {'M', 'a', 'r', 'r', 'o', 'w', 'K', 'P'};
  u32 version = 1, pages = 0, first_page = 0, window_pages = 0;
  u64 page_bytes = 0, window_page_bytes = 0;
  u64 order = 0;  // the larger, the later it was written
};
static_assert(sizeof(KvHomeHead) == 48);

// Returns the bytes of a head with its names and checksums.
constexpr usize head_bytes_used(u32 pages, u32 window_pages) {
  return sizeof(KvHomeHead) + usize{pages} * (16 + 8) + usize{window_pages} * 8 + 8;
}

// Refuses other files, other versions, and numbers that no writer writes.
inline Result<void> check_head(const KvHomeHead& head) {
  constexpr u32 kMostPages = 1 << 20;
  constexpr u64 kMostPageBytes = u64{1} << 32;
  constexpr KvHomeHead kOurs;
  if (!std::equal(std::begin(head.magic), std::end(head.magic), kOurs.magic))
    return fail(Errc::kCorrupt, "not a file of KV pages");
  if (head.version != kOurs.version)
    return fail(Errc::kUnsupported, "the KV pages are of another version of Marrow");
  if (head.pages == 0 || head.pages > kMostPages || head.window_pages > kMostPages ||
      head.page_bytes > kMostPageBytes || head.window_page_bytes > kMostPageBytes ||
      head.first_page > ~u32{0} - head.pages)
    return fail(Errc::kCorrupt, "the head of a file of KV pages is damaged");
  return {};
}

}  // namespace ai
