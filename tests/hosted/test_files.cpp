// SPDX-License-Identifier: GPL-2.0-or-later
// Finding and reading the files of test_files.h.
#include "tests/hosted/test_files.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

bool read_file(const std::string& path, std::string& bytes) {
  bytes.clear();
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (file == nullptr) return false;
  if (std::fseek(file.get(), 0, SEEK_END) != 0) return false;
  long size = std::ftell(file.get());
  if (size < 0) return false;
  std::rewind(file.get());
  bytes.resize(static_cast<std::string::size_type>(size));
  return std::fread(bytes.data(), 1, bytes.size(), file.get()) == bytes.size();
}

std::string shared_path(const std::string& name) {
  const char* folder = std::getenv("MARROW_SHARED");
  return std::string(folder != nullptr ? folder : "../shared") + "/data/" + name;
}

std::string model_path(const std::string& name) {
  const char* folder = std::getenv("MARROW_MODELS");
  const char* home = std::getenv("HOME");
  const std::string places[] = {
      folder != nullptr ? folder : "",
      "build/models",
      home != nullptr ? std::string(home) + "/.cache/marrow/models" : "",
  };
  for (const std::string& place : places) {
    std::string path = place + "/" + name;
    if (!place.empty() && access(path.c_str(), R_OK) == 0) return path;
  }
  return "";
}
