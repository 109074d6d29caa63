// SPDX-License-Identifier: GPL-2.0-or-later
// Receipts over the API: where each answer carries one, what gets none, and /v1/receipts.
#include "ai/openai/receipt.h"

#include <fstream>

#include "ai/openai/receipt_replay.h"
#include "kernel/base/test.h"
#include "tests/hosted/ai/openai/test_server.h"

using Server = ApiTestServer;
using Answer = ApiTestServer::Answer;

namespace {

// The receipts in an answer or a stream: each object that begins with its version.
std::vector<std::string> receipts_in(const String& body) {
  std::vector<std::string> all;
  constexpr std::string_view kBegin = "{\"receipt_version\"", kEnd = "\"}";
  for (usize at = body.view().find(kBegin); at != std::string_view::npos;
       at = body.view().find(kBegin, at + 1)) {
    usize end = body.view().find(kEnd, body.view().find("\"signature\":\"", at));
    all.emplace_back(body.view().substr(at, end + kEnd.size() - at));
  }
  return all;
}

struct Way {
  std::string_view path, body;
};
constexpr Way kWays[] = {
    {"/v1/chat/completions", R"("messages":[{"role":"user","content":"Hi"}])"},
    {"/v1/completions", R"("prompt":"Hi","max_tokens":50)"},
    {"/completion", R"("prompt":"Hi")"},
    {"/v1/messages", R"("max_tokens":50,"messages":[{"role":"user","content":"Hi"}])"},
    {"/v1/responses", R"("input":"Hi")"},
    {"/api/chat", R"("messages":[{"role":"user","content":"Hi"}])"},
    {"/api/generate", R"("prompt":"Hi")"},
};

Answer ask(Server& s, const Way& way, std::string_view more) {
  String body;
  base::StringWriter out(body);
  base::format_to(out, "{{\"model\":\"tiny\",{}{}}", way.body, more);
  return s.post(way.path, body.view());
}

}  // namespace

TEST(receipt_routes, every_api_carries_one) {
  for (const Way& way : kWays)
    for (std::string_view stream : {"false", "true"}) {
      Server s;
      String more;
      base::StringWriter out(more);
      base::format_to(out, ",\"stream\":{},\"receipt\":true", stream);
      Answer r = ask(s, way, more.view());
      EXPECT_EQ(r.status, 200);
      auto found = receipts_in(r.body);
      if (found.size() != 1) test.report(__FILE__, __LINE__, way.path.data());
      REQUIRE(found.size() == 1);
      Answer judged = s.post("/v1/receipts/verify", found[0]);
      EXPECT_EQ(judged.status, 200);
      EXPECT_HAS(judged.body, "\"valid\":true");
      EXPECT_HAS(judged.body, "\"text\":\"Hello world\"");
      // Without the field there is none.
      EXPECT(
          receipts_in(ask(s, way, stream == "true" ? ",\"stream\":true" : ",\"stream\":false").body)
              .empty());
    }
}

TEST(receipt_routes, each_choice_has_its_own) {
  Server s;
  Answer r = s.chat(R"(,"n":3,"seed":10,"receipt":true)");
  auto document = json::Document::parse(r.body.view());
  REQUIRE(document.has_value());
  json::Value list = document->root().find("receipts");
  EXPECT_EQ(list.size(), 3u);
  i64 seed = 10;
  for (json::Value one : list.elements()) {
    char digits[8];
    EXPECT_EQ(one.find("parameters").find("seed").text(), base::format_into(digits, "{}", seed++));
  }
  EXPECT(!document->root().find("receipt").present());
  EXPECT_EQ(receipts_in(s.chat(R"(,"n":2,"stream":true,"receipt":true)").body).size(), 2u);
}

TEST(receipt_routes, every_setting_of_the_samplers_is_in_it) {
  constexpr std::string_view kRows[][2] = {
      {R"(,"samplers":["temperature","top_k"])", R"("samplers":["temperature","top_k"])"},
      {R"(,"samplers":["top_k","temperature"])", R"("samplers":[])"},
      {R"(,"dry_sequence_breakers":["x","é"],"dry_multiplier":1)", R"("dry_breakers":["x","é"])"},
      {R"(,"dry_penalty_last_n":9)", R"("dry_last_n":9)"},
      {R"(,"logit_bias":{"AB":-1.5,"67":false})",
       R"("logit_bias":[[65,-1500],[66,-1500],[67,null]])"},
      {R"(,"ignore_eos":true)", R"("logit_bias":[[256,null]])"},
  };
  for (const auto& row : kRows) {
    Server s;
    String more;
    MUST(more.append(row[0]));
    MUST(more.append(R"(,"max_tokens":5,"receipt":true)"));
    Answer r = s.chat(more.view());
    EXPECT_HAS(r.body, row[1]);
    auto found = receipts_in(r.body);
    REQUIRE(found.size() == 1);
    EXPECT_HAS(s.post("/v1/receipts/verify", found[0]).body, R"("valid":true)");
  }
}

TEST(receipt_routes, grammars_are_in_it_and_are_compiled_again) {
  constexpr std::string_view kFormats[] = {
      R"(,"grammar":"root ::= [a-zA-Z ]+")",
      R"(,"response_format":{"type":"json_object"})",
      R"(,"response_format":{"type":"json_schema","json_schema":{"schema":{"type":"string","description":"\u0000\n"}}})",
      R"(,"response_format":{"type":"json_schema","json_schema":{"strict":false,"schema":{"not":{"pattern":"(?=a)b"}
}
}
})",
  };
  constexpr std::string_view kKinds[] = {"gbnf", "gbnf", "schema", "loose_schema"};
  for (usize i = 0; i < std::size(kFormats); i++) {
    Server s;
    String more;
    MUST(more.append(kFormats[i]));
    MUST(more.append(R"(,"max_tokens":5,"receipt":true)"));
    Answer r = s.chat(more.view());
    auto found = receipts_in(r.body);
    REQUIRE(found.size() == 1);
    auto document = json::Document::parse(found[0]);
    REQUIRE(document.has_value());
    EXPECT_EQ(document->root().find("grammar").find("kind").text(), kKinds[i]);
    EXPECT(!document->root().find("grammar").find("text").text().empty());
    EXPECT_EQ(s.post("/v1/receipts/verify", found[0]).status, 200);
  }
}

TEST(receipt_routes, what_cannot_be_verified_gets_none) {
  Server s;
  struct Row {
    const char *more, *says;
  };
  const Row rows[] = {{R"(,"receipt":true,"truncation":"auto")", "truncation"},
                      {R"(,"receipt":1)", "'receipt' must be true or false"}};
  for (const Row& row : rows) {
    Answer r = s.chat(row.more);
    EXPECT_EQ(r.status, 400);
    EXPECT_HAS(r.body, row.says);
    EXPECT_HAS(r.body, "\"param\":\"receipt\"");
  }
  Answer none = s.post("/v1/completions", R"({"prompt":"Hi","max_tokens":0,"receipt":true})");
  EXPECT_EQ(none.status, 400);
  s.backend.has_key = false;
  EXPECT_HAS(s.chat(R"(,"receipt":true)").body, "no key to sign receipts");
  EXPECT_EQ(s.call("GET", "/v1/receipts/key", "").status, 404);
  s.backend.has_key = true;
  s.backend.hash_problem.what = "it is a llama2.c checkpoint";
  Answer r = s.chat(R"(,"receipt":true)");
  EXPECT_EQ(r.status, 400);
  EXPECT_HAS(r.body, "llama2.c");
}

TEST(receipt_routes, requests_wait_until_the_model_is_hashed) {
  Server s;
  s.backend.hash_polls = 20;
  u64 before = s.backend.now;
  Answer r = s.chat(R"(,"receipt":true)");
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(receipts_in(r.body).size(), 1u);
  EXPECT(s.backend.now - before > 15'000'000);
  // A client that leaves meanwhile leaves nothing behind.
  s.backend.hash_polls = 1000;
  ApiTestReply reply;
  s.begin("/v1/completions", R"({"prompt":"Hi","receipt":true})", reply);
  s.turn();
  EXPECT(!s.service->idle());
  s.service->gone(reply);
  s.turn();
  EXPECT(s.service->idle());
}

TEST(receipt_routes, verify_says_what_is_wrong) {
  Server s;
  const std::string whole = receipts_in(s.chat(R"(,"receipt":true,"temperature":0)").body).at(0);
  auto with = [&](std::string_view from, std::string_view to) {
    std::string other = whole;
    usize at = other.find(from);
    ASSERT(at != other.npos);
    return other.replace(at, from.size(), to);
  };
  // In another object, and written in another way, it is the same.
  EXPECT_HAS(s.post("/v1/receipts/verify", "{\"receipt\":" + whole + "}").body, "\"valid\":true");
  EXPECT_HAS(s.post("/v1/receipts/verify", with(",\"answer\"", " ,\n\"answer\"")).body,
             "\"valid\":true");
  Answer r = s.post("/v1/receipts/verify", with("\"top_k\":40", "\"top_k\":41"));
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(r.body, "\"valid\":false");
  EXPECT_HAS(r.body, "\"stage\":\"signature\"");
  EXPECT_EQ(s.post("/v1/receipts/verify", "{}").status, 400);
  EXPECT_HAS(s.post("/v1/receipts/verify", with("\"answer\"", "\"ansver\"")).body, "'answer'");
  // Another text comes out.
  s.backend.fake.script = "Hello there";
  r = s.post("/v1/receipts/verify", whole);
  EXPECT_HAS(r.body, "\"stage\":\"step\"");
  EXPECT_HAS(r.body, "\"step\":6,\"recorded\":119,\"replayed\":116");
  EXPECT_HAS(r.body, "\"verified_tokens\":6");
  s.backend.fake.script = "Hello";
  EXPECT_HAS(s.post("/v1/receipts/verify", whole).body, "\"stage\":\"end\"");
  s.backend.fake.script = "Hello world";
  s.backend.fake.refuse = "too few pages are free";
  r = s.post("/v1/receipts/verify", whole);
  EXPECT(r.status == 429 || r.status == 503);
  s.backend.fake.refuse = nullptr;
  // Another model, a smaller context.
  s.backend.hash[5] = 77;
  r = s.post("/v1/receipts/verify", whole);
  EXPECT_EQ(r.status, 409);
  EXPECT_HAS(r.body, "010203000000");
  EXPECT_HAS(r.body, "01020300004d");
  s.backend.hash[5] = 0;
  s.backend.fake.set_context(100);
  r = s.post("/v1/receipts/verify", whole);
  EXPECT_EQ(r.status, 409);
  EXPECT_HAS(r.body, "context=200");
}

TEST(receipt_routes, verifying_ends_with_its_client) {
  Server s;
  const std::string whole = receipts_in(s.chat(R"(,"receipt":true)").body).at(0);
  ApiTestReply reply;
  const base::HttpHeader headers[] = {{"Host", "localhost"}, {"Content-Type", "application/json"}};
  s.service->handle({.method = "POST",
                     .path = "/v1/receipts/verify",
                     .query = {},
                     .headers = headers,
                     .body = whole},
                    "127.0.0.1:9", reply);
  EXPECT(!s.service->idle());
  s.service->gone(reply);
  s.run();
  EXPECT(s.service->idle() && !reply.done);
}

TEST(receipt_routes, the_key_is_public_and_verifying_is_not) {
  ai::openai::ServiceOptions options;
  MUST(options.api_keys.push_back(MUST(String::from("secret"))));
  Server s(std::move(options));
  Answer key = s.call("GET", "/v1/receipts/key", "");
  EXPECT_EQ(key.status, 200);
  EXPECT_HAS(key.body, "\"algorithm\":\"ed25519\"");
  EXPECT_EQ(s.post("/v1/receipts/verify", "{}").status, 401);
}

// The seeds of the fuzzer were written by another program, from the page in the wiki alone.
TEST(receipt_routes, another_program_s_chain_is_the_same) {
  for (const char* name : {"plain", "length", "gbnf", "schema", "samplers"}) {
    std::ifstream in(std::string("tests/fuzz/corpus/receipt/") + name);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    auto document = json::Document::parse(text);
    REQUIRE(document.has_value());
    String problem;
    base::StringWriter why(problem);
    auto receipt = ai::openai::read_receipt(ai::openai::find_receipt(document->root()), why);
    if (!receipt.has_value()) test.report(__FILE__, __LINE__, std::string(problem.view()).c_str());
    REQUIRE(receipt.has_value());
    ApiTestEngine engine;
    ai::openai::ReceiptReplay replay(*receipt, *ai::openai::StepChain::create(*receipt));
    EXPECT(replay.run(engine, nullptr).has_value());
    if (replay.fault().stage != ai::openai::ReceiptFault::Stage::kNone)
      test.report(__FILE__, __LINE__, replay.fault().what);
  }
}
