// SPDX-License-Identifier: GPL-2.0-or-later
// Takes what the lines of a trust file say, and counts its signers.
#include "service/bundle/trust_file.h"

#include <algorithm>

#include "kernel/base/text.h"

namespace service::bundle {
namespace {

constexpr std::string_view kKeyTable = "key.";

class Parser final : public SignedReader {
 public:
  using SignedReader::SignedReader;
  Result<TrustFile> run();

 private:
  Result<void> on_table(std::string_view name) override;
  Result<void> on_key(std::string_view key, const Value& value) override;
  Result<void> on_table_end() override;
  Result<void> set_top(std::string_view key, const Value& value);
  Result<void> set_listed(std::string_view key, const Value& value);

  TrustFile out_;
  enum class Table : u8 { kTop, kListed, kOther } table_ = Table::kTop;
  bool has_key_ = false, has_use_ = false;  // of the table that is being read
};

// Reads a text of words in hexadecimal digits, with blanks between them.
template <class Item, usize N>
Result<void> read_list(std::string_view text, StaticVector<Item, N>& out, const char* why) {
  for (std::string_view rest = base::trim(text, " "); !rest.empty(); rest = base::trim(rest, " ")) {
    Item item;
    if (!unhex(base::split_off(rest, ' '), item)) return refuse(why);
    if (std::ranges::find(out, item) != out.end()) return refuse("something is revoked twice");
    if (!out.push_back(item))
      return refuse("too much is revoked: 32 keys and 40 files are the most");
  }
  return {};
}

Result<void> Parser::on_table(std::string_view name) {
  has_key_ = has_use_ = false;
  table_ = Table::kOther;
  if (name == "file" || name.starts_with("file."))
    return refuse("a trust file describes no files: this looks like a manifest");
  if (!name.starts_with(kKeyTable)) return {};
  table_ = Table::kListed;
  ListedKey listed;
  if (!unhex(name.substr(kKeyTable.size()), listed.id))
    return refuse("[key.KEYID] needs 16 hexadecimal digits in lower case");
  return out_.keys.push_back(listed) ? Result<void>{} : refuse("it has more than 16 keys");
}

Result<void> Parser::on_key(std::string_view key, const Value& value) {
  if (table_ == Table::kTop) return set_top(key, value);
  return table_ == Table::kListed ? set_listed(key, value) : Result<void>{};
}

Result<void> Parser::set_top(std::string_view key, const Value& value) {
  struct Row {
    std::string_view key;
    u64 TrustFile::* to;
  };
  static constexpr Row kNumbers[] = {{"version", &TrustFile::version},
                                     {"threshold", &TrustFile::threshold},
                                     {"epoch_floor", &TrustFile::epoch_floor}};
  for (const Row& row : kNumbers)
    if (key == row.key) out_.*row.to = TRY(number_of(value));
  if (key == "revoked_keys")
    return read_list(TRY(text_of(value)), out_.revoked_keys,
                     "revoked_keys needs ids of 16 hexadecimal digits with blanks between them");
  if (key == "revoked_files")
    return read_list(
        TRY(text_of(value)), out_.revoked_files,
        "revoked_files needs SHA-256 of 64 hexadecimal digits with blanks between them");
  for (std::string_view other : {"name", "generation", "format"})
    if (key == other) return refuse("a trust file has no name, generation and format");
  return {};
}

Result<void> Parser::set_listed(std::string_view key, const Value& value) {
  ListedKey& listed = out_.keys[out_.keys.size() - 1];
  if (key == "pub") {
    if (!unhex(TRY(text_of(value)), listed.key))
      return refuse("pub needs 64 hexadecimal digits in lower case");
    if (key_id(listed.key) != listed.id) return refuse("a key's id is not that of its pub");
    if (!crypto::ed25519_is_key(listed.key)) return refuse("a pub is no public key of Ed25519");
    has_key_ = true;
  } else if (key == "use") {
    std::string_view use = TRY(text_of(value));
    const auto* row = std::ranges::find(kUseNames, use);
    if (row == std::end(kUseNames)) return refuse("a key's use is neither root, model nor kernel");
    listed.use = static_cast<Use>(row - kUseNames);
    has_use_ = true;
  }
  return {};
}

Result<void> Parser::on_table_end() {
  if (table_ == Table::kListed && (!has_key_ || !has_use_))
    return refuse("a key needs pub and use");
  return {};
}

Result<TrustFile> Parser::run() {
  TRY(read());
  out_.signed_part = signed_part();
  out_.signatures = signatures();
  if (out_.version == 0 || out_.threshold == 0)
    return refuse("a trust file needs version and threshold, both from 1");
  if (quorum_of(out_).keys.size() < out_.threshold)
    return refuse("it has fewer root keys than its threshold: no version could follow it");
  return out_;
}

const ListedKey* find(const Quorum& quorum, const KeyId& id) {
  const auto* row = std::ranges::find(quorum.keys, id, &ListedKey::id);
  return row == quorum.keys.end() ? nullptr : row;
}

Result<bool> fits(const TrustFile& file, const ListedKey& key, const Signature& signature) {
  std::string_view text = file.signed_part;
  Result<void> good = crypto::ed25519_verify(
      key.key, {reinterpret_cast<const Byte*>(text.data()), text.size()}, signature.bytes);
  if (!good.has_value() && good.error().code == Errc::kOutOfMemory)
    return std::unexpected(good.error());
  return good.has_value();
}

// Returns true if a root key of one of the two versions made a signature. A named one is tried with
// its key only.
Result<bool> is_good(const TrustFile& file, const Signature& signature, const Quorum& before,
                     const Quorum& own) {
  for (const Quorum* quorum : {&own, &before})
    for (const ListedKey& key : quorum->keys) {
      if (signature.named && key.id != signature.key) continue;
      bool good = TRY(fits(file, key, signature));
      if (good || signature.named) return good;
    }
  return false;
}

// Returns true if the signature without a name repeats one that has a name.
bool is_repeated(const TrustFile& file, const Signature& plain) {
  return std::ranges::any_of(file.signatures, [&](const Signature& other) {
    return other.named && other.bytes == plain.bytes;
  });
}

// Looks for a signature that must not be there.
Result<Step> judge_each(const TrustFile& next, const Quorum& before, const Quorum& own) {
  for (const Signature& signature : next.signatures) {
    if (!signature.named && is_repeated(next, signature)) continue;
    bool known = !signature.named || find(before, signature.key) != nullptr ||
                 find(own, signature.key) != nullptr;
    if (!known) return Step::kUnknownKey;
    if (!TRY(is_good(next, signature, before, own))) return Step::kBadSignature;
  }
  return Step::kFollows;
}

}  // namespace

bool TrustFile::revokes(const KeyId& id) const {
  return std::ranges::find(revoked_keys, id) != revoked_keys.end();
}

bool TrustFile::revokes(const crypto::Sha256Digest& file) const {
  return std::ranges::find(revoked_files, file) != revoked_files.end();
}

Result<TrustFile> parse_trust(std::string_view text) {
  return Parser(text).run();
}

Quorum quorum_of(const TrustFile& file) {
  Quorum quorum{file.threshold, {}};
  for (const ListedKey& key : file.keys)
    if (key.use == Use::kRoot && !file.revokes(key.id))
      static_cast<void>(quorum.keys.push_back(key));  // it has as much room as file.keys
  return quorum;
}

Result<u64> count_signers(const TrustFile& file, const Quorum& quorum) {
  u64 count = 0;
  for (const ListedKey& key : quorum.keys) {
    bool signed_by = false;
    for (const Signature& signature : file.signatures) {
      bool may_be = !signed_by && (!signature.named || signature.key == key.id);
      if (may_be) signed_by = TRY(fits(file, key, signature));
    }
    count += signed_by ? 1 : 0;
  }
  return count;
}

const char* step_reason(Step step) {
  constexpr const char* kReasons[] = {
      "it follows",
      "its version is not above the one that this machine has",
      "versions are missing: put each one beside it as trust.VERSION.toml",
      "it is signed by a key that is no root key",
      "a signature is wrong",
      "too few root keys of the version before have signed it",
      "too few root keys of its own have signed it"};
  return kReasons[static_cast<usize>(step)];
}

Result<Step> judge_step(const TrustFile& next, u64 now, const Quorum& before) {
  if (next.version <= now) return Step::kOld;
  if (next.version - now > 1) return Step::kGap;
  Quorum own = quorum_of(next);
  Step each = TRY(judge_each(next, before, own));
  if (each != Step::kFollows) return each;
  if (TRY(count_signers(next, before)) < before.threshold) return Step::kOldQuorum;
  return TRY(count_signers(next, own)) < own.threshold ? Step::kOwnQuorum : Step::kFollows;
}

Result<Step> judge_first(const TrustFile& file) {
  Quorum own = quorum_of(file);
  return TRY(count_signers(file, own)) < own.threshold ? Step::kOwnQuorum : Step::kFollows;
}

}  // namespace service::bundle
