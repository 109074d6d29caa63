// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as a GGUF file: parsed, then every key and tensor read through every getter.
#include "ai/gguf/reader.h"
#include "tests/hosted/test_platform.h"

namespace {

volatile u64 sink;

void read_all(const ai::GgufFile& file) {
  for (usize i = 0; i < file.key_count(); i++) {
    std::string_view key = file.key(i);
    sink = file.get_u64(key).value_or(0) + static_cast<u64>(file.get_i64(key).value_or(0));
    sink = file.get_f32(key).has_value() + file.get_bool(key).value_or(false);
    sink = file.get_string(key).value_or("").size();
    if (auto strings = file.get_strings(key))
      for (usize n = 0; n < strings->size(); n++)
        if (!(*strings)[n].empty()) sink = static_cast<u64>((*strings)[n].back());
    if (auto numbers = file.get_numbers(key))
      for (usize n = 0; n < numbers->size(); n++)
        sink = static_cast<u64>(numbers->integer(n)) + (numbers->real(n) > 0);
  }
  for (const ai::GgufTensor& tensor : file.tensors()) {
    if (file.find_tensor(tensor.name) != &tensor) __builtin_trap();
    sink = tensor.view.data[0] + tensor.view.data.back();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const Byte* data, usize size) {
  static TestPlatform& platform = *new TestPlatform;
  platform.log_text.clear();
  if (auto file = ai::GgufFile::parse({data, size}, platform)) read_all(**file);
  return 0;
}
