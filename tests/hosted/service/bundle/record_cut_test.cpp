// SPDX-License-Identifier: GPL-2.0-or-later
// Power cuts while the records of trust.toml versions and of epochs are written: a machine that
// starts from what is left reads the old text or the new one.
#include <string>

#include "kernel/base/test.h"
#include "kernel/fs/fat.h"
#include "kernel/fs/fat_format.h"
#include "kernel/fs/file_system.h"
#include "service/bundle/epochs.h"
#include "service/bundle/record.h"
#include "service/storage.h"
#include "tests/hosted/recorded_medium.h"
#include "tests/hosted/test_threads.h"

namespace {

using namespace service::bundle;

constexpr std::string_view kPoint = "/disk/inside";
// No other test knows it, so no other text in this program's memory has its epoch.
constexpr std::string_view kBundle = "cut-while-kept";

// A disk inside the machine, with the file system that a cut can tear most. It is mounted as long
// as it lives. Nothing is known from before.
struct Disk {
  RecordedMedium medium;
  base::Owner<fs::Fat> fat;

  explicit Disk(Image& image) : medium(image), fat(MUST(fs::Fat::mount(medium))) {
    test_threads::start();
    forget_epochs();
    MUST(fs::mount(kPoint, *fat, fs::Home::kFixedDisk));
  }
  ~Disk() {
    fs::unmount(kPoint);
    forget_epochs();
  }
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;
};

Image empty_image() {
  Image image(fs::least_fat32_bytes(512) + kMiB);
  fs::MemoryMedium medium{std::span<Byte>(image)};
  MUST(fs::format_fat32(medium, {.label = "DISK"}));
  return image;
}

// Prepares a disk, changes it, and gives each disk that a cut could leave to `judge`.
template <class Prepare, class Change, class Judge>
usize cut_while(Prepare prepare, Change change, Judge judge) {
  Image image = empty_image();
  {
    Disk disk(image);
    prepare();
  }
  Image before = image;
  Disk* disk = new Disk(image);
  change();
  RecordedMedium written = disk->medium;
  delete disk;
  usize images = 0;
  cut_everywhere(before, written, [&](const Image& left, bool complete) {
    Image copy = left;
    Disk again(copy);
    images++;
    judge(complete);
  });
  return images;
}

TEST(bundle_record, a_power_cut_at_any_write_leaves_the_old_text_or_the_new_one) {
  for (const char* name : {"versions", "epochs"}) {
    usize old = 0, fresh = 0;
    usize images = cut_while(
        [&] {
          MUST(store_record(name, "the first text"));
          MUST(store_record(name, std::string(3000, 'o')));
        },
        [&] { MUST(store_record(name, std::string(5000, 'n'))); },
        [&](bool complete) {
          Result<String> text = load_record(name);
          REQUIRE(text.has_value());
          old += text->view() == std::string(3000, 'o');
          fresh += text->view() == std::string(5000, 'n');
          if (complete) EXPECT(text->view() == std::string(5000, 'n'));
        });
    EXPECT_EQ(old + fresh, images);
    EXPECT(old > 10 && fresh > 1);
  }
}

TEST(bundle_record, a_power_cut_never_lowers_an_epoch) {
  usize old = 0, fresh = 0;
  usize images = cut_while(
      [&] {
        MUST(raise_epoch(kBundle, 6));
        MUST(raise_epoch(kBundle, 7));
      },
      [&] { MUST(raise_epoch(kBundle, 8)); },
      [&](bool complete) {
        Result<u64> epoch = epoch_of(kBundle);
        REQUIRE(epoch.has_value());
        old += *epoch == 7;
        fresh += *epoch == 8;
        if (complete) EXPECT_EQ(*epoch, 8u);
      });
  EXPECT_EQ(old + fresh, images);
  EXPECT(old > 10 && fresh > 1);
}

constexpr const char* kOldFile = R"({"epochs":[{"name":"cut-while-kept","epoch":"9"}]})";

void write_old_file(std::string_view text) {
  MUST(service::store_text("trust", "epochs", text, service::StoreOn::kFixedDisk));
}

TEST(bundle_record, the_file_of_an_earlier_version_is_taken_over_at_any_power_cut) {
  usize whole = 0;
  usize images =
      cut_while([&] { write_old_file(kOldFile); }, [&] { EXPECT_EQ(MUST(epoch_of(kBundle)), 9u); },
                [&](bool) { whole += MUST(epoch_of(kBundle)) == 9; });
  EXPECT(images > 20);
  EXPECT_EQ(whole, images);
}

TEST(bundle_record, the_file_of_an_earlier_version_lowers_nothing_and_counts_once) {
  Image image = empty_image();
  {
    Disk disk(image);
    MUST(raise_epoch(kBundle, 12));
    write_old_file(kOldFile);
  }
  {
    Disk disk(image);
    EXPECT_EQ(MUST(epoch_of(kBundle)), 12u);
    MUST(accept_older(kBundle));
  }
  Disk disk(image);
  EXPECT_EQ(MUST(epoch_of(kBundle)), 0u);  // what was in the file does not come back
}

// The disk with the record may be mounted after the first bundle was loaded.
TEST(bundle_record, a_disk_that_comes_later_raises_what_is_known) {
  Image image = empty_image();
  {
    Disk disk(image);
    MUST(raise_epoch(kBundle, 30));
  }
  EXPECT(MUST(epoch_of(kBundle)) < 30u);
  Disk disk(image);
  MUST(raise_epoch("cut-another", 1));
  EXPECT_EQ(MUST(epoch_of(kBundle)), 30u);
  MUST(accept_older(kBundle));
  MUST(accept_older("cut-another"));
}

}  // namespace
