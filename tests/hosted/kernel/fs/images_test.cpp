// SPDX-License-Identifier: GPL-2.0-or-later
// Images of real tools read back: ext4, FAT, ISO 9660; FAT32 written and checked by fsck.
#include "tests/hosted/kernel/fs/images.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <random>

#include "kernel/fs/exfat.h"
#include "kernel/fs/exfat_format.h"
#include "kernel/fs/ext4.h"
#include "kernel/fs/fat.h"
#include "kernel/fs/iso9660.h"
#include "tests/hosted/kernel/fs/exfat_writer.h"
#include "tests/hosted/test_files.h"

namespace {

// Files of an image: few in every run, 10,000 by `make test-images`.
u32 file_count() {
  const char* wanted = std::getenv("MARROW_IMAGE_FILES");
  return wanted == nullptr ? 1000 : static_cast<u32>(std::atoi(wanted));
}

const char* image_size(u32 files) {
  return files > 2000 ? "400M" : "96M";
}

std::string random_bytes(std::mt19937& random, usize size) {
  std::string text(size, 0);
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

void write_host_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary).write(text.data(), static_cast<long>(text.size()));
}

struct Collector final : fs::DirectoryVisitor {
  std::vector<std::pair<std::string, fs::FileInfo>> entries;
  void on_entry(std::string_view name, const fs::FileInfo& info) override {
    entries.emplace_back(std::string(name), info);
  }
};

// Paths of all files below `path`.
void collect(TestContext& test, fs::FileSystem& system, const std::string& path,
             std::map<std::string, u64>& out) {
  Collector here;
  auto listed = system.list(path, here);
  if (!listed.has_value()) test.report(__FILE__, __LINE__, listed.error().what);
  for (auto& [name, info] : here.entries) {
    std::string full = path.empty() ? name : path + "/" + name;
    if (name == "lost+found") continue;
    if (info.kind == fs::FileKind::kDirectory) {
      collect(test, system, full, out);
    } else {
      out[full] = info.size;
    }
  }
}

struct Image {
  std::string bytes;
  explicit Image(const std::string& path) { read_file(path, bytes); }
  fs::MemoryMedium medium() {
    return fs::MemoryMedium(std::span(reinterpret_cast<Byte*>(bytes.data()), bytes.size()));
  }
};

template <class System>
void check_image(TestContext& test, const FileTree& tree) {
  Image image(tree.image());
  fs::MemoryMedium medium = image.medium();
  auto system = System::mount(medium);
  if (!system.has_value()) return test.report(__FILE__, __LINE__, system.error().what);
  expect_same_tree(test, **system, tree);
  EXPECT(!(*system)->open("no/such/file").has_value());
  EXPECT(!(*system)->list("nothing", *std::make_unique<Collector>()).has_value());
}

void check_ext4(TestContext& test, const char* options, u32 files) {
  NEED_TOOL("mkfs.ext4");
  FileTree tree(files);
  REQUIRE(run_tool("truncate -s " + std::string(image_size(files)) + " " + tree.image()));
  REQUIRE(run_tool("mkfs.ext4 -q -F " + std::string(options) + " -d " + tree.root + " " +
                   tree.image()));
  check_image<fs::Ext4>(test, tree);
}

void check_fat(TestContext& test, const char* options, const char* size, u32 files) {
  NEED_TOOL("mkfs.vfat");
  NEED_TOOL("mcopy");
  FileTree tree(files);
  REQUIRE(run_tool("truncate -s " + std::string(size) + " " + tree.image()));
  REQUIRE(run_tool("mkfs.vfat " + std::string(options) + " " + tree.image()));
  REQUIRE(run_tool("mcopy -s -i " + tree.image() + " " + tree.root + "/* ::/"));
  check_image<fs::Fat>(test, tree);
}

}  // namespace

FileTree::FileTree(u32 count) {
  char name[] = "/tmp/marrow_tree_XXXXXX";
  if (mkdtemp(name) == nullptr) std::abort();
  root = name;
  std::mt19937 random(count);
  const std::string kDirectories[] = {"", "one/", "one/two of them/", "many/",
                                      "tiefe/äöü/日本/Größe der Überschrift/"};
  for (u32 i = 0; i < count; i += 1500)
    if (!run_tool("mkdir -p " + root + "/many/" + std::to_string(i / 1500))) std::abort();
  for (const std::string& d : kDirectories)
    if (!run_tool("mkdir -p '" + root + "/" + d + "'")) std::abort();
  for (u32 i = 0; i < count; i++) {
    // Most are small; some are larger than a cluster or an extent of one block.
    usize size = random() % 16 == 0 ? random() % 200'000 : random() % 6'000;
    std::string path = i % 7 == 0   ? "root file "
                       : i % 3 == 0 ? kDirectories[1 + random() % 4]
                                    : "many/" + std::to_string(i / 1500) + "/";
    path += "File number " + std::to_string(i) + (i % 5 == 0 ? " with a longer näme.txt" : ".dat");
    std::string text = random_bytes(random, i % 97 == 0 ? 0 : size);
    write_host_file(root + "/" + path, text);
    files[path] = std::move(text);
  }
}

FileTree::~FileTree() {
  run_tool("rm -rf " + root + " " + image());
}

std::string own_image_path() {
  static u32 made = 0;
  return "/tmp/marrow_image_" + std::to_string(getpid()) + "_" + std::to_string(made++) + ".img";
}

bool have_tool(const char* name) {
  return run_tool("command -v " + std::string(name)) ||
         access(("/usr/sbin/" + std::string(name)).c_str(), X_OK) == 0;
}

bool run_tool(const std::string& command) {
  return std::system(
             ("export LC_ALL=C.UTF-8 PATH=$PATH:/usr/sbin:/sbin; (" + command + ") >/dev/null 2>&1")
                 .c_str()) == 0;
}

void expect_same_tree(TestContext& test, fs::FileSystem& system, const FileTree& tree) {
  std::map<std::string, u64> listed;
  collect(test, system, "", listed);
  EXPECT_EQ(listed.size(), tree.files.size());
  for (const auto& [path, text] : tree.files) {
    auto at = listed.find(path);
    if (at == listed.end()) return test.report(__FILE__, __LINE__, "a file is not listed: " + path);
    EXPECT_EQ(at->second, text.size());
    auto file = system.open(path);
    if (!file.has_value()) return test.report(__FILE__, __LINE__, file.error().what);
    std::string read((*file)->size() + 1, 0);
    auto n = (*file)->read_at(0, std::span(reinterpret_cast<Byte*>(read.data()), read.size()));
    if (!n.has_value()) return test.report(__FILE__, __LINE__, n.error().what);
    read.resize(*n);
    if (read != text) return test.report(__FILE__, __LINE__, "other bytes: " + path);
    // From the middle, too.
    usize middle = text.size() / 2;
    auto part = (*file)->read_at(
        middle, std::span(reinterpret_cast<Byte*>(read.data()), std::min<usize>(text.size(), 100)));
    REQUIRE(part.has_value());
    EXPECT(std::string_view(read).substr(0, *part) ==
           std::string_view(text).substr(middle, std::min<usize>(text.size(), 100)));
  }
}

TEST(fs_images, ext4) {
  check_ext4(test, "-b 4096", file_count());
}
TEST(fs_images, ext4_with_small_blocks_and_inline_data) {
  check_ext4(test, "-b 1024 -O inline_data,64bit,metadata_csum", file_count());
}
TEST(fs_images, ext4_with_meta_groups) {
  check_ext4(test, "-b 1024 -O meta_bg,^resize_inode,metadata_csum_seed,metadata_csum", 200);
}
TEST(fs_images, ext2_block_maps) {
  check_ext4(test, "-b 1024 -O ^extents,^64bit,^metadata_csum,^has_journal", 300);
}
TEST(fs_images, ext4_symbolic_links_and_damage) {
  NEED_TOOL("mkfs.ext4");
  FileTree tree(20);
  const auto& [path, text] = *tree.files.begin();
  std::string longer(80, '/');
  REQUIRE(run_tool("ln -s '" + path + "' " + tree.root + "/short && ln -s '" + longer + path +
                   "' " + tree.root + "/long && ln -s loop " + tree.root + "/loop"));
  REQUIRE(run_tool("truncate -s 8M " + tree.image() + " && mkfs.ext4 -q -F -O metadata_csum -d " +
                   tree.root + " " + tree.image()));
  Image image(tree.image());
  fs::MemoryMedium medium = image.medium();
  auto system = fs::Ext4::mount(medium);
  REQUIRE(system.has_value());
  for (const char* link : {"short", "long"}) {
    auto info = (*system)->stat(link);
    REQUIRE(info.has_value());
    EXPECT_EQ(info->size, text.size());
  }
  EXPECT(!(*system)->open("loop").has_value());
  image.bytes[1024 + 120] ^= 1;  // a reserved word of the superblock
  auto damaged = fs::Ext4::mount(medium);
  REQUIRE(!damaged.has_value());
  EXPECT(damaged.error().code == Errc::kCorrupt);
}

TEST(fs_images, fat12) {
  check_fat(test, "-F 12", "4M", 40);
}
TEST(fs_images, fat16) {
  check_fat(test, "-F 16", "32M", 500);
}
TEST(fs_images, fat32) {
  check_fat(test, "-F 32 -s 1", image_size(file_count()), file_count());
}

void check_exfat(TestContext& test, const char* options, u32 files) {
  NEED_TOOL("mkfs.exfat");
  NEED_TOOL("fsck.exfat");
  FileTree tree(files);
  REQUIRE(run_tool("truncate -s " + std::string(image_size(files)) + " " + tree.image()));
  REQUIRE(run_tool("mkfs.exfat " + std::string(options) + " " + tree.image()));
  Image image(tree.image());
  REQUIRE(fill_exfat(image.bytes, tree.files));
  write_host_file(tree.image(), image.bytes);
  EXPECT(run_tool("fsck.exfat -n " + tree.image()));  // the writer is right, too
  check_image<fs::Exfat>(test, tree);
}

TEST(fs_images, exfat) {
  check_exfat(test, "-c 4K", file_count());
}
TEST(fs_images, exfat_with_large_clusters_and_damage) {
  check_exfat(test, "-c 128K", 100);
  NEED_TOOL("mkfs.exfat");
  FileTree tree(5);
  REQUIRE(run_tool("truncate -s 8M " + tree.image() + " && mkfs.exfat -c 4K " + tree.image()));
  Image image(tree.image());
  REQUIRE(fill_exfat(image.bytes, tree.files));
  fs::MemoryMedium medium = image.medium();
  {
    auto system = fs::Exfat::mount(medium);
    REQUIRE(system.has_value());
    EXPECT((*system)->stat("ROOT FILE FILE number 0 WITH a longer NÄME.TXT").has_value());
    u64 used = MUST((*system)->space()).total - MUST((*system)->space()).free;
    EXPECT(used > 0 && used < 8 * kMiB);
  }
  image.bytes[4 + 64] ^= 1;  // among the zeros of the main boot region
  EXPECT(fs::Exfat::mount(medium).has_value());
  image.bytes[12 * 512 + 200] ^= 1;  // and of its backup
  auto damaged = fs::Exfat::mount(medium);
  REQUIRE(!damaged.has_value());
  EXPECT(damaged.error().code == Errc::kCorrupt);
}

TEST(fs_images, iso9660_with_rock_ridge) {
  NEED_TOOL("xorriso");
  FileTree tree(file_count());
  REQUIRE(run_tool("mkdir -p " + tree.root + "/a/b/c/d/e/f/g/h/i/j"));
  write_host_file(tree.root + "/a/b/c/d/e/f/g/h/i/j/deep", "below eight levels");
  tree.files["a/b/c/d/e/f/g/h/i/j/deep"] = "below eight levels";
  REQUIRE(run_tool("xorriso -as mkisofs -R -o " + tree.image() + " " + tree.root));
  check_image<fs::Iso9660>(test, tree);
}

// Makes random creates, appends, overwrites, cuts and removals; `tree` knows what must be there.
void write_at_random(TestContext& test, fs::FileSystem& system, FileTree& tree) {
  std::mt19937 random(7);
  for (u32 step = 0; step < 1200; step++) {
    const char* kFolders[] = {"", "marrow/", "marrow/deeper/"};
    std::string name = std::string(kFolders[random() % 3]) + "a somewhat long name " +
                       std::to_string(random() % 150) + ".bin";
    u32 what = random() % 8;
    if (what == 0 && tree.files.contains(name)) {
      REQUIRE(system.remove(name).has_value());
      tree.files.erase(name);
      continue;
    }
    std::string& text = tree.files[name];
    bool fresh = what < 4 || !system.stat(name).has_value();
    auto file = fresh ? system.create(name) : system.open(name);
    REQUIRE(file.has_value());
    if (fresh) text.clear();
    if (what == 7) {
      usize size = random() % 9000;
      REQUIRE((*file)->truncate(size).has_value());
      REQUIRE((*file)->flush().has_value());
      text.resize(size);
      continue;
    }
    std::string more = random_bytes(random, random() % 20'000);
    usize at = text.empty() ? random() % 700 : random() % (text.size() + 700);
    auto n =
        (*file)->write_at(at, std::span(reinterpret_cast<const Byte*>(more.data()), more.size()));
    REQUIRE(n.has_value());
    if (!more.empty()) text.resize(std::max(text.size(), at + more.size()));
    text.replace(at > text.size() ? text.size() : at, more.size(), more);
    REQUIRE((*file)->flush().has_value());
  }
}

// fsck finds nothing wrong with what was written.
TEST(fs_images, fat32_written) {
  NEED_TOOL("mkfs.vfat");
  NEED_TOOL("fsck.vfat");
  FileTree tree(0);
  REQUIRE(run_tool("truncate -s 40M " + tree.image()));
  REQUIRE(run_tool("mkfs.vfat -F 32 -s 1 " + tree.image()));
  Image image(tree.image());
  fs::MemoryMedium medium = image.medium();
  u64 free_before = 0;
  {
    auto system = fs::Fat::mount(medium);
    REQUIRE(system.has_value());
    fs::Fat& fat = **system;
    free_before = MUST(fat.space()).free;
    REQUIRE(fat.make_directory("marrow").has_value());
    REQUIRE(fat.make_directory("marrow/deeper").has_value());
    EXPECT(!fat.make_directory("marrow").has_value());
    EXPECT(!fat.create("marrow/what?").has_value());
    EXPECT(!fat.remove("marrow").has_value());
    write_at_random(test, fat, tree);
    expect_same_tree(test, fat, tree);
  }
  auto again = fs::Fat::mount(medium);
  REQUIRE(again.has_value());
  expect_same_tree(test, **again, tree);
  write_host_file(tree.image(), image.bytes);
  EXPECT(run_tool("fsck.vfat -n " + tree.image()));
  for (const auto& [path, text] : tree.files) EXPECT((*again)->remove(path).has_value());
  EXPECT((*again)->remove("marrow/deeper").has_value());
  EXPECT((*again)->remove("marrow").has_value());
  // The root directory may keep the clusters that it grew by.
  EXPECT(free_before - MUST((*again)->space()).free <= 64 * 1024);
  write_host_file(tree.image(), image.bytes);
  EXPECT(run_tool("fsck.vfat -n " + tree.image()));
}

TEST(fs_images, fat32_full) {
  NEED_TOOL("mkfs.vfat");
  NEED_TOOL("fsck.vfat");
  FileTree tree(0);
  REQUIRE(run_tool("truncate -s 34M " + tree.image() + " && mkfs.vfat -F 32 -s 1 " + tree.image()));
  Image image(tree.image());
  fs::MemoryMedium medium = image.medium();
  auto fat = fs::Fat::mount(medium);
  REQUIRE(fat.has_value());
  auto file = (*fat)->create("big");
  REQUIRE(file.has_value());
  std::vector<Byte> piece(1 << 20, 1);
  Result<usize> written = usize{0};
  u64 at = 0;
  for (; at < 64 * kMiB && written.has_value(); at += piece.size())
    written = (*file)->write_at(at, piece);
  REQUIRE(!written.has_value());
  EXPECT(written.error().code == Errc::kFull);
  EXPECT_EQ((*file)->size(), at - piece.size());
  REQUIRE((*file)->flush().has_value());
  write_host_file(tree.image(), image.bytes);
  EXPECT(run_tool("fsck.vfat -n " + tree.image()));
}

// The same on exFAT, in a volume of another system's and in one of ours.
void check_exfat_written(TestContext& test, const char* options, bool ours) {
  NEED_TOOL("mkfs.exfat");
  NEED_TOOL("fsck.exfat");
  FileTree tree(0);
  REQUIRE(run_tool("truncate -s 40M " + tree.image()));
  REQUIRE(run_tool("mkfs.exfat " + std::string(options) + " " + tree.image()));
  Image image(tree.image());
  fs::MemoryMedium medium = image.medium();
  if (ours) {
    REQUIRE(fs::format_exfat(medium, {.serial = 7, .label = "MARROW"}).has_value());
    write_host_file(tree.image(), image.bytes);
    EXPECT(run_tool("fsck.exfat -n " + tree.image()));
  }
  u64 free_before = 0;
  {
    auto system = fs::Exfat::mount(medium);
    REQUIRE(system.has_value());
    fs::Exfat& exfat = **system;
    EXPECT(exfat.writable());
    free_before = MUST(exfat.space()).free;
    REQUIRE(exfat.make_directory("marrow").has_value());
    REQUIRE(exfat.make_directory("marrow/deeper").has_value());
    EXPECT(!exfat.make_directory("MARROW").has_value());
    EXPECT(!exfat.create("marrow/what?").has_value());
    EXPECT(!exfat.create("marrow").has_value());
    EXPECT(!exfat.create(std::string(211, 'x')).has_value());
    EXPECT(!exfat.remove("marrow").has_value());
    EXPECT(!exfat.remove("").has_value());
    write_at_random(test, exfat, tree);
    expect_same_tree(test, exfat, tree);
  }
  auto again = fs::Exfat::mount(medium);
  REQUIRE(again.has_value());
  expect_same_tree(test, **again, tree);
  write_host_file(tree.image(), image.bytes);
  EXPECT(run_tool("fsck.exfat -n " + tree.image()));
  for (const auto& [path, text] : tree.files) EXPECT((*again)->remove(path).has_value());
  EXPECT((*again)->remove("marrow/deeper").has_value());
  EXPECT((*again)->remove("marrow").has_value());
  // The root directory may keep the clusters that it grew by.
  EXPECT(free_before - MUST((*again)->space()).free <= 64 * 1024);
  write_host_file(tree.image(), image.bytes);
  EXPECT(run_tool("fsck.exfat -n " + tree.image()));
}
TEST(fs_images, exfat_written) {
  check_exfat_written(test, "-c 4K", false);
}
TEST(fs_images, exfat_written_in_small_clusters) {
  check_exfat_written(test, "-c 512", false);
}
TEST(fs_images, exfat_formatted_and_written) {
  check_exfat_written(test, "-c 4K", true);
}
TEST(fs_images, exfat_formatted_in_all_sizes) {
  NEED_TOOL("fsck.exfat");
  for (u64 mib : {1u, 5u, 70u, 300u}) {
    for (u32 sector : {512u, 4096u}) {
      std::vector<Byte> bytes(mib * kMiB);
      fs::MemoryMedium medium{std::span<Byte>(bytes)};
      REQUIRE(fs::format_exfat(medium, {.sector_bytes = sector}).has_value());
      auto exfat = fs::Exfat::mount(medium);
      REQUIRE(exfat.has_value());
      auto file = (*exfat)->create("GRÖSSE");
      REQUIRE(file.has_value());
      REQUIRE((*file)->flush().has_value());
      EXPECT((*exfat)->stat("größe").has_value() == false);  // ß has no capital letter
      EXPECT((*exfat)->stat("grösse").has_value());
      FileTree tree(0);
      write_host_file(tree.image(), std::string(bytes.begin(), bytes.end()));
      if (sector == 512) EXPECT(run_tool("fsck.exfat -n " + tree.image()));
    }
  }
  std::vector<Byte> little(kMiB / 2);
  fs::MemoryMedium medium{std::span<Byte>(little)};
  EXPECT(!fs::format_exfat(medium, {}).has_value());
}

TEST(fs_images, exfat_full) {
  NEED_TOOL("fsck.exfat");
  FileTree tree(0);
  Image image("/dev/null");
  image.bytes.resize(8 * kMiB);
  fs::MemoryMedium medium = image.medium();
  REQUIRE(fs::format_exfat(medium, {}).has_value());
  auto exfat = fs::Exfat::mount(medium);
  REQUIRE(exfat.has_value());
  u64 free = MUST((*exfat)->space()).free;
  std::vector<Byte> piece(1 << 20, 1);
  {
    auto file = (*exfat)->create("big");
    REQUIRE(file.has_value());
    Result<usize> written = usize{0};
    u64 at = 0;
    for (; at < 16 * kMiB && written.has_value(); at += piece.size())
      written = (*file)->write_at(at, piece);
    REQUIRE(!written.has_value());
    EXPECT(written.error().code == Errc::kFull);
    EXPECT_EQ((*file)->size(), at - piece.size());
    EXPECT((*file)->appears_at_flush());
    EXPECT(!(*exfat)->stat("big").has_value());
    REQUIRE((*file)->flush().has_value());
    EXPECT(!(*file)->appears_at_flush());
    EXPECT(!(*exfat)->remove("big").has_value());  // somebody has it open
  }
  EXPECT((*exfat)->remove("big").has_value());
  EXPECT_EQ(MUST((*exfat)->space()).free, free);
  {
    auto file = (*exfat)->create("never flushed");
    REQUIRE(file.has_value());
    REQUIRE((*file)->write_at(100, piece).has_value());
  }
  EXPECT(!(*exfat)->stat("never flushed").has_value());
  EXPECT_EQ(MUST((*exfat)->space()).free, free);
  write_host_file(tree.image(), image.bytes);
  EXPECT(run_tool("fsck.exfat -n " + tree.image()));
}

// Two that have one file open: what one writes must not be overwritten by the other.
TEST(fs_images, exfat_with_two_writers) {
  std::vector<Byte> bytes(2 * kMiB);
  fs::MemoryMedium medium{std::span<Byte>(bytes)};
  REQUIRE(fs::format_exfat(medium, {}).has_value());
  auto exfat = fs::Exfat::mount(medium);
  REQUIRE(exfat.has_value());
  const Byte text[] = {1, 2, 3};
  {
    auto file = (*exfat)->create("x");
    REQUIRE(file.has_value());
    REQUIRE((*file)->write_at(0, text).has_value());
    REQUIRE((*file)->flush().has_value());
  }
  auto one = (*exfat)->open("x"), two = (*exfat)->open("x");
  REQUIRE(one.has_value() && two.has_value());
  REQUIRE((*one)->write_at(3, text).has_value());
  REQUIRE((*one)->flush().has_value());
  auto late = (*two)->write_at(3, text);
  REQUIRE(!late.has_value());
  EXPECT(late.error().code == Errc::kBusy);
  EXPECT(!(*exfat)->create("X").has_value());
  EXPECT_EQ(MUST((*exfat)->stat("x")).size, 6u);
}
