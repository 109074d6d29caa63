// SPDX-License-Identifier: GPL-2.0-or-later
// The walk that every file system fuzzer makes over a mounted volume: lists directories and reads
// files.
#pragma once

#include <string>
#include <vector>

#include "kernel/fs/file_system.h"

namespace fuzz {

struct Names final : fs::DirectoryVisitor {
  std::vector<std::pair<std::string, fs::FileKind>> entries;
  void on_entry(std::string_view name, const fs::FileInfo& info) override {
    if (entries.size() < 64) entries.emplace_back(std::string(name), info.kind);
  }
};

inline void walk(fs::FileSystem& system, const std::string& path, u32 depth, u32& budget) {
  Names names;
  static_cast<void>(system.list(path, names));
  for (const auto& [name, kind] : names.entries) {
    if (budget == 0) return;
    budget--;
    std::string full = path.empty() ? name : path + "/" + name;
    static_cast<void>(system.stat(full));
    if (kind == fs::FileKind::kDirectory) {
      if (depth > 0) walk(system, full, depth - 1, budget);
      continue;
    }
    auto file = system.open(full);
    if (!file.has_value()) continue;
    Byte bytes[600];
    auto n = (*file)->read_at(0, bytes);
    if (n.has_value() && *n > sizeof bytes) __builtin_trap();
    u64 size = (*file)->size();
    static_cast<void>((*file)->read_at(size > 500 ? size - 500 : 0, bytes));
  }
}

inline void walk(fs::FileSystem& system) {
  u32 budget = 200;
  walk(system, "", 3, budget);
  static_cast<void>(system.space());
}

}  // namespace fuzz
