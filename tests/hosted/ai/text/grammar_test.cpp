// SPDX-License-Identifier: GPL-2.0-or-later
// Grammars: what GBNF and JSON Schema accept and refuse, and masks that agree with walking.
#include "ai/text/grammar.h"

#include <cmath>
#include <random>

#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "tests/hosted/ai/text/schema_fixture.h"
#include "tests/hosted/test_platform.h"

using ai::Grammar;
using ai::GrammarState;

namespace {

struct Fixture : SchemaFixture {
  TestPlatform platform;
  base::Owner<Grammar> schema(std::string_view text) { return compile(text); }
};

constexpr SchemaCase kCases[] = {
    {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"]})",
     "{\"a\":1}\n{\"a\": -20, \"b\": \"x\"}\n{ \"a\":0 }",
     "{}\n{\"b\":\"x\"}\n{\"b\":\"x\",\"a\":1}\n{\"a\":1,}\n{\"a\":01}\n{\"a\":1.5}\n{\"a\":1,"
     "\"c\":2}\n{\"a\":1} "},
    {R"({"type":"object","properties":{"a":{"type":"integer"},"ab":{"type":"null"}},"additionalProperties":{"type":"boolean"}})",
     "{}\n{\"a\":1,\"c\":true}\n{\"abc\":true}\n{\"\":false,\"b\":true}\n{\"ab\":null,\"ac\":true}",
     "{\"c\":true,\"a\":true}\n{\"a\":true}\n{\"ab\":true}\n{\"c\":1}\n{\"\\u0061\":true}"},
    {R"({"type":"array","items":{"enum":["x",1,null,{"k":[2]}]},"minItems":1,"maxItems":3})",
     "[\"x\"]\n[1, null]\n[{\"k\":[2]},1,1]", "[]\n[1,1,1,1]\n[2]\n[\"x\",]"},
    {R"({"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":false})",
     "[1,\"a\"]", "[1]\n[1,\"a\",2]\n[\"a\",1]"},
    {R"({"type":"string","minLength":2,"maxLength":3})",
     "\"ab\"\n\"a\xc3\xa9\"\n\"\\n\\u00e9\"\n\"abc\"", "\"a\"\n\"abcd\"\n\"ab\n\"\\ud800a\""},
    {R"({"type":"integer","minimum":-12,"maximum":345})", "0\n-12\n-9\n-1\n345\n299\n99\n300\n344",
     "-13\n346\n-0\n01\n1000\n400\n-20"},
    {R"({"type":"integer","exclusiveMinimum":0})", "1\n9\n10\n123456789012345678", "0\n-1\n"},
    {R"({"type":"number","minimum":0,"maximum":1})", "0\n1\n0.5\n1.0\n0.999",
     "1.1\n2\n-0.5\n-1\n1.01"},
    {R"({"type":"number","exclusiveMinimum":0,"maximum":10})", "0.1\n10\n10.0\n9.9\n3",
     "0\n0.0\n10.1\n11\n-1"},
    {R"({"type":"number","minimum":-3,"maximum":-1})", "-3\n-1\n-2.5\n-1.5\n-3.0",
     "0\n-0.5\n-3.5\n-4\n1"},
    {R"({"anyOf":[{"type":"boolean"},{"type":"null"}]})", "true\nnull", "0\n\"true\""},
    {R"({"type":["string","null"]})", "null\n\"\"", "1"},
    {R"({"const":{"a":[1,"x\n"]}})", "{\"a\":[1,\"x\\n\"]}", "{\"a\":[1]}"},
    {R"({"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}},"required":["v","next"],"additionalProperties":false}}})",
     "{\"v\":1,\"next\":{\"v\":2,\"next\":null}}", "{\"v\":1}\n{\"v\":1,\"next\":{}}"},
    {R"({"type":"string","pattern":"^[A-Z]{2}-\\d{3}(x|y)?$"})", "\"AB-123\"\n\"ZZ-000y\"",
     "\"AB-12\"\n\"ab-123\"\n\"AB-123z\""},
    {R"({"type":"string","pattern":"a+[\"\\\\b]"})", "\"xaa\\\"y\"\n\"ab\"\n\"a\\\\\"",
     "\"aa\"\n\"b\""},
    {R"({"type":"string","format":"date"})", "\"2024-02-28\"", "\"2024-13-01\"\n\"24-01-01\""},
    {R"({"allOf":[{"$ref":"#/$defs/a"},{"properties":{"b":{"type":"null"}},"required":["b"]}],"$defs":{"a":{"type":"object","properties":{"a":{"type":"null"}},"required":["a"]}}})",
     "{\"a\":null,\"b\":null}", "{\"a\":null}\n{\"b\":null}"},
    {R"({"oneOf":[{"type":"object","properties":{"k":{"const":"x"}},"required":["k"]},{"type":"object","properties":{"k":{"const":"y"}},"required":["k"]}]})",
     "{\"k\":\"x\"}\n{\"k\":\"y\"}", "{\"k\":\"z\"}"},
    {R"({"type":"object"})", "{}\n{\"a\":{\"b\":[1,2.5e3,true,\"\\ud83d\\ude00\"]}}",
     "[]\n{\"a\"}\n{  \"a\":1}\n{\"a\":\"\\ud83d\"}"},
    {"true", "1\n[]\n\"x\"\nnull", "{\"a\":1}}\nx"},
};

}  // namespace

TEST(grammar, schemas_take_and_refuse) {
  check_cases(test, kCases);
}

TEST(grammar, gbnf_as_documented) {
  Fixture f;
  auto g = f.gbnf(R"j(
# arithmetic
root  ::= (expr "=" ws term "\n"){1,2}
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]{
    0, 3} ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]?
)j");
  ;
  EXPECT(g != nullptr);
  EXPECT(matches(g, "a+b=3\n"));
  EXPECT(matches(g, "(1 +2) *x9=7\na=1\n"));
  EXPECT(!matches(g, "abcde=1\n"));
  EXPECT(!matches(g, "a=1\na=1\na=1\n"));
  auto unicode = f.gbnf("root ::= [\xc3\xa0-\xc3\xbf]+ | [^a-z\\u4e00-\\u9fff]{2} | .{3}");
  EXPECT(matches(unicode, "\xc3\xa9\xc3\xa8"));
  EXPECT(matches(unicode, "A\xf0\x9f\x98\x80"));
  EXPECT(!matches(unicode, "A\xe4\xb8\xad"));
  EXPECT(matches(unicode, "a\xe4\xb8\xadz"));
  EXPECT(!matches(unicode,
                  "\xed\xa0\x80"
                  "ab"));
}

TEST(grammar, gbnf_errors_name_line_and_rule) {
  Fixture f;
  struct Row {
    std::string_view text, word;
  };
  for (const Row& row :
       {Row{"root ::= a", "undefined rule a"}, Row{"a ::= \"x\"", "named root"},
        Row{"root ::= root \"x\" | \"y\"", "left-recursive: root"},
        Row{"root ::= b \"x\"\nb ::= \"\" c\nc ::= \"q\"? root", "left-recursive"},
        Row{"root ::= \"x", "ends inside"}, Row{"root ::= [z-a]", "backwards"},
        Row{"root ::= \"a\" )", "unexpected character"},
        Row{"root ::= \"a\"\nroot ::= \"b\"", "line 2: rule is defined twice: root"},
        Row{"root ::= \"a\"{9,2}", "backwards"}, Row{"root ::= \"\\q\"", "escape"},
        Row{"root ::= (\"a\"", "expected )"}, Row{"", "named root"},
        Row{"root ::= ((\"a\"{9999}){9999}){9999}", "too large"}}) {
    EXPECT(f.gbnf(row.text) == nullptr);
    if (f.said.find(row.word) == std::string_view::npos) test.report(__FILE__, __LINE__, f.said);
  }
  String deep;
  (void)deep.append("root ::= ");
  for (int i = 0; i < 100'000; i++) (void)deep.push_back('(');
  EXPECT(f.gbnf(deep.view()) == nullptr);
}

// At random places of random texts: the mask says exactly what accept() would.
TEST(grammar, masks_agree_with_walking) {
  Fixture f;
  std::mt19937 random(7);
  for (std::string_view schema : {kCases[0].schema, kCases[1].schema, kCases[4].schema,
                                  kCases[13].schema, kCases[20].schema}) {
    auto grammar = f.schema(schema);
    REQUIRE(grammar != nullptr);
    auto state = std::move(*GrammarState::create(*grammar));
    for (int round = 0; round < 20; round++) {
      state->reset();
      for (int step = 0; step < 60 && !state->finished(); step++) {
        float logits[320] = {};
        u32 allowed = state->mask(logits, f.platform).value_or(0);
        u32 seen = 0;
        Vector<ai::TokenId> open;
        for (ai::TokenId id = 0; id < f.tokenizer.size(); id++) {
          bool by_mask = logits[id] == 0.0f;
          if (by_mask != state->allows(id)) test.report(__FILE__, __LINE__, f.tokenizer.piece(id));
          seen += by_mask;
          if (by_mask && id != ApiTestTokenizer::kEnd) (void)open.push_back(id);
        }
        EXPECT_EQ(allowed, seen);
        EXPECT(std::isinf(logits[319]));
        if (open.empty()) break;
        REQUIRE(state->accept(open[random() % open.size()]));
      }
    }
  }
}

TEST(grammar, nothing_allocates_after_create) {
  Fixture f;
  auto grammar = f.schema(R"({"type":"object"})");
  REQUIRE(grammar != nullptr);
  auto state = std::move(*GrammarState::create(*grammar));
  std::mt19937 random(3);
  u64 before = host::allocation_count();
  // Deep nesting: more configurations than the tables hold, so they are compacted on the way.
  for (int step = 0; step < 3000 && !state->finished(); step++) {
    float logits[320] = {};
    REQUIRE(state->mask(logits, f.platform).has_value());
    u32 id = random() % 300;
    while (logits[id] != 0.0f) id = (id + 1) % 300;
    REQUIRE(state->accept(id));
  }
  EXPECT_EQ(host::allocation_count(), before);
}

TEST(grammar, nesting_stops_at_the_limit) {
  Fixture f;
  auto grammar = f.schema(R"({"type":"array"})");
  REQUIRE(grammar != nullptr);
  auto state = std::move(*GrammarState::create(*grammar));
  u32 depth = 0;
  while (depth < 1000 && state->accept('[')) depth++;
  EXPECT(depth > 20 && depth <= 128);
  while (depth > 0 && state->accept(']')) depth--;
  EXPECT_EQ(depth, 0u);
  EXPECT(state->finished());
}

TEST(grammar, clone_goes_its_own_way) {
  Fixture f;
  auto grammar = f.gbnf("root ::= \"a\" (\"b\" | \"c\") \"d\"");
  auto state = std::move(*GrammarState::create(*grammar));
  EXPECT(state->accept('a'));
  auto copy = std::move(*state->clone());
  EXPECT(state->accept('b') && copy->accept('c'));
  EXPECT(!state->accept('c'));
  EXPECT(state->accept('d') && state->finished() && !copy->finished());
  EXPECT(state->allows(ApiTestTokenizer::kEnd) && !copy->allows(ApiTestTokenizer::kEnd));
}

// ---- work is bounded

namespace {

template <class... Args>
void add(String& out, std::string_view format, const Args&... args) {
  base::StringWriter sink(out);
  base::format_to(sink, format, args...);
}

// {"properties": {"p0": SCHEMA, …}, "required": ["p0", …]}
String object_schema(u32 properties, u32 required, std::string_view schema) {
  String text;
  add(text, "{{\"type\":\"object\",\"properties\":{{");
  for (u32 i = 0; i < properties; i++) add(text, "{}\"p{}\":{}", i > 0 ? "," : "", i, schema);
  add(text, "},\"required\":[");
  for (u32 i = 0; i < required; i++) add(text, "{}\"p{}\"", i > 0 ? "," : "", i);
  add(text, "]}");
  return text;
}

}  // namespace

// The compiler knows whether a rule may be empty only once it knows that of the next rule. In this
// order the search must not start again for each rule.
TEST(grammar, left_recursion_is_found_in_one_look_a_state) {
  Fixture f;
  constexpr u32 kRules = 16'000;
  String text;
  add(text, "root ::= r0\n");
  for (u32 i = 0; i < kRules; i++) add(text, "r{} ::= r{}\n", i, i + 1);
  add(text, "r{} ::= \"a\"?\n", kRules);
  auto grammar = f.gbnf(text.view());
  REQUIRE(grammar != nullptr);
  EXPECT(grammar->compile_steps() >= kRules);
  EXPECT(grammar->compile_steps() <= grammar->states().size());
  add(text, "x ::= r0 r0 y\ny ::= r3 x\n");
  EXPECT(f.gbnf(text.view()) == nullptr);
  EXPECT(f.said.find("left-recursive: x") != std::string_view::npos);
}

TEST(grammar, limits_are_looked_at_first_and_named) {
  Fixture f;
  EXPECT(f.schema(object_schema(4097, 0, "true").view()) == nullptr);
  EXPECT_EQ(f.said, "the JSON schema has 4097 properties; at most 4096 are taken");
  EXPECT(f.schema(object_schema(0, 4097, "true").view()) == nullptr);
  EXPECT_EQ(f.said, "the JSON schema has 4097 required properties; at most 4096 are taken");
  EXPECT(f.schema(object_schema(40'000, 0, R"({"type":"string"})").view()) == nullptr);
  EXPECT_EQ(f.said, "the JSON schema has 160007 values; at most 131072 are taken");
  String text;
  add(text, "{{\"oneOf\":[{{\"const\":0}");
  for (u32 i = 1; i < 257; i++) add(text, ",{{\"const\":{}}", i);
  add(text, "]}");
  EXPECT(f.schema(text.view()) == nullptr);
  EXPECT_EQ(f.said, "the JSON schema has 257 branches in oneOf; at most 256 are taken");
  text.clear();
  add(text, "{{\"pattern\":\"");
  for (u32 i = 0; i <= 16 * 1024; i++) add(text, "a");
  add(text, "\"}");
  EXPECT(f.schema(text.view()) == nullptr);
  EXPECT_EQ(f.said, "the JSON schema has 16385 bytes in a pattern; at most 16384 are taken");
  text.clear();
  add(text, "root ::= \"a\" #");
  while (text.size() <= Grammar::kMaxText) add(text, "0123456789abcdef");
  EXPECT(f.gbnf(text.view()) == nullptr);
  EXPECT(f.said.find("bytes; at most 1048576 are taken") != std::string_view::npos);
}

TEST(grammar, large_schemas_of_real_programs_are_taken) {
  Fixture f;
  auto object = f.schema(object_schema(4096, 4096, R"({"type":"string","title":"P"})").view());
  REQUIRE(object != nullptr);
  String text;
  add(text, "{{\"enum\":[\"member-0\"");
  for (u32 i = 1; i < 1000; i++) add(text, ",\"member-{}\"", i);
  add(text, "]}");
  EXPECT(matches(f.schema(text.view()), "\"member-999\""));
  text.clear();
  add(text, "{{\"$defs\":{{\"d0\":true");
  for (u32 i = 1; i < 500; i++)
    add(text, ",\"d{}\":{{\"type\":\"array\",\"items\":{{\"$ref\":\"#/$defs/d{}\"{}", i, i / 2,
        "}}");
  add(text, "},\"anyOf\":[{{\"$ref\":\"#/$defs/d499\"},{{\"$ref\":\"#/$defs/d498\"}]}");
  auto references = f.schema(text.view());
  EXPECT(matches(references, "[[[[[[[[[1]]]]]]]]]"));
  auto open = f.schema(
      R"({"properties":{"b":true,"a-":true,"a]":true,"a":true,"\u00e9t":true},"additionalProperties":{"type":"null"}})");
  EXPECT(matches(open, R"({"a]":1,"ab":null})"));
  EXPECT(!matches(open, R"({"b":1,"a]":null,"a]":null})"));
  EXPECT(matches(open, "{\"\xc3\xa9\":null}") && !matches(open, "{\"a-\":null,\"a-\":null}"));
}

// A place that can be read in very many ways: the mask gives way meanwhile and gives up at its
// limit. It used to look for a free place in a full table for ever.
TEST(grammar, a_mask_gives_way_and_ends) {
  Fixture f;
  for (std::string_view text :
       {"root ::= s\ns ::= \"(\" s \")\" s | . t\nt ::= s | \"\" | . t | u\nu ::= . s s s | . t\n",
        "root ::= (.?){3000}\n"}) {
    auto grammar = f.gbnf(text);
    REQUIRE(grammar != nullptr);
    auto state = std::move(*GrammarState::create(*grammar));
    Result<u32> allowed = 1u;
    u64 breaths = f.platform.breaths;
    for (u32 step = 0; step < 40 && allowed.value_or(0) > 0; step++) {
      float logits[300] = {};
      allowed = state->mask(logits, f.platform);
      if (allowed.value_or(0) > 0 && !state->accept('a')) break;
    }
    EXPECT(f.platform.breaths > breaths);
    EXPECT(!allowed.has_value() || *allowed > 0);
  }
}

TEST(grammar, out_of_memory_is_an_error) {
  Fixture f;
  i64 live = host::live_allocations();
  bool done = false;
  for (u64 nth = 1; nth < 400 && !done; nth++) {
    host::fail_allocation(nth);
    auto grammar = f.schema(kCases[1].schema);
    if (grammar != nullptr) done = GrammarState::create(*grammar).has_value();
    host::fail_allocation(0);
  }
  EXPECT(done);
  EXPECT_EQ(host::live_allocations(), live);
}
