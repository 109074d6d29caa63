// SPDX-License-Identifier: GPL-2.0-or-later
// Moves pages between a store and its second home.
#include <algorithm>

#include "ai/engine/kv_home.h"
#include "ai/engine/kv_home_head.h"

namespace ai {

// A text that is being fetched.
struct KvHome::Reading {
  KvStore& store;
  Sequence& sequence;
  Vector<Place> places;  // (pages) where each page of the text is, here
  base::Owner<KvFolderFile> in;
  const File* opened = nullptr;  // the file that `in` reads
  u32 read = 0;                  // leading pages that the sequence has
};

// Reads bytes of a file and compares them with their checksum.
Result<void> KvHome::read_page(Reading& reading, File& file, u64 at, u64 sum, std::span<Byte> out) {
  if (reading.opened != &file) {
    reading.in.reset();
    reading.in = TRY(folder_.open(file.name));
    reading.opened = &file;
  }
  u64 before = folder_.now_ns();
  TRY(reading.in->read(at, out));
  figures_.read_ns += folder_.now_ns() - before;
  figures_.read_bytes += out.size();
  if (kv_checksum(out) != sum) return fail(Errc::kCorrupt, "KV pages on the disk are damaged");
  return {};
}

Result<void> KvHome::read_pages(Reading& reading, BetweenPages& between) {
  while (reading.read < reading.places.size()) {
    auto [file, page] = reading.places[reading.read];
    TRY(read_page(reading, *file, file->page_at(page), file->sums[page],
                  reading.store.bytes(reading.sequence.pages[reading.read])));
    reading.read++;
    figures_.pages_read++;
    if (!between.go_on()) return fail(Errc::kCancelled, "nobody waits for the text any more");
  }
  return {};
}

// Reads the window pages that the text needs to go on, but for those that the sequence has of the
// prefix cache: its first `known` pages.
Result<void> KvHome::read_window_pages(Reading& reading, u32 known) {
  if (!reading.store.has_windows()) return {};
  File& file = *reading.places.back().file;
  u32 pages = static_cast<u32>(reading.places.size());
  if (file.window_pages != pages - reading.sequence.window_first)
    return fail(Errc::kCorrupt, "KV pages on the disk are not those that their windows need");
  for (u32 page = std::max(known, reading.sequence.window_first); page < pages; page++) {
    u32 index = page - reading.sequence.window_first;
    TRY(read_page(reading, file, file.window_page_at(index), file.sums[file.pages + index],
                  reading.store.window_bytes(reading.sequence.window_pages[page])));
  }
  return {};
}

Result<u32> KvHome::fetch(const Text& text, BetweenPages& between) {
  KvStore& store = text.store;
  u32 size = store.page_positions(), pages = known(text) / size, positions = pages * size;
  if (positions <= store.match(text.tokens)) return store.match(text.tokens);
  Sequence sequence = TRY(store.make_sequence(positions));
  Reading reading{.store = store, .sequence = sequence, .places = {}, .in = {}};
  TRY(reading.places.reserve(pages));
  Name name = text.root;
  used_++;
  for (u32 page = 0; page < pages; page++) {
    name = next_name(name, text.tokens.subspan(usize{page} * size, size));
    Place place = find(name);
    place.file->used = used_;
    if (place.file->page_bytes != store.pool().page_bytes() ||
        (place.last() && place.file->window_pages > 0 &&
         place.file->window_page_bytes != store.window_pool().page_bytes()))
      return fail(Errc::kCorrupt, "KV pages on the disk have another size");
    MUST(reading.places.push_back(place));
  }
  store.adopt(sequence, text.tokens, positions);
  u32 known_pages = reading.read = sequence.known_pages;
  store.skip_to(sequence, positions);
  TRY(store.extend(sequence, positions));
  Result<void> done = read_pages(reading, between);
  if (done.has_value()) done = read_window_pages(reading, known_pages);
  // Where no layer has a window, the pages before the damaged one are of use.
  bool some = done.has_value() || !store.has_windows();
  if (some && reading.read > known_pages)
    store.commit(sequence, text.tokens, reading.read * size, true);
  if (!done.has_value() && done.error().code != Errc::kCancelled && reading.opened != nullptr)
    damaged(*reading.places[std::min<usize>(reading.read, pages - 1)].file);
  if (!done.has_value()) return std::unexpected(done.error());
  return positions;
}

// A text that is being kept.
struct KvHome::Writing {
  KvStore& store;
  const Sequence& sequence;
  Vector<Name> names;  // (pages)
};

Result<u32> KvHome::keep(const Text& text, u32 least, BetweenPages& between) {
  KvStore& store = text.store;
  u32 size = store.page_positions(), positions = store.match(text.tokens);
  u32 pages = positions / size, first = 0;
  // keeps the pages from being given away until they are written
  Sequence sequence = TRY(store.make_sequence(positions));
  Writing writing{.store = store, .sequence = sequence, .names = {}};
  TRY(writing.names.reserve(pages));
  Name name = text.root;
  used_++;
  for (u32 page = 0; page < pages; page++) {
    name = next_name(name, text.tokens.subspan(usize{page} * size, size));
    MUST(writing.names.push_back(name));
    Place place = first == page ? find(name) : Place();
    if (place.file == nullptr) continue;
    place.file->used = used_;
    first = page + 1;
  }
  if ((pages - first) * size < std::max(least, 1u)) return 0;
  store.adopt(sequence, text.tokens, positions);
  u32 most = static_cast<u32>(std::max<u64>(kFileBytes / store.pool().page_bytes(), 1));
  for (u32 at = first; at < pages; at += most)
    TRY(write_file(writing, at, std::min(most, pages - at), between));
  return (pages - first) * size;
}

// Writes one file with some pages of the text; the last one also has the window pages. Its head is
// written last, so a file that is not complete has none.
Result<void> KvHome::write_file(Writing& writing, u32 first, u32 pages, BetweenPages& between) {
  KvStore& store = writing.store;
  u32 all = static_cast<u32>(writing.names.size());
  bool windows = store.has_windows() && first + pages == all;
  auto file = TRY(base::make<File>());
  u64 number = file->name = base::load<u64>(writing.names[first + pages - 1].data());
  file->used = used_;
  file->first_page = first;
  file->pages = pages;
  file->window_pages = windows ? all - writing.sequence.window_first : 0;
  file->page_bytes = store.pool().page_bytes();
  file->window_page_bytes = store.window_pool().page_bytes();
  file->bytes = file->window_page_at(file->window_pages);
  TRY(file->names.append(writing.names.view().subspan(first, pages)));
  TRY(file->sums.reserve(usize{pages} + file->window_pages));
  TRY(make_room(file->bytes, pages, used_));
  // One that ends with the same page, but whose beginning was removed, is of no use.
  for (base::Owner<File>& other : files_)
    if (other->name == file->name) {
      drop(*other);
      break;
    }
  base::Owner<KvFolderFile> out = TRY(folder_.create(file->name));
  Result<void> done = write_pages(writing, *file, *out, between);
  if (done.has_value()) done = out->flush();
  if (done.has_value()) done = write_head(*file, *out);
  out.reset();
  if (done.has_value()) done = add(std::move(file));
  // The bytes written so far are of no use; if they stay, the next start removes them.
  if (!done.has_value()) static_cast<void>(folder_.remove(number));
  return done;
}

Result<void> KvHome::write_pages(const Writing& writing, File& file, KvFolderFile& out,
                                 BetweenPages& between) {
  auto put = [&](u64 at, std::span<const Byte> bytes) -> Result<void> {
    MUST(file.sums.push_back(kv_checksum(bytes)));
    TRY(out.write(at, bytes));
    if (!between.go_on()) return fail(Errc::kCancelled, "stopped");
    return {};
  };
  for (u32 page = 0; page < file.pages; page++) {
    TRY(put(file.page_at(page),
            writing.store.bytes(writing.sequence.pages[file.first_page + page])));
    figures_.pages_written++;
  }
  for (u32 page = 0; page < file.window_pages; page++)
    TRY(put(file.window_page_at(page),
            writing.store.window_bytes(
                writing.sequence.window_pages[writing.sequence.window_first + page])));
  return {};
}

Result<void> KvHome::write_head(const File& file, KvFolderFile& out) {
  KvHomeHead head;
  head.pages = file.pages;
  head.first_page = file.first_page;
  head.window_pages = file.window_pages;
  head.page_bytes = file.page_bytes;
  head.window_page_bytes = file.window_page_bytes;
  head.order = file.used;
  Vector<Byte> all;
  TRY(all.resize(file.head_bytes()));
  Byte* at = all.data();
  auto put = [&at](const void* from, usize bytes) {
    std::memcpy(at, from, bytes);
    at += bytes;
  };
  put(&head, sizeof head);
  put(file.names.data(), file.names.size() * sizeof(Name));
  put(file.sums.data(), file.sums.size() * sizeof(u64));
  u64 sum = kv_checksum({all.data(), at});
  put(&sum, sizeof sum);
  TRY(out.write(0, all.view()));
  return out.flush();
}

}  // namespace ai
