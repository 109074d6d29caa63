// SPDX-License-Identifier: GPL-2.0-or-later
// Explores what code with atomics may do on a CPU that orders memory weakly, such as ARM's.
//
// Tests and the sources they include are compiled with -fsanitize=thread, but the functions that
// the compiler then calls at each access are ours (accesses.cpp). They run the threads as fibers
// and try every order of their steps and every value that a load may return. Plain data must be
// free of races. Data of a sequence lock, which is read while it is written, must be announced with
// racy().
//
// The model is that of C++ without promises: a load may return any store that is not older than
// what its thread has seen, and stores to one word are ordered as they are made. A load never
// returns a store that comes later in time, so load buffering is not explored. Neither is a store
// that stays in a CPU's buffer while its interrupt to another CPU arrives: arch/ must keep the two
// in order (wiki/Architecture). Interrupts carry no ordering here.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kernel/base/types.h"

namespace weak {

constexpr u32 kMostCpus = 4;  // threads and started CPUs together

// A guarantee that the hardware or the source could lack. A test runs once as written and once with
// each of these that matters to it, and must then fail: this shows that the explorer sees such
// faults.
enum class Without : u8 {
  kNothing,
  kAcquire,     // acquire loads are relaxed
  kRelease,     // release stores are relaxed
  kTotalOrder,  // sequentially consistent accesses only acquire and release
  kFences,      // fences do nothing
};

struct Options {
  Without without = Without::kNothing;
  // The most times that a thread that could go on is made to wait for another. Unlimited means all
  // orders. A limit means all orders with that many switches, which finds most faults in long
  // programs.
  u32 most_switches = ~u32{0};
  u64 most_runs = 1'000'000;
};

struct Outcome {
  u64 runs = 0;          // executions that ran to their end
  bool complete = true;  // every execution was tried; none was left out for most_runs
  std::string failure;   // the first failure with its steps; empty if no run failed
};

// Runs `threads` in every order. Thread 0 begins alone, and all threads see its effects up to
// start_others(). The data that instrumented code wrote is restored after each run. The run ends
// when all of `threads` have ended; CPUs that start_secondary_cpu() started need not end.
Outcome explore(const Options& options, std::vector<std::function<void()>> threads);

// For code inside explore():
void start_others();                       // thread 0: the other threads may run from here on
void check(bool holds, const char* what);  // ends the run as failed when it does not hold
void racy(const volatile void* data, usize bytes);

}  // namespace weak
