// SPDX-License-Identifier: GPL-2.0-or-later
// Takes what the lines of a manifest say.
#include "service/bundle/manifest.h"

namespace service::bundle {
namespace {

// Holds the tables and keys that a manifest has so far, and the fields that are complete only at
// the end of a table.
class Parser final : public SignedReader {
 public:
  using SignedReader::SignedReader;
  Result<Manifest> run();

 private:
  // The table that is being read. kOther is ignored.
  enum class Table : u8 { kTop, kModel, kTokenizer, kKernel, kOther };
  // Fields that have to be there, as bits of got_.
  enum Field : u16 {
    kOptional = 0,
    kName = 1,
    kGeneration = 2,
    kFormat = 4,
    kPath = 8,
    kHash = 16,
    kSize = 32,
    kChunk = 64,
    kChunks = 128,
    kVersion = 256,
    kMachine = 512
  };

  Result<void> on_table(std::string_view name) override;
  Result<void> on_key(std::string_view key, const Value& value) override;
  Result<void> on_table_end() override;
  Result<void> set_top(std::string_view key, const Value& value);
  Result<void> set_file(Payload& file, std::string_view key, const Value& value);
  Result<void> finish();
  Result<void> finish_model();
  Result<void> finish_kernel();

  Manifest out_;
  Table table_ = Table::kTop;
  u32 top_ = 0, got_ = 0;  // fields of the top, and of the table that is being read
};

Result<Manifest> Parser::run() {
  TRY(read());
  out_.signed_part = signed_part();
  out_.signatures = signatures();
  TRY(finish());
  return out_;
}

Result<void> Parser::on_table(std::string_view name) {
  got_ = 0;
  table_ = name == "file.model"       ? Table::kModel
           : name == "file.tokenizer" ? Table::kTokenizer
           : name == "file.kernel"    ? Table::kKernel
                                      : Table::kOther;
  return {};
}

// Complains about what is missing in the table that ends.
Result<void> Parser::on_table_end() {
  constexpr u32 kFile = kPath | kHash | kSize, kList = kChunk | kChunks;
  bool file = table_ == Table::kModel || table_ == Table::kTokenizer || table_ == Table::kKernel;
  if (file && (got_ & kFile) != kFile) return refuse("a file needs path, sha256 and size");
  if ((got_ & kList) != 0 && (got_ & kList) != kList)
    return refuse("a list of chunks needs chunk and chunks_sha256");
  if (table_ != Table::kModel && (got_ & kList) != 0)
    return refuse("only the model may have a list of chunks");
  return {};
}

Result<void> Parser::on_key(std::string_view key, const Value& value) {
  switch (table_) {
    case Table::kTop:
      return set_top(key, value);
    case Table::kModel:
      return set_file(out_.model, key, value);
    case Table::kTokenizer:
      return set_file(out_.tokenizer, key, value);
    case Table::kKernel:
      return set_file(out_.kernel, key, value);
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

Result<void> Parser::finish() {
  constexpr u64 kNewestVersion = 2;
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

Result<Manifest> parse_manifest(std::string_view text) {
  return Parser(text).run();
}

}  // namespace service::bundle
