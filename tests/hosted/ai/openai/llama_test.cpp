// SPDX-License-Identifier: GPL-2.0-or-later
// Clients of llama-server find its biases, prompts, errors and names of things.
#include "tests/hosted/ai/openai/test_server.h"

using base::HttpHeader;
using Server = ApiTestServer;
using Answer = ApiTestServer::Answer;

namespace {

Answer with_bias(Server& s, std::string_view bias) {
  String body;
  base::StringWriter out(body);
  base::format_to(out, R"({{"prompt":"x","n_predict":2,"logit_bias":{}})", bias);
  return s.post("/completion", body.view());
}

}  // namespace

TEST(llama_clients, biases_are_for_ids_and_for_texts) {
  struct Row {
    std::string_view bias, told;
  };
  for (const Row& row :
       {Row{R"({"65":-100})", R"([{"bias":-100.000,"token":65}])"},
        Row{R"({"AB":0.5})", R"([{"bias":0.500,"token":65},{"bias":0.500,"token":66}])"},
        Row{R"({"6 ":false})", R"([{"bias":null,"token":54},{"bias":null,"token":32}])"},
        Row{R"([[65,1],["B",false]])", R"([{"bias":1.000,"token":65},{"bias":null,"token":66}])"},
        Row{R"([["65",1]])", R"([{"bias":1.000,"token":54},{"bias":1.000,"token":53}])"},
        Row{"{}", "[]"}, Row{"[]", "[]"}}) {
    Server s;
    Answer r = with_bias(s, row.bias);
    EXPECT_EQ(r.status, 200);
    String wanted;
    base::StringWriter out(wanted);
    base::format_to(out, "\"logit_bias\":{},", row.told);
    EXPECT_HAS(r.body, wanted.view());
  }
  Server s;
  for (std::string_view bad :
       {"7", R"("x")", "[7]", "[[7]]", "[[7,1,2]]", R"([["",1]])", R"([[-1,1]])", R"([[65,true]])",
        R"({"999":1})", R"({"65":1001})", R"({"65":null})", R"([[null,1]])"}) {
    Answer r = with_bias(s, bad);
    if (r.status != 400 || !has(r.body, R"("param":"logit_bias")"))
      test.report(__FILE__, __LINE__, bad);
  }
  String longest;
  base::StringWriter out(longest);
  base::format_to(out, "{{\"");
  for (u32 i = 0; i < 257; i++) out.write("a");
  out.write("\":1}");
  EXPECT_HAS(with_bias(s, longest.view()).body, "1 to 256 bytes");
}

TEST(llama_clients, who_ignores_the_end_gets_none) {
  Server s;
  Answer r = s.post("/completion", R"({"prompt":"x","n_predict":2,"ignore_eos":true})");
  EXPECT_HAS(r.body, R"("logit_bias":[{"bias":null,"token":256}],"ignore_eos":true)");
  REQUIRE(s.backend.fake.last_bias.size() == 1);
  EXPECT_EQ(s.backend.fake.last_bias[0].bias_milli, ai::LogitBias::kNever);
}

TEST(llama_clients, prompts_of_ids_and_texts) {
  struct Row {
    std::string_view prompt, read;
    u32 answers = 1;
  };
  for (const Row& row :
       {Row{"[65,66]", "AB"}, Row{R"([65,"xy",66,"z"])", "AxyBz"},
        Row{R"(["xy",66])", "^xyB"},  // begins as every text does
        Row{R"([[65,"x"],[66]])", "B", 2}, Row{R"(["a",{"prompt_string":"b"}])", "^b", 2},
        Row{R"({"prompt_string":"b","multimodal_data":[]})", "^b"},
        Row{R"({"content":[{"type":"text","text":"a "},{"type":"text","text":"b"}]})", "^a b"}}) {
    for (std::string_view path : {"/completion", "/v1/completions"}) {
      Server s;
      s.backend.fake.begin_texts_with('^');
      String body;
      base::StringWriter out(body);
      base::format_to(out, R"({{"prompt":{},"max_tokens":1})", row.prompt);
      Answer r = s.post(path, body.view());
      if (r.status != 200 || s.backend.fake.last_prompt.view() != row.read ||
          count(r.body, R"("index":)") != row.answers)
        test.report(__FILE__, __LINE__, row.prompt);
    }
    Server s;
    String body;
    base::StringWriter out(body);
    base::format_to(out, R"({{"input":{}})", row.prompt);
    EXPECT_EQ(count(s.post("/v1/embeddings", body.view()).body, R"("index":)"), row.answers);
  }
  Server s;
  for (std::string_view bad :
       {R"([65,-1])", R"([65,null])", R"([["a"]])", R"([[65],[]])", R"({"content":"x"})",
        R"({"content":[{"type":"image_url"}]})", R"({"content":[7]})", R"([65,[66]])",
        R"({"prompt_string":"b","multimodal_data":["x"]})"}) {
    String body;
    base::StringWriter out(body);
    base::format_to(out, R"({{"prompt":{},"input":{}})", bad, bad);
    for (std::string_view path : {"/completion", "/v1/completions", "/v1/embeddings"})
      if (s.post(path, body.view()).status != 400) test.report(__FILE__, __LINE__, bad);
  }
}

TEST(llama_clients, each_prompt_of_a_list_has_the_seed_of_the_request) {
  Server s;
  s.backend.fake.varied = true;  // the logarithm tells the seed
  Answer r = s.post("/completion", R"({"prompt":["A","B"],"seed":1,"n_predict":1,"n_probs":1})");
  EXPECT_EQ(count(r.body, R"("logprob":-0.003000)"), 4u);
}

TEST(llama_clients, each_path_has_the_errors_of_its_server) {
  ai::openai::ServiceOptions options;
  MUST(options.api_keys.push_back(MUST(String::from("secret"))));
  Server s(std::move(options));
  const HttpHeader wrong[] = {{"Host", "localhost"}, {"Authorization", "Bearer other"}};
  Answer r = s.post("/completion", R"({"prompt":"x"})");
  EXPECT_EQ(r.status, 401);
  EXPECT_HAS(r.body, R"("type":"authentication_error","param":null,"code":401,)"
                     R"("reason":"invalid_api_key")");
  EXPECT_HAS(r.body, "no API key was sent");
  r = s.call("POST", "/v1/completions", "{}", wrong);
  EXPECT_EQ(r.status, 401);
  EXPECT_HAS(r.body, R"("type":"invalid_request_error","param":null,"code":"invalid_api_key")");
  EXPECT_HAS(r.body, "Invalid API Key");
  const HttpHeader right[] = {{"Host", "localhost"}, {"Authorization", "Bearer secret"}};
  r = s.call("GET", "/nowhere", "", right);
  EXPECT_HAS(r.body, R"("type":"not_found_error","param":null,"code":404)");
  r = s.call("GET", "/v1/nowhere", "", right);
  EXPECT_HAS(r.body, R"("type":"invalid_request_error","param":null,"code":"not_found")");
  r = s.call("POST", "/completion", "{", right);
  EXPECT_EQ(r.status, 400);
  EXPECT_HAS(r.body, R"("type":"invalid_request_error","param":null,"code":400)");
  // A stream that has begun keeps the form.
  s.backend.fake.refuse = "no room";
  r = s.call("POST", "/completion", R"({"prompt":"x"})", right);
  EXPECT_EQ(r.status, 429);
  EXPECT_HAS(r.body, R"("code":429)");
  s.backend.fake.refuse = nullptr;
  String body;
  base::StringWriter out(body);
  base::format_to(out, R"({{"prompt":")");
  for (u32 i = 0; i < 300; i++) out.write("B");
  out.write("\"}");
  r = s.call("POST", "/completion", body.view(), right);
  EXPECT_HAS(r.body, R"("type":"exceed_context_size_error")");
  EXPECT_HAS(r.body, R"("n_ctx":200)");
}

TEST(llama_clients, paths_without_v1_have_its_answers) {
  Server s;
  Answer r = s.post("/completions", R"({"prompt":"x","n_predict":2})");
  EXPECT_HAS(r.body, R"("content":"He")");
  r = s.post("/embeddings", R"({"input":["A","B"]})");
  EXPECT(r.body.view().starts_with(R"([{"index":0,"embedding":[[)"));
  EXPECT_EQ(count(r.body, "[["), 2u);
  EXPECT(json::Document::parse(r.body.view()).has_value());
  EXPECT_EQ(s.post("/embedding", R"({"content":"A"})").status, 200);
  EXPECT_EQ(s.post("/embedding", "{}").status, 400);
}

TEST(llama_clients, props_and_models_tell_path_and_aliases) {
  ai::openai::ServiceOptions options = Server::opened();
  options.aliases = "small=tiny,other=nobody,mini=tiny.gguf";
  Server s(std::move(options));
  EXPECT_HAS(s.call("GET", "/props", "").body,
             R"("model_path":"tiny","model_alias":"tiny","aliases":["small","mini"])");
  s.backend.path = "/disk/models/tiny.gguf";
  EXPECT_HAS(s.call("GET", "/props", "").body, R"("model_path":"/disk/models/tiny.gguf")");
  Answer r = s.call("GET", "/v1/models", "");
  EXPECT_EQ(count(r.body, R"("aliases":["small","mini"],"tags":[])"),
            3u);  // its own row and theirs
}

TEST(llama_clients, a_full_context_shifts_where_the_server_says_so) {
  for (bool shifts : {false, true}) {
    ai::openai::ServiceOptions options = Server::opened();
    options.shifts = shifts;
    Server s(std::move(options));
    (void)s.post("/completion", R"({"prompt":"x"})");
    EXPECT_EQ(s.backend.fake.last_slide, shifts);
    (void)s.post("/completion", R"({"prompt":"x","truncation":"disabled"})");
    EXPECT(!s.backend.fake.last_slide);
    (void)s.post("/completion", R"({"prompt":"x","truncation":"auto"})");
    EXPECT(s.backend.fake.last_slide);
    // An answer with a receipt drops nothing, and a prompt that is too long is refused all the
    // same.
    EXPECT_EQ(s.post("/completion", R"({"prompt":"x","receipt":true})").status, 200);
    EXPECT(!s.backend.fake.last_slide);
    s.backend.fake.set_context(3);
    EXPECT_EQ(s.post("/completion", R"({"prompt":"xyzxyz"})").status, 400);
  }
}

TEST(llama_clients, messages_are_counted) {
  Server s;
  for (std::string_view path :
       {"/v1/chat/completions/input_tokens", "/chat/completions/input_tokens"}) {
    Answer r = s.post(path, R"({"messages":[{"role":"user","content":"Hi"}]})");
    EXPECT_EQ(r.body.view(), R"({"input_tokens":8})");
    EXPECT_EQ(s.post(path, "{}").status, 400);
  }
}

TEST(llama_clients, a_last_message_is_continued_by_name) {
  Server s;
  auto ask = [&](std::string_view last, std::string_view more) {
    String body;
    base::StringWriter out(body);
    base::format_to(
        out, R"({{"messages":[{{"role":"user","content":"a"},{{"role":"{}","content":"b"}]{})",
        last, more);
    out.write("}");
    return s.post("/v1/chat/completions", body.view());
  };
  EXPECT_EQ(ask("assistant", R"(,"continue_final_message":true)").status, 200);
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "user:a\nassistant:b");
  EXPECT_EQ(
      ask("assistant", R"(,"continue_final_message":true,"add_generation_prompt":false)").status,
      200);
  EXPECT_EQ(
      ask("assistant", R"(,"continue_final_message":true,"add_generation_prompt":true)").status,
      400);
  EXPECT_HAS(ask("user", R"(,"continue_final_message":true)").body, "continue_final_message");
}
