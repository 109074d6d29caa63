// SPDX-License-Identifier: GPL-2.0-or-later
// A text's tokens and its KV pages as bytes, so that a conversation goes on after a restart
// without being read again.
//
//   "MarrowKV", u32 version, u32 cache type, u64 model, u32 positions a page, u32 tokens,
//   u64 bytes a page, u32 pages, u32 0, then the tokens (u32 each), the pages, and FNV-1a over all
//   that came before, 8 bytes at a time (the rest of a piece byte by byte).
//
// Only whole pages are kept: the positions behind the last one are read again, and no byte of
// another text that used the page before gets into the file.
#pragma once

#include "ai/byte_stream.h"
#include "ai/engine/kv_store.h"

namespace ai {

// What the engine that reads must have in common with the one that wrote, and its limits.
struct KvFileKey {
  u64 model = 0;  // ModelInfo::fingerprint
  u32 cache_type = 0;
  u32 vocabulary = 0, context = 0;
};

// What the prefix cache knows of `tokens`. Returns the positions whose pages were written.
Result<u32> write_kv_file(KvStore& store, const KvFileKey& key, std::span<const TokenId> tokens,
                          ByteSink& sink);
// Makes the pages known to the prefix cache and returns the tokens. kUnsupported for another
// model, cache or version, kCorrupt for what cannot be, kFull when too few pages are free; then
// the store is as it was, but for idle pages that had to make room.
Result<Vector<TokenId>> read_kv_file(KvStore& store, const KvFileKey& key, ByteSource& source);

}  // namespace ai
