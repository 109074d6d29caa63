// SPDX-License-Identifier: GPL-2.0-or-later
// Reads arbitrary bytes as the manifest of an image that is installed, and as the two parts of a
// boot loader. What is taken has safe paths, and GRUB's parts keep their size and the rest of their
// bytes.
#include <algorithm>
#include <vector>

#include "kernel/base/bytes.h"
#include "service/install/loader.h"
#include "service/install/source.h"

namespace {

void need_safe(std::string_view path) {
  bool safe = path.starts_with('/') && !path.ends_with('/') && !path.contains("//") &&
              !path.contains("/../") && !path.ends_with("/..") && path.size() <= 100;
  ASSERT(safe);
  for (char c : path) ASSERT(c > ' ' && c < 0x7f && c != '\\' && c != ':' && c != '"');
}

void read_list(std::string_view text) {
  auto files = service::read_install_list(text);
  if (!files.has_value()) return;
  ASSERT(files->size() >= 2 && files->size() <= 64);
  for (const service::InstallFile& file : *files) {
    need_safe(file.from.view());
    std::string_view to = file.to.view();
    if (to != service::kToBootSector && to != service::kToBiosBoot) need_safe(to);
  }
}

// The fields that a part of GRUB must have are put in, because mutation would hardly find them.
void place(std::vector<Byte> image, bool whole) {
  if (whole && image.size() >= 512) {
    base::store<u64>(image.data() + 500, 2);
    base::store<u16>(image.data() + 508, static_cast<u16>(image.size() / 512 - 1));
    base::store<u16>(image.data() + 510, 0x820);
  }
  std::vector<Byte> before = image;
  if (service::place_core(image, 2048).has_value()) {
    ASSERT(base::load<u64>(image.data() + 500) == 2049);
    base::store<u64>(image.data() + 500, 2);
  }
  ASSERT(image == before);
  if (!service::place_boot_sector(image, 2048).has_value()) ASSERT(image == before);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  read_list({reinterpret_cast<const char*>(data), size});
  std::vector<Byte> image(data, data + size);
  place(image, false);
  image.resize(base::round_up(std::max<usize>(size, 1024), 512));
  place(image, true);
  image.resize(512);
  place(image, false);
  return 0;
}
