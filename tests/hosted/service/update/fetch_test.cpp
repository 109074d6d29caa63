// SPDX-License-Identifier: GPL-2.0-or-later
// Power cuts during `update URL`: while the file comes to the other volume of the disk, while it
// goes to its slot, and while it is removed.
#include "service/update/fetch.h"

#include "kernel/fs/exfat.h"
#include "kernel/fs/exfat_format.h"
#include "tests/hosted/scripted_network.h"
#include "tests/hosted/service/update/test_volume.h"

namespace {

using namespace test_update;

struct NoWatcher final : service::PullWatcher {
  void on_progress(u64, u64) override {}
  void on_check(u64, u64) override {}
  bool stopped() override { return false; }
  void on_note(std::string_view) override { notes++; }
  u32 notes = 0;
};

// The first connection breaks at `at`; the second brings the rest.
void serve(scripted::Network& network, const std::string& file, usize at) {
  using scripted::Answer;
  std::string mark = "ETag: \"1\"\r\n", total = std::to_string(file.size());
  network.answers.push_back(
      {"HTTP/1.1 200 OK\r\n" + mark + "Content-Length: " + total + "\r\n\r\n" + file.substr(0, at),
       Answer::End::kReset, 4096});
  network.answers.push_back({"HTTP/1.1 206 Partial Content\r\n" + mark + "Content-Range: bytes " +
                                 std::to_string(at) + "-" + std::to_string(file.size() - 1) + "/" +
                                 total + "\r\nContent-Length: " + std::to_string(file.size() - at) +
                                 "\r\n\r\n" + file.substr(at),
                             Answer::End::kClose, 4096});
}

TEST(update_fetch, a_power_cut_at_any_write) {
  Volume volume;
  MUST(fs::format_exfat(volume.behind, {.cluster_bytes = 4096}));
  auto exfat = MUST(fs::Exfat::mount(volume.behind));
  MUST(fs::mount("/disk/data", *exfat, fs::Home::kFixedDisk));
  std::string next = kernel_of('2', 600'000), file = signed_file(next);
  const Known known[] = {{'1', &kInstalledKernel}, {'2', &next}};
  Image before = volume.image;
  volume.medium.writes.clear(), volume.medium.flushes.clear();
  scripted::Network network;
  serve(network, file, kHeadBytes + 250'000);
  options::parse_command_line("pull.pause=0");
  NoWatcher watcher;
  NoSink sink;
  Result<Written> written =
      fetch_update("http://host.example/marrow.update", Plan{kPoint, {}, sink}, watcher);
  fs::unmount("/disk/data");
  REQUIRE(written.has_value());
  EXPECT(written->slot == Slot::kA && watcher.notes == 1 && network.answers.empty());
  u64 boot_bytes = volume.boot.size();
  usize behind = 0, tried = 0, untried = 0;
  for (const RecordedMedium::Write& write : volume.medium.writes)
    behind += write.offset >= boot_bytes;
  cut_everywhere(before, volume.medium, [&](const Image& image, bool complete) {
    Starts starts = starts_of(image, known);
    EXPECT(starts.first == '1' || starts.first == '2');
    EXPECT_EQ(starts.second, '1');
    if (complete) EXPECT_EQ(starts.first, '2');
    (starts.first == '2' ? tried : untried)++;
  });
  // The transfer, the slot and the removal were all cut.
  EXPECT(behind > 10 && volume.medium.writes.size() > behind + 5);
  EXPECT(tried > 1 && untried > behind);
}

}  // namespace
