// SPDX-License-Identifier: GPL-2.0-or-later
// Tokenizes framed texts for comparison with other engines: tokenize MODEL.gguf [special] [add]
//
// In, until end of file: length (u32), bytes. Out for each: count (u32), ids (u32 each). Little
// endian. "special" parses special tokens in the text, "add" adds BOS and EOS.
#include <cstdio>
#include <cstring>
#include <string>

#include "ai/gguf/reader.h"
#include "ai/tokenizer/tokenizer.h"
#include "tests/hosted/test_files.h"
#include "tests/hosted/test_platform.h"

int main(int argc, char** argv) {
  std::string bytes;
  if (argc < 2 || !read_file(argv[1], bytes)) {
    std::fprintf(stderr, "usage: tokenize MODEL.gguf [special] [add] < texts > ids\n");
    return 2;
  }
  auto parse = ai::ParseSpecial::kNo;
  auto add = ai::AddSpecial::kNo;
  for (int i = 2; i < argc; i++) {
    if (std::strcmp(argv[i], "special") == 0) parse = ai::ParseSpecial::kYes;
    if (std::strcmp(argv[i], "add") == 0) add = ai::AddSpecial::kYes;
  }
  TestPlatform platform;
  platform.echo = true;
  auto file =
      ai::GgufFile::parse({reinterpret_cast<const Byte*>(bytes.data()), bytes.size()}, platform);
  if (!file.has_value()) return 1;
  auto tokenizer = ai::Tokenizer::load(**file, platform);
  if (!tokenizer.has_value()) return 1;
  std::string text;
  Vector<ai::TokenId> ids;
  for (u32 length = 0; std::fread(&length, sizeof length, 1, stdin) == 1;) {
    text.resize(length);
    if (std::fread(text.data(), 1, length, stdin) != length) return 1;
    ids.clear();
    if (!(*tokenizer)->encode(text, add, parse, ids).has_value()) return 1;
    u32 count = static_cast<u32>(ids.size());
    std::fwrite(&count, sizeof count, 1, stdout);
    std::fwrite(ids.data(), sizeof(ai::TokenId), count, stdout);
  }
  return 0;
}
