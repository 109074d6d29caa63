// SPDX-License-Identifier: GPL-2.0-or-later
// Writes answers of /v1/messages in Anthropic's form, whole and as named events.
#include "ai/openai/exchange.h"
#include "ai/openai/service.h"

namespace ai::openai {
namespace {

using Kind = Choice::Item::Kind;

class AnthropicForm final : public Form {
 public:
  void whole(Exchange& exchange, json::Writer& w) const override {
    Choice& choice = *exchange.choices()[0];
    w.begin_object();
    head(exchange, w);
    w.key("content").begin_array();
    if (!choice.thought().empty()) {
      w.begin_object().field("type", "thinking").field("thinking", choice.thought());
      w.field("signature", "").end_object();
    }
    if (!choice.content().empty() || choice.calls().empty())
      w.begin_object().field("type", "text").field("text", choice.content()).end_object();
    for (const base::Owner<ToolCall>& call : choice.calls()) {
      w.begin_object().field("type", "tool_use").field("id", call->id_text());
      w.field("name", call->name).key("input");
      Result<json::Document> input = json::Document::parse(call->arguments.view());
      // An answer that was cut at its token limit may contain half an object.
      if (input.has_value())
        w.value(input->root());
      else
        w.begin_object().end_object();
      w.end_object();
    }
    w.end_array();
    stop_fields(choice, w);
    w.key("usage");
    usage(exchange, exchange.total_generated(), w);
    write_receipt(choice, w);
    w.end_object();
  }

  void begin(Exchange& exchange) const override {
    exchange.send_event("message_start", [&](json::Writer& w) {
      w.begin_object().field("type", "message_start").key("message").begin_object();
      head(exchange, w);
      w.key("content").begin_array().end_array();
      w.field_null("stop_reason").field_null("stop_sequence").key("usage");
      usage(exchange, 0, w);
      w.end_object().end_object();
    });
  }

  void text(Exchange& exchange, Choice& choice, std::string_view text) const override {
    go_on(exchange, choice, Kind::kText);
    delta(exchange, "text_delta", "text", text);
  }
  void thought(Exchange& exchange, Choice& choice, std::string_view text) const override {
    go_on(exchange, choice, Kind::kThought);
    delta(exchange, "thinking_delta", "thinking", text);
  }
  void call(Exchange& exchange, Choice& choice, const ToolCall& call) const override {
    open_block(exchange, choice, Kind::kCall, &call);
  }
  void arguments(Exchange& exchange, Choice&, std::string_view text) const override {
    delta(exchange, "input_json_delta", "partial_json", text);
  }

  void end_choice(Exchange& exchange, Choice& choice) const override {
    if (!choice.opened) open_block(exchange, choice, Kind::kText);
    close_block(exchange);
    exchange.send_event("message_delta", [&](json::Writer& w) {
      w.begin_object().field("type", "message_delta").key("delta").begin_object();
      stop_fields(choice, w);
      w.end_object().key("usage");
      usage(exchange, exchange.total_generated(), w);
      write_receipt(choice, w);
      w.end_object();
    });
  }
  void end(Exchange& exchange) const override {
    exchange.send_event("message_stop", [](json::Writer& w) {
      w.begin_object().field("type", "message_stop").end_object();
    });
  }
  void error(Exchange& exchange, const ApiError& error) const override {
    exchange.send_text("event: error\n");
    Form::error(exchange, error);
  }

 private:
  static void head(Exchange& exchange, json::Writer& w) {
    w.field("id", exchange.id()).field("type", "message").field("role", "assistant");
    w.field("model", exchange.lease.model());
  }
  static void stop_fields(Choice& choice, json::Writer& w) {
    std::string_view reason = choice.finish_reason(), word = choice.stopped_by();
    w.field("stop_reason", reason == "length"       ? "max_tokens"
                           : reason == "tool_calls" ? "tool_use"
                           : word.empty()           ? "end_turn"
                                                    : "stop_sequence");
    if (word.empty())
      w.field_null("stop_sequence");
    else
      w.field("stop_sequence", word);
  }
  static void usage(Exchange& exchange, u32 generated, json::Writer& w) {
    u32 cached = exchange.cached_tokens();
    w.begin_object().field("input_tokens", exchange.prompt_tokens() - cached);
    w.field("cache_creation_input_tokens", 0).field("cache_read_input_tokens", cached);
    w.field("output_tokens", generated).end_object();
  }
  static void close_block(Exchange& exchange) {
    exchange.send_event("content_block_stop", [&](json::Writer& w) {
      w.begin_object().field("type", "content_block_stop");
      w.field("index", exchange.block).end_object();
    });
  }
  static void go_on(Exchange& exchange, Choice& choice, Kind kind) {
    if (!choice.opened || exchange.block_kind != kind) open_block(exchange, choice, kind);
  }
  static void open_block(Exchange& exchange, Choice& choice, Kind kind,
                         const ToolCall* call = nullptr) {
    if (choice.opened) {
      close_block(exchange);
      exchange.block++;
    }
    choice.opened = true;
    exchange.block_kind = kind;
    exchange.send_event("content_block_start", [&](json::Writer& w) {
      w.begin_object().field("type", "content_block_start").field("index", exchange.block);
      w.key("content_block").begin_object();
      if (kind == Kind::kText) {
        w.field("type", "text").field("text", "");
      } else if (kind == Kind::kThought) {
        w.field("type", "thinking").field("thinking", "").field("signature", "");
      } else {
        w.field("type", "tool_use").field("id", call->id_text()).field("name", call->name);
        w.key("input").begin_object().end_object();
      }
      w.end_object().end_object();
    });
  }
  static void delta(Exchange& exchange, const char* type, const char* key, std::string_view text) {
    exchange.send_event("content_block_delta", [&](json::Writer& w) {
      w.begin_object().field("type", "content_block_delta").field("index", exchange.block);
      w.key("delta").begin_object().field("type", type).field(key, text);
      w.end_object().end_object();
    });
  }
};

constinit const AnthropicForm anthropic_form;

}  // namespace

constinit const Form* const kAnthropicForm = &anthropic_form;

}  // namespace ai::openai
