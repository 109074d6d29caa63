// SPDX-License-Identifier: GPL-2.0-or-later
// Keys, limits of clients, the log, slots and embeddings.
#include "tests/hosted/openai_server.h"

using ai::openai::Header;
using Server = ApiTestServer;

TEST(openai, keys_of_a_file_and_hashed_keys) {
  ai::openai::ServiceOptions options;
  // SHA-256 of "secret".
  MUST(options.api_keys.push_back(
      *String::from("sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b")));
  ApiTestBackend backend;
  auto service = std::move(*ai::openai::Service::create(std::move(options), backend));
  auto status = [&](std::string_view key, std::string_view path, std::string_view method) {
    ApiTestReply reply;
    const Header headers[] = {{"X-Api-Key", key}};
    (void)service->handle({.method = method,
                           .path = path,
                           .query = "",
                           .headers = headers,
                           .body = "",
                           .peer = "p:1"},
                          reply);
    return reply.status;
  };
  EXPECT_EQ(status("secret", "/v1/models", "GET"), 200);
  EXPECT_EQ(status("wrong", "/v1/models", "GET"), 401);
  EXPECT_EQ(status("later", "/v1/models", "GET"), 401);
  Vector<crypto::Sha256Digest> users, admins;
  MUST(users.push_back(ai::openai::Service::key_digest("later")));
  MUST(admins.push_back(ai::openai::Service::key_digest("root")));
  service->set_keys(std::move(users), std::move(admins));
  EXPECT_EQ(status("later", "/v1/models", "GET"), 200);
  EXPECT_EQ(status("secret", "/v1/models", "GET"), 200);
  EXPECT_EQ(status("root", "/v1/models", "GET"), 200);
  EXPECT_EQ(status("later", "/v1/models/unload", "POST"), 403);
  EXPECT(status("root", "/v1/models/unload", "POST") != 401);
  service->set_keys({}, {});
  EXPECT_EQ(status("later", "/v1/models", "GET"), 401);
  EXPECT_EQ(status("", "/v1/models", "GET"), 401);
}

TEST(openai, limits_of_one_client) {
  ai::openai::ServiceOptions options;
  options.client_rate = 2;
  options.client_requests = 3;
  ApiTestBackend backend;
  backend.now = 1'000'000'000;
  auto service = std::move(*ai::openai::Service::create(std::move(options), backend));
  ApiTestReply replies[8];
  u32 next = 0;
  auto ask = [&](std::string_view peer) {
    ApiTestReply& reply = replies[next++];
    const Header headers[] = {{"Content-Type", "application/json"}};
    (void)service->handle({.method = "POST",
                           .path = "/completion",
                           .query = "",
                           .headers = headers,
                           .body = R"({"prompt":"x","n_predict":2})",
                           .peer = peer},
                          reply);
    return reply.status;
  };
  EXPECT_EQ(ask("10.0.0.1:5000"), 0);  // taken
  EXPECT_EQ(ask("10.0.0.1:5001"), 0);
  EXPECT_EQ(ask("10.0.0.1:5002"), 429);  // the third within a second
  EXPECT_HAS(replies[2].body, "rate_limit_exceeded");
  EXPECT_EQ(ask("10.0.0.2:5000"), 0);  // another client
  backend.now += 1'000'000'000;
  EXPECT_EQ(ask("10.0.0.1:5003"), 0);
  EXPECT_EQ(ask("10.0.0.1:5004"), 429);  // three of it are being answered
  EXPECT_HAS(replies[5].body, "client_busy");
  for (int i = 0; i < 100 && !service->idle(); i++) {
    (void)backend.fake.step();
    service->tick();
  }
  EXPECT_EQ(replies[0].status, 200);
  EXPECT_EQ(replies[4].status, 200);
}

TEST(openai, the_log_as_json) {
  ai::openai::ServiceOptions options;
  options.json_log = true;
  Server s(std::move(options));
  (void)s.post("/completion", R"({"prompt":"my secret","n_predict":2})");
  auto line = json::Document::parse(s.backend.logged.view());
  REQUIRE(line.has_value());
  EXPECT_EQ(line->root().find("event").text(), "request");
  EXPECT_EQ(line->root().find("path").text(), "/completion");
  EXPECT_EQ(line->root().find("tokens").text(), "2");
  EXPECT(!has(s.backend.logged, "secret"));
}

TEST(openai, slots_are_saved_restored_and_erased) {
  Server s;
  auto act = [&](std::string_view path, std::string_view action, std::string_view body) {
    return s.call("POST", path, body, {}, action);
  };
  EXPECT_HAS(s.call("GET", "/slots", "").body, R"([{"id":0,"n_ctx":200,"is_processing":false)");
  EXPECT_EQ(act("/slots/1", "action=save", R"({"filename":"a"})").status, 400);  // nothing said yet
  (void)s.post("/completion", R"({"prompt":"abc","n_predict":2,"id_slot":1})");
  EXPECT_HAS(s.call("GET", "/slots", "").body,
             R"({"id":1,"n_ctx":200,"is_processing":false,"n_past":5})");
  ApiTestReply r = act("/slots/1", "action=save", R"({"filename":"a"})");
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(r.body,
             R"({"id_slot":1,"filename":"a","n_saved":5,"n_written":20,"timings":{"save_ms":)");
  EXPECT_HAS(act("/slots/1", "action=erase", "").body, R"({"id_slot":1,"n_erased":5})");
  EXPECT_HAS(act("/slots/1", "action=erase", "").body, R"("n_erased":0)");
  r = act("/slots/2", "action=restore", R"({"filename":"a"})");
  EXPECT_HAS(r.body, R"({"id_slot":2,"filename":"a","n_restored":5,"n_read":20)");
  EXPECT_EQ(act("/slots/2", "action=restore", R"({"filename":"none"})").status, 404);
  EXPECT_EQ(act("/slots/2", "action=save", R"({"filename":"full"})").status, 429);
  for (std::string_view bad : {"", "../a", ".a", "a/b", "a b"}) {
    String body;
    base::StringWriter out(body);
    base::format_to(out, R"({{"filename":"{}"}})", bad);
    EXPECT_EQ(act("/slots/2", "action=save", body.view()).status, 400);
  }
  EXPECT_EQ(act("/slots/8", "action=erase", "").status, 400);
  EXPECT_EQ(act("/slots/x", "action=erase", "").status, 400);
  EXPECT_EQ(act("/slots/0", "", "").status, 400);
}

TEST(openai, a_prompt_goes_to_the_slot_that_begins_like_it) {
  Server s;
  (void)s.post("/completion", R"({"prompt":"aaaa","n_predict":1})");
  (void)s.post("/completion", R"({"prompt":"bbbb","n_predict":1})");
  (void)s.post("/completion", R"({"prompt":"aaaaaaaa","n_predict":1})");
  String slots = std::move(s.call("GET", "/slots", "").body);
  EXPECT_HAS(slots, R"({"id":0,"n_ctx":200,"is_processing":false,"n_past":9})");
  EXPECT_HAS(slots, R"({"id":1,"n_ctx":200,"is_processing":false,"n_past":5})");
  EXPECT_HAS(slots, R"({"id":2,"n_ctx":200,"is_processing":false,"n_past":0})");
}

TEST(openai, nobody_embeds_for_a_client_who_is_gone) {
  Server s;
  ApiTestReply reply;
  auto* exchange = s.begin("/v1/embeddings", R"({"input":["a","b","c"]})", reply);
  REQUIRE(exchange != nullptr);
  EXPECT(s.service->work());
  EXPECT_EQ(s.backend.fake.embedded, 1u);
  s.backend.fake.during_embedding = [&] { s.service->gone(exchange); };
  s.run();
  EXPECT(s.service->idle());
  EXPECT_EQ(s.backend.fake.embedded, 1u);
  EXPECT(!reply.done);
}

TEST(openai, embeddings_as_numbers_and_base64) {
  Server s;
  ApiTestReply r = s.post("/v1/embeddings", R"({"model":"m","input":["B","b"]})");
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(r.body, R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[)"
                     "0.000000000,0.000000000,1.000000000,0.0");
  EXPECT_HAS(r.body, R"("index":1,"embedding":[)");
  EXPECT_HAS(r.body, R"("model":"tiny","usage":{"prompt_tokens":2,"total_tokens":2}})");
  // Eight floats, the third is 1: 00 00 80 3f.
  r = s.post("/v1/embeddings", R"({"input":"B","encoding_format":"base64"})");
  EXPECT_HAS(r.body, R"("embedding":"AAAAAAAAAAAAAIA/AAAAAAAAAAAAAAAAAAAAAAAAAAA=")");
  r = s.post("/v1/embeddings", R"({"input":[66],"dimensions":4,"encoding_format":"float"})");
  EXPECT_HAS(r.body, "[0.000000000,0.000000000,1.000000000,0.000000000]");
  EXPECT_HAS(s.backend.logged, "embedded 1 texts of 1 tokens in ");
  for (std::string_view bad :
       {R"({})", R"({"input":[]})", R"({"input":""})", R"({"input":7})", R"({"input":[[]]})",
        R"({"input":"a","dimensions":9})", R"({"input":"a","dimensions":0})",
        R"({"input":"a","encoding_format":"text"})", R"({"input":[-1]})"})
    EXPECT_EQ(s.post("/v1/embeddings", bad).status, 400);
  EXPECT_HAS(s.post("/v1/embeddings", R"({"input":7})").body, R"("param":"input")");
}
