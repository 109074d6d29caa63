// SPDX-License-Identifier: GPL-2.0-or-later
// The owner of the models with several users: who gets which model, who waits for whom, and what is
// left.
#include <string>
#include <vector>

#include "console/shell/model_use.h"
#include "kernel/base/test.h"
#include "kernel/options.h"
#include "tests/hosted/console/console_script.h"
#include "tests/hosted/console_tiny_model.h"
#include "tests/hosted/scripted_engine.h"

namespace {

using service::engine_host;

class Answer final : public ai::RequestSink {
 public:
  void on_prefill(u32, u32) override {}
  void on_token(const ai::TokenEvent& event) override { text += event.text; }
  void on_end(ai::FinishReason why, const ai::Timings&, const Error*) override {
    reason = why;
    ends++;
  }
  std::string text;
  ai::FinishReason reason = ai::FinishReason::kError;
  u32 ends = 0;
};

Result<service::HeldRequest> ask(const ai::Lease& model, Answer& answer, u32 tokens) {
  static const ai::TokenId prompt[] = {5, 6};  // every vocabulary here has them
  ai::Request request;
  request.prompt = prompt;
  request.max_tokens = tokens;
  return service::HeldRequest::submit(model, request, answer);
}

void wait_for(const Answer& answer) {
  while (answer.ends == 0) engine_host().wait_news();
}

ai::Lease leased(const service::Holder& holder = service::kConsoleHolder,
                 std::string_view name = {}) {
  return MUST(engine_host().lease(holder, name));
}

std::string_view loaded_name(u32 index) {
  const service::ModelFile* file = engine_host().model_file(index);
  return file == nullptr ? std::string_view() : file->name.view();
}

// Options for one test.
class WithOptions {
 public:
  explicit WithOptions(std::string_view text) { options::parse_command_line(text); }
  ~WithOptions() { options::reset(); }
};

// Loads on a thread of its own, as the server does.
struct Loader {
  explicit Loader(std::string path, service::Wish wish = service::Wish::kChosen)
      : path(std::move(path)), wish(wish) {
    MUST(sched::spawn(
        "test-load",
        [](void* self) {
          Loader& l = *static_cast<Loader*>(self);
          l.result = engine_host().load(MUST(service::find_model(l.path)), nullptr, l.wish);
          l.done = true;
        },
        this, 256 * kKiB));
  }
  void wait() const {
    while (!done) sched::yield();
  }
  std::string path;
  service::Wish wish;
  bool done = false;
  Result<void> result;
};

class Stopped final : public service::Patience {
 public:
  bool ended() override { return now; }
  bool now = false;
};

}  // namespace

TEST(engine_host, two_askers_are_answered_and_nobody_steps) {
  WithScriptedEngine fake;
  fake.engine->answers = {"first answer", "second"};
  ai::Lease model = leased();
  Answer one, two;
  service::HeldRequest first = MUST(ask(model, one, 0)), second = MUST(ask(model, two, 0));
  wait_for(one);
  wait_for(two);
  EXPECT_EQ(one.text, "first answer");
  EXPECT_EQ(two.text, "second");
  EXPECT_EQ(one.ends + two.ends, 2u);
}

TEST(engine_host, a_request_that_is_dropped_is_cancelled_once) {
  WithScriptedEngine fake;
  fake.engine->answers = {std::string(1000, 'x')};
  ai::Lease model = leased();
  Answer answer;
  {
    service::HeldRequest held = MUST(ask(model, answer, 0));
  }
  EXPECT_EQ(answer.ends, 1u);
  EXPECT(answer.reason == ai::FinishReason::kCancelled);
  {
    Answer whole;
    service::HeldRequest held = MUST(ask(model, whole, 3));
    wait_for(whole);
    held.cancel();
    EXPECT_EQ(whole.ends, 1u);
  }
  EXPECT_EQ(engine_host().figures(model).running, 0u);
}

TEST(engine_host, jobs_run_in_the_order_they_were_asked_for) {
  WithScriptedEngine fake;
  struct Letters {
    std::string order;
    u32 done = 0;
  } letters;
  struct Asker {
    Letters* letters;
    char letter;
  } askers[] = {{&letters, 'a'}, {&letters, 'b'}, {&letters, 'c'}};
  for (Asker& asker : askers)
    MUST(sched::spawn(
        "test-asker",
        [](void* self) {
          Asker& a = *static_cast<Asker*>(self);
          ai::Lease model = leased();
          MUST(engine_host().between_steps(model, nullptr, [&](service::Turn&) -> Result<void> {
            a.letters->order += a.letter;
            return {};
          }));
          a.letters->done++;
        },
        &asker, 256 * kKiB));
  while (letters.done < 3) sched::yield();
  EXPECT_EQ(letters.order, "abc");
}

// The work ends with kCancelled when it looks, and work that has not begun does not begin.
TEST(engine_host, a_person_who_has_had_enough_stops_waiting) {
  WithScriptedEngine fake;
  ai::Lease model = leased();
  Stopped patience;
  u32 chunks = 0;
  Result<void> done =
      engine_host().between_steps(model, &patience, [&](service::Turn& turn) -> Result<void> {
        for (; turn.go_on(); chunks++) {
          patience.now = chunks == 2;
          if (patience.now) sched::sleep_ns(30'000'000);  // the asker looks meanwhile
        }
        return fail(Errc::kCancelled, "stopped");
      });
  REQUIRE(!done.has_value());
  EXPECT(done.error().code == Errc::kCancelled);
  EXPECT(chunks >= 3);
}

TEST(engine_host, requests_make_steps_between_the_chunks_of_a_long_work) {
  WithScriptedEngine fake;
  fake.engine->answers = {"abcdef"};
  ai::Lease model = leased();
  Answer answer;
  service::HeldRequest held = MUST(ask(model, answer, 0));
  MUST(engine_host().between_steps(model, nullptr, [&](service::Turn& turn) -> Result<void> {
    while (answer.ends == 0 && turn.go_on()) {
    }
    return {};
  }));
  EXPECT_EQ(answer.text, "abcdef");
}

TEST(engine_host, a_load_is_refused_while_a_command_works_on_the_model_and_names_it) {
  TinyModelFile one("one.gguf"), two("two.gguf", 1);
  if (!one.made()) return test.skip("no tiny model: run in the root of the repository");
  REQUIRE(one.load().has_value());
  {
    ai::Lease model = leased(service::kStabilityHolder);
    Result<void> loaded = two.load();
    REQUIRE(!loaded.has_value());
    EXPECT(loaded.error().code == Errc::kBusy);
    EXPECT(std::string_view(loaded.error().what).contains("stability"));
    Result<void> unloaded = engine_host().unload();
    EXPECT(!unloaded.has_value() && unloaded.error().code == Errc::kBusy);
    EXPECT_EQ(engine_host().current_file()->name.view(), "one");
  }
  EXPECT(two.load().has_value());
  EXPECT_EQ(engine_host().current_file()->name.view(), "two");
  EXPECT_EQ(engine_host().leases(), 0u);
}

// An answer does not hold up a load: it goes on with the old model, which stays as long.
TEST(engine_host, an_answer_goes_on_with_the_model_it_began_with) {
  TinyModelFile one("one.gguf"), two("two.gguf", 1);
  if (!one.made()) return test.skip("no tiny model: run in the root of the repository");
  REQUIRE(one.load().has_value());
  Answer alone, beside;
  {
    ai::Lease model = leased();
    service::HeldRequest held = MUST(ask(model, alone, 40));
    wait_for(alone);
  }
  ai::Lease old = leased();
  u64 number = old.load_number();
  service::HeldRequest held = MUST(ask(old, beside, 40));
  Loader loader(two.path());
  loader.wait();
  EXPECT(loader.result.has_value());
  EXPECT_EQ(engine_host().current_file()->name.view(), "two");
  EXPECT(!engine_host().is_loaded(number));  // for new requests
  EXPECT_EQ(old.model(), "one");
  wait_for(beside);
  EXPECT_EQ(beside.text, alone.text);
  held = {};
  old = {};
  EXPECT_EQ(engine_host().leases(), 0u);
}

// Once crashed a machine: the engine was destroyed under a text that was being scored.
TEST(engine_host, a_model_is_not_destroyed_under_a_job) {
  TinyModelFile one("one.gguf"), two("two.gguf", 1);
  if (!one.made()) return test.skip("no tiny model: run in the root of the repository");
  REQUIRE(one.load().has_value());
  Loader* loader = nullptr;
  ai::Lease model = leased();
  Vector<ai::TokenId> tokens;
  for (u32 i = 0; i < 200; i++) REQUIRE(tokens.push_back(5 + i % 20).has_value());
  std::vector<float> before(model.info().width), beside(model.info().width);
  auto embed = [&](std::vector<float>& out) {
    return engine_host().between_steps(model, nullptr, [&](service::Turn& turn) {
      if (loader != nullptr)
        while (!loader->done) sched::yield();  // it is done while this job runs
      return turn.engine().embed(tokens.view(), ai::Pooling::kMean, out, nullptr);
    });
  };
  REQUIRE(embed(before).has_value());
  Loader loading(two.path());
  loader = &loading;
  REQUIRE(embed(beside).has_value());
  EXPECT(before == beside);
  EXPECT_EQ(engine_host().current_file()->name.view(), "two");
}

TEST(engine_host, unloading_waits_for_the_answers_in_the_making) {
  WithScriptedEngine fake;
  fake.engine->answers = {"a long answer"};
  struct Asker {
    Answer answer;
    bool done = false;
  } asker;
  MUST(sched::spawn(
      "test-asker",
      [](void* self) {
        Asker& a = *static_cast<Asker*>(self);
        {
          ai::Lease model = leased();
          service::HeldRequest held = MUST(ask(model, a.answer, 0));
          wait_for(a.answer);
        }
        a.done = true;
      },
      &asker, 256 * kKiB));
  sched::yield();
  REQUIRE(engine_host().unload().has_value());
  EXPECT(asker.done);
  EXPECT_EQ(asker.answer.text, "a long answer");
  EXPECT(!engine_host().loaded());
  EXPECT(!engine_host().lease(service::kConsoleHolder).has_value());
}

TEST(engine_host, several_models_are_kept_and_the_one_used_longest_ago_goes) {
  TinyModelFile one("one.gguf"), two("two.gguf", 1), three("three.gguf", 2);
  if (!one.made()) return test.skip("no tiny model: run in the root of the repository");
  WithOptions two_models("models.max=2");
  REQUIRE(one.load().has_value());
  REQUIRE(two.load().has_value());
  EXPECT_EQ(engine_host().model_count(), 2u);
  EXPECT_EQ(loaded_name(0), "two");
  EXPECT_EQ(loaded_name(1), "one");
  EXPECT_EQ(leased(service::kRequestHolder, "one").model(), "one");  // used just now
  EXPECT(!engine_host().lease(service::kRequestHolder, "no such model").has_value());
  {
    ai::Lease used = leased(service::kRequestHolder, "one");
    Answer answer;
    service::HeldRequest held = MUST(ask(used, answer, 4));
    wait_for(answer);
  }
  REQUIRE(three.load().has_value());
  EXPECT_EQ(engine_host().model_count(), 2u);
  EXPECT_EQ(loaded_name(0), "three");
  EXPECT_EQ(loaded_name(1), "one");
  REQUIRE(engine_host().unload("one").has_value());
  EXPECT_EQ(engine_host().model_count(), 1u);
  REQUIRE(engine_host().unload("three").has_value());
  EXPECT_EQ(engine_host().model_count(), 0u);
}

// A model that a request names does not become the one for requests that name none.
TEST(engine_host, a_model_that_a_request_named_is_not_the_default) {
  TinyModelFile one("one.gguf"), two("two.gguf", 1);
  if (!one.made()) return test.skip("no tiny model: run in the root of the repository");
  auto named = [](const TinyModelFile& model) {
    return engine_host().load(MUST(service::find_model(model.path())), nullptr,
                              service::Wish::kNamed);
  };
  REQUIRE(one.load().has_value());
  {
    WithOptions two_models("models.max=2");
    REQUIRE(named(two).has_value());
    EXPECT_EQ(loaded_name(0), "one");  // the current one
    EXPECT_EQ(loaded_name(1), "two");
    REQUIRE(engine_host().unload("two").has_value());
  }
  REQUIRE(named(two).has_value());  // takes its place
  EXPECT_EQ(loaded_name(0), "two");
  EXPECT_EQ(engine_host().model_count(), 1u);
  EXPECT_EQ(engine_host().chosen_name(), "one");
  REQUIRE(named(one).has_value());
  EXPECT_EQ(loaded_name(0), "one");
  REQUIRE(engine_host().unload({}, service::Wish::kNamed).has_value());  // by its time
  EXPECT_EQ(engine_host().chosen_name(), "one");
  REQUIRE(one.load().has_value());
  REQUIRE(engine_host().unload().has_value());  // by choice
  EXPECT_EQ(engine_host().chosen_name(), "");
}

// A request's model takes the room of the others, whose answers are complete first; a person's does
// not.
TEST(engine_host, a_named_model_waits_for_answers_and_takes_their_room) {
  TinyModelFile one("one.gguf"), two("two.gguf", 1);
  if (!one.made()) return test.skip("no tiny model: run in the root of the repository");
  REQUIRE(one.load().has_value());
  u64 needed = MUST(service::inspect_model(*engine_host().current_file())).needed_bytes;
  std::string text = "models.max=4 models.mb=" + std::to_string(needed / kMiB + 1);
  WithOptions room_for_one(text);
  Answer answer;
  ai::Lease used = leased(service::kRequestHolder, "one");
  service::HeldRequest held = MUST(ask(used, answer, 20));
  EXPECT(!two.load().has_value());
  Loader loader(two.path(), service::Wish::kNamed);
  for (int i = 0; i < 20; i++) engine_host().wait_news();
  EXPECT(!loader.done);  // the lease is held on
  wait_for(answer);
  EXPECT(answer.reason == ai::FinishReason::kLength);
  held = {};
  used = {};
  loader.wait();
  REQUIRE(loader.result.has_value());
  EXPECT_EQ(engine_host().model_count(), 1u);
  EXPECT_EQ(loaded_name(0), "two");
  REQUIRE(engine_host().unload("two").has_value());
}

TEST(engine_host, a_budget_for_all_models_is_kept) {
  TinyModelFile one("one.gguf"), two("two.gguf", 1);
  if (!one.made()) return test.skip("no tiny model: run in the root of the repository");
  REQUIRE(one.load().has_value());
  u64 needed = MUST(service::inspect_model(*engine_host().current_file())).needed_bytes;
  REQUIRE(engine_host().unload().has_value());
  {
    std::string text = "models.max=4 models.mb=" + std::to_string(needed / kMiB);
    WithOptions none(text);
    if (needed / kMiB > 0) {
      Result<void> loaded = one.load();
      EXPECT(!loaded.has_value() && loaded.error().code == Errc::kOutOfMemory);
    }
  }
  std::string text = "models.max=4 models.mb=" + std::to_string(needed / kMiB + 1);
  WithOptions one_model(text);
  REQUIRE(one.load().has_value());
  Result<void> second = two.load();  // the first is the current one and stays until there is room
  EXPECT(!second.has_value() && second.error().code == Errc::kOutOfMemory);
  EXPECT_EQ(engine_host().model_count(), 1u);
}
