// SPDX-License-Identifier: GPL-2.0-or-later
// One request that is being answered: its choices in the engine, and the form of its answer.
#pragma once

#include "ai/openai/grammar_cache.h"
#include "ai/openai/parameters.h"
#include "ai/openai/receipt.h"
#include "ai/openai/reply_headers.h"
#include "ai/openai/thought.h"
#include "ai/openai/tool_calls.h"
#include "kernel/base/wipe.h"

namespace ai::openai {

class Exchange;
class Service;
struct ModelMemory;  // defined in service.h

struct ToolCall {
  String name, arguments;
  char id[32] = {};
  std::string_view id_text() const { return id; }
};

// One choice: a request in the engine and what it has said so far. The sink's calls come on the
// engine's thread, on_end(kCancelled) also inside Exchange::stop(); none of them waits.
class Choice final : public RequestSink, public ToolCallSink, public ThoughtSink {
 public:
  Choice(Exchange& exchange, u32 index) : exchange_(exchange), index_(index) {}

  void on_prefill(u32 done, u32 total) override;
  void on_token(const TokenEvent& event) override;
  void on_pick(const Pick& pick) override;
  void on_stop_string(u32 index) override { stop_string_ = index; }
  void on_end(FinishReason reason, const Timings& timings, const Error* error) override;
  void on_content(std::string_view text) override;
  void on_call(std::string_view name) override;
  void on_arguments(std::string_view json_text) override;
  void on_thought(std::string_view text) override;
  void on_said(std::string_view text) override;

  u32 index() const { return index_; }
  void set_index(u32 index) { index_ = index; }
  // Returns true if its tokens are more probable on average than the other one's.
  bool is_better(const Choice& other) const;
  std::string_view content() const { return content_.view(); }
  std::string_view thought() const { return thought_.view(); }
  // The parts of an answer in the order in which they were generated. Kept if the form wants them.
  struct Item {
    enum class Kind : u8 { kThought, kText, kCall } kind;
    usize begin, end;                   // of thought() or content(); of a call, its index
    usize first_logprob, last_logprob;  // those of its tokens are [first, last) of logprobs(0)
  };
  std::span<const Item> items() const { return items_.view(); }
  std::string_view text_of(const Item& item) const;
  void need_item();  // adds an empty text to an answer without items
  const Timings& timings() const { return timings_; }
  FinishReason reason() const { return reason_; }
  bool done() const { return done_; }
  std::span<const base::Owner<ToolCall>> calls() const { return calls_.view(); }
  // Returns "stop", "length" or "tool_calls".
  const char* finish_reason() const;
  // Returns the stop string that ended it, or "".
  std::string_view stopped_by() const;
  // Returns true if tokens of its text were dropped, as the request allowed.
  bool truncated() const;
  // Returns the timings so far, while the choice is being generated.
  Timings running_timings() const;

  // The log probability of a token. They are kept since the last take, in the order of generation.
  struct LogprobEntry {
    TokenId id;
    i32 micro;
    u32 first_top, top_count;  // indices into tops()
  };
  std::span<const LogprobEntry> logprobs(usize from) const {
    return logprobs_.view().subspan(from);
  }
  std::span<const TokenLogprob> tops() const { return tops_.view(); }
  std::span<const TokenId> tokens() const { return tokens_.view(); }
  // Returns the receipt of a complete answer as JSON, or "" if none was asked for.
  std::string_view receipt() const { return receipt_text_.view(); }

  RequestId id = 0;
  bool submitted = false;
  u32 prompt = 0;         // index of the prompt in the exchange
  bool leads = false;     // it reads the prompt; the prompt's other choices share its pages
  u32 logprobs_sent = 0;  // how many were sent, in a stream
  u32 tokens_sent = 0;
  u32 thought_tokens = 0;
  u32 calls_sent = 0;
  u32 items_opened = 0;  // how many items a stream has announced
  bool opened = false;   // the form's first chunk of this choice has gone out
  GrammarRef grammar;    // the same for all choices: where each stands is in the engine
  base::Owner<ToolCallReader> reader;
  base::Owner<ThoughtReader> thoughts;      // before the other one
  base::Owner<ReceiptMaker> receipt_maker;  // null: no receipt was asked for

 private:
  Result<void> finish_receipt(FinishReason reason);
  void keep(Result<void> result);
  void add_item(Item::Kind kind, usize begin, usize end);
  void count_token(const TokenEvent& event);

  Exchange& exchange_;
  u32 index_;
  String content_, thought_;
  Vector<base::Owner<ToolCall>> calls_;
  Vector<Item> items_;
  Vector<LogprobEntry> logprobs_;
  Vector<TokenLogprob> tops_;
  Vector<TokenId> tokens_;
  base::Wiped<String> receipt_text_;
  Timings timings_;
  FinishReason reason_ = FinishReason::kStop;
  bool done_ = false;
  u32 stop_string_ = ~u32{0};  // index among the request's stop strings
  u64 first_token_ns_ = 0, last_token_ns_ = 0;
  u32 counted_ = 0;    // tokens counted so far
  i64 micro_sum_ = 0;  // of their log probabilities, as far as the engine reports them
};

// The way an API writes answers. Forms have no state; what varies is in the exchange.
class Form {
 public:
  virtual const char* stream_type() const { return "text/event-stream"; }
  virtual const char* prompt_field() const { return "messages"; }  // whose fault a long prompt is
  // Streams of this form need the whole text at their end, and the order of its items.
  virtual bool needs_items() const { return false; }
  // Writes the whole answer at once.
  virtual void whole(Exchange& exchange, json::Writer& w) const = 0;
  // Write the events of a stream. begin() and end() are called once each, end_choice() once for
  // each choice, and the others for each piece that the model has written.
  virtual void begin(Exchange&) const {}
  virtual void text(Exchange&, Choice&, std::string_view) const = 0;
  virtual void thought(Exchange&, Choice&, std::string_view) const {}
  virtual void call(Exchange&, Choice&, const ToolCall&) const {}
  virtual void arguments(Exchange&, Choice&, std::string_view) const {}
  virtual void end_choice(Exchange&, Choice&) const {}
  virtual void end(Exchange&) const {}
  // Reports how much of a prompt has been read, if the request asked for it.
  virtual void progress(Exchange&, Choice&, u32 /*done*/, u32 /*total*/) const {}
  virtual void error(Exchange& exchange, const ApiError& error) const;  // in mid-stream
  // Returns what is sent in a long silence, with the tokens of the prompt read so far; "" =
  // nothing.
  virtual std::string_view heartbeat(std::span<char> room, u32 done, u32 total) const;

 protected:
  ~Form() = default;
};

// Work that generates no tokens: embeddings, saving and restoring slots, loading models.
class Work {
 public:
  virtual ~Work() = default;
  // Returns the job that the engine must run first, or null if the work only waits for something.
  virtual EngineJob* job() { return nullptr; }
  // Called with each of the service's ticks. Returns true when the work is done; `answer` then has
  // the JSON to send, or is empty if choices follow.
  virtual Result<bool> look(Exchange& exchange, base::Writer& answer) = 0;
  virtual void refuse(const Error& error, ApiError& out) const { out.take(error); }
};

// Work that the engine's thread does in pieces.
class EngineWork : public Work, public EngineJob {
 public:
  explicit EngineWork(Exchange& exchange) : exchange_(exchange) {}
  EngineJob* job() final { return this; }
  bool run(Engine& engine) final;
  Result<bool> look(Exchange& exchange, base::Writer& answer) final;

 protected:
  virtual Result<bool> piece(Engine& engine) = 0;  // returns true after the last piece
  // Writes the answer, or nothing if choices follow. Called on the service's thread.
  virtual void write(base::Writer& answer) = 0;
  Exchange& exchange() const { return exchange_; }
  bool wanted() const;  // a client still waits for it

 private:
  Exchange& exchange_;
  Result<void> result_;
  bool over_ = false;
};

// Follows a text that is read for a client: lets requests step between its chunks, and goes on
// while the client is connected.
class ClientWaits final : public EmbedSink {
 public:
  explicit ClientWaits(Exchange& exchange) : exchange_(exchange) {}
  bool on_read(u32, u32) override;

 private:
  Exchange& exchange_;
};

// The service owns an exchange from before its first output until the engine holds nothing of it.
// All calls come from CPU 0; those of its choices come on the engine's thread.
class Exchange {
 public:
  Exchange(Service& service, Reply& reply, const Form& form, base::Budget& bodies);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // ---- set up by the route
  Lease lease;                    // must outlive the choices, their grammars and the work
  ModelMemory* memory = nullptr;  // of the leased model; valid as long as the lease
  String body_text;               // the text that `body` points into
  json::Document body;            // the request
  Parameters parameters;
  Vector<Vector<TokenId>> prompts;
  ToolChoice tools;
  bool store = false;               // the answer shall be kept; once it is complete: it was kept
  crypto::Sha256Digest owner = {};  // the one who may use a kept answer: Guard::owner_of()
  bool echo = false;                // the answer repeats its prompt
  Vector<String> prompt_texts;      // texts of the prompts, for `echo`
  // The probabilities of the prompts' tokens, for `echo` with logprobs. The first token has none.
  struct Scores {
    Vector<Choice::LogprobEntry> entries;
    Vector<TokenLogprob> tops;
  };
  Vector<Scores> scores;
  // For receipts: the model's hash, and what the grammar was compiled from.
  crypto::Sha256Digest model_sha256{};
  GrammarSource grammar_source;
  bool truncated = false;  // the beginning of a prompt was dropped, as the request allowed
  base::Owner<Work> work;  // done before the choices, or instead of them
  u64 client = 0;          // client_hash() of the peer's address
  std::string_view path;   // of the route
  ErrorForm error_form = ErrorForm::kOpenAi;
  bool tells_context = false;  // the request wanted a larger context: a header says what it has
  String origin;               // the web page's origin that may read the answer
  u32 slot = ~u32{0};          // the slot that remembers this text once it is complete
  const char* id_prefix = "chatcmpl-";

  // ---- life
  // How the exchange ended. Each has exactly one ending.
  enum class Ending : u8 {
    kNone,
    kAnswered,
    kFailed,
    kGone,  // the peer closed the connection before the answer was complete
  };
  Result<void> count_body(usize bytes);  // returns kFull if there is no memory for the body now
  Result<void> make_choices(ApiError& error);
  void start();  // writes the first output and starts the work or the choices
  void gone();   // the peer has closed the connection; stops the work
  void tick(u64 now_ns);
  void choice_ended(Choice& choice, const Error* error);
  Ending ending() const { return ending_; }
  bool finished() const;  // it has ended, and the engine holds nothing of it

  // ---- for forms and choices
  Service& service() { return service_; }
  const Form& form() const { return form_; }
  bool streaming() const { return parameters.stream; }
  // Returns true if a client waits for the answer and it is not complete.
  bool has_reply() const { return reply_.get() != nullptr; }
  u32 context() const { return std::min(lease.info().context, parameters.context); }
  std::string_view token_text(TokenId id) const { return lease.tokenizer().piece(id); }
  std::string_view fingerprint() const;
  std::string_view id() const { return id_; }
  u64 created() const { return created_; }
  // The choices that are answered.
  std::span<base::Owner<Choice>> choices() { return choices_.view().first(answered_); }
  void send_text(std::string_view text);
  // Sends one SSE event with the JSON that `write(json::Writer&)` writes.
  template <class Write>
  void send_event(std::string_view event, Write&& write) {
    scratch_.clear();
    base::StringWriter sink(scratch_);
    if (!event.empty()) base::format_to(sink, "event: {}\n", event);
    sink.write("data: ");
    json::Writer w(sink);
    write(w);
    sink.write("\n\n");
    end_event(sink.status());
  }
  // The JSON that `write(json::Writer&)` makes, as a line.
  template <class Write>
  void send_line(Write&& write) {
    scratch_.clear();
    base::StringWriter sink(scratch_);
    json::Writer w(sink);
    write(w);
    sink.write("\n");
    end_event(sink.status());
  }
  void prefill(Choice& choice, u32 done, u32 total);
  u32 next_sequence() { return sequence_++; }

  u32 total_generated() const;
  u32 thought_tokens() const;  // how many of these are thoughts that were split off
  u32 prompt_tokens() const;
  u32 cached_tokens() const;
  u64 waited_ns = 0;  // for its model, before it was accepted
  u64 accepted_ns = 0;
  u64 first_token_ns = 0;  // since accepted_ns; 0 = none yet
  u32 block = 0;           // Anthropic's streams: the content block that is open, and its kind
  Choice::Item::Kind block_kind = Choice::Item::Kind::kText;

 private:
  void start_stream();
  void submit_all();
  Result<void> submit(Choice& choice);
  Result<base::Owner<ReceiptMaker>> make_receipt(const Request& request);
  Result<base::Owner<Choice>> make_choice(u32 prompt, const GrammarRef& grammar);
  bool prompt_opens_thought(u32 prompt) const;
  u32 per_prompt() const { return std::max(parameters.n, parameters.best_of); }
  void choose_best();
  void look_at_work();
  void stop();
  void end_event(const Result<void>& written);
  void finish();
  void answer(std::string_view json_text);
  void fail_with(const Error& error);
  void describe_failure(const Error& error, ApiError& out);
  bool settle(Ending ending);

  Service& service_;
  base::Tie<Exchange, Reply> reply_{*this};
  const Form& form_;
  base::BudgetShare body_share_;
  Vector<base::Owner<Choice>> choices_;
  char id_store_[48] = {};
  std::string_view id_;
  u64 created_ = 0;
  u64 last_send_ns_ = 0;
  u32 prefill_done_ = 0, prefill_total_ = 0;
  u32 ended_ = 0;
  usize answered_ = 0;  // of choices_; all but with `best_of`
  u32 sequence_ = 0;
  Ending ending_ = Ending::kNone;
  bool stream_open_ = false;
  String scratch_;
};

// ---- parts that several forms write
void write_usage(Exchange& exchange, json::Writer& w);
void write_timings(const Timings& timings, json::Writer& w);
void write_running_timings(Choice& choice, json::Writer& w);
// Writes "tool_calls" as chat completions have it, or nothing if the choice calls no tool.
void write_calls(Choice& choice, json::Writer& w);
// Writes the receipt of a choice, if one was asked for.
void write_receipt(const Choice& choice, json::Writer& w);
// Writes that of the only choice, or a list of those of all choices.
void write_receipts(Exchange& exchange, json::Writer& w);
void write_progress(Exchange& exchange, u32 done, u32 total, json::Writer& w);
// Writes the rest of a streamed chunk, from its choice's finish_reason on. `finish` is nullptr if
// more follows.
void end_chunk(Exchange& exchange, Choice& choice, const char* finish, json::Writer& w);
// Writes the fields of a token: its text, its log probability (or what `number` names), its bytes.
void write_token(Exchange& exchange, TokenId id, i32 micro, json::Writer& w,
                 const char* number = "logprob");
void write_chat_logprobs(Exchange& exchange, Choice& choice, u32 from, json::Writer& w);
void write_logprob_list(Exchange& exchange, Choice& choice,
                        std::span<const Choice::LogprobEntry> entries, json::Writer& w);

extern const Form* const kChatForm;
extern const Form* const kCompletionForm;
extern const Form* const kLlamaForm;
extern const Form* const kTextForm;
extern const Form* const kResponsesForm;
extern const Form* const kAnthropicForm;
extern const Form* const kOllamaChatForm;
extern const Form* const kOllamaGenerateForm;

}  // namespace ai::openai
