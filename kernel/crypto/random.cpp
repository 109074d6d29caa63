// SPDX-License-Identifier: GPL-2.0-or-later
// Computes SHA-256 over a key, a purpose and a counter.
#include "kernel/crypto/random.h"

#include <algorithm>

#include "kernel/arch_contract.h"
#include "kernel/base/wipe.h"
#include "kernel/crypto/entropy.h"

namespace crypto {
namespace {

constexpr u8 kOutput = 0, kNextKey = 1;

struct Machine {
  Generator generator;
  bool started = false, secret = false;
};
void mix_word(Generator& generator, u64 word) {
  generator.mix({reinterpret_cast<const Byte*>(&word), sizeof word});
}

Machine& machine() {
  static constinit Machine the;
  if (the.started) return the;
  the.started = true;
  Byte seed[32];
  the.secret = entropy(seed).has_value();
  if (the.secret) the.generator.mix(seed);
  base::wipe(seed, sizeof seed);
  mix_word(the.generator, arch::Cpu::random_seed());
  return the;
}

}  // namespace

Generator::~Generator() {
  base::wipe(key_.data(), key_.size());
}

Sha256Digest Generator::block(u8 purpose) {
  Sha256 hash;
  hash.update(key_);
  hash.update({&purpose, 1});
  u64 number = blocks_++;
  hash.update({reinterpret_cast<const Byte*>(&number), sizeof number});
  return hash.finish();
}

void Generator::mix(std::span<const Byte> secret) {
  Sha256 hash;
  hash.update(key_);
  hash.update(secret);
  key_ = hash.finish();
}

void Generator::fill(std::span<Byte> out) {
  while (!out.empty()) {
    Sha256Digest bytes = block(kOutput);
    usize part = std::min(out.size(), bytes.size());
    std::copy_n(bytes.begin(), part, out.begin());
    base::wipe(bytes.data(), bytes.size());
    out = out.subspan(part);
  }
  key_ = block(kNextKey);
}

void random_fill(std::span<Byte> out) {
  Generator& generator = machine().generator;
  mix_word(generator, arch::Cpu::now_ticks());
  generator.fill(out);
}

u64 random_u64() {
  u64 word = 0;
  random_fill({reinterpret_cast<Byte*>(&word), sizeof word});
  return word;
}

bool random_is_secret() {
  return machine().secret;
}

}  // namespace crypto
