// SPDX-License-Identifier: GPL-2.0-or-later
// The dispatch table for everything that SIMD makes faster. Plain data only: a SIMD file must not
// instantiate inline functions under its own target attribute.
//
// Every table gives the same bits as ai/kernels/reference.cpp; tests compare them with memcmp.
// Kernels run on any worker, never wait and allocate nothing.
#pragma once

#include <string_view>

#include "ai/quant/groups.h"
#include "kernel/base/cpu_features.h"

namespace ai {

// How many bytes before their use weights are asked for. It changes the speed, never a bit.
struct Prefetch {
  u32 near = 0;  // into the first-level cache; 0: nothing is asked for early
  u32 far = 0;   // into the second-level cache; no more than `near`: only that
  bool operator==(const Prefetch&) const = default;
};

// The distances where none were measured on this machine (probe.h).
constexpr Prefetch kUsualPrefetch = {.near = 8192, .far = 0};

// Computes out[b * out_stride + r] = dot(row r, activation b), or += if `accumulate` (the residual
// addition: one more rounded addition to what is there). Rows are those of the groups [first_group,
// last_group). The last group of the matrix may have fewer than 16 rows (ai/quant/groups.h
// describes its layout), and only existing rows are stored.
struct MatMul {
  const void* groups;  // start of group 0
  usize group_bytes;   // 16 rows: 16 * row_bytes
  u32 columns, rows;
  u32 first_group, last_group;
  const void* activations;  // `batch` quantized vectors
  usize activation_bytes;   // of one vector
  u32 batch;  // 1 = decode; more = prefill or batched decode, with the same bits per vector
  float* out;
  usize out_stride;  // floats
  bool accumulate;
  Prefetch prefetch;
};

struct KernelTable {
  const char* name;  // "reference", "sse2", "sse41", "avx2", "avx512-vnni", "neon", "neon-dotprod"
  CpuFeatures needs;
  CpuFeatures first_where =
      {};  // preferred to better tables on CPUs with these features; empty: never
  Prefetch prefetch = kUsualPrefetch;  // for MatMul; set once, before a worker reads the table
  void (*mat_mul[usize(QuantType::kCount)])(const MatMul&);
  // Quantizes n values, a multiple of the activation's block. ai/quant/quant.h has the size of
  // `out`: activation_bytes(type, n).
  void (*quantize[usize(ActivationType::kCount)])(const float* in, void* out, u32 n);
  // out = in / sqrt(mean(in * in) + epsilon) * weight; in and out may be the same
  void (*rms_norm)(const float* in, const float* weight, float epsilon, float* out, u32 n);
  // out = silu(gate) * up, gelu(gate) * up
  void (*silu_mul)(const float* gate, const float* up, float* out, u32 n);
  void (*gelu_mul)(const float* gate, const float* up, float* out, u32 n);
  void (*add)(const float* a, const float* b, float* out, u32 n);
  // Attends with the queries of one KV head over its pages: ai/attention/attend.h.
  void (*attend)(const struct AttendJob& job);
};

// Returns true if the table has every function. This is asserted where each table is defined, so a
// format without a kernel fails to build instead of running at the reference's speed.
consteval bool complete(const KernelTable& table) {
  for (auto* product : table.mat_mul)
    if (product == nullptr) return false;
  for (auto* quantize : table.quantize)
    if (quantize == nullptr) return false;
  return table.name != nullptr && table.rms_norm != nullptr && table.silu_mul != nullptr &&
         table.gelu_mul != nullptr && table.add != nullptr && table.attend != nullptr;
}

extern const KernelTable kReferenceKernels;  // portable; defines the bits of all others

// Returns the tables of arch/<arch>/simd/tables.cpp, best first, without the reference.
std::span<const KernelTable* const> arch_kernel_tables();

// Returns the best table for `have`, or the reference if the CPU supports none of them.
KernelTable select_kernels(CpuFeatures have);
// Returns the table of that name (option `kernels=`), kNotFound, or kUnsupported if the CPU lacks a
// feature.
Result<KernelTable> kernels_by_name(std::string_view name, CpuFeatures have);

}  // namespace ai
