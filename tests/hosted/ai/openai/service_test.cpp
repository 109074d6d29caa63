// SPDX-License-Identifier: GPL-2.0-or-later
// The API without a network: every endpoint, streams, tools and errors; and slots become free
// again.
#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "tests/hosted/ai/openai/test_server.h"

using base::HttpHeader;
using Server = ApiTestServer;
using Answer = ApiTestServer::Answer;

TEST(openai, chat_whole) {
  Server s;
  Answer r = s.chat("");
  EXPECT_EQ(r.status, 200);
  auto document = json::Document::parse(r.body.view());
  REQUIRE(document.has_value());
  json::Value root = document->root(), choice = root.find("choices").at(0);
  EXPECT_EQ(root.find("object").text(), "chat.completion");
  EXPECT(root.find("id").text().starts_with("chatcmpl-"));
  EXPECT_EQ(choice.find("message").find("content").text(), "Hello world");
  EXPECT_EQ(choice.find("message").find("role").text(), "assistant");
  EXPECT_EQ(choice.find("finish_reason").text(), "stop");
  EXPECT(choice.find("logprobs").present() && choice.find("logprobs").is_null());
  EXPECT_EQ(root.find("usage").find("completion_tokens").text(), "11");
  EXPECT_EQ(root.find("usage").find("prompt_tokens").text(), "8");
  EXPECT(root.find("system_fingerprint").text().starts_with("fp_"));
  EXPECT(root.find("timings").find("predicted_n").present());
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "user:Hi\n");
  EXPECT_HAS(s.backend.logged, "served 11 tokens ttft=");
}

TEST(openai, chat_stream) {
  Server s;
  Answer r = s.chat(R"(,"stream":true,"stream_options":{"include_usage":true})");
  EXPECT(r.streaming && r.done);
  EXPECT_EQ(r.type.view(), "text/event-stream");
  EXPECT(events_are_json(r.body));
  EXPECT_EQ(count(r.body, "\"role\":\"assistant\""), 1u);
  EXPECT_EQ(count(r.body, "\"finish_reason\":\"stop\""), 1u);
  EXPECT_EQ(count(r.body, "\"finish_reason\":null"), 12u);
  EXPECT_HAS(r.body, "\"choices\":[],\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":11");
  EXPECT(r.body.view().ends_with("data: [DONE]\n\n"));
}

TEST(openai, parameters_reach_the_engine_exactly) {
  Server s;
  Answer r = s.chat(
      R"(,"temperature":0.7,"top_p":0.955,"top_k":7,"min_p":0.0625,"seed":42,"presence_penalty":-1.5,)"
      R"("frequency_penalty":0.1,"repetition_penalty":1.1,"stop":"x","logit_bias":{"65":-100,"66":1.5},)"
      R"("max_completion_tokens":3,"user":"u","metadata":{},"store":true,"service_tier":"auto")");
  EXPECT_EQ(r.status, 200);
  const ai::SamplerParams& p = s.backend.fake.last_sampling;
  EXPECT_EQ(p.temperature_milli, 700);
  EXPECT_EQ(p.top_p_milli, 955);
  EXPECT_EQ(p.top_k, 7u);
  EXPECT_EQ(p.min_p_milli, 63);
  EXPECT_EQ(p.seed, 42u);
  EXPECT_EQ(p.presence_penalty_milli, -1500);
  EXPECT_EQ(p.frequency_penalty_milli, 100);
  EXPECT_EQ(p.repeat_penalty_milli, 1100);
  EXPECT_EQ(s.backend.fake.last_bias.size(), 2u);
  EXPECT_EQ(s.backend.fake.last_stops, 1u);
  EXPECT_HAS(r.body, "\"content\":\"Hel\"");
  EXPECT_HAS(r.body, "\"finish_reason\":\"length\"");
}

TEST(openai, wrong_parameters_are_400_and_named) {
  Server s;
  struct Row {
    std::string_view fields, param;
  };
  for (const Row& row :
       {Row{R"(,"temperature":-1)", "temperature"},
        Row{R"(,"temperature":"hot")", "temperature"},
        Row{R"(,"temperature":1e400)", "temperature"},
        Row{R"(,"top_p":1.01)", "top_p"},
        Row{R"(,"n":0)", "n"},
        Row{R"(,"n":17)", "n"},
        Row{R"(,"n":1.5)", "n"},
        Row{R"(,"max_tokens":0)", "max_tokens"},
        Row{R"(,"max_tokens":-1)", "max_tokens"},
        Row{R"(,"stop":[1])", "stop"},
        Row{R"(,"stream":"yes")", "stream"},
        Row{R"(,"logit_bias":{"x":"1"})", "logit_bias"},
        Row{R"(,"logit_bias":{"":1})", "logit_bias"},
        Row{R"(,"logit_bias":{"999999999999":1})", "logit_bias"},
        Row{R"(,"logprobs":true,"top_logprobs":21)", "top_logprobs"},
        Row{R"(,"top_logprobs":2)", "top_logprobs"},
        Row{R"(,"seed":"x")", "seed"},
        Row{R"(,"presence_penalty":9)", "presence_penalty"},
        Row{R"(,"response_format":{"type":"xml"})", "response_format"},
        Row{R"(,"response_format":{"type":"json_schema","json_schema":{"schema":{"not":{}}}})",
            "response_format"},
        Row{R"(,"tools":{})", "tools"},
        Row{R"(,"tool_choice":"required")", "tool_choice"},
        Row{R"(,"tools":[{"type":"function","function":{"name":"a b"}}])",
            "tools[0].function.name"},
        Row{R"(,"grammar":"root ::= x")", "grammar"},
        Row{R"(,"mirostat":1)", "mirostat"}}) {
    Answer r = s.chat(row.fields);
    EXPECT_EQ(r.status, 400);
    String wanted;
    base::StringWriter out(wanted);
    base::format_to(out, "\"param\":\"{}\"", row.param);
    EXPECT_HAS(r.body, wanted.view());
    EXPECT_HAS(r.body, "\"type\":\"invalid_request_error\"");
  }
  for (std::string_view body :
       {R"({})", R"({"messages":[]})", R"({"messages":[{"role":"robot","content":"x"}]})",
        R"({"messages":[{"role":"user"}]})",
        R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})", R"([])", R"({)",
        R"({"messages":[{"role":"user","content":"refuse me"}]})"})
    EXPECT_EQ(s.post("/v1/chat/completions", body).status, 400);
  // After all that the server still serves: nothing was left behind.
  EXPECT_EQ(s.chat("").status, 200);
  EXPECT(s.service->idle());
}

TEST(openai, messages_of_every_kind) {
  Server s;
  Answer r = s.post(
      "/v1/chat/completions",
      R"({"messages":[{"role":"developer","content":"be brief"},)"
      R"({"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},)"
      R"({"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},)"
      R"({"role":"tool","tool_call_id":"c1","content":"42"}]})");
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "system:be brief\nuser:a\nb\nassistant:\ntool:42\n");
}

TEST(openai, choices_and_logprobs) {
  Server s;
  Answer r = s.chat(R"(,"n":2,"logprobs":true,"top_logprobs":2,"max_tokens":2)");
  auto document = json::Document::parse(r.body.view());
  REQUIRE(document.has_value());
  json::Value choices = document->root().find("choices");
  EXPECT_EQ(choices.size(), 2u);
  EXPECT_EQ(choices.at(1).find("index").text(), "1");
  json::Value first = choices.at(1).find("logprobs").find("content").at(0);
  EXPECT_EQ(first.find("token").text(), "H");
  EXPECT_EQ(first.find("logprob").text(), "-0.001000");
  EXPECT_EQ(first.find("bytes").at(0).text(), "72");
  EXPECT_EQ(first.find("top_logprobs").size(), 2u);
  EXPECT_EQ(document->root().find("usage").find("completion_tokens").text(), "4");
  Answer c = s.post("/v1/completions", R"({"prompt":"x","logprobs":1,"max_tokens":2})");
  EXPECT_HAS(c.body, R"("logprobs":{"tokens":["H","e"],"token_logprobs":[-0.001000,-0.001000])");
  EXPECT_HAS(c.body, R"("text_offset":[0,1])");
}

TEST(openai, json_formats_hold_whatever_the_model_wants) {
  Server s;
  Answer r = s.chat(R"(,"response_format":{"type":"json_object"},"max_tokens":60)");
  EXPECT_EQ(r.status, 200);
  r = s.chat(
      R"(,"response_format":{"type":"json_schema","json_schema":{"name":"C","strict":true,"schema":)"
      R"({"type":"object","properties":{"ok":{"type":"boolean"}},"required":["ok"],"additionalProperties":false}}})");
  auto document = json::Document::parse(r.body.view());
  REQUIRE(document.has_value());
  std::string_view said =
      document->root().find("choices").at(0).find("message").find("content").text();
  auto inner = json::Document::parse(said);
  REQUIRE(inner.has_value());
  EXPECT(inner->root().find("ok").is_bool());
}

namespace {
constexpr std::string_view kTools =
    R"(,"tools":[{"type":"function","function":{"name":"get_weather","description":"d","parameters":)"
    R"({"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}}}])";
}

TEST(openai, tools_forced) {
  Server s;
  s.backend.fake.set_context(2000);
  s.backend.fake.script = R"({"name": "get_weather", "arguments": {"city":"Oslo"}})";
  String fields;
  (void)fields.append(kTools);
  (void)fields.append(R"(,"tool_choice":"required")");
  Answer r = s.chat(fields.view());
  EXPECT_HAS(r.body, R"("content":null)");
  EXPECT_HAS(r.body, R"("name":"get_weather","arguments":"{\"city\":\"Oslo\"}")");
  EXPECT_HAS(r.body, R"("finish_reason":"tool_calls")");
  (void)fields.append(R"(,"stream":true)");
  r = s.chat(fields.view());
  EXPECT(events_are_json(r.body));
  EXPECT_EQ(count(r.body, "get_weather"), 1u);
  EXPECT_HAS(r.body, R"("function":{"name":"get_weather","arguments":""})");
  EXPECT_HAS(r.body, R"("finish_reason":"tool_calls")");
  // The forced text counts, whatever the model would rather say.
  s.backend.fake.script = "I would rather talk about the weather in general, thank you.";
  r = s.chat(fields.view());
  EXPECT_EQ(count(r.body, R"("name":"get_weather")"), 1u);
}

// A model that may call a tool or answer in a form does one of the two, whatever it wants.
TEST(openai, tools_beside_a_form_of_the_answer) {
  constexpr std::string_view kBoth =
      R"(,"max_tokens":150,"tools":[{"type":"function","function":{"name":"add","parameters":{
      "type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}}}],
      "response_format":{"type":"json_schema","json_schema":{"schema":{"type":"object",
      "properties":{"ok":{"type":"boolean"}},"required":["ok"],"additionalProperties":false}}})";
  Server s;
  s.backend.fake.set_context(1000);
  s.backend.fake.script = R"(<tool_call>{"name": "add", "arguments": {"a": 12}}</tool_call>)";
  Answer r = s.chat(kBoth);
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(r.body, R"("name":"add","arguments":"{\"a\": 12}")");
  EXPECT_HAS(r.body, R"("finish_reason":"tool_calls")");
  s.backend.fake.script = R"({"ok": true})";
  r = s.chat(kBoth);
  EXPECT_HAS(r.body, R"("content":"{\"ok\": true}")");
  EXPECT_HAS(r.body, R"("finish_reason":"stop")");
  s.backend.fake.script = "Neither";
  r = s.chat(kBoth);
  EXPECT_EQ(r.status, 200);
  EXPECT(!has(r.body, "Neither"));
}

TEST(openai, tools_found_in_text) {
  Server s;
  s.backend.fake.set_context(2000);
  s.backend.fake.script =
      "Let me see.<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"a}b\\\"\"}}"
      "\n</tool_call>";
  Answer r = s.chat(kTools);
  EXPECT_HAS(r.body, R"("content":"Let me see.")");
  EXPECT_HAS(r.body, R"("arguments":"{\"city\": \"a}b\\\"\"}")");
  EXPECT_HAS(s.backend.fake.last_prompt, "You may call these functions");
  s.backend.fake.script = "a <tool_call> is <b>nothing";
  r = s.chat(kTools);
  EXPECT_HAS(r.body, R"("content":"a <tool_call> is <b>nothing")");
  EXPECT_HAS(r.body, R"("finish_reason":"stop")");
}

TEST(openai, context_overflow_is_an_error_with_both_numbers) {
  Server s;
  String body;
  (void)body.append(R"({"messages":[{"role":"user","content":")");
  for (int i = 0; i < 300; i++) (void)body.push_back('x');
  (void)body.append(R"("}]})");
  Answer r = s.post("/v1/chat/completions", body.view());
  EXPECT_EQ(r.status, 400);
  EXPECT_HAS(r.body, R"("code":"context_length_exceeded")");
  EXPECT_HAS(r.body, "exceeds the available context size");
  EXPECT_HAS(r.body, R"("n_prompt_tokens":306,"n_ctx":200)");
}

TEST(openai, disconnect_frees_the_slot) {
  Server s;
  ApiTestReply reply;
  s.begin("/v1/chat/completions", R"({"stream":true,"messages":[{"role":"user","content":"x"}]})",
          reply);
  EXPECT_EQ(s.backend.fake.running(), 1u);
  (void)s.backend.fake.step();
  s.service->gone(reply);
  EXPECT_EQ(s.backend.fake.running(), 0u);
  s.service->tick();
  EXPECT(s.service->idle());
  EXPECT_EQ(s.chat("").status, 200);
}

// Whichever goes first: the work stops, and the request is counted once.
TEST(openai, a_reply_that_is_no_more_stops_its_work) {
  Server s;
  {
    ApiTestReply reply;
    s.begin("/v1/completions", R"({"prompt":"x","stream":true})", reply);
    EXPECT_EQ(s.backend.fake.running(), 1u);
  }
  s.backend.step();  // a token for nobody
  s.service->tick();
  EXPECT(s.service->idle());
  EXPECT_EQ(s.backend.fake.running(), 0u);
  EXPECT_EQ(s.service->metrics().gone, 1u);
  ApiTestReply reply;
  s.begin("/v1/completions", R"({"prompt":"x","stream":true})", reply);
  s.service->gone(reply);
  s.service->gone(reply);
  s.run();
  s.service->gone(reply);
  const ai::openai::Metrics& m = s.service->metrics();
  EXPECT_EQ(m.gone, 2u);
  EXPECT_EQ(m.requests, m.answered + m.failed + m.gone);
}

TEST(openai, a_service_may_end_with_requests_in_work) {
  ApiTestBackend backend;
  ApiTestReply stream, vectors;
  {
    auto service = std::move(*ai::openai::Service::create(ApiTestServer::opened(), backend));
    auto ask = [&](std::string_view path, std::string_view body, ApiTestReply& reply) {
      const HttpHeader host[] = {{"Host", "localhost"}};
      service->handle({.method = "POST", .path = path, .headers = host, .body = body}, "p", reply);
    };
    ask("/v1/completions", R"({"prompt":"x","stream":true})", stream);
    ask("/v1/embeddings", R"({"input":["a","b"]})", vectors);
    EXPECT(stream.streaming && !stream.done && !vectors.done);
    EXPECT_EQ(backend.leases, 2u);
  }
  EXPECT_EQ(backend.leases, 0u);
  EXPECT_EQ(backend.fake.running(), 0u);
  EXPECT(!backend.run_job());
}

TEST(openai, silence_is_filled_with_comments) {
  Server s;
  ApiTestReply reply;
  s.begin("/v1/completions", R"({"prompt":"x","stream":true})", reply);
  for (int i = 0; i < 10; i++) {
    s.backend.now += 1'000'000'000;
    s.service->tick();
  }
  EXPECT_EQ(count(reply.body, ": prefill "), 2u);
  s.run();
  EXPECT(events_are_json(reply.body));
}

TEST(openai, busy_and_not_ready_say_when_to_come_back) {
  ai::openai::ServiceOptions options = Server::opened();
  options.max_requests = 1;
  Server s(std::move(options));
  ApiTestReply first;
  s.begin("/v1/completions", R"({"prompt":"x"})", first);
  Answer second = s.post("/v1/completions", R"({"prompt":"x"})");
  EXPECT_EQ(second.status, 429);
  EXPECT_HAS(second.headers, "retry-after-ms: 1000");
  s.backend.fake.refuse = "queue full";
  EXPECT_EQ(s.post("/v1/completions", R"({"prompt":"x"})").status, 429);
  s.backend.ready = false;
  Answer third = s.post("/v1/completions", R"({"prompt":"x"})");
  EXPECT_EQ(third.status, 503);
  EXPECT_HAS(third.headers, "retry-after-ms: 700");
  Answer health = s.call("GET", "/health", "");
  EXPECT_EQ(health.status, 503);
  EXPECT_HAS(health.body, R"("stage":"loading","bytes_done":5,"bytes_total":10,"eta_ms":700)");
  EXPECT_EQ(s.call("GET", "/health/live", "").status, 200);
}

TEST(openai, keys) {
  ai::openai::ServiceOptions options;
  (void)options.api_keys.push_back(std::move(*String::from("secret")));
  (void)options.api_keys.push_back(std::move(*String::from("other")));
  (void)options.admin_keys.push_back(std::move(*String::from("boss")));
  Server s(std::move(options));
  EXPECT_EQ(s.call("GET", "/v1/models", "").status, 401);
  EXPECT_EQ(s.call("GET", "/health", "").status, 200);
  auto with = [&](std::string_view method, std::string_view path, HttpHeader header) {
    return s.call(method, path, "{\"model\":\"x\"}", {&header, 1}).status;
  };
  EXPECT_EQ(with("GET", "/v1/models", {"authorization", "Bearer secret"}), 200);
  EXPECT_EQ(with("GET", "/v1/models", {"Authorization", "bearer other"}), 200);
  EXPECT_EQ(with("GET", "/v1/models", {"X-Api-Key", "secret"}), 200);
  EXPECT_EQ(with("GET", "/v1/models", {"Authorization", "Bearer secre"}), 401);
  EXPECT_EQ(with("GET", "/v1/models", {"Authorization", "Bearer secret2"}), 401);
  EXPECT_EQ(with("GET", "/v1/models", {"Authorization", "Bearer   secret"}), 200);
  for (std::string_view value : {"secret", "Basic secret", "Bearersecret", "Bearer", "Bearer ",
                                 "Token secret", "Bearer other secret"})
    EXPECT_EQ(with("GET", "/v1/models", {"Authorization", value}), 401);
  EXPECT_EQ(with("GET", "/v1/models", {"X-Api-Key", ""}), 401);
  EXPECT_EQ(with("POST", "/v1/models/load", {"Authorization", "Bearer secret"}), 403);
  EXPECT_EQ(with("POST", "/v1/models/load", {"Authorization", "Bearer boss"}), 200);
}

TEST(openai, cors) {
  ai::openai::ServiceOptions options = Server::opened();
  options.cors = "https://a.example,https://b.example";
  Server s(std::move(options));
  const HttpHeader good[] = {{"Host", "localhost:8080"},
                             {"Origin", "https://b.example"},
                             {"Access-Control-Request-Headers", "authorization,x-stainless-os"}};
  Answer r = s.call("OPTIONS", "/v1/chat/completions", "", good);
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(r.headers, "Access-Control-Allow-Credentials: true");
  EXPECT_HAS(r.headers, "Access-Control-Allow-Origin: https://b.example");
  EXPECT_HAS(r.headers, "Access-Control-Allow-Headers: authorization,x-stainless-os");
  const HttpHeader bad[] = {{"Host", "localhost"}, {"Origin", "https://c.example"}};
  EXPECT(!has(s.call("GET", "/health", "", bad).headers, "Allow-Origin"));
  r = s.call("OPTIONS", "/completion", "", bad);
  EXPECT_EQ(r.status, 200);
  EXPECT(!has(r.headers, "Access-Control"));
}

TEST(openai, pages_of_the_client_s_own_machine_may_be_allowed) {
  ai::openai::ServiceOptions options = Server::opened();
  options.cors = "localhost";
  Server s(std::move(options));
  struct Row {
    std::string_view origin;
    bool may;
  };
  for (const Row& row :
       {Row{"http://localhost", true}, Row{"http://localhost:3000", true},
        Row{"https://127.0.0.1:1", true}, Row{"http://[::1]:3000", true}, Row{"localhost", false},
        Row{"http://localhost:", false}, Row{"http://localhost:80a", false},
        Row{"http://localhost.evil.example", false}, Row{"http://notlocalhost", false},
        Row{"http://evil.example", false}, Row{"file://localhost", false},
        Row{"http://localhost@evil.example", false}, Row{"http://127.0.0.11", false}}) {
    const HttpHeader headers[] = {
        {"Host", "localhost"}, {"Origin", row.origin}, {"Content-Type", "application/json"}};
    Answer asked = s.call("OPTIONS", "/completion", "", headers);
    Answer told = s.call("POST", "/v1/completions", R"({"prompt":"x","max_tokens":1})", headers);
    if (has(asked.headers, "Allow-Origin") != row.may || told.status != (row.may ? 200 : 403))
      test.report(__FILE__, __LINE__, row.origin);
  }
  // "*" is for all, so nobody's cookies count.
  options = Server::opened();
  options.cors = "*";
  Server all(std::move(options));
  const HttpHeader headers[] = {{"Host", "localhost"}, {"Origin", "https://a.example"}};
  Answer r = all.call("GET", "/health", "", headers);
  EXPECT_HAS(r.headers, "Access-Control-Allow-Origin: *");
  EXPECT(!has(r.headers, "Credentials"));
}

TEST(openai, routes_and_methods) {
  Server s;
  EXPECT_EQ(s.call("GET", "/nowhere", "").status, 404);
  EXPECT_EQ(s.call("GET", "/v1/chat/completions", "").status, 405);
  EXPECT_EQ(s.call("DELETE", "/v1/models", "").status, 405);
  EXPECT_EQ(s.call("GET", "/v1/models/tiny", "").status, 200);
  EXPECT_EQ(s.call("GET", "/v1/models/none", "").status, 404);
  s.backend.models = 2;
  EXPECT_EQ(s.call("GET", "/v1/models/other/b", "").status, 200);
  Answer r = s.chat(R"(,"model":"gpt-4")");
  EXPECT_EQ(r.status, 404);
  EXPECT_HAS(r.body, "model_not_found");
}

TEST(openai, completions) {
  Server s;
  Answer r = s.post("/v1/completions", R"({"prompt":["ab",[65,66]],"echo":false,"max_tokens":99})");
  auto document = json::Document::parse(r.body.view());
  REQUIRE(document.has_value());
  EXPECT_EQ(document->root().find("choices").size(), 2u);
  EXPECT_EQ(document->root().find("usage").find("prompt_tokens").text(), "4");
  r = s.post("/v1/completions", R"({"prompt":"Say: ","echo":true,"max_tokens":99})");
  EXPECT_HAS(r.body, R"("text":"Say: Hello world")");
  for (std::string_view bad :
       {R"({"prompt":[-1]})", R"({"prompt":[99999999]})", R"({"prompt":{}})", R"({"prompt":""})",
        R"({"prompt":[]})", R"({"prompt":"x","suffix":"y"})", R"({"prompt":"x","best_of":17})",
        R"({"prompt":"x","n":2,"best_of":1})", R"({"prompt":"x","best_of":2,"stream":true})"})
    EXPECT_EQ(s.post("/v1/completions", bad).status, 400);
}

TEST(openai, llama_server_endpoints) {
  Server s;
  Answer r = s.post("/completion", R"({"prompt":"x","n_predict":5,"n_probs":2})");
  EXPECT_HAS(r.body, R"("content":"Hello")");
  EXPECT_HAS(r.body, R"("stop_type":"limit")");
  EXPECT_HAS(r.body, R"("completion_probabilities":[{"id":72)");
  r = s.post("/completion", R"({"prompt":"x","stream":true,"n_predict":3,"return_tokens":true})");
  EXPECT(events_are_json(r.body));
  EXPECT_HAS(r.body, R"("tokens":[72],"stop":false)");
  EXPECT(!has(r.body, "[DONE]"));
  EXPECT_EQ(s.post("/tokenize", R"({"content":"AB"})").body.view(), R"({"tokens":[65,66]})");
  EXPECT_EQ(s.post("/tokenize", R"({"content":"A","with_pieces":true})").body.view(),
            R"({"tokens":[{"id":65,"piece":"A"}]})");
  EXPECT_EQ(s.post("/detokenize", R"({"tokens":[72,105]})").body.view(), R"({"content":"Hi"})");
  EXPECT_HAS(s.post("/apply-template", R"({"messages":[{"role":"user","content":"x"}]})").body,
             R"("prompt":"user:x\n")");
  EXPECT_HAS(s.call("GET", "/props", "").body, R"("n_ctx":200)");
}

TEST(openai, plain_text_endpoints) {
  Server s;
  const HttpHeader text[] = {
      {"Host", "localhost"}, {"Content-Type", "text/plain"}, {"Accept", "text/plain"}};
  Answer r = s.call("POST", "/completion", "Once upon a time", text, "n=5&temp=.7&seed=3");
  EXPECT(r.streaming);
  EXPECT_EQ(r.body.view(), "Hello");
  EXPECT_EQ(s.backend.fake.last_sampling.temperature_milli, 700);
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "Once upon a time");
  EXPECT_EQ(s.call("POST", "/chat", "hi", text, "top_k=5").body.view(), "Hello world");
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "user:hi\n");
  EXPECT_EQ(s.call("POST", "/completion", "", text).status, 400);
  EXPECT_EQ(s.call("POST", "/completion", "x", text, "n=abc").status, 400);
  EXPECT_EQ(s.call("GET", "/health", "", text).body.view(), "ok model dim=8 layers=2 vocab=289\n");
  Answer m = s.call("GET", "/metrics", "");
  EXPECT(m.body.view().starts_with("requests 2\ntokens_total 16\nlast_ttft_ms "));
  EXPECT_HAS(m.body, "marrow_time_to_first_token_seconds_bucket{le=\"+Inf\"} 2");
}

TEST(openai, responses_api) {
  Server s;
  Answer r = s.post("/v1/responses", R"({"model":"tiny","input":"Hi","instructions":"be kind"})");
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "system:be kind\nuser:Hi\n");
  EXPECT_HAS(r.body, R"("object":"response")");
  EXPECT_HAS(r.body, R"("type":"output_text","text":"Hello world")");
  EXPECT_HAS(r.body, R"("status":"completed")");
  r = s.post(
      "/v1/responses",
      R"({"input":[{"role":"user","content":[{"type":"input_text","text":"Hi"}]}],"stream":true})");
  EXPECT(events_are_json(r.body));
  EXPECT_HAS(r.body, "event: response.created\n");
  EXPECT_HAS(r.body, R"("type":"response.output_text.done","sequence_number":)");
  EXPECT_HAS(r.body, "event: response.completed\n");
  EXPECT_EQ(s.post("/v1/responses", R"({"input":"x","previous_response_id":"r"})").status, 400);
}

TEST(openai, anthropic_api) {
  Server s;
  constexpr std::string_view kBody =
      R"({"model":"tiny","max_tokens":50,"system":"S","messages":[{"role":"user","content":"Hi"}])";
  String whole;
  (void)whole.append(kBody);
  (void)whole.append("}");
  Answer r = s.post("/v1/messages", whole.view());
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "system:S\nuser:Hi\n");
  EXPECT_HAS(r.body,
             R"("content":[{"type":"text","text":"Hello world"}],"stop_reason":"end_turn")");
  EXPECT_EQ(s.post("/v1/messages/count_tokens", whole.view()).body.view(),
            R"({"input_tokens":17})");
  String streamed;
  (void)streamed.append(kBody);
  (void)streamed.append(R"(,"stream":true})");
  r = s.post("/v1/messages", streamed.view());
  EXPECT(events_are_json(r.body));
  for (std::string_view event : {"message_start", "content_block_start", "content_block_delta",
                                 "content_block_stop", "message_delta", "message_stop"})
    EXPECT_HAS(r.body, event);
  r = s.post("/v1/messages", R"({"messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(r.status, 400);
  EXPECT_HAS(r.body, R"({"type":"error","error":{"type":"invalid_request_error")");
  s.backend.fake.set_context(2000);
  s.backend.fake.script = R"({"name": "f", "arguments": {"a":1}})";
  r = s.post(
      "/v1/messages",
      R"({"max_tokens":90,"messages":[{"role":"user","content":"x"}],"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"any"},"stream":true})");
  EXPECT_HAS(r.body, R"("content_block":{"type":"tool_use")");
  EXPECT_HAS(r.body, "input_json_delta");
  EXPECT_HAS(r.body, R"("stop_reason":"tool_use")");
  // Structured output, as the client's parse() asks for it.
  s.backend.fake.script = R"({"a":true})";
  r = s.post(
      "/v1/messages",
      R"({"max_tokens":90,"messages":[{"role":"user","content":"x"}],"output_config":{"format":{"type":"json_schema","schema":{"type":"nonsense"}}}})");
  EXPECT_EQ(r.status, 400);
}

TEST(openai, out_of_memory_is_an_answer) {
  Server s;
  constexpr const char* kFields = R"(,"response_format":{"type":"json_object"},"max_tokens":4)";
  (void)s.chat(kFields);
  i64 before = host::live_allocations();
  for (u64 nth = 1; nth < 160; nth++) {
    host::fail_allocation(nth);
    Answer r = s.chat(kFields);
    host::fail_allocation(0);
    if (r.status != 200 && r.status != 503 && r.status != 0 && r.status != 429 && r.status != 400)
      test.report(__FILE__, __LINE__, r.body.view());
    s.run();
    EXPECT(s.service->idle());
  }
  EXPECT_EQ(s.chat("").status, 200);
  EXPECT(host::live_allocations() <= before + 8);  // tokens and grammar were there already
}
