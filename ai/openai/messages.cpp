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

void write_tool_calls(json::Value calls, json::Writer& w) {
  w.key("tool_calls").begin_array();
  for (json::Value call : calls.elements()) {
    json::Value function = call.find("function");
    w.begin_object().field("id", call.find("id").text()).field("type", "function");
    w.key("function").begin_object().field("name", function.find("name").text());
    w.field("arguments", function.find("arguments")).end_object().end_object();
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

// ---- parts of bodies ------------------------------------------------------------------------

namespace {

Result<void> add_line(std::string_view text, String& out) {
  if (!out.empty()) TRY(out.push_back('\n'));
  return out.append(text);
}

}  // namespace

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
    TRY(add_line(part.find(key).text(), out));
  }
  return {};
}

void copy_fields(json::Value body, std::initializer_list<std::string_view> names, json::Writer& w) {
  for (std::string_view name : names)
    if (json::Value value = body.find(name); !value.is_null()) w.field(name, value);
}

void write_format(json::Value format, json::Writer& w) {
  std::string_view type = format.find("type").text();
  if (type.empty()) return;
  w.key("response_format").begin_object().field("type", type);
  if (type == "json_schema") {
    w.key("json_schema").begin_object();
    copy_fields(format, {"name", "strict"}, w);
    w.field("schema", format.find("schema")).end_object();
  }
  w.end_object();
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
      TRY(add_line(block.find("text").text(), text));
    } else if (type != "thinking" && type != "redacted_thinking") {
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
  copy_fields(body,
              {"model", "stream", "temperature", "top_p", "top_k", "max_tokens", "seed",
               "keep_alive", "receipt"},
              w);
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
