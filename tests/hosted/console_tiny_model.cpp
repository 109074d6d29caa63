// SPDX-License-Identifier: GPL-2.0-or-later
// The weights of tests/goldens/models/llama.golden, a tokenizer of two letters a token, one file.
#include "tests/hosted/console_tiny_model.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "ai/gguf/writer.h"
#include "ai/quant/types.h"
#include "arch/host/host_fs.h"
#include "tests/hosted/test_platform.h"
#include "tests/hosted/test_tiny_model.h"

namespace {

// <0> <1> <2>, then aa, ba, … each twice as unlikely as the one before.
Result<void> add_tokens(ai::GgufWriter& out, u32 count) {
  std::vector<std::string> tokens;
  std::vector<i32> types;
  std::vector<float> scores;
  for (u32 i = 0; i < count; i++) {
    constexpr i32 kNormal = 1, kUnknown = 2, kControl = 3;
    std::string pair{static_cast<char>('a' + i % 26), static_cast<char>('a' + i / 26 % 26)};
    tokens.push_back(i < 3 ? "<" + std::to_string(i) + ">" : pair);
    types.push_back(i == 0 ? kUnknown : i < 3 ? kControl : kNormal);
    scores.push_back(-static_cast<float>(i));
  }
  std::vector<std::string_view> views(tokens.begin(), tokens.end());
  TRY(out.add_string("tokenizer.ggml.model", "llama"));
  TRY(out.add_strings("tokenizer.ggml.tokens", views));
  TRY(out.add_i32s("tokenizer.ggml.token_type", types));
  TRY(out.add_f32s("tokenizer.ggml.scores", scores));
  TRY(out.add_u32("tokenizer.ggml.bos_token_id", 1));
  return out.add_u32("tokenizer.ggml.eos_token_id", 2);
}

Result<void> write_model(const std::string& path, u32 seed) {
  TinyModel tiny;
  if (!make_tiny_model("llama", tiny)) return fail(Errc::kNotFound, "no golden");
  TestPlatform platform;
  auto file = TRY(ai::GgufFile::parse(tiny.file, platform));
  ai::GgufWriter out;
  for (usize i = 0; i < file->key_count(); i++)
    if (!file->key(i).starts_with("tokenizer.")) TRY(out.copy(*file, i));
  TRY(add_tokens(out, tiny.vocabulary));
  usize first = tiny.file.size();
  for (const ai::GgufTensor& t : file->tensors()) first = std::min<usize>(first, t.offset);
  for (const ai::GgufTensor& t : file->tensors())
    TRY(out.add_tensor(t.name, {t.dimensions, t.dimension_count},
                       ai::quant_info(t.view.type).ggml_type, t.offset - first));
  Vector<Byte> header = TRY(out.finish());
  // A mantissa's low bit in the middle: another model that is no worse.
  if (seed != 0)
    tiny.file[first + (tiny.file.size() - first) / 2 / 4 * 4] ^= static_cast<Byte>(seed);
  std::ofstream stream(path, std::ios::binary);
  stream.write(reinterpret_cast<const char*>(header.data()), static_cast<i64>(header.size()));
  stream.write(reinterpret_cast<const char*>(tiny.file.data() + first),
               static_cast<i64>(tiny.file.size() - first));
  return stream.good() ? Result<void>() : fail(Errc::kIo, "cannot write");
}

}  // namespace

void mount_host_files() {
  for (const fs::Mount& mount : fs::mounts())
    if (mount.point == "/host") return;
  MUST(fs::mount("/host", host::file_system()));
}

TinyModelFile::TinyModelFile(const char* name, u32 seed) {
  mount_host_files();
  char folder[] = "/tmp/marrow_tiny_XXXXXX";
  if (mkdtemp(folder) == nullptr) std::abort();
  folder_ = folder;
  path_ = "/host" + folder_ + "/" + name;
  made_ = write_model(folder_ + "/" + name, seed).has_value();
}

TinyModelFile::~TinyModelFile() {
  static_cast<void>(console::engine_service().unload());
  unlink(path_.substr(5).c_str());
  rmdir(folder_.c_str());
}

Result<void> TinyModelFile::load() const {
  return console::engine_service().load(TRY(console::find_model(path_)));
}
