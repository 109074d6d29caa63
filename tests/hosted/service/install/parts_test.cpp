// SPDX-License-Identifier: GPL-2.0-or-later
// The parts of an installation that need no disk: its division, the places of GRUB, and the list of
// files in the image's manifest.
#include <fstream>
#include <set>
#include <string>

#include "kernel/base/bytes.h"
#include "service/install/layout.h"
#include "service/install/loader.h"
#include "service/install/source.h"
#include "tests/hosted/kernel/fs/images.h"
#include "tests/hosted/test_files.h"

namespace {

using service::DiskPart;

constexpr service::DiskNeeds kNeeds{.boot_bytes = 12 * kMiB, .model_bytes = 100 * kMiB};

TEST(install_layout, parts_follow_each_other) {
  for (u32 block : {512u, 2048u, 4096u}) {
    u64 least = service::least_disk_bytes(kNeeds, block);
    for (u64 bytes : {least, least + 5 * kMiB + block, 2 * kGiB, 500 * kGiB, 40'000 * kGiB}) {
      auto layout = service::plan_disk(bytes / block, block, kNeeds);
      REQUIRE(layout.has_value());
      fs::BlockRange usable = fs::usable_blocks(bytes / block, block);
      u64 at = kMiB;
      for (usize i = 0; i < service::kDiskParts; i++) {
        DiskPart part = static_cast<DiskPart>(i);
        EXPECT_EQ(layout->offset(part), at);
        EXPECT(layout->bytes(part) > 0 && layout->bytes(part) % kMiB == 0);
        at += layout->bytes(part);
      }
      EXPECT(usable.first * block <= kMiB && at <= usable.end * block);
      EXPECT(bytes - at < 3 * kMiB);
      EXPECT(layout->bytes(DiskPart::kBoot) >= 40 * kMiB);
      EXPECT(layout->bytes(DiskPart::kBoot) <= 512 * kMiB);
      EXPECT(layout->bytes(DiskPart::kData) > kNeeds.model_bytes);
      EXPECT_EQ(layout->boots_by_bios(), block == 512);
    }
    auto small = service::plan_disk((least - kMiB) / block, block, kNeeds);
    REQUIRE(!small.has_value());
    EXPECT(small.error().code == Errc::kFull);
  }
  EXPECT(!service::plan_disk(1'000'000, 520, kNeeds).has_value());
  EXPECT(!service::plan_disk(~u64{0}, 512, kNeeds).has_value());
}

TEST(install_layout, types_that_sgdisk_knows) {
  NEED_TOOL("sgdisk");
  std::vector<Byte> bytes(service::least_disk_bytes({}, 512));
  fs::MemoryMedium disk{std::span<Byte>(bytes)};
  auto layout = service::plan_disk(bytes.size() / 512, 512, {});
  REQUIRE(layout.has_value());
  std::array<fs::NewPartition, service::kDiskParts> rows;
  REQUIRE(fs::write_partitions(disk, service::table_of(*layout, service::random_ids(), rows, {}))
              .has_value());
  std::string image = own_image_path();
  std::ofstream(image, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
  EXPECT(run_tool("sgdisk -v " + image + " | grep -q 'No problems found'"));
  EXPECT(run_tool("sgdisk -p " + image + " | grep -q '^ *1 .* EF02  marrow bios boot'"));
  EXPECT(run_tool("sgdisk -p " + image + " | grep -q '^ *2 .* EF00  marrow boot'"));
  EXPECT(run_tool("sgdisk -p " + image + " | grep -q '^ *3 .* FFFF  marrow state'"));
  EXPECT(run_tool("sgdisk -p " + image + " | grep -q '^ *4 .* 0700  marrow data'"));
  std::remove(image.c_str());
}

TEST(install_layout, ids_of_a_seed) {
  auto a = service::ids_of(crypto::sha256("a")), again = service::ids_of(crypto::sha256("a"));
  auto b = service::ids_of(crypto::sha256("b")), other = service::random_ids();
  EXPECT(a.disk == again.disk && a.parts == again.parts && a.medium == again.medium);
  EXPECT(a.boot_serial == again.boot_serial && a.data_serial == again.data_serial);
  std::set<fs::Guid> all;
  for (const auto& ids : {a, b, other, service::random_ids()}) {
    all.insert(ids.disk);
    all.insert(ids.medium);
    all.insert(ids.parts.begin(), ids.parts.end());
    EXPECT(ids.boot_serial != ids.data_serial);
    EXPECT_EQ(ids.disk[7] >> 4, 4);  // the version of a GUID
  }
  EXPECT_EQ(all.size(), 4 * (2 + service::kDiskParts));
}

std::vector<Byte> grub_image(const char* name) {
  std::string text;
  static_cast<void>(read_file(std::string("/usr/lib/grub/i386-pc/") + name, text));
  return {text.begin(), text.end()};
}

TEST(install_loader, boot_sector_of_grub) {
  std::vector<Byte> image = grub_image("boot.img");
  if (image.empty()) return test.skip("GRUB for BIOS is not installed: scripts/setup.sh iso");
  std::vector<Byte> before = image;
  REQUIRE(service::place_boot_sector(image, 0x123456789a).has_value());
  EXPECT_EQ(base::load<u64>(image.data() + 0x5c), 0x123456789au);
  EXPECT_EQ(base::load<u16>(image.data() + 0x66), 0x9090u);
  for (usize i = 0; i < image.size(); i++)
    if (i < 0x5c || i >= 0x68) EXPECT_EQ(image[i], before[i]);
  EXPECT(!service::place_boot_sector(image, 1).has_value());  // it has a place already
  for (usize at : {0u, 0x5cu, 0x63u, 0x64u, 0x66u, 511u}) {
    image = before;
    image[at] ^= 1;
    EXPECT(!service::place_boot_sector(image, 1).has_value());
  }
  EXPECT(!service::place_boot_sector(std::span(before).first(511), 1).has_value());
  EXPECT(!service::place_boot_sector({}, 1).has_value());
}

TEST(install_loader, core_of_grub) {
  std::vector<Byte> core = grub_image("diskboot.img");
  if (core.empty()) return test.skip("GRUB for BIOS is not installed: scripts/setup.sh iso");
  core.resize(200 * 512, 7);
  base::store<u16>(core.data() + 508, 199);  // as grub-mkimage does
  std::vector<Byte> before = core;
  REQUIRE(service::place_core(core, 2048).has_value());
  EXPECT_EQ(base::load<u64>(core.data() + 500), 2049u);
  for (usize i = 0; i < core.size(); i++)
    if (i < 500 || i >= 508) EXPECT_EQ(core[i], before[i]);
  for (usize at : {496u, 500u, 507u, 508u, 510u}) {
    core = before;
    core[at] ^= 1;
    EXPECT(!service::place_core(core, 2048).has_value());
  }
  core = before;
  core.push_back(0);
  EXPECT(!service::place_core(core, 2048).has_value());
  EXPECT(!service::place_core(std::span(before).first(512), 2048).has_value());
  EXPECT(!service::place_core({}, 2048).has_value());
}

std::string row(const std::string& file, const std::string& to, const std::string& size = "5",
                const std::string& sha256 = std::string(64, 'a')) {
  return R"({"file": ")" + file + R"(", "to": ")" + to + R"(", "size": )" + size +
         R"(, "sha256": ")" + sha256 + "\"}";
}

Result<Vector<service::InstallFile>> list_of(const std::string& rows) {
  std::string loader = row("/boot/a.img", "boot sector") + "," + row("/boot/b.img", "bios boot");
  return service::read_install_list("{\"install\": [" + loader + rows + "]}");
}

TEST(install_source, lists_that_are_read) {
  auto list = list_of("," + row("/boot/x.y_z-1", "/EFI/BOOT/BOOTX64.EFI", "268435456"));
  REQUIRE(list.has_value() && list->size() == 3);
  EXPECT((*list)[2].from.view() == "/boot/x.y_z-1");
  EXPECT((*list)[2].to.view() == "/EFI/BOOT/BOOTX64.EFI");
  EXPECT_EQ((*list)[2].bytes, 256 * kMiB);
  EXPECT_EQ((*list)[2].sha256[31], 0xaau);
  for (auto [text, date] : {std::pair(R"({"date": 1767225600})", 1767225600u),
                            {"{}", 0u},
                            {R"({"date": -5})", 0u},
                            {R"({"date": "x"})", 0u}}) {
    auto read = service::read_image_date(text);
    EXPECT(read.has_value() && *read == date);
  }
}

TEST(install_source, lists_that_are_refused) {
  const char* paths[] = {"",        "/",    "x",    "x/y",     "/x/",  "//x", "/x//y",    "/..",
                         "/x/../y", "/./x", "/a b", "/a\\\\b", "/a:b", "/ä",  "/a\\u0000"};
  for (const char* path : paths) {
    EXPECT(!list_of("," + row(path, "/x")).has_value());
    EXPECT(!list_of("," + row("/x", path)).has_value());
  }
  EXPECT(!list_of("," + row("/x", "/" + std::string(100, 'x'))).has_value());
  EXPECT(!list_of("," + row("/x", "/x", "-1")).has_value());
  EXPECT(!list_of("," + row("/x", "/x", "268435457")).has_value());
  EXPECT(!list_of("," + row("/x", "/x", "\"5\"")).has_value());
  EXPECT(!list_of("," + row("/x", "/x", "5", std::string(63, 'a'))).has_value());
  EXPECT(!list_of("," + row("/x", "/x", "5", std::string(64, 'g'))).has_value());
  EXPECT(!list_of("," + row("/x", "/x") + "," + row("/y", "/X")).has_value());
  EXPECT(!list_of("," + row("/x", "boot sector")).has_value());
  EXPECT(!list_of(",5").has_value());
  std::string many;
  for (u32 i = 0; i < 127; i++) many += "," + row("/x", "/x" + std::to_string(i));
  EXPECT(!list_of(many).has_value());
  auto none = service::read_install_list(R"({"models": []})");
  REQUIRE(!none.has_value());
  EXPECT(none.error().code == Errc::kNotFound);
  EXPECT(!service::read_install_list("{\"install\": [" + row("/x", "/x") + "]}").has_value());
  EXPECT(!service::read_install_list("{").has_value());
}

}  // namespace
