// SPDX-License-Identifier: GPL-2.0-or-later
// Writes answers of /v1/responses: the object with its items (thoughts, a message, calls of
// functions), and its stream of typed, numbered events.
#include "ai/openai/exchange.h"
#include "ai/openai/service.h"

namespace ai::openai {
namespace {

using Item = Choice::Item;

struct KindRow {
  const char *type, *id, *part;  // of the item, before its id, of its content
};
constexpr KindRow kKinds[] = {{"reasoning", "rs", "reasoning_text"},
                              {"message", "msg", "output_text"},
                              {"function_call", "fc", nullptr}};

const KindRow& row_of(const Item& item) {
  return kKinds[static_cast<u32>(item.kind)];
}

class ResponsesForm final : public Form {
 public:
  const char* prompt_field() const override { return "input"; }
  bool needs_items() const override { return true; }

  void whole(Exchange& exchange, json::Writer& w) const override {
    choice_of(exchange).need_item();
    response(exchange, status(exchange), w);
  }

  void begin(Exchange& exchange) const override {
    for (const char* type : {"response.created", "response.in_progress"})
      response_event(exchange, type, "in_progress");
  }

  void text(Exchange& exchange, Choice& choice, std::string_view text) const override {
    announce(exchange, choice);
    event(exchange, "response.output_text.delta", [&](json::Writer& w) {
      place(exchange, last_index(choice), w);
      w.field("delta", text).key("logprobs");
      new_logprobs(exchange, choice, w);
    });
  }

  void thought(Exchange& exchange, Choice& choice, std::string_view text) const override {
    announce(exchange, choice);
    event(exchange, "response.reasoning_text.delta", [&](json::Writer& w) {
      place(exchange, last_index(choice), w);
      w.field("delta", text);
    });
  }

  void call(Exchange& exchange, Choice& choice, const ToolCall&) const override {
    announce(exchange, choice);
  }

  void arguments(Exchange& exchange, Choice& choice, std::string_view text) const override {
    event(exchange, "response.function_call_arguments.delta", [&](json::Writer& w) {
      place(exchange, last_index(choice), w);
      w.field("delta", text);
    });
  }

  void end(Exchange& exchange) const override {
    Choice& choice = choice_of(exchange);
    choice.need_item();
    announce(exchange, choice);
    const char* how = status(exchange);
    close(exchange, choice, last_index(choice), how);
    bool complete = std::string_view(how) == "completed";
    response_event(exchange, complete ? "response.completed" : "response.incomplete", how);
  }

 private:
  static Choice& choice_of(Exchange& exchange) { return *exchange.choices()[0]; }
  static u32 last_index(Choice& choice) { return static_cast<u32>(choice.items().size()) - 1; }
  static const char* status(Exchange& exchange) {
    bool cut = std::string_view(choice_of(exchange).finish_reason()) == "length";
    return cut ? "incomplete" : "completed";
  }

  // ---- events

  template <class Write>
  static void event(Exchange& exchange, std::string_view type, Write&& write) {
    exchange.send_event(type, [&](json::Writer& w) {
      w.begin_object().field("type", type).field("sequence_number", exchange.next_sequence());
      write(w);
      w.end_object();
    });
  }
  static void response_event(Exchange& exchange, const char* type, const char* status) {
    event(exchange, type, [&](json::Writer& w) {
      w.key("response");
      response(exchange, status, w);
    });
  }

  // Ends the item that was generated before, and begins the new one.
  static void announce(Exchange& exchange, Choice& choice) {
    while (choice.items_opened < choice.items().size()) {
      if (choice.items_opened > 0) close(exchange, choice, choice.items_opened - 1, "completed");
      open(exchange, choice, choice.items_opened++);
    }
  }

  static void open(Exchange& exchange, Choice& choice, u32 index) {
    const Item& it = choice.items()[index];
    event(exchange, "response.output_item.added", [&](json::Writer& w) {
      w.field("output_index", index).key("item");
      item(exchange, index, "in_progress", w);
    });
    if (it.kind == Item::Kind::kCall) return;
    event(exchange, "response.content_part.added", [&](json::Writer& w) {
      place(exchange, index, w);
      w.key("part");
      part(exchange, it, {}, false, w);
    });
  }

  static void close(Exchange& exchange, Choice& choice, u32 index, const char* status) {
    const Item& it = choice.items()[index];
    if (it.kind == Item::Kind::kCall) {
      event(exchange, "response.function_call_arguments.done", [&](json::Writer& w) {
        place(exchange, index, w);
        const ToolCall& call = *choice.calls()[it.begin];
        w.field("name", call.name).field("arguments", call.arguments);
      });
    } else {
      char type[64];
      event(exchange, base::format_into(type, "response.{}.done", row_of(it).part),
            [&](json::Writer& w) {
              place(exchange, index, w);
              w.field("text", choice.text_of(it));
              if (it.kind == Item::Kind::kText) w.key("logprobs"), logprobs(exchange, it, w);
            });
      event(exchange, "response.content_part.done", [&](json::Writer& w) {
        place(exchange, index, w);
        w.key("part");
        part(exchange, it, choice.text_of(it), true, w);
      });
    }
    event(exchange, "response.output_item.done", [&](json::Writer& w) {
      w.field("output_index", index).key("item");
      item(exchange, index, status, w);
    });
  }

  // ---- parts of events and objects

  // An item's id is made of the response's, "resp_" and 32 digits.
  static void id_field(Exchange& exchange, const char* key, u32 index, json::Writer& w) {
    constexpr usize kPrefix = 5;
    char text[64];
    const Item& it = choice_of(exchange).items()[index];
    w.field(key, base::format_into(text, "{}_{}{:04x}", row_of(it).id,
                                   exchange.id().substr(kPrefix), index));
  }
  static void place(Exchange& exchange, u32 index, json::Writer& w) {
    id_field(exchange, "item_id", index, w);
    w.field("output_index", index);
    if (choice_of(exchange).items()[index].kind != Item::Kind::kCall) w.field("content_index", 0);
  }

  static void logprobs(Exchange& exchange, const Item& it, json::Writer& w) {
    Choice& choice = choice_of(exchange);
    write_logprob_list(exchange, choice,
                       choice.logprobs(it.first_logprob).first(it.last_logprob - it.first_logprob),
                       w);
  }
  // Writes those of the last item that were not sent yet.
  static void new_logprobs(Exchange& exchange, Choice& choice, json::Writer& w) {
    const Item& it = choice.items().back();
    usize first = std::max<usize>(it.first_logprob, choice.logprobs_sent);
    choice.logprobs_sent = static_cast<u32>(std::max(first, it.last_logprob));
    write_logprob_list(exchange, choice, choice.logprobs(first).first(choice.logprobs_sent - first),
                       w);
  }

  static void part(Exchange& exchange, const Item& it, std::string_view text, bool complete,
                   json::Writer& w) {
    w.begin_object().field("type", row_of(it).part).field("text", text);
    if (it.kind == Item::Kind::kText) {
      w.key("annotations").begin_array().end_array().key("logprobs");
      if (complete)
        logprobs(exchange, it, w);
      else
        w.begin_array().end_array();
    }
    w.end_object();
  }

  static void item(Exchange& exchange, u32 index, const char* status, json::Writer& w) {
    Choice& choice = choice_of(exchange);
    const Item& it = choice.items()[index];
    bool ended = std::string_view(status) != "in_progress";
    w.begin_object();
    id_field(exchange, "id", index, w);
    w.field("type", row_of(it).type).field("status", status);
    if (it.kind == Item::Kind::kCall) {
      const ToolCall& call = *choice.calls()[it.begin];
      w.field("call_id", call.id_text()).field("name", call.name);
      w.field("arguments", ended ? call.arguments.view() : std::string_view()).end_object();
      return;
    }
    if (it.kind == Item::Kind::kText) w.field("role", "assistant");
    if (it.kind == Item::Kind::kThought) w.key("summary").begin_array().end_array();
    w.key("content").begin_array();
    if (ended) part(exchange, it, choice.text_of(it), true, w);
    w.end_array().end_object();
  }

  // ---- the response

  static void response(Exchange& exchange, std::string_view status, json::Writer& w) {
    bool ended = status != "in_progress";
    w.begin_object().field("id", exchange.id()).field("object", "response");
    w.field("created_at", exchange.created()).field("status", status).field("background", false);
    w.field("model", exchange.lease.model()).field_null("error");
    if (status == "incomplete")
      w.key("incomplete_details").begin_object().field("reason", "max_output_tokens").end_object();
    else
      w.field_null("incomplete_details");
    asked(exchange, w);
    w.key("output").begin_array();
    u32 count = ended ? last_index(choice_of(exchange)) + 1 : 0;
    for (u32 i = 0; i < count; i++)
      item(exchange, i, i + 1 == count ? status.data() : "completed", w);
    w.end_array();
    if (ended)
      usage(exchange, w);
    else
      w.field_null("usage");
    if (ended) write_receipt(choice_of(exchange), w);
    w.end_object();
  }

  // Repeats what the request wanted, in the API's own form.
  static void asked(Exchange& exchange, json::Writer& w) {
    json::Value body = exchange.body.root(), metadata = body.find("metadata");
    const Parameters& p = exchange.parameters;
    for (std::string_view name :
         {"instructions", "max_output_tokens", "previous_response_id", "user"})
      w.field(name, body.find(name));
    w.key("metadata");
    if (metadata.is_object())
      w.value(metadata);
    else
      w.begin_object().end_object();
    w.field("store", exchange.store).field("parallel_tool_calls", exchange.tools.parallel);
    w.key("tool_choice");
    tool_choice(body.find("tool_choice"), w);
    w.key("tools").begin_array();
    for (json::Value tool : body.find("tools").elements()) {
      w.begin_object().field("type", "function");
      for (json::Member m : tool.find("function").members()) w.field(m.name, m.value);
      w.end_object();
    }
    w.end_array().key("text").begin_object().key("format");
    format(body.find("response_format"), w);
    w.end_object().key("reasoning").begin_object();
    w.field("effort", body.find("reasoning_effort")).field_null("summary").end_object();
    w.field("temperature", base::Decimal{p.sampling.temperature_milli, 3});
    w.field("top_p", base::Decimal{p.sampling.top_p_milli, 3});
    w.field("top_logprobs", p.logprobs).field("truncation", p.cuts_prompt ? "auto" : "disabled");
  }
  static void tool_choice(json::Value choice, json::Writer& w) {
    if (choice.is_object())
      w.begin_object()
          .field("type", "function")
          .field("name", choice.find("function").find("name"))
          .end_object();
    else if (choice.is_string())
      w.value(choice);
    else
      w.value("auto");
  }
  static void format(json::Value format, json::Writer& w) {
    w.begin_object();
    if (format.is_null()) w.field("type", "text");
    for (json::Member m : format.members()) {
      if (m.name == "json_schema")
        for (json::Member inner : m.value.members()) w.field(inner.name, inner.value);
      else
        w.field(m.name, m.value);
    }
    w.end_object();
  }
  static void usage(Exchange& exchange, json::Writer& w) {
    u32 in = exchange.prompt_tokens(), out = exchange.total_generated();
    w.key("usage").begin_object().field("input_tokens", in);
    w.key("input_tokens_details").begin_object();
    w.field("cached_tokens", exchange.cached_tokens()).end_object();
    w.field("output_tokens", out).key("output_tokens_details").begin_object();
    w.field("reasoning_tokens", exchange.thought_tokens())
        .end_object()
        .field("total_tokens", in + out)
        .end_object();
  }
};

constinit const ResponsesForm responses_form;

}  // namespace

constinit const Form* const kResponsesForm = &responses_form;

}  // namespace ai::openai
