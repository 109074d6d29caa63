// SPDX-License-Identifier: GPL-2.0-or-later
// Requests that wait until their model is loaded, or the list of models is read. They are served in
// the order they came: whoever is first causes the next load, and all who want the same model go on
// when it is there. Meanwhile the other models answer.
#include <algorithm>

#include "ai/openai/service.h"

namespace ai::openai {
namespace {

constexpr u64 kPatienceNs = 120'000'000'000;  // until a load begins, not until it ends
// Somebody without a key may cause one load, and then nobody of them for four times as long as it
// took: the machine spends at most a fifth of its time on loads that strangers want.
constexpr u64 kStrangersShare = 4, kStrangersLeastNs = 10'000'000'000;

Result<void> too_long(ApiError& error) {
  error.retry_after_ms = 5000;
  return error.refuse(503, "unavailable_error", "model_not_ready",
                      "other models were loaded all the time: try again later, or let more of "
                      "them be loaded at once (models.max=)");
}

}  // namespace

Service::Call Waiting::call(Reply& to) {
  header = {"Content-Type", type.view()};
  in = {.method = route->method,
        .path = path.view(),
        .query = query.view(),
        .headers = {&header, 1},
        .body = body.view()};
  return {.in = in,
          .peer = peer.view(),
          .reply = to,
          .origin = origin.view(),
          .error = {},
          .form = form,
          .route = route,
          .since_ns = since_ns,
          .stranger = stranger,
          .owner = owner,
          .again = true};
}

Result<void> Service::check_stranger(Call& call) {
  if (!call.stranger) return {};
  u64 now = backend_.now_ns();
  bool other = std::any_of(waiting_.begin(), waiting_.end(), [&](const auto& w) {
    return w->stranger && w->what == WaitFor::kModel && w->model.view() != call.waits_for;
  });
  if (!other && strangers_load_.number == 0 && now >= strangers_load_.next_ns) return {};
  // A request for the model that is being loaded may wait with the others.
  bool same = !other && std::any_of(waiting_.begin(), waiting_.end(), [&](const auto& w) {
    return w->model.view() == call.waits_for;
  });
  if (same) return {};
  u64 rest_ns = strangers_load_.next_ns - std::min(strangers_load_.next_ns, now);
  call.error.retry_after_ms =
      static_cast<u32>(std::clamp<u64>(rest_ns / 1'000'000, 1000, 3'600'000));
  return call.error.refuse(503, "unavailable_error", "model_not_loaded",
                           "'{}' is not loaded, and who shows no key may have a model loaded only "
                           "now and then: try again later, or use one that is loaded",
                           call.waits_for);
}

Result<void> Service::keep_waiting(Call& call) {
  if (call.waits == WaitFor::kModel) {
    if (options_.admin == AdminRoutes::kClosed)
      return call.error.refuse(403, "permission_error", "admin_closed",
                               "'{}' is not loaded, and admin=closed lets no request load it",
                               call.waits_for);
    TRY(check_stranger(call));
  }
  u64 client = client_hash(call.peer.substr(0, call.peer.rfind(':')));
  TRY(check_queue(call, client));
  base::Budget& bodies = options_.bodies == nullptr ? unlimited_ : *options_.bodies;
  auto waiting = TRY(base::make<Waiting>(bodies));
  if (!waiting->share.take(call.in.body.size()))
    return fail(Errc::kOutOfMemory, "the bodies of other requests fill the memory for them");
  TRY(waiting->path.assign(call.in.path));
  TRY(waiting->query.assign(call.in.query));
  TRY(waiting->type.assign(call.in.header("content-type")));
  TRY(waiting->peer.assign(call.peer));
  TRY(waiting->model.assign(call.waits_for));
  TRY(waiting->body.append(call.in.body));
  waiting->route = call.route, waiting->what = call.waits;
  TRY(waiting->origin.assign(call.origin));
  waiting->form = call.form;
  waiting->stranger = call.stranger, waiting->owner = call.owner;
  waiting->since_ns = call.since_ns;
  waiting->client = client;
  TRY(waiting_.push_back(std::move(waiting)));
  waiting_.back()->reply.join(call.reply.waiting_);
  return {};
}

// Notes how long a load took that a client without a key caused, even if none waits for it now.
void Service::note_load_of_stranger() {
  if (strangers_load_.number == 0 || backend_.load_end(strangers_load_.number) == nullptr) return;
  u64 now = backend_.now_ns();
  u64 took = now - strangers_load_.begun_ns;
  strangers_load_.number = 0;
  strangers_load_.next_ns = now + std::max(kStrangersShare * took, kStrangersLeastNs);
}

void Service::look_at_waiting() {
  note_load_of_stranger();
  usize at = 0;
  for (usize left = waiting_.size(); left > 0; left--) {
    Reply* reply = waiting_[at]->reply.get();
    if (reply == nullptr) {
      metrics_.requests++;
      metrics_.gone++;
      waiting_.erase(at);
      continue;
    }
    Call call = waiting_[at]->call(*reply);
    Result<bool> ready = is_ready(*waiting_[at], call.error);
    if (ready.has_value() && !*ready) {
      at++;
      continue;
    }
    base::Owner<Waiting> taken = std::move(waiting_[at]);
    waiting_.erase(at);
    run_again(*taken, call, std::move(ready));
  }
}

void Service::run_again(Waiting& waiting, Call& call, Result<bool> ready) {
  waiting.reply.part();
  waiting.share.give_back();
  Result<void> done;
  if (!ready.has_value())
    done = std::unexpected(ready.error());
  else
    done = (this->*call.route->run)(call);
  if (!done.has_value() && call.waits != WaitFor::kNothing) done = keep_waiting(call);
  if (!done.has_value()) refuse(call, done.error());
}

Result<bool> Service::is_ready(Waiting& waiting, ApiError& error) {
  bool ready = false;
  if (waiting.what == WaitFor::kModel) ready = TRY(is_loaded_for(waiting, error));
  if (waiting.what == WaitFor::kList)
    ready = backend_.models_known_since(waiting.since_ns - std::min(waiting.since_ns, kListAgeNs));
  // The model may have gone meanwhile: then its route says so.
  ModelRow row;
  if (waiting.what == WaitFor::kDetails)
    ready = !find_row(waiting.model.view(), row) || row.loaded ||
            backend_.details(waiting.model.view()) != nullptr;
  if (waiting.what == WaitFor::kTensors)
    ready =
        !find_row(waiting.model.view(), row) || backend_.tensors(waiting.model.view()) != nullptr;
  if (waiting.what == WaitFor::kHash) ready = is_hashed(waiting);
  bool loads = waiting.load != 0 || waiting.what == WaitFor::kHash;
  if (!ready && !loads && backend_.now_ns() - waiting.since_ns > kPatienceNs) TRY(too_long(error));
  return ready;
}

// If the model has gone or cannot be hashed, the route says so.
bool Service::is_hashed(const Waiting& waiting) {
  Result<Lease> lease = backend_.lease(waiting.model.view());
  if (!lease.has_value()) return true;
  Result<const crypto::Sha256Digest*> hash = backend_.model_sha256(*lease);
  return !hash.has_value() || *hash != nullptr;
}

Result<bool> Service::is_loaded_for(Waiting& waiting, ApiError& error) {
  ModelRow row;
  if (!find_row(waiting.model.view(), row)) return true;  // its route says what there is
  if (row.loaded) return true;
  for (const base::Owner<Waiting>& other : waiting_)
    if (waiting.load == 0 && other->model.view() == waiting.model.view())
      waiting.load = other->load;
  if (waiting.load == 0) {
    Result<u32> number = backend_.change_model(ModelChange::kDemand, waiting.model.view());
    if (!number.has_value() && number.error().code != Errc::kBusy)
      return std::unexpected(number.error());
    waiting.load = number.value_or(0);
    if (waiting.load != 0 && waiting.stranger)
      strangers_load_ = {.number = waiting.load, .begun_ns = backend_.now_ns(), .next_ns = 0};
    return false;
  }
  const LoadEnd* end = backend_.load_end(waiting.load);
  if (end == nullptr) return false;
  if (!end->result.has_value()) {
    describe_load_failure(*end, waiting.model.view(), error);
    bool later = error.status == 409 || end->result.error().code == Errc::kOutOfMemory;
    if (later) error.status = 503, error.type = "unavailable_error";
    if (later) error.retry_after_ms = 5000;
    return std::unexpected(end->result.error());
  }
  waiting.load = 0;  // it came, and has gone for another one already
  return false;
}

// ---- how long models stay --------------------------------------------------------------------

Result<void> Service::set_keep_alive(Exchange& exchange, ApiError& error) {
  if (exchange.memory == nullptr) return {};
  ModelMemory& memory = *exchange.memory;
  memory.used_ns = backend_.now_ns();
  memory.keep_ns = TRY(keep_alive_field(exchange.body.root(), options_.keep_alive_ns, error));
  return {};
}

void Service::expire(ModelMemory& memory) {
  if (!options_.unload_idle || memory.keep_ns == kForever) return;
  if (backend_.now_ns() - memory.used_ns < memory.keep_ns) return;
  // Where another model is just loaded it is tried again; where a command works on the model,
  // later.
  if (backend_.change_model(ModelChange::kExpire, memory.name.view()).has_value())
    memory.used_ns = backend_.now_ns();
}

}  // namespace ai::openai
