// SPDX-License-Identifier: GPL-2.0-or-later
// Writes answers of /v1/responses (text only): the object, and its stream of typed, numbered
// events.
#include "ai/openai/exchange.h"
#include "ai/openai/service.h"

namespace ai::openai {
namespace {

class ResponsesForm final : public Form {
 public:
  const char* prompt_field() const override { return "input"; }
  void whole(Exchange& exchange, json::Writer& w) const override {
    response(exchange, status(exchange), exchange.choices()[0]->content(), w);
  }

  void begin(Exchange& exchange) const override {
    for (const char* type : {"response.created", "response.in_progress"})
      event(exchange, type, [&](json::Writer& w) {
        w.key("response");
        response(exchange, "in_progress", {}, w);
      });
    event(exchange, "response.output_item.added", [&](json::Writer& w) {
      w.field("output_index", 0).key("item");
      item(exchange, "in_progress", nullptr, w);
    });
    event(exchange, "response.content_part.added", [&](json::Writer& w) {
      place(exchange, w);
      w.key("part");
      part("", w);
    });
  }

  void text(Exchange& exchange, Choice& choice, std::string_view text) const override {
    // The closing events repeat the whole text.
    (void)exchange.prompt_text.append(text);
    (void)choice;
    event(exchange, "response.output_text.delta", [&](json::Writer& w) {
      place(exchange, w);
      w.field("delta", text).key("logprobs").begin_array().end_array();
    });
  }

  void end(Exchange& exchange) const override {
    std::string_view all = exchange.prompt_text.view();
    event(exchange, "response.output_text.done", [&](json::Writer& w) {
      place(exchange, w);
      w.field("text", all).key("logprobs").begin_array().end_array();
    });
    event(exchange, "response.content_part.done", [&](json::Writer& w) {
      place(exchange, w);
      w.key("part");
      part(all, w);
    });
    event(exchange, "response.output_item.done", [&](json::Writer& w) {
      w.field("output_index", 0).key("item");
      item(exchange, status(exchange), &all, w);
    });
    bool complete = std::string_view(status(exchange)) == "completed";
    event(exchange, complete ? "response.completed" : "response.incomplete", [&](json::Writer& w) {
      w.key("response");
      response(exchange, status(exchange), all, w);
    });
  }

 private:
  template <class Write>
  static void event(Exchange& exchange, const char* type, Write&& write) {
    exchange.send_event(type, [&](json::Writer& w) {
      w.begin_object().field("type", type).field("sequence_number", exchange.next_sequence());
      write(w);
      w.end_object();
    });
  }
  static const char* status(Exchange& exchange) {
    bool cut = std::string_view(exchange.choices()[0]->finish_reason()) == "length";
    return cut ? "incomplete" : "completed";
  }
  static void item_id(Exchange& exchange, json::Writer& w, const char* key) {
    char text[64];
    w.field(key, base::format_into(text, "msg_{}", exchange.id().substr(5)));
  }
  static void place(Exchange& exchange, json::Writer& w) {
    item_id(exchange, w, "item_id");
    w.field("output_index", 0).field("content_index", 0);
  }
  static void part(std::string_view text, json::Writer& w) {
    w.begin_object().field("type", "output_text").field("text", text);
    w.key("annotations").begin_array().end_array().key("logprobs").begin_array().end_array();
    w.end_object();
  }
  static void item(Exchange& exchange, const char* status, const std::string_view* text,
                   json::Writer& w) {
    w.begin_object();
    item_id(exchange, w, "id");
    w.field("type", "message").field("role", "assistant").field("status", status);
    w.key("content").begin_array();
    if (text != nullptr) part(*text, w);
    w.end_array().end_object();
  }
  static void response(Exchange& exchange, std::string_view status, std::string_view text,
                       json::Writer& w) {
    bool ended = status != "in_progress";
    const SamplerParams& s = exchange.parameters.sampling;
    w.begin_object().field("id", exchange.id()).field("object", "response");
    w.field("created_at", exchange.created()).field("status", status);
    w.field("model", exchange.lease.model()).field_null("error");
    if (status == "incomplete")
      w.key("incomplete_details").begin_object().field("reason", "max_output_tokens").end_object();
    else
      w.field_null("incomplete_details");
    json::Value asked = exchange.body.root(), metadata = asked.find("metadata");
    w.field("instructions", asked.find("instructions"));
    w.field("max_output_tokens", asked.find("max_output_tokens"));
    w.field_null("previous_response_id").key("metadata");
    if (metadata.is_object())
      w.value(metadata);
    else
      w.begin_object().end_object();
    w.field("parallel_tool_calls", false).field("tool_choice", "none");
    w.key("tools").begin_array().end_array();
    w.field("temperature", base::Decimal{s.temperature_milli, 3});
    w.field("top_p", base::Decimal{s.top_p_milli, 3});
    w.key("output").begin_array();
    if (ended) item(exchange, status.data(), &text, w);
    w.end_array();
    if (ended) {
      u32 in = exchange.prompt_tokens(), out = exchange.total_generated();
      w.key("usage").begin_object().field("input_tokens", in);
      w.key("input_tokens_details").begin_object();
      w.field("cached_tokens", exchange.cached_tokens()).end_object();
      w.field("output_tokens", out).key("output_tokens_details").begin_object();
      w.field("reasoning_tokens", 0).end_object().field("total_tokens", in + out).end_object();
    } else {
      w.field_null("usage");
    }
    w.end_object();
  }
};

constinit const ResponsesForm responses_form;

}  // namespace

constinit const Form* const kResponsesForm = &responses_form;

}  // namespace ai::openai
