// SPDX-License-Identifier: GPL-2.0-or-later
// Commands that look into the model: tokenize, detokenize, logits, perplexity.
#include "console/command.h"
#include "console/fixed_point.h"
#include "console/generation.h"
#include "console/talk.h"

namespace console {
namespace {

Result<ai::Engine*> loaded_engine() {
  TRY(engine_service().load_default());
  return &engine_service().engine();
}

// A token's bytes as text that a terminal can take.
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

// The text of `tokenize TEXT`: one quoted word, or everything as typed.
std::string_view text_argument(const Arguments& arguments) {
  return arguments.words.size() == 2 ? arguments.words[1] : arguments.raw;
}

Result<void> run_tokenize(const Arguments& arguments, base::Writer& out) {
  if (arguments.words.size() < 2) return fail(Errc::kInvalidArgument, "tokenize TEXT");
  ai::Engine* engine = TRY(loaded_engine());
  Vector<ai::TokenId> tokens;
  TRY(engine->tokenizer().encode(text_argument(arguments), ai::AddSpecial::kYes,
                                 ai::ParseSpecial::kYes, tokens));
  for (ai::TokenId id : tokens) {
    base::format_to(out, "{:>8}  ", id);
    write_piece(out, engine->tokenizer(), id);
    out.write("\n");
  }
  base::format_to(out, "{} tokens\n", tokens.size());
  return {};
}

Result<void> run_detokenize(const Arguments& arguments, base::Writer& out) {
  if (arguments.words.size() < 2) return fail(Errc::kInvalidArgument, "detokenize ID ...");
  ai::Engine* engine = TRY(loaded_engine());
  String text;
  for (std::string_view word : arguments.words.subspan(1)) {
    u64 id = TRY(parse_number(word));
    if (id >= engine->tokenizer().size()) {
      base::format_to(out, "the model's tokens are 0 to {}\n", engine->tokenizer().size() - 1);
      return fail(Errc::kOutOfRange, "no such token");
    }
    TRY(text.append(engine->tokenizer().piece(static_cast<ai::TokenId>(id))));
  }
  write_clean(out, text.view());
  out.write("\n");
  return {};
}

class LogitsSink final : public ai::ScoreSink {
 public:
  LogitsSink(base::Writer& out, const ai::Tokenizer& tokenizer)
      : out_(out), tokenizer_(tokenizer) {}
  bool on_score(const ai::TokenScore& score) override {
    if (score.id != ai::Tokenizer::kNoToken) return true;
    for (const ai::TokenLogprob& t : score.top) {
      base::format_to(out_, "{:>8}  {:>12}  ", t.id, base::Decimal{t.logprob_micro, 6});
      write_piece(out_, tokenizer_, t.id);
      out_.write("\n");
    }
    return true;
  }

 private:
  base::Writer& out_;
  const ai::Tokenizer& tokenizer_;
};

Result<void> run_logits(const Arguments& arguments, base::Writer& out) {
  ai::Engine* engine = TRY(loaded_engine());
  Vector<ai::TokenId> tokens;
  TRY(engine->tokenizer().encode(text_argument(arguments), ai::AddSpecial::kYes,
                                 ai::ParseSpecial::kYes, tokens));
  if (tokens.empty()) return fail(Errc::kInvalidArgument, "logits TEXT");
  out.write("   token       logprob\n");
  LogitsSink sink(out, engine->tokenizer());
  constexpr u32 kShown = 10;
  return engine->score(tokens.view(), kShown, sink);
}

class SumSink final : public ai::ScoreSink {
 public:
  explicit SumSink(Io& io) : io_(io) {}
  bool on_score(const ai::TokenScore& score) override {
    if (score.id != ai::Tokenizer::kNoToken) {
      sum_micro += score.logprob_micro;
      count++;
    }
    stopped = stopped || io_.interrupted();
    return !stopped;
  }
  i64 sum_micro = 0;
  u64 count = 0;
  bool stopped = false;

 private:
  Io& io_;
};

Result<void> run_perplexity(const Arguments& arguments, base::Writer& out) {
  if (arguments.words.size() < 2) return fail(Errc::kInvalidArgument, "perplexity FILE");
  ai::Engine* engine = TRY(loaded_engine());
  String text = TRY(fs::read_text(arguments.words[1], 16 * kMiB));
  Vector<ai::TokenId> tokens;
  TRY(engine->tokenizer().encode(text.view(), ai::AddSpecial::kYes, ai::ParseSpecial::kNo, tokens));
  usize window = std::min<usize>(engine->info().context, 512);
  SumSink sink(io());
  for (usize at = 0; at + 1 < tokens.size() && !sink.stopped; at += window) {
    usize n = std::min(window, tokens.size() - at);
    if (n < 2) break;
    TRY(engine->score(tokens.view().subspan(at, n), 0, sink));
    base::format_to(out, "\r{} of {} tokens\x1b[K", at + n, tokens.size());
  }
  out.write("\r\x1b[K");
  if (sink.count == 0) return fail(Errc::kInvalidArgument, "the text is too short");
  u64 mean_micro = static_cast<u64>(-sink.sum_micro) / sink.count;
  base::format_to(out, "perplexity {} over {} tokens in windows of {} ({} nats a token)\n",
                  base::Decimal{static_cast<i64>(exp_milli(mean_micro)), 3}, sink.count, window,
                  base::Decimal{static_cast<i64>(mean_micro), 6});
  if (sink.stopped) return fail(Errc::kCancelled, "stopped before the end");
  return {};
}

constexpr Command kTokenize{"tokenize", "tokenize TEXT", "the tokens of a text", run_tokenize,
                            "Special tokens in the text are parsed."};
constexpr Command kDetokenize{"detokenize", "detokenize ID ...", "the text of tokens",
                              run_detokenize};
constexpr Command kLogits{"logits", "logits TEXT", "what may come after a text, and how likely",
                          run_logits, "The ten likeliest tokens with their natural logarithms."};
constexpr Command kPerplexity{"perplexity", "perplexity FILE", "how well the model predicts a text",
                              run_perplexity,
                              "Windows of 512 tokens, every token from the second of each on."};
CONSOLE_COMMAND(kTokenize);
CONSOLE_COMMAND(kDetokenize);
CONSOLE_COMMAND(kLogits);
CONSOLE_COMMAND(kPerplexity);

}  // namespace
}  // namespace console
