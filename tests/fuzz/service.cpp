// SPDX-License-Identifier: GPL-2.0-or-later
// Runs the server, from its sockets to a scripted engine, by a script of bytes: requests cut
// anywhere, peers that close or reset at any moment, sockets that take little, memory that runs
// out, models that change. Nothing may be used after it was destroyed, every request must end once,
// and nothing may be left.
#include <memory>
#include <string>
#include <vector>

#include "arch/host/memory.h"
#include "service/serve/client.h"
#include "tests/hosted/ai/openai/fake_backend.h"
#include "tests/hosted/service/serve/wire_socket.h"

namespace {

constexpr u64 kSecond = 1'000'000'000;

struct Asked {
  const char *method, *path, *body;
};
constexpr Asked kAsked[] = {
    {"POST", "/v1/completions", R"({"prompt":"Say","max_tokens":5})"},
    {"POST", "/v1/completions", R"({"prompt":"Say","max_tokens":5,"stream":true,"n":2})"},
    {"POST", "/v1/completions",
     R"({"prompt":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","bbbb)"
     R"(bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","c","d"],"echo":true,"stream":true})"},
    {"POST", "/v1/completions",
     R"({"prompt":["AB","CD"],"echo":true,"logprobs":1,"max_tokens":1})"},
    {"POST", "/v1/chat/completions",
     R"({"messages":[{"role":"user","content":"x"}],"stream":true,"return_progress":true})"},
    {"POST", "/v1/chat/completions",
     R"({"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_object"}})"},
    {"POST", "/v1/responses", R"({"input":"x","stream":true})"},
    {"POST", "/v1/responses",
     R"({"input":"y","previous_response_id":"resp_00000000000000020000000000000003","top_logprobs":1})"},
    {"POST", "/v1/responses",
     R"({"input":[{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"func)"
     R"(tion_call_output","call_id":"c","output":"1"}],"stream":true,"store":false,"tool_choice":"required",)"
     R"("tools":[{"type":"function","name":"f"}]})"},
    {"GET", "/v1/responses/resp_00000000000000020000000000000003", ""},
    {"DELETE", "/v1/responses/resp_00000000000000020000000000000003", ""},
    {"POST", "/v1/messages",
     R"({"max_tokens":9,"messages":[{"role":"user","content":"x"}],"stream":true})"},
    {"POST", "/v1/embeddings", R"({"input":["a","b","c"]})"},
    {"POST", "/completion", R"({"prompt":"abc","n_predict":3,"stream":true,"id_slot":1})"},
    {"POST", "/chat", "hello"},
    {"POST", "/slots/1?action=save", R"({"filename":"a"})"},
    {"POST", "/slots/1?action=restore", R"({"filename":"a"})"},
    {"POST", "/slots/1?action=erase", ""},
    {"POST", "/api/chat", R"({"messages":[{"role":"user","content":"x"}]})"},
    {"POST", "/api/generate", R"({"model":"other/b","prompt":"x","stream":false})"},
    {"POST", "/v1/completions", R"({"model":"other/b","prompt":"x","max_tokens":3})"},
    {"POST", "/v1/models/load", R"({"model":"big"})"},
    {"POST", "/models/unload", ""},
    {"POST", "/tokenize", R"({"content":"AB"})"},
    {"POST", "/v1/completions", R"({"prompt":)"},
    {"POST", "/nowhere", "some body that nobody reads"},
    {"GET", "/health", ""},
    {"GET", "/metrics", ""},
    {"GET", "/slots", ""},
    {"GET", "/v1/models", ""},
    {"OPTIONS", "*", ""}};

std::string request_of(const Asked& asked, u8 way) {
  std::string body(asked.body), head = std::string(asked.method) + " " + asked.path;
  bool old = (way & 1) != 0, chunked = !old && (way & 2) != 0;
  head += old ? " HTTP/1.0\r\nHost: localhost\r\n" : " HTTP/1.1\r\nHost: localhost\r\n";
  if ((way & 4) == 0) head += "Content-Type: application/json\r\n";
  if ((way & 8) != 0) head += "Connection: close\r\n";
  if ((way & 16) != 0) head += "Expect: 100-continue\r\n";
  if ((way & 0xe0) == 0xe0) head += "Origin: https://evil.example\r\n";
  char size[32];
  if (std::string_view(asked.method) == "GET") return head + "\r\n";
  if (!chunked)
    return head + "Content-Length: " + std::string(base::format_into(size, "{}", body.size())) +
           "\r\n\r\n" + body;
  head += "Transfer-Encoding: chunked\r\n\r\n";
  if (!body.empty())
    head += std::string(base::format_into(size, "{:x};a=b\r\n", body.size())) + body + "\r\n";
  return head + "0\r\n\r\n";
}

// The bytes of the fuzzer as numbers; zeros when they are used up.
class Script {
 public:
  Script(const u8* data, usize size) : at_(data), end_(data + size) {}
  bool over() const { return at_ == end_; }
  u8 next() { return over() ? u8{0} : *at_++; }
  std::string text(usize most) {
    usize n = std::min<usize>(most, static_cast<usize>(end_ - at_));
    std::string bytes(reinterpret_cast<const char*>(at_), n);
    at_ += n;
    return bytes;
  }

 private:
  const u8 *at_, *end_;
};

class World {
 public:
  World() {
    ai::openai::ServiceOptions options;
    options.open = true;
    options.admin = ai::openai::AdminRoutes::kOpen;
    options.max_requests = 6;
    options.bodies = &bodies_;
    service_ = std::move(*ai::openai::Service::create(std::move(options), backend_));
    times_.linger_ns = kSecond;
  }

  void act(Script& script) {
    u8 verb = script.next();
    usize who = verb >> 4 & 3;
    if (who == kClients) who = 0;
    Wire& wire = *wire_of(who);
    host::fail_allocation(std::exchange(fails_, 0));
    switch (verb & 15) {
      case 0:
      case 1:
        wire.in += request_of(kAsked[script.next() % std::size(kAsked)], script.next());
        break;
      case 2:
        cut(wire, request_of(kAsked[script.next() % std::size(kAsked)], script.next()), script);
        break;
      case 3:
        wire.in += script.text(1 + script.next() % 64);
        break;
      case 4:
      case 5:
        pump(who);
        break;
      case 6:
        backend_.step();
        break;
      case 7:
        step_and_flush();
        break;
      case 8:
        service_->tick();
        break;
      case 9:
        wire.ended = true;
        break;
      case 10:
        wire.broken = true;
        break;
      case 11:
        fails_ = 1 + script.next() % 64;
        break;  // in what comes next
      case 12:
        backend_.now += (1 + script.next()) * kSecond / 2;
        break;
      case 13:
        wire.room = script.next() * 16u;
        break;
      case 14:
        change(script.next());
        break;
      default:
        clients_[who].reset();
        break;  // as make_room() does
    }
    host::fail_allocation(0);
  }

  void end() {
    host::fail_allocation(0);
    for (u32 i = 0; i < 50; i++) {
      for (usize who = 0; who < kClients; who++) pump(who);
      step_and_flush();
    }
    for (auto& client : clients_) client.reset();
    for (u32 i = 0; i < 500 && !service_->idle(); i++) {
      backend_.step();
      service_->tick();
    }
    ASSERT(service_->idle());
    const ai::openai::Metrics& m = service_->metrics();
    ASSERT(m.requests == m.answered + m.failed + m.gone);
    ASSERT(backend_.leases == 0);
    ASSERT(backend_.fake.running() + backend_.other.running() == 0);
    ASSERT(bodies_.used() == 0);
  }

 private:
  static constexpr usize kClients = 3;

  std::shared_ptr<Wire> wire_of(usize who) {
    if (clients_[who] != nullptr && !wires_[who]->gone) return wires_[who];
    wires_[who] = std::make_shared<Wire>();
    auto socket = base::make<WireSocket>(wires_[who]);
    clients_[who] = std::make_unique<service::ServeClient>(std::move(*socket), *service_, limits_,
                                                           times_, bodies_, backend_.now, false);
    return wires_[who];
  }
  void cut(Wire& wire, const std::string& request, Script& script) {
    usize at = script.next() * request.size() / 256;
    wire.in += request.substr(0, at);
    pump_all();
    wire.in += request.substr(at);
  }
  void pump(usize who) {
    if (clients_[who] == nullptr) return;
    (void)clients_[who]->pump(backend_.now);
    if (clients_[who]->finished()) clients_[who].reset();
  }
  void pump_all() {
    for (usize who = 0; who < kClients; who++) pump(who);
  }
  void step_and_flush() {
    backend_.step();
    for (auto& client : clients_)
      if (client != nullptr) client->flush(backend_.now);
    service_->tick();
  }
  void change(u8 how) {
    if (how % 4 == 0) backend_.other_is_current = !backend_.other_is_current;
    if (how % 4 == 1) backend_.models = 2, backend_.loaded = 1 + how / 128;
    if (how % 4 == 2) backend_.fake.refuse = backend_.fake.refuse == nullptr ? "full" : nullptr;
    if (how % 4 == 3 && backend_.leases == 0) backend_.load_number++;
  }

  u64 fails_ = 0;  // which allocation of the next act
  ApiTestBackend backend_;
  base::Budget bodies_{4096};
  net::HttpLimits limits_{.body_bytes = 2048, .backlog_bytes = 1500};
  net::HttpTimes times_;
  base::Owner<ai::openai::Service> service_;
  std::shared_ptr<Wire> wires_[kClients];
  std::unique_ptr<service::ServeClient> clients_[kClients];
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  Script script(data, size);
  World world;
  for (u32 acts = 0; !script.over() && acts < 300; acts++) world.act(script);
  world.end();
  return 0;
}
