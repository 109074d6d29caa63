// SPDX-License-Identifier: GPL-2.0-or-later
// Gives lwIP time, memory and secrets from this kernel. For threads of CPU 0.
#pragma once

#include <array>
#include <span>

#include "kernel/base/types.h"

namespace net::port {

// The source of memory for packets.
struct Memory {
  void* (*allocate)(usize bytes);
  void (*free)(void* memory);
};

struct Config {
  std::array<u64, 4> seed;    // entropy for sequence numbers, ports and transaction ids
  u64 memory_bytes;           // limit for packets
  Memory memory{};            // null: pages of the machine's network memory
  u64 (*now_ns)() = nullptr;  // null: the machine's clock
};

void init(const Config& config);
u64 now_ns();
u64 memory_taken();  // pages held now, in bytes

}  // namespace net::port
