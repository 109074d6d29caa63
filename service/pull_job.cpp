// SPDX-License-Identifier: GPL-2.0-or-later
// Runs pulls for the API. Its state outlives a server that is stopped.
#include "service/pull_job.h"

#include "kernel/dev/power.h"
#include "kernel/log.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"
#include "service/bundle/trust.h"
#include "service/catalogue.h"
#include "service/pull.h"

namespace service {
namespace {

using ai::openai::PullState, ai::openai::PullWish;
using Stage = PullState::Stage;

constexpr usize kStackBytes = 256 * 1024;  // for TLS
constexpr u64 kLookNs = 20'000'000;

struct Job final : PullWatcher {
  u32 number = 0;  // 0 = none
  String source, wanted_name, wanted_sha256;
  String name, note;
  crypto::Sha256Digest sha256{};
  PullState state;
  bool running = false, stop = false;
  void (*news)() = nullptr;

  bool wants(const PullWish& wish, std::string_view wish_source) const {
    return source.view() == wish_source && wanted_name.view() == wish.name &&
           wanted_sha256.view() == wish.sha256;
  }

  bool stopped() override { return stop; }
  void on_begin(std::string_view model, const crypto::Sha256Digest* digest, u64 total) override {
    // Without memory for it, the name stays empty.
    static_cast<void>(name.assign(model));
    if (digest != nullptr) sha256 = *digest;
    state.sha256 = digest != nullptr ? &sha256 : nullptr;
    state.total = total;
    state.stage = Stage::kFetching;
  }
  void on_progress(u64 done, u64) override { state.done = done; }
  // Called for the bytes of an earlier attempt first, and for all of them in the end.
  void on_check(u64 done, u64 total) override {
    if (state.done == total)
      state.stage = Stage::kVerifying;
    else
      state.done = done;
  }
  void on_manifest() override { state.stage = Stage::kWriting; }
  void on_note(std::string_view sentence) override {
    log::info("pull", "{}: {}", source, sentence);
    if (note.assign(sentence).has_value()) state.notes++;
  }
};

// The pull under way and the last ones, whose ends may not have been seen yet.
struct Jobs {
  static constexpr u32 kKept = 4;
  Job all[kKept];  // by number, modulo kKept
  u32 begun = 0;
  Job& last() { return all[begun % kKept]; }
};
Jobs& jobs() {
  static constinit Jobs instance;
  return instance;
}

// Returns the source as `model pull` takes it. Clients of Ollama know its registry's names, and put
// a tag behind each.
Result<String> source_of(const PullWish& wish) {
  constexpr std::string_view kLatest = ":latest";
  std::string_view name = wish.source;
  bool named = name.contains("://") || name.starts_with("hf:") || name.starts_with("ollama:") ||
               name.starts_with("hf.co/") || name.starts_with("huggingface.co/");
  if (named || !wish.ollama) return String::from(name);
  if (name.ends_with(kLatest)) name.remove_suffix(kLatest.size());
  if (find_in_catalogue(name) != nullptr) return String::from(name);
  String source = TRY(String::from("ollama:"));
  TRY(source.append(name));
  return source;
}

Result<Pulled> run(Job& job) {
  return pull_model({.source = job.source.view(),
                     .name = job.wanted_name.view(),
                     .sha256 = job.wanted_sha256.view()},
                    job);
}

void run_in_background(void* argument) {
  Job& job = *static_cast<Job*>(argument);
  Result<Pulled> pulled = run(job);
  if (pulled.has_value()) {
    job.state.present = pulled->present;
    job.state.verified = pulled->verified;
    job.state.done = job.state.total = pulled->bytes;
    log::info("pull", "{} is complete{}", pulled->folder, pulled->present ? " already" : "");
  } else {
    job.state.result = std::unexpected(pulled.error());
    log::warn("pull", "{}: {}", job.source, pulled.error());
  }
  job.state.stage = Stage::kEnded;
  job.running = false;
  job.news();
}

Result<void> prepare(Job& job, const PullWish& wish, std::string_view source) {
  TRY(job.source.assign(source));
  TRY(job.wanted_name.assign(wish.name));
  TRY(job.wanted_sha256.assign(wish.sha256));
  job.name.clear();
  job.note.clear();
  job.state = {};
  job.stop = false;
  return {};
}

// A pull whose machine is switched off goes on later: what has come must be on the disk.
void end_pull(u64 deadline_ns) {
  Job& job = jobs().last();
  job.stop = true;
  while (job.running && timing::now_ns() < deadline_ns) sched::sleep_ns(kLookNs);
}

constexpr power::Farewell kPull{end_pull};
POWER_FAREWELL(kPull);

}  // namespace

Result<u32> begin_pull(const PullWish& wish, void (*news)()) {
  String source = TRY(source_of(wish));
  if (Job& job = jobs().last(); job.running) {
    if (job.wants(wish, source.view())) return job.number;
    return fail(
        Errc::kBusy,
        "another model is being pulled: wait for its end, or DELETE /v1/models/pull ends it");
  }
  if (!bundle::may_load(bundle::verify_mode(), bundle::Finding::kUnsigned))
    return fail(Errc::kPermission,
                "verify=require: a pulled model has no signature; import a signed bundle");
  Job& job = jobs().all[(jobs().begun + 1) % Jobs::kKept];
  job.number = 0;
  TRY(prepare(job, wish, source.view()));
  job.news = news;
  job.running = true;
  Result<sched::Thread*> thread = sched::spawn("model-pull", run_in_background, &job, kStackBytes);
  if (!thread.has_value()) {
    job.running = false;
    return std::unexpected(thread.error());
  }
  job.number = ++jobs().begun;
  return job.number;
}

Result<PullState> pull_state(u32 number) {
  Job& job = jobs().all[number % Jobs::kKept];
  if (number == 0 || job.number != number)
    return fail(Errc::kNotFound, "this pull ended long ago: GET /v1/models lists the models");
  PullState state = job.state;
  state.name = job.name.view();
  state.note = job.note.view();
  return state;
}

bool stop_pull() {
  Job& job = jobs().last();
  if (!job.running) return false;
  job.stop = true;
  return true;
}

}  // namespace service
