// SPDX-License-Identifier: GPL-2.0-or-later
// The API server without a network: a table of routes, the requests in progress, keys and metrics.
// service/serve owns it and connects it to sockets.
//
// All calls come from cooperative threads of CPU 0, and none of them waits. The service calls
// replies, and replies never call back: new requests and closed connections are reported from
// outside of those calls (net::HttpConnection keeps to that). Sinks run on the engine's thread
// while the service is idle or between two of its calls, never inside one.
#pragma once

#include "ai/openai/access.h"
#include "ai/openai/exchange.h"
#include "ai/openai/metrics.h"
#include "ai/openai/rate_limit.h"
#include "ai/openai/response_store.h"

namespace ai::openai {

// The service's memory of one load of a model, for as long as it is loaded.
struct ModelMemory {
  // A slot remembers its last text, so that it can be saved; the notion is llama-server's. The
  // engine itself finds texts by their tokens.
  struct Slot {
    Vector<TokenId> tokens;
    u64 used_ns = 0;

    void forget() { base::wipe(tokens); }
    ~Slot() { forget(); }
  };
  static constexpr u32 kSlots = 8;

  u64 load_number = 0;
  String name;             // of the model
  u64 used_ns = 0;         // when a request for it was last answered or in work
  u64 keep_ns = kForever;  // how long it stays without one, as the last request said
  GrammarCache grammars;
  Slot slots[kSlots];
  char fingerprint[24] = {};  // from build, model and cache type

  std::string_view fingerprint_text() const { return fingerprint; }
};

// The limits of a request's body. So many values take 25 ms to parse; nothing else is answered
// meanwhile.
constexpr json::Limits kBodyLimits = {.depth = 64, .bytes = 16 * kMiB, .nodes = 500'000};

constexpr u32 kMaxEmbedded = 2048;  // texts of one request that are no prompts: OpenAI's limit

// A place in a text that the model shall fill.
struct Gap {
  std::string_view before, typed;  // `typed` is behind `before`, and is never cut
  std::string_view after;
  json::Value extra;       // other texts: absent, or a list of {"filename", "text"}
  std::string_view field;  // of the request, for errors
};
// Returns true if the model's tokenizer has the tokens that mark a gap.
bool can_fill(const Tokenizer& tokenizer);

// The forms in which vectors are answered.
enum class EmbeddingShape : u8 {
  kOpenAi,
  kLlama,      // /embeddings: a list, and in each of its rows a list of vectors
  kOllama,     // /api/embed
  kOllamaOne,  // /api/embeddings: one vector
};

constexpr u64 kListAgeNs = 5'000'000'000;  // of a list that is believed to lack a name

// The purposes for which a request wants a model.
enum class ModelUse : u8 {
  kAny,    // its tokens, or that it is loaded
  kWrite,  // text
  kEmbed,
  kRank,
};

// One more name of a model.
struct ModelAlias {
  String name, model;
};
// Reads "NAME=MODEL,NAME=MODEL".
Result<Vector<ModelAlias>> read_aliases(std::string_view text);

class Service {
 public:
  // Returns kInvalidArgument for a malformed key. `backend`, and what the options point to, must
  // outlive the service.
  static Result<base::Owner<Service>> create(ServiceOptions options, Backend& backend);

  // Replaces the keys of an earlier call. The keys of the options stay.
  void set_keys(Vector<crypto::Sha256Digest> keys, Vector<crypto::Sha256Digest> admin_keys) {
    guard_.set_keys(std::move(keys), std::move(admin_keys));
  }

  // Called before the body of a request is read. Returns false if the request was refused; the
  // answer then says why.
  bool admit(const base::HttpRequest& head, std::string_view peer, Reply& reply);
  // Answers at once, or ties `reply` to an exchange that will. The views of the request are not
  // kept.
  void handle(const base::HttpRequest& request, std::string_view peer, Reply& reply);
  // Sends the error for bytes that are no HTTP request, in the usual form.
  void respond_bad_http(Reply& reply, int status, const char* problem);
  // The peer closed its connection before its answer was complete: stops the work for it. Does
  // nothing if no exchange is tied to `reply`.
  void gone(Reply& reply);
  // Advances works and heartbeats, and drops exchanges that have ended. To be called often: after
  // each step of the engine and after each job.
  void tick();
  bool idle() const { return exchanges_.empty() && waiting_.empty(); }

  Backend& backend() { return backend_; }
  const ServiceOptions& options() const { return options_; }
  Metrics& metrics() { return metrics_; }
  // Returns what is remembered of the leased model, and creates it on first use.
  Result<ModelMemory*> memory_of(const Lease& lease);
  // Returns the grammar that all choices of `exchange` share, or an empty reference if every text
  // is allowed.
  Result<GrammarRef> make_grammar(Exchange& exchange, ApiError& error);
  void respond(ReplyTo to, int status, std::string_view type, std::string_view body,
               std::span<const base::HttpHeader> more = {});
  void respond_json(ReplyTo to, int status, std::string_view body) {
    respond(to, status, "application/json", body);
  }
  void respond_error(ReplyTo to, const ApiError& error, ErrorForm form);
  void context_error(const Exchange& exchange, u32 prompt_tokens, ApiError& error);
  void count(Exchange::Ending ending);  // called by Exchange::settle() only
  void log_done(Exchange& exchange);
  void log_failed(Exchange& exchange, const Error& error);
  // Returns the running exchange that uses this slot of the model, or null.
  Exchange* user_of(u64 load_number, u32 slot);
  void remember(Exchange& exchange);
  // Keeps a complete answer of /v1/responses. Returns false if there is no room for it.
  bool keep_response(Exchange& exchange);

  Service(ServiceOptions options, Backend& backend)
      : options_(std::move(options)), backend_(backend), responses_(options_.response_bytes) {}

 private:
  friend struct Waiting;
  struct Call;  // one request on its way through a route
  struct Route {
    // a path that ends in '*' matches every path that begins like it
    std::string_view method, path;
    Access access;
    BodyKind body;
    Result<void> (Service::*run)(Call& call);
  };
  static const Route kRoutes[];

  Result<void> find_route(Call& call);
  Result<void> decide(Call& call);
  void refuse(Call& call, const Error& error);
  void answer_options(Call& call);
  // ---- which model a request means (models.cpp)
  enum class WaitFor : u8 { kNothing, kModel, kList, kDetails, kTensors, kHash };
  // Leases the current model, for routes that only report. Refuses with 503 if there is none.
  Result<Lease> take_lease(ApiError& error);
  // Leases the model that a request names, or the default one for "". If it is not loaded, the
  // error makes the request wait until it is, and then its route runs again.
  // A model of the wrong kind is refused before it is loaded.
  Result<Lease> lease_for(Call& call, std::string_view wanted, ModelUse use);
  Result<Lease> lease_for(Call& call, json::Value body, ModelUse use);
  Result<void> check_use(Call& call, const ModelRow& row, ModelUse use);
  // Returns the model of that name or alias, loaded or not. Names are compared without case,
  // ":latest" and ".gguf".
  Result<ModelRow> find_model(Call& call, std::string_view wanted);
  bool find_row(std::string_view name, ModelRow& out);
  bool find_named(std::string_view name, ModelRow& out);
  // Calls use(name, row, details) for each model, and then for each alias of one. The request waits
  // until the list and the files have been read.
  template <class Use>
  Result<void> for_each_model(Call& call, Use&& use);
  std::unexpected<Error> no_model(ApiError& error);
  std::unexpected<Error> wait(Call& call, WaitFor what, std::string_view model = {});
  // Describes the model of `row`. Makes the request wait until its file has been read.
  Result<void> describe(Call& call, const ModelRow& row, ModelDetails& out);

  // ---- requests that wait (waiting.cpp)
  Result<void> keep_waiting(Call& call);
  Result<void> check_stranger(Call& call);
  void look_at_waiting();
  void note_load_of_stranger();
  Result<bool> is_ready(Waiting& waiting, ApiError& error);
  Result<bool> is_loaded_for(Waiting& waiting, ApiError& error);
  bool is_hashed(const Waiting& waiting);
  void run_again(Waiting& waiting, Call& call, Result<bool> ready);
  Result<void> set_keep_alive(Exchange& exchange, ApiError& error);
  void expire(ModelMemory& memory);
  void write_fingerprint(const Lease& lease, ModelMemory& memory);
  void drop_unloaded();
  Result<base::Owner<Exchange>> new_exchange(Call& call, const Form& form);
  Result<void> lend(Exchange& exchange, Lease lease);
  // `text` must live as long as `out`.
  Result<void> parse_body(Call& call, std::string_view text, json::Document& out);
  // The requests whose defaults differ: those of Ollama's routes, and of the plain ones.
  enum class Api : u8 { kUsual, kOllama, kPlain };
  SamplerParams& defaults_of(Api api) { return defaults_[static_cast<usize>(api)]; }
  Result<void> read_sampling();
  void set_defaults(Exchange& exchange);
  Result<void> enroll(base::Owner<Exchange> exchange);
  Result<void> begin(Call& call, base::Owner<Exchange> exchange);
  Result<void> begin_work(Call& call, base::Owner<Exchange> exchange);
  Result<void> check_queue(Call& call, u64 client);
  Result<void> admit_to_queue(Call& call, Exchange& exchange);
  Result<void> choose_slot(Exchange& exchange, ApiError& error);
  Result<void> prepare_chat(Call& call, Exchange& exchange, json::Value body);
  Result<void> prepare_prompts(Exchange& exchange, json::Value prompt, ApiError& error);
  Result<void> prompt_from(Exchange& exchange, json::Value value, ApiError& error);
  Result<void> read_tokens(const Tokenizer& tokenizer, json::Value list, std::string_view param,
                           Vector<TokenId>& out, ApiError& error);
  Result<void> check_prompts(Exchange& exchange, ApiError& error);
  void truncate(const Exchange& exchange, Vector<TokenId>& prompt);
  Result<void> score_prompts(Exchange& exchange);
  Result<void> render_messages(const Lease& lease, json::Value body, Vector<TokenId>& out,
                               String* text, ApiError& error);
  Result<void> query_parameters(Call& call, Parameters& out);

  // ---- texts with a gap (routes_fill.cpp)
  Result<void> infill(Call& call);
  Result<void> fill_prompt(Exchange& exchange, const Gap& gap, ApiError& error);
  Result<void> prompt_with_suffix(Exchange& exchange, json::Value body, ApiError& error);

  // Routes that generate text.
  Result<void> chat(Call& call);
  Result<void> completions(Call& call);
  Result<void> llama_completion(Call& call);
  Result<void> text_completion(Call& call);
  Result<void> text_chat(Call& call);
  Result<void> responses(Call& call);
  Result<void> one_response(Call& call);
  Result<void> drop_response(Call& call);
  Result<std::string_view> earlier_messages(Call& call, std::string_view id);
  std::unexpected<Error> no_response(Call& call, std::string_view id);
  Result<void> anthropic(Call& call);
  Result<void> anthropic_count(Call& call);
  Result<void> chat_count(Call& call);
  Result<void> count_messages(Call& call, json::Value named, json::Value chat);
  Result<void> embeddings(Call& call);
  Result<void> llama_embeddings(Call& call);
  Result<void> rerank(Call& call);
  // Routes: Ollama's.
  Result<void> ollama_chat(Call& call);
  Result<void> ollama_generate(Call& call);
  Result<void> ollama_embed(Call& call);
  Result<void> ollama_embeddings(Call& call);
  Result<void> ollama_tags(Call& call);
  Result<void> ollama_ps(Call& call);
  Result<void> ollama_show(Call& call);
  Result<void> ollama_version(Call& call);
  Result<void> ollama_status(Call& call);
  Result<void> ollama_not_here(Call& call);
  Result<void> ollama_no_blob(Call& call);
  // Answers a request without a prompt: loads its model, or unloads it for "keep_alive": 0.
  Result<void> ollama_load(Call& call, json::Value body, bool chat);
  Result<void> ollama_settings(Exchange& exchange, json::Value given, ApiError& error);
  Result<void> prepare_raw(Call& call, Exchange& exchange);
  Result<void> drop_oldest_messages(Exchange& exchange, ApiError& error);
  void write_ollama_model(std::string_view name, const ModelRow& row, const ModelDetails& details,
                          json::Writer& w);
  Result<void> for_each_ollama_model(Call& call, bool loaded_only, String& body);
  u64 expiry_of(const ModelRow& row);
  Result<void> embed(Call& call, EmbeddingShape shape, json::Value input,
                     base::Owner<Exchange> exchange);
  // ---- receipts (routes_receipts.cpp)
  Result<void> receipt_key(Call& call);
  Result<void> verify_receipt(Call& call);
  Result<void> prepare_receipt(Call& call, Exchange& exchange);
  // Returns the hash of the leased model's file, or makes the request wait until it is known.
  Result<crypto::Sha256Digest> hash_of(Call& call, const Lease& lease);
  // Routes: facts.
  Result<void> page(Call& call);
  Result<void> health(Call& call);
  Result<void> live(Call& call);
  Result<void> metrics_page(Call& call);
  Result<void> report(Call& call);
  Result<void> models(Call& call);
  Result<void> one_model(Call& call);
  Result<void> load_model(Call& call);
  Result<void> unload_model(Call& call);
  Result<void> change_model(Call& call, ModelChange change, std::string_view name, bool wait);
  // ---- models that come over the network, and go (routes_pull.cpp)
  Result<void> pull_model(Call& call);
  Result<void> ollama_pull(Call& call);
  Result<void> ollama_delete(Call& call);
  Result<void> stop_pull(Call& call);
  Result<void> begin_pull(Call& call, json::Value body, const PullWish& wish);
  Result<void> props(Call& call);
  Result<void> slots(Call& call);
  Result<void> slot_action(Call& call);
  Result<void> tokenize(Call& call);
  Result<void> detokenize(Call& call);
  Result<void> apply_template(Call& call);
  void write_health(const Lease* lease, base::Writer& out);
  void write_model(std::string_view name, const ModelRow& row, const ModelDetails& details,
                   json::Writer& w);
  void write_aliases(std::string_view name, json::Writer& w);
  u64 models_known_seconds();

  ServiceOptions options_;
  Backend& backend_;
  base::Budget unlimited_;
  Guard guard_;
  Metrics metrics_;
  Vector<ModelAlias> aliases_;
  SamplerParams defaults_[3];  // by Api
  ResponseStore responses_;
  Vector<base::Owner<ModelMemory>> memories_;  // must outlive the exchanges
  Vector<base::Owner<Exchange>> exchanges_;
  Vector<base::Owner<Waiting>> waiting_;  // in the order they came
  // The load that somebody without a key has caused last.
  struct StrangersLoad {
    u32 number = 0;  // of the backend; 0 = none is under way
    u64 begun_ns = 0;
    u64 next_ns = 0;  // when there may be another one
  } strangers_load_;
  u64 models_known_ = 0;  // when the list of models was first sent; every client gets the same time
  bool ticking_ = false;
  RateLimit all_rate_, client_rate_;
};

// The model writes its thoughts between <think> and </think>, as its template (or null) tells.
bool model_thinks(const ChatTemplate* chat);

// Returns "chat", "language" (it has no template for chats), "embedding" or "rerank".
std::string_view model_type(const ModelDetails& details);
// Writes the list of what the model can do, in Ollama's words.
void write_capabilities(const ModelDetails& details, json::Writer& w);

// Turns a load's failure into a status and a sentence for the client.
void describe_load_failure(const LoadEnd& end, std::string_view name, ApiError& out);

// One request on its way through a route.
struct Service::Call {
  const base::HttpRequest& in;
  std::string_view peer;
  Reply& reply;
  std::string_view origin;  // the origin that may read the answer
  ApiError error;
  ErrorForm form = ErrorForm::kLlama;
  const Route* route = nullptr;
  u64 since_ns = 0;                   // when it came
  bool stranger = false;              // Guard::is_stranger()
  crypto::Sha256Digest owner = {};    // Guard::owner_of()
  bool again = false;                 // it has waited, and was let in before
  WaitFor waits = WaitFor::kNothing;  // why its route could not answer
  std::string_view waits_for = {};    // the model's name, a view as ModelRow's

  ReplyTo to() { return {reply, origin}; }
};

template <class Use>
Result<void> Service::for_each_model(Call& call, Use&& use) {
  if (!backend_.models_known_since(1)) return wait(call, WaitFor::kList);
  // The list is sent as it is. If it is old, it is read again for the next request.
  static_cast<void>(
      backend_.models_known_since(call.since_ns - std::min(call.since_ns, kListAgeNs)));
  ModelDetails details;
  for (u32 i = 0; i < backend_.model_count(); i++) {
    ModelRow row = backend_.model_row(i);
    TRY(describe(call, row, details));
    use(row.name, row, details);
  }
  for (const ModelAlias& alias : aliases_) {
    ModelRow row;
    // A model that really has the name goes before the alias, and is listed already.
    if (find_named(alias.name.view(), row) || !find_named(alias.model.view(), row)) continue;
    TRY(describe(call, row, details));
    use(alias.name.view(), row, details);
  }
  return {};
}

// A request whose model is not loaded yet, or not known yet. It keeps what its route wants to know.
struct Waiting {
  explicit Waiting(base::Budget& bodies) : share(bodies) {}
  Service::Call call(Reply& to);

  base::Tie<Waiting, Reply> reply{*this};
  base::BudgetShare share;  // of `body`
  const Service::Route* route = nullptr;
  Service::WaitFor what = Service::WaitFor::kNothing;
  String path, query, type, peer, model;
  base::Wiped<String> body;
  String origin;
  ErrorForm form = ErrorForm::kLlama;
  bool stranger = false;
  crypto::Sha256Digest owner = {};
  u64 since_ns = 0, client = 0;
  u32 load = 0;  // the backend's number; 0 = not begun
  base::HttpHeader header;
  base::HttpRequest in;  // views of the above
};

}  // namespace ai::openai
