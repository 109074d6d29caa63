// SPDX-License-Identifier: GPL-2.0-or-later
// Ed25519 signatures (RFC 8032, 5.1) on wolfSSL's arithmetic. Verification is strict: for one key
// and message it accepts exactly the signatures that a signer can make, whatever another library
// would forgive. For threads: it needs some kilobytes of stack and may need memory.
#pragma once

#include <array>
#include <span>

#include "kernel/base/result.h"

namespace crypto {

constexpr usize kEd25519SeedBytes = 32, kEd25519KeyBytes = 32, kEd25519SignatureBytes = 64;
using Ed25519Seed = std::span<const Byte, kEd25519SeedBytes>;  // secret: the owner wipes it
using Ed25519PublicKey = std::array<Byte, kEd25519KeyBytes>;
using Ed25519Signature = std::array<Byte, kEd25519SignatureBytes>;

// Returns false for a key that must not be trusted: bytes that are not the one encoding of a point,
// and the eight points of small order, for which anybody can make signatures.
[[nodiscard]] bool ed25519_is_key(const Ed25519PublicKey& key);

// Returns kCorrupt if `signature` is not one of `message` by the owner of `key`, and kOutOfMemory
// if that could not be found out. Not in constant time: nothing here is secret.
Result<void> ed25519_verify(const Ed25519PublicKey& key, std::span<const Byte> message,
                            const Ed25519Signature& signature);

Result<Ed25519PublicKey> ed25519_public_key(Ed25519Seed seed);
// The same seed and message give the same signature.
Result<Ed25519Signature> ed25519_sign(Ed25519Seed seed, std::span<const Byte> message);

}  // namespace crypto
