// SPDX-License-Identifier: GPL-2.0-or-later
// Cluster chains that form rings: counts the reads of the medium that they cost. The links are 64
// cache lines apart in the table, so that each step along them is one read.
#include <bit>
#include <vector>

#include "kernel/base/test.h"
#include "kernel/fs/exfat.h"
#include "kernel/fs/fat.h"

namespace {

constexpr usize kSector = 512;
constexpr u32 kClusters = 200'000, kTableSectors = kClusters / 128 + 1;
constexpr u32 kApart = 64 * 1024;  // entries of 64 lines
constexpr u32 kMostReads = 64;     // where a walk to the volume's end has 200,000

class CountingMedium final : public fs::Medium {
 public:
  explicit CountingMedium(std::span<Byte> bytes) : whole_(bytes) {}
  u64 size() const override { return whole_.size(); }
  bool writable() const override { return true; }
  Result<void> read(u64 offset, std::span<Byte> out) override {
    reads++;
    return whole_.read(offset, out);
  }
  Result<void> write(u64 offset, std::span<const Byte> in) override {
    return whole_.write(offset, in);
  }
  u32 reads = 0;

 private:
  fs::MemoryMedium whole_;
};

struct Image {
  std::vector<Byte> bytes;
  usize table = 0, heap = 0;  // sectors
  void link(u32 from, u32 to) { base::store<u32>(bytes.data() + table * kSector + from * 4, to); }
  Byte* cluster(u32 number) { return bytes.data() + (heap + number - 2) * kSector; }
};

// FAT32 with one sector a cluster and a root directory in cluster 2.
Image fat_image() {
  Image image;
  image.table = 32;
  image.heap = image.table + kTableSectors;
  image.bytes.resize((image.heap + kClusters) * kSector);
  Byte* boot = image.bytes.data();
  boot[0] = 0xeb;
  base::store<u16>(boot + 11, kSector);
  boot[13] = 1;
  base::store<u16>(boot + 14, 32);
  boot[16] = 1;
  base::store<u32>(boot + 32, static_cast<u32>(image.heap) + kClusters);
  base::store<u32>(boot + 36, kTableSectors);
  base::store<u32>(boot + 44, 2);
  base::store<u16>(boot + 510, 0xaa55);
  image.link(2, 0x0fffffff);
  return image;
}

void fat_entry(Image& image, const char* name, u8 attributes, u32 first, u32 size) {
  Byte* slot = image.cluster(2);
  while (slot[0] != 0) slot += 32;
  std::memcpy(slot, name, 11);
  slot[11] = attributes;
  base::store<u16>(slot + 20, static_cast<u16>(first >> 16));
  base::store<u16>(slot + 26, static_cast<u16>(first));
  base::store<u32>(slot + 28, size);
}

// A tail of two clusters, then a ring of three.
void ring(Image& image, u32 first) {
  image.link(first, first + kApart);
  image.link(first + kApart, first + 2 * kApart);
  image.link(first + 2 * kApart, first + 1);
  image.link(first + 1, first + 1 + kApart);
  image.link(first + 1 + kApart, first + 2 * kApart);
}

// exFAT with one sector a cluster, the root directory in cluster 2.
Image exfat_image() {
  Image image;
  image.table = 24;
  image.heap = image.table + kTableSectors;
  image.bytes.resize((image.heap + kClusters) * kSector);
  Byte* boot = image.bytes.data();
  std::memcpy(boot,
              "\xeb\x76\x90"
              "EXFAT   ",
              11);
  base::store<u64>(boot + 72, image.bytes.size() / kSector);
  base::store<u32>(boot + 80, 24);
  base::store<u32>(boot + 84, kTableSectors);
  base::store<u32>(boot + 88, static_cast<u32>(image.heap));
  base::store<u32>(boot + 92, kClusters);
  base::store<u32>(boot + 96, 2);
  boot[105] = 1;
  boot[108] = 9;
  boot[110] = 1;
  base::store<u16>(boot + 510, 0xaa55);
  u32 sum = 0;
  for (usize i = 0; i < 11 * kSector; i++)
    if (i != 106 && i != 107 && i != 112) sum = std::rotr(sum, 1) + boot[i];
  for (usize i = 0; i < kSector; i += 4) base::store<u32>(boot + 11 * kSector + i, sum);
  image.link(2, 0xffffffff);
  return image;
}

void exfat_entry(Image& image, char name, bool directory, u32 first, u64 size, bool contiguous) {
  Byte* set = image.cluster(2);
  while (set[0] != 0) set += 32;
  set[0] = 0x85, set[1] = 2, set[4] = directory ? 0x10 : 0x20;
  set[32] = 0xc0, set[33] = contiguous ? 3 : 1, set[35] = 1;
  base::store<u64>(set + 40, size);
  base::store<u32>(set + 52, first);
  base::store<u64>(set + 56, size);
  set[64] = 0xc1, set[66] = static_cast<Byte>(name);
  u16 sum = 0;
  for (usize i = 0; i < 96; i++)
    if (i != 2 && i != 3) sum = static_cast<u16>(std::rotr(sum, 1) + set[i]);
  base::store<u16>(set + 2, sum);
}

struct Ignore final : fs::DirectoryVisitor {
  void on_entry(std::string_view, const fs::FileInfo&) override {}
};

template <class Call>
void expect_corrupt_soon(TestContext& test, CountingMedium& medium, const char* what, Call call) {
  u32 before = medium.reads;
  auto result = call();
  bool corrupt = !result.has_value() && result.error().code == Errc::kCorrupt;
  u32 reads = medium.reads - before;
  char text[120];
  if (!corrupt || reads > kMostReads)
    test.report(
        __FILE__, __LINE__,
        base::format_into(text, "{}: corrupt {}, {} reads", what, u32{corrupt ? 1U : 0U}, reads));
}

}  // namespace

TEST(fs_rings, of_fat_are_noticed_within_their_length) {
  Image image = fat_image();
  fat_entry(image, "FILE    BIN", 0x20, 5, kClusters * kSector - 1);
  fat_entry(image, "HUGE    BIN", 0x20, 5, ~u32{0});
  fat_entry(image, "FOLDER     ", 0x10, 5, 0);
  fat_entry(image, "GOOD    BIN", 0x20, 4, 100);
  image.link(4, 0x0fffffff);
  ring(image, 5);
  CountingMedium medium(image.bytes);
  auto fat = fs::Fat::mount(medium);
  REQUIRE(fat.has_value());
  Ignore ignore;
  expect_corrupt_soon(test, medium, "a file", [&] { return (*fat)->open("file.bin"); });
  expect_corrupt_soon(test, medium, "a larger file", [&] { return (*fat)->open("huge.bin"); });
  expect_corrupt_soon(test, medium, "a folder", [&] { return (*fat)->list("folder", ignore); });
  EXPECT((*fat)->open("good.bin").has_value());
  // The clusters of a ring are given back once, by who removes its file.
  u64 free_before = MUST((*fat)->space()).free;
  EXPECT((*fat)->remove("file.bin").has_value());
  EXPECT_EQ(MUST((*fat)->space()).free, free_before + 5 * kSector);
  ring(image, 2);
  CountingMedium again(image.bytes);
  expect_corrupt_soon(test, again, "the root", [&] { return fs::Fat::mount(again); });
}

TEST(fs_rings, of_exfat_are_noticed_within_their_length) {
  Image image = exfat_image();
  exfat_entry(image, 'f', false, 5, u64{kClusters} * kSector, false);
  exfat_entry(image, 'd', true, 5, kClusters * kSector, false);
  exfat_entry(image, 'e', true, 5, u64{1} << 40, false);
  exfat_entry(image, 'g', false, 4, 100, true);
  // The root has 3 slots an entry: they fill one cluster of 16 slots but for 4.
  ring(image, 5);
  CountingMedium medium(image.bytes);
  auto exfat = fs::Exfat::mount(medium);
  REQUIRE(exfat.has_value());
  Ignore ignore;
  expect_corrupt_soon(test, medium, "a file", [&] { return (*exfat)->open("f"); });
  expect_corrupt_soon(test, medium, "a folder", [&] { return (*exfat)->list("d", ignore); });
  expect_corrupt_soon(test, medium, "too large a folder",
                      [&] { return (*exfat)->list("e", ignore); });
  EXPECT((*exfat)->open("g").has_value());
  ring(image, 2);
  CountingMedium again(image.bytes);
  expect_corrupt_soon(test, again, "the root", [&] { return fs::Exfat::mount(again); });
}

// Any tail before any ring, and no chain without one.
TEST(fs_rings, of_every_shape_and_none_where_there_is_none) {
  for (u32 tail = 0; tail < 40; tail++) {
    for (u32 length = 1; length < 40; length++) {
      fs::ChainWatch watch;
      u32 steps = 0, c = 0;
      while (watch.visit(c + 2).has_value()) {
        steps++;
        c = c + 1 == tail + length ? tail : c + 1;
        REQUIRE(steps < 1000);
      }
      EXPECT(steps >= tail + length && steps <= 5 * (tail + length) + 2);
    }
  }
  fs::ChainWatch watch;
  for (u32 c = 2; c < 100'000; c++) REQUIRE(watch.visit(c).has_value());
}
