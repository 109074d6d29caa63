// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the file system of boot modules.
#include "kernel/fs/module_fs.h"

#include "kernel/base/format.h"
#include "kernel/base/text.h"
#include "kernel/log.h"

namespace fs {
namespace {

class ModuleFile final : public File {
 public:
  explicit ModuleFile(std::span<Byte> bytes) : bytes_(bytes) {}
  u64 size() const override { return bytes_.size(); }
  Result<usize> read_at(u64 offset, std::span<Byte> out) override {
    if (offset >= bytes_.size()) return usize{0};
    usize part = std::min(out.size(), bytes_.size() - static_cast<usize>(offset));
    std::memcpy(out.data(), bytes_.data() + offset, part);
    return part;
  }
  Result<std::span<Byte>> map() override { return bytes_; }

 private:
  std::span<Byte> bytes_;
};

constinit ModuleFileSystem instance;

}  // namespace

std::string_view ModuleFileSystem::keep(std::string_view text) {
  usize part = std::min(text.size(), sizeof names_ - names_used_);
  char* copy = names_ + names_used_;
  std::memcpy(copy, text.data(), part);
  names_used_ += part;
  return {copy, part};
}

void ModuleFileSystem::init(std::span<const BootModule> modules) {
  entries_.clear();
  names_used_ = 0;
  for (const BootModule& module : modules) {
    std::string_view command_line = module.command_line;
    std::string_view name = base::base_name(base::split_off(command_line, ' '));
    // All names share this room, so a long one is cut.
    name = name.substr(0, sizeof names_ / entries_.capacity() - 8);
    char text[64];
    if (name.empty() || find(name) != nullptr)
      name = base::format_into(text, "{}{}", name.empty() ? "module" : name, entries_.size());
    std::span<Byte> bytes(reinterpret_cast<Byte*>(module.base), module.size);
    if (!entries_.push_back({keep(name), bytes})) return;
  }
}

const ModuleFileSystem::Entry* ModuleFileSystem::find(std::string_view name) const {
  for (const Entry& e : entries_)
    if (e.name == name) return &e;
  return nullptr;
}

Result<base::Owner<File>> ModuleFileSystem::open(std::string_view path) {
  const Entry* entry = find(path);
  if (entry == nullptr) return fail(Errc::kNotFound, "no such boot module");
  return base::Owner<File>(TRY(base::make<ModuleFile>(entry->bytes)));
}

Result<FileInfo> ModuleFileSystem::stat(std::string_view path) {
  if (path.empty()) return FileInfo{FileKind::kDirectory, 0};
  const Entry* entry = find(path);
  if (entry == nullptr) return fail(Errc::kNotFound, "no such boot module");
  return FileInfo{FileKind::kFile, entry->bytes.size()};
}

Result<void> ModuleFileSystem::list(std::string_view path, DirectoryVisitor& visitor) {
  if (!path.empty()) return fail(Errc::kNotFound, "no such directory");
  for (const Entry& e : entries_) visitor.on_entry(e.name, {FileKind::kFile, e.bytes.size()});
  return {};
}

Result<void> mount_modules(const BootInfo& boot) {
  if (boot.modules_left_out != 0)
    log::warn("boot", "{} boot modules are left out: the first {} were taken; name fewer files",
              boot.modules_left_out, boot.modules.size());
  if (boot.modules.empty()) return {};
  instance.init(boot.modules.view());
  return mount("/boot", instance);
}

}  // namespace fs
