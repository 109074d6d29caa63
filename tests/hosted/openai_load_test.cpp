// SPDX-License-Identifier: GPL-2.0-or-later
// Loading and unloading of models by request: answered when it is done, with the truth.
#include "tests/hosted/openai_server.h"

using Server = ApiTestServer;

TEST(openai_load, answers_when_the_model_is_loaded) {
  Server s;
  ApiTestReply r = s.post("/v1/models/load", R"({"model":"big"})");
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(r.body, R"("success":true,"model":"big","status":"loaded")");
  EXPECT_EQ(s.backend.load_polls, 0u);
  r = s.post("/models/load", R"({"model":"big","wait":false})");
  EXPECT_EQ(r.status, 202);
  EXPECT_EQ(s.backend.load_polls, 3u);  // it goes on
  r = s.post("/models/load", R"({"model":"other"})");
  EXPECT_EQ(r.status, 409);
  EXPECT_HAS(r.body, R"("code":"model_loading")");
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
    ApiTestReply r = s.post("/v1/models/load", R"({"model":"big"})");
    EXPECT_EQ(r.status, row.status);
    EXPECT_HAS(r.body, row.kind);
    EXPECT_HAS(r.body, "gguf: does not begin with GGUF");
    EXPECT_EQ(s.chat("").status, 200);  // the model before serves on
  }
  Server s;
  ApiTestReply r = s.post("/v1/models/load", R"({"model":"-gone"})");
  EXPECT_EQ(r.status, 404);
  EXPECT_HAS(r.body, R"("param":"model","code":"model_not_found")");
  EXPECT_EQ(s.post("/v1/models/load", "{}").status, 400);
  EXPECT_EQ(s.post("/v1/models/load", R"({"model":"big","wait":3})").status, 400);
}

TEST(openai_load, unloads_what_is_loaded) {
  Server s;
  EXPECT_EQ(s.post("/v1/models/unload", R"({"model":"elsewhere"})").status, 404);
  ApiTestReply r = s.post("/v1/models/unload", R"({"model":"tiny"})");
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(r.body, R"("status":"unloaded")");
  EXPECT_EQ(s.post("/models/unload", "").status, 200);
  s.backend.ready = false;
  EXPECT_EQ(s.post("/models/unload", "").status, 404);
}

TEST(openai_load, requests_meant_for_the_old_model_do_not_meet_the_new_one) {
  Server s;
  ApiTestReply r;
  (void)s.begin("/v1/embeddings", R"({"input":"B"})", r);
  s.service->model_changed();
  EXPECT_EQ(r.status, 503);
  s.run();
  EXPECT(s.service->idle());
  s.backend.replacing = true;
  r = s.chat("");
  EXPECT_EQ(r.status, 503);
  EXPECT_HAS(r.body, "the model is being replaced");
  EXPECT_HAS(r.headers, "retry-after-ms: 700");
}
