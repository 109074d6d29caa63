// SPDX-License-Identifier: GPL-2.0-or-later
// `selftest`: is this machine able to do its work? A row a question; a few seconds in all.
#include "console/command.h"
#include "console/generation.h"
#include "kernel/arch_contract.h"
#include "kernel/base/test.h"
#include "kernel/mm/memory.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/worker_pool.h"
#include "kernel/time/clock.h"

namespace console {
namespace {

constexpr u64 kMs = 1'000'000;

// Every fact goes to `out`, indented; the verdict is the result. kNotFound: nothing to check here.
using Check = Result<void> (*)(base::Writer& out);

Result<void> check_cpu(base::Writer& out) {
  CpuFeatures features = arch::Cpu::cpu_features();
  u32 count = 0;
  for (u32 i = 0; i < static_cast<u32>(CpuFeature::kCount); i++)
    count += features.has(static_cast<CpuFeature>(i)) ? 1 : 0;
  base::format_to(out, "  {} cpus, {} compute, {} vector features\n", arch::Cpu::cpu_count(),
                  sched::worker_count(), count);
  if (sched::worker_count() == 0) return fail(Errc::kIo, "no cpu computes");
  return {};
}

Result<void> check_memory(base::Writer&) {
  TRY(mm::verify());
  return mm::verify_heap();
}

Result<void> check_clock(base::Writer& out) {
  u64 before = timing::now_ns();
  sched::sleep_ns(20 * kMs);
  u64 slept = timing::now_ns() - before;
  base::format_to(out, "  20 ms of sleep took {} us, clock by {}\n", slept / 1000,
                  timing::calibration_source());
  if (slept < 20 * kMs) return fail(Errc::kIo, "the clock runs fast or sleep ends early");
  if (slept > 2000 * kMs) return fail(Errc::kTimeout, "sleep ends far too late");
  return {};
}

Result<void> check_workers(base::Writer&) {
  struct Sum {
    std::atomic<u32> workers{0};
  } sum;
  sched::run_on_workers(
      [](void* context, u32) { static_cast<Sum*>(context)->workers.fetch_add(1); }, &sum);
  if (sum.workers.load() != sched::worker_count())
    return fail(Errc::kIo, "not every worker took part");
  return {};
}

struct Run {
  Vector<ai::TokenId> tokens;
  u64 logits_hash;
};

Result<Run> run_once(std::string_view text, bool cache) {
  ai::Engine& engine = engine_service().engine();
  Vector<ai::TokenId> prompt;
  TRY(engine.tokenizer().encode(text, ai::AddSpecial::kYes, ai::ParseSpecial::kNo, prompt));
  ai::Request request;
  request.prompt = prompt.view();
  request.max_tokens = 8;
  request.ignore_end = true;
  request.cache_prompt = cache;
  request.hash_logits = true;
  Answer answer = TRY(generate(request, io(), Show::kNothing));
  if (answer.reason == ai::FinishReason::kError) return std::unexpected(answer.error);
  if (answer.reason == ai::FinishReason::kCancelled) return fail(Errc::kCancelled, "stopped");
  return Run{std::move(answer.tokens), answer.logits_hash};
}

// Bit-exactness makes the machine its own oracle: the same question gives the same bits, whether
// the prompt is read anew or taken from the cache.
Result<void> check_model(base::Writer& out) {
  EngineService& service = engine_service();
  Result<void> loaded = service.load_default();
  if (!loaded.has_value()) return loaded;
  constexpr std::string_view kText = "The capital of France is";
  Run first = TRY(run_once(kText, false));
  Run second = TRY(run_once(kText, true));
  Run third = TRY(run_once(kText, true));
  base::format_to(out, "  {}: 8 tokens three times, logits {:016x}\n", service.engine().info().name,
                  first.logits_hash);
  for (const Run* run : {&second, &third}) {
    bool same = std::ranges::equal(first.tokens.view(), run->tokens.view()) &&
                first.logits_hash == run->logits_hash;
    if (!same) return fail(Errc::kCorrupt, "the same question gave other bits");
  }
  return {};
}

// The unit tests that are built into this image: kernel tables against the reference and more.
Result<void> check_built_in_tests(base::Writer& out) {
  class Quiet final : public base::Writer {
   public:
    void write(std::string_view) override {}
  } quiet;
  TestTotals totals = run_tests(quiet, "");
  if (totals.passed + totals.failed == 0) return fail(Errc::kNotFound, "no tests in this image");
  base::format_to(out, "  {} tests passed, {} failed\n", totals.passed, totals.failed);
  if (totals.failed > 0) return fail(Errc::kCorrupt, "`test` tells which");
  return {};
}

struct Row {
  const char* name;
  Check check;
};
constexpr Row kRows[] = {
    {"cpu", check_cpu},         {"memory", check_memory}, {"clock", check_clock},
    {"workers", check_workers}, {"model", check_model},   {"tests", check_built_in_tests},
};

Result<void> run_selftest(const Arguments&, base::Writer& out) {
  u32 passed = 0, failed = 0, skipped = 0;
  for (const Row& row : kRows) {
    u64 start = timing::now_ns();
    Result<void> result = row.check(out);
    u64 ms = (timing::now_ns() - start) / kMs;
    if (result.has_value()) {
      passed++;
      base::format_to(out, "ok      {:<10} {} ms\n", row.name, ms);
    } else if (result.error().code == Errc::kNotFound) {
      skipped++;
      base::format_to(out, "skipped {:<10} {}\n", row.name, result.error());
    } else {
      failed++;
      base::format_to(out, "FAILED  {:<10} {}\n", row.name, result.error());
    }
  }
  base::format_to(out, "selftest: {} passed, {} failed, {} skipped\n", passed, failed, skipped);
  if (failed > 0) return fail(Errc::kCorrupt, "the machine is not well");
  return {};
}

constexpr Command kSelftest{"selftest", "selftest", "is this machine able to do its work?",
                            run_selftest,
                            "Cpus, memory, clock, workers, the model's bits, the built-in tests."};
CONSOLE_COMMAND(kSelftest);

}  // namespace
}  // namespace console
