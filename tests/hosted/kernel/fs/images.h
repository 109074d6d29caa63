// SPDX-License-Identifier: GPL-2.0-or-later
// A tree of random files on the host, and images that real tools make of it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kernel/base/test.h"
#include "kernel/fs/file_system.h"

struct FileTree {
  // `count` files of random size in directories of up to three levels.
  explicit FileTree(u32 count);
  ~FileTree();
  FileTree(const FileTree&) = delete;
  std::string root;                          // of the host directory
  std::map<std::string, std::string> files;  // path below it, contents
  std::string image() const { return root + ".img"; }
};

// Returns the path of an image that no other test and no other process writes. No file is there.
std::string own_image_path();

bool have_tool(const char* name);
bool run_tool(const std::string& command);  // its output is dropped
#define NEED_TOOL(name) \
  if (!have_tool(name)) return test.skip(name " is not installed: scripts/setup.sh test")

// Every file of the tree is read from `system` and found by listing it, and nothing else is there.
void expect_same_tree(TestContext& test, fs::FileSystem& system, const FileTree& tree);
