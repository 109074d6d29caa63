// SPDX-License-Identifier: GPL-2.0-or-later
// `talk`: a conversation with the model. Lines that begin with '/' are commands.
#pragma once

#include "console/chat/chat_prompt.h"
#include "console/chat/generation.h"
#include "console/shell/command.h"
#include "console/terminal/line_editor.h"

namespace console {

// One run of the command. It keeps references to `io` and `conversation`, which must outlive it.
// Sleeps while the person types and while the engine answers.
class Talk final : public Completer {
 public:
  Talk(Io& io, Conversation& conversation);

  // Runs until the person leaves. Returns an error if there is no model or no memory.
  Result<void> run();
  // Answers one question on the terminal, and reports errors there.
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

  Result<String> read_question();  // may have several lines
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
  void set_system(std::string_view text);  // "" shows it
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
  bool interrupted_ = false;  // the last input was Ctrl-C: one more leaves
  u32 used_tokens_ = 0;       // tokens of the context in use after the last answer
};

// Returns the machine's only conversation. `talk` continues it and `template` shows it.
Conversation& conversation();

// Chooses the sampling from the boot options. Scripts get the most probable tokens.
enum class Use : u8 { kTalk, kScript };
ai::SamplerParams default_sampling(Use use);
u32 default_max_tokens();  // tokens that an answer of talk may have

// Parses "0.7" to thousandths, with at most three digits after the point.
Result<i32> parse_milli(std::string_view text, i32 most);

}  // namespace console
