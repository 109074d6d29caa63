// SPDX-License-Identifier: GPL-2.0-or-later
// Chat templates against what Jinja makes of them: tests/goldens/templates, written by
// tests/oracles/templates.py.
#include <string>
#include <vector>

#include "ai/gguf/reader.h"
#include "ai/text/chat_template.h"
#include "kernel/base/test.h"
#include "tests/hosted/test_files.h"
#include "tests/hosted/test_platform.h"

namespace {

constexpr i64 kNow = 1747484696;  // as in the script

std::vector<ai::ChatMessage> messages_of(json::Value list) {
  std::vector<ai::ChatMessage> messages;
  for (json::Value m : list.elements()) {
    ai::ChatMessage message;
    message.role = m.find("role").text();
    message.content = m.find("content").text();
    message.has_content = m.find("content").is_string();
    message.tool_calls = m.find("tool_calls");
    message.name = m.find("name").text();
    message.tool_call_id = m.find("tool_call_id").text();
    messages.push_back(message);
  }
  return messages;
}

// The text, or "refused: LINE:COLUMN: WHY".
std::string render(std::string_view source, json::Value c) {
  ai::TemplateError error;
  auto refused = [&error] {
    return "refused: " + std::to_string(error.line) + ":" + std::to_string(error.column) + ": " +
           std::string(error.message());
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
  std::vector<ai::ChatMessage> messages = messages_of(c.find("messages"));
  if (!(*compiled)->render(messages, options, out, &error).has_value()) return refused();
  return std::string(out.view());
}

void check_case(TestContext& test, std::string_view source, json::Value c) {
  std::string got = render(source, c);
  json::Value expected = c.find("expected");
  bool refused = got.starts_with("refused: ");
  bool right = expected.is_string() ? got == expected.text() : refused && !got.ends_with(": ");
  if (right) return;
  std::string text = std::string(c.find("name").text()) + "\n#     template " +
                     std::string(source.substr(0, 200)) + "\n#     got      " + got +
                     "\n#     wanted   " +
                     std::string(expected.is_string() ? expected.text() : "a refusal");
  test.report(__FILE__, __LINE__, text);
}

void check_file(TestContext& test, const std::string& name) {
  std::string text;
  REQUIRE(read_file("tests/goldens/templates/" + name, text));
  auto document = json::Document::parse(text);
  REQUIRE(document.has_value());
  EXPECT(document->root().size() > 30);
  for (json::Value c : document->root().elements()) check_case(test, c.find("template").text(), c);
}

// The source of a template that is not part of the tree; "" when it is not there.
std::string shared_source(const std::string& file) {
  std::string text;
  if (!file.ends_with(".gguf")) {
    read_file(shared_path("templates/" + file), text);
    return text;
  }
  if (!read_file(model_path(file), text)) return "";
  TestPlatform platform;
  auto model =
      ai::GgufFile::parse({reinterpret_cast<const Byte*>(text.data()), text.size()}, platform);
  if (!model.has_value()) return "";
  auto source = (*model)->get_string("tokenizer.chat_template");
  return source.has_value() ? std::string(*source) : "";
}

}  // namespace

TEST(template_golden, language) {
  check_file(test, "language.json");
}

TEST(template_golden, chat) {
  check_file(test, "chat.json");
}

TEST(template_golden, shared) {
  std::string text;
  REQUIRE(read_file("tests/goldens/templates/shared.json", text));
  auto document = json::Document::parse(text);
  REQUIRE(document.has_value());
  std::string last_file, source;
  u32 cases = 0;
  for (json::Value c : document->root().elements()) {
    std::string file(c.find("file").text());
    if (file != last_file) source = shared_source(file);
    last_file = file;
    if (source.empty()) continue;
    cases++;
    check_case(test, source, c);
  }
  if (cases == 0) test.skip("shared templates not found");
}
