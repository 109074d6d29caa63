// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the chat loop: reads questions, streams answers, and watches the context.
#include "console/chat/talk.h"

#include "console/shell/shell.h"
#include "service/perf_log.h"
#include "service/storage.h"

namespace console {
namespace {

constexpr std::string_view kQuestionPrompt = "you> ";
constexpr std::string_view kMorePrompt = "...> ";
constexpr std::string_view kQuotes = "\"\"\"";
// once this much of the context is used, say what will happen when it is full
constexpr u32 kLowPercent = 85;

}  // namespace

Conversation& conversation() {
  static constinit Conversation instance;
  return instance;
}

Talk::Talk(Io& io, Conversation& conversation)
    : io_(io),
      conversation_(conversation),
      editor_(io, history_),
      sampling_(default_sampling(Use::kTalk)),
      max_tokens_(default_max_tokens()) {
  editor_.set_completer(this);
}

Result<void> Talk::run() {
  {
    ai::Lease model = TRY(use_model(service::kConsoleHolder, io_));
    io_.write(kMarkPastes);
    base::format_to(io_, "Talking with {}. /help tells what there is, /exit leaves.\n",
                    model.info().name);
  }
  show_sampling();
  if (conversation_.turns() > 0)
    base::format_to(io_, "The conversation goes on after {} questions; /reset starts over.\n",
                    conversation_.turns());
  for (;;) {
    Result<String> question = read_question();
    if (!question.has_value()) {
      if (question.error().code == Errc::kNotFound) return {};
      if (question.error().code != Errc::kCancelled) return std::unexpected(question.error());
      if (interrupted_) return {};
      interrupted_ = true;
      io_.write("Ctrl-C again or /exit leaves\n");
      continue;
    }
    interrupted_ = false;
    std::string_view text = question->view();
    if (text.find_first_not_of(" \t\n") == std::string_view::npos) continue;
    history_.add(text);
    if (text.front() == '/') {
      if (command(text) == Next::kLeave) return {};
    } else if (text == "exit" || text == "quit") {
      return {};
    } else {
      ask(text);
    }
  }
}

// Reads one line, or everything between """ and """.
Result<String> Talk::read_question() {
  std::string_view line = TRY(read_line(io_, editor_, kQuestionPrompt));
  String text = TRY(String::from(line));
  if (!text.view().starts_with(kQuotes)) return text;
  String block = TRY(String::from(text.view().substr(kQuotes.size())));
  while (!block.view().ends_with(kQuotes)) {
    std::string_view more = TRY(read_line(io_, editor_, kMorePrompt));
    if (!block.empty()) TRY(block.push_back('\n'));
    TRY(block.append(more));
  }
  block.truncate(block.size() - kQuotes.size());
  if (!block.empty() && block[block.size() - 1] == '\n') block.truncate(block.size() - 1);
  return block;
}

void Talk::say(const Error& error) {
  base::format_to(io_, "talk: {}\n", error);
}

void Talk::ask(std::string_view question) {
  Result<void> added = conversation_.add(Role::kUser, question);
  if (!added.has_value()) return say(added.error());
  answer();
}

// Makes sure that the prompt leaves room for an answer, by dropping old turns if allowed. Returns
// false if it cannot.
bool Talk::make_room(const ai::Lease& model, Vector<ai::TokenId>& prompt) {
  u32 context = model.info().context;
  u32 dropped = 0;
  while (prompt.size() >= context && slide_ && conversation_.drop_oldest()) {
    dropped++;
    Result<void> encoded = encode_chat(model, conversation_.messages(), prompt);
    if (!encoded.has_value()) {
      say(encoded.error());
      return false;
    }
  }
  if (dropped > 0)
    base::format_to(io_, "[the context was full: the {} oldest questions were left out]\n",
                    dropped);
  if (prompt.size() < context) return true;
  base::format_to(io_, "The conversation has {} tokens, the context {}: this cannot be answered.\n",
                  prompt.size(), context);
  io_.write(slide_ ? "The last message alone is too long.\n"
                   : "/reset starts over, /undo takes turns back, /slide on drops the oldest.\n");
  return false;
}

void Talk::answer() {
  Result<ai::Lease> leased = service::engine_host().lease(service::kConsoleHolder);
  if (!leased.has_value()) return io_.write("No model is loaded: /model NAME loads one.\n");
  const ai::Lease& model = *leased;
  Vector<ai::TokenId> prompt;
  Result<void> encoded = encode_chat(model, conversation_.messages(), prompt);
  if (!encoded.has_value() || !make_room(model, prompt)) {
    if (!encoded.has_value()) say(encoded.error());
    conversation_.undo();
    return;
  }
  ai::Request request;
  request.prompt = prompt.view();
  request.sampling = sampling_;
  // At temperature 0 the most probable token is always taken, so the penalty is off, too.
  if (sampling_.temperature_milli == 0) request.sampling.repeat_penalty_milli = 1000;
  request.max_tokens = max_tokens_;
  request.stop = chat_stops(model);
  Result<Answer> answer = generate(model, request, io_, Show::kText);
  if (!answer.has_value()) {
    say(answer.error());
    conversation_.undo();
    return;
  }
  if (!answer->text.view().ends_with('\n')) io_.write("\n");
  report(*answer, static_cast<u32>(prompt.size()), model.info().context);
  if (answer->text.empty() && answer->reason != ai::FinishReason::kStop) {
    // There was no answer, so the question does not stay in the conversation.
    conversation_.undo();
    return;
  }
  Result<void> kept = conversation_.add(Role::kAssistant, answer->text.view());
  if (!kept.has_value()) say(kept.error());
}

void Talk::report(const Answer& answer, u32 prompt_tokens, u32 context) {
  const ai::Timings& t = answer.timings;
  used_tokens_ = prompt_tokens + t.generated_tokens;
  u32 gaps = t.generated_tokens > 0 ? t.generated_tokens - 1 : 0;
  const char* end = describe_end(answer.reason);
  base::format_to(io_, "[{}{}{} tokens, {} tok/s; context {} of {}]\n", end,
                  end[0] != 0 ? "; " : "", t.generated_tokens,
                  service::tokens_per_second(gaps, t.decode_ns), used_tokens_, context);
  interrupted_ = answer.reason == ai::FinishReason::kCancelled;
  if (answer.reason == ai::FinishReason::kError) say(answer.error);
  if (answer.reason == ai::FinishReason::kContextFull) {
    io_.write(
        "The answer ends here because the context is full. /reset starts over, /undo takes\n"
        "the last turn back, /slide on drops the oldest turns when there is no room.\n");
  } else if (u64{used_tokens_} * 100 >= u64{context} * kLowPercent) {
    base::format_to(
        io_, "[{} tokens are left; at the end {}]\n", context - std::min(used_tokens_, context),
        slide_ ? "the oldest turns are dropped" : "the answer stops: /slide on drops old turns");
  }
}

void Talk::show_context() {
  Result<ai::Lease> leased = service::engine_host().lease(service::kConsoleHolder);
  if (!leased.has_value()) return io_.write("no model is loaded\n");
  const ai::Lease& model = *leased;
  u32 total = 0;
  for (const Message& message : conversation_.messages()) {
    Vector<ai::TokenId> tokens;
    Result<void> encoded = model.tokenizer().encode(message.text.view(), ai::AddSpecial::kNo,
                                                    ai::ParseSpecial::kNo, tokens);
    if (!encoded.has_value()) return say(encoded.error());
    base::format_to(io_, "{:<10} {:>6} tokens\n", role_name(message.role), tokens.size());
    total += static_cast<u32>(tokens.size());
  }
  Vector<ai::TokenId> prompt;
  Result<void> encoded = encode_chat(model, conversation_.messages(), prompt);
  if (!encoded.has_value()) return say(encoded.error());
  u32 context = model.info().context;
  base::format_to(io_, "{} tokens of text, {} with the template, of {} ({} %)\n", total,
                  prompt.size(), context, u64{prompt.size()} * 100 / std::max(context, u32{1}));
}

void Talk::complete(std::string_view before, Candidates& out) {
  if (!before.starts_with('/')) return;
  struct Filter {
    std::string_view part;
    Candidates* out;
  } filter{before.substr(std::min(before.find(' ') + 1, before.size())), &out};
  auto add = [](void* context, std::string_view name) {
    Filter& f = *static_cast<Filter*>(context);
    if (name.starts_with(f.part)) f.out->add(name);
  };
  if (before.contains(' ')) out.word_start = before.size() - filter.part.size();
  if (before.starts_with("/model ")) return service::complete_model(filter.part, add, &filter);
  if (before.starts_with("/load ") || before.starts_with("/save "))
    return service::list_texts(service::kConversations, add, &filter);
  for (const Row* row = kRows; row->name != nullptr; row++)
    if (std::string_view(row->name).starts_with(before)) out.add(row->name);
}

}  // namespace console
