// SPDX-License-Identifier: GPL-2.0-or-later
// Reads arbitrary bytes as the head of a file of KV pages, with its checksum made right. What is
// accepted describes a file of exactly that head.
#include <vector>

#include "ai/engine/kv_home.h"
#include "ai/engine/kv_home_head.h"

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  std::vector<Byte> bytes(data, data + size);
  constexpr ai::KvHomeHead kOurs;
  if (size >= sizeof kOurs + sizeof(u64) && data[size - 1] % 4 != 0) {
    std::memcpy(bytes.data(), &kOurs, 12);
    std::span<const Byte> body = std::span(bytes).first(size - sizeof(u64));
    base::store(bytes.data() + body.size(), ai::kv_checksum(body));
  }
  auto file = ai::KvHome::parse_head(7, bytes);
  if (!file.has_value()) return 0;
  ASSERT((*file)->pages > 0 && (*file)->names.size() == (*file)->pages);
  ASSERT((*file)->sums.size() == usize{(*file)->pages} + (*file)->window_pages);
  ASSERT((*file)->head_bytes() >= size && (*file)->bytes >= (*file)->page_at((*file)->pages));
  return 0;
}
