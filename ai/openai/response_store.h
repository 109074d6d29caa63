// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the answers of /v1/responses with their conversations, so that a later request can go on
// from one by its id.
//
// An answer belongs to the client that made it, and no other client finds it. An owner is a hash of
// a key or, on a server without keys, of an address (Guard::owner_of()). The store never grows past
// its limit. The answer that was used longest ago goes first, of the owner who holds the most, so a
// client that fills the store pushes out its own answers. For threads; nothing here yields.
#pragma once

#include "kernel/base/budget.h"
#include "kernel/base/wipe.h"
#include "kernel/crypto/sha256.h"

namespace ai::openai {

class ResponseStore {
 public:
  using OwnerHash = crypto::Sha256Digest;

  struct Entry {
    explicit Entry(base::Budget& budget) : share(budget) {}
    String id;
    usize answer_at = 0;  // where in `messages` the answer's own message begins
    // The messages up to the answer and the answer itself, as JSON with commas between them.
    // Instructions are not among them: each request has its own.
    base::Wiped<String> messages;
    base::Wiped<String> answer;  // the response as JSON
    base::BudgetShare share;
  };

  explicit ResponseStore(u64 limit_bytes) : budget_(limit_bytes) {}

  bool keeps_anything() const { return budget_.limit() > 0; }
  // Keeps copies. Returns kFull if the texts are longer than one answer may be.
  // `answer_at`: where in `messages` the last one begins.
  Result<void> keep(const OwnerHash& owner, std::string_view id, std::string_view messages,
                    usize answer_at, std::string_view answer);
  // Returns the owner's answer of that id, or null. It is valid until the next keep() or forget().
  const Entry* find(const OwnerHash& owner, std::string_view id);
  // Returns false if the owner has no answer of that id.
  bool forget(const OwnerHash& owner, std::string_view id);

  usize count() const { return count_; }
  u64 bytes() const { return budget_.used(); }

  static constexpr usize kMostKept = 4096;
  static constexpr u64 kLargestShare = 4;  // one answer takes a fourth of the limit at the most

 private:
  struct Holder {
    OwnerHash owner;
    u64 bytes = 0;
    Vector<base::Owner<Entry>> entries;  // in the order of their last use
  };
  usize index_of(const OwnerHash& owner) const;
  Result<Holder*> holder_of(const OwnerHash& owner);
  void drop(usize holder, usize entry);
  void drop_oldest();

  base::Budget budget_;  // outlives the entries
  Vector<base::Owner<Holder>> holders_;
  usize count_ = 0;
};

}  // namespace ai::openai
