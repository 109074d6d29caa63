// SPDX-License-Identifier: GPL-2.0-or-later
// JSON Schema: what each keyword takes and refuses, alone and together with others, and what the
// errors say.
#include "kernel/base/test.h"
#include "tests/hosted/ai/text/schema_fixture.h"

namespace {

constexpr SchemaCase kNumbers[] = {
    {R"({"type":"integer","minimum":-9007199254740991,"maximum":9007199254740991})",
     "9007199254740991\n-9007199254740991\n0\n9007199254740990\n-7",
     "9007199254740992\n-9007199254740992\n9999999999999999\n1.5\n-0"},
    {R"({"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807})",
     "9223372036854775807\n-9223372036854775808\n9223372036854775799",
     "9223372036854775808\n-9223372036854775809"},
    {R"({"type":"integer","exclusiveMaximum":18446744073709551616,"minimum":18446744073709551610})",
     "18446744073709551610\n18446744073709551615", "18446744073709551616\n18446744073709551609\n1"},
    {R"({"type":"number","minimum":0.25,"exclusiveMaximum":1e1})", "0.25\n9.99\n1\n0.3\n0.250",
     "0.24\n10\n0.2\n-1\n10.0"},
    {R"({"type":"number","minimum":-2.5,"maximum":-0.5})", "-2.5\n-1\n-0.5\n-0.75",
     "-2.51\n-0.4\n0\n-0\n1"},
    {R"({"type":"number","maximum":0.001})", "0.001\n-55.5\n0\n0.0009", "0.0011\n1\n0.01"},
    {R"({"minimum":3,"exclusiveMinimum":true})", "4\n3.5", "3\n3.0\n2"},
    {R"({"type":"integer","multipleOf":7})", "0\n49\n-700\n7", "1\n48\n701\n-6"},
    {R"({"type":"integer","multipleOf":1000})", "0\n1000\n-25000", "100\n1001\n1500"},
    {R"({"type":"number","multipleOf":0.01,"minimum":1})", "1\n1.25\n20.5\n3.00",
     "1.255\n0.99\n0.5"},
    {R"({"type":"number","multipleOf":2.5})", "0\n2.5\n5\n10.0\n-7.5", "1\n2.6\n3.5"},
    {R"({"type":"integer","multipleOf":0.5})", "1\n2\n-3", "0.5"},
    {R"({"allOf":[{"type":"integer","multipleOf":4},{"multipleOf":6},{"maximum":40}]})",
     "12\n24\n36\n0\n-12", "4\n6\n48\n8"},
    {R"({"type":"number","not":{"type":"integer"}})", "0.5\n-7.25", "1\n2.0\n0"},
    {R"({"type":"integer","not":{"enum":[1,2.0,10]}})", "0\n3\n11\n-1\n100", "1\n2\n10"},
    {R"({"type":"integer","not":{"minimum":5}})", "4\n-20", "5\n6"},
};

constexpr SchemaCase kStrings[] = {
    {R"({"type":"string","pattern":"^[a-z]+$","minLength":2,"maxLength":4})", "\"ab\"\n\"abcd\"",
     "\"a\"\n\"abcde\"\n\"AB\""},
    {R"({"type":"string","format":"date","pattern":"^2024"})", "\"2024-02-29\"\n\"2024-12-31\"",
     "\"2023-01-01\"\n\"2024-02-30\"\n\"2024\""},
    {R"({"type":"string","format":"no-such-format","pattern":"^x"})", "\"xy\"", "\"y\""},
    {R"({"type":"string","format":"email","pattern":"^[0-9]$"})", "\"7\"", "\"a@b.de\""},
    {R"({"allOf":[{"type":"string","pattern":"a"},{"pattern":"b"},{"maxLength":3}]})",
     "\"ab\"\n\"xba\"", "\"a\"\n\"b\"\n\"xxab\""},
    {R"j({"pattern":"^(?!\\.)(?!.*\\.\\.)[a-z.]+$"})j", "\"a.b\"\n\"ab.\"",
     "\".a\"\n\"a..b\"\n\"\""},
    {R"j({"pattern":"^(?=.*[0-9])(?=.*[a-z]).{3,}$"})j", "\"a1x\"\n\"12z\"",
     "\"abc\"\n\"123\"\n\"a1\""},
    {R"j({"pattern":"^P(?=\\d|T)(\\d+D)?(T(?!$)(\\d+H)?)?$"})j", "\"P1D\"\n\"PT5H\"\n\"P2DT1H\"",
     "\"P\"\n\"PT\"\n\"P1DT\""},
    {R"j({"pattern":"foo(?!bar)"})j", "\"foo\"\n\"foobarfoo\"\n\"xfooba\"", "\"foobar\"\n\"fo\""},
    {R"({"pattern":"^$|^(?:[0-9a-f]{2})+$"})", "\"\"\n\"0a\"\n\"0aff\"", "\"0\"\n\"xx\""},
    {R"({"pattern":"^a\\sb$"})", "\"a b\"\n\"a\\nb\"\n\"a\\tb\"", "\"ab\"\n\"a  b\""},
    {R"({"pattern":"^[^x]$"})", "\"y\"\n\"\\\"\"\n\"\\n\"\n\"\xc3\xa9\"", "\"x\"\n\"yy\"\n\"\""},
    {R"({"pattern":"^\\p{Lu}\\p{Ll}+$"})", "\"\xc3\x89t\xc3\xa9\"\n\"Ab\"", "\"ab\"\n\"A1\""},
    {R"({"pattern":"^\\u{1F600}$"})", "\"\xf0\x9f\x98\x80\"", "\"x\""},
    {R"({"type":"string","maxLength":5000,"minLength":2})", "\"ab\"", "\"a\""},
    {R"({"type":"string","not":{"const":"no"}})", "\"yes\"\n\"\"\n\"n\"\n\"non\"", "\"no\""},
    {R"({"type":"string","not":{"pattern":"^a"}})", "\"b\"\n\"\"", "\"a\"\n\"ab\""},
    {R"({"type":"string","not":{"minLength":3}})", "\"ab\"", "\"abc\""},
    {R"({"type":"string","format":"ipv6"})", "\"::1\"\n\"fe80::1:2\"\n\"1:2:3:4:5:6:7:8\"\n\"::\"",
     "\"1::2::3\"\n\"1:2:3\"\n\"1:2:3:4:5:6:7:8:9\""},
    {R"({"type":"string","format":"uri","minLength":1,"maxLength":2083})", "\"https://a.de/x?y=1\"",
     "\"a\""},
};

constexpr SchemaCase kObjects[] = {
    {R"({"allOf":[{"properties":{"a":{"type":"integer"}},"additionalProperties":false},{"properties":{"b":{"type":"integer"}}}]})",
     "{}\n{\"a\":1}", "{\"b\":1}\n{\"a\":1,\"b\":1}"},
    {R"({"allOf":[{"properties":{"a":{"type":"integer"}}},{"properties":{"a":{"minimum":5},"b":{}}}],"required":["a"]})",
     "{\"a\":5}\n{\"a\":7,\"b\":[]}", "{\"a\":4}\n{\"b\":1}\n{\"a\":5.5}"},
    {R"({"properties":{"k":{"type":"string"}},"anyOf":[{"required":["k"]},{"properties":{"n":{"type":"null"}},"required":["n"]}]})",
     "{\"k\":\"\"}\n{\"n\":null}\n{\"k\":\"\",\"n\":null}", "{}\n{\"k\":1}"},
    {R"({"allOf":[{"properties":{"a":{}}},{"properties":{"b":{}}}],"unevaluatedProperties":false})",
     "{\"a\":1}\n{\"a\":1,\"b\":2}\n{}", "{\"c\":1}"},
    {R"({"properties":{"foo":{"type":"string"}},"allOf":[{"required":["foo"],"unevaluatedProperties":true}],"additionalProperties":false})",
     "{\"foo\":\"\"}", "{\"bar\":1}\n{}"},
    {R"({"type":"object","patternProperties":{"^x-":{"type":"integer"}},"properties":{"a":{}},"additionalProperties":false})",
     "{}\n{\"a\":[],\"x-1\":2}\n{\"x-\":1,\"x-y\":2}", "{\"y\":1}\n{\"x-\":\"\"}"},
    {R"({"patternProperties":{"a":{"type":"integer"},"b":{"minimum":3}}})",
     "{\"a\":1}\n{\"ab\":4}\n{\"b\":3.5}", "{\"ab\":1}\n{\"ab\":3.5}\n{\"b\":2}"},
    {R"({"type":"object","propertyNames":{"pattern":"^[a-z]+$","maxLength":3},"additionalProperties":{"type":"integer"}})",
     "{}\n{\"abc\":1,\"b\":2}", "{\"abcd\":1}\n{\"A\":1}\n{\"a\":\"\"}"},
    {R"({"type":"object","propertyNames":{"enum":["a","b"]},"additionalProperties":{"type":"integer"},"required":["a"]})",
     "{\"a\":1}\n{\"a\":1,\"b\":2}", "{}\n{\"a\":1,\"c\":2}\n{\"b\":1}"},
    {R"({"properties":{"a":{},"b":{},"c":{}},"minProperties":2,"maxProperties":2})",
     "{\"a\":1,\"b\":1}\n{\"a\":1,\"c\":1}\n{\"b\":1,\"c\":1}",
     "{}\n{\"a\":1}\n{\"a\":1,\"b\":1,\"c\":1}"},
    {R"({"type":"object","minProperties":1,"maxProperties":2})", "{\"x\":1}\n{\"x\":1,\"y\":2}",
     "{}\n{\"x\":1,\"y\":2,\"z\":3}"},
    {R"({"properties":{"a":{},"b":{}},"dependentRequired":{"a":["b"]}})",
     "{}\n{\"b\":1}\n{\"a\":1,\"b\":1}", "{\"a\":1}"},
    {R"({"properties":{"a":{},"b":{}},"dependentSchemas":{"a":{"properties":{"b":{"type":"integer"}},"required":["b"]}}})",
     "{}\n{\"b\":\"\"}\n{\"a\":1,\"b\":1}", "{\"a\":1}\n{\"a\":1,\"b\":\"\"}"},
    {R"({"type":"object","dependencies":{"bar":["foo"]}})",
     "{}\n{\"foo\":1}\n{\"bar\":1,\"foo\":1}", "{\"bar\":1}"},
    {R"({"type":"object","properties":{"a":{},"b":{}},"oneOf":[{"required":["a"]},{"required":["b"]}]})",
     "{\"a\":1}\n{\"b\":1}", "{}\n{\"a\":1,\"b\":1}"},
    {R"({"type":"object","properties":{"kind":{"enum":["x","y"]},"n":{"type":"integer"}},"required":["kind"],"if":{"properties":{"kind":{"const":"x"}}},"then":{"required":["n"]},"else":{"not":{"required":["n"]}}})",
     "{\"kind\":\"x\",\"n\":1}\n{\"kind\":\"y\"}", "{\"kind\":\"x\"}\n{\"kind\":\"y\",\"n\":1}"},
    {R"({"properties":{"a":{},"b":{}},"not":{"required":["b"]}})", "{}\n{\"a\":1}", "{\"b\":1}"},
    {R"({"properties":{"a":{},"b\"c":{"type":"null"}},"additionalProperties":{"type":"boolean"}})",
     "{\"b\\\"c\":null,\"z\":true}", "{\"b\\\"c\":true}\n{\"a\":1,\"a\":true}"},
};

constexpr SchemaCase kArrays[] = {
    {R"({"type":"array","items":[{"type":"integer"},{"type":"string"}],"additionalItems":false})",
     "[1,\"a\"]", "[\"a\",1]\n[1,\"a\",2]\n[1,2]"},
    {R"({"type":"array","items":[{"type":"integer"}],"additionalItems":{"type":"null"}})",
     "[1]\n[1,null,null]", "[null]\n[1,2]"},
    {R"({"type":"array","items":[{"type":"integer"},{"type":"string"}]})", "[1,\"a\"]",
     "[1,2]\n[\"a\"]"},
    {R"({"prefixItems":[{"type":"integer"},false],"minItems":0})", "[1]", "[1,1]\n[1,null]"},
    {R"({"allOf":[{"items":{"type":"integer"}},{"items":{"minimum":2},"maxItems":2}]})",
     "[]\n[2,3]", "[1]\n[2,2,2]\n[2.5]"},
    {R"({"type":"array","items":{"enum":["a","b","c"]},"uniqueItems":true})",
     "[]\n[\"a\"]\n[\"c\",\"a\"]\n[\"b\",\"c\",\"a\"]", "[\"a\",\"a\"]\n[\"a\",\"b\",\"a\"]"},
    {R"({"type":"array","items":{"type":"integer"},"contains":{"minimum":5},"minItems":2})",
     "[1,5]\n[7,1]\n[5,5,5]", "[1,2]\n[5]\n[]"},
    {R"({"type":"array","items":{"enum":[1,2]},"contains":{"const":2},"minContains":2,"maxContains":2})",
     "[2,2]\n[1,2,2]\n[2,1,2,1]", "[2]\n[2,2,2]\n[1,1]"},
    {R"({"prefixItems":[{"type":"integer"}],"unevaluatedItems":{"type":"null"}})", "[1]\n[1,null]",
     "[1,1]"},
    {R"({"type":"array","items":{"type":"null"},"maxItems":3000,"minItems":2})", "[null,null]",
     "[null]"},
};

constexpr SchemaCase kChoices[] = {
    {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", "0.5\n-3.25", "1\n2.0"},
    {R"({"oneOf":[{"type":"string","maxLength":3},{"type":"string","minLength":2}]})",
     "\"a\"\n\"abcd\"", "\"ab\"\n\"abc\""},
    {R"({"type":"string","enum":["a",1,null]})", "\"a\"", "1\nnull"},
    {R"({"enum":["a",7,12],"minimum":10})", "12\n\"a\"", "7"},
    {R"({"type":["string","null"],"not":{"type":"null"}})", "\"\"", "null"},
    {R"({"type":"boolean","not":{"const":true}})", "false", "true"},
    {R"({"$ref":"#/$defs/a","maximum":5,"$defs":{"a":{"type":"integer","minimum":0}}})", "0\n5",
     "6\n-1"},
    {R"({"type":"integer","nullable":true})", "1\nnull", "\"\""},
    {R"({"$ref":"#here","$defs":{"a":{"$anchor":"here","type":"null"}}})", "null", "1"},
    {R"({"$defs":{"a%b":{"type":"null"}},"$ref":"#/$defs/a%25b"})", "null", "1"},
    {R"({"x-note":1,"unknown":{"type":"string"},"type":"null"})", "null", "1"},
};

}  // namespace

TEST(grammar_schema, numbers) {
  check_cases(test, kNumbers);
}
TEST(grammar_schema, strings) {
  check_cases(test, kStrings);
}
TEST(grammar_schema, objects) {
  check_cases(test, kObjects);
}
TEST(grammar_schema, arrays) {
  check_cases(test, kArrays);
}
TEST(grammar_schema, choices) {
  check_cases(test, kChoices);
}

TEST(grammar_schema, refusals_name_what_they_are_about) {
  SchemaFixture f;
  struct Row {
    std::string_view schema, word;
  };
  for (const Row& row :
       {Row{R"({"$dynamicRef":"#a"})", "$dynamicRef"},
        Row{R"j({"pattern":"(?<=a)b"})j", "looks behind"},
        Row{R"j({"pattern":"(a)\\1"})j", "refers back"},
        Row{R"({"pattern":"\\bx"})", "word boundary"},
        Row{R"({"pattern":"x{5"})", "broken repetition"},
        Row{R"({"pattern":"[a"})", "unbalanced bracket"},
        Row{R"({"$ref":"#/$defs/none"})", "nowhere"},
        Row{R"({"$ref":"http://example.org/s"})", "same schema"},
        Row{R"({"type":"integer","minimum":5,"maximum":4})", "no number"},
        Row{R"({"type":"text"})", "unknown type"},
        Row{R"({"$ref":"#"})", "circle"},
        Row{"3", "must be an object"},
        Row{"false", "false"},
        Row{R"({"required":["b"],"properties":{"a":{}},"additionalProperties":false})",
            "excluded by other keywords: 'b'"},
        Row{R"({"allOf":[{"type":"string"},{"type":"integer"}]})", "exclude each other"},
        Row{R"({"type":"string","enum":[1,2]})", "no value of enum"},
        Row{R"({"const":1,"type":"string"})", "const"},
        Row{R"({"minLength":5,"maxLength":4})", "minLength"},
        Row{R"({"pattern":"^a$","minLength":2})", "no text"},
        Row{R"({"type":"array","minItems":3,"maxItems":2})", "minItems"},
        Row{R"({"multipleOf":4097})", "multipleOf"},
        Row{R"({"multipleOf":0})", "multipleOf"},
        Row{R"({"not":{"items":{"type":"null"}}})", "items"},
        Row{R"({"not":{}})", "no value"},
        Row{R"({"properties":{"a":{"$ref":"#"}},"required":["a"]})", "no value meets it"},
        Row{R"({"minimum":"5"})", "must be a number"},
        Row{R"({"minLength":-1})", "whole number"},
        Row{R"({"minProperties":3,"properties":{"a":{}},"additionalProperties":false})",
            "minProperties"},
        Row{R"({"$id":"http://a/","items":{"$id":"http://b/","$ref":"#/x"}})", "$id"}}) {
    EXPECT(f.compile(row.schema) == nullptr);
    if (f.said.find(row.word) == std::string_view::npos) test.report(__FILE__, __LINE__, f.said);
  }
}

// Every one of these would cost gigabytes or minutes if its work were not counted.
TEST(grammar_schema, hostile_schemas_are_refused_early) {
  SchemaFixture f;
  for (std::string_view text :
       {R"j({"pattern":"^(a|b)*a(a|b){20}$"})j", R"j({"pattern":"((a{100}){100}){100}"})j",
        R"j({"pattern":"(.*){1,16000}(.*){1,16000}"})j",
        R"j({"pattern":"^(.{0,2000}x){0,8}$","maxLength":100000})j",
        R"({"multipleOf":1021,"minimum":1000000001,"maximum":9000000001})"}) {
    EXPECT(f.compile(text) == nullptr);
    EXPECT(f.said.find("too much") != std::string_view::npos ||
           f.said.find("too many") != std::string_view::npos);
  }
  // 2^40 combinations of branches.
  std::string text = "{\"allOf\":[";
  for (int i = 0; i < 40; i++) {
    std::string n = std::to_string(i);
    text += (i > 0 ? ",{\"anyOf\":[{\"required\":[\"a" : "{\"anyOf\":[{\"required\":[\"a") + n +
            "\"]},{\"required\":[\"b" + n + "\"]}]}";
  }
  EXPECT(f.compile(text + "]}") == nullptr);
  EXPECT(!f.said.empty());
  // A choice in each of many dependencies.
  text = "{\"dependentRequired\":{\"a\":[]";
  for (int i = 0; i < 60; i++)
    text += ",\"n" + std::to_string(i) + "\":[\"m" + std::to_string(i) + "\"]";
  EXPECT(f.compile(text + "}}") == nullptr);
}

// GBNF of any origin: ways that never end are not taken, and a grammar that has no other is
// refused.
TEST(grammar_schema, dead_ends_are_removed) {
  SchemaFixture f;
  auto grammar = f.gbnf("root ::= \"a\" (\"b\" | \"c\" never)\nnever ::= \"d\" never");
  EXPECT(matches(grammar, "ab"));
  REQUIRE(grammar != nullptr);
  auto state = std::move(*ai::GrammarState::create(*grammar));
  EXPECT(state->accept('a') && !state->accept('c') && state->accept('b'));
  EXPECT(f.gbnf("root ::= \"a\" root") == nullptr);
  EXPECT(f.said.find("no text that ends") != std::string_view::npos);
}
