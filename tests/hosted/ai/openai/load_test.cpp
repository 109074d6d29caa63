// SPDX-License-Identifier: GPL-2.0-or-later
// Loading and unloading models by request: the answer comes when it is done, and says what
// happened.
#include "tests/hosted/ai/openai/test_server.h"

using Server = ApiTestServer;
using Answer = ApiTestServer::Answer;

TEST(openai_load, answers_when_the_model_is_loaded) {
  Server s;
  Answer r = s.post("/v1/models/load", R"({"model":"big"})");
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(r.body, R"("success":true,"model":"big","status":"loaded")");
  EXPECT_EQ(s.backend.load_polls, 0u);
  r = s.post("/models/load", R"({"model":"big","wait":false})");
  EXPECT_EQ(r.status, 202);
  EXPECT_EQ(s.backend.load_polls, 3u);  // it goes on
  r = s.post("/models/load", R"({"model":"other"})");
  EXPECT_EQ(r.status, 409);
  EXPECT_HAS(r.body, R"("reason":"model_loading")");
  EXPECT_HAS(r.headers, "retry-after-ms: 1000");
}

TEST(openai_load, says_why_a_model_was_not_loaded) {
  struct Row {
    Errc code;
    int status;
    const char* kind;
  };
  constexpr Row kRows[] = {{Errc::kCorrupt, 422, "model_load_failed"},
                           {Errc::kUnsupported, 422, "model_load_failed"},
                           {Errc::kOutOfMemory, 422, "model_load_failed"},
                           {Errc::kNotFound, 422, "model_load_failed"},  // a tensor, not the file
                           {Errc::kIo, 500, "model_load_failed"},
                           {Errc::kBusy, 409, "model_loading"}};
  for (const Row& row : kRows) {
    Server s;
    s.backend.load_result = fail(row.code, "gguf: does not begin with GGUF");
    Answer r = s.post("/v1/models/load", R"({"model":"big"})");
    EXPECT_EQ(r.status, row.status);
    EXPECT_HAS(r.body, row.kind);
    EXPECT_HAS(r.body, "gguf: does not begin with GGUF");
    EXPECT_EQ(s.chat("").status, 200);  // the model before serves on
  }
  Server s;
  Answer r = s.post("/v1/models/load", R"({"model":"-gone"})");
  EXPECT_EQ(r.status, 404);
  EXPECT_HAS(r.body, R"("param":"model","code":"model_not_found")");
  EXPECT_EQ(s.post("/v1/models/load", "{}").status, 400);
  EXPECT_EQ(s.post("/v1/models/load", R"({"model":"big","wait":3})").status, 400);
}

TEST(openai_load, unloads_what_is_loaded) {
  Server s;
  EXPECT_EQ(s.post("/v1/models/unload", R"({"model":"elsewhere"})").status, 404);
  Answer r = s.post("/v1/models/unload", R"({"model":"tiny"})");
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(r.body, R"("status":"unloaded")");
  EXPECT_EQ(s.post("/models/unload", "").status, 200);
  s.backend.ready = false;
  EXPECT_EQ(s.post("/models/unload", "").status, 404);
}

TEST(openai_load, says_who_holds_the_model) {
  Server s;
  s.backend.load_result =
      fail(Errc::kBusy, "the model is in use by a conversation of the console: end it first");
  Answer r = s.post("/v1/models/load", R"({"model":"big"})");
  EXPECT_EQ(r.status, 409);
  EXPECT_HAS(r.body, "in use by a conversation of the console: end it first");
  EXPECT_HAS(r.headers, "retry-after-ms: 1000");
}

// The lease decides, not which model is the current one by the time of the answer.
TEST(openai_load, a_request_is_answered_by_the_model_it_began_with) {
  Server s;
  s.backend.models = s.backend.loaded = 2;
  s.backend.other.script = "Other";
  ApiTestReply chat, vectors;
  s.begin("/v1/completions", R"({"model":"tiny","prompt":"x","max_tokens":99})", chat);
  s.begin("/v1/embeddings", R"({"model":"tiny","input":"B"})", vectors);
  s.backend.other_is_current = true;
  s.run();
  EXPECT_HAS(chat.body, R"("text":"Hello world")");
  EXPECT_HAS(chat.body, R"("model":"tiny")");
  EXPECT_HAS(vectors.body, R"("model":"tiny")");
  Answer r = s.post("/v1/completions", R"({"prompt":"x","max_tokens":99})");
  EXPECT_HAS(r.body, R"("text":"Other")");
  EXPECT_HAS(r.body, R"("model":"other/b")");
  r = s.post("/v1/completions", R"({"model":"tiny","prompt":"x","max_tokens":99})");
  EXPECT_HAS(r.body, R"("text":"Hello world")");
  EXPECT_EQ(s.backend.leases, 0u);
}

// Texts that were said to one load are not shown as those of another, nor kept after it.
TEST(openai_load, what_is_remembered_belongs_to_a_load) {
  Server s;
  s.backend.models = s.backend.loaded = 2;
  (void)s.post("/completion", R"({"prompt":"abc","n_predict":2,"id_slot":1})");
  std::string_view kept = R"({"id":1,"n_ctx":200,"is_processing":false,"n_past":5})";
  EXPECT_HAS(s.call("GET", "/slots", "").body, kept);
  s.backend.other_is_current = true;
  EXPECT(!has(s.call("GET", "/slots", "").body, kept));
  s.backend.other_is_current = false;
  EXPECT_HAS(s.call("GET", "/slots", "").body, kept);
  Answer r = s.chat(R"(,"model":"tiny","response_format":{"type":"json_object"},"max_tokens":4)");
  s.backend.load_number = 8;  // unloaded and loaded again
  s.service->tick();
  EXPECT(!has(s.call("GET", "/slots", "").body, kept));
  r = s.post("/v1/completions", R"({"model":"tiny","prompt":"x","grammar":"root ::= \"a\""})");
  EXPECT_HAS(r.body, R"("text":"a")");  // by a token tree of the new load
}

TEST(openai_load, without_a_model_requests_wait) {
  Server s;
  s.backend.ready = false;
  for (std::string_view path : {"/v1/completions", "/completion", "/v1/embeddings", "/tokenize",
                                "/v1/chat/completions", "/slots/1", "/detokenize"}) {
    Answer r = s.call("POST", path, R"({"messages":[{"role":"user","content":"x"}],"tokens":[]})",
                      {}, "action=erase");
    EXPECT_EQ(r.status, 503);
    EXPECT_HAS(r.headers, "retry-after-ms: 700");
  }
  EXPECT_EQ(s.call("GET", "/props", "").status, 503);
  EXPECT_EQ(s.call("GET", "/slots", "").status, 503);
  EXPECT_EQ(s.call("GET", "/metrics", "").status, 200);
}
