// SPDX-License-Identifier: GPL-2.0-or-later
// SHA-256 with the SHA extensions. Intel SDM volume 1, 5.17; FIPS 180-4, 6.2.2.
#include <cpuid.h>
#include <immintrin.h>

#include "ai/kernels/hash.h"
#include "kernel/crypto/sha256_rounds.h"

#define SHA_ENTRY [[gnu::target("sha,sse4.1")]] static
#define SHA [[gnu::target("sha,sse4.1"), gnu::always_inline]] static inline
#define UNROLL _Pragma("GCC unroll 16")

namespace ai {
namespace {

constexpr u32 kGroups = 16;  // of four rounds

// The instructions want the words as (A, B, E, F) and (C, D, G, H), the first one highest.
struct State {
  __m128i abef, cdgh;
};

SHA State load_state(const u32* at) {
  __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)), 0xb1);
  __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 4)), 0x1b);
  return {_mm_alignr_epi8(badc, hgfe, 8), _mm_blend_epi16(hgfe, badc, 0xf0)};
}

SHA void store_state(State state, u32* at) {
  __m128i feba = _mm_shuffle_epi32(state.abef, 0x1b), dchg = _mm_shuffle_epi32(state.cdgh, 0xb1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(at), _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(at + 4), _mm_alignr_epi8(dchg, feba, 8));
}

// Four words of the message, which has the highest byte first.
SHA __m128i load_words(const Byte* at) {
  const __m128i reverse = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  return _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)), reverse);
}

// The next four words of the schedule, of the 16 before them, the oldest first.
SHA __m128i next_words(__m128i a, __m128i b, __m128i c, __m128i d) {
  __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(a, b), _mm_alignr_epi8(d, c, 4));
  return _mm_sha256msg2_epu32(sum, d);
}

SHA_ENTRY void take_blocks(u32* words, const Byte* at, usize blocks) {
  State state = load_state(words);
  for (; blocks > 0; blocks--, at += 64) {
    State before = state;
    __m128i w[4];
    UNROLL for (u32 i = 0; i < kGroups; i++) {
      __m128i& now = w[i % 4];
      now = i < 4 ? load_words(at + 16 * i)
                  : next_words(now, w[(i + 1) % 4], w[(i + 2) % 4], w[(i + 3) % 4]);
      const auto* rounds = reinterpret_cast<const __m128i*>(crypto::kSha256Rounds + 4 * i);
      __m128i sum = _mm_add_epi32(now, _mm_loadu_si128(rounds));
      state.cdgh = _mm_sha256rnds2_epu32(state.cdgh, state.abef, sum);
      state.abef = _mm_sha256rnds2_epu32(state.abef, state.cdgh, _mm_shuffle_epi32(sum, 0x0e));
    }
    state.abef = _mm_add_epi32(state.abef, before.abef);
    state.cdgh = _mm_add_epi32(state.cdgh, before.cdgh);
  }
  store_state(state, words);
}

}  // namespace

// CPUID leaves 1 and 7.0: Intel SDM volume 2A. The registers are those of SSE, which every x86-64
// kernel keeps.
HashBlocks arch_hash_blocks() {
  constexpr u32 kSsse3 = 1u << 9, kSse41 = 1u << 19, kSha = 1u << 29;
  u32 a = 0, b = 0, c = 0, d = 0;
  bool shuffles = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & kSsse3) != 0 && (c & kSse41) != 0;
  bool hashes = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & kSha) != 0;
  return shuffles && hashes ? take_blocks : nullptr;
}

}  // namespace ai
