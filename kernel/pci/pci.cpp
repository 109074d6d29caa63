// SPDX-License-Identifier: GPL-2.0-or-later
// Accesses a PCI function: its command register, its BARs, MSI and MSI-X (PCI Local Bus 3.0, 6.8).
#include "kernel/pci/pci.h"

namespace pci {
namespace {

constexpr u16 kCommand = 0x04;
constexpr u32 kPinDisable = 1 << 10;

// The MSI capability; offsets from its start.
constexpr u16 kMsiControl = 2, kMsiAddress = 4, kMsiUpper = 8, kMsiData32 = 8, kMsiData64 = 12;
constexpr u32 kMsiEnable = 1 << 0, kMsiCountMask = 7 << 4, kMsi64 = 1 << 7;

// The MSI-X capability and its table entries.
constexpr u16 kMsixControl = 2, kMsixTable = 4;
constexpr u32 kMsixEnable = 1 << 15, kMsixMaskAll = 1 << 14, kMsixSizeMask = 0x7ff;
constexpr u64 kEntryBytes = 16, kEntryControl = 12;

void change_command(const Device& device, u32 clear, u32 set) {
  device.write(kCommand, 2, (device.read(kCommand, 2) & ~clear) | set);
}

// Returns the table entry in the device's own memory.
Result<volatile u32*> msix_entry(const Device& device, u32 entry) {
  if (entry >= msix_count(device)) return fail(Errc::kOutOfRange, "no such MSI-X entry");
  u32 where = device.read(device.msix + kMsixTable, 4);
  std::span<Byte> registers = TRY(map_bar(device, where & 7));
  u64 offset = (where & ~u32{7}) + entry * kEntryBytes;
  auto bytes = base::slice(registers, offset, kEntryBytes);
  if (!bytes.has_value()) return fail(Errc::kCorrupt, "the MSI-X table lies outside its BAR");
  return reinterpret_cast<volatile u32*>(registers.data() + offset);
}

}  // namespace

void enable(const Device& device, Access access) {
  change_command(device, 0, static_cast<u32>(access));
}

void disable(const Device& device, Access access) {
  change_command(device, static_cast<u32>(access), 0);
}

void set_pin_interrupt(const Device& device, bool on) {
  change_command(device, on ? kPinDisable : 0, on ? 0 : kPinDisable);
}

Result<std::span<Byte>> map_bar(const Device& device, u32 index) {
  if (index >= kBars || device.bars[index].bytes == 0)
    return fail(Errc::kNotFound, "the device has no such BAR");
  const Bar& bar = device.bars[index];
  if (bar.is_port) return fail(Errc::kInvalidArgument, "a BAR of ports cannot be mapped");
  if (bar.base == 0) return fail(Errc::kUnsupported, "the BAR has no address");
  if (!arch::paging::is_mapped(bar.base)) TRY(arch::paging::map_device(bar.base, bar.bytes));
  enable(device, Access::kMemory);
  return std::span(reinterpret_cast<Byte*>(bar.base), bar.bytes);
}

u32 msix_count(const Device& device) {
  if (device.msix == 0) return 0;
  return (device.read(device.msix + kMsixControl, 2) & kMsixSizeMask) + 1;
}

Result<void> set_msix(const Device& device, u32 entry, irq::Message message) {
  volatile u32* words = TRY(msix_entry(device, entry));
  words[kEntryControl / 4] = 1;  // masked while it changes
  words[0] = static_cast<u32>(message.address);
  words[1] = static_cast<u32>(message.address >> 32);
  words[2] = message.data;
  words[kEntryControl / 4] = 0;
  return {};
}

Result<void> mask_msix(const Device& device, u32 entry, bool masked) {
  volatile u32* words = TRY(msix_entry(device, entry));
  words[kEntryControl / 4] = masked ? 1 : 0;
  return {};
}

Result<void> enable_msix(const Device& device) {
  u32 count = msix_count(device);
  if (count == 0) return fail(Errc::kUnsupported, "the device has no MSI-X");
  auto control = static_cast<u16>(device.msix + kMsixControl);
  u32 value = device.read(control, 2) & ~(kMsixEnable | kMsixMaskAll);
  set_pin_interrupt(device, false);
  device.write(control, 2, value | kMsixEnable);
  return {};
}

Result<void> enable_msi(const Device& device, irq::Message message) {
  if (device.msi == 0) return fail(Errc::kUnsupported, "the device has no MSI");
  auto at = [&](u16 offset) { return static_cast<u16>(device.msi + offset); };
  u32 control = device.read(at(kMsiControl), 2);
  bool wide = (control & kMsi64) != 0;
  if (!wide && message.address >> 32 != 0)
    return fail(Errc::kUnsupported, "the device's MSI reaches only the first 4 GiB");
  device.write(at(kMsiAddress), 4, static_cast<u32>(message.address));
  if (wide) device.write(at(kMsiUpper), 4, static_cast<u32>(message.address >> 32));
  device.write(at(wide ? kMsiData64 : kMsiData32), 2, message.data);
  set_pin_interrupt(device, false);
  device.write(at(kMsiControl), 2, (control & ~kMsiCountMask) | kMsiEnable);
  return {};
}

void disable_messages(const Device& device) {
  auto clear = [&](u8 capability, u16 control, u32 bit) {
    if (capability == 0) return;
    auto offset = static_cast<u16>(capability + control);
    device.write(offset, 2, device.read(offset, 2) & ~bit);
  };
  clear(device.msi, kMsiControl, kMsiEnable);
  clear(device.msix, kMsixControl, kMsixEnable);
}

void print(const Device& d, base::Writer& out) {
  base::format_to(out, "{:04x}:{:02x}:{:02x}.{} {:04x}:{:04x} class {:02x}{:02x}",
                  d.function.segment, d.function.bus, d.function.device, d.function.function,
                  d.vendor, d.id, d.class_code, d.subclass);
}

}  // namespace pci
