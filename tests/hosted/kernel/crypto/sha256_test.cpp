// SPDX-License-Identifier: GPL-2.0-or-later
// SHA-256 against the standard's examples, however the message is cut, and the CPU's instructions
// against the plain code.
#include "kernel/crypto/sha256.h"

#include <string>
#include <vector>

#include "ai/kernels/hash.h"
#include "kernel/base/hex.h"
#include "kernel/base/test.h"

namespace {

using crypto::Sha256, crypto::Sha256By;

std::string hex(const crypto::Sha256Digest& digest) {
  return std::string(MUST(base::hex_text(digest)).view());
}

std::vector<Byte> noise(usize bytes) {
  std::vector<Byte> out(bytes);
  u32 state = 1;
  for (Byte& b : out) b = static_cast<Byte>((state = state * 1'664'525 + 1'013'904'223) >> 24);
  return out;
}

template <class Hash>
crypto::Sha256Digest cut(Hash sha, std::span<const Byte> bytes, usize first) {
  first = std::min(first, bytes.size());
  sha.update(bytes.first(first));
  sha.update(bytes.subspan(first));
  return sha.finish();
}

}  // namespace

// FIPS 180-4's examples, and a million times "a".
TEST(sha256, known_digests) {
  EXPECT(hex(crypto::sha256("")) ==
         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT(hex(crypto::sha256("abc")) ==
         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT(hex(crypto::sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")) ==
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT(hex(crypto::sha256(std::string(1'000'000, 'a'))) ==
         "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(sha256, instructions_give_the_same_as_plain_code) {
  ai::HashBlocks fast = ai::arch_hash_blocks();
  std::vector<Byte> bytes = noise(10'000);
  for (usize size = 0; size < 300; size++) {
    std::span<const Byte> part(bytes.data(), size);
    crypto::Sha256Digest whole = cut(Sha256(), part, size);
    for (usize first : {usize{0}, usize{1}, usize{63}, usize{64}, usize{65}, usize{130}}) {
      EXPECT(cut(Sha256(), part, first) == whole);
      if (fast != nullptr) EXPECT(cut(Sha256By(fast), part, first) == whole);
    }
  }
  crypto::Sha256Digest all = cut(Sha256(), bytes, 0);
  if (fast == nullptr) return test.skip("this CPU has no instructions for SHA-256");
  for (usize first : {usize{0}, usize{17}, usize{4096}, usize{9999}})
    EXPECT(cut(Sha256By(fast), bytes, first) == all);
}
