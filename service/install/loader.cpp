// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the placing of GRUB. The offsets are those of its header for PCs (boot.h, release 2).
#include "service/install/loader.h"

#include "kernel/base/bytes.h"

namespace service {
namespace {

constexpr usize kSector = 512;
constexpr usize kCoreBlock = 0x5c;     // of boot.img: the first sector of the core, 64 bits
constexpr usize kDrive = 0x64;         // of boot.img: the BIOS' number of the disk
constexpr usize kDriveCheck = 0x66;    // of boot.img: a jump over the repair of a wrong number
constexpr usize kList = kSector - 12;  // of diskboot.img: the first block list
constexpr Byte kAnyDrive = 0xff;       // the disk that the BIOS has started from
constexpr Byte kNop = 0x90;
// Where the core's second sector is loaded: 0x8200, as a segment.
constexpr u16 kLoadSegment = 0x820;
constexpr u64 kMostSectors = 960;  // the 480 KiB that GRUB's own tools allow

constexpr const char* kOther =
    "the boot loader on this medium is not a GRUB 2 for BIOS: make the image anew";

}  // namespace

Result<void> place_boot_sector(std::span<Byte> image, u64 core_block) {
  bool whole = image.size() == kSector && base::load<u16>(image.data() + 510) == 0xaa55;
  if (!whole) return fail(Errc::kCorrupt, kOther);
  Byte* s = image.data();
  bool known = s[0] == 0xeb && base::load<u64>(s + kCoreBlock) == 1 && s[kDrive] == kAnyDrive &&
               s[kDriveCheck] == 0xeb;
  if (!known) return fail(Errc::kCorrupt, kOther);
  base::store<u64>(s + kCoreBlock, core_block);
  // Without the jump a BIOS that gives a number of no hard disk is corrected to the first one.
  s[kDriveCheck] = s[kDriveCheck + 1] = kNop;
  return {};
}

Result<void> place_core(std::span<Byte> image, u64 core_block) {
  u64 sectors = image.size() / kSector;
  if (image.size() % kSector != 0 || sectors < 2 || sectors > kMostSectors)
    return fail(Errc::kCorrupt, kOther);
  Byte* list = image.data() + kList;
  // grub-mkimage writes the list of an image that lies in one piece; the one before must be empty.
  bool known = base::load<u64>(list) == 2 && base::load<u16>(list + 8) == sectors - 1 &&
               base::load<u16>(list + 10) == kLoadSegment && base::load<u16>(list - 12 + 8) == 0;
  if (!known) return fail(Errc::kCorrupt, kOther);
  base::store<u64>(list, core_block + 1);
  return {};
}

}  // namespace service
