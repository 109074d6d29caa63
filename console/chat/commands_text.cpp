// SPDX-License-Identifier: GPL-2.0-or-later
// The commands that look into the model: tokenize, detokenize, logits, perplexity.
#include "console/chat/fixed_point.h"
#include "console/chat/generation.h"
#include "console/chat/talk.h"
#include "console/shell/command.h"

namespace console {
namespace {

// Scores a text between the steps of other requests, and keeps the results until it is done.
class Scores : public ai::ScoreSink {
 public:
  explicit Scores(service::Turn& turn) : turn_(turn) {}
  bool on_chunk(u32, u32) override { return turn_.go_on(); }

 private:
  service::Turn& turn_;
};

// Writes a token's bytes as text that is safe on a terminal.
void write_piece(base::Writer& out, const ai::Tokenizer& tokenizer, ai::TokenId id) {
  std::string_view piece = tokenizer.piece(id);
  out.write("'");
  for (char c : piece) {
    u8 b = static_cast<u8>(c);
    if (c == '\n') {
      out.write("\\n");
    } else if (c == '\'' || c == '\\') {
      base::format_to(out, "\\{}", c);
    } else if (b < 0x20 || b == 0x7f || (b >= 0x80 && !utf8::valid(piece))) {
      base::format_to(out, "\\x{:02x}", b);
    } else {
      out.write({&c, 1});
    }
  }
  out.write(tokenizer.is_control(id) ? "' (control)" : "'");
}

// Returns the text of `tokenize TEXT`: one quoted word, or everything as typed.
std::string_view text_argument(const Arguments& arguments) {
  return arguments.words.size() == 2 ? arguments.words[1] : arguments.raw;
}

Result<void> run_tokenize(const Arguments& arguments, base::Writer& out) {
  if (arguments.words.size() < 2) return fail(Errc::kInvalidArgument, "tokenize TEXT");
  ai::Lease model = TRY(use_model(service::kConsoleHolder, io()));
  Vector<ai::TokenId> tokens;
  TRY(model.tokenizer().encode(text_argument(arguments), ai::AddSpecial::kYes,
                               ai::ParseSpecial::kYes, tokens));
  for (ai::TokenId id : tokens) {
    base::format_to(out, "{:>8}  ", id);
    write_piece(out, model.tokenizer(), id);
    out.write("\n");
  }
  base::format_to(out, "{} tokens\n", tokens.size());
  return {};
}

Result<void> run_detokenize(const Arguments& arguments, base::Writer& out) {
  if (arguments.words.size() < 2) return fail(Errc::kInvalidArgument, "detokenize ID ...");
  ai::Lease model = TRY(use_model(service::kConsoleHolder, io()));
  String text;
  for (std::string_view word : arguments.words.subspan(1)) {
    u64 id = TRY(parse_number(word));
    if (id >= model.tokenizer().size()) {
      base::format_to(out, "the model's tokens are 0 to {}\n", model.tokenizer().size() - 1);
      return fail(Errc::kOutOfRange, "no such token");
    }
    TRY(text.append(model.tokenizer().piece(static_cast<ai::TokenId>(id))));
  }
  write_clean(out, text.view());
  out.write("\n");
  return {};
}

// Keeps the most probable tokens after the last one.
class LogitsSink final : public Scores {
 public:
  LogitsSink(service::Turn& turn, Vector<ai::TokenLogprob>& top) : Scores(turn), top_(top) {}
  bool on_score(const ai::TokenScore& score) override {
    if (score.id != ai::Tokenizer::kNoToken) return true;
    kept_ = top_.append(score.top);
    return kept_.has_value();
  }
  Result<void> kept() const { return kept_; }

 private:
  Vector<ai::TokenLogprob>& top_;
  Result<void> kept_;
};

Result<void> run_logits(const Arguments& arguments, base::Writer& out) {
  ai::Lease model = TRY(use_model(service::kConsoleHolder, io()));
  Vector<ai::TokenId> tokens;
  TRY(model.tokenizer().encode(text_argument(arguments), ai::AddSpecial::kYes,
                               ai::ParseSpecial::kYes, tokens));
  if (tokens.empty()) return fail(Errc::kInvalidArgument, "logits TEXT");
  constexpr u32 kShown = 10;
  Vector<ai::TokenLogprob> top;
  KeyPatience patience(io());
  auto score = [&](service::Turn& turn) -> Result<void> {
    LogitsSink sink(turn, top);
    TRY(turn.engine().score(tokens.view(), kShown, sink));
    return sink.kept();
  };
  TRY(service::engine_host().between_steps(model, &patience, score));
  out.write("   token       logprob\n");
  for (const ai::TokenLogprob& t : top) {
    base::format_to(out, "{:>8}  {:>12}  ", t.id, base::Decimal{t.logprob_micro, 6});
    write_piece(out, model.tokenizer(), t.id);
    out.write("\n");
  }
  return {};
}

struct Sum {
  i64 micro = 0;
  u64 count = 0;
};

class SumSink final : public Scores {
 public:
  SumSink(service::Turn& turn, Sum& sum) : Scores(turn), sum_(sum) {}
  bool on_score(const ai::TokenScore& score) override {
    if (score.id == ai::Tokenizer::kNoToken) return true;
    sum_.micro += score.logprob_micro;
    sum_.count++;
    return true;
  }

 private:
  Sum& sum_;
};

// Scores one window of the text in one turn. Requests of the server make their steps between two of
// its chunks.
Result<void> score_window(const ai::Lease& model, std::span<const ai::TokenId> tokens, Sum& sum) {
  KeyPatience patience(io());
  return service::engine_host().between_steps(model, &patience, [&](service::Turn& turn) {
    SumSink sink(turn, sum);
    return turn.engine().score(tokens, 0, sink);
  });
}

Result<void> run_perplexity(const Arguments& arguments, base::Writer& out) {
  if (arguments.words.size() < 2) return fail(Errc::kInvalidArgument, "perplexity FILE");
  ai::Lease model = TRY(use_model(service::kPerplexityHolder, io()));
  String text = TRY(fs::read_text(arguments.words[1], 16 * kMiB));
  Vector<ai::TokenId> tokens;
  TRY(model.tokenizer().encode(text.view(), ai::AddSpecial::kYes, ai::ParseSpecial::kNo, tokens));
  usize window = std::min<usize>(model.info().context, 512);
  Sum sum;
  Result<void> scored;
  for (usize at = 0; at + 1 < tokens.size() && scored.has_value(); at += window) {
    usize n = std::min(window, tokens.size() - at);
    if (n < 2) break;
    scored = score_window(model, tokens.view().subspan(at, n), sum);
    base::format_to(out, "\r{} of {} tokens\x1b[K", at + n, tokens.size());
  }
  out.write("\r\x1b[K");
  if (!scored.has_value() && scored.error().code != Errc::kCancelled) return scored;
  if (sum.count == 0)
    return scored.has_value() ? fail(Errc::kInvalidArgument, "the text is too short") : scored;
  u64 mean_micro = static_cast<u64>(-sum.micro) / sum.count;
  base::format_to(out, "perplexity {} over {} tokens in windows of {} ({} nats a token)\n",
                  base::Decimal{static_cast<i64>(exp_milli(mean_micro)), 3}, sum.count, window,
                  base::Decimal{static_cast<i64>(mean_micro), 6});
  if (!scored.has_value()) return fail(Errc::kCancelled, "stopped before the end");
  return {};
}

constexpr Command kTokenize{"tokenize", "tokenize TEXT", "the tokens of a text", run_tokenize,
                            "Special tokens in the text are parsed."};
constexpr Command kDetokenize{"detokenize", "detokenize ID ...", "prints the text of token ids",
                              run_detokenize};
constexpr Command kLogits{
    "logits", "logits TEXT", "prints the likeliest next tokens of a text", run_logits,
    "Prints the ten likeliest tokens with the natural logarithm of their probability."};
constexpr Command kPerplexity{
    "perplexity", "perplexity FILE", "how well the model predicts a text", run_perplexity,
    "Reads windows of 512 tokens and scores every token of a window but the first."};
CONSOLE_COMMAND(kTokenize);
CONSOLE_COMMAND(kDetokenize);
CONSOLE_COMMAND(kLogits);
CONSOLE_COMMAND(kPerplexity);

}  // namespace
}  // namespace console
