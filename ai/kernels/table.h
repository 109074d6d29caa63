// SPDX-License-Identifier: GPL-2.0-or-later
// One dispatch table for everything that is worth SIMD. Plain data only: nothing inline for a
// SIMD file to instantiate under its own target attribute.
//
// Every table gives the same bits (ai/kernels/reference.cpp is the truth; tests memcmp).
#pragma once

#include <string_view>

#include "ai/quant/groups.h"
#include "kernel/base/cpu_features.h"

namespace ai {

// out[b * out_stride + r] = dot(row r, activation b), or += when `accumulate` (the residual add:
// one further rounded addition to what is already there).
// Rows run over the groups [first_group, last_group); the last group of the matrix may have fewer
// than 16 rows (ai/quant/groups.h says how those lie), and no others are stored.
struct MatMul {
  const void* groups;  // start of group 0
  usize group_bytes;   // 16 rows: 16 * row_bytes
  u32 columns, rows;
  u32 first_group, last_group;
  const void* activations;  // `batch` quantized vectors
  usize activation_bytes;   // of one vector
  u32 batch;                // 1 = decode; more = prefill or batched decode: same bits per vector
  float* out;
  usize out_stride;  // floats
  bool accumulate;
  u32 prefetch_bytes;  // how far ahead weights are asked for; 0 = the format's own choice
};

struct KernelTable {
  const char* name;  // "reference", "sse2", "sse41", "avx2", "avx512-vnni", "neon", "neon-dotprod"
  CpuFeatures needs;
  CpuFeatures first_where =
      {};              // chosen before the better ones where the CPU has these; empty: never
  u32 prefetch_bytes;  // for MatMul; 0 after selection where the CPU lacks prefetch_needs
  CpuFeatures prefetch_needs;
  void (*mat_mul[usize(QuantType::kCount)])(const MatMul&);
  // Quantizes n values (a multiple of the activation's block); activation_bytes(type, n) in
  // ai/quant/quant.h.
  void (*quantize[usize(ActivationType::kCount)])(const float* in, void* out, u32 n);
  // out = in / sqrt(mean(in * in) + epsilon) * weight; in and out may be the same
  void (*rms_norm)(const float* in, const float* weight, float epsilon, float* out, u32 n);
  // out = silu(gate) * up, gelu(gate) * up
  void (*silu_mul)(const float* gate, const float* up, float* out, u32 n);
  void (*gelu_mul)(const float* gate, const float* up, float* out, u32 n);
  void (*add)(const float* a, const float* b, float* out, u32 n);
  // Queries of one KV head against its pages: ai/attention/attend.h.
  void (*attend)(const struct AttendJob& job);
};

// True when the table has every function. Each table is asserted to be complete where it is
// defined: a format without a kernel does not build, instead of running at the reference's speed.
consteval bool complete(const KernelTable& table) {
  for (auto* product : table.mat_mul)
    if (product == nullptr) return false;
  for (auto* quantize : table.quantize)
    if (quantize == nullptr) return false;
  return table.name != nullptr && table.rms_norm != nullptr && table.silu_mul != nullptr &&
         table.gelu_mul != nullptr && table.add != nullptr && table.attend != nullptr;
}

extern const KernelTable kReferenceKernels;  // portable, the truth

// arch/<arch>/simd/tables.cpp: best first, the reference not among them.
std::span<const KernelTable* const> arch_kernel_tables();

// The best table for `have`; the reference where the CPU has none of them.
KernelTable select_kernels(CpuFeatures have);
// By name (option `kernels=`); kNotFound, or kUnsupported when the CPU lacks something.
Result<KernelTable> kernels_by_name(std::string_view name, CpuFeatures have);

}  // namespace ai
