// SPDX-License-Identifier: GPL-2.0-or-later
// Request fields that few clients send: each must have its effect, and answers must show it.
#include "kernel/base/test.h"
#include "tests/hosted/ai/openai/test_server.h"

using Server = ApiTestServer;
using Answer = ApiTestServer::Answer;

TEST(openai, the_stop_string_is_named) {
  Server s;
  Answer r = s.post("/completion", R"({"prompt":"x","stop":["zz"," w"]})");
  EXPECT_HAS(r.body, R"("content":"Hello")");
  EXPECT_HAS(r.body, R"("stop_type":"word","stopping_word":" w")");
  r = s.post("/completion", R"({"prompt":"x","stop":["zz"]})");
  EXPECT_HAS(r.body, R"("stop_type":"eos","stopping_word":"")");
  std::string_view ask = R"({"max_tokens":99,"messages":[{"role":"user","content":"x"}])";
  String body;
  base::StringWriter out(body);
  base::format_to(out, R"({},"stop_sequences":["or"]}})", ask);
  r = s.post("/v1/messages", body.view());
  EXPECT_HAS(r.body, R"("stop_reason":"stop_sequence","stop_sequence":"or")");
  body.clear();
  base::format_to(out, R"({},"stop_sequences":["or"],"stream":true}})", ask);
  r = s.post("/v1/messages", body.view());
  EXPECT_HAS(r.body, R"("stop_reason":"stop_sequence","stop_sequence":"or")");
}

TEST(openai, streams_tell_what_was_asked_of_them) {
  Server s;
  Answer r = s.chat(R"(,"stream":true,"stream_options":{"include_usage":true})");
  EXPECT_EQ(count(r.body, "\"usage\":null"), 13u);  // in each chunk but the last
  EXPECT_EQ(count(r.body, "\"timings\""), 2u);      // of the choice, of all
  r = s.chat(R"(,"stream":true,"timings_per_token":true)");
  EXPECT_EQ(count(r.body, "\"timings\":{\"prompt_n\":8,\"predicted_n\":"), 12u);
  EXPECT_HAS(r.body, R"("predicted_n":11)");
  EXPECT(!has(s.chat(R"(,"stream":true)").body, "prompt_progress"));
  std::string_view progress = R"("prompt_progress":{"total":8,"processed":8,"time_ms":)";
  EXPECT_HAS(s.chat(R"(,"stream":true,"return_progress":true)").body, progress);
  r = s.post("/completion", R"({"prompt":"12345678","stream":true,"return_progress":true})");
  EXPECT_HAS(r.body, progress);
}

TEST(openai, a_prompt_may_be_all_that_is_read) {
  Server s;
  Answer r = s.post("/completion", R"({"prompt":"abc","n_predict":0})");
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(r.body, R"("content":"")");
  EXPECT_HAS(r.body, R"("tokens_predicted":0)");
  r = s.post("/v1/completions", R"({"prompt":"abc","max_tokens":0})");
  EXPECT_HAS(r.body, R"("completion_tokens":0)");
  EXPECT_EQ(s.chat(R"(,"max_tokens":0)").status, 400);
}

TEST(openai, echo_tells_how_probable_the_prompt_is) {
  Server s;
  for (std::string_view most : {"0", "2"}) {
    String body;
    base::StringWriter out(body);
    base::format_to(out, R"({{"prompt":["AB",[67,68]],"echo":true,"logprobs":1,"max_tokens":{}}})",
                    most);
    Answer r = s.post("/v1/completions", body.view());
    EXPECT_EQ(r.status, 200);
    auto document = json::Document::parse(r.body.view());
    REQUIRE(document.has_value());
    json::Value choices = document->root().find("choices");
    EXPECT_EQ(choices.size(), 2u);
    EXPECT_EQ(choices.at(0).find("text").text(), most == "0" ? "AB" : "ABHe");
    json::Value list = choices.at(0).find("logprobs");
    EXPECT_EQ(list.find("tokens").size(), most == "0" ? 2u : 4u);
    EXPECT_EQ(list.find("tokens").at(1).text(), "B");
    EXPECT(list.find("token_logprobs").at(0).is_null());
    EXPECT(list.find("top_logprobs").at(0).is_null());
    EXPECT_EQ(list.find("token_logprobs").at(1).text(), "-0.066000");
    EXPECT_EQ(list.find("top_logprobs").at(1).find("B").text(), "-0.066000");
    EXPECT_EQ(list.find("text_offset").at(1).text(), "1");
    EXPECT_EQ(choices.at(1).find("logprobs").find("tokens").at(0).text(), "C");
  }
  EXPECT_EQ(s.backend.fake.scored, 4u);
  Answer r = s.post("/v1/completions", R"({"prompt":"AB","echo":true,"logprobs":1,"stream":true})");
  EXPECT_HAS(r.body, R"("param":"stream")");
}

TEST(openai, nobody_scores_for_a_client_who_is_gone) {
  Server s;
  ApiTestReply reply;
  s.begin("/v1/completions", R"({"prompt":["AB","CD"],"echo":true,"logprobs":1,"max_tokens":1})",
          reply);
  EXPECT(s.backend.run_job());
  s.service->gone(reply);
  s.run();
  EXPECT(s.service->idle());
  EXPECT_EQ(s.backend.fake.scored, 1u);
}

TEST(openai, prompts_of_ids_and_texts) {
  Server s;
  EXPECT_EQ(s.post("/completion", R"({"prompt":[65,"BC",68]})").status, 200);
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "ABCD");
  EXPECT_EQ(s.chat(R"(,"logit_bias":[["AB",-1],[67,false]])").status, 200);
  EXPECT_EQ(s.backend.fake.last_bias.size(), 3u);
  EXPECT_EQ(s.chat(R"(,"repeat_last_n":-1)").status, 200);
  EXPECT_EQ(s.backend.fake.last_sampling.penalty_last_n, 1'000'000u);
}

TEST(openai, an_old_beginning_is_dropped_only_when_asked) {
  Server s;
  String body;
  base::StringWriter out(body);
  base::format_to(out, R"({{"prompt":"{:0300}X","n_predict":5)", 7);
  String plain;
  base::StringWriter(plain).write(body.view());
  base::StringWriter(plain).write("}");
  EXPECT_HAS(s.post("/completion", plain.view()).body, "context_length_exceeded");
  out.write(R"(,"truncation":"auto"})");
  Answer r = s.post("/completion", body.view());
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(r.body, R"("truncated":true)");
  EXPECT_EQ(s.backend.fake.last_prompt.size(), 100u);
  EXPECT(s.backend.fake.last_prompt.view().ends_with("7X"));
  EXPECT_EQ(s.chat(R"(,"truncation":"maybe")").status, 400);
}

TEST(openai, templates_are_told_how_much_to_think) {
  Server s;
  s.chat(R"(,"enable_thinking":false,"chat_template_kwargs":{"k":1})");
  EXPECT_EQ(s.backend.last_variables.view(), R"({"enable_thinking":false,"k":1})");
  s.chat(R"(,"reasoning_effort":"none")");
  EXPECT_EQ(s.backend.last_variables.view(),
            R"({"reasoning_effort":"none","enable_thinking":false})");
  s.post("/v1/responses", R"({"input":"x","reasoning":{"effort":"low"}})");
  EXPECT_EQ(s.backend.last_variables.view(), R"({"reasoning_effort":"low"})");
  s.post(
      "/v1/messages",
      R"({"max_tokens":9,"thinking":{"type":"disabled"},"messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(s.backend.last_variables.view(), R"({"enable_thinking":false})");
  s.chat("");
  EXPECT_EQ(s.backend.last_variables.view(), "null");
  EXPECT_EQ(s.chat(R"(,"enable_thinking":"x")").status, 400);
}

TEST(openai, what_a_server_tells_of_itself) {
  Server s;
  EXPECT_HAS(s.call("GET", "/props", "").body, R"("chat_template":"")");
  EXPECT_HAS(s.call("GET", "/metrics", "").body, "llamacpp:kv_cache_tokens 0\n");
  const base::HttpHeader json[] = {{"Accept", "application/json"}};
  Answer r = s.call("GET", "/metrics", "", json);
  EXPECT_EQ(r.type.view(), "application/json");
  auto document = json::Document::parse(r.body.view());
  REQUIRE(document.has_value());
  EXPECT_EQ(document->root().find("marrow_requests_total").text(), "0");
  EXPECT_HAS(s.post("/tokenize", "{\"content\":\"\xc3\xa9\",\"with_pieces\":true}").body,
             R"({"id":195,"piece":[195]})");
  EXPECT_HAS(s.post("/detokenize", R"({"tokens":"x"})").body, R"("param":"tokens")");
  Answer one = s.call("GET", "/v1/models", "");
  s.backend.now += 5'000'000'000;
  EXPECT_EQ(one.body.view(), s.call("GET", "/v1/models", "").body.view());
  r = s.post("/v1/responses", R"({"input":"x","metadata":{"k":"v"},"instructions":"I",)"
                              R"("max_output_tokens":4})");
  EXPECT_HAS(r.body, R"("instructions":"I","max_output_tokens":4)");
  EXPECT_HAS(r.body, R"("metadata":{"k":"v"})");
  EXPECT_HAS(s.post("/v1/responses", R"({"input":"x","max_output_tokens":-1})").body,
             R"("param":"max_output_tokens")");
}

// llama-server's own tests look for this.
TEST(openai, a_seed_that_is_told_can_be_sent_back) {
  Server s;
  s.backend.random_from = ~u64{0} - 100;
  Answer r = s.post("/completion", R"({"prompt":"x","temperature":1})");
  auto document = json::Document::parse(r.body.view());
  REQUIRE(document.has_value());
  Result<i64> seed = document->root().find("generation_settings").find("seed").integer();
  REQUIRE(seed.has_value());
  EXPECT(*seed > 0 && *seed < i64{1} << 53);
}

TEST(openai, a_last_message_of_the_assistant_is_continued) {
  Server s;
  constexpr std::string_view kBegun =
      R"("messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"I am"}])";
  struct Row {
    std::string_view path, before;
  };
  for (Row row : {Row{"/v1/chat/completions", "{"}, Row{"/v1/messages", R"({"max_tokens":9,)"},
                  Row{"/api/chat", R"({"stream":false,)"}}) {
    String body;
    base::StringWriter out(body);
    base::format_to(out, "{}{}}", row.before, kBegun);
    EXPECT_EQ(s.post(row.path, body.view()).status, 200);
    EXPECT(s.backend.fake.last_prompt.view().ends_with("user:Hi\nassistant:I am"));
  }
  String whole;
  base::StringWriter out(whole);
  base::format_to(out, "{{\"add_generation_prompt\":false,{}}", kBegun);
  EXPECT_EQ(s.post("/v1/chat/completions", whole.view()).status, 200);
  EXPECT(s.backend.fake.last_prompt.view().ends_with("assistant:I am\n"));
}

TEST(openai, what_was_cut_says_so_and_the_right_field_is_blamed) {
  Server s;
  s.backend.fake.full_at = 8;
  Answer r = s.post("/completion", R"({"prompt":"x"})");
  EXPECT_HAS(r.body, R"("truncated":true)");
  EXPECT_HAS(r.body, R"("stop_type":"limit")");
  String text;
  base::StringWriter out(text);
  for (u32 i = 0; i < 300; i++) out.write("B");
  struct Row {
    std::string_view path, before, param, code;
  };
  for (Row row : {Row{"/completion", R"("prompt":)", "prompt", R"("code":400,"reason":)"},
                  Row{"/v1/completions", R"("prompt":)", "prompt", R"("code":)"},
                  Row{"/v1/responses", R"("input":)", "input", R"("code":)"}}) {
    String body, wanted;
    base::StringWriter sink(body), param(wanted);
    base::format_to(sink, "{{{}\"{}\"}", row.before, text);
    base::format_to(param, R"("param":"{}",{}"context_length_exceeded")", row.param, row.code);
    EXPECT_HAS(s.post(row.path, body.view()).body, wanted.view());
  }
}

TEST(openai, a_text_begins_once) {
  Server s;
  s.backend.fake.begin_texts_with('^');
  Answer r = s.post("/v1/completions", R"({"prompt":"^x"})");  // as /apply-template gives it
  EXPECT_HAS(r.body, R"("prompt_tokens":2)");
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "^x");
  EXPECT_HAS(s.post("/v1/completions", R"({"prompt":"x"})").body, R"("prompt_tokens":2)");
}

// ---- llama-server's /completion

TEST(openai, a_completion_takes_a_list_of_prompts) {
  Server s;
  Answer r = s.post("/completion", R"({"prompt":["AB",[67,68]],"n_predict":2})");
  auto document = json::Document::parse(r.body.view());
  REQUIRE(document.has_value());
  EXPECT_EQ(document->root().size(), 2u);
  EXPECT_EQ(document->root().at(1).find("index").text(), "1");
  EXPECT_EQ(document->root().at(1).find("prompt").text(), "CD");
  EXPECT_EQ(document->root().at(1).find("content").text(), "He");
  EXPECT_EQ(document->root().at(0).find("tokens_evaluated").text(), "2");
  EXPECT_EQ(s.post("/completion", R"({"prompt":["AB"]})").body.view()[0], '{');
  r = s.post("/completion", R"({"prompt":[[65],{"prompt_string":"AB"}],"n_predict":2})");
  EXPECT_HAS(r.body, R"("prompt":"AB")");
  r = s.post("/completion", R"({"prompt":{"prompt_string":"A","multimodal_data":["aGk="]}})");
  EXPECT_EQ(r.status, 400);
  EXPECT_HAS(r.body, "leave out 'multimodal_data'");
  EXPECT_EQ(s.post("/completion", R"({"prompt":{"text":"A"}})").status, 400);
  r = s.post("/completion", R"({"prompt":["AB","C"],"n_predict":2,"stream":true})");
  EXPECT(events_are_json(r.body));
  EXPECT_EQ(count(r.body, R"({"index":1,"content":)"), 3u);
  EXPECT_HAS(r.body, R"("content":"H","tokens":[72],"stop":false)");
}

TEST(openai, a_completion_tells_only_what_was_asked) {
  Server s;
  Answer r = s.post("/completion",
                    R"({"prompt":"x","response_fields":["content","timings/predicted_n","none"]})");
  EXPECT_EQ(r.body.view(), R"({"content":"Hello world","timings/predicted_n":11})");
  for (std::string_view bad : {R"("content")", R"([1])", R"({})"}) {
    String body;
    base::StringWriter out(body);
    base::format_to(out, R"({{"prompt":"x","response_fields":{}})", bad);
    EXPECT_HAS(s.post("/completion", body.view()).body, R"("param":"response_fields")");
  }
  r = s.post("/completion", R"({"prompt":"x","n_probs":1,"n_predict":1})");
  EXPECT_HAS(r.body, R"("token":"H","logprob":-0.001000,"bytes":[72],"top_logprobs":[{"id":72,)"
                     R"("token":"H","logprob":-0.001000,"bytes":[72]}])");
}

TEST(openai, a_server_may_limit_answers_and_choose_the_seed) {
  ai::openai::ServiceOptions options = Server::opened();
  options.token_limit = 3;
  options.seed = 77;
  Server s(std::move(options));
  EXPECT_HAS(s.chat("").body, R"("content":"Hel")");
  EXPECT_EQ(s.backend.fake.last_sampling.seed, 77u);
  EXPECT_HAS(s.chat(R"(,"max_tokens":9,"seed":5)").body, R"("finish_reason":"length")");
  EXPECT_EQ(s.backend.fake.last_sampling.seed, 5u);
  EXPECT_HAS(s.chat(R"(,"max_tokens":2)").body, R"("content":"He")");
  EXPECT_HAS(s.post("/completion", R"({"prompt":"x","n_predict":-1})").body, R"("content":"Hel")");
}

TEST(openai, a_server_may_choose_how_it_samples) {
  ai::openai::ServiceOptions options = Server::opened();
  options.sampling = "temperature=.25, top_k=7,repeat_last_n=-1";
  Server s(std::move(options));
  const ai::SamplerParams& got = s.backend.fake.last_sampling;
  struct Row {
    std::string_view path, body;
    i32 top_p_milli, min_p_milli;  // what the option does not name is the route's own
  };
  constexpr Row kRows[] = {
      {"/completion", R"({"prompt":"x"})", 950, 50},
      {"/v1/completions", R"({"prompt":"x"})", 950, 50},
      {"/v1/chat/completions", R"({"messages":[{"role":"user","content":"x"}]})", 950, 50},
      {"/api/chat", R"({"messages":[{"role":"user","content":"x"}],"stream":false})", 900, 0},
      {"/api/generate", R"({"prompt":"x","raw":true,"stream":false})", 900, 0}};
  for (const Row& row : kRows) {
    EXPECT_EQ(s.post(row.path, row.body).status, 200);
    EXPECT_EQ(got.temperature_milli, 250);
    EXPECT_EQ(got.top_k, 7u);
    EXPECT_EQ(got.penalty_last_n, static_cast<u32>(ai::openai::kWholeContext));
    EXPECT_EQ(got.top_p_milli, row.top_p_milli);
    EXPECT_EQ(got.min_p_milli, row.min_p_milli);
  }
  const base::HttpHeader plain[] = {{"Host", "localhost"}, {"Content-Type", "text/plain"}};
  EXPECT_EQ(s.call("POST", "/completion", "x", plain).status, 200);
  EXPECT_EQ(got.temperature_milli, 250);
  EXPECT_EQ(s.post("/completion", R"({"prompt":"x","temperature":1.5,"top_k":3})").status, 200);
  EXPECT_EQ(got.temperature_milli, 1500);
  EXPECT_EQ(got.top_k, 3u);
  EXPECT_HAS(s.call("GET", "/props", "").body, R"("temperature":0.250)");
}

TEST(openai, a_server_does_not_start_with_sampling_that_is_wrong) {
  for (std::string_view bad : {"temperature", "temperature=hot", "temperature=-1", "top_k=1.5",
                               "top_k=-2", "mirostat=1", "seed=7", "=1", "top_p=0.9,,top_k=1",
                               "top_p=0.9;top_k=1", "temperature=0.7,frobnicate=1"}) {
    ApiTestBackend backend;
    ai::openai::ServiceOptions options = Server::opened();
    options.sampling = bad;
    if (ai::openai::Service::create(std::move(options), backend).has_value())
      test.report(__FILE__, __LINE__, bad);
  }
}

// A body of /completion with more fields, which begin with a comma.
namespace {
Answer complete(Server& s, std::string_view fields) {
  String body;
  base::StringWriter out(body);
  base::format_to(out, "{{\"prompt\":\"x\"{}}", fields);
  return s.post("/completion", body.view());
}
}  // namespace

TEST(openai, probabilities_after_sampling_have_their_own_names) {
  Server s;
  Answer r = complete(s, R"(,"n_probs":2,"n_predict":1,"post_sampling_probs":true)");
  EXPECT_HAS(r.body, R"("token":"H","prob":-0.000001000,"bytes":[72],"top_probs":[{"id":72,)"
                     R"("token":"H","prob":)");
  EXPECT_HAS(r.body, R"("post_sampling_probs":true)");
  EXPECT_EQ(s.backend.fake.after_sampling, 1u);
  r = complete(s, R"(,"n_probs":2,"n_predict":2,"post_sampling_probs":true,"stream":true)");
  EXPECT_EQ(count(r.body, R"("top_probs")"), 2u);
  EXPECT_HAS(complete(s, R"(,"post_sampling_probs":1)").body, R"("param":"post_sampling_probs")");
  EXPECT(!has(complete(s, R"(,"n_probs":1)").body, "top_probs"));
  EXPECT_EQ(s.backend.fake.after_sampling, 2u);
}

TEST(openai, samplers_in_order) {
  Server s;
  const ai::SamplerParams& p = s.backend.fake.last_sampling;
  constexpr std::string_view kParams =
      R"("temperature":0.5,"top_k":7,"min_p":0.1,"repeat_penalty":1.5,"dry_multiplier":0.8)";
  auto with = [&](std::string_view samplers) {
    String fields;
    base::StringWriter out(fields);
    base::format_to(out, ",{},\"samplers\":{}", kParams, samplers);
    return complete(s, fields.view());
  };
  // The usual order is no order of its own, and what is not named does nothing.
  EXPECT_EQ(
      with(R"(["penalties","dry","top_k","typ_p","top_p","min_p","xtc","temperature"])").status,
      200);
  EXPECT(!p.order.chosen && p.top_k == 7 && p.min_p_milli == 100 && p.dry_multiplier_milli == 800);
  EXPECT_EQ(with(R"(["top_k","temperature"])").status, 200);
  EXPECT(!p.order.chosen && p.top_k == 7 && p.min_p_milli == 0 && p.top_p_milli == 1000);
  EXPECT(p.repeat_penalty_milli == 1000 && p.dry_multiplier_milli == 0);
  EXPECT_EQ(p.temperature_milli, 500);
  Answer r = with(R"(["temperature","top_n_sigma","min_p"])");
  EXPECT_EQ(r.status, 200);
  EXPECT(p.order.chosen && p.order.count == 2);
  EXPECT(p.order.steps[0] == ai::SamplerStep::kTemperature);
  EXPECT(p.order.steps[1] == ai::SamplerStep::kMinP);
  EXPECT_HAS(r.body, R"("samplers":["penalties","dry","temperature","min_p"])");
  EXPECT_EQ(with(R"("edtk")").status, 200);
  EXPECT(p.order.chosen && p.order.count == 2 && p.repeat_penalty_milli == 1500);
  EXPECT_EQ(with("[]").status, 200);
  EXPECT(!p.order.chosen && p.top_k == 0 && p.temperature_milli == 1000);
  struct Row {
    std::string_view samplers, error;
  };
  constexpr Row kRows[] = {
      {R"(["top_k","penalties"])", "'penalties' cannot stand behind a sampler that leaves"},
      {R"(["top_k","dry"])", "'dry' cannot stand behind"},
      {R"(["dry","penalties"])", "'penalties' cannot stand behind 'dry'"},
      {R"(["infill"])", "'samplers' has 'infill'"},
      {R"("kq")", "'samplers' has 'q'"},
      {R"(["top_k","top_k"])", "'samplers' names 'top_k' twice"},
      {R"([3])", "'samplers' has '3'"},
      {"7", "'samplers' must be a list of names"}};
  for (const Row& row : kRows) {
    r = with(row.samplers);
    EXPECT_EQ(r.status, 400);
    EXPECT_HAS(r.body, row.error);
    EXPECT_HAS(r.body, R"("param":"samplers")");
  }
  EXPECT_HAS(complete(s, R"(,"top_n_sigma":1.5)").body, R"("param":"top_n_sigma")");
  EXPECT_EQ(complete(s, R"(,"top_n_sigma":-1)").status, 200);
}

TEST(openai, breakers_of_dry) {
  Server s;
  EXPECT_EQ(
      complete(s,
               R"(,"dry_multiplier":1,"dry_sequence_breakers":["\n",":"],"dry_penalty_last_n":9)")
          .status,
      200);
  EXPECT_EQ(s.backend.fake.last_breakers, 2u);
  EXPECT_EQ(s.backend.fake.last_sampling.dry_last_n, 9u);
  EXPECT_EQ(complete(s, "").status, 200);
  EXPECT_EQ(s.backend.fake.last_breakers, 0u);
  for (std::string_view bad : {"[]", R"("x")", R"([""])", "[1]"}) {
    String fields;
    base::StringWriter out(fields);
    base::format_to(out, ",\"dry_sequence_breakers\":{}", bad);
    EXPECT_HAS(complete(s, fields.view()).body, R"("param":"dry_sequence_breakers")");
  }
}

TEST(openai, settings_are_told_alike_everywhere) {
  Server s;
  Answer props = s.call("GET", "/props", "");
  Answer r = complete(s, R"(,"typ_p":0.5,"mirostat_tau":3)");
  for (const Answer* answer : {&props, &r})
    for (std::string_view name : {"temperature", "top_k", "typical_p", "repeat_penalty",
                                  "dry_penalty_last_n", "mirostat_tau", "samplers"}) {
      String field;
      base::StringWriter out(field);
      base::format_to(out, "\"{}\":", name);
      EXPECT_EQ(count(answer->body, field.view()), 1u);
    }
  EXPECT_HAS(r.body, R"("typical_p":0.500)");
  EXPECT_HAS(props.body, R"("dry_penalty_last_n":-1)");
}

TEST(openai, the_same_number_of_slots_everywhere) {
  Server s;
  auto document = json::Document::parse(s.call("GET", "/slots", "").body.view());
  REQUIRE(document.has_value());
  String wanted;
  base::StringWriter out(wanted);
  base::format_to(out, R"("total_slots":{},)", document->root().size());
  EXPECT_HAS(s.call("GET", "/props", "").body, wanted.view());
}

// ---- thoughts

namespace {
constexpr std::string_view kThinking = "<think>\nHm.\n</think>\n\nHello <b>";
}

TEST(openai, thoughts_are_no_part_of_the_answer) {
  Server s;
  s.backend.fake.set_template("{% if enable_thinking %}{% endif %}{{ messages[0].content }}");
  s.backend.fake.script = kThinking;
  Answer r = s.chat("");
  EXPECT_HAS(r.body, R"("content":"Hello <b>","reasoning_content":"Hm.","refusal":null)");
  EXPECT_HAS(r.body, R"("completion_tokens_details":{"reasoning_tokens":)");
  EXPECT(!has(r.body, R"("reasoning_tokens":0)"));
  r = s.chat(R"(,"stream":true)");
  EXPECT_HAS(r.body, R"("delta":{"reasoning_content":"H"})");
  EXPECT(!has(r.body, "think>"));
  EXPECT_HAS(s.chat(R"(,"reasoning_format":"none")").body, "<think>");
  EXPECT_HAS(s.chat(R"(,"reasoning_format":"x")").body, R"("param":"reasoning_format")");
  for (std::string_view stream : {"false", "true"}) {
    String body;
    base::StringWriter out(body);
    base::format_to(out, R"({{"input":"x","stream":{}})", stream);
    r = s.post("/v1/responses", body.view());
    EXPECT_HAS(r.body, R"("type":"reasoning","status":"completed","summary":[],"content":)"
                       R"([{"type":"reasoning_text","text":"Hm."}]})");
    EXPECT_HAS(r.body, R"("type":"output_text","text":"Hello <b>")");
  }
  EXPECT(events_are_json(r.body));
  EXPECT_HAS(r.body, R"("type":"response.reasoning_text.done")");
  constexpr std::string_view kAsk = R"("max_tokens":99,"messages":[{"role":"user","content":"x"}])";
  String body;
  base::StringWriter out(body);
  base::format_to(out, "{{{}}", kAsk);
  EXPECT_HAS(s.post("/v1/messages", body.view()).body,
             R"("content":[{"type":"thinking","thinking":"Hm.","signature":""},{"type":"text",)"
             R"("text":"Hello <b>"}])");
  body.clear();
  base::format_to(out, R"({{{},"stream":true})", kAsk);
  r = s.post("/v1/messages", body.view());
  EXPECT_HAS(r.body, R"("delta":{"type":"thinking_delta","thinking":"H"})");
  EXPECT_EQ(count(r.body, R"("type":"content_block_stop")"), 2u);
}

TEST(openai, a_server_may_keep_models_from_thinking) {
  ai::openai::ServiceOptions options = Server::opened();
  options.thinks = false;
  Server s(std::move(options));
  s.chat("");
  EXPECT_EQ(s.backend.last_variables.view(), R"({"enable_thinking":false})");
  s.chat(R"(,"enable_thinking":true)");
  EXPECT_EQ(s.backend.last_variables.view(), R"({"enable_thinking":true})");
  Server other;
  other.chat(R"(,"reasoning_budget":0)");
  EXPECT_EQ(other.backend.last_variables.view(), R"({"enable_thinking":false})");
  EXPECT_HAS(other.chat(R"(,"reasoning_budget":100)").body, R"("param":"reasoning_budget")");
}

TEST(openai, the_best_of_several_choices_are_answered) {
  Server s;
  s.backend.fake.varied = true;
  Answer r =
      s.post("/v1/completions",
             R"({"prompt":["AB","C"],"n":2,"best_of":3,"seed":0,"logprobs":0,"max_tokens":2})");
  auto document = json::Document::parse(r.body.view());
  REQUIRE(document.has_value());
  json::Value choices = document->root().find("choices");
  EXPECT_EQ(choices.size(), 4u);
  u32 index = 0;
  for (std::string_view wanted : {"-0.001000", "-0.002000", "-0.001000", "-0.002000"}) {
    json::Value choice = choices.at(index);
    EXPECT_EQ(*choice.find("index").integer(), static_cast<i64>(index));
    EXPECT_EQ(choice.find("logprobs").find("token_logprobs").at(1).text(), wanted);
    index++;
  }
  // All that was generated counts, the prompts once.
  EXPECT_HAS(r.body, R"("usage":{"prompt_tokens":3,"completion_tokens":12,)");
  r = s.post("/v1/completions", R"({"prompt":"AB","best_of":3,"seed":1,"max_tokens":0})");
  EXPECT_EQ(count(r.body, R"("index":)"), 1u);
}
