// SPDX-License-Identifier: GPL-2.0-or-later
// Makes an answer again from its own tokens: prompt and answer are read like one prompt, and the
// logits of each position give the pick that decoding made there, bit for bit (wiki/Numerics). Runs
// on the engine's thread, in chunks between which requests go on.
#include "ai/engine/engine_impl.h"

namespace ai {
namespace {

// The logits of a chunk may take this much beside the engine's own buffer. A chunk of more rows
// costs less per row, because weights are unpacked once for all of them.
constexpr usize kMostLogitBytes = 32 * kMiB;

}  // namespace

struct EngineImpl::Retold {
  Session& session;  // it has no pages: it picks, and follows text and limits
  const SessionContext& context;
  Reading& reading;
  std::span<const TokenId> tokens;  // that are read: the prompt, and the answer but its last token
  std::span<const TokenId> answer;
  std::span<float> logits;  // (rows of a chunk, vocabulary)
  u32 most_picks;           // rows of a chunk whose logits are wanted
  u32 picked = 0;           // tokens of the answer that were picked again
  bool over = false;        // a pick differed, or the request has ended

  // The row behind which the answer begins.
  u32 first_wanted() const { return static_cast<u32>(tokens.size() - answer.size()); }
};

Result<void> EngineImpl::replay(const Replay& replay, ReplaySink& sink) {
  std::span<const TokenId> prompt = replay.request.prompt, answer = replay.answer;
  TRY(check_tokens(prompt, 1));
  if (answer.empty()) return fail(Errc::kInvalidArgument, "the answer has no token");
  if (replay.context > sizes_.context || prompt.size() >= replay.context)
    return fail(Errc::kContextFull, "the answer was made with a larger context");
  Vector<TokenId> tokens;
  TRY(tokens.reserve(prompt.size() + answer.size()));
  TRY(tokens.append(prompt));
  TRY(tokens.append(answer));
  TRY(check_tokens({&answer.back(), 1}, 0));
  tokens.truncate(tokens.size() - 1);  // the last pick needs no logits behind it
  SessionContext context{*parts_->tokenizer, store_, replay.context,
                         session_context_->longest_piece};
  Request request = replay.request;
  request.slide = false;
  request.fork_of = 0;
  auto session = TRY(Session::create(0, request, sink, context, platform_.now_ns()));
  Reading reading = TRY(begin_reading(tokens.view()));
  Use use(*this);

  StepLimits steps = Scheduler::step_limits(sizes_.limits);
  usize width = parts_->model->params().vocabulary;
  usize rows = std::clamp<usize>(kMostLogitBytes / sizeof(float) / width, steps.logit_rows,
                                 std::max(sizes_.limits.prefill_chunk, steps.logit_rows));
  rows = std::min(rows, answer.size());
  Vector<float> room;  // without memory for it, the chunks are smaller
  bool larger = rows > steps.logit_rows && room.resize(rows * width).has_value();
  if (!larger) rows = std::min<usize>(rows, steps.logit_rows);
  Retold retold{.session = *session,
                .context = context,
                .reading = reading,
                .tokens = tokens.view(),
                .answer = answer,
                .logits = larger ? room.view() : logits_.view(),
                .most_picks = static_cast<u32>(rows)};
  u32 total = static_cast<u32>(tokens.size());
  while (!retold.over && reading.sequence.length < total) {
    TRY(replay_chunk(retold));
    if (!sink.on_chunk(reading.sequence.length, total))
      return fail(Errc::kCancelled, "the work was cancelled");
  }
  return {};
}

// Reads rows of the prompt before its last one, or rows whose logits give picks. While requests
// run, their next step must not wait for a large chunk.
Result<void> EngineImpl::replay_chunk(Retold& retold) {
  Exclusive exclusive(*this);
  u32 first = retold.reading.sequence.length;
  bool picks = first >= retold.first_wanted();
  u32 end = picks ? static_cast<u32>(retold.tokens.size()) : retold.first_wanted();
  u32 count = std::min(end - first, picks ? retold.most_picks : sizes_.limits.prefill_chunk);
  if (running() > 0) count = std::min(count, Scheduler::kMixedChunk);
  score_rows_.clear();
  for (u32 i = first; i < first + count; i++)
    MUST(score_rows_.push_back({retold.tokens[i], i, 0, picks}));
  KvView view = retold.reading.view(store_);
  usize width = parts_->model->params().vocabulary;
  TRY(forward(score_rows_.view(), {&view, 1}, retold.logits.first(picks ? count * width : 0)));
  end_chunk(retold.reading, retold.tokens, first + count, false);
  for (u32 i = 0; picks && i < count && !retold.over; i++)
    TRY(pick_again(retold, retold.logits.subspan(i * width, parts_->tokenizer->size())));
  return {};
}

Result<void> EngineImpl::pick_again(Retold& retold, std::span<float> logits) {
  Session& session = retold.session;
  TokenEvent event{};
  TokenId token = TRY(pick(session, logits, event));
  retold.over = token != retold.answer[retold.picked];
  if (retold.over) return {};
  retold.picked++;
  Session::Next next = TRY(session.accept(token, event, platform_.now_ns(), retold.context));
  if (next == Session::Next::kGoOn) return {};
  retold.over = true;
  constexpr FinishReason kReasons[] = {FinishReason::kStop, FinishReason::kStop,
                                       FinishReason::kLength, FinishReason::kContextFull};
  session.finish(kReasons[static_cast<usize>(next)], nullptr);
  return {};
}

}  // namespace ai
