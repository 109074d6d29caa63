// SPDX-License-Identifier: GPL-2.0-or-later
// /api/pull and /v1/models/pull: begin a pull, or join the same one, and tell how far it has come.
// A client that leaves ends nothing: what it wanted takes minutes to hours, and a connection breaks
// sooner than that. DELETE /v1/models/pull ends the pull. And /api/delete: removes a model.
#include "ai/openai/messages.h"
#include "ai/openai/service.h"
#include "kernel/base/hex.h"

namespace ai::openai {
namespace {

constexpr u64 kLeastNs = 250'000'000;  // between two lines that only count bytes

// A source that is wrong is the client's fault; one that cannot be reached, or is out of order, is
// that of the machine behind this one.
void describe_pull_failure(const Error& error, ApiError& out) {
  struct Row {
    Errc code;
    int status;
    const char *type, *name;
  };
  constexpr const char *kWrong = "invalid_request_error", *kServer = "server_error";
  static constexpr Row kRows[] = {{Errc::kInvalidArgument, 400, kWrong, "bad_source"},
                                  {Errc::kNotFound, 404, kWrong, "source_not_found"},
                                  {Errc::kPermission, 403, "permission_error", "pull_refused"},
                                  {Errc::kBusy, 409, kWrong, "pull_busy"},
                                  {Errc::kCancelled, 409, kWrong, "pull_stopped"},
                                  {Errc::kFull, 507, kServer, "disk_full"},
                                  {Errc::kUnsupported, 422, kWrong, "pull_unsupported"},
                                  {Errc::kCorrupt, 502, kServer, "source_wrong"},
                                  {Errc::kIo, 502, kServer, "source_unreachable"},
                                  {Errc::kTimeout, 504, kServer, "source_silent"}};
  for (const Row& row : kRows)
    if (row.code == error.code) {
      (void)out.refuse(row.status, row.type, row.name, "{}", error.what);
      return;
    }
  out.take(error);
}

// Reports a pull until it ends. Each stage gets a line even where it has passed unseen.
class PullWork final : public Work {
 public:
  PullWork(u32 number, bool events) : number_(number), events_(events) {}

  Result<bool> look(Exchange& exchange, base::Writer& answer) override {
    PullState state = TRY(exchange.service().backend().pull_state(number_));
    bool ended = state.stage == PullState::Stage::kEnded;
    if (exchange.streaming()) TRY(report(exchange, state));
    if (!ended) return false;
    TRY(state.result);
    json::Writer w(answer);
    write_success(state, w);
    if (exchange.streaming())
      TRY(send(exchange, [&](json::Writer& out) { write_success(state, out); }));
    return true;
  }

  void refuse(const Error& error, ApiError& out) const override {
    describe_pull_failure(error, out);
  }

 private:
  using Stage = PullState::Stage;

  static constexpr u32 reached(Stage stage) { return static_cast<u32>(stage) + 1; }

  // Returns how many stages there is something to tell of.
  u32 stages_of(const PullState& state) const {
    if (state.stage != Stage::kEnded) return reached(state.stage);
    if (!state.result.has_value()) return told_;
    return reached(state.present ? Stage::kFetching : Stage::kWriting);
  }

  Result<void> report(Exchange& exchange, const PullState& state) {
    if (state.notes != notes_) {
      notes_ = state.notes;
      TRY(send(exchange, [&](json::Writer& w) {
        w.begin_object().field("status", state.note).end_object();
      }));
    }
    for (u32 stages = stages_of(state); told_ < stages; told_++) {
      bool all_came = told_ == reached(Stage::kFetching) && counted_ != state.done;
      if (all_came) TRY(count(exchange, state));
      TRY(tell(exchange, told_, state));
    }
    u64 silent_ns = exchange.service().backend().now_ns() - sent_ns_;
    bool counts = state.stage == Stage::kFetching && state.done != counted_;
    bool silent = silent_ns >= exchange.service().options().heartbeat_ns && told_ > 0;
    if ((counts && silent_ns >= kLeastNs) || silent) TRY(tell(exchange, told_ - 1, state));
    return {};
  }

  Result<void> tell(Exchange& exchange, u32 stage, const PullState& state) {
    constexpr const char* kStatus[] = {"pulling manifest", nullptr, "verifying sha256 digest",
                                       "writing manifest"};
    if (kStatus[stage] == nullptr) return count(exchange, state);
    return send(exchange, [&](json::Writer& w) {
      w.begin_object().field("status", kStatus[stage]).end_object();
    });
  }

  // Writes "pulling 6a0746a1ec1a", with the digest whole beside it, or the model's name where
  // nobody knows what the bytes must be.
  Result<void> count(Exchange& exchange, const PullState& state) {
    constexpr usize kShown = 12;
    counted_ = state.done;
    char digest[80], status[300];
    base::BufferWriter hex(digest);
    if (state.sha256 != nullptr) {
      hex.write("sha256:");
      base::write_hex(*state.sha256, hex);
    }
    std::string_view what =
        state.sha256 != nullptr ? hex.view().substr(7, kShown) : state.name.substr(0, 255);
    return send(exchange, [&](json::Writer& w) {
      w.begin_object().field("status", base::format_into(status, "pulling {}", what));
      if (state.sha256 != nullptr) w.field("digest", hex.view());
      w.field("total", state.total).field("completed", state.done).end_object();
    });
  }

  void write_success(const PullState& state, json::Writer& w) const {
    w.begin_object().field("status", "success");
    if (!events_) {
      w.end_object();
      return;
    }
    w.field("model", state.name).field("bytes", state.total);
    w.field("verified", state.verified).field("present", state.present).end_object();
  }

  template <class Write>
  Result<void> send(Exchange& exchange, Write&& write) {
    line_.clear();
    base::StringWriter sink(line_);
    if (events_) sink.write("data: ");
    json::Writer w(sink);
    write(w);
    sink.write(events_ ? "\n\n" : "\n");
    TRY(sink.status());
    exchange.send_text(line_.view());
    sent_ns_ = exchange.service().backend().now_ns();
    return {};
  }

  const u32 number_;
  const bool events_;  // SSE, or lines of JSON
  u32 told_ = 0;       // stages
  u64 counted_ = 0;    // bytes that were told last
  u64 sent_ns_ = 0;
  u32 notes_ = 0;  // that were told
  String line_;
};

// Removes a model, on the thread that loads models.
class RemoveWork final : public Work {
 public:
  String name;

  Result<bool> look(Exchange& exchange, base::Writer& answer) override {
    Backend& backend = exchange.service().backend();
    if (number_ == 0) number_ = TRY(backend.change_model(ModelChange::kRemove, name.view()));
    const LoadEnd* end = backend.load_end(number_);
    if (end == nullptr) return false;
    if (!end->result.has_value()) return std::unexpected(end->result.error());
    answer.write(R"({"status":"success"})");
    return true;
  }

  void refuse(const Error& error, ApiError& out) const override {
    struct Row {
      Errc code;
      int status;
      const char *type, *name;
    };
    constexpr const char* kWrong = "invalid_request_error";
    static constexpr Row kRows[] = {{Errc::kNotFound, 404, kWrong, "model_not_found"},
                                    {Errc::kBusy, 409, kWrong, "model_busy"},
                                    {Errc::kPermission, 403, "permission_error", "disk_read_only"}};
    for (const Row& row : kRows)
      if (row.code == error.code) {
        (void)out.refuse(row.status, row.type, row.name, "{}", error.what);
        return;
      }
    out.take(error);
  }

 private:
  u32 number_ = 0;  // the backend's number; 0 = not begun
};

}  // namespace

Result<void> Service::begin_pull(Call& call, json::Value body, const PullWish& wish) {
  bool stream = TRY(bool_field(body, "stream", true, call.error));
  auto exchange = TRY(new_exchange(call, wish.ollama ? *kOllamaChatForm : *kLlamaForm));
  exchange->parameters.stream = stream;
  Result<u32> number = backend_.pull(wish);
  if (!number.has_value()) {
    describe_pull_failure(number.error(), call.error);
    if (number.error().code == Errc::kBusy) call.error.retry_after_ms = 10'000;
    return std::unexpected(number.error());
  }
  exchange->work = TRY(base::make<PullWork>(*number, !wish.ollama));
  return begin_work(call, std::move(exchange));
}

Result<void> Service::pull_model(Call& call) {
  json::Document body;
  TRY(parse_body(call, call.in.body, body));
  PullWish wish{.source = TRY(text_field(body.root(), "source", call.error))};
  if (wish.source.empty()) wish.source = TRY(text_field(body.root(), "model", call.error));
  wish.name = TRY(text_field(body.root(), "name", call.error));
  wish.sha256 = TRY(text_field(body.root(), "sha256", call.error));
  if (wish.source.empty())
    return call.error.bad("source",
                          "'source' is missing: an address, hf:OWNER/REPOSITORY/FILE.gguf, "
                          "ollama:MODEL:TAG or a name of the catalogue");
  return begin_pull(call, body.root(), wish);
}

Result<void> Service::ollama_pull(Call& call) {
  json::Document body;
  TRY(parse_body(call, call.in.body, body));
  std::string_view name = ollama_model_name(body.root());
  if (name.empty()) return call.error.bad("model", "model is required");
  return begin_pull(call, body.root(), {.source = name, .ollama = true});
}

// With model.any=yes an unknown name means the default model, which nobody wants to lose like that.
Result<void> Service::ollama_delete(Call& call) {
  json::Document body;
  TRY(parse_body(call, call.in.body, body));
  std::string_view wanted = ollama_model_name(body.root());
  if (wanted.empty()) return call.error.bad("model", "model is required");
  ModelRow row;
  bool known = find_row(wanted, row);
  if (!known && options_.any_model)
    return call.error.refuse(404, "not_found", "model_not_found", "model '{}' not found",
                             wanted.substr(0, 120));
  if (!known) row = TRY(find_model(call, wanted));
  auto exchange = TRY(new_exchange(call, *kOllamaChatForm));
  exchange->parameters.stream = false;
  auto work = TRY(base::make<RemoveWork>());
  TRY(work->name.assign(row.name));
  exchange->work = std::move(work);
  return begin_work(call, std::move(exchange));
}

Result<void> Service::stop_pull(Call& call) {
  if (!backend_.stop_pull())
    return call.error.refuse(404, "invalid_request_error", "no_pull", "no model is being pulled");
  respond_json(call.to(), 200, R"({"stopped":true})");
  return {};
}

}  // namespace ai::openai
