// SPDX-License-Identifier: GPL-2.0-or-later
// The generator behind ids and ports.
#include "kernel/crypto/random.h"

#include <algorithm>
#include <bit>
#include <set>
#include <vector>

#include "kernel/base/test.h"
#include "kernel/crypto/aes_gcm.h"

namespace {

using Bytes = std::vector<Byte>;

Bytes given(crypto::Generator& generator, usize count) {
  Bytes out(count);
  generator.fill(out);
  return out;
}

}  // namespace

TEST(crypto_random, the_same_secret_gives_the_same_and_another_does_not) {
  const Byte one[] = {1, 2, 3}, two[] = {1, 2, 4};
  crypto::Generator a, b, c;
  a.mix(one);
  b.mix(one);
  c.mix(two);
  Bytes first = given(a, 100);
  EXPECT(first == given(b, 100));
  EXPECT(first != given(c, 100));
  EXPECT(first != given(a, 100));
  // Added entropy changes everything that follows.
  a.mix(one);
  b.mix(two);
  EXPECT(given(a, 32) != given(b, 32));
}

// The key is another after each call: two calls give other bytes than one of both lengths.
TEST(crypto_random, the_key_does_not_stay) {
  const Byte secret[] = {9};
  crypto::Generator a, b;
  a.mix(secret);
  b.mix(secret);
  Bytes together = given(a, 64), first = given(b, 32), second = given(b, 32);
  EXPECT(std::equal(first.begin(), first.end(), together.begin()));
  EXPECT(!std::equal(second.begin(), second.end(), together.begin() + 32));
}

TEST(crypto_random, numbers_of_the_machine_differ_in_all_their_bits) {
  std::set<u64> seen;
  u64 ever_set = 0, ever_clear = 0;
  u32 ones = 0;
  for (u32 i = 0; i < 1000; i++) {
    u64 word = crypto::random_u64();
    seen.insert(word);
    ever_set |= word;
    ever_clear |= ~word;
    ones += static_cast<u32>(std::popcount(word));
  }
  EXPECT_EQ(seen.size(), 1000u);
  EXPECT_EQ(ever_set & ever_clear, ~u64{0});
  EXPECT(ones > 31'000 && ones < 33'000);  // 32,000 and eight standard deviations
  EXPECT(crypto::random_is_secret());
}

// A key does not outlive its owner: the memory of both kinds holds zeros afterwards.
TEST(crypto_random, keys_are_wiped_when_they_are_dropped) {
  auto is_clear = [](const Bytes& memory) {
    return std::all_of(memory.begin(), memory.end(), [](Byte b) { return b == 0; });
  };
  const Byte secret[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  alignas(16) Byte place[sizeof(crypto::AesKey) + sizeof(crypto::Generator)];
  auto* key = ::new (place) crypto::AesKey;
  ASSERT(key->expand(secret));
  EXPECT(!is_clear(Bytes(place, place + sizeof key->schedule)));
  key->~AesKey();
  EXPECT(is_clear(Bytes(place, place + sizeof(crypto::AesKey::schedule))));
  auto* generator = ::new (place) crypto::Generator;
  generator->mix(secret);
  EXPECT(!is_clear(Bytes(place, place + sizeof(crypto::Sha256Digest))));
  generator->~Generator();
  EXPECT(is_clear(Bytes(place, place + sizeof(crypto::Sha256Digest))));
}
