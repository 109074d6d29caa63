// SPDX-License-Identifier: GPL-2.0-or-later
// models, model info/verify/switch, and the profile, with a small real model.
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <vector>

#include "ai/gguf/original.h"
#include "kernel/base/test.h"
#include "kernel/options.h"
#include "kernel/profile.h"
#include "service/model_check.h"
#include "service/model_store.h"
#include "tests/hosted/console/console_script.h"
#include "tests/hosted/console_tiny_model.h"
#include "tests/hosted/test_files.h"
#include "tests/hosted/test_mount.h"
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

std::string paths_of(const Vector<service::ModelFile>& models) {
  std::string paths;
  for (const service::ModelFile& model : models) paths += std::string(model.path.view()) + " ";
  return paths;
}

}  // namespace

TEST(console_models, one_model_seen_twice_is_one_model) {
  std::string gguf = "GGUF and more";
  FewFiles memory("/one", {{"alpha-7b.gguf", gguf}, {"beta.gguf", gguf}});
  FewFiles disk("/two",
                {{"gamma.gguf", gguf}, {"alpha-7b.gguf", gguf}, {"alpha-7b-new.gguf", gguf}});
  auto models = service::find_models();
  REQUIRE(models.has_value());
  EXPECT_EQ(paths_of(*models),
            "/one/alpha-7b.gguf /two/alpha-7b.gguf /one/beta.gguf /two/gamma.gguf "
            "/two/alpha-7b-new.gguf ");
  EXPECT_EQ(service::find_model("BETA")->path.view(), "/one/beta.gguf");
  EXPECT_EQ(service::find_model("alpha-7b")->path.view(), "/one/alpha-7b.gguf");
  EXPECT(!service::find_model("alpha").has_value());  // two of that name
  FewFiles third("/three", {{"delta-x.gguf", gguf}});
  FewFiles fourth("/four", {{"delta-x.gguf", gguf}});
  auto twice = service::find_model("delta");
  REQUIRE(twice.has_value());
  EXPECT_EQ(twice->path.view(), "/three/delta-x.gguf");
}

TEST(console_models, a_path_may_have_dots) {
  TinyModelFile tiny("dots.gguf");
  if (!tiny.made()) return test.skip("no tiny model: run in the root of the repository");
  std::string host = tiny.path().substr(5);
  std::string folder = host.substr(0, host.rfind('/'));
  char before[512];
  REQUIRE(getcwd(before, sizeof before) != nullptr);
  REQUIRE(mkdir((folder + "/sub").c_str(), 0700) == 0);
  REQUIRE(chdir((folder + "/sub").c_str()) == 0);
  for (const char* path : {"../dots.gguf", "./../dots.gguf", "../sub/.././dots.gguf"})
    if (!service::find_model(path).has_value()) test.report(__FILE__, __LINE__, path);
  REQUIRE(chdir(folder.c_str()) == 0);
  for (const char* path : {"./dots.gguf", "dots.gguf", "sub/../dots.gguf"})
    if (!service::find_model(path).has_value()) test.report(__FILE__, __LINE__, path);
  EXPECT(!service::find_model("../dots.gguf").has_value());
  REQUIRE(chdir(before) == 0);
  rmdir((folder + "/sub").c_str());
}

TEST(console_models, files_that_are_no_models_say_why) {
  FewFiles disk("/download", {{"good.gguf", "GGUF and more"},
                              {"empty.gguf", ""},
                              {"page.gguf", "<!DOCTYPE html><html>"},
                              {"pointer.gguf", "version https://git-lfs.github.com/spec/v1\noid"},
                              {"cut.gguf", "GG"},
                              {"notes.txt", "no model, nor named like one"},
                              {"part-00001-of-00002.gguf", "GGUF and more"}});
  Vector<service::BrokenModel> broken;
  auto models = service::find_models(&broken);
  REQUIRE(models.has_value());
  EXPECT_EQ(paths_of(*models), "/download/good.gguf ");
  REQUIRE(broken.size() == 5);
  for (const char* part : {"empty", "web page", "git-lfs", "does not begin", "lacks parts"}) {
    bool told = false;
    for (const service::BrokenModel& file : broken)
      told = told || std::string_view(file.fault).find(part) != std::string_view::npos;
    if (!told) test.report(__FILE__, __LINE__, part);
  }
  EXPECT(service::find_model("pointer").error().what == std::string_view(broken[2].fault));
  EXPECT(service::find_model("/download/page.gguf").error().code == Errc::kCorrupt);
  EXPECT(run_commands("models").says("/download/empty.gguf is empty"));
}

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
