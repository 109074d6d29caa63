// SPDX-License-Identifier: GPL-2.0-or-later
// Chooses the implementation.
#include "service/fast_hash.h"

#include "ai/kernels/hash.h"

namespace service {

crypto::Sha256By fast_sha256() {
  ai::HashBlocks fast = ai::arch_hash_blocks();
  return crypto::Sha256By(fast != nullptr ? fast : crypto::sha256_blocks);
}

}  // namespace service
