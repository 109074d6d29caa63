// SPDX-License-Identifier: GPL-2.0-or-later
// Implements `bench`, and the one-line measurement of the boot option perf.
#include "console/check/bench.h"

#include <algorithm>
#include <charconv>

#include "console/chat/talk.h"
#include "console/shell/command.h"
#include "kernel/options.h"
#include "kernel/sched/worker_pool.h"
#include "kernel/time/clock.h"
#include "service/perf_log.h"
#include "service/storage.h"

namespace console {
namespace {

constexpr Option kPerfTokens{
    "perf.tokens",      OptionKind::kNumber, "64", "1..100000", "tokens that perf=1 generates",
    "zosia.perf.tokens"};
constexpr Option kPerfMinimum{"perf.min_tok_s",
                              OptionKind::kText,
                              "0",
                              "NUMBER",
                              "perf=1 fails below this many tokens a second",
                              "zosia.perf.min_tok_s"};
KERNEL_OPTION(kPerfTokens);
KERNEL_OPTION(kPerfMinimum);

// The time during which all requests of a batch decode: from the last one's first token until the
// first of them ends.
struct Together {
  u32 waiting = 0;  // requests that have no token yet
  u64 began_ns = 0, last_ns = 0, tokens = 0;
  bool over = false;
};

class Meter final : public ai::RequestSink {
 public:
  void on_prefill(u32, u32) override {}
  void on_token(const ai::TokenEvent& event) override {
    if (event.id == ai::Tokenizer::kNoToken) return;
    u64 now = timing::now_ns();
    bool first = count++ == 0;
    if (together->waiting == 0 && !together->over) {
      together->tokens++;
      together->last_ns = now;
    }
    if (first && --together->waiting == 0) together->began_ns = together->last_ns = now;
  }
  void on_end(ai::FinishReason why, const ai::Timings& t, const Error* e) override {
    reason = why;
    timings = t;
    if (e != nullptr) error = *e;
    ended = true;
    together->over = true;
  }

  Together* together = nullptr;
  u32 count = 0;
  bool ended = false;
  ai::FinishReason reason = ai::FinishReason::kError;
  ai::Timings timings;
  Error error{Errc::kIo, "the request failed"};
  // last, so that its destructor cancels the request while the rest still exists
  service::HeldRequest held;
};

Result<void> serve(Io& io, std::span<Meter> meters) {
  TRY(wait_until(
      io, [&] { return std::ranges::all_of(meters, [](const Meter& m) { return m.ended; }); }));
  for (const Meter& meter : meters)
    if (meter.reason == ai::FinishReason::kError) return std::unexpected(meter.error);
  return {};
}

}  // namespace

Result<Vector<ai::TokenId>> make_prompt(const ai::Tokenizer& tokenizer, u32 tokens, u32 salt) {
  Vector<ai::TokenId> prompt;
  TRY(prompt.reserve(tokens));
  u32 state = 12345 + salt * 7919;
  while (prompt.size() < tokens) {
    state = state * 1664525 + 1013904223;  // Numerical Recipes' generator
    ai::TokenId id = (state >> 8) % tokenizer.size();
    if (tokenizer.is_control(id) || tokenizer.is_end(id)) continue;
    TRY(prompt.push_back(id));
  }
  return prompt;
}

Result<Measurement> measure(const ai::Lease& model, Io& io, u32 prompt, u32 generate, u32 batch) {
  Together together{.waiting = batch};
  Vector<Meter> meters;
  TRY(meters.resize(batch));
  for (Meter& meter : meters) meter.together = &together;
  u64 start = timing::now_ns();
  for (u32 i = 0; i < batch; i++) {
    Vector<ai::TokenId> tokens = TRY(make_prompt(model.tokenizer(), prompt, i));
    ai::Request request;
    request.prompt = tokens.view();
    request.max_tokens = generate;
    request.ignore_end = true;
    request.cache_prompt = false;
    meters[i].held = TRY(service::HeldRequest::submit(model, request, meters[i]));
  }
  TRY(serve(io, meters.view()));
  Measurement m{prompt, generate, batch};
  m.decoded = together.tokens;
  m.prefill_ns = batch == 1 ? meters[0].timings.prefill_ns : together.began_ns - start;
  m.decode_ns = together.last_ns - together.began_ns;
  m.gap_p50_ns = meters[0].timings.gap_p50_ns;
  m.gap_p99_ns = meters[0].timings.gap_p99_ns;
  m.gap_max_ns = meters[0].timings.gap_max_ns;
  return m;
}

namespace {

struct Case {
  u32 prompt, generate, batch;
};
constexpr Case kMatrix[] = {
    {32, 1, 1},   {128, 1, 1}, {512, 1, 1}, {16, 64, 1},
    {512, 64, 1}, {16, 64, 2}, {16, 64, 4}, {16, 64, 8},
};
constexpr Case kQuickMatrix[] = {{32, 1, 1}, {128, 1, 1}, {16, 32, 1}, {16, 32, 4}};

void print_header(bool csv, base::Writer& out) {
  out.write(
      csv ? "prompt,generate,batch,prefill_tok_s,decode_tok_s,gap_p50_ms,gap_p99_ms,gap_max_ms\n"
          : " prompt  tokens  batch  prefill tok/s  decode tok/s   p50 ms    p99 ms    max ms\n");
}

void print_csv_row(const Measurement& m, base::Writer& out) {
  base::format_to(out, "{},{},{},{},{},{},{},{}\n", m.prompt, m.generate, m.batch,
                  service::tokens_per_second(u64{m.prompt} * m.batch, m.prefill_ns),
                  service::tokens_per_second(m.decoded, m.generate > 1 ? m.decode_ns : 0),
                  service::milliseconds(m.gap_p50_ns), service::milliseconds(m.gap_p99_ns),
                  service::milliseconds(m.gap_max_ns));
}

void print_row(const Measurement& m, bool csv, base::Writer& out) {
  if (csv) return print_csv_row(m, out);
  base::format_to(out, "{:>7} {:>7} {:>6} {:>14}", m.prompt, m.generate, m.batch,
                  service::tokens_per_second(u64{m.prompt} * m.batch, m.prefill_ns));
  if (m.generate < 2)  // the first token has no gap before it
    return base::format_to(out, " {:>13} {:>8} {:>9} {:>9}\n", "-", "-", "-", "-");
  base::format_to(out, " {:>13} {:>8} {:>9} {:>9}\n",
                  service::tokens_per_second(m.decoded, m.decode_ns),
                  service::milliseconds(m.gap_p50_ns), service::milliseconds(m.gap_p99_ns),
                  service::milliseconds(m.gap_max_ns));
}

Result<void> run_matrix(const ai::Lease& model, std::span<const Case> cases, bool csv,
                        base::Writer& out, String& kept) {
  base::StringWriter copy(kept);
  print_header(csv, out);
  print_header(true, copy);
  u32 context = model.info().context;
  for (const Case& row : cases) {
    if (row.prompt + row.generate > context) continue;
    Result<Measurement> m = measure(model, io(), row.prompt, row.generate, row.batch);
    bool too_many = !m.has_value() && m.error().code == Errc::kFull;
    if (too_many) continue;  // this row needs more requests at once than are allowed
    if (!m.has_value()) return std::unexpected(m.error());
    print_row(*m, csv, out);
    print_row(*m, true, copy);
  }
  return copy.status();
}

// ---- the previous run ----

// Returns the part of `line` before its first comma and removes both from `line`.
std::string_view take_field(std::string_view& line) {
  usize comma = std::min(line.find(','), line.size());
  std::string_view field = line.substr(0, comma);
  line.remove_prefix(std::min(comma + 1, line.size()));
  return field;
}

struct KeptRow {
  std::string_view what[3];  // prompt, generate, batch
  i32 prefill_milli = 0, decode_milli = 0;
};
constexpr i32 kMostRate = 2'000'000'000;

// Parses a line of the CSV that bench keeps. Returns false for any other line.
bool parse_kept(std::string_view line, KeptRow& row) {
  for (std::string_view& field : row.what) field = take_field(line);
  Result<i32> prefill = parse_milli(take_field(line), kMostRate);
  Result<i32> decode = parse_milli(take_field(line), kMostRate);
  if (!prefill.has_value() || !decode.has_value()) return false;
  row.prefill_milli = *prefill;
  row.decode_milli = *decode;
  return true;
}

std::string_view take_line(std::string_view& text) {
  usize end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

// Prints the rate in percent of the previous one, with one decimal; "-" if the row does not measure
// it.
void print_percent(i32 now, i32 before, base::Writer& out) {
  if (before == 0) return out.write("        -");
  base::format_to(out, "{:>9}",
                  base::ratio(static_cast<u64>(now) * 100, static_cast<u64>(before), 1));
}

// Prints the rows that both runs have, each rate relative to the previous one.
void print_changes(std::string_view now, std::string_view before, base::Writer& out) {
  std::string_view heading = take_line(before);
  bool alike = heading == take_line(now), first = true;
  while (!now.empty()) {
    KeptRow row, other;
    if (!parse_kept(take_line(now), row)) continue;
    for (std::string_view rest = before; !rest.empty();) {
      if (!parse_kept(take_line(rest), other)) continue;
      if (!std::ranges::equal(row.what, other.what)) continue;
      if (first) {
        base::format_to(out, "the run before{}{}: rates as parts of it\n", alike ? "" : " was of ",
                        alike ? "" : heading.substr(std::min<usize>(2, heading.size())));
        out.write(" prompt  tokens  batch    prefill     decode\n");
      }
      first = false;
      base::format_to(out, "{:>7} {:>7} {:>6}", row.what[0], row.what[1], row.what[2]);
      print_percent(row.prefill_milli, other.prefill_milli, out);
      out.write(" %");
      print_percent(row.decode_milli, other.decode_milli, out);
      out.write(" %\n");
    }
  }
}

// Returns the median time of a parallel step in which no worker has work.
u64 empty_step_ns() {
  constexpr u32 kSteps = 1001;
  static u64 took[kSteps];
  for (u64& ns : took) {
    u64 start = timing::now_ns();
    sched::run_on_workers([](void*, u32) {}, nullptr);
    ns = timing::now_ns() - start;
  }
  std::ranges::nth_element(took, took + kSteps / 2);
  return took[kSteps / 2];
}

// Parses "512:64:1,16:64:8": prompt, tokens, requests at once.
Result<Vector<Case>> parse_cases(std::string_view text) {
  constexpr std::string_view kForm = "--cases needs prompt:tokens:requests[,...], such as 512:64:1";
  Vector<Case> cases;
  while (!text.empty()) {
    u32 numbers[3];
    for (u32 i = 0; i < 3; i++) {
      auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), numbers[i]);
      text.remove_prefix(static_cast<usize>(end - text.data()));
      bool more = !text.empty() && text.front() == (i < 2 ? ':' : ',');
      if (error != std::errc{} || numbers[i] == 0 || (!more && (i < 2 || !text.empty())))
        return fail(Errc::kInvalidArgument, kForm.data());
      if (more) text.remove_prefix(1);
    }
    TRY(cases.push_back({numbers[0], numbers[1], numbers[2]}));
  }
  return cases;
}

constexpr const char* kBenchUsage = "bench [--quick] [--cases P:T:N,...] [--csv] [--last]";

Result<void> run_bench(const Arguments& arguments, base::Writer& out) {
  bool csv = false, quick = false, before = false;
  Vector<Case> own;
  for (usize i = 1; i < arguments.words.size(); i++) {
    std::string_view word = arguments.words[i];
    csv = csv || word == "--csv";
    quick = quick || word == "--quick";
    before = before || word == "--last";
    if (word == "--csv" || word == "--quick" || word == "--last") continue;
    if (word != "--cases" || i + 1 == arguments.words.size())
      return fail(Errc::kInvalidArgument, kBenchUsage);
    own = TRY(parse_cases(arguments.words[++i]));
  }
  if (before) {
    String last = TRY(service::load_text("bench", "last"));
    out.write(last.view());
    return {};
  }
  ai::Lease model = TRY(use_model(service::kBenchHolder, io()));
  if (!csv)
    base::format_to(out, "{}, {}, kernels {}, {} threads; loaded in {} ms; an empty step {} ns\n",
                    model.info().name, model.info().quantization, model.kernels_name(),
                    sched::worker_count(),
                    service::milliseconds(service::engine_host().load_ns(model)), empty_step_ns());
  Result<String> previous = service::load_text("bench", "last");
  String kept;
  base::StringWriter heading(kept);
  base::format_to(heading, "# {}, {}, kernels {}, {} threads\n", model.info().name,
                  model.info().quantization, model.kernels_name(), sched::worker_count());
  TRY(heading.status());
  std::span<const Case> cases = quick ? std::span<const Case>(kQuickMatrix) : kMatrix;
  if (!own.empty()) cases = own.view();
  TRY(run_matrix(model, cases, csv, out, kept));
  String where = TRY(service::store_text("bench", "last", kept.view()));
  if (csv) return {};
  if (previous.has_value()) print_changes(kept.view(), previous->view(), out);
  base::format_to(out, "kept as {}; bench --last shows it again\n", where);
  return {};
}

// Prints one line for programs, for the boot option perf=1.
Result<void> run_perfline(const Arguments&, base::Writer& out) {
  ai::Lease model = TRY(use_model(service::kBenchHolder, io()));
  i32 minimum = TRY(parse_milli(options::text(kPerfMinimum), 1'000'000'000));
  constexpr u32 kPrompt = 32;
  u32 tokens = static_cast<u32>(options::number(kPerfTokens));
  Measurement m = TRY(measure(model, io(), kPrompt, tokens, 1));
  base::Decimal rate = base::ratio(m.decoded * 1'000'000'000, m.decode_ns, 3);
  bool enough = rate.scaled >= minimum;
  base::format_to(out,
                  "marrow: perf tokens={} seconds={} tok_per_s={} prompt={} prefill_tok_per_s={} "
                  "load_ms={} p50_ms={} p99_ms={} threads={} kernels={} {}\n",
                  m.decoded + 1, base::ratio(m.prefill_ns + m.decode_ns, 1'000'000'000, 3), rate,
                  m.prompt, service::tokens_per_second(m.prompt, m.prefill_ns),
                  service::milliseconds(service::engine_host().load_ns(model)),
                  service::milliseconds(m.gap_p50_ns), service::milliseconds(m.gap_p99_ns),
                  sched::worker_count(), model.kernels_name(), enough ? "ok" : "TOO SLOW");
  if (!enough) return fail(Errc::kOutOfRange, "slower than perf.min_tok_s");
  return {};
}

constexpr Command kBench{
    "bench", kBenchUsage, "measures prefill, decode and batches", run_bench,
    "Prompts are synthetic and never come from the prompt cache. A decode row shows the rate of\n"
    "its whole batch. --cases measures other rows: prompt tokens, generated tokens, requests at\n"
    "once. The table is stored and compared with the one stored before; --last prints the stored\n"
    "table without measuring."};
constexpr Command kPerfline{
    "perfline", "perfline", "one line of speed, for scripts", run_perfline,
    "Prints the same line as the boot option perf; perf.tokens= and perf.min_tok_s= apply."};
CONSOLE_COMMAND(kBench);
CONSOLE_COMMAND(kPerfline);

}  // namespace
}  // namespace console
