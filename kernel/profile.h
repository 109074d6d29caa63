// SPDX-License-Identifier: GPL-2.0-or-later
// Where the time of the engine goes, operation by operation: the engine says what it does from now
// on, and what passes until it says something else belongs to that. Thread context of CPU 0.
#pragma once

#include <span>

#include "kernel/base/types.h"

namespace profile {

struct Row {
  const char* name;
  u64 ticks;  // of the cycle counter, waits for the other CPUs included
  u64 calls;
};

// The sum is exact: every tick from the first row on is in one of them.
class Table {
 public:
  void enter(const char* name, u64 now_ticks);
  void leave(u64 now_ticks);  // nothing is going on until the next enter
  std::span<const Row> rows() const { return {rows_, count_}; }
  u64 ticks() const;  // of all rows
  void sort();        // the most first

 private:
  static constexpr u32 kRows = 32;  // names past it are counted with the last
  Row rows_[kRows] = {};
  u32 count_ = 0;
  u32 current_ = kRows;  // kRows: nothing is going on
  u64 since_ = 0;
};

// From now on what the engine says goes into this table; null: nowhere, which costs next to
// nothing. Leaves the table before.
void record_into(Table* table);

// What the engine says.
void enter(const char* name);

}  // namespace profile
