// SPDX-License-Identifier: GPL-2.0-or-later
// TCP/IP of the machine: brings up every NetDevice that appears, and is net::network().
//
// All of it runs in cooperative threads of CPU 0: a thread a card that sleeps until the card has
// frames, and one for the protocols' timers. Nothing here is called from an interrupt.
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

// ---- the parts of it, for who brings threads, devices or time of his own (tests) -------------
struct StackParts {
  std::array<u64, 4> seed{};  // what sequence numbers, ports and ids of packets come of
  u64 memory_bytes = 16 * kMiB;
  void* (*allocate)(usize bytes) = nullptr;  // null: network pages
  void (*free)(void* memory) = nullptr;
  u64 (*now_ns)() = nullptr;  // null: the machine's clock
};
Result<void> init_stack(const StackParts& parts);  // once
Result<void> attach(NetDevice& device, const Ipv4Settings& settings);
bool service(NetDevice& device);  // frames of one device; true: there may be more
u64 run_timers();                 // ns until it should be called again

// ---- verbs ------------------------------------------------------------------------------------
// Both wait, in thread context, and give up at `deadline_ns` of the machine's clock.
Result<IpAddress> resolve(std::string_view name, u64 deadline_ns);          // names and literals
Result<u64> ping(const IpAddress& address, u16 sequence, u64 deadline_ns);  // ns there and back
// Returns at once; writing and reading are kBusy until the other side has answered.
Result<base::Owner<Socket>> connect(const IpAddress& address, u16 port,
                                    const IpAddress* source = nullptr);

// ---- tables for people ------------------------------------------------------------------------
void describe_interfaces(base::Writer& out);
void describe_sockets(base::Writer& out);
void describe_counters(base::Writer& out);
void write_address(base::Writer& out, const IpAddress& address);

}  // namespace net
