// SPDX-License-Identifier: GPL-2.0-or-later
// Routes that report: health, metrics, models, slots, tokens, the page.
#include "ai/openai/service.h"

namespace ai::openai {
namespace {

constexpr u64 kNsPerSecond = 1'000'000'000;

// A text client: it asks for plain text, or for no particular thing at /healthz.
bool wants_text(const Incoming& in) {
  return in.path == "/healthz" || in.header("accept").starts_with("text/plain");
}

void metric(base::Writer& out, std::string_view name, const char* type, u64 value) {
  base::format_to(out, "# TYPE {} {}\n{} {}\n", name, type, name, value);
}

}  // namespace

void Histogram::write(base::Writer& out, std::string_view name, std::string_view help) const {
  base::format_to(out, "# HELP {} {}\n# TYPE {} histogram\n", name, help, name);
  u64 below = 0;
  for (usize i = 0; i < std::size(kLatencyBounds); i++) {
    below += buckets[i];
    base::format_to(out, "{}_bucket{{le=\"{}\"}} {}\n", name,
                    base::ratio(kLatencyBounds[i], 1'000'000, 3), below);
  }
  base::format_to(out, "{}_bucket{{le=\"+Inf\"}} {}\n", name, count);
  base::format_to(out, "{}_sum {}\n{}_count {}\n", name, base::ratio(sum_us, 1'000'000, 6), name,
                  count);
}

Result<void> Service::page(Call& call) {
  if (options_.page.empty())
    return call.error.refuse(404, "invalid_request_error", "not_found", "no page was built in");
  call.reply.add_header("Content-Security-Policy",
                        "default-src 'none'; style-src 'unsafe-inline'; script-src "
                        "'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; "
                        "form-action 'none'; frame-ancestors 'none'");
  call.reply.respond(200, "text/html; charset=utf-8", options_.page);
  return {};
}

Result<void> Service::live(Call& call) {
  respond_json(call.reply, 200, "{\"status\":\"live\"}");
  return {};
}

Result<void> Service::health(Call& call) {
  Engine* engine = backend_.engine();
  LoadState load = backend_.load_state();
  String body;
  base::StringWriter sink(body);
  if (wants_text(call.in)) {
    if (engine != nullptr)
      base::format_to(sink, "ok model dim={} layers={} vocab={}\n", engine->info().width,
                      engine->info().layers, engine->info().vocabulary);
    else
      base::format_to(sink, "{}\n", load.stage);
    call.reply.respond(engine != nullptr ? 200 : 503, "text/plain", body.view());
    return {};
  }
  json::Writer w(sink);
  bool loading = load.bytes_total > 0;  // beside a model that serves, or before the first one
  w.begin_object();
  w.field("status", engine != nullptr ? "ok" : loading ? "loading" : "no model");
  w.field("model", backend_.model_id()).field("build", backend_.build());
  w.field("stage", load.stage);
  if (loading) {
    w.field("bytes_done", load.bytes_done);
    w.field("bytes_total", load.bytes_total).field("eta_ms", load.eta_ms);
  }
  if (engine == nullptr) {
    w.key("error").begin_object().field("code", 503);
    w.field("message", loading ? "Loading model" : "No model is loaded");
    w.field("type", "unavailable_error").end_object();
  } else {
    const MemoryPlan& plan = engine->plan();
    w.field("context", engine->info().context).field("kernels", engine->kernels_name());
    w.key("memory").begin_object().field("used_bytes", backend_.memory_used());
    w.field("total_bytes", backend_.memory_total()).field("weights_bytes", plan.weights_bytes);
    w.field("kv_bytes", plan.kv_bytes).field("workspace_bytes", plan.workspace_bytes).end_object();
    w.key("stats").begin_object().field("requests_total", metrics_.requests);
    w.field("requests_active", engine->running()).field("requests_queued", engine->queued());
    w.field("tokens_generated", metrics_.tokens_generated);
    w.field("avg_tokens_per_sec",
            base::ratio(metrics_.decoded_tokens * kNsPerSecond, metrics_.decode_ns, 2));
    w.end_object();
  }
  w.field("uptime_ms", backend_.now_ns() / 1'000'000).end_object();
  if (engine == nullptr) call.reply.add_header("Retry-After", "1");
  respond_json(call.reply, engine != nullptr ? 200 : 503, body.view());
  return {};
}

Result<void> Service::metrics_page(Call& call) {
  String body;
  base::StringWriter out(body);
  const Metrics& m = metrics_;
  // The four lines that llmd has, then the usual names.
  base::format_to(out, "requests {}\ntokens_total {}\nlast_ttft_ms {}\nlast_tok_s {}\n", m.answered,
                  m.tokens_generated, m.last_ttft_ms, m.last_tok_s);
  struct Row {
    const char* name;
    const char* type;
    u64 value;
  };
  Engine* engine = backend_.engine();
  u64 running = engine == nullptr ? 0 : engine->running();
  u64 queued = engine == nullptr ? 0 : engine->queued();
  u64 pages = engine == nullptr ? 0 : engine->kv_pages_total();
  u64 used = engine == nullptr ? 0 : engine->kv_pages_used();
  const Row rows[] = {
      {"marrow_requests_total", "counter", m.requests},
      {"marrow_requests_answered_total", "counter", m.answered},
      {"marrow_requests_failed_total", "counter", m.failed},
      {"marrow_requests_refused_total", "counter", m.refused},
      {"marrow_requests_disconnected_total", "counter", m.gone},
      {"marrow_tokens_generated_total", "counter", m.tokens_generated},
      {"marrow_prompt_tokens_total", "counter", m.prompt_tokens},
      {"marrow_cached_tokens_total", "counter", m.cached_tokens},
      {"marrow_requests_running", "gauge", running},
      {"marrow_requests_queued", "gauge", queued},
      {"marrow_kv_pages", "gauge", pages},
      {"marrow_kv_pages_used", "gauge", used},
      {"marrow_memory_used_bytes", "gauge", backend_.memory_used()},
      {"marrow_heap_bytes", "gauge", backend_.heap_bytes()},
      {"marrow_uptime_seconds", "gauge", backend_.now_ns() / kNsPerSecond},
      {"llamacpp:prompt_tokens_total", "counter", m.prompt_tokens},
      {"llamacpp:tokens_predicted_total", "counter", m.tokens_generated},
      {"llamacpp:requests_processing", "gauge", running},
      {"llamacpp:requests_deferred", "gauge", queued},
  };
  for (const Row& row : rows) metric(out, row.name, row.type, row.value);
  base::format_to(out, "# TYPE llamacpp:predicted_tokens_seconds gauge\n");
  base::format_to(out, "llamacpp:predicted_tokens_seconds {}\n",
                  base::ratio(m.decoded_tokens * kNsPerSecond, m.decode_ns, 3));
  base::format_to(out, "# TYPE llamacpp:kv_cache_usage_ratio gauge\n");
  base::format_to(out, "llamacpp:kv_cache_usage_ratio {}\n", base::ratio(used, pages, 4));
  m.ttft.write(out, "marrow_time_to_first_token_seconds", "From the request to its first token.");
  m.gaps.write(out, "marrow_inter_token_seconds", "Between two tokens of one answer.");
  TRY(out.status());
  call.reply.respond(200, "text/plain; version=0.0.4; charset=utf-8", body.view());
  return {};
}

// ---- models ---------------------------------------------------------------------------------

void Service::write_model(std::string_view name, bool loaded, json::Writer& w) {
  w.begin_object().field("id", name).field("object", "model");
  w.field("created", backend_.unix_seconds()).field("owned_by", "marrow");
  w.field("status", loaded ? "loaded" : "available");
  Engine* engine = backend_.engine();
  if (loaded && engine != nullptr) {
    const ModelInfo& info = engine->info();
    w.key("meta").begin_object().field("architecture", info.architecture);
    w.field("quantization", info.quantization).field("n_params", info.parameters);
    w.field("size", info.file_bytes).field("n_vocab", info.vocabulary);
    w.field("n_embd", info.width).field("n_ctx", info.context);
    w.field("n_ctx_train", info.trained_context).end_object();
  }
  w.end_object();
}

Result<void> Service::models(Call& call) {
  String body;
  base::StringWriter sink(body);
  json::Writer w(sink);
  w.begin_object().field("object", "list").key("data").begin_array();
  for (u32 i = 0; i < backend_.model_count(); i++)
    write_model(backend_.model_name(i), i == 0 && backend_.engine() != nullptr, w);
  w.end_array().end_object();
  TRY(sink.status());
  respond_json(call.reply, 200, body.view());
  return {};
}

Result<void> Service::one_model(Call& call) {
  std::string_view wanted = call.in.path.substr(std::string_view("/v1/models/").size());
  for (u32 i = 0; i < backend_.model_count(); i++) {
    if (backend_.model_name(i) != wanted) continue;
    String body;
    base::StringWriter sink(body);
    json::Writer w(sink);
    write_model(wanted, i == 0 && backend_.engine() != nullptr, w);
    TRY(sink.status());
    respond_json(call.reply, 200, body.view());
    return {};
  }
  return call.error.refuse(404, "invalid_request_error", "model_not_found",
                           "the model '{}' does not exist", wanted);
}

Result<void> Service::load_model(Call& call) {
  json::Document body;
  TRY(parse_body(call, call.in.body, body));
  std::string_view name = TRY(text_field(body.root(), "model", call.error));
  if (name.empty()) return call.error.bad("model", "'model' is missing");
  TRY(backend_.load_model(name));
  respond_json(call.reply, 200, "{\"success\":true}");
  return {};
}

Result<void> Service::unload_model(Call& call) {
  TRY(backend_.load_model({}));
  respond_json(call.reply, 200, "{\"success\":true}");
  return {};
}

// ---- llama-server's -------------------------------------------------------------------------

Result<void> Service::props(Call& call) {
  TRY(check_load(call.error));
  const SamplerParams d = default_parameters().sampling;
  String body;
  base::StringWriter sink(body);
  json::Writer w(sink);
  w.begin_object().key("default_generation_settings").begin_object();
  w.field("n_ctx", context()).key("params").begin_object();
  w.field("temperature", base::Decimal{d.temperature_milli, 3}).field("top_k", d.top_k);
  w.field("top_p", base::Decimal{d.top_p_milli, 3});
  w.field("min_p", base::Decimal{d.min_p_milli, 3}).end_object().end_object();
  w.field("total_slots", options_.max_requests).field("model_path", backend_.model_id());
  w.field("model_alias", backend_.model_id());
  w.field("build_info", backend_.build());
  w.field("system_fingerprint", backend_.fingerprint()).end_object();
  TRY(sink.status());
  respond_json(call.reply, 200, body.view());
  return {};
}

// Prompts and answers stay out of it.
Result<void> Service::tokenize(Call& call) {
  TRY(check_load(call.error));
  json::Document body;
  TRY(parse_body(call, call.in.body, body));
  json::Value root = body.root();
  std::string_view content = TRY(text_field(root, "content", call.error));
  bool special = TRY(bool_field(root, "add_special", false, call.error));
  bool parse = TRY(bool_field(root, "parse_special", true, call.error));
  bool pieces = TRY(bool_field(root, "with_pieces", false, call.error));
  Vector<TokenId> tokens;
  TRY(backend_.engine()->tokenizer().encode(content, special ? AddSpecial::kYes : AddSpecial::kNo,
                                            parse ? ParseSpecial::kYes : ParseSpecial::kNo,
                                            tokens));
  String text;
  base::StringWriter sink(text);
  json::Writer w(sink);
  w.begin_object().key("tokens").begin_array();
  for (TokenId id : tokens) {
    if (!pieces) {
      w.value(id);
      continue;
    }
    w.begin_object().field("id", id).field("piece", token_text(id)).end_object();
  }
  w.end_array().end_object();
  TRY(sink.status());
  respond_json(call.reply, 200, text.view());
  return {};
}

Result<void> Service::detokenize(Call& call) {
  TRY(check_load(call.error));
  json::Document body;
  TRY(parse_body(call, call.in.body, body));
  Vector<TokenId> tokens;
  TRY(read_tokens(body.root().find("tokens"), tokens, call.error));
  String content;
  for (TokenId id : tokens) TRY(content.append(token_text(id)));
  String text;
  base::StringWriter sink(text);
  json::Writer(sink).begin_object().field("content", content).end_object();
  TRY(sink.status());
  respond_json(call.reply, 200, text.view());
  return {};
}

Result<void> Service::apply_template(Call& call) {
  TRY(check_load(call.error));
  json::Document body;
  TRY(parse_body(call, call.in.body, body));
  Vector<TokenId> tokens;
  String prompt;
  TRY(render_messages(body.root(), tokens, &prompt, call.error));
  String text;
  base::StringWriter sink(text);
  json::Writer w(sink);
  w.begin_object().field("prompt", prompt).field("n_tokens", tokens.size()).end_object();
  TRY(sink.status());
  respond_json(call.reply, 200, text.view());
  return {};
}

}  // namespace ai::openai
