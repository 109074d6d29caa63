// SPDX-License-Identifier: GPL-2.0-or-later
// Chat templates of any bytes, run on a small conversation with tools: an error or a text, within
// the limits of steps, memory, output and depth.
#include "ai/text/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  static constexpr std::string_view kTools =
      R"([{"type":"function","function":{"name":"f","parameters":{"properties":{"a":{"type":"x"}}}}}])";
  static constexpr std::string_view kCalls =
      R"([{"id":"c","function":{"name":"f","arguments":"{\"a\":[1,2.5,null]}"}}])";
  auto tools = std::move(json::Document::parse(kTools).value());
  auto calls = std::move(json::Document::parse(kCalls).value());
  ai::TemplateError error;
  auto compiled = ai::ChatTemplate::compile({reinterpret_cast<const char*>(data), size}, &error);
  if (!compiled.has_value()) {
    ASSERT(!error.message().empty() || compiled.error().code != Errc::kInvalidArgument);
    return 0;
  }
  ai::ChatMessage messages[4];
  auto set = [&messages](usize i, std::string_view role, std::string_view content) {
    messages[i].role = role;
    messages[i].content = content;
  };
  set(0, "system", "s");
  set(1, "user", "h\xc3\xa9 <b> '\"");
  set(2, "assistant", "");
  messages[2].has_content = false;
  messages[2].tool_calls = calls.root();
  set(3, "tool", "{}");
  messages[3].tool_call_id = "c";
  ai::TemplateOptions options;
  options.bos = "<s>";
  options.eos = "</s>";
  options.tools = tools.root();
  options.now_unix = 1747484696;
  options.max_steps = 100'000;
  options.max_output = kMiB;
  String out;
  auto rendered = (*compiled)->render(messages, options, out, &error);
  ASSERT(out.size() <= options.max_output);
  ASSERT(rendered.has_value() || out.empty());
  return 0;
}
