// SPDX-License-Identifier: GPL-2.0-or-later
// Ollama's API: what its clients send and what they read.
#include "ai/openai/messages.h"
#include "ai/openai/thought.h"
#include "tests/hosted/ai/openai/test_server.h"

using Server = ApiTestServer;
using Answer = ApiTestServer::Answer;

namespace {

constexpr std::string_view kChat = R"({"model":"tiny","messages":[{"role":"user","content":"Hi"}])";

// A chat with more fields: `fields` begin with a comma.
Answer chat(Server& s, std::string_view fields) {
  String body;
  base::StringWriter out(body);
  base::format_to(out, "{}{}}", kChat, fields);
  return s.post("/api/chat", body.view());
}

Answer generate(Server& s, std::string_view fields) {
  String body;
  base::StringWriter out(body);
  base::format_to(out, "{{\"model\":\"tiny\",\"stream\":false{}}", fields);
  return s.post("/api/generate", body.view());
}

// Every line is an object, and only the last one is done.
bool lines_are_json(const String& body) {
  std::string_view rest = body.view();
  bool done = false;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    if (line.size() == rest.size() || done) return false;
    rest.remove_prefix(line.size() + 1);
    Result<json::Document> document = json::Document::parse(line);
    if (!document.has_value()) return false;
    done = document->root().find("done").is_true() || document->root().find("error").is_string();
  }
  return done;
}

}  // namespace

TEST(ollama, chat_streams_lines_unless_told_not_to) {
  Server s;
  Answer r = chat(s, "");
  EXPECT_EQ(r.status, 200);
  EXPECT(r.streaming);
  EXPECT_EQ(r.type.view(), "application/x-ndjson");
  EXPECT(lines_are_json(r.body));
  EXPECT_HAS(r.body, R"({"model":"tiny:latest","created_at":"1970-01-01T00:20:34.000000Z",)"
                     R"("message":{"role":"assistant","content":"H"},"done":false})");
  EXPECT_HAS(r.body, R"("content":""},"done":true,"done_reason":"stop","total_duration":)");
  EXPECT_HAS(r.body, R"("eval_count":11)");
  r = chat(s, R"(,"stream":false)");
  EXPECT_EQ(r.type.view(), "application/json");
  EXPECT_HAS(r.body, R"("message":{"role":"assistant","content":"Hello world"},"done":true)");
  EXPECT_HAS(r.body, R"("load_duration":0,"prompt_eval_count":8,)");
}

TEST(ollama, options_have_its_names_defaults_and_errors) {
  Server s;
  EXPECT_EQ(chat(s, "").status, 200);
  ai::SamplerParams p = s.backend.fake.last_sampling;
  EXPECT_EQ(p.temperature_milli, 800);
  EXPECT_EQ(p.top_k, 40u);
  EXPECT_EQ(p.top_p_milli, 900);
  EXPECT_EQ(p.min_p_milli, 0);
  EXPECT_EQ(p.repeat_penalty_milli, 1000);
  Answer r =
      chat(s, R"(,"options":{"temperature":0,"top_k":5,"seed":42.0,"num_predict":3,"num_gpu":99,
      "repeat_penalty":1.5,"repeat_last_n":-1,"stop":["x","y"],"unheard_of":[1]})");
  EXPECT_EQ(r.status, 200);
  p = s.backend.fake.last_sampling;
  EXPECT_EQ(p.temperature_milli, 0);
  EXPECT_EQ(p.top_k, 5u);
  EXPECT_EQ(p.seed, 42u);
  EXPECT_EQ(p.repeat_penalty_milli, 1500);
  EXPECT_EQ(s.backend.fake.last_stops, 2u);
  EXPECT_HAS(r.body, R"("done_reason":"length")");
  for (std::string_view endless : {"-1", "-2", "0"}) {
    String fields;
    base::StringWriter out(fields);
    base::format_to(out, ",\"options\":{{\"num_predict\":{}}", endless);
    EXPECT_HAS(chat(s, fields.view()).body, R"("done_reason":"stop")");
  }
  struct Row {
    std::string_view options, error;
  };
  constexpr Row kRows[] = {
      {R"({"seed":"x"})", R"({"error":"option \"seed\" must be of type integer"})"},
      {R"({"temperature":"hot"})", R"({"error":"option \"temperature\" must be of type float32"})"},
      {R"({"stop":"x"})", R"({"error":"option \"stop\" must be of type array"})"},
      {R"({"use_mmap":1})", R"({"error":"option \"use_mmap\" must be of type boolean"})"},
      {R"({"top_k":1e40})", R"({"error":"option \"top_k\" is out of range"})"},
      {R"({"temperature":-1})", "'temperature' must be between 0.000 and 100.000"},
      {R"([1])", "'options' must be an object"}};
  for (const Row& row : kRows) {
    String fields;
    base::StringWriter out(fields);
    base::format_to(out, ",\"options\":{}", row.options);
    r = chat(s, fields.view());
    EXPECT_EQ(r.status, 400);
    EXPECT_HAS(r.body, row.error);
  }
}

TEST(ollama, errors_are_a_sentence) {
  Server s;
  Answer r = s.post("/api/chat", R"({"model":"nope","messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(r.status, 404);
  EXPECT_EQ(r.body.view(), R"({"error":"model 'nope' not found"})");
  r = chat(s, R"(,"think":true)");
  EXPECT_EQ(r.status, 400);
  EXPECT_EQ(r.body.view(), R"({"error":"\"tiny\" does not support thinking"})");
  EXPECT_EQ(chat(s, R"(,"think":false)").status, 200);
  EXPECT_EQ(chat(s, R"(,"think":"very")").status, 400);
  EXPECT_EQ(chat(s, R"(,"format":"yaml")").status, 400);
  EXPECT_EQ(chat(s, R"(,"stream":"yes")").status, 400);
  EXPECT_EQ(chat(s, R"(,"truncate":"yes")").status, 400);
  r = s.post("/api/chat",
             R"({"model":"tiny","messages":[{"role":"user","content":"x","images":["aGk="]}]})");
  EXPECT_EQ(r.body.view(), R"({"error":"\"tiny\" does not support images"})");
  EXPECT_EQ(s.post("/api/chat", R"({"model":"tiny","messages":"x"})").status, 400);
  EXPECT_EQ(s.post("/api/chat", "{").status, 400);
  EXPECT_EQ(s.call("GET", "/api/chat", "").status, 405);
  EXPECT_EQ(s.call("GET", "/api/nowhere", "").status, 404);
  EXPECT_HAS(s.call("GET", "/api/nowhere", "").body, R"({"error":"no such endpoint)");
  r = s.call("GET", "/api/delete", "");
  EXPECT_HAS(r.headers, "Allow: DELETE, OPTIONS");
}

TEST(ollama, tools_come_as_one_line_with_an_object) {
  Server s;
  s.backend.fake.set_context(1000);
  s.backend.fake.script =
      "Look: <tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 1}}</tool_call>"
      "<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 2}}</tool_call>";
  constexpr std::string_view kTools =
      R"(,"tools":[{"type":"function","function":{"name":"add","parameters":{"type":"object"}}}])";
  Answer r = chat(s, kTools);
  EXPECT(lines_are_json(r.body));
  EXPECT_HAS(r.body, R"("content":"","tool_calls":[{"id":"call_)");
  EXPECT_HAS(r.body, R"("function":{"index":0,"name":"add","arguments":{"a":1}}}]},"done":false})");
  EXPECT_EQ(count(r.body, R"("tool_calls")"), 2u);
  EXPECT_HAS(r.body, R"("function":{"index":1,"name":"add","arguments":{"a":2}}}]},"done":false})");
  String fields;
  base::StringWriter out(fields);
  base::format_to(out, ",\"stream\":false{}", kTools);
  r = chat(s, fields.view());
  EXPECT_EQ(count(r.body, R"("tool_calls")"), 1u);
  EXPECT_HAS(r.body, R"("content":"Look:")");
  EXPECT_HAS(r.body, R"({"index":1,"name":"add","arguments":{"a":2}})");
  r = s.post("/api/chat",
             R"({"model":"tiny","stream":false,"messages":[{"role":"user","content":"x"},
      {"role":"assistant","content":"","tool_calls":[{"function":{"name":"add","arguments":{"a":1}}}]},
      {"role":"tool","tool_name":"add","content":"3"}]})");
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(s.backend.fake.last_prompt, "tool:3");
}

TEST(ollama, formats_bind) {
  Server s;
  s.backend.fake.script = "hello";
  Answer r = chat(s, R"(,"stream":false,"options":{"num_predict":60},"format":{"type":"object",
      "properties":{"ok":{"type":"boolean"}},"required":["ok"],"additionalProperties":false})");
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(r.body, R"(\"ok\": false }")");
  r = chat(s, R"(,"stream":false,"options":{"num_predict":9},"format":"json")");
  EXPECT_HAS(r.body, R"("content":"{)");
  EXPECT_EQ(chat(s, R"(,"format":"")").status, 200);
}

TEST(ollama, generate_takes_a_prompt_a_context_or_raw_text) {
  Server s;
  Answer r = generate(s, R"(,"prompt":"Hi","system":"Be kind")");
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(s.backend.fake.last_prompt, "system:Be kind\nuser:Hi\n");
  EXPECT_HAS(r.body, R"("response":"Hello world","done":true,"done_reason":"stop","context":[)");
  r = generate(s, R"(,"prompt":"Hi","context":[65,66])");
  EXPECT_HAS(s.backend.fake.last_prompt, "ABuser:Hi\n");
  r = generate(s, R"(,"prompt":"Hi","raw":true)");
  EXPECT(!has(s.backend.fake.last_prompt, "user:"));
  EXPECT(!has(r.body, R"("context")"));
  r = generate(s, R"(,"prompt":"Hi","raw":true,"system":"x")");
  EXPECT_EQ(r.body.view(), R"({"error":"raw mode does not support template, system, or context"})");
  EXPECT_HAS(generate(s, R"(,"prompt":"Hi","suffix":"x")").body, "does not support insert");
  s.backend.fake.set_fill_tokens({.prefix = '<', .suffix = '>', .middle = '|'});
  EXPECT_EQ(generate(s, R"(,"prompt":"Hi","suffix":"x")").status, 200);
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "<Hi>x|");
  s.backend.fake.set_fill_tokens({});
  EXPECT_HAS(generate(s, R"(,"prompt":"Hi","template":"{{ .Prompt }}")").body, "Go templates");
  EXPECT_EQ(generate(s, R"(,"prompt":"Hi","context":[-1])").status, 400);
  EXPECT_EQ(generate(s, R"(,"prompt":3)").status, 400);
  EXPECT_EQ(s.post("/api/generate", R"({"name":"tiny","prompt":"x"})").status, 200);
}

TEST(ollama, without_a_prompt_models_come_and_go) {
  Server s;
  s.backend.models = 2;
  Answer r = s.post("/api/generate", R"({"model":"other/b:latest"})");
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(s.backend.demands, 1u);
  EXPECT_HAS(r.body, R"("model":"other/b:latest")");
  EXPECT_HAS(r.body, R"("response":"","done":true,"done_reason":"load"})");
  r = s.post("/api/chat", R"({"model":"other/b","messages":[]})");
  EXPECT_HAS(r.body,
             R"("message":{"role":"assistant","content":""},"done":true,"done_reason":"load")");
  u32 changes = s.backend.load_numbers;
  r = s.post("/api/generate", R"({"model":"other/b","prompt":"","keep_alive":0})");
  EXPECT_HAS(r.body, R"("done_reason":"unload")");
  EXPECT_EQ(s.backend.load_numbers, changes + 1);
  EXPECT_EQ(s.post("/api/generate", R"({"model":"none","keep_alive":0})").status, 404);
  ai::openai::ServiceOptions options;
  options.open = true;  // and no admin routes
  Server closed(std::move(options));
  r = closed.post("/api/generate", R"({"model":"tiny","keep_alive":0})");
  EXPECT_EQ(r.status, 403);
  EXPECT_HAS(r.body, R"({"error":")");
}

TEST(ollama, a_context_is_a_ceiling) {
  Server s;
  Answer r = chat(s, R"(,"stream":false,"options":{"num_ctx":12})");
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(r.body, R"("done_reason":"length")");
  EXPECT_HAS(r.body, R"("prompt_eval_count":8)");
  EXPECT_HAS(r.body, R"("eval_count":4)");
  r = chat(s, R"(,"options":{"num_ctx":4})");
  EXPECT_EQ(r.status, 400);
  EXPECT_EQ(r.body.view(), R"x({"error":"the input length exceeds the context length (8 > 4)"})x");
  for (std::string_view stream : {"true", "false"}) {
    String fields;
    base::StringWriter out(fields);
    base::format_to(out, R"(,"stream":{},"options":{{"num_ctx":1000000})", stream);
    r = chat(s, fields.view());
    EXPECT_EQ(r.status, 200);
    EXPECT_HAS(r.headers, "x-marrow-context: 200");  // what it has, not what it wanted
    fields.clear();
    base::format_to(out, R"(,"stream":{},"options":{{"num_ctx":200})", stream);
    EXPECT(!has(chat(s, fields.view()).headers, "x-marrow-context"));
  }
}

TEST(ollama, a_request_may_say_whether_its_context_shifts) {
  for (bool server_shifts : {false, true}) {
    ai::openai::ServiceOptions options = Server::opened();
    options.shifts = server_shifts;
    Server s(std::move(options));
    EXPECT_EQ(chat(s, "").status, 200);
    EXPECT_EQ(s.backend.fake.last_slide, server_shifts);
    EXPECT_EQ(chat(s, R"(,"shift":true)").status, 200);
    EXPECT(s.backend.fake.last_slide);
    EXPECT_EQ(chat(s, R"(,"shift":false)").status, 200);
    EXPECT(!s.backend.fake.last_slide);
    EXPECT_EQ(chat(s, R"(,"shift":1)").status, 400);
  }
}

TEST(ollama, truncate_drops_whole_messages_and_says_so) {
  Server s;
  String body;
  base::StringWriter out(body);
  base::format_to(
      out,
      R"({{"model":"tiny","stream":false,"truncate":true,"messages":[{{"role":"system","content":"S"})");
  for (u32 i = 0; i < 20; i++)
    base::format_to(out, R"(,{{"role":"user","content":"message {:02}"})", i);
  base::format_to(out, "]}");
  Answer r = s.post("/api/chat", body.view());
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(r.body, R"("truncated":true)");
  const String& prompt = s.backend.fake.last_prompt;
  EXPECT(prompt.view().find("system:S\nuser:message ") != std::string_view::npos);
  EXPECT_HAS(prompt, "user:message 19\n");
  EXPECT(!has(prompt, "message 00"));
  EXPECT(prompt.size() < 200 &&
         prompt.size() + std::string_view("user:message 00\n").size() >= 199);
}

TEST(ollama, an_option_truncates_as_its_server_does) {
  ai::openai::ServiceOptions options = Server::opened();
  options.ollama_truncates = true;
  Server s(std::move(options));
  String many, prompt;
  base::StringWriter out(many), text(prompt);
  base::format_to(out,
                  R"({{"model":"tiny","stream":false,"messages":[{{"role":"user","content":"x"})");
  base::format_to(text, R"({{"model":"tiny","stream":false,"prompt":")");
  for (u32 i = 0; i < 20; i++) {
    base::format_to(out, R"(,{{"role":"user","content":"message {:02}"})", i);
    base::format_to(text, "prompt {:02}. ", i);
  }
  base::format_to(out, "]");
  base::format_to(text, "\"");
  String refused = std::move(*many.clone());
  EXPECT(many.append("}").has_value() && prompt.append("}").has_value());
  EXPECT(refused.append(R"(,"truncate":false})").has_value());
  EXPECT_HAS(s.post("/api/chat", many.view()).body, R"("truncated":true)");
  EXPECT_EQ(s.post("/api/chat", refused.view()).status, 400);
  EXPECT_HAS(s.post("/api/generate", prompt.view()).body, R"("truncated":true)");
  EXPECT_HAS(s.backend.fake.last_prompt, "prompt 19.");
  Server strict;
  EXPECT_EQ(strict.post("/api/generate", prompt.view()).status, 400);
}

TEST(ollama, a_digest_is_the_files_where_it_is_known) {
  Server s;
  Answer r = s.call("GET", "/api/tags", "");
  EXPECT_HAS(r.body, R"("digest_of":"facts")");
  crypto::Sha256Digest hash{0xab, 0xcd};
  s.backend.file_hash = &hash;
  for (const char* path : {"/api/tags", "/api/ps"}) {
    r = s.call("GET", path, "");
    EXPECT_HAS(r.body, R"("digest":"abcd0000)");
    EXPECT_HAS(r.body, R"("digest_of":"file")");
  }
}

TEST(ollama, who_fills_in_says_so) {
  Server s;
  EXPECT_HAS(s.post("/api/show", R"({"model":"tiny"})").body, R"("template":"{{ .Prompt }}")");
  s.backend.fake.set_fill_tokens({.prefix = '<', .suffix = '>', .middle = '|'});
  Answer r = s.post("/api/show", R"({"model":"tiny"})");
  EXPECT_HAS(r.body, R"("template":"{{ .Prompt }}{{ .Suffix }}")");
  EXPECT_HAS(r.body, R"("completion","insert"])");
}

TEST(ollama, who_asks_for_all_gets_the_tensors) {
  Server s;
  ai::openai::TensorRow row{.name = MUST(String::from("a.weight")),
                            .type = "Q4_0",
                            .dimension_count = 2,
                            .dimensions = {64, 3, 1, 1}};
  MUST(s.backend.tensor_rows.push_back(std::move(row)));
  s.backend.tensor_polls = 5;
  Answer r = s.post("/api/show", R"({"model":"tiny","verbose":true})");
  EXPECT_HAS(r.body, R"("tensors":[{"name":"a.weight","type":"Q4_0","shape":[64,3]}])");
  EXPECT(!has(s.post("/api/show", R"({"model":"tiny"})").body, "tensors"));
  EXPECT_EQ(s.post("/api/show", R"({"model":"tiny","verbose":1})").status, 400);
  // A client that leaves while they are read leaves nothing behind.
  s.backend.tensor_polls = 1000;
  ApiTestReply reply;
  s.begin("/api/show", R"({"model":"tiny","verbose":true})", reply);
  s.turn();
  EXPECT(!s.service->idle());
  s.service->gone(reply);
  s.turn();
  EXPECT(s.service->idle());
}

// Programs look for a server before they speak to it.
TEST(ollama, probes_are_answered) {
  ai::openai::ServiceOptions options = Server::opened();
  options.ollama_root = true;
  Server s(std::move(options));
  for (const char* method : {"GET", "HEAD"})
    for (const char* path : {"/", "/api/version", "/api/tags", "/api/ps"})
      EXPECT_EQ(s.call(method, path, "").status, 200);
  EXPECT_EQ(s.call("GET", "/", "").body.view(), "Ollama is running");
  EXPECT_EQ(s.call("HEAD", "/api/blobs/sha256:00", "").status, 404);
}

TEST(ollama, vectors) {
  Server s;
  Answer r = s.post("/api/embed", R"({"model":"tiny","input":["B","b"]})");
  EXPECT_EQ(r.status, 200);
  auto document = json::Document::parse(r.body.view());
  REQUIRE(document.has_value());
  EXPECT_EQ(document->root().find("embeddings").size(), 2u);
  EXPECT_EQ(document->root().find("embeddings").at(0).size(), 8u);
  EXPECT_EQ(document->root().find("model").text(), "tiny:latest");
  EXPECT_EQ(document->root().find("prompt_eval_count").text(), "2");
  EXPECT_HAS(s.post("/api/embed", R"({"model":"tiny"})").body, R"("embeddings":[])");
  EXPECT_HAS(s.post("/api/embed", R"({"model":"tiny","input":""})").body, R"("embeddings":[])");
  EXPECT_HAS(s.post("/api/embed", R"({"model":"tiny","input":7})").body,
             R"({"error":"invalid input type"})");
  EXPECT_EQ(s.post("/api/embed", R"({"model":"tiny","input":[1,2]})").status, 400);
  r = s.post("/api/embed", R"({"model":"tiny","input":"B","dimensions":2})");
  REQUIRE(r.status == 200);
  String longer;
  base::StringWriter out(longer);
  out.write(R"({"model":"tiny","input":")");
  for (u32 i = 0; i < 300; i++) out.write("B");
  out.write("\"");
  String refused = std::move(*longer.clone());
  EXPECT(longer.append("}").has_value() && refused.append(R"(,"truncate":false})").has_value());
  EXPECT_HAS(s.post("/api/embed", longer.view()).body, R"("prompt_eval_count":199)");
  EXPECT_EQ(s.post("/api/embed", refused.view()).status, 400);
  r = s.post("/api/embeddings", R"({"model":"tiny","prompt":"B"})");
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(r.body, R"({"embedding":[)");
  EXPECT_EQ(s.post("/api/embeddings", R"({"model":"tiny"})").body.view(), R"({"embedding":[]})");
}

TEST(ollama, tells_what_there_is) {
  Server s;
  s.backend.models = 2;
  (void)s.backend.known.architecture.assign("llama");
  s.backend.known.parameters = 134'515'008;
  Answer r = s.call("GET", "/api/tags", "");
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(
      r.body,
      R"("name":"tiny:latest","model":"tiny:latest","modified_at":"1970-01-01T00:20:34.000000Z")");
  EXPECT_HAS(r.body, R"("name":"other/b:latest")");
  EXPECT_HAS(r.body, R"("parameter_size":"134.5M")");
  auto document = json::Document::parse(r.body.view());
  REQUIRE(document.has_value());
  EXPECT_EQ(document->root().find("models").at(1).find("digest").text().size(), 64u);
  EXPECT_EQ(s.call("HEAD", "/api/tags", "").status, 200);
  r = s.call("GET", "/api/ps", "");
  EXPECT_HAS(r.body, R"("name":"tiny:latest")");
  EXPECT(!has(r.body, "other/b"));
  EXPECT_HAS(r.body, R"("size_vram":1000,"context_length":200)");
  EXPECT_EQ(chat(s, R"(,"keep_alive":"5m")").status, 200);
  EXPECT_HAS(s.call("GET", "/api/ps", "").body, R"("expires_at":"1970-01-01T00:25)");
  r = s.post("/api/show", R"({"name":"Other/B:latest"})");
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(r.body, R"("llama.context_length":0)");
  EXPECT_HAS(r.body, R"("parameters":"num_ctx 0","template":"{{ .Prompt }}")");
  EXPECT_EQ(s.post("/api/show", R"({"name":"none"})").status, 404);
  EXPECT_EQ(s.post("/api/show", "{}").status, 400);
  EXPECT_EQ(s.call("GET", "/api/version", "").body.view(), R"({"version":"0.12.6"})");
  EXPECT_EQ(s.backend.leases, 0u);
}

TEST(ollama, says_what_to_do_instead_of_what_it_cannot) {
  Server s;
  struct Row {
    std::string_view method, path;
    int status;
  };
  constexpr Row kRows[] = {{"POST", "/api/create", 501},
                           {"POST", "/api/copy", 501},
                           {"POST", "/api/push", 501},
                           {"POST", "/api/blobs/sha256:12", 501},
                           {"HEAD", "/api/blobs/sha256:12", 404},
                           {"GET", "/api/status", 200}};
  for (const Row& row : kRows) {
    Answer r = s.call(row.method, row.path, R"({"model":"x"})");
    EXPECT_EQ(r.status, row.status);
    EXPECT(row.status == 200 || has(r.body, R"({"error":")"));
  }
  EXPECT_HAS(s.post("/api/create", "{}").body, "copy a finished .gguf file into the folder models");
}

TEST(ollama, its_root_is_for_programs) {
  ai::openai::ServiceOptions options = Server::opened();
  options.ollama_root = true;
  options.page = "<p>page</p>";
  Server s(std::move(options));
  EXPECT_EQ(s.call("GET", "/", "").body.view(), "Ollama is running");
  const base::HttpHeader browser[] = {{"Host", "localhost"}, {"Accept", "text/html,*/*;q=0.8"}};
  EXPECT_EQ(s.call("GET", "/", "", browser).body.view(), "<p>page</p>");
}

TEST(ollama, silence_is_filled_with_blanks) {
  Server s;
  ApiTestReply reply;
  s.begin("/api/chat", R"({"model":"tiny","messages":[{"role":"user","content":"x"}]})", reply);
  EXPECT_EQ(reply.status, 200);  // before the prompt is read
  s.backend.now += 5'000'000'000;
  s.service->tick();
  EXPECT_EQ(reply.body.view(), " ");
  s.run();
  EXPECT(lines_are_json(reply.body));
}

namespace {

struct Thoughts final : ai::openai::ThoughtSink {
  void on_thought(std::string_view text) override { (void)thought.append(text); }
  void on_said(std::string_view text) override { (void)said.append(text); }
  String thought, said;
};

}  // namespace

TEST(ollama, thoughts_are_split_wherever_the_text_is_cut) {
  struct Row {
    std::string_view text;
    bool open;
    std::string_view thought, said;
  };
  constexpr Row kRows[] = {{"<think>\nlet me  see\n</think>\n\nYes.", false, "let me  see", "Yes."},
                           {"let me see</think>Yes </think>", true, "let me see", "Yes </think>"},
                           {"  Yes <think>x</think>", false, "", "  Yes <think>x</think>"},
                           {"<think></think>Yes", false, "", "Yes"},
                           {"<think>a < b </thin k> c", false, "a < b </thin k> c", ""},
                           {"<thing>", false, "", "<thing>"},
                           {"<thi", false, "", "<thi"},
                           {"<think>half </thi", false, "half </thi", ""},
                           {"", false, "", ""}};
  for (const Row& row : kRows)
    for (usize step = 1; step <= 7; step++) {
      Thoughts got;
      ai::openai::ThoughtReader reader(row.open, got);
      for (usize at = 0; at < row.text.size(); at += step)
        EXPECT(reader.feed(row.text.substr(at, step)).has_value());
      reader.finish();
      EXPECT_EQ(got.thought.view(), row.thought);
      EXPECT_EQ(got.said.view(), row.said);
    }
}
