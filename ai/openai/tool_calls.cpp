// SPDX-License-Identifier: GPL-2.0-or-later
// Reads tool descriptions, and finds tool calls in generated text.
#include "ai/openai/tool_calls.h"

#include <algorithm>

#include "ai/text/grammar_schema.h"

namespace ai::openai {
namespace {

constexpr std::string_view kOpen = "<tool_call>", kClose = "</tool_call>", kBlanks = " \n\t\r";
constexpr usize kMaxHead = 4096;  // a call whose name is longer than this is plain text
constexpr u32 kMaxTools = 128, kMaxParallel = 8;

bool is_space(char c) {
  return kBlanks.find(c) != std::string_view::npos;
}

bool valid_name(std::string_view name) {
  return !name.empty() && name.size() <= 128 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == ':';
  });
}

json::Value function_named(json::Value tools, std::string_view name) {
  for (json::Value tool : tools.elements())
    if (tool.find("function").find("name").text() == name) return tool.find("function");
  return {};
}

// Returns how many bytes at the end of `text` may begin `word`.
usize partial_match(std::string_view text, std::string_view word) {
  usize n = std::min(text.size(), word.size() - 1);
  while (n > 0 && !word.starts_with(text.substr(text.size() - n))) n--;
  return n;
}

// Reads `{"name":"f","arguments":` with any spaces. kNotFound: more text is needed. kCorrupt: this
// is not a call.
struct CallHead {
  std::string_view name;
  usize bytes;
};
Result<CallHead> read_head(std::string_view text) {
  usize at = 0;
  auto skip = [&] {
    while (at < text.size() && is_space(text[at])) at++;
  };
  auto expect = [&](std::string_view word) -> Result<void> {
    skip();
    std::string_view rest = text.substr(at);
    if (rest.size() < word.size() && word.starts_with(rest)) return fail(Errc::kNotFound, "more");
    if (!rest.starts_with(word)) return fail(Errc::kCorrupt, "not a call");
    at += word.size();
    return {};
  };
  for (std::string_view word : {"{", "\"name\"", ":", "\""}) TRY(expect(word));
  usize end = text.find('"', at);
  if (end == std::string_view::npos) return fail(Errc::kNotFound, "more");
  std::string_view name = text.substr(at, end - at);
  if (!valid_name(name)) return fail(Errc::kCorrupt, "not a call");
  at = end + 1;
  for (std::string_view word : {",", "\"arguments\"", ":"}) TRY(expect(word));
  skip();
  if (at == text.size()) return fail(Errc::kNotFound, "more");
  if (text[at] != '{') return fail(Errc::kCorrupt, "not a call");
  return CallHead{name, at};
}

}  // namespace

Result<ToolChoice> read_tool_choice(json::Value body, ApiError& error) {
  ToolChoice choice;
  json::Value tools = body.find("tools");
  if (!tools.is_null() && !tools.is_array()) return error.bad("tools", "'tools' must be a list");
  if (tools.size() > kMaxTools) return error.bad("tools", "at most {} tools", kMaxTools);
  char path[64];
  u32 index = 0;
  for (json::Value tool : tools.elements()) {
    std::string_view where = base::format_into(path, "tools[{}].function.name", index++);
    if (tool.find("type").text() != "function")
      return error.bad("tools", "only tools of type 'function' are supported");
    if (!valid_name(tool.find("function").find("name").text()))
      return error.bad(where, "a function needs a name of letters, digits, '_', '-', '.' or ':'");
  }
  if (tools.size() > 0) choice.mode = ToolChoice::Mode::kAuto;
  json::Value wanted = body.find("tool_choice");
  if (wanted.is_string()) {
    std::string_view word = wanted.text();
    if (word != "none" && word != "auto" && word != "required")
      return error.bad("tool_choice", "'tool_choice' must be none, auto, required or a function");
    if (word == "none") choice.mode = ToolChoice::Mode::kNone;
    if (word == "required") choice.mode = ToolChoice::Mode::kRequired;
  } else if (wanted.is_object()) {
    choice.mode = ToolChoice::Mode::kRequired;
    choice.name = wanted.find("function").find("name").text();
    if (!function_named(tools, choice.name).present())
      return error.bad("tool_choice", "'tool_choice' names a function that 'tools' does not have");
  } else if (!wanted.is_null()) {
    return error.bad("tool_choice", "'tool_choice' must be a string or an object");
  }
  if (choice.mode == ToolChoice::Mode::kRequired && tools.size() == 0)
    return error.bad("tool_choice", "'tool_choice' needs 'tools'");
  json::Value parallel = body.find("parallel_tool_calls");
  if (!parallel.is_null() && !parallel.is_bool())
    return error.bad("parallel_tool_calls", "'parallel_tool_calls' must be true or false");
  choice.parallel = parallel.is_true();
  return choice;
}

namespace {

// Writes the rules of a schema, or a rule for anything of that kind in their place.
Result<void> add_rules(json::Value schema, bool loose, std::string_view rule,
                       std::string_view anything, String& out, base::Writer& why) {
  usize before = out.size();
  if (schema.is_object() && schema.size() > 0) {
    Result<void> done = append_schema_rules(schema, rule, out, why);
    bool refused = !done.has_value() && done.error().code == Errc::kInvalidArgument;
    if (!refused || !loose) return done;
  }
  out.truncate(before);
  base::StringWriter sink(out);
  base::format_to(sink, "{} ::= {}\n", rule, anything);
  return sink.status();
}

Result<void> add_answer(const AnswerForm& form, String& out, ApiError& error) {
  char problem[200];
  base::BufferWriter why(problem);
  std::string_view anything = form.schema.present() ? "json-value" : "json-object";
  Result<void> done = add_rules(form.schema, form.loose, "answer", anything, out, why);
  if (!done.has_value() && done.error().code == Errc::kInvalidArgument)
    return error.bad("response_format", "{}", why.view());
  return done;
}

}  // namespace

Result<void> tool_grammar(json::Value tools, const ToolChoice& choice, const AnswerForm* instead,
                          String& out, ApiError& error) {
  TRY(out.append(kJsonRules));
  if (instead != nullptr) TRY(add_answer(*instead, out, error));
  GbnfText calls;
  u32 index = 0;
  bool first = true;
  for (json::Value tool : tools.elements()) {
    json::Value function = tool.find("function");
    std::string_view name = function.find("name").text();
    u32 number = index++;
    if (!choice.name.empty() && name != choice.name) continue;
    char rule[24];
    std::string_view arguments = base::format_into(rule, "tool{}", number);
    json::Value schema = function.find("parameters");
    char problem[200];
    base::BufferWriter why(problem);
    bool loose = function.find("strict").kind() == json::Kind::kFalse;
    Result<void> done = add_rules(schema, loose, arguments, "json-object", out, why);
    if (!done.has_value() && done.error().code == Errc::kInvalidArgument)
      return error.bad("tools", "parameters of '{}': {}", name, why.view());
    TRY(std::move(done));
    char head[200];
    calls.add(first ? "tool-call ::= " : " | ");
    calls.literal(base::format_into(head, "{{\"name\": \"{}\", \"arguments\": ", name));
    calls.add(" {} \"}\"", arguments);
    first = false;
  }
  calls.add("\n");
  if (instead != nullptr)
    calls.add("call ::= \"<tool_call>\" \"\\n\"? tool-call \"\\n\"? \"</tool_call>\"\n");
  else
    calls.add("call ::= tool-call\n");
  calls.add("root ::= {}call", instead != nullptr ? "answer | " : "");
  if (choice.parallel) calls.add(" (\"\\n\" call){{0,{}}", kMaxParallel - 1);
  calls.add("\n");
  TRY(calls.status());
  return out.append(calls.view());
}

// ---- reading --------------------------------------------------------------------------------

void ToolCallReader::drop(usize bytes) {
  Vector<char>& chars = held_.chars();
  std::copy(chars.begin() + bytes, chars.end(), chars.begin());
  chars.truncate(chars.size() - bytes);
}

Result<void> ToolCallReader::feed(std::string_view text) {
  TRY(held_.append(text));
  while (!held_.empty() && TRY(step())) {
  }
  return {};
}

// Returns false if there is nothing to do until more text comes.
Result<bool> ToolCallReader::step() {
  switch (state_) {
    case State::kText:
      return text_step();
    case State::kHead:
      return head_step();
    case State::kArguments:
      return arguments_step();
    case State::kTail:
      return tail_step();
  }
  return false;
}

// Blanks are held back until it is known what follows them: those before a call are dropped.
Result<bool> ToolCallReader::text_step() {
  std::string_view text = held_.view();
  usize at = text.find(kOpen);
  bool opened = at != std::string_view::npos;
  std::string_view said = text.substr(0, opened ? at : text.size() - partial_match(text, kOpen));
  usize end = said.find_last_not_of(kBlanks) + 1;
  if (end > 0) sink_.on_content(said.substr(0, end));
  if (opened) TRY(gap_.assign(said.substr(end)));
  drop(opened ? at + kOpen.size() : end);
  if (opened) state_ = State::kHead;
  return opened;
}

Result<bool> ToolCallReader::head_step() {
  Result<CallHead> head = read_head(held_.view());
  if (!head.has_value()) {
    if (head.error().code == Errc::kNotFound && held_.size() < kMaxHead) return false;
    say_opening();
    sink_.on_content(held_.view());
    held_.clear();
    state_ = State::kText;
    return true;
  }
  called_ = true;
  sink_.on_call(head->name);
  drop(head->bytes);
  depth_ = 0;
  in_string_ = escaped_ = false;
  state_ = State::kArguments;
  return true;
}

// The arguments are an object, which ends where its braces balance outside of strings.
bool ToolCallReader::arguments_step() {
  std::string_view text = held_.view();
  for (usize i = 0; i < text.size(); i++) {
    char c = text[i];
    if (in_string_) {
      if (escaped_)
        escaped_ = false;
      else if (c == '\\')
        escaped_ = true;
      else if (c == '"')
        in_string_ = false;
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      depth_++;
    } else if ((c == '}' || c == ']') && --depth_ == 0) {
      sink_.on_arguments(text.substr(0, i + 1));
      drop(i + 1);
      state_ = State::kTail;
      return true;
    }
  }
  sink_.on_arguments(text);
  held_.clear();
  return false;
}

// Reads what follows the arguments: the call's own brace and, unless forced, the closing tag.
bool ToolCallReader::tail_step() {
  std::string_view text = held_.view();
  usize at = 0;
  while (at < text.size() && (is_space(text[at]) || text[at] == '}')) at++;
  std::string_view rest = text.substr(at);
  if (rest.empty() || (kClose.starts_with(rest) && rest.size() < kClose.size())) return false;
  if (rest.starts_with(kClose)) at += kClose.size();
  drop(at);
  state_ = forced_ && rest.starts_with('{') ? State::kHead : State::kText;
  return true;
}

// Says what looked like the beginning of a call and was text.
void ToolCallReader::say_opening() {
  if (forced_) return;
  if (!gap_.empty()) sink_.on_content(gap_.view());
  sink_.on_content(kOpen);
  gap_.clear();
}

Result<void> ToolCallReader::finish() {
  if (state_ == State::kHead && !held_.empty()) say_opening();
  bool says = called_ ? held_.view().find_first_not_of(kBlanks) != std::string_view::npos
                      : !held_.empty();  // blanks behind a call say nothing
  if (says && (state_ == State::kText || state_ == State::kHead)) sink_.on_content(held_.view());
  held_.clear();
  return {};
}

}  // namespace ai::openai
