// SPDX-License-Identifier: GPL-2.0-or-later
// Every family and quantization against llama.cpp (tests/goldens/models), and against ourselves:
// the same bits however a text is cut, whoever else is in the batch, whatever the worker count.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "kernel/base/test.h"
#include "tests/hosted/test_model_runner.h"
#include "tests/hosted/test_tiny_model.h"

namespace {

constexpr double kMeanKl = 2e-3;  // bound of the project
constexpr float kSureGap = 0.5f;  // top-1 must agree where the oracle's lead is larger

std::span<const float> row_of(const std::vector<float>& logits, usize row, usize n) {
  return std::span(logits).subspan(row * n, n);
}

std::vector<double> probabilities(std::span<const float> logits) {
  double highest = *std::max_element(logits.begin(), logits.end()), sum = 0;
  std::vector<double> p;
  for (float x : logits) p.push_back(std::exp(x - highest));
  for (double x : p) sum += x;
  for (double& x : p) x /= sum;
  return p;
}

// Mean over rows of KL(wanted || got).
double mean_kl(const std::vector<float>& wanted, const std::vector<float>& got, usize n) {
  double total = 0;
  usize rows = wanted.size() / n;
  for (usize r = 0; r < rows; r++) {
    auto p = probabilities(row_of(wanted, r, n)), q = probabilities(row_of(got, r, n));
    for (usize i = 0; i < n; i++) total += p[i] > 0 ? p[i] * std::log(p[i] / q[i]) : 0;
  }
  return total / static_cast<double>(rows);
}

u32 disagreements(const std::vector<float>& wanted, const std::vector<float>& got, usize n) {
  u32 count = 0;
  for (usize r = 0; r < wanted.size() / n; r++) {
    float lead = 0;
    u32 best = ModelRunner::best(row_of(wanted, r, n), &lead);
    if (lead > kSureGap && ModelRunner::best(row_of(got, r, n)) != best) count++;
  }
  return count;
}

// Largest difference as a share of the largest logit.
double worst(const std::vector<float>& wanted, const std::vector<float>& got) {
  double difference = 0, largest = 0;
  for (usize i = 0; i < wanted.size(); i++) {
    difference = std::fmax(difference, std::fabs(wanted[i] - got[i]));
    largest = std::fmax(largest, std::fabs(wanted[i]));
  }
  return difference / largest;
}

// With weights of f32 only the rounding of f16 keys and the order of sums differ; layers add up.
bool is_same(double kl, double far, u32 layers) {
  return kl < 1e-5 && far < 4e-3 * std::fmax(1, layers / 8.0);
}

std::unique_ptr<ModelRunner> load(const TinyModel& tiny, TestPlatform& platform,
                                  RunnerOptions options = {}) {
  options.context = 256;
  options.rows = 32;
  auto runner = ModelRunner::load(tiny.file, platform, options);
  return runner.has_value() ? std::move(*runner) : nullptr;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

TEST(models_tiny, agree_with_llama_cpp) {
  bool verbose = std::getenv("MARROW_VERBOSE") != nullptr;  // NOLINT(concurrency-mt-unsafe)
  auto names = tiny_model_names();
  REQUIRE(names.size() >= 40);
  for (const std::string& name : names) {
    TinyModel tiny;
    REQUIRE(make_tiny_model(name, tiny));
    TestPlatform platform;
    auto runner = load(tiny, platform);
    if (runner == nullptr) {
      test.report(__FILE__, __LINE__, name + ": " + platform.log_text);
      continue;
    }
    auto got = runner->run(tiny.tokens, true);
    REQUIRE(got.has_value());
    double kl = mean_kl(tiny.logits, *got, tiny.vocabulary);
    u32 wrong = disagreements(tiny.logits, *got, tiny.vocabulary);
    double far = worst(tiny.logits, *got);
    bool quantized = !tiny.reference.empty();
    bool good = wrong == 0 &&
                (quantized ? kl <= kMeanKl : is_same(kl, far, runner->model().params().layers));
    double ours = 0, theirs = 0;
    if (quantized) {
      ours = mean_kl(tiny.reference, *got, tiny.vocabulary);
      theirs = mean_kl(tiny.reference, tiny.logits, tiny.vocabulary);
    }
    if (verbose || !good)
      std::printf("# %-16s KL %.2e, %u wrong, worst %.2e, to F32: ours %.2e, llama.cpp %.2e\n",
                  name.c_str(), kl, wrong, far, ours, theirs);
    if (!good) test.report(__FILE__, __LINE__, name + " differs from llama.cpp");
  }
}

// The comparison is worth something: a model with one number changed does not pass.
TEST(models_tiny, goldens_tell_models_apart) {
  constexpr const char* kPairs[][2] = {{"llama", "llama-linear"},
                                       {"llama", "llama-yarn"},
                                       {"llama", "llama3-factors"},
                                       {"gptneox", "gptneox-serial"},
                                       {"phi3", "phi3-longrope"}};
  for (const auto& pair : kPairs) {
    TinyModel tiny, other;
    REQUIRE(make_tiny_model(pair[0], tiny) && make_tiny_model(pair[1], other));
    TestPlatform platform;
    auto runner = load(other, platform);
    REQUIRE(runner != nullptr);
    auto got = runner->run(tiny.tokens, true);
    REQUIRE(got.has_value());
    EXPECT(!is_same(mean_kl(tiny.logits, *got, tiny.vocabulary), worst(tiny.logits, *got), 3));
  }
}

// Two sequences in one step give what each gives alone, prompt chunk beside decode row.
TEST(models_tiny, same_bits_in_company) {
  for (const std::string& name : tiny_model_names()) {
    TinyModel tiny;
    REQUIRE(make_tiny_model(name, tiny));
    TestPlatform platform(2);
    auto runner = load(tiny, platform, {.kernels = "auto", .sequences = 2});
    REQUIRE(runner != nullptr);
    auto alone = runner->run(tiny.tokens, true);
    std::vector<u32> other(tiny.tokens.rbegin(), tiny.tokens.rend());
    auto together = runner->run_beside(other, tiny.tokens);
    REQUIRE(alone.has_value() && together.has_value());
    if (!same_bits(*alone, *together)) test.report(__FILE__, __LINE__, name + ": company shows");
  }
}

// The q8 cache: close to llama.cpp with its f16 cache, and the same bits however cut.
TEST(models_tiny, q8_cache) {
  for (const char* name : {"llama", "gemma2", "qwen3", "deepseek3-mla"}) {
    TinyModel tiny;
    REQUIRE(make_tiny_model(name, tiny));
    TestPlatform one, three(3);
    auto runner = load(tiny, one, {.kv_type = ai::KvType::kQ8});
    auto many = load(tiny, three, {.kv_type = ai::KvType::kQ8});
    REQUIRE(runner != nullptr && many != nullptr);
    auto whole = runner->run(tiny.tokens, true), cut = many->run(tiny.tokens, true, 5);
    REQUIRE(whole.has_value() && cut.has_value());
    EXPECT(same_bits(*whole, *cut));
    EXPECT(mean_kl(tiny.logits, *whole, tiny.vocabulary) < kMeanKl);
    EXPECT_EQ(disagreements(tiny.logits, *whole, tiny.vocabulary), 0u);
  }
}

// The reference in one go, beside the machine's own kernels by chunks and with several workers.
TEST(models_tiny, same_bits_however_the_work_is_cut) {
  for (const std::string& name : tiny_model_names()) {
    TinyModel tiny;
    REQUIRE(make_tiny_model(name, tiny));
    TestPlatform one, three(3);
    auto alone = load(tiny, one), many = load(tiny, three, {.kernels = "auto"});
    REQUIRE(alone != nullptr && many != nullptr);
    auto whole = alone->run(tiny.tokens, true);
    REQUIRE(whole.has_value());
    for (u32 chunk : {1u, 7u}) {
      many->cut(0);
      auto cut = many->run(tiny.tokens, true, chunk);
      if (!cut.has_value() || !same_bits(*cut, *whole))
        test.report(__FILE__, __LINE__, name + ": chunks or workers change the bits");
    }
  }
}
