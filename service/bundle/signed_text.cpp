// SPDX-License-Identifier: GPL-2.0-or-later
// Reads signed texts line by line.
#include "service/bundle/signed_text.h"

#include <algorithm>

#include "kernel/base/hex.h"
#include "kernel/base/text.h"

namespace service::bundle {
namespace {

constexpr std::string_view kSignatureTable = "signature";
constexpr std::string_view kSignatureMark = "[signature";
constexpr std::string_view kBlanks = " \t";

bool is_bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Reads the value at the front of `rest`.
Result<Value> take_value(std::string_view& rest) {
  if (rest.empty()) return refuse("a key has no value");
  if (rest.front() == '"') {
    usize end = rest.find('"', 1);
    if (end == rest.npos) return refuse("a text has no closing quote");
    Value value{Value::Kind::kText, rest.substr(1, end - 1)};
    if (value.text.contains('\\')) return refuse("a text has a backslash: there are no escapes");
    rest.remove_prefix(end + 1);
    if (rest.starts_with('"')) return refuse("a text of several lines is not allowed");
    return value;
  }
  usize size = 0;
  while (size < rest.size() &&
         (is_bare(rest[size]) || rest[size] == '.' || rest[size] == '+' || rest[size] == ':'))
    size++;
  if (size == 0) return refuse("a value is neither a text in quotes nor a number");
  Value value{Value::Kind::kOther, rest.substr(0, size)};
  rest.remove_prefix(size);
  if (std::ranges::all_of(value.text, is_digit)) value.kind = Value::Kind::kNumber;
  return value;
}

}  // namespace

std::unexpected<Error> refuse(const char* why) {
  return fail(Errc::kCorrupt, why);
}

Result<u64> number_of(const Value& value) {
  if (value.kind != Value::Kind::kNumber) return refuse("a number is missing");
  if (value.text.size() > 1 && value.text.front() == '0')
    return refuse("a number begins with a zero");
  u64 number = 0;
  for (char c : value.text)
    if (__builtin_mul_overflow(number, u64{10}, &number) ||
        __builtin_add_overflow(number, static_cast<u64>(c - '0'), &number))
      return refuse("a number is too large");
  return number;
}

Result<std::string_view> text_of(const Value& value) {
  if (value.kind != Value::Kind::kText) return refuse("a text in quotes is missing");
  return value.text;
}

bool unhex(std::string_view text, std::span<Byte> out) {
  return text.find_first_of("ABCDEF") == text.npos && base::read_hex(text, out);
}

// The signed part ends where a reader that only looks for "[signature" finds it, whatever that
// reader thinks of lines and quotes. So nothing before may contain these characters.
Result<void> SignedReader::find_signed_part() {
  signed_part_ = text_;
  usize at = text_.find(kSignatureMark);
  if (at == text_.npos) return {};
  std::string_view line = text_.substr(at, text_.substr(at).find('\n'));
  if ((at > 0 && text_[at - 1] != '\n') || line != "[signature]")
    return refuse("the first line with [signature must be [signature] and nothing else");
  signed_part_ = text_.substr(0, at);
  return {};
}

Result<void> SignedReader::read() {
  if (text_.size() > kMostManifestBytes) return refuse("it has more than 4096 bytes");
  for (char c : text_) {
    auto byte = static_cast<u8>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f)
      return refuse("it has control characters (lines end with one line feed)");
  }
  TRY(find_signed_part());
  for (std::string_view rest = text_; !rest.empty();) TRY(read_line(base::split_off(rest, '\n')));
  return end_table();
}

Result<void> SignedReader::read_line(std::string_view line) {
  line = base::trim(line, kBlanks);
  if (line.empty() || line.front() == '#') return {};
  return line.front() == '[' ? begin_table(line) : read_key(line);
}

// Notes a table or key, and refuses it the second time.
Result<void> SignedReader::note(u32 table, std::string_view key) {
  for (const Seen& seen : seen_)
    if (seen.table == table && seen.key == key) return refuse("a key or a table occurs twice");
  if (!seen_.push_back({table, key})) return refuse("it has too many keys");
  return {};
}

Result<void> SignedReader::begin_table(std::string_view line) {
  constexpr u32 kTables = ~u32{0};  // the number under which names of tables are noted
  TRY(end_table());
  usize end = line.find(']');
  if (end == line.npos) return refuse("a table's name has no closing bracket");
  std::string_view name = line.substr(1, end - 1);
  std::string_view behind = base::trim(line.substr(end + 1), kBlanks);
  bool good =
      !name.empty() && std::ranges::all_of(name, [](char c) { return is_bare(c) || c == '.'; });
  if (!good || (!behind.empty() && behind.front() != '#'))
    return refuse("a line is not a table's name in brackets");
  TRY(note(kTables, name));
  table_number_ = ++tables_;
  bool signature = name == kSignatureTable || name.starts_with("signature.");
  if (signature) return begin_signature(name);
  if (!signatures_.empty())
    return refuse("a table follows the signatures, where it would not be signed");
  return on_table(name);
}

Result<void> SignedReader::begin_signature(std::string_view name) {
  Signature signature;
  if (name != kSignatureTable) {
    KeyId id;
    if (!unhex(name.substr(kSignatureTable.size() + 1), id))
      return refuse("[signature.KEYID] needs 16 hexadecimal digits in lower case");
    signature.named = true;
    signature.key = id;
  }
  if (!signatures_.push_back(signature)) return refuse("it has too many signatures");
  in_signature_ = true;
  has_algorithm_ = has_bytes_ = false;
  return {};
}

// Complains about what is missing in the table that ends.
Result<void> SignedReader::end_table() {
  if (!in_signature_) return on_table_end();
  if (!has_algorithm_ || !has_bytes_) return refuse("a signature needs algo and sig");
  return {};
}

Result<void> SignedReader::read_key(std::string_view line) {
  usize size = 0;
  while (size < line.size() && is_bare(line[size])) size++;
  std::string_view key = line.substr(0, size);
  std::string_view rest = base::trim(line.substr(size), kBlanks);
  if (key.empty() || !rest.starts_with('=')) return refuse("a line is not key = value");
  rest = base::trim(rest.substr(1), kBlanks);
  Value value = TRY(take_value(rest));
  rest = base::trim(rest, kBlanks);
  if (!rest.empty() && rest.front() != '#') return refuse("something follows a value");
  TRY(note(table_number_, key));
  return in_signature_ ? set_signature(key, value) : on_key(key, value);
}

Result<void> SignedReader::set_signature(std::string_view key, const Value& value) {
  Signature& signature = signatures_[signatures_.size() - 1];
  if (key == "algo") {
    if (TRY(text_of(value)) != "ed25519") return refuse("a signature is not of algo = \"ed25519\"");
    has_algorithm_ = true;
  } else if (key == "sig") {
    if (!unhex(TRY(text_of(value)), signature.bytes))
      return refuse("sig needs 128 hexadecimal digits in lower case");
    has_bytes_ = true;
  }
  return {};
}

KeyId key_id(const crypto::Ed25519PublicKey& key) {
  crypto::Sha256 sha;
  sha.update(key);
  crypto::Sha256Digest digest = sha.finish();
  KeyId id;
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

}  // namespace service::bundle
