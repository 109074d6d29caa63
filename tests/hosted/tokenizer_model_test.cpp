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
