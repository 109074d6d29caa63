// SPDX-License-Identifier: GPL-2.0-or-later
// Tokenizers of real model files against ids that other engines give.
//
// Files that are not part of the tree are looked for in $MARROW_SHARED and $MARROW_MODELS; without
// them these tests are skipped.
#include <string>
#include <vector>

#include "ai/gguf/reader.h"
#include "ai/tokenizer/tokenizer.h"
#include "kernel/base/json.h"
#include "kernel/base/test.h"
#include "tests/hosted/test_files.h"
#include "tests/hosted/test_platform.h"

namespace {

using ai::AddSpecial;
using ai::ParseSpecial;
using ai::TokenId;

struct Loaded {
  std::string bytes;
  base::Owner<ai::GgufFile> file;
  base::Owner<ai::Tokenizer> tokenizer;
  TestPlatform platform;
};

// False, and the test is marked, when the file is absent or broken.
bool load(TestContext& test, const std::string& path, Loaded& into) {
  if (!read_file(path, into.bytes)) {
    test.skip(path.empty() ? "model not found" : path);
    return false;
  }
  auto file = ai::GgufFile::parse(
      {reinterpret_cast<const Byte*>(into.bytes.data()), into.bytes.size()}, into.platform);
  EXPECT(file.has_value());
  if (!file.has_value()) return false;
  into.file = std::move(*file);
  auto tokenizer = ai::Tokenizer::load(*into.file, into.platform);
  EXPECT(tokenizer.has_value());
  if (!tokenizer.has_value()) return false;
  into.tokenizer = std::move(*tokenizer);
  return true;
}

std::string ids(const ai::Tokenizer& tokenizer, std::string_view text, ParseSpecial parse,
                AddSpecial add = AddSpecial::kYes) {
  Vector<TokenId> out;
  if (!tokenizer.encode(text, add, parse, out).has_value()) return "failed";
  std::string joined;
  for (TokenId id : out) joined += (joined.empty() ? "" : " ") + std::to_string(id);
  return joined;
}

std::string numbers(json::Value list) {
  std::string joined;
  for (json::Value v : list.elements())
    joined += (joined.empty() ? "" : " ") + std::string(v.text());
  return joined;
}

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (usize i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}

// tests/oracles describes the format: cases of text, ids plain and with special tokens parsed.
void check_golden(TestContext& test, const Loaded& model, const std::string& golden) {
  std::string text;
  if (!read_file(golden, text)) return test.skip(golden);
  auto document = json::Document::parse(text);
  REQUIRE(document.has_value());
  u32 cases = 0;
  for (json::Value c : document->root().find("cases").elements()) {
    std::string input = from_hex(c.find("utf8_hex").text());
    EXPECT_EQ(std::string_view(ids(*model.tokenizer, input, ParseSpecial::kNo)),
              std::string_view(numbers(c.find("plain"))));
    EXPECT_EQ(std::string_view(ids(*model.tokenizer, input, ParseSpecial::kYes)),
              std::string_view(numbers(c.find("parse_special"))));
    cases++;
  }
  EXPECT(cases > 100);
}

}  // namespace

TEST(tokenizer_model, smollm2_golden) {
  Loaded model;
  if (!load(test, model_path("SmolLM2-135M-Instruct.Q4_1.gguf"), model)) return;
  check_golden(test, model, shared_path("goldens/tokens.smollm2.json"));
}

TEST(tokenizer_model, stories260k_golden) {
  Loaded model;
  if (!load(test, model_path("stories260K-F32.gguf"), model)) return;
  check_golden(test, model, shared_path("goldens/tokens.stories260K.json"));
}

namespace {

// llama.cpp's pairs of files: texts between marker lines, and a line of ids for each.
void check_pairs(TestContext& test, const std::string& name) {
  Loaded model;
  if (!load(test, shared_path("tokenizers/" + name), model)) return;
  std::string inputs, outputs;
  REQUIRE(read_file(shared_path("tokenizers/" + name + ".inp"), inputs));
  REQUIRE(read_file(shared_path("tokenizers/" + name + ".out"), outputs));
  constexpr std::string_view kMarker = "\n__ggml_vocab_test__\n";
  std::string_view in = inputs, out = outputs;
  u32 cases = 0;
  for (usize at; (at = in.find(kMarker)) != std::string_view::npos; cases++) {
    usize line = std::min(out.find('\n'), out.size());
    std::string_view wanted = out.substr(0, line);
    if (wanted.starts_with(' ')) wanted.remove_prefix(1);
    EXPECT_EQ(std::string_view(
                  ids(*model.tokenizer, in.substr(0, at), ParseSpecial::kNo, AddSpecial::kNo)),
              wanted);
    in.remove_prefix(at + kMarker.size());
    out.remove_prefix(std::min(line + 1, out.size()));
  }
  EXPECT(cases > 40);
}

}  // namespace

TEST(tokenizer_model, gpt2_pairs) {
  check_pairs(test, "ggml-vocab-gpt-2.gguf");
}
TEST(tokenizer_model, llama_spm_pairs) {
  check_pairs(test, "ggml-vocab-llama-spm.gguf");
}
TEST(tokenizer_model, phi3_pairs) {
  check_pairs(test, "ggml-vocab-phi-3.gguf");
}
