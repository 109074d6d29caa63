// SPDX-License-Identifier: GPL-2.0-or-later
// The engine behind the console, the benchmarks and the HTTP server.
//
// Load a model, submit requests, call step() until idle: each step is one iteration of the
// scheduler over every running request (continuous batching). submit() and cancel() come from any
// thread of CPU 0, also inside a sink and inside Platform::breathe(); step() and the work without
// tokens (score, embed, save, restore, forget_prompts) come from one thread, one at a time. Events
// reach the sink from inside step(), on_end(kCancelled) from inside cancel().
#pragma once

#include "ai/attention/kv_type.h"
#include "ai/platform.h"
#include "ai/text/sampler.h"
#include "ai/tokenizer/tokenizer.h"

namespace ai {

class ByteSink;  // ai/byte_stream.h
class ByteSource;
class ChatTemplate;
class Grammar;

struct EngineOptions {
  // Tokens a request may have. 0 = what the model was trained for, at most 4096, less when
  // memory_bytes says so; a number that does not fit is an error.
  u32 context = 0;
  u32 max_requests = 8;  // running at once
  u32 max_queued = 64;   // waiting
  u64 kv_bytes = 0;      // of the page pool; 0 = one full context and a page a request, for all
  u64 memory_bytes = 0;  // that loading may take beside the file; 0 = whatever the platform gives
  KvType kv_type = KvType::kF16;
  u32 prefill_chunk = 128;  // prompt tokens a step: what weights are unpacked for at once (tiles.h)
  const char* kernels = "auto";
  bool speculate = true;  // n-gram lookup: the same bytes, sooner
  bool grouped = false;   // the matrices were interleaved while they were read (ArrivingGroups)
};

// Every figure as an integer; the console and the API print these and nothing else.
struct Timings {
  u32 prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
  u64 queued_ns = 0;  // submit to first work
  u64 prefill_ns = 0;
  u64 first_token_ns = 0;                                              // submit to first token
  u64 decode_ns = 0;                                                   // first token to last
  u64 gap_p50_ns = 0, gap_p95_ns = 0, gap_p99_ns = 0, gap_max_ns = 0;  // between tokens
  u32 drafted_tokens = 0, accepted_tokens = 0;                         // speculation
};

enum class FinishReason : u8 { kStop, kLength, kContextFull, kCancelled, kError };

struct TokenEvent {
  // kNoToken: only text that was held back, just before on_end. End-of-generation tokens have no
  // event unless Request::ignore_end.
  TokenId id;
  std::string_view text;  // whole UTF-8 characters only; may be empty while some are incomplete
  i32 logprob_micro;      // when Request::logprobs > 0
  std::span<const TokenLogprob> top;
  u64 logits_hash;  // when Request::hash_logits
};

class RequestSink {
 public:
  // After each chunk of the prompt; first of all with what the cache has of it, if anything.
  virtual void on_prefill(u32 done, u32 total) = 0;
  virtual void on_token(const TokenEvent& event) = 0;
  // Request::stop[index] was completed; on_end(kStop) follows.
  virtual void on_stop_string(u32 /*index*/) {}
  // Exactly once, last. `error` is set for kError and kContextFull.
  virtual void on_end(FinishReason reason, const Timings& timings, const Error* error) = 0;

 protected:
  ~RequestSink() = default;
};

using RequestId = u32;  // never 0

struct Request {
  std::span<const TokenId> prompt = {};  // copied
  SamplerParams sampling = {};
  std::span<const LogitBias> bias = {};         // copied
  u32 max_tokens = 0;                           // 0 = until the context is full
  std::span<const std::string_view> stop = {};  // strings; copied; the text before them is emitted
  bool ignore_end = false;                      // go on past end-of-generation tokens (bench)
  u32 logprobs = 0;                             // alternatives wanted a token; 0 = none
  const Grammar* grammar = nullptr;             // outlives the request
  bool slide = false;  // at a full context drop the oldest, say so in the log
  bool cache_prompt = true;
  // Not 0: one more choice for the same prompt. It waits until that request has read the prompt
  // and then shares its pages; where that one has ended, it is a request like any other.
  RequestId fork_of = 0;
  bool hash_logits = false;  // FNV-1a over the bits of the logits a token was picked from
};

// One token of a text that is scored, not generated.
struct TokenScore {
  u32 index;          // in the text; logprob of tokens[index] after tokens[0 .. index - 1]
  TokenId id;         // kNoToken behind the last one: `top` tells what would come next
  i32 logprob_micro;  // natural log, millionths
  std::span<const TokenLogprob> top;
};

class ScoreSink {
 public:
  virtual bool on_score(const TokenScore& score) = 0;  // inside a chunk; false: enough
  // Between two chunks, and after the last; false: enough.
  virtual bool on_chunk(u32 /*done*/, u32 /*total*/) { return true; }

 protected:
  ~ScoreSink() = default;
};

// Who waits for the vector of a text.
class EmbedSink {
 public:
  // Between two chunks, and after the last; false: no longer wanted.
  virtual bool on_read(u32 done, u32 total) = 0;

 protected:
  ~EmbedSink() = default;
};

// How the vectors of a text's tokens become the one of the text (embeddings).
enum class Pooling : u8 {
  kMean,
  kFirst,  // "cls"
  kLast,
};

struct ModelInfo {
  String name, architecture, quantization, licence;
  u64 parameters = 0, file_bytes = 0;
  u32 layers = 0, width = 0, heads = 0, kv_heads = 0, head_width = 0, ffn_width = 0;
  u32 vocabulary = 0, trained_context = 0, context = 0;
  Pooling pooling = Pooling::kMean;  // as the file says; mean when it says nothing
  // Of the weights' shapes and samples of their bytes: tells whether a saved text fits the model.
  u64 fingerprint = 0;
  bool ranks = false;  // a reranker: its answer is no vector, embed() refuses
};

// What loading takes, before it is taken (`model info`).
struct MemoryPlan {
  u64 weights_bytes = 0, kv_bytes = 0, workspace_bytes = 0, tokenizer_bytes = 0;
  u32 context = 0;
  u64 total() const { return weights_bytes + kv_bytes + workspace_bytes + tokenizer_bytes; }
};

// A model that is not loaded, from the beginning of its file.
struct ModelSummary {
  ModelInfo info;  // context: as loading would choose it
  MemoryPlan plan;
  String tokenizer;   // "gpt2", "llama"
  bool fits = false;  // within EngineOptions::memory_bytes
  bool has_template = false;
};

class Engine {
 public:
  // `file` is a whole GGUF or llama2.c checkpoint in memory that outlives the engine and may be
  // rewritten in place (rows are interleaved). Nothing allocates on the token path after this.
  static Result<base::Owner<Engine>> load(std::span<Byte> file, Platform& platform,
                                          const EngineOptions& options);
  // The same from a split file, parts in order.
  static Result<base::Owner<Engine>> load(std::span<const std::span<Byte>> parts,
                                          Platform& platform, const EngineOptions& options);
  // What load() would take, without touching a weight; refuses what load() would refuse.
  static Result<MemoryPlan> plan_load(std::span<const std::span<Byte>> parts, Platform& platform,
                                      const EngineOptions& options);
  // The same, and what it is, from the first bytes of each part, `file_bytes` long as a whole.
  static Result<ModelSummary> inspect(std::span<const std::span<const Byte>> heads,
                                      std::span<const u64> file_bytes, Platform& platform,
                                      const EngineOptions& options);
  virtual ~Engine() = default;

  virtual const ModelInfo& info() const = 0;
  virtual const MemoryPlan& plan() const = 0;
  virtual const Tokenizer& tokenizer() const = 0;
  virtual const ChatTemplate* chat_template() const = 0;  // null when the model has none
  virtual const char* kernels_name() const = 0;

  // kContextFull (both numbers in the log) when the prompt does not fit; kFull when the queue is;
  // kInvalidArgument for what the sampler or the tokenizer does not know. Later errors reach the
  // sink.
  virtual Result<RequestId> submit(const Request& request, RequestSink& sink) = 0;
  virtual void cancel(RequestId id) = 0;  // on_end(kCancelled) comes before this returns
  // One iteration. False: nothing to do, or all who wait need pages that a score(), embed() or
  // restore() under way still holds. Errors of one request reach its sink, not the caller.
  // submit() and cancel() may be called from a sink or from Platform::breathe(), step() may not.
  virtual bool step() = 0;

  // score() and embed() read a text in chunks and return when it is read. A chunk is like a step:
  // inside it (Platform::breathe(), on_score()) step() does nothing and score(), embed(), save()
  // and restore() answer kBusy. Between two chunks (on_chunk(), on_read()) everything may be called
  // but the destructor, so that the requests of others go on beside a long text. The results have
  // the same bits whatever is called there. kFull when the pages that are free do not hold the
  // whole text; kContextFull and kInvalidArgument as submit().
  //
  // How probable each token of a text is, from the second on, with up to `top` alternatives.
  virtual Result<void> score(std::span<const TokenId> tokens, u32 top, ScoreSink& sink) = 0;
  // The meaning of a text as info().width floats of length 1: what the final norm gives of its
  // tokens, pooled. kCancelled when the sink, which may be null, wanted no more.
  virtual Result<void> embed(std::span<const TokenId> tokens, Pooling pooling, std::span<float> out,
                             EmbedSink* sink) = 0;

  // save() and restore() use the pages of their text alone: from the sink and the source everything
  // may be called but the destructor. kBusy inside a step or a chunk.
  //
  // Writes what the prompt cache keeps of `tokens` (a text that was generated or read here), for
  // restore() of any engine with this model and type of cache. Returns the positions that need not
  // be read again. kUnsupported for a recurrent model.
  virtual Result<u32> save(std::span<const TokenId> tokens, ByteSink& sink) = 0;
  // Takes such a text back into the prompt cache and returns its tokens: a prompt that begins with
  // them is read from there. kUnsupported for bytes of another model, cache or version, kCorrupt
  // for damaged ones, kFull when too few pages are free.
  virtual Result<Vector<TokenId>> restore(ByteSource& source) = 0;

  virtual u32 running() const = 0;
  virtual u32 queued() const = 0;
  virtual u64 kv_pages_total() const = 0;
  virtual u64 kv_pages_used() const = 0;    // held by running requests
  virtual u64 kv_pages_cached() const = 0;  // kept for prompts that begin like an earlier text
  virtual void forget_prompts() = 0;        // empties that cache
  static constexpr u32 kMostLogprobs = 20;  // alternatives a token
};

}  // namespace ai
