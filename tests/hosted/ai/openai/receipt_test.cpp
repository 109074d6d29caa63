// SPDX-License-Identifier: GPL-2.0-or-later
// Receipts of answers that small real models gave in every way there is: they are valid on every
// kernel table and however the engine cuts its work, and no change of one is.
#include "ai/openai/receipt.h"

#include <random>

#include "ai/openai/receipt_replay.h"
#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "tests/hosted/test_platform.h"
#include "tests/hosted/test_tiny_model.h"

namespace {

using ai::TokenId;
using ai::openai::GrammarSource, ai::openai::Receipt, ai::openai::ReceiptMaker;
using ai::openai::ReceiptReplay, ai::openai::StepChain;
using Stage = ai::openai::ReceiptFault::Stage;

constexpr u32 kContext = 96;

// An engine of its own, with the file that it computes from.
struct Machine {
  TestPlatform platform;
  std::vector<Byte> bytes;
  base::Owner<ai::Engine> engine;
  base::Owner<ai::TokenTrie> trie;

  Machine(const char* family, const ai::EngineOptions& options) {
    TinyModel tiny;
    ASSERT(make_tiny_model(family, tiny));
    give_tokenizer(tiny, false);
    bytes = std::move(tiny.file);
    auto made = ai::Engine::load(bytes, platform, options);
    ASSERT(made.has_value());
    engine = std::move(*made);
    trie = std::move(*ai::TokenTrie::build(engine->tokenizer()));
  }
  base::Owner<ai::Grammar> grammar(const GrammarSource& source) const {
    String problem;
    base::StringWriter why(problem);
    auto made = ai::openai::compile_grammar(source, *trie, why);
    ASSERT(made.has_value());
    return std::move(*made);
  }
};

ai::EngineOptions options_with(const char* kernels, u32 chunk = 128, u32 requests = 8) {
  return {
      .context = kContext, .max_requests = requests, .prefill_chunk = chunk, .kernels = kernels};
}

struct Asked {
  ai::SamplerParams sampling = {};
  std::vector<ai::LogitBias> bias = {};
  std::vector<std::string> stop = {};
  std::string gbnf = {};
  u32 max_tokens = 24;
  bool ignore_end = false;
  std::vector<std::string> breakers = {};
};

// Returns an order that a request has chosen.
ai::SamplerOrder order_of(std::initializer_list<ai::SamplerStep> steps) {
  ai::SamplerOrder order{.chosen = true};
  for (ai::SamplerStep step : steps) order.steps[order.count++] = step;
  return order;
}

// One of each kind. The samplers' own ways are combined, as people do.
std::vector<Asked> all_kinds() {
  std::vector<Asked> all;
  all.push_back({.sampling = {.temperature_milli = 0}});
  all.push_back({.sampling = {.temperature_milli = 0}, .max_tokens = 0, .ignore_end = true});
  all.push_back({.sampling = {.temperature_milli = 900, .seed = 1}});
  all.push_back({.sampling = {.temperature_milli = 1500,
                              .top_k = 0,
                              .top_p_milli = 900,
                              .min_p_milli = 0,
                              .typical_milli = 800,
                              .seed = ~u64{0}}});
  all.push_back({.sampling = {.temperature_milli = 800,
                              .repeat_penalty_milli = 1200,
                              .presence_penalty_milli = 300,
                              .frequency_penalty_milli = -200,
                              .dry_multiplier_milli = 800,
                              .seed = 3}});
  all.push_back({.sampling = {.temperature_milli = 1100,
                              .xtc_probability_milli = 500,
                              .xtc_threshold_milli = 50,
                              .seed = 4}});
  all.push_back({.sampling = {.temperature_milli = 900, .mirostat = 2, .seed = 5}});
  all.push_back(
      {.sampling = {.temperature_milli = 700, .seed = 6}, .bias = {{7, 2000}, {9, -4000}}});
  all.push_back({.sampling = {.temperature_milli = 1200, .seed = 7}, .stop = {"e", "a"}});
  all.push_back({.sampling = {.temperature_milli = 1000, .seed = 8},
                 .gbnf = "root ::= [a-d]+ \"e\" [a-z ]*"});
  all.push_back({.sampling = {.temperature_milli = 0}, .gbnf = "root ::= \"ab\" [a-c]"});
  using enum ai::SamplerStep;
  all.push_back({.sampling = {.temperature_milli = 1800,
                              .top_k = 12,
                              .seed = 9,
                              .order = order_of({kTemperature, kMinP, kTopK})}});
  all.push_back({.sampling = {.temperature_milli = 700,
                              .dry_multiplier_milli = 3000,
                              .dry_allowed_length = 1,
                              .dry_last_n = 12,
                              .seed = 10},
                 .breakers = {"a", "bc"}});
  all.push_back({.sampling = {.temperature_milli = 1400, .seed = 11},
                 .bias = {{11, ai::LogitBias::kNever}, {12, 500}}});
  return all;
}

std::vector<TokenId> prompt_of(u32 n) {
  std::vector<TokenId> tokens;
  // a beginning that repeats itself gives the engine something to guess from
  for (u32 i = 0; i < 20 + n; i++) tokens.push_back(3 + i % 7 * 5 + (i > 18 ? n : 0));
  return tokens;
}

class Answered final : public ai::RequestSink {
 public:
  void on_prefill(u32, u32) override {}
  void on_token(const ai::TokenEvent& event) override { maker->said(event.text); }
  void on_pick(const ai::Pick& pick) override { ASSERT(maker->picked(pick).has_value()); }
  void on_end(ai::FinishReason why, const ai::Timings& t, const Error*) override {
    reason = why, timings = t, ended = true;
  }
  base::Owner<ReceiptMaker> maker;
  base::Owner<ai::Grammar> grammar;
  ai::FinishReason reason = ai::FinishReason::kError;
  ai::Timings timings;
  bool ended = false;
};

Receipt head_of(const ai::Engine& engine, const ai::Request& request, const Asked& asked) {
  Receipt r;
  MUST(r.model.assign("tiny"));
  r.fingerprint = engine.info().fingerprint;
  r.cache = engine.info().kv_type;
  r.context = engine.info().context;
  MUST(r.prompt.append(request.prompt));
  r.sampling = request.sampling;
  for (std::string_view text : request.dry_breakers)
    MUST(r.dry_breakers.push_back(MUST(String::from(text))));
  MUST(r.bias.append(request.bias));
  r.max_tokens = request.max_tokens;
  r.ignore_end = request.ignore_end;
  for (std::string_view stop : request.stop) MUST(r.stop.push_back(MUST(String::from(stop))));
  if (!asked.gbnf.empty()) {
    r.grammar.kind = GrammarSource::Kind::kGbnf;
    MUST(r.grammar.text.assign(asked.gbnf));
  }
  return r;
}

void sign(Receipt& receipt, u8 secret = 1) {
  std::array<Byte, 32> seed{secret};
  receipt.key = *crypto::ed25519_public_key(seed);
  String text;
  MUST(ai::openai::write_signed_text(receipt, text));
  std::string_view view = text.view();
  receipt.signature =
      *crypto::ed25519_sign(seed, {reinterpret_cast<const Byte*>(view.data()), view.size()});
}

std::string written(const Receipt& receipt) {
  String text;
  base::StringWriter sink(text);
  json::Writer w(sink);
  ai::openai::write_receipt(receipt, ai::openai::ReceiptPart::kWhole, w);
  return std::string(text.view());
}

Result<Receipt> read(std::string_view text, String* why = nullptr) {
  json::Document document = TRY(json::Document::parse(text));
  String unused;
  base::StringWriter sink(why == nullptr ? unused : *why);
  return ai::openai::read_receipt(document.root(), sink);
}

Receipt copy(const Receipt& receipt) {
  return std::move(*read(written(receipt)));
}

// All of them at once, so that they share steps, and guesses are made.
std::vector<Receipt> receipts_of(Machine& machine, const std::vector<Asked>& all) {
  std::vector<Receipt> out;
  std::vector<std::vector<TokenId>> prompts;
  std::vector<std::vector<std::string_view>> stops(all.size()), breakers(all.size());
  std::vector<Answered> sinks(all.size());
  for (usize i = 0; i < all.size(); i++) {
    prompts.push_back(prompt_of(static_cast<u32>(i % 4)));
    for (const std::string& stop : all[i].stop) stops[i].push_back(stop);
    for (const std::string& text : all[i].breakers) breakers[i].push_back(text);
    ai::Request request{.prompt = prompts[i],
                        .sampling = all[i].sampling,
                        .bias = all[i].bias,
                        .max_tokens = all[i].max_tokens,
                        .stop = stops[i],
                        .ignore_end = all[i].ignore_end,
                        .dry_breakers = breakers[i],
                        .report_picks = true};
    Receipt head = head_of(*machine.engine, request, all[i]);
    sinks[i].grammar = machine.grammar(head.grammar);
    request.grammar = sinks[i].grammar.get();
    sinks[i].maker = std::move(*ReceiptMaker::create(std::move(head)));
    ASSERT(machine.engine->submit(request, sinks[i]).has_value());
  }
  while (machine.engine->step()) {
  }
  for (Answered& sink : sinks) {
    ASSERT(sink.ended);
    out.push_back(std::move(sink.maker->finish(sink.reason, {})));
    sign(out.back());
  }
  return out;
}

ai::openai::ReceiptFault judge(Machine& machine, const Receipt& receipt) {
  ReceiptReplay replay(receipt, *StepChain::create(receipt));
  auto grammar = machine.grammar(receipt.grammar);
  Result<void> done = replay.run(*machine.engine, grammar.get());
  ASSERT(done.has_value());
  return replay.fault();
}

void expect_valid(TestContext& test, const char* what, usize i, Machine& machine,
                  const Receipt& receipt) {
  auto fault = judge(machine, receipt);
  if (fault.stage == Stage::kNone) return;
  char line[200];
  test.report(__FILE__, __LINE__,
              base::format_into(line, "{}: answer {}, step {} of {}: {}", what, i, fault.step,
                                receipt.answer.size(), fault.what));
}

std::vector<const char*> tables(TestPlatform& platform) {
  std::vector<const char*> names = {"reference"};
  for (const ai::KernelTable* table : ai::arch_kernel_tables())
    if (ai::kernels_by_name(table->name, platform.cpu_features()).has_value())
      names.push_back(table->name);
  return names;
}

}  // namespace

TEST(receipt, every_kind_of_answer_is_valid_on_every_table) {
  for (const char* family : {"llama", "gemma3", "qwen2moe", "mamba"}) {
    Machine made(family, options_with("auto"));
    std::vector<Receipt> receipts = receipts_of(made, all_kinds());
    std::vector<const char*> all = tables(made.platform);
    if (family != std::string_view("llama")) all.resize(1);
    for (const char* kernels : all) {
      Machine other(family, options_with(kernels, kernels[0] == 'r' ? 7 : 128));
      for (usize i = 0; i < receipts.size(); i++) {
        EXPECT(ai::openai::check_signature(receipts[i]).has_value());
        expect_valid(test, kernels, i, other, receipts[i]);
      }
      EXPECT_EQ(other.engine->kv_pages_used(), 0u);
    }
  }
}

TEST(receipt, neither_company_nor_guesses_nor_chunks_matter) {
  std::vector<Asked> all = all_kinds();
  ai::EngineOptions alone = options_with("auto", 3, 1), q8 = options_with("auto");
  alone.speculate = false;
  q8.kv_type = ai::KvType::kQ8;
  Machine first("llama", options_with("auto")), second("llama", alone), third("llama", q8);
  std::vector<Receipt> a = receipts_of(first, all), c = receipts_of(third, all);
  for (usize i = 0; i < all.size(); i++) {
    std::vector<Receipt> b = receipts_of(second, {all[i]});
    // The prompts differ in company, so only the same one is compared.
    if (i == 0) EXPECT(written(a[0]) == written(b[0]));
    expect_valid(test, "made alone", i, first, b[0]);
    expect_valid(test, "made in company", i, second, a[i]);
    expect_valid(test, "q8", i, third, c[i]);
  }
  EXPECT(judge(first, c[0]).stage == Stage::kLogits);
}

TEST(receipt, other_requests_go_on_between_chunks) {
  Machine machine("llama", options_with("auto", 4, 2));
  std::vector<Receipt> receipts = receipts_of(machine, all_kinds());
  class Stepping final : public ReceiptReplay {
   public:
    Stepping(const Receipt& receipt, ai::Engine& engine)
        : ReceiptReplay(receipt, *StepChain::create(receipt)), engine_(engine) {}
    u32 steps = 0, most = ~u32{0};

   private:
    bool go_on(u32, u32) override {
      steps += engine_.step() ? 1 : 0;
      return steps < most;
    }
    ai::Engine& engine_;
  };
  std::vector<TokenId> prompt = prompt_of(2);
  Answered beside;
  ai::Request request{.prompt = prompt, .max_tokens = 40, .ignore_end = true};
  beside.maker = std::move(*ReceiptMaker::create(head_of(*machine.engine, request, {})));
  REQUIRE(machine.engine->submit(request, beside).has_value());
  Stepping replay(receipts[2], *machine.engine);
  EXPECT(replay.run(*machine.engine, nullptr).has_value());
  EXPECT(replay.fault().stage == Stage::kNone && replay.steps > 4);
  Stepping stopped(receipts[3], *machine.engine);
  stopped.most = 2;
  Result<void> done = stopped.run(*machine.engine, nullptr);
  EXPECT(!done.has_value() && done.error().code == Errc::kCancelled);
  while (machine.engine->step()) {
  }
  EXPECT(beside.ended && beside.timings.generated_tokens == 40);
  EXPECT_EQ(machine.engine->kv_pages_used(), 0u);
}

TEST(receipt, memory_may_run_out_at_any_allocation) {
  Machine machine("llama", options_with("auto"));
  std::vector<Receipt> receipts = receipts_of(machine, all_kinds());
  const Receipt& receipt = receipts[9];
  auto grammar = machine.grammar(receipt.grammar);
  u64 before = host::allocation_count();
  EXPECT(judge(machine, receipt).stage == Stage::kNone);
  u64 all = host::allocation_count() - before, refused = 0;
  i64 live = host::live_allocations();
  for (u64 n = 1; n <= all; n++) {
    ReceiptReplay replay(receipt, *StepChain::create(receipt));
    host::fail_allocation(n);
    Result<void> done = replay.run(*machine.engine, grammar.get());
    host::fail_allocation(0);
    EXPECT_EQ(machine.engine->kv_pages_used(), 0u);
    refused += done.has_value() ? 0 : 1;
    EXPECT(done.has_value() ? replay.fault().stage == Stage::kNone
                            : done.error().code == Errc::kOutOfMemory);
  }
  EXPECT(refused > 8);
  EXPECT_EQ(host::live_allocations(), live);
}

// A key lets its owner sign anything, but not make it come out.
TEST(receipt, a_change_is_found_at_its_step) {
  Machine machine("llama", options_with("auto"));
  std::vector<Receipt> receipts = receipts_of(machine, all_kinds());
  std::mt19937 random(11);
  for (u32 round = 0; round < 200; round++) {
    const Receipt& whole = receipts[random() % receipts.size()];
    Receipt r = copy(whole);
    u32 last = static_cast<u32>(r.answer.size()) - 1, at = static_cast<u32>(random() % (last + 1));
    Stage wanted = Stage::kStep;
    switch (round % 6) {
      case 0:
        r.answer[at] = (r.answer[at] + 1 + random() % 20) % machine.engine->tokenizer().size();
        break;
      case 1:
        r.marks[at] ^= 1u << random() % 32;
        wanted = Stage::kLogits;
        break;
      case 2:
        r.chain[random() % 32] ^= 1;
        wanted = Stage::kLogits, at = last;
        break;
      case 3:
        r.text_sha256[random() % 32] ^= 1;
        wanted = Stage::kText, at = last;
        break;
      case 4:
        r.finish = r.finish == ai::FinishReason::kStop ? ai::FinishReason::kLength
                                                       : ai::FinishReason::kStop;
        wanted = Stage::kEnd, at = last;
        break;
      default:
        if (last == 0) continue;
        r.answer.truncate(last);
        r.marks.truncate(last);
        wanted = Stage::kEnd, at = last - 1;
    }
    EXPECT(!ai::openai::check_signature(r).has_value());
    sign(r, 2);
    EXPECT(ai::openai::check_signature(r).has_value());
    auto fault = judge(machine, r);
    if (fault.stage == wanted && fault.step == at) continue;
    char line[160];
    test.report(
        __FILE__, __LINE__,
        base::format_into(line, "change {}: stage {} at {} instead of {} at {}", round % 6,
                          static_cast<u32>(fault.stage), fault.step, static_cast<u32>(wanted), at));
  }
}

// The chain begins with the head, so what an answer was made from is found at its first token.
TEST(receipt, another_request_is_found_at_the_first_step) {
  Machine machine("llama", options_with("auto"));
  std::vector<Receipt> receipts = receipts_of(machine, all_kinds());
  using Change = void (*)(Receipt&);
  const Change changes[] = {
      [](Receipt& r) { r.prompt[r.prompt.size() / 2] ^= 1; },
      [](Receipt& r) { r.prompt.truncate(r.prompt.size() - 1); },
      [](Receipt& r) { r.sampling.seed++; },
      [](Receipt& r) { r.sampling.temperature_milli += 1; },
      [](Receipt& r) { r.sampling.top_k = 3; },
      [](Receipt& r) { r.sampling.penalty_last_n = 1; },
      [](Receipt& r) { MUST(r.bias.push_back({1, 1})); },
      [](Receipt& r) { MUST(r.bias.push_back({1, ai::LogitBias::kNever})); },
      [](Receipt& r) { r.sampling.order = order_of({ai::SamplerStep::kXtc}); },
      [](Receipt& r) { r.sampling.dry_last_n = 3; },
      [](Receipt& r) { MUST(r.dry_breakers.push_back(MUST(String::from("a")))); },
      [](Receipt& r) { MUST(r.stop.push_back(MUST(String::from("qqq")))); },
      [](Receipt& r) { r.ignore_end = !r.ignore_end; },
      [](Receipt& r) { r.max_tokens += 5; },
      [](Receipt& r) { r.context -= 1; },
      [](Receipt& r) { r.model_sha256[0] ^= 1; },
      [](Receipt& r) { MUST(r.model.push_back('x')); },
  };
  for (const Change& change : changes)
    for (usize i : {usize{0}, usize{2}, usize{7}}) {
      Receipt r = copy(receipts[i]);
      change(r);
      auto fault = judge(machine, r);
      EXPECT(fault.stage == Stage::kStep || fault.stage == Stage::kLogits);
      EXPECT_EQ(fault.step, 0u);
    }
}

// A signer who also makes the chain anew, for a token that the sampler did not pick.
TEST(receipt, a_token_of_ones_own_does_not_come_out) {
  Machine machine("llama", options_with("auto"));
  std::vector<Asked> forced = {{.sampling = {.temperature_milli = 0}, .bias = {{11, 900'000}}}};
  std::vector<Receipt> receipts = receipts_of(machine, forced);
  Receipt r = copy(receipts[0]);
  EXPECT(r.answer.size() > 5);
  r.bias.clear();  // it claims that nobody pushed the model
  Receipt head = copy(r);
  std::vector<TokenId> prompt(r.prompt.begin(), r.prompt.end());
  sign(r, 3);
  auto fault = judge(machine, r);
  EXPECT(fault.stage == Stage::kStep);
  EXPECT_EQ(fault.step, 0u);
  EXPECT_EQ(fault.recorded, 11u);
}

TEST(receipt, text_is_read_as_it_was_written_and_nothing_else_is) {
  Machine machine("llama", options_with("auto"));
  std::vector<Receipt> receipts = receipts_of(machine, all_kinds());
  for (const Receipt& receipt : receipts) {
    auto again = read(written(receipt));
    REQUIRE(again.has_value());
    EXPECT(written(*again) == written(receipt));
    EXPECT(ai::openai::check_signature(*again).has_value());
  }
  const std::string text = written(receipts[7]);
  auto changed = [&](std::string_view from, std::string_view to) {
    std::string other = text;
    usize at = other.find(from);
    ASSERT(at != other.npos);
    return other.replace(at, from.size(), to);
  };
  struct Row {
    const char *from, *to, *says;
  };
  const Row rows[] = {
      {"\"receipt_version\":2", "\"receipt_version\":1", "format version 1"},
      {"\"numerics_version\":1", "\"numerics_version\":9", "numerics version 9"},
      {"{\"receipt_version\"", "{\"note\":1,\"receipt_version\"", "does not have"},
      {"{\"receipt_version\"", "{\"context\":96,\"receipt_version\"", "twice"},
      {"\"cache\":\"f16\"", "\"cache\":\"f15\"", "'cache'"},
      {"\"context\":96", "\"context\":20", "room"},
      {"\"context\":96", "\"context\":-1", "'context'"},
      {"\"prompt\":[", "\"prompt\":[-1,", "'prompt'"},
      {"\"prompt\":[", "\"prompt\":[\"a\",", "'prompt'"},
      {"\"answer\":[", "\"answer\":[1,", "'marks'"},
      {"\"finish_reason\":\"", "\"finish_reason\":\"x", "'finish_reason'"},
      {"\"seed\":\"6\"", "\"seed\":\"-6\"", "'parameters.seed'"},
      {"\"seed\":\"6\"", "\"seed\":6", "'parameters.seed'"},
      {"\"top_k\":40", "\"top_k\":4.5", "'parameters.top_k'"},
      {"\"top_k\":40", "\"top_K\":40", "'parameters.top_k'"},
      {"\"temperature_milli\":700", "\"temperature_milli\":-1", "temperature must be"},
      {"[7,2000]", "[7,2000,1]", "logit_bias"},
      {"[7,2000]", "[7,false]", "logit_bias"},
      {"[7,2000]", "[7]", "logit_bias"},
      {"\"samplers\":[]", "\"samplers\":[\"top_q\"]", "'parameters.samplers'"},
      {"\"samplers\":[]", "\"samplers\":[\"xtc\",\"xtc\"]", "'parameters.samplers'"},
      {"\"samplers\":[]", "\"samplers\":[7]", "'parameters.samplers'"},
      {"\"dry_breakers\":[]", "\"dry_breakers\":[\"\"]", "'parameters.dry_breakers'"},
      {"\"dry_last_n\":", "\"dry_last_n\":-", "'parameters.dry_last_n'"},
      {"\"kind\":\"none\"", "\"kind\":\"gbnf\"", "'grammar.text'"},
      {"\"sha256\":\"", "\"sha256\":\"0", "sha256"},
      {"\"marks\":[\"", "\"marks\":[\"g", "'marks'"},
      {"\"model\":{", "\"model\":{\"more\":1,", "'model'"},
  };
  for (const Row& row : rows) {
    String why;
    auto refused = read(changed(row.from, row.to), &why);
    EXPECT(!refused.has_value());
    if (why.view().find(row.says) == std::string_view::npos)
      test.report(__FILE__, __LINE__,
                  (std::string(row.to) + ": " + std::string(why.view())).c_str());
  }
  // Whatever byte is changed: it is no receipt, or its signature is none, or it says the same.
  std::mt19937 random(3);
  for (u32 i = 0; i < 2000; i++) {
    std::string other = text;
    other[random() % other.size()] = static_cast<char>(32 + random() % 90);
    auto got = read(other);
    if (!got.has_value()) continue;
    EXPECT(!ai::openai::check_signature(*got).has_value() || written(*got) == text);
  }
}
