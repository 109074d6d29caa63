// SPDX-License-Identifier: GPL-2.0-or-later
// Templates made to break the interpreter: each ends in an error that says where, in bounded time.
#include <ctime>
#include <string>

#include "ai/text/chat_template.h"
#include "arch/host/memory.h"
#include "kernel/base/test.h"

namespace {

struct Outcome {
  bool done = false;
  std::string text;
  ai::TemplateError error;
};

Outcome run(std::string_view source, const ai::TemplateOptions& options = {},
            std::span<const ai::ChatMessage> messages = {}) {
  Outcome outcome;
  auto compiled = ai::ChatTemplate::compile(source, &outcome.error);
  if (!compiled.has_value()) return outcome;
  String out;
  outcome.done = (*compiled)->render(messages, options, out, &outcome.error).has_value();
  outcome.text = out.view();
  return outcome;
}

std::string repeated(std::string_view part, usize count) {
  std::string text;
  for (usize i = 0; i < count; i++) text += part;
  return text;
}

}  // namespace

TEST(template_hostile, errors_say_where) {
  struct Row {
    std::string_view source;
    u32 line, column;
    std::string_view part;
  };
  constexpr Row kRows[] = {
      {"a\nb {% trans %}x{% endtrans %}", 2, 6, "\"trans\" are not supported"},
      {"{{ 1 | nofilter }}", 1, 8, "unknown filter \"nofilter\""},
      {"{{ 1 is notest }}", 1, 9, "unknown test \"notest\""},
      {"x\n\n{{ missing.part }}", 3, 11, "\"missing\" is undefined"},
      {"{% if a %}", 1, 4, "never closed"},
      {"{{ 'a' + 1 }}", 1, 8, "str and int cannot be added"},
      {"{{ (1 }}", 1, 7, "unexpected \"}\""},
      {"{{ 'open }}", 1, 4, "no end"},
      {"{% include 'x' %}", 1, 4, "\"include\" are not supported"},
      {"{% for a in b recursive %}{% endfor %}", 1, 15, "recursive"},
      {"{{ raise_exception('no thanks') }}", 1, 19, "no thanks"},
  };
  for (const Row& row : kRows) {
    Outcome outcome = run(row.source);
    EXPECT(!outcome.done);
    EXPECT(outcome.text.empty());
    EXPECT_EQ(outcome.error.line, row.line);
    EXPECT_EQ(outcome.error.column, row.column);
    bool said = outcome.error.message().find(row.part) != std::string_view::npos;
    if (!said) EXPECT_EQ(outcome.error.message(), row.part);
  }
  EXPECT(run("{{ raise_exception('x') }}").error.raised);
  EXPECT(!run("{{ 1 / 0 }}").error.raised);
}

TEST(template_hostile, work_is_bounded) {
  const std::string kSources[] = {
      "{% for a in range(1000000000) %}x{% endfor %}",
      repeated("{% for a in range(99999) %}", 8) + "x" + repeated("{% endfor %}", 8),
      "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}"
      "{% endfor %}",
      "{{ 'a' * 9000000000000 }}",
      "{{ 'a' * 99999999 }}",
      "{{ [1] * 99999999 }}",
      "{{ 'a'.center(9000000000) }}",
      "{{ ('a' * 99999).replace('', 'b' * 9999) }}",
      "{{ '{0}{0}{0}{0}{0}{0}{0}{0}'.format('a' * 9999999) }}",
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
      "{% macro m(f) %}{{ f(f) }}{{ f(f) }}{% endmacro %}{{ m(m) }}",
      "{% set l = [] %}{{ l.append(l) }}{{ l }}",
      "{% set l = [] %}{{ l.append(l) }}{{ l | tojson }}",
      "{% set l = [] %}{% set k = [] %}{{ l.append(l) }}{{ k.append(k) }}{{ l == k }}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = ns.l + ns.l %}{% "
      "endfor %}",
      "{% for i in range(99999) %}{{ 'x' * 999 }}{% endfor %}",
      "{% set l = range(99999) | list %}{% for a in l %}{% if a in l %}{% endif %}{% endfor %}",
      "{{ 2 ** 9999999999 }}",
      "{{ 9223372036854775807 + 1 }}",
      "{{ (0 - 9223372036854775807 - 1) // -1 }}",
      repeated("{{ ", 1) + repeated("(", 5000) + "1" + repeated(")", 5000) + " }}",
      repeated("{% if 1 %}", 5000) + repeated("{% endif %}", 5000),
      "{{ " + repeated("-", 5000) + "1 }}",
      "{{ " + repeated("[", 5000) + repeated("]", 5000) + " }}",
      "{{ x" + repeated(".a", 5000) + " }}",
      "{{ 1" + repeated(" | abs", 5000) + " }}",
      "{{ 1" + repeated(" if 1 else 1", 5000) + " }}",
  };
  for (const std::string& source : kSources) {
    std::clock_t begin = std::clock();
    Outcome outcome = run(source);
    double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    EXPECT(!outcome.done);
    EXPECT(!outcome.error.message().empty());
    if (seconds > 10) EXPECT_EQ(std::string_view(source.substr(0, 60)), "a bounded time");
  }
}

TEST(template_hostile, long_chains_are_no_nesting) {
  Outcome outcome =
      run("{{ 0" + repeated(" + 1", 5000) + " }}{{ ''" + repeated(" ~ 'a'", 2000) + " }}{{ 1" +
          repeated(" and 1", 3000) + " }}" + repeated("{% if 0 %}{% elif 1 %}y{% endif %}", 500));
  EXPECT(outcome.done);
  EXPECT(outcome.text.starts_with("5000aaa"));
}

TEST(template_hostile, limits_of_the_caller) {
  ai::TemplateOptions options;
  options.max_output = 10;
  EXPECT(run("{{ 'x' * 10 }}", options).done);
  EXPECT(!run("{{ 'x' * 11 }}", options).done);
  options.max_steps = 50;
  EXPECT(!run("{% for a in range(40) %}{{ '' }}{% endfor %}", options).done);
}

TEST(template_hostile, tool_arguments_as_object_or_text) {
  auto calls = json::Document::parse(
      R"([{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}])");
  REQUIRE(calls.has_value());
  ai::ChatMessage message;
  message.role = "assistant";
  message.has_content = false;
  message.tool_calls = calls->root();
  constexpr std::string_view kObject =
      "{{ messages[0].tool_calls[0].function.arguments | tojson }}";
  constexpr std::string_view kText =
      "{{ 'a: ' + messages[0].tool_calls[0]['function']['arguments'] }}";
  EXPECT_EQ(std::string_view(run(kObject, {}, {&message, 1}).text), "{\"a\": 1}");
  EXPECT_EQ(std::string_view(run(kText, {}, {&message, 1}).text), "a: {\"a\": 1}");
}

TEST(template_hostile, exhaustion_is_an_error) {
  constexpr std::string_view kSource =
      "{% macro m(x) %}<{{ x }}>{% endmacro %}{% for i in range(20) %}{{ m(i) | upper }}{% endfor "
      "%}"
      "{% set s %}block{% endset %}{{ s | replace('b', 'c') }}{{ [3, 1] | sort | tojson }}";
  i64 before = host::live_allocations();
  for (u32 nth = 1;; nth++) {
    {
      host::fail_allocation(nth);
      auto compiled = ai::ChatTemplate::compile(kSource);
      String out;
      bool done = compiled.has_value() && (*compiled)->render({}, {}, out).has_value();
      host::fail_allocation(0);
      if (done) break;
    }
    REQUIRE(nth < 3000);
  }
  EXPECT_EQ(host::live_allocations(), before);
}

// Objects from a client: member names are looked up by hash. Variables are compared one by one, so
// their number is limited.
TEST(template_hostile, objects_of_clients) {
  std::string text = "{";
  for (int i = 0; i < 60'000; i++)
    text += "\"p" + std::to_string(i) + "\":" + std::to_string(i) + ",";
  text += "\"p7\":70}";
  auto document = json::Document::parse(text);
  EXPECT(document.has_value());
  ai::TemplateOptions options;
  options.tools = document->root();
  Outcome outcome = run("{{ tools['p59999'] }} {{ tools.p7 }} {{ tools | length }}", options);
  EXPECT(outcome.done);
  EXPECT_EQ(outcome.text, std::string("59999 70 60000"));
  outcome = run("{{ (tools | tojson(sort_keys=true))[:40] }}", options);
  EXPECT_EQ(outcome.text, std::string("{\"p0\": 0, \"p1\": 1, \"p10\": 10, \"p100\": 10"));
  options.tools = {};
  options.extra = document->root();
  EXPECT(!run("x", options).done);
  EXPECT_EQ(run("x", options).error.message(),
            "the request has 60001 variables for the template; at most 256 are taken");
}
