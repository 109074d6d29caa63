// SPDX-License-Identifier: GPL-2.0-or-later
// Mounts arbitrary bytes as an exFAT volume, lists it three levels deep, and reads every file at
// both ends. The input is also put after a valid boot region, with the checksums of its entry sets
// repaired, because mutation would hardly ever get past them. That volume is also written.
#include <algorithm>
#include <bit>
#include <string>
#include <vector>

#include "kernel/fs/exfat.h"
#include "tests/fuzz/fs_walk.h"

namespace {

constexpr usize kSector = 512, kBoot = 24 * kSector, kHead = 8;

void mount(std::span<const Byte> bytes) {
  fs::MemoryMedium medium(bytes);
  if (auto system = fs::Exfat::mount(medium)) fuzz::walk(**system);
}

void put(fs::Exfat& exfat, const std::string& path, usize bytes) {
  std::vector<Byte> data(bytes, 7);
  auto file = exfat.create(path);
  if (!file.has_value() || !(*file)->write_at(bytes / 3, data).has_value()) return;
  static_cast<void>((*file)->flush());
}

// Changes what is there, and adds more. A damaged volume may refuse all of it.
void write(std::span<Byte> bytes) {
  fs::MemoryMedium medium(bytes);
  auto mounted = fs::Exfat::mount(medium);
  if (!mounted.has_value()) return;
  fs::Exfat& exfat = **mounted;
  fuzz::Names names;
  static_cast<void>(exfat.list("", names));
  if (names.entries.size() > 8) names.entries.resize(8);
  for (const auto& [name, kind] : names.entries) {
    put(exfat, name, 3000);
    put(exfat, name + "/x", 300);
    static_cast<void>(exfat.make_directory(name + "/a folder"));
    if (auto file = exfat.open(name)) {
      static_cast<void>((*file)->truncate((*file)->size() / 2));
      static_cast<void>((*file)->write_at((*file)->size() + 700, std::vector<Byte>(100)));
      static_cast<void>((*file)->truncate((*file)->size() + 5000));
      static_cast<void>((*file)->flush());
    }
    static_cast<void>(exfat.remove(name));
  }
  for (u32 i = 0; i < 6; i++) put(exfat, "new " + std::string(i * 30, 'n'), 700);
  static_cast<void>(exfat.remove("new "));
  if (auto again = fs::Exfat::mount(medium)) fuzz::walk(**again);
}

void make_boot_region(const Byte* head, std::vector<Byte>& image) {
  Byte* boot = image.data();
  std::memcpy(boot,
              "\xeb\x76\x90"
              "EXFAT   ",
              11);
  u32 table = 1 + head[1] % 4;
  base::store<u64>(boot + 72, image.size() / kSector);
  base::store<u32>(boot + 80, 24);
  base::store<u32>(boot + 84, table);
  base::store<u32>(boot + 88, 24 + table);
  base::store<u32>(boot + 92, base::load<u16>(head + 2) % 512);
  base::store<u32>(boot + 96, 2 + head[4] % 8);
  base::store<u16>(boot + 106, head[5]);
  boot[105] = 1;
  boot[108] = 9;
  boot[109] = head[0] % 4;
  boot[110] = static_cast<Byte>(1 + (head[6] & 1));
  base::store<u16>(boot + 510, 0xaa55);
  u32 sum = 0;
  for (usize i = 0; i < 11 * kSector; i++)
    if (i != 106 && i != 107 && i != 112) sum = std::rotr(sum, 1) + boot[i];
  for (usize i = 0; i < kSector; i += 4) base::store<u32>(boot + 11 * kSector + i, sum);
}

void repair_sets(std::span<Byte> bytes) {
  for (usize at = 0; at + 32 <= bytes.size(); at += 32) {
    usize size = 32 + usize{bytes[at + 1]} * 32;
    if (bytes[at] != 0x85 || size > bytes.size() - at) continue;
    u16 sum = 0;
    for (usize i = 0; i < size; i++)
      if (i != 2 && i != 3) sum = static_cast<u16>(std::rotr(sum, 1) + bytes[at + i]);
    base::store<u16>(bytes.data() + at + 2, sum);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const Byte* data, usize size) {
  mount({data, size});
  if (size < kHead) return 0;
  std::vector<Byte> image(kBoot + base::round_up(std::max<usize>(size, 32 * kSector), kSector));
  std::copy(data + kHead, data + size, image.data() + kBoot);
  make_boot_region(data, image);
  repair_sets(std::span(image).subspan(kBoot));
  mount(image);
  write(image);
  return 0;
}
