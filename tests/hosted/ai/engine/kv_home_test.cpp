// SPDX-License-Identifier: GPL-2.0-or-later
// The second home of KV pages: texts come back with the same bytes, and whatever happens to the
// folder costs time only.
#include "ai/engine/kv_home.h"

#include <cstddef>
#include <map>

#include "ai/engine/kv_home_head.h"
#include "arch/host/memory.h"
#include "kernel/base/test.h"
#include "service/kv_name.h"
#include "tests/hosted/ai/engine/ask.h"

namespace {

using ai::TokenId;

// A folder in memory, whose operations can fail.
struct MemoryFolder final : ai::KvFolder {
  struct File final : ai::KvFolderFile {
    File(MemoryFolder& in, u64 number) : folder(in), name(number) {}
    Result<void> read(u64 at, std::span<Byte> out) override {
      if (folder.on_read) folder.on_read();
      std::vector<Byte>& bytes = folder.files[name];
      if (folder.fails() || at + out.size() > bytes.size()) return fail(Errc::kIo, "a read error");
      std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), out.size(), out.begin());
      return {};
    }
    Result<void> write(u64 at, std::span<const Byte> part) override {
      if (folder.fails()) return fail(Errc::kIo, "a write error");
      std::vector<Byte>& bytes = folder.files[name];
      if (bytes.size() < at + part.size()) bytes.resize(at + part.size());
      std::copy(part.begin(), part.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
      return {};
    }
    Result<void> flush() override {
      return folder.fails() ? fail(Errc::kIo, "a write error") : Result<void>();
    }
    MemoryFolder& folder;
    u64 name;
  };
  bool fails() { return left > 0 && --left == 0; }
  Name hash(std::span<const Byte> first, std::span<const Byte> second) override {
    return service::kv_name(first, second);
  }
  Result<base::Owner<ai::KvFolderFile>> create(u64 name) override {
    if (fails()) return fail(Errc::kIo, "no file can be made");
    files[name].clear();
    return open(name);
  }
  Result<base::Owner<ai::KvFolderFile>> open(u64 name) override {
    if (fails() || !files.contains(name)) return fail(Errc::kNotFound, "no such file");
    return base::Owner<ai::KvFolderFile>(TRY(base::make<File>(*this, name)));
  }
  Result<void> remove(u64 name) override {
    files.erase(name);
    return {};
  }
  Result<Vector<u64>> list() override {
    Vector<u64> names;
    for (const auto& [name, bytes] : files) TRY(names.push_back(name));
    return names;
  }
  u64 now_ns() override { return ++now; }

  std::map<u64, std::vector<Byte>> files;
  u64 left = 0;  // operations until one fails; 0 = none does
  u64 now = 0;
  std::function<void()> on_read;
};

struct Between final : ai::BetweenPages {
  bool go_on() override {
    pages++;
    if (then) then();
    return true;
  }
  u32 pages = 0;
  std::function<void()> then;
};

constexpr ai::EngineOptions kOptions{.context = 512};
constexpr FakeBehaviour kWhole, kNarrow{.window = 10};

// An engine whose pages have a home, and a request from beginning to end.
struct Machine {
  Machine(ai::KvHome* home, const FakeBehaviour& behaviour,
          const ai::EngineOptions& options = kOptions)
      : engine(fake_engine(platform, options, behaviour)) {
    if (engine.has_value() && home != nullptr) told = (*engine)->set_home(*home);
  }
  void run_all() {
    while ((*engine)->step() || (*engine)->visit_home(between)) {
    }
  }
  // Returns what was asked, followed by the answer.
  std::vector<TokenId> ask(const std::vector<TokenId>& prompt, u32 answer = 20) {
    sink = {};
    if (!(*engine)
             ->submit({.prompt = prompt, .max_tokens = answer, .hash_logits = true}, sink)
             .has_value())
      return {};
    run_all();
    std::vector<TokenId> all = prompt;
    all.insert(all.end(), sink.ids.begin(), sink.ids.end());
    return all;
  }
  TestPlatform platform;
  Result<base::Owner<ai::EngineImpl>> engine;
  Result<void> told;
  Between between;
  FakeSink sink;
};

std::vector<TokenId> and_more(std::vector<TokenId> text, u32 n, TokenId first) {
  std::vector<TokenId> more = counted(n, first);
  text.insert(text.end(), more.begin(), more.end());
  return text;
}

base::Owner<ai::KvHome> open_home(MemoryFolder& folder, u64 most = 64 * kMiB) {
  auto home = ai::KvHome::open(folder, most);
  return home.has_value() ? std::move(*home) : base::Owner<ai::KvHome>();
}

// Returns true if a machine with this home answers as one without a home does.
bool same_answer(ai::KvHome* home, const FakeBehaviour& behaviour,
                 const std::vector<TokenId>& prompt, u32* cached = nullptr) {
  Machine with(home, behaviour), without(nullptr, behaviour);
  if (!with.engine.has_value() || !without.engine.has_value()) return false;
  with.ask(prompt);
  without.ask(prompt);
  if (cached != nullptr) *cached = with.sink.timings.cached_tokens;
  return with.sink.ended && with.sink.ids == without.sink.ids &&
         with.sink.hashes == without.sink.hashes && (*with.engine)->consistent() &&
         (*with.engine)->kv_pages_used() == 0;
}

}  // namespace

TEST(engine_kv_home, a_text_comes_back_in_another_engine_and_after_a_restart) {
  for (const FakeBehaviour& behaviour : {kWhole, kNarrow}) {
    MemoryFolder folder;
    auto home = open_home(folder);
    Machine first(home.get(), behaviour);
    REQUIRE(first.engine.has_value() && first.told.has_value());
    std::vector<TokenId> talk = first.ask(counted(200));
    EXPECT_EQ(first.sink.timings.cached_tokens, 0u);
    EXPECT_EQ(folder.files.size(), 1u);
    EXPECT_EQ(home->figures().pages_written, 54u);
    for (bool restart : {false, true}) {
      if (restart) home = open_home(folder);
      u32 cached = 0;
      EXPECT(same_answer(home.get(), behaviour, and_more(talk, 5, 9), &cached));
      EXPECT_EQ(cached, 216u);  // the whole pages of 219 computed positions
    }
    EXPECT_EQ(folder.files.size(), 1u);  // 5 and 20 more positions are not worth a file
  }
}

TEST(engine_kv_home, turns_are_added_and_beginnings_are_shared) {
  MemoryFolder folder;
  auto home = open_home(folder);
  Machine machine(home.get(), kWhole);
  REQUIRE(machine.engine.has_value());
  std::vector<TokenId> talk = machine.ask(counted(180));
  u64 once = home->figures().bytes;
  std::vector<TokenId> longer = machine.ask(and_more(talk, 150, 8));
  EXPECT_EQ(folder.files.size(), 2u);
  EXPECT(home->figures().bytes < 2 * once);
  // Another text with the same first 100 tokens.
  std::vector<TokenId> other = counted(100);
  other = and_more(other, 150, 20);
  machine.ask(other);
  EXPECT_EQ(folder.files.size(), 3u);
  u64 read = home->figures().pages_read;
  u32 cached = 0;
  EXPECT(same_answer(home.get(), kWhole, and_more(longer, 3, 6), &cached));
  EXPECT_EQ(cached, 368u);
  EXPECT(same_answer(home.get(), kWhole, and_more(other, 3, 6), &cached));
  EXPECT_EQ(cached, 248u);
  EXPECT_EQ(home->figures().pages_read - read, 368u / 4 + 248u / 4);
}

TEST(engine_kv_home, other_models_and_caches_find_nothing) {
  MemoryFolder folder;
  auto home = open_home(folder);
  Machine machine(home.get(), kWhole), narrow(home.get(), kNarrow);
  REQUIRE(machine.engine.has_value() && narrow.engine.has_value());
  machine.ask(counted(200));
  narrow.ask(counted(200));
  EXPECT_EQ(narrow.sink.timings.cached_tokens, 0u);
  EXPECT_EQ(folder.files.size(), 2u);
  Machine recurrent(home.get(), {.recurrent = true});
  REQUIRE(recurrent.engine.has_value());
  EXPECT(!recurrent.told.has_value());
  Machine private_one(home.get(), kWhole);
  FakeSink sink;
  std::vector<TokenId> secret = counted(200, 12);
  ai::Request request{.prompt = secret, .max_tokens = 20, .cache_prompt = false};
  REQUIRE((*private_one.engine)->submit(request, sink).has_value());
  private_one.run_all();
  EXPECT(sink.ended);
  EXPECT_EQ(folder.files.size(), 2u);
}

TEST(engine_kv_home, the_least_recently_used_goes_first) {
  MemoryFolder folder;
  constexpr u64 kMost = 3 * 4096 + 3 * 216 * 8 + 2000;  // three texts
  auto home = open_home(folder, kMost);
  Machine machine(home.get(), kWhole);
  REQUIRE(machine.engine.has_value());
  std::vector<TokenId> texts[4];
  for (u32 i = 0; i < 3; i++) texts[i] = machine.ask(counted(200, 5 + i));
  EXPECT_EQ(folder.files.size(), 3u);
  EXPECT(same_answer(home.get(), kWhole, and_more(texts[0], 2, 9)));  // used again
  texts[3] = machine.ask(counted(200, 9));
  EXPECT_EQ(folder.files.size(), 3u);
  EXPECT(home->figures().bytes <= kMost);
  u32 cached[4] = {};
  for (u32 i : {0u, 2u, 3u, 1u})  // the last one is computed and kept again
    EXPECT(same_answer(home.get(), kWhole, and_more(texts[i], 2, 9), &cached[i]));
  EXPECT_EQ(cached[0], 216u);
  EXPECT_EQ(cached[1], 0u);
  EXPECT_EQ(cached[2], 216u);
  home = open_home(folder, kMost / 2);  // the limit was lowered
  EXPECT(home->figures().bytes <= kMost / 2);
  auto none = open_home(folder, 1);
  EXPECT_EQ(folder.files.size(), 0u);
}

TEST(engine_kv_home, every_flipped_bit_and_every_cut_costs_time_only) {
  for (const FakeBehaviour& behaviour : {kWhole, kNarrow}) {
    MemoryFolder folder;
    auto home = open_home(folder);
    Machine machine(home.get(), behaviour);
    REQUIRE(machine.engine.has_value());
    std::vector<TokenId> prompt = and_more(machine.ask(counted(180)), 2, 9);
    REQUIRE(folder.files.size() == 1);
    const std::vector<Byte> good = folder.files.begin()->second;
    usize used = ai::head_bytes_used(49, behaviour.window > 0 ? 3 : 0);
    auto unharmed = [&](usize at) {
      auto again = open_home(folder);
      u32 cached = 0;
      bool right = again != nullptr && same_answer(again.get(), behaviour, prompt, &cached);
      // Zeros behind the head may change; all else is noticed.
      bool noticed = cached < 196 || (at >= used && at < 4096);
      folder.files.clear();
      return right && noticed;
    };
    u64 name = folder.files.begin()->first;
    for (usize at = 0; at < good.size(); at += at < used ? 3 : 41) {
      folder.files = {{name, good}};
      folder.files[name][at] ^= static_cast<Byte>(1 << at % 8);
      if (!unharmed(at)) test.report(__FILE__, __LINE__, "a flipped bit did harm");
    }
    for (usize size = 0; size < good.size(); size += size < used ? 7 : 131) {
      folder.files = {{name, std::vector<Byte>(good.begin(),
                                               good.begin() + static_cast<std::ptrdiff_t>(size))}};
      if (!unharmed(size)) test.report(__FILE__, __LINE__, "a file that was cut did harm");
    }
  }
}

TEST(engine_kv_home, a_failing_disk_and_a_lack_of_memory_cost_time_only) {
  for (const FakeBehaviour& behaviour : {kWhole, kNarrow}) {
    MemoryFolder good;
    auto filled = open_home(good);
    Machine machine(filled.get(), behaviour);
    REQUIRE(machine.engine.has_value());
    std::vector<TokenId> prompt = and_more(machine.ask(counted(180)), 140, 9);
    for (u64 n = 1; n < 200; n++) {
      MemoryFolder folder;
      folder.files = good.files;
      auto home = open_home(folder);
      REQUIRE(home != nullptr);
      folder.left = n;
      EXPECT(same_answer(home.get(), behaviour, prompt));
      if (folder.left > 0) break;  // nothing was left to fail
      folder.left = 0;
      EXPECT(same_answer(home.get(), behaviour, prompt));
      EXPECT(open_home(folder) != nullptr);
    }
  }
  MemoryFolder folder;
  auto home = open_home(folder);
  Machine machine(home.get(), kWhole);
  REQUIRE(machine.engine.has_value());
  std::vector<TokenId> talk = machine.ask(counted(180));
  for (u64 n = 1; n < 40; n++) {
    Machine other(home.get(), kWhole);
    REQUIRE(other.engine.has_value());
    FakeSink sink;
    std::vector<TokenId> prompt = and_more(talk, 140, static_cast<TokenId>(5 + n % 20));
    REQUIRE((*other.engine)->submit({.prompt = prompt, .max_tokens = 5}, sink).has_value());
    host::fail_allocation(n);
    while ((*other.engine)->visit_home(other.between)) {
    }
    host::fail_allocation(0);
    other.run_all();
    EXPECT(sink.ended && sink.reason == ai::FinishReason::kLength);
    EXPECT((*other.engine)->consistent());
  }
}

TEST(engine_kv_home, requests_come_and_go_while_the_disk_is_read) {
  MemoryFolder folder;
  auto home = open_home(folder);
  Machine machine(home.get(), kWhole);
  REQUIRE(machine.engine.has_value());
  std::vector<TokenId> talk = machine.ask(counted(200)), prompt = and_more(talk, 3, 9);
  Machine other(home.get(), kWhole);
  REQUIRE(other.engine.has_value());
  ai::EngineImpl& engine = **other.engine;
  FakeSink first, second, beside;
  std::vector<TokenId> another = counted(30, 11);
  auto id = engine.submit({.prompt = prompt, .max_tokens = 5}, first);
  REQUIRE(id.has_value());
  EXPECT(!engine.step());  // it waits for its pages
  EXPECT_EQ(engine.queued(), 1u);
  other.between.then = [&] {
    if (other.between.pages == 3) {
      EXPECT(engine.submit({.prompt = prompt, .max_tokens = 5}, second).has_value());
      EXPECT(engine.submit({.prompt = another, .max_tokens = 5}, beside).has_value());
    }
    if (other.between.pages == 20) engine.cancel(*id);
    engine.step();
  };
  EXPECT(engine.visit_home(other.between));
  EXPECT(first.ended && first.reason == ai::FinishReason::kCancelled);
  EXPECT(beside.ended);  // it did not wait for the disk
  other.between.then = {};
  other.run_all();
  EXPECT(second.ended && second.reason == ai::FinishReason::kLength);
  EXPECT_EQ(second.timings.cached_tokens, 216u);
  EXPECT(engine.consistent());
  EXPECT_EQ(engine.kv_pages_used(), 0u);
}

TEST(engine_kv_home, without_room_a_request_waits_and_is_computed_at_last) {
  MemoryFolder folder;
  auto home = open_home(folder);
  Machine machine(home.get(), kWhole);
  REQUIRE(machine.engine.has_value());
  std::vector<TokenId> prompt = and_more(machine.ask(counted(200)), 3, 9);
  Machine small(home.get(), kWhole, {.context = 256, .kv_bytes = 64 * 32});
  REQUIRE(small.engine.has_value());
  ai::EngineImpl& engine = **small.engine;
  FakeSink holder, waits;
  std::vector<TokenId> other = counted(100, 17);
  REQUIRE(engine.submit({.prompt = other, .max_tokens = 40}, holder).has_value());
  engine.step();
  REQUIRE(engine.submit({.prompt = prompt, .max_tokens = 5}, waits).has_value());
  EXPECT(!engine.visit_home(small.between));
  small.run_all();
  EXPECT(holder.ended && waits.ended);
  EXPECT_EQ(waits.timings.cached_tokens, 216u);
  EXPECT(engine.consistent());
}

TEST(engine_kv_home, more_texts_than_can_wait_and_a_slow_disk) {
  MemoryFolder folder;
  auto home = open_home(folder);
  Machine machine(home.get(), kWhole);
  REQUIRE(machine.engine.has_value());
  ai::EngineImpl& engine = **machine.engine;
  for (u32 i = 0; i < 12; i++) {
    FakeSink sink;
    std::vector<TokenId> prompt = counted(140, 5 + i);
    REQUIRE(engine.submit({.prompt = prompt, .max_tokens = 5}, sink).has_value());
    run(engine);
  }
  EXPECT_EQ(engine.texts_to_keep(), 8u);
  machine.run_all();
  EXPECT_EQ(engine.texts_to_keep(), 0u);
  EXPECT(!folder.files.empty());
  EXPECT(home->clear().has_value());
  EXPECT(folder.files.empty());
  EXPECT_EQ(home->figures().bytes, 0u);
}
