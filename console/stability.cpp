// SPDX-License-Identifier: GPL-2.0-or-later
// `stability`: hours of mixed work whose every answer is known. The engine gives the same bits for
// the same question however it is asked, so the first answers are the oracle for all later ones.
#include <algorithm>

#include "console/bench.h"
#include "console/command.h"
#include "console/generation.h"
#include "console/perf_log.h"
#include "console/talk.h"
#include "kernel/mm/memory.h"
#include "kernel/options.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"

namespace console {
namespace {

constexpr u64 kNsPerSecond = 1'000'000'000;
constexpr u32 kPrompts = 6, kParallel = 3;
constexpr u32 kPromptTokens[kPrompts] = {4, 9, 17, 40, 96, 200};
constexpr u32 kAnswerTokens = 24;
constexpr u64 kWarmRounds = 32, kSlackBytes = kMiB;
constexpr u32 kMostDriftPercent = 50;  // slower than at the start, over a whole report

// What a question must give: hashes after each token, so that a cancelled answer is checked too.
struct Oracle {
  Vector<ai::TokenId> prompt;
  Vector<u64> hashes;
};

// One answer, compared as it comes.
class Checker final : public ai::RequestSink {
 public:
  void begin(Oracle& oracle, bool record) {
    *this = Checker();
    oracle_ = &oracle;
    record_ = record;
  }
  void on_prefill(u32, u32) override {}
  void on_token(const ai::TokenEvent& event) override {
    if (event.id == ai::Tokenizer::kNoToken) return;
    hash_ = (hash_ ^ event.id ^ event.logits_hash) * 0x100000001b3;
    if (record_) {
      recorded_ = oracle_->hashes.push_back(hash_).has_value() && recorded_;
    } else {
      bool same = tokens < oracle_->hashes.size() && oracle_->hashes[tokens] == hash_;
      wrong = wrong || !same;
    }
    tokens++;
  }
  void on_end(ai::FinishReason why, const ai::Timings& t, const Error*) override {
    bool cut = why == ai::FinishReason::kCancelled;
    failed = why == ai::FinishReason::kError || !recorded_ || (!cut && tokens != kAnswerTokens);
    decode_ns = t.decode_ns;
    ended = true;
  }

  ai::RequestId id = 0;
  u32 tokens = 0;
  u32 cancel_after = ~0u;
  u64 decode_ns = 0;
  bool wrong = false, failed = false, ended = false;

 private:
  Oracle* oracle_ = nullptr;
  bool record_ = false, recorded_ = true;
  u64 hash_ = 0xcbf29ce484222325;
};

class Stability {
 public:
  Stability(Io& io, base::Writer& out) : io_(io), out_(out) {}
  // Until `end_ns` or `tokens` have been made, whichever is set.
  Result<void> run(u64 end_ns, u64 tokens);

 private:
  Result<void> record();
  Result<void> ask(u32 prompt, Checker& checker, bool record, bool cache);
  Result<void> serve(std::span<Checker> checkers);
  Result<void> round();
  void account();
  void report(const char* title);
  u32 random(u32 below) {
    seed_ = seed_ * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator
    return static_cast<u32>(seed_ >> 33) % below;
  }

  Io& io_;
  base::Writer& out_;
  Oracle oracles_[kPrompts];
  u64 seed_ = 1;
  u64 start_ns_ = 0, reported_ns_ = 0;
  u64 rounds_ = 0, answers_ = 0, cancelled_ = 0, tokens_ = 0;
  u64 wrong_ = 0, failed_ = 0, leaks_ = 0;
  u64 window_ns_ = 0, window_gaps_ = 0;  // of decode, since the last report
  u64 first_gap_ns_ = 0, drift_percent_ = 0, worst_drift_ = 0;
  u64 heap_bytes_ = 0, page_bytes_ = 0;  // the most after the first rounds
};

Result<void> Stability::ask(u32 prompt, Checker& checker, bool record, bool cache) {
  checker.begin(oracles_[prompt], record);
  ai::Request request;
  request.prompt = oracles_[prompt].prompt.view();
  request.max_tokens = kAnswerTokens;
  request.ignore_end = true;
  request.cache_prompt = cache;
  request.hash_logits = true;
  checker.id = TRY(engine_service().engine().submit(request, checker));
  return {};
}

Result<void> Stability::serve(std::span<Checker> checkers) {
  EngineService& service = engine_service();
  bool stop = false;
  for (;;) {
    bool running = false;
    for (Checker& c : checkers) {
      if (c.ended) continue;
      if (stop || c.tokens >= c.cancel_after) service.engine().cancel(c.id);
      running = running || !c.ended;
    }
    if (!running) break;
    if (!service.step()) sched::yield();
    stop = stop || io_.interrupted();
  }
  for (const Checker& c : checkers) {
    answers_++;
    tokens_ += c.tokens;
    wrong_ += c.wrong ? 1 : 0;
    failed_ += c.failed ? 1 : 0;
    cancelled_ += c.cancel_after != ~0u ? 1 : 0;
    if (checkers.size() > 1 || c.cancel_after != ~0u || c.tokens < 2) continue;
    window_ns_ += c.decode_ns;
    window_gaps_ += c.tokens - 1;
  }
  if (stop) return fail(Errc::kCancelled, "stopped");
  return {};
}

// The first answers, each made alone and from nothing.
Result<void> Stability::record() {
  const ai::Tokenizer& tokenizer = engine_service().engine().tokenizer();
  for (u32 i = 0; i < kPrompts; i++) {
    oracles_[i].prompt = TRY(make_prompt(tokenizer, kPromptTokens[i], i));
    TRY(oracles_[i].hashes.reserve(kAnswerTokens));
    Checker checker;
    TRY(ask(i, checker, true, false));
    TRY(serve({&checker, 1}));
    if (checker.failed) return fail(Errc::kIo, "a first answer failed");
  }
  return {};
}

// One of: alone, from the cache, several at once, cancelled somewhere.
Result<void> Stability::round() {
  Checker checkers[kParallel];
  u32 kind = random(4);
  u32 count = kind == 2 ? kParallel : 1;
  for (u32 i = 0; i < count; i++) {
    TRY(ask(random(kPrompts), checkers[i], false, kind != 0));
    if (kind == 3) checkers[i].cancel_after = random(kAnswerTokens);
  }
  Result<void> served = serve({checkers, count});
  rounds_++;
  account();
  return served;
}

// After a round nothing may be held: no page of the cache, and no more memory than after the first
// rounds, in which buffers grow to their size.
void Stability::account() {
  ai::Engine& engine = engine_service().engine();
  bool others = engine.running() + engine.queued() > 0;  // a client of the server
  if (others) return;
  u64 heap = mm::heap_usage().live_bytes;
  mm::Usage usage = mm::usage();
  u64 pages = usage.total - usage.of(mm::Purpose::kFree) - usage.of(mm::Purpose::kFirmware);
  if (rounds_ <= kWarmRounds) {
    heap_bytes_ = std::max(heap, heap_bytes_);
    page_bytes_ = std::max(pages, page_bytes_);
  }
  bool leaked = engine.kv_pages_used() != 0 || heap > heap_bytes_ + kSlackBytes ||
                pages > page_bytes_ + kSlackBytes;
  bool broken = rounds_ % 64 == 0 && (!mm::verify().has_value() || !mm::verify_heap().has_value());
  leaks_ += leaked || broken ? 1 : 0;
}

void Stability::report(const char* title) {
  u64 gap = window_gaps_ == 0 ? 0 : window_ns_ / window_gaps_;
  if (first_gap_ns_ == 0) first_gap_ns_ = gap;
  drift_percent_ =
      gap > first_gap_ns_ && first_gap_ns_ > 0 ? (gap - first_gap_ns_) * 100 / first_gap_ns_ : 0;
  worst_drift_ = std::max(worst_drift_, drift_percent_);
  base::format_to(out_,
                  "stability: {} seconds={} rounds={} answers={} cancelled={} tokens={} wrong={} "
                  "failed={} leaks={} ms_per_token={} drift_percent={} free_mib={}\n",
                  title, (timing::now_ns() - start_ns_) / kNsPerSecond, rounds_, answers_,
                  cancelled_, tokens_, wrong_, failed_, leaks_, milliseconds(gap), drift_percent_,
                  mm::usage().of(mm::Purpose::kFree) / kMiB);
  window_ns_ = window_gaps_ = 0;
  reported_ns_ = timing::now_ns();
}

Result<void> Stability::run(u64 end_ns, u64 tokens) {
  start_ns_ = reported_ns_ = timing::now_ns();
  TRY(record());
  Result<void> result;
  while (result.has_value()) {
    u64 now = timing::now_ns();
    if ((end_ns != 0 && now - start_ns_ >= end_ns) || (tokens != 0 && tokens_ >= tokens)) break;
    result = round();
    if (timing::now_ns() - reported_ns_ >= 60 * kNsPerSecond) report("minute");
  }
  report("end");
  struct Fault {
    bool found;
    const char* name;
  };
  const Fault faults[] = {
      {wrong_ > 0, "answers changed: a bit of the model, the cache or a computation was wrong"},
      {failed_ > 0, "answers failed"},
      {leaks_ > 0, "memory was not given back"},
      {worst_drift_ > kMostDriftPercent, "answers became slower"},
  };
  bool bad = false;
  for (const Fault& fault : faults) {
    if (!fault.found) continue;
    base::format_to(out_, "stability: FAULT {}\n", fault.name);
    bad = true;
  }
  base::format_to(out_, "stability: {}\n",
                  bad                  ? "FAILED"
                  : result.has_value() ? "PASSED"
                                       : "STOPPED");
  if (bad) return fail(Errc::kCorrupt, "the machine is not stable");
  return result;
}

// "90s", "10m", "1h", "3d": nanoseconds. A bare number: tokens.
struct Span {
  u64 ns = 0, tokens = 0;
};
Result<Span> parse_span(std::string_view text) {
  struct Unit {
    char letter;
    u64 seconds;
  };
  constexpr Unit kUnits[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
  for (const Unit& unit : kUnits) {
    if (!text.ends_with(unit.letter)) continue;
    u64 count = TRY(parse_number(text.substr(0, text.size() - 1)));
    if (count == 0 || count > 1'000'000) return fail(Errc::kOutOfRange, "no usable duration");
    return Span{count * unit.seconds * kNsPerSecond, 0};
  }
  u64 tokens = TRY(parse_number(text));
  if (tokens == 0) return fail(Errc::kOutOfRange, "no usable number of tokens");
  return Span{0, tokens};
}

Result<void> run_stability(const Arguments& arguments, base::Writer& out) {
  Span span = TRY(parse_span(arguments.words.size() > 1 ? arguments.words[1] : "1h"));
  TRY(engine_service().load_default());
  auto work = TRY(base::make<Stability>(io(), out));
  return work->run(span.ns, span.tokens);
}

constexpr Command kStability{
    "stability", "stability [90s|10m|1h|3d|TOKENS]", "works for long and checks every answer",
    run_stability,
    "Questions alone, from the cache, several at once and cancelled, in an order fixed by a seed.\n"
    "Each answer is compared token by token with the first one to that question, memory is\n"
    "counted after each round, and a line a minute says how it goes. 1h by default."};
CONSOLE_COMMAND(kStability);

}  // namespace
}  // namespace console
