// SPDX-License-Identifier: GPL-2.0-or-later
// The first C++ code: converts the loader's information to a BootInfo and calls kernel_main.
#include <arch/cpu.h>
#include <arch/registers.h>

#include <algorithm>

#include "arch/x86_64/descriptors.h"
#include "boot/multiboot2.h"
#include "boot/pvh.h"
#include "kernel/main.h"

extern "C" {
u64 __stack_chk_guard = 0;
[[noreturn, gnu::no_stack_protector]] void x86_entry(u32 protocol, u64 information, u64 ticks);
}

namespace {

constinit BootInfo boot_info;

// Copies texts, because the loader's memory will be reused.
class TextKeeper {
 public:
  std::string_view keep(std::string_view text) {
    usize length = std::min(text.size(), sizeof(buffer_) - used_);
    char* copy = buffer_ + used_;
    std::copy_n(text.data(), length, copy);  // an empty text may have no address
    used_ += length;
    return {copy, length};
  }

 private:
  char buffer_[8192] = {};
  usize used_ = 0;
};
constinit TextKeeper texts;

// Before paging::init() the first 4 GiB are mapped, and nothing above.
class EarlyMemory final : public base::PhysicalView {
 public:
  Result<std::span<const Byte>> at(u64 address, u64 bytes) override {
    if (address == 0 || bytes > 4 * kGiB || address > 4 * kGiB - bytes)
      return fail(Errc::kCorrupt, "points outside the first 4 GiB");
    return std::span(reinterpret_cast<const Byte*>(address), bytes);
  }
};

// multiboot2 includes a copy of the ACPI root pointer, which is kept here.
u64 keep_root_pointer(u64 address) {
  // version 2 of the structure, ACPI 6.5, 5.2.5.3
  alignas(8) static constinit std::array<char, 36> copy{};
  EarlyMemory memory;
  Result<std::span<const Byte>> found = memory.at(address, copy.size());
  if (!found.has_value()) return address;
  std::memcpy(copy.data(), found->data(), copy.size());
  return reinterpret_cast<u64>(copy.data());
}

Result<void> read_boot_info(u32 protocol, u64 information) {
  EarlyMemory memory;
  if (protocol == boot::kPvhMagic) return boot::parse_pvh(memory, information, boot_info);
  if (protocol != boot::kMultiboot2Magic)
    return fail(Errc::kUnsupported, "the loader speaks neither multiboot2 nor PVH");
  u32 bytes = TRY(memory.read<u32>(information));
  return boot::parse_multiboot2(TRY(memory.at(information, bytes)), boot_info);
}

}  // namespace

// The canary must be set in a function that has none itself.
void x86_entry(u32 protocol, u64 information, u64 ticks) {
  arch::write_msr(arch::msr::kGsBase, reinterpret_cast<u64>(&arch::boot_cpu_block().local));
  // The lowest byte stays zero, so that a string that runs over the canary ends there.
  __stack_chk_guard = arch::Cpu::random_seed() & ~u64{0xff};
  Result<void> read = read_boot_info(protocol, information);
  if (!read.has_value()) boot_info.problem = read.error().what;
  boot_info.acpi_rsdp = keep_root_pointer(boot_info.acpi_rsdp);
  boot_info.entry_ticks = ticks;
  boot_info.text_screen = 0xb8000;
  boot_info.command_line = texts.keep(boot_info.command_line);
  boot_info.loader = texts.keep({boot_info.loader, std::strlen(boot_info.loader) + 1}).data();
  for (BootModule& module : boot_info.modules)
    module.command_line = texts.keep(module.command_line);
  kernel_main(boot_info);
}
