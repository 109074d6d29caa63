// SPDX-License-Identifier: GPL-2.0-or-later
// The sink of a request: streaming, progress of the prompt, and the figures for `perf`.
#include "console/generation.h"

#include <algorithm>

#include "console/perf_log.h"
#include "console/progress.h"
#include "kernel/sched/thread.h"

namespace console {
namespace {

constexpr u64 kLeastTokenNs = 1000;  // no machine reads a token of a prompt sooner

class Listener final : public ai::RequestSink {
 public:
  Listener(Io& io, Show show, Answer& answer, u32 prompt_tokens)
      : io_(io),
        show_(show),
        answer_(answer),
        progress_(show == Show::kNothing ? nullptr : &io, "reading the prompt", "tokens"),
        total_(prompt_tokens),
        read_ns_(io.now_ns()),
        token_read_ns_(perf_log().prompt_token_ns()) {}

  void on_prefill(u32 done, u32 total) override;
  // Between two reports of the engine, which come a chunk of the prompt at a time.
  void tick();
  void on_token(const ai::TokenEvent& event) override;
  void on_end(ai::FinishReason reason, const ai::Timings& timings, const Error* error) override;
  bool ended() const { return ended_; }

 private:
  Io& io_;
  Show show_;
  Answer& answer_;
  Progress progress_;
  u32 read_ = 0, total_;
  u64 read_ns_;        // when read_ was reported
  u64 token_read_ns_;  // a token of a prompt takes; 0 = not known yet
  u64 token_ns_ = 0;
  bool ended_ = false;
};

void Listener::on_prefill(u32 done, u32 total) {
  u64 now = io_.now_ns();
  u32 fresh = done - std::min(read_, done);
  // The first report may be of what the cache had.
  bool computed = now - read_ns_ > fresh * kLeastTokenNs;
  if (computed && fresh > 0)
    token_read_ns_ = (now - read_ns_) / fresh;
  else
    progress_.skip(done);
  read_ = done;
  total_ = total;
  read_ns_ = now;
  progress_.update(done, total);
}

void Listener::tick() {
  if (ended_ || token_ns_ != 0 || total_ == 0) return;
  u64 more = token_read_ns_ == 0 ? 0 : (io_.now_ns() - read_ns_) / token_read_ns_;
  progress_.update(std::min<u64>(read_ + more, total_ - 1), total_);
}

void Listener::on_token(const ai::TokenEvent& event) {
  progress_.hide();
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
  progress_.hide();
  answer_.reason = reason;
  answer_.timings = timings;
  if (error != nullptr) answer_.error = *error;
  ended_ = true;
}

// Looks for Ctrl-C and shows how far it is while a step is under way: a long prompt is read in
// steps of seconds, and the engine gives way to other threads between its operations. One thread
// for all answers.
class Watch {
 public:
  void begin(Io& io, ai::Engine& engine, ai::RequestId id, Listener& listener) {
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
      listener_->tick();
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
  Listener* listener_ = nullptr;  // null: nothing to watch
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
  perf_log().begin_answer();
  Listener listener(io, show, answer, static_cast<u32>(request.prompt.size()));
  ai::Engine& engine = service.engine();
  ai::RequestId id = TRY(engine.submit(request, listener));
  watch.begin(io, engine, id, listener);
  while (!listener.ended()) {
    if (!service.step()) sched::yield();
    if (!listener.ended() && io.interrupted()) engine.cancel(id);
  }
  watch.end();
  perf_log().end_answer(answer.timings, answer.reason);
  answer.timings = perf_log().last();
  return answer;
}

}  // namespace console
