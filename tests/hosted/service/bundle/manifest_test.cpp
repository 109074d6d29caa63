// SPDX-License-Identifier: GPL-2.0-or-later
// Manifests: what is read, where the signed part ends, and what is refused.
#include "service/bundle/manifest.h"

#include "tests/hosted/service/bundle/test_bundle.h"

namespace {

using service::bundle::Manifest, service::bundle::parse_manifest;
using namespace test_bundle;

std::string replaced(std::string text, std::string_view part, std::string_view by) {
  usize at = text.find(part);
  ASSERT(at != text.npos);
  return text.replace(at, part.size(), by);
}

}  // namespace

TEST(bundle_manifest, tells_what_the_files_are) {
  std::string text = signed_by(manifest(), kSeed);
  auto read = parse_manifest(text);
  REQUIRE(read.has_value());
  EXPECT_EQ(read->name, "tiny");
  EXPECT_EQ(read->generation, 7u);
  EXPECT_EQ(read->format, "gguf");
  EXPECT_EQ(read->format_version, 1u);
  EXPECT(!read->expires.has_value() && !read->tokenizer.exists());
  EXPECT_EQ(read->model.path, "model.gguf");
  EXPECT_EQ(read->model.bytes, 256u);
  EXPECT_EQ(read->model.sha256[0], 0xc7u);
  EXPECT_EQ(read->signed_part, manifest() + "\n");
  REQUIRE(read->signatures.size() == 2);
  EXPECT(!read->signatures[0].named);
  EXPECT(read->signatures[1].named && read->signatures[1].key == trusted(kSeed).id);
  EXPECT(read->signatures[0].bytes == read->signatures[1].bytes);
}

TEST(bundle_manifest, newer_keys_are_read_and_unknown_ones_ignored) {
  std::string text = manifest(
      "format_version = 2 # a comment\nsecurity_epoch = 3\n\n  # another\nnot_before = 5\n"
      "expires=18446744073709551615\nflag = true\nrate = 1.5\ndate = 2026-11-30T08:00:00\n"
      "\tindented\t=\t\"yes # no comment\"\t# comment\n");
  text +=
      "piece = 1048576\nname = \"of the file\"\n\n[future.table]\nname = \"other\"\n"
      "[file.mmproj]\npath = \"../../x\"\n[file.tokenizer] # kept\npath = \"tokenizer.bin\"\n"
      "sha256 = \"" +
      std::string(kHash) + "\"\nsize = 9\n";
  auto read = parse_manifest(text);
  REQUIRE(read.has_value());
  EXPECT_EQ(read->name, "tiny");
  EXPECT_EQ(read->security_epoch, 3u);
  EXPECT_EQ(read->not_before, 5u);
  EXPECT(read->expires == ~u64{0});
  EXPECT_EQ(read->tokenizer.path, "tokenizer.bin");
  EXPECT_EQ(read->signed_part.size(), text.size());
  EXPECT(read->signatures.empty());
}

TEST(bundle_manifest, may_name_a_list_of_chunks) {
  std::string hash(kHash), list = "chunk = 1048576\nchunks_sha256 = \"" + hash + "\"\n";
  auto read = parse_manifest(manifest() + list);
  REQUIRE(read.has_value());
  EXPECT(read->model.has_chunks && read->model.chunks_sha256 == read->model.sha256);
  EXPECT(!parse_manifest(manifest())->model.has_chunks);
  for (const std::string& wrong :
       {std::string("chunk = 1048576\n"), "chunks_sha256 = \"" + hash + "\"\n",
        replaced(list, "1048576", "4096"), replaced(list, "1048576", "\"1048576\""),
        replaced(list, "c740", "C740"), replaced(list, "c740", "c74"), list + list})
    EXPECT(!parse_manifest(manifest() + wrong).has_value());
  EXPECT(!parse_manifest(replaced(manifest(), "model.gguf", "model.chunks") + list).has_value());
  std::string tokenizer = "\n[file.tokenizer]\npath = \"t\"\nsha256 = \"" + hash + "\"\nsize = 9\n";
  EXPECT(parse_manifest(manifest() + list + tokenizer).has_value());
  EXPECT(!parse_manifest(manifest() + tokenizer + list).has_value());
}

TEST(bundle_manifest, every_flipped_bit_of_a_signed_one_is_refused) {
  service::bundle::TrustedKey keys[] = {trusted(kSeed)};
  std::string plain = signed_by(manifest(), kSeed);
  plain.resize(plain.find("\n[signature."));  // only the table [signature], as SwiftOS writes it
  std::string texts[] = {
      plain,
      signed_by(manifest("format_version = 2\nsecurity_epoch = 3\nnot_before = 1\n"), kSeed)};
  for (std::string& text : texts) {
    using service::bundle::Finding;
    auto finding = [&]() -> Result<Finding> {
      return MUST(service::bundle::judge(TRY(parse_manifest(text)), keys, {})).finding;
    };
    auto good = [&] {
      Result<Finding> found = finding();
      return found.has_value() && *found == Finding::kGood;
    };
    REQUIRE(good());
    usize malformed = 0, bad = 0, line = text.find("[signature]");
    for (usize bit = 0; bit < text.size() * 8; bit++) {
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ 1 << bit % 8);
      // It is malformed, or its signature is bad. Only where the one line [signature] is damaged it
      // has none: whoever can do that can also cut it off.
      Result<Finding> found = finding();
      bool in_line =
          text.find("[signature.") == text.npos && bit / 8 >= line && bit / 8 < line + 11;
      bool right = found.has_value()
                       ? *found == Finding::kBad || (in_line && *found == Finding::kUnsigned)
                       : found.error().code == Errc::kCorrupt;
      if (!right) test.report(__FILE__, __LINE__, text);
      (found.has_value() ? bad : malformed)++;
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ 1 << bit % 8);
    }
    EXPECT(malformed > 1000 && bad > 500);
    // The first signature alone is enough, and the last line needs no line feed.
    usize enough = std::min(text.find("\"\n\n[signature."), text.size() - 2) + 1;
    while (!text.empty()) {
      text.pop_back();
      if (text.size() < enough && good()) test.report(__FILE__, __LINE__, text);
    }
  }
}

TEST(bundle_manifest, the_signed_part_has_one_end) {
  std::string text = signed_by(manifest(), kSeed);
  std::string table = text.substr(text.find("[signature]"));
  std::string named = table.substr(table.find("[signature."));
  for (const std::string& bad :
       {"# [signature]\n" + text,
        "x = \"[signature\"\n" + text,
        " [signature]\n" + text,
        replaced(text, "[signature]", " [signature]"),
        replaced(text, "[signature]", "[signature] "),
        replaced(text, "[signature]", "[signature] # x"),
        replaced(text, "[signature]", "[signatures]"),
        replaced(text, "[signature]", "[signature]\r"),
        replaced(text, "[signature]", "[ signature]"),
        replaced(text, "[signature]", "[signature.x]"),
        manifest() + "\n" + named,
        manifest() + "\n" + named + table,          // a name before the plain table
        text + "[file.tokenizer]\npath = \"a\"\n",  // what is not signed
        text + "[future]\n",
        text + table,
        text + named,  // twice
        replaced(text, "[signature.", "[signature.0"),
        replaced(text, "[signature.", "[signature.A"),
        replaced(text, "ed25519", "ed448"),
        replaced(text, "algo", "argo"),
        replaced(text, "sig = \"", "sig = \"0"),
        replaced(text, "sig", "gis")})
    if (parse_manifest(bad).has_value()) test.report(__FILE__, __LINE__, bad);
}

TEST(bundle_manifest, refuses_what_is_not_in_the_subset) {
  std::string text = manifest();
  struct Row {
    std::string_view part, by;
  };
  const Row rows[] = {
      {"\"tiny\"", "\"ti\\nny\""},
      {"\"tiny\"", "\"tiny"},
      {"\"tiny\"", "tiny"},
      {"\"tiny\"", "'tiny'"},
      {"\"tiny\"", "\"\"\"tiny\"\"\""},
      {"\"tiny\"", ""},
      {"\"tiny\"", "\"tiny\" x"},
      {"\"tiny\"", "\"\""},
      {"\"tiny\"", "\"a/b\""},
      {"\"tiny\"", "\"..\""},
      {"\"tiny\"", "\"t\xc2\x9bny\""},
      {"= 7", "= 0"},
      {"= 7", "= 07"},
      {"= 7", "= -7"},
      {"= 7", "= 7_0"},
      {"= 7", "= \"7\""},
      {"= 7", "= 18446744073709551616"},
      {"= 7", "= [7]"},
      {"= 7", "= {a = 7}"},
      {"= 7", "7"},
      {"generation", "gen.eration"},
      {"generation", "\"generation\""},
      {"generation = 7", ""},
      {"format", "name"},
      {"\"gguf\"", "\"onnx\""},
      {"name", "format_version = 3\nname"},
      {"name", "format_version = 0\nname"},
      {"name", "x = 1\nx = 1\nname"},
      {"[file.model]", "[file.model"},
      {"[file.model]", "[[file.model]]"},
      {"[file.model]", "[file.model]x"},
      {"[file.model]", "[file.models]"},
      {"[file.model]", "[x]\n[x]\n[file.model]"},
      {"model.gguf", "../model.gguf"},
      {"model.gguf", "a/model.gguf"},
      {"model.gguf", "a\\\\b"},
      {"model.gguf", "..."},
      {"model.gguf", ""},
      {"size = 256", "size = 0"},
      {"size = 256", "size = 1.5"},
      {"size = 256", ""},
      {"path", "pith"},
      {"c740", "C740"},
      {"c740", "c74"},
      {"c740", "c74g"},
      {"c740", "c7400"},
      {"\n\n", "\n\x01\n"},
      {"\n\n", "\r\n\n"},
      {"\n\n", "\n\x7f\n"},
  };
  REQUIRE(parse_manifest(text).has_value());
  for (const Row& row : rows)
    if (parse_manifest(replaced(text, row.part, row.by)).has_value())
      test.report(__FILE__, __LINE__, row.by);
  EXPECT(!parse_manifest(replaced(text, "tiny", std::string("ti\0ny", 5))).has_value());
  EXPECT(!parse_manifest(replaced(text, "model.gguf", std::string(256, 'x'))).has_value());
  EXPECT(parse_manifest(replaced(text, "model.gguf", std::string(255, 'x'))).has_value());
  EXPECT(!parse_manifest("").has_value());
}

TEST(bundle_manifest, is_bounded) {
  std::string text = manifest();
  std::string full = text + "#" + std::string(4096 - text.size() - 2, 'x') + "\n";
  REQUIRE(full.size() == 4096);
  EXPECT(parse_manifest(full).has_value());
  EXPECT(!parse_manifest(full + "\n").has_value());
  std::string many = manifest(), tables = manifest();
  for (u32 i = 0; i < 200; i++) many += "k" + std::to_string(i) + "=1\n";
  for (u32 i = 0; i < 200; i++) tables += "[t" + std::to_string(i) + "]\n";
  EXPECT(!parse_manifest(many).has_value());
  EXPECT(!parse_manifest(tables).has_value());
  std::string signatures = signed_by(manifest(), kSeed);
  std::string last = signatures.substr(signatures.find("\n[signature."));
  for (u32 i = 0; i < 6; i++)
    signatures += replaced(last, "[signature." + id_of(kSeed),
                           "[signature.000000000000000" + std::to_string(i));
  EXPECT(parse_manifest(signatures).has_value());
  signatures += replaced(last, "[signature." + id_of(kSeed), "[signature.000000000000000a");
  EXPECT(!parse_manifest(signatures).has_value());
}
