// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the folder of a disk that keeps KV pages.
#include "service/kv_disk.h"

#include <charconv>

#include "ai/openai/health_field.h"
#include "kernel/fs/file_system.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/time/clock.h"
#include "service/kv_name.h"
#include "service/storage.h"

namespace service {
namespace {

constexpr Option kDisk{"kv.disk", OptionKind::kNumber, "0", "0..16777216",
                       "MiB of a disk for the KV cache of texts that have ended; they need not be "
                       "read again, also after a restart; 0 = none"};
constexpr Option kFolder{"kv.folder", OptionKind::kText, "", "/PATH",
                         "the folder of kv.disk; empty = marrow/kv of the first disk inside the "
                         "machine that can be written"};
KERNEL_OPTION(kDisk);
KERNEL_OPTION(kFolder);

constexpr std::string_view kEnd = ".kv";
constexpr usize kDigits = 16;

class DiskFile final : public ai::KvFolderFile {
 public:
  explicit DiskFile(base::Owner<fs::File> file) : file_(std::move(file)) {}
  Result<void> read(u64 at, std::span<Byte> out) override {
    if (TRY(file_->read_at(at, out)) != out.size())
      return fail(Errc::kCorrupt, "a file of KV pages is not complete");
    return {};
  }
  Result<void> write(u64 at, std::span<const Byte> bytes) override {
    if (TRY(file_->write_at(at, bytes)) != bytes.size())
      return fail(Errc::kFull, "the disk is full: delete files or lower kv.disk");
    return {};
  }
  Result<void> flush() override { return file_->flush(); }

 private:
  base::Owner<fs::File> file_;
};

// Returns the number that a file of the folder has as its name.
bool number_of(std::string_view name, u64& number) {
  if (name.size() != kDigits + kEnd.size() || !name.ends_with(kEnd)) return false;
  const char* end = name.data() + kDigits;
  auto [stop, error] = std::from_chars(name.data(), end, number, 16);
  return error == std::errc() && stop == end;
}

class Folder final : public ai::KvFolder {
 public:
  Name hash(std::span<const Byte> first, std::span<const Byte> second) override {
    return kv_name(first, second);
  }
  Result<base::Owner<ai::KvFolderFile>> create(u64 name) override {
    char room[320];
    return owned(TRY(fs::create(path(name, room))));
  }
  Result<base::Owner<ai::KvFolderFile>> open(u64 name) override {
    char room[320];
    return owned(TRY(fs::open(path(name, room))));
  }
  Result<void> remove(u64 name) override {
    char room[320];
    return fs::remove(path(name, room));
  }
  Result<Vector<u64>> list() override {
    Names names;
    TRY(fs::list(folder.view(), names));
    TRY(std::move(names.status));
    return std::move(names.all);
  }
  u64 now_ns() override { return timing::now_ns(); }

  String folder;

 private:
  struct Names final : fs::DirectoryVisitor {
    void on_entry(std::string_view name, const fs::FileInfo& info) override {
      u64 number = 0;
      if (info.kind != fs::FileKind::kFile || !number_of(name, number)) return;
      if (status.has_value()) status = all.push_back(number);
    }
    Vector<u64> all;
    Result<void> status;
  };
  std::string_view path(u64 name, std::span<char> room) const {
    return base::format_into(room, "{}/{:016x}{}", folder, name, kEnd);
  }
  static Result<base::Owner<ai::KvFolderFile>> owned(base::Owner<fs::File> file) {
    return base::Owner<ai::KvFolderFile>(TRY(base::make<DiskFile>(std::move(file))));
  }
};

struct Home {
  Folder folder;
  base::Owner<ai::KvHome> home;
  usize tried_mounts = 0;  // how many there were when it was tried last
};
Home& instance() {
  static constinit Home home;
  return home;
}

Result<String> choose_folder() {
  std::string_view chosen = options::text(kFolder);
  if (chosen.empty()) return kept_folder("kv", StoreOn::kFixedDisk);
  static_cast<void>(fs::make_directory(chosen));  // it may exist already
  return String::from(chosen);
}

Result<void> open() {
  Home& here = instance();
  here.folder.folder = TRY(choose_folder());
  here.home = TRY(ai::KvHome::open(here.folder, options::number(kDisk) * kMiB));
  ai::KvHome::Figures figures = here.home->figures();
  log::info("kv", "texts are kept in {}: {} MiB of {} MiB", here.folder.folder,
            figures.bytes / kMiB, figures.most_bytes / kMiB);
  return {};
}

void write_health(json::Writer& out) {
  ai::KvHome::Figures figures = kv_home_figures();
  if (figures.most_bytes == 0) return;
  out.key("kv_disk").begin_object().field("files", figures.files).field("bytes", figures.bytes);
  out.field("limit_bytes", figures.most_bytes).field("pages_read", figures.pages_read);
  out.field("pages_written", figures.pages_written).field("damaged_files", figures.damaged);
  out.end_object();
}

constexpr ai::openai::HealthField kField{write_health};
HEALTH_FIELD(kField);

}  // namespace

ai::KvHome* kv_home() {
  Home& here = instance();
  usize mounts = fs::mounts().size();
  if (here.home != nullptr || options::number(kDisk) == 0 || mounts == here.tried_mounts)
    return open_kv_home();
  here.tried_mounts = mounts;
  Result<void> opened = open();
  if (!opened.has_value()) log::warn("kv", "kv.disk is not used: {}", opened.error());
  return here.home.get();
}

ai::KvHome* open_kv_home() {
  return instance().home.get();
}

ai::KvHome::Figures kv_home_figures() {
  const ai::KvHome* home = open_kv_home();
  return home == nullptr ? ai::KvHome::Figures() : home->figures();
}

}  // namespace service
