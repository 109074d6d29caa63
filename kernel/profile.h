// SPDX-License-Identifier: GPL-2.0-or-later
// Measures the engine's time by operation: the engine names each operation that it starts, and the
// time until the next name counts for that operation. For threads of CPU 0.
#pragma once

#include <span>

#include "kernel/base/types.h"

namespace profile {

struct Row {
  const char* name;
  u64 ticks;  // of the cycle counter, including waits for other CPUs
  u64 calls;
};

// The sum is exact: every tick since the first row is in one of the rows.
class Table {
 public:
  void enter(const char* name, u64 now_ticks);
  void leave(u64 now_ticks);  // no operation runs until the next enter()
  std::span<const Row> rows() const { return {rows_, count_}; }
  u64 ticks() const;  // of all rows
  void sort();        // largest first

 private:
  static constexpr u32 kRows = 32;  // further names are added to the last row
  Row rows_[kRows] = {};
  u32 count_ = 0;
  u32 current_ = kRows;  // kRows: no operation is running
  u64 since_ = 0;
};

// Records into this table from now on. Null: nowhere, which costs next to nothing. Ends the
// operation in the previous table.
void record_into(Table* table);

// Called with the name of the operation that the engine starts.
void enter(const char* name);

}  // namespace profile
