// SPDX-License-Identifier: GPL-2.0-or-later
// An amount that many share: bytes of memory for the bodies of all connections, for one.
#pragma once

#include <algorithm>
#include <utility>

#include "kernel/base/result.h"

namespace base {

// Thread context. Outlives its shares.
class Budget {
 public:
  explicit Budget(u64 limit = ~u64{0}) : limit_(limit) {}
  ~Budget() { ASSERT(used_ == 0); }
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  u64 limit() const { return limit_; }
  u64 used() const { return used_; }
  void set_limit(u64 limit) { limit_ = limit; }  // what is taken already stays taken

 private:
  friend class BudgetShare;
  u64 limit_, used_ = 0;
};

// What one holder has of it; given back when the share goes.
class BudgetShare {
 public:
  explicit BudgetShare(Budget& budget) : budget_(budget) {}
  ~BudgetShare() { give_back(); }
  BudgetShare(const BudgetShare&) = delete;
  BudgetShare& operator=(const BudgetShare&) = delete;

  // False: the budget is spent, and this share is what it was.
  [[nodiscard]] bool take(u64 more) {
    if (more > budget_.limit_ - std::min(budget_.limit_, budget_.used_)) return false;
    budget_.used_ += more;
    amount_ += more;
    return true;
  }
  void give_back() { budget_.used_ -= std::exchange(amount_, 0); }
  u64 amount() const { return amount_; }

 private:
  Budget& budget_;
  u64 amount_ = 0;
};

}  // namespace base
