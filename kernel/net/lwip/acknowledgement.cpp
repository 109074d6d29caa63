// SPDX-License-Identifier: GPL-2.0-or-later
// Reads acknowledgements from frames and decides which of two waiting ones need not be sent.
#include "kernel/net/lwip/acknowledgement.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "kernel/base/bytes.h"

namespace net {
namespace {

constexpr u8 kEndOption = 0, kPadOption = 1, kSackOption = 5;
constexpr usize kEthernet = 14, kTcpHeader = 20;
constexpr u8 kAckOnly = 0x10;  // in the flags byte
constexpr u8 kTcp = 6;

// Where an IP version keeps the needed fields, from the start of its header.
struct Layout {
  u16 ethernet_type;
  usize header;     // bytes without options; headers with options are not considered
  usize protocol;   // offset of the protocol's number
  usize length;     // offset of the length
  usize uncounted;  // header bytes that the length does not include
  usize addresses;  // offset of the addresses; the ports follow them
};
constexpr Layout kLayouts[] = {{0x0800, 20, 9, 2, 0, 12}, {0x86dd, 40, 6, 4, 40, 8}};

u16 read16(std::span<const Byte> bytes, usize at) {
  return static_cast<u16>(bytes[at] << 8 | bytes[at + 1]);
}
u32 read32(std::span<const Byte> bytes, usize at) {
  return u32{read16(bytes, at)} << 16 | read16(bytes, at + 2);
}
// Compares sequence numbers, which wrap around.
bool not_after(u32 a, u32 b) {
  return static_cast<i32>(a - b) <= 0;
}

struct Acknowledgement {
  std::span<const Byte> connection;  // addresses and ports
  u32 sequence, number;
  u16 window;
  Blocks held;
};

std::optional<Acknowledgement> read(std::span<const Byte> frame) {
  if (frame.size() < kEthernet) return std::nullopt;
  const Layout* ip =
      std::ranges::find(kLayouts, read16(frame, kEthernet - 2), &Layout::ethernet_type);
  if (ip == std::end(kLayouts)) return std::nullopt;
  usize tcp = kEthernet + ip->header;
  if (frame.size() < tcp + kTcpHeader) return std::nullopt;
  bool no_options = ip->uncounted != 0 || frame[kEthernet] == 0x45;
  if (!no_options || frame[kEthernet + ip->protocol] != kTcp) return std::nullopt;
  usize end = kEthernet + read16(frame, kEthernet + ip->length) + ip->uncounted;
  usize data = tcp + usize{frame[tcp + 12]} / 16 * 4;
  if (end > frame.size() || data != end || data < tcp + kTcpHeader) return std::nullopt;
  if (frame[tcp + 13] != kAckOnly) return std::nullopt;
  usize addresses = kEthernet + ip->addresses;
  return Acknowledgement{frame.subspan(addresses, tcp + 4 - addresses), read32(frame, tcp + 4),
                         read32(frame, tcp + 8), read16(frame, tcp + 14),
                         read_blocks(frame.subspan(tcp + kTcpHeader, data - tcp - kTcpHeader))};
}

bool told_by(const Block& block, const Acknowledgement& newer) {
  return not_after(block.right, newer.number) ||
         std::ranges::any_of(newer.held.view(), [&](const Block& b) {
           return not_after(b.left, block.left) && not_after(block.right, b.right);
         });
}

}  // namespace

Blocks read_blocks(std::span<const Byte> options) {
  Blocks blocks;
  for (usize at = 0; at < options.size() && options[at] != kEndOption;) {
    if (options[at] == kPadOption) {
      at++;
      continue;
    }
    usize size = at + 1 < options.size() ? usize{options[at + 1]} : 0;
    if (size < 2 || size > options.size() - at) break;
    for (usize b = at + 2; options[at] == kSackOption && b + 8 <= at + size; b += 8)
      if (!blocks.push_back({read32(options, b), read32(options, b + 4)})) break;
    at += size;
  }
  return blocks;
}

bool supersedes(std::span<const Byte> newer_frame, std::span<const Byte> older_frame) {
  std::optional<Acknowledgement> newer = read(newer_frame), older = read(older_frame);
  if (!newer || !older || !std::ranges::equal(newer->connection, older->connection)) return false;
  // A keep-alive probe has another sequence number.
  if (older->sequence != newer->sequence || !not_after(older->number, newer->number)) return false;
  // RFC 5681 counts duplicate acknowledgements. A peer that receives selective acknowledgements
  // does not need the count.
  bool counted = newer->number == older->number && newer->window == older->window;
  if (counted && newer->held.empty()) return false;
  return std::ranges::all_of(older->held.view(),
                             [&](const Block& block) { return told_by(block, *newer); });
}

bool is_acknowledgement(std::span<const Byte> frame) {
  return read(frame).has_value();
}

}  // namespace net
