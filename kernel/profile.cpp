// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the table of operations.
#include "kernel/profile.h"

#include <algorithm>
#include <string_view>

#include "kernel/arch_contract.h"

namespace profile {
namespace {

constinit Table* active = nullptr;

}  // namespace

void Table::leave(u64 now_ticks) {
  if (current_ < kRows) rows_[current_].ticks += now_ticks - since_;
  current_ = kRows;
}

void Table::enter(const char* name, u64 now_ticks) {
  leave(now_ticks);
  u32 at = 0;
  // The same literal may have several addresses, one per file.
  while (at < count_ && rows_[at].name != name && std::string_view(rows_[at].name) != name) at++;
  if (at == count_ && count_ < kRows) rows_[count_++] = {name, 0, 0};
  current_ = std::min(at, kRows - 1);
  rows_[current_].calls++;
  since_ = now_ticks;
}

u64 Table::ticks() const {
  u64 sum = 0;
  for (const Row& row : rows()) sum += row.ticks;
  return sum;
}

void Table::sort() {
  current_ = kRows;
  std::sort(rows_, rows_ + count_, [](const Row& a, const Row& b) { return a.ticks > b.ticks; });
}

void record_into(Table* table) {
  if (active != nullptr) active->leave(arch::Cpu::now_ticks());
  active = table;
}

void enter(const char* name) {
  if (active == nullptr) return;
  u64 now = arch::Cpu::now_ticks();
  if (name == nullptr) return active->leave(now);
  active->enter(name, now);
}

}  // namespace profile
