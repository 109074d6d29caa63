// SPDX-License-Identifier: GPL-2.0-or-later
// What lwIP gets from this kernel: time, memory, secrets. Thread context of CPU 0.
#pragma once

#include <array>
#include <span>

#include "kernel/base/types.h"

namespace net::port {

// Where the bytes of packets come from.
struct Memory {
  void* (*allocate)(usize bytes);
  void (*free)(void* memory);
};

struct Config {
  std::array<u64, 4> seed;    // entropy: sequence numbers, ports and transaction ids come of it
  u64 memory_bytes;           // at most this much for packets
  Memory memory{};            // null: pages of the machine's network memory
  u64 (*now_ns)() = nullptr;  // null: the machine's clock
};

void init(const Config& config);
u64 now_ns();
u64 memory_taken();  // bytes of pages held now

}  // namespace net::port
