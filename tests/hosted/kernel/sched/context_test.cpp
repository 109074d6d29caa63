// SPDX-License-Identifier: GPL-2.0-or-later
// Calls from the wrong context end at once, and the message names the context.
#include <unistd.h>

#include "arch/host/event_loop.h"
#include "kernel/arch_contract.h"
#include "kernel/base/test.h"
#include "kernel/fs/file_system.h"
#include "kernel/sched/context.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/worker_pool.h"
#include "kernel/time/clock.h"
#include "tests/hosted/test_death.h"
#include "tests/hosted/test_threads.h"

namespace {

// Functions that may be called only where a thread may wait.
struct Call {
  const char* file;  // whose assertion tells
  void (*run)(void*);
};
constexpr Call kWaiting[] = {
    {"thread.cpp", [](void*) { sched::sleep_ns(1000); }},
    {"thread.cpp",
     [](void*) {
       sched::WaitQueue queue;
       queue.wait(timing::now_ns() + 1000);
     }},
    {"worker_pool.cpp", [](void*) { sched::run_on_workers([](void*, u32) {}, nullptr); }},
    {"vfs.cpp", [](void*) { static_cast<void>(fs::stat("/").has_value()); }},
};

bool tells(const std::string& text, const char* file, const char* found) {
  return text.find(file) != std::string::npos && text.find(found) != std::string::npos;
}

}  // namespace

TEST(sched_context, a_thread_may_wait) {
  test_threads::start();
  sched::assert_thread();
  sched::assert_owner(sched::current());
  for (const Call& call : kWaiting) call.run(nullptr);  // not in a child, which has no workers
}

TEST(sched_context, another_cpu_may_not) {
  test_threads::start();
  if (arch::Cpu::cpu_count() == 1) return test.skip("one cpu");
  for (const Call& call : kWaiting) {
    std::string said = death_of([&] {
      MUST(arch::Cpu::start_secondary_cpu(1, call.run, nullptr));
      pause();
    });
    EXPECT(tells(said, call.file, "expected a thread of cpu 0 that may wait, this is cpu 1"));
  }
}

// The twin's handlers run where CPU 0 waits.
TEST(sched_context, an_interrupt_handler_may_not) {
  test_threads::start();
  for (const Call& call : kWaiting) {
    std::string said = death_of([&] {
      int ends[2];
      if (pipe(ends) != 0 || write(ends[1], "x", 1) != 1) return;
      MUST(host::watch(ends[0], host::Readiness::kReadable, call.run, nullptr));
      sched::sleep_ns(5'000'000'000);
    });
    EXPECT(tells(said, call.file, "this is a handler while main waits"));
  }
}

TEST(sched_context, what_belongs_to_a_thread_tells_both_names) {
  test_threads::start();
  auto owner = sched::spawn("engine", [](void*) {}, nullptr);
  REQUIRE(owner.has_value());
  std::string said = death_of([&] { sched::assert_owner(*owner); });
  EXPECT(tells(said, "sched/context_test.cpp", "expected thread engine, this is main"));
  sched::yield();
}
