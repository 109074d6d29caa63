// SPDX-License-Identifier: GPL-2.0-or-later
// Speed of the products beside the limits of the machine, measured in the same run:
//   bench_kernels [table] [megabytes] [columns] [format, "" = all] [settings of prefetch]
// Batch 1: GB/s of weights against streaming reads. Larger ones: GMAC/s against what binds, which
// is the int8 peak of the table's widest dot product, or (marked r) the reads; up to 16 vectors the
// weights come from memory. Best of several runs, on 1 and 2 pinned threads, one line for each.
// With settings, such as 0,8192,4096+8192, only batch 1: medians of 7 rounds, in each of which
// plain reads and all settings take turns.
#include <immintrin.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "ai/kernels/probe.h"
#include "kernel/arch_contract.h"
#include "kernel/base/text.h"
#include "tests/hosted/ai/kernels/fixture.h"

// The engine's objects are the kernel's, whose stack protector reads one global word.
extern "C" {
// NOLINTNEXTLINE(bugprone-reserved-identifier)
u64 __stack_chk_guard = 0x6d6172726f770a00;
}

namespace {

using namespace kernels_fixture;

double seconds() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

Byte* huge_pages(usize bytes) {
  usize size = base::round_up(bytes, 2 * kMiB) + 2 * kMiB;
  void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) std::abort();
  madvise(at, size, MADV_HUGEPAGE);
  auto aligned = base::round_up(reinterpret_cast<usize>(at), 2 * kMiB);
  return reinterpret_cast<Byte*>(aligned);
}

constexpr u32 kPatience = 100'000;  // some ms

// Runs body(thread) on `threads` pinned threads `rounds` times; the best round in seconds.
template <class Body>
double best_time(u32 threads, u32 rounds, Body body) {
  struct Shared {
    Body* body;
    std::atomic<u32> arrived{0};
    u32 threads, rounds;
  } shared{&body, 0, threads, rounds};
  struct Start {
    Shared* shared;
    u32 thread;
    double best;
  } starts[16];
  auto run = [](void* argument) -> void* {
    Start& start = *static_cast<Start*>(argument);
    Shared& s = *start.shared;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(start.thread, &set);
    sched_setaffinity(0, sizeof set, &set);
    start.best = 1e9;
    auto meet = [&s](u32 round) {
      s.arrived++;
      // A thread that yields on a busy machine may come back long after the other has begun.
      for (u32 looks = 0; s.arrived.load() < round * s.threads; looks++)
        looks < kPatience ? _mm_pause() : static_cast<void>(sched_yield());
    };
    for (u32 round = 0; round < s.rounds; round++) {
      meet(2 * round + 1);
      double begin = seconds();
      (*s.body)(start.thread);
      meet(2 * round + 2);
      double took = seconds() - begin;
      if (took < start.best) start.best = took;
    }
    return nullptr;
  };
  pthread_t ids[16];
  for (u32 t = 0; t < threads; t++) {
    starts[t] = {&shared, t, 0};
    if (pthread_create(&ids[t], nullptr, run, &starts[t]) != 0) std::abort();
  }
  for (u32 t = 0; t < threads; t++) pthread_join(ids[t], nullptr);
  return starts[0].best;
}

std::atomic<u64> sink;

[[gnu::target("avx2")]] void read_all(const Byte* at, usize bytes) {
  __m256i sum[4] = {};
  for (usize i = 0; i + 128 <= bytes; i += 128) {
    __builtin_prefetch(at + i + 4096);
    __builtin_prefetch(at + i + 4160);
    for (u32 v = 0; v < 4; v++)
      sum[v] = _mm256_xor_si256(
          sum[v], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + i + 32 * v)));
  }
  __m256i all =
      _mm256_xor_si256(_mm256_xor_si256(sum[0], sum[1]), _mm256_xor_si256(sum[2], sum[3]));
  sink += static_cast<u64>(_mm256_extract_epi64(all, 0));
}

constexpr u32 kPeakLoops = 40'000;

[[gnu::target("avx512f,avx512vnni")]] void peak_vnni() {
  __m512i sum[12], a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
  for (int i = 0; i < 12; i++) sum[i] = _mm512_set1_epi32(i);  // equal chains would be merged
  for (u32 i = 0; i < kPeakLoops; i++) {
#pragma GCC unroll 12
    for (auto& s : sum) s = _mm512_dpbusd_epi32(s, a, b);
    asm volatile("" : "+v"(a), "+v"(b));
  }
  for (auto& s : sum) {
    u64 words[8];
    _mm512_storeu_si512(words, s);
    sink += words[0];
  }
}

[[gnu::target("avx2")]] void peak_avx2() {
  __m256i sum[12], a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(5);
  for (int i = 0; i < 12; i++) sum[i] = _mm256_set1_epi32(i);  // equal chains would be merged
  for (u32 i = 0; i < kPeakLoops; i++) {
#pragma GCC unroll 12
    for (auto& s : sum) {
      s = _mm256_add_epi16(s, _mm256_maddubs_epi16(a, b));
      asm volatile("" : "+x"(a), "+x"(b));
    }
  }
  for (auto& s : sum) sink += static_cast<u64>(_mm256_extract_epi64(s, 0));
}

struct Limits {
  double read[3], peak[3];  // by threads
};

Limits measure_limits(const KernelTable& table, const Byte* data, usize bytes) {
  bool wide = table.needs.has(CpuFeature::kAvx512Vnni);
  Limits limits{};
  for (u32 threads : {1u, 2u}) {
    usize part = bytes / threads;
    double took = best_time(threads, 9, [&](u32 t) { read_all(data + t * part, part); });
    limits.read[threads] = static_cast<double>(bytes) / took * 1e-9;
    took = best_time(threads, 25, [&](u32) { wide ? peak_vnni() : peak_avx2(); });
    double products = double{kPeakLoops} * 12 * (wide ? 64 : 32) * threads;
    limits.peak[threads] = products / took * 1e-9;
  }
  return limits;
}

struct Setup {
  const KernelTable* table;
  const QuantInfo* info;
  std::span<Byte> weights;  // of all rows
  u32 columns, rows;
};

// Fills the matrix with weights as real models have them. Random bytes would be denormal numbers,
// infinities and NaN in the formats whose scales or weights have 8 bits of exponent, and the CPU
// computes with those at a fraction of its speed.
void fill(const Setup& s) {
  Random random;
  fill_rows(s.info->type, s.weights, Kind::kUsual, random);
  TensorView view{s.weights, s.info->type, s.columns, s.rows, row_bytes(s.info->type, s.columns)};
  if (!interleave_rows(s.weights, view).has_value()) std::abort();
}

// Activations and results for products of the first `rows` rows with `batch` vectors.
class Product {
 public:
  Product(const Setup& setup, u32 batch, u32 rows)
      : setup_(setup),
        batch_(batch),
        rows_(rows),
        vector_bytes_(activation_bytes(setup.info->activation, setup.columns)),
        activations_(huge_pages(vector_bytes_ * batch)),
        out_(reinterpret_cast<float*>(huge_pages(usize{batch} * rows * sizeof(float)))) {
    std::memset(out_, 0, usize{batch} * rows * sizeof(float));  // no page is new when time counts
    Vector<float> x;
    if (!x.resize(setup.columns).has_value()) std::abort();
    Random random;
    for (u32 b = 0; b < batch; b++) {
      for (float& v : x) v = random.next();
      setup.table->quantize[static_cast<usize>(setup.info->activation)](
          x.data(), activations_ + b * vector_bytes_, setup.columns);
    }
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;
  ~Product() {
    munmap(activations_, vector_bytes_ * batch_);
    munmap(out_, usize{batch_} * rows_ * sizeof(float));
  }

  // Returns the seconds of the best of `rounds`.
  double time(u32 threads, u32 rounds, Prefetch prefetch) const {
    u32 groups = rows_ / kGroupRows;
    return best_time(threads, rounds, [&](u32 t) {
      MatMul job{.groups = setup_.weights.data(),
                 .group_bytes = row_bytes(setup_.info->type, setup_.columns) * kGroupRows,
                 .columns = setup_.columns,
                 .rows = rows_,
                 .first_group = groups * t / threads,
                 .last_group = groups * (t + 1) / threads,
                 .activations = activations_,
                 .activation_bytes = vector_bytes_,
                 .batch = batch_,
                 .out = out_,
                 .out_stride = rows_,
                 .accumulate = false,
                 .prefetch = prefetch};
      setup_.table->mat_mul[static_cast<usize>(setup_.info->type)](job);
    });
  }

 private:
  const Setup& setup_;
  u32 batch_, rows_;
  usize vector_bytes_;
  Byte* activations_;
  float* out_;
};

struct Batch {
  u32 vectors, most_rows;
};
// Many vectors take long, so they get fewer rows.
constexpr Batch kBatches[] = {{2, ~0u}, {4, ~0u}, {8, ~0u}, {16, ~0u}, {64, 8192}, {512, 1024}};

void print_batch(const Setup& s, const Limits& limits, u32 threads, Batch batch) {
  u32 rows = std::min(s.rows, batch.most_rows);
  Product product(s, batch.vectors, rows);
  double products = static_cast<double>(u64{s.columns} * rows * batch.vectors);
  double rate = products / product.time(threads, 4, s.table->prefetch) * 1e-9;
  double bytes = static_cast<double>(row_bytes(s.info->type, s.columns)) * rows;
  double by_reads = limits.read[threads] * products / bytes, peak = limits.peak[threads];
  std::printf("  %5.0f (%3.0f%%%s)", rate, 100 * rate / std::min(by_reads, peak),
              by_reads < peak ? "r" : "");
}

void print_format(const Setup& s, const Limits& limits) {
  double bytes = static_cast<double>(row_bytes(s.info->type, s.columns)) * s.rows;
  Product decode(s, 1, s.rows);
  for (u32 threads : {1u, 2u}) {
    double rate = bytes / decode.time(threads, 6, s.table->prefetch) * 1e-9;
    std::printf("%-7s%u  %5.1f (%3.0f%%)", threads == 1 ? s.info->name : "", threads, rate,
                100 * rate / limits.read[threads]);
    for (Batch batch : kBatches) print_batch(s, limits, threads, batch);
    std::printf("\n");
    std::fflush(stdout);
  }
}

struct Settings {
  Prefetch rows[8];
  u32 count = 0;
};

bool read_settings(std::string_view text, Settings& out) {
  while (!text.empty() && out.count < std::size(out.rows))
    if (!parse_prefetch(base::split_off(text, ','), out.rows[out.count++])) return false;
  return text.empty() && out.count > 0;
}

void compare_settings(const Setup& s, const Settings& settings) {
  constexpr u32 kRounds = 7;
  double bytes = static_cast<double>(s.weights.size());
  Product product(s, 1, s.rows);
  for (u32 threads : {1u, 2u}) {
    double rates[1 + std::size(settings.rows)][kRounds];
    usize part = s.weights.size() / threads;
    for (u32 round = 0; round < kRounds; round++) {
      auto read = [&](u32 t) { read_all(s.weights.data() + t * part, part); };
      rates[0][round] = bytes / best_time(threads, 1, read) * 1e-9;
      for (u32 i = 0; i < settings.count; i++)
        rates[1 + i][round] = bytes / product.time(threads, 1, settings.rows[i]) * 1e-9;
    }
    for (auto& row : rates) std::sort(row, row + kRounds);
    std::printf("%-9s %5.1f", threads == 1 ? s.info->name : "", rates[0][kRounds / 2]);
    for (u32 i = 1; i <= settings.count; i++) {
      double rate = rates[i][kRounds / 2];
      std::printf("  %5.1f (%3.0f%%)", rate, 100 * rate / rates[0][kRounds / 2]);
    }
    std::printf("\n");
  }
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  auto chosen = kernels_by_name(argc > 1 ? argv[1] : "auto", arch::Cpu::cpu_features());
  if (!chosen.has_value()) {
    std::fprintf(stderr, "%s\n", chosen.error().what);
    return 1;
  }
  const KernelTable& table = *chosen;
  Settings settings;
  if (argc > 5 && !read_settings(argv[5], settings)) {
    std::fprintf(stderr, "settings are NEAR or NEAR+FAR in bytes, 1 to 8 of them\n");
    return 1;
  }
  usize bytes = static_cast<usize>(argc > 2 ? std::atoi(argv[2]) : 256) * kMiB;
  u32 columns = static_cast<u32>(argc > 3 ? std::atoi(argv[3]) : 2048);
  const char* only = argc > 4 ? argv[4] : "";
  Byte* weights = huge_pages(bytes);
  std::memset(weights, 1, bytes);
  if (settings.count > 0) {
    std::printf("kernels %s, %u columns; GB/s on 1 thread, on 2\nformat      reads", table.name,
                columns);
    for (u32 i = 0; i < settings.count; i++)
      std::printf("%8u+%-6u", settings.rows[i].near, settings.rows[i].far);
    std::printf("\n");
  }
  Limits limits = settings.count > 0 ? Limits{} : measure_limits(table, weights, bytes);
  if (settings.count == 0)
    std::printf("kernels %s; read %.1f / %.1f GB/s, int8 %.0f / %.0f GMAC/s on 1 / 2 threads\n",
                table.name, limits.read[1], limits.read[2], limits.peak[1], limits.peak[2]);
  if (settings.count == 0)
    std::printf("%u columns; threads, decode GB/s; GMAC/s with 2, 4, 8, 16, 64, 512 vectors\n",
                columns);
  for (const QuantInfo& info : quant_infos()) {
    if (*only != 0 && std::string_view(only) != info.name) continue;
    if (columns % info.block_weights != 0) continue;
    u32 rows = static_cast<u32>(bytes / row_bytes(info.type, columns) / 32 * 32);
    Setup setup{&table, &info, {weights, row_bytes(info.type, columns) * rows}, columns, rows};
    fill(setup);
    if (settings.count > 0)
      compare_settings(setup, settings);
    else
      print_format(setup, limits);
  }
  return 0;
}
