// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the pages' second home: its index, and its files' heads. The pages themselves are
// moved in kv_home_pages.cpp.
#include "ai/engine/kv_home.h"

#include <bit>

#include "ai/engine/kv_home_head.h"
#include "ai/engine/numerics.h"

namespace ai {
namespace {

// A home does not know more pages than this, which bounds the memory of its index to some 12 MiB.
constexpr u64 kMostPages = 256 * 1024;

u32 row_hash(const KvHome::Name& name) {
  return base::load<u32>(name.data());
}

}  // namespace

KvHome::Name KvHome::next_name(const Name& before, std::span<const TokenId> tokens) const {
  return folder_.hash(before, {reinterpret_cast<const Byte*>(tokens.data()), tokens.size_bytes()});
}

KvHome::Name KvHome::root(const KvStore& store, const KvFileKey& key) const {
  const u64 facts[] = {kNumericsVersion,
                       key.model,
                       u64(key.cache_type),
                       store.page_positions(),
                       store.pool().page_bytes(),
                       store.window_pool().page_bytes(),
                       store.has_windows() ? store.window() : 0};
  return folder_.hash({reinterpret_cast<const Byte*>(facts), sizeof facts}, {});
}

Result<base::Owner<KvHome>> KvHome::open(KvFolder& folder, u64 most_bytes) {
  auto home = TRY(base::make<KvHome>(folder, most_bytes));
  Vector<u64> names = TRY(folder.list());
  for (u64 name : names) {
    Result<base::Owner<File>> file = home->read_head(name);
    if (file.has_value()) {
      TRY(home->files_.push_back(std::move(*file)));
      continue;
    }
    if (file.error().code == Errc::kOutOfMemory) return std::unexpected(file.error());
    // The file was not complete when the power went, or is of another version.
    static_cast<void>(folder.remove(name));
    home->figures_.damaged++;
  }
  for (const base::Owner<File>& file : home->files_) {
    home->bytes_ += file->bytes;
    home->used_ = std::max(home->used_, file->used);
  }
  TRY(home->index());
  TRY(home->make_room(0, 0, ~u64{0}));  // the limit may be lower than it was
  return home;
}

Result<base::Owner<KvHome::File>> KvHome::read_head(u64 name) {
  base::Owner<KvFolderFile> in = TRY(folder_.open(name));
  KvHomeHead head;
  TRY(in->read(0, {reinterpret_cast<Byte*>(&head), sizeof head}));
  TRY(check_head(head));
  Vector<Byte> all;
  TRY(all.resize(head_bytes_used(head.pages, head.window_pages)));
  TRY(in->read(0, all.view()));
  return parse_head(name, all.view());
}

Result<base::Owner<KvHome::File>> KvHome::parse_head(u64 name, std::span<const Byte> all) {
  KvHomeHead head;
  if (all.size() < sizeof head) return fail(Errc::kCorrupt, "not a file of KV pages");
  std::memcpy(&head, all.data(), sizeof head);
  TRY(check_head(head));
  if (all.size() != head_bytes_used(head.pages, head.window_pages))
    return fail(Errc::kCorrupt, "the file of KV pages is not complete");
  std::span<const Byte> body = all.first(all.size() - sizeof(u64));
  if (base::load<u64>(all.data() + body.size()) != kv_checksum(body))
    return fail(Errc::kCorrupt, "the head of a file of KV pages is damaged");
  auto file = TRY(base::make<File>());
  file->name = name;
  file->used = head.order;
  file->first_page = head.first_page;
  file->pages = head.pages;
  file->window_pages = head.window_pages;
  file->page_bytes = head.page_bytes;
  file->window_page_bytes = head.window_page_bytes;
  file->bytes = file->window_page_at(head.window_pages);
  TRY(file->names.resize(head.pages));
  TRY(file->sums.resize(usize{head.pages} + head.window_pages));
  const Byte* at = all.data() + sizeof head;
  std::memcpy(file->names.data(), at, file->names.size() * sizeof(Name));
  std::memcpy(file->sums.data(), at + file->names.size() * sizeof(Name),
              file->sums.size() * sizeof(u64));
  return file;
}

usize KvHome::File::head_bytes() const {
  usize used = head_bytes_used(pages, window_pages);
  return (used + kKvHomeAlignment - 1) / kKvHomeAlignment * kKvHomeAlignment;
}

KvHome::Place KvHome::find(const Name& name) const {
  if (rows_.empty()) return {};
  u32 mask = static_cast<u32>(rows_.size() - 1);
  for (u32 row = row_hash(name) & mask; rows_[row].file != nullptr; row = (row + 1) & mask)
    if (rows_[row].file->names[rows_[row].page] == name) return {rows_[row].file, rows_[row].page};
  return {};
}

// Makes the table of pages anew. On an error the old one is still there.
Result<void> KvHome::index() {
  u64 pages = 0;
  for (const base::Owner<File>& file : files_) pages += file->pages;
  Vector<Row> rows;
  TRY(rows.resize(std::bit_ceil(2 * pages + 1)));
  u32 mask = static_cast<u32>(rows.size() - 1);
  for (const base::Owner<File>& file : files_)
    for (u32 page = 0; page < file->pages; page++) {
      u32 row = row_hash(file->names[page]) & mask;
      while (rows[row].file != nullptr) row = (row + 1) & mask;
      rows[row] = {file.get(), page};
    }
  rows_ = std::move(rows);
  pages_ = pages;
  return {};
}

Result<void> KvHome::add(base::Owner<File> file) {
  u64 bytes = file->bytes;
  TRY(files_.push_back(std::move(file)));
  bytes_ += bytes;
  Result<void> done = index();
  if (done.has_value()) return done;
  bytes_ -= bytes;
  files_.pop_back();
  return done;
}

// Removes a file from the folder and from the index. The table only gets smaller, and without
// memory for a new one its rows are emptied, so no row is left that names the file.
void KvHome::drop(File& file) {
  // Without its file nobody can find the pages; one that cannot be removed is found at the next
  // start, and goes then if its room is wanted.
  static_cast<void>(folder_.remove(file.name));
  bytes_ -= file.bytes;
  for (usize i = 0; i < files_.size(); i++)
    if (files_[i].get() == &file) {
      base::Owner<File> gone = std::move(files_[i]);
      files_.erase(i);
      if (!index().has_value()) rows_.clear();
      return;
    }
}

void KvHome::damaged(File& file) {
  figures_.damaged++;
  drop(file);
}

// Removes the files that were not used for the longest time until `bytes` and `pages` more fit. Of
// those that were used together the end of a text goes first. Files that were used at `now` stay.
Result<void> KvHome::make_room(u64 bytes, u64 pages, u64 now) {
  while (bytes_ + bytes > most_bytes_ || pages_ + pages > kMostPages) {
    File* oldest = nullptr;
    for (base::Owner<File>& file : files_) {
      if (file->used >= now) continue;
      auto age = [](const File& f) { return std::pair(f.used, ~f.first_page); };
      if (oldest == nullptr || age(*file) < age(*oldest)) oldest = file.get();
    }
    if (oldest == nullptr)
      return fail(Errc::kFull, "the text is larger than the disk space of kv.disk allows");
    drop(*oldest);
  }
  return {};
}

Result<void> KvHome::clear() {
  while (!files_.empty()) {
    TRY(folder_.remove(files_.back()->name));
    bytes_ -= files_.back()->bytes;
    files_.pop_back();
  }
  return index();
}

KvHome::Figures KvHome::figures() const {
  Figures all = figures_;
  all.files = files_.size();
  all.bytes = bytes_;
  all.most_bytes = most_bytes_;
  return all;
}

u32 KvHome::known(const Text& text) const {
  u32 size = text.store.page_positions(), usable = 0;
  Name name = text.root;
  for (u32 at = 0; at + size <= text.tokens.size(); at += size) {
    name = next_name(name, text.tokens.subspan(at, size));
    Place place = find(name);
    if (place.file == nullptr) break;
    if (goes_on_behind(place, text.store)) usable = at + size;
  }
  return usable;
}

}  // namespace ai
