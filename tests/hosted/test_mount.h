// SPDX-License-Identifier: GPL-2.0-or-later
// A file system of small files, for tests.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "kernel/base/test.h"
#include "kernel/fs/module_fs.h"

// A disk of small files, mounted as long as it lives.
class FewFiles {
 public:
  FewFiles(const char* point, std::initializer_list<std::pair<const char*, std::string>> files)
      : point_(point) {
    for (const auto& [name, text] : files) texts_.emplace_back(name, text);
    StaticVector<BootModule, 16> modules;
    for (auto& [name, text] : texts_)
      ASSERT(modules.push_back({reinterpret_cast<u64>(text.data()), text.size(), name}));
    files_.init(modules.view());
    MUST(fs::mount(point_, files_));
  }
  ~FewFiles() { fs::unmount(point_); }
  FewFiles(const FewFiles&) = delete;
  FewFiles& operator=(const FewFiles&) = delete;

 private:
  const char* point_;
  std::vector<std::pair<std::string, std::string>> texts_;
  fs::ModuleFileSystem files_;
};
