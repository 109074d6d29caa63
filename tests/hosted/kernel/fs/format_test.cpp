// SPDX-License-Identifier: GPL-2.0-or-later
// The parts that an installation makes on a disk: FAT32 volumes, which fsck.fat judges, and
// partition tables, which are read back by our parser and by sgdisk.
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <random>

#include "kernel/fs/fat.h"
#include "kernel/fs/fat_format.h"
#include "kernel/fs/partition.h"
#include "kernel/fs/partition_write.h"
#include "tests/hosted/kernel/fs/images.h"

namespace {

// A file of the host that is removed at the end.
struct HostFile {
  HostFile() {
    char path[] = "/tmp/marrow-format-XXXXXX";
    close(mkstemp(path));
    name = path;
  }
  ~HostFile() { std::remove(name.c_str()); }
  HostFile(const HostFile&) = delete;
  void write(std::span<const Byte> bytes) const {
    std::ofstream(name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
  }
  std::string name;
};

bool fsck_fat(std::span<const Byte> volume) {
  HostFile file;
  file.write(volume);
  return run_tool("fsck.fat -n " + file.name);
}

// Bytes of a former life, which must not shine through.
std::vector<Byte> used_disk(u64 bytes) {
  return std::vector<Byte>(bytes, 0xe9);
}

fs::Guid guid(std::mt19937_64& random) {
  fs::Guid id;
  for (Byte& b : id) b = static_cast<Byte>(random());
  return fs::make_guid(id);
}

TEST(fs_format, fat32_in_all_sizes) {
  NEED_TOOL("fsck.fat");
  struct Row {
    u64 bytes;
    u32 sector, cluster;
  };
  // Windows' clusters where there are enough of them, otherwise smaller ones.
  const Row rows[] = {{fs::least_fat32_bytes(512), 512, 512},
                      {64 * kMiB, 512, 512},
                      {200 * kMiB + 512, 512, 2048},
                      {264 * kMiB, 512, 4096},
                      {fs::least_fat32_bytes(4096), 4096, 4096}};
  for (const Row& row : rows) {
    std::vector<Byte> bytes = used_disk(row.bytes);
    fs::MemoryMedium medium{std::span<Byte>(bytes)};
    REQUIRE(fs::format_fat32(medium, {.sector_bytes = row.sector, .label = "MARROW"}).has_value());
    auto layout = fs::parse_fat_layout(bytes, bytes.size());
    REQUIRE(layout.has_value());
    EXPECT_EQ(layout->bits, 32u);
    EXPECT_EQ(layout->cluster_bytes, row.cluster);
    EXPECT(layout->clusters >= 65525 && layout->data_at % 4096 == 0);
    EXPECT(fsck_fat(bytes));
    auto fat = fs::Fat::mount(medium);
    REQUIRE(fat.has_value());
    EXPECT((*fat)->writable());
    u64 free = MUST((*fat)->space()).free;
    EXPECT_EQ(free, (u64{layout->clusters} - 1) * row.cluster);
    REQUIRE((*fat)->make_directory("EFI").has_value());
    REQUIRE((*fat)->make_directory("EFI/BOOT").has_value());
    std::vector<Byte> text(3'000'000, 7);
    {
      auto file = (*fat)->create("EFI/BOOT/BOOTX64.EFI");
      REQUIRE(file.has_value());
      REQUIRE((*file)->write_at(0, text).has_value());
      REQUIRE((*file)->flush().has_value());
    }
    EXPECT(fsck_fat(bytes));
  }
}

TEST(fs_format, fat32_that_is_refused) {
  std::vector<Byte> bytes = used_disk(32 * kMiB);
  fs::MemoryMedium medium{std::span<Byte>(bytes)};
  auto small = fs::format_fat32(medium, {});
  REQUIRE(!small.has_value());
  EXPECT(small.error().code == Errc::kFull);
  EXPECT(!fs::format_fat32(medium, {.label = "lower case"}).has_value());
  EXPECT(!fs::format_fat32(medium, {.label = "TWELVE CHARS"}).has_value());
  EXPECT(!fs::format_fat32(medium, {.sector_bytes = 1000}).has_value());
  EXPECT(bytes == used_disk(32 * kMiB));
}

// A disk with a table of random partitions, and what the parser must find.
struct Drawn {
  u32 block;
  std::vector<Byte> bytes;
  std::vector<fs::NewPartition> partitions;
  fs::NewTable table;

  Drawn(std::mt19937_64& random, u32 block_bytes)
      : block(block_bytes), bytes(used_disk((random() % 5 + 1) * kMiB / 2 + block_bytes)) {
    fs::BlockRange usable = fs::usable_blocks(bytes.size() / block, block);
    u64 at = usable.first;
    while (at < usable.end && partitions.size() < 128 && random() % 40 != 0) {
      fs::NewPartition p;
      p.type = guid(random);
      p.id = guid(random);
      p.first = std::min(at + random() % 3, usable.end - 1);
      p.blocks = std::min(random() % 40 + 1, usable.end - p.first);
      p.name = "a name of up to thirty-six letters..";
      at = p.first + p.blocks;
      partitions.push_back(p);
    }
    table = {.block_bytes = block, .disk = guid(random), .partitions = partitions, .boot_code = {}};
  }

  void expect_found(TestContext& test, fs::TableKind kind) {
    fs::MemoryMedium medium{std::span<Byte>(bytes)};
    auto found = fs::read_partitions(medium, block);
    REQUIRE(found.has_value());
    EXPECT(found->kind == kind);
    REQUIRE(found->partitions.size() == partitions.size());
    for (usize i = 0; i < partitions.size(); i++) {
      EXPECT_EQ(found->partitions[i].number, i + 1);
      EXPECT_EQ(found->partitions[i].offset, partitions[i].first * block);
      EXPECT_EQ(found->partitions[i].bytes, partitions[i].blocks * block);
    }
  }
};

TEST(fs_format, partitions_are_found_again) {
  std::mt19937_64 random(18);
  for (u32 round = 0; round < 60; round++) {
    Drawn disk(random, round % 3 == 0 ? 4096 : 512);
    fs::MemoryMedium medium{std::span<Byte>(disk.bytes)};
    REQUIRE(fs::write_partitions(medium, disk.table).has_value());
    disk.expect_found(test, fs::TableKind::kGpt);
    // Any damaged byte of the first table: the backup is used.
    usize at = disk.block + random() % 92;
    disk.bytes[at] ^= static_cast<Byte>(1u << random() % 8);
    disk.expect_found(test, fs::TableKind::kGptBackup);
    REQUIRE(fs::erase_partitions(medium).has_value());
    auto none = fs::read_partitions(medium, disk.block);
    EXPECT(none.has_value() && none->kind == fs::TableKind::kNone);
  }
}

TEST(fs_format, partitions_as_sgdisk_reads_them) {
  NEED_TOOL("sgdisk");
  std::mt19937_64 random(5);
  Drawn disk(random, 512);
  Byte code[fs::kBootCodeBytes];
  std::ranges::fill(code, Byte{0x90});
  disk.table.boot_code = code;
  fs::MemoryMedium medium{std::span<Byte>(disk.bytes)};
  REQUIRE(fs::write_partitions(medium, disk.table).has_value());
  EXPECT(std::ranges::equal(code, std::span(disk.bytes).first(sizeof code)));
  HostFile file;
  file.write(disk.bytes);
  EXPECT(run_tool("sgdisk -v " + file.name + " | grep -q 'No problems found'"));
  std::string has_name =
      "sgdisk -i 1 " + file.name + " | grep -q \"'a name of up to thirty-six letters..'\"";
  EXPECT(run_tool(has_name));
  disk.bytes[512 + 40] ^= 1;  // it takes the backup
  file.write(disk.bytes);
  EXPECT(run_tool(has_name));
  disk.bytes[disk.bytes.size() - 512 + 40] ^= 1;
  file.write(disk.bytes);
  EXPECT(!run_tool(has_name));
}

TEST(fs_format, partitions_that_are_refused) {
  std::vector<Byte> bytes = used_disk(kMiB);
  fs::MemoryMedium medium{std::span<Byte>(bytes)};
  fs::Guid type{1};
  auto refused = [&](std::vector<fs::NewPartition> partitions, u32 block = 512) {
    auto done = fs::write_partitions(
        medium, {.block_bytes = block, .partitions = partitions, .boot_code = {}});
    return !done.has_value();
  };
  EXPECT(refused({{.type = type, .first = 33, .blocks = 1}}));
  EXPECT(refused({{.type = type, .first = 34, .blocks = 2048 - 66}}));
  EXPECT(refused({{.type = type, .first = 34, .blocks = ~u64{0}}}));
  EXPECT(refused({{.type = type, .first = 34, .blocks = 0}}));
  EXPECT(refused({{.type = {}, .first = 34, .blocks = 1}}));
  EXPECT(refused(
      {{.type = type, .first = 40, .blocks = 10}, {.type = type, .first = 49, .blocks = 1}}));
  EXPECT(refused({{.type = type, .first = 40, .blocks = 10}}, 1000));
  EXPECT(bytes == used_disk(kMiB));
  EXPECT(!refused({{.type = type, .first = 34, .blocks = 2048 - 67}}));
  fs::MemoryMedium small{std::span<Byte>(bytes).first(64 * 512)};
  EXPECT(!fs::write_partitions(small, {.partitions = {}, .boot_code = {}}).has_value());
}

}  // namespace
