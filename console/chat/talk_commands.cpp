// SPDX-License-Identifier: GPL-2.0-or-later
// The commands inside a conversation, one row each, and the boot options with its defaults.
#include "console/chat/talk.h"
#include "console/shell/shell.h"
#include "kernel/base/nearest.h"
#include "kernel/options.h"
#include "service/perf_log.h"

namespace console {
namespace {

constexpr Option kTemperature{"temp", OptionKind::kText, "", "0..5",
                              "temperature; by default 0.3 in talk, 0 (greedy) in chat"};
constexpr Option kTopP{"top_p", OptionKind::kText, "0.95", "0..1", "top-p of talk and chat"};
constexpr Option kRepeat{"repeat", OptionKind::kText, "", "1..2",
                         "repeat penalty; by default 1.1 in talk, 1 (off) in chat"};
KERNEL_OPTION(kRepeat);
constexpr Option kSeed{"seed", OptionKind::kNumber, "0", "0..", "seed of talk and chat"};
constexpr Option kMostTokens{"talk.max", OptionKind::kNumber, "512", "0..1000000",
                             "longest answer of talk in tokens; 0 = until the context is full"};
KERNEL_OPTION(kMostTokens);
KERNEL_OPTION(kTemperature);
KERNEL_OPTION(kTopP);
KERNEL_OPTION(kSeed);

// In thousandths. Small models repeat themselves without some randomness and some penalty.
constexpr i32 kTalkTemperature = 300, kTalkRepeat = 1100;
constexpr i32 kMostTemperature = 5000, kMostTopP = 1000, kMostRepeat = 2000;

}  // namespace

Result<i32> parse_milli(std::string_view text, i32 most) {
  usize point = std::min(text.find('.'), text.size());
  std::string_view whole = text.substr(0, point);
  std::string_view part = text.substr(std::min(point + 1, text.size()));
  if ((whole.empty() && part.empty()) || part.size() > 3)
    return fail(Errc::kInvalidArgument, "expected a number such as 0.7");
  u64 value = whole.empty() ? 0 : TRY(parse_number(whole));
  if (value > 1'000'000) return fail(Errc::kOutOfRange, "the number is too large");
  u64 fraction = part.empty() ? 0 : TRY(parse_number(part));
  for (usize i = part.size(); i < 3; i++) fraction *= 10;
  value = value * 1000 + fraction;
  if (value > static_cast<u64>(most)) return fail(Errc::kOutOfRange, "the number is too large");
  return static_cast<i32>(value);
}

ai::SamplerParams default_sampling(Use use) {
  bool talk = use == Use::kTalk;
  auto milli = [](const Option& option, i32 most, i32 otherwise) {
    return parse_milli(options::text(option), most).value_or(otherwise);
  };
  ai::SamplerParams params;
  params.temperature_milli = milli(kTemperature, kMostTemperature, talk ? kTalkTemperature : 0);
  params.top_p_milli = milli(kTopP, kMostTopP, params.top_p_milli);
  params.repeat_penalty_milli =
      std::max(milli(kRepeat, kMostRepeat, talk ? kTalkRepeat : 1000), 1000);
  params.seed = options::number(kSeed);
  return params;
}

u32 default_max_tokens() {
  return static_cast<u32>(options::number(kMostTokens));
}

Talk::Next Talk::set_decimal(std::string_view rest, i32& milli, i32 least, i32 most,
                             const char* what) {
  if (!rest.empty()) {
    Result<i32> value = parse_milli(rest, most);
    if (!value.has_value() || *value < least) {
      base::format_to(io_, "expected a number from {} to {}, such as 0.75\n",
                      base::Decimal{least / 10, 2}, base::Decimal{most / 10, 2});
      return Next::kGoOn;
    }
    milli = *value;
  }
  base::format_to(io_, "{} is {}\n", what, base::Decimal{milli, 3});
  return Next::kGoOn;
}

const Talk::Row Talk::kRows[] = {
    {"/help", "/help", "this list",
     [](Talk& t, std::string_view) {
       t.show_help();
       return Next::kGoOn;
     }},
    {"/system", "/system [TEXT]", "what the model is told before everything; \"\" takes it away",
     [](Talk& t, std::string_view rest) {
       t.set_system(rest);
       return Next::kGoOn;
     }},
    {"/reset", "/reset", "forgets the conversation",
     [](Talk& t, std::string_view) {
       t.conversation_.clear();
       t.io_.write("a new conversation\n");
       return Next::kGoOn;
     }},
    {"/undo", "/undo", "takes the last question and its answer back",
     [](Talk& t, std::string_view) {
       t.io_.write(t.conversation_.undo() ? "taken back\n" : "there is nothing to take back\n");
       return Next::kGoOn;
     }},
    {"/retry", "/retry", "answers the last question again, with another seed when there is chance",
     [](Talk& t, std::string_view) {
       t.conversation_.undo_answer();
       if (t.conversation_.turns() == 0) {
         t.io_.write("there is no question yet\n");
         return Next::kGoOn;
       }
       if (t.sampling_.temperature_milli > 0)
         base::format_to(t.io_, "[seed {}]\n", ++t.sampling_.seed);
       t.answer();
       return Next::kGoOn;
     }},
    {"/save", "/save NAME", "keeps the conversation: on a disk that can be written, or in memory",
     [](Talk& t, std::string_view rest) {
       t.save(rest);
       return Next::kGoOn;
     }},
    {"/load", "/load [NAME]", "takes a kept conversation up again; lists them",
     [](Talk& t, std::string_view rest) {
       t.load(rest);
       return Next::kGoOn;
     }},
    {"/temp", "/temp [0.7]", "temperature; 0 always takes the likeliest token",
     [](Talk& t, std::string_view rest) {
       return t.set_decimal(rest, t.sampling_.temperature_milli, 0, kMostTemperature,
                            "temperature");
     }},
    {"/top-p", "/top-p [0.95]", "draws only from the likeliest tokens that add up to this",
     [](Talk& t, std::string_view rest) {
       return t.set_decimal(rest, t.sampling_.top_p_milli, 0, kMostTopP, "top-p");
     }},
    {"/repeat", "/repeat [1.1]", "makes tokens of late less likely; 1 is off, as is temperature 0",
     [](Talk& t, std::string_view rest) {
       return t.set_decimal(rest, t.sampling_.repeat_penalty_milli, 1000, kMostRepeat,
                            "repeat penalty");
     }},
    {"/seed", "/seed [N]", "the same seed gives the same answers",
     [](Talk& t, std::string_view rest) {
       Result<u64> value = rest.empty() ? Result<u64>(t.sampling_.seed) : parse_number(rest);
       if (!value.has_value()) {
         t.say(value.error());
         return Next::kGoOn;
       }
       t.sampling_.seed = *value;
       base::format_to(t.io_, "seed is {}\n", *value);
       return Next::kGoOn;
     }},
    {"/max", "/max [N]", "tokens an answer may have; 0 = until the context is full",
     [](Talk& t, std::string_view rest) {
       Result<u64> value = rest.empty() ? Result<u64>(t.max_tokens_) : parse_number(rest);
       if (!value.has_value() || *value > ~u32{0}) {
         t.io_.write("talk: expected a number of tokens\n");
         return Next::kGoOn;
       }
       t.max_tokens_ = static_cast<u32>(*value);
       if (*value == 0)
         t.io_.write("an answer may go on until the context is full\n");
       else
         base::format_to(t.io_, "at most {} tokens an answer\n", *value);
       return Next::kGoOn;
     }},
    {"/slide", "/slide [on|off]", "at a full context: drop the oldest turns, or stop",
     [](Talk& t, std::string_view rest) {
       if (rest == "on" || rest == "off") t.slide_ = rest == "on";
       t.io_.write(t.slide_ ? "the oldest turns are dropped when the context is full\n"
                            : "the answer stops when the context is full\n");
       return Next::kGoOn;
     }},
    {"/stats", "/stats [trace]", "how fast the last answer was; trace: event by event",
     [](Talk& t, std::string_view rest) {
       rest == "trace" ? service::perf_log().print_trace(t.io_) : service::perf_log().print(t.io_);
       return Next::kGoOn;
     }},
    {"/model", "/model [NAME]", "which model answers; NAME switches to another",
     [](Talk& t, std::string_view rest) {
       if (!rest.empty()) {
         Result<service::ModelFile> file = service::find_model(rest);
         Result<void> done =
             file.has_value() ? load_shown(*file, t.io_) : std::unexpected(file.error());
         if (!done.has_value()) t.say(done.error());
       }
       Result<ai::Lease> model = service::engine_host().lease(service::kConsoleHolder);
       if (model.has_value()) base::format_to(t.io_, "{} answers\n", model->info().name);
       return Next::kGoOn;
     }},
    {"/context", "/context", "tokens in use, message by message",
     [](Talk& t, std::string_view) {
       t.show_context();
       return Next::kGoOn;
     }},
    {"/exit", "/exit", "leaves; the conversation is kept until the power goes",
     [](Talk&, std::string_view) { return Next::kLeave; }},
    {nullptr, nullptr, nullptr, nullptr},
};

void Talk::set_system(std::string_view text) {
  std::span<const Message> messages = conversation_.messages();
  bool there = !messages.empty() && messages[0].role == Role::kSystem;
  if (text.empty()) {
    if (!there) return io_.write("no system message: /system TEXT sets one\n");
    write_clean(io_, messages[0].text.view());
    return io_.write("\n");
  }
  bool away = text == "\"\"";
  Result<void> done = conversation_.set_system(away ? "" : text);
  if (!done.has_value()) return say(done.error());
  io_.write(away ? "no system message\n" : "system message set\n");
}

void Talk::show_sampling() {
  const ai::SamplerParams& p = sampling_;
  if (p.temperature_milli == 0) return io_.write("[temperature 0: always the likeliest token]\n");
  base::format_to(io_,
                  "[temperature {}, top-p {}, repeat {}, seed {}: the same seed and questions give "
                  "the\nsame answers; /temp 0 always takes the likeliest token]\n",
                  base::Decimal{p.temperature_milli / 10, 2}, base::Decimal{p.top_p_milli / 10, 2},
                  base::Decimal{p.repeat_penalty_milli / 10, 2}, p.seed);
}

void Talk::show_help() {
  for (const Row* row = kRows; row->name != nullptr; row++)
    base::format_to(io_, "  {:<18} {}\n", row->usage, row->help);
  io_.write(
      "\"\"\" begins a question of several lines, \"\"\" ends it. Ctrl-C stops an answer.\n"
      "The shell's commands work as well: /poweroff, /mem, /status.\n");
  show_sampling();
}

namespace {

// Names that people know from other programs.
struct Alias {
  std::string_view other, ours;
};
constexpr Alias kAliases[] = {{"/?", "/help"},          {"/clear", "/reset"}, {"/new", "/reset"},
                              {"/bye", "/exit"},        {"/quit", "/exit"},   {"/regen", "/retry"},
                              {"/temperature", "/temp"}};

}  // namespace

Talk::Next Talk::command(std::string_view line) {
  usize space = std::min(line.find(' '), line.size());
  std::string_view name = line.substr(0, space);
  std::string_view rest = line.substr(space);
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  while (rest.ends_with(' ')) rest.remove_suffix(1);
  for (const Alias& alias : kAliases)
    if (name == alias.other) name = alias.ours;
  base::Nearest nearest(name);
  for (const Row* row = kRows; row->name != nullptr; row++) {
    if (name == row->name) return row->run(*this, rest);
    nearest.consider(row->name);
  }
  // The shell's commands also work here: /poweroff, /mem, /status.
  const Command* command = find_command(name);
  if (command != nullptr && std::string_view(command->name) != "talk") {
    Shell(io_).run(line.substr(1));
    return Next::kGoOn;
  }
  base::format_to(io_, "unknown command '{}'", name.substr(0, 40));
  if (!nearest.best().empty()) base::format_to(io_, ": did you mean {}?", nearest.best());
  io_.write(" (/help lists them)\n");
  return Next::kGoOn;
}

}  // namespace console
