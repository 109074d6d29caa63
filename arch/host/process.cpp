// SPDX-License-Identifier: GPL-2.0-or-later
// Reboots the twin: runs the same program again with the arguments that /proc has.
#include "arch/host/process.h"

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace host {

void run_again() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string all((std::istreambuf_iterator<char>(file)), {});
  std::vector<char*> words;
  for (usize at = 0; at < all.size(); at = all.find('\0', at) + 1) words.push_back(&all[at]);
  words.push_back(nullptr);
  execv("/proc/self/exe", words.data());
}

}  // namespace host
