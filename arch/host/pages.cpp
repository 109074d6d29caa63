// SPDX-License-Identifier: GPL-2.0-or-later
// Allocates the twin's pages as anonymous mappings and counts them by purpose. The rest of the
// machine's RAM is shown as the host's.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "arch/host/memory.h"
#include "kernel/arch_contract.h"
#include "kernel/mm/memory.h"

namespace mm {
namespace {

struct Run {
  usize bytes;
  Purpose purpose;
};
// The runs by address. Only CPU 0 uses them, as the interface requires.
std::map<Byte*, Run>& runs() {
  static std::map<Byte*, Run> all;
  return all;
}

u64 bytes_of_system(int name) {
  long pages = sysconf(name);
  return pages > 0 ? static_cast<u64>(pages) * kPageBytes : 0;
}

// Returns the memory that a process may have, including page cache that the host can give up, or
// what is free now if the host does not tell that.
u64 available_bytes() {
  u64 kib = 0;
  if (FILE* file = std::fopen("/proc/meminfo", "r"); file != nullptr) {
    char line[128];
    while (kib == 0 && std::fgets(line, sizeof line, file) != nullptr)
      if (std::strncmp(line, "MemAvailable:", 13) == 0) kib = std::strtoull(line + 13, nullptr, 10);
    std::fclose(file);
  }
  return kib != 0 ? kib * kKiB / kPageBytes * kPageBytes : bytes_of_system(_SC_AVPHYS_PAGES);
}

}  // namespace

void init(const BootInfo&) {}

Result<std::span<Byte>> allocate_pages(const PageRequest& request) {
  ASSERT(arch::Cpu::cpu_index() == 0);
  if (!host::allocation_may_succeed())
    return fail(Errc::kOutOfMemory, "out of pages: unload a model or give the machine more memory");
  if (request.bytes > bytes_of_system(_SC_PHYS_PAGES))
    return fail(Errc::kOutOfMemory, "the request is larger than the machine's memory");
  usize bytes = (std::max(request.bytes, usize{1}) + kPageBytes - 1) / kPageBytes * kPageBytes;
  usize slack = request.align > kPageBytes ? request.align : 0;
  void* raw = mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED)
    return fail(Errc::kOutOfMemory, "the host has no memory left: end other programs");
  auto* first = static_cast<Byte*>(raw);
  usize before = slack == 0 ? 0 : (slack - reinterpret_cast<usize>(first) % slack) % slack;
  if (before > 0) munmap(first, before);
  if (slack > before) munmap(first + before + bytes, slack - before);
  first += before;
  if (request.align >= kLargePageBytes) madvise(first, bytes, MADV_HUGEPAGE);
  runs()[first] = {bytes, request.purpose};
  return std::span<Byte>(first, bytes);
}

// A part of a run may be freed. What is left before and after it stays a run.
void free_pages(std::span<Byte> pages) {
  ASSERT(arch::Cpu::cpu_index() == 0);
  auto at = runs().upper_bound(pages.data());
  ASSERT(at != runs().begin());
  --at;
  Byte* first = at->first;
  Run run = at->second;
  ASSERT(pages.data() + pages.size() <= first + run.bytes);
  runs().erase(at);
  if (first < pages.data()) runs()[first] = {static_cast<usize>(pages.data() - first), run.purpose};
  Byte* end = pages.data() + pages.size();
  if (end < first + run.bytes)
    runs()[end] = {static_cast<usize>(first + run.bytes - end), run.purpose};
  munmap(pages.data(), pages.size());
}

// "firmware" counts the memory of other processes and of the host's kernel.
Usage usage() {
  Usage u;
  u.total = bytes_of_system(_SC_PHYS_PAGES);
  u64 ours = 0;
  for (const auto& [first, run] : runs()) {
    u.bytes[static_cast<usize>(run.purpose)] += run.bytes;
    ours += run.bytes;
  }
  u64& free = u.bytes[static_cast<usize>(Purpose::kFree)];
  free = std::min(available_bytes(), u.total - std::min(ours, u.total));
  u.bytes[static_cast<usize>(Purpose::kFirmware)] = u.total - std::min(ours + free, u.total);
  return u;
}

Result<void> verify() {
  Byte* end = nullptr;
  for (const auto& [first, run] : runs()) {
    if (first < end) return fail(Errc::kCorrupt, "two runs of pages overlap");
    end = first + run.bytes;
  }
  return {};
}

HeapUsage heap_usage() {
  return {.live_bytes = host::live_bytes(),
          .live_allocations = static_cast<u64>(host::live_allocations()),
          .total_allocations = host::allocation_count()};
}

Result<void> verify_heap() {
  return {};  // malloc checks itself, and in tests AddressSanitizer does
}

void print_ranges(base::Writer& out) {
  for (const auto& [first, run] : runs())
    base::format_to(out, "{:#x} {:>14} {}\n", reinterpret_cast<u64>(first), run.bytes,
                    purpose_name(run.purpose));
}

}  // namespace mm
