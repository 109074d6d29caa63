// SPDX-License-Identifier: GPL-2.0-or-later
// One request being answered: its choices in the engine, and the form its answer has.
#pragma once

#include "ai/openai/grammar_cache.h"
#include "ai/openai/parameters.h"
#include "ai/openai/tool_calls.h"

namespace ai::openai {

class Exchange;
class Service;

struct ToolCall {
  String name, arguments;
  char id[32] = {};
  std::string_view id_text() const { return id; }
};

// One choice: a request in the engine and what it has said so far.
class Choice final : public RequestSink, public ToolCallSink {
 public:
  Choice(Exchange& exchange, u32 index) : exchange_(exchange), index_(index) {}

  void on_prefill(u32 done, u32 total) override;
  void on_token(const TokenEvent& event) override;
  void on_stop_string(u32 index) override { stop_string_ = index; }
  void on_end(FinishReason reason, const Timings& timings, const Error* error) override;
  void on_content(std::string_view text) override;
  void on_call(std::string_view name) override;
  void on_arguments(std::string_view json_text) override;

  u32 index() const { return index_; }
  std::string_view content() const { return content_.view(); }
  const Timings& timings() const { return timings_; }
  FinishReason reason() const { return reason_; }
  bool done() const { return done_; }
  std::span<const base::Owner<ToolCall>> calls() const { return calls_.view(); }
  // "stop", "length" or "tool_calls".
  const char* finish_reason() const;
  // The stop string that ended it, or "".
  std::string_view stopped_by() const;
  // Tokens of its text were dropped, as the request allowed.
  bool truncated() const;
  // What is known while it is being made: of the tokens so far.
  Timings running_timings() const;

  // Log probabilities of the tokens since the last take, in the order of generation.
  struct LogprobEntry {
    TokenId id;
    i32 micro;
    u32 first_top, top_count;  // in tops()
  };
  std::span<const LogprobEntry> logprobs(u32 from) const { return logprobs_.view().subspan(from); }
  std::span<const TokenLogprob> tops() const { return tops_.view(); }
  std::span<const TokenId> tokens() const { return tokens_.view(); }

  RequestId id = 0;
  bool submitted = false;
  u32 prompt = 0;         // which of the exchange's prompts
  u32 logprobs_sent = 0;  // for streams
  u32 tokens_sent = 0;
  bool opened = false;  // the form's first chunk of this choice has gone out
  GrammarRef grammar;   // the same for all choices: where each stands is in the engine
  base::Owner<ToolCallReader> reader;

 private:
  void keep(Result<void> result);
  void count_token(const TokenEvent& event);

  Exchange& exchange_;
  u32 index_;
  String content_;
  Vector<base::Owner<ToolCall>> calls_;
  Vector<LogprobEntry> logprobs_;
  Vector<TokenLogprob> tops_;
  Vector<TokenId> tokens_;
  Timings timings_;
  FinishReason reason_ = FinishReason::kStop;
  bool done_ = false;
  u32 stop_string_ = ~u32{0};  // of the request's
  u64 first_token_ns_ = 0, last_token_ns_ = 0;
  u32 counted_ = 0;  // tokens
};

// How an API writes answers. Rows without state; what varies is in the exchange.
class Form {
 public:
  virtual const char* stream_type() const { return "text/event-stream"; }
  virtual ErrorForm error_form() const { return ErrorForm::kOpenAi; }
  // The whole answer at once.
  virtual void whole(Exchange& exchange, json::Writer& w) const = 0;
  // Streams: once at the start; text of a choice; a tool call and its arguments; the end of a
  // choice; the end of all.
  virtual void begin(Exchange&) const {}
  virtual void text(Exchange&, Choice&, std::string_view) const = 0;
  virtual void call(Exchange&, Choice&, const ToolCall&) const {}
  virtual void arguments(Exchange&, Choice&, std::string_view) const {}
  virtual void end_choice(Exchange&, Choice&) const {}
  virtual void end(Exchange&) const {}
  // So much of a prompt has been read; only when it was asked for.
  virtual void progress(Exchange&, Choice&, u32 /*done*/, u32 /*total*/) const {}
  virtual void error(Exchange& exchange, const ApiError& error) const;  // in mid-stream
  virtual bool sse() const { return true; }

 protected:
  ~Form() = default;
};

// What makes no tokens: embeddings, slots saved and restored, models loaded.
class Work {
 public:
  virtual ~Work() = default;
  // One piece of it. True: all is done and `answer` is the JSON to send, or empty when choices are
  // to follow.
  virtual Result<bool> run(Exchange& exchange, base::Writer& answer) = 0;
  // Whether run() uses the engine, and so has its turn between steps. Otherwise it only looks how
  // far something is, in each tick.
  virtual bool needs_engine() const { return true; }
  virtual void refuse(const Error& error, ApiError& out) const { out.take(error); }
};

class Exchange {
 public:
  Exchange(Service& service, Reply& reply, const Form& form)
      : service_(service), reply_(&reply), form_(form) {}

  // ---- set up by the route
  String body_text;     // what `body` points into, when it was translated
  json::Document body;  // the request
  Parameters parameters;
  Vector<Vector<TokenId>> prompts;
  String prompt_text;  // for llama-server's answers
  ToolChoice tools;
  bool echo = false;
  Vector<String> prompt_texts;  // of the prompts, with `echo`
  // How probable the prompts' tokens are, with `echo` and logprobs; nothing is said of the first.
  struct Scores {
    Vector<Choice::LogprobEntry> entries;
    Vector<TokenLogprob> tops;
  };
  Vector<Scores> scores;
  bool truncated = false;  // the beginning of a prompt was dropped, as the request allowed
  base::Owner<Work> work;  // before the choices, or instead of them
  u64 client = 0;          // client_hash of its address
  std::string_view path;   // of the route
  u32 slot = ~u32{0};      // which remembers this text once it is complete
  const char* id_prefix = "chatcmpl-";
  std::string_view model;  // as it was asked for

  // ---- life
  Result<void> make_choices(ApiError& error);
  void start_stream();
  void submit_all();  // engine_callable() only
  void cancel_all();  // engine_callable() only
  void gone() { reply_ = nullptr; }
  bool finished() const;  // nothing in the engine any more and the answer is out
  void tick(u64 now_ns);
  bool run_work();  // in the engine's thread; false: there is none to do
  void choice_ended(Choice& choice, const Error* error);
  void model_changed();  // what was prepared for the old model cannot go on

  // ---- for forms and choices
  Service& service() { return service_; }
  const Form& form() const { return form_; }
  bool streaming() const { return parameters.stream; }
  bool has_reply() const { return reply_ != nullptr; }
  std::string_view id() const { return id_; }
  u64 created() const { return created_; }
  std::span<base::Owner<Choice>> choices() { return choices_.view(); }
  void send_text(std::string_view text);
  // One SSE event around the JSON that `write(json::Writer&)` makes.
  template <class Write>
  void send_event(std::string_view event, Write&& write) {
    begin_event(event);
    base::StringWriter sink(scratch_);
    json::Writer w(sink);
    write(w);
    end_event();
  }
  void prefill(Choice& choice, u32 done, u32 total);
  u32 next_sequence() { return sequence_++; }

  u32 total_generated() const;
  u32 prompt_tokens() const;
  u32 cached_tokens() const;
  u64 accepted_ns = 0;
  u64 first_token_ns = 0;  // since accepted_ns; 0 = none yet
  bool submitted = false;
  u32 block = 0;  // Anthropic's streams: the content block that is open, and its kind
  bool block_is_text = false;

 private:
  friend class Service;
  void begin_event(std::string_view event);
  void end_event();
  void answer_whole();
  void fail_with(const Error& error);
  void close();

  Service& service_;
  Reply* reply_;
  const Form& form_;
  Vector<base::Owner<Choice>> choices_;
  char id_store_[48] = {};
  std::string_view id_;
  u64 created_ = 0;
  u64 last_send_ns_ = 0;
  u32 prefill_done_ = 0, prefill_total_ = 0, prefill_shown_ = 0;
  u32 ended_ = 0;
  u32 sequence_ = 0;
  bool at_work_ = false;
  bool stream_open_ = false, closed_ = false, failed_ = false;
  String scratch_;
};

// ---- parts that several forms write
void write_usage(Exchange& exchange, json::Writer& w);
void write_timings(const Timings& timings, json::Writer& w);
void write_running_timings(Choice& choice, json::Writer& w);
void write_progress(Exchange& exchange, u32 done, u32 total, json::Writer& w);
// The rest of a streamed chunk, from its choice's finish_reason on; nullptr: it goes on.
void end_chunk(Exchange& exchange, Choice& choice, const char* finish, json::Writer& w);
void write_chat_logprobs(Exchange& exchange, Choice& choice, u32 from, json::Writer& w);

extern const Form* const kChatForm;
extern const Form* const kCompletionForm;
extern const Form* const kLlamaForm;
extern const Form* const kTextForm;
extern const Form* const kResponsesForm;
extern const Form* const kAnthropicForm;

}  // namespace ai::openai
