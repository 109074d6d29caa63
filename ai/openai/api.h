// SPDX-License-Identifier: GPL-2.0-or-later
// What the API server needs of the world: requests in, replies out, and the machine behind it.
//
// Nothing here knows a socket or a thread. All calls come from one thread.
#pragma once

#include "ai/engine/engine.h"
#include "kernel/base/json.h"

namespace ai::openai {

struct Header {
  std::string_view name, value;
};

// One HTTP request, complete. Views are valid during Service::handle only.
struct Incoming {
  std::string_view method, path, query;  // path decoded, query still escaped
  std::span<const Header> headers;
  std::string_view body;
  std::string_view peer;

  std::string_view header(std::string_view name) const;
};

// Where one answer goes. The service drops it once it called respond() or end(), or gone() came.
class Reply {
 public:
  // For the answer to come; copied. What does not fit is left out.
  virtual void add_header(std::string_view name, std::string_view value) = 0;
  virtual void respond(int status, std::string_view type, std::string_view body) = 0;
  virtual void begin_stream(int status, std::string_view type) = 0;
  virtual void send(std::string_view text) = 0;
  virtual void end() = 0;

 protected:
  ~Reply() = default;
};

struct LoadState {
  const char* stage = "no model";  // "reading", "checking", "preparing", "ready"
  u64 bytes_done = 0, bytes_total = 0, eta_ms = 0;
  // The model that serves answers what it has begun, and then another takes its place.
  bool replacing = false;
};

// What became of a load or unload.
struct LoadEnd {
  bool found = true;  // there is such a model
  Result<void> result;
};

struct ChatPrompt {
  json::Value messages;  // as the API has them, contents already plain strings
  json::Value tools;     // absent or a list
  json::Value extra;     // chat_template_kwargs: absent or an object
  bool add_generation_prompt = true;
};

// The machine: engine, models, clock. Implemented by console/serve and by tests.
class Backend {
 public:
  virtual Engine* engine() = 0;        // null while there is no model
  virtual bool engine_callable() = 0;  // false inside Engine::step: submit and cancel must wait
  virtual void work_waits() = 0;       // a request was submitted: somebody should call step()
  virtual LoadState load_state() = 0;
  virtual std::string_view model_id() = 0;
  virtual u32 model_count() = 0;                       // loaded or loadable
  virtual std::string_view model_name(u32 index) = 0;  // 0 is the loaded one
  // Begins to load by name, or to unload with "": a number for load_end(). kBusy while another load
  // goes on, kUnsupported when this machine cannot.
  virtual Result<u32> load_model(std::string_view name) = 0;
  virtual const LoadEnd* load_end(u32 number) = 0;  // null: it goes on
  // The model's chat template. `problem` gets a sentence when it refuses.
  virtual Result<void> render(const ChatPrompt& prompt, Vector<TokenId>& out, String* text,
                              base::Writer& problem) = 0;
  virtual bool template_knows_tools() = 0;     // otherwise we describe them in a system message
  virtual std::string_view build() = 0;        // "marrow 0.1 (abc123)"
  virtual std::string_view fingerprint() = 0;  // names build, model and cache type
  virtual u64 now_ns() = 0;
  virtual u64 unix_seconds() = 0;  // 0 when the machine does not know the date
  virtual u64 random() = 0;
  virtual u64 memory_used() = 0;
  virtual u64 memory_total() = 0;
  virtual u64 heap_bytes() = 0;
  virtual void log(std::string_view line) = 0;
  // Texts with their KV pages under a name, for another day. `bytes` says how long they are.
  virtual Result<u32> save_text(std::string_view name, std::span<const TokenId> tokens,
                                u64& bytes) = 0;
  virtual Result<Vector<TokenId>> restore_text(std::string_view name, u64& bytes) = 0;

 protected:
  ~Backend() = default;
};

struct ServiceOptions {
  Vector<String> api_keys, admin_keys;  // plain here, kept hashed
  std::string_view cors;                // origins with blanks between, "*", or ""
  u32 max_requests = 64;                // running and waiting; more get 429
  u32 default_max_tokens = 0;           // 0 = until the context is full
  u64 heartbeat_ns = 4'000'000'000;     // of silence in a stream before a comment is sent
  u32 rate_per_second = 0;              // requests a second over all clients; 0 = no limit
  u32 client_rate = 0;                  // and from each of them
  u32 client_requests = 0;              // running and waiting, of each client; 0 = no limit
  bool json_log = false;
  std::string_view page;  // the chat page; "" = none
};

}  // namespace ai::openai
