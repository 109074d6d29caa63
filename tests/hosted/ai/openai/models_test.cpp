// SPDX-License-Identifier: GPL-2.0-or-later
// Models by name: the one that a request names answers it, loaded for it where need be, or nobody.
#include "tests/hosted/ai/openai/test_server.h"

using Server = ApiTestServer;
using Answer = ApiTestServer::Answer;

namespace {

// A body of every route that makes something with a model, without its name.
struct Asked {
  std::string_view path, fields;
};
constexpr std::string_view kMessages = R"("messages":[{"role":"user","content":"Hi"}])";
constexpr Asked kRoutes[] = {
    {"/v1/chat/completions", kMessages},
    {"/v1/completions", R"("prompt":"x","max_tokens":99)"},
    {"/completion", R"("prompt":"x")"},
    {"/v1/responses", R"("input":"x")"},
    {"/v1/messages", R"("max_tokens":99,"messages":[{"role":"user","content":"x"}])"},
    {"/v1/messages/count_tokens", kMessages},
    {"/v1/embeddings", R"("input":"B")"},
    {"/tokenize", R"("content":"B")"},
    {"/detokenize", R"("tokens":[65])"},
    {"/apply-template", kMessages}};

Answer ask(Server& s, const Asked& asked, std::string_view model) {
  String body;
  base::StringWriter out(body);
  base::format_to(out, "{{\"model\":\"{}\",{}}", model, asked.fields);
  return s.post(asked.path, body.view());
}

void two_models(Server& s) {
  s.backend.models = 2;
  s.backend.other.script = "Other";
}

}  // namespace

TEST(openai_models, a_loaded_one_says_what_vouches_for_it) {
  Server s;
  for (const char* path : {"/health", "/v1/models", "/v1/models/tiny"}) {
    s.backend.verified = "ed25519";
    s.backend.key_id = "21fe31dfa154a261";
    EXPECT_HAS(s.call("GET", path, "").body, R"("verified":"ed25519","key_id":"21fe31dfa154a261")");
    s.backend.verified = "no";
    s.backend.key_id = "";
    Answer plain = s.call("GET", path, "");
    EXPECT_HAS(plain.body, R"("verified":"no")");
    EXPECT(!has(plain.body, "key_id"));
  }
  s.backend.only_other = true;  // "tiny" is there and not loaded
  EXPECT(!has(s.call("GET", "/v1/models/tiny", "").body, "verified"));
}

TEST(openai_models, an_installed_one_is_loaded_when_it_is_named) {
  for (const Asked& asked : kRoutes) {
    Server s;
    two_models(s);
    Answer r = ask(s, asked, "other/b");
    EXPECT_EQ(r.status, 200);
    EXPECT_EQ(s.backend.demands, 1u);
    EXPECT_EQ(s.backend.loaded, 2u);
    EXPECT(!has(r.body, "Hello world"));
    r = ask(s, asked, "tiny");
    EXPECT_EQ(r.status, 200);
    EXPECT(!has(r.body, "Other"));
    EXPECT_EQ(s.backend.demands, 1u);
    EXPECT_EQ(s.backend.leases, 0u);
  }
}

TEST(openai_models, one_that_there_is_not_is_404_on_every_route) {
  for (const Asked& asked : kRoutes) {
    Server s;
    Answer r = ask(s, asked, "gpt-4o");
    EXPECT_EQ(r.status, 404);
    EXPECT_HAS(r.body, "the model 'gpt-4o' does not exist");
    EXPECT(asked.path.starts_with("/v1/messages") || has(r.body, R"("code":"model_not_found")") ||
           has(r.body, R"("code":404,"reason":"model_not_found")"));
    ai::openai::ServiceOptions options = Server::opened();
    options.any_model = true;
    Server any(std::move(options));
    two_models(any);
    EXPECT_EQ(ask(any, asked, "gpt-4o").status, 200);
    EXPECT_EQ(any.backend.demands, 0u);
    EXPECT_EQ(ask(any, asked, "other/b").status, 200);  // never answered by another one
    EXPECT_EQ(any.backend.demands, 1u);
  }
}

TEST(openai_models, names_are_compared_as_people_and_clients_write_them) {
  Server s;
  for (std::string_view name : {"tiny", "TINY", "tiny:latest", "Tiny.gguf", ""})
    EXPECT_EQ(ask(s, kRoutes[0], name).status, 200);
  for (std::string_view name : {"tin", "tiny:other", ":latest", ".gguf", "tiny2"})
    EXPECT_EQ(ask(s, kRoutes[0], name).status, 404);
  EXPECT_EQ(s.post("/v1/completions", R"({"model":3,"prompt":"x"})").status, 400);
}

TEST(openai_models, all_are_listed_with_sizes) {
  Server s;
  two_models(s);
  Answer r = s.call("GET", "/v1/models", "");
  EXPECT_HAS(r.body, R"("id":"tiny")");
  EXPECT_HAS(r.body, R"("id":"other/b","object":"model","created":1234,"owned_by":"marrow",)"
                     R"("status":"available","aliases":[],"tags":[],"meta":{"size":2000}})");
}

// A list tells what each model is for, loaded or not.
TEST(openai_models, lists_tell_what_each_is_for) {
  struct Row {
    bool encodes, ranks, has_template;
    std::string_view type, capabilities;
  };
  constexpr Row kRows[] = {
      {false, false, true, R"("type":"chat")", R"("capabilities":["completion","tools"])"},
      {false, false, false, R"("type":"language")", R"("capabilities":["completion"])"},
      {true, false, false, R"("type":"embedding")", R"("capabilities":["embedding"])"},
      {true, true, false, R"("type":"rerank")", R"("capabilities":["rerank"])"}};
  for (const Row& row : kRows) {
    Server s;
    two_models(s);
    ai::openai::ModelDetails& known = s.backend.known;
    (void)known.architecture.assign("bert");
    known.encodes = row.encodes, known.ranks = row.ranks, known.has_template = row.has_template;
    for (const char* path : {"/v1/models", "/models", "/v1/models/other/b"}) {
      Answer r = s.call("GET", path, "");
      EXPECT_HAS(r.body, row.type);
      EXPECT_HAS(r.body, row.capabilities);
      EXPECT_HAS(r.body, R"("architecture":"bert")");
    }
    EXPECT_HAS(s.call("GET", "/api/tags", "").body, row.capabilities);
    EXPECT_HAS(s.post("/api/show", R"({"model":"other/b"})").body, row.capabilities);
    EXPECT_EQ(s.backend.demands, 0u);
  }
}

// An encoder is not loaded, and no chat model unloaded, for what it cannot do.
TEST(openai_models, a_chat_with_an_encoder_is_refused_before_it_is_loaded) {
  Server s;
  two_models(s);
  s.backend.room_for_two = false;
  s.backend.known.encodes = true;
  constexpr Asked kWrites[] = {kRoutes[0], kRoutes[1], kRoutes[2], kRoutes[3], kRoutes[4]};
  for (const Asked& asked : kWrites) {
    Answer r = ask(s, asked, "other/b");
    EXPECT_EQ(r.status, 400);
    EXPECT_HAS(r.body, "'other/b' is an embedding model and writes no text");
  }
  Answer r = ask(s, {"/v1/chat/completions", R"("stream":true,"messages":[])"}, "other/b");
  EXPECT_EQ(r.status, 400);
  EXPECT_HAS(r.body, R"("code":"model_unsuitable")");
  EXPECT_HAS(r.body, R"("param":"model")");
  EXPECT_EQ(s.post("/api/chat", R"({"model":"other/b","messages":[{"role":"user","content":"x"}]})")
                .body.view(),
            R"({"error":"\"other/b\" does not support chat: it is an embedding model"})");
  EXPECT_HAS(s.post("/api/generate", R"({"model":"other/b","prompt":"x"})").body,
             "does not support generate");
  EXPECT_HAS(ask(s, {"/v1/rerank", R"("query":"x","documents":["y"])"}, "other/b").body,
             "'other/b' is no reranker");
  EXPECT_EQ(s.backend.demands, 0u);
  s.backend.known.ranks = true;
  EXPECT_HAS(ask(s, {"/v1/embeddings", R"("input":"x")"}, "other/b").body,
             "'other/b' is a reranker and gives no embeddings");
  EXPECT_HAS(ask(s, kRoutes[0], "other/b").body, "'other/b' is a reranker and writes no text");
  EXPECT_EQ(s.backend.demands, 0u);
  // Its tokens are its tokens, and vectors are what it is for.
  s.backend.known.ranks = false;
  s.backend.room_for_two = true;
  EXPECT_EQ(ask(s, {"/tokenize", R"("content":"B")"}, "other/b").status, 200);
  EXPECT_EQ(s.backend.demands, 1u);
  s.backend.fake.set_encodes();
  EXPECT_EQ(ask(s, kRoutes[0], "tiny").status, 400);
  EXPECT_EQ(ask(s, {"/v1/embeddings", R"("input":"B")"}, "tiny").status, 200);
  EXPECT_EQ(s.backend.leases, 0u);
}

TEST(openai_models, one_may_have_more_names) {
  ai::openai::ServiceOptions options = Server::opened();
  options.aliases = "gpt-4o=other/b, small=tiny,lost=none,tiny=other/b";
  Server s(std::move(options));
  two_models(s);
  EXPECT_HAS(
      s.post("/v1/completions", R"({"model":"GPT-4o:latest","prompt":"x","max_tokens":99})").body,
      R"("text":"Other")");
  EXPECT_HAS(ask(s, kRoutes[1], "small").body, R"("text":"Hello world")");
  EXPECT_HAS(ask(s, kRoutes[1], "tiny").body, R"("text":"Hello world")");  // a real name goes first
  EXPECT_EQ(ask(s, kRoutes[1], "lost").status, 404);
  EXPECT_EQ(s.backend.demands, 1u);
  Answer r = s.call("GET", "/v1/models", "");
  EXPECT_HAS(r.body, R"("id":"gpt-4o")");
  EXPECT_HAS(r.body, R"("alias_of":"other/b")");
  EXPECT(!has(r.body, "lost"));
  EXPECT_EQ(count(r.body, R"("id":"tiny")"), 1u);
  EXPECT_HAS(s.call("GET", "/v1/models/small", "").body, R"("id":"small")");
  EXPECT_HAS(s.call("GET", "/api/tags", "").body, R"("name":"small:latest")");
  EXPECT_EQ(s.post("/api/show", R"({"model":"small"})").status, 200);
  for (std::string_view bad : {"a", "a=", "=b", "a=b,,c=d", " = "})
    EXPECT(!ai::openai::read_aliases(bad).has_value());
}

TEST(openai_models, requests_share_a_load_and_others_go_on) {
  Server s;
  two_models(s);
  ApiTestReply one, two, beside;
  constexpr std::string_view kOther = R"({"model":"other/b","prompt":"x","max_tokens":99})";
  s.begin("/v1/completions", kOther, one);
  s.begin("/v1/completions", kOther, two);
  s.begin("/v1/completions", R"({"prompt":"x","max_tokens":99})", beside);
  EXPECT(!s.service->idle());
  s.run();
  EXPECT_EQ(s.backend.demands, 1u);
  EXPECT_HAS(one.body, R"("text":"Other")");
  EXPECT_HAS(two.body, R"("text":"Other")");
  EXPECT_HAS(beside.body, R"("text":"Hello world")");
}

// A request that names no model is answered by the default one, even if others took its place.
TEST(openai_models, the_default_one_comes_back) {
  Server s;
  two_models(s);
  s.backend.room_for_two = false;
  EXPECT_HAS(ask(s, kRoutes[1], "other/b").body, R"("text":"Other")");
  EXPECT_EQ(s.call("GET", "/slots", "").status, 200);  // who only looks loads nothing
  EXPECT_EQ(s.backend.demands, 1u);
  EXPECT_HAS(s.post("/v1/completions", R"({"prompt":"x","max_tokens":99})").body,
             R"("text":"Hello world")");
  EXPECT_EQ(s.backend.demands, 2u);
}

TEST(openai_models, a_load_that_fails_is_told_to_all_who_wait) {
  struct Row {
    Errc code;
    int status;
  };
  constexpr Row kRows[] = {
      {Errc::kCorrupt, 422}, {Errc::kIo, 500}, {Errc::kOutOfMemory, 503}, {Errc::kBusy, 503}};
  for (const Row& row : kRows) {
    Server s;
    two_models(s);
    s.backend.load_result = fail(row.code, "it is in use by `bench`");
    ApiTestReply one, two;
    s.begin("/v1/chat/completions",
            R"({"model":"other/b","messages":[{"role":"user","content":"x"}]})", one);
    s.begin("/v1/messages",
            R"({"model":"other/b","max_tokens":9,"messages":[{"role":"user","content":"x"}]})",
            two);
    s.run();
    EXPECT_EQ(s.backend.demands, 1u);
    for (ApiTestReply* reply : {&one, &two}) {
      EXPECT_EQ(reply->status, row.status);
      EXPECT_HAS(reply->body, "it is in use by `bench`");
      EXPECT_EQ(has(reply->headers, "retry-after-ms: 5000"), row.status == 503);
    }
    EXPECT_HAS(two.body, R"({"type":"error","error":{"type":)");  // in the form of its route
    EXPECT_EQ(ask(s, kRoutes[0], "tiny").status, 200);
  }
}

TEST(openai_models, waiting_has_an_end) {
  Server s;
  two_models(s);
  s.backend.polls_of_a_load = 1'000'000;
  (void)s.backend.change_model(ai::openai::ModelChange::kUnload, "x");  // somebody else's
  ApiTestReply reply;
  s.begin("/completion", R"({"model":"other/b","prompt":"x"})", reply);
  s.turn();
  EXPECT_EQ(reply.status, 0);
  s.backend.now += 121'000'000'000;
  s.turn();
  EXPECT_EQ(reply.status, 503);
  EXPECT_HAS(reply.headers, "retry-after-ms: 5000");
  EXPECT(s.service->idle());
}

TEST(openai_models, a_peer_that_goes_waits_no_longer) {
  Server s;
  two_models(s);
  {
    ApiTestReply dropped, told;
    s.begin("/completion", R"({"model":"other/b","prompt":"x"})", dropped);
    s.begin("/completion", R"({"model":"other/b","prompt":"x"})", told);
    s.service->gone(told);
    EXPECT(!s.service->idle());
  }
  s.service->tick();
  EXPECT(s.service->idle());
  EXPECT_EQ(s.service->metrics().gone, 2u);
  EXPECT_EQ(s.service->metrics().requests, 2u);
  EXPECT_EQ(s.backend.demands, 0u);  // nobody wanted it any more
}

TEST(openai_models, who_waits_has_a_place_in_the_queue) {
  ai::openai::ServiceOptions options = Server::opened();
  options.max_requests = 2;
  options.rate_per_second = 2;
  Server s(std::move(options));
  two_models(s);
  ApiTestReply one, two, three;
  for (ApiTestReply* reply : {&one, &two, &three})
    s.begin("/completion", R"({"model":"other/b","prompt":"x"})", *reply);
  EXPECT_EQ(three.status, 429);
  s.run();
  EXPECT_EQ(one.status, 200);  // and is not counted twice
  EXPECT_EQ(two.status, 200);
}

TEST(openai_models, a_closed_server_loads_nothing) {
  ai::openai::ServiceOptions options = Server::opened();
  options.admin = ai::openai::AdminRoutes::kClosed;
  Server s(std::move(options));
  two_models(s);
  Answer r = ask(s, kRoutes[0], "other/b");
  EXPECT_EQ(r.status, 403);
  EXPECT_HAS(r.body, "admin=closed lets no request load it");
  EXPECT_EQ(ask(s, kRoutes[0], "tiny").status, 200);
  EXPECT_EQ(s.backend.demands, 0u);
}

// Anybody on the network may have loads, but not all the time.
TEST(openai_models, strangers_cause_loads_now_and_then) {
  Server s;
  two_models(s);
  s.backend.room_for_two = false;
  constexpr std::string_view kStranger = "192.168.1.7:4444";
  auto asks = [&](std::string_view model, std::string_view peer, ApiTestReply& reply) {
    String body;
    base::StringWriter out(body);
    base::format_to(out, "{{\"model\":\"{}\",\"prompt\":\"x\"}", model);
    s.begin("/completion", body.view(), reply, peer);
  };
  ApiTestReply first, same, second, mine, third;
  asks("other/b", kStranger, first);
  asks("other/b", kStranger, same);  // the same load
  s.run();
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(same.status, 200);
  asks("tiny", kStranger, second);
  EXPECT_EQ(second.status, 503);
  EXPECT_HAS(second.body, "who shows no key may have a model loaded only now and then");
  EXPECT_HAS(second.headers, "retry-after-ms: 9");  // ten seconds less the answers' turns
  asks("tiny", "127.0.0.1:5", mine);
  s.run();
  EXPECT_EQ(mine.status, 200);
  s.backend.now += 10'000'000'000;
  asks("other/b", kStranger, third);
  s.run();
  EXPECT_EQ(third.status, 200);
  EXPECT_EQ(s.backend.demands, 3u);
}

// A load that took long is paid for, also when its stranger has left at once.
TEST(openai_models, strangers_wait_four_times_as_long_as_their_load_took) {
  Server s;
  two_models(s);
  s.backend.room_for_two = false;
  {
    ApiTestReply reply;
    s.begin("/completion", R"({"model":"other/b","prompt":"x"})", reply, "10.0.0.1:1");
    s.turn();
  }
  s.backend.now += 60'000'000'000;  // the load's
  for (int i = 0; i < 4; i++) s.turn();
  EXPECT_EQ(s.backend.demands, 1u);
  ApiTestReply again;
  s.begin("/completion", R"({"model":"other/b","prompt":"x"})", again, "10.0.0.2:1");
  s.run();
  EXPECT_EQ(again.status, 200);  // it is loaded now
  ApiTestReply other;
  s.begin("/completion", R"({"model":"tiny","prompt":"x"})", other, "10.0.0.2:1");
  EXPECT_EQ(other.status, 503);
  EXPECT_HAS(other.headers, "retry-after-ms: 2");  // some 240 seconds
  EXPECT_HAS(other.headers, "Retry-After: 2");
}

TEST(openai_models, keep_alive_is_a_time) {
  using ai::openai::read_keep_alive;
  EXPECT_EQ(*read_keep_alive("90s"), 90'000'000'000u);
  EXPECT_EQ(*read_keep_alive("1h30m"), 5400'000'000'000u);
  EXPECT_EQ(*read_keep_alive("500ms"), 500'000'000u);
  EXPECT_EQ(*read_keep_alive("1.5m"), 90'000'000'000u);
  EXPECT_EQ(*read_keep_alive("0"), 0u);
  EXPECT_EQ(*read_keep_alive("-0s"), 0u);
  EXPECT_EQ(*read_keep_alive("30"), 30'000'000'000u);
  EXPECT_EQ(*read_keep_alive("-1"), ai::openai::kForever);
  EXPECT_EQ(*read_keep_alive("-5m"), ai::openai::kForever);
  EXPECT_EQ(*read_keep_alive("99999999999999h"), u64{1} << 62);
  for (std::string_view bad : {"", "-", "s", "5 m", "5x", "1..5s", "m5", "1e", "--1"})
    EXPECT(!read_keep_alive(bad).has_value());
  Server s;
  EXPECT_EQ(s.chat(R"(,"keep_alive":"5m")").status, 200);
  EXPECT_EQ(s.chat(R"(,"keep_alive":-1)").status, 200);
  Answer r = s.chat(R"(,"keep_alive":"soon")");
  EXPECT_EQ(r.status, 400);
  EXPECT_HAS(r.body, R"("param":"keep_alive")");
  EXPECT_EQ(s.chat(R"(,"keep_alive":true)").status, 400);
}

TEST(openai_models, a_model_goes_when_nobody_asks_for_it) {
  for (bool unload : {false, true}) {
    ai::openai::ServiceOptions options = Server::opened();
    options.unload_idle = unload;
    Server s(std::move(options));
    two_models(s);
    s.backend.loaded = 2;
    EXPECT_EQ(
        s.post("/v1/completions", R"({"model":"other/b","prompt":"x","keep_alive":60})").status,
        200);
    EXPECT_EQ(ask(s, kRoutes[1], "tiny").status, 200);  // for ever
    s.backend.now += 59'000'000'000;
    s.turn();
    EXPECT_EQ(s.backend.expired, 0u);
    s.backend.now += 1'000'000'000;
    for (int i = 0; i < 5; i++) s.turn();
    EXPECT_EQ(s.backend.expired, unload ? 1u : 0u);
    s.backend.now += 100'000'000'000;
    for (int i = 0; i < 5; i++) s.turn();
    EXPECT_EQ(s.backend.expired, unload ? 1u : 0u);
  }
}
