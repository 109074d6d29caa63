// SPDX-License-Identifier: GPL-2.0-or-later
// Ollama's /api/chat, /api/generate, /api/embed: its bodies translated, the rest as everywhere.
#include "ai/openai/messages.h"
#include "ai/openai/ollama.h"
#include "ai/openai/service.h"

namespace ai::openai {
namespace {

class UnloadWork final : public Work {
 public:
  String name;
  bool chat = false;

  Result<bool> look(Exchange& exchange, base::Writer& answer) override;
  void refuse(const Error& error, ApiError& out) const override {
    describe_load_failure({true, std::unexpected(error)}, name.view(), out);
  }

 private:
  u32 number_ = 0;  // of the backend; 0 = not begun
};

void write_loaded(Backend& backend, std::string_view model, const char* reason, bool chat,
                  base::Writer& out) {
  char name[kOllamaNameRoom], time[40];
  json::Writer w(out);
  w.begin_object().field("model", ollama_name(model, name));
  w.field("created_at", ollama_time(backend, backend.unix_ns(), time));
  if (chat)
    w.key("message").begin_object().field("role", "assistant").field("content", "").end_object();
  else
    w.field("response", "");
  w.field("done", true).field("done_reason", reason).end_object();
  out.write("\n");
}

Result<bool> UnloadWork::look(Exchange& exchange, base::Writer& answer) {
  Backend& backend = exchange.service().backend();
  if (number_ == 0) number_ = TRY(backend.change_model(ModelChange::kUnload, name.view()));
  const LoadEnd* end = backend.load_end(number_);
  if (end == nullptr) return false;
  if (!end->result.has_value()) return std::unexpected(end->result.error());
  write_loaded(backend, name.view(), "unload", chat, answer);
  return true;
}

}  // namespace

// ---- without a prompt ------------------------------------------------------------------------

Result<void> Service::ollama_load(Call& call, json::Value body, bool chat) {
  ApiError& error = call.error;
  std::string_view wanted = ollama_model_name(body);
  u64 keep_ns = TRY(keep_alive_field(body, options_.keep_alive_ns, error));
  if (keep_ns > 0) {
    Lease lease = TRY(lease_for(call, wanted, ModelUse::kAny));
    ModelMemory& memory = *TRY(memory_of(lease));
    memory.keep_ns = keep_ns;
    memory.used_ns = backend_.now_ns();
    String text;
    base::StringWriter sink(text);
    write_loaded(backend_, lease.model(), "load", chat, sink);
    TRY(sink.status());
    respond_json(call.to(), 200, text.view());
    return {};
  }
  TRY(guard_.check_key(call.in, Access::kAdmin, error));
  ModelRow row = TRY(find_model(call, wanted));
  auto exchange = TRY(new_exchange(call, *kOllamaChatForm));
  auto work = TRY(base::make<UnloadWork>());
  TRY(work->name.assign(row.name));
  work->chat = chat;
  if (!row.loaded) {
    String text;
    base::StringWriter sink(text);
    write_loaded(backend_, row.name, "unload", chat, sink);
    TRY(sink.status());
    respond_json(call.to(), 200, text.view());
    return {};
  }
  exchange->work = std::move(work);
  return begin_work(call, std::move(exchange));
}

// ---- chat and generate -----------------------------------------------------------------------

// Applies the settings that only these routes have. The exchange has its lease and parameters.
// An answer with a receipt never drops tokens, so there `shift` has nothing to say.
Result<void> Service::ollama_settings(Exchange& exchange, json::Value given, ApiError& error) {
  bool thinks = model_thinks(exchange.lease.chat_template());
  json::Value think = given.find("think");
  bool wanted = think.is_true() || think.is_string();
  if (wanted && !thinks)
    return error.bad("think", "\"{}\" does not support thinking",
                     ollama_model_name(given).substr(0, 100));
  exchange.parameters.split_thought = thinks && (think.is_null() || wanted);
  i64 context = TRY(int_field(exchange.body.root(), "num_ctx", -1, 1'000'000'000, 0, error));
  if (context > 0) exchange.parameters.context = static_cast<u32>(context);
  exchange.tells_context = context > exchange.lease.info().context;
  bool shift = TRY(bool_field(given, "shift", options_.shifts, error));
  exchange.parameters.slide = shift && !exchange.parameters.receipt;
  exchange.parameters.stays = !shift;
  return {};
}

Result<void> Service::ollama_chat(Call& call) {
  json::Document given;
  TRY(parse_body(call, call.in.body, given));
  json::Value root = given.root(), messages = root.find("messages");
  if (messages.is_null() || (messages.is_array() && messages.size() == 0))
    return ollama_load(call, root, true);
  auto exchange = TRY(new_exchange(call, *kOllamaChatForm));
  TRY(chat_from_ollama(root, exchange->body_text, call.error));
  exchange->body = TRY(json::Document::parse(exchange->body_text.view(), kBodyLimits));
  TRY(prepare_chat(call, *exchange, exchange->body.root()));
  TRY(ollama_settings(*exchange, root, call.error));
  bool shorten = TRY(bool_field(root, "truncate", options_.ollama_truncates, call.error));
  if (shorten) TRY(drop_oldest_messages(*exchange, call.error));
  return begin(call, std::move(exchange));
}

Result<void> Service::ollama_generate(Call& call) {
  json::Document given;
  TRY(parse_body(call, call.in.body, given));
  json::Value root = given.root();
  if (TRY(text_field(root, "prompt", call.error)).empty()) return ollama_load(call, root, false);
  auto exchange = TRY(new_exchange(call, *kOllamaGenerateForm));
  TRY(chat_from_ollama_generate(root, exchange->body_text, call.error));
  exchange->body = TRY(json::Document::parse(exchange->body_text.view(), kBodyLimits));
  json::Value body = exchange->body.root();
  if (body.find("prompt").present()) {
    TRY(prepare_raw(call, *exchange));
  } else {
    TRY(prepare_chat(call, *exchange, body));
  }
  TRY(ollama_settings(*exchange, root, call.error));
  if (json::Value before = root.find("context"); before.size() > 0) {
    Vector<TokenId> tokens;
    TRY(read_tokens(exchange->lease.tokenizer(), before, "context", tokens, call.error));
    std::span<const TokenId> prompt = exchange->prompts[0].view();
    bool again = !prompt.empty() && prompt[0] == exchange->lease.tokenizer().bos();
    TRY(tokens.append(prompt.subspan(again ? 1 : 0)));
    exchange->prompts[0] = std::move(tokens);
  }
  // One prompt has no messages to drop, so its oldest tokens go.
  bool shorten = TRY(bool_field(root, "truncate", options_.ollama_truncates, call.error));
  if (shorten && exchange->prompts[0].size() >= exchange->context()) {
    truncate(*exchange, exchange->prompts[0]);
    exchange->truncated = true;
  }
  return begin(call, std::move(exchange));
}

Result<void> Service::prepare_raw(Call& call, Exchange& exchange) {
  json::Value body = exchange.body.root();
  Lease lease = TRY(lease_for(call, body, ModelUse::kWrite));
  TRY(lend(exchange, std::move(lease)));
  set_defaults(exchange);
  TRY(read_parameters(body, exchange.lease.tokenizer(), exchange.parameters, call.error));
  if (!body.find("suffix").present())
    return prepare_prompts(exchange, body.find("prompt"), call.error);
  if (!can_fill(exchange.lease.tokenizer()))
    return call.error.bad("suffix", "\"{}\" does not support insert",
                          ollama_model_name(body).substr(0, 100));
  return prompt_with_suffix(exchange, body, call.error);
}

namespace {

// Copies the body with its system messages, and without the `dropped` oldest of the other messages.
Result<void> without_oldest(json::Value body, u32 dropped, String& out) {
  out.clear();
  base::StringWriter sink(out);
  json::Writer w(sink);
  w.begin_object();
  for (json::Member m : body.members())
    if (m.name != "messages") w.field(m.name, m.value);
  w.key("messages").begin_array();
  for (json::Value message : body.find("messages").elements()) {
    bool system = message.find("role").text() == "system";
    if (!system && dropped > 0)
      dropped--;
    else
      w.value(message);
  }
  w.end_array().end_object();
  return sink.status();
}

}  // namespace

// Does what "truncate": true asks for: drops whole messages, as few as possible and never the last.
Result<void> Service::drop_oldest_messages(Exchange& exchange, ApiError& error) {
  if (exchange.prompts[0].size() < exchange.context()) return {};
  json::Value body = exchange.body.root();
  u32 most = 0;
  for (json::Value message : body.find("messages").elements())
    most += message.find("role").text() != "system" ? 1 : 0;
  base::Wiped<String> text;
  for (u32 least = 1; least < most;) {  // drops that may be few enough: [least, most)
    u32 dropped = least + (most - least - 1) / 2;
    TRY(without_oldest(body, dropped, text));
    json::Document shorter = TRY(json::Document::parse(text.view(), kBodyLimits));
    base::Wiped<Vector<TokenId>> tokens;
    TRY(render_messages(exchange.lease, shorter.root(), tokens, nullptr, error));
    if (tokens.size() >= exchange.context()) {
      least = dropped + 1;
      continue;
    }
    most = dropped;
    base::wipe(exchange.prompts[0]);
    TRY(exchange.prompts[0].append(tokens.view()));
    exchange.truncated = true;
  }
  return {};
}

// ---- vectors ---------------------------------------------------------------------------------

Result<void> Service::ollama_embed(Call& call) {
  auto exchange = TRY(new_exchange(call, *kOllamaChatForm));
  TRY(exchange->body_text.append(call.in.body));
  TRY(parse_body(call, exchange->body_text.view(), exchange->body));
  json::Value input = exchange->body.root().find("input");
  bool texts = input.is_string() || input.is_array() || input.is_null();
  for (json::Value one : input.elements()) texts = texts && one.is_string();
  if (!texts) return call.error.bad("input", "invalid input type");
  return embed(call, EmbeddingShape::kOllama, input, std::move(exchange));
}

Result<void> Service::ollama_embeddings(Call& call) {
  auto exchange = TRY(new_exchange(call, *kOllamaChatForm));
  TRY(exchange->body_text.append(call.in.body));
  TRY(parse_body(call, exchange->body_text.view(), exchange->body));
  json::Value prompt = exchange->body.root().find("prompt");
  if (!prompt.is_string() && !prompt.is_null())
    return call.error.bad("prompt", "'prompt' must be a string");
  return embed(call, EmbeddingShape::kOllamaOne, prompt, std::move(exchange));
}

}  // namespace ai::openai
