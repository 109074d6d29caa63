// SPDX-License-Identifier: GPL-2.0-or-later
// Makes new versions of trust.toml. For threads of CPU 0; waits for disks.
#pragma once

#include <optional>

#include "service/bundle/trust_file.h"

namespace service::bundle {

// The differences between a new version and the one before.
struct TrustChange {
  std::optional<u64> threshold, epoch_floor;
  Vector<ListedKey> listed;  // replaces a key of the same id
  Vector<KeyId> dropped;
  Vector<KeyId> revoked_keys;
  Vector<crypto::Sha256Digest> revoked_files;
};

// Returns the text of the next version, without signatures. `before` is null for version 1.
Result<String> next_trust_text(const TrustFile* before, const TrustChange& change);

// How many root keys have signed a version, and how many must.
struct Signers {
  u64 have = 0, need = 0;
};
struct TrustReport {
  u64 version = 0;
  std::optional<Signers> before;  // of the version before, if that lies beside it
  Signers own;
};
// Writes the next version of a trust.toml and signs it with the keys in some files. The version
// that lies there, which must be complete, stays beside it as trust.VERSION.toml. Without a file,
// version 1 is made.
Result<TrustReport> write_next_trust(std::string_view path, const TrustChange& change,
                                     std::span<const std::string_view> seed_paths);
// Adds a signature to a trust.toml. Returns the key's id in `id`.
Result<TrustReport> sign_trust(std::string_view path, std::string_view seed_path, KeyId& id);

}  // namespace service::bundle
