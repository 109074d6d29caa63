// SPDX-License-Identifier: GPL-2.0-or-later
// Renders a template on a case as tests/oracles/templates.py writes them: an object with
// "messages", and perhaps "tools", "add_generation_prompt" and "extra".
#pragma once

#include <string>
#include <vector>

#include "ai/text/chat_template.h"

inline std::vector<ai::ChatMessage> messages_of_case(json::Value list) {
  std::vector<ai::ChatMessage> messages;
  for (json::Value m : list.elements()) {
    ai::ChatMessage message;
    message.role = m.find("role").text();
    json::Value content = m.find("content");
    message.content = content.text();
    message.has_content = content.is_string();
    if (content.is_array()) message.parts = content;
    message.tool_calls = m.find("tool_calls");
    message.name = m.find("name").text();
    message.tool_call_id = m.find("tool_call_id").text();
    message.reasoning = m.find("reasoning_content").text();
    messages.push_back(message);
  }
  return messages;
}

struct RenderedCase {
  bool done = false;
  std::string text;  // if not done, "LINE:COLUMN: WHY"
};

inline RenderedCase render_case(std::string_view source, json::Value c) {
  constexpr i64 kNow = 1747484696;  // as in the script
  ai::TemplateError error;
  auto refused = [&error] {
    return RenderedCase{false, std::to_string(error.line) + ":" + std::to_string(error.column) +
                                   ": " + std::string(error.message())};
  };
  auto compiled = ai::ChatTemplate::compile(source, &error);
  if (!compiled.has_value()) return refused();
  ai::TemplateOptions options;
  json::Value prompt = c.find("add_generation_prompt");
  options.add_generation_prompt = !prompt.present() || prompt.is_true();
  options.bos = "<s>";
  options.eos = "</s>";
  options.tools = c.find("tools");
  options.extra = c.find("extra");
  options.now_unix = kNow;
  String out;
  std::vector<ai::ChatMessage> messages = messages_of_case(c.find("messages"));
  if (!(*compiled)->render(messages, options, out, &error).has_value()) return refused();
  return {true, std::string(out.view())};
}
