// SPDX-License-Identifier: GPL-2.0-or-later
// Many askers at once, seeded: does every request get exactly one ending, and does everything that
// was taken come back?
//
//   askers [actions=N] [seconds=N] [seed=N] [engine=tiny|scripted] [trace]
//
// 31 askers of the server (streams read to their end, left, reset, half-closed; embeddings, scores,
// texts saved and restored; models loaded and unloaded) and one at the console (answers, embed,
// perplexity, stability, loads, the server stopped and started, Ctrl-C) share one process, its
// engine host and server. Now and then all of them rest: then no page, lease, thread or byte of
// heap may be left. Exits with 1 when something was.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <vector>

#include "kernel/mm/memory.h"
#include "kernel/options.h"
#include "kernel/time/clock.h"
#include "service/serve/server.h"
#include "tests/hosted/console/console_script.h"
#include "tests/hosted/console_tiny_model.h"
#include "tests/hosted/scripted_engine.h"
#include "tests/hosted/test_threads.h"
#include "tests/stress/pipe_network.h"

namespace stress {
namespace {

constexpr u32 kAskers = 32;
constexpr u64 kNsPerSecond = 1'000'000'000;
constexpr u64 kPatienceNs = 60 * kNsPerSecond;  // of one action on a busy machine
constexpr usize kMostGrowth = 64 * 1024;  // of the heap from one rest to the next: table sizes

struct Run {
  u64 actions = 0, most_actions = 20'000, seconds = 0, seed = 1;
  bool scripted = false, trace = false;
  bool resting = false, over = false;
  u32 at_rest = 0;
  u64 answers = 0, refusals = 0, left = 0, faults = 0, at_console = 0;
  std::map<std::string, u64> by_status;  // "200": answers
  std::vector<std::string> models;       // paths
  std::string folder, text_path;
};
Run run;

void fault(u32 asker, const char* what, std::string_view detail) {
  run.faults++;
  std::printf("askers: FAULT asker %u, action %llu, seed %llu: %s: %.*s\n", asker,
              static_cast<unsigned long long>(run.actions),
              static_cast<unsigned long long>(run.seed), what,
              static_cast<int>(std::min<usize>(detail.size(), 600)), detail.data());
  std::fflush(stdout);
}

class Random {
 public:
  explicit Random(u64 seed) : state_(seed * 0x9e3779b97f4a7c15 + 1) {}
  u32 below(u32 n) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator
    return static_cast<u32>(state_ >> 33) % n;
  }
  template <class T, usize N>
  const T& one_of(const T (&all)[N]) {
    return all[below(N)];
  }

 private:
  u64 state_;
};

// ---- the server's clients -------------------------------------------------------------------

enum class Manner : u8 { kReads, kLeaves, kResets, kHalfCloses, kLate };

struct Ask {
  std::string method = "POST", path, body;
};

const std::string kChat = R"({"messages":[{"role":"user","content":"ab"}],"max_tokens":)";

Ask choose(Random& random) {
  std::string tokens = std::to_string(1 + random.below(12));
  switch (random.below(13)) {
    case 0:
    case 1:
    case 2:
      return {.path = "/v1/chat/completions", .body = kChat + tokens + R"(,"stream":true})"};
    case 3:
      return {.path = "/v1/chat/completions", .body = kChat + tokens + R"(,"n":3})"};
    case 4:
      return {.path = "/v1/completions",
              .body = R"({"prompt":["ab","ba","aabb"],"stream":true,"max_tokens":)" + tokens + "}"};
    case 5:
      return {.path = "/v1/embeddings", .body = R"({"input":["ab ab ab","ba","aab"]})"};
    case 6:
      return {.path = "/v1/completions",
              .body = R"({"prompt":"ab ab","echo":true,"logprobs":1,"max_tokens":2})"};
    case 7:
      return {.path = "/slots/" + std::to_string(random.below(3)) +
                      (random.below(2) == 0 ? "?action=save" : "?action=restore"),
              .body = R"({"filename":"text)" + std::to_string(random.below(3)) + "\"}"};
    case 8:
      if (run.models.empty()) return {.method = "GET", .path = "/v1/models", .body = ""};
      return {.path = "/v1/models/load",
              .body = R"({"model":")" + run.models[random.below(u32(run.models.size()))] + "\"}"};
    case 9:
      if (run.models.empty() || random.below(4) != 0)
        return {.method = "GET", .path = "/health", .body = ""};
      return {.path = "/v1/models/unload", .body = "{}"};
    case 10:
      return {.method = "GET", .path = random.below(2) == 0 ? "/metrics" : "/slots", .body = ""};
    case 11:
      return {.path = "/v1/chat/completions",
              .body = kChat + tokens + R"(,"response_format":{"type":"json_object"}})"};
    default:
      return {.path = "/tokenize", .body = R"({"content":"ab ba"})"};
  }
}

std::string http(const Ask& ask) {
  std::string text = ask.method + " " + ask.path + " HTTP/1.1\r\nHost: localhost\r\n";
  text += "Connection: close\r\nContent-Type: application/json\r\n";
  if (ask.method == "POST") text += "Content-Length: " + std::to_string(ask.body.size()) + "\r\n";
  return text + "\r\n" + ask.body;
}

u32 count(std::string_view text, std::string_view part) {
  u32 n = 0;
  for (usize at = text.find(part); at != text.npos; at = text.find(part, at + 1)) n++;
  return n;
}

// One answer, whole, and nothing behind it.
const char* wrong_with(std::string_view text) {
  usize head = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || head == text.npos) return "no answer";
  std::string_view body = text.substr(head + 4);
  if (count(text, "HTTP/1.1 ") != 1) return "two answers";
  if (text.find("Transfer-Encoding: chunked") < head) {
    if (!body.ends_with("0\r\n\r\n")) return "a stream without its end";
    u32 ends = count(body, "data: [DONE]") + count(body, "\"error\"");
    return ends == 1 ? nullptr : "a stream without exactly one ending";
  }
  usize length = text.find("Content-Length: ");
  if (length > head) return "no length";
  return std::strtoul(text.data() + length + 16, nullptr, 10) == body.size() ? nullptr
                                                                             : "another length";
}

class Client {
 public:
  Client(u32 number, Random& random) : number_(number), random_(random) {}

  void act() {
    Result<std::unique_ptr<PipeSocket>> made = pipe_network().connect_client();
    if (!made.has_value()) {  // the server is stopped
      run.refusals++;
      sched::sleep_ns(1'000'000);
      return;
    }
    socket_ = std::move(*made);
    Ask ask = choose(random_);
    Manner manner = static_cast<Manner>(random_.below(5));
    usize leaves_after = random_.below(2000);
    std::string rest = http(ask);
    if (manner == Manner::kLate) rest += http(ask).substr(0, random_.below(40));  // pipelined junk
    std::string answer;
    u32 closed = pipe_network().times_closed();
    bool ended = talk(rest, answer, manner, leaves_after);
    bool stopped_meanwhile = pipe_network().times_closed() != closed || !pipe_network().listening();
    if (run.trace) std::printf("%u %s %s\n", number_, ask.path.c_str(), ask.body.c_str());
    socket_.reset();
    if (!ended) {
      run.left++;
      return;
    }
    // A server that is being stopped closes connections without an answer.
    const char* wrong = answer.empty() ? nullptr : wrong_with(answer);
    bool whole = manner == Manner::kReads || manner == Manner::kLate;
    if (wrong != nullptr && whole && !stopped_meanwhile)
      fault(number_, wrong, ask.path + "\n" + answer);
    (answer.empty() ? run.refusals : run.answers)++;
    if (answer.size() <= 12) return;
    std::string status = answer.substr(9, 3);
    run.by_status[status]++;
    // Those who are refused for now try again a little later, as clients do.
    if (status == "429" || status == "503") sched::sleep_ns(5'000'000);
  }

 private:
  // True when the server has ended the connection.
  bool talk(std::string rest, std::string& answer, Manner manner, usize leaves_after) {
    u64 until = timing::now_ns() + kPatienceNs;
    for (;;) {
      bool moved = false;
      if (!rest.empty()) {
        Result<usize> n = socket_->write(rest);
        if (n.has_value()) rest.erase(0, *n);
        if (!n.has_value() && n.error().code != Errc::kBusy) rest.clear();
        moved = n.has_value();
        if (rest.empty() && manner == Manner::kHalfCloses) socket_->shutdown_write();
      }
      char piece[4096];
      Result<usize> n = socket_->read(piece);
      if (n.has_value() && *n > 0) answer.append(piece, *n);
      if (n.has_value() && *n == 0) return true;
      if (!n.has_value() && n.error().code != Errc::kBusy) return true;
      moved |= n.has_value();
      bool enough = answer.size() >= leaves_after && rest.empty();
      if (manner == Manner::kLeaves && enough) return false;
      if (manner == Manner::kResets && enough) {
        socket_->reset();
        return false;
      }
      if (moved) until = timing::now_ns() + kPatienceNs;
      if (timing::now_ns() > until) {
        fault(number_, "no answer for a minute", answer);
        return false;
      }
      moved ? sched::yield() : sched::sleep_ns(200'000);
    }
  }

  u32 number_;
  Random& random_;
  std::unique_ptr<PipeSocket> socket_;
};

// ---- the person at the console --------------------------------------------------------------

void act_at_console(Random& random) {
  const std::string model =
      run.models.empty() ? "" : run.models[random.below(u32(run.models.size()))];
  const std::string lines[] = {
      "llm ab 6",
      "chat ab",
      "embed \"ab ab\" ba",
      "logits ab",
      "perplexity " + run.text_path,
      "model load " + model,
      "model switch " + model,
      "model unload",
      "serve stop; serve start",
      "stability 40",
      "status; models; perf",
      "bench --cases 4:2:2 --csv",
      "vote 3 ab",
  };
  std::string line = random.one_of(lines);
  if (run.scripted && line.starts_with("model")) line = "status";
  if (run.trace) std::printf("console %s\n", line.c_str());
  ScriptedIo io;
  io.interrupt_at = random.below(3) == 0 ? 1 + random.below(30) : 0;
  console::set_io(&io);
  {
    console::Shell shell(io);
    static_cast<void>(shell.run(line));
  }
  console::set_io(nullptr);
}

// ---- the whole ------------------------------------------------------------------------------

struct Asker {
  u32 number;
  Random random;
};

void ask_on(void* argument) {
  Asker& asker = *static_cast<Asker*>(argument);
  Client client(asker.number, asker.random);
  while (!run.over) {
    if (run.resting) {
      run.at_rest++;
      while (run.resting) sched::sleep_ns(1'000'000);
      run.at_rest--;
      continue;
    }
    asker.number == 0 ? act_at_console(asker.random) : client.act();
    run.at_console += asker.number == 0 ? 1 : 0;
    run.actions++;
  }
  run.at_rest++;
}

void start_serving() {
  ScriptedRun started = run_commands("serve start");
  if (started.failed != 0) {
    std::printf("askers: %s\n", started.text.c_str());
    std::exit(1);
  }
}

// The resources in use while nobody asks. They must be given back completely.
struct Held {
  usize heap = 0, threads = 0;
};

Held rest() {
  run.resting = true;
  while (run.at_rest < kAskers) sched::sleep_ns(1'000'000);
  static_cast<void>(run_commands("serve stop"));
  service::EngineHost& host = service::engine_host();
  if (host.loaded()) {
    // Between two steps: inside one, a request that was cancelled still has its pages.
    ai::Lease model = MUST(host.lease(service::kConsoleHolder));
    service::EngineHost::Figures figures;
    MUST(host.between_steps(model, nullptr, [&](service::Turn&) -> Result<void> {
      figures = host.figures(model);
      return {};
    }));
    if (figures.kv_pages_used != 0)
      fault(0, "KV pages are held", std::to_string(figures.kv_pages_used));
    if (figures.running + figures.queued != 0) fault(0, "requests run on", "");
  }
  if (host.leases() != 0) fault(0, "leases are held", std::to_string(host.leases()));
  if (!run.scripted) static_cast<void>(host.unload());
  if (!mm::verify_heap().has_value()) fault(0, "the heap is broken", "");
  String threads;
  base::StringWriter out(threads);
  sched::list(out);
  return {mm::heap_usage().live_bytes, count(threads.view(), "\n")};
}

void go_on() {
  if (!run.scripted) static_cast<void>(run_commands("model load " + run.models[0]));
  start_serving();
  run.resting = false;
}

void report(const char* title, const Held& held) {
  std::printf(
      "askers: %s actions=%llu answers=%llu refusals=%llu left=%llu heap=%zu threads=%zu "
      "faults=%llu\n",
      title, static_cast<unsigned long long>(run.actions),
      static_cast<unsigned long long>(run.answers), static_cast<unsigned long long>(run.refusals),
      static_cast<unsigned long long>(run.left), held.heap, held.threads,
      static_cast<unsigned long long>(run.faults));
  std::printf("askers: %llu at the console; answers by status:",
              static_cast<unsigned long long>(run.at_console));
  for (const auto& [status, number] : run.by_status)
    std::printf(" %s: %llu", status.c_str(), static_cast<unsigned long long>(number));
  std::printf("\n");
  std::fflush(stdout);
}

bool parse(int count, char** words) {
  for (int i = 1; i < count; i++) {
    std::string_view word = words[i];
    auto number = [&] { return std::strtoull(words[i] + word.find('=') + 1, nullptr, 10); };
    if (word.starts_with("actions=")) {
      run.most_actions = number();
    } else if (word.starts_with("seconds=")) {
      run.seconds = number();
      run.most_actions = ~u64{0};
    } else if (word.starts_with("seed=")) {
      run.seed = number();
    } else if (word == "engine=scripted" || word == "engine=tiny") {
      run.scripted = word == "engine=scripted";
    } else if (word == "trace") {
      run.trace = true;
    } else {
      return false;
    }
  }
  return true;
}

// Rests a few times; the first rest tells what a warm machine holds.
int ask_everything() {
  std::vector<Asker> askers;
  for (u32 i = 0; i < kAskers; i++) askers.push_back({i, Random(run.seed * 1000 + i)});
  start_serving();
  for (Asker& asker : askers) MUST(sched::spawn("asker", ask_on, &asker, 512 * kKiB));
  constexpr u64 kRests = 4;
  u64 end_ns = timing::now_ns() + run.seconds * kNsPerSecond, begin_ns = timing::now_ns();
  Held warm;
  for (u64 i = 1; i <= kRests; i++) {
    u64 until = run.most_actions == ~u64{0} ? ~u64{0} : run.most_actions * i / kRests;
    u64 until_ns = run.seconds == 0 ? ~u64{0} : begin_ns + (end_ns - begin_ns) * i / kRests;
    while (run.actions < until && timing::now_ns() < until_ns && run.faults < 20)
      sched::sleep_ns(5'000'000);
    Held held = rest();
    report(i == kRests ? "end" : "rest", held);
    if (i == 1) warm = held;
    if (held.threads != warm.threads) fault(0, "threads are left", std::to_string(held.threads));
    if (held.heap > warm.heap + kMostGrowth) fault(0, "the heap grows", std::to_string(held.heap));
    if (i < kRests) go_on();
  }
  run.over = true;
  run.resting = false;
  while (run.at_rest < kAskers) sched::sleep_ns(1'000'000);
  sched::sleep_ns(1'000'000);  // the last of them leaves its thread
  std::printf("askers: %s\n%d passed, %d failed\n", run.faults == 0 ? "PASSED" : "FAILED",
              run.faults == 0, run.faults != 0);
  return run.faults == 0 ? 0 : 1;
}

}  // namespace
}  // namespace stress

int main(int count, char** words) {
  using stress::run;
  if (!stress::parse(count, words)) {
    std::printf("askers [actions=N] [seconds=N] [seed=N] [engine=tiny|scripted] [trace]\n");
    return 2;
  }
  test_threads::start();
  mount_host_files();
  net::set_network(&stress::pipe_network());
  char folder[] = "/tmp/marrow_askers_XXXXXX";
  if (mkdtemp(folder) == nullptr) return 1;
  std::string options =
      std::string("auth=none admin=open requests=4 context=96 http.queue=28 slots.path=/host") +
      folder;
  options::parse_command_line(options);
  std::string text = std::string(folder) + "/text.txt";
  std::ofstream(text) << "ab ba aab abb ba ab aab ba abab baba";
  run.text_path = "/host" + text;
  int status = 1;
  if (run.scripted) {
    WithScriptedEngine fake;
    fake.engine->answers = {"ab", "a longer answer", "x"};
    status = stress::ask_everything();
  } else {
    TinyModelFile one("one.gguf"), two("two.gguf", 1);
    if (!one.made() || !one.load().has_value()) {
      std::printf("askers: no tiny model: run in the root of the repository\n");
      return 1;
    }
    run.models = {one.path(), two.path()};
    status = stress::ask_everything();
  }
  static_cast<void>(std::system((std::string("rm -rf ") + folder).c_str()));
  return status;
}
