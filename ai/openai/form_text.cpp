// SPDX-License-Identifier: GPL-2.0-or-later
// Writes answers of /v1/completions, of llama-server's /completion, and plain streamed text.
#include "ai/openai/exchange.h"
#include "ai/openai/service.h"

namespace ai::openai {
namespace {

// ---- /v1/completions ------------------------------------------------------------------------

class CompletionForm final : public Form {
 public:
  const char* prompt_field() const override { return "prompt"; }
  void whole(Exchange& exchange, json::Writer& w) const override {
    w.begin_object();
    head(exchange, w);
    w.key("choices").begin_array();
    for (base::Owner<Choice>& choice : exchange.choices()) {
      w.begin_object().field("index", choice->index());
      String text;
      base::StringWriter sink(text);
      if (exchange.echo) sink.write(exchange.prompt_texts[choice->prompt].view());
      sink.write(choice->content());
      w.field("text", text).key("logprobs");
      logprobs(exchange, *choice, 0, w);
      w.field("finish_reason", choice->finish_reason()).end_object();
    }
    w.end_array().key("usage");
    write_usage(exchange, w);
    w.key("timings");
    write_timings(exchange.choices()[0]->timings(), w);
    if (exchange.choices()[0]->truncated()) w.field("truncated", true);
    write_receipts(exchange, w);
    w.end_object();
  }

  void progress(Exchange& exchange, Choice&, u32 done, u32 total) const override {
    exchange.send_event({}, [&](json::Writer& w) {
      w.begin_object();
      head(exchange, w);
      w.key("choices").begin_array().end_array();
      write_progress(exchange, done, total, w);
      w.end_object();
    });
  }

  void begin(Exchange& exchange) const override {
    if (!exchange.echo) return;
    for (base::Owner<Choice>& choice : exchange.choices())
      text(exchange, *choice, exchange.prompt_texts[choice->prompt].view());
  }

  void text(Exchange& exchange, Choice& choice, std::string_view text) const override {
    chunk(exchange, choice, text, nullptr);
  }
  void end_choice(Exchange& exchange, Choice& choice) const override {
    chunk(exchange, choice, "", choice.finish_reason());
  }
  void end(Exchange& exchange) const override {
    if (exchange.parameters.include_usage)
      exchange.send_event({}, [&](json::Writer& w) {
        w.begin_object();
        head(exchange, w);
        w.key("choices").begin_array().end_array().key("usage");
        write_usage(exchange, w);
        w.end_object();
      });
    exchange.send_text("data: [DONE]\n\n");
  }

 private:
  static void head(Exchange& exchange, json::Writer& w) {
    w.field("id", exchange.id()).field("object", "text_completion");
    w.field("created", exchange.created());
    w.field("model", exchange.lease.model());
    w.field("system_fingerprint", exchange.fingerprint());
  }

  static void chunk(Exchange& exchange, Choice& choice, std::string_view text, const char* finish) {
    exchange.send_event({}, [&](json::Writer& w) {
      w.begin_object();
      head(exchange, w);
      w.key("choices").begin_array().begin_object();
      w.field("index", choice.index()).field("text", text).key("logprobs");
      logprobs(exchange, choice, choice.logprobs_sent, w);
      choice.logprobs_sent = static_cast<u32>(choice.logprobs(0).size());
      end_chunk(exchange, choice, finish, w);
    });
  }

  // The tokens to report: those of the prompt, if the request asked for them, then those of the
  // answer.
  struct Shown {
    Choice::LogprobEntry entry;
    std::span<const TokenLogprob> top;
    bool unknown;  // the very first token has no probability
  };
  template <class Use>
  static void for_each_shown(Exchange& exchange, Choice& choice, u32 from, Use&& use) {
    auto top_of = [&](const Choice::LogprobEntry& e, std::span<const TokenLogprob> tops) {
      return tops.subspan(e.first_top, std::min(e.top_count, exchange.parameters.logprobs));
    };
    if (!exchange.scores.empty()) {
      const Exchange::Scores& scores = exchange.scores[choice.prompt];
      for (const Choice::LogprobEntry& e : scores.entries.view())
        use(Shown{e, top_of(e, scores.tops.view()), &e == scores.entries.begin()});
    }
    for (const Choice::LogprobEntry& e : choice.logprobs(from))
      use(Shown{e, top_of(e, choice.tops()), false});
  }

  // Writes four lists of equal length, as this API has them.
  static void logprobs(Exchange& exchange, Choice& choice, u32 from, json::Writer& w) {
    if (!exchange.parameters.want_logprobs) {
      w.null();
      return;
    }
    w.begin_object().key("tokens").begin_array();
    for_each_shown(exchange, choice, from,
                   [&](const Shown& s) { w.value(exchange.token_text(s.entry.id)); });
    w.end_array().key("token_logprobs").begin_array();
    for_each_shown(exchange, choice, from, [&](const Shown& s) {
      if (s.unknown)
        w.null();
      else
        w.value(base::Decimal{s.entry.micro, 6});
    });
    w.end_array().key("top_logprobs").begin_array();
    for_each_shown(exchange, choice, from, [&](const Shown& s) {
      if (s.unknown) {
        w.null();
        return;
      }
      w.begin_object();
      for (const TokenLogprob& top : s.top)
        w.field(exchange.token_text(top.id), base::Decimal{top.logprob_micro, 6});
      w.end_object();
    });
    w.end_array().key("text_offset").begin_array();
    bool behind = exchange.echo && exchange.scores.empty();
    usize offset = behind ? exchange.prompt_texts[choice.prompt].size() : 0;
    for (const Choice::LogprobEntry& e : choice.logprobs(0).first(from))
      offset += exchange.token_text(e.id).size();
    for_each_shown(exchange, choice, from, [&](const Shown& s) {
      w.value(offset);
      offset += exchange.token_text(s.entry.id).size();
    });
    w.end_array().end_object();
  }
};

// ---- llama-server's /completion ------------------------------------------------------------

class LlamaForm final : public Form {
 public:
  const char* prompt_field() const override { return "prompt"; }
  void whole(Exchange& exchange, json::Writer& w) const override {
    std::span<base::Owner<Choice>> choices = exchange.choices();
    if (choices.size() > 1) w.begin_array();
    for (base::Owner<Choice>& choice : choices)
      final_object(exchange, *choice, choice->content(), w);
    if (choices.size() > 1) w.end_array();
  }
  void text(Exchange& exchange, Choice& choice, std::string_view text) const override {
    exchange.send_event({}, [&](json::Writer& w) {
      w.begin_object().field("index", choice.index()).field("content", text);
      tokens(exchange, choice, w);
      w.field("stop", false).field("id_slot", slot(exchange));
      w.field("tokens_predicted", choice.tokens().size());
      w.field("tokens_evaluated", exchange.prompts[choice.prompt].size());
      probabilities(exchange, choice, w);
      if (exchange.parameters.timings_per_token) {
        w.key("timings");
        write_running_timings(choice, w);
      }
      w.end_object();
    });
  }
  void progress(Exchange& exchange, Choice& choice, u32 done, u32 total) const override {
    exchange.send_event({}, [&](json::Writer& w) {
      w.begin_object().field("index", choice.index()).field("content", "");
      w.key("tokens").begin_array().end_array();
      w.field("stop", false).field("id_slot", slot(exchange));
      write_progress(exchange, done, total, w);
      w.end_object();
    });
  }
  void end_choice(Exchange& exchange, Choice& choice) const override {
    exchange.send_event({}, [&](json::Writer& w) { final_object(exchange, choice, "", w); });
  }

 private:
  // Returns the slot's number. If there are more requests than slots, the rest have none.
  static i32 slot(Exchange& exchange) {
    return exchange.slot < ModelMemory::kSlots ? static_cast<i32>(exchange.slot) : -1;
  }
  static void tokens(Exchange& exchange, Choice& choice, json::Writer& w) {
    w.key("tokens").begin_array();
    if (exchange.parameters.return_tokens)
      for (TokenId id : choice.tokens().subspan(choice.tokens_sent)) w.value(id);
    choice.tokens_sent = static_cast<u32>(choice.tokens().size());
    w.end_array();
  }
  static void probabilities(Exchange& exchange, Choice& choice, json::Writer& w) {
    if (!exchange.parameters.want_logprobs) return;
    bool after = exchange.parameters.after_sampling;
    const char* number = after ? "prob" : "logprob";
    w.key("completion_probabilities");
    json::Writer& list = w.begin_array();
    for (const Choice::LogprobEntry& e : choice.logprobs(choice.logprobs_sent)) {
      list.begin_object().field("id", e.id);
      write_token(exchange, e.id, e.micro, list, number);
      list.key(after ? "top_probs" : "top_logprobs").begin_array();
      u32 wanted = std::min(e.top_count, exchange.parameters.logprobs);
      for (const TokenLogprob& top : choice.tops().subspan(e.first_top, wanted)) {
        list.begin_object().field("id", top.id);
        write_token(exchange, top.id, top.logprob_micro, list, number);
        list.end_object();
      }
      list.end_array().end_object();
    }
    list.end_array();
    choice.logprobs_sent = static_cast<u32>(choice.logprobs(0).size());
  }
  // Writes the prompt as its tokens spell it, the control tokens among them.
  static void write_prompt(Exchange& exchange, Choice& choice, json::Writer& w) {
    const Tokenizer& tokenizer = exchange.lease.tokenizer();
    base::Wiped<String> text;
    base::StringWriter sink(text);
    for (TokenId id : exchange.prompts[choice.prompt])
      sink.write(tokenizer.is_control(id) ? tokenizer.spelling(id) : tokenizer.piece(id));
    if (Result<void> whole = sink.status(); !whole.has_value())
      exchange.choice_ended(choice, &whole.error());
    w.field("prompt", text);
  }
  // Writes the object, or only those of its fields that the request names: "content", or
  // "timings/predicted_n" for one inside another, which keeps that name.
  static void final_object(Exchange& exchange, Choice& choice, std::string_view content,
                           json::Writer& w) {
    json::Value wanted = exchange.body.root().find("response_fields");
    if (wanted.size() == 0) return all_fields(exchange, choice, content, w);
    base::Wiped<String> text;
    base::StringWriter sink(text);
    json::Writer all(sink);
    all_fields(exchange, choice, content, all);
    Result<json::Document> document = json::Document::parse(text.view());
    if (!document.has_value()) return exchange.choice_ended(choice, &document.error());
    w.begin_object();
    for (json::Value path : wanted.elements()) {
      json::Value value = document->root();
      std::string_view rest = path.text(), name;
      for (bool more = true; more;) {
        name = rest.substr(0, rest.find('/'));
        more = name.size() < rest.size();
        rest.remove_prefix(name.size() + (more ? 1 : 0));
        value = value.find(name);
      }
      if (value.present()) w.field(path.text(), value);
    }
    w.end_object();
  }

  static void all_fields(Exchange& exchange, Choice& choice, std::string_view content,
                         json::Writer& w) {
    const Timings& t = choice.timings();
    bool limit = std::string_view(choice.finish_reason()) == "length";
    w.begin_object().field("index", choice.index()).field("content", content);
    tokens(exchange, choice, w);
    w.field("id_slot", slot(exchange)).field("stop", true);
    w.field("model", exchange.lease.model());
    w.field("tokens_predicted", t.generated_tokens).field("tokens_evaluated", t.prompt_tokens);
    bool full = choice.reason() == FinishReason::kContextFull;
    w.field("tokens_cached", t.cached_tokens).field("truncated", choice.truncated() || full);
    std::string_view word = choice.stopped_by();
    w.field("stop_type", limit ? "limit" : word.empty() ? "eos" : "word");
    w.field("stopping_word", word);
    write_prompt(exchange, choice, w);
    w.field("has_new_line", content.find('\n') != std::string_view::npos);
    probabilities(exchange, choice, w);
    w.key("generation_settings").begin_object();
    const SamplerParams& s = exchange.parameters.sampling;
    w.field("n_predict",
            exchange.parameters.max_tokens == 0 ? i64{-1} : i64{exchange.parameters.max_tokens});
    w.field("seed", s.seed);
    write_sampling(s, w);
    write_bias(exchange.parameters.bias.view(), w);
    w.field("ignore_eos", exchange.parameters.ignore_end);
    w.field("n_probs", exchange.parameters.logprobs);
    w.field("post_sampling_probs", exchange.parameters.after_sampling);
    w.field("n_ctx", exchange.context()).end_object();
    w.key("timings");
    write_timings(t, w);
    write_receipt(choice, w);
    w.end_object();
  }
};

// ---- plain text ------------------------------------------------------------------------------

class TextForm final : public Form {
 public:
  const char* prompt_field() const override { return "prompt"; }
  const char* stream_type() const override { return "text/plain; charset=utf-8"; }
  std::string_view heartbeat(std::span<char>, u32, u32) const override { return {}; }
  void whole(Exchange&, json::Writer& w) const override { w.null(); }  // always streamed
  void text(Exchange& exchange, Choice&, std::string_view text) const override {
    exchange.send_text(text);
  }
  void error(Exchange& exchange, const ApiError& error) const override {
    exchange.send_text("\nerror: ");
    exchange.send_text(error.message);
    exchange.send_text("\n");
  }
};

constinit const CompletionForm completion_form;
constinit const LlamaForm llama_form;
constinit const TextForm text_form;

}  // namespace

constinit const Form* const kCompletionForm = &completion_form;
constinit const Form* const kLlamaForm = &llama_form;
constinit const Form* const kTextForm = &text_form;

}  // namespace ai::openai
