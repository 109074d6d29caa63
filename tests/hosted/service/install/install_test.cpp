// SPDX-License-Identifier: GPL-2.0-or-later
// Installations on a disk in memory: what is there afterwards, what is refused, and what a power
// cut, a lying disk or Ctrl-C leaves.
#include "service/install/install.h"

#include <sanitizer/lsan_interface.h>

#include <random>
#include <string>

#include "kernel/base/hex.h"
#include "kernel/fs/disks.h"
#include "kernel/fs/exfat.h"
#include "kernel/fs/fat.h"
#include "kernel/fs/partition.h"
#include "kernel/time/wall_clock.h"
#include "service/install/sums.h"
#include "tests/hosted/test_mount.h"
#include "tests/hosted/test_threads.h"

namespace {

using service::DiskPart;
using service::DiskState;

class RamDisk final : public BlockDevice {
 public:
  explicit RamDisk(u64 bytes, const char* name = "ram0") : name_(name), bytes_(bytes, 0xe9) {}
  ~RamDisk() { MUST(fs::release_disk(*this)); }
  RamDisk(const RamDisk&) = delete;
  std::string_view name() const override { return name_; }
  std::string_view driver() const override { return "ram"; }
  BlockGeometry geometry() const override {
    return {.blocks = bytes_.size() / kBlock,
            .block_bytes = kBlock,
            .read_only = read_only,
            .fixed = true};
  }
  u32 queue_depth() const override { return 4; }
  Result<void> submit(BlockRequest& request) override {
    Byte* at = bytes_.data() + request.first_block * kBlock;
    usize count = request.buffer.size();
    if (request.operation == BlockOperation::kRead) std::memcpy(request.buffer.data(), at, count);
    if (request.operation == BlockOperation::kWrite) {
      writes++;
      if (writes > writes_left) return fail(Errc::kIo, "the power is gone");
      std::memcpy(at, request.buffer.data(), count);
      if (lossy && count >= 64 * 1024) at[count / 2] ^= 1;
    }
    request.status = {};
    request.complete(request);
    return {};
  }
  void poll() override {}

  std::span<Byte> bytes() { return bytes_; }
  u64 writes = 0, writes_left = ~u64{0};
  bool read_only = false, lossy = false;

 private:
  static constexpr u32 kBlock = 512;
  const char* name_;
  std::vector<Byte> bytes_;
};

std::string boot_image() {
  std::string image(512, 0);
  image[0] = static_cast<char>(0xeb);
  image[0x5c] = 1;
  image[0x64] = static_cast<char>(0xff);
  image[0x66] = static_cast<char>(0xeb);
  return image.replace(510, 2, "\x55\xaa");
}

std::string core_image() {
  std::string image(40 * 512, 'c');
  image.replace(488, 24, std::string(24, 0));
  image[500] = 2;
  image[508] = 39;
  return image.replace(510, 2, "\x20\x08");
}

std::string gguf(usize bytes) {
  std::string text(bytes, 'm');
  for (usize i = 0; i < bytes; i += 100) text[i] = static_cast<char>(i / 100);
  return text.replace(0, 4, "GGUF");
}

std::span<const Byte> bytes_of(const std::string& text) {
  return {reinterpret_cast<const Byte*>(text.data()), text.size()};
}

// The files that the loader of an image has put into memory.
struct Image {
  const std::string kernel = std::string(3'000'000, 'k'), model = gguf(700'000);
  const std::string boot = boot_image(), core = core_image();
  std::string list;
  std::string manifest() {
    list = "";
    add("/boot/install/mbr.img", "boot sector", boot);
    add("/boot/install/core.img", "bios boot", core);
    add("/boot/install/mbr.img", "/boot/install/mbr.img", boot);
    add("/boot/install/core.img", "/boot/install/core.img", core);
    add("/EFI/BOOT/BOOTX64.EFI", "/EFI/BOOT/BOOTX64.EFI", "loader of UEFI");
    add("/boot/marrow.elf", "/boot/marrow.elf", kernel);
    add("/boot/keys/nothing.cfg", "/boot/keys/nothing.cfg", "");
    return "{\"install\": [" + list + "]}";
  }
  void add(const char* file, const char* to, const std::string& text) {
    String hex = MUST(base::hex_text(crypto::sha256(text)));
    list += std::string(list.empty() ? "" : ",") + R"({"file": ")" + file + R"(", "to": ")" + to +
            R"(", "size": )" + std::to_string(text.size()) + R"(, "sha256": ")" +
            std::string(hex.view()) + "\"}";
  }
};

struct Booted {
  Image image;
  FewFiles files;
  explicit Booted(const char* id = "0123")
      : files("/boot", {{"manifest.json", image.manifest()},
                        {"medium.id", std::string(id) + "\n"},
                        {"mbr.img", image.boot},
                        {"core.img", image.core},
                        {"BOOTX64.EFI", "loader of UEFI"},
                        {"marrow.elf", image.kernel},
                        {"nothing.cfg", ""},
                        {"tiny.gguf", image.model}}) {
    test_threads::start();
  }
};

struct Watcher final : service::ProgressSink {
  void on_progress(u64 done, u64 total) override {
    calls++;
    sane = sane && done <= total && done >= last;
    last = done;
  }
  bool stopped() override { return calls >= stop_at; }
  u64 calls = 0, stop_at = ~u64{0}, last = 0;
  bool sane = true;
};

constexpr u64 kDiskBytes = 112 * kMiB;

Result<void> install(RamDisk& disk, DiskState& state, u64 stop_at = ~u64{0},
                     const service::DiskIds& ids = service::random_ids()) {
  service::InstallSource source = TRY(service::find_install_source());
  __lsan::ScopedDisabler disabled;  // what is mounted by its disk is never freed
  Watcher copying, checking;
  copying.stop_at = stop_at;
  Result<void> done = service::install_boot(source, disk, ids, {copying, checking}, state);
  ASSERT(copying.sane);
  return done;
}

std::string read_back(const std::string& path) {
  auto text = fs::read_text(path, 8 * kMiB);
  return text.has_value() ? std::string(text->view()) : "(nothing)";
}

TEST(install, a_disk_that_boots) {
  Booted booted;
  RamDisk disk(kDiskBytes);
  DiskState state = DiskState::kComplete;
  REQUIRE(install(disk, state).has_value());
  EXPECT(state == DiskState::kBoots);
  EXPECT(read_back("/disk/ram0p2/boot/marrow.elf") == booted.image.kernel);
  EXPECT(read_back("/disk/ram0p2/EFI/BOOT/BOOTX64.EFI") == "loader of UEFI");
  EXPECT(read_back("/disk/ram0p2/boot/keys/nothing.cfg").empty());
  EXPECT(read_back("/disk/ram0p2/boot/manifest.json") == booted.image.manifest());
  EXPECT_EQ(read_back("/disk/ram0p2/boot/medium.id").size(), 33u);
  // The boot sector loads the first block of partition 1, and that the ones behind it.
  EXPECT_EQ(base::load<u64>(disk.bytes().data() + 0x5c), 2048u);
  EXPECT_EQ(base::load<u64>(disk.bytes().data() + kMiB + 500), 2049u);
  auto rest = disk.bytes().subspan(kMiB + 512, booted.image.core.size() - 512);
  EXPECT(std::ranges::equal(rest, bytes_of(booted.image.core).subspan(512)));
  auto data = service::data_point(disk);
  REQUIRE(data.has_value());
  EXPECT(data->view() == "/disk/ram0p4");
  auto source = service::find_install_source();
  REQUIRE(source.has_value() && source->models.size() == 1);
  Watcher copying, checking;
  auto folder = service::install_model(source->models[0], data->view(), {copying, checking});
  REQUIRE(folder.has_value());
  EXPECT(folder->view() == "/disk/ram0p4/models/tiny/1");
  EXPECT(read_back("/disk/ram0p4/models/tiny/1/model.gguf") == booted.image.model);
}

// Returns the bytes of a disk that an image with one model was installed to at a time of day.
std::vector<Byte> installed_at(u64 unix_seconds, const service::DiskIds& ids) {
  u64 before = timing::unix_ns();
  timing::set_unix_ns(unix_seconds * 1'000'000'000);
  RamDisk disk(kDiskBytes);
  DiskState state = DiskState::kUntouched;
  MUST(install(disk, state, ~u64{0}, ids));
  auto source = MUST(service::find_install_source());
  auto data = MUST(service::data_point(disk));
  service::ModelSums sums(data.view());
  Watcher copying, checking;
  String folder = MUST(service::install_model(source.models[0], data.view(), {copying, checking}));
  MUST(sums.add(source.models[0], folder.view()));
  MUST(sums.write());
  before == 0 ? timing::forget_unix_time() : timing::set_unix_ns(before);
  return {disk.bytes().begin(), disk.bytes().end()};
}

TEST(install, a_disk_that_is_made_twice) {
  constexpr u64 kThen = 1'767'225'600, kLater = kThen + 86'400;
  Booted booted;
  service::DiskIds ids = service::ids_of(crypto::sha256("manifest"));
  std::vector<Byte> first;
  {
    timing::FixedFileDate date(kThen);
    EXPECT_EQ(timing::file_date(), kThen);
    first = installed_at(kThen, ids);
    EXPECT(first == installed_at(kLater, ids));
    EXPECT(first != installed_at(kThen, service::ids_of(crypto::sha256("another"))));
  }
  EXPECT(first != installed_at(kLater, ids));  // the clock's date again
}

TEST(install, lists_of_hashes_that_sha256sum_reads) {
  Booted booted;
  RamDisk disk(kDiskBytes);
  DiskState state = DiskState::kUntouched;
  REQUIRE(install(disk, state).has_value());
  auto line = [](const std::string& text, const char* path) {
    String hex = MUST(base::hex_text(crypto::sha256(text)));
    return std::string(hex.view()) + "  " + path + "\n";
  };
  std::string boot = read_back("/disk/ram0p2/SHA256SUMS");
  EXPECT(boot.contains(line(booted.image.kernel, "boot/marrow.elf")));
  EXPECT(boot.contains(line("", "boot/keys/nothing.cfg")));
  EXPECT(boot.contains(line(booted.image.manifest(), "boot/manifest.json")));
  // The id is the disk's own; the parts of the loader outside of the volume have no path.
  EXPECT_EQ(std::ranges::count(boot, '\n'), 6);
  auto data = service::data_point(disk);
  auto source = service::find_install_source();
  REQUIRE(data.has_value() && source.has_value());
  service::ModelSums sums(data->view());
  REQUIRE(sums.write().has_value());
  EXPECT_EQ(read_back("/disk/ram0p4/SHA256SUMS"), "(nothing)");  // no models, no list
  Watcher copying, checking;
  auto folder = service::install_model(source->models[0], data->view(), {copying, checking});
  REQUIRE(folder.has_value() && sums.add(source->models[0], folder->view()).has_value());
  REQUIRE(sums.write().has_value());
  std::string manifest = read_back("/disk/ram0p4/models/tiny/1/manifest.toml");
  EXPECT_EQ(read_back("/disk/ram0p4/SHA256SUMS"),
            line(manifest, "models/tiny/1/manifest.toml") +
                line(booted.image.model, "models/tiny/1/model.gguf"));
}

TEST(install, targets_that_are_refused) {
  Booted booted;
  auto source = service::find_install_source();
  REQUIRE(source.has_value());
  auto refused = [&](RamDisk& disk) {
    auto needed = service::need_install_target(*source, disk);
    return needed.has_value() ? "nothing" : errc_name(needed.error().code);
  };
  RamDisk small(90 * kMiB);
  EXPECT_EQ(std::string(refused(small)), errc_name(Errc::kFull));
  RamDisk disk(kDiskBytes);
  disk.read_only = true;
  EXPECT_EQ(std::string(refused(disk)), errc_name(Errc::kPermission));
  disk.read_only = false;
  DiskState state = DiskState::kUntouched;
  REQUIRE(install(disk, state).has_value());
  EXPECT_EQ(std::string(refused(disk)), "nothing");
  {
    auto file = fs::open("/disk/ram0p2/boot/marrow.elf");
    REQUIRE(file.has_value());
    EXPECT_EQ(std::string(refused(disk)), errc_name(Errc::kBusy));
    EXPECT(!install(disk, state).has_value());
    EXPECT(state == DiskState::kUntouched);
  }
  REQUIRE(install(disk, state).has_value());
}

TEST(install, the_disk_that_one_started_from) {
  RamDisk disk(kDiskBytes);
  DiskState state = DiskState::kUntouched;
  {
    Booted booted;
    REQUIRE(install(disk, state).has_value());
  }
  std::string id = read_back("/disk/ram0p2/boot/medium.id");
  Booted booted(id.substr(0, 32).c_str());
  auto started = service::is_boot_disk(disk);
  EXPECT(started.has_value() && *started);
  auto source = service::find_install_source();
  REQUIRE(source.has_value());
  EXPECT(source->point.view() == "/disk/ram0p2");
  EXPECT(!service::need_install_target(*source, disk).has_value());
  RamDisk other(kDiskBytes, "ram1");
  REQUIRE(install(other, state).has_value());
  EXPECT(read_back("/disk/ram1p2/boot/marrow.elf") == booted.image.kernel);
  EXPECT(read_back("/disk/ram1p2/boot/medium.id") != id);
}

TEST(install, a_power_cut_at_any_write) {
  Booted booted;
  u64 all = 0;
  {
    RamDisk disk(kDiskBytes);
    DiskState state = DiskState::kUntouched;
    REQUIRE(install(disk, state).has_value());
    all = disk.writes;
  }
  std::mt19937_64 random(4);
  for (u32 round = 0; round < 14; round++) {
    RamDisk disk(kDiskBytes);
    // The first writes, the last ones, and any between them.
    disk.writes_left = round < 2 ? round : round < 8 ? all - (round - 1) : random() % all;
    DiskState state = DiskState::kUntouched;
    EXPECT(!install(disk, state).has_value());
    EXPECT(state == DiskState::kErased);
    disk.writes_left = ~u64{0};
    fs::MemoryMedium medium(std::span<const Byte>(disk.bytes()));
    auto table = fs::read_partitions(medium, 512);
    bool none = table.has_value() && table->partitions.empty();
    // The last write is that of the boot sector, without which no partition is found.
    EXPECT(none);
    REQUIRE(install(disk, state).has_value());
    EXPECT(state == DiskState::kBoots);
  }
}

TEST(install, media_and_disks_that_lie) {
  Booted booted;
  RamDisk disk(kDiskBytes);
  disk.lossy = true;
  DiskState state = DiskState::kUntouched;
  auto lost = install(disk, state);
  REQUIRE(!lost.has_value());
  EXPECT(lost.error().code == Errc::kCorrupt);
  EXPECT(state == DiskState::kErased);
  disk.lossy = false;
  auto source = service::find_install_source();
  REQUIRE(source.has_value());
  source->files[3].sha256[5] ^= 1;  // the kernel's
  Watcher copying, checking;
  u64 before = disk.writes;
  auto wrong =
      service::install_boot(*source, disk, service::random_ids(), {copying, checking}, state);
  REQUIRE(!wrong.has_value());
  EXPECT(state == DiskState::kUntouched);
  EXPECT_EQ(disk.writes, before);
}

TEST(install, stopped_by_a_person) {
  Booted booted;
  RamDisk disk(kDiskBytes);
  DiskState state = DiskState::kComplete;
  auto early = install(disk, state, 2);
  EXPECT(!early.has_value() && early.error().code == Errc::kCancelled);
  EXPECT(state == DiskState::kUntouched);
  EXPECT_EQ(disk.writes, 0u);
  auto late = install(disk, state, 9);
  EXPECT(!late.has_value() && late.error().code == Errc::kCancelled);
  EXPECT(state == DiskState::kErased);
}

}  // namespace
