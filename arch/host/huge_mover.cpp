// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the move: a thread copies one piece after another into fresh memory and remaps that to
// the old address. The host's kernel exchanges them under its lock, so a reader sees either the old
// bytes or the same new ones.
#include "arch/host/huge_mover.h"

#include <sys/mman.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <ctime>

#include "kernel/base/bytes.h"
#include "kernel/mm/memory.h"

namespace host {
namespace {

// Each piece becomes a mapping of its own, of which a process may have 65,530.
constexpr usize kMostPieces = 8192;
// Rest per unit of work, which limits what the thread takes from the worker on its core.
constexpr i64 kRestPerWork = 4;

i64 now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return i64{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void rest(i64 ns) {
  timespec time{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  nanosleep(&time, nullptr);
}

// Returns fresh memory that begins at a huge page, or null.
Byte* fresh_memory(usize bytes) {
  usize room = bytes + mm::kLargePageBytes;
  void* at = mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return nullptr;
  auto* raw = static_cast<Byte*>(at);
  usize before = base::round_up(reinterpret_cast<usize>(raw), mm::kLargePageBytes) -
                 reinterpret_cast<usize>(at);
  if (before > 0) munmap(raw, before);
  if (room > before + bytes) munmap(raw + before + bytes, room - before - bytes);
  madvise(raw + before, bytes, MADV_HUGEPAGE);
  return raw + before;
}

}  // namespace

void HugeMover::start(std::span<Byte> memory) {
  if (started_) return;
  memory_ = memory;
  // The thread handles no signals and stays on the cores of the thread that starts it.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  started_ = pthread_create(
                 &thread_, nullptr,
                 [](void* self) -> void* {
                   static_cast<HugeMover*>(self)->run();
                   return nullptr;
                 },
                 this) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void HugeMover::stop() {
  if (!started_) return;
  stopped_.store(true);
  pthread_join(thread_, nullptr);
  started_ = false;
}

// Moves all whole pieces. The rest at the end, less than a piece, stays in its old pages.
void HugeMover::run() {
  usize piece = base::round_up(memory_.size() / kMostPieces + 1, mm::kLargePageBytes);
  for (usize at = 0; at + piece <= memory_.size() && !stopped_.load(); at += piece) {
    i64 begin = now_ns();
    if (!move(at, piece)) return;
    moved_.store(at + piece, std::memory_order_relaxed);
    rest((now_ns() - begin) * kRestPerWork);
  }
}

bool HugeMover::move(usize at, usize bytes) {
  Byte* fresh = fresh_memory(bytes);
  if (fresh == nullptr) return false;
  std::memcpy(fresh, memory_.data() + at, bytes);
  if (mremap(fresh, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, memory_.data() + at) != MAP_FAILED)
    return true;
  munmap(fresh, bytes);
  return false;
}

}  // namespace host
