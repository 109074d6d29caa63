// SPDX-License-Identifier: GPL-2.0-or-later
// The second contract between generic code and an architecture, for bare machines, checked by the
// compiler. (The hosted twin satisfies only kernel/arch_contract.h.) This is the list that a new
// architecture fills in: the headers <arch/...> below with at least these names.
//
// An architecture may offer more to its own folder and to drivers of its own devices (x86_64 has
// ports and model-specific registers). No other code may use that.
#pragma once

#include <arch/firmware.h>
#include <arch/interrupts.h>
#include <arch/paging.h>
#include <arch/pci_config.h>
#include <arch/trap_frame.h>

#include "boot/hardware.h"
#include "kernel/arch_contract.h"
#include "kernel/fault.h"

// The state of a CPU when a fault or an interrupt came. Used while panicking.
template <class Frame>
concept TrapContract = requires(const Frame& frame, base::Writer& out, u64 address) {
  { frame.program_counter() } -> std::same_as<u64>;
  // start of a chain {caller's frame, return address}
  { frame.frame_pointer() } -> std::same_as<u64>;
  // the address to which the interrupted function returns if it has no frame in that chain, else 0
  { arch::frameless_caller(frame) } -> std::same_as<u64>;
  { arch::print_registers(frame, out) } -> std::same_as<void>;
  // a word at the address can be read without a fault
  { arch::is_readable(address) } -> std::same_as<bool>;
};

// The end of a panic: every other CPU stops for ever, then this one.
template <class Cpu>
concept StopContract = ArchContract<Cpu, arch::Context> && requires {
  { arch::stop_other_cpus() } -> std::same_as<void>;
  { arch::halt_forever() } -> std::same_as<void>;  // does not return
};

// The one address space, which is identity-mapped. For threads of CPU 0; the queries for any
// context.
template <class Cache>
concept PagingContract = requires(u64 address, u64 bytes, Cache cache) {
  { Cache::kUncached } -> std::same_as<Cache>;        // registers
  { Cache::kWriteCombining } -> std::same_as<Cache>;  // a frame buffer
  { arch::paging::kPageBytes } -> std::convertible_to<u64>;
  // Maps a device's memory at its own address, for data only.
  { arch::paging::map_device(address, bytes, cache) } -> std::same_as<Result<void>>;
  { arch::paging::is_mapped(address) } -> std::same_as<bool>;
};

// Vectors, and the lines that lead to them (kernel/irq allocates them). For threads of CPU 0.
template <class Route>
concept InterruptContract = requires(u32 line, Route route, arch::pci_config::Function device) {
  { arch::interrupts::kFirstDeviceVector } -> std::convertible_to<u32>;
  { arch::interrupts::kLastDeviceVector } -> std::convertible_to<u32>;
  { route.vector } -> std::convertible_to<u32>;
  { route.level } -> std::convertible_to<bool>;
  { route.active_low } -> std::convertible_to<bool>;
  { arch::interrupts::route_line(line, route) } -> std::same_as<Result<void>>;
  { arch::interrupts::mask_line(line) } -> std::same_as<void>;
  // Returns the address and data that a device writes to raise a vector on CPU 0. A second call for
  // the same two gives the same answer. forget_message() frees the vector for another owner.
  { arch::interrupts::message(line, device) } -> std::same_as<Result<arch::interrupts::Message>>;
  { arch::interrupts::forget_message(line) } -> std::same_as<void>;
};

// PCI configuration space. Functions that do not exist read as all ones. For threads of CPU 0.
template <class Function>
concept PciConfigContract = std::equality_comparable<Function> &&
                            requires(Function f, u16 offset, u8 bytes, u32 value, u8 pin) {
                              { f.segment } -> std::convertible_to<u16>;
                              { f.bus } -> std::convertible_to<u8>;
                              { f.device } -> std::convertible_to<u8>;
                              { f.function } -> std::convertible_to<u8>;
                              { arch::pci_config::read(f, offset, bytes) } -> std::same_as<u32>;
                              {
                                arch::pci_config::write(f, offset, bytes, value)
                              } -> std::same_as<void>;
                              {
                                arch::pci_config::range_count()
                              } -> std::same_as<u32>;  // of buses, at least one
                              {
                                arch::pci_config::range(value).segment
                              } -> std::convertible_to<u16>;
                              {
                                arch::pci_config::range(value).first_bus
                              } -> std::convertible_to<u8>;
                              {
                                arch::pci_config::range(value).last_bus
                              } -> std::convertible_to<u8>;
                              // Devices see what lies in the CPUs' caches.
                              {
                                arch::pci_config::range(value).coherent
                              } -> std::convertible_to<bool>;
                              // Where BARs may be placed; none where the firmware has placed them.
                              {
                                arch::pci_config::range(value).windows
                              } -> std::convertible_to<std::span<const boot::PciWindow>>;
                              {
                                arch::pci_config::kHasPorts
                              } -> std::convertible_to<bool>;  // BARs of ports lead somewhere
                              // The line that pin 1 to 4 (INTA to INTD) of a function is wired to,
                              // level-triggered.
                              { arch::pci_config::pin_line(f, pin) } -> std::same_as<Result<u32>>;
                              { arch::pci_config::kPinsActiveLow } -> std::convertible_to<bool>;
                            };

// The faults of this architecture alone that `fault KIND` provokes (kernel/fault.h).
template <class Fault>
concept FaultContract = requires {
  { arch::faults() } -> std::same_as<std::span<const Fault>>;
  { arch::kReturnInstruction } -> std::convertible_to<u32>;
};

// Describes what the loader and the firmware told at boot: memory map, tables. Thread context.
template <class Writer>
concept FirmwareContract = requires(Writer& out) {
  { arch::describe_firmware(out) } -> std::same_as<void>;
};

static_assert(TrapContract<arch::TrapFrame>);
static_assert(StopContract<arch::Cpu>);
static_assert(PagingContract<arch::paging::Cache>);
static_assert(InterruptContract<arch::interrupts::Route>);
static_assert(PciConfigContract<arch::pci_config::Function>);
static_assert(FaultContract<faults::Fault>);
static_assert(FirmwareContract<base::Writer>);
