// SPDX-License-Identifier: GPL-2.0-or-later
// Names the purposes of pages, and prints the table of `mem`.
#include <algorithm>
#include <iterator>

#include "kernel/mm/memory.h"

namespace mm {
namespace {

constexpr const char* kNames[] = {
    "absent",      "free",  "firmware", "bad",     "kernel",   "boot data", "page map",
    "page tables", "model", "modules",  "weights", "kv cache", "engine",    "heap",
    "stacks",      "trace", "dma",      "drivers", "network",  "files",     "other",
};
static_assert(std::size(kNames) == static_cast<usize>(Purpose::kCount));

bool same_but_for_case(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

const char* purpose_name(Purpose purpose) {
  return kNames[static_cast<usize>(purpose)];
}

Purpose purpose_from_name(std::string_view name, Purpose fallback) {
  for (usize i = static_cast<usize>(Purpose::kKernel); i < std::size(kNames); i++)
    if (same_but_for_case(name, kNames[i])) return static_cast<Purpose>(i);
  return fallback;
}

void print_usage(base::Writer& out) {
  Usage all = usage();
  base::format_to(out, "{:<12} {:>12} {:>18}\n", "memory", "MiB", "bytes");
  for (usize i = static_cast<usize>(Purpose::kFree); i < std::size(kNames); i++) {
    if (all.bytes[i] == 0) continue;
    base::format_to(out, "{:<12} {:>12} {:>18}\n", kNames[i], base::ratio(all.bytes[i], kMiB, 2),
                    all.bytes[i]);
  }
  base::format_to(out, "{:<12} {:>12} {:>18}\n", "total", base::ratio(all.total, kMiB, 2),
                  all.total);
  HeapUsage heap = heap_usage();
  base::format_to(out, "heap: {} bytes live in {} allocations, {} since boot\n", heap.live_bytes,
                  heap.live_allocations, heap.total_allocations);
}

}  // namespace mm
