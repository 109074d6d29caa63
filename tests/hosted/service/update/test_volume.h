// SPDX-License-Identifier: GPL-2.0-or-later
// A boot volume in memory, update files for it, and what GRUB would start from an image of it.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>

#include "kernel/base/hex.h"
#include "kernel/fs/fat.h"
#include "kernel/fs/fat_format.h"
#include "kernel/options.h"
#include "service/update/slots.h"
#include "tests/hosted/recorded_medium.h"
#include "tests/hosted/service/bundle/test_bundle.h"
#include "tests/hosted/test_mount.h"
#include "tests/hosted/test_threads.h"

namespace test_update {

using namespace service::update;

constexpr std::string_view kPoint = "/disk/esp";

inline std::string text_of(std::span<const Byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct NoSink final : service::ProgressSink {
  void on_progress(u64 done, u64 total) override { ASSERT(done <= total); }
  bool stopped() override { return stop; }
  bool stop = false;
};

inline std::string kernel_of(char fill, usize bytes = 2'500'000) {
  std::string kernel(bytes, fill);
  for (usize i = 0; i < bytes; i += 1000) kernel[i] = static_cast<char>(i / 1000);
  return kernel;
}

inline std::string manifest_of(const std::string& kernel, const std::string& version = "99.1",
                               std::string_view machine = this_machine()) {
  String hex = MUST(base::hex_text(crypto::sha256(kernel)));
  return "name = \"marrow\"\nformat = \"kernel\"\nversion = \"" + version + "\"\nmachine = \"" +
         std::string(machine) + "\"\n\n[file.kernel]\npath = \"marrow.elf\"\nsha256 = \"" +
         std::string(hex.view()) + "\"\nsize = " + std::to_string(kernel.size()) + "\n";
}

inline std::string file_of(const std::string& manifest, const std::string& kernel) {
  std::string head = manifest;
  head.resize(kHeadBytes, '\0');
  return head + kernel;
}

inline std::string signed_file(const std::string& kernel, const std::string& version = "99.1") {
  return file_of(test_bundle::signed_by(manifest_of(kernel, version), test_bundle::kSeed), kernel);
}

inline void make_file(fs::Fat& fat, std::string_view path, std::span<const Byte> bytes, u64 size) {
  for (usize at = path.find('/'); at != path.npos; at = path.find('/', at + 1))
    if (!fat.stat(path.substr(0, at)).has_value()) MUST(fat.make_directory(path.substr(0, at)));
  auto file = MUST(fat.create(path));
  MUST(file->write_at(0, bytes));
  MUST(file->truncate(size));
  MUST(file->flush());
}

inline std::span<const Byte> bytes_of(const std::string& text) {
  return {reinterpret_cast<const Byte*>(text.data()), text.size()};
}

inline const std::string kInstalledKernel = kernel_of('i', 300'000);
constexpr u64 kSlotBytes = 3 * kMiB;

// A boot volume as the installation makes it, mounted as long as it lives.
struct Volume {
  // The boot volume, and room behind it for another one.
  static constexpr u64 kBehind = 4 * kMiB;
  Image image = Image(fs::least_fat32_bytes(512) + kMiB + kBehind);
  RecordedMedium medium{image};
  fs::MediumPart boot{medium, 0, image.size() - kBehind};
  fs::MediumPart behind{medium, image.size() - kBehind, kBehind};
  base::Owner<fs::Fat> fat;
  FewFiles keys{"/boot", {{"site.pub", text_of(test_bundle::trusted(test_bundle::kSeed).key)}}};

  Volume() {
    test_threads::start();
    service::bundle::forget_trusted_keys();
    MUST(fs::format_fat32(boot, {.label = "BOOT"}));
    fat = MUST(fs::Fat::mount(boot));
    make_file(*fat, slot_path(Slot::kInstalled), bytes_of(kInstalledKernel),
              kInstalledKernel.size());
    for (Slot slot : kWrittenSlots) make_file(*fat, slot_path(slot), {}, kSlotBytes);
    char block[kBlockBytes];
    write_block({}, block);
    make_file(*fat, kBlockPath, bytes_of(std::string(block, sizeof block)), kBlockBytes);
    MUST(fs::mount(kPoint, *fat));
  }
  ~Volume() {
    fs::unmount(kPoint);
    options::reset();
    service::bundle::forget_trusted_keys();
  }
  Volume(const Volume&) = delete;

  Result<Slot> update(const std::string& file, const BootBlock& expected = {}, bool stop = false) {
    FewFiles stick("/stick", {{"new.update", file}});
    NoSink sink;
    sink.stop = stop;
    Result<Written> written = write_update("/stick/new.update", Plan{kPoint, expected, sink});
    if (!written.has_value()) return std::unexpected(written.error());
    return written->slot;
  }
  BootBlock block() { return MUST(read_boot_block(kPoint)); }
  // Does what GRUB and the kernel that it starts do.
  Slot start() {
    BootBlock now = block();
    Slot slot = now.pending ? *now.attempt : now.good;
    now.pending = false;
    MUST(store_boot_block(kPoint, now));
    options::reset();
    options::parse_command_line("update.slot=" + std::string(slot_name(slot)));
    return slot;
  }
};

// Returns the kernel that GRUB would start from an image, of these; '?' for anything else.
struct Known {
  char name;
  const std::string* kernel;
};
struct Starts {
  char first, second;  // the second start comes after one that proved nothing
};
inline char look_at(fs::Fat& fat, Slot slot, std::span<const Known> known) {
  auto file = fat.open(slot_path(slot));
  if (!file.has_value()) return '?';
  usize most = 0;
  for (const Known& k : known) most = std::max(most, k.kernel->size());
  std::string text(std::min(static_cast<usize>((*file)->size()), most), 0);
  MUST((*file)->read_at(0, {reinterpret_cast<Byte*>(text.data()), text.size()}));
  for (const Known& k : known)
    if (text.starts_with(*k.kernel)) return k.name;
  return '?';
}
inline Starts starts_of(const Image& image, std::span<const Known> known) {
  fs::MemoryMedium medium{std::span<const Byte>(image)};
  auto fat = MUST(fs::Fat::mount(medium));
  auto file = MUST(fat->open(kBlockPath));
  char bytes[kBlockBytes];
  MUST(file->read_at(0, {reinterpret_cast<Byte*>(bytes), sizeof bytes}));
  // GRUB takes the installed kernel if the block is damaged; here none may be.
  BootBlock block = MUST(parse_block({bytes, sizeof bytes}));
  return {look_at(*fat, block.pending ? *block.attempt : block.good, known),
          look_at(*fat, block.good, known)};
}

}  // namespace test_update
