// SPDX-License-Identifier: GPL-2.0-or-later
// Writes one file with the weights of tests/goldens/models/llama.golden and a tokenizer of letters
// and pairs of letters.
#include "tests/hosted/console_tiny_model.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "arch/host/host_fs.h"
#include "tests/hosted/test_threads.h"
#include "tests/hosted/test_tiny_model.h"

namespace {

Result<void> write_model(const std::string& path, u32 seed) {
  TinyModel tiny;
  if (!make_tiny_model("llama", tiny)) return fail(Errc::kNotFound, "no golden");
  give_tokenizer(tiny, false);
  // A mantissa's low bit among the weights, which end the file: another model that is no worse.
  if (seed != 0) tiny.file[tiny.file.size() - tiny.file.size() / 16 * 4] ^= static_cast<Byte>(seed);
  std::ofstream stream(path, std::ios::binary);
  stream.write(reinterpret_cast<const char*>(tiny.file.data()), static_cast<i64>(tiny.file.size()));
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
  static_cast<void>(service::engine_host().unload());
  unlink(path_.substr(5).c_str());
  rmdir(folder_.c_str());
}

Result<void> TinyModelFile::load() const {
  test_threads::start();
  return service::engine_host().load(TRY(service::find_model(path_)));
}
