// SPDX-License-Identifier: GPL-2.0-or-later
// /v1/models/load and /unload. They answer when the load has ended, with its result.
#include <algorithm>

#include "ai/openai/service.h"

namespace ai::openai {
namespace {

constexpr u64 kNsPerMs = 1'000'000;

class LoadWork final : public Work {
 public:
  ModelChange change = ModelChange::kLoad;
  String name;

  Result<bool> look(Exchange& exchange, base::Writer& answer) override {
    Backend& backend = exchange.service().backend();
    if (number_ == 0) number_ = TRY(backend.change_model(change, name.view()));
    const LoadEnd* end = backend.load_end(number_);
    if (end == nullptr) return false;
    found_ = end->found;
    if (!end->result.has_value()) return std::unexpected(end->result.error());
    json::Writer w(answer);
    w.begin_object().field("success", true).field("model", name);
    w.field("status", change == ModelChange::kUnload ? "unloaded" : "loaded");
    w.field("load_ms", (backend.now_ns() - exchange.accepted_ns) / kNsPerMs).end_object();
    return true;
  }

  void refuse(const Error& error, ApiError& out) const override {
    describe_load_failure({found_, std::unexpected(error)}, name.view(), out);
  }

 private:
  u32 number_ = 0;  // the backend's number; 0 = not begun
  bool found_ = true;
};

}  // namespace

// Answers a file that is no good with 4xx, because clients repeat what ends with 5xx, and the same
// file would fail again. A file that cannot be read just now gets a 5xx.
void describe_load_failure(const LoadEnd& end, std::string_view name, ApiError& out) {
  constexpr const char* kWrong = "invalid_request_error";
  const Error& error = end.result.error();
  if (!end.found) {
    (void)out.refuse(error.code == Errc::kNotFound ? 404 : 400, kWrong, "model_not_found",
                     "the model '{}' cannot be loaded: {}", name, error.what);
  } else if (error.code == Errc::kBusy) {
    (void)out.refuse(409, kWrong, "model_loading", "{}", error.what);
    out.retry_after_ms = 1000;
  } else if (error.code == Errc::kIo || error.code == Errc::kTimeout) {
    (void)out.refuse(500, "server_error", "model_load_failed", "'{}' cannot be read: {}", name,
                     error.what);
  } else {
    (void)out.refuse(422, kWrong, "model_load_failed", "'{}' was not loaded: {}", name, error.what);
  }
  if (out.status != 409) out.param = "model";
}

// With "wait": false the answer comes at once and /health tells the rest.
Result<void> Service::change_model(Call& call, ModelChange change, std::string_view name,
                                   bool wait) {
  auto exchange = TRY(new_exchange(call, *kLlamaForm));
  auto work = TRY(base::make<LoadWork>());
  work->change = change;
  TRY(work->name.assign(name));
  if (wait) {
    exchange->work = std::move(work);
    return begin_work(call, std::move(exchange));
  }
  Result<u32> number = backend_.change_model(change, name);
  if (!number.has_value()) {
    work->refuse(number.error(), call.error);
    return std::unexpected(number.error());
  }
  respond_json(call.to(), 202, R"({"success":true,"status":"loading"})");
  return {};
}

Result<void> Service::load_model(Call& call) {
  json::Document body;
  TRY(parse_body(call, call.in.body, body));
  std::string_view name = TRY(text_field(body.root(), "model", call.error));
  if (name.empty()) return call.error.bad("model", "'model' is missing");
  bool wait = TRY(bool_field(body.root(), "wait", true, call.error));
  return change_model(call, ModelChange::kLoad, name, wait);
}

// The body may name one of the loaded models. Without a name the current one is unloaded.
Result<void> Service::unload_model(Call& call) {
  json::Document body;
  if (!call.in.body.empty()) TRY(parse_body(call, call.in.body, body));
  std::string_view name = TRY(text_field(body.root(), "model", call.error));
  ModelRow row{.name = backend_.model_id(), .loaded = !backend_.model_id().empty()};
  if (!name.empty() && !find_row(name, row)) row.loaded = false;
  if (!row.loaded) {
    call.error.param = "model";
    return call.error.refuse(404, "invalid_request_error", "model_not_found", "{} is not loaded",
                             name.empty() ? "a model" : name);
  }
  return change_model(call, ModelChange::kUnload, row.name, true);
}

}  // namespace ai::openai
