// SPDX-License-Identifier: GPL-2.0-or-later
// The two interfaces that the API service needs: Reply, for the answer, and Backend, for the
// machine.
//
// Nothing in this folder knows sockets. All calls come from cooperative threads of CPU 0.
#pragma once

#include "ai/engine/lease.h"
#include "kernel/base/budget.h"
#include "kernel/base/http_message.h"
#include "kernel/base/json.h"
#include "kernel/base/tie.h"
#include "kernel/crypto/ed25519.h"
#include "kernel/crypto/sha256.h"

namespace ai::openai {

class Exchange;
struct Waiting;

// Where the answer to one request goes. It is tied to the exchange that will answer, if not at
// once, or to the request as it waits for its model; whichever of the two goes first, the other one
// sees it. None of these calls comes back into the service: a peer that is gone is told by
// Service::gone(), from outside of them.
class Reply {
 public:
  // Sends a whole answer. The headers are views that are valid during the call.
  virtual void respond(int status, std::string_view type, std::string_view body,
                       std::span<const base::HttpHeader> headers) = 0;
  // Begins an answer in pieces: any number of send(), then end().
  virtual void begin_stream(int status, std::string_view type,
                            std::span<const base::HttpHeader> headers) = 0;
  virtual void send(std::string_view text) = 0;
  virtual void end() = 0;

 protected:
  Reply() = default;
  ~Reply() = default;

 private:
  friend class Exchange;
  friend class Service;
  base::Tie<Reply, Exchange> exchange_{*this};
  base::Tie<Reply, Waiting> waiting_{*this};
};

struct LoadState {
  const char* stage = "no model";  // "reading", "checking", "preparing", "ready"
  u64 bytes_done = 0, bytes_total = 0, eta_ms = 0;
};

enum class ModelChange : u8 {
  kLoad,    // a person's choice: it answers whoever names no model from now on
  kDemand,  // a request named it: others may go for it, once their answers are complete
  kUnload,  // a person's choice
  kExpire,  // nobody has asked for it for long
  kRemove,  // a person's choice: from the disks, with all its generations
};

// Describes a model, loaded or not, as far as its file tells.
struct ModelDetails {
  String architecture, quantization, licence;
  u64 parameters = 0;
  u32 context = 0, trained_context = 0, width = 0, layers = 0, heads = 0, kv_heads = 0,
      ffn_width = 0, vocabulary = 0;
  bool has_template = false, ranks = false, encodes = false;
  bool thinks = false, fills = false;  // known of loaded models only
};

// A tensor of a model's file. The dimensions are in the file's order, the contiguous one first.
struct TensorRow {
  String name;
  std::string_view type;  // of static storage: "Q4_0"
  u32 dimension_count = 0;
  u64 dimensions[4] = {};
};

// One of the models that there are. The name is a view for as long as nobody waits.
struct ModelRow {
  std::string_view name;
  u64 bytes = 0;  // of its file, all parts
  bool loaded = false;
  std::string_view path = {};      // of its file, where there is one; a view as `name`
  const char* verified = nullptr;  // of a loaded one: "ed25519", "sha256" or "no"
  char key_id[17] = {};            // of the key that signed it; "" if none did
  // of the file's bytes, where the machine knows it; a view as `name`
  const crypto::Sha256Digest* sha256 = nullptr;
};

// The result of a load or unload.
struct LoadEnd {
  bool found = true;  // a model of that name exists
  Result<void> result;
};

// Names a model that shall be pulled. The texts are views during the call.
struct PullWish {
  std::string_view source;
  std::string_view name = {};    // of the model; "" = the source's
  std::string_view sha256 = {};  // 64 digits that the bytes must have; "" = what the source says
  bool ollama = false;           // a name that nothing else has is one of Ollama's registry
};

// How far a pull has come. Its texts are views for as long as nobody waits.
struct PullState {
  enum class Stage : u8 { kAsking, kFetching, kVerifying, kWriting, kEnded } stage = Stage::kAsking;
  std::string_view name = {};                    // of the model, from kFetching on
  const crypto::Sha256Digest* sha256 = nullptr;  // what the bytes must have, where it is known
  u64 done = 0, total = 0;                       // bytes
  u32 notes = 0;               // sentences that were said so far, about a connection that broke
  std::string_view note = {};  // the last one
  bool present = false;        // the machine had the model, and nothing was fetched
  bool verified = false;       // the bytes have the SHA-256 that was known of them before
  Result<void> result = {};    // from kEnded on
};

struct ChatPrompt {
  json::Value messages;  // in the API's form, with contents that are plain strings already
  json::Value tools;     // absent or a list
  json::Value extra;     // chat_template_kwargs: absent or an object
  bool add_generation_prompt = true;
  bool continue_last = false;  // the last message is the beginning of the answer
};

// Figures of the current model; zeros without one.
struct EngineFigures {
  u32 running = 0, queued = 0;
  u64 kv_pages_total = 0, kv_pages_used = 0, kv_pages_cached = 0;
};

// The machine: engines, models, clock. Implemented by service/serve/backend.h and by tests. For
// every thread of CPU 0, unless a call says otherwise.
class Backend {
 public:
  // Leases the loaded model of exactly that name, or the current one for "". Returns kNotFound if
  // it is not loaded.
  virtual Result<Lease> lease(std::string_view model) = 0;
  // Does what Engine::submit() does. The sink is called on the engine's thread, and by cancel().
  virtual Result<RequestId> submit(const Lease& lease, const Request& request,
                                   RequestSink& sink) = 0;
  virtual void cancel(const Lease& lease,
                      RequestId id) = 0;  // on_end(kCancelled) comes before it returns
  // Queues the job. The job and its lease must stay until it is neither waiting nor running.
  virtual void ask(const Lease& lease, EngineJob& job) = 0;
  // Removes a waiting job from the queue. A running one gets no further turn; its owner tells it by
  // a flag of its own, and keeps it until run() has returned.
  virtual void withdraw(EngineJob& job) = 0;
  // Called by a job on the engine's thread, between two chunks of a long text: lets all other
  // requests make one step.
  virtual void let_others_step() = 0;
  virtual bool is_loaded(u64 load_number) = 0;
  virtual EngineFigures figures() = 0;
  virtual LoadState load_state() = 0;
  virtual std::string_view model_id() = 0;  // of the current model, "" without one
  // Returns the name of the model that answers requests which name none. It need not be loaded. ""
  // if there is none.
  virtual std::string_view default_model() = 0;
  virtual u32 model_count() = 0;              // loaded or loadable, no name twice
  virtual ModelRow model_row(u32 index) = 0;  // 0 is the current one, then the other loaded ones
  // Has the list been read from the disks since then? If not, it is read soon: ask again.
  virtual bool models_known_since(u64 ns) = 0;
  // Returns what the file of a model says. Null until the file has been read: ask again later.
  virtual const ModelDetails* details(std::string_view model) = 0;
  // Returns the tensors of a model's file, none if it has no list of them. Null until they have
  // been read: ask again later. Only the list that was asked for last is kept.
  virtual const Vector<TensorRow>* tensors(std::string_view model) = 0;
  // Begins to load or unload the model of that name. Returns a number for load_end(), kBusy while
  // another change goes on, or kUnsupported if this machine cannot.
  virtual Result<u32> change_model(ModelChange change, std::string_view name) = 0;
  virtual const LoadEnd* load_end(u32 number) = 0;  // null while it is under way
  // Renders the model's chat template. `problem` gets a sentence if the template refuses.
  virtual Result<void> render(const Lease& lease, const ChatPrompt& prompt, Vector<TokenId>& out,
                              String* text, base::Writer& problem) = 0;
  // Returns false if tools must be described in a system message.
  virtual bool template_knows_tools(const Lease& lease) = 0;
  virtual std::string_view build() = 0;  // "marrow 0.1 (abc123)"
  virtual u64 now_ns() = 0;
  virtual std::string_view utc(std::span<char> room, u64 unix_ns) = 0;  // "2026-11-21 14:05:09"
  virtual u64 unix_ns() = 0;  // since boot when the machine does not know the date
  virtual u64 random() = 0;
  virtual u64 memory_used() = 0;
  virtual u64 memory_total() = 0;
  virtual u64 heap_bytes() = 0;
  virtual void log(std::string_view line) = 0;
  virtual Result<void> report(base::Writer& out) = 0;  // the whole machine, for support
  // Saves texts with their KV pages under a name, to be restored later. `bytes` is set to their
  // length. Called on the engine's thread, from a job.
  virtual Result<u32> save_text(Engine& engine, std::string_view name,
                                std::span<const TokenId> tokens, u64& bytes) = 0;
  virtual Result<Vector<TokenId>> restore_text(Engine& engine, std::string_view name,
                                               u64& bytes) = 0;
  // Returns SHA-256 of the bytes of the leased model's file, or null while it is computed: ask
  // again later. kUnsupported: this model has none.
  virtual Result<const crypto::Sha256Digest*> model_sha256(const Lease& lease) = 0;
  // Returns the public key that signs receipts; null if this machine has none.
  virtual const crypto::Ed25519PublicKey* receipt_key() = 0;
  // Signs with that key, which there must be.
  virtual Result<crypto::Ed25519Signature> sign_receipt(std::span<const Byte> message) = 0;
  // Begins to pull a model, or joins the pull of the same one that is under way. Returns its
  // number. kBusy: another model is being pulled. A pull goes on when nobody waits for it any more.
  virtual Result<u32> pull(const PullWish& wish) = 0;
  virtual Result<PullState> pull_state(u32 number) = 0;  // kNotFound: it ended long ago
  virtual bool stop_pull() = 0;  // what has come stays; false: there is no pull

 protected:
  ~Backend() = default;
};

constexpr u64 kForever = ~u64{0};

// Decides which requests may load and unload models and write slots.
enum class AdminRoutes : u8 {
  kKey,     // those with an admin key, or with a request key if there is no admin key
  kOpen,    // all that may make requests
  kClosed,  // none
};

struct ServiceOptions {
  Vector<String> api_keys, admin_keys;  // plain or sha256:HEX here; kept as hashes
  // Without any key, requests need none. If this is false and there is no key, every request is
  // refused.
  bool open = false;
  AdminRoutes admin = AdminRoutes::kKey;
  // origins with blanks or commas between, "localhost" for all pages of the client's machine, "*",
  // or ""
  std::string_view cors;
  String hosts;  // names this machine goes by, the same way; addresses are known as such
  base::Budget* bodies = nullptr;  // what requests in work may take of memory; null = no limit
  u32 max_requests = 64;           // running and waiting; more get 429
  u32 default_max_tokens = 0;      // 0 = until the context is full
  u32 token_limit = 0;             // of every answer, whatever its request says; 0 = none
  std::string_view sampling;       // "NAME=NUMBER,NAME=NUMBER" in place of the usual defaults
  u64 seed = 0;                    // of requests that have none; 0 = a random one for each
  bool shifts = false;  // at a full context, the oldest tokens make room for the answer's
  bool thinks = true;   // models that can think do, unless a request says otherwise
  u64 heartbeat_ns = 4'000'000'000;  // of silence in a stream before a sign of life is sent
  u32 rate_per_second = 0;           // requests a second over all clients; 0 = no limit
  u32 client_rate = 0;               // the same for each client
  u32 client_requests = 0;           // running and waiting requests of each client; 0 = no limit
  bool json_log = false;
  bool any_model = false;    // a name that no model has means the default one
  bool unload_idle = false;  // a model goes when it has not been asked for as long as keep_alive
  bool ollama_root = false;  // `/` tells who wants no page what Ollama's does
  bool ollama_truncates = false;   // its routes shorten what is too long unless told not to
  std::string_view aliases;        // more names of models: "NAME=MODEL,NAME=MODEL"
  u64 keep_alive_ns = kForever;    // where a request does not say it
  u64 response_bytes = 16 * kMiB;  // for kept answers of /v1/responses; 0 = none is kept
  std::string_view page;           // the chat page; "" = none
};

}  // namespace ai::openai
