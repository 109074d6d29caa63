// SPDX-License-Identifier: GPL-2.0-or-later
// Writes the tiny models of tests/goldens/models as GGUF files, for a machine that computes them
// itself (tests/kernel/machine/models_test.cpp).
//
//   tiny_files FOLDER      each carries the tokens of its text (test.tokens) and, from bits.txt,
//                          the hash of their logits (test.bits)
#include <cstdio>
#include <fstream>
#include <map>

#include "tests/hosted/test_tiny_model.h"

namespace {

std::map<std::string, std::string> read_bits() {
  std::ifstream in("tests/goldens/models/bits.txt");
  std::map<std::string, std::string> bits;
  for (std::string name, hash; in >> name >> hash;) bits[name] = hash;
  return bits;
}

bool write_model(const std::string& path, const std::string& name, const std::string& bits) {
  TinyModel tiny;
  if (!make_tiny_model(name, tiny)) return false;
  std::vector<i32> tokens(tiny.tokens.begin(), tiny.tokens.end());
  auto every_key = [](std::string_view) { return true; };
  auto more = [&](ai::GgufWriter& out) -> Result<void> {
    TRY(out.add_i32s("test.tokens", tokens));
    return out.add_string("test.bits", bits);
  };
  change_header(tiny, every_key, more);
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(tiny.file.data()),
            static_cast<std::streamsize>(tiny.file.size()));
  return out.good();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: tiny_files FOLDER, from the root of the repository\n");
    return 2;
  }
  const auto bits = read_bits();
  for (const std::string& name : tiny_model_names()) {
    auto row = bits.find(name);
    std::string path = std::string(argv[1]) + "/" + name + ".gguf";
    if (row == bits.end() || !write_model(path, name, row->second)) {
      std::fprintf(stderr, "%s: no line in bits.txt, no golden, or no room\n", name.c_str());
      return 1;
    }
  }
  std::printf("%zu models\n", tiny_model_names().size());
  return 0;
}
