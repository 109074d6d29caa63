// SPDX-License-Identifier: GPL-2.0-or-later
// The KV pages' second home: a folder on a disk, to which the pages of ended texts are copied, and
// from which they come back when a text with the same beginning is asked for. It outlives the
// prefix cache, the model's unloading and the machine's power-off.
//
// A file holds a run of pages of one text. Pages are named by a chain of hashes: each page's name
// is the SHA-256, cut to 16 bytes, of its predecessor's name and of its own tokens; the first
// predecessor's is the root, a hash of all that pages depend on (model, cache type, numerics). So
// two texts share the pages of a common beginning, whichever file they are in, and no tokens are
// stored. A text that parts from a known one in the middle of a file gets a file of its own from
// there on.
//
//   "MarrowKP", u32 version, u32 pages, u32 first page's index, u32 window pages, u64 bytes a page,
//   u64 bytes a window page, u64 order, then 16 bytes of name and 8 of checksum a page, 8 of
//   checksum a window page, 8 of checksum over all of this; zeros up to 4,096 bytes; the pages; the
//   window pages.
//
// The window pages are those that a text needs to go on behind the last page of the file. Models
// whose layers have windows can go on only there.
//
// Owner: the service. known() may be called from any thread of CPU 0; all others belong to the
// engine's thread, and wait for the disk.
#pragma once

#include <array>

#include "ai/engine/kv_file.h"

namespace ai {

// A file of a KvFolder.
class KvFolderFile {
 public:
  virtual ~KvFolderFile() = default;
  virtual Result<void> read(u64 at, std::span<Byte> out) = 0;  // fills all of `out` or fails
  virtual Result<void> write(u64 at, std::span<const Byte> bytes) = 0;
  virtual Result<void> flush() = 0;
};

// The folder, which has nothing but these files. A file's name is a number.
class KvFolder {
 public:
  using Name = std::array<Byte, 16>;  // of a page
  // Returns the first 16 bytes of the SHA-256 of both together.
  virtual Name hash(std::span<const Byte> first, std::span<const Byte> second) = 0;
  virtual Result<base::Owner<KvFolderFile>> create(u64 name) = 0;
  virtual Result<base::Owner<KvFolderFile>> open(u64 name) = 0;
  virtual Result<void> remove(u64 name) = 0;
  virtual Result<Vector<u64>> list() = 0;
  virtual u64 now_ns() = 0;

 protected:
  ~KvFolder() = default;
};

// Called between two pages, and may let other threads and requests work. Returns false when the
// pages are not wanted any more.
class BetweenPages {
 public:
  virtual bool go_on() = 0;

 protected:
  ~BetweenPages() = default;
};

class KvHome {
 public:
  using Name = KvFolder::Name;
  // Files are not longer than this, so that old ones can go piece by piece.
  static constexpr u64 kFileBytes = 64 * kMiB;

  // Reads the heads of all files in the folder and removes damaged ones. The files take at most
  // `most_bytes`; the least recently used go first. `folder` must outlive the home.
  static Result<base::Owner<KvHome>> open(KvFolder& folder, u64 most_bytes);
  KvHome(KvFolder& folder, u64 most_bytes) : folder_(folder), most_bytes_(most_bytes) {}

  // Returns the predecessor's name of the first page of all texts that share these properties.
  Name root(const KvStore& store, const KvFileKey& key) const;

  // The pages of one text in a store.
  struct Text {
    KvStore& store;
    const Name& root;
    std::span<const TokenId> tokens;
  };
  // Returns how many positions of the text are here, in whole pages behind which it can go on.
  u32 known(const Text& text) const;
  // Puts those pages into the store's prefix cache, and returns how many positions it knows then.
  // Pages that it has already are not read. Returns kFull when too few of its pages are free. A
  // file that cannot be read or is damaged is removed, and the pages before it remain.
  Result<u32> fetch(const Text& text, BetweenPages& between);
  // Copies the pages that the store's prefix cache knows of the text and that are not here, if they
  // are at least `least` positions. Returns how many positions were written.
  Result<u32> keep(const Text& text, u32 least, BetweenPages& between);
  // A file, as its head describes it.
  struct File {
    u64 name = 0, bytes = 0;
    u64 used = 0;  // the larger, the later
    u32 first_page = 0, pages = 0, window_pages = 0;
    u64 page_bytes = 0, window_page_bytes = 0;
    Vector<Name> names;        // (pages)
    Vector<u64> sums;          // (pages + window pages)
    usize head_bytes() const;  // with its zeros
    u64 page_at(u32 page) const { return head_bytes() + page * page_bytes; }
    u64 window_page_at(u32 page) const {
      return head_bytes() + pages * page_bytes + page * window_page_bytes;
    }
  };
  // Reads a head: all bytes up to its checksum.
  static Result<base::Owner<File>> parse_head(u64 name, std::span<const Byte> all);
  // Removes all files.
  Result<void> clear();

  struct Figures {
    u64 files = 0, bytes = 0, most_bytes = 0;
    u64 pages_read = 0, pages_written = 0;  // since boot
    u64 read_bytes = 0, read_ns = 0;        // since boot, without what ran between the pages
    u64 damaged = 0;                        // files that were removed for it, since boot
  };
  Figures figures() const;

 private:
  // A page of a text, here.
  struct Place {
    File* file = nullptr;
    u32 page = 0;  // of the file
    bool last() const { return page + 1 == file->pages; }
  };
  struct Row {
    File* file = nullptr;  // null: empty
    u32 page = 0;
  };
  struct Reading;
  struct Writing;

  Name next_name(const Name& before, std::span<const TokenId> tokens) const;
  Place find(const Name& name) const;
  Result<void> add(base::Owner<File> file);
  Result<void> index();
  void drop(File& file);
  void damaged(File& file);
  Result<base::Owner<File>> read_head(u64 name);
  Result<void> make_room(u64 bytes, u64 pages, u64 now);
  Result<void> read_page(Reading& reading, File& file, u64 at, u64 sum, std::span<Byte> out);
  Result<void> read_pages(Reading& reading, BetweenPages& between);
  Result<void> read_window_pages(Reading& reading, u32 known);
  Result<void> write_file(Writing& writing, u32 first, u32 pages, BetweenPages& between);
  Result<void> write_pages(const Writing& writing, File& file, KvFolderFile& out,
                           BetweenPages& between);
  static Result<void> write_head(const File& file, KvFolderFile& out);
  bool goes_on_behind(const Place& place, const KvStore& store) const {
    return !store.has_windows() || (place.last() && place.file->window_pages > 0);
  }

  KvFolder& folder_;
  const u64 most_bytes_;
  Vector<base::Owner<File>> files_;
  Vector<Row> rows_;  // (power of two) pages by the beginning of their names, next free row
  u64 bytes_ = 0, pages_ = 0;
  u64 used_ = 0;  // of the last text
  Figures figures_;
};

}  // namespace ai
