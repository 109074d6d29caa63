// SPDX-License-Identifier: GPL-2.0-or-later
// Tests the boot from UEFI with a firmware made here, whose tables hold functions of this process.
#include "boot/efi.h"

#include <sys/mman.h>

#include <map>
#include <string>
#include <vector>

#include "kernel/base/bytes.h"
#include "kernel/base/test.h"

namespace {

using Status = u64;
constexpr Status kError = u64{1} << 63 | 14;

struct FakeFile {
  void* slots[12] = {};
  std::string path, bytes;
  u64 at = 0;
  std::vector<std::string> entries;  // of a folder
  bool is_folder = false;
};

// The state of a test's firmware. Its functions know no object but this.
struct Firmware {
  std::map<std::string, std::string> files;  // by path
  std::vector<FakeFile*> open;
  std::string ramdisk, said;
  std::u16string options = u"talk threads=2 initrd=initrd";
  int stale_keys = 0, exits = 0, allocations_left = 100;
  std::vector<std::array<u64, 5>> map;  // type, base, -, pages, attributes
  std::vector<void*> taken;
  void *services[44] = {}, *table[15] = {}, *console[2] = {}, *volume[2] = {}, *loader[1] = {};
  Byte loaded[96] = {}, rows[48] = {};
};
Firmware* now;

std::string narrow(const char16_t* text) {
  std::string out;
  for (; *text != 0; text++) out.push_back(static_cast<char>(*text));
  return out;
}

Status say(void*, const char16_t* text) {
  now->said += narrow(text);
  return 0;
}
Status allocate(u64, u64, u64 pages, u64* out) {
  if (now->allocations_left-- == 0) return kError;
  void* at =
      mmap(nullptr, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  *out = reinterpret_cast<u64>(at);
  return 0;
}
Status handle_protocol(void*, const void* which, void** out) {
  const auto* guid = static_cast<const Byte*>(which);
  if (guid[0] == 0xa1) *out = now->loaded;  // the loaded image
  if (guid[0] == 0x22) *out = now->volume;  // a file system
  if (guid[0] == 0xc1) *out = now->loader;  // LoadFile2
  return *out == nullptr ? kError : 0;
}
Status locate_device_path(const void*, void**, void** handle) {
  *handle = now;
  return now->ramdisk.empty() ? kError : 0;
}
Status locate_protocol(const void*, void*, void**) {
  return kError;
}
Status set_watchdog(u64, u64, u64, void*) {
  return 0;
}
Status load_file(void*, void*, u64, u64* bytes, void* to) {
  *bytes = now->ramdisk.size();
  if (to == nullptr) return kError;
  std::memcpy(to, now->ramdisk.data(), now->ramdisk.size());
  return 0;
}

Status close_file(void* object) {
  auto* file = static_cast<FakeFile*>(object);
  std::erase(now->open, file);
  delete file;
  return 0;
}
Status read_file(void* object, u64* bytes, void* where) {
  auto* file = static_cast<FakeFile*>(object);
  auto* to = static_cast<Byte*>(where);
  if (!file->is_folder) {
    u64 count = std::min<u64>(*bytes, file->bytes.size() - file->at);
    std::memcpy(to, file->bytes.data() + file->at, count);
    file->at += count;
    *bytes = count;
    return 0;
  }
  if (file->at == file->entries.size()) return *bytes = 0;
  const std::string& name = file->entries[file->at++];
  std::memset(to, 0, 80);
  for (usize i = 0; i <= name.size(); i++)
    base::store(to + 80 + 2 * i, static_cast<u16>(i < name.size() ? name[i] : 0));
  if (name == "..") to[72] = 0x10;
  *bytes = 82 + 2 * name.size();
  return 0;
}
Status get_position(void* file, u64* at) {
  *at = static_cast<FakeFile*>(file)->at;
  return 0;
}
Status set_position(void* object, u64 at) {
  auto* file = static_cast<FakeFile*>(object);
  file->at = std::min<u64>(at, file->bytes.size());
  return 0;
}
Status open_file(void* folder, void** out, const char16_t* path, u64, u64);
FakeFile* new_file(const std::string& path) {
  auto* file = new FakeFile;
  file->path = path;
  file->slots[1] = reinterpret_cast<void*>(open_file);
  file->slots[2] = reinterpret_cast<void*>(close_file);
  file->slots[4] = reinterpret_cast<void*>(read_file);
  file->slots[6] = reinterpret_cast<void*>(get_position);
  file->slots[7] = reinterpret_cast<void*>(set_position);
  now->open.push_back(file);
  return file;
}
Status open_file(void* folder, void** out, const char16_t* name, u64, u64) {
  std::string path = narrow(name);
  if (!path.starts_with("\\")) path = static_cast<FakeFile*>(folder)->path + "\\" + path;
  auto found = now->files.find(path);
  std::vector<std::string> below{".."};
  for (const auto& [other, bytes] : now->files)
    if (other.starts_with(path + "\\")) below.push_back(other.substr(path.size() + 1));
  if (found == now->files.end() && below.size() == 1) return kError;
  FakeFile* file = new_file(path);
  file->is_folder = found == now->files.end();
  file->entries = below;
  if (!file->is_folder) file->bytes = found->second;
  *out = file;
  return 0;
}
Status open_volume(void*, void** out) {
  *out = new_file("");
  return 0;
}
Status get_map(u64* bytes, Byte* to, u64* key, u64* step, u32*) {
  u64 wanted = now->map.size() * 48;
  if (wanted > *bytes) return kError;
  for (const auto& row : now->map) std::memcpy(to, row.data(), 40), to += 48;
  *bytes = wanted, *step = 48, *key = static_cast<u64>(now->stale_keys);
  return 0;
}
Status exit_services(void*, u64) {
  now->exits++;
  return now->stale_keys-- > 0 ? kError : 0;
}

template <class F>
void* pointer(F* function) {
  return reinterpret_cast<void*>(function);
}

boot::Efi start(Firmware& f) {
  now = &f;
  f.services[5] = pointer(allocate);
  f.services[7] = pointer(get_map);
  f.services[19] = pointer(handle_protocol);
  f.services[23] = pointer(locate_device_path);
  f.services[29] = pointer(exit_services);
  f.services[32] = pointer(set_watchdog);
  f.services[40] = pointer(locate_protocol);
  f.console[1] = pointer(say);
  f.volume[1] = pointer(open_volume);
  f.loader[0] = pointer(load_file);
  f.table[8] = f.console;
  f.table[12] = f.services;
  f.table[13] = reinterpret_cast<void*>(u64{1});
  f.table[14] = f.rows;
  const Byte acpi[16] = {0x71, 0xe8, 0x68, 0x88, 0xf1, 0xe4, 0xd3, 0x11,
                         0xbc, 0x22, 0,    0x80, 0xc7, 0x3c, 0x88, 0x81};
  std::memcpy(f.rows, acpi, 16);
  base::store(f.rows + 16, u64{0x1234});
  base::store(f.loaded + 24, reinterpret_cast<u64>(&f));
  base::store(f.loaded + 48, static_cast<u32>(2 * f.options.size()));
  base::store(f.loaded + 56, reinterpret_cast<u64>(f.options.data()));
  return {&f, f.table};
}

std::string_view text_of(const BootModule& module) {
  return {reinterpret_cast<const char*>(module.base), module.size};
}

}  // namespace

TEST(boot_efi, reads_options_and_files) {
  Firmware f;
  f.ramdisk = "GGUF ramdisk";
  f.files["\\marrow.cfg"] = "threads=1\n";
  f.files["\\boot\\keys\\site.pub"] = std::string(32, 'k');
  f.files["\\models\\a.gguf"] = std::string(40 << 20, 'm');
  f.files["\\models\\b.gguf"] = "GGUF";
  boot::Efi efi = start(f);
  BootInfo info;
  REQUIRE(boot::read_efi(efi, info).has_value());
  EXPECT_EQ(info.command_line, "talk threads=2");
  EXPECT_EQ(info.acpi_rsdp, 0x1234u);
  REQUIRE(info.modules.size() == 5);
  EXPECT_EQ(text_of(info.modules[0]), "GGUF ramdisk");
  EXPECT_EQ(info.modules[1].command_line, "/marrow.cfg");
  EXPECT_EQ(text_of(info.modules[1]), "threads=1\n");
  EXPECT_EQ(info.modules[2].command_line, "/boot/keys/site.pub");
  EXPECT_EQ(text_of(info.modules[2]), std::string(32, 'k'));
  EXPECT_EQ(info.modules[3].command_line, "/models/a.gguf");
  EXPECT_EQ(info.modules[3].size, u64{40} << 20);
  EXPECT_EQ(info.modules[3].base % (2 * kMiB), 0u);
  EXPECT_EQ(text_of(info.modules[3]).find_first_not_of('m'), std::string_view::npos);
  EXPECT_EQ(info.modules[4].command_line, "/models/b.gguf");
  EXPECT(f.open.empty());
  EXPECT_EQ(f.said, "");
}

TEST(boot_efi, drops_the_name_of_the_image) {
  Firmware f;
  f.options = u"\\EFI\\BOOT\\BOOTAA64.EFI run=\"help\"";
  f.options.push_back(0);
  boot::Efi efi = start(f);
  BootInfo info;
  REQUIRE(boot::read_efi(efi, info).has_value());
  EXPECT_EQ(info.command_line, "run=\"help\"");
  EXPECT(info.modules.empty());
}

TEST(boot_efi, goes_on_without_a_file_that_has_no_room) {
  Firmware f;
  f.files["\\models\\a.gguf"] = "GGUF";
  f.files["\\models\\b.gguf"] = "GGUF";
  f.allocations_left = 0;
  boot::Efi efi = start(f);
  BootInfo info;
  REQUIRE(boot::read_efi(efi, info).has_value());
  REQUIRE(info.modules.size() == 1);
  EXPECT(f.said.find("could not be loaded") != std::string::npos);
  EXPECT(f.open.empty());
}

TEST(boot_efi, leaves_with_the_newest_map) {
  Firmware f;
  // These are conventional memory, boot services' data behind it, loader data after a hole,
  // registers, ACPI's tables, and an unknown type.
  f.map = {{7, 0x40000000, 0, 0x100, 0}, {4, 0x40100000, 0, 0x100, 0}, {2, 0x40300000, 0, 1, 0},
           {11, 0x9000000, 0, 1, 0},     {9, 0x50000000, 0, 2, 0},     {99, 0x60000000, 0, 1, 0}};
  f.stale_keys = 2;
  boot::Efi efi = start(f);
  BootInfo info;
  REQUIRE(boot::leave_efi(efi, info).has_value());
  EXPECT_EQ(f.exits, 3);
  REQUIRE(info.memory.size() == 4);
  EXPECT_EQ(info.memory[0].size, 0x200000u);
  EXPECT(info.memory[1].kind == MemoryKind::kUsable);
  EXPECT(info.memory[2].kind == MemoryKind::kAcpiReclaimable);
  EXPECT(info.memory[3].kind == MemoryKind::kReserved);
  f.stale_keys = 1000;
  EXPECT(!boot::leave_efi(efi, info).has_value());
  f.map.assign(2000, {7, 0, 0, 1, 0});
  EXPECT(!boot::leave_efi(efi, info).has_value());  // more rows than room
  f.stale_keys = 0;
  f.map.assign(1, {7, ~u64{0xfff}, 0, 2, 0});
  EXPECT(!boot::leave_efi(efi, info).has_value());  // a range that wraps
}
