// SPDX-License-Identifier: GPL-2.0-or-later
// `selftest`: checks whether this machine can do its work, one row per question. It takes a few
// seconds.
#include "console/check/self_test.h"

#include <algorithm>
#include <atomic>

#include "ai/kernels/self_check.h"
#include "console/check/question.h"
#include "console/shell/command.h"
#include "kernel/arch_contract.h"
#include "kernel/base/bytes.h"
#include "kernel/base/test.h"
#include "kernel/dev/registry.h"
#include "kernel/log.h"
#include "kernel/mm/memory.h"
#include "kernel/net/stack.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/worker_pool.h"
#include "kernel/time/clock.h"
#include "service/ai_platform.h"

namespace console {
namespace {

constexpr u64 kMs = 1'000'000;

Result<void> check_cpu(base::Writer& out, SelfTestOf) {
  CpuFeatures features = arch::Cpu::cpu_features();
  base::format_to(out, "  {} cpus, {} compute; features:", arch::Cpu::cpu_count(),
                  sched::worker_count());
  for (u32 i = 0; i < static_cast<u32>(CpuFeature::kCount); i++)
    if (features.has(static_cast<CpuFeature>(i)))
      base::format_to(out, " {}", cpu_feature_name(static_cast<CpuFeature>(i)));
  out.write("\n");
  if (sched::worker_count() == 0) return fail(Errc::kIo, "no cpu takes part in computing");
  return {};
}

// ---- memory: a walk over free pages, each word its own address and then its complement --------

struct Walk {
  std::span<Byte> pages;
  std::atomic<u64> wrong{0};  // address of a word that came back changed
};

// Walks one worker's part, which also shows that its CPU reaches the memory.
void walk_part(Walk& walk, u32 worker, u32 workers) {
  auto words = std::span(reinterpret_cast<volatile u64*>(walk.pages.data()),
                         walk.pages.size() / sizeof(u64));
  usize first = words.size() * worker / workers, last = words.size() * (worker + 1) / workers;
  for (u64 flip : {u64{0}, ~u64{0}}) {
    for (usize i = first; i < last; i++) words[i] = reinterpret_cast<u64>(&words[i]) ^ flip;
    for (usize i = first; i < last; i++)
      if (words[i] != (reinterpret_cast<u64>(&words[i]) ^ flip))
        walk.wrong.store(reinterpret_cast<u64>(&words[i]));
  }
}

Result<void> walk_pages(std::span<Byte> pages) {
  Walk walk{pages};
  sched::run_on_workers(
      [](void* context, u32 worker) {
        walk_part(*static_cast<Walk*>(context), worker, sched::worker_count());
      },
      &walk);
  if (walk.wrong.load() == 0) return {};
  log::error("selftest", "the word at {:016x} does not keep what is written", walk.wrong.load());
  return fail(Errc::kCorrupt, "memory does not keep what is written");
}

// Checks as much of the free memory as one second allows. Blocks are held until the end, so that
// each allocation gives a different one.
Result<void> check_memory(base::Writer& out, SelfTestOf) {
  TRY(mm::verify());
  TRY(mm::verify_heap());
  constexpr usize kBlockBytes = 16 * kMiB;
  constexpr u64 kMostNs = 1000 * kMs;
  Vector<std::span<Byte>> blocks;
  u64 spare = mm::usage().of(mm::Purpose::kFree) / 4;
  u64 end = timing::now_ns() + kMostNs;
  Result<void> result;
  while (result.has_value() && timing::now_ns() < end &&
         mm::usage().of(mm::Purpose::kFree) > spare + kBlockBytes) {
    auto pages =
        mm::allocate_pages({.bytes = kBlockBytes, .purpose = mm::Purpose::kOther, .zeroed = false});
    if (!pages.has_value()) break;  // no run of this length is left
    if (!blocks.push_back(*pages).has_value()) {
      mm::free_pages(*pages);
      break;
    }
    result = walk_pages(*pages);
    sched::yield();
  }
  base::format_to(out, "  {} of {} MiB free walked twice\n", blocks.size() * kBlockBytes / kMiB,
                  (mm::usage().of(mm::Purpose::kFree) + blocks.size() * kBlockBytes) / kMiB);
  for (std::span<Byte> block : blocks) mm::free_pages(block);
  TRY(result);
  return mm::verify();
}

// ---- the vector kernels ------------------------------------------------------------------------

Result<void> check_kernels(base::Writer& out, SelfTestOf) {
  ai::KernelCheck check = TRY(ai::check_kernels(arch::Cpu::cpu_features(), ai_platform()));
  base::format_to(out, "  {} tables, {} comparisons with the reference, all bits equal\n",
                  check.tables, check.comparisons);
  if (check.tables == 0) return fail(Errc::kNotFound, "only the reference runs on this cpu");
  return {};
}

Result<void> check_clock(base::Writer& out, SelfTestOf) {
  u64 before = timing::now_ns();
  sched::sleep_ns(20 * kMs);
  u64 slept = timing::now_ns() - before;
  base::format_to(out, "  20 ms of sleep took {} us, clock by {}\n", slept / 1000,
                  timing::calibration_source());
  if (slept < 20 * kMs) return fail(Errc::kIo, "the clock runs fast or sleep ends early");
  return {};
}

Result<void> check_lateness(base::Writer& out, SelfTestOf) {
  u64 latest = 0;
  for (u32 i = 0; i < 10; i++) {
    u64 before = timing::now_ns();
    sched::sleep_ns(2 * kMs);
    latest = std::max(latest, timing::now_ns() - before);
  }
  base::format_to(out, "  the longest of ten sleeps of 2 ms took {} us\n", latest / 1000);
  if (latest > 2000 * kMs) return fail(Errc::kTimeout, "sleep ends far too late");
  return {};
}

Result<void> check_workers(base::Writer&, SelfTestOf) {
  struct Sum {
    std::atomic<u32> workers{0};
  } sum;
  sched::run_on_workers(
      [](void* context, u32) { static_cast<Sum*>(context)->workers.fetch_add(1); }, &sum);
  if (sum.workers.load() != sched::worker_count())
    return fail(Errc::kIo, "not every worker took part");
  return {};
}

// ---- the model ----------------------------------------------------------------------------------

// llama.cpp's greedy answers for known models. At each step the most probable token is at least 0.9
// logits ahead (tests/goldens/smollm2-q4_1.greedy.txt).
struct Golden {
  std::string_view quantization;
  u64 file_bytes, parameters;
  ai::TokenId tokens[kKnownTokens];
};
constexpr Golden kGoldens[] = {
    {"Q4_1", 98362432, 134515008, {7042, 30, 198, 198, 504}},
};

const Golden* find_golden(const ai::ModelInfo& info) {
  for (const Golden& g : kGoldens)
    if (g.file_bytes == info.file_bytes && g.parameters == info.parameters &&
        info.quantization.view() == g.quantization)
      return &g;
  return nullptr;
}

// A known model must give the known tokens. Every model must give the same bits for the same
// question, whether the prompt is computed or taken from the cache.
Result<void> check_model(base::Writer& out, SelfTestOf) {
  ai::Lease model = TRY(use_model(service::kConsoleHolder, io()));
  KnownAnswer first = TRY(answer_known_question(model, false));
  KnownAnswer again = TRY(answer_known_question(model, true));
  const Golden* golden = find_golden(model.info());
  base::format_to(
      out, "  {}: {} tokens twice, logits {:016x}, {}\n", model.info().name, first.tokens.size(),
      first.logits_hash,
      golden != nullptr ? "compared with the known ones" : "no known answer of this model");
  bool same = std::ranges::equal(first.tokens.view(), again.tokens.view()) &&
              first.logits_hash == again.logits_hash;
  if (!same) return fail(Errc::kCorrupt, "the same question gave different bits the second time");
  if (golden != nullptr && !std::ranges::equal(first.tokens.view(), std::span(golden->tokens)))
    return fail(Errc::kCorrupt, "the model's tokens differ from the known ones");
  return {};
}

// ---- disks and network ---------------------------------------------------------------------

// Reads the first, middle and last blocks twice and compares.
Result<void> check_disk(BlockDevice& disk) {
  BlockGeometry geometry = disk.geometry();
  if (geometry.blocks == 0) return {};  // a drive without a medium
  usize bytes = base::round_up(mm::kPageBytes, geometry.block_bytes);
  u64 count = std::min<u64>(bytes / geometry.block_bytes, geometry.blocks);
  auto pages = TRY(mm::allocate_pages({.bytes = 2 * bytes, .purpose = mm::Purpose::kOther}));
  Result<void> result;
  for (u64 at : {u64{0}, geometry.blocks / 2, geometry.blocks - count}) {
    std::span<Byte> once = pages.first(count * geometry.block_bytes);
    std::span<Byte> twice = pages.subspan(bytes, once.size());
    at = std::min(at, geometry.blocks - count);
    if (result.has_value()) result = block::read(disk, at, once);
    if (result.has_value()) result = block::read(disk, at, twice);
    if (result.has_value() && !std::ranges::equal(once, twice))
      result = fail(Errc::kCorrupt, "a block read twice is not the same");
    if (!result.has_value()) break;
  }
  mm::free_pages(pages);
  if (!result.has_value()) log::error("selftest", "{}: {}", disk.name(), result.error());
  return result;
}

Result<void> check_disks(base::Writer& out, SelfTestOf) {
  if (devices::blocks().empty()) return fail(Errc::kNotFound, "no disks");
  for (BlockDevice* disk : devices::blocks()) TRY(check_disk(*disk));
  base::format_to(out, "  {} disks, three places of each read twice\n", devices::blocks().size());
  return {};
}

// Sends `text` from one end to the other and compares. Both ends are in this program.
Result<void> check_stream(net::Socket& from, net::Socket& to, std::string_view text, u64 end_ns) {
  char got[256];
  usize sent = 0, received = 0;
  while (received < text.size()) {
    if (timing::now_ns() > end_ns) return fail(Errc::kTimeout, "the loopback does not answer");
    Result<usize> n = fail(Errc::kBusy, "");
    if (sent < text.size()) n = from.write(text.substr(sent));
    if (n.has_value()) sent += *n;
    n = to.read(std::span(got).subspan(received));
    if (n.has_value() && *n == 0) return fail(Errc::kIo, "the loopback closed the connection");
    if (n.has_value()) received += *n;
    sched::yield();
  }
  if (std::string_view(got, received) != text)
    return fail(Errc::kCorrupt, "the loopback changed bytes");
  return {};
}

Result<void> check_network(base::Writer& out, SelfTestOf) {
  if (!net::stack_running() || net::network() == nullptr)
    return fail(Errc::kNotFound, "the network is off, or the host's");
  constexpr u64 kMostNs = 30'000 * kMs;  // so that a busy machine answers, too
  u64 end = timing::now_ns() + kMostNs;
  auto listener = TRY(net::network()->listen("127.0.0.1", 0));
  net::IpAddress local = TRY(net::resolve("127.0.0.1", end));
  auto out_side = TRY(net::connect(local, listener->port()));
  Result<base::Owner<net::Socket>> in_side = fail(Errc::kBusy, "");
  while (!in_side.has_value()) {
    in_side = listener->accept();
    if (timing::now_ns() > end) return fail(Errc::kTimeout, "the loopback does not connect");
    sched::yield();
  }
  TRY(check_stream(*out_side, **in_side, "the quick brown fox", end));
  TRY(check_stream(**in_side, *out_side, "jumps over the lazy dog", end));
  base::format_to(out, "  a TCP connection of the machine to itself, port {}\n", listener->port());
  return {};
}

// Runs the unit tests that this image contains: kernel tables against the reference, and more.
Result<void> check_built_in_tests(base::Writer& out, SelfTestOf of) {
  class Quiet final : public base::Writer {
   public:
    void write(std::string_view) override {}
  } quiet;
  if (!marrow_tests_rows().empty())
    out.write("  tests provoke faults on purpose: what the log says here is about those\n");
  // A test that gives the machine seconds to answer is in a suite limited_*.
  TestTotals totals = run_tests(quiet, of == SelfTestOf::kTrial ? "-limited_" : "");
  if (totals.passed + totals.failed == 0) return fail(Errc::kNotFound, "no tests in this image");
  base::format_to(out, "  {} tests passed, {} failed\n", totals.passed, totals.failed);
  if (totals.failed > 0) return fail(Errc::kCorrupt, "built-in tests failed: `test` shows which");
  return {};
}

constexpr SelfTestRow kRows[] = {
    {"cpu", check_cpu},         {"memory", check_memory},
    {"clock", check_clock},     {"lateness", check_lateness, Judges::kSpeed},
    {"workers", check_workers}, {"kernels", check_kernels},
    {"disks", check_disks},     {"network", check_network},
    {"model", check_model},     {"tests", check_built_in_tests},
};

Result<void> run_selftest(const Arguments&, base::Writer& out) {
  SelfTestVerdict verdict = run_self_test(kRows, SelfTestOf::kMachine, out);
  return verdict.failed == 0 ? Result<void>() : fail(Errc::kCorrupt, "the machine failed a check");
}

constexpr Command kSelftest{
    "selftest", "selftest", "is this machine able to do its work?", run_selftest,
    "Cpus, a walk over free memory, the clock, how late a sleep ends, the workers, vector kernels\n"
    "against the reference, disks, the network's loopback, the model's known tokens (or the same "
    "bits\ntwice), built-in tests."};
CONSOLE_COMMAND(kSelftest);

}  // namespace

std::span<const SelfTestRow> self_test_rows() {
  return kRows;
}

SelfTestVerdict run_self_test(std::span<const SelfTestRow> rows, SelfTestOf of, base::Writer& out) {
  SelfTestVerdict verdict;
  u64 begin = timing::now_ns();
  for (const SelfTestRow& row : rows) {
    if (of == SelfTestOf::kTrial && row.judges == Judges::kSpeed) continue;
    u64 start = timing::now_ns();
    Result<void> result = row.check(out, of);
    u64 ms = (timing::now_ns() - start) / kMs;
    if (result.has_value()) {
      verdict.passed++;
      base::format_to(out, "ok      {:<10} {} ms\n", row.name, ms);
    } else if (result.error().code == Errc::kNotFound) {
      verdict.skipped++;
      base::format_to(out, "skipped {:<10} {}\n", row.name, result.error());
    } else {
      if (verdict.failed++ == 0) verdict.first_failed = row.name, verdict.error = result.error();
      base::format_to(out, "FAILED  {:<10} {}\n", row.name, result.error());
    }
  }
  base::format_to(out, "selftest: {} passed, {} failed, {} skipped, {} ms\n", verdict.passed,
                  verdict.failed, verdict.skipped, (timing::now_ns() - begin) / kMs);
  return verdict;
}

Result<KnownAnswer> answer_known_question(const ai::Lease& model, bool cache) {
  constexpr std::string_view kQuestion = "The capital of France is";
  Vector<ai::TokenId> prompt;
  TRY(model.tokenizer().encode(kQuestion, ai::AddSpecial::kYes, ai::ParseSpecial::kNo, prompt));
  ai::Request request;
  request.prompt = prompt.view();
  request.max_tokens = kKnownTokens;
  request.ignore_end = true;
  request.cache_prompt = cache;
  request.hash_logits = true;
  Answer answer = TRY(generate(model, request, io(), Show::kNothing));
  if (answer.reason == ai::FinishReason::kError) return std::unexpected(answer.error);
  if (answer.reason == ai::FinishReason::kCancelled) return fail(Errc::kCancelled, "stopped");
  return KnownAnswer{std::move(answer.tokens), answer.logits_hash};
}

}  // namespace console
