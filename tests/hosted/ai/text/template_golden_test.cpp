// SPDX-License-Identifier: GPL-2.0-or-later
// Chat templates against what Jinja makes of them: tests/goldens/templates, written by
// tests/oracles/templates.py.
#include <string>

#include "ai/gguf/reader.h"
#include "kernel/base/test.h"
#include "tests/hosted/ai/text/template_case.h"
#include "tests/hosted/test_files.h"
#include "tests/hosted/test_platform.h"

namespace {

void check_case(TestContext& test, std::string_view source, json::Value c) {
  RenderedCase got = render_case(source, c);
  json::Value expected = c.find("expected");
  bool right = expected.is_string() ? got.done && got.text == expected.text()
                                    : !got.done && !got.text.ends_with(": ");
  if (right) return;
  std::string text = std::string(c.find("name").text()) + "\n#     template " +
                     std::string(source.substr(0, 200)) + "\n#     got      " +
                     (got.done ? "" : "refused: ") + got.text + "\n#     wanted   " +
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
