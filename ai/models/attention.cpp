// SPDX-License-Identifier: GPL-2.0-or-later
// Attention: projects queries, keys and values, rotates them (RoPE), stores keys and values in the
// pages of the KV cache, and attends.
#include <algorithm>
#include <bit>

#include "ai/math/four.h"
#include "ai/math/real.h"
#include "ai/models/forward.h"

namespace ai {
namespace {

// queries in a worker's list; a multiple of what a kernel table works on at once
constexpr u32 kQueriesPerJob = 64;
constexpr u32 kMostCalmRows = 16;  // attention of more rows breathes between its jobs
// (query, position) pairs in one job; small, so that other threads soon get CPU 0
constexpr u32 kPairsPerJob = 4096;
constexpr u32 kTogether = 8;  // queries that a kernel works on at once; fewer would waste its loads

u32 queries_per_job(u32 positions) {
  u32 wanted = kPairsPerJob / positions / kTogether * kTogether;
  return std::clamp(wanted, kTogether, kQueriesPerJob);
}

// A worker's buffers for one attention job. Page pointers follow the struct.
struct AttendLists {
  AttendQuery queries[kQueriesPerJob];
  // One pointer for each kPagePositions positions of the context.
  const Byte** pages() { return reinterpret_cast<const Byte**>(this + 1); }
};

u32 query_width(const Hyperparameters& p) {
  return p.mla.kv_rank > 0 ? p.mla.nope_width + p.mla.rope_width : p.key_width;
}

}  // namespace

usize attend_lists_bytes(u32 context) {
  usize pages = (usize{context} + kPagePositions - 1) / kPagePositions;
  return base::round_up(sizeof(AttendLists) + pages * sizeof(const Byte*), 64);
}

usize qkv_width(const Hyperparameters& p) {
  return usize{p.heads} * query_width(p) + usize{p.kv_heads} * (p.key_width + p.value_width);
}

usize mixed_width(const Hyperparameters& p) {
  return usize{p.heads} * std::max(p.value_width, p.mla.value_width);
}

// ---- rotation ------------------------------------------------------------------------------

namespace {

constexpr double kPi = 3.141592653589793;

// YaRN (arXiv 2309.00071): pairs that rotate fast keep their frequency, slow ones are interpolated.
// Returns the share of the interpolated frequency that pair i gets.
double yarn_share(const RopeParams& rope, float base, u32 pair) {
  auto pair_that_turns = [&](double times) {
    double context = rope.original_context;
    return rope.dimensions * real::log(context / (times * 2 * kPi)) / (2 * real::log(base));
  };
  auto floor_of = [](double x) {
    double whole = static_cast<double>(static_cast<i64>(x));
    return whole > x ? whole - 1 : whole;
  };
  double low = std::max(0.0, floor_of(pair_that_turns(rope.yarn_beta_fast)));
  double high = std::min(rope.dimensions - 1.0, -floor_of(-pair_that_turns(rope.yarn_beta_slow)));
  double ramp = (pair - low) / std::max(0.001, high - low);
  double keep = (1 - std::clamp(ramp, 0.0, 1.0)) * static_cast<double>(rope.yarn_ext_factor);
  return 1 - keep;
}

}  // namespace

Result<RopeTable> make_rope_table(const RopeParams& rope, float base, bool scaled,
                                  std::span<const float> factors) {
  RopeTable table;
  TRY(table.frequencies.resize(rope.dimensions / 2));
  double slower =
      scaled && rope.scaling != RopeScaling::kNone && rope.scaling != RopeScaling::kLongRope
          ? static_cast<double>(rope.factor)
          : 1.0;
  bool yarn = scaled && rope.scaling == RopeScaling::kYarn;
  for (u32 i = 0; i < rope.dimensions / 2; i++) {
    double speed = real::pow(base, -2.0 * i / rope.dimensions);
    if (!factors.empty()) speed = speed / static_cast<double>(factors[i]);
    double share = yarn ? yarn_share(rope, base, i) : 1.0;
    table.frequencies[i] = speed / slower * share + speed * (1 - share);
    if (!(table.frequencies[i] >= 0 && table.frequencies[i] <= 1e3))
      return fail(Errc::kCorrupt, "model: the RoPE factors are not valid");
  }
  if (scaled) table.magnitude = static_cast<double>(rope.attention_factor);
  if (rope.plain_magnitude) {
    table.magnitude = 1;
  } else if (yarn && rope.yarn_ext_factor != 0) {
    table.magnitude *= rope.yarn_attn_factor * (1 + 0.1 * real::log(slower));
  }
  return table;
}

// The first heads, a power of two of them, have the slopes r, r^2, r^3, … with r = 2^(-alibi /
// count). If there are more, these take every second slope of twice as many heads.
Result<Vector<float>> make_slopes(const Hyperparameters& p) {
  Vector<float> slopes;
  if (p.alibi == 0) return slopes;
  u32 count = std::bit_floor(p.heads);
  for (u32 head = 0; head < p.heads; head++) {
    double power = head < count ? head + 1.0 : (head - count) + 0.5;
    double slope = real::pow(2.0, -static_cast<double>(p.alibi) * power / count);
    TRY(slopes.push_back(static_cast<float>(slope / static_cast<double>(p.attention_scale))));
  }
  return slopes;
}

// Computes the cosine and sine of every pair at every row's position, once per step for all layers
// and heads.
void Step::compute_turns() {
  u32 pairs = params().rope.dimensions / 2;
  if (pairs == 0) return;
  float* turns = at<float>(layout().turns);
  for_rows(x.count, [&](u32 row) {
    for (u32 set = 0; set < 2; set++) {
      const RopeTable& table = model_.rope[set];
      float* out = turns + (usize{set} * layout().rows + row) * pairs * 2;
      for (usize i = 0; i < table.frequencies.size(); i++) {
        double angle = rows_[row].position * table.frequencies[i];
        out[2 * i] = static_cast<float>(real::cos(angle) * table.magnitude);
        out[2 * i + 1] = static_cast<float>(real::sin(angle) * table.magnitude);
      }
    }
  });
}

namespace {

// Rotates a head: pair i by angle[2 i] (cosine) and angle[2 i + 1] (sine), (a, b) = (a cosine - b
// sine, a sine + b cosine).
struct HeadTurn {
  const float* angle;
  u32 pairs;

  void one(float& a_at, float& b_at, u32 pair) const {
    float cosine = angle[2 * pair], sine = angle[2 * pair + 1], a = a_at, b = b_at;
    a_at = a * cosine - b * sine;
    b_at = a * sine + b * cosine;
  }
  // Pair i is at 2 i and 2 i + 1. A product with -sine equals the one with sine except for its
  // sign, and a sum of two does not depend on their order, so the bits are the same as in halves().
  void neighbours(float* v) const {
    u32 i = 0;
    for (; i + 2 <= pairs; i += 2) {
      FourFloats x = four_at(v + 2 * i), turns = four_at(angle + 2 * i);
      FourFloats cosine = __builtin_shufflevector(turns, turns, 0, 0, 2, 2);
      FourFloats sine = __builtin_shufflevector(-turns, turns, 1, 5, 3, 7);
      x = x * cosine + __builtin_shufflevector(x, x, 1, 0, 3, 2) * sine;
      put_four(v + 2 * i, x);
    }
    if (i < pairs) one(v[2 * i], v[2 * i + 1], i);
  }
  // Pair i is at i and i + `pairs`.
  void halves(float* v) const {
    u32 i = 0;
    for (; i + 4 <= pairs; i += 4) {
      FourFloats a = four_at(v + i), b = four_at(v + pairs + i);
      FourFloats low = four_at(angle + 2 * i), high = four_at(angle + 2 * i + 4);
      FourFloats cosine = __builtin_shufflevector(low, high, 0, 2, 4, 6);
      FourFloats sine = __builtin_shufflevector(low, high, 1, 3, 5, 7);
      FourFloats first = a * cosine - b * sine, second = a * sine + b * cosine;
      put_four(v + i, first);
      put_four(v + pairs + i, second);
    }
    for (; i < pairs; i++) one(v[i], v[pairs + i], i);
  }
};

}  // namespace

void Step::turn(Rows heads, u32 head_count, u32 head_width, u32 first, u32 set) {
  u32 pairs = params().rope.dimensions / 2;
  bool halves = params().architecture->rope == RopeKind::kHalves;
  const float* turns = at<float>(layout().turns) + usize{set} * layout().rows * pairs * 2;
  for_rows(heads.count, [&](u32 row) {
    HeadTurn turn{turns + usize{row} * pairs * 2, pairs};
    for (u32 h = 0; h < head_count; h++) {
      float* v = heads[row] + usize{h} * head_width + first;
      halves ? turn.halves(v) : turn.neighbours(v);
    }
  });
}

// ---- the usual attention -------------------------------------------------------------------

void Step::norm_heads(const Norm& weights, Rows heads, u32 head_count, u32 head_width) {
  if (!weights.present()) return;
  u32 n = static_cast<u32>(weights.weight.size());  // one per head, or one for all heads
  u32 parts = head_count * head_width / n;
  for_rows(heads.count, [&](u32 row) {
    for (u32 part = 0; part < parts; part++) {
      float* v = heads[row] + usize{part} * n;
      norm_vector(weights, v, v, n);
    }
  });
}

void Step::project_qkv(const LayerWeights& w, Rows in) {
  operation("query, key, value");
  const Hyperparameters& p = params();
  u32 q_width = p.heads * p.key_width, k_width = p.kv_heads * p.key_width;
  Rows k = qkv.from(q_width), v = qkv.from(q_width + k_width);
  if (w.qkv.present()) {
    multiply(in, {{w.qkv, qkv}});
  } else {
    multiply(in, {{w.q, qkv}, {w.k, k}, {w.v, v}});
  }
  norm_heads(w.q_norm, qkv, p.heads, p.key_width);
  norm_heads(w.k_norm, k, p.kv_heads, p.key_width);
}

void Step::attend(u32 index) {
  const Hyperparameters& p = params();
  Rows k = qkv.from(p.heads * p.key_width);
  if (turns_in(index)) {
    operation("rope");
    u32 set = p.sees_window(index) && !model_.rope[1].frequencies.empty() ? 1 : 0;
    turn(qkv, p.heads, p.key_width, 0, set);
    turn(k, p.kv_heads, p.key_width, 0, set);
  }
  store(index, k, k.from(p.kv_heads * p.key_width));
  mix(index, qkv);
}

bool Step::turns_in(u32 index) const {
  const Hyperparameters& p = params();
  if (p.architecture->rope == RopeKind::kNone) return false;
  return p.rope.skip_period == 0 || (index + 1) % p.rope.skip_period != 0;
}

void Step::project_attention(const LayerWeights& w, Rows out, bool accumulate) {
  operation("attention output");
  multiply(mixed, {{w.attention_output, out, accumulate}});
}

// ---- pages -----------------------------------------------------------------------------------

Step::HeadPages Step::head_pages(u32 index, u32 kv_head, const KvView& view) const {
  const Hyperparameters& p = params();
  usize head_bytes = kv_page_bytes(model_.kv_type, p.key_width, p.value_width);
  u32 windows = p.window_layers(p.layers), before = p.window_layers(index);
  bool window = p.sees_window(index);
  const KvPages& in = window ? view.window : view.whole;
  u32 layers = window ? windows : p.layers - windows, layer = window ? before : index - before;
  return {.first = in.pool + (usize{layer} * p.kv_heads + kv_head) * head_bytes,
          .page_bytes = head_bytes * p.kv_heads * layers,
          .pages = in.pages};
}

void Step::store(u32 index, Rows keys, Rows values) {
  operation("kv store");
  const Hyperparameters& p = params();
  for_rows(keys.count, [&](u32 row) {
    u32 position = rows_[row].position;
    const KvView& view = sequences_[rows_[row].sequence];
    for (u32 h = 0; h < p.kv_heads; h++) {
      Byte* page = head_pages(index, h, view)[position / kPagePositions];
      u32 slot = position % kPagePositions;
      store_key(model_.kv_type, page, p.key_width, slot, keys[row] + usize{h} * p.key_width);
      store_value(model_.kv_type, page, p.key_width, p.value_width, slot,
                  values[row] + usize{h} * p.value_width);
    }
  });
}

void Step::mix(u32 index, Rows queries) {
  operation("attention");
  // Orders all queries by sequence, KV head, row and head, so that neighbours share their keys.
  u32 count = queries.count * params().heads;
  parallel_ranges(model_.platform, count, 1, [&](u32 first, u32 last, u32 worker) {
    mix_range(index, queries, first, last, worker);
  });
}

void Step::mix_range(u32 index, Rows queries, u32 first, u32 last, u32 worker) {
  const Hyperparameters& p = params();
  u32 group = p.heads / p.kv_heads;  // query heads that share a KV head
  u32 run = 0, run_end = 0;          // the rows of one sequence
  for (u32 at = first; at < last;) {
    while (at >= run_end * p.heads) {
      run = run_end;
      while (run_end < queries.count && rows_[run_end].sequence == rows_[run].sequence) run_end++;
    }
    u32 per_head = (run_end - run) * group, offset = at - run * p.heads;
    u32 kv_head = offset / per_head, from = offset % per_head;
    u32 length = rows_[run_end - 1].position + 1;
    u32 to = std::min({from + (last - at), per_head, from + queries_per_job(length)});
    attend_some(index, queries, {run, kv_head, from, to, length}, worker);
    at += to - from;
    if (worker == 0 && queries.count > kMostCalmRows) model_.platform.breathe();
  }
}

// Attends for queries [from, to) of one KV head, over a run of rows that starts at `run`. Runs on
// worker `worker`.
void Step::attend_some(u32 index, Rows queries, AttendPart part, u32 worker) {
  const Hyperparameters& p = params();
  u32 group = p.heads / p.kv_heads, width = p.key_width;
  bool window = p.sees_window(index);
  auto* lists = at<AttendLists>(layout().worker + worker * layout().worker_bytes);
  u32 begin = ~u32{0}, end = 0;
  for (u32 i = part.from; i < part.to; i++) {
    u32 row = part.run + i / group, head = part.kv_head * group + i % group;
    u32 seen = p.bidirectional ? part.length : rows_[row].position + 1;
    u32 start = window && seen > p.window ? seen - p.window : 0;
    lists->queries[i - part.from] = {.query = queries[row] + usize{head} * width,
                                     .out = mixed[row] + usize{head} * p.value_width,
                                     .begin = start,
                                     .end = seen,
                                     .position = rows_[row].position,
                                     .slope = model_.slopes.empty() ? 0.0f : model_.slopes[head]};
    begin = std::min(begin, start);
    end = std::max(end, seen);
  }
  HeadPages pages = head_pages(index, part.kv_head, sequences_[rows_[part.run].sequence]);
  for (u32 page = begin / kPagePositions; page * kPagePositions < end; page++)
    lists->pages()[page] = pages[page];
  model_.kernels.attend({.pages = lists->pages(),
                         .type = model_.kv_type,
                         .key_width = width,
                         .value_width = p.value_width,
                         .scale = p.attention_scale,
                         .soft_cap = p.attention_cap,
                         .queries = lists->queries,
                         .query_count = part.to - part.from});
}

}  // namespace ai
