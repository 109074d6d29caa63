// SPDX-License-Identifier: GPL-2.0-or-later
// Mounts, boot modules as files, the host's files, whole files in memory.
#include "kernel/fs/file_system.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "arch/host/host_fs.h"
#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "kernel/fs/disks.h"
#include "kernel/fs/module_fs.h"
#include "service/model_image.h"
#include "tests/hosted/console_tiny_model.h"
#include "tests/hosted/test_threads.h"

namespace {

BootModule module_of(std::string_view text, std::string_view command_line) {
  return {reinterpret_cast<u64>(text.data()), text.size(), command_line};
}

struct Names final : fs::DirectoryVisitor {
  std::string text;
  void on_entry(std::string_view name, const fs::FileInfo& info) override {
    text += std::string(name) + ":" + std::to_string(info.size) + " ";
  }
};

struct TemporaryFolder {
  char path[64] = "/tmp/marrow_fs_test_XXXXXX";
  TemporaryFolder() {
    if (mkdtemp(path) == nullptr) std::abort();
  }
  ~TemporaryFolder() { rmdir(path); }
  std::string in(std::string_view name) const {
    return "/host" + std::string(path) + "/" + std::string(name);
  }
};

}  // namespace

TEST(fs, modules_are_named_by_their_command_line) {
  const BootModule modules[] = {
      module_of("GGUFdata", "/boot/models/tiny.gguf with words"),
      module_of("threads=2\n", "/boot/marrow.cfg"),
      module_of("other", "/x/tiny.gguf"),
      module_of("nameless", ""),
  };
  fs::ModuleFileSystem files;
  files.init(modules);
  Names names;
  REQUIRE(files.list("", names).has_value());
  EXPECT_EQ(std::string_view(names.text), "tiny.gguf:8 marrow.cfg:10 tiny.gguf2:5 module3:8 ");
  auto file = files.open("tiny.gguf");
  REQUIRE(file.has_value());
  auto mapped = (*file)->map();
  REQUIRE(mapped.has_value());
  EXPECT_EQ(reinterpret_cast<u64>(mapped->data()), modules[0].base);  // in place
  Byte bytes[8];
  auto read = (*file)->read_at(4, bytes);
  REQUIRE(read.has_value());
  EXPECT_EQ(*read, 4u);
  EXPECT_EQ((*file)->read_at(99, bytes).value_or(1), 0u);
  EXPECT(!files.open("missing").has_value());
  EXPECT(!files.create("new").has_value());
}

TEST(fs, long_and_many_module_names_fit) {
  std::string long_name(3000, 'n');
  BootModule modules[16];
  for (BootModule& m : modules) m = module_of("x", long_name);
  fs::ModuleFileSystem files;
  files.init(modules);
  EXPECT_EQ(files.count(), 16u);
  for (usize i = 1; i < files.count(); i++) EXPECT(files.name(i) != files.name(i - 1));
}

TEST(fs, paths_find_their_mount) {
  mount_host_files();
  EXPECT(fs::stat("/host/tmp").has_value());
  EXPECT(fs::stat("/host//tmp/").has_value());
  EXPECT(!fs::stat("/hosttmp").has_value());
  EXPECT(!fs::stat("host/tmp").has_value());
  EXPECT(!fs::stat("").has_value());
  EXPECT(fs::open("/host/tmp/../etc/passwd").has_value());
  EXPECT(fs::stat("/host/./tmp/.").has_value());
  EXPECT(fs::stat("/nowhere/../host/tmp").has_value());
  EXPECT(!fs::stat("/host/tmp/../../tmp").has_value());  // above the mount it is not the host's
  EXPECT(fs::stat("/../..").has_value());
  EXPECT(!fs::open("/host/tmp").has_value());  // a directory
  EXPECT(!fs::mount("/host", host::file_system()).has_value());
  EXPECT(!fs::mount("host2", host::file_system()).has_value());
  Names names;
  REQUIRE(fs::list("/", names).has_value());
  EXPECT(names.text.find("host:0 ") != std::string::npos);
}

// A disk whose files are open is not erased.
TEST(fs, open_files_are_counted) {
  const BootModule modules[] = {module_of("some text", "/boot/a")};
  fs::ModuleFileSystem files, other;
  files.init(modules);
  MUST(fs::mount("/counted", files));
  EXPECT_EQ(fs::open_files(files), 0u);
  {
    auto one = fs::open("/counted/a"), two = fs::open("/counted/a");
    REQUIRE(one.has_value() && two.has_value());
    EXPECT_EQ(fs::open_files(files), 2u);
    EXPECT_EQ(fs::open_files(other), 0u);
    one->reset();
    EXPECT_EQ(fs::open_files(files), 1u);
  }
  EXPECT_EQ(fs::open_files(files), 0u);
  fs::unmount("/counted");
}

TEST(fs, host_files_are_made_written_listed_and_removed) {
  mount_host_files();
  TemporaryFolder folder;
  {
    auto file = fs::create(folder.in("a"));
    REQUIRE(file.has_value());
    constexpr std::string_view kText = "hello";
    auto wrote = (*file)->write_at(3, {reinterpret_cast<const Byte*>(kText.data()), 5});
    EXPECT_EQ(wrote.value_or(0), 5u);
    EXPECT_EQ((*file)->size(), 8u);
    EXPECT((*file)->flush().has_value());
    EXPECT((*file)->truncate(5).has_value());
  }
  // A key may be in it: nobody but its owner reads it.
  struct stat status{};
  EXPECT_EQ(::stat(folder.in("a").substr(5).c_str(), &status), 0);  // without "/host"
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
  auto text = fs::read_text(folder.in("a"));
  REQUIRE(text.has_value());
  EXPECT_EQ(text->view(), std::string_view("\0\0\0he", 5));
  EXPECT(!fs::read_text(folder.in("a"), 4).has_value());
  EXPECT(fs::make_directory(folder.in("d")).has_value());
  EXPECT(fs::remove(folder.in("d")).has_value());
  EXPECT(fs::remove(folder.in("a")).has_value());
  EXPECT(!fs::stat(folder.in("a")).has_value());
}

Result<service::ModelImage> load_image(std::string_view path) {
  test_threads::start();
  return service::ModelImage::load(path, {.before = 0, .total = 0, .watcher = nullptr});
}

TEST(fs, a_whole_file_is_mapped_privately) {
  mount_host_files();
  TemporaryFolder folder;
  {
    auto file = fs::create(folder.in("m"));
    REQUIRE(file.has_value());
    REQUIRE((*file)->write_at(0, {reinterpret_cast<const Byte*>("weights"), 7}).has_value());
  }
  {
    auto image = load_image(folder.in("m"));
    REQUIRE(image.has_value());
    REQUIRE(image->bytes().size() == 7);
    image->bytes()[0] = 'W';  // rewritten in memory, not on the disk
  }
  EXPECT_EQ(fs::read_text(folder.in("m"))->view(), "weights");
  EXPECT(fs::remove(folder.in("m")).has_value());
}

TEST(fs, files_in_memory_without_a_map_are_read_into_pages) {
  struct Plain final : fs::File {
    u64 size() const override { return 10'000; }
    Result<usize> read_at(u64 offset, std::span<Byte> out) override {
      for (usize i = 0; i < out.size(); i++) out[i] = static_cast<Byte>((offset + i) % 251);
      return out.size();
    }
  };
  struct PlainSystem final : fs::FileSystem {
    const char* kind() const override { return "plain"; }
    Result<base::Owner<fs::File>> open(std::string_view) override {
      return base::Owner<fs::File>(TRY(base::make<Plain>()));
    }
    Result<fs::FileInfo> stat(std::string_view) override { return fs::FileInfo{}; }
    Result<void> list(std::string_view, fs::DirectoryVisitor&) override { return {}; }
  };
  static PlainSystem system;
  static bool mounted = fs::mount("/plain", system).has_value();
  EXPECT(mounted);
  u64 before = mm::usage().of(mm::Purpose::kWeights);
  {
    auto image = load_image("/plain/x");
    REQUIRE(image.has_value());
    EXPECT_EQ(image->bytes().size(), 10'000u);
    EXPECT_EQ(image->bytes()[9'999], 9'999 % 251);
    EXPECT_EQ(mm::usage().of(mm::Purpose::kWeights), before + 12'288);
    host::fail_allocation(2);  // the pages, after the File object
    EXPECT(!load_image("/plain/x").has_value());
    host::fail_allocation(0);
  }
  EXPECT_EQ(mm::usage().of(mm::Purpose::kWeights), before);
}
