// SPDX-License-Identifier: GPL-2.0-or-later
// Samples from any logits, with any parameters that pass the check, and any history. The result
// must be a token of the vocabulary or an error, the same each time, and the scratch memory must be
// left as it was.
#include "ai/text/sampler.h"
#include "kernel/base/bytes.h"

namespace {

constexpr u32 kVocabulary = 48;

ai::SamplerParams params_from(base::ByteReader& in) {
  auto number = [&] { return static_cast<i32>(in.read<i16>().value_or(0)); };
  ai::SamplerParams p;
  p.temperature_milli = number();
  p.top_k = static_cast<u32>(number()) % 64;
  p.top_p_milli = number(), p.min_p_milli = number(), p.typical_milli = number();
  p.repeat_penalty_milli = number(), p.presence_penalty_milli = number();
  p.frequency_penalty_milli = number(), p.penalty_last_n = static_cast<u32>(number());
  p.dry_multiplier_milli = number(), p.dry_base_milli = number();
  p.dry_allowed_length = static_cast<u32>(number()) % 8;
  p.xtc_probability_milli = number(), p.xtc_threshold_milli = number();
  p.mirostat = in.read<u8>().value_or(0) % 4;
  p.mirostat_tau_milli = number(), p.mirostat_eta_milli = number();
  p.seed = in.read<u64>().value_or(0);
  return p;
}

// Any rotation of the usual order, forwards and backwards; 0 is the usual one.
ai::SamplerOrder order_from(u32 bits) {
  ai::SamplerOrder order{.chosen = bits != 0};
  for (u32 i = 0; order.chosen && i < ai::kSamplerSteps; i++) {
    u32 place = (bits & 16) != 0 ? ai::kSamplerSteps - 1 - i : i;
    order.steps[order.count++] = static_cast<ai::SamplerStep>((place + bits) % ai::kSamplerSteps);
  }
  return order;
}

// Moves parameters that the check would refuse into their ranges, so that most inputs get past it.
void repair(ai::SamplerParams& p) {
  auto fold = [](i32& v, i32 least, i32 most) {
    i32 span = most - least + 1;
    v = least + ((v - least) % span + span) % span;
  };
  fold(p.temperature_milli, 0, 3000), fold(p.top_p_milli, 0, 1000), fold(p.min_p_milli, 0, 1000);
  fold(p.typical_milli, 0, 1000), fold(p.repeat_penalty_milli, 1, 3000);
  fold(p.dry_multiplier_milli, 0, 9000), fold(p.dry_base_milli, 1000, 9000);
  fold(p.xtc_probability_milli, 0, 1000), fold(p.xtc_threshold_milli, 0, 1000);
  fold(p.mirostat_tau_milli, 0, 20000), fold(p.mirostat_eta_milli, 0, 2000);
  p.mirostat = p.mirostat % 2 * 2;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  static ai::SamplerWorkspace workspace = MUST(ai::SamplerWorkspace::create(kVocabulary, 64));
  base::ByteReader in({data, size});
  u8 flags = in.read<u8>().value_or(0);
  ai::SamplerParams params = params_from(in);
  params.order = order_from(flags >> 2);
  if ((flags & 1) != 0) repair(params);
  ai::LogitBias bias[] = {{in.read<u8>().value_or(0) % 50u, in.read<i32>().value_or(0)}};
  auto first = ai::Sampler::create(params, bias, kVocabulary);
  auto second = ai::Sampler::create(params, bias, kVocabulary);
  if (!first.has_value()) return 0;
  float logits[kVocabulary], again[kVocabulary];
  for (float& v : logits)
    v = (flags & 2) != 0 ? in.read<float>().value_or(0)
                         : static_cast<float>(in.read<i8>().value_or(0)) / 8;
  StaticVector<ai::TokenId, 100> history;
  while (in.remaining() > 0 && history.push_back(MUST(in.read<u8>()) % kVocabulary)) {
  }
  for (u32 n = 0; n < 3; n++) {
    std::memcpy(again, logits, sizeof logits);
    float work[kVocabulary];
    std::memcpy(work, logits, sizeof logits);
    auto a = first->pick(work, history.view(), workspace);
    ai::Drawn drawn{.wanted = ai::Drawn::kMost};  // who looks changes nothing
    auto b = second->pick(again, history.view(), workspace, &drawn);
    ASSERT(a.has_value() == b.has_value());
    if (!a.has_value()) return 0;
    ASSERT(*a == *b && *a < kVocabulary);
    i64 sum = 0;
    for (const ai::TokenLogprob& one : std::span(drawn.best).first(drawn.count))
      sum += one.logprob_micro;
    ASSERT(drawn.count <= drawn.wanted && drawn.nano >= 0 && sum <= 1'000'000'100);
    if (!history.push_back(*a)) return 0;
  }
  return 0;
}
