// SPDX-License-Identifier: GPL-2.0-or-later
// Routes that generate text: turn each API's body into an exchange.
#include "ai/openai/messages.h"
#include "ai/openai/service.h"

namespace ai::openai {
namespace {

constexpr u32 kMaxPrompts = 64;

// Describes the tools for a template that does not know tools.
Result<void> describe_tools(json::Value tools, String& out) {
  TRY(out.append(
      "You may call these functions. To call one, answer with a line\n<tool_call>{\"name\": "
      "<function>, \"arguments\": <object>}</tool_call>\nand nothing else. Functions:\n"));
  base::StringWriter sink(out);
  for (json::Value tool : tools.elements()) {
    json::Writer(sink).value(tool.find("function"));
    sink.write("\n");
  }
  return sink.status();
}

// Writes `messages` with the description added to the system message, or in front as a new one.
Result<void> add_tool_description(json::Value messages, json::Value tools, String& out) {
  String text;
  TRY(describe_tools(tools, text));
  base::StringWriter sink(out);
  json::Writer w(sink);
  w.begin_array();
  bool first = true;
  for (json::Value message : messages.elements()) {
    bool system = first && message.find("role").text() == "system";
    if (system) {
      TRY(text.append("\n"));
      TRY(text.append(message.find("content").text()));
    }
    if (first) w.begin_object().field("role", "system").field("content", text).end_object();
    if (!system) w.value(message);
    first = false;
  }
  w.end_array();
  return sink.status();
}

// Collects the variables that templates get beside the messages: chat_template_kwargs, and two
// fields that stand for a variable of the same name. A budget of 0 tokens for thoughts is no
// thinking; a budget of some tokens is not supported.
Result<void> template_variables(json::Value body, bool thinks, String& out, ApiError& error) {
  json::Value given = body.find("chat_template_kwargs");
  if (!given.is_null() && !given.is_object())
    return error.bad("chat_template_kwargs", "'chat_template_kwargs' must be an object");
  std::string_view effort = TRY(text_field(body, "reasoning_effort", error));
  bool may = TRY(int_field(body, "reasoning_budget", -1, 0, thinks ? -1 : 0, error)) != 0;
  bool wanted = TRY(bool_field(body, "enable_thinking", may && effort != "none", error));
  base::StringWriter sink(out);
  json::Writer w(sink);
  w.begin_object();
  if (!effort.empty()) w.field("reasoning_effort", effort);
  if (!body.find("enable_thinking").is_null() || !wanted) w.field("enable_thinking", wanted);
  // if a name occurs twice, the last value counts
  for (json::Member m : given.members()) w.field(m.name, m.value);
  w.end_object();
  return sink.status();
}

// llama-server's field: "none" leaves thoughts in the text, the other words split them off.
Result<bool> splits_thoughts(json::Value body, ApiError& error) {
  std::string_view form = TRY(text_field(body, "reasoning_format", error));
  for (std::string_view known : {"", "auto", "deepseek", "deepseek-legacy"})
    if (form == known) return true;
  if (form == "none") return false;
  return error.bad("reasoning_format", "'reasoning_format' must be none, auto or deepseek");
}

// The last message of several is the assistant's own text: the answer goes on with it.
bool begins_answer(json::Value messages) {
  json::Value last;
  for (json::Value message : messages.elements()) last = message;
  return messages.size() > 1 && last.find("role").text() == "assistant" &&
         !last.find("content").text().empty() && last.find("tool_calls").is_null();
}

}  // namespace

Result<void> Service::parse_body(Call& call, std::string_view text, json::Document& out) {
  usize at = 0;
  Result<json::Document> parsed = json::Document::parse(text, kBodyLimits, &at);
  if (!parsed.has_value()) {
    if (parsed.error().code == Errc::kOutOfMemory) return std::unexpected(parsed.error());
    call.error.code = "invalid_json";
    return call.error.bad({}, "the body is not acceptable JSON: {} (at byte {})",
                          parsed.error().what, at);
  }
  if (!parsed->root().is_object()) return call.error.bad({}, "the body must be a JSON object");
  out = std::move(*parsed);
  return {};
}

Result<void> Service::check_prompts(Exchange& exchange, ApiError& error) {
  for (Vector<TokenId>& prompt : exchange.prompts) {
    if (prompt.empty()) return error.bad("prompt", "the prompt is empty");
    if (prompt.size() < exchange.context()) continue;
    if (!exchange.parameters.cuts_prompt) {
      context_error(exchange, static_cast<u32>(prompt.size()), error);
      return fail(Errc::kContextFull, "too long");
    }
    truncate(exchange, prompt);
    exchange.truncated = true;
  }
  return {};
}

// Implements "truncation": "auto": drops the oldest tokens, as many as the answer needs room for,
// but keeps the token that every text begins with.
void Service::truncate(const Exchange& exchange, Vector<TokenId>& prompt) {
  usize kept = exchange.context() / 2;
  usize first = prompt[0] == exchange.lease.tokenizer().bos() ? 1 : 0;
  char line[120];
  backend_.log(base::format_into(line, "a prompt of {} tokens was cut to its last {} as asked",
                                 prompt.size(), kept));
  std::copy(prompt.end() - kept, prompt.end(), prompt.begin() + first);
  prompt.truncate(first + kept);
}

// ---- chat -----------------------------------------------------------------------------------

Result<void> Service::render_messages(const Lease& lease, json::Value body, Vector<TokenId>& out,
                                      String* text, ApiError& error) {
  base::Wiped<String> plain, described;
  TRY(normalize_messages(body.find("messages"), plain, error));
  json::Document messages = TRY(json::Document::parse(plain.view(), kBodyLimits));
  ChatPrompt prompt{.messages = messages.root(), .tools = {}, .extra = {}};
  json::Document with_tools;
  json::Value tools = body.find("tools");
  if (tools.size() > 0 && body.find("tool_choice").text() != "none") {
    if (backend_.template_knows_tools(lease)) {
      prompt.tools = tools;
    } else {
      TRY(add_tool_description(messages.root(), tools, described));
      with_tools = TRY(json::Document::parse(described.view(), kBodyLimits));
      prompt.messages = with_tools.root();
    }
  }
  String variables;
  TRY(template_variables(body, options_.thinks, variables, error));
  json::Document extra = TRY(json::Document::parse(variables.view(), kBodyLimits));
  if (extra.root().size() > 0) prompt.extra = extra.root();
  bool goes_on = TRY(bool_field(body, "continue_final_message", false, error));
  bool header = TRY(bool_field(body, "add_generation_prompt", !goes_on, error));
  if (goes_on && header)
    return error.bad("continue_final_message",
                     "'continue_final_message' and 'add_generation_prompt' exclude each other");
  if (goes_on && !begins_answer(prompt.messages))
    return error.bad("continue_final_message",
                     "'continue_final_message' needs a last message of the assistant with text");
  prompt.add_generation_prompt = header || goes_on;
  prompt.continue_last = prompt.add_generation_prompt && begins_answer(prompt.messages);
  char problem[256];
  base::BufferWriter why(problem);
  Result<void> done = backend_.render(lease, prompt, out, text, why);
  if (done.has_value() || done.error().code == Errc::kOutOfMemory) return done;
  if (done.error().code == Errc::kContextFull)
    return error.refuse(400, "invalid_request_error", "context_length_exceeded",
                        "the conversation exceeds the available context size of {} tokens: it is "
                        "longer than {} bytes",
                        lease.info().context, lease.tokenizer().longest_text());
  error.code = "template_error";
  return error.bad("messages", "the chat template refuses: {}",
                   why.view().empty() ? std::string_view(done.error().what) : why.view());
}

Result<void> Service::prepare_chat(Call& call, Exchange& exchange, json::Value body) {
  ApiError& error = call.error;
  Lease lease = TRY(lease_for(call, body, ModelUse::kWrite));
  TRY(lend(exchange, std::move(lease)));
  set_defaults(exchange);
  TRY(read_parameters(body, exchange.lease.tokenizer(), exchange.parameters, error));
  exchange.parameters.split_thought =
      model_thinks(exchange.lease.chat_template()) && TRY(splits_thoughts(body, error));
  exchange.tools = TRY(read_tool_choice(body, error));
  if (exchange.tools.mode == ToolChoice::Mode::kRequired) {
    // The answer is a call, so a format of its text binds nothing. instructor sends both.
    exchange.parameters.schema = {};
    exchange.parameters.json_object = false;
  }
  TRY(exchange.prompts.push_back({}));
  return render_messages(exchange.lease, body, exchange.prompts[0], nullptr, error);
}

Result<void> Service::chat(Call& call) {
  auto exchange = TRY(new_exchange(call, *kChatForm));
  TRY(exchange->body_text.append(call.in.body));
  TRY(parse_body(call, exchange->body_text.view(), exchange->body));
  TRY(prepare_chat(call, *exchange, exchange->body.root()));
  return begin(call, std::move(exchange));
}

// Translates the body of another chat API to this one's; its fields keep their meaning.
Result<void> Service::anthropic(Call& call) {
  json::Document body;
  TRY(parse_body(call, call.in.body, body));
  TRY(int_field(body.root(), "max_tokens", 1, 100'000'000, 0, call.error));
  if (body.root().find("max_tokens").is_null())
    return call.error.bad("max_tokens", "max_tokens: field required");
  auto exchange = TRY(new_exchange(call, *kAnthropicForm));
  exchange->id_prefix = "msg_";
  TRY(chat_from_anthropic(body.root(), exchange->body_text, call.error));
  exchange->body = TRY(json::Document::parse(exchange->body_text.view(), kBodyLimits));
  TRY(prepare_chat(call, *exchange, exchange->body.root()));
  return begin(call, std::move(exchange));
}

Result<void> Service::anthropic_count(Call& call) {
  json::Document body;
  TRY(parse_body(call, call.in.body, body));
  base::Wiped<String> chat_text;
  TRY(chat_from_anthropic(body.root(), chat_text, call.error));
  json::Document chat = TRY(json::Document::parse(chat_text.view(), kBodyLimits));
  return count_messages(call, body.root(), chat.root());
}

// llama-server's form of the same.
Result<void> Service::chat_count(Call& call) {
  json::Document body;
  TRY(parse_body(call, call.in.body, body));
  return count_messages(call, body.root(), body.root());
}

// Answers with the number of tokens that `chat` takes; `named` has the name of the model.
Result<void> Service::count_messages(Call& call, json::Value named, json::Value chat) {
  Lease lease = TRY(lease_for(call, named, ModelUse::kAny));
  base::Wiped<Vector<TokenId>> tokens;
  TRY(render_messages(lease, chat, tokens, nullptr, call.error));
  char text[48];
  respond_json(call.to(), 200, base::format_into(text, "{{\"input_tokens\":{}}", tokens.size()));
  return {};
}

// ---- completions ----------------------------------------------------------------------------

namespace {

bool has_number(json::Value list) {
  for (json::Value one : list.elements())
    if (one.is_number()) return true;
  return false;
}

// Reads the text of an object that stands for a prompt: llama-server's {"prompt_string": TEXT}, and
// {"content": [{"type": "text", "text": TEXT}]}, whose texts follow each other as they are.
Result<void> text_of_object(json::Value value, String& out, ApiError& error) {
  json::Value media = value.find("multimodal_data");
  if (!media.is_null() && !(media.is_array() && media.size() == 0))
    return error.bad("prompt", "this model reads text only: leave out 'multimodal_data'");
  if (json::Value text = value.find("prompt_string"); text.is_string())
    return out.append(text.text());
  json::Value parts = value.find("content");
  if (!parts.is_array())
    return error.bad("prompt",
                     "an object as prompt must have 'prompt_string', or a list of parts in "
                     "'content'");
  for (json::Value part : parts.elements()) {
    if (part.find("type").text() != "text" || !part.find("text").is_string())
      return error.bad("prompt",
                       "this model reads text only: parts of 'content' must be "
                       "{{\"type\": \"text\", \"text\": …}");
    TRY(out.append(part.find("text").text()));
  }
  return {};
}

}  // namespace

// Reads a list of token ids, and of texts among them, as llama-server allows. A text at the
// beginning gets the tokens that every text begins with.
Result<void> Service::read_tokens(const Tokenizer& tokenizer, json::Value list,
                                  std::string_view param, Vector<TokenId>& out, ApiError& error) {
  bool first = true;
  if (list.size() > 0 && !has_number(list))
    return error.bad(param, "'{}' has a list without a token id", param);
  for (json::Value one : list.elements()) {
    i64 id = one.integer().value_or(-1);
    if (one.is_string())
      TRY(tokenizer.encode(one.text(), first ? AddSpecial::kYes : AddSpecial::kNo,
                           ParseSpecial::kYes, out));
    else if (id >= 0 && id < tokenizer.size())
      TRY(out.push_back(static_cast<TokenId>(id)));
    else
      return error.bad(param, "the tokens in '{}' must be ids below {}", param, tokenizer.size());
    first = false;
  }
  return {};
}

Result<void> Service::prompt_from(Exchange& exchange, json::Value value, ApiError& error) {
  u32 most = exchange.work == nullptr ? kMaxPrompts : kMaxEmbedded;
  if (exchange.prompts.size() == most)
    return error.bad("prompt", "'prompt' may be a list of at most {} prompts", most);
  const Tokenizer& tokenizer = exchange.lease.tokenizer();
  Vector<TokenId> tokens;
  base::Wiped<String> text;
  if (value.is_array()) {
    TRY(read_tokens(tokenizer, value, "prompt", tokens, error));
    for (TokenId id : tokens)
      if (exchange.echo) TRY(text.append(exchange.token_text(id)));
  } else if (value.is_string() || value.is_object()) {
    TRY(value.is_object() ? text_of_object(value, text, error) : text.append(value.text()));
    TRY(tokenizer.encode(text.view(), AddSpecial::kYes, ParseSpecial::kYes, tokens));
    // A text of /apply-template begins with the token that every text begins with.
    bool twice = tokens.size() >= 2 && tokens[0] == tokenizer.bos() && tokens[1] == tokens[0];
    if (twice) tokens.erase(0);
  } else {
    return error.bad("prompt", "'prompt' must be text, token ids, or a list of these");
  }
  if (exchange.echo) TRY(exchange.prompt_texts.push_back(std::move(text)));
  return exchange.prompts.push_back(std::move(tokens));
}

// A list is one prompt if it has a token id, and a list of prompts if not.
Result<void> Service::prepare_prompts(Exchange& exchange, json::Value prompt, ApiError& error) {
  bool list = prompt.is_array() && prompt.size() > 0 && !has_number(prompt);
  if (!list) return prompt_from(exchange, prompt, error);
  for (json::Value one : prompt.elements()) TRY(prompt_from(exchange, one, error));
  return {};
}

namespace {

Result<void> read_best_of(json::Value body, Parameters& out, ApiError& error) {
  i64 best_of = TRY(int_field(body, "best_of", 1, kMaxChoices, out.n, error));
  if (best_of < out.n) return error.bad("best_of", "'best_of' must not be below 'n'");
  if (best_of > out.n && out.stream)
    return error.bad("best_of", "'best_of' above 'n' cannot be streamed: all choices are compared");
  out.best_of = static_cast<u32>(best_of);
  return {};
}

}  // namespace

Result<void> Service::completions(Call& call) {
  auto exchange = TRY(new_exchange(call, *kCompletionForm));
  exchange->id_prefix = "cmpl-";
  TRY(exchange->body_text.append(call.in.body));
  TRY(parse_body(call, exchange->body_text.view(), exchange->body));
  json::Value body = exchange->body.root();
  ApiError& error = call.error;
  Lease lease = TRY(lease_for(call, body, ModelUse::kWrite));
  TRY(lend(*exchange, std::move(lease)));
  set_defaults(*exchange);
  if (options_.default_max_tokens == 0) exchange->parameters.max_tokens = 16;
  exchange->parameters.may_say_nothing = true;
  TRY(read_parameters(body, exchange->lease.tokenizer(), exchange->parameters, error));
  bool gap = !TRY(text_field(body, "suffix", error)).empty();
  TRY(read_best_of(body, exchange->parameters, error));
  exchange->echo = TRY(bool_field(body, "echo", false, error));
  TRY(gap ? prompt_with_suffix(*exchange, body, error)
          : prepare_prompts(*exchange, body.find("prompt"), error));
  if (exchange->echo && exchange->parameters.want_logprobs) {
    if (exchange->parameters.stream)
      return error.bad("stream", "'echo' with 'logprobs' cannot be streamed");
    TRY(score_prompts(*exchange));
  }
  return begin(call, std::move(exchange));
}

namespace {

Result<void> check_response_fields(json::Value fields, ApiError& error) {
  constexpr u32 kMost = 64;
  bool fine = fields.is_null() || (fields.is_array() && fields.size() <= kMost);
  for (json::Value field : fields.elements()) fine = fine && field.is_string();
  if (fine) return {};
  return error.bad("response_fields", "'response_fields' must be a list of at most {} names",
                   kMost);
}

}  // namespace

Result<void> Service::llama_completion(Call& call) {
  std::string_view type = call.in.header("content-type");
  // A body that does not look like JSON is a prompt as it is.
  bool looks_json = type.find("json") != std::string_view::npos ||
                    (type.find("text/") == std::string_view::npos && call.in.body.starts_with('{'));
  if (!looks_json) return text_completion(call);
  auto exchange = TRY(new_exchange(call, *kLlamaForm));
  exchange->id_prefix = "cmpl-";
  TRY(exchange->body_text.append(call.in.body));
  TRY(parse_body(call, exchange->body_text.view(), exchange->body));
  json::Value body = exchange->body.root();
  Lease lease = TRY(lease_for(call, body, ModelUse::kWrite));
  TRY(lend(*exchange, std::move(lease)));
  set_defaults(*exchange);
  exchange->parameters.may_say_nothing = true;
  TRY(read_parameters(body, exchange->lease.tokenizer(), exchange->parameters, call.error));
  if (exchange->parameters.n != 1) return call.error.bad("n", "'n' is not part of /completion");
  exchange->parameters.return_tokens |= exchange->parameters.stream;
  exchange->parameters.after_sampling =
      TRY(bool_field(body, "post_sampling_probs", false, call.error));
  TRY(check_response_fields(body.find("response_fields"), call.error));
  TRY(prepare_prompts(*exchange, body.find("prompt"), call.error));
  return begin(call, std::move(exchange));
}

// ---- plain text -----------------------------------------------------------------------------

Result<void> Service::query_parameters(Call& call, Parameters& out) {
  out = {};
  out.sampling = defaults_of(Api::kPlain);
  out.max_tokens = 64;
  out.stream = true;
  std::string_view query = call.in.query;
  while (!query.empty()) {
    std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    usize equals = pair.find('=');
    if (pair.empty()) continue;
    if (equals == std::string_view::npos) return call.error.bad(pair, "'{}' has no value", pair);
    TRY(read_query_parameter(pair.substr(0, equals), pair.substr(equals + 1), out, call.error));
  }
  return {};
}

Result<void> Service::text_completion(Call& call) {
  auto exchange = TRY(new_exchange(call, *kTextForm));
  Lease lease = TRY(lease_for(call, std::string_view(), ModelUse::kWrite));
  TRY(lend(*exchange, std::move(lease)));
  TRY(query_parameters(call, exchange->parameters));
  TRY(exchange->prompts.push_back({}));
  TRY(exchange->lease.tokenizer().encode(call.in.body, AddSpecial::kYes, ParseSpecial::kNo,
                                         exchange->prompts[0]));
  if (call.in.body.empty()) return call.error.bad("prompt", "empty prompt");
  return begin(call, std::move(exchange));
}

// Runs one user message through the model's template; ?n= &temp= &top_k= &top_p= &seed=.
Result<void> Service::text_chat(Call& call) {
  if (call.in.header("content-type").find("json") != std::string_view::npos) return chat(call);
  if (call.in.body.empty()) return call.error.bad("prompt", "empty prompt");
  auto exchange = TRY(new_exchange(call, *kTextForm));
  Lease lease = TRY(lease_for(call, std::string_view(), ModelUse::kWrite));
  TRY(lend(*exchange, std::move(lease)));
  TRY(query_parameters(call, exchange->parameters));
  base::StringWriter sink(exchange->body_text);
  json::Writer w(sink);
  w.begin_object().key("messages").begin_array().begin_object();
  w.field("role", "user").field("content", call.in.body).end_object().end_array().end_object();
  TRY(sink.status());
  exchange->body = TRY(json::Document::parse(exchange->body_text.view(), kBodyLimits));
  TRY(exchange->prompts.push_back({}));
  TRY(render_messages(exchange->lease, exchange->body.root(), exchange->prompts[0], nullptr,
                      call.error));
  return begin(call, std::move(exchange));
}

}  // namespace ai::openai
