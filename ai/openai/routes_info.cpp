// SPDX-License-Identifier: GPL-2.0-or-later
// Routes that report: health, models, properties of the server, the machine's report, tokens, and
// the chat page.
#include "ai/openai/health_field.h"
#include "ai/openai/service.h"
#include "ai/text/chat_template.h"
#include "kernel/base/utf8.h"

namespace ai::openai {
namespace {

constexpr u64 kNsPerSecond = 1'000'000'000;

// Returns true for a text client: one that asks for plain text, or for no particular type at
// /healthz.
bool wants_text(const base::HttpRequest& in) {
  return in.path == "/healthz" || in.header("accept").starts_with("text/plain");
}

// Returns a token as text; a control token is shown by its name.
std::string_view token_as_text(const Tokenizer& tokenizer, TokenId id) {
  return tokenizer.is_control(id) ? tokenizer.spelling(id) : tokenizer.piece(id);
}

// Writes what a loaded model is worth; of others that is not known.
void write_verified(const ModelRow& row, json::Writer& w) {
  if (row.verified == nullptr) return;
  w.field("verified", std::string_view(row.verified));
  if (row.key_id[0] != 0) w.field("key_id", std::string_view(row.key_id));
}

// Writes a piece that is not valid UTF-8 as a list of its bytes, as llama-server does.
void write_piece(std::string_view piece, json::Writer& w) {
  if (utf8::valid(piece)) {
    w.value(piece);
    return;
  }
  w.begin_array();
  for (char c : piece) w.value(static_cast<u32>(static_cast<u8>(c)));
  w.end_array();
}

}  // namespace

Result<void> Service::page(Call& call) {
  if (options_.ollama_root &&
      call.in.header("accept").find("text/html") == std::string_view::npos) {
    respond(call.to(), 200, "text/plain; charset=utf-8", "Ollama is running");
    return {};
  }
  if (options_.page.empty())
    return call.error.refuse(404, "invalid_request_error", "not_found", "no page was built in");
  constexpr base::HttpHeader kHeaders[] = {
      {"Content-Security-Policy",
       "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src "
       "'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
      {"X-Frame-Options", "DENY"}};
  respond(call.to(), 200, "text/html; charset=utf-8", options_.page, kHeaders);
  return {};
}

Result<void> Service::live(Call& call) {
  respond_json(call.to(), 200, "{\"status\":\"live\"}");
  return {};
}

Result<void> Service::report(Call& call) {
  String body;
  base::StringWriter sink(body);
  TRY(backend_.report(sink));
  TRY(sink.status());
  respond(call.to(), 200, "text/plain; charset=utf-8", body.view());
  return {};
}

Result<void> Service::health(Call& call) {
  Result<Lease> taken = backend_.lease({});
  const Lease* lease = taken.has_value() ? &*taken : nullptr;
  String body;
  base::StringWriter sink(body);
  bool text = wants_text(call.in);
  if (!text)
    write_health(lease, sink);
  else if (lease != nullptr)
    base::format_to(sink, "ok model dim={} layers={} vocab={}\n", lease->info().width,
                    lease->info().layers, lease->info().vocabulary);
  else
    base::format_to(sink, "{}\n", backend_.load_state().stage);
  TRY(sink.status());
  constexpr base::HttpHeader kRetry[] = {{"Retry-After", "1"}};
  respond(call.to(), lease != nullptr ? 200 : 503, text ? "text/plain" : "application/json",
          body.view(), std::span(kRetry).first(lease != nullptr ? 0 : 1));
  return {};
}

void Service::write_health(const Lease* lease, base::Writer& out) {
  LoadState load = backend_.load_state();
  json::Writer w(out);
  bool loading = load.bytes_total > 0;  // while another model serves, or before the first one
  w.begin_object();
  w.field("status", lease != nullptr ? "ok" : loading ? "loading" : "no model");
  w.field("model", backend_.model_id()).field("build", backend_.build());
  if (lease != nullptr) write_verified(backend_.model_row(0), w);
  w.field("stage", load.stage);
  if (loading) {
    w.field("bytes_done", load.bytes_done);
    w.field("bytes_total", load.bytes_total).field("eta_ms", load.eta_ms);
  }
  if (lease == nullptr) {
    w.key("error").begin_object().field("code", 503);
    w.field("message", loading ? "Loading model" : "No model is loaded");
    w.field("type", "unavailable_error").end_object();
  } else {
    const MemoryPlan& plan = lease->plan();
    EngineFigures now = backend_.figures();
    w.field("context", lease->info().context).field("kernels", lease->kernels_name());
    w.key("memory").begin_object().field("used_bytes", backend_.memory_used());
    w.field("total_bytes", backend_.memory_total()).field("weights_bytes", plan.weights_bytes);
    w.field("kv_bytes", plan.kv_bytes).field("kv_type", kv_type_info(plan.kv_type).name);
    w.field("workspace_bytes", plan.workspace_bytes).field("draft_bytes", plan.draft_bytes);
    w.end_object();
    w.key("stats").begin_object().field("requests_total", metrics_.requests);
    w.field("requests_active", now.running).field("requests_queued", now.queued);
    w.field("tokens_generated", metrics_.tokens_generated);
    w.field("avg_tokens_per_sec",
            base::ratio(metrics_.decoded_tokens * kNsPerSecond, metrics_.decode_ns, 2));
    w.end_object();
  }
  for (const HealthField* field : health_fields_rows()) field->write(w);
  w.field("uptime_ms", backend_.now_ns() / 1'000'000).end_object();
}

// ---- models ---------------------------------------------------------------------------------

// Returns the time when the list was first sent, which is the same for all clients.
u64 Service::models_known_seconds() {
  if (models_known_ == 0) models_known_ = backend_.unix_ns() / kNsPerSecond;
  return models_known_;
}

// Writes the other names of the model.
void Service::write_aliases(std::string_view name, json::Writer& w) {
  w.key("aliases").begin_array();
  for (const ModelAlias& alias : aliases_)
    if (ModelRow row; find_named(alias.model.view(), row) && row.name == name)
      w.value(alias.name.view());
  w.end_array();
}

// An alias says whose it is. A file that cannot be read has a size and nothing else.
void Service::write_model(std::string_view name, const ModelRow& row, const ModelDetails& d,
                          json::Writer& w) {
  w.begin_object().field("id", name).field("object", "model");
  w.field("created", models_known_seconds()).field("owned_by", "marrow");
  w.field("status", row.loaded ? "loaded" : "available");
  if (name != row.name) w.field("alias_of", row.name);
  write_aliases(row.name, w);
  w.key("tags").begin_array().end_array();
  if (row.loaded) write_verified(row, w);
  if (!d.architecture.empty()) {
    w.field("type", model_type(d));
    write_capabilities(d, w);
  }
  w.key("meta").begin_object().field("size", row.bytes);
  if (!d.architecture.empty()) {
    w.field("architecture", d.architecture).field("quantization", d.quantization);
    w.field("n_params", d.parameters).field("n_vocab", d.vocabulary).field("n_embd", d.width);
    w.field("n_ctx", d.context).field("n_ctx_train", d.trained_context);
  }
  w.end_object().end_object();
}

Result<void> Service::models(Call& call) {
  String body;
  base::StringWriter sink(body);
  json::Writer w(sink);
  w.begin_object().field("object", "list").key("data").begin_array();
  TRY(for_each_model(call,
                     [&](std::string_view name, const ModelRow& row, const ModelDetails& details) {
                       write_model(name, row, details, w);
                     }));
  w.end_array();
  // llama-server's list has its own rows, in Ollama's shape.
  w.key("models").begin_array();
  TRY(for_each_model(call,
                     [&](std::string_view name, const ModelRow& row, const ModelDetails& details) {
                       w.begin_object();
                       write_ollama_model(name, row, details, w);
                       w.field("type", "model").end_object();
                     }));
  w.end_array().end_object();
  TRY(sink.status());
  respond_json(call.to(), 200, body.view());
  return {};
}

Result<void> Service::one_model(Call& call) {
  ModelRow row;
  std::string_view wanted = call.in.path.substr(std::string_view("/v1/models/").size());
  if (!find_row(wanted, row))
    return call.error.refuse(404, "invalid_request_error", "model_not_found",
                             "the model '{}' does not exist", wanted.substr(0, 200));
  ModelDetails details;
  TRY(describe(call, row, details));
  ModelRow named;
  String body;
  base::StringWriter sink(body);
  json::Writer w(sink);
  write_model(find_named(wanted, named) ? row.name : wanted, row, details, w);
  TRY(sink.status());
  respond_json(call.to(), 200, body.view());
  return {};
}

// ---- llama-server's -------------------------------------------------------------------------

Result<void> Service::props(Call& call) {
  Lease lease = TRY(take_lease(call.error));
  const ModelMemory& memory = *TRY(memory_of(lease));
  String body;
  base::StringWriter sink(body);
  json::Writer w(sink);
  w.begin_object().key("default_generation_settings").begin_object();
  w.field("n_ctx", lease.info().context).key("params").begin_object();
  w.field("seed", options_.seed != 0 ? static_cast<i64>(options_.seed) : i64{-1});
  w.field("n_predict", options_.token_limit != 0 ? i64{options_.token_limit} : i64{-1});
  write_sampling(defaults_of(Api::kUsual), w);
  w.end_object().end_object();
  ModelRow row;
  bool has_path = find_named(lease.model(), row) && !row.path.empty();
  w.field("total_slots", ModelMemory::kSlots);
  w.field("model_path", has_path ? row.path : lease.model()).field("model_alias", lease.model());
  write_aliases(lease.model(), w);
  const ChatTemplate* chat = lease.chat_template();
  w.field("chat_template", chat == nullptr ? std::string_view() : chat->source());
  const Tokenizer& tokenizer = lease.tokenizer();
  w.field("bos_token", tokenizer.spelling(tokenizer.bos()));
  w.field("eos_token", tokenizer.spelling(tokenizer.eos()));
  w.field("build_info", backend_.build());
  w.field("system_fingerprint", memory.fingerprint_text()).end_object();
  TRY(sink.status());
  respond_json(call.to(), 200, body.view());
  return {};
}

// The log gets no text of prompts or answers.
Result<void> Service::tokenize(Call& call) {
  json::Document body;
  TRY(parse_body(call, call.in.body, body));
  Lease lease = TRY(lease_for(call, body.root(), ModelUse::kAny));
  json::Value root = body.root();
  std::string_view content = TRY(text_field(root, "content", call.error));
  bool special = TRY(bool_field(root, "add_special", false, call.error));
  bool parse = TRY(bool_field(root, "parse_special", true, call.error));
  bool pieces = TRY(bool_field(root, "with_pieces", false, call.error));
  base::Wiped<Vector<TokenId>> tokens;
  TRY(lease.tokenizer().encode(content, special ? AddSpecial::kYes : AddSpecial::kNo,
                               parse ? ParseSpecial::kYes : ParseSpecial::kNo, tokens));
  String text;
  base::StringWriter sink(text);
  json::Writer w(sink);
  w.begin_object().key("tokens").begin_array();
  for (TokenId id : tokens) {
    if (!pieces) {
      w.value(id);
      continue;
    }
    w.begin_object().field("id", id).key("piece");
    write_piece(token_as_text(lease.tokenizer(), id), w);
    w.end_object();
  }
  w.end_array().end_object();
  TRY(sink.status());
  respond_json(call.to(), 200, text.view());
  return {};
}

Result<void> Service::detokenize(Call& call) {
  json::Document body;
  TRY(parse_body(call, call.in.body, body));
  Lease lease = TRY(lease_for(call, body.root(), ModelUse::kAny));
  base::Wiped<Vector<TokenId>> tokens;
  json::Value list = body.root().find("tokens");
  if (!list.is_array()) return call.error.bad("tokens", "'tokens' must be a list of token ids");
  TRY(read_tokens(lease.tokenizer(), list, "tokens", tokens, call.error));
  String content;
  for (TokenId id : tokens) TRY(content.append(token_as_text(lease.tokenizer(), id)));
  String text;
  base::StringWriter sink(text);
  json::Writer(sink).begin_object().field("content", content).end_object();
  TRY(sink.status());
  respond_json(call.to(), 200, text.view());
  return {};
}

Result<void> Service::apply_template(Call& call) {
  json::Document body;
  TRY(parse_body(call, call.in.body, body));
  Lease lease = TRY(lease_for(call, body.root(), ModelUse::kAny));
  base::Wiped<Vector<TokenId>> tokens;
  base::Wiped<String> prompt;
  TRY(render_messages(lease, body.root(), tokens, &prompt, call.error));
  String text;
  base::StringWriter sink(text);
  json::Writer w(sink);
  w.begin_object().field("prompt", prompt).field("n_tokens", tokens.size()).end_object();
  TRY(sink.status());
  respond_json(call.to(), 200, text.view());
  return {};
}

}  // namespace ai::openai
