// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps small texts on disks or in memory.
#include "service/storage.h"

#include "kernel/base/format.h"
#include "kernel/base/wipe.h"

namespace service {
namespace {

struct Kept {
  String key;  // "conversations/NAME"
  String text;
};
Vector<Kept>& memory() {
  static constinit Vector<Kept> kept;
  return kept;
}

bool good_name(std::string_view name) {
  if (name.empty() || name.size() > 64) return false;
  for (char c : name)
    if (static_cast<u8>(c) < 0x20 || c == '/' || c == '\\' || c == 0x7f) return false;
  return name != "." && name != "..";
}

Result<void> write_file(std::string_view path, std::string_view text) {
  base::Owner<fs::File> file = TRY(fs::create(path));
  auto bytes = std::span(reinterpret_cast<const Byte*>(text.data()), text.size());
  usize written = TRY(file->write_at(0, bytes));
  if (written != text.size()) return fail(Errc::kFull, "the disk is full: delete files");
  return file->flush();
}

// Returns true if Marrow was started from this disk, or could be. Such disks are copied and passed
// on, so no secret is kept there.
bool boots_marrow(const fs::Mount& mount) {
  char path[256];
  return fs::stat(base::format_into(path, "{}/boot/marrow.elf", mount.point)).has_value();
}

bool may_hold(const fs::Mount& mount, StoreOn where) {
  if (mount.point == "/boot" || mount.point == "/host") return false;
  return where == StoreOn::kAnyDisk || (mount.home == fs::Home::kFixedDisk && !boots_marrow(mount));
}

// Calls use() with each mount that may hold something until it returns true. Disks that Marrow
// starts from come last: the boot volume of an installed one is small.
template <class Use>
bool any_mount(StoreOn where, Use use) {
  for (bool boots : {false, true})
    for (usize i = 0; i < fs::mounts().size(); i++) {
      fs::Mount mount = fs::mounts()[i];  // a copy: disks come and go while files are read
      if (may_hold(mount, where) && boots_marrow(mount) == boots && use(mount)) return true;
    }
  return false;
}

// Returns `name` with a phrase that says it is in memory, for how long, and why.
Result<String> memory_phrase(std::string_view name, StoreOn where) {
  constexpr std::string_view kWhy[] = {
      "no disk can be written",
      "it is secret and no disk inside the machine can be written (sticks and the disk that Marrow "
      "was started from get none)"};
  String phrase;
  base::StringWriter out(phrase);
  base::format_to(out, "{}, in memory only and lost at power-off: {}", name,
                  kWhy[static_cast<u8>(where)]);
  TRY(out.status());
  return phrase;
}

Result<void> keep_in_memory(std::string_view key, std::string_view text) {
  for (Kept& kept : memory()) {
    if (kept.key.view() != key) continue;
    base::wipe(kept.text.chars().view());
    return kept.text.assign(text);
  }
  return memory().push_back({TRY(String::from(key)), TRY(String::from(text))});
}

}  // namespace

Result<String> store_text(std::string_view kind, std::string_view name, std::string_view text,
                          StoreOn where) {
  if (name.starts_with('/')) {
    TRY(write_file(name, text));
    return String::from(name);
  }
  if (!good_name(name))
    return fail(Errc::kInvalidArgument, "this is not a valid file name: leave out slashes");
  char buffer[256], file[320];
  std::string_view path;
  bool written = any_mount(where, [&](const fs::Mount& mount) {
    std::string_view directory = base::format_into(buffer, "{}/marrow", mount.point);
    static_cast<void>(fs::make_directory(directory));  // the folder may exist already
    path = base::format_into(file, "{}/{}-{}.json", directory, kind, name);
    return write_file(path, text).has_value();
  });
  if (written) return String::from(path);
  std::string_view key = base::format_into(buffer, "{}/{}", kind, name);
  TRY(keep_in_memory(key, text));
  return memory_phrase(name, where);
}

Result<String> load_text(std::string_view kind, std::string_view name, StoreOn where) {
  if (name.starts_with('/')) return fs::read_text(name);
  if (!good_name(name))
    return fail(Errc::kInvalidArgument, "this is not a valid file name: leave out slashes");
  char buffer[320];
  Result<String> text = String();
  bool read = any_mount(where, [&](const fs::Mount& mount) {
    text =
        fs::read_text(base::format_into(buffer, "{}/marrow/{}-{}.json", mount.point, kind, name));
    return text.has_value();
  });
  if (read) return text;
  std::string_view key = base::format_into(buffer, "{}/{}", kind, name);
  for (const Kept& kept : memory())
    if (kept.key.view() == key) return kept.text.clone();
  return fail(Errc::kNotFound, "no text is kept under this name");
}

namespace {

// Collects the names of files in a folder that are called KIND-NAME.json.
class KeptNames final : public fs::DirectoryVisitor {
 public:
  KeptNames(std::string_view kind, void (*add)(void*, std::string_view), void* context)
      : kind_(kind), add_(add), context_(context) {}
  void on_entry(std::string_view name, const fs::FileInfo&) override {
    constexpr std::string_view kEnd = ".json";
    if (!name.starts_with(kind_) || !name.ends_with(kEnd)) return;
    if (name.size() <= kind_.size() + 1 + kEnd.size() || name[kind_.size()] != '-') return;
    name.remove_prefix(kind_.size() + 1);
    name.remove_suffix(kEnd.size());
    add_(context_, name);
  }

 private:
  std::string_view kind_;
  void (*add_)(void*, std::string_view);
  void* context_;
};

}  // namespace

void list_texts(std::string_view kind, void (*add)(void*, std::string_view), void* context) {
  char buffer[256];
  KeptNames names(kind, add, context);
  for (const fs::Mount& mount : fs::mounts()) {
    // A disk without the folder holds no texts.
    if (may_hold(mount, StoreOn::kAnyDisk))
      static_cast<void>(fs::list(base::format_into(buffer, "{}/marrow", mount.point), names));
  }
  for (const Kept& kept : memory()) {
    std::string_view key = kept.key.view();
    if (key.starts_with(kind) && key.size() > kind.size() && key[kind.size()] == '/')
      add(context, key.substr(kind.size() + 1));
  }
}

namespace {

// Tries each place where the file may be, and returns the first that `open` can open.
template <class Open>
Result<base::Owner<fs::File>> kept_file(std::string_view kind, std::string_view name, Open open) {
  char buffer[320];
  if (name.starts_with('/')) return open(base::format_into(buffer, "{}.bin", name));
  if (!good_name(name))
    return fail(Errc::kInvalidArgument, "this is not a valid file name: leave out slashes");
  Result<base::Owner<fs::File>> one = fail(Errc::kNotFound, "");
  bool found = any_mount(StoreOn::kAnyDisk, [&](const fs::Mount& mount) {
    one = open(base::format_into(buffer, "{}/marrow/{}-{}.bin", mount.point, kind, name));
    return one.has_value();
  });
  if (found) return one;
  return fail(Errc::kNotFound, "no disk can keep this file: mount one that can be written");
}

}  // namespace

Result<base::Owner<fs::File>> create_kept_file(std::string_view kind, std::string_view name) {
  return kept_file(kind, name, [](std::string_view path) { return fs::create(path); });
}

Result<base::Owner<fs::File>> open_kept_file(std::string_view kind, std::string_view name) {
  return kept_file(kind, name, [](std::string_view path) { return fs::open(path); });
}

Result<String> kept_folder(std::string_view name, StoreOn where) {
  char buffer[256], room[320];
  std::string_view path;
  bool found = any_mount(where, [&](const fs::Mount& mount) {
    std::string_view above = base::format_into(buffer, "{}/marrow", mount.point);
    path = base::format_into(room, "{}/{}", above, name);
    if (!mount.file_system->writable()) return false;
    // They may exist already.
    static_cast<void>(fs::make_directory(above));
    static_cast<void>(fs::make_directory(path));
    return fs::stat(path).has_value();
  });
  if (found) return String::from(path);
  return fail(Errc::kNotFound, "no disk inside the machine can be written");
}

}  // namespace service
