// SPDX-License-Identifier: GPL-2.0-or-later
// Methods that spend more tokens for a better answer: vote, best, refine. Each reports its cost.
#include <algorithm>

#include "console/chat/generation.h"
#include "console/chat/talk.h"
#include "console/shell/command.h"
#include "kernel/base/text.h"
#include "kernel/time/clock.h"
#include "service/perf_log.h"

namespace console {
namespace {

constexpr u32 kMostChoices = 16;
constexpr i32 kChoiceTemperature = 800;  // thousandths; identical choices could not vote

// One of several answers to the same question. The engine shares the prompt's pages among them.
class Choice final : public ai::RequestSink {
 public:
  void on_prefill(u32, u32) override {}
  void on_token(const ai::TokenEvent& event) override {
    // Out of memory: the choice's text is cut short, and it will lose.
    static_cast<void>(text.append(event.text));
    if (event.id == ai::Tokenizer::kNoToken) return;
    tokens++;
    logprob_sum += event.logprob_micro;
  }
  void on_end(ai::FinishReason why, const ai::Timings& t, const Error* e) override {
    reason = why;
    timings = t;
    if (e != nullptr) error = *e;
    ended = true;
  }
  i64 mean_micro() const { return tokens == 0 ? -1'000'000'000 : logprob_sum / tokens; }

  String text;
  i64 tokens = 0;
  i64 logprob_sum = 0;
  ai::FinishReason reason = ai::FinishReason::kError;
  ai::Timings timings;
  Error error{Errc::kIo, "the answer failed"};
  bool ended = false;
  // last, so that its destructor cancels the request while the rest still exists
  service::HeldRequest held;
};

Result<void> serve(Io& io, std::span<Choice> choices) {
  auto ended = [](const Choice& c) { return c.ended; };
  TRY(wait_until(io, [&] { return std::ranges::all_of(choices, ended); }));
  for (const Choice& c : choices)
    if (c.reason == ai::FinishReason::kError) return std::unexpected(c.error);
  return {};
}

Result<void> ask_many(const ai::Lease& model, std::string_view question, std::span<Choice> choices,
                      Io& io) {
  Conversation single;
  TRY(single.add(Role::kUser, question));
  Vector<ai::TokenId> prompt;
  TRY(encode_chat(model, single.messages(), prompt));
  ai::Request request;
  request.prompt = prompt.view();
  request.sampling = default_sampling(Use::kScript);
  if (request.sampling.temperature_milli == 0)
    request.sampling.temperature_milli = kChoiceTemperature;
  request.stop = chat_stops(model);
  request.logprobs = 1;
  for (Choice& choice : choices) {
    choice.held = TRY(service::HeldRequest::submit(model, request, choice));
    if (request.fork_of == 0) request.fork_of = choice.held.id();
    request.sampling.seed++;
  }
  return serve(io, choices);
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view last_number(std::string_view text) {
  usize end = text.size();
  while (end > 0 && !is_digit(text[end - 1])) end--;
  usize start = end;
  while (start > 0 && (is_digit(text[start - 1]) || text[start - 1] == '.')) start--;
  return text.substr(start, end - start);
}

std::string_view last_line(std::string_view text) {
  while (text.ends_with('\n') || text.ends_with(' ')) text.remove_suffix(1);
  usize line = text.rfind('\n');
  if (line != std::string_view::npos) text.remove_prefix(line + 1);
  return text;
}

// Returns the part of an answer that people are shown: short enough for a line, in whole
// characters.
std::string_view verdict_of(std::string_view text) {
  constexpr usize kMost = 48;
  if (std::string_view number = last_number(text); !number.empty()) return number;
  text = last_line(text);
  usize end = std::min(text.size(), kMost);
  while (end > 0 && end < text.size() && (static_cast<u8>(text[end]) & 0xc0) == 0x80) end--;
  return text.substr(0, end);
}

// Returns what decides an answer: its last number, or the letters and digits of its last line.
std::string_view essence(std::string_view text, String& room) {
  room.clear();
  if (std::string_view number = last_number(text); !number.empty()) return number;
  for (char c : last_line(text)) {
    bool kept = is_digit(c) || (base::lower(c) >= 'a' && base::lower(c) <= 'z') ||
                static_cast<u8>(c) >= 0x80;
    if (kept && !room.push_back(base::lower(c)).has_value()) break;
  }
  return room.view();
}

void print_cost(std::span<const Choice> choices, u64 ns, base::Writer& out) {
  u64 read = 0, made = 0;
  for (const Choice& c : choices) {
    read += c.timings.prompt_tokens - std::min(c.timings.cached_tokens, c.timings.prompt_tokens);
    made += static_cast<u64>(c.tokens);
  }
  base::format_to(out, "[cost: {} answers, {} prompt tokens read, {} tokens made, {} ms]\n",
                  choices.size(), read, made, service::milliseconds(ns));
}

void print_choice(const Choice& choice, base::Writer& out) {
  write_clean(out, choice.text.view());
  out.write(choice.text.view().ends_with('\n') ? "" : "\n");
}

struct Question {
  u32 count;
  std::string_view text;
};
Result<Question> parse_question(const Arguments& arguments, u64 most, const char* range) {
  if (arguments.words.size() < 3)
    return fail(Errc::kInvalidArgument, "expected a number and a question");
  u64 count = TRY(parse_number(arguments.words[1]));
  if (count == 0 || count > most) return fail(Errc::kOutOfRange, range);
  bool quoted = arguments.words.size() == 3;
  std::string_view rest =
      arguments.raw.substr(arguments.raw.find(arguments.words[1]) + arguments.words[1].size());
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  return Question{static_cast<u32>(count), quoted ? arguments.words[2] : rest};
}

Result<Vector<Choice>> choices_for(const Arguments& arguments, u64& ns) {
  Question question = TRY(parse_question(arguments, kMostChoices, "1 to 16 answers"));
  ai::Lease model = TRY(use_model(service::kConsoleHolder, io()));
  Vector<Choice> choices;
  TRY(choices.resize(question.count));
  u64 start = timing::now_ns();
  TRY(ask_many(model, question.text, choices.view(), io()));
  // all have ended; this ends their use of the lease
  for (Choice& choice : choices) choice.held = {};
  ns = timing::now_ns() - start;
  return choices;
}

Result<void> run_vote(const Arguments& arguments, base::Writer& out) {
  u64 ns = 0;
  Vector<Choice> choices = TRY(choices_for(arguments, ns));
  String room, other;
  usize best = 0, best_votes = 0;
  for (usize i = 0; i < choices.size(); i++) {
    std::string_view mine = essence(choices[i].text.view(), room);
    usize votes = 0;
    for (const Choice& c : choices) votes += essence(c.text.view(), other) == mine ? 1 : 0;
    base::format_to(out, "{:>3}  {} of {} say '", i + 1, votes, choices.size());
    write_clean(out, verdict_of(choices[i].text.view()));
    base::format_to(out, "', mean logprob {}\n", base::Decimal{choices[i].mean_micro(), 6});
    bool wins = votes > best_votes ||
                (votes == best_votes && choices[i].mean_micro() > choices[best].mean_micro());
    if (wins) best = i, best_votes = votes;
  }
  print_choice(choices[best], out);
  print_cost(choices.view(), ns, out);
  return {};
}

Result<void> run_best(const Arguments& arguments, base::Writer& out) {
  u64 ns = 0;
  Vector<Choice> choices = TRY(choices_for(arguments, ns));
  usize best = 0;
  for (usize i = 0; i < choices.size(); i++) {
    base::format_to(out, "{:>3}  {} tokens, mean logprob {}\n", i + 1, choices[i].tokens,
                    base::Decimal{choices[i].mean_micro(), 6});
    if (choices[i].mean_micro() > choices[best].mean_micro()) best = i;
  }
  print_choice(choices[best], out);
  print_cost(choices.view(), ns, out);
  return {};
}

// Asks, then lets the model criticize and rewrite its answer until nothing changes.
Result<void> run_refine(const Arguments& arguments, base::Writer& out) {
  constexpr u64 kMostRounds = 10;
  Question question = TRY(parse_question(arguments, kMostRounds, "1 to 10 rounds"));
  ai::Lease model = TRY(use_model(service::kConsoleHolder, io()));
  Conversation talk;
  TRY(talk.add(Role::kUser, question.text));
  String last;
  u64 made = 0, start = timing::now_ns();
  for (u32 round = 0; round <= question.count; round++) {
    Vector<ai::TokenId> prompt;
    TRY(encode_chat(model, talk.messages(), prompt));
    ai::Request request;
    request.prompt = prompt.view();
    request.sampling = default_sampling(Use::kScript);
    request.stop = chat_stops(model);
    base::format_to(out, "--- {} {} ---\n", round == 0 ? "answer" : "round", round);
    Answer answer = TRY(generate(model, request, io(), Show::kText));
    out.write("\n");
    if (answer.reason == ai::FinishReason::kError) return std::unexpected(answer.error);
    if (answer.reason == ai::FinishReason::kCancelled) return fail(Errc::kCancelled, "stopped");
    made += answer.timings.generated_tokens;
    if (answer.text.view() == last.view()) {
      out.write("--- nothing changed ---\n");
      break;
    }
    TRY(last.assign(answer.text.view()));
    TRY(talk.add(Role::kAssistant, last.view()));
    TRY(talk.add(
        Role::kUser,
        "Find what is wrong or missing in your answer, then write only the improved answer. "
        "If nothing is, repeat the answer word for word."));
  }
  base::format_to(out, "[cost: {} tokens made, {} ms]\n", made,
                  service::milliseconds(timing::now_ns() - start));
  return {};
}

constexpr Command kVote{
    "vote", "vote N QUESTION", "asks N times and takes the commonest answer", run_vote,
    "Two answers are equal when their last numbers are equal, or without numbers\n"
    "the letters of their last lines. A tie goes to the likelier text. The prompt\n"
    "is read once for all answers."};
constexpr Command kBest{"best", "best N QUESTION", "asks N times and takes the likeliest answer",
                        run_best,
                        "Compares the mean log-probability per token. The prompt is read once."};
constexpr Command kRefine{"refine", "refine ROUNDS QUESTION",
                          "lets the model criticise and rewrite its answer", run_refine,
                          "Ends early when a round changes nothing."};
CONSOLE_COMMAND(kVote);
CONSOLE_COMMAND(kBest);
CONSOLE_COMMAND(kRefine);

}  // namespace
}  // namespace console
