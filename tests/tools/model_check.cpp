// SPDX-License-Identifier: GPL-2.0-or-later
// Runs a model outside the kernel and compares it with goldens or dumps its logits.
//
//   model_check greedy MODEL GOLDENS      texts against tests/goldens/*.greedy.txt
//   model_check logits MODEL OUT ID...    teacher-forced logits as raw f32, (tokens, vocabulary)
//   model_check embed MODEL OUT ID...     the final norm's hidden states as raw f32, (tokens,
//   width) model_check speed MODEL TOKENS        prompt and generation, tokens a second
//
// MARROW_KERNELS names the table (default auto), MARROW_KV the type of KV cache (default f16),
// MARROW_WORKERS how many threads, MARROW_CONTEXT how many tokens (default 1024).
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/hosted/test_model_runner.h"

namespace {

constexpr i32 kSureGap = 500;  // thousandths of a logit: where two engines must agree

struct Golden {
  std::string name;
  std::vector<u32> prompt, greedy;
  std::vector<i32> gaps;  // thousandths, of each greedy token
};

template <class T>
std::vector<T> numbers(std::istringstream& line) {
  return {std::istream_iterator<T>(line), std::istream_iterator<T>()};
}

std::vector<Golden> read_goldens(const char* path) {
  std::vector<Golden> all;
  std::ifstream in(path);
  for (std::string text; std::getline(in, text);) {
    std::istringstream line(text);
    std::string word;
    line >> word;
    if (word == "name") {
      all.emplace_back();
      line >> all.back().name;
    }
    if (all.empty()) continue;
    if (word == "prompt") all.back().prompt = numbers<u32>(line);
    if (word == "greedy") all.back().greedy = numbers<u32>(line);
    if (word == "gap_milli") all.back().gaps = numbers<i32>(line);
  }
  return all;
}

// Tokens that agree before the texts part, and the oracle's gap where they do.
struct Agreement {
  usize same;
  i32 gap;
};

Agreement compare(const Golden& golden, const std::vector<u32>& got) {
  usize same = 0;
  while (same < got.size() && got[same] == golden.greedy[same]) same++;
  return {same, same == got.size() ? 0 : golden.gaps[same]};
}

int check_greedy(ModelRunner& runner, const char* path) {
  u32 equal = 0, wrong = 0, count = 0;
  for (const Golden& golden : read_goldens(path)) {
    runner.cut(0);
    auto got = runner.greedy(golden.prompt, static_cast<u32>(golden.greedy.size()));
    if (!got.has_value()) {
      std::printf("%s: %s\n", golden.name.c_str(), got.error().what);
      return 1;
    }
    Agreement a = compare(golden, *got);
    count++;
    bool all = a.same == got->size();
    equal += all ? 1 : 0;
    wrong += !all && a.gap >= kSureGap ? 1 : 0;
    std::printf("%-24s %zu of %zu tokens%s", golden.name.c_str(), a.same, got->size(),
                all ? "\n" : "");
    if (!all) std::printf(", parts at a gap of %d.%03d\n", a.gap / 1000, a.gap % 1000);
  }
  std::printf("%u of %u texts equal, %u part where the oracle is sure\n", equal, count, wrong);
  return count > 0 && wrong == 0 ? 0 : 1;
}

int dump(ModelRunner& runner, const char* path, std::vector<u32> tokens, bool hidden) {
  auto logits = hidden ? runner.hidden(tokens) : runner.run(tokens, true);
  if (!logits.has_value()) {
    std::fprintf(stderr, "%s\n", logits.error().what);
    return 1;
  }
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(logits->data()),
            static_cast<std::streamsize>(logits->size() * sizeof(float)));
  return out.good() ? 0 : 1;
}

int measure(ModelRunner& runner, TestPlatform& platform, u32 count) {
  std::vector<u32> prompt;
  prompt.reserve(count);
  for (u32 i = 0; i < count; i++) prompt.push_back(i * 7919 % runner.model().params().vocabulary);
  u64 start = platform.now_ns();
  auto logits = runner.run(prompt, false);
  u64 middle = platform.now_ns();
  for (u32 i = 0; logits.has_value() && i < count; i++) {
    u32 token = ModelRunner::best(*logits);
    logits = runner.run({&token, 1}, false);
  }
  u64 end = platform.now_ns();
  if (!logits.has_value()) return 1;
  std::printf("prompt %.1f tokens/s, generation %.1f tokens/s\n",
              count * 1e9 / static_cast<double>(middle - start),
              count * 1e9 / static_cast<double>(end - middle));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: model_check greedy|logits|embed|speed MODEL ARGUMENT...\n");
    return 2;
  }
  auto variable = [](const char* name, const char* fallback) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
    return value != nullptr ? value : fallback;
  };
  std::ifstream in(argv[2], std::ios::binary);
  std::vector<char> bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  TestPlatform platform(static_cast<u32>(std::atoi(variable("MARROW_WORKERS", "1"))));
  platform.echo = true;
  RunnerOptions options;
  options.kernels = variable("MARROW_KERNELS", "auto");
  options.context = static_cast<u32>(std::atoi(variable("MARROW_CONTEXT", "1024")));
  auto kv_type = ai::kv_type_by_name(variable("MARROW_KV", "f16"));
  if (!kv_type.has_value()) {
    std::fprintf(stderr, "MARROW_KV: %s\n", kv_type.error().what);
    return 2;
  }
  options.kv_type = *kv_type;
  auto runner = ModelRunner::load({reinterpret_cast<const Byte*>(bytes.data()), bytes.size()},
                                  platform, options);
  if (!runner.has_value()) {
    std::fprintf(stderr, "%s: %s\n", argv[2], runner.error().what);
    return 1;
  }
  std::string verb = argv[1];
  if (verb == "greedy") return check_greedy(**runner, argv[3]);
  if (verb == "speed") return measure(**runner, platform, static_cast<u32>(std::atoi(argv[3])));
  std::vector<u32> tokens;
  for (int i = 4; i < argc; i++) tokens.push_back(static_cast<u32>(std::atoi(argv[i])));
  return dump(**runner, argv[3], tokens, verb == "embed");
}
