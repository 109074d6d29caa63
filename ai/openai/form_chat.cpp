// SPDX-License-Identifier: GPL-2.0-or-later
// Writes answers of /v1/chat/completions, whole and as chunks.
#include "ai/openai/exchange.h"
#include "ai/openai/service.h"

namespace ai::openai {
namespace {

void write_head(Exchange& exchange, const char* object, json::Writer& w) {
  w.field("id", exchange.id()).field("object", object).field("created", exchange.created());
  w.field("model", exchange.lease.model());
  w.field("system_fingerprint", exchange.fingerprint());
}

class ChatForm final : public Form {
 public:
  void whole(Exchange& exchange, json::Writer& w) const override {
    w.begin_object();
    write_head(exchange, "chat.completion", w);
    w.key("choices").begin_array();
    for (base::Owner<Choice>& choice : exchange.choices()) whole_choice(exchange, *choice, w);
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
      write_head(exchange, "chat.completion.chunk", w);
      w.key("choices").begin_array().end_array();
      write_progress(exchange, done, total, w);
      w.end_object();
    });
  }

  void text(Exchange& exchange, Choice& choice, std::string_view text) const override {
    chunk(exchange, choice, nullptr, [&](json::Writer& w) {
      role_once(choice, w);
      w.field("content", text);
    });
  }

  void thought(Exchange& exchange, Choice& choice, std::string_view text) const override {
    chunk(exchange, choice, nullptr, [&](json::Writer& w) {
      role_once(choice, w);
      w.field("reasoning_content", text);
    });
  }

  void call(Exchange& exchange, Choice& choice, const ToolCall& call) const override {
    chunk(exchange, choice, nullptr, [&](json::Writer& w) {
      role_once(choice, w);
      // The name is sent once, because clients concatenate what they receive.
      w.key("tool_calls").begin_array().begin_object();
      w.field("index", choice.calls().size() - 1).field("id", call.id_text());
      w.field("type", "function").key("function").begin_object();
      w.field("name", call.name).field("arguments", "").end_object();
      w.end_object().end_array();
    });
  }

  void arguments(Exchange& exchange, Choice& choice, std::string_view text) const override {
    chunk(exchange, choice, nullptr, [&](json::Writer& w) {
      w.key("tool_calls").begin_array().begin_object();
      w.field("index", choice.calls().size() - 1).key("function").begin_object();
      w.field("arguments", text).end_object().end_object().end_array();
    });
  }

  void begin(Exchange& exchange) const override {
    for (base::Owner<Choice>& choice : exchange.choices())
      chunk(exchange, *choice, nullptr, [&](json::Writer& w) {
        role_once(*choice, w);
        w.field("content", "");
      });
  }

  void end_choice(Exchange& exchange, Choice& choice) const override {
    chunk(exchange, choice, choice.finish_reason(), [](json::Writer&) {});
  }

  void end(Exchange& exchange) const override {
    if (exchange.parameters.include_usage)
      exchange.send_event({}, [&](json::Writer& w) {
        w.begin_object();
        write_head(exchange, "chat.completion.chunk", w);
        w.key("choices").begin_array().end_array().key("usage");
        write_usage(exchange, w);
        w.key("timings");
        write_timings(exchange.choices()[0]->timings(), w);
        w.end_object();
      });
    exchange.send_text("data: [DONE]\n\n");
  }

 private:
  static void role_once(Choice& choice, json::Writer& w) {
    if (!choice.opened) w.field("role", "assistant");
    choice.opened = true;
  }

  template <class Delta>
  static void chunk(Exchange& exchange, Choice& choice, const char* finish, Delta&& delta) {
    exchange.send_event({}, [&](json::Writer& w) {
      w.begin_object();
      write_head(exchange, "chat.completion.chunk", w);
      w.key("choices").begin_array().begin_object();
      w.field("index", choice.index()).key("delta").begin_object();
      delta(w);
      w.end_object();
      if (exchange.parameters.want_logprobs && choice.logprobs_sent < choice.logprobs(0).size()) {
        w.key("logprobs");
        write_chat_logprobs(exchange, choice, choice.logprobs_sent, w);
        choice.logprobs_sent = static_cast<u32>(choice.logprobs(0).size());
      } else {
        w.field_null("logprobs");
      }
      end_chunk(exchange, choice, finish, w);
    });
  }

  static void whole_choice(Exchange& exchange, Choice& choice, json::Writer& w) {
    w.begin_object().field("index", choice.index()).key("message").begin_object();
    w.field("role", "assistant");
    if (choice.content().empty() && !choice.calls().empty())
      w.field_null("content");
    else
      w.field("content", choice.content());
    if (!choice.thought().empty()) w.field("reasoning_content", choice.thought());
    w.field_null("refusal");
    write_calls(choice, w);
    w.end_object().key("logprobs");
    write_chat_logprobs(exchange, choice, 0, w);
    w.field("finish_reason", choice.finish_reason()).end_object();
  }
};

constinit const ChatForm chat_form;

}  // namespace

constinit const Form* const kChatForm = &chat_form;

}  // namespace ai::openai
