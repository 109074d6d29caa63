// SPDX-License-Identifier: GPL-2.0-or-later
// Files of the host in memory: mapped, owned, settled, always the same bytes.
#include <unistd.h>

#include <cstdlib>
#include <ctime>

#include "arch/host/host_fs.h"
#include "arch/host/huge_mover.h"
#include "kernel/base/test.h"
#include "kernel/mm/memory.h"

namespace {

constexpr usize kBytes = 3 * mm::kLargePageBytes + 12345;

Byte byte_at(usize i) {
  return static_cast<Byte>(i * 31 + i / 4096 * 7);
}

bool as_written(std::span<const Byte> bytes) {
  for (usize i = 0; i < bytes.size(); i++)
    if (bytes[i] != byte_at(i)) return false;
  return bytes.size() == kBytes;
}

// A file of kBytes that is gone with this.
struct TemporaryFile {
  char path[32] = "/tmp/marrow_fs_XXXXXX";
  TemporaryFile() {
    int fd = mkstemp(path);
    if (fd < 0) return;
    Vector<Byte> bytes;
    if (bytes.resize(kBytes).has_value()) {
      for (usize i = 0; i < kBytes; i++) bytes[i] = byte_at(i);
      written = write(fd, bytes.data(), kBytes) == static_cast<ssize_t>(kBytes);
    }
    close(fd);
  }
  ~TemporaryFile() { unlink(path); }
  bool written = false;
};

// It, mapped.
struct MappedFile {
  explicit MappedFile(const TemporaryFile& on_disk) {
    auto opened = host::file_system().open(on_disk.path + 1);
    if (!opened.has_value()) return;
    file = std::move(*opened);
    bytes = file->map().value_or(std::span<Byte>());
  }
  base::Owner<fs::File> file;
  std::span<Byte> bytes;
};

void rest_a_millisecond() {
  timespec time{.tv_sec = 0, .tv_nsec = 1'000'000};
  nanosleep(&time, nullptr);
}

}  // namespace

TEST(fs_host, a_settled_file_keeps_its_bytes) {
  TemporaryFile on_disk;
  MappedFile mapped(on_disk);
  REQUIRE(on_disk.written && as_written(mapped.bytes));
  mapped.file->settle();
  for (u32 i = 0; i < 20; i++) EXPECT(as_written(mapped.bytes));
}

TEST(fs_host, an_owned_file_is_written_in_memory_only) {
  TemporaryFile on_disk;
  MappedFile mapped(on_disk);
  REQUIRE(on_disk.written && !mapped.bytes.empty());
  REQUIRE(mapped.file->own().has_value());
  EXPECT(as_written(mapped.bytes));
  mapped.bytes[kBytes - 1] ^= 1;
  EXPECT(!as_written(mapped.bytes));
  EXPECT(as_written(MappedFile(on_disk).bytes));
}

TEST(fs_host, a_mover_moves_all_but_the_rest) {
  TemporaryFile on_disk;
  MappedFile mapped(on_disk);
  REQUIRE(on_disk.written && !mapped.bytes.empty());
  host::HugeMover mover;
  mover.start(mapped.bytes);
  constexpr u64 kMoved = kBytes / mm::kLargePageBytes * mm::kLargePageBytes;
  for (u32 i = 0; i < 20'000 && mover.moved() < kMoved; i++) rest_a_millisecond();
  EXPECT_EQ(mover.moved(), kMoved);
  EXPECT(as_written(mapped.bytes));
}
