// SPDX-License-Identifier: GPL-2.0-or-later
// Parses manifests line by line.
#include "service/bundle/manifest.h"

#include <algorithm>

#include "kernel/base/hex.h"
#include "kernel/base/text.h"

namespace service::bundle {
namespace {

constexpr std::string_view kSignatureTable = "signature";
constexpr std::string_view kSignatureMark = "[signature";
constexpr usize kMostKeys = 128;  // lines with a key or a table, in a manifest of 4096 bytes
constexpr std::string_view kBlanks = " \t";

std::unexpected<Error> refuse(const char* why) {
  return fail(Errc::kCorrupt, why);
}

bool is_bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// ---- values ---------------------------------------------------------------------------------

struct Value {
  enum class Kind : u8 { kText, kNumber, kOther } kind = Kind::kOther;
  std::string_view text;
};

// Reads the value at the front of `rest`. A word that is neither text nor number (true, 1.5) is for
// the keys that are unknown.
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

// Only lower case: another spelling of a signature would be another file with the same meaning.
bool unhex(std::string_view text, std::span<Byte> out) {
  return text.find_first_of("ABCDEF") == text.npos && base::read_hex(text, out);
}

// ---- tables ---------------------------------------------------------------------------------

// Holds the tables and keys that a manifest has so far, and the fields that are complete only at
// the end of a table.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}
  Result<Manifest> run();

 private:
  // The table that is being read. kOther is ignored.
  enum class Table : u8 { kTop, kModel, kTokenizer, kKernel, kSignature, kOther };
  struct Seen {
    u32 table;  // 0 is the top; the number of the table's line
    std::string_view key;
  };
  // Fields that have to be there, as bits of got_.
  enum Field : u16 {
    kOptional = 0,
    kName = 1,
    kGeneration = 2,
    kFormat = 4,
    kPath = 8,
    kHash = 16,
    kSize = 32,
    kAlgorithm = 64,
    kSig = 128,
    kChunk = 256,
    kChunks = 512,
    kVersion = 1024,
    kMachine = 2048
  };

  Result<void> find_signed_part();
  Result<void> read_line(std::string_view line);
  Result<void> begin_table(std::string_view line);
  Result<void> begin_signature(std::string_view name);
  Result<void> end_table();
  Result<void> read_key(std::string_view line);
  Result<void> set(std::string_view key, const Value& value);
  Result<void> set_top(std::string_view key, const Value& value);
  Result<void> set_file(Payload& file, std::string_view key, const Value& value);
  Result<void> set_signature(std::string_view key, const Value& value);
  Result<void> note(u32 table, std::string_view key);
  Result<void> finish();
  Result<void> finish_model();
  Result<void> finish_kernel();

  std::string_view text_;
  Manifest out_;
  Table table_ = Table::kTop;
  u32 table_number_ = 0, tables_ = 0;
  u32 top_ = 0, got_ = 0;  // fields of the top, and of the table that is being read
  StaticVector<Seen, kMostKeys> seen_;
};

// The signed part ends where a reader that only looks for "[signature" finds it, whatever that
// reader thinks of lines and quotes. So nothing before may contain these characters.
Result<void> Parser::find_signed_part() {
  out_.signed_part = text_;
  usize at = text_.find(kSignatureMark);
  if (at == text_.npos) return {};
  std::string_view line = text_.substr(at, text_.substr(at).find('\n'));
  if ((at > 0 && text_[at - 1] != '\n') || line != "[signature]")
    return refuse("the first line with [signature must be [signature] and nothing else");
  out_.signed_part = text_.substr(0, at);
  return {};
}

Result<Manifest> Parser::run() {
  if (text_.size() > kMostManifestBytes) return refuse("it has more than 4096 bytes");
  for (char c : text_) {
    auto byte = static_cast<u8>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f)
      return refuse("it has control characters (lines end with one line feed)");
  }
  TRY(find_signed_part());
  for (std::string_view rest = text_; !rest.empty();) TRY(read_line(base::split_off(rest, '\n')));
  TRY(finish());
  return out_;
}

Result<void> Parser::read_line(std::string_view line) {
  line = base::trim(line, kBlanks);
  if (line.empty() || line.front() == '#') return {};
  return line.front() == '[' ? begin_table(line) : read_key(line);
}

// Notes a table or key, and refuses it the second time.
Result<void> Parser::note(u32 table, std::string_view key) {
  for (const Seen& seen : seen_)
    if (seen.table == table && seen.key == key) return refuse("a key or a table occurs twice");
  if (!seen_.push_back({table, key})) return refuse("it has too many keys");
  return {};
}

Result<void> Parser::begin_table(std::string_view line) {
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
  got_ = 0;
  bool signature = name == kSignatureTable || name.starts_with("signature.");
  if (signature) return begin_signature(name);
  if (!out_.signatures.empty())
    return refuse("a table follows the signatures, where it would not be signed");
  table_ = name == "file.model"       ? Table::kModel
           : name == "file.tokenizer" ? Table::kTokenizer
           : name == "file.kernel"    ? Table::kKernel
                                      : Table::kOther;
  return {};
}

Result<void> Parser::begin_signature(std::string_view name) {
  Signature signature;
  if (name != kSignatureTable) {
    KeyId id;
    if (!unhex(name.substr(kSignatureTable.size() + 1), id))
      return refuse("[signature.KEYID] needs 16 hexadecimal digits in lower case");
    signature.named = true;
    signature.key = id;
  }
  if (!out_.signatures.push_back(signature)) return refuse("it has too many signatures");
  table_ = Table::kSignature;
  return {};
}

// Complains about what is missing in the table that ends.
Result<void> Parser::end_table() {
  constexpr u32 kFile = kPath | kHash | kSize, kSigned = kAlgorithm | kSig;
  bool file = table_ == Table::kModel || table_ == Table::kTokenizer || table_ == Table::kKernel;
  if (file && (got_ & kFile) != kFile) return refuse("a file needs path, sha256 and size");
  constexpr u32 kList = kChunk | kChunks;
  if ((got_ & kList) != 0 && (got_ & kList) != kList)
    return refuse("a list of chunks needs chunk and chunks_sha256");
  if (table_ != Table::kModel && (got_ & kList) != 0)
    return refuse("only the model may have a list of chunks");
  if (table_ == Table::kSignature && (got_ & kSigned) != kSigned)
    return refuse("a signature needs algo and sig");
  return {};
}

Result<void> Parser::read_key(std::string_view line) {
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
  return set(key, value);
}

Result<void> Parser::set(std::string_view key, const Value& value) {
  switch (table_) {
    case Table::kTop:
      return set_top(key, value);
    case Table::kModel:
      return set_file(out_.model, key, value);
    case Table::kTokenizer:
      return set_file(out_.tokenizer, key, value);
    case Table::kKernel:
      return set_file(out_.kernel, key, value);
    case Table::kSignature:
      return set_signature(key, value);
    case Table::kOther:
      return {};
  }
  return {};
}

Result<void> Parser::set_top(std::string_view key, const Value& value) {
  struct TextRow {
    std::string_view key;
    std::string_view Manifest::* to;
    Field field;
  };
  struct NumberRow {
    std::string_view key;
    u64 Manifest::* to;
    Field field;
  };
  static constexpr TextRow kTexts[] = {{"name", &Manifest::name, kName},
                                       {"format", &Manifest::format, kFormat},
                                       {"version", &Manifest::version, kVersion},
                                       {"machine", &Manifest::machine, kMachine}};
  static constexpr NumberRow kNumbers[] = {{"generation", &Manifest::generation, kGeneration},
                                           {"format_version", &Manifest::format_version, kOptional},
                                           {"security_epoch", &Manifest::security_epoch, kOptional},
                                           {"not_before", &Manifest::not_before, kOptional}};
  for (const TextRow& row : kTexts)
    if (key == row.key) out_.*row.to = TRY(text_of(value)), top_ |= row.field;
  for (const NumberRow& row : kNumbers)
    if (key == row.key) out_.*row.to = TRY(number_of(value)), top_ |= row.field;
  if (key == "expires") out_.expires = TRY(number_of(value));
  return {};
}

Result<void> Parser::set_file(Payload& file, std::string_view key, const Value& value) {
  if (key == "path") {
    file.path = TRY(text_of(value));
    if (const char* fault = name_fault(file.path); fault != nullptr) return refuse(fault);
    got_ |= kPath;
  } else if (key == "sha256") {
    if (!unhex(TRY(text_of(value)), file.sha256))
      return refuse("sha256 needs 64 hexadecimal digits in lower case");
    got_ |= kHash;
  } else if (key == "size") {
    file.bytes = TRY(number_of(value));
    if (file.bytes == 0) return refuse("a file has no bytes");
    got_ |= kSize;
  } else if (key == "chunk") {
    if (TRY(number_of(value)) != kChunkBytes)
      return refuse("chunk is not 1048576: a newer Marrow may know it");
    got_ |= kChunk;
  } else if (key == "chunks_sha256") {
    if (!unhex(TRY(text_of(value)), file.chunks_sha256))
      return refuse("chunks_sha256 needs 64 hexadecimal digits in lower case");
    file.has_chunks = true;
    got_ |= kChunks;
  }
  return {};
}

Result<void> Parser::set_signature(std::string_view key, const Value& value) {
  Signature& signature = out_.signatures[out_.signatures.size() - 1];
  if (key == "algo") {
    if (TRY(text_of(value)) != "ed25519") return refuse("a signature is not of algo = \"ed25519\"");
    got_ |= kAlgorithm;
  } else if (key == "sig") {
    if (!unhex(TRY(text_of(value)), signature.bytes))
      return refuse("sig needs 128 hexadecimal digits in lower case");
    got_ |= kSig;
  }
  return {};
}

Result<void> Parser::finish() {
  constexpr u64 kNewestVersion = 2;
  TRY(end_table());
  TRY(out_.format == kKernelFormat ? finish_kernel() : finish_model());
  if (const char* fault = name_fault(out_.name); fault != nullptr) return refuse(fault);
  if (out_.format_version == 0 || out_.format_version > kNewestVersion)
    return refuse("its format_version is unknown: a newer Marrow may know it");
  return {};
}

Result<void> Parser::finish_model() {
  constexpr u32 kNeeded = kName | kGeneration | kFormat;
  if ((top_ & kNeeded) != kNeeded || !out_.model.exists())
    return refuse("it needs name, generation, format and [file.model]");
  if (out_.generation == 0) return refuse("generation counts from 1");
  if (out_.format != "gguf" && out_.format != "llama2c")
    return refuse("its format is neither gguf nor llama2c: a newer Marrow may know it");
  if (out_.kernel.exists()) return refuse("a model's manifest has no kernel");
  if (out_.tokenizer.exists() && out_.tokenizer.path == out_.model.path)
    return refuse("two files have one path");
  bool list_taken = out_.model.path == kChunkListName || out_.tokenizer.path == kChunkListName;
  if (out_.model.has_chunks && list_taken)
    return refuse("a file has the name of the list of chunks, model.chunks");
  return {};
}

// A kernel's manifest must not pass for a model's, nor the other way round: one signature would
// vouch for both.
Result<void> Parser::finish_kernel() {
  constexpr u32 kNeeded = kName | kFormat | kVersion | kMachine;
  if ((top_ & kNeeded) != kNeeded || !out_.kernel.exists())
    return refuse("it needs name, format, version, machine and [file.kernel]");
  if ((top_ & kGeneration) != 0 || out_.model.exists() || out_.tokenizer.exists())
    return refuse("a kernel's manifest has no generation and no model");
  for (std::string_view text : {out_.version, out_.machine})
    if (const char* fault = name_fault(text); fault != nullptr) return refuse(fault);
  return {};
}

}  // namespace

const char* name_fault(std::string_view name) {
  if (name.empty()) return "a name is empty";
  if (name.size() > kMostNameBytes) return "a name has more than 255 bytes";
  if (name == "." || name.contains("..")) return "a name leads out of its folder";
  // Beyond ASCII there are control characters, too, which a terminal would obey.
  for (signed char c : name) {
    if (c == '/' || c == '\\') return "a name has a slash: files lie beside the manifest";
    if (c < 0x20 || c == 0x7f) return "a name has other characters than those of ASCII";
  }
  return nullptr;
}

KeyId key_id(const crypto::Ed25519PublicKey& key) {
  crypto::Sha256 sha;
  sha.update(key);
  crypto::Sha256Digest digest = sha.finish();
  KeyId id;
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

Result<Manifest> parse_manifest(std::string_view text) {
  return Parser(text).run();
}

}  // namespace service::bundle
