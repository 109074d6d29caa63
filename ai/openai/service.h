// SPDX-License-Identifier: GPL-2.0-or-later
// The API server without a network: a table of routes, the requests in work, keys and metrics.
#pragma once

#include "ai/openai/exchange.h"
#include "ai/openai/metrics.h"
#include "ai/openai/rate_limit.h"
#include "kernel/crypto/sha256.h"

namespace ai::openai {

class Service {
 public:
  static Result<base::Owner<Service>> create(ServiceOptions options, Backend& backend);

  // Takes the place of the keys that came this way before; those of the options stay.
  void set_keys(Vector<crypto::Sha256Digest> keys, Vector<crypto::Sha256Digest> admin_keys);
  // "sha256:" and 64 hex digits, or the key itself.
  static crypto::Sha256Digest key_digest(std::string_view text);

  // Answers at once, or keeps `reply` and returns the exchange that will answer.
  Exchange* handle(const Incoming& incoming, Reply& reply);
  // For bytes that are no HTTP request: the error in the usual form.
  void respond_bad_http(Reply& reply, int status, const char* problem);
  // The peer of an exchange has gone; its work stops with the next tick().
  void gone(Exchange* exchange);
  // Submits, cancels, sends heartbeats, drops what is finished. Often: after each engine step.
  void tick();
  // Nothing is running any more: forget what belonged to the old model.
  void model_changed();
  bool idle() const { return exchanges_.empty(); }
  // One piece of the work that makes no tokens. Only while no step of the engine is being made.
  bool work();

  Backend& backend() { return backend_; }
  const ServiceOptions& options() const { return options_; }
  Metrics& metrics() { return metrics_; }
  u32 next_number() { return ++number_; }
  u32 context() { return backend_.engine() == nullptr ? 0 : backend_.engine()->info().context; }
  std::string_view token_text(TokenId id) { return backend_.engine()->tokenizer().piece(id); }
  // The grammar that all choices of `exchange` share; none when it may say anything.
  Result<GrammarRef> make_grammar(Exchange& exchange, ApiError& error);
  const GrammarCache& grammars() const { return grammars_; }
  void respond_json(Reply& reply, int status, std::string_view body);
  void respond_error(Reply& reply, const ApiError& error, ErrorForm form);
  void context_error(u32 prompt_tokens, ApiError& error);
  void log_done(Exchange& exchange);
  void log_failed(Exchange& exchange, const Error& error);

  // A place whose last text is remembered, so that it can be saved; llama-server's notion. The
  // engine itself knows texts by what they say.
  struct Slot {
    Vector<TokenId> tokens;
    u64 used_ns = 0;
  };
  static constexpr u32 kSlots = 8;
  Slot& slot(u32 index) { return slots_[index]; }
  // The running exchange that has it, or null.
  Exchange* user_of(u32 slot);
  void remember(Exchange& exchange);

  Service(ServiceOptions options, Backend& backend)
      : options_(std::move(options)), backend_(backend) {}

 private:
  enum class Access : u8 { kPublic, kKey, kAdmin };
  struct Call;  // one request on its way through a route
  struct Route {
    std::string_view method, path;  // a path that ends in '*' stands for all that begin so
    Access access;
    Result<void> (Service::*run)(Call& call);
  };
  static const Route kRoutes[];

  const Route* find_route(const Incoming& incoming, bool& path_known);
  bool authorized(const Incoming& incoming, Access access);
  void add_common_headers(const Incoming& incoming, Reply& reply);
  Result<void> check_load(ApiError& error);
  Result<void> check_model(json::Value body, ApiError& error);
  // `text` must live as long as `out`.
  Result<void> parse_body(Call& call, std::string_view text, json::Document& out);
  Result<void> begin(Call& call, base::Owner<Exchange> exchange);
  Result<void> begin_work(Call& call, base::Owner<Exchange> exchange);
  Result<void> check_queue(Call& call, Exchange& exchange);
  Result<void> choose_slot(Exchange& exchange, ApiError& error);
  Result<void> prepare_chat(Exchange& exchange, json::Value body, ApiError& error);
  Result<void> prepare_prompts(Exchange& exchange, json::Value prompt, ApiError& error);
  Result<void> prompt_from(Exchange& exchange, json::Value value, ApiError& error);
  Result<void> keep_text(Exchange& exchange, json::Value value, std::span<const TokenId> tokens);
  Result<void> read_tokens(json::Value list, std::string_view param, Vector<TokenId>& out,
                           ApiError& error);
  Result<void> check_prompts(Exchange& exchange, ApiError& error);
  void truncate(Vector<TokenId>& prompt);
  Result<void> score_prompts(Exchange& exchange);
  Result<void> render_messages(json::Value body, Vector<TokenId>& out, String* text,
                               ApiError& error);
  Result<void> query_parameters(Call& call, Parameters& out);

  // Routes: text.
  Result<void> chat(Call& call);
  Result<void> completions(Call& call);
  Result<void> llama_completion(Call& call);
  Result<void> text_completion(Call& call);
  Result<void> text_chat(Call& call);
  Result<void> responses(Call& call);
  Result<void> anthropic(Call& call);
  Result<void> anthropic_count(Call& call);
  Result<void> embeddings(Call& call);
  // Routes: facts.
  Result<void> page(Call& call);
  Result<void> health(Call& call);
  Result<void> live(Call& call);
  Result<void> metrics_page(Call& call);
  Result<void> models(Call& call);
  Result<void> one_model(Call& call);
  Result<void> load_model(Call& call);
  Result<void> unload_model(Call& call);
  Result<void> start_load(Call& call, std::string_view name, bool wait);
  Result<void> props(Call& call);
  Result<void> slots(Call& call);
  Result<void> slot_action(Call& call);
  Result<void> tokenize(Call& call);
  Result<void> detokenize(Call& call);
  Result<void> apply_template(Call& call);
  void write_model(std::string_view name, bool loaded, json::Writer& w);

  ServiceOptions options_;
  Backend& backend_;
  Metrics metrics_;
  Vector<crypto::Sha256Digest> keys_, admin_keys_;            // of the options
  Vector<crypto::Sha256Digest> more_keys_, more_admin_keys_;  // of a file
  Vector<base::Owner<Exchange>> exchanges_;
  Slot slots_[kSlots];
  GrammarCache grammars_;
  u32 number_ = 0;
  u64 models_known_ = 0;  // when the list of models was first told: the same for all who ask
  RateLimit all_rate_, client_rate_;
};

// One request on its way through a route.
struct Service::Call {
  const Incoming& in;
  Reply& reply;
  ApiError error;
  ErrorForm form = ErrorForm::kOpenAi;
  Exchange* pending = nullptr;  // answers later
  const Route* route = nullptr;
};

}  // namespace ai::openai
