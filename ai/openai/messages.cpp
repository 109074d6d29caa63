// SPDX-License-Identifier: GPL-2.0-or-later
// Checks and translates conversations.
#include "ai/openai/messages.h"

namespace ai::openai {
namespace {

constexpr u32 kMaxMessages = 4096;

struct RoleRow {
  std::string_view name, as;
};
constexpr RoleRow kRoles[] = {{"system", "system"}, {"developer", "system"},
                              {"user", "user"},     {"assistant", "assistant"},
                              {"tool", "tool"},     {"function", "tool"}};

std::string_view role_as(std::string_view role) {
  for (const RoleRow& row : kRoles)
    if (row.name == role) return row.as;
  return {};
}

// Appends the text of a string or of a list of text parts. Refuses anything else and names it.
Result<void> join_content(json::Value content, std::string_view where, String& out,
                          ApiError& error) {
  if (content.is_null()) return {};
  if (content.is_string()) return out.append(content.text());
  if (!content.is_array())
    return error.bad(where, "'{}' must be a string or a list of content parts", where);
  for (json::Value part : content.elements()) {
    std::string_view type = part.find("type").text();
    bool text = type == "text" || type == "input_text" || type == "output_text";
    std::string_view key = type == "refusal" ? "refusal" : "text";
    if (!text && type != "refusal")
      return error.bad(where, "content parts of type '{}' are not supported: this model reads text",
                       type);
    if (!part.find(key).is_string()) return error.bad(where, "a text part has no 'text'");
    TRY(out.append(part.find(key).text()));
  }
  return {};
}

void write_tool_calls(json::Value calls, json::Writer& w) {
  w.key("tool_calls").begin_array();
  for (json::Value call : calls.elements()) {
    json::Value function = call.find("function");
    json::Value arguments = function.find("arguments");
    w.begin_object().field("id", call.find("id").text()).field("type", "function");
    w.key("function").begin_object().field("name", function.find("name").text());
    // Templates print objects as JSON; a string that contains JSON would be quoted twice.
    Result<json::Document> parsed = json::Document::parse(arguments.text());
    w.key("arguments");
    if (arguments.is_string() && parsed.has_value())
      w.value(parsed->root());
    else
      w.value(arguments);
    w.end_object().end_object();
  }
  w.end_array();
}

Result<void> write_message(json::Value message, u32 index, json::Writer& w, ApiError& error) {
  char path[48];
  if (!message.is_object())
    return error.bad(base::format_into(path, "messages[{}]", index), "a message must be an object");
  std::string_view role = role_as(message.find("role").text());
  if (role.empty())
    return error.bad(base::format_into(path, "messages[{}].role", index),
                     "'role' must be system, developer, user, assistant or tool");
  std::string_view where = base::format_into(path, "messages[{}].content", index);
  json::Value calls = message.find("tool_calls");
  if (message.find("content").is_null() && !calls.is_array() && role != "assistant")
    return error.bad(where, "'{}' is missing", where);
  String content;
  TRY(join_content(message.find("content"), where, content, error));
  w.begin_object().field("role", role).field("content", content);
  for (std::string_view name : {"name", "tool_call_id", "reasoning_content"})
    if (message.find(name).is_string()) w.field(name, message.find(name).text());
  if (calls.is_array() && calls.size() > 0) write_tool_calls(calls, w);
  w.end_object();
  return {};
}

}  // namespace

Result<void> normalize_messages(json::Value messages, String& out, ApiError& error) {
  if (!messages.is_array() || messages.size() == 0)
    return error.bad("messages", "'messages' must be a list with at least one message");
  if (messages.size() > kMaxMessages)
    return error.bad("messages", "at most {} messages", kMaxMessages);
  base::StringWriter sink(out);
  json::Writer w(sink);
  w.begin_array();
  u32 index = 0;
  for (json::Value message : messages.elements()) TRY(write_message(message, index++, w, error));
  w.end_array();
  return sink.status();
}

// ---- /v1/responses --------------------------------------------------------------------------

namespace {

// Copies fields that mean the same in both APIs.
void copy_fields(json::Value body, std::initializer_list<std::string_view> names, json::Writer& w) {
  for (std::string_view name : names)
    if (json::Value value = body.find(name); !value.is_null()) w.field(name, value);
}

// Writes {"type": "json_schema", "schema": …}, as the newer APIs have it, in chat's form.
void write_format(json::Value format, json::Writer& w) {
  std::string_view type = format.find("type").text();
  if (type.empty()) return;
  w.key("response_format").begin_object().field("type", type);
  if (type == "json_schema")
    w.key("json_schema").begin_object().field("schema", format.find("schema")).end_object();
  w.end_object();
}

Result<void> refuse_present(json::Value body, std::initializer_list<std::string_view> names,
                            ApiError& error) {
  for (std::string_view name : names) {
    json::Value value = body.find(name);
    if (value.is_null() || (value.is_array() && value.size() == 0)) continue;
    return error.bad(name, "'{}' is not supported here", name);
  }
  return {};
}

Result<void> responses_input(json::Value input, json::Writer& w, ApiError& error) {
  if (input.is_string()) {
    w.begin_object().field("role", "user").field("content", input.text()).end_object();
    return {};
  }
  if (!input.is_array()) return error.bad("input", "'input' must be a string or a list");
  for (json::Value item : input.elements()) {
    std::string_view type = item.find("type").text();
    if (!type.empty() && type != "message")
      return error.bad("input", "input items of type '{}' are not supported", type);
    w.begin_object().field("role", item.find("role").text());
    w.field("content", item.find("content")).end_object();
  }
  return {};
}

}  // namespace

Result<void> chat_from_responses(json::Value body, String& out, ApiError& error) {
  TRY(refuse_present(body, {"previous_response_id", "conversation", "tools", "prompt"}, error));
  if (body.find("background").is_true())
    return error.bad("background", "'background' is not supported here");
  base::StringWriter sink(out);
  json::Writer w(sink);
  w.begin_object();
  copy_fields(body,
              {"model", "stream", "temperature", "top_p", "top_k", "min_p", "seed", "truncation",
               "chat_template_kwargs", "stop", "max_output_tokens", "instructions", "metadata",
               "keep_alive"},
              w);
  if (json::Value effort = body.find("reasoning").find("effort"); effort.is_string())
    w.field("reasoning_effort", effort);
  write_format(body.find("text").find("format"), w);
  w.key("messages").begin_array();
  if (body.find("instructions").is_string())
    w.begin_object()
        .field("role", "system")
        .field("content", body.find("instructions").text())
        .end_object();
  TRY(responses_input(body.find("input"), w, error));
  w.end_array().end_object();
  return sink.status();
}

// ---- /v1/messages ---------------------------------------------------------------------------

namespace {

// One Anthropic message may contain text, tool results and tool uses. It becomes several chat
// messages.
Result<void> anthropic_message(json::Value message, u32 index, json::Writer& w, ApiError& error) {
  char path[48];
  std::string_view where = base::format_into(path, "messages.{}.content", index);
  std::string_view role = message.find("role").text();
  if (role != "user" && role != "assistant")
    return error.bad(where, "a message's role must be user or assistant");
  json::Value content = message.find("content");
  String text;
  u32 uses = 0;
  for (json::Value block : content.elements()) {
    std::string_view type = block.find("type").text();
    if (type == "tool_result") {
      String result;
      TRY(join_content(block.find("content"), where, result, error));
      w.begin_object().field("role", "tool").field("content", result);
      w.field("tool_call_id", block.find("tool_use_id").text()).end_object();
    } else if (type == "tool_use") {
      uses++;
    } else if (type == "text") {
      TRY(text.append(block.find("text").text()));
    } else if (type != "thinking") {
      return error.bad(where, "content blocks of type '{}' are not supported", type);
    }
  }
  if (content.is_string()) TRY(text.append(content.text()));
  if (text.empty() && uses == 0) return {};
  w.begin_object().field("role", role).field("content", text);
  if (uses > 0) {
    w.key("tool_calls").begin_array();
    for (json::Value block : content.elements()) {
      if (block.find("type").text() != "tool_use") continue;
      w.begin_object().field("id", block.find("id").text()).field("type", "function");
      w.key("function").begin_object().field("name", block.find("name").text());
      w.field("arguments", block.find("input")).end_object().end_object();
    }
    w.end_array();
  }
  w.end_object();
  return {};
}

void anthropic_tools(json::Value body, json::Writer& w) {
  json::Value tools = body.find("tools"), choice = body.find("tool_choice");
  if (tools.size() == 0) return;
  w.key("tools").begin_array();
  for (json::Value tool : tools.elements()) {
    w.begin_object().field("type", "function").key("function").begin_object();
    w.field("name", tool.find("name").text());
    if (tool.find("description").is_string())
      w.field("description", tool.find("description").text());
    if (tool.find("input_schema").is_object()) w.field("parameters", tool.find("input_schema"));
    w.end_object().end_object();
  }
  w.end_array();
  std::string_view type = choice.find("type").text();
  if (type == "any") w.field("tool_choice", "required");
  if (type == "none") w.field("tool_choice", "none");
  if (type == "tool") {
    w.key("tool_choice").begin_object().field("type", "function").key("function").begin_object();
    w.field("name", choice.find("name").text()).end_object().end_object();
  }
}

}  // namespace

Result<void> chat_from_anthropic(json::Value body, String& out, ApiError& error) {
  base::StringWriter sink(out);
  json::Writer w(sink);
  w.begin_object();
  copy_fields(
      body,
      {"model", "stream", "temperature", "top_p", "top_k", "max_tokens", "seed", "keep_alive"}, w);
  if (json::Value stop = body.find("stop_sequences"); !stop.is_null()) w.field("stop", stop);
  if (std::string_view thinking = body.find("thinking").find("type").text(); !thinking.empty())
    w.field("enable_thinking", thinking != "disabled");
  write_format(body.find("output_config").find("format"), w);
  anthropic_tools(body, w);
  json::Value messages = body.find("messages");
  if (!messages.is_array() || messages.size() == 0)
    return error.bad("messages", "messages: at least one message is required");
  w.key("messages").begin_array();
  String system;
  TRY(join_content(body.find("system"), "system", system, error));
  if (!system.empty())
    w.begin_object().field("role", "system").field("content", system).end_object();
  u32 index = 0;
  for (json::Value message : messages.elements())
    TRY(anthropic_message(message, index++, w, error));
  w.end_array().end_object();
  return sink.status();
}

}  // namespace ai::openai
