// SPDX-License-Identifier: GPL-2.0-or-later
// Implements an engine's visits to the second home of its KV pages.
#include "ai/engine/home_visits.h"

#include <algorithm>
#include <utility>

#include "ai/engine/engine_impl.h"
#include "kernel/base/wipe.h"

namespace ai {

Result<base::Owner<HomeVisits>> HomeVisits::create(KvHome& home, const KvHome::Name& root,
                                                   u32 context) {
  auto visits = TRY(base::make<HomeVisits>(home, root));
  for (Vector<TokenId>& text : visits->texts_) TRY(text.reserve(context));
  TRY(visits->taken_.reserve(context));
  return visits;
}

void HomeVisits::ended(std::span<const TokenId> tokens) {
  if (tokens.size() < kLeast) return;
  u32 place = 0;
  auto goes_on = [tokens](const Vector<TokenId>& text) {
    return text.size() <= tokens.size() &&
           std::ranges::equal(text.view(), tokens.first(text.size()));
  };
  while (place < waiting_ && !goes_on(texts_[place])) place++;
  if (place == kMost) {
    std::rotate(texts_, texts_ + 1, texts_ + kMost);
    place = kMost - 1;
  }
  waiting_ = std::max(waiting_, place + 1);
  texts_[place].clear();
  MUST(texts_[place].append(tokens));
}

void HomeVisits::forget() {
  for (Vector<TokenId>& text : texts_) base::wipe(text);
  waiting_ = 0;
}

Result<void> HomeVisits::keep_next(KvStore& store, BetweenPages& between) {
  ASSERT(waiting_ > 0);
  std::swap(taken_, texts_[0]);
  std::rotate(texts_, texts_ + 1, texts_ + waiting_);
  waiting_--;
  Result<u32> kept = home_.keep({store, root_, taken_.view()}, kLeast, between);
  base::wipe(taken_);
  if (!kept.has_value()) return std::unexpected(kept.error());
  return {};
}

Result<void> HomeVisits::fetch(KvStore& store, std::span<const TokenId> tokens,
                               BetweenPages& between) {
  taken_.clear();
  MUST(taken_.append(tokens));
  Result<u32> fetched = home_.fetch({store, root_, taken_.view()}, between);
  base::wipe(taken_);
  if (!fetched.has_value()) return std::unexpected(fetched.error());
  return {};
}

u64 HomeVisits::read_ns(const KvStore& store, u32 positions) const {
  KvHome::Figures figures = home_.figures();
  u64 bytes = store.pages_for(positions) * u64{store.pool().page_bytes()};
  return bytes / 1024 * (figures.read_ns / (figures.read_bytes / 1024 + 1));
}

Result<void> EngineImpl::set_home(KvHome& home) {
  assert_own_thread();
  Result<KvFileKey> key = file_key();
  if (!key.has_value()) return std::unexpected(key.error());
  visits_ = TRY(HomeVisits::create(home, home.root(store_, *key), sizes_.context));
  return {};
}

bool EngineImpl::is_away(const Session& session) {
  if (visits_ == nullptr || !remembers(session) || session.fork_of != 0) return false;
  std::span<const TokenId> tokens = session.tokens.view().first(session.tokens.size() - 1);
  u32 there = visits_->known(store_, tokens), here = store_.match(tokens);
  if (there < here + HomeVisits::kLeast) return false;
  u64 reading_ns = visits_->read_ns(store_, there - here);
  u32 computed = costs_.rows_within(reading_ns);
  return computed == 0 || computed < there - here;
}

// Returns the request that came first among those that wait for their pages, if it could start with
// them now.
Session* EngineImpl::first_away() {
  for (const base::Owner<Session>& session : scheduler_->sessions()) {
    if (!session->away || session->state != SessionState::kQueued) continue;
    bool shared = running() > 0 || store_.held() > 0;
    u32 positions = static_cast<u32>(session->tokens.size()) + 1;
    return shared && !store_.has_room(positions) ? nullptr : session.get();
  }
  return nullptr;
}

bool EngineImpl::visit_home(BetweenPages& between) {
  assert_own_thread();
  if (visits_ == nullptr || stepping_) return false;
  Use use(*this);
  Result<void> done;
  if (const Session* session = first_away(); session != nullptr) {
    RequestId id = session->id;
    done =
        visits_->fetch(store_, session->tokens.view().first(session->tokens.size() - 1), between);
    // It may have been cancelled while the disk was read. What could not be read is computed.
    if (Session* fetched = scheduler_->find(id); fetched != nullptr) fetched->away = false;
  } else if (visits_->waiting() > 0) {
    done = visits_->keep_next(store_, between);
  } else {
    return false;
  }
  if (visits_->news(done) && !done.has_value())
    log(platform_, LogLevel::kWarn, "kept texts (kv.disk): {}", done.error());
  return true;
}

}  // namespace ai
