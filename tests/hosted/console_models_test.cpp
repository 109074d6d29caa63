// SPDX-License-Identifier: GPL-2.0-or-later
// models, model info/verify/switch, the option verify, and the profile, with a small real model.
#include <fstream>

#include "ai/gguf/original.h"
#include "kernel/base/test.h"
#include "kernel/options.h"
#include "kernel/profile.h"
#include "service/model_check.h"
#include "tests/hosted/console_script.h"
#include "tests/hosted/console_tiny_model.h"
#include "tests/hosted/test_files.h"
#include "tests/hosted/test_platform.h"
#include "tests/hosted/test_tiny_model.h"

namespace {

std::string hex_of(const std::string& bytes) {
  crypto::Sha256Digest digest = crypto::sha256(bytes);
  std::string hex;
  char two[3];
  for (Byte byte : digest) hex += base::format_into(two, "{:02x}", byte);
  return hex;
}

class StringSink final : public ai::ByteSink {
 public:
  Result<void> write(std::span<const Byte> bytes) override {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  }
  std::string text;
};

}  // namespace

TEST(console_models, a_loaded_model_is_still_compared_with_its_file) {
  u32 checked = 0;
  for (const std::string& name : tiny_model_names()) {
    TinyModel tiny;
    REQUIRE(make_tiny_model(name, tiny));
    std::vector<Byte> before = tiny.file;
    TestPlatform platform;
    auto file = ai::GgufFile::parse(tiny.file, platform);
    REQUIRE(file.has_value());
    std::span<Byte> part(tiny.file);
    REQUIRE(ai::group_matrices(**file, {&part, 1}, platform).has_value());
    StringSink sink;
    REQUIRE(ai::write_original(**file, tiny.file, 0, platform, sink).has_value());
    EXPECT(std::ranges::equal(sink.text, before,
                              [](char a, Byte b) { return static_cast<Byte>(a) == b; }));
    checked++;
  }
  EXPECT(checked > 20);
}

TEST(console_models, verify_hashes_the_file_and_what_lies_in_memory) {
  TinyModelFile tiny;
  if (!tiny.made()) return test.skip("no tiny model: run in the root of the repository");
  std::string bytes;
  REQUIRE(read_file(tiny.path().substr(5), bytes));
  std::string line = hex_of(bytes) + "  " + tiny.path();
  EXPECT(run_commands("model verify " + tiny.path()).says(line));
  REQUIRE(tiny.load().has_value());
  ScriptedRun loaded = run_commands("model verify");
  EXPECT(loaded.says(line));
  EXPECT(loaded.says("unverified: no manifest"));
  service::EngineHost& host = service::engine_host();
  ai::Lease model = MUST(host.lease(service::kConsoleHolder));
  REQUIRE(host.flip_weight_bit(model).has_value());
  EXPECT(!run_commands("model verify").says(line));
  REQUIRE(host.flip_weight_bit(model).has_value());
  EXPECT(run_commands("model verify").says(line));
}

TEST(console_models, info_and_list_tell_what_a_model_is_before_it_is_loaded) {
  TinyModelFile tiny;
  if (!tiny.made()) return test.skip("no tiny model: run in the root of the repository");
  ScriptedRun info = run_commands("model info " + tiny.path());
  EXPECT_EQ(info.failed, 0u);
  for (const char* part : {"architecture  llama", "tokenizer     llama", "template      its own",
                           "not loaded: fits", "hash          no hash", "together"})
    EXPECT(info.says(part));
  REQUIRE(tiny.load().has_value());
  ScriptedRun list = run_commands("models; model info");
  for (const char* part :
       {"* tiny\n    llama, ", " million parameters, ", "no hash, loaded\n", "loaded in "})
    EXPECT(list.says(part));
}

TEST(console_models, a_switch_that_fails_leaves_the_old_model_at_work) {
  TinyModelFile tiny, broken("broken.gguf");
  if (!tiny.made()) return test.skip("no tiny model: run in the root of the repository");
  REQUIRE(tiny.load().has_value());
  std::string bytes;
  REQUIRE(read_file(broken.path().substr(5), bytes));
  std::ofstream(broken.path().substr(5), std::ios::binary) << bytes.substr(0, bytes.size() / 2);
  ScriptedRun done = run_commands("model switch " + broken.path() + "; llm ab 3");
  EXPECT_EQ(done.failed, 1u);
  EXPECT(done.says("llm: done"));
  EXPECT_EQ(service::engine_host().current_file()->name.view(), "tiny");
}

TEST(console_models, profile_adds_up) {
  TinyModelFile tiny;
  if (!tiny.made()) return test.skip("no tiny model: run in the root of the repository");
  REQUIRE(tiny.load().has_value());
  ScriptedRun done = run_commands("perf profile 0");
  EXPECT_EQ(done.failed, 0u);
  for (const char* part : {"reading the prompt: ", "making tokens: ", "ffn down", "attention",
                           "output matrix", "sampling"})
    EXPECT(done.says(part));
}

TEST(profile, time_belongs_to_the_operation_under_way) {
  profile::Table table;
  table.enter("a", 100);
  table.enter("b", 110);
  table.enter("a", 140);
  table.leave(145);
  table.enter("b", 1000);
  table.leave(1001);
  table.sort();
  REQUIRE(table.rows().size() == 2);
  EXPECT_EQ(std::string_view(table.rows()[0].name), "b");
  EXPECT_EQ(table.rows()[0].ticks, u64{31});
  EXPECT_EQ(table.rows()[0].calls, u64{2});
  EXPECT_EQ(table.rows()[1].ticks, u64{15});
  EXPECT_EQ(table.ticks(), u64{46});
}
