// SPDX-License-Identifier: GPL-2.0-or-later
// Whole models have the same bits on every machine: one hash of all logits for each tiny model,
// written down once, for every CPU this test is run on (x86-64 and ARM64).
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <sstream>
#include <string>

#include "kernel/base/hash.h"
#include "kernel/base/test.h"
#include "tests/hosted/test_files.h"
#include "tests/hosted/test_model_runner.h"
#include "tests/hosted/test_tiny_model.h"

namespace {

constexpr const char* kBits = "tests/goldens/models/bits.txt";  // lines of a name and a hash

// FNV-1a over the floats' bits.
u64 hash_of(const std::vector<float>& logits) {
  base::Fnv1a hash;
  for (float x : logits) hash.add(std::bit_cast<u32>(x));
  return hash.value();
}

// The logits of the whole text in chunks of seven tokens, on the best kernels of this CPU (those
// have the reference's bits: kernels_tables), as 16 digits; "0" when the model does not run.
std::string hash_of_model(const TinyModel& tiny) {
  TestPlatform platform;
  auto runner =
      ModelRunner::load(tiny.file, platform, {.kernels = "auto", .context = 256, .rows = 32});
  if (!runner.has_value()) return "0";
  auto logits = (*runner)->run(tiny.tokens, true, 7);
  if (!logits.has_value()) return "0";
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx",
                static_cast<unsigned long long>(hash_of(*logits)));
  return digits;
}

// Says what is missing for a golden that bits.txt does not name.
std::string missing_line(const std::string& name) {
  TinyModel tiny;
  if (!make_tiny_model(name, tiny)) return name + ": the golden cannot be read";
  std::string hash = hash_of_model(tiny);
  if (hash == "0") return name + ": the model does not run";
  return std::string(kBits) + " has no line for this model; add: " + name + " " + hash;
}

}  // namespace

// A change that is meant to change bits: MARROW_VERBOSE=1 prints the lines of the new file.
TEST(models_bits, every_machine_has_these) {
  bool verbose = std::getenv("MARROW_VERBOSE") != nullptr;  // NOLINT(concurrency-mt-unsafe)
  std::string text, name, wanted;
  REQUIRE(read_file(kBits, text));
  std::istringstream lines(text);
  std::set<std::string> listed;
  while (lines >> name >> wanted) {
    TinyModel tiny;
    REQUIRE(make_tiny_model(name, tiny));
    listed.insert(name);
    std::string hash = hash_of_model(tiny);
    if (verbose) std::printf("# %s %s\n", name.c_str(), hash.c_str());
    if (wanted != hash) test.report(__FILE__, __LINE__, name + " has other bits: " + hash);
  }
  for (const std::string& golden : tiny_model_names())
    if (!listed.contains(golden)) test.report(__FILE__, __LINE__, missing_line(golden));
}
