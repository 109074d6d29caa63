// SPDX-License-Identifier: GPL-2.0-or-later
// Runs the engine under the profiler: first prompts, then tokens, with a table for each.
#include "console/check/profile_command.h"

#include "console/check/bench.h"
#include "kernel/profile.h"
#include "kernel/sched/worker_pool.h"
#include "kernel/time/clock.h"
#include "service/perf_log.h"

namespace console {
namespace {

constexpr u64 kNsPerSecond = 1'000'000'000;
constexpr u32 kPromptTokens = 128, kAnswerTokens = 64;

// The work of one kind, over all requests of the profile.
struct Phase {
  profile::Table table;
  u64 tokens = 0, ns = 0, barrier_ns = 0;
};

// Switches from the first table to the second at the first token.
class PhaseSink final : public ai::RequestSink {
 public:
  PhaseSink(Phase& reading, Phase& making) : reading_(reading), making_(making) { begin(reading_); }
  void on_prefill(u32 done, u32) override { read_ = done; }
  void on_token(const ai::TokenEvent& event) override {
    if (event.id == ai::Tokenizer::kNoToken) return;
    if (phase_ == &making_) {
      making_.tokens++;
      return;
    }
    reading_.tokens += read_;
    finish();
    begin(making_);
  }
  void on_end(ai::FinishReason why, const ai::Timings&, const Error* e) override {
    finish();
    if (why == ai::FinishReason::kError && e != nullptr) failed = std::unexpected(*e);
    ended = true;
  }
  bool ended = false;
  Result<void> failed;

 private:
  void begin(Phase& phase) {
    phase_ = &phase;
    start_ns_ = timing::now_ns();
    barrier_ns_ = sched::worker_counters().wait_ns;
    profile::record_into(&phase.table);
    profile::enter("engine");
  }
  void finish() {
    profile::record_into(nullptr);
    phase_->ns += timing::now_ns() - start_ns_;
    phase_->barrier_ns += sched::worker_counters().wait_ns - barrier_ns_;
  }
  Phase& reading_;
  Phase& making_;
  Phase* phase_ = nullptr;
  u32 read_ = 0;
  u64 start_ns_ = 0, barrier_ns_ = 0;
};

Result<void> run_request(const ai::Lease& model, u32 prompt, u32 generate, u32 salt, Phase& reading,
                         Phase& making) {
  Vector<ai::TokenId> tokens = TRY(make_prompt(model.tokenizer(), prompt, salt));
  ai::Request request;
  request.prompt = tokens.view();
  request.max_tokens = generate;
  request.ignore_end = true;
  request.cache_prompt = false;
  PhaseSink sink(reading, making);
  Result<service::HeldRequest> held = service::HeldRequest::submit(model, request, sink);
  if (!held.has_value()) {
    profile::record_into(nullptr);
    return std::unexpected(held.error());
  }
  TRY(wait_until(io(), [&] { return sink.ended; }));
  return sink.failed;
}

void print_phase(const char* title, Phase& phase, base::Writer& out) {
  if (phase.tokens == 0) return;
  u64 all = phase.table.ticks();
  phase.table.sort();
  base::format_to(out, "{}: {} tokens in {} ms, {} tok/s\n", title, phase.tokens,
                  service::milliseconds(phase.ns),
                  service::tokens_per_second(phase.tokens, phase.ns));
  out.write("  operation           share    ms/token    kticks/token     calls\n");
  for (const profile::Row& row : phase.table.rows())
    base::format_to(out, "  {:<18} {:>5} % {:>11} {:>15} {:>9}\n", row.name,
                    base::ratio(row.ticks * 100, all, 1),
                    base::ratio(timing::ns_from_ticks(row.ticks), phase.tokens * 1'000'000, 4),
                    base::ratio(row.ticks, phase.tokens * 1000, 1), row.calls);
  base::format_to(out, "  of it at the barrier, waiting for other cpus: {} %\n",
                  base::ratio(phase.barrier_ns * 100, phase.ns, 1));
}

}  // namespace

Result<void> profile_engine(u64 seconds, base::Writer& out) {
  ai::Lease model = TRY(use_model(service::kProfileHolder, io()));
  u32 context = model.info().context;
  u32 prompt = std::min(kPromptTokens, context / 2);
  u32 generate = std::min(kAnswerTokens, context - prompt - 1);
  base::format_to(out, "{}, kernels {}, {} threads; prompts of {} tokens, answers of {}\n",
                  model.info().name, model.kernels_name(), sched::worker_count(), prompt, generate);
  auto reading = TRY(base::make<Phase>());
  auto making = TRY(base::make<Phase>());
  u64 end = timing::now_ns() + seconds * kNsPerSecond;
  Result<void> done;
  u32 salt = 0;
  do done = run_request(model, prompt, generate, salt++, *reading, *making);
  while (done.has_value() && timing::now_ns() < end);
  print_phase("reading the prompt", *reading, out);
  print_phase("making tokens", *making, out);
  return done;
}

}  // namespace console
