// SPDX-License-Identifier: GPL-2.0-or-later
// Folds system messages, calls and results into messages that every template knows. The marks are
// those with which tools are described to such a model (ai/openai/routes_text.cpp).
#include "ai/text/chat_fold.h"

namespace ai {
namespace {

Result<void> append_calls(json::Value calls, String& out) {
  base::StringWriter sink(out);
  for (json::Value call : calls.elements()) {
    json::Value function = call.find("function"), arguments = function.find("arguments");
    if (!out.empty()) sink.write("\n");
    sink.write("<tool_call>");
    json::Writer w(sink);
    w.begin_object().field("name", function.find("name")).key("arguments");
    if (arguments.is_string() && json::Document::parse(arguments.text()).has_value())
      w.raw(arguments.text());
    else
      w.value(arguments);
    w.end_object();
    sink.write("</tool_call>");
  }
  return sink.status();
}

}  // namespace

Result<FoldedChat> FoldedChat::make(const TemplateAbilities& abilities,
                                    std::span<const ChatMessage> messages) {
  FoldedChat out;
  TRY(out.messages_.reserve(messages.size()));
  for (const ChatMessage& message : messages) TRY(out.add(abilities, message));
  return out;
}

Result<void> FoldedChat::add(const TemplateAbilities& abilities, const ChatMessage& message) {
  if (message.role == "system" && !abilities.system) return add_to_user(message.content);
  if (message.role == "tool" && !abilities.results) {
    String result;
    TRY(result.append("<tool_response>\n"));
    TRY(result.append(message.content));
    TRY(result.append("\n</tool_response>"));
    return add_to_user(result.view());
  }
  if (message.role == "user" && joins_ && !message.parts.present())
    return add_to_user(message.content);
  joins_ = false;
  ChatMessage copy = message;
  bool calls = message.tool_calls.size() > 0;
  if (calls && !abilities.calls) {
    auto text = TRY(base::make<String>());
    TRY(text->append(message.content));
    TRY(append_calls(message.tool_calls, *text));
    copy.content = text->view();
    copy.has_content = true;
    copy.tool_calls = {};
    TRY(texts_.push_back(std::move(text)));
  } else if (calls && abilities.calls_need_null && message.content.empty()) {
    copy.has_content = false;
  }
  return messages_.push_back(copy);
}

// Several in a row become one message: such templates want users and assistants by turns.
Result<void> FoldedChat::add_to_user(std::string_view text) {
  if (!joins_) {
    ChatMessage message;
    message.role = "user";
    TRY(messages_.push_back(message));
    TRY(texts_.push_back(TRY(base::make<String>())));
  }
  String& joined = *texts_.back();
  if (joins_) TRY(joined.push_back('\n'));
  TRY(joined.append(text));
  messages_.back().content = joined.view();
  joins_ = true;
  return {};
}

}  // namespace ai
