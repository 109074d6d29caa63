// SPDX-License-Identifier: GPL-2.0-or-later
// The format of saved texts: tokens and KV pages as bytes, so that a conversation goes on after a
// restart without being read again. Engine::save() and restore() call this on the engine's thread;
// the sink and source may wait for a disk.
//
//   "MarrowKV", u32 version, u32 version of the numerics, the cache type's name in 8 bytes (zeros
//   after it), u64 model, u32 positions a page, u32 tokens, u64 bytes a page, u32 pages, u32 0, u64
//   bytes a window page, u32 window pages, u32 0, then the tokens (u32 each), the pages, the window
//   pages, and FNV-1a over all that came before, 8 bytes at a time (the rest of a piece byte by
//   byte).
//
// The window pages are those of layers with a window: the last ones of the text, as many as are
// needed to go on after its last page. Without such layers there are none, and their bytes are 0.
//
// Version 3 had 0 for the version of the numerics, and was written with 1 only. Version 2 was like
// it and had no window pages: a page held all layers. It is read where no layer has a window.
// Version 1 had numbers for the types, and its type q8 was not rotated: it is refused.
//
// Only whole pages are saved. The positions after the last whole page are read again, and no byte
// of another text that used the page before gets into the file.
#pragma once

#include "ai/attention/kv_type.h"
#include "ai/byte_stream.h"
#include "ai/engine/kv_store.h"

namespace ai {

// The properties that the engine that reads must share with the one that wrote, and the reader's
// limits.
struct KvFileKey {
  u64 model = 0;  // ModelInfo::fingerprint
  KvType cache_type = KvType::kF16;
  u32 vocabulary = 0, context = 0;
};

// Writes what the prefix cache holds of `tokens`. Returns the number of positions whose pages were
// written.
Result<u32> write_kv_file(KvStore& store, const KvFileKey& key, std::span<const TokenId> tokens,
                          ByteSink& sink);
// Adds the pages to the prefix cache and returns the tokens. Returns kUnsupported for another
// model, cache type, numerics or version, kCorrupt for bytes that cannot be valid, and kFull when
// too few pages are free. On an error the store is unchanged, except that idle pages may have been
// evicted.
Result<Vector<TokenId>> read_kv_file(KvStore& store, const KvFileKey& key, ByteSource& source);

}  // namespace ai
