// SPDX-License-Identifier: GPL-2.0-or-later
// A campaign of damaged model files against the whole engine, under the sanitizers.
//
//   hostile_models COUNT [FIRST]     cases FIRST, FIRST + 1, ...; the number is the seed
//
// Every case is a small model that works, damaged in one of the ways of kWays, then planned, loaded
// and asked for a token. Cases run in a child: one that dies is counted and the next child goes on
// behind it. Exits with 1 when a case crashed, hung, leaked or took more memory than it may.
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "ai/engine/engine.h"
#include "ai/gguf/reader.h"
#include "ai/gguf/writer.h"
#include "arch/host/memory.h"
#include "tests/hosted/test_platform.h"
#include "tests/hosted/test_tiny_model.h"

// An allocation or a process beyond these is a report like any other.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
  return "max_allocation_size_mb=256:hard_rss_limit_mb=1500:detect_leaks=0";
}

namespace {

constexpr u64 kMostPageBytes = 64 * kMiB;
constexpr unsigned kMostSeconds = 10;  // of a case
constexpr const char* kFamilies[] = {"llama",         "gemma3", "qwen2moe",   "deepseek2-lite",
                                     "mixtral",       "mamba",  "quant-q4_k", "deepseek3-mla",
                                     "phi3-longrope", "gpt2",   "quant-q4_1", "quant-q8_0"};

struct Seed {
  std::vector<Byte> file;
  std::vector<usize> numbers;  // where counts, lengths, dimensions, types, offsets and values lie
  usize header = 0;            // bytes before the first tensor's data
};

enum class Outcome : u8 { kRefused, kLoaded, kAnswered, kCount };

constexpr usize kMostWays = 16;
struct Results {
  volatile u64 next;  // case
  volatile u64 leaked;
  volatile u64 outcomes[kMostWays][usize(Outcome::kCount)];
};

void find_numbers(Seed& seed) {
  TestPlatform platform;
  auto file = MUST(ai::GgufFile::parse(seed.file, platform));
  auto at = [&](const void* p) {
    return static_cast<usize>(static_cast<const Byte*>(p) - seed.file.data());
  };
  seed.numbers = {4, 8, 16};
  for (usize i = 0; i < file->key_count(); i++) {
    usize value = at(file->raw(i).data());
    seed.numbers.push_back(at(file->key(i).data()) - sizeof(u64));
    seed.numbers.push_back(value - sizeof(u32));
    for (usize n = 0; n < std::min<usize>(file->raw(i).size(), 64); n += 4)
      seed.numbers.push_back(value + n);
  }
  seed.header = seed.file.size();
  for (const ai::GgufTensor& tensor : file->tensors()) {
    usize info = at(tensor.name.data()) + tensor.name.size();
    seed.numbers.push_back(at(tensor.name.data()) - sizeof(u64));
    for (usize n = 0; n < 3 + 2 * usize{tensor.dimension_count} + 1; n++)
      seed.numbers.push_back(info + 4 * n);
    seed.header = std::min(seed.header, static_cast<usize>(tensor.offset));
  }
}

// The family's random model with a tokenizer and a template.
Seed make_seed(const char* family, bool merges) {
  TinyModel tiny;
  if (!make_tiny_model(family, tiny)) {
    std::fprintf(stderr, "no model %s: run in the root of the repository\n", family);
    std::exit(2);
  }
  give_tokenizer(tiny, merges);
  Seed seed;
  seed.file = std::move(tiny.file);
  find_numbers(seed);
  return seed;
}

// ---- damage ----------------------------------------------------------------------------------
using Random = std::mt19937_64;
using Bytes = std::vector<Byte>;

void flip_header_bits(Bytes& file, const Seed& seed, Random& random) {
  for (u64 n = 1 + random() % 8; n > 0; n--)
    file[random() % seed.header] ^= static_cast<Byte>(1u << random() % 8);
}

void flip_any_bits(Bytes& file, const Seed&, Random& random) {
  for (u64 n = 1 + random() % 64; n > 0; n--)
    file[random() % file.size()] ^= static_cast<Byte>(1u << random() % 8);
}

void cut(Bytes& file, const Seed& seed, Random& random) {
  file.resize(random() % (random() % 2 == 0 ? seed.header : file.size()));
}

void hostile_numbers(Bytes& file, const Seed& seed, Random& random) {
  constexpr u64 kValues[] = {0,          1,          2,           3,
                             7,          31,         33,          255,
                             4096,       65537,      1u << 20,    0x7fffffff,
                             0x80000000, 0xffffffff, 0x100000000, 0x3fffffffffffffff,
                             1ull << 62, 1ull << 63, ~u64{0},     ~u64{0} - 31,
                             0x7fc00000, 0x7f800000, 0x3f800000,  0xff7fffff};
  for (u64 n = 1 + random() % 3; n > 0; n--) {
    usize at = seed.numbers[random() % seed.numbers.size()];
    u64 value = kValues[random() % std::size(kValues)];
    usize width = random() % 2 == 0 ? 4 : 8;
    if (at + width <= file.size()) std::memcpy(file.data() + at, &value, width);
  }
}

// A number a little off: what checks of plain sums let through.
void nudge_numbers(Bytes& file, const Seed& seed, Random& random) {
  for (u64 n = 1 + random() % 2; n > 0; n--) {
    usize at = seed.numbers[random() % seed.numbers.size()];
    u32 value = 0;
    std::memcpy(&value, file.data() + at, sizeof value);
    u32 step = 1u << random() % 7;
    value = random() % 2 == 0 ? value + step : value - step;
    std::memcpy(file.data() + at, &value, sizeof value);
  }
}

void move_header_bytes(Bytes& file, const Seed& seed, Random& random) {
  usize n = 1 + random() % 64;
  usize from = random() % (seed.header - n), to = random() % (seed.header - n);
  std::memmove(file.data() + to, file.data() + from, n);
}

void insert_or_erase(Bytes& file, const Seed& seed, Random& random) {
  auto at = file.begin() + static_cast<i64>(random() % seed.header);
  i64 n = static_cast<i64>(1 + random() % 40);
  if (random() % 2 == 0) {
    file.insert(at, static_cast<usize>(n), static_cast<Byte>(random()));
  } else {
    file.erase(at, at + n);
  }
}

void wild_weights(Bytes& file, const Seed& seed, Random& random) {
  constexpr u32 kValues[] = {0x7fc00000, 0x7f800000, 0xff800000, 0x7f7fffff, 1, 0xffffffff};
  for (u64 n = 1 + random() % 16; n > 0; n--) {
    usize at = seed.header + random() % (file.size() - seed.header - 4);
    std::memcpy(file.data() + at / 4 * 4, &kValues[random() % std::size(kValues)], 4);
  }
}

// ---- damage with a purpose: the file is written again, right but for one thing ---------------
constexpr u64 kEdges[] = {0,
                          1,
                          2,
                          3,
                          (1u << 20) - 1,
                          0x7fffffff,
                          0x80000000,
                          0x80000001,
                          0xffffffff,
                          0x100000000,
                          1ull << 42,
                          1ull << 61,
                          1ull << 62,
                          1ull << 63,
                          ~u64{0} - 31,
                          ~u64{0},
                          0x55555556ull};

u64 edge(Random& random) {
  return kEdges[random() % std::size(kEdges)];
}

// The number in one of the format's integer types, or as a float.
void add_number(ai::GgufWriter& out, std::string_view key, u64 value, Random& random) {
  constexpr ai::GgufType kTypes[] = {ai::GgufType::kU8,  ai::GgufType::kI8,  ai::GgufType::kU16,
                                     ai::GgufType::kI16, ai::GgufType::kU32, ai::GgufType::kI32,
                                     ai::GgufType::kU64, ai::GgufType::kI64, ai::GgufType::kF32};
  constexpr usize kBytes[] = {1, 1, 2, 2, 4, 4, 8, 8, 4};
  usize type = random() % 3 == 0 ? random() % std::size(kTypes) : 4;
  Byte bytes[8];
  std::memcpy(bytes, &value, sizeof bytes);
  MUST(out.add_raw(key, kTypes[type], {bytes, kBytes[type]}));
}

struct Rewriting {
  bool (*dropped)(std::string_view key);  // keys that are not copied
  void (*add)(ai::GgufWriter& out, u32 tokens, Random& random);
  bool wild_shapes;
};

void rewrite(Bytes& file, Random& random, const Rewriting& way) {
  TestPlatform platform;
  auto old = MUST(ai::GgufFile::parse(file, platform));
  ai::GgufWriter out;
  for (usize i = 0; i < old->key_count(); i++)
    if (!way.dropped(old->key(i))) MUST(out.copy(*old, i));
  u32 tokens = static_cast<u32>(MUST(old->get_strings("tokenizer.ggml.tokens")).size());
  if (way.add != nullptr) way.add(out, tokens, random);
  usize first = file.size(), victim = random() % old->tensors().size();
  for (const ai::GgufTensor& t : old->tensors()) first = std::min<usize>(first, t.offset);
  for (const ai::GgufTensor& t : old->tensors()) {
    u64 dimensions[4], offset = t.offset - first;
    u32 count = t.dimension_count;
    std::copy_n(t.dimensions, 4, dimensions);
    if (way.wild_shapes && &t == &old->tensors()[victim]) {
      count = 1 + static_cast<u32>(random() % 4);
      for (u32 i = 0; i < count; i++)
        if (random() % 2 == 0) dimensions[i] = edge(random);
      if (random() % 3 == 0) offset = edge(random) & ~u64{31};
    }
    MUST(
        out.add_tensor(t.name, {dimensions, count}, ai::quant_info(t.view.type).ggml_type, offset));
  }
  Vector<Byte> header = MUST(out.finish());
  Bytes made(header.data(), header.data() + header.size());
  made.insert(made.end(), file.begin() + static_cast<i64>(first), file.end());
  file = std::move(made);
}

// Products of dimensions, and offsets, that wrap or reach past the end.
void wild_shape(Bytes& file, const Seed&, Random& random) {
  auto none = [](std::string_view) { return false; };
  rewrite(file, random, {.dropped = none, .add = nullptr, .wild_shapes = true});
}

void wild_alignment(Bytes& file, const Seed&, Random& random) {
  auto old = [](std::string_view key) { return key == "general.alignment"; };
  auto add = [](ai::GgufWriter& out, u32, Random& r) {
    u64 value = r() % 2 == 0 ? edge(r) : r() % 130;
    add_number(out, "general.alignment", value, r);
  };
  rewrite(file, random, {.dropped = old, .add = add, .wild_shapes = false});
}

// Ids of special tokens in and outside the vocabulary, in every type of number.
void wild_roles(Bytes& file, const Seed&, Random& random) {
  auto add = [](ai::GgufWriter& out, u32 tokens, Random& r) {
    constexpr const char* kRoles[] = {"bos",     "eos", "eot",  "eom",     "unknown", "seperator",
                                      "padding", "cls", "mask", "fim_pad", "fim_rep", "fim_sep"};
    for (const char* role : kRoles) {
      if (r() % 3 == 0) continue;
      const u64 near[] = {tokens - 1u, tokens, tokens + 1u, edge(r)};
      std::string key = std::string("tokenizer.ggml.") + role + "_token_id";
      add_number(out, key, near[r() % std::size(near)], r);
    }
    for (const char* rule : {"add_bos_token", "add_eos_token"})
      MUST(out.add_bool(std::string("tokenizer.ggml.") + rule, r() % 2 == 0));
  };
  auto old = [](std::string_view key) { return key.ends_with("_token_id"); };
  rewrite(file, random, {.dropped = old, .add = add, .wild_shapes = false});
}

// Tokens of two letters only, so that merges lead from each to each, in circles and to nowhere.
void wild_merges(Bytes& file, const Seed&, Random& random) {
  auto add = [](ai::GgufWriter& out, u32 tokens, Random& r) {
    auto word = [&r] {
      std::string text;
      for (u64 n = r() % 8 == 0 ? 0 : 1 + r() % 4; n > 0; n--) text += r() % 2 == 0 ? 'e' : 't';
      return text;
    };
    std::vector<std::string> texts, merges;
    std::vector<i32> types;
    std::vector<float> scores;
    for (u32 i = 0; i < tokens; i++) {
      texts.push_back(r() % 16 == 0 ? std::string("<0x") + "0aF-Z"[r() % 5] + "1>" : word());
      types.push_back(static_cast<i32>(r() % 32 == 0 ? edge(r) : r() % 7));
      scores.push_back(r() % 16 == 0 ? __builtin_nanf("") : static_cast<float>(r() % 9));
    }
    for (u64 n = r() % 400; n > 0; n--)
      merges.push_back(word() + (r() % 16 == 0 ? "" : " ") + word() + (r() % 16 == 0 ? " " : ""));
    std::vector<std::string_view> text_views(texts.begin(), texts.end()),
        merge_views(merges.begin(), merges.end());
    MUST(out.add_string("tokenizer.ggml.model", r() % 4 != 0 ? "gpt2" : "llama"));
    MUST(out.add_string("tokenizer.ggml.pre", "default"));
    MUST(out.add_strings("tokenizer.ggml.tokens", text_views));
    MUST(out.add_strings("tokenizer.ggml.merges", merge_views));
    MUST(out.add_i32s("tokenizer.ggml.token_type", types));
    MUST(out.add_f32s("tokenizer.ggml.scores", scores));
  };
  auto old = [](std::string_view key) { return key.starts_with("tokenizer."); };
  rewrite(file, random, {.dropped = old, .add = add, .wild_shapes = false});
}

constexpr struct {
  const char* name;
  void (*damage)(Bytes& file, const Seed& seed, Random& random);
} kWays[] = {
    {"bits of the header", flip_header_bits},
    {"bits anywhere", flip_any_bits},
    {"cut short", cut},
    {"hostile numbers", hostile_numbers},
    {"numbers a little off", nudge_numbers},
    {"header bytes moved", move_header_bytes},
    {"inserted or erased", insert_or_erase},
    {"weights not finite", wild_weights},
    {"shapes and offsets", wild_shape},
    {"alignment", wild_alignment},
    {"ids of special tokens", wild_roles},
    {"merges in circles", wild_merges},
};
static_assert(std::size(kWays) <= kMostWays);

// ---- a case ----------------------------------------------------------------------------------
struct Sink final : ai::RequestSink {
  void on_prefill(u32, u32) override {}
  void on_token(const ai::TokenEvent&) override { tokens++; }
  void on_end(ai::FinishReason, const ai::Timings&, const Error*) override { ended = true; }
  u32 tokens = 0;
  bool ended = false;
};

Outcome try_file(Bytes& bytes) {
  TestPlatform platform;
  platform.page_limit = kMostPageBytes;
  const ai::EngineOptions options{.context = 32, .max_requests = 2};
  std::span<Byte> file(bytes);
  bool planned = ai::Engine::plan_load({&file, 1}, platform, options).has_value();
  auto engine = ai::Engine::load(file, platform, options);
  if (!engine.has_value()) return Outcome::kRefused;
  if (!planned) std::abort();  // the plan refuses what load() would refuse, and no more
  Vector<ai::TokenId> prompt;
  auto encoded = (*engine)->tokenizer().encode("the teetet cat", ai::AddSpecial::kYes,
                                               ai::ParseSpecial::kYes, prompt);
  Sink sink;
  ai::Request request{.prompt = prompt.view(), .max_tokens = 1, .ignore_end = true};
  if (!encoded.has_value() || !(*engine)->submit(request, sink).has_value())
    return Outcome::kLoaded;
  while ((*engine)->step()) {
  }
  if (!sink.ended) std::abort();
  return sink.tokens > 0 ? Outcome::kAnswered : Outcome::kLoaded;
}

void run_case(u64 number, const std::vector<Seed>& seeds, Results& results) {
  Random random(number);
  const Seed& seed = seeds[random() % seeds.size()];
  Bytes file = seed.file;
  kWays[number % std::size(kWays)].damage(file, seed, random);
  i64 before = host::live_allocations();
  volatile u64& outcome = results.outcomes[number % std::size(kWays)][usize(try_file(file))];
  outcome = outcome + 1;
  if (host::live_allocations() == before) return;
  std::printf("case %llu leaks\n", static_cast<unsigned long long>(number));
  results.leaked = results.leaked + 1;
}

[[noreturn]] void run_child(u64 end, const std::vector<Seed>& seeds, Results& results) {
  while (results.next < end) {
    alarm(kMostSeconds);
    run_case(results.next, seeds, results);
    results.next = results.next + 1;
  }
  std::fflush(stdout);
  _exit(0);
}

std::vector<Seed> make_seeds() {
  std::vector<Seed> seeds;
  for (const char* family : kFamilies)
    for (bool merges : {false, true}) {
      seeds.push_back(make_seed(family, merges));
      Bytes file = seeds.back().file;
      if (try_file(file) == Outcome::kAnswered) continue;
      std::fprintf(stderr, "%s does not work undamaged\n", family);
      std::exit(2);
    }
  return seeds;
}

void print_outcomes(const Results& results) {
  std::printf("%-24s %8s %8s %8s\n", "damage", "refused", "error", "answered");
  for (usize way = 0; way < std::size(kWays); way++) {
    std::printf("%-24s", kWays[way].name);
    for (u64 count : results.outcomes[way])
      std::printf(" %8llu", static_cast<unsigned long long>(count));
    std::printf("\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  u64 count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000;
  u64 first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  std::vector<Seed> seeds = make_seeds();
  void* shared =
      mmap(nullptr, sizeof(Results), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 2;
  Results& results = *new (shared) Results{};
  results.next = first;
  u64 crashed = 0, hung = 0;
  while (results.next < first + count) {
    std::fflush(stdout);
    pid_t child = fork();
    if (child == 0) run_child(first + count, seeds, results);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return 2;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
    bool late = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    (late ? hung : crashed)++;
    std::printf("case %llu (%s) %s\n", static_cast<unsigned long long>(results.next),
                kWays[results.next % std::size(kWays)].name, late ? "hangs" : "crashes");
    results.next = results.next + 1;
  }
  print_outcomes(results);
  using Wide = unsigned long long;
  std::printf("%llu cases: %llu crashed, %llu hung, %llu leaked\n", static_cast<Wide>(count),
              static_cast<Wide>(crashed), static_cast<Wide>(hung),
              static_cast<Wide>(results.leaked));
  return crashed + hung + results.leaked == 0 ? 0 : 1;
}
