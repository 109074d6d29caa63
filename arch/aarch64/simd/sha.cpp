// SPDX-License-Identifier: GPL-2.0-or-later
// SHA-256 on ARM64: there are no functions for its instructions yet, so hashing is plain C++.
#include "ai/kernels/hash.h"

namespace ai {

HashBlocks arch_hash_blocks() {
  return nullptr;
}

}  // namespace ai
