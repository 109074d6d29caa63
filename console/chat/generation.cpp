// SPDX-License-Identifier: GPL-2.0-or-later
// Generates one answer: collects its text for the terminal, the progress of the prompt, and the
// figures for `perf`.
#include "console/chat/generation.h"

#include <algorithm>

#include "console/terminal/progress.h"
#include "kernel/time/clock.h"
#include "service/perf_log.h"

namespace console {
namespace {

constexpr u64 kLeastTokenNs = 1000;  // no machine reads a token of a prompt faster

// Passes an answer from the engine's thread to the person's thread: text to show, progress of the
// prompt, the end. The engine's thread never writes to the terminal, so a slow serial line delays
// no other request.
class Listener final : public ai::RequestSink {
 public:
  Listener(Io& io, Show show, Answer& answer, u32 prompt_tokens)
      : io_(io),
        show_(show),
        answer_(answer),
        progress_(show == Show::kNothing ? nullptr : &io, "reading the prompt", "tokens"),
        total_(prompt_tokens),
        read_ns_(io.now_ns()),
        token_read_ns_(service::perf_log().prompt_token_ns()) {}

  // ---- the engine's thread
  void on_prefill(u32 done, u32 total) override;
  void on_token(const ai::TokenEvent& event) override;
  void on_end(ai::FinishReason reason, const ai::Timings& timings, const Error* error) override;

  // ---- the person's thread
  void show();
  bool ended() const { return ended_; }

 private:
  void show_reading();

  Io& io_;
  Show show_;
  Answer& answer_;
  Progress progress_;
  u32 read_ = 0, total_;
  u64 read_ns_;        // when read_ was reported
  u64 token_read_ns_;  // time that a token of a prompt takes; 0 = not known yet
  u64 token_ns_ = 0;
  usize shown_ = 0;  // bytes of the text that were shown
  bool ended_ = false;
};

void Listener::on_prefill(u32 done, u32 total) {
  u64 now = io_.now_ns();
  u32 fresh = done - std::min(read_, done);
  // The first report may be about tokens from the cache, which took no time.
  bool computed = now - read_ns_ > fresh * kLeastTokenNs;
  if (computed && fresh > 0)
    token_read_ns_ = (now - read_ns_) / fresh;
  else
    progress_.skip(done);
  read_ = done;
  total_ = total;
  read_ns_ = now;
}

void Listener::on_token(const ai::TokenEvent& event) {
  u64 now = io_.now_ns();
  if (event.id != ai::Tokenizer::kNoToken) {
    if (token_ns_ != 0) service::perf_log().add_gap(now - token_ns_);
    token_ns_ = now;
    // Out of memory: the text that was shown is longer than the tokens that are kept, so the next
    // prompt is shorter.
    static_cast<void>(answer_.tokens.push_back(event.id));
    answer_.logprob_sum_micro += event.logprob_micro;
    answer_.logits_hash = (answer_.logits_hash ^ event.logits_hash) * 0x100000001b3;
  }
  static_cast<void>(answer_.text.append(event.text));
}

void Listener::on_end(ai::FinishReason reason, const ai::Timings& timings, const Error* error) {
  answer_.reason = reason;
  answer_.timings = timings;
  if (error != nullptr) answer_.error = *error;
  ended_ = true;
}

// The engine reports the prompt's progress once per chunk, which may be seconds apart. Between two
// reports the progress is extrapolated from the rate so far.
void Listener::show_reading() {
  if (ended_ || token_ns_ != 0 || total_ == 0) return;
  u64 more = token_read_ns_ == 0 ? 0 : (io_.now_ns() - read_ns_) / token_read_ns_;
  progress_.update(read_ == total_ ? total_ : std::min<u64>(read_ + more, total_ - 1), total_);
}

void Listener::show() {
  show_reading();
  if (token_ns_ != 0 || ended_) progress_.hide();
  if (show_ != Show::kText) return;
  // Writing may yield to the engine's thread, whose next token moves the text, so a copy is
  // written.
  char piece[256];
  while (shown_ < answer_.text.size()) {
    std::string_view fresh = answer_.text.view().substr(shown_);
    usize size = std::min(fresh.size(), sizeof piece);
    while (size < fresh.size() && size > 1 && (static_cast<u8>(fresh[size]) & 0xc0) == 0x80) size--;
    std::copy_n(fresh.data(), size, piece);
    shown_ += size;
    write_clean(io_, {piece, size});
  }
}

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

Result<Answer> generate(const ai::Lease& lease, const ai::Request& request, Io& io, Show show) {
  Answer answer;
  service::perf_log().begin_answer();
  Listener listener(io, show, answer, static_cast<u32>(request.prompt.size()));
  service::HeldRequest held = TRY(service::HeldRequest::submit(lease, request, listener));
  while (!listener.ended()) {
    service::engine_host().wait_news();
    listener.show();
    if (!listener.ended() && io.interrupted()) held.cancel();
  }
  listener.show();
  service::perf_log().end_answer(answer.timings, answer.reason);
  answer.timings = service::perf_log().last();
  return answer;
}

}  // namespace console
