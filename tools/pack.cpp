// SPDX-License-Identifier: GPL-2.0-or-later
// pack IN.gguf OUT.gguf: writes the packed form of a model (ai/gguf/pack.h). Parts of a split model
// are given in order: pack IN-00001-of-00002.gguf IN-00002-of-00002.gguf OUT.gguf.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

#include "ai/gguf/llama2c.h"
#include "ai/gguf/pack.h"
#include "tools/host_platform.h"

namespace {

class FileSink final : public ai::ByteSink {
 public:
  explicit FileSink(const char* path) : out_(path, std::ios::binary) {}
  Result<void> write(std::span<const Byte> bytes) override {
    out_.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    if (!out_.good()) return fail(Errc::kIo, "cannot write the output");
    return {};
  }
  bool close() {
    out_.close();
    return out_.good();
  }

 private:
  std::ofstream out_;
};

Result<void> run(std::vector<std::vector<Byte>>& files, FileSink& out, HostPlatform& platform) {
  std::vector<std::span<Byte>> parts(files.begin(), files.end());
  std::vector<std::span<const Byte>> views(files.begin(), files.end());
  auto file = files.size() == 1 && ai::is_llama2c(files[0])
                  ? TRY(ai::parse_llama2c(files[0], {}, platform))
                  : TRY(ai::GgufFile::parse(views, platform));
  return ai::pack_model(*file, parts, platform, out);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: pack IN.gguf [MORE PARTS] OUT.gguf\n");
    return 2;
  }
  std::vector<std::vector<Byte>> files;
  for (int i = 1; i + 1 < argc; i++) {
    std::ifstream in(argv[i], std::ios::binary);
    if (!in.good()) {
      std::fprintf(stderr, "pack: cannot read %s\n", argv[i]);
      return 1;
    }
    files.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  HostPlatform platform;
  FileSink out(argv[argc - 1]);
  Result<void> done = run(files, out, platform);
  if (!done.has_value() || !out.close()) {
    std::fprintf(stderr, "pack: %s\n", done.has_value() ? "cannot write" : done.error().what);
    std::remove(argv[argc - 1]);
    return 1;
  }
  return 0;
}
