// SPDX-License-Identifier: GPL-2.0-or-later
// /v1/responses: tools, probabilities, conversations that go on from an earlier answer, and who may
// use a kept one.
#include "ai/openai/response_store.h"

#include <algorithm>

#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "tests/hosted/ai/openai/test_server.h"

using Server = ApiTestServer;
using Answer = ApiTestServer::Answer;
using ai::openai::ResponseStore;
using base::HttpHeader;

namespace {

constexpr std::string_view kWeather =
    R"("tools":[{"type":"function","name":"get_weather","description":"d","strict":true,"parameters":)"
    R"({"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}}])";
constexpr std::string_view kCall =
    "Let me see.\n\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}}\n"
    "</tool_call>\n<tool_call>{\"name\": \"get_weather\", \"arguments\": {}}</tool_call>";

// A format, since the bodies are full of braces: each '$' is replaced by the next argument.
String filled(std::string_view form, std::initializer_list<std::string_view> values) {
  String out;
  auto next = values.begin();
  for (char c : form) ASSERT((c == '$' ? out.append(*next++) : out.push_back(c)).has_value());
  return out;
}

// The value of a key that occurs once, by its text.
String id_of(const Answer& answer) {
  auto document = json::Document::parse(answer.body.view());
  ASSERT(document.has_value());
  return std::move(*String::from(document->root().find("id").text()));
}

constexpr std::string_view kEvents[] = {"response.created",
                                        "response.in_progress",
                                        "response.output_item.added",
                                        "response.content_part.added",
                                        "response.output_text.delta",
                                        "response.output_text.done",
                                        "response.content_part.done",
                                        "response.output_item.done",
                                        "response.function_call_arguments.delta",
                                        "response.function_call_arguments.done",
                                        "response.completed",
                                        "response.incomplete"};

// Checks what a stream's events promise: each is of a known type, its name and its data agree, they
// are numbered one by one, items are opened in order and closed, and the last event repeats what
// the deltas said.
void check_stream(TestContext& test, const Answer& answer) {
  EXPECT(events_are_json(answer.body));
  std::string_view rest = answer.body.view();
  String text, arguments;
  i64 number = 0, open = 0, items = 0;
  while (!rest.empty()) {
    std::string_view event = rest.substr(0, rest.find("\n\n"));
    rest.remove_prefix(std::min(rest.size(), event.size() + 2));
    usize data = event.find("data: ");
    if (data == std::string_view::npos) continue;
    auto document = json::Document::parse(event.substr(data + 6));
    REQUIRE(document.has_value());
    json::Value root = document->root();
    std::string_view type = root.find("type").text();
    EXPECT(std::ranges::find(kEvents, type) != std::end(kEvents));
    EXPECT_EQ(event.substr(0, event.find('\n')).substr(std::string_view("event: ").size()), type);
    EXPECT_EQ(*root.find("sequence_number").integer(), number++);
    if (type == "response.output_item.added") {
      EXPECT_EQ(open++, 0);
      EXPECT_EQ(*root.find("output_index").integer(), items++);
    }
    if (type == "response.output_item.done") open--;
    if (type == "response.output_text.delta") (void)text.append(root.find("delta").text());
    if (type == "response.function_call_arguments.delta")
      (void)arguments.append(root.find("delta").text());
    if (type != "response.completed" && type != "response.incomplete") continue;
    String said, called;
    json::Value output = root.find("response").find("output");
    EXPECT_EQ(output.size(), static_cast<u32>(items));
    for (json::Value item : output.elements()) {
      (void)said.append(item.find("content").at(0).find("text").text());
      (void)called.append(item.find("arguments").text());
    }
    EXPECT_EQ(said.view(), text.view());
    EXPECT_EQ(called.view(), arguments.view());
    EXPECT(rest.empty());
  }
  EXPECT_EQ(open, 0);
}

}  // namespace

TEST(openai_responses, tools_are_called_and_answered) {
  Server s;
  s.backend.fake.set_context(4000);
  s.backend.fake.script = kCall;
  for (std::string_view stream : {"false", "true"}) {
    String body = filled(R"({"input":"Hi","stream":$,$})", {stream, kWeather});
    Answer r = s.post("/v1/responses", body.view());
    EXPECT_EQ(r.status, 200);
    EXPECT_HAS(r.body, R"("type":"output_text","text":"Let me see.")");
    EXPECT_HAS(r.body, R"("type":"function_call","status":"completed","call_id":"call_)");
    EXPECT_HAS(r.body, R"("name":"get_weather","arguments":"{\"city\": \"Oslo\"}")");
    EXPECT_HAS(r.body, R"("parallel_tool_calls":false,"tool_choice":"auto","tools":[{"type":)"
                       R"("function","name":"get_weather","description":"d","parameters":)");
    if (stream == "true") check_stream(test, r);
    // The first item is the text, then come two calls and nothing between them.
    EXPECT_EQ(count(r.body, R"("type":"response.output_item.added")"), stream == "true" ? 3u : 0u);
  }
  EXPECT_HAS(s.backend.fake.last_prompt, "You may call these functions");
  s.backend.knows_tools = true;
  s.backend.fake.script = "12 degrees.";
  Answer r = s.post(
      "/v1/responses",
      R"({"input":[{"role":"user","content":"Weather?"},{"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},)"
      R"({"role":"assistant","content":[{"type":"output_text","text":"Let me see.","annotations":[]}]},)"
      R"({"type":"function_call","call_id":"c1","name":"get_weather","arguments":"{}"},)"
      R"({"type":"function_call","call_id":"c2","name":"get_weather","arguments":"{}"},)"
      R"({"type":"function_call_output","call_id":"c1","output":"12"},)"
      R"({"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"13"}]}]})");
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(s.backend.fake.last_prompt.view(),
            "user:Weather?\nassistant:Let me see.\ntool:12\ntool:13\n");
}

TEST(openai_responses, a_tool_may_be_forced_or_left_out) {
  Server s;
  s.backend.fake.set_context(4000);
  s.backend.fake.script = R"({"name": "get_weather", "arguments": {"city":"Oslo"}})";
  for (
      std::string_view choice :
      {R"("required")", R"({"type":"function","name":"get_weather"})",
       R"({"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"get_weather"}]})"})
    for (std::string_view stream : {"false", "true"}) {
      String body =
          filled(R"({"input":"Hi","stream":$,"tool_choice":$,$})", {stream, choice, kWeather});
      Answer r = s.post("/v1/responses", body.view());
      EXPECT_HAS(r.body, R"("name":"get_weather","arguments":"{\"city\":\"Oslo\"}")");
      EXPECT(!has(r.body, "output_text"));
      if (stream == "true") check_stream(test, r);
    }
  EXPECT_HAS(
      s.post("/v1/responses", filled(R"({"input":"Hi","tool_choice":"none",$})", {kWeather}).view())
          .body,
      R"("type":"message")");
  String none =
      filled(R"({"input":"Hi","tool_choice":{"type":"allowed_tools","mode":"auto","tools":[]},$})",
             {kWeather});
  EXPECT_HAS(s.post("/v1/responses", none.view()).body, R"("tools":[])");
}

TEST(openai_responses, what_is_wrong_is_named) {
  Server s;
  struct Row {
    std::string_view fields, param;
  };
  for (
      Row row :
      {Row{R"("input":5)", "input"},
       Row{R"("input":[5])", "input[0]"},
       Row{R"("input":[{"type":"computer_call"}])", "input[0]"},
       Row{R"("input":[{"type":"function_call","name":"f","arguments":"{}"}])", "input[0]"},
       Row{R"("input":[{"type":"function_call","name":"f","call_id":"c","arguments":{}}])",
           "input[0]"},
       Row{R"("input":[{"role":"user","content":"x"},{"type":"function_call_output","output":"x"}])",
           "input[1]"},
       Row{R"("input":[{"type":"function_call_output","call_id":"c","output":5}])", "input[0]"},
       Row{R"("input":"x","tools":{})", "tools"},
       Row{R"("input":"x","tools":[{"type":"web_search"}])", "tools"},
       Row{R"("input":"x","tools":[{"type":"function","name":"a b"}])", "tools[0].function.name"},
       Row{R"("input":"x","tool_choice":"required")", "tool_choice"},
       Row{R"("input":"x","tool_choice":{"type":"file_search"})", "tool_choice"},
       Row{R"("input":"x","include":"all")", "include"},
       Row{R"("input":"x","include":[1])", "include"},
       Row{R"("input":"x","top_logprobs":21)", "top_logprobs"},
       Row{R"("input":"x","store":"yes")", "store"},
       Row{R"("input":"x","background":true)", "background"},
       Row{R"("input":"x","conversation":"c")", "conversation"},
       Row{R"("input":"x","previous_response_id":5)", "previous_response_id"},
       Row{R"("input":"x","previous_response_id":"resp_1")", "previous_response_id"}}) {
    Answer r = s.post("/v1/responses", filled("{$}", {row.fields}).view());
    EXPECT_EQ(r.status, 400);
    EXPECT_HAS(r.body, filled(R"("param":"$")", {row.param}).view());
  }
  EXPECT(s.service->idle());
}

TEST(openai_responses, probabilities_are_those_of_the_text) {
  Server s;
  s.backend.fake.set_context(4000);
  for (std::string_view wanted :
       {R"("include":["message.output_text.logprobs"],"top_logprobs":2)", R"("top_logprobs":2)"}) {
    Answer r = s.post("/v1/responses", filled(R"({"input":"x",$})", {wanted}).view());
    auto document = json::Document::parse(r.body.view());
    REQUIRE(document.has_value());
    json::Value part = document->root().find("output").at(0).find("content").at(0);
    EXPECT_EQ(part.find("logprobs").size(), 11u);
    json::Value first = part.find("logprobs").at(0);
    EXPECT_EQ(first.find("token").text(), "H");
    EXPECT_EQ(first.find("logprob").text(), "-0.001000");
    EXPECT_EQ(first.find("top_logprobs").size(), 2u);
  }
  EXPECT_HAS(s.post("/v1/responses", R"({"input":"x"})").body, R"("logprobs":[])");
  // Those of the calls behind the text are not among them, and a stream sends each once.
  s.backend.fake.script = kCall;
  String body = filled(R"({"input":"x","stream":true,"top_logprobs":1,$})", {kWeather});
  Answer r = s.post("/v1/responses", body.view());
  check_stream(test, r);
  EXPECT_EQ(count(r.body, R"("token":"L")"), 2u * (1 + 4));  // the delta, and four that repeat it
  usize end = r.body.view().find("response.completed");
  auto last = json::Document::parse(r.body.view().substr(r.body.view().find("data: ", end) + 6));
  REQUIRE(last.has_value());
  json::Value part = last->root().find("response").find("output").at(0).find("content").at(0);
  EXPECT_EQ(part.find("logprobs").size(), std::string_view("Let me see.").size());
}

TEST(openai_responses, a_request_goes_on_from_an_earlier_answer) {
  Server s;
  s.backend.fake.set_context(4000);
  Answer first = s.post("/v1/responses", R"({"input":"One","instructions":"be kind"})");
  EXPECT_HAS(first.body, R"("store":true)");
  String id = id_of(first);
  EXPECT_EQ(id.size(), 5u + 32);
  String body = filled(R"({"input":"Two","previous_response_id":"$","stream":true})", {id.view()});
  Answer second = s.post("/v1/responses", body.view());
  check_stream(test, second);
  // Its instructions were those of that request only.
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "user:One\nassistant:Hello world\nuser:Two\n");
  usize at = second.body.view().find("resp_");
  std::string_view next = second.body.view().substr(at, 5 + 32);
  EXPECT(next != id.view());
  body = filled(R"({"input":"Three","previous_response_id":"$","instructions":"I"})", {next});
  EXPECT_EQ(s.post("/v1/responses", body.view()).status, 200);
  EXPECT_EQ(s.backend.fake.last_prompt.view(),
            "system:I\nuser:One\nassistant:Hello world\nuser:Two\nassistant:Hello world\n"
            "user:Three\n");
  // A second branch from the first answer knows nothing of the other one.
  body = filled(R"({"input":"Other","previous_response_id":"$"})", {id.view()});
  EXPECT_EQ(s.post("/v1/responses", body.view()).status, 200);
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "user:One\nassistant:Hello world\nuser:Other\n");
}

TEST(openai_responses, calls_are_kept_for_their_outputs) {
  Server s;
  s.backend.fake.set_context(4000);
  s.backend.knows_tools = true;
  s.backend.fake.script = R"({"name": "get_weather", "arguments": {"city":"Oslo"}})";
  Answer first = s.post("/v1/responses",
                        filled(R"({"input":"Hi","tool_choice":"required",$})", {kWeather}).view());
  s.backend.fake.script = "Warm.";
  String body = filled(
      R"({"input":[{"type":"function_call_output","call_id":"c","output":"12"}],"previous_response_id":"$"})",
      {id_of(first).view()});
  EXPECT_EQ(s.post("/v1/responses", body.view()).status, 200);
  EXPECT_HAS(s.backend.last_calls, R"("name":"get_weather","arguments":"{\"city\":\"Oslo\"}")");
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "user:Hi\nassistant:\ntool:12\n");
}

// As clients do that believe in the server's memory.
TEST(openai_responses, items_may_be_referred_to) {
  Server s;
  s.backend.fake.set_context(4000);
  s.backend.knows_tools = true;
  s.backend.fake.script = kCall;
  Answer first = s.post("/v1/responses", filled(R"({"input":"Hi",$})", {kWeather}).view());
  auto document = json::Document::parse(first.body.view());
  REQUIRE(document.has_value());
  json::Value output = document->root().find("output");
  EXPECT_EQ(output.size(), 3u);
  String body = filled(
      R"({"input":[{"role":"user","content":"Hi"},{"type":"item_reference","id":"$"},{"type":"item_reference","id":"$"},{"type":"item_reference","id":"$"},)"
      R"({"type":"function_call_output","call_id":"c","output":"12"}]})",
      {output.at(0).find("id").text(), output.at(1).find("id").text(),
       output.at(2).find("id").text()});
  EXPECT_EQ(s.post("/v1/responses", body.view()).status, 200);
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "user:Hi\nassistant:Let me see.\ntool:12\n");
  EXPECT_EQ(count(s.backend.last_calls, "get_weather"), 2u);
  for (std::string_view id :
       {"msg_1", "", "_", "abcd", "msg_000000000000000000000000000000000000",
        "msg_00000000000000000000000000000000000000000000000000000000000000"}) {
    body = filled(R"({"input":[{"type":"item_reference","id":"$"}]})", {id});
    EXPECT_HAS(s.post("/v1/responses", body.view()).body, R"("param":"input[0]")");
  }
}

TEST(openai_responses, a_kept_answer_is_shown_and_deleted) {
  Server s;
  Answer r = s.post("/v1/responses", R"({"input":"One"})");
  String path = filled("/v1/responses/$", {id_of(r).view()});
  EXPECT_EQ(s.call("GET", path.view(), "").body.view(), r.body.view());
  EXPECT_HAS(s.call("GET", "/metrics", "").body, "marrow_responses_kept 1\n");
  EXPECT_HAS(s.call("DELETE", path.view(), "").body, R"("deleted":true)");
  EXPECT_EQ(s.call("GET", path.view(), "").status, 404);
  EXPECT_EQ(s.call("DELETE", path.view(), "").status, 404);
  EXPECT_HAS(s.call("GET", "/metrics", "").body, "marrow_responses_bytes 0\n");
}

TEST(openai_responses, nobody_uses_the_answer_of_another_key) {
  ai::openai::ServiceOptions options;
  for (std::string_view key : {"alice", "bob"})
    (void)options.api_keys.push_back(std::move(*String::from(key)));
  Server s(std::move(options));
  const HttpHeader alice[] = {{"Authorization", "Bearer alice"}}, bob[] = {{"x-api-key", "bob"}};
  Answer r = s.call("POST", "/v1/responses", R"({"input":"my secret"})", alice);
  String id = id_of(r), path = filled("/v1/responses/$", {id.view()});
  String body = filled(R"({"input":"Two","previous_response_id":"$"})", {id.view()});
  EXPECT_EQ(s.call("GET", path.view(), "", bob).status, 404);
  EXPECT_EQ(s.call("DELETE", path.view(), "", bob).status, 404);
  Answer refused = s.call("POST", "/v1/responses", body.view(), bob);
  EXPECT_EQ(refused.status, 400);
  EXPECT_HAS(refused.body, R"("code":"previous_response_not_found")");
  EXPECT_EQ(s.call("GET", path.view(), "").status, 401);
  const HttpHeader same[] = {{"x-api-key", "alice"}};  // the same key, shown in another way
  EXPECT_EQ(s.call("POST", "/v1/responses", body.view(), same).status, 200);
  EXPECT_EQ(s.call("DELETE", path.view(), "", alice).status, 200);
}

// Without keys an address owns its answers, whatever port it comes from.
TEST(openai_responses, without_keys_the_address_counts) {
  Server s;
  String id = id_of(s.post("/v1/responses", R"({"input":"One"})"));
  String body = filled(R"({"input":"Two","previous_response_id":"$"})", {id.view()});
  struct Row {
    std::string_view peer;
    int status;
  };
  for (Row row : {Row{"127.0.0.1:77", 200}, Row{"127.0.0.2:9", 400}, Row{"[::1]:9", 400}}) {
    ApiTestReply reply;
    s.begin("/v1/responses", body.view(), reply, row.peer);
    s.run();
    EXPECT_EQ(reply.status, row.status);
  }
}

TEST(openai_responses, what_is_not_complete_or_not_wanted_is_not_kept) {
  Server s;
  ApiTestReply reply;
  s.begin("/v1/responses", R"({"input":"One","stream":true})", reply);
  usize at = reply.body.view().find("resp_");
  String path = filled("/v1/responses/$", {reply.body.view().substr(at, 5 + 32)});
  s.turn();
  s.service->gone(reply);
  s.run();
  EXPECT_EQ(s.call("GET", path.view(), "").status, 404);
  Answer r = s.post("/v1/responses", R"({"input":"One","store":false})");
  EXPECT_HAS(r.body, R"("store":false)");
  path = filled("/v1/responses/$", {id_of(r).view()});
  EXPECT_EQ(s.call("GET", path.view(), "").status, 404);
}

TEST(openai_responses, a_server_may_keep_nothing) {
  ai::openai::ServiceOptions options = Server::opened();
  options.response_bytes = 0;
  Server s(std::move(options));
  Answer r = s.post("/v1/responses", R"({"input":"One"})");
  EXPECT_HAS(r.body, R"("store":false)");
  String body = filled(R"({"input":"Two","previous_response_id":"$"})", {id_of(r).view()});
  EXPECT_HAS(s.post("/v1/responses", body.view()).body, "responses.mb=0");
}

// Another model goes on with the same words. A request that waits for its model keeps its owner.
TEST(openai_responses, the_model_may_change_between_two_turns) {
  ai::openai::ServiceOptions options;
  options.admin = ai::openai::AdminRoutes::kOpen;
  (void)options.api_keys.push_back(std::move(*String::from("alice")));
  Server s(std::move(options));
  s.backend.models = 2;
  s.backend.other.script = "Me too";
  const HttpHeader alice[] = {{"Authorization", "Bearer alice"}};
  String id = id_of(s.call("POST", "/v1/responses", R"({"input":"One"})", alice));
  String body =
      filled(R"({"model":"other/b","input":"Two","previous_response_id":"$"})", {id.view()});
  Answer r = s.call("POST", "/v1/responses", body.view(), alice);  // it is loaded for this
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(s.backend.demands, 1u);
  EXPECT_HAS(r.body, R"("model":"other/b")");
  EXPECT_EQ(s.backend.other.last_prompt.view(), "user:One\nassistant:Hello world\nuser:Two\n");
  body =
      filled(R"({"model":"tiny","input":"Three","previous_response_id":"$"})", {id_of(r).view()});
  EXPECT_EQ(s.call("POST", "/v1/responses", body.view(), alice).status, 200);
  EXPECT_EQ(s.backend.fake.last_prompt.view(),
            "user:One\nassistant:Hello world\nuser:Two\nassistant:Me too\nuser:Three\n");
}

TEST(openai_responses, memory_may_run_out_while_an_answer_is_kept) {
  Server s;
  (void)s.post("/v1/responses", R"({"input":"One"})");
  for (u64 nth = 1; nth < 220; nth++) {
    host::fail_allocation(nth);
    Answer r = s.post("/v1/responses", R"({"input":"One","stream":true,"store":true})");
    host::fail_allocation(0);
    s.run();
    EXPECT(s.service->idle());
    EXPECT(events_are_json(r.body) || !r.streaming);
  }
  EXPECT_EQ(s.post("/v1/responses", R"({"input":"One"})").status, 200);
}

// ---- the store alone ------------------------------------------------------------------------

namespace {
ResponseStore::OwnerHash owner(u32 number) {
  ResponseStore::OwnerHash hash{};
  hash[0] = static_cast<u8>(number);
  return hash;
}
String letters(usize count) {
  String text;
  while (text.size() < count) ASSERT(text.push_back('x').has_value());
  return text;
}
}  // namespace

TEST(response_store, the_limit_holds_and_the_oldest_goes) {
  ResponseStore store(16 * kKiB);
  String text = letters(1500);
  char id[8];
  for (u32 i = 0; i < 100; i++) {
    EXPECT(store.keep(owner(1), base::format_into(id, "r{}", i), text.view(), 0, "{}").has_value());
    EXPECT(store.bytes() <= 16 * kKiB);
    EXPECT(store.find(owner(1), "r0") != nullptr);  // used all the time
  }
  EXPECT_EQ(store.count(), 9u);
  EXPECT(store.find(owner(1), "r99") != nullptr);
  EXPECT(store.find(owner(1), "r90") == nullptr);
  EXPECT(store.find(owner(2), "r99") == nullptr);
  EXPECT(!store.keep(owner(1), "long", letters(4 * kKiB).view(), 0, "").has_value());
  EXPECT_EQ(store.count(), 9u);  // nothing was dropped for what does not fit
}

TEST(response_store, who_fills_it_pushes_out_his_own) {
  ResponseStore store(16 * kKiB);
  String text = letters(1000);
  char id[8];
  EXPECT(store.keep(owner(1), "mine", text.view(), 0, "{}").has_value());
  for (u32 i = 0; i < 5000; i++)
    EXPECT(store.keep(owner(2), base::format_into(id, "r{}", i), text.view(), 0, "{}").has_value());
  EXPECT(store.find(owner(1), "mine") != nullptr);
  EXPECT(store.forget(owner(1), "mine"));
  EXPECT(!store.forget(owner(1), "mine"));
  EXPECT(store.bytes() <= 16 * kKiB);
}

TEST(response_store, answers_are_counted_however_small) {
  ResponseStore store(64 * kMiB);
  char id[8];
  for (u32 i = 0; i < ResponseStore::kMostKept + 50; i++)
    EXPECT(store.keep(owner(i % 3), base::format_into(id, "r{}", i), "", 0, "").has_value());
  EXPECT_EQ(store.count(), ResponseStore::kMostKept);
}

TEST(response_store, what_finds_no_memory_is_not_kept) {
  for (u64 nth = 1; nth < 8; nth++) {
    ResponseStore store(16 * kKiB);
    host::fail_allocation(nth);
    Result<void> kept = store.keep(owner(1), "an id that is long enough", "messages", 0, "answer");
    host::fail_allocation(0);
    EXPECT_EQ(store.count(), kept.has_value() ? 1u : 0u);
    if (!kept.has_value()) EXPECT_EQ(store.bytes(), 0u);
    EXPECT(store.keep(owner(1), "r", "m", 0, "a").has_value());
  }
}
