// SPDX-License-Identifier: GPL-2.0-or-later
// Tests bus numbers and addresses of a PCI host that no firmware has seen, with a model of
// configuration space whose bridges forward as their registers say.
#include "kernel/pci/assign.h"

#include <map>
#include <vector>

#include "kernel/base/bytes.h"
#include "kernel/base/test.h"

namespace {

using boot::PciWindow;

// A function: its registers, and which bits of its BARs can be written.
struct Model {
  u8 registers[64] = {};
  u32 masks[6] = {};
  bool bridge = false, wide_prefetch = true;
  std::map<u32, Model> below;  // by device << 3 | function

  Model& memory(u32 index, u64 bytes, u32 flags) {
    u64 mask = ~(bytes - 1);
    masks[index] = static_cast<u32>(mask) | flags;
    base::store(registers + 0x10 + 4 * index, flags);
    if ((flags & 6) == 4) masks[index + 1] = static_cast<u32>(mask >> 32);
    return *this;
  }
  Model& ports(u32 index) {
    masks[index] = 0xffe1;
    base::store(registers + 0x10 + 4 * index, u32{1});
    return *this;
  }
  u64 address(u32 index) const {
    u64 low = base::load<u32>(registers + 0x10 + 4 * index);
    u64 high = (masks[index] & 6) == 4 ? base::load<u32>(registers + 0x14 + 4 * index) : 0;
    return high << 32 | (low & ~u64{0xf});
  }
  u64 bytes(u32 index) const {
    u64 high = (masks[index] & 6) == 4 ? masks[index + 1] : ~u32{0};
    return ~(high << 32 | (masks[index] & ~u64{0xf})) + 1;
  }
};

Model device() {
  Model m;
  base::store(m.registers, u32{0x1001'1af4});
  return m;
}
Model bridge(bool wide_prefetch = true) {
  Model m = device();
  m.bridge = true;
  m.wide_prefetch = wide_prefetch;
  base::store(m.registers + 0x0a, u16{0x0604});
  m.registers[0x0e] = 1;
  m.registers[0x24] = m.registers[0x26] = wide_prefetch ? 1 : 0;
  return m;
}

class Machine final : public pci::ConfigSpace {
 public:
  std::map<u32, Model> root;

  u32 read(Place p, u16 offset, u8 bytes) override {
    const Model* m = find(p);
    u32 value = ~u32{0};
    if (m != nullptr) value = offset + bytes <= 64 ? base::load<u32>(word(*m, offset)) : 0;
    value >>= m == nullptr ? 0 : 8 * (offset & 3);
    return bytes == 4 ? value : value & ((u32{1} << 8 * bytes) - 1);
  }
  void write(Place p, u16 offset, u8 bytes, u32 value) override {
    Model* m = find(p);
    if (m == nullptr) return;
    for (u8 i = 0; i < bytes; i++, value >>= 8) {
      auto at = static_cast<u16>(offset + i);
      auto byte = static_cast<u8>(value);
      u32 bar = (at - 0x10u) / 4;
      if (at >= 0x10 && bar < (m->bridge ? 2u : 6u)) {
        auto mask = static_cast<u8>(m->masks[bar] >> 8 * (at & 3));
        u8 fixed = (at & 3) == 0 && !is_upper(*m, bar) ? 0xf : 0;
        byte = static_cast<u8>((byte & mask & ~fixed) | (m->registers[at] & fixed));
      }
      if (m->bridge && (at == 0x24 || at == 0x26))
        byte = static_cast<u8>((byte & 0xf0) | (m->wide_prefetch ? 1 : 0));
      m->registers[at] = byte;
    }
  }

 private:
  static bool is_upper(const Model& m, u32 bar) { return bar > 0 && (m.masks[bar - 1] & 7) == 4; }
  static const Byte* word(const Model& m, u16 offset) { return m.registers + (offset & ~3); }
  Model* find(Place p) { return find(p, root, 0); }
  Model* find(Place p, std::map<u32, Model>& bus, u8 number) {
    if (p.bus == number) {
      auto at = bus.find(u32{p.device} << 3 | p.function);
      return at == bus.end() ? nullptr : &at->second;
    }
    for (auto& [devfn, m] : bus)
      if (m.bridge && m.registers[0x19] != 0 && p.bus >= m.registers[0x19] &&
          p.bus <= m.registers[0x1a])
        return find(p, m.below, m.registers[0x19]);
    return nullptr;
  }
};

struct Placed {
  u64 begin, end;
};

struct Window {
  u64 begin, end;  // empty when begin >= end
  bool holds(u64 at, u64 bytes) const { return at >= begin && at + bytes <= end; }
};
Window memory_window(const Model& m) {
  return {u64{base::load<u16>(m.registers + 0x20)} << 16,
          (u64{base::load<u16>(m.registers + 0x22)} << 16) + kMiB};
}
Window prefetch_window(const Model& m) {
  u64 begin = u64{base::load<u32>(m.registers + 0x28)} << 32 |
              u64{base::load<u16>(m.registers + 0x24) & 0xfff0u} << 16;
  u64 limit = u64{base::load<u32>(m.registers + 0x2c)} << 32 |
              u64{base::load<u16>(m.registers + 0x26) & 0xfff0u} << 16;
  return {begin, limit + kMiB};
}

// Expects that every BAR is aligned, overlaps no other, and lies inside the windows of all bridges
// above it.
void expect_sound(TestContext& test, const std::map<u32, Model>& bus,
                  std::vector<const Model*> above, std::vector<Placed>& placed) {
  for (const auto& [devfn, m] : bus) {
    for (u32 i = 0; i < (m.bridge ? 2u : 6u); i++) {
      if (m.masks[i] == 0 || (m.masks[i] & 1) != 0) continue;
      u64 at = m.address(i), bytes = m.bytes(i);
      EXPECT(at != 0 && at % bytes == 0);
      for (const Placed& p : placed) EXPECT(at + bytes <= p.begin || at >= p.end);
      placed.push_back({at, at + bytes});
      for (const Model* b : above)
        EXPECT(memory_window(*b).holds(at, bytes) || prefetch_window(*b).holds(at, bytes));
      if ((m.masks[i] & 6) == 4) i++;
    }
    if (!m.bridge) continue;
    above.push_back(&m);
    expect_sound(test, m.below, above, placed);
    above.pop_back();
  }
}

constexpr u32 kWide = 4, kPrefetch = 8;
constexpr PciWindow kLow{PciWindow::Space::kMemory32, false, 0x10000000, 0x10000000, 0x2eff0000};
constexpr PciWindow kHigh{PciWindow::Space::kMemory64, false, u64{512} << 30, u64{512} << 30,
                          u64{512} << 30};

Machine a_machine() {
  Machine m;
  m.root[8] = device().memory(1, 4096, 0).memory(4, 16 * kKiB, kWide | kPrefetch).ports(0);
  m.root[0x10] = bridge().memory(0, 256, kWide);
  Model& first = m.root[0x10];
  first.below[0] = device().memory(0, 16 * kKiB, kWide).memory(2, 256 * kMiB, kWide | kPrefetch);
  first.below[8] = bridge(false);
  first.below[8].below[0] = device().memory(0, 8 * kMiB, kWide | kPrefetch);
  first.below[8].below[1] = device();  // no BAR
  m.root[0x10].below[8].below[0].registers[0x0e] = 0x80;
  m.root[0x11] = bridge();  // the second function of device 2; nothing behind it
  m.root[0x10].registers[0x0e] = 0x81;
  return m;
}

}  // namespace

TEST(pci_assign, places_bars_and_numbers_buses) {
  Machine m = a_machine();
  PciWindow windows[] = {kLow, kHigh};
  pci::Assignment done = pci::assign(m, 0, 255, windows);
  EXPECT(!done.by_firmware);
  EXPECT_EQ(done.bars, 6u);
  EXPECT_EQ(done.bridges, 3u);
  EXPECT_EQ(done.without_room, 0u);
  std::vector<Placed> placed;
  expect_sound(test, m.root, {}, placed);
  EXPECT_EQ(placed.size(), 6u);
  const Model& outer = m.root[0x10];
  EXPECT_EQ(outer.registers[0x19], 1);
  EXPECT_EQ(outer.registers[0x1a], 2);
  EXPECT_EQ(outer.below.at(8).registers[0x18], 1);
  EXPECT_EQ(outer.below.at(8).registers[0x19], 2);
  EXPECT_EQ(m.root[0x11].registers[0x19], 3);
  // Prefetchable memory of 64 bits goes high, unless a bridge above reaches only the first 4 GiB.
  EXPECT(m.root[8].address(4) >= kHigh.bus_address);
  EXPECT(outer.below.at(0).address(2) >= kHigh.bus_address);
  EXPECT(outer.below.at(0).address(0) < 4 * kGiB);
  EXPECT(outer.below.at(8).below.at(0).address(0) < 4 * kGiB);
  EXPECT_EQ(m.root[8].address(0), 0u);  // ports
  // A bridge with nothing behind it passes nothing on.
  EXPECT(memory_window(m.root[0x11]).begin >= memory_window(m.root[0x11]).end);
  EXPECT(prefetch_window(m.root[0x11]).begin >= prefetch_window(m.root[0x11]).end);
  EXPECT_EQ(outer.registers[4] & 6, 6);
}

TEST(pci_assign, does_with_the_low_window_alone) {
  Machine m = a_machine();
  PciWindow windows[] = {kLow};
  EXPECT_EQ(pci::assign(m, 0, 255, windows).without_room, 0u);
  std::vector<Placed> placed;
  expect_sound(test, m.root, {}, placed);
  for (const Placed& p : placed)
    EXPECT(p.begin >= kLow.bus_address && p.end <= kLow.bus_address + kLow.bytes);
}

TEST(pci_assign, leaves_alone_what_firmware_did) {
  Machine m = a_machine();
  base::store(m.root[8].registers + 0x14, u32{0x20000000});
  PciWindow windows[] = {kLow, kHigh};
  EXPECT(pci::assign(m, 0, 255, windows).by_firmware);
  EXPECT_EQ(m.root[0x10].registers[0x19], 0);
  Machine numbered = a_machine();
  numbered.root[0x10].registers[0x19] = 1;
  EXPECT(pci::assign(numbered, 0, 255, windows).by_firmware);
}

TEST(pci_assign, says_what_found_no_room) {
  Machine m = a_machine();
  PciWindow tight = kLow;
  tight.bytes = 2 * kMiB;
  EXPECT_EQ(pci::assign(m, 0, 255, {&tight, 1}).without_room, 2u);  // 256 MiB and 8 MiB
  Machine few_buses = a_machine();
  PciWindow windows[] = {kLow, kHigh};
  EXPECT_EQ(pci::assign(few_buses, 0, 1, windows).without_room, 2u);
  Machine none = a_machine();
  EXPECT_EQ(pci::assign(none, 0, 255, {}).bars, 0u);
  // A window that begins at 0 gives no BAR the address 0, which means "none".
  Machine zero = a_machine();
  PciWindow from_zero = kLow;
  from_zero.bus_address = 0;
  EXPECT_EQ(pci::assign(zero, 0, 255, {&from_zero, 1}).without_room, 0u);
  EXPECT(zero.root[8].address(1) != 0);
}

TEST(pci_assign, translates_what_bars_hold) {
  PciWindow windows[] = {{PciWindow::Space::kPorts, false, 0, 0x3eff0000, 0x10000},
                         {PciWindow::Space::kMemory32, false, 0x80000000, 0x600000000, 0x1000}};
  EXPECT_EQ(pci::cpu_address(windows, true, 0x100), 0x3eff0100u);
  EXPECT_EQ(pci::cpu_address(windows, false, 0x80000010), 0x600000010u);
  EXPECT_EQ(pci::cpu_address(windows, false, 0x80001000), 0x80001000u);
}
