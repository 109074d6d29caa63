// SPDX-License-Identifier: GPL-2.0-or-later
// A conversation, and the tokens that the model's own template makes of it. Used by the shell's
// thread.
#pragma once

#include "ai/engine/lease.h"

namespace console {

enum class Role : u8 { kSystem, kUser, kAssistant };
const char* role_name(Role role);

struct Message {
  Role role;
  String text;
};

class Conversation {
 public:
  Result<void> add(Role role, std::string_view text);
  Result<void> set_system(std::string_view text);  // "" removes it
  void clear();                                    // removes everything but the system message
  // Removes the last question and its answer. Returns false if there is none.
  bool undo();
  // Removes the last answer, so that the question is last. Returns false if there is none.
  bool undo_answer();
  // Removes the oldest question and its answer. Returns false if only one is left.
  bool drop_oldest();

  std::span<const Message> messages() const { return messages_.view(); }
  usize turns() const;  // questions

  Result<void> write_json(base::Writer& out) const;
  static Result<Conversation> parse_json(std::string_view text);

 private:
  Vector<Message> messages_;
};

// whether the text ends with the opening of an answer
enum class Continue : u8 { kNo, kAssistant };

// Renders the messages with the model's template. A model without one gets plain "User:" lines.
Result<void> render_chat(const ai::Lease& model, std::span<const Message> messages,
                         Continue continuation, String& out);
// Renders the messages to tokens, ready to be answered.
Result<void> encode_chat(const ai::Lease& model, std::span<const Message> messages,
                         Vector<ai::TokenId>& out);
// Returns the strings that end an answer, besides the model's own end tokens.
std::span<const std::string_view> chat_stops(const ai::Lease& model);

}  // namespace console
