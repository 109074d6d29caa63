// SPDX-License-Identifier: GPL-2.0-or-later
// An amount that several holders share, such as the memory for the bodies of all connections.
#pragma once

#include <algorithm>
#include <utility>

#include "kernel/base/result.h"

namespace base {

// For threads only. It must outlive its shares.
class Budget {
 public:
  explicit Budget(u64 limit = ~u64{0}) : limit_(limit) {}
  ~Budget() { ASSERT(used_ == 0); }
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  u64 limit() const { return limit_; }
  u64 used() const { return used_; }
  void set_limit(u64 limit) { limit_ = limit; }  // lowering it takes nothing back from the holders

 private:
  friend class BudgetShare;
  u64 limit_, used_ = 0;
};

// The part of the budget that one holder has taken. The destructor gives it back.
class BudgetShare {
 public:
  explicit BudgetShare(Budget& budget) : budget_(budget) {}
  ~BudgetShare() { give_back(); }
  BudgetShare(const BudgetShare&) = delete;
  BudgetShare& operator=(const BudgetShare&) = delete;

  // Returns false if the budget does not have that much left; the share is then unchanged.
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
