// SPDX-License-Identifier: GPL-2.0-or-later
// Runs first with the MMU on: turns what the loader told into a BootInfo and calls kernel_main.
#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/registers.h>

#include "arch/aarch64/cpu_block.h"
#include "arch/aarch64/platform.h"
#include "boot/device_tree.h"
#include "kernel/base/bytes.h"
#include "kernel/main.h"

extern "C" {
u64 __stack_chk_guard = 0;
[[noreturn, gnu::no_stack_protector]] void aarch64_entry(u64 device_tree, u64 level, u64 ticks);
}

namespace {

constinit BootInfo boot_info;

// Returns true on a CPU that head.S could not bring to EL1.
bool in_host_mode() {
  return (READ_SYSTEM("currentel") & 0xc) == 8;
}

Result<void> read_boot_info(u64 device_tree) {
  u64 bytes = arch::device_tree_bytes(device_tree);
  if (const BootInfo* told = arch::told_by_efi(); told != nullptr) {
    boot_info = *told;
    if (bytes == 0) return {};
  } else {
    if (bytes == 0) return fail(Errc::kUnsupported, "the loader passed no device tree");
    TRY(boot::parse_device_tree({reinterpret_cast<const Byte*>(device_tree), bytes}, boot_info));
  }
  // The tree stays where it is and readable, because its texts are used in place.
  u64 begin = base::round_down(device_tree, arch::paging::kPageBytes);
  u64 end = base::round_up(device_tree + bytes, arch::paging::kPageBytes);
  if (!boot_info.memory.push_back({begin, end - begin, MemoryKind::kReserved}))
    return fail(Errc::kFull, "too many memory ranges");
  boot_info.device_tree = device_tree;
  return {};
}

}  // namespace

// Sets the stack canary, so this function must not check one itself.
void aarch64_entry(u64 device_tree, u64 level, u64 ticks) {
  arch::boot_cpu_block().local.affinity = READ_SYSTEM("mpidr_el1") & 0xff'00ff'ffff;
  arch::load_cpu(arch::boot_cpu_block());
  Result<void> read = read_boot_info(device_tree);
  if (!read.has_value()) boot_info.problem = read.error().what;
  constexpr const char* kLoaders[2][2] = {{"Image, from EL1", "Image, from EL2"},
                                          {"UEFI, from EL1", "UEFI, from EL2"}};
  boot_info.loader = kLoaders[arch::told_by_efi() != nullptr ? 1 : 0][level == 2 ? 1 : 0];
  boot_info.entry_ticks = ticks;
  if (boot_info.console.kind != BootConsole::Kind::kNone)
    MUST(arch::paging::map_device(boot_info.console.base, arch::paging::kPageBytes));
  if (in_host_mode())
    boot_info.problem =
        "this CPU cannot leave EL2's host mode (HCR_EL2.E2H is fixed to 1): "
        "start Marrow at EL1, in a virtual machine";
  else
    arch::read_hardware(boot_info);  // PSCI: switches off after a panic, gives random numbers
  u64 seed = arch::Cpu::random_seed();
  for (Byte byte : boot_info.random_seed) seed = (seed ^ byte) * 0x100000001b3;  // FNV-1a's step
  __stack_chk_guard = seed & ~u64{0xff};  // a string that runs into it ends at the zero byte
  kernel_main(boot_info);
}
