// SPDX-License-Identifier: GPL-2.0-or-later
// Pulls by request: who may, what each stage looks like in both forms, failures before and within a
// stream, clients that leave, and models that are asked for by the name they were pulled by.
#include "ai/openai/pulled_name.h"
#include "tests/hosted/ai/openai/test_server.h"

using Server = ApiTestServer;
using Answer = ApiTestServer::Answer;
using ai::openai::PullState;
using Stage = PullState::Stage;

namespace {

constexpr crypto::Sha256Digest kDigest{0x6a, 0x07, 0x46, 0xa1, 0xec, 0x1a, 0xff};

PullState at(Stage stage, u64 done = 0) {
  return {.stage = stage, .name = "tiny-1b", .sha256 = &kDigest, .done = done, .total = 100};
}

PullState ended(bool present = false) {
  PullState state = at(Stage::kEnded, 100);
  state.present = present;
  state.verified = true;
  return state;
}

PullState failed(Error error) {
  PullState state = at(Stage::kEnded, 40);
  state.result = std::unexpected(error);
  return state;
}

usize position(const String& text, std::string_view part) {
  return text.view().find(part);
}

}  // namespace

TEST(openai_pull, each_stage_is_a_line_of_json) {
  Server s;
  s.backend.pull_states = {at(Stage::kAsking), at(Stage::kFetching, 40), at(Stage::kVerifying, 100),
                           at(Stage::kWriting, 100), ended()};
  Answer r = s.post("/api/pull", R"({"model":"tiny:1b"})");
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.type.view(), "application/x-ndjson");
  EXPECT_EQ(s.backend.pulled_source.view(), "tiny:1b (ollama)");
  EXPECT(r.streaming && r.done);
  usize before = 0;
  for (std::string_view line :
       {R"({"status":"pulling manifest"})",
        R"({"status":"pulling 6a0746a1ec1a","digest":"sha256:6a0746a1ec1aff)",
        R"(,"total":100,"completed":40})", R"(,"total":100,"completed":100})",
        R"({"status":"verifying sha256 digest"})", R"({"status":"writing manifest"})",
        R"({"status":"success"})"}) {
    EXPECT_HAS(r.body, line);
    EXPECT_EQ(count(r.body, line) <= 2, true);
    EXPECT(position(r.body, line) >= before);
    before = position(r.body, line);
  }
  EXPECT(r.body.view().ends_with("{\"status\":\"success\"}\n"));
}

// The state is looked at now and then: what has passed in between is told all the same.
TEST(openai_pull, stages_that_passed_unseen_are_told) {
  Server s;
  s.backend.pull_states = {ended()};
  Answer r = s.post("/api/pull", R"({"name":"tiny:1b"})");
  for (std::string_view status : {"pulling manifest", "pulling 6a0746a1ec1a",
                                  "verifying sha256 digest", "writing manifest", "success"})
    EXPECT_EQ(count(r.body, status), 1u);
  s.backend.pull_states = {ended(true)};  // nothing is verified or written then
  r = s.post("/api/pull", R"({"name":"tiny:1b"})");
  EXPECT_EQ(count(r.body, "\n"), 3u);
  EXPECT_HAS(r.body, "success");
  EXPECT(!has(r.body, "writing"));
}

TEST(openai_pull, whole_answers) {
  Server s;
  s.backend.pull_states = {at(Stage::kFetching, 40), ended()};
  Answer r = s.post("/api/pull", R"({"model":"tiny","stream":false})");
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.body.view(), R"({"status":"success"})");
  r = s.post("/v1/models/pull", R"({"source":"hf:o/r/f.gguf","stream":false})");
  EXPECT_EQ(
      r.body.view(),
      R"({"status":"success","model":"tiny-1b","bytes":100,"verified":true,"present":false})");
}

TEST(openai_pull, events_of_the_other_route) {
  Server s;
  PullState broke = at(Stage::kFetching, 40);
  broke.notes = 1;
  broke.note = "the server is silent: trying again (2 of 6)";
  s.backend.pull_states = {at(Stage::kFetching, 10), broke, ended()};
  Answer r = s.post("/v1/models/pull", R"({"source":"http://h/tiny.gguf"})");
  EXPECT_EQ(r.type.view(), "text/event-stream");
  EXPECT_EQ(s.backend.pulled_source.view(), "http://h/tiny.gguf");
  EXPECT(events_are_json(r.body));
  EXPECT_HAS(r.body, "data: {\"status\":\"the server is silent: trying again (2 of 6)\"}\n\n");
  EXPECT_EQ(count(r.body, "trying again"), 1u);
  EXPECT_HAS(r.body, R"("status":"success","model":"tiny-1b")");
}

TEST(openai_pull, counts_four_times_a_second_at_most_and_is_never_silent) {
  ai::openai::ServiceOptions options = Server::opened();
  options.heartbeat_ns = 900'000'000;
  Server s(std::move(options));
  s.backend.pull_states.clear();
  for (u64 i = 0; i < 100; i++) s.backend.pull_states.push_back(at(Stage::kFetching, i));
  ApiTestReply reply;
  s.begin("/api/pull", R"({"model":"tiny"})", reply);
  for (int i = 0; i < 100; i++) {
    s.backend.now += 9'000'000;  // turn() adds another one
    s.turn();
  }
  u32 lines = count(reply.body, "\n");
  EXPECT(lines >= 4 && lines <= 7);
  s.backend.now += 1'000'000'000;  // nothing comes
  s.turn();
  EXPECT_EQ(count(reply.body, "\n"), lines + 1);
  s.service->gone(reply);
  s.turn();
  EXPECT(s.service->idle());
}

TEST(openai_pull, failures_before_and_within_the_stream) {
  Server s;
  s.backend.pull_states = {at(Stage::kFetching, 40), failed({Errc::kCorrupt, "wrong bytes"})};
  Answer r = s.post("/api/pull", R"({"model":"tiny"})");
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(r.body, R"({"error":"wrong bytes"})");
  EXPECT(!has(r.body, "success") && !has(r.body, "verifying"));
  r = s.post("/v1/models/pull", R"({"source":"tiny"})");
  EXPECT_HAS(r.body, R"(data: {"error":)");
  struct Row {
    Errc code;
    int status;
  };
  for (Row row :
       {Row{Errc::kNotFound, 404}, Row{Errc::kPermission, 403}, Row{Errc::kCancelled, 409},
        Row{Errc::kFull, 507}, Row{Errc::kCorrupt, 502}, Row{Errc::kTimeout, 504},
        Row{Errc::kUnsupported, 422}, Row{Errc::kInvalidArgument, 400}}) {
    s.backend.pull_states = {failed({row.code, "why not"})};
    r = s.post("/api/pull", R"({"model":"tiny","stream":false})");
    EXPECT_EQ(r.status, row.status);
    EXPECT_EQ(r.body.view(), R"({"error":"why not"})");
  }
  s.backend.pull_refusal = {Errc::kBusy, "another model is being pulled"};
  r = s.post("/api/pull", R"({"model":"tiny"})");
  EXPECT_EQ(r.status, 409);
  EXPECT_HAS(r.headers, "Retry-After: 10");
  EXPECT_EQ(s.post("/api/pull", "{}").status, 400);
  EXPECT_EQ(s.post("/v1/models/pull", "{}").status, 400);
  EXPECT_EQ(s.post("/v1/models/pull", R"({"source":3})").status, 400);
  EXPECT_EQ(s.post("/api/pull", R"({"model":"x","stream":"no"})").status, 400);
}

TEST(openai_pull, is_stopped_by_a_request) {
  Server s;
  EXPECT_EQ(s.call("DELETE", "/v1/models/pull", "").status, 404);
  s.backend.pull_states = {ended()};
  s.post("/api/pull", R"({"model":"tiny"})");
  EXPECT_HAS(s.call("DELETE", "/v1/models/pull", "").body, R"({"stopped":true})");
  EXPECT_EQ(s.call("GET", "/v1/models/pull", "").status, 404);  // no model of that name
}

TEST(openai_pull, a_model_is_removed_by_request) {
  Server s;  // its model is "tiny"
  auto remove = [&](std::string_view body) { return s.call("DELETE", "/api/delete", body); };
  Answer r = remove(R"({"model":"owner/tiny:latest"})");
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.body.view(), R"({"status":"success"})");
  EXPECT_EQ(s.backend.removed.view(), "tiny");
  struct Row {
    Error error;
    int status;
  };
  for (Row row : {Row{{Errc::kBusy, "the model is loaded"}, 409},
                  Row{{Errc::kNotFound, "no disk has such a model"}, 404},
                  Row{{Errc::kPermission, "the disk is only read"}, 403}}) {
    s.backend.load_result = std::unexpected(row.error);
    r = remove(R"({"name":"tiny"})");
    EXPECT_EQ(r.status, row.status);
    EXPECT_HAS(r.body, row.error.what);
  }
  s.backend.load_result = {};
  s.backend.removed.clear();
  EXPECT_EQ(remove(R"({"model":"nobody"})").status, 404);
  EXPECT_HAS(remove(R"({"model":"nobody"})").body, "model 'nobody' not found");
  EXPECT_EQ(remove("{}").status, 400);
  // where any name means the default model, an unknown one still removes nothing
  ai::openai::ServiceOptions options;
  options.open = options.any_model = true;
  options.admin = ai::openai::AdminRoutes::kOpen;
  Server any(std::move(options));
  EXPECT_EQ(any.call("DELETE", "/api/delete", R"({"model":"nobody"})").status, 404);
  EXPECT(s.backend.removed.empty() && any.backend.removed.empty());
}

TEST(openai_pull, only_for_those_who_may_load) {
  ai::openai::ServiceOptions open;
  open.open = true;
  Server guest(std::move(open));
  for (std::string_view path : {"/api/pull", "/v1/models/pull"})
    EXPECT_EQ(guest.post(path, R"({"model":"tiny"})").status, 403);
  ai::openai::ServiceOptions keys;
  MUST(keys.api_keys.push_back(MUST(String::from("user"))));
  MUST(keys.admin_keys.push_back(MUST(String::from("admin"))));
  Server s(std::move(keys));
  s.backend.pull_states = {ended()};
  const base::HttpHeader user[] = {{"Authorization", "Bearer user"}},
                         admin[] = {{"Authorization", "Bearer admin"}};
  constexpr std::string_view kBody = R"({"model":"tiny"})";
  EXPECT_EQ(s.post("/api/pull", kBody).status, 401);
  EXPECT_EQ(s.call("POST", "/api/pull", kBody, user).status, 403);
  EXPECT_EQ(s.call("POST", "/v1/models/pull", kBody, user).status, 403);
  EXPECT_EQ(s.call("DELETE", "/v1/models/pull", "", user).status, 403);
  EXPECT_EQ(s.call("DELETE", "/api/delete", kBody, user).status, 403);
  EXPECT_EQ(s.call("DELETE", "/api/delete", kBody).status, 401);
  EXPECT_EQ(s.backend.pulls, 0u);
  EXPECT(s.backend.removed.empty());
  EXPECT_EQ(s.call("POST", "/api/pull", kBody, admin).status, 200);
  EXPECT_EQ(s.backend.pulls, 1u);
}

TEST(openai_pull, names_of_pulled_models) {
  struct Row {
    std::string_view wanted, name;
  };
  for (Row row : {Row{"tiny", "tiny"}, Row{"tiny:latest", "tiny"}, Row{"tiny:1b", "tiny-1b"},
                  Row{"owner/tiny:1b", "tiny-1b"}, Row{"hf.co/o/Tiny-GGUF:Q8_0", "Tiny-Q8_0"},
                  Row{"hf.co/o/Tiny-gguf", "Tiny"}, Row{"o/Tiny-GGUF:sub.Q8_0.gguf", "sub.Q8_0"}}) {
    String name = MUST(ai::openai::pulled_name(row.wanted));
    EXPECT_EQ(name.view(), row.name);
  }
  Server s;  // its model is "tiny"
  EXPECT_EQ(s.post("/api/show", R"({"model":"owner/tiny:latest"})").status, 200);
  EXPECT_EQ(s.post("/api/show", R"({"model":"tiny:2b"})").status, 404);
  EXPECT_EQ(s.post("/api/show", R"({"model":"owner/tiny"})").status, 404);
}
