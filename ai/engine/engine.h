// SPDX-License-Identifier: GPL-2.0-or-later
// The engine's interface: load a model, submit requests, and call step() until there is nothing to
// do. The console, the benchmarks and the HTTP server reach it through service::EngineHost, which
// owns it.
//
// Each step advances every running request (continuous batching). submit() and cancel() may be
// called from any thread of CPU 0, also from a sink and from Platform::breathe(). step(), score(),
// embed(), save(), restore() and forget_prompts() belong to one thread and are called one at a
// time. Sinks are called from inside step(), except that on_end(kCancelled) comes from inside
// cancel(). A step computes for milliseconds to seconds. It waits only for the worker pool, and
// calls Platform::breathe() to let other threads run.
#pragma once

#include "ai/attention/kv_type.h"
#include "ai/kernels/table.h"
#include "ai/platform.h"
#include "ai/text/sampler.h"
#include "ai/tokenizer/tokenizer.h"

namespace ai {

class BetweenPages;  // ai/engine/kv_home.h
class KvHome;
class ByteSink;  // ai/byte_stream.h
class ByteSource;
class ChatTemplate;
class Grammar;

struct EngineOptions {
  // Tokens of prompt and answer together that one request may have. 0 takes what the model was
  // trained for, at most 4096, and less if memory_bytes requires it. Any other number that does not
  // fit is an error.
  u32 context = 0;
  u32 max_requests = 8;  // running at once
  u32 max_queued = 64;   // waiting
  // size of the KV page pool; 0 = one full context, and one page more per request
  u64 kv_bytes = 0;
  // loading may take this much beside the file; 0 = whatever the platform gives
  u64 memory_bytes = 0;
  KvType kv_type = KvType::kF16;
  // prompt tokens a step; weights are unpacked once for all of them (tiles.h)
  u32 prefill_chunk = 128;
  const char* kernels = "auto";
  Prefetch prefetch = kUsualPrefetch;  // changes the speed only
  bool speculate = true;               // guess tokens; does not change the text
  bool grouped = false;  // the rows were already interleaved while they were read (ArrivingGroups)
};

// The cost of one request, in integers. The console and the API print these and nothing else.
struct Timings {
  u32 prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
  u64 queued_ns = 0;  // submit to first work
  u64 prefill_ns = 0;
  u64 first_token_ns = 0;                                              // submit to first token
  u64 decode_ns = 0;                                                   // first token to last
  u64 gap_p50_ns = 0, gap_p95_ns = 0, gap_p99_ns = 0, gap_max_ns = 0;  // between tokens
  u32 drafted_tokens = 0, accepted_tokens = 0;  // guesses made, and guesses that were right
  // The share of the draft model in those, and how many tokens were made without it because it did
  // not pay.
  u32 model_drafted_tokens = 0, model_accepted_tokens = 0, model_off_tokens = 0;
};

enum class FinishReason : u8 { kStop, kLength, kContextFull, kCancelled, kError };

struct TokenEvent {
  // kNoToken marks text that was held back for a possible stop string and is released just before
  // on_end(). End-of-generation tokens have no event unless Request::ignore_end is set.
  TokenId id;
  std::string_view text;  // whole UTF-8 characters only; may be empty while some are incomplete
  // Set when Request::logprobs > 0. With Request::after_sampling, this number and those of `top`
  // are probabilities in billionths, not logarithms.
  i32 logprob_micro;
  std::span<const TokenLogprob> top;
  u64 logits_hash;  // set when Request::hash_logits
};

// One pick of a request with Request::report_picks.
struct Pick {
  TokenId id;  // an end-of-generation token too
  // The model's own highest logits, before bias, penalties and grammar, best first: up to
  // kMostPickLogits numbers, each a CandidateKey (ai/text/candidates.h).
  std::span<const u64> best;
};
constexpr u32 kMostPickLogits = 16;

class RequestSink {
 public:
  // Called after each chunk of the prompt, and once before the first chunk if the prefix cache
  // holds part of the prompt.
  virtual void on_prefill(u32 done, u32 total) = 0;
  virtual void on_token(const TokenEvent& event) = 0;
  // A token was picked. on_token() follows, unless it ends the answer and no text is left.
  virtual void on_pick(const Pick& /*pick*/) {}
  // Request::stop[index] was completed. on_end(kStop) follows.
  virtual void on_stop_string(u32 /*index*/) {}
  // Called exactly once, as the last call. `error` is set for kError and kContextFull.
  virtual void on_end(FinishReason reason, const Timings& timings, const Error* error) = 0;

 protected:
  ~RequestSink() = default;
};

using RequestId = u32;  // never 0

struct Request {
  std::span<const TokenId> prompt = {};  // copied
  SamplerParams sampling = {};
  std::span<const LogitBias> bias = {};  // copied
  u32 max_tokens = 0;                    // 0 = until the context is full
  // strings, copied; only the text before them is emitted
  std::span<const std::string_view> stop = {};
  bool ignore_end = false;      // go on past end-of-generation tokens (bench)
  u32 logprobs = 0;             // alternatives reported with each token; 0 = none
  bool after_sampling = false;  // report what the filters left, not what the model gave
  // texts across which DRY finds no repetition, copied; none = newline, colon, quote and asterisk
  std::span<const std::string_view> dry_breakers = {};
  const Grammar* grammar = nullptr;  // must outlive the request
  bool slide = false;  // when the context is full, drop the oldest half instead of ending (logged)
  bool cache_prompt = true;
  // If not 0, this request is one more choice for the same prompt. It waits until request `fork_of`
  // has read the prompt and then shares its pages. If that request has ended, this one is read like
  // any other.
  RequestId fork_of = 0;
  // report FNV-1a over the bits of the logits that each token was picked from
  bool hash_logits = false;
  bool report_picks = false;  // the sink gets on_pick()
};

// An answer that is to be made again from its own tokens.
struct Replay {
  Request request;                  // as it was submitted; fork_of and slide have no meaning
  std::span<const TokenId> answer;  // with the end-of-generation token that ended it, if one did
  u32 context = 0;                  // of the engine that made it, in tokens; at most this engine's
};

class ReplaySink : public RequestSink {
 public:
  // Called between two chunks and after the last one; returning false ends the work.
  virtual bool on_chunk(u32 /*done*/, u32 /*total*/) { return true; }
};

// One token of a text that is scored, not generated.
struct TokenScore {
  u32 index;  // position in the text: the logprob is of tokens[index], given tokens[0 .. index - 1]
  TokenId id;  // kNoToken after the last token: then only `top` is valid, what would come next
  i32 logprob_micro;  // natural log, millionths
  std::span<const TokenLogprob> top;
};

class ScoreSink {
 public:
  // called inside a chunk; false ends the scoring
  virtual bool on_score(const TokenScore& score) = 0;
  // Returns true if the text shall stay in the prefix cache, because a request goes on from it.
  virtual bool goes_on() const { return false; }
  // Called between two chunks and after the last one; returning false ends the scoring.
  virtual bool on_chunk(u32 /*done*/, u32 /*total*/) { return true; }

 protected:
  ~ScoreSink() = default;
};

// Follows an embedding's progress and may end it.
class EmbedSink {
 public:
  // Called between two chunks and after the last one; returning false ends the work.
  virtual bool on_read(u32 done, u32 total) = 0;

 protected:
  ~EmbedSink() = default;
};

// How well two texts belong together: the model's own number, and that as a share of 1 (sigmoid).
struct RankScore {
  float raw = 0, share = 0;
};

// How the hidden states of a text's tokens become one vector.
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
  Pooling pooling = Pooling::kMean;  // as the file says; mean if it says nothing
  // Hash over the tensors' shapes and samples of their bytes. A saved text is restored only into a
  // model with the same fingerprint.
  u64 fingerprint = 0;
  bool encodes = false;  // an encoder: it gives vectors; submit() and score() refuse
  bool ranks = false;    // a reranker: it gives a score instead of a vector, and embed() refuses
  KvType kv_type = KvType::kF16;  // of the cache, once the model is loaded
};

// Bytes that loading will take, known before any is taken (`model info`).
struct MemoryPlan {
  u64 weights_bytes = 0, kv_bytes = 0, workspace_bytes = 0, tokenizer_bytes = 0;
  u64 draft_bytes = 0;  // all that the draft model takes; 0 if there is none
  u32 context = 0;
  KvType kv_type = KvType::kF16;
  u64 total() const {
    return weights_bytes + kv_bytes + workspace_bytes + tokenizer_bytes + draft_bytes;
  }
};

// Describes a model that is not loaded, from the first bytes of its file.
struct ModelSummary {
  ModelInfo info;  // context: the one that loading would choose
  MemoryPlan plan;
  String tokenizer;   // "gpt2", "llama"
  bool fits = false;  // within EngineOptions::memory_bytes
  bool has_template = false;
};

class Engine {
 public:
  // Loads a whole GGUF file or llama2.c checkpoint that lies in memory. `file` must outlive the
  // engine, which may rewrite it in place to interleave its rows. After load() nothing on the token
  // path allocates.
  static Result<base::Owner<Engine>> load(std::span<Byte> file, Platform& platform,
                                          const EngineOptions& options);
  // Loads a split file; `parts` are in order.
  static Result<base::Owner<Engine>> load(std::span<const std::span<Byte>> parts,
                                          Platform& platform, const EngineOptions& options);
  // Returns what load() would take without touching a weight, and refuses what load() would refuse.
  static Result<MemoryPlan> plan_load(std::span<const std::span<Byte>> parts, Platform& platform,
                                      const EngineOptions& options);
  // Describes a model and what loading it would take, from the first bytes of each part.
  // `file_bytes` are the parts' whole sizes.
  static Result<ModelSummary> inspect(std::span<const std::span<const Byte>> heads,
                                      std::span<const u64> file_bytes, Platform& platform,
                                      const EngineOptions& options);
  virtual ~Engine() = default;

  virtual const ModelInfo& info() const = 0;
  virtual const MemoryPlan& plan() const = 0;
  virtual const Tokenizer& tokenizer() const = 0;
  virtual const ChatTemplate* chat_template() const = 0;  // null when the model has none
  virtual const char* kernels_name() const = 0;

  // Adds a smaller model with the same vocabulary, which guesses tokens from now on; the text stays
  // the same. `parts` are what load() takes, and must outlive the engine. `options` say how much
  // memory it may take beside them, the type of its cache, and its kernels. Called before the first
  // submit(), at most once. On an error the engine goes on without it; the bytes of `parts` are of
  // no use any more.
  virtual Result<void> add_draft(std::span<const std::span<Byte>> parts,
                                 const EngineOptions& options) = 0;

  // Gives the engine to the calling thread: from now on only this thread may call step(), score(),
  // embed(), replay(), save(), restore(), forget_prompts() and the destructor; an assertion checks
  // it. submit(), cancel() and the accessors stay open to every thread of CPU 0.
  virtual void bind_to_this_thread() {}

  // Copies the request and queues it. Returns kContextFull when the prompt does not fit (the log
  // has both numbers), kFull when the queue is full, and kInvalidArgument for what the sampler or
  // the tokenizer does not know. Later errors reach the sink.
  virtual Result<RequestId> submit(const Request& request, RequestSink& sink) = 0;
  virtual void cancel(RequestId id) = 0;  // on_end(kCancelled) comes before this returns
  // Advances every running request once. Returns false when there is nothing to do, or when every
  // request waits for pages that a score(), embed() or restore() under way still holds. An error of
  // one request reaches its sink, not the caller. submit() and cancel() may be called from a sink
  // or from Platform::breathe(); step() may not.
  virtual bool step() = 0;

  // score(), embed() and replay() read a text in chunks and return when all of it is read. A chunk
  // is like a step: while it computes (Platform::breathe(), on_score()), step() does nothing, and
  // score(), embed(), replay(), save() and restore() return kBusy. Between two chunks (on_chunk(),
  // on_read()) everything but the destructor may be called, so that requests go on beside a long
  // text; the results do not depend on it. They return kFull when the free pages do not hold the
  // whole text, and kContextFull and kInvalidArgument as submit() does.
  //
  //
  // Reports the probability of each token from the second on, with up to `top` alternatives.
  virtual Result<void> score(std::span<const TokenId> tokens, u32 top, ScoreSink& sink) = 0;
  // Writes the text's embedding to `out`: info().width floats, pooled from the outputs of the final
  // norm and scaled to length 1. `sink` may be null. Returns kCancelled when the sink ended the
  // work.
  virtual Result<void> embed(std::span<const TokenId> tokens, Pooling pooling, std::span<float> out,
                             EmbedSink* sink) = 0;

  // Returns a reranker's score of a pair of texts. `second` is where the second text begins.
  // Otherwise like embed().
  virtual Result<RankScore> rank(std::span<const TokenId> tokens, u32 second, EmbedSink* sink) = 0;

  // Picks each token of an answer again, from the logits of one reading of prompt and answer. The
  // sink gets the calls that it would get of submit(), on_pick() included, up to the first pick
  // that is not the answer's token. on_end() comes only where the request would have ended; then
  // nothing is picked any more. Returns kCancelled when the sink ended the work. Other errors after
  // the first pick say why the pick that would have followed cannot be made.
  virtual Result<void> replay(const Replay& replay, ReplaySink& sink) = 0;

  // save() and restore() hold only the pages of their own text. From their sink and source
  // everything but the destructor may be called. Both return kBusy inside a step or a chunk.
  //
  // Writes the tokens and KV pages that the prefix cache holds of `tokens`, a text that was
  // generated or read here. restore() accepts them in any engine with the same model and cache
  // type. Returns how many positions need not be read again. kUnsupported for a recurrent model.
  virtual Result<u32> save(std::span<const TokenId> tokens, ByteSink& sink) = 0;
  // Puts a saved text back into the prefix cache and returns its tokens; a prompt that begins with
  // them is not read again. kUnsupported for bytes of another model, cache type or version,
  // kCorrupt for damaged bytes, kFull when too few pages are free.
  virtual Result<Vector<TokenId>> restore(ByteSource& source) = 0;

  // Gives the KV pages a second home, from which requests get beginnings that the prefix cache does
  // not have, and to which ended texts are copied. It must outlive the engine; several engines may
  // share it. visit_home() must be called from then on. Called on the engine's thread, or before
  // the engine was bound to one.
  virtual Result<void> set_home(KvHome& /*home*/) { return {}; }
  // Fetches what waiting requests need, and copies the texts that have ended. Waits for the disk;
  // between two pages `between` may call everything but the destructor and this function. Returns
  // false if there was nothing to do.
  virtual bool visit_home(BetweenPages& /*between*/) { return false; }
  // Returns how many ended texts wait to be copied.
  virtual u32 texts_to_keep() const { return 0; }

  virtual u32 running() const = 0;
  virtual u32 queued() const = 0;
  // Pages of both kinds: of layers that see the whole text, and of layers with a window.
  virtual u64 kv_pages_total() const = 0;
  virtual u64 kv_pages_used() const = 0;  // held by running requests
  // idle pages that the prefix cache keeps for prompts with the same beginning
  virtual u64 kv_pages_cached() const = 0;
  // Empties the prefix cache. What its second home has stays.
  virtual void forget_prompts() = 0;
  static constexpr u32 kMostLogprobs = 20;  // alternatives reported with a token
};

}  // namespace ai
