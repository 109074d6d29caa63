// SPDX-License-Identifier: GPL-2.0-or-later
// Models whose experts stay in their file: the threads that read, and a model that is loaded,
// asked, hashed and unloaded by the owner of the models.
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "kernel/base/test.h"
#include "kernel/options.h"
#include "kernel/sched/thread.h"
#include "service/engine_host.h"
#include "service/streaming.h"
#include "tests/hosted/console_tiny_model.h"
#include "tests/hosted/test_threads.h"
#include "tests/hosted/test_tiny_model.h"

namespace {

using service::engine_host;

// A disk that takes some turns for each read, and has bad sectors from a place on.
class SlowFile final : public fs::File {
 public:
  struct State {
    u32 now = 0, most = 0, reads = 0;
    u64 bad_from = ~u64{0};
    bool closed = false, held = false;
  };
  explicit SlowFile(State& state) : state_(state) {}
  ~SlowFile() override { state_.closed = true; }
  u64 size() const override { return 10 * ai::kReadAlignment + 100; }
  Result<usize> read_at(u64 offset, std::span<Byte> out) override {
    state_.reads++;
    state_.most = std::max(state_.most, ++state_.now);
    for (u32 turn = 0; turn < 5 || state_.held; turn++) sched::yield();
    state_.now--;
    if (offset >= state_.bad_from) return fail(Errc::kIo, "input or output failed");
    usize bytes = offset < size() ? std::min<u64>(out.size(), size() - offset) : 0;
    for (usize i = 0; i < bytes; i++) out[i] = static_cast<Byte>((offset + i) / 64);
    return bytes;
  }

 private:
  State& state_;
};

base::Owner<service::ExpertReader> slow_reader(SlowFile::State& state) {
  test_threads::start();
  Vector<base::Owner<fs::File>> parts;
  MUST(parts.push_back(base::Owner<fs::File>(MUST(base::make<SlowFile>(state)).release())));
  return MUST(service::ExpertReader::create(std::move(parts)));
}

struct Pieces {
  explicit Pieces(usize count) : memory(count * ai::kReadAlignment), reads(count) {
    for (usize i = 0; i < count; i++)
      reads[i] = {.offset = i * ai::kReadAlignment,
                  .out = std::span(memory).subspan(i * ai::kReadAlignment, ai::kReadAlignment),
                  .least = ai::kReadAlignment,
                  .status = {}};
  }
  void begin(ai::FileReader& reader) {
    for (ai::FileRead& read : reads) reader.begin(read);
    reader.start();
  }
  void wait(ai::FileReader& reader) const {
    for (const ai::FileRead& read : reads)
      while (!read.ended) reader.wait();
  }
  std::vector<Byte> memory;
  std::vector<ai::FileRead> reads;
};

// Other threads need some turns to notice that a reader is gone.
void let_threads_end(const SlowFile::State& state) {
  for (u32 turn = 0; turn < 100 && !state.closed; turn++) sched::yield();
}

class Answer final : public ai::RequestSink {
 public:
  void on_prefill(u32, u32) override {}
  void on_token(const ai::TokenEvent& event) override {
    MUST(ids.push_back(event.id));
    hashes.push_back(event.logits_hash);
  }
  void on_end(ai::FinishReason why, const ai::Timings&, const Error*) override {
    reason = why;
    ended = true;
  }
  Vector<ai::TokenId> ids;
  std::vector<u64> hashes;
  ai::FinishReason reason = ai::FinishReason::kError;
  bool ended = false;
};

std::vector<u64> hashes_of_answer() {
  ai::Lease model = MUST(engine_host().lease(service::kConsoleHolder));
  std::vector<ai::TokenId> prompt;
  for (u32 i = 0; i < 30; i++) prompt.push_back(3 + i * 7 % 50);
  Answer answer;
  ai::Request request{.prompt = prompt, .max_tokens = 20, .ignore_end = true, .hash_logits = true};
  service::HeldRequest held = MUST(service::HeldRequest::submit(model, request, answer));
  while (!answer.ended) engine_host().wait_news();
  return answer.hashes;
}

class WithOptions {
 public:
  explicit WithOptions(std::string_view text) { options::parse_command_line(text); }
  ~WithOptions() { options::reset(); }
  WithOptions(const WithOptions&) = delete;
  WithOptions& operator=(const WithOptions&) = delete;
};

class Bytes final : public ai::ByteSink {
 public:
  Result<void> write(std::span<const Byte> part) override {
    bytes.insert(bytes.end(), part.begin(), part.end());
    return {};
  }
  std::vector<Byte> bytes;
};

}  // namespace

TEST(streaming, several_reads_are_under_way_at_once) {
  SlowFile::State state;
  {
    auto reader = slow_reader(state);
    Pieces pieces(10);
    pieces.begin(*reader);
    pieces.wait(*reader);
    for (const ai::FileRead& read : pieces.reads) EXPECT(read.status.has_value());
    for (usize i = 0; i < pieces.memory.size(); i++)
      if (pieces.memory[i] != static_cast<Byte>(i / 64))
        return test.report(__FILE__, __LINE__, "other bytes");
    EXPECT(state.most > 4);
    EXPECT_EQ(state.reads, 10u);
  }
  let_threads_end(state);
  EXPECT(state.closed);
}

TEST(streaming, a_bad_or_short_read_is_told_to_its_owner_alone) {
  SlowFile::State state;
  state.bad_from = 7 * ai::kReadAlignment;
  {
    auto reader = slow_reader(state);
    Pieces pieces(10);
    pieces.begin(*reader);
    pieces.wait(*reader);
    for (usize i = 0; i < 10; i++) EXPECT_EQ(pieces.reads[i].status.has_value(), i < 7);
    state.bad_from = ~u64{0};
    Pieces end(11);  // the last one has 100 bytes
    end.reads[10].least = 100;
    end.begin(*reader);
    end.wait(*reader);
    EXPECT(end.reads[10].status.has_value());
    end.reads[10].least = 101;
    end.begin(*reader);
    end.wait(*reader);
    EXPECT(!end.reads[10].status.has_value() && end.reads[10].status.error().code == Errc::kIo);
    EXPECT(end.reads[9].status.has_value());
  }
  let_threads_end(state);
}

TEST(streaming, what_is_stopped_waits_only_for_the_disk) {
  SlowFile::State state;
  {
    auto reader = slow_reader(state);
    Pieces pieces(10);
    pieces.begin(*reader);
    u32 taken = state.reads;
    EXPECT(taken > 0 && taken < 10);
    reader->stop();
    EXPECT_EQ(state.reads, taken);
    EXPECT_EQ(state.now, 0u);
    u32 cancelled = 0;
    for (const ai::FileRead& read : pieces.reads) {
      EXPECT(read.ended);
      cancelled += !read.status.has_value() && read.status.error().code == Errc::kCancelled;
    }
    EXPECT_EQ(cancelled, 10 - taken);
    // The reader goes on.
    pieces.begin(*reader);
    pieces.wait(*reader);
    for (const ai::FileRead& read : pieces.reads) EXPECT(read.status.has_value());
  }
  let_threads_end(state);
}

namespace {

// A small model of experts as a file of the host.
class ExpertModel {
 public:
  explicit ExpertModel(const char* family) {
    mount_host_files();
    test_threads::start();
    char folder[] = "/tmp/marrow_experts_XXXXXX";
    if (mkdtemp(folder) == nullptr) std::abort();
    folder_ = folder;
    TinyModel tiny;
    if (!make_tiny_model(family, tiny)) return;
    give_tokenizer(tiny, false);
    std::ofstream out(name(), std::ios::binary);
    out.write(reinterpret_cast<const char*>(tiny.file.data()), static_cast<i64>(tiny.file.size()));
    bytes = std::move(tiny.file);
  }
  ~ExpertModel() {
    static_cast<void>(engine_host().unload());
    unlink(name().c_str());
    rmdir(folder_.c_str());
  }
  ExpertModel(const ExpertModel&) = delete;
  ExpertModel& operator=(const ExpertModel&) = delete;
  std::string path() const { return "/host" + name(); }
  Result<void> load() const { return engine_host().load(TRY(service::find_model(path()))); }

  std::vector<Byte> bytes;

 private:
  std::string name() const { return folder_ + "/experts.gguf"; }
  std::string folder_;
};

std::string printed(const std::string& path) {
  char text[1000];
  base::BufferWriter out(text);
  service::print_streaming(out, path);
  return std::string(out.view());
}

}  // namespace

TEST(streaming, a_model_answers_as_from_memory) {
  ExpertModel file("qwen3moe");
  if (file.bytes.empty()) return test.skip("no tiny model: run in the root of the repository");
  REQUIRE(file.load().has_value());
  EXPECT_EQ(printed(file.path()), "");
  std::vector<u64> wanted = hashes_of_answer();
  REQUIRE(engine_host().unload().has_value());

  WithOptions streams("experts=stream experts.mb=1");
  service::ModelFacts facts = MUST(engine_host().inspect(MUST(service::find_model(file.path()))));
  REQUIRE(file.load().has_value());
  EXPECT(hashes_of_answer() == wanted);
  std::string text = printed(file.path());
  EXPECT(text.find("in memory at once") != text.npos);
  EXPECT(text.find("MB a token") != text.npos);
  {
    ai::Lease model = MUST(engine_host().lease(service::kConsoleHolder));
    EXPECT_EQ(model.plan().total(), facts.model.plan.total());
    Bytes original;
    REQUIRE(engine_host().write_original(model, 0, original).has_value());
    EXPECT(original.bytes == file.bytes);
    EXPECT(!engine_host().write_original(model, 1, original).has_value());
  }
  REQUIRE(engine_host().unload().has_value());
  EXPECT_EQ(printed(file.path()), "");
}

TEST(streaming, a_dense_model_lies_in_memory_whatever_the_option_says) {
  ExpertModel file("llama");
  if (file.bytes.empty()) return test.skip("no tiny model: run in the root of the repository");
  WithOptions streams("experts=stream");
  REQUIRE(file.load().has_value());
  EXPECT_EQ(printed(file.path()), "");
}

TEST(streaming, too_little_memory_for_an_expert_is_an_error) {
  ExpertModel file("mixtral");
  if (file.bytes.empty()) return test.skip("no tiny model: run in the root of the repository");
  service::ModelFile model = MUST(service::find_model(file.path()));
  EXPECT(service::refuse_too_large(model).has_value());
  model.bytes = ~u64{0} / 2;  // as if it were larger than any memory
  Result<void> refused = service::refuse_too_large(model);
  EXPECT(!refused.has_value() && refused.error().code == Errc::kOutOfMemory);
}
