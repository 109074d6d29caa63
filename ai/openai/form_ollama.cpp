// SPDX-License-Identifier: GPL-2.0-or-later
// Answers of Ollama's /api/chat and /api/generate: one object, or one a line and the last with
// "done".
#include "ai/openai/ollama.h"
#include "ai/openai/service.h"

namespace ai::openai {
namespace {

class OllamaForm : public Form {
 public:
  const char* stream_type() const override { return "application/x-ndjson"; }

  void whole(Exchange& exchange, json::Writer& w) const override {
    Choice& choice = *exchange.choices()[0];
    w.begin_object();
    head(exchange, w);
    said(choice.content(), choice.thought(), {choice.calls(), 0}, w);
    logprobs(exchange, choice, w);
    last(exchange, choice, w);
    w.end_object();
  }
  void text(Exchange& exchange, Choice& choice, std::string_view text) const override {
    send_calls(exchange, choice, choice.calls().size());
    line(exchange, choice, text, {}, {});
  }
  void thought(Exchange& exchange, Choice& choice, std::string_view text) const override {
    line(exchange, choice, {}, text, {});
  }
  // Its arguments come as one object, so it goes out when they are complete: before what follows.
  void call(Exchange& exchange, Choice& choice, const ToolCall&) const override {
    send_calls(exchange, choice, choice.calls().size() - 1);
  }
  void end_choice(Exchange& exchange, Choice& choice) const override {
    send_calls(exchange, choice, choice.calls().size());
    exchange.send_line([&](json::Writer& w) {
      w.begin_object();
      head(exchange, w);
      said({}, {}, {}, w);
      logprobs(exchange, choice, w);
      last(exchange, choice, w);
      w.end_object();
    });
  }
  void error(Exchange& exchange, const ApiError& error) const override {
    char text[kMaxErrorText];  // there may be no memory for more
    base::BufferWriter sink(text);
    write_error(error, ErrorForm::kOllama, sink);
    sink.write("\n");
    exchange.send_text(sink.view());
  }
  // Sends a blank before the next object. Clients that read line by line accept it, but none of
  // them accepts an empty line.
  std::string_view heartbeat(std::span<char>, u32, u32) const override { return " "; }

 protected:
  // Calls of an answer, and the place of the first of them among all of its calls.
  struct Calls {
    std::span<const base::Owner<ToolCall>> list = {};
    u32 first = 0;
  };
  ~OllamaForm() = default;
  virtual void said(std::string_view text, std::string_view thought, Calls calls,
                    json::Writer& w) const = 0;
  virtual void more_of_last(Exchange&, Choice&, json::Writer&) const {}

 private:
  static void head(Exchange& exchange, json::Writer& w) {
    char name[kOllamaNameRoom], time[40];
    w.field("model", ollama_name(exchange.lease.model(), name));
    Backend& backend = exchange.service().backend();
    w.field("created_at", ollama_time(backend, backend.unix_ns(), time));
  }
  static void logprobs(Exchange& exchange, Choice& choice, json::Writer& w) {
    if (!exchange.parameters.want_logprobs) return;
    w.key("logprobs");
    write_logprob_list(exchange, choice, choice.logprobs(choice.logprobs_sent), w);
    choice.logprobs_sent = static_cast<u32>(choice.logprobs(0).size());
  }
  void line(Exchange& exchange, Choice& choice, std::string_view text, std::string_view thought,
            Calls calls) const {
    exchange.send_line([&](json::Writer& w) {
      w.begin_object();
      head(exchange, w);
      said(text, thought, calls, w);
      logprobs(exchange, choice, w);
      w.field("done", false).end_object();
    });
  }
  void send_calls(Exchange& exchange, Choice& choice, usize complete) const {
    for (; choice.calls_sent < complete; choice.calls_sent++)
      line(exchange, choice, {}, {},
           {choice.calls().subspan(choice.calls_sent, 1), choice.calls_sent});
  }
  void last(Exchange& exchange, Choice& choice, json::Writer& w) const {
    const Timings& t = choice.timings();
    bool cut = std::string_view(choice.finish_reason()) == "length";
    u64 ns = exchange.service().backend().now_ns() - exchange.accepted_ns;
    w.field("done", true).field("done_reason", cut ? "length" : "stop");
    more_of_last(exchange, choice, w);
    w.field("total_duration", exchange.waited_ns + ns).field("load_duration", exchange.waited_ns);
    w.field("prompt_eval_count", t.prompt_tokens).field("prompt_eval_duration", t.prefill_ns);
    w.field("eval_count", t.generated_tokens).field("eval_duration", t.decode_ns);
    if (choice.truncated()) w.field("truncated", true);
    write_receipt(choice, w);
  }
};

class OllamaChatForm final : public OllamaForm {
  void said(std::string_view text, std::string_view thought, Calls calls,
            json::Writer& w) const override {
    w.key("message").begin_object().field("role", "assistant").field("content", text);
    if (!thought.empty()) w.field("thinking", thought);
    if (!calls.list.empty()) write_calls(calls, w);
    w.end_object();
  }
  static void write_calls(Calls calls, json::Writer& w) {
    w.key("tool_calls").begin_array();
    u32 index = calls.first;
    for (const base::Owner<ToolCall>& call : calls.list) {
      w.begin_object().field("id", call->id_text()).key("function").begin_object();
      w.field("index", index++).field("name", call->name).key("arguments");
      Result<json::Document> arguments = json::Document::parse(call->arguments.view());
      // An answer cut at its limit may leave half an object.
      if (arguments.has_value())
        w.value(arguments->root());
      else
        w.begin_object().end_object();
      w.end_object().end_object();
    }
    w.end_array();
  }
};

class OllamaGenerateForm final : public OllamaForm {
  void said(std::string_view text, std::string_view thought, Calls,
            json::Writer& w) const override {
    w.field("response", text);
    if (!thought.empty()) w.field("thinking", thought);
  }
  // Writes the context from which the next request may continue.
  void more_of_last(Exchange& exchange, Choice& choice, json::Writer& w) const override {
    if (exchange.body.root().find("prompt").present()) return;  // raw
    w.key("context").begin_array();
    for (TokenId id : exchange.prompts[choice.prompt]) w.value(id);
    for (TokenId id : choice.tokens()) w.value(id);
    w.end_array();
  }
};

constinit const OllamaChatForm chat_form;
constinit const OllamaGenerateForm generate_form;

}  // namespace

std::string_view ollama_name(std::string_view model, std::span<char, kOllamaNameRoom> room) {
  bool tagged = model.find(':') != std::string_view::npos;
  return base::format_into(room, "{}{}", model, tagged ? "" : ":latest");
}

std::string_view ollama_time(Backend& backend, u64 unix_ns, std::span<char> room) {
  char seconds[32];
  std::string_view text = backend.utc(seconds, unix_ns);
  return base::format_into(room, "{}T{}.{:06}Z", text.substr(0, 10), text.substr(11),
                           unix_ns / 1000 % 1'000'000);
}

constinit const Form* const kOllamaChatForm = &chat_form;
constinit const Form* const kOllamaGenerateForm = &generate_form;

}  // namespace ai::openai
