// SPDX-License-Identifier: GPL-2.0-or-later
// Bodies of /v1/responses as bodies of /v1/chat/completions.
#include "ai/openai/messages.h"

namespace ai::openai {
namespace {

// Collects what the assistant did in a row. Templates expect a thought, a text and the calls behind
// it as one message.
class AssistantTurn {
 public:
  explicit AssistantTurn(json::Writer& w) : w_(w) {}

  Result<void> think(json::Value item) {
    if (said_ || !calls_.empty()) flush();
    for (json::Value part : item.find("content").elements())
      TRY(thought_.append(part.find("text").text()));
    return {};
  }
  void say(json::Value content) {
    if (said_ || !calls_.empty()) flush();
    said_ = true;
    content_ = content;
  }
  Result<void> call(json::Value item) { return calls_.push_back(item); }

  // Returns false if the item belongs to the same answer as the last one that was referred to.
  bool begins_reference(std::string_view item_id) {
    std::string_view digits = item_id.substr(std::min(item_id.find('_'), item_id.size()));
    digits.remove_suffix(std::min(digits.size(), ItemSource::kItemDigits));
    bool same = !digits.empty() && digits == referred_;
    referred_ = digits;
    return !same;
  }

  // Writes the message, if there is one. A thought that nothing follows is dropped.
  void flush() {
    if (said_ || !calls_.empty()) write();
    said_ = false;
    calls_.clear();
    thought_.clear();
  }

 private:
  void write() {
    w_.begin_object().field("role", "assistant");
    if (said_) w_.field("content", content_);
    if (!thought_.empty()) w_.field("reasoning_content", thought_);
    if (!calls_.empty()) {
      w_.key("tool_calls").begin_array();
      for (json::Value item : calls_) {
        w_.begin_object().field("id", item.find("call_id").text()).field("type", "function");
        w_.key("function").begin_object().field("name", item.find("name").text());
        w_.field("arguments", item.find("arguments").text()).end_object().end_object();
      }
      w_.end_array();
    }
    w_.end_object();
  }

  json::Writer& w_;
  bool said_ = false;
  json::Value content_;
  Vector<json::Value> calls_;
  String thought_;
  std::string_view referred_;  // the answer of the last reference: '_' and the digits of its id
};

enum class ItemKind : u8 { kMessage, kCall, kOutput, kThought, kReference };
struct ItemRow {
  std::string_view type;
  ItemKind kind;
};
constexpr ItemRow kItems[] = {
    {"", ItemKind::kMessage},           {"message", ItemKind::kMessage},
    {"function_call", ItemKind::kCall}, {"function_call_output", ItemKind::kOutput},
    {"reasoning", ItemKind::kThought},  {"item_reference", ItemKind::kReference}};

Result<ItemKind> kind_of(json::Value item, std::string_view where, ApiError& error) {
  if (!item.is_object()) return error.bad(where, "'{}' must be an object", where);
  std::string_view type = item.find("type").text();
  for (const ItemRow& row : kItems)
    if (row.type == type) return row.kind;
  return error.bad(where,
                   "input items of type '{}' are not supported: messages, function calls and their "
                   "outputs are",
                   type);
}

Result<void> need_texts(json::Value item, std::initializer_list<std::string_view> names,
                        std::string_view where, ApiError& error) {
  for (std::string_view name : names)
    if (!item.find(name).is_string())
      return error.bad(where, "'{}.{}' must be a string", where, name);
  return {};
}

// All items of an answer are one message: the first reference writes it, the others nothing.
Result<void> write_reference(json::Value item, std::string_view where, AssistantTurn& turn,
                             ItemSource& items, json::Writer& w, ApiError& error) {
  TRY(need_texts(item, {"id"}, where, error));
  std::string_view id = item.find("id").text();
  if (!turn.begins_reference(id)) return {};
  std::string_view message = items.message_of(id);
  if (message.empty())
    return error.bad(where, "there is no item '{}' with this key: send the item itself",
                     id.substr(0, 64));
  turn.flush();
  w.raw(message);
  return {};
}

Result<void> write_item(json::Value item, std::string_view where, AssistantTurn& turn,
                        ItemSource& items, json::Writer& w, ApiError& error) {
  ItemKind kind = TRY(kind_of(item, where, error));
  if (kind == ItemKind::kReference) return write_reference(item, where, turn, items, w, error);
  if (kind == ItemKind::kThought) return turn.think(item);
  if (kind == ItemKind::kCall) {
    TRY(need_texts(item, {"call_id", "name", "arguments"}, where, error));
    return turn.call(item);
  }
  if (kind == ItemKind::kMessage && item.find("role").text() == "assistant") {
    turn.say(item.find("content"));
    return {};
  }
  turn.flush();
  if (kind == ItemKind::kMessage) {
    w.begin_object().field("role", item.find("role").text());
    w.field("content", item.find("content")).end_object();
    return {};
  }
  TRY(need_texts(item, {"call_id"}, where, error));
  base::Wiped<String> output;
  TRY(join_content(item.find("output"), where, output, error));
  w.begin_object().field("role", "tool").field("content", output);
  w.field("tool_call_id", item.find("call_id").text()).end_object();
  return {};
}

Result<void> write_input(json::Value input, ItemSource& items, json::Writer& w, ApiError& error) {
  if (input.is_string()) {
    w.begin_object().field("role", "user").field("content", input.text()).end_object();
    return {};
  }
  if (!input.is_array()) return error.bad("input", "'input' must be a string or a list");
  AssistantTurn turn(w);
  u32 index = 0;
  for (json::Value item : input.elements()) {
    char path[32];
    std::string_view where = base::format_into(path, "input[{}]", index++);
    TRY(write_item(item, where, turn, items, w, error));
  }
  turn.flush();
  return {};
}

// "allowed_tools" leaves the others in the request, so that a cached prompt stays the same there.
// Here the others are left out.
bool is_allowed(json::Value choice, std::string_view name) {
  if (choice.find("type").text() != "allowed_tools") return true;
  for (json::Value tool : choice.find("tools").elements())
    if (tool.find("name").text() == name) return true;
  return false;
}

Result<void> write_tools(json::Value tools, json::Value choice, json::Writer& w, ApiError& error) {
  if (tools.is_null()) return {};
  if (!tools.is_array()) return error.bad("tools", "'tools' must be a list");
  w.key("tools").begin_array();
  for (json::Value tool : tools.elements()) {
    std::string_view type = tool.find("type").text();
    if (type != "function")
      return error.bad("tools",
                       "tools of type '{}' are not supported: this server runs no tools, it only "
                       "calls functions of the client",
                       type);
    if (!is_allowed(choice, tool.find("name").text())) continue;
    w.begin_object().field("type", "function").key("function").begin_object();
    copy_fields(tool, {"name", "description", "parameters", "strict"}, w);
    w.end_object().end_object();
  }
  w.end_array();
  return {};
}

Result<void> write_tool_choice(json::Value choice, json::Writer& w, ApiError& error) {
  std::string_view type = choice.find("type").text();
  if (choice.is_null()) return {};
  if (!choice.is_object()) {
    w.field("tool_choice", choice);  // a word; chat's reader checks it
  } else if (type == "function") {
    w.key("tool_choice").begin_object().field("type", "function").key("function").begin_object();
    w.field("name", choice.find("name").text()).end_object().end_object();
  } else if (type == "allowed_tools") {
    w.field("tool_choice", choice.find("mode"));
  } else {
    return error.bad("tool_choice", "a 'tool_choice' of type '{}' is not supported", type);
  }
  return {};
}

// Probabilities are requested by `include` or by a number of alternatives. The other things that
// can be included belong to tools that this server does not have.
Result<void> write_logprobs(json::Value body, json::Writer& w, ApiError& error) {
  constexpr std::string_view kLogprobs = "message.output_text.logprobs";
  json::Value include = body.find("include"), top = body.find("top_logprobs");
  if (!include.is_null() && !include.is_array())
    return error.bad("include", "'include' must be a list of strings");
  bool wanted = top.integer().value_or(0) > 0;
  for (json::Value one : include.elements()) {
    if (!one.is_string()) return error.bad("include", "'include' must be a list of strings");
    wanted |= one.text() == kLogprobs;
  }
  if (wanted) w.field("logprobs", true);
  copy_fields(body, {"top_logprobs"}, w);
  return {};
}

// Refuses what would need a store of conversations or prompts, or an answer without a connection.
Result<void> refuse_unsupported(json::Value body, ApiError& error) {
  for (std::string_view name : {"conversation", "prompt"})
    if (!body.find(name).is_null()) return error.bad(name, "'{}' is not supported here", name);
  if (body.find("background").is_true())
    return error.bad("background", "'background' is not supported here");
  return {};
}

}  // namespace

Result<void> chat_from_responses(json::Value body, std::string_view earlier, ItemSource& items,
                                 String& out, ApiError& error) {
  TRY(refuse_unsupported(body, error));
  base::StringWriter sink(out);
  json::Writer w(sink);
  w.begin_object();
  copy_fields(
      body,
      {"model", "stream", "temperature", "top_p", "top_k", "min_p", "seed", "truncation",
       "chat_template_kwargs", "stop", "max_output_tokens", "instructions", "metadata",
       "keep_alive", "parallel_tool_calls", "previous_response_id", "store", "user", "receipt"},
      w);
  if (json::Value effort = body.find("reasoning").find("effort"); effort.is_string())
    w.field("reasoning_effort", effort);
  write_format(body.find("text").find("format"), w);
  TRY(write_tools(body.find("tools"), body.find("tool_choice"), w, error));
  TRY(write_tool_choice(body.find("tool_choice"), w, error));
  TRY(write_logprobs(body, w, error));
  w.key("messages").begin_array();
  if (json::Value text = body.find("instructions"); text.is_string())
    w.begin_object().field("role", "system").field("content", text).end_object();
  if (!earlier.empty()) w.raw(earlier);
  TRY(write_input(body.find("input"), items, w, error));
  w.end_array().end_object();
  return sink.status();
}

}  // namespace ai::openai
