// SPDX-License-Identifier: GPL-2.0-or-later
// An engine's business with the second home of its KV pages (kv_home.h): which ended texts are to
// be copied, and whether fetching is worth it. The engine owns it. ended() may be called from any
// thread of CPU 0; it neither waits nor allocates.
#pragma once

#include <utility>

#include "ai/engine/kv_home.h"

namespace ai {

class HomeVisits {
 public:
  // A text with fewer new positions is not copied: reading it again is cheap.
  static constexpr u32 kLeast = 128;

  static Result<base::Owner<HomeVisits>> create(KvHome& home, const KvHome::Name& root,
                                                u32 context);
  HomeVisits(KvHome& home, const KvHome::Name& root) : home_(home), root_(root) {}

  // Notes a text that has ended. If too many wait, the oldest is forgotten; one that goes on where
  // another ended takes its place.
  void ended(std::span<const TokenId> tokens);
  u32 waiting() const { return waiting_; }
  void forget();  // the texts that wait
  // Copies the oldest text that waits. There must be one.
  Result<void> keep_next(KvStore& store, BetweenPages& between);

  // Returns how many positions of a text the home has.
  u32 known(KvStore& store, std::span<const TokenId> tokens) const {
    return home_.known({store, root_, tokens});
  }
  // Puts them into the prefix cache. `tokens` may be gone as soon as this waits.
  Result<void> fetch(KvStore& store, std::span<const TokenId> tokens, BetweenPages& between);
  // Returns how long reading so many positions will take, as far as is known.
  u64 read_ns(const KvStore& store, u32 positions) const;

  // Returns true if the outcome differs from that of the last call, so that one log line is enough
  // for a disk that fails for a long time.
  bool news(const Result<void>& done) {
    bool worked = std::exchange(works_, done.has_value());
    return worked != works_;
  }

 private:
  static constexpr u32 kMost = 8;  // texts that wait

  KvHome& home_;
  const KvHome::Name root_;
  Vector<TokenId> texts_[kMost];  // the first `waiting_`, oldest first; each has room for a context
  Vector<TokenId> taken_;         // the one that is being copied or fetched
  u32 waiting_ = 0;
  bool works_ = true;
};

}  // namespace ai
