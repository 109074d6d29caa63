// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the facts about real machines in tests/machines, whose files explain their lines.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/types.h"

struct MachineFacts {
  std::string name;
  std::vector<std::vector<std::string>> lines;  // the words of each line but `machine` and `source`

  // Returns all lines that begin with this word.
  std::vector<std::vector<std::string>> all(std::string_view word) const;
  bool has(std::string_view word) const { return !all(word).empty(); }
  // Returns the number after this word on its only line, or `otherwise`.
  u64 number(std::string_view word, int base, u64 otherwise) const;
};

u64 number_of(const std::string& word, int base);

// Returns nothing if the file cannot be read, or has a machine without a source.
std::vector<MachineFacts> read_machines(const std::string& file);
