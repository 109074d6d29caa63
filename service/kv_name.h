// SPDX-License-Identifier: GPL-2.0-or-later
// The names of kept texts (ai/engine/kv_home.h): the first bytes of a SHA-256. Pure; any context.
#pragma once

#include <algorithm>

#include "ai/engine/kv_home.h"
#include "kernel/crypto/sha256.h"

namespace service {

// Hashes both parts as one text.
inline ai::KvFolder::Name kv_name(std::span<const Byte> first, std::span<const Byte> second) {
  crypto::Sha256 sha;
  sha.update(first);
  sha.update(second);
  crypto::Sha256Digest digest = sha.finish();
  ai::KvFolder::Name name;
  std::copy_n(digest.begin(), name.size(), name.begin());
  return name;
}

}  // namespace service
