// SPDX-License-Identifier: GPL-2.0-or-later
// Keys and manifests for the tests of bundles.
#pragma once

#include <string>

#include "kernel/base/hex.h"
#include "kernel/base/test.h"
#include "service/bundle/make.h"

namespace test_bundle {

using Seed = std::array<Byte, crypto::kEd25519SeedBytes>;

// The keys of RFC 8032, 7.1, TEST 2 and TEST 3: known to everybody, so good for nothing but tests.
constexpr Seed kSeed = {0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3,
                        0x46, 0xec, 0x11, 0x4e, 0x0f, 0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab,
                        0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8, 0xa6, 0xfb};
constexpr Seed kOtherSeed = {0xc5, 0xaa, 0x8d, 0xf4, 0x3f, 0x9f, 0x83, 0x7b, 0xed, 0xb7, 0x44,
                             0x2f, 0x31, 0xdc, 0xb7, 0xb1, 0x66, 0xd3, 0x85, 0x35, 0x07, 0x6f,
                             0x09, 0x4b, 0x85, 0xce, 0x3a, 0x2e, 0x0b, 0x44, 0x58, 0xf7};

inline service::bundle::TrustedKey trusted(const Seed& seed) {
  auto key = MUST(crypto::ed25519_public_key(seed));
  return {key, service::bundle::key_id(key), String()};
}

inline std::string id_of(const Seed& seed) {
  return std::string(service::bundle::name_of(trusted(seed).id).view());
}

inline std::string signed_by(const std::string& text, const Seed& seed) {
  return std::string(MUST(service::bundle::sign_manifest(text, seed)).view());
}

constexpr std::string_view kHash =
    "c740ccbbe79f482f5a0a04f900c03360c9173fe190e723c004519012677b5b95";

// A manifest without a signature. `more` are lines of its first table.
inline std::string manifest(const std::string& more = "", u64 generation = 7) {
  return "name = \"tiny\"\ngeneration = " + std::to_string(generation) + "\nformat = \"gguf\"\n" +
         more + "\n[file.model]\npath = \"model.gguf\"\nsha256 = \"" + std::string(kHash) +
         "\"\nsize = 256\n";
}

// More keys, each of one byte that is repeated.
inline Seed seed_of(u8 fill) {
  Seed seed;
  seed.fill(fill);
  return seed;
}

inline std::string hex_of(std::span<const Byte> bytes) {
  return std::string(MUST(base::hex_text(bytes)).view());
}

struct Listed {
  Seed seed;
  const char* use;
};

// A trust file without a signature. `more` are lines of its first table.
inline std::string trust_text(u64 version, u64 threshold, std::initializer_list<Listed> keys,
                              const std::string& more = "") {
  std::string text = "version = " + std::to_string(version) +
                     "\nthreshold = " + std::to_string(threshold) + "\n" + more;
  for (const Listed& key : keys)
    text += "\n[key." + id_of(key.seed) + "]\npub = \"" + hex_of(trusted(key.seed).key) +
            "\"\nuse = \"" + key.use + "\"\n";
  return text;
}

inline std::string signed_by_all(std::string text, std::initializer_list<Seed> seeds) {
  for (const Seed& seed : seeds) text = signed_by(text, seed);
  return text;
}

}  // namespace test_bundle
