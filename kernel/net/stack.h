// SPDX-License-Identifier: GPL-2.0-or-later
// The machine's TCP/IP stack: brings up every NetDevice that appears, and implements
// net::network().
//
// Everything runs in cooperative threads of CPU 0: one thread per card, which sleeps until the card
// has frames, and one for the protocols' timers. Nothing here is called from an interrupt handler.
#pragma once

#include <array>

#include "kernel/dev/net_device.h"
#include "kernel/net/settings.h"
#include "kernel/net/socket.h"

namespace net {

// Reads the options net=, net.memory= and hostname=, starts the threads and returns at once.
Result<void> start_stack();
bool stack_running();
std::string_view machine_name();  // the option hostname=

// ---- its parts, for tests that bring their own threads, devices or clock ----------------------
struct StackParts {
  std::array<u64, 4> seed{};  // for sequence numbers, ports and ids of packets
  u64 memory_bytes = 16 * kMiB;
  void* (*allocate)(usize bytes) = nullptr;  // null: network pages
  void (*free)(void* memory) = nullptr;
  u64 (*now_ns)() = nullptr;  // null: the machine's clock
};
Result<void> init_stack(const StackParts& parts);  // once
Result<void> attach(NetDevice& device, const Ipv4Settings& settings);
bool service(NetDevice& device);  // processes frames of one device; true: there may be more
u64 run_timers();                 // returns the ns until it should be called again

// ---- verbs ------------------------------------------------------------------------------------
// These two sleep, in a thread, and give up at `deadline_ns` of the machine's clock.
//
// Returns the address of a name, or a literal address itself.
Result<IpAddress> resolve(std::string_view name, u64 deadline_ns);
// Returns the round trip in ns.
Result<u64> ping(const IpAddress& address, u16 sequence, u64 deadline_ns);
// Returns at once. Writing and reading give kBusy until the other side has answered.
Result<base::Owner<Socket>> connect(const IpAddress& address, u16 port,
                                    const IpAddress* source = nullptr);

// ---- tables for people ------------------------------------------------------------------------
void describe_interfaces(base::Writer& out);
void describe_sockets(base::Writer& out);
void describe_counters(base::Writer& out);
void write_address(base::Writer& out, const IpAddress& address);

}  // namespace net
