// SPDX-License-Identifier: GPL-2.0-or-later
// The server's spine: routes, access, errors, the life of exchanges.
#include "ai/openai/service.h"

#include "ai/text/grammar_schema.h"

#include <algorithm>
#include <charconv>

namespace ai::openai {

namespace {

constexpr u64 kNsPerSecond = 1'000'000'000, kNsPerMs = 1'000'000;

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [&](char x, char y) { return lower(x) == lower(y); });
}

bool path_matches(std::string_view pattern, std::string_view path) {
  if (pattern.ends_with('*')) return path.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == path;
}

// One of a list with blanks or commas between.
bool list_has(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    usize end = list.find_first_of(" ,");
    if (list.substr(0, end) == word) return true;
    if (end == std::string_view::npos) return false;
    list.remove_prefix(end + 1);
  }
  return false;
}

}  // namespace

std::string_view Incoming::header(std::string_view name) const {
  for (const Header& h : headers)
    if (equal_ignoring_case(h.name, name)) return h.value;
  return {};
}

constinit const Service::Route Service::kRoutes[] = {
    {"POST", "/v1/chat/completions", Access::kKey, &Service::chat},
    {"POST", "/chat/completions", Access::kKey, &Service::chat},
    {"POST", "/v1/completions", Access::kKey, &Service::completions},
    {"POST", "/completions", Access::kKey, &Service::completions},
    {"POST", "/v1/responses", Access::kKey, &Service::responses},
    {"POST", "/responses", Access::kKey, &Service::responses},
    {"POST", "/v1/messages", Access::kKey, &Service::anthropic},
    {"POST", "/v1/messages/count_tokens", Access::kKey, &Service::anthropic_count},
    {"POST", "/v1/embeddings", Access::kKey, &Service::embeddings},
    {"POST", "/embeddings", Access::kKey, &Service::embeddings},
    {"GET", "/v1/models", Access::kKey, &Service::models},
    {"GET", "/models", Access::kKey, &Service::models},
    {"POST", "/v1/models/load", Access::kAdmin, &Service::load_model},
    {"POST", "/v1/models/unload", Access::kAdmin, &Service::unload_model},
    {"POST", "/models/load", Access::kAdmin, &Service::load_model},
    {"POST", "/models/unload", Access::kAdmin, &Service::unload_model},
    {"GET", "/v1/models/*", Access::kKey, &Service::one_model},
    {"POST", "/completion", Access::kKey, &Service::llama_completion},
    {"POST", "/chat", Access::kKey, &Service::text_chat},
    {"POST", "/tokenize", Access::kKey, &Service::tokenize},
    {"POST", "/detokenize", Access::kKey, &Service::detokenize},
    {"POST", "/apply-template", Access::kKey, &Service::apply_template},
    {"GET", "/props", Access::kKey, &Service::props},
    {"GET", "/slots", Access::kKey, &Service::slots},
    {"POST", "/slots/*", Access::kAdmin, &Service::slot_action},
    {"GET", "/health", Access::kPublic, &Service::health},
    {"GET", "/v1/health", Access::kPublic, &Service::health},
    {"GET", "/healthz", Access::kPublic, &Service::health},
    {"GET", "/health/live", Access::kPublic, &Service::live},
    {"GET", "/metrics", Access::kPublic, &Service::metrics_page},
    {"GET", "/", Access::kPublic, &Service::page},
    {"GET", "/index.html", Access::kPublic, &Service::page},
};

Result<base::Owner<Service>> Service::create(ServiceOptions options, Backend& backend) {
  base::Owner<Service> service = TRY(base::make<Service>(std::move(options), backend));
  // Only hashes stay: a dump of memory shows no key.
  auto keep_hashes = [](Vector<String>& plain, Vector<crypto::Sha256Digest>& out) -> Result<void> {
    for (String& key : plain) {
      TRY(out.push_back(key_digest(key.view())));
      std::fill(key.chars().begin(), key.chars().end(), '\0');
    }
    plain.clear();
    return {};
  };
  TRY(keep_hashes(service->options_.api_keys, service->keys_));
  TRY(keep_hashes(service->options_.admin_keys, service->admin_keys_));
  return service;
}

crypto::Sha256Digest Service::key_digest(std::string_view text) {
  constexpr std::string_view kHashed = "sha256:";
  crypto::Sha256Digest digest{};
  if (!text.starts_with(kHashed) || text.size() != kHashed.size() + 2 * digest.size())
    return crypto::sha256(text);
  text.remove_prefix(kHashed.size());
  for (usize i = 0; i < digest.size(); i++) {
    const char* at = text.data() + 2 * i;
    auto [end, error] = std::from_chars(at, at + 2, digest[i], 16);
    if (error != std::errc{} || end != at + 2) return crypto::sha256(text);
  }
  return digest;
}

void Service::set_keys(Vector<crypto::Sha256Digest> keys, Vector<crypto::Sha256Digest> admin_keys) {
  more_keys_ = std::move(keys);
  more_admin_keys_ = std::move(admin_keys);
}

const Service::Route* Service::find_route(const Incoming& incoming, bool& path_known) {
  path_known = false;
  std::string_view method = incoming.method == "HEAD" ? "GET" : incoming.method;
  for (const Route& route : kRoutes) {
    if (!path_matches(route.path, incoming.path)) continue;
    path_known = true;
    if (route.method == method) return &route;
  }
  return nullptr;
}

// Every stored key is compared, and each comparison takes the same time.
bool Service::authorized(const Incoming& incoming, Access access) {
  bool keyless = keys_.empty() && more_keys_.empty();
  bool adminless = admin_keys_.empty() && more_admin_keys_.empty();
  if (access == Access::kPublic || (keyless && adminless)) return true;
  std::string_view key = incoming.header("authorization");
  if (key.size() > 7 && equal_ignoring_case(key.substr(0, 7), "bearer ")) key.remove_prefix(7);
  if (key.empty()) key = incoming.header("x-api-key");
  crypto::Sha256Digest digest = crypto::sha256(key);
  auto among = [&](const Vector<crypto::Sha256Digest>& keys) {
    bool found = false;
    for (const auto& k : keys) found |= crypto::equal_constant_time(k, digest);
    return found;
  };
  bool user = among(keys_), more_user = among(more_keys_);
  bool admin = among(admin_keys_), more_admin = among(more_admin_keys_);
  user |= more_user || keyless;
  admin |= more_admin;
  if (access == Access::kAdmin && !adminless) return admin;
  return user || admin;
}

void Service::add_common_headers(const Incoming& incoming, Reply& reply) {
  char id[40];
  reply.add_header("X-Request-ID", base::format_into(id, "req_{:016x}", backend_.random()));
  reply.add_header("Cache-Control", "no-store");
  std::string_view origin = incoming.header("origin");
  bool any = list_has(options_.cors, "*");
  if (origin.empty() || !(any || list_has(options_.cors, origin))) return;
  reply.add_header("Access-Control-Allow-Origin", any ? "*" : origin);
  reply.add_header("Access-Control-Expose-Headers", "X-Request-ID, Retry-After, retry-after-ms");
  reply.add_header("Vary", "Origin");
  if (incoming.method != "OPTIONS") return;
  reply.add_header("Access-Control-Allow-Methods", "GET, POST, OPTIONS");
  // Browsers' clients send a dozen x-stainless-* headers: allow what they ask for.
  std::string_view wanted = incoming.header("access-control-request-headers");
  reply.add_header("Access-Control-Allow-Headers",
                   wanted.empty() ? "Authorization, Content-Type, X-Api-Key" : wanted);
  reply.add_header("Access-Control-Max-Age", "86400");
}

Exchange* Service::handle(const Incoming& incoming, Reply& reply) {
  Call call{incoming, reply, {}};
  if (incoming.path.starts_with("/v1/messages")) call.form = ErrorForm::kAnthropic;
  add_common_headers(incoming, reply);
  if (incoming.method == "OPTIONS") {
    reply.add_header("Allow", "GET, HEAD, POST, OPTIONS");
    reply.respond(204, {}, {});
    return nullptr;
  }
  bool path_known = false;
  const Route* route = find_route(incoming, path_known);
  Result<void> done;
  if (route == nullptr && path_known) {
    reply.add_header("Allow", incoming.method == "POST" ? "GET, HEAD, OPTIONS" : "POST, OPTIONS");
    done = call.error.refuse(405, "invalid_request_error", "method_not_allowed",
                             "{} is not allowed for {}", incoming.method, incoming.path);
  } else if (route == nullptr) {
    done = call.error.refuse(404, "invalid_request_error", "not_found", "no such endpoint: {} {}",
                             incoming.method, incoming.path);
  } else if (route->access == Access::kAdmin && !authorized(incoming, Access::kAdmin) &&
             keys_.size() + more_keys_.size() > 0 && authorized(incoming, Access::kKey)) {
    done = call.error.refuse(403, "permission_error", "admin_key_required",
                             "{} wants an admin key; this key is for requests", incoming.path);
  } else if (!authorized(incoming, route->access)) {
    reply.add_header("WWW-Authenticate", "Bearer");
    done = call.error.refuse(401, "invalid_request_error", "invalid_api_key",
                             "missing or wrong API key");
  } else {
    call.route = route;
    done = (this->*route->run)(call);
  }
  if (done.has_value()) return call.pending;
  call.error.take(done.error());
  metrics_.refused++;
  respond_error(reply, call.error, call.form);
  return nullptr;
}

void Service::respond_json(Reply& reply, int status, std::string_view body) {
  reply.respond(status, "application/json", body);
}

void Service::respond_error(Reply& reply, const ApiError& error, ErrorForm form) {
  if (error.retry_after_ms > 0) {
    char text[24];
    reply.add_header("retry-after-ms", base::format_into(text, "{}", error.retry_after_ms));
    reply.add_header("Retry-After",
                     base::format_into(text, "{}", (error.retry_after_ms + 999) / 1000));
  }
  String body;
  base::StringWriter sink(body);
  write_error(error, form, sink);
  respond_json(reply, error.status, body.view());
}

void Service::respond_bad_http(Reply& reply, int status, const char* problem) {
  ApiError error;
  (void)error.refuse(status, "invalid_request_error", "bad_http_request", "{}", problem);
  metrics_.refused++;
  respond_error(reply, error, ErrorForm::kOpenAi);
}

void Service::context_error(u32 prompt_tokens, ApiError& error) {
  error.prompt_tokens = prompt_tokens;
  error.context = context();
  (void)error.refuse(400, "invalid_request_error", "context_length_exceeded",
                     "the request has {} tokens, which exceeds the available context size of {} "
                     "tokens",
                     prompt_tokens, context());
  error.param = "messages";
}

// ---- exchanges ------------------------------------------------------------------------------

Result<void> Service::check_load(ApiError& error) {
  LoadState state = backend_.load_state();
  if (backend_.engine() != nullptr && !state.replacing) return {};
  error.retry_after_ms = static_cast<u32>(std::clamp<u64>(state.eta_ms, 500, 10'000));
  if (state.replacing)
    return error.refuse(503, "unavailable_error", "model_not_ready", "the model is being replaced");
  if (state.bytes_total == 0)
    return error.refuse(503, "unavailable_error", "model_not_ready",
                        "no model is loaded: GET /v1/models lists those that there are, POST "
                        "/v1/models/load loads one");
  return error.refuse(503, "unavailable_error", "model_not_ready",
                      "no model is ready ({}: {} of {} bytes)", state.stage, state.bytes_done,
                      state.bytes_total);
}

Result<void> Service::begin(Call& call, base::Owner<Exchange> exchange) {
  ApiError& error = call.error;
  TRY(check_prompts(*exchange, error));
  u32 wanted = static_cast<u32>(exchange->prompts.size()) * exchange->parameters.n;
  if (wanted > kMaxChoices * 8)
    return error.bad("prompt", "at most {} answers in one request", kMaxChoices * 8);
  TRY(check_queue(call, *exchange));
  TRY(choose_slot(*exchange, error));
  TRY(exchange->make_choices(error));
  exchange->accepted_ns = backend_.now_ns();
  metrics_.requests++;
  for (const Vector<TokenId>& p : exchange->prompts) metrics_.prompt_tokens += p.size();
  TRY(exchanges_.push_back(std::move(exchange)));
  Exchange& kept = *exchanges_.back();
  kept.start_stream();
  call.pending = &kept;
  if (kept.work != nullptr)
    backend_.work_waits();
  else if (backend_.engine_callable() && !kept.closed_)
    kept.submit_all();
  // Answered already: nobody may tell us later that its peer has gone.
  if (kept.closed_ || kept.reply_ == nullptr) call.pending = nullptr;
  return {};
}

Result<void> Service::begin_work(Call& call, base::Owner<Exchange> exchange) {
  TRY(check_queue(call, *exchange));
  exchange->accepted_ns = backend_.now_ns();
  metrics_.requests++;
  for (const Vector<TokenId>& p : exchange->prompts) metrics_.prompt_tokens += p.size();
  exchange->submitted = true;
  TRY(exchanges_.push_back(std::move(exchange)));
  call.pending = exchanges_.back().get();
  backend_.work_waits();
  return {};
}

// Room for one more request, and not too many a second.
Result<void> Service::check_queue(Call& call, Exchange& exchange) {
  u32 busy = 0, of_client = 0;
  exchange.client = client_hash(call.in.peer.substr(0, call.in.peer.rfind(':')));
  exchange.path = call.route->path;
  for (const base::Owner<Exchange>& e : exchanges_) {
    busy += e->finished() ? 0 : 1;
    of_client += !e->finished() && e->client == exchange.client ? 1 : 0;
  }
  u64 now = backend_.now_ns();
  bool too_fast = !client_rate_.take(exchange.client, options_.client_rate, now) ||
                  !all_rate_.take(0, options_.rate_per_second, now);
  bool too_many = options_.client_requests > 0 && of_client >= options_.client_requests;
  if (busy < options_.max_requests && !too_fast && !too_many) return {};
  ApiError& error = call.error;
  error.retry_after_ms = 1000;
  if (too_fast)
    return error.refuse(429, "rate_limit_error", "rate_limit_exceeded",
                        "too many requests a second");
  if (too_many)
    return error.refuse(429, "rate_limit_error", "client_busy",
                        "{} requests of this client are being answered", of_client);
  return error.refuse(429, "rate_limit_error", "server_busy", "the queue is full: {} requests",
                      busy);
}

bool Service::work() {
  for (base::Owner<Exchange>& exchange : exchanges_)
    if (exchange->work != nullptr && exchange->work->needs_engine() && exchange->run_work())
      return true;  // the list may have grown meanwhile
  return false;
}

void Service::gone(Exchange* exchange) {
  metrics_.gone++;
  exchange->gone();
  if (backend_.engine_callable()) exchange->cancel_all();
}

void Service::tick() {
  u64 now = backend_.now_ns();
  bool callable = backend_.engine_callable();
  for (usize i = 0; i < exchanges_.size(); i++) {
    Exchange& exchange = *exchanges_[i];
    bool over = exchange.reply_ == nullptr || exchange.closed_ || exchange.failed_;
    if (callable && over) exchange.cancel_all();
    if (callable && !over && !exchange.submitted && exchange.work == nullptr) exchange.submit_all();
    if (!over) exchange.tick(now);
    if (exchange.work != nullptr && !exchange.work->needs_engine()) exchange.run_work();
  }
  // A choice may be inside its callback while the engine runs: only then nothing is dropped.
  if (!callable) return;
  for (usize i = exchanges_.size(); i-- > 0;)
    if (exchanges_[i]->finished()) exchanges_.erase(i);
}

void Service::model_changed() {
  for (base::Owner<Exchange>& exchange : exchanges_) exchange->model_changed();
  for (Slot& slot : slots_) slot.tokens.clear();
  grammars_.clear();
  models_known_ = 0;
}

namespace {

// Before anything is done with a schema: what it costs to look at all of it.
Result<void> check_schema(json::Value schema, const char* param, ApiError& error) {
  usize bytes = 0;
  if (schema.node_count() > kMaxSchemaValues)
    return error.bad(param, "'{}' has {} values; at most {} are taken", param, schema.node_count(),
                     kMaxSchemaValues);
  for (const json::Node& node : schema.nodes()) bytes += node.text.size();
  if (bytes > Grammar::kMaxText)
    return error.bad(param, "'{}' has {} bytes of names and texts; at most {} are taken", param,
                     bytes, Grammar::kMaxText);
  return {};
}

}  // namespace

Result<GrammarRef> Service::make_grammar(Exchange& exchange, ApiError& error) {
  using Kind = GrammarCache::Kind;
  const Parameters& p = exchange.parameters;
  bool forced = exchange.tools.mode == ToolChoice::Mode::kRequired;
  if (!forced && !p.schema.present() && !p.json_object && p.grammar.empty()) return GrammarRef();
  String text;
  Kind kind = Kind::kAnyObject;
  const char* param = "response_format";
  if (forced) {
    kind = Kind::kTools;
    param = "tools";
    json::Value tools = exchange.body.root().find("tools");
    TRY(check_schema(tools, param, error));
    TRY(tool_grammar(tools, exchange.tools, text, error));
  } else if (!p.grammar.empty()) {
    kind = Kind::kGbnf;
    param = "grammar";
  } else if (p.schema.present()) {
    kind = Kind::kSchema;
    TRY(check_schema(p.schema, param, error));
  } else {
    TRY(text.append(kJsonRules));
    TRY(text.append("root ::= json-object\n"));
  }
  const TokenTrie& tokens = *TRY(grammars_.tokens(backend_.engine()->tokenizer()));
  std::string_view source = kind == Kind::kGbnf ? p.grammar : text.view();
  GrammarCache::Key key = kind == Kind::kSchema ? GrammarCache::key_of(kind, p.schema)
                                                : GrammarCache::key_of(kind, source);
  if (GrammarRef known = grammars_.find(key); known.get() != nullptr) return known;
  char problem[256];
  base::BufferWriter why(problem);
  Result<base::Owner<Grammar>> made = kind == Kind::kSchema
                                          ? Grammar::from_schema(p.schema, tokens, why)
                                          : Grammar::from_gbnf(source, tokens, why);
  if (!made.has_value() && made.error().code == Errc::kInvalidArgument)
    return error.bad(param, "{}", why.view());
  return grammars_.keep(key, TRY(std::move(made)));
}

void Service::log_done(Exchange& exchange) {
  u32 generated = exchange.total_generated();
  u64 ttft_ms = exchange.first_token_ns / kNsPerMs;
  u64 decode_ns = 0, decoded = 0;
  for (base::Owner<Choice>& c : exchange.choices()) {
    const Timings& t = c->timings();
    decode_ns = std::max(decode_ns, t.decode_ns);
    decoded += t.generated_tokens > 0 ? t.generated_tokens - 1 : 0;
    metrics_.prefill_ns += t.prefill_ns;
  }
  remember(exchange);
  metrics_.answered++;
  metrics_.decode_ns += decode_ns;
  metrics_.decoded_tokens += decoded;
  metrics_.cached_tokens += exchange.cached_tokens();
  metrics_.ttft.add(exchange.first_token_ns);
  metrics_.last_ttft_ms = ttft_ms;
  metrics_.last_tok_s = decode_ns == 0 ? 0 : decoded * kNsPerSecond / decode_ns;
  u64 total_ms = (backend_.now_ns() - exchange.accepted_ns) / kNsPerMs;
  char line[400];
  base::Decimal rate = base::ratio(decoded * kNsPerSecond, decode_ns, 1);
  if (!options_.json_log) {
    backend_.log(base::format_into(
        line, "served {} tokens ttft={} ms rate={} tok/s prompt={} cached={}", generated, ttft_ms,
        rate, exchange.prompt_tokens(), exchange.cached_tokens()));
    return;
  }
  base::BufferWriter out(line);
  json::Writer w(out);
  w.begin_object().field("event", "request").field("id", exchange.id());
  w.field("time", exchange.created()).field("path", exchange.path);
  w.field("prompt_tokens", exchange.prompt_tokens()).field("tokens", generated);
  w.field("cached_tokens", exchange.cached_tokens()).field("ttft_ms", ttft_ms);
  w.field("ms", total_ms).field("tokens_per_second", rate).end_object();
  backend_.log(out.view());
}

void Service::log_failed(Exchange& exchange, const Error& error) {
  metrics_.failed++;
  char line[400];
  if (!options_.json_log) {
    backend_.log(base::format_into(line, "request failed after {} tokens: {}",
                                   exchange.total_generated(), error.what));
    return;
  }
  base::BufferWriter out(line);
  json::Writer w(out);
  w.begin_object().field("event", "request").field("id", exchange.id());
  w.field("time", exchange.created()).field("path", exchange.path);
  w.field("tokens", exchange.total_generated()).field("error", error.what).end_object();
  backend_.log(out.view());
}

}  // namespace ai::openai
