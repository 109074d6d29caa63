// SPDX-License-Identifier: GPL-2.0-or-later
// The core of the API server: routes, access, errors, and the life of exchanges.
#include "ai/openai/service.h"

#include "ai/openai/receipt_replay.h"

#include "ai/text/grammar_schema.h"
#include "kernel/base/hex.h"

#include <algorithm>

namespace ai::openai {

namespace {

constexpr u64 kNsPerSecond = 1'000'000'000, kNsPerMs = 1'000'000;

struct ErrorFormRow {
  std::string_view begins;  // of the paths
  ErrorForm form;
};
constexpr ErrorFormRow kErrorForms[] = {{"/v1/messages", ErrorForm::kAnthropic},
                                        {"/v1/", ErrorForm::kOpenAi},
                                        {"/api/", ErrorForm::kOllama},
                                        {"", ErrorForm::kLlama}};

bool path_matches(std::string_view pattern, std::string_view path) {
  if (pattern.ends_with('*')) return path.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == path;
}

}  // namespace

constinit const Service::Route Service::kRoutes[] = {
    {"POST", "/v1/chat/completions", Access::kKey, BodyKind::kJson, &Service::chat},
    {"POST", "/chat/completions", Access::kKey, BodyKind::kJson, &Service::chat},
    {"POST", "/v1/chat/completions/input_tokens", Access::kKey, BodyKind::kJson,
     &Service::chat_count},
    {"POST", "/chat/completions/input_tokens", Access::kKey, BodyKind::kJson, &Service::chat_count},
    {"POST", "/v1/completions", Access::kKey, BodyKind::kJson, &Service::completions},
    {"POST", "/completions", Access::kKey, BodyKind::kJson, &Service::llama_completion},
    {"POST", "/v1/responses", Access::kKey, BodyKind::kJson, &Service::responses},
    {"POST", "/responses", Access::kKey, BodyKind::kJson, &Service::responses},
    {"DELETE", "/v1/responses/*", Access::kKey, BodyKind::kNone, &Service::drop_response},
    {"GET", "/v1/responses/*", Access::kKey, BodyKind::kNone, &Service::one_response},
    {"POST", "/v1/messages", Access::kKey, BodyKind::kJson, &Service::anthropic},
    {"POST", "/v1/messages/count_tokens", Access::kKey, BodyKind::kJson, &Service::anthropic_count},
    {"POST", "/v1/embeddings", Access::kKey, BodyKind::kJson, &Service::embeddings},
    {"POST", "/embeddings", Access::kKey, BodyKind::kJson, &Service::llama_embeddings},
    {"POST", "/embedding", Access::kKey, BodyKind::kJson, &Service::llama_embeddings},
    {"POST", "/v1/rerank", Access::kKey, BodyKind::kJson, &Service::rerank},
    {"POST", "/v1/reranking", Access::kKey, BodyKind::kJson, &Service::rerank},
    {"POST", "/rerank", Access::kKey, BodyKind::kJson, &Service::rerank},
    {"POST", "/reranking", Access::kKey, BodyKind::kJson, &Service::rerank},
    {"GET", "/v1/models", Access::kKey, BodyKind::kNone, &Service::models},
    {"GET", "/models", Access::kKey, BodyKind::kNone, &Service::models},
    {"POST", "/v1/models/load", Access::kAdmin, BodyKind::kJson, &Service::load_model},
    {"POST", "/v1/models/unload", Access::kAdmin, BodyKind::kJson, &Service::unload_model},
    {"POST", "/models/load", Access::kAdmin, BodyKind::kJson, &Service::load_model},
    {"POST", "/models/unload", Access::kAdmin, BodyKind::kJson, &Service::unload_model},
    {"POST", "/v1/models/pull", Access::kAdmin, BodyKind::kJson, &Service::pull_model},
    {"DELETE", "/v1/models/pull", Access::kAdmin, BodyKind::kNone, &Service::stop_pull},
    {"GET", "/v1/models/*", Access::kKey, BodyKind::kNone, &Service::one_model},
    {"POST", "/completion", Access::kKey, BodyKind::kText, &Service::llama_completion},
    {"POST", "/infill", Access::kKey, BodyKind::kJson, &Service::infill},
    {"POST", "/chat", Access::kKey, BodyKind::kText, &Service::text_chat},
    {"GET", "/v1/receipts/key", Access::kPublic, BodyKind::kNone, &Service::receipt_key},
    {"POST", "/v1/receipts/verify", Access::kKey, BodyKind::kJson, &Service::verify_receipt},
    {"POST", "/tokenize", Access::kKey, BodyKind::kJson, &Service::tokenize},
    {"POST", "/detokenize", Access::kKey, BodyKind::kJson, &Service::detokenize},
    {"POST", "/apply-template", Access::kKey, BodyKind::kJson, &Service::apply_template},
    {"GET", "/props", Access::kKey, BodyKind::kNone, &Service::props},
    {"GET", "/slots", Access::kKey, BodyKind::kNone, &Service::slots},
    {"POST", "/slots/*", Access::kAdmin, BodyKind::kJson, &Service::slot_action},
    {"GET", "/health", Access::kPublic, BodyKind::kNone, &Service::health},
    {"GET", "/v1/health", Access::kPublic, BodyKind::kNone, &Service::health},
    {"GET", "/healthz", Access::kPublic, BodyKind::kNone, &Service::health},
    {"GET", "/health/live", Access::kPublic, BodyKind::kNone, &Service::live},
    {"GET", "/metrics", Access::kPublic, BodyKind::kNone, &Service::metrics_page},
    {"GET", "/report", Access::kAdmin, BodyKind::kNone, &Service::report},
    {"POST", "/api/chat", Access::kKey, BodyKind::kJson, &Service::ollama_chat},
    {"POST", "/api/generate", Access::kKey, BodyKind::kJson, &Service::ollama_generate},
    {"POST", "/api/embed", Access::kKey, BodyKind::kJson, &Service::ollama_embed},
    {"POST", "/api/embeddings", Access::kKey, BodyKind::kJson, &Service::ollama_embeddings},
    {"GET", "/api/tags", Access::kKey, BodyKind::kNone, &Service::ollama_tags},
    {"GET", "/api/ps", Access::kKey, BodyKind::kNone, &Service::ollama_ps},
    {"POST", "/api/show", Access::kKey, BodyKind::kJson, &Service::ollama_show},
    {"GET", "/api/version", Access::kKey, BodyKind::kNone, &Service::ollama_version},
    {"GET", "/api/status", Access::kKey, BodyKind::kNone, &Service::ollama_status},
    {"POST", "/api/pull", Access::kAdmin, BodyKind::kJson, &Service::ollama_pull},
    {"POST", "/api/create", Access::kKey, BodyKind::kJson, &Service::ollama_not_here},
    {"POST", "/api/copy", Access::kKey, BodyKind::kJson, &Service::ollama_not_here},
    {"POST", "/api/push", Access::kKey, BodyKind::kJson, &Service::ollama_not_here},
    {"DELETE", "/api/delete", Access::kAdmin, BodyKind::kJson, &Service::ollama_delete},
    {"POST", "/api/blobs/*", Access::kKey, BodyKind::kText, &Service::ollama_not_here},
    {"GET", "/api/blobs/*", Access::kKey, BodyKind::kNone, &Service::ollama_no_blob},
    {"POST", "/api/me", Access::kKey, BodyKind::kNone, &Service::ollama_not_here},
    {"POST", "/api/signout", Access::kKey, BodyKind::kNone, &Service::ollama_not_here},
    {"GET", "/", Access::kPublic, BodyKind::kNone, &Service::page},
    {"GET", "/index.html", Access::kPublic, BodyKind::kNone, &Service::page},
};

Result<base::Owner<Service>> Service::create(ServiceOptions options, Backend& backend) {
  base::Owner<Service> service = TRY(base::make<Service>(std::move(options), backend));
  TRY(service->guard_.take_keys(service->options_));
  service->aliases_ = TRY(read_aliases(service->options_.aliases));
  TRY(service->read_sampling());
  return service;
}

// Sets what a request gets that says nothing: the numbers of llama-server, Ollama and the plain
// routes. http.sampling= changes all three.
Result<void> Service::read_sampling() {
  defaults_of(Api::kUsual).temperature_milli = defaults_of(Api::kOllama).temperature_milli = 800;
  defaults_of(Api::kOllama).top_p_milli = 900;
  defaults_of(Api::kOllama).min_p_milli = 0;
  for (SamplerParams& defaults : defaults_) {
    ApiError error;
    Result<void> read = read_defaults(options_.sampling, defaults, error);
    if (read.has_value()) continue;
    char line[kMaxErrorText];
    backend_.log(base::format_into(line, "http.sampling=: {}", error.message));
    return fail(Errc::kInvalidArgument,
                "http.sampling= cannot be used, and the log says why: write "
                "http.sampling=temperature=0.7,top_k=20");
  }
  return {};
}

void Service::set_defaults(Exchange& exchange) {
  bool ollama = exchange.error_form == ErrorForm::kOllama;
  exchange.parameters = {};
  exchange.parameters.sampling = defaults_of(ollama ? Api::kOllama : Api::kUsual);
  exchange.parameters.max_tokens = options_.default_max_tokens;
}

// ---- requests -------------------------------------------------------------------------------

Result<void> Service::find_route(Call& call) {
  const base::HttpRequest& in = call.in;
  std::string_view method = in.method == "HEAD" ? "GET" : in.method;
  std::string_view known;  // a method of that path
  for (const Route& route : kRoutes) {
    if (!path_matches(route.path, in.path)) continue;
    known = route.method;
    if (route.method != method) continue;
    call.route = &route;
    return {};
  }
  if (known.empty())
    return call.error.refuse(404, "invalid_request_error", "not_found", "no such endpoint: {} {}",
                             in.method, in.path.substr(0, 200));
  call.error.allow = known == "GET"    ? "GET, HEAD, OPTIONS"
                     : known == "POST" ? "POST, OPTIONS"
                                       : "DELETE, OPTIONS";
  return call.error.refuse(405, "invalid_request_error", "method_not_allowed",
                           "{} is not allowed for {}", in.method, in.path.substr(0, 200));
}

// Decides everything that the head of a request decides.
Result<void> Service::decide(Call& call) {
  call.form = std::ranges::find_if(kErrorForms, [&](const ErrorFormRow& row) {
                return call.in.path.starts_with(row.begins);
              })->form;
  call.origin = guard_.allowed_origin(call.in);
  call.stranger = guard_.is_stranger(call.peer);
  call.owner = guard_.owner_of(call.in, call.peer);
  if (call.in.method == "OPTIONS") return {};
  TRY(guard_.check_source(call.in, call.error));
  TRY(find_route(call));
  TRY(guard_.check_key(call.in, call.route->access, call.error));
  return guard_.check_body(call.in, call.route->body, call.error);
}

void Service::refuse(Call& call, const Error& error) {
  call.error.take(error);
  metrics_.refused++;
  respond_error(call.to(), call.error, call.form);
}

bool Service::admit(const base::HttpRequest& head, std::string_view peer, Reply& reply) {
  Call call{.in = head, .peer = peer, .reply = reply, .origin = {}, .error = {}};
  Result<void> done = decide(call);
  if (!done.has_value()) refuse(call, done.error());
  return done.has_value();
}

// Decides access again, because keys may have changed since the head came.
void Service::handle(const base::HttpRequest& request, std::string_view peer, Reply& reply) {
  Call call{.in = request, .peer = peer, .reply = reply, .origin = {}, .error = {}};
  call.since_ns = backend_.now_ns();
  Result<void> done = decide(call);
  if (done.has_value() && call.route == nullptr) return answer_options(call);
  if (done.has_value()) done = (this->*call.route->run)(call);
  if (!done.has_value() && call.waits != WaitFor::kNothing) done = keep_waiting(call);
  if (!done.has_value()) refuse(call, done.error());
}

void Service::answer_options(Call& call) {
  constexpr std::string_view kMethods = "GET, HEAD, POST, DELETE, OPTIONS";
  constexpr int kStatus = 200;  // llama-server's
  if (call.origin.empty()) {
    const base::HttpHeader allow[] = {{"Allow", kMethods}};
    return respond(call.to(), kStatus, {}, {}, allow);
  }
  // Browser clients send a dozen x-stainless-* headers, so every header that is asked for is
  // allowed.
  std::string_view wanted = call.in.header("access-control-request-headers");
  if (wanted.empty()) wanted = "Authorization, Content-Type, X-Api-Key";
  const base::HttpHeader allow[] = {{"Allow", kMethods},
                                    {"Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS"},
                                    {"Access-Control-Allow-Headers", wanted},
                                    {"Access-Control-Max-Age", "86400"}};
  respond(call.to(), kStatus, {}, {}, allow);
}

void Service::respond(ReplyTo to, int status, std::string_view type, std::string_view body,
                      std::span<const base::HttpHeader> more) {
  ReplyHeaders headers(backend_, to.origin);
  headers.add(more);
  to.reply.respond(status, type, body, headers.view());
}

void Service::respond_error(ReplyTo to, const ApiError& error, ErrorForm form) {
  ReplyHeaders headers(backend_, to.origin);
  if (error.retry_after_ms > 0) headers.add_retry(error.retry_after_ms);
  if (error.wants_key) headers.add("WWW-Authenticate", "Bearer");
  if (!error.allow.empty()) headers.add("Allow", error.allow);
  char body[kMaxErrorText];  // on the stack, because there may be no memory left
  base::BufferWriter sink(body);
  write_error(error, form, sink);
  to.reply.respond(error.status, "application/json", sink.view(), headers.view());
}

void Service::respond_bad_http(Reply& reply, int status, const char* problem) {
  constexpr u32 kSecondMs = 1000;
  ApiError error;
  (void)error.refuse(status, "invalid_request_error", "bad_http_request", "{}", problem);
  if (status == 503) error.retry_after_ms = kSecondMs;
  metrics_.refused++;
  respond_error({reply, {}}, error, ErrorForm::kOpenAi);
}

void Service::context_error(const Exchange& exchange, u32 prompt_tokens, ApiError& error) {
  error.prompt_tokens = prompt_tokens;
  error.context = exchange.context();
  if (exchange.error_form == ErrorForm::kOllama) {
    (void)error.refuse(400, "invalid_request_error", "context_length_exceeded",
                       "the input length exceeds the context length ({} > {})", prompt_tokens,
                       error.context);
    return;
  }
  (void)error.refuse(400, "invalid_request_error", "context_length_exceeded",
                     "the request has {} tokens, which exceeds the available context size of {} "
                     "tokens",
                     prompt_tokens, error.context);
  error.param = exchange.form().prompt_field();
}

// ---- what is remembered of a model ------------------------------------------------------------

Result<ModelMemory*> Service::memory_of(const Lease& lease) {
  for (base::Owner<ModelMemory>& memory : memories_)
    if (memory->load_number == lease.load_number()) return memory.get();
  base::Owner<ModelMemory> made = TRY(base::make<ModelMemory>());
  made->load_number = lease.load_number();
  TRY(made->name.assign(lease.model()));
  made->keep_ns = options_.keep_alive_ns;
  made->used_ns = backend_.now_ns();
  write_fingerprint(lease, *made);
  TRY(memories_.push_back(std::move(made)));
  return memories_.back().get();
}

void Service::write_fingerprint(const Lease& lease, ModelMemory& memory) {
  char facts[256];
  // The bytes that a position takes in the cache tell its type; the model's shape is in its
  // fingerprint.
  std::string_view text =
      base::format_into(facts, "{} {:016x} {} {}", backend_.build(), lease.info().fingerprint,
                        lease.plan().kv_bytes, lease.info().context);
  crypto::Sha256Digest digest = crypto::sha256(text);
  base::BufferWriter out({memory.fingerprint, sizeof memory.fingerprint - 1});
  out.write("fp_");
  base::write_hex(std::span(digest).first(8), out);
}

void Service::drop_unloaded() {
  for (usize i = memories_.size(); i-- > 0;) {
    ModelMemory& memory = *memories_[i];
    bool used = std::any_of(exchanges_.begin(), exchanges_.end(),
                            [&](const auto& e) { return e->memory == &memory; });
    if (used)
      memory.used_ns = backend_.now_ns();
    else if (backend_.is_loaded(memory.load_number))
      expire(memory);
    else
      memories_.erase(i);
  }
}

// ---- exchanges ------------------------------------------------------------------------------

Result<base::Owner<Exchange>> Service::new_exchange(Call& call, const Form& form) {
  base::Budget& bodies = options_.bodies == nullptr ? unlimited_ : *options_.bodies;
  auto exchange = TRY(base::make<Exchange>(*this, call.reply, form, bodies));
  TRY(exchange->origin.assign(call.origin));
  exchange->error_form = call.form;
  exchange->owner = call.owner;
  if (call.again) exchange->waited_ns = backend_.now_ns() - call.since_ns;
  TRY(exchange->count_body(call.in.body.size()));
  return exchange;
}

Result<void> Service::lend(Exchange& exchange, Lease lease) {
  exchange.lease = std::move(lease);
  exchange.memory = TRY(memory_of(exchange.lease));
  return {};
}

// Adds the exchange to the list. From here on its peer may disappear, whatever the exchange sends.
Result<void> Service::enroll(base::Owner<Exchange> exchange) {
  exchange->accepted_ns = backend_.now_ns();
  TRY(exchanges_.push_back(std::move(exchange)));
  Exchange& kept = *exchanges_.back();
  metrics_.requests++;
  metrics_.prompt_tokens += kept.prompt_tokens();
  kept.start();
  return {};
}

Result<void> Service::begin(Call& call, base::Owner<Exchange> exchange) {
  ApiError& error = call.error;
  if (exchange->parameters.receipt) TRY(prepare_receipt(call, *exchange));
  TRY(check_prompts(*exchange, error));
  if (Parameters& p = exchange->parameters; p.context < exchange->lease.info().context) {
    u32 room = p.context - static_cast<u32>(exchange->prompts[0].size());
    p.max_tokens = p.max_tokens == 0 ? room : std::min(p.max_tokens, room);
  }
  if (Parameters& p = exchange->parameters; options_.shifts && !p.stays && !p.receipt)
    p.slide = true;  // what has dropped tokens has no receipt
  if (Parameters& p = exchange->parameters; options_.token_limit != 0)
    p.max_tokens = std::min(p.max_tokens - 1, options_.token_limit - 1) + 1;  // 0 is the most
  u32 each = std::max(exchange->parameters.n, exchange->parameters.best_of);
  u32 wanted = static_cast<u32>(exchange->prompts.size()) * each;
  if (wanted > kMaxChoices * 8)
    return error.bad("prompt", "at most {} answers in one request", kMaxChoices * 8);
  TRY(admit_to_queue(call, *exchange));
  TRY(choose_slot(*exchange, error));
  TRY(exchange->make_choices(error));
  return enroll(std::move(exchange));
}

Result<void> Service::begin_work(Call& call, base::Owner<Exchange> exchange) {
  TRY(admit_to_queue(call, *exchange));
  return enroll(std::move(exchange));
}

Result<void> Service::admit_to_queue(Call& call, Exchange& exchange) {
  exchange.client = client_hash(call.peer.substr(0, call.peer.rfind(':')));
  exchange.path = call.route->path;
  TRY(set_keep_alive(exchange, call.error));
  return check_queue(call, exchange.client);
}

// Refuses with 429 if the queue is full, or if requests come too fast.
Result<void> Service::check_queue(Call& call, u64 client) {
  u32 busy = static_cast<u32>(waiting_.size()), of_client = 0;
  for (const base::Owner<Waiting>& w : waiting_) of_client += w->client == client ? 1 : 0;
  for (const base::Owner<Exchange>& e : exchanges_) {
    busy += e->finished() ? 0 : 1;
    of_client += !e->finished() && e->client == client ? 1 : 0;
  }
  u64 now = backend_.now_ns();
  bool too_fast = !call.again && (!client_rate_.take(client, options_.client_rate, now) ||
                                  !all_rate_.take(0, options_.rate_per_second, now));
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

void Service::gone(Reply& reply) {
  if (Exchange* exchange = reply.exchange_.get(); exchange != nullptr) exchange->gone();
  reply.waiting_.part();
}

void Service::tick() {
  if (ticking_) return;
  ticking_ = true;
  u64 now = backend_.now_ns();
  for (usize i = 0; i < exchanges_.size(); i++) exchanges_[i]->tick(now);
  for (usize i = exchanges_.size(); i-- > 0;)
    if (exchanges_[i]->finished()) exchanges_.erase(i);
  look_at_waiting();
  drop_unloaded();
  ticking_ = false;
}

void Service::count(Exchange::Ending ending) {
  metrics_.answered += ending == Exchange::Ending::kAnswered;
  metrics_.failed += ending == Exchange::Ending::kFailed;
  metrics_.gone += ending == Exchange::Ending::kGone;
}

namespace {

// Limits the size of a schema before any work is done with it.
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

// Keeps what a grammar is compiled from, for receipts: `gbnf`, or the schema if that is "".
Result<void> note_grammar(const Parameters& p, std::string_view gbnf, GrammarSource& out) {
  if (!gbnf.empty()) {
    out.kind = GrammarSource::Kind::kGbnf;
    return out.text.assign(gbnf);
  }
  out.kind = p.loose_schema ? GrammarSource::Kind::kLooseSchema : GrammarSource::Kind::kSchema;
  out.text.clear();
  base::StringWriter sink(out.text);
  json::Writer(sink).value(p.schema);
  return sink.status();
}

}  // namespace

Result<GrammarRef> Service::make_grammar(Exchange& exchange, ApiError& error) {
  using Kind = GrammarCache::Kind;
  const Parameters& p = exchange.parameters;
  bool forced = exchange.tools.mode == ToolChoice::Mode::kRequired;
  bool formed = p.schema.present() || p.json_object;
  if (!forced && !formed && p.grammar.empty()) return GrammarRef();
  // A model that may call or answer in a form does one of the two.
  bool either = formed && exchange.tools.mode == ToolChoice::Mode::kAuto;
  String text;
  Kind kind = Kind::kAnyObject;
  const char* param = "response_format";
  if (forced || either) {
    kind = Kind::kTools;
    param = "tools";
    json::Value tools = exchange.body.root().find("tools");
    TRY(check_schema(tools, param, error));
    AnswerForm form{.schema = p.schema, .loose = p.loose_schema};
    if (either && p.schema.present()) TRY(check_schema(p.schema, "response_format", error));
    TRY(tool_grammar(tools, exchange.tools, either ? &form : nullptr, text, error));
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
  GrammarCache& grammars = exchange.memory->grammars;
  const TokenTrie& tokens = *TRY(grammars.tokens(exchange.lease.tokenizer()));
  std::string_view source = kind == Kind::kGbnf ? p.grammar : text.view();
  GrammarCache::Key key = kind == Kind::kSchema
                              ? GrammarCache::key_of(kind, p.schema, p.loose_schema)
                              : GrammarCache::key_of(kind, source);
  if (p.receipt)
    TRY(note_grammar(p, kind == Kind::kSchema ? std::string_view() : source,
                     exchange.grammar_source));
  if (GrammarRef known = grammars.find(key); known.get() != nullptr) return known;
  char problem[256];
  base::BufferWriter why(problem);
  // With "strict": false the client takes what it gets, but it gets JSON.
  Result<base::Owner<Grammar>> made = kind == Kind::kSchema
                                          ? compile_schema(p.schema, p.loose_schema, tokens, why)
                                          : Grammar::from_gbnf(source, tokens, why);
  if (!made.has_value() && made.error().code == Errc::kInvalidArgument)
    return error.bad(param, "{}", why.view());
  return grammars.keep(key, TRY(std::move(made)));
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
