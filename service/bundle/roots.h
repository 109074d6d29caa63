// SPDX-License-Identifier: GPL-2.0-or-later
// Finds out whom this machine trusts: the keys of its image (version 0), or the trust.toml that
// followed them.
//
// Keys come with the image, as boot modules named *.pub or without a name (32 bytes each), and in
// the hosted twin from files that trust.keys= names. A module trust.toml, which trust.keys= may
// name as well, is taken as it is. Each later version must be signed by root keys of the one
// before, wherever it lies. All versions that were accepted are kept, so that they can be proved
// again from the image's keys: who can write the disk adds no key. For threads of CPU 0.
#pragma once

#include <optional>

#include "service/bundle/trust_file.h"

namespace service::bundle {

// One key, as judge() needs it.
struct TrustedKey {
  crypto::Ed25519PublicKey key{};
  KeyId id{};
  String path;  // where it was read
  bool revoked = false;
  bool known = true;  // if not, it is revoked by its id, and `key` is nothing
};

// Returns the keys that sign for `use`, kModel or kKernel, and the revoked ones. Without a
// trust.toml all keys of the image sign both. The first call reads them and logs what it finds.
// Waits for disks; the span is good until the next wait.
std::span<const TrustedKey> trusted_keys(Use use = Use::kModel);
void forget_trusted_keys();  // for tests: as after a restart

// The facts that `keys` and /health show. Its members are good until the next wait.
struct Trust {
  const TrustFile* file = nullptr;  // null without a trust.toml
  std::string_view path;            // where it was read
  u64 lost_version = 0;             // of a record that the image's keys do not lead to; 0 = none
};
Trust trust_now();  // reads and waits for nothing

// Returns true if the trust.toml revokes a file with this hash, null if there is none.
bool is_revoked(const crypto::Sha256Digest& file);
u64 epoch_floor();

// Looks for a newer trust.toml in a folder, and takes it if it follows. Logs what it does, once for
// each text. Waits for disks.
void look_for_trust(std::string_view folder);
// Says why the trust.toml of a folder is not in force: nothing if there is none, or it is. Waits
// for disks.
struct TrustRefusal {
  u64 version = 0;  // 0 = it could not be read
  const char* reason = "";
};
std::optional<TrustRefusal> refusal_of_trust(std::string_view folder);

// A person gives up the versions that this machine has accepted: the image's keys count again.
Result<void> accept_older_trust();

// A public key: 32 bytes and nothing else.
Result<crypto::Ed25519PublicKey> read_public_key(std::string_view path);

// A key's id in text, which is the name of its table in a manifest.
struct KeyName {
  char digits[17] = {};
  std::string_view view() const { return {digits, 16}; }
};
KeyName name_of(const KeyId& id);

}  // namespace service::bundle
