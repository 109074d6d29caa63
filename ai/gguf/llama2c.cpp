// SPDX-License-Identifier: GPL-2.0-or-later
// Reads a llama2.c checkpoint in the order of its export.py, and names each matrix as GGUF does.
#include "ai/gguf/llama2c.h"

#include "ai/gguf/writer.h"
#include "ai/quant/blocks.h"
#include "ai/quant/half.h"

namespace ai {
namespace {

constexpr u32 kMagic = 0x616b3432;  // "ak42"
constexpr usize kOldHeader = 28, kHeader = 256;
constexpr u32 kTypeF32 = 0, kTypeQ80 = 8;  // ggml's numbers of the types
constexpr u32 kAlignment = 4;

struct Config {
  u32 version = 0;
  u32 width = 0, hidden = 0, layers = 0, heads = 0, kv_heads = 0, vocabulary = 0, context = 0;
  bool shared = true;  // the output matrix is the embedding
  u32 group = 0;       // version 2: weights per scale
  usize header = 0;

  u64 head() const { return width / heads; }
  u64 kv_width() const { return head() * kv_heads; }
};

Result<void> read_numbers(base::ByteReader& reader, Config& c) {
  u32* const fields[] = {&c.width,    &c.hidden,     &c.layers, &c.heads,
                         &c.kv_heads, &c.vocabulary, &c.context};
  constexpr u32 kMost[] = {1 << 16, 1 << 20, 1024, 1024, 1024, 1 << 22, 1 << 24};
  for (usize i = 0; i < std::size(fields); i++) {
    i32 value = TRY(reader.read<i32>());
    // a negative number means a separate output matrix
    if (c.version == 0 && fields[i] == &c.vocabulary && value < 0) {
      c.shared = false;
      value = value == -0x7fffffff - 1 ? 0 : -value;
    }
    if (value < 1 || static_cast<u32>(value) > kMost[i])
      return fail(Errc::kCorrupt, "llama2c: a number in the header is out of range");
    *fields[i] = static_cast<u32>(value);
  }
  if (c.width % c.heads != 0 || c.heads % c.kv_heads != 0 || c.head() % 2 != 0)
    return fail(Errc::kCorrupt, "llama2c: heads do not divide the width");
  return {};
}

Result<Config> read_config(std::span<const Byte> file) {
  base::ByteReader reader(file);
  Config c;
  u32 first = TRY(reader.read<u32>());
  if (first != kMagic) {
    base::ByteReader old(file);
    TRY(read_numbers(old, c));
    c.header = kOldHeader;
    return c;
  }
  c.version = TRY(reader.read<u32>());
  if (c.version != 1 && c.version != 2)
    return fail(Errc::kUnsupported, "llama2c: expected version 0, 1 or 2");
  TRY(read_numbers(reader, c));
  c.shared = TRY(reader.read<u8>()) != 0;
  if (c.version == 2) {
    c.group = TRY(reader.read<u32>());
    if (c.group != 32 && c.group != 64)
      return fail(Errc::kUnsupported, "llama2c: expected groups of 32 or 64 weights");
    if (c.width % c.group != 0 || c.hidden % c.group != 0)
      return fail(Errc::kCorrupt, "llama2c: rows are not whole groups");
  }
  c.header = kHeader;
  return c;
}

// Takes one matrix after another and writes it into the GGUF header.
class Walker {
 public:
  Walker(std::span<Byte> file, const Config& c, GgufWriter& writer, Llama2cGroups groups)
      : file_(file), config_(c), writer_(writer), groups_(groups), at_(c.header) {}

  Result<void> floats(std::string_view name, u64 columns, u64 rows = 1) {
    u64 bytes = columns * rows * sizeof(float);
    TRY(reach(bytes));
    TRY(add(name, columns, rows, kTypeF32));
    at_ += bytes;
    return {};
  }
  Result<void> skip_floats(u64 count) {
    TRY(reach(count * sizeof(float)));
    at_ += count * sizeof(float);
    return {};
  }
  // Takes a matrix of version 2: int8 weights, then their scales.
  Result<void> matrix(std::string_view name, u64 columns, u64 rows) {
    if (config_.version != 2) return floats(name, columns, rows);
    u64 count = columns * rows, bytes = count + count / config_.group * sizeof(float);
    TRY(reach(bytes));
    TRY(add(name, columns, rows, kTypeQ80));
    if (groups_ == Llama2cGroups::kConvert) TRY(to_blocks(file_.data() + at_, count));
    at_ += bytes;
    return {};
  }
  // Takes "blk.N.`name`.weight" for all layers.
  Result<void> layers(const char* name, u64 columns, u64 rows, bool quantized = true) {
    for (u32 i = 0; i < config_.layers; i++) {
      char full[48];
      std::string_view text = base::format_into(full, "blk.{}.{}.weight", i, name);
      TRY(quantized ? matrix(text, columns, rows) : floats(text, columns, rows));
    }
    return {};
  }
  usize end() const { return at_; }

 private:
  Result<void> reach(u64 bytes) {
    if (bytes <= file_.size() - at_) return {};
    return fail(Errc::kCorrupt, "llama2c: the checkpoint is cut short");
  }
  Result<void> add(std::string_view name, u64 columns, u64 rows, u32 type) {
    const u64 dimensions[] = {columns, rows};
    return writer_.add_tensor(name, {dimensions, rows > 1 ? usize{2} : usize{1}}, type, at_);
  }
  // Converts in place. A block takes 34 bytes where its integers took 32, so it goes from the last
  // block to the first.
  Result<void> to_blocks(Byte* data, u64 count) {
    Vector<u16> scales;
    TRY(scales.resize(count / config_.group));
    for (usize g = 0; g < scales.size(); g++)
      scales[g] = f32_to_f16(base::load<float>(data + count + g * sizeof(float)));
    for (u64 b = count / 32; b-- > 0;) {
      BlockQ8_0 block;
      block.d = scales[b * 32 / config_.group];
      std::memcpy(block.qs, data + b * 32, 32);
      std::memcpy(data + b * sizeof block, &block, sizeof block);
    }
    return {};
  }

  std::span<Byte> file_;
  const Config& config_;
  GgufWriter& writer_;
  Llama2cGroups groups_;
  usize at_;
};

// Reads the order of export.py's legacy_export.
Result<void> walk_old(Walker& w, const Config& c) {
  TRY(w.floats("token_embd.weight", c.width, c.vocabulary));
  TRY(w.layers("attn_norm", c.width, 1, false));
  TRY(w.layers("attn_q", c.width, c.width));
  TRY(w.layers("attn_k", c.width, c.kv_width()));
  TRY(w.layers("attn_v", c.width, c.kv_width()));
  TRY(w.layers("attn_output", c.width, c.width));
  TRY(w.layers("ffn_norm", c.width, 1, false));
  TRY(w.layers("ffn_gate", c.width, c.hidden));
  TRY(w.layers("ffn_down", c.hidden, c.width));
  TRY(w.layers("ffn_up", c.width, c.hidden));
  TRY(w.floats("output_norm.weight", c.width));
  TRY(w.skip_floats(u64{c.context} * c.head()));  // cosines and sines
  return c.shared ? Result<void>() : w.floats("output.weight", c.width, c.vocabulary);
}

// Reads the order of export.py's version1_export and version2_export, which have all norms first.
Result<void> walk_new(Walker& w, const Config& c) {
  TRY(w.layers("attn_norm", c.width, 1, false));
  TRY(w.layers("ffn_norm", c.width, 1, false));
  TRY(w.floats("output_norm.weight", c.width));
  TRY(w.matrix("token_embd.weight", c.width, c.vocabulary));
  TRY(w.layers("attn_q", c.width, c.width));
  TRY(w.layers("attn_k", c.width, c.kv_width()));
  TRY(w.layers("attn_v", c.width, c.kv_width()));
  TRY(w.layers("attn_output", c.width, c.width));
  TRY(w.layers("ffn_gate", c.width, c.hidden));
  TRY(w.layers("ffn_down", c.hidden, c.width));
  TRY(w.layers("ffn_up", c.width, c.hidden));
  return c.shared ? Result<void>() : w.matrix("output.weight", c.width, c.vocabulary);
}

Result<void> add_numbers(GgufWriter& w, const Config& c) {
  TRY(w.add_u32("general.alignment", kAlignment));
  TRY(w.add_string("general.architecture", "llama"));
  const struct {
    const char* key;
    u32 value;
  } kNumbers[] = {{"llama.block_count", c.layers},
                  {"llama.context_length", c.context},
                  {"llama.embedding_length", c.width},
                  {"llama.feed_forward_length", c.hidden},
                  {"llama.attention.head_count", c.heads},
                  {"llama.attention.head_count_kv", c.kv_heads},
                  {"llama.rope.dimension_count", static_cast<u32>(c.head())}};
  for (const auto& number : kNumbers) TRY(w.add_u32(number.key, number.value));
  return w.add_f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
}

// ---- tokenizer.bin ---------------------------------------------------------------------------
// The file has i32 longest piece, then for each id: f32 score, i32 length, bytes.

// Puts back SentencePiece's mark for a space, which llama2.c has replaced by the space itself.
Result<void> append_piece(Vector<Byte>& out, std::string_view piece) {
  for (char c : piece) {
    if (c == ' ') {
      TRY(out.append({reinterpret_cast<const Byte*>("\xe2\x96\x81"), 3}));
    } else {
      TRY(out.push_back(static_cast<Byte>(c)));
    }
  }
  return {};
}

constexpr u32 kFirstByte = 3, kFirstPiece = 259;

i32 type_of(u32 id) {
  constexpr i32 kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6;
  if (id == 0) return kUnknown;
  if (id < kFirstByte) return kControl;
  return id < kFirstPiece ? kByte : kNormal;
}

// An array of strings as GGUF stores it: element type, count, then length and bytes of each.
struct Pieces {
  Vector<Byte> strings;
  Vector<float> scores;
  Vector<i32> types;
};

Result<void> read_piece(base::ByteReader& reader, u32 id, Pieces& out) {
  float score = TRY(reader.read<float>());
  u32 length = TRY(reader.read<u32>());
  std::string_view piece = TRY(reader.read_text(length));
  constexpr std::string_view kFixed[] = {"<unk>", "<s>", "</s>"};
  if (id < kFirstByte) piece = kFixed[id];
  usize at = out.strings.size();
  TRY(out.strings.resize(at + sizeof(u64)));
  TRY(append_piece(out.strings, piece));
  base::store<u64>(out.strings.data() + at, out.strings.size() - at - sizeof(u64));
  TRY(out.scores.push_back(score));
  return out.types.push_back(type_of(id));
}

Result<void> add_tokenizer(GgufWriter& w, std::span<const Byte> file, u32 vocabulary) {
  base::ByteReader reader(file);
  TRY(reader.read<u32>());
  Pieces pieces;
  TRY(pieces.strings.resize(sizeof(u32) + sizeof(u64)));
  base::store(pieces.strings.data(), static_cast<u32>(GgufType::kString));
  base::store<u64>(pieces.strings.data() + sizeof(u32), vocabulary);
  for (u32 id = 0; id < vocabulary; id++) {
    auto piece = read_piece(reader, id, pieces);
    if (piece.has_value()) continue;
    if (piece.error().code != Errc::kCorrupt) return piece;
    return fail(Errc::kCorrupt, "llama2c: tokenizer.bin has fewer pieces than the model");
  }
  TRY(w.add_string("tokenizer.ggml.model", "llama"));
  TRY(w.add_raw("tokenizer.ggml.tokens", GgufType::kArray, pieces.strings.view()));
  TRY(w.add_f32s("tokenizer.ggml.scores", pieces.scores.view()));
  TRY(w.add_i32s("tokenizer.ggml.token_type", pieces.types.view()));
  TRY(w.add_u32("tokenizer.ggml.bos_token_id", 1));
  TRY(w.add_u32("tokenizer.ggml.eos_token_id", 2));
  TRY(w.add_u32("tokenizer.ggml.unknown_token_id", 0));
  TRY(w.add_bool("tokenizer.ggml.add_bos_token", true));
  TRY(w.add_bool("tokenizer.ggml.add_eos_token", false));
  return w.add_bool("tokenizer.ggml.add_space_prefix", true);
}

// Returns the bytes that the header promises. Does not touch the file.
u64 described_bytes(const Config& c) {
  u64 matrices = u64{c.layers} * (2 * u64{c.width} * c.width + 2 * u64{c.width} * c.kv_width() +
                                  3 * u64{c.width} * c.hidden) +
                 (c.shared ? 1 : 2) * u64{c.vocabulary} * c.width;
  u64 norms = (2 * u64{c.layers} + 1) * c.width * sizeof(float);
  u64 scales = c.version == 2 ? matrices / c.group * sizeof(float) : 0;
  u64 table = c.version == 0 ? c.context * c.head() * sizeof(float) : 0;
  return c.header + norms + table + matrices * (c.version == 2 ? 1 : sizeof(float)) + scales;
}

}  // namespace

bool is_llama2c(std::span<const Byte> file) {
  auto config = read_config(file);
  if (file.size() >= sizeof(u32) && base::load<u32>(file.data()) == kMagic) return true;
  return config.has_value() && described_bytes(*config) <= file.size();
}

Result<base::Owner<GgufFile>> parse_llama2c(std::span<Byte> checkpoint,
                                            std::span<const Byte> tokenizer, Platform& platform,
                                            Llama2cGroups groups) {
  auto config = read_config(checkpoint);
  if (!config.has_value()) {
    log(platform, LogLevel::kError, "{}", config.error());
    return std::unexpected(config.error());
  }
  const Config& c = *config;
  u64 needed = described_bytes(c);
  if (needed > checkpoint.size()) {  // checked before the first matrix is rewritten
    log(platform, LogLevel::kError, "llama2c: the header describes {} bytes, the file has {}",
        needed, checkpoint.size());
    return fail(Errc::kCorrupt, "llama2c: the checkpoint is cut short");
  }
  GgufWriter writer;
  TRY(add_numbers(writer, c));
  if (tokenizer.empty()) tokenizer = std::span<const Byte>(checkpoint).subspan(needed);
  if (!tokenizer.empty()) TRY(add_tokenizer(writer, tokenizer, c.vocabulary));
  Walker walker(checkpoint, c, writer, groups);
  TRY(c.version == 0 ? walk_old(walker, c) : walk_new(walker, c));
  ASSERT(walker.end() == needed);
  Vector<Byte> header = TRY(writer.finish(kAlignment));
  return GgufFile::parse_header(std::move(header), checkpoint, platform);
}

}  // namespace ai
