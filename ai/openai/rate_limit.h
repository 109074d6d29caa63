// SPDX-License-Identifier: GPL-2.0-or-later
// Limits the requests a second of each client, with a token bucket for each of the clients seen
// last.
#pragma once

#include "kernel/base/containers.h"
#include "kernel/base/hash.h"

namespace ai::openai {

// Hashes a client's name. Nothing secret depends on it.
inline u64 client_hash(std::string_view name) {
  return base::fnv1a(name);
}

class RateLimit {
 public:
  // Returns false if there were too many requests. A client may save up what one second allows.
  // `per_second` 0 = no limit.
  bool take(u64 client, u32 per_second, u64 now_ns) {
    if (per_second == 0) return true;
    constexpr u64 kSecond = 1'000'000'000;
    Bucket* found = &buckets_[0];  // if no bucket matches, the one that was not seen for longest
    for (Bucket& b : buckets_) {
      if (b.client == client && b.seen_ns != 0) {
        found = &b;
        break;
      }
      if (b.seen_ns < found->seen_ns) found = &b;
    }
    if (found->client != client || found->seen_ns == 0) *found = {client, kSecond, now_ns};
    found->saved = std::min(found->saved + (now_ns - found->seen_ns), kSecond);
    found->seen_ns = now_ns;
    u64 cost = kSecond / per_second;
    if (found->saved < cost) return false;
    found->saved -= cost;
    return true;
  }

 private:
  struct Bucket {
    u64 client = 0, saved = 0, seen_ns = 0;  // saved: in nanoseconds
  };
  Bucket buckets_[256];
};

}  // namespace ai::openai
