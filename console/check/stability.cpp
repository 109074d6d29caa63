// SPDX-License-Identifier: GPL-2.0-or-later
// Implements `stability`: the rounds of mixed work, what is counted after each, and the verdict.
#include "console/check/stability.h"

#include <algorithm>

#include "console/check/bench.h"
#include "console/shell/command.h"
#include "kernel/arch_contract.h"
#include "kernel/log.h"
#include "kernel/sched/worker_pool.h"
#include "kernel/time/clock.h"
#include "service/perf_log.h"
#include "service/storage.h"

namespace console {
namespace {

constexpr u64 kNsPerSecond = 1'000'000'000;
constexpr u32 kParallel = 3;
constexpr u32 kPromptTokens[kStabilityPrompts] = {4, 9, 17, 40, 96, 200};
constexpr u32 kSwitchEvery = 24, kRequestEvery = 16;  // rounds, on average

class Stability {
 public:
  Stability(Io& io, base::Writer& out, StabilityPlan plan)
      : io_(io), out_(out), plan_(std::move(plan)), planter_(plan_.plant), seed_(plan_.seed) {}
  Result<void> run();

 private:
  Result<void> add_subjects();
  Result<void> record(Subject& subject);
  Result<void> ask(u32 prompt, Checker& checker, bool record, bool cache);
  Result<void> serve(std::span<Checker> checkers);
  Result<void> round();
  Result<void> work_on(usize subject_index);
  Result<void> switch_model();
  Result<void> ask_server();
  Result<void> plant_when_due();
  void account();
  void leaked(std::string_view what, u64 bytes);
  bool work_left() const;
  void report(const char* title);
  void keep();
  void take_up();
  bool planted_found() const;
  bool say_faults(Result<void> result);
  void say_too_short();
  Result<void> verdict(Result<void> result);
  Subject& subject() { return *subjects_[current_]; }
  u32 random(u32 below) {
    seed_ = seed_ * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator
    return static_cast<u32>(seed_ >> 33) % below;
  }
  u64 seconds() const { return figures_before_ + (timing::now_ns() - start_ns_) / kNsPerSecond; }

  Io& io_;
  base::Writer& out_;
  StabilityPlan plan_;
  Planter planter_;
  Vector<base::Owner<Subject>> subjects_;
  usize current_ = 0;
  StabilityFigures figures_;
  DriftWatch drift_;
  u64 seed_;
  u64 start_ns_ = 0, reported_ns_ = 0, figures_before_ = 0, tokens_before_ = 0;
  u64 stalls_before_ = 0;
  u64 rounds_start_ns_ = 0;
  ai::Lease model_;  // of the model being tested
  String server_text_, leak_;
  arch::CpuHealth health_;
};

Result<void> Stability::ask(u32 prompt, Checker& checker, bool record, bool cache) {
  Oracle& oracle = subject().oracles[prompt];
  checker.begin(oracle, record);
  checker.slow_ns = planter_.slow_ns(subject().drift.usual_ns());
  ai::Request request;
  request.prompt = oracle.prompt.view();
  request.max_tokens = kStabilityAnswerTokens;
  request.ignore_end = true;
  request.cache_prompt = cache;
  request.hash_logits = true;
  checker.held = TRY(service::HeldRequest::submit(model_, request, checker));
  return {};
}

Result<void> Stability::serve(std::span<Checker> checkers) {
  service::EngineHost& host = service::engine_host();
  bool stop = false;
  for (;;) {
    bool running = false;
    for (Checker& c : checkers) {
      if (c.ended) continue;
      if (stop || c.tokens >= c.cancel_after) c.held.cancel();
      running = running || !c.ended;
    }
    if (!running) break;
    u32 made = checkers[0].tokens;
    u64 steps = host.steps();
    host.wait_news();
    // The step of the first token has read part of the prompt, too; a step with accepted guesses
    // gives more tokens. Neither counts as a plain step.
    if (checkers.size() == 1 && made > 0 && checkers[0].tokens == made + 1 &&
        host.steps() == steps + 1)
      subject().drift.add_step(host.last_step_ns());
    stop = stop || io_.interrupted();
  }
  for (const Checker& c : checkers) {
    figures_.answers++;
    figures_.tokens += c.tokens;
    figures_.wrong += c.wrong ? 1 : 0;
    figures_.failed += c.failed && !stop ? 1 : 0;
    figures_.cancelled += c.cancel_after != ~0u ? 1 : 0;
  }
  if (stop) return fail(Errc::kCancelled, "stopped");
  return {};
}

// Records the first answers, each generated alone and without the cache.
Result<void> Stability::record(Subject& subject) {
  const ai::Tokenizer& tokenizer = model_.tokenizer();
  u32 longest = model_.info().context - kStabilityAnswerTokens - 1;
  for (u32 i = 0; i < kStabilityPrompts; i++) {
    Oracle& oracle = subject.oracles[i];
    oracle.prompt = TRY(make_prompt(tokenizer, std::min(kPromptTokens[i], longest), i));
    TRY(oracle.hashes.reserve(kStabilityAnswerTokens));
    Checker checker;
    TRY(ask(i, checker, true, false));
    TRY(serve({&checker, 1}));
    if (checker.failed) return fail(Errc::kIo, "a first answer failed");
  }
  subject.checksum = service::engine_host().weights_checksum(model_);
  return {};
}

// Adds the loaded model, and the models to switch to: the named ones, or all that fit.
Result<void> Stability::add_subjects() {
  service::EngineHost& host = service::engine_host();
  constexpr usize kMostModels = 3;
  Vector<service::ModelFile> files;
  TRY(files.push_back(TRY(host.file(model_).clone())));
  for (const String& name : plan_.others)
    TRY(files.push_back(TRY(service::find_model(name.view()))));
  Vector<service::ModelFile> found = TRY(service::find_models());
  for (service::ModelFile& file : found) {
    bool known = std::ranges::any_of(files.view(), [&](const service::ModelFile& other) {
      return other.path.view() == file.path.view();
    });
    if (known || files.size() >= kMostModels) continue;
    Result<service::ModelFacts> summary = host.inspect(file);
    u64 free = mm::usage().of(mm::Purpose::kFree);
    bool fits = summary.has_value() && summary->model.fits && summary->needed_bytes < free;
    if (fits) TRY(files.push_back(std::move(file)));
  }
  for (service::ModelFile& file : files) {
    TRY(subjects_.push_back(TRY(base::make<Subject>())));
    subjects_.back()->file = std::move(file);
  }
  for (usize i = subjects_.size(); i > 0; i--) {
    TRY(work_on(i - 1));
    TRY(record(subject()));
  }
  return {};
}

// Switches to a subject. The previous model's lease ends first, because no other model may replace
// it while it is leased.
Result<void> Stability::work_on(usize subject_index) {
  current_ = subject_index;
  model_ = {};
  TRY(load_shown(subject().file, io_));
  model_ = TRY(service::engine_host().lease_of(subject().file, service::kStabilityHolder));
  return {};
}

// Switches to another model and back. The weights must have the same bytes in memory as the first
// time.
Result<void> Stability::switch_model() {
  TRY(work_on((current_ + 1) % subjects_.size()));
  figures_.switches++;
  return {};
}

Result<void> Stability::ask_server() {
  // With two models the answer depends on which one is loaded.
  if (current_ != 0) return {};
  Result<String> text = ask_own_server(io_);
  if (!text.has_value() && text.error().code == Errc::kNotFound) return {};
  figures_.requests++;
  if (!text.has_value()) {
    log::error("stability", "the server: {}", text.error());
    figures_.failed++;
    return {};
  }
  if (server_text_.empty()) return server_text_.assign(text->view());
  figures_.wrong += server_text_.view() == text->view() ? 0 : 1;
  return {};
}

// Does one round: an answer alone, from the cache, several at once, or cancelled somewhere; now and
// then a switch of models or a request over the network first.
Result<void> Stability::round() {
  bool whole = plan_.plant == Plant::kNothing;  // a planted bit must stay where it is
  if (whole && subjects_.size() > 1 && random(kSwitchEvery) == 0) TRY(switch_model());
  if (random(kRequestEvery) == 0) TRY(ask_server());
  Checker checkers[kParallel];
  u32 kind = random(4);
  u32 count = kind == 2 ? kParallel : 1;
  for (u32 i = 0; i < count; i++) {
    TRY(ask(random(kStabilityPrompts), checkers[i], false, kind != 0));
    if (kind == 3) checkers[i].cancel_after = random(kStabilityAnswerTokens);
  }
  Result<void> served = serve({checkers, count});
  figures_.rounds++;
  if (served.has_value() && kind < 2) subject().drift.add_answer(checkers[0].decode_ns);
  account();
  if (served.has_value()) TRY(plant_when_due());
  return served;
}

Result<void> Stability::plant_when_due() {
  if (plan_.plant == Plant::kNothing) return {};
  bool half = plan_.tokens != 0 ? (figures_.tokens - tokens_before_) * 2 >= plan_.tokens
                                : (timing::now_ns() - start_ns_) * 2 >= plan_.ns;
  return half ? planter_.after_round(model_) : Result<void>();
}

void Stability::leaked(std::string_view what, u64 bytes) {
  figures_.leaks++;
  if (!leak_.empty()) return;
  base::StringWriter writer(leak_);
  base::format_to(writer, "{} bytes of {} after round {}", bytes, what, figures_.rounds);
}

// Checks that nothing is held after a round: no page of the cache, and no more memory than before.
void Stability::account() {
  // Looks between two steps: inside one, an answer that has ended may still have its pages.
  service::EngineHost& host = service::engine_host();
  service::EngineHost::Figures engine;
  Result<void> looked = host.between_steps(model_, nullptr, [&](service::Turn&) -> Result<void> {
    engine = host.figures(model_);
    return {};
  });
  ASSERT(looked.has_value());  // without a patience, the turn cannot be cancelled
  bool others = engine.running + engine.queued > 0;  // a client of the server has requests
  if (others) return;
  MemoryWatch::Leak leak = subject().memory.after_round();
  if (leak.what != nullptr) leaked(leak.what, leak.bytes);
  if (engine.kv_pages_used != 0) leaked("KV pages in use", engine.kv_pages_used);
  if (figures_.rounds % 64 == 0 && (!mm::verify().has_value() || !mm::verify_heap().has_value()))
    leaked("broken bookkeeping", 0);
}

void Stability::report(const char* title) {
  figures_.seconds = seconds();
  figures_.stalls += sched::worker_counters().stalls - stalls_before_;
  stalls_before_ = sched::worker_counters().stalls;
  const DriftWatch& drift = subject().drift;
  for (const auto& each : subjects_)
    figures_.worst_drift = std::max(figures_.worst_drift, each->drift.worst());
  if (service::engine_host().weights_checksum(model_) != subject().checksum) figures_.weights = 1;
  bool drifted = std::ranges::any_of(subjects_, [](auto& s) { return s->drift.found(); });
  if (drifted) figures_.drifts = 1;
  bool judged = std::ranges::all_of(
      subjects_, [](auto& s) { return s->drift.judged() && s->memory.judged(); });
  if (judged) figures_.judged = 1;
  const StabilityFigures& f = figures_;
  base::format_to(out_,
                  "stability: {} seconds={} rounds={} answers={} cancelled={} tokens={} "
                  "switches={} requests={} wrong={} failed={} leaks={} stalls={} ms_per_answer={} "
                  "step_ms={} drift_percent={} free_mib={}",
                  title, f.seconds, f.rounds, f.answers, f.cancelled, f.tokens, f.switches,
                  f.requests, f.wrong, f.failed, f.leaks, f.stalls,
                  service::milliseconds(drift.mean_ns()), service::milliseconds(drift.step_ns()),
                  drift.percent(), mm::usage().of(mm::Purpose::kFree) / kMiB);
  health_ = arch::read_health(health_);
  if (health_.celsius != 0) base::format_to(out_, " celsius={}", health_.celsius);
  if (health_.megahertz != 0) base::format_to(out_, " mhz={}", health_.megahertz);
  out_.write("\n");
  reported_ns_ = timing::now_ns();
}

// ---- figures that outlive a restart ----------------------------------------------------------

struct Field {
  const char* name;
  u64 StabilityFigures::* value;
};
constexpr Field kFields[] = {
    {"seconds", &StabilityFigures::seconds},   {"rounds", &StabilityFigures::rounds},
    {"answers", &StabilityFigures::answers},   {"cancelled", &StabilityFigures::cancelled},
    {"tokens", &StabilityFigures::tokens},     {"switches", &StabilityFigures::switches},
    {"requests", &StabilityFigures::requests}, {"wrong", &StabilityFigures::wrong},
    {"failed", &StabilityFigures::failed},     {"leaks", &StabilityFigures::leaks},
    {"stalls", &StabilityFigures::stalls},     {"drift", &StabilityFigures::worst_drift},
    {"weights", &StabilityFigures::weights},   {"drifts", &StabilityFigures::drifts},
    {"judged", &StabilityFigures::judged},
};

void Stability::keep() {
  String text;
  base::StringWriter writer(text);
  for (const Field& field : kFields)
    base::format_to(writer, "{}={}\n", field.name, figures_.*field.value);
  if (!writer.status().has_value()) return;
  Result<String> where = service::store_text("stability", "last", text.view());
  if (!where.has_value()) log::warn("stability", "figures not kept: {}", where.error());
}

void Stability::take_up() {
  Result<String> text = service::load_text("stability", "last");
  if (!text.has_value()) return out_.write("stability: no figures of an earlier run, a new one\n");
  for (std::string_view rest = text->view(); !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    usize equals = std::min(line.find('='), line.size());
    Result<u64> number = parse_number(line.substr(std::min(equals + 1, line.size())));
    for (const Field& field : kFields)
      if (number.has_value() && line.substr(0, equals) == field.name)
        figures_.*field.value = *number;
  }
  figures_before_ = figures_.seconds;
  tokens_before_ = figures_.tokens;
  base::format_to(out_, "stability: going on after seconds={} rounds={} tokens={}\n",
                  figures_.seconds, figures_.rounds, figures_.tokens);
}

// ---- the whole ----------------------------------------------------------------------------------

bool Stability::work_left() const {
  if (plan_.ns != 0) return seconds() * kNsPerSecond < plan_.ns;
  return figures_.tokens < plan_.tokens + tokens_before_;
}

Result<void> Stability::run() {
  if (plan_.resume) take_up();
  stalls_before_ = sched::worker_counters().stalls;
  start_ns_ = reported_ns_ = timing::now_ns();
  model_ = TRY(use_model(service::kStabilityHolder, io_));
  TRY(add_subjects());
  base::format_to(out_, "stability: seed={} models={} threads={} kernels={} watchdog_ms={}\n",
                  plan_.seed, subjects_.size(), sched::worker_count(), model_.kernels_name(),
                  sched::stall_limit() / 1'000'000);
  rounds_start_ns_ = timing::now_ns();
  Result<void> result;
  while (result.has_value() && work_left()) {
    result = round();
    if (timing::now_ns() - reported_ns_ < 60 * kNsPerSecond) continue;
    report("minute");
    keep();
  }
  if (model_) report("end");
  if (model_) planter_.restore(model_);
  keep();
  return verdict(result);
}

bool Stability::planted_found() const {
  const StabilityFigures& f = figures_;
  switch (plan_.plant) {
    case Plant::kNothing:
      return true;
    case Plant::kBit:
      return f.weights != 0;
    case Plant::kPage:
      return f.leaks != 0;
    case Plant::kStall:
      return f.stalls != 0;
    case Plant::kDrift:
      return f.drifts != 0;
  }
  return false;
}

// Prints each fault. Returns true if there was one.
bool Stability::say_faults(Result<void> result) {
  const StabilityFigures& f = figures_;
  const struct {
    bool found;
    const char* name;
  } kFaults[] = {
      {f.weights > 0, "weights: the model's bytes in memory are not those that were loaded"},
      {f.wrong > 0 && f.weights == 0,
       "answers: they changed, though the weights did not: the cache or a computation was wrong"},
      {f.wrong > 0 && f.weights > 0, "answers: they changed with the weights"},
      {f.failed > 0, "answers: some failed"},
      {f.leaks > 0, "memory: not given back"},
      {f.stalls > 0, "stall: a cpu did not finish its part in the watchdog's time"},
      {f.drifts > 0, "drift: steps became slower and stayed so"},
  };
  bool bad = false;
  for (const auto& fault : kFaults) {
    if (!fault.found) continue;
    base::format_to(out_, "stability: FAULT {}", fault.name);
    bool memory = std::string_view(fault.name).starts_with("memory");
    if (memory && !leak_.empty()) base::format_to(out_, ": {}", leak_);
    out_.write("\n");
    bad = true;
  }
  if (!result.has_value()) {
    if (result.error().code == Errc::kCancelled) return bad;
    base::format_to(out_, "stability: FAULT work: {}\n", result.error());
    return true;
  }
  if (planted_found()) return bad;
  std::string_view name = plant_name(plan_.plant);
  if (planter_.rounds() == 0)
    base::format_to(out_, "stability: FAULT plant: {} was never planted: no round began half-way\n",
                    name);
  else
    base::format_to(out_, "stability: FAULT plant: {} was planted and not found in {} rounds\n",
                    name, planter_.rounds() - 1);
  return true;
}

// Says how many rounds and steps the least-tested model got, how many a verdict needs, and about
// how long a run would need at this pace.
void Stability::say_too_short() {
  u64 rounds = MemoryWatch::needed(), steps = DriftWatch::needed();
  for (const auto& each : subjects_) {
    rounds = std::min(rounds, each->memory.rounds());
    steps = std::min(steps, each->drift.steps());
  }
  base::format_to(out_,
                  "stability: memory is judged after {} rounds and speed after {} tokens made "
                  "alone, of each model; there were {} and {}",
                  MemoryWatch::needed(), DriftWatch::needed(), rounds, steps);
  if (rounds == 0 || steps == 0) return out_.write("\n");
  u64 now = timing::now_ns();
  u64 more = std::max(MemoryWatch::needed() * 100 / rounds, DriftWatch::needed() * 100 / steps);
  // in percent of what was done, with a margin, because the work is not evenly distributed
  more += more / 2;
  if (plan_.tokens != 0)
    base::format_to(out_, ": about {} tokens would do\n",
                    (figures_.tokens - tokens_before_) * more / 100);
  else
    base::format_to(
        out_, ": about {}s would do\n",
        (rounds_start_ns_ - start_ns_ + (now - rounds_start_ns_) / 100 * more) / kNsPerSecond + 1);
}

Result<void> Stability::verdict(Result<void> result) {
  if (say_faults(result)) {
    out_.write("stability: FAILED\n");
    return planted_found() ? fail(Errc::kCorrupt, "the machine is not stable")
                           : fail(Errc::kCorrupt, "the planted fault was not found");
  }
  if (!result.has_value()) {
    out_.write("stability: STOPPED\n");
    return result;
  }
  if (figures_.judged == 0) {
    say_too_short();
    out_.write("stability: TOO SHORT to tell\n");
    return fail(Errc::kOutOfRange, "a longer run is needed");
  }
  out_.write("stability: PASSED\n");
  return {};
}

Result<void> run_stability(const Arguments& arguments, base::Writer& out) {
  StabilityPlan plan = TRY(parse_stability(arguments.words.subspan(1)));
  auto work = TRY(base::make<Stability>(io(), out, std::move(plan)));
  return work->run();
}

void complete_stability(std::string_view, void (*add)(void*, std::string_view), void* context) {
  for (std::string_view word : {"--plant", "--resume", "--seed", "--with", "1h", "24h", "72h"})
    add(context, word);
}

constexpr Command kStability{
    "stability",
    "stability [90s|10m|1h|3d|TOKENS] [--seed N] [--with MODEL] [--resume] [--plant FAULT]",
    "runs for a long time and checks every answer",
    run_stability,
    "Asks single questions, cached ones, several at once and cancelled ones, switches between\n"
    "models (--with) and sends requests to this machine's server if it runs; the seed fixes the\n"
    "order. Each answer is compared token by token with the first one to that question, memory\n"
    "is counted after each round, and one line a minute reports progress. 1h by default.\n"
    "The verdict is PASSED, FAILED, STOPPED, or TOO SHORT, which names the time that is needed.\n"
    "--resume continues with the figures stored by the last run. --plant bit|page|stall|drift\n"
    "plants a fault half-way; the verdict is FAILED too when the fault is not found.",
    false,
    complete_stability};
CONSOLE_COMMAND(kStability);

}  // namespace
}  // namespace console
