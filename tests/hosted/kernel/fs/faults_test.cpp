// SPDX-License-Identifier: GPL-2.0-or-later
// Partition tables that lie, power cuts in the middle of FAT writes, sectors that cannot be read.
#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "kernel/fs/crc.h"
#include "kernel/fs/fat.h"
#include "kernel/fs/partition.h"
#include "tests/hosted/kernel/fs/images.h"
#include "tests/hosted/test_files.h"

namespace {

constexpr usize kBlock = 512, kBlocks = 256;

struct Disk {
  std::vector<Byte> bytes = std::vector<Byte>(kBlock * kBlocks);
  Byte* block(usize n) { return bytes.data() + n * kBlock; }

  void mbr_entry(usize sector, usize index, u8 type, u32 first, u32 count) {
    Byte* at = block(sector) + 446 + 16 * index;
    at[4] = type;
    base::store<u32>(at + 8, first);
    base::store<u32>(at + 12, count);
    base::store<u16>(block(sector) + 510, 0xaa55);
  }
  // The header at `lba`, its four entries at `entries`.
  void gpt(usize lba, usize entries, std::initializer_list<std::pair<u64, u64>> partitions) {
    Byte* e = block(entries);
    std::memset(e, 0, kBlock);
    for (auto [first, last] : partitions) {
      base::store<u64>(e, 0x1234);
      base::store<u64>(e + 32, first);
      base::store<u64>(e + 40, last);
      e += 128;
    }
    Byte* h = block(lba);
    std::memset(h, 0, kBlock);
    std::memcpy(h, "EFI PART", 8);
    base::store<u32>(h + 12, 92);
    base::store<u64>(h + 24, lba);
    base::store<u64>(h + 72, entries);
    base::store<u32>(h + 80, 4);
    base::store<u32>(h + 84, 128);
    base::store<u32>(h + 88,
                     ~fs::Crc32Ieee::update(~0u, std::span<const Byte>(block(entries), kBlock)));
    base::store<u32>(h + 16, ~fs::Crc32Ieee::update(~0u, std::span<const Byte>(h, 92)));
  }
  Result<fs::PartitionTable> read() {
    fs::MemoryMedium medium{std::span<const Byte>(bytes)};
    return fs::read_partitions(medium, kBlock);
  }
};

Disk good_gpt() {
  Disk disk;
  disk.mbr_entry(0, 0, 0xee, 1, kBlocks - 1);
  disk.gpt(1, 2, {{34, 63}, {64, 199}});
  disk.gpt(kBlocks - 1, kBlocks - 2, {{34, 63}, {64, 199}});
  return disk;
}

// Writes up to the cut, and then nothing more: the power is gone.
class CutMedium final : public fs::Medium {
 public:
  CutMedium(std::span<Byte> bytes, u32 writes) : whole_(bytes), left_(writes) {}
  u64 size() const override { return whole_.size(); }
  bool writable() const override { return true; }
  Result<void> read(u64 offset, std::span<Byte> out) override { return whole_.read(offset, out); }
  Result<void> write(u64 offset, std::span<const Byte> in) override {
    if (left_ == 0) return fail(Errc::kIo, "the power is gone");
    left_--;
    return whole_.write(offset, in);
  }

 private:
  fs::MemoryMedium whole_;
  u32 left_;
};

// One stretch of it cannot be read.
class BadMedium final : public fs::Medium {
 public:
  BadMedium(std::span<const Byte> bytes, u64 bad) : whole_(bytes), bad_(bad) {}
  u64 size() const override { return whole_.size(); }
  Result<void> read(u64 offset, std::span<Byte> out) override {
    if (offset <= bad_ && bad_ < offset + out.size())
      return fail(Errc::kIo, "the medium has an unreadable sector");
    return whole_.read(offset, out);
  }

 private:
  fs::MemoryMedium whole_;
  u64 bad_;
};

Result<void> put(fs::Fat& fat, const std::string& name, usize bytes, Byte fill) {
  auto file = TRY(fat.create(name));
  std::vector<Byte> data(bytes, fill);
  TRY(file->write_at(0, data));
  return file->flush();
}

void busy_day(fs::Fat& fat) {
  // After the cut everything fails: what came before is what counts.
  static_cast<void>(fat.make_directory("a new folder"));
  static_cast<void>(put(fat, "a new folder/first of many.bin", 30'000, 1));
  static_cast<void>(fat.remove("victim with a long name.bin"));
  static_cast<void>(put(fat, "second.bin", 9'000, 2));
  static_cast<void>(put(fat, "a new folder/first of many.bin", 500, 3));
}

bool holds(fs::Fat& fat, const char* name, usize bytes, Byte fill) {
  auto file = fat.open(name);
  if (!file.has_value() || (*file)->size() != bytes) return false;
  std::vector<Byte> data(bytes);
  auto n = (*file)->read_at(0, data);
  return n.has_value() && *n == bytes &&
         std::all_of(data.begin(), data.end(), [&](Byte b) { return b == fill; });
}

}  // namespace

TEST(fs_partitions, gpt_and_its_backup) {
  Disk disk = good_gpt();
  auto table = disk.read();
  REQUIRE(table.has_value());
  EXPECT(table->kind == fs::TableKind::kGpt);
  REQUIRE(table->partitions.size() == 2);
  EXPECT_EQ(table->partitions[1].offset, 64 * kBlock);
  EXPECT_EQ(table->partitions[1].bytes, 136 * kBlock);
  for (usize at : {usize{1} * kBlock + 40, 2 * kBlock + 33}) {  // header, entries
    Disk damaged = good_gpt();
    damaged.bytes[at] ^= 1;
    auto backup = damaged.read();
    REQUIRE(backup.has_value());
    EXPECT(backup->kind == fs::TableKind::kGptBackup);
    EXPECT_EQ(backup->partitions.size(), 2u);
    damaged.bytes[(kBlocks - 1) * kBlock + 20] ^= 1;
    auto neither = damaged.read();
    REQUIRE(!neither.has_value());
    EXPECT(neither.error().code == Errc::kCorrupt);
  }
}

TEST(fs_partitions, gpt_that_lies) {
  Disk disk = good_gpt();
  // Overlapping ones both stand; one that leaves the disk and one that ends before it begins do
  // not.
  disk.gpt(1, 2, {{34, 100}, {90, 120}, {200, kBlocks}, {50, 40}});
  auto table = disk.read();
  REQUIRE(table.has_value());
  REQUIRE(table->partitions.size() == 2);
  EXPECT_EQ(table->partitions[1].number, 2u);
}

TEST(fs_partitions, a_hybrid_table_is_a_gpt) {
  Disk disk = good_gpt();
  disk.mbr_entry(0, 0, 0x0c, 34, 30);
  disk.mbr_entry(0, 1, 0xee, 1, kBlocks - 1);
  auto table = disk.read();
  REQUIRE(table.has_value());
  EXPECT(table->kind == fs::TableKind::kGpt);
}

TEST(fs_partitions, mbr_with_logical_partitions) {
  Disk disk;
  disk.mbr_entry(0, 0, 0x83, 10, 20);
  disk.mbr_entry(0, 1, 0x05, 100, 100);
  disk.mbr_entry(100, 0, 0x83, 1, 9);
  disk.mbr_entry(100, 1, 0x05, 50, 20);
  disk.mbr_entry(150, 0, 0x83, 2, 8);
  disk.mbr_entry(150, 1, 0x05, 0, 20);  // back to the start: the chain ends
  auto table = disk.read();
  REQUIRE(table.has_value());
  EXPECT(table->kind == fs::TableKind::kMbr);
  REQUIRE(table->partitions.size() == 3);
  EXPECT_EQ(table->partitions[1].number, 5u);
  EXPECT_EQ(table->partitions[1].offset, 101 * kBlock);
  EXPECT_EQ(table->partitions[2].offset, 152 * kBlock);
  disk.bytes[446] = 7;  // neither active nor inactive: this is code
  EXPECT(MUST(disk.read()).kind == fs::TableKind::kNone);
}

// The power goes after any number of writes: fsck makes it whole, and what was there before is.
TEST(fs_faults, fat32_power_cut) {
  if (!have_tool("mkfs.vfat") || !have_tool("fsck.vfat"))
    return test.skip("mkfs.vfat or fsck.vfat is not installed: scripts/setup.sh test");
  std::string path = own_image_path();
  REQUIRE(run_tool("truncate -s 34M " + path + " && mkfs.vfat -F 32 -s 1 " + path));
  std::string fresh;
  REQUIRE(read_file(path, fresh));
  {
    fs::MemoryMedium medium(std::span(reinterpret_cast<Byte*>(fresh.data()), fresh.size()));
    auto fat = fs::Fat::mount(medium);
    REQUIRE(fat.has_value());
    REQUIRE(put(**fat, "keep this.bin", 20'000, 7).has_value());
    REQUIRE(put(**fat, "victim with a long name.bin", 12'000, 8).has_value());
  }
  for (u32 writes = 0; writes < 60; writes += 5) {
    std::string image = fresh;
    std::span bytes(reinterpret_cast<Byte*>(image.data()), image.size());
    CutMedium medium(bytes, writes);
    if (auto fat = fs::Fat::mount(medium)) busy_day(**fat);
    std::ofstream(path, std::ios::binary).write(image.data(), static_cast<long>(image.size()));
    run_tool("fsck.vfat -a " + path);  // says 1 when it had something to repair
    EXPECT(run_tool("fsck.vfat -n " + path));
    REQUIRE(read_file(path, image));
    fs::MemoryMedium repaired(
        std::span<const Byte>(reinterpret_cast<const Byte*>(image.data()), image.size()));
    auto fat = fs::Fat::mount(repaired);
    REQUIRE(fat.has_value());
    EXPECT(holds(**fat, "keep this.bin", 20'000, 7));
  }
  run_tool("rm -f " + path);
}

TEST(fs_faults, an_unreadable_sector_costs_one_file) {
  if (!have_tool("mkfs.vfat") || !have_tool("mcopy"))
    return test.skip("mkfs.vfat or mcopy is not installed: scripts/setup.sh test");
  FileTree tree(40);
  REQUIRE(run_tool("truncate -s 32M " + tree.image() + " && mkfs.vfat -F 16 " + tree.image()));
  REQUIRE(run_tool("mcopy -s -i " + tree.image() + " " + tree.root + "/* ::/"));
  std::string image;
  REQUIRE(read_file(tree.image(), image));
  const auto& [victim, text] = *std::max_element(
      tree.files.begin(), tree.files.end(),
      [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  usize at = image.find(text.substr(text.size() / 2, 64));
  REQUIRE(at != std::string::npos);
  BadMedium medium(std::span(reinterpret_cast<const Byte*>(image.data()), image.size()), at);
  auto fat = fs::Fat::mount(medium);
  REQUIRE(fat.has_value());
  for (const auto& [path, contents] : tree.files) {
    auto file = (*fat)->open(path);
    REQUIRE(file.has_value());
    std::vector<Byte> bytes(contents.size() + 1);
    auto n = (*file)->read_at(0, bytes);
    EXPECT_EQ(n.has_value(), path != victim);
    if (!n.has_value()) EXPECT(n.error().code == Errc::kIo);
    if (n.has_value()) EXPECT(std::memcmp(bytes.data(), contents.data(), *n) == 0);
  }
}
