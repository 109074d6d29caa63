// SPDX-License-Identifier: GPL-2.0-or-later
// Gives receipts their parts from this machine: the key that signs them, and the hash of a loaded
// model's file. Any thread of CPU 0.
#pragma once

#include "ai/engine/lease.h"
#include "kernel/crypto/ed25519.h"
#include "kernel/crypto/sha256.h"
#include "service/progress_sink.h"

namespace service {

// Reads the machine's key, or makes and keeps one: in the file of receipts.key=, or where secrets
// are kept (storage.h). Does nothing if it is there already. Waits for disks.
Result<void> open_receipt_key();
const crypto::Ed25519PublicKey* receipt_key();  // null until it was opened
std::string_view receipt_key_place();           // where it is kept, for people
Result<crypto::Ed25519Signature> sign_receipt(std::span<const Byte> message);
void forget_receipt_key();  // for tests: as after a restart

// Returns SHA-256 of all bytes of a loaded model's file, its parts in order. They are those in
// memory, put back into the file's order, so the hash speaks of the bytes that compute. Each load
// is hashed once. Waits; `watcher` may be null, and stops it.
Result<crypto::Sha256Digest> hash_model(const ai::Lease& lease, ProgressSink* watcher);
// Returns the same, or null while a thread of its own computes it, which calls `news` in the end.
// Does not wait.
Result<const crypto::Sha256Digest*> known_model_hash(const ai::Lease& lease, void (*news)());
// Returns the hash of that load if it was computed already, otherwise null.
const crypto::Sha256Digest* computed_model_hash(u64 load_number);

}  // namespace service
