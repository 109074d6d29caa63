// SPDX-License-Identifier: GPL-2.0-or-later
// Writes and reads saved texts. The cache learns of a text only after all of its bytes were
// checked.
#include "ai/engine/kv_file.h"

#include <algorithm>

#include "ai/engine/kv_checksum.h"
#include "ai/engine/numerics.h"

namespace ai {
namespace {

constexpr u32 kVersion = 4, kVersionWithoutWindows = 2;
// Versions 2 and 3 did not name the numerics: they have only ever been written with this one.
constexpr u32 kUnnamedNumerics = 1;
constexpr u32 kChunk = 4096;  // bytes of the buffer on the stack

struct Head {
  char magic[8];
  u32 version, numerics;
  char cache_type[8];
  u64 model;
  u32 page_positions, tokens;
  u64 page_bytes;
  u32 pages, zero;
};
static_assert(sizeof(Head) == 56);
struct WindowHead {
  u64 page_bytes = 0;
  u32 pages = 0, zero = 0;
};
static_assert(sizeof(WindowHead) == 16);
constexpr char kMagic[8] = {'M', 'a', 'r', 'r', 'o', 'w', 'K', 'V'};

template <class T>
std::span<const Byte> bytes_of(const T& value) {
  return {reinterpret_cast<const Byte*>(&value), sizeof value};
}

class Writer {
 public:
  explicit Writer(ByteSink& sink) : sink_(sink) {}
  Result<void> put(std::span<const Byte> bytes) {
    sum_.add(bytes);
    return sink_.write(bytes);
  }
  Result<void> put_sum() {
    u64 value = sum_.value();
    return sink_.write(bytes_of(value));
  }

 private:
  ByteSink& sink_;
  KvChecksum sum_;
};

class Reader {
 public:
  explicit Reader(ByteSource& source) : source_(source) {}
  Result<void> get(std::span<Byte> out) {
    TRY(source_.read(out));
    sum_.add(out);
    return {};
  }
  Result<void> skip(u64 bytes) {
    Byte part[kChunk];
    for (; bytes > 0; bytes -= std::min<u64>(bytes, kChunk))
      TRY(get({part, static_cast<usize>(std::min<u64>(bytes, kChunk))}));
    return {};
  }
  Result<void> check_sum() {
    u64 stored = 0;
    TRY(source_.read({reinterpret_cast<Byte*>(&stored), sizeof stored}));
    if (stored != sum_.value())
      return fail(Errc::kCorrupt, "the saved text is damaged: its checksum does not match");
    return {};
  }

 private:
  ByteSource& source_;
  KvChecksum sum_;
};

// Refuses another type by its name.
Result<void> check_type(const Head& head, const KvFileKey& key) {
  std::string_view name{head.cache_type, sizeof head.cache_type};
  name = name.substr(0, name.find('\0'));
  Result<KvType> type = kv_type_by_name(name);
  if (!type.has_value())
    return fail(Errc::kUnsupported,
                "the text was saved from a KV cache of an unknown type: it must be read again");
  if (*type != key.cache_type) return fail(Errc::kUnsupported, kv_type_info(*type).refusal);
  return {};
}

Result<void> check(const Head& head, const KvStore& store, const KvFileKey& key) {
  if (std::memcmp(head.magic, kMagic, sizeof kMagic) != 0)
    return fail(Errc::kCorrupt, "not a saved text");
  if (head.version < kVersionWithoutWindows || head.version > kVersion)
    return fail(Errc::kUnsupported,
                "the text was saved by another version of Marrow: it must be read again");
  if (head.version == kVersionWithoutWindows && store.has_windows())
    return fail(Errc::kUnsupported,
                "the text was saved by a version of Marrow that kept more than a window in layers "
                "with a window: it must be read again");
  if (head.version < kVersion && head.numerics != 0)
    return fail(Errc::kCorrupt, "the saved text is damaged (a reserved field): save it again");
  if ((head.version < kVersion ? kUnnamedNumerics : head.numerics) != kNumericsVersion)
    return fail(Errc::kUnsupported,
                "the text was saved with another version of the numerics: it must be read again");
  if (head.model != key.model)
    return fail(Errc::kUnsupported, "the text was saved with another model: load that model first");
  TRY(check_type(head, key));
  if (head.page_positions != store.page_positions() || head.page_bytes != store.pool().page_bytes())
    return fail(Errc::kUnsupported,
                "the text was saved with pages of another size: it must be read again");
  if (head.tokens == 0 || head.zero != 0)
    return fail(Errc::kCorrupt, "the saved text has no tokens");
  if (head.tokens > key.context)
    return fail(Errc::kContextFull, "the saved text exceeds the available context size");
  if (head.pages > head.tokens / head.page_positions)
    return fail(Errc::kCorrupt,
                "the saved text is damaged (more pages than its tokens fill): save it again");
  return {};
}

// The number of window pages follows from the number of pages.
Result<void> check_windows(const WindowHead& windows, const KvStore& store, u32 pages) {
  if (windows.page_bytes != store.window_pool().page_bytes())
    return fail(Errc::kUnsupported,
                "the text was saved with pages of another size: it must be read again");
  u32 wanted = store.has_windows() ? pages - store.window_first(pages * store.page_positions()) : 0;
  if (windows.pages != wanted || windows.zero != 0)
    return fail(Errc::kCorrupt,
                "the saved text is damaged (not the pages that its windows need): save it again");
  return {};
}

Result<Vector<TokenId>> read_tokens(Reader& reader, const Head& head, const KvFileKey& key) {
  Vector<TokenId> tokens;
  TRY(tokens.resize(head.tokens));
  std::span<TokenId> all = tokens.view();
  TRY(reader.get({reinterpret_cast<Byte*>(all.data()), all.size_bytes()}));
  for (TokenId id : all)
    if (id >= key.vocabulary)
      return fail(Errc::kCorrupt, "the saved text has a token outside the vocabulary");
  return tokens;
}

// Fills the pages from the file. Pages that the store has already are skipped.
Result<void> read_pages(KvStore& store, Sequence& sequence, std::span<const TokenId> tokens,
                        u32 pages, Reader& reader) {
  u32 positions = pages * store.page_positions();
  store.adopt(sequence, tokens, positions);
  u32 known = sequence.known_pages;
  TRY(reader.skip(known * u64{store.pool().page_bytes()}));
  store.skip_to(sequence, positions);
  TRY(store.extend(sequence, positions));
  for (u32 page = known; page < pages; page++) TRY(reader.get(store.bytes(sequence.pages[page])));
  for (u32 page = sequence.window_first; store.has_windows() && page < pages; page++)
    if (page < known)
      TRY(reader.skip(store.window_pool().page_bytes()));
    else
      TRY(reader.get(store.window_bytes(sequence.window_pages[page])));
  TRY(reader.check_sum());
  store.commit(sequence, tokens, positions, true);
  return {};
}

}  // namespace

Result<u32> write_kv_file(KvStore& store, const KvFileKey& key, std::span<const TokenId> tokens,
                          ByteSink& sink) {
  if (tokens.empty() || tokens.size() > key.context)
    return fail(Errc::kInvalidArgument,
                "the prompt cache holds none of this text: generate or read it first");
  u32 positions = store.match(tokens), pages = store.pages_for(positions);
  // keeps the pages from being given away until they are written
  Sequence sequence = TRY(store.make_sequence(positions));
  store.adopt(sequence, tokens, positions);
  Head head{.magic = {},
            .version = kVersion,
            .numerics = kNumericsVersion,
            .cache_type = {},
            .model = key.model,
            .page_positions = store.page_positions(),
            .tokens = static_cast<u32>(tokens.size()),
            .page_bytes = store.pool().page_bytes(),
            .pages = pages,
            .zero = 0};
  std::memcpy(head.magic, kMagic, sizeof kMagic);
  std::string_view name = kv_type_info(key.cache_type).name;
  std::copy_n(name.data(), std::min(name.size(), sizeof head.cache_type), head.cache_type);
  WindowHead windows{.page_bytes = store.window_pool().page_bytes(),
                     .pages = store.has_windows() ? pages - sequence.window_first : 0};
  Writer writer(sink);
  TRY(writer.put(bytes_of(head)));
  TRY(writer.put(bytes_of(windows)));
  TRY(writer.put({reinterpret_cast<const Byte*>(tokens.data()), tokens.size_bytes()}));
  for (u32 page = 0; page < pages; page++) TRY(writer.put(store.bytes(sequence.pages[page])));
  for (u32 page = pages - windows.pages; page < pages; page++)
    TRY(writer.put(store.window_bytes(sequence.window_pages[page])));
  TRY(writer.put_sum());
  return positions;
}

Result<Vector<TokenId>> read_kv_file(KvStore& store, const KvFileKey& key, ByteSource& source) {
  Reader reader(source);
  Head head;
  TRY(reader.get({reinterpret_cast<Byte*>(&head), sizeof head}));
  TRY(check(head, store, key));
  WindowHead windows;
  if (head.version > kVersionWithoutWindows)
    TRY(reader.get({reinterpret_cast<Byte*>(&windows), sizeof windows}));
  TRY(check_windows(windows, store, head.pages));
  Vector<TokenId> tokens = TRY(read_tokens(reader, head, key));
  Sequence sequence = TRY(store.make_sequence(head.pages * head.page_positions));
  TRY(read_pages(store, sequence, tokens.view(), head.pages, reader));
  return tokens;
}

}  // namespace ai
