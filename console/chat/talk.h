// SPDX-License-Identifier: GPL-2.0-or-later
// `talk`: a conversation with the model. Lines that begin with '/' are commands about it.
#pragma once

#include "console/chat/chat_prompt.h"
#include "console/chat/generation.h"
#include "console/shell/command.h"
#include "console/terminal/line_editor.h"

namespace console {

class Talk final : public Completer {
 public:
  Talk(Io& io, Conversation& conversation);

  // Until the person leaves. Errors that end it: no model, no memory.
  Result<void> run();
  // One question, answered on the terminal. What went wrong is said there.
  void ask(std::string_view question);
  void complete(std::string_view before, Candidates& out) override;

  ai::SamplerParams& sampling() { return sampling_; }

 private:
  enum class Next : u8 { kGoOn, kLeave };
  struct Row {
    const char* name;
    const char* usage;
    const char* help;
    Next (*run)(Talk& talk, std::string_view rest);
  };
  static const Row kRows[];

  Result<String> read_question();  // may be several lines
  Next command(std::string_view line);
  void answer();
  void say(const Error& error);
  bool make_room(const ai::Lease& model, Vector<ai::TokenId>& prompt);
  void report(const Answer& answer, u32 prompt_tokens, u32 context);
  Next set_decimal(std::string_view rest, i32& milli, i32 least, i32 most, const char* what);
  void save(std::string_view name);
  void load(std::string_view name);
  Result<void> save_cache(std::string_view name);
  void load_cache(std::string_view name);
  void set_system(std::string_view text);  // "": shows it
  void show_help();
  void show_sampling();
  void show_context();

  Io& io_;
  Conversation& conversation_;
  History history_;
  LineEditor editor_;
  ai::SamplerParams sampling_;
  u32 max_tokens_ = 0;
  bool slide_ = false;
  bool interrupted_ = false;  // Ctrl-C was the last thing: one more leaves
  u32 used_tokens_ = 0;       // of the context, after the last answer
};

// The machine's one conversation: `talk` goes on with it, `template` shows it.
Conversation& conversation();

// Temperature and the like from the boot options. Scripts get the likeliest tokens.
enum class Use : u8 { kTalk, kScript };
ai::SamplerParams default_sampling(Use use);
u32 default_max_tokens();  // of an answer in talk

// "0.7" as thousandths; at most three digits behind the point.
Result<i32> parse_milli(std::string_view text, i32 most);

}  // namespace console
