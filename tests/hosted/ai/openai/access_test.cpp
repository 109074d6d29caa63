// SPDX-License-Identifier: GPL-2.0-or-later
// Keys, limits of clients, the log, slots and embeddings.
#include "tests/hosted/ai/openai/test_server.h"

using ai::openai::Guard;
using base::HttpHeader;
using Server = ApiTestServer;
using Answer = ApiTestServer::Answer;

TEST(openai, keys_of_a_file_and_hashed_keys) {
  ai::openai::ServiceOptions options;
  // SHA-256 of "secret".
  MUST(options.api_keys.push_back(
      *String::from("sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b")));
  Server s(std::move(options));
  auto status = [&](std::string_view key, std::string_view path, std::string_view method) {
    const HttpHeader headers[] = {{"X-Api-Key", key}};
    return s.call(method, path, "", headers).status;
  };
  EXPECT_EQ(status("secret", "/v1/models", "GET"), 200);
  EXPECT_EQ(status("wrong", "/v1/models", "GET"), 401);
  EXPECT_EQ(status("later", "/v1/models", "GET"), 401);
  Vector<crypto::Sha256Digest> users, admins;
  MUST(users.push_back(MUST(Guard::read_key("later"))));
  MUST(admins.push_back(MUST(Guard::read_key("root"))));
  s.service->set_keys(std::move(users), std::move(admins));
  EXPECT_EQ(status("later", "/v1/models", "GET"), 200);
  EXPECT_EQ(status("secret", "/v1/models", "GET"), 200);
  EXPECT_EQ(status("root", "/v1/models", "GET"), 200);
  EXPECT_EQ(status("later", "/v1/models/unload", "POST"), 403);
  EXPECT_EQ(status("root", "/v1/models/unload", "POST"), 200);
  s.service->set_keys({}, {});
  EXPECT_EQ(status("later", "/v1/models", "GET"), 401);
  EXPECT_EQ(status("", "/v1/models", "GET"), 401);
  // Without admin keys a request key is enough.
  EXPECT_EQ(status("secret", "/v1/models/unload", "POST"), 200);
}

TEST(openai, keys_that_are_none_are_refused) {
  for (std::string_view key :
       {"", "sha256:", "sha256:2bb8",
        "sha256:zbb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"})
    for (bool admin : {false, true}) {
      ai::openai::ServiceOptions options;
      MUST((admin ? options.admin_keys : options.api_keys).push_back(MUST(String::from(key))));
      ApiTestBackend backend;
      auto service = ai::openai::Service::create(std::move(options), backend);
      REQUIRE(!service.has_value());
      EXPECT(service.error().code == Errc::kInvalidArgument);
    }
}

// No key at all, or only admin keys: nobody gets in for want of something to compare with.
TEST(openai, a_server_is_open_only_when_it_was_opened) {
  Server closed(ai::openai::ServiceOptions{});
  EXPECT_EQ(closed.call("GET", "/v1/models", "").status, 401);
  EXPECT_EQ(closed.chat("").status, 401);
  EXPECT_EQ(closed.call("GET", "/health", "").status, 200);
  for (bool open : {false, true}) {
    ai::openai::ServiceOptions options;
    options.open = open;
    MUST(options.admin_keys.push_back(MUST(String::from("boss"))));
    Server s(std::move(options));
    EXPECT_EQ(s.chat("").status, 401);
    const HttpHeader boss[] = {{"Authorization", "Bearer boss"}};
    EXPECT_EQ(s.call("GET", "/v1/models", "", boss).status, 200);
    EXPECT_EQ(s.call("POST", "/v1/models/unload", "", boss).status, 200);
  }
}

TEST(openai, admin_routes_by_option) {
  struct Row {
    ai::openai::AdminRoutes admin;
    bool open, has_admin_key;
    std::string_view key;
    int status;
  };
  using ai::openai::AdminRoutes;
  for (const Row& row : {Row{AdminRoutes::kKey, true, false, "", 403},
                         Row{AdminRoutes::kKey, false, false, "user", 200},
                         Row{AdminRoutes::kKey, false, true, "user", 403},
                         Row{AdminRoutes::kKey, false, true, "boss", 200},
                         Row{AdminRoutes::kOpen, true, false, "", 200},
                         Row{AdminRoutes::kOpen, false, true, "user", 200},
                         Row{AdminRoutes::kOpen, false, true, "", 401},
                         Row{AdminRoutes::kClosed, true, false, "", 403},
                         Row{AdminRoutes::kClosed, false, true, "boss", 403}}) {
    ai::openai::ServiceOptions options;
    options.open = row.open;
    options.admin = row.admin;
    if (!row.open) MUST(options.api_keys.push_back(MUST(String::from("user"))));
    if (row.has_admin_key) MUST(options.admin_keys.push_back(MUST(String::from("boss"))));
    Server s(std::move(options));
    const HttpHeader headers[] = {
        {"Host", "localhost"}, {"X-Api-Key", row.key}, {"Content-Type", "application/json"}};
    for (std::string_view path : {"/v1/models/load", "/models/unload", "/slots/0"}) {
      Answer r =
          s.call("POST", path,
                 path.ends_with("load") && !path.ends_with("unload") ? R"({"model":"big"})" : "",
                 headers, "action=erase");
      EXPECT_EQ(r.status, row.status);
      if (row.open && row.admin == AdminRoutes::kKey) EXPECT_HAS(r.body, "set admin_key=");
    }
    Answer report = s.call("GET", "/report", "", headers);
    EXPECT_EQ(report.status, row.status);
    EXPECT_EQ(report.body.view() == "all about the machine\n", row.status == 200);
  }
}

// Where no key tells who asks, a page of somebody else's must not: by a name of its own that leads
// here (DNS rebinding), or across origins.
TEST(openai, pages_of_others_cannot_use_a_server_without_a_key) {
  struct Row {
    std::string_view host, origin, type;
    int status;
  };
  constexpr std::string_view kJson = "application/json";
  ai::openai::ServiceOptions options = Server::opened();
  options.hosts = MUST(String::from("marrow.local box,Box.lan"));
  options.cors = "https://friend.example";
  Server s(std::move(options));
  for (const Row& row :
       {Row{"localhost", "", kJson, 200},
        Row{"LocalHost:8080", "", kJson, 200},
        Row{"127.0.0.1:1", "", kJson, 200},
        Row{"[::1]:8080", "", kJson, 200},
        Row{"192.168.1.7:8080", "", kJson, 200},
        Row{"Marrow.local:8080", "", kJson, 200},
        Row{"box.LAN", "", kJson, 200},
        Row{"evil.example", "", kJson, 403},
        Row{"localhost.evil.example", "", kJson, 403},
        Row{"127.0.0.1.evil.example", "", kJson, 403},
        Row{"1.2.3", "", kJson, 403},
        Row{"0x7f.0.0.1", "", kJson, 403},
        Row{"1.2.3.256", "", kJson, 403},
        Row{"1.2.3.0004", "", kJson, 403},
        Row{"2130706433", "", kJson, 403},
        Row{"", "", kJson, 403},
        Row{"local", "", kJson, 403},
        Row{"localhost:8080", "http://localhost:8080", kJson, 200},
        Row{"localhost:8080", "https://LOCALHOST:8080", kJson, 200},
        Row{"localhost:8080", "http://localhost:8081", kJson, 403},
        Row{"localhost:8080", "http://localhost", kJson, 403},
        Row{"localhost:8080", "http://127.0.0.1:8080", kJson, 403},
        Row{"localhost:8080", "https://friend.example", kJson, 200},
        Row{"localhost:8080", "https://friend.example.evil", kJson, 403},
        Row{"localhost:8080", "https://evil.example", kJson, 403},
        Row{"localhost:8080", "null", kJson, 403},
        Row{"localhost:8080", "*", kJson, 403},
        Row{"evil.example", "http://evil.example", kJson, 403},
        Row{"evil.example", "https://friend.example", kJson, 403},
        Row{"localhost", "", "", 200},
        Row{"localhost", "", "application/x+JSON", 200},
        Row{"localhost", "", "application/json; charset=utf-8", 200},
        Row{"localhost", "https://friend.example", "", 415},
        Row{"localhost", "", "text/plain", 415},
        Row{"localhost", "", "text/plain;json", 415},
        Row{"localhost", "", "application/x-www-form-urlencoded", 415},
        Row{"localhost", "", "multipart/form-data; boundary=application/json", 415},
        Row{"localhost", "", "+json", 415}}) {
    HttpHeader headers[3] = {{"Host", row.host}};
    usize count = 1;
    if (!row.origin.empty()) headers[count++] = {"Origin", row.origin};
    if (!row.type.empty()) headers[count++] = {"Content-Type", row.type};
    std::span<const HttpHeader> list = std::span(headers).first(count);
    ApiTestReply reply;
    s.service->handle({.method = "POST",
                       .path = "/v1/completions",
                       .headers = list,
                       .body = R"({"prompt":"x","max_tokens":1})"},
                      "p", reply);
    s.run();
    if (reply.status != row.status)
      test.report(__FILE__, __LINE__, row.host.empty() ? row.origin : row.host);
    // The same is said of the head alone, before any body.
    ApiTestReply head;
    bool let_in =
        s.service->admit({.method = "POST", .path = "/v1/completions", .headers = list}, "p", head);
    EXPECT_EQ(let_in, row.status == 200);
    EXPECT_EQ(head.status, let_in ? 0 : row.status);
  }
  const HttpHeader evil[] = {
      {"Host", "localhost"}, {"Origin", "https://evil.example"}, {"Content-Type", "text/plain"}};
  Answer r = s.call("POST", "/chat", "hello", evil);
  EXPECT_EQ(r.status, 403);
  EXPECT_HAS(r.body, "cors=");
  const HttpHeader rebound[] = {{"Host", "evil.example"}};
  for (std::string_view path : {"/", "/health", "/metrics", "/v1/models", "/slots", "/props"}) {
    r = s.call("GET", path, "", rebound);
    EXPECT_EQ(r.status, 403);
    EXPECT_HAS(r.body, "http.host=");
  }
}

// A key says who asks: names and origins are then no matter, as behind a proxy.
TEST(openai, with_a_key_any_name_will_do) {
  ai::openai::ServiceOptions options;
  MUST(options.api_keys.push_back(MUST(String::from("secret"))));
  Server s(std::move(options));
  const HttpHeader headers[] = {{"Host", "api.example"},
                                {"Origin", "https://app.example"},
                                {"Content-Type", "text/plain"},
                                {"Authorization", "BEARER secret"}};
  EXPECT_EQ(s.call("POST", "/v1/completions", R"({"prompt":"x","max_tokens":1})", headers).status,
            200);
}

TEST(openai, limits_of_one_client) {
  ai::openai::ServiceOptions options = Server::opened();
  options.client_rate = 2;
  options.client_requests = 3;
  Server s(std::move(options));
  ApiTestReply replies[8];
  u32 next = 0;
  auto ask = [&](std::string_view peer) {
    ApiTestReply& reply = replies[next++];
    const HttpHeader headers[] = {{"Host", "localhost"}, {"Content-Type", "application/json"}};
    s.service->handle({.method = "POST",
                       .path = "/completion",
                       .headers = headers,
                       .body = R"({"prompt":"x","n_predict":2})"},
                      peer, reply);
    return reply.status;
  };
  EXPECT_EQ(ask("10.0.0.1:5000"), 0);  // taken
  EXPECT_EQ(ask("10.0.0.1:5001"), 0);
  EXPECT_EQ(ask("10.0.0.1:5002"), 429);  // the third within a second
  EXPECT_HAS(replies[2].body, "rate_limit_exceeded");
  EXPECT_EQ(ask("10.0.0.2:5000"), 0);  // another client
  s.backend.now += 1'000'000'000;
  EXPECT_EQ(ask("10.0.0.1:5003"), 0);
  EXPECT_EQ(ask("10.0.0.1:5004"), 429);  // three of it are being answered
  EXPECT_HAS(replies[5].body, "client_busy");
  s.run();
  EXPECT_EQ(replies[0].status, 200);
  EXPECT_EQ(replies[4].status, 200);
  EXPECT_EQ(s.service->metrics().refused, 2u);
  EXPECT_EQ(s.service->metrics().answered, 4u);
}

TEST(openai, the_log_as_json) {
  ai::openai::ServiceOptions options = Server::opened();
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
  Answer r = act("/slots/1", "action=save", R"({"filename":"a"})");
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
  s.begin("/v1/embeddings", R"({"input":["a","b","c"]})", reply);
  EXPECT(s.backend.run_job());
  EXPECT_EQ(s.backend.fake.embedded, 1u);
  s.backend.fake.during_embedding = [&] { s.service->gone(reply); };
  s.run();
  EXPECT(s.service->idle());
  EXPECT_EQ(s.backend.fake.embedded, 1u);
  EXPECT(!reply.done);
}

TEST(openai, embeddings_as_numbers_and_base64) {
  Server s;
  Answer r = s.post("/v1/embeddings", R"({"model":"tiny","input":["B","b"]})");
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

TEST(openai, documents_are_ranked) {
  Server s;
  constexpr std::string_view kBody =
      R"("query":"abc","documents":["xyz","abz",{"text":"ab"}],"return_documents":true)";
  auto ask = [&](std::string_view more) {
    std::string body = "{" + std::string(kBody) + std::string(more) + "}";
    return s.post("/v1/rerank", body);
  };
  Answer r = ask("");
  EXPECT_EQ(r.status, 400);
  EXPECT_HAS(r.body, "no reranker");
  s.backend.fake.set_ranks();
  r = ask("");
  EXPECT_EQ(r.status, 200);
  // all, two thirds and none of the letters
  EXPECT_HAS(r.body,
             R"("results":[{"index":2,"relevance_score":1.000000000,"document":{"text":"ab"}})");
  EXPECT_HAS(r.body, R"(},{"index":1,"relevance_score":0.666666)");
  EXPECT_HAS(r.body, R"(},{"index":0,"relevance_score":0.000000000,"document":{"text":"xyz"}}]})");
  EXPECT_HAS(r.body, R"("usage":{"prompt_tokens":17,"total_tokens":17})");
  EXPECT_HAS(s.backend.logged, "ranked 3 documents of 17 tokens in ");
  r = ask(R"(,"top_n":1,"raw_scores":true)");
  EXPECT_HAS(r.body, R"("results":[{"index":2,"relevance_score":0.500000000,"document")");
  EXPECT(r.body.view().find(R"("index":1)") == std::string_view::npos);
  r = s.post("/rerank", R"({"query":"abc","texts":["xyz","ab"],"return_text":true,"top_n":1})");
  EXPECT_EQ(r.body.view(), R"([{"index":1,"score":1.000000000,"text":"ab"}])");
  for (std::string_view path : {"/rerank", "/reranking", "/v1/reranking"})
    EXPECT_EQ(s.post(path, R"({"query":"a","texts":["b"]})").status, 200);
  for (std::string_view bad :
       {R"({})", R"({"query":"a"})", R"({"query":"","documents":["b"]})",
        R"({"query":"a","documents":[]})", R"({"query":"a","documents":"b"})",
        R"({"query":"a","documents":[7]})", R"({"query":"a","documents":[{"txt":"b"}]})",
        R"({"query":"a","documents":["b"],"top_n":0})", R"({"query":7,"documents":["b"]})"})
    EXPECT_EQ(s.post("/v1/rerank", bad).status, 400);
}
