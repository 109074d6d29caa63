// SPDX-License-Identifier: GPL-2.0-or-later
// Schemas that Zod and pydantic write, and random ones, with values that PyPI's jsonschema judged:
// tests/goldens/schemas, written by tests/oracles/schemas_*.
#include "tests/hosted/ai/text/schema_fixture.h"
#include "tests/hosted/test_files.h"

namespace {

// Every row is {"name", "schema", "valid": [texts or values], "invalid": […]}.
void check_file(TestContext& test, const char* path, u32 least_rows) {
  SchemaFixture f;
  std::string text;
  REQUIRE(read_file(path, text));
  auto document = json::Document::parse(text, {.depth = json::kMaxDepth});
  REQUIRE(document.has_value());
  u32 rows = 0, values = 0;
  for (json::Value row : document->root().elements()) {
    rows++;
    char problem[300];
    base::BufferWriter out(problem);
    auto made = ai::Grammar::from_schema(row.find("schema"), *f.trie, out);
    if (!made.has_value()) {
      test.report(__FILE__, __LINE__, row.find("name").text());
      test.report(__FILE__, __LINE__, out.view());
      continue;
    }
    for (const char* kind : {"valid", "invalid"})
      for (json::Value value : row.find(kind).elements()) {
        values++;
        String written;
        base::StringWriter sink(written);
        json::Writer(sink).value(value);
        REQUIRE(sink.status().has_value());
        if (matches(*made, written.view()) == (kind[0] == 'v')) continue;
        char line[400];
        test.report(__FILE__, __LINE__,
                    base::format_into(line, "{}: {} {} is judged wrongly", row.find("name").text(),
                                      kind, written));
      }
  }
  EXPECT(rows >= least_rows);
  EXPECT(values >= rows);
}

}  // namespace

TEST(schema_golden, zod) {
  check_file(test, "tests/goldens/schemas/zod.json", 130);
}
TEST(schema_golden, pydantic) {
  check_file(test, "tests/goldens/schemas/pydantic.json", 60);
}
TEST(schema_golden, random) {
  check_file(test, "tests/goldens/schemas/random.json", 200);
}

// The places of a text where items repeat, whichever way it is cut into tokens.
TEST(schema_golden, items_that_repeat_are_refused) {
  SchemaFixture f;
  struct Row {
    std::string_view items, good, bad;
  };
  for (const Row& row :
       {Row{R"({"type":"string"})", R"(["a","b","","\n"])", R"(["a","\u0061"])"},
        Row{R"({"type":"string"})", R"(["\u00e9","e"])", "[\"\\u00e9\",\"\xc3\xa9\"]"},
        Row{R"({"type":"string"})", R"(["\ud83d\ude00"])",
            "[\"\\ud83d\\ude00\",\"\xf0\x9f\x98\x80\"]"},
        Row{R"({"type":"number"})", "[1, 10, 1.5, -1, 0]", "[1, 2, 1.0]"},
        Row{R"({"type":"number"})", "[100,1000]", "[100,1e2]"},
        Row{R"({})", R"([true,false,null,"true",1,{},[]])", "[true,false,true]"},
        Row{R"({})", R"([{"a":1,"b":2},{"a":2,"b":1}])", R"([{"a":1,"b":2},{"b":2,"a":1}])"},
        Row{R"({})", R"([[1,2],[2,1],[1],[[1]]])", "[[1,2],[1, 2]]"},
        Row{R"({})", R"([[1,1],[1]])", "[{\"a\":[]},{\"a\":[]}]"},
        Row{R"({"type":"array","items":{"type":"integer"},"uniqueItems":true})", "[[1],[1,2],[2]]",
            "[[1,2],[3,3]]"}}) {
    std::string schema =
        "{\"type\":\"array\",\"uniqueItems\":true,\"items\":" + std::string(row.items) + "}";
    auto grammar = f.compile(schema);
    REQUIRE(grammar != nullptr);
    EXPECT(matches(grammar, row.good));
    EXPECT(!matches(grammar, row.bad));
  }
  // A number of few digits that was written already cannot even begin.
  auto grammar = f.compile(
      R"({"type":"array","uniqueItems":true,"items":{"type":"integer","minimum":0,"maximum":9}})");
  REQUIRE(grammar != nullptr);
  auto state = std::move(*ai::GrammarState::create(*grammar));
  for (char c : std::string_view("[5,")) EXPECT(state->accept(static_cast<u8>(c)));
  EXPECT(!state->allows('5') && state->allows('6'));
  auto copy = std::move(*state->clone());
  EXPECT(copy->accept('6') && copy->accept(',') && !copy->allows('6') && !copy->allows('5'));
  EXPECT(state->allows('6'));
  state->reset();
  for (char c : std::string_view("[5]")) EXPECT(state->accept(static_cast<u8>(c)));
  EXPECT(state->finished());
}
