// SPDX-License-Identifier: GPL-2.0-or-later
// The disk in memory: what was written, what was not, the end, and memory that runs out.
#include "service/memory_disk.h"

#include <string>
#include <vector>

#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "kernel/fs/disks.h"
#include "kernel/fs/exfat.h"
#include "kernel/fs/exfat_format.h"
#include "tests/hosted/test_threads.h"

namespace {

using service::MemoryDisk;

TEST(memory_disk, bytes_stay_and_the_rest_is_zero) {
  test_threads::start();
  auto disk = MemoryDisk::create(16);
  REQUIRE(disk.has_value());
  EXPECT_EQ((*disk)->geometry().blocks, 16 * kMiB / 512);
  fs::DiskMedium medium(**disk);
  std::vector<Byte> text(3 * kMiB, 0x5a), back(3 * kMiB, 0xff);
  REQUIRE(medium.read(0, back).has_value());
  EXPECT(back == std::vector<Byte>(3 * kMiB, 0));  // nothing was written
  u64 at = 2 * kMiB - 512;                         // over the ends of pieces
  REQUIRE(medium.write(at, text).has_value());
  REQUIRE(medium.read(at, back).has_value());
  EXPECT(back == text);
  REQUIRE(medium.read(at - 512, std::span(back).first(1024)).has_value());
  EXPECT(back[0] == 0 && back[511] == 0 && back[512] == 0x5a);
  // The last block and one more, which a caller without a medium may ask for.
  BlockRequest past{.operation = BlockOperation::kRead,
                    .first_block = 16 * kMiB / 512 - 1,
                    .buffer = std::span(back).first(1024),
                    .complete = [](BlockRequest&) {},
                    .context = nullptr,
                    .status = {}};
  REQUIRE((*disk)->submit(past).has_value());
  EXPECT(!past.status.has_value());
  for (u64 wrong : {u64{0}, u64{15}, service::kMostMemoryDisk + 1})
    EXPECT(!MemoryDisk::create(wrong).has_value());
}

TEST(memory_disk, a_volume_on_it) {
  test_threads::start();
  auto disk = MemoryDisk::create(64);
  REQUIRE(disk.has_value());
  fs::DiskMedium medium(**disk);
  REQUIRE(fs::format_exfat(medium, {.serial = 1, .label = "MARROW RAM"}).has_value());
  auto volume = fs::Exfat::mount(medium);
  REQUIRE(volume.has_value());
  std::string text(5'000'000, 'm');
  {
    auto file = (*volume)->create("model.gguf");
    REQUIRE(file.has_value());
    auto bytes = std::span(reinterpret_cast<const Byte*>(text.data()), text.size());
    REQUIRE((*file)->write_at(0, bytes).has_value() && (*file)->flush().has_value());
  }
  auto file = (*volume)->open("model.gguf");
  REQUIRE(file.has_value());
  std::string back(text.size(), '-');
  EXPECT((*file)->read_at(0, {reinterpret_cast<Byte*>(back.data()), back.size()}).has_value());
  EXPECT(back == text);
}

TEST(memory_disk, memory_that_runs_out_is_an_error_of_the_write) {
  test_threads::start();
  auto disk = MemoryDisk::create(16);
  REQUIRE(disk.has_value());
  std::vector<Byte> block(512, 1);
  BlockRequest request{.operation = BlockOperation::kWrite,
                       .first_block = 5,
                       .buffer = block,
                       .complete = [](BlockRequest&) {},
                       .context = nullptr,
                       .status = {}};
  host::fail_allocation(1);
  REQUIRE((*disk)->submit(request).has_value());
  host::fail_allocation(0);
  REQUIRE(!request.status.has_value());
  EXPECT(request.status.error().code == Errc::kOutOfMemory);
  REQUIRE((*disk)->submit(request).has_value());
  EXPECT(request.status.has_value());  // the same write once more
}

}  // namespace
