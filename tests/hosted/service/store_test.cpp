// SPDX-License-Identifier: GPL-2.0-or-later
// Models found by path and loaded as the console does it.
#include <filesystem>

#include "arch/host/host_fs.h"
#include "kernel/base/test.h"
#include "service/engine_host.h"
#include "tests/hosted/fake_model.h"
#include "tests/hosted/test_files.h"
#include "tests/hosted/test_threads.h"

namespace {

namespace files = std::filesystem;

void mount_host() {
  if (!fs::stat("/host/proc").has_value()) MUST(fs::mount("/host", host::file_system()));
}

}  // namespace

// stories260K.bin has no tokenizer inside: tok512.bin or tokenizer.bin beside it is its second
// part.
TEST(engine_store, a_checkpoint_of_llama2c_finds_its_tokenizer) {
  std::string golden, checkpoint = shared_path("stories260K/stories260K.bin"),
                      tokenizer = shared_path("stories260K/tok512.bin");
  if (!read_file(shared_path("goldens/stories260K.greedy200.txt"), golden) ||
      !files::exists(checkpoint) || !files::exists(tokenizer))
    return test.skip("shared data are not here");
  while (golden.ends_with('\n')) golden.pop_back();
  test_threads::start();
  mount_host();
  files::path folder = files::temp_directory_path() / "marrow-engine-store";
  for (const char* name : {"tok512.bin", "tokenizer.bin", ""}) {
    files::remove_all(folder);
    files::create_directories(folder);
    files::copy_file(checkpoint, folder / "stories.bin");
    if (*name != 0) files::copy_file(tokenizer, folder / name);
    auto file = service::find_model((folder / "stories.bin").string());
    REQUIRE(file.has_value());
    EXPECT_EQ(file->parts, *name != 0 ? 2u : 1u);
    auto loaded = service::engine_host().load(*file);
    EXPECT_EQ(loaded.has_value(), *name != 0);
    if (!loaded.has_value()) continue;
    {
      ai::Lease model = MUST(service::engine_host().lease(service::kConsoleHolder));
      const ai::TokenId begin = model.tokenizer().bos();
      FakeSink sink;
      ai::Request request{.prompt = {&begin, 1}, .max_tokens = 200, .ignore_end = true};
      auto held = service::HeldRequest::submit(model, request, sink);
      REQUIRE(held.has_value());
      while (!sink.ended) service::engine_host().wait_news();
      EXPECT(sink.text.substr(sink.text.starts_with(' ') ? 1 : 0) == golden);
    }
    REQUIRE(service::engine_host().unload().has_value());
  }
  files::remove_all(folder);
}
