// SPDX-License-Identifier: GPL-2.0-or-later
// Finds the message unit that a PCI function's writes reach, and its number there: I/O Remapping
// Table, Arm DEN 0049E, 3.1. IOMMUs are taken to pass everything on, because nothing turns them on.
#include "kernel/acpi/fields.h"

namespace acpi {
namespace {

constexpr u64 kNodes = 36, kFirstNode = 40;  // offsets of their number and of the first one
constexpr u32 kItsGroup = 0, kRootComplex = 2, kSmmu = 3, kSmmu3 = 4;
constexpr u32 kMappingBytes = 20;
constexpr u32 kMostNodes = 4096, kMostMappings = 1024;

struct Mapping {
  u32 first, count, output, target;
};

struct IoNode {
  Bytes bytes;
  u8 kind() const { return field<u8>(bytes, 0); }
  u32 mappings() const { return std::min(field<u32>(bytes, 8), kMostMappings); }
  Mapping mapping(u32 index) const {
    u64 at = field<u32>(bytes, 12) + u64{index} * kMappingBytes;
    // The table holds the number of identities less one.
    u64 count = u64{field<u32>(bytes, at + 4)} + 1;
    return {field<u32>(bytes, at), static_cast<u32>(std::min<u64>(count, 0xffff'ffff)),
            field<u32>(bytes, at + 8), field<u32>(bytes, at + 12)};
  }
};

Result<IoNode> node_at(Bytes table, u64 offset) {
  u16 length = field<u16>(table, offset + 1);
  constexpr u16 kLeast = 16;
  if (length < kLeast) return fail(Errc::kCorrupt, "an IORT node without a length");
  return IoNode{TRY(base::slice(table, offset, length))};
}

class Reader {
 public:
  Reader(Bytes table, Tables& out) : table_(table), out_(out) {}

  void run() {
    u64 at = field<u32>(table_, kFirstNode);
    u32 count = std::min(field<u32>(table_, kNodes), kMostNodes);
    for (u32 i = 0; i < count; i++) {
      auto node = node_at(table_, at);
      if (!node.has_value()) {
        out_.bad_tables++;
        return;
      }
      if (node->kind() == kRootComplex) root_complex(*node);
      at += node->bytes.size();
    }
  }

 private:
  void root_complex(const IoNode& node) {
    constexpr u64 kCoherent = 16, kSegment = 28;
    u32 segment = field<u32>(node.bytes, kSegment);
    for (boot::PciHost& host : out_.hardware.pci_hosts) {
      if (host.segment != segment) continue;
      host.coherent = field<u32>(node.bytes, kCoherent) == 1;
      for (u32 i = 0; i < node.mappings(); i++) follow(node.mapping(i), host);
    }
  }

  void follow(const Mapping& m, boot::PciHost& host) {
    auto target = node_at(table_, m.target);
    if (!target.has_value()) {
      out_.bad_tables++;
    } else if (target->kind() == kItsGroup) {
      add(m, *target, host);
    } else if (target->kind() == kSmmu || target->kind() == kSmmu3) {
      for (u32 i = 0; i < target->mappings(); i++) through(m, target->mapping(i), host);
    }
  }

  // Adds the part of `m` that goes on through `next`.
  void through(const Mapping& m, const Mapping& next, boot::PciHost& host) {
    u64 begin = std::max(m.output, next.first);
    u64 end = std::min(u64{m.output} + m.count, u64{next.first} + next.count);
    auto group = node_at(table_, next.target);
    if (begin >= end || !group.has_value() || group->kind() != kItsGroup) return;
    Mapping whole{static_cast<u32>(m.first + (begin - m.output)), static_cast<u32>(end - begin),
                  static_cast<u32>(next.output + (begin - next.first)), next.target};
    add(whole, *group, host);
  }

  void add(const Mapping& m, const IoNode& group, boot::PciHost& host) {
    constexpr u64 kFirstUnit = 20;
    boot::RequesterRow row{.first = m.first,
                           .count = m.count,
                           .unit = field<u32>(group.bytes, kFirstUnit),
                           .output = m.output};
    if (!host.requesters.push_back(row)) out_.bad_tables++;
  }

  Bytes table_;
  Tables& out_;
};

}  // namespace

void read_iort(Bytes table, Tables& out) {
  Reader(table, out).run();
}

}  // namespace acpi
