// SPDX-License-Identifier: GPL-2.0-or-later
// Grammars of requests: compiled once, shared by all choices, kept for the next request.
#include "ai/text/grammar_schema.h"
#include "tests/hosted/ai/openai/test_server.h"

namespace {

constexpr std::string_view kYes =
    R"({"prompt":["a","b"],"n":3,"max_tokens":8,"grammar":"root ::= \"yes\""})";

String with_grammar(u32 number) {
  String body;
  base::StringWriter out(body);
  base::format_to(out, R"({{"prompt":"a","max_tokens":8,"grammar":"root ::= \"n{}\""})", number);
  return body;
}

// Grammars compiled for the current model since it was loaded.
u64 compiled(ApiTestServer& s) {
  ai::Lease lease = MUST(s.backend.lease(""));
  return MUST(s.service->memory_of(lease))->grammars.compiled();
}

}  // namespace

TEST(openai_grammar, is_compiled_once_and_kept_for_the_next_request) {
  ApiTestServer s;
  EXPECT_EQ(count(s.post("/v1/completions", kYes).body, "\"yes\""), 6u);
  EXPECT_EQ(compiled(s), 1u);
  EXPECT_EQ(count(s.post("/v1/completions", kYes).body, "\"yes\""), 6u);
  EXPECT_EQ(compiled(s), 1u);
  constexpr std::string_view kFormats[] = {
      R"(,"response_format":{"type":"json_object"})",
      R"(,"response_format":{"type":"json_schema","json_schema":{"schema":{"const":1}}})",
      R"(,"response_format":{"type":"json_schema","json_schema":{"schema":{"const":"1"}}})"};
  for (u64 i = 0; i < std::size(kFormats); i++)
    for (u32 again = 0; again < 2; again++) {
      EXPECT_EQ(s.chat(kFormats[i]).status, 200);
      EXPECT_EQ(compiled(s), 2 + i);
    }
  EXPECT_EQ(s.post("/v1/completions", R"({"prompt":"a","grammar":"root ::= x"})").status, 400);
  EXPECT_EQ(compiled(s), 4u);
  // Another model has other tokens.
  s.backend.models = s.backend.loaded = 2;
  s.backend.other_is_current = true;
  EXPECT_EQ(compiled(s), 0u);
  EXPECT_EQ(count(s.post("/v1/completions", kYes).body, "\"yes\""), 6u);
  EXPECT_EQ(compiled(s), 1u);
}

TEST(openai_grammar, stays_while_a_request_has_it) {
  ApiTestServer s;
  constexpr u32 kMany = ai::openai::GrammarCache::kMostKept * 2;
  ApiTestReply replies[kMany];
  for (u32 i = 0; i < kMany; i++) s.begin("/v1/completions", with_grammar(i).view(), replies[i]);
  s.run();
  for (u32 i = 0; i < kMany; i++) {
    char text[16];
    EXPECT_HAS(replies[i].body, base::format_into(text, "\"n{}\"", i));
  }
  EXPECT_EQ(compiled(s), u64{kMany});
  // The last are known still, the first have made room.
  (void)s.post("/v1/completions", with_grammar(kMany - 1).view());
  EXPECT_EQ(compiled(s), u64{kMany});
  (void)s.post("/v1/completions", with_grammar(0).view());
  EXPECT_EQ(compiled(s), u64{kMany} + 1);
}

TEST(openai_grammar, what_schemas_may_cost_is_looked_at_first) {
  ApiTestServer s;
  s.backend.fake.set_context(1 << 22);
  String values, texts;
  (void)values.append(
      R"(,"tools":[{"type":"function","function":{"name":"f","parameters":{"enum":[)");
  for (u32 i = 0; i < ai::kMaxSchemaValues; i++) (void)values.append("1,");
  (void)values.append(R"(1]}}}],"tool_choice":"required")");
  EXPECT_HAS(s.chat(values.view()).body, "values; at most 131072 are taken");
  (void)texts.append(R"(,"json_schema":{"type":"null","description":")");
  while (texts.size() < ai::Grammar::kMaxText)
    (void)texts.append("0123456789abcdef0123456789abcdef");
  (void)texts.append("01234567890123456789012345678901\"}");
  EXPECT_HAS(s.chat(texts.view()).body, "bytes of names and texts; at most 1048576 are taken");
  EXPECT_EQ(compiled(s), 0u);
}

// "strict": false lets a schema pass that cannot be enforced; without it the error names the
// keyword.
TEST(openai_grammar, strict_false_takes_what_cannot_be_enforced) {
  ApiTestServer s;
  s.backend.fake.set_context(4000);
  constexpr std::string_view kSchema = R"("schema":{"$dynamicRef":"#a"}}})";
  String strict, loose;
  (void)strict.append(R"(,"response_format":{"type":"json_schema","json_schema":{"name":"n",)");
  (void)loose.append(strict.view());
  (void)strict.append(kSchema);
  (void)loose.append(R"("strict":false,)");
  (void)loose.append(kSchema);
  for (int again = 0; again < 2; again++) {
    EXPECT_HAS(s.chat(strict.view()).body, "$dynamicRef");
    EXPECT_EQ(s.chat(loose.view()).status, 200);
  }
  constexpr std::string_view kTool =
      R"("name":"f","parameters":{"$dynamicRef":"#a"}}}],"tool_choice":"required","max_tokens":4)";
  strict.clear(), loose.clear();
  (void)strict.append(R"(,"tools":[{"type":"function","function":{)");
  (void)loose.append(strict.view());
  (void)strict.append(kTool);
  (void)loose.append(R"("strict":false,)");
  (void)loose.append(kTool);
  EXPECT_HAS(s.chat(strict.view()).body, "parameters of 'f'");
  EXPECT_EQ(s.chat(loose.view()).status, 200);
}
