// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the texts that keys sign, manifest.toml and trust.toml: their lines, and where the part
// that is signed ends. Pure: nothing is allocated, read or logged. Any context.
//
// The text is a subset of TOML: [table] lines, `key = "text"` or `key = number`, # comments. There
// are no escapes, arrays or texts of several lines. Keys and tables that are unknown are ignored,
// so that a newer text can be read; keys that occur twice are not.
#pragma once

#include <string_view>

#include "kernel/base/containers.h"
#include "kernel/crypto/ed25519.h"
#include "kernel/crypto/sha256.h"

namespace service::bundle {

constexpr usize kMostManifestBytes = 4096;
constexpr usize kMostSignatures = 8;

// The first 8 bytes of SHA-256 of a public key.
using KeyId = std::array<Byte, 8>;
KeyId key_id(const crypto::Ed25519PublicKey& key);

struct Signature {
  bool named = false;  // if not, it is the table [signature], which does not say whose it is
  KeyId key{};
  crypto::Ed25519Signature bytes{};
};
using Signatures = StaticVector<Signature, kMostSignatures>;

// The text behind a key. A word that is neither text nor number (true, 1.5) is for the keys that
// are unknown.
struct Value {
  enum class Kind : u8 { kText, kNumber, kOther } kind = Kind::kOther;
  std::string_view text;
};
Result<u64> number_of(const Value& value);
Result<std::string_view> text_of(const Value& value);
// Reads digits in lower case only: another spelling of a signature would be another file with the
// same meaning.
bool unhex(std::string_view text, std::span<Byte> out);

std::unexpected<Error> refuse(const char* why);  // kCorrupt

// Reads one text, once. A kind of text derives from it and takes the tables and keys.
class SignedReader {
 public:
  explicit SignedReader(std::string_view text) : text_(text) {}
  SignedReader(const SignedReader&) = delete;
  SignedReader& operator=(const SignedReader&) = delete;

 protected:
  ~SignedReader() = default;
  // Returns kCorrupt with the reason if the text has another form. Accepts no second spelling of a
  // signature, and nothing behind the signed part but signatures: a text with another bit is
  // refused here, or its signature does not fit.
  Result<void> read();
  std::string_view signed_part() const { return signed_part_; }
  const Signatures& signatures() const { return signatures_; }

 private:
  // Each table but those of signatures. The top, before the first table, begins without a call.
  virtual Result<void> on_table(std::string_view name) = 0;
  virtual Result<void> on_key(std::string_view key, const Value& value) = 0;
  virtual Result<void> on_table_end() = 0;

  struct Seen {
    u32 table;  // 0 is the top; the number of the table's line
    std::string_view key;
  };
  static constexpr usize kMostKeys = 128;  // lines with a key or a table

  Result<void> find_signed_part();
  Result<void> read_line(std::string_view line);
  Result<void> begin_table(std::string_view line);
  Result<void> begin_signature(std::string_view name);
  Result<void> end_table();
  Result<void> read_key(std::string_view line);
  Result<void> set_signature(std::string_view key, const Value& value);
  Result<void> note(u32 table, std::string_view key);

  std::string_view text_, signed_part_;
  Signatures signatures_;
  bool in_signature_ = false, has_algorithm_ = false, has_bytes_ = false;
  u32 table_number_ = 0, tables_ = 0;
  StaticVector<Seen, kMostKeys> seen_;
};

}  // namespace service::bundle
