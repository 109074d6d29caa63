// SPDX-License-Identifier: GPL-2.0-or-later
// Finds, keeps and drops answers.
#include "ai/openai/response_store.h"

#include <algorithm>

namespace ai::openai {
namespace {

constexpr u64 kOverheadBytes = 256;  // of an entry beside its texts: objects, pointers, heap blocks

usize index_of_id(std::span<const base::Owner<ResponseStore::Entry>> entries, std::string_view id) {
  usize at = 0;
  while (at < entries.size() && entries[at]->id.view() != id) at++;
  return at;
}

}  // namespace

usize ResponseStore::index_of(const OwnerHash& owner) const {
  usize at = 0;
  while (at < holders_.size() && !crypto::equal_constant_time(holders_[at]->owner, owner)) at++;
  return at;
}

Result<ResponseStore::Holder*> ResponseStore::holder_of(const OwnerHash& owner) {
  if (usize at = index_of(owner); at < holders_.size()) return holders_[at].get();
  base::Owner<Holder> made = TRY(base::make<Holder>());
  made->owner = owner;
  TRY(holders_.push_back(std::move(made)));
  return holders_.back().get();
}

Result<void> ResponseStore::keep(const OwnerHash& owner, std::string_view id,
                                 std::string_view messages, usize answer_at,
                                 std::string_view answer) {
  u64 bytes = kOverheadBytes + id.size() + messages.size() + answer.size();
  if (bytes > budget_.limit() / kLargestShare)
    return fail(Errc::kFull, "the conversation is too long to be kept");
  auto entry = TRY(base::make<Entry>(budget_));
  TRY(entry->id.assign(id));
  entry->answer_at = answer_at;
  TRY(entry->messages.reserve(messages.size()));
  TRY(entry->messages.append(messages));
  TRY(entry->answer.reserve(answer.size()));
  TRY(entry->answer.append(answer));
  while (count_ >= kMostKept || !entry->share.take(bytes)) drop_oldest();
  Holder* holder = TRY(holder_of(owner));
  Result<void> kept = holder->entries.push_back(std::move(entry));
  if (kept.has_value()) {
    holder->bytes += bytes;
    count_++;
  } else if (holder->entries.empty()) {
    holders_.pop_back();  // it was made for this entry
  }
  return kept;
}

const ResponseStore::Entry* ResponseStore::find(const OwnerHash& owner, std::string_view id) {
  usize at = index_of(owner);
  if (at == holders_.size()) return nullptr;
  Vector<base::Owner<Entry>>& entries = holders_[at]->entries;
  usize found = index_of_id(entries.view(), id);
  if (found == entries.size()) return nullptr;
  std::rotate(entries.begin() + found, entries.begin() + found + 1, entries.end());
  return entries.back().get();
}

bool ResponseStore::forget(const OwnerHash& owner, std::string_view id) {
  usize at = index_of(owner);
  if (at == holders_.size()) return false;
  usize found = index_of_id(holders_[at]->entries.view(), id);
  if (found == holders_[at]->entries.size()) return false;
  drop(at, found);
  return true;
}

void ResponseStore::drop(usize holder, usize entry) {
  Holder& from = *holders_[holder];
  from.bytes -= from.entries[entry]->share.amount();
  from.entries.erase(entry);
  count_--;
  if (from.entries.empty()) holders_.erase(holder);
}

void ResponseStore::drop_oldest() {
  ASSERT(!holders_.empty());  // one answer alone always fits
  auto most = std::max_element(holders_.begin(), holders_.end(),
                               [](const auto& a, const auto& b) { return a->bytes < b->bytes; });
  drop(static_cast<usize>(most - holders_.begin()), 0);
}

}  // namespace ai::openai
