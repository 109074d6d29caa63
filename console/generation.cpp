// SPDX-License-Identifier: GPL-2.0-or-later
// The sink of a request: streaming, progress of the prompt, and the figures for `perf`.
#include "console/generation.h"

#include "console/perf_log.h"
#include "kernel/sched/thread.h"

namespace console {
namespace {

constexpr u64 kQuietNs = 1'000'000'000;   // a prompt that takes longer shows its progress
constexpr u64 kProgressNs = 250'000'000;  // between two updates of that line

class Listener final : public ai::RequestSink {
 public:
  Listener(Io& io, Show show, Answer& answer)
      : io_(io), show_(show), answer_(answer), start_ns_(io.now_ns()) {}

  void on_prefill(u32 done, u32 total) override;
  void on_token(const ai::TokenEvent& event) override;
  void on_end(ai::FinishReason reason, const ai::Timings& timings, const Error* error) override;
  bool ended() const { return ended_; }

 private:
  void hide_progress();

  Io& io_;
  Show show_;
  Answer& answer_;
  u64 start_ns_;
  u64 progress_ns_ = 0;  // of the line that is shown; 0 = none
  u64 token_ns_ = 0;
  bool ended_ = false;
};

void Listener::on_prefill(u32 done, u32 total) {
  u64 now = io_.now_ns();
  bool due = now - start_ns_ >= kQuietNs && now - progress_ns_ >= kProgressNs;
  if (show_ == Show::kNothing || !due || done == 0 || done >= total) return;
  progress_ns_ = now;
  u64 left_ns = (now - start_ns_) / done * (total - done);
  base::format_to(io_, "\r[reading the prompt: {} of {} tokens, {} %, {} s left]\x1b[K", done,
                  total, u64{done} * 100 / total, (left_ns + 999'999'999) / 1'000'000'000);
}

void Listener::hide_progress() {
  if (progress_ns_ != 0) io_.write("\r\x1b[K");
  progress_ns_ = 0;
}

void Listener::on_token(const ai::TokenEvent& event) {
  hide_progress();
  u64 now = io_.now_ns();
  if (event.id != ai::Tokenizer::kNoToken) {
    if (token_ns_ != 0) perf_log().add_gap(now - token_ns_);
    token_ns_ = now;
    // Out of memory: what was shown is longer than what is kept, and the next prompt is shorter.
    static_cast<void>(answer_.tokens.push_back(event.id));
    answer_.logprob_sum_micro += event.logprob_micro;
    answer_.logits_hash = (answer_.logits_hash ^ event.logits_hash) * 0x100000001b3;
  }
  static_cast<void>(answer_.text.append(event.text));
  if (show_ == Show::kText) write_clean(io_, event.text);
}

void Listener::on_end(ai::FinishReason reason, const ai::Timings& timings, const Error* error) {
  hide_progress();
  answer_.reason = reason;
  answer_.timings = timings;
  if (error != nullptr) answer_.error = *error;
  ended_ = true;
}

// Looks for Ctrl-C while a step is under way: a long prompt is read in steps of seconds, and the
// engine gives way to other threads between its operations. One thread for all answers.
class Watch {
 public:
  void begin(Io& io, ai::Engine& engine, ai::RequestId id, const Listener& listener) {
    // A script's terminal needs none, and without room for the thread Ctrl-C works between steps.
    if (&io != &terminal_io()) return;
    if (thread_ == nullptr)
      thread_ = sched::spawn(
                    "ctrl-c", [](void* self) { static_cast<Watch*>(self)->run(); }, this)
                    .value_or(nullptr);
    io_ = &io, engine_ = &engine, id_ = id, listener_ = &listener;
    begun_.wake_all();
  }
  void end() { listener_ = nullptr; }

 private:
  [[noreturn]] void run() {
    for (;;) {
      while (listener_ == nullptr) begun_.wait();
      if (!listener_->ended() && io_->interrupted()) engine_->cancel(id_);
      sched::sleep_ns(kWatchNs);
    }
  }
  static constexpr u64 kWatchNs = 10'000'000;

  sched::Thread* thread_ = nullptr;
  sched::WaitQueue begun_;
  Io* io_ = nullptr;
  ai::Engine* engine_ = nullptr;
  ai::RequestId id_ = 0;
  const Listener* listener_ = nullptr;  // null: nothing to watch
};
constinit Watch watch;

}  // namespace

void write_clean(base::Writer& out, std::string_view text) {
  while (!text.empty()) {
    usize plain = 0;
    auto control = [&](usize i) {
      u8 c = static_cast<u8>(text[i]);
      return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
    };
    while (plain < text.size() && !control(plain)) plain++;
    out.write(text.substr(0, plain));
    if (plain < text.size()) out.write("\xef\xbf\xbd");
    text.remove_prefix(std::min(plain + 1, text.size()));
  }
}

const char* describe_end(ai::FinishReason reason) {
  switch (reason) {
    case ai::FinishReason::kStop:
      return "";
    case ai::FinishReason::kLength:
      return "stopped at the token limit";
    case ai::FinishReason::kContextFull:
      return "the context is full";
    case ai::FinishReason::kCancelled:
      return "stopped";
    case ai::FinishReason::kError:
      return "failed";
  }
  return "";
}

Result<Answer> generate(const ai::Request& request, Io& io, Show show) {
  EngineService& service = engine_service();
  if (!service.loaded()) return fail(Errc::kNotFound, "no model is loaded (`model load NAME`)");
  Answer answer;
  Listener listener(io, show, answer);
  ai::Engine& engine = service.engine();
  ai::RequestId id = TRY(engine.submit(request, listener));
  watch.begin(io, engine, id, listener);
  while (!listener.ended()) {
    if (!service.step()) sched::yield();
    if (!listener.ended() && io.interrupted()) engine.cancel(id);
  }
  watch.end();
  perf_log().add_answer(answer.timings, answer.reason);
  return answer;
}

}  // namespace console
