// SPDX-License-Identifier: GPL-2.0-or-later
// Templates that lack something: what they can do is found out, and conversations are rewritten.
#include "ai/text/chat_fold.h"
#include "kernel/base/test.h"

namespace {

using ai::ChatMessage;
using ai::ChatTemplate;

// As Gemma 2: users and models by turns, and nobody else.
constexpr std::string_view kTwoRoles =
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{% for m in messages %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('by turns') }}"
    "{% endif %}[{{ m.role }}]{{ m.content | trim }}\n{% endfor %}";
// Every role, and calls of tools are left out.
constexpr std::string_view kAnyRole =
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}";
constexpr std::string_view kObjects =
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}"
    "{% for c in m.tool_calls %}<{{ c.function.name }} {{ c.function.arguments | tojson }}>"
    "{% endfor %}{{ '\\n' }}{% endfor %}";
// As functionary: the arguments are written as they come.
constexpr std::string_view kTexts =
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}"
    "{% for c in m.tool_calls %}<{{ c.function.name }} {{ c.function.arguments }}>"
    "{% endfor %}{{ '\\n' }}{% endfor %}";
// As DeepSeek R1: calls are written only if there is no content.
constexpr std::string_view kNull =
    "{% for m in messages %}[{{ m.role }}]{% if m.content is none %}"
    "{% for c in m.tool_calls %}<{{ c.function.name }} {{ c.function.arguments }}>{% endfor %}"
    "{% else %}{{ m.content }}{% endif %}{{ '\\n' }}{% endfor %}";

constexpr std::string_view kTalk =
    R"([{"role":"system","content":"S"},{"role":"user","content":"U"},)"
    R"({"role":"assistant","content":"","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\": \"<b>\"}"}},)"
    R"({"id":"2","type":"function","function":{"name":"g","arguments":{"n":1}}}]},)"
    R"({"role":"tool","content":"R1","tool_call_id":"1"},{"role":"tool","content":"R2"},)"
    R"({"role":"user","content":"V"}])";

std::string render(std::string_view source, std::string_view talk) {
  auto chat = ChatTemplate::compile(source);
  if (!chat.has_value()) return "does not compile";
  auto document = json::Document::parse(talk);
  Vector<ChatMessage> messages;
  for (json::Value m : document->root().elements()) {
    ChatMessage one;
    one.role = m.find("role").text();
    one.content = m.find("content").text();
    one.tool_calls = m.find("tool_calls");
    one.tool_call_id = m.find("tool_call_id").text();
    if (!messages.push_back(one).has_value()) return "out of memory";
  }
  auto folded = ai::FoldedChat::make((*chat)->abilities(), messages.view());
  if (!folded.has_value()) return "out of memory";
  ai::TemplateOptions options;
  options.argument_texts = (*chat)->abilities().argument_texts;
  String out;
  ai::TemplateError error;
  if (!(*chat)->render(folded->messages(), options, out, &error).has_value())
    return "refused: " + std::string(error.message());
  return std::string(out.view());
}

}  // namespace

TEST(chat_fold, what_a_template_can_do_is_found) {
  struct Row {
    std::string_view source;
    bool system, calls, null, results, texts;
  };
  for (const Row& row :
       {Row{kTwoRoles, false, false, false, false, false},
        Row{kAnyRole, true, false, false, true, false},
        Row{kObjects, true, true, false, true, false}, Row{kTexts, true, true, false, true, true},
        Row{kNull, true, true, true, true, true},
        Row{"{{ raise_exception('never') }}", true, true, false, true, false}}) {
    auto chat = ChatTemplate::compile(row.source);
    REQUIRE(chat.has_value());
    const ai::TemplateAbilities& can = (*chat)->abilities();
    EXPECT_EQ(can.system, row.system);
    EXPECT_EQ(can.calls, row.calls);
    EXPECT_EQ(can.calls_need_null, row.null);
    EXPECT_EQ(can.results, row.results);
    EXPECT_EQ(can.argument_texts, row.texts);
  }
}

TEST(chat_fold, system_calls_and_results_become_text) {
  EXPECT_EQ(
      render(kTwoRoles, kTalk),
      "[user]S\nU\n"
      "[assistant]<tool_call>{\"name\":\"f\",\"arguments\":{\"a\": \"<b>\"}}</tool_call>\n"
      "<tool_call>{\"name\":\"g\",\"arguments\":{\"n\":1}}</tool_call>\n"
      "[user]<tool_response>\nR1\n</tool_response>\n<tool_response>\nR2\n</tool_response>\nV\n");
  EXPECT_EQ(render(kTwoRoles, R"([{"role":"system","content":"S"}])"), "[user]S\n");
  EXPECT_EQ(render(kAnyRole, R"([{"role":"system","content":"S"},{"role":"user","content":"U"}])"),
            "[system]S\n[user]U\n");
}

TEST(chat_fold, arguments_have_the_form_that_the_template_writes) {
  EXPECT_EQ(
      render(kObjects, kTalk),
      "[system]S\n[user]U\n[assistant]<f {\"a\": \"<b>\"}><g {\"n\": 1}>\n[tool]R1\n[tool]R2\n"
      "[user]V\n");
  EXPECT_EQ(render(kTexts, kTalk), render(kObjects, kTalk));
  EXPECT_EQ(render(kNull, kTalk), render(kObjects, kTalk));
}
