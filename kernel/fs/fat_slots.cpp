// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the names in FAT directories.
#include "kernel/fs/fat_slots.h"

#include "kernel/base/utf8.h"
#include "kernel/fs/code_page.h"

namespace fs {
namespace {

constexpr u8 kLastLong = 0x40, kLowerBase = 0x08, kLowerExtension = 0x10;

// Appends a part of an 8.3 name without its padding.
Result<void> append_short(String& out, std::string_view padded, bool lower) {
  while (padded.ends_with(' ')) padded.remove_suffix(1);
  for (char c : padded) {
    u8 byte = static_cast<u8>(c);
    u32 point = byte < 0x80 ? byte : kCodePage850[byte - 0x80];
    char text[4];
    TRY(out.append({text, utf8::encode(lower ? code_page_lower(point) : point, text)}));
  }
  return {};
}

}  // namespace

u8 fat_short_checksum(const Byte* name) {
  u8 sum = 0;
  for (usize i = 0; i < 11; i++) sum = static_cast<u8>((sum >> 1 | sum << 7) + name[i]);
  return sum;
}

void FatNameReader::on_long(const Byte* slot) {
  u32 ordinal = slot[0] & 0x3f;
  if ((slot[0] & kLastLong) != 0) {
    reset();
    if (ordinal == 0 || ordinal > kFatMostLong) return;
    count_ = next_ = ordinal;
    checksum_ = slot[13];
  }
  if (next_ == 0 || ordinal != next_ || slot[13] != checksum_) {
    reset();
    return;
  }
  next_--;
  for (usize i = 0; i < kFatLongUnits; i++)
    units_[next_ * kFatLongUnits + i] = base::load<u16>(slot + kFatUnitAt[i]);
}

Result<String> FatNameReader::finish(const Byte* slot) {
  String name;
  if (count_ > 0 && next_ == 0 && fat_short_checksum(slot) == checksum_) {
    TRY(append_utf16(name, std::span(units_).first(count_ * kFatLongUnits)));
    if (printable_name(name.view())) return name;
    name.clear();
  }
  count_ = 0;
  char text[11];
  std::memcpy(text, slot, sizeof text);
  if (text[0] == 0x05)
    text[0] = static_cast<char>(0xe5);  // section 6.1: stands for a name that begins with this byte
  TRY(append_short(name, {text, 8}, (slot[12] & kLowerBase) != 0));
  if (text[8] != ' ') {
    TRY(name.push_back('.'));
    TRY(append_short(name, {text + 8, 3}, (slot[12] & kLowerExtension) != 0));
  }
  return name;
}

}  // namespace fs
