// SPDX-License-Identifier: GPL-2.0-or-later
// A conversation, and the tokens that the model's own template makes of it.
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
  Result<void> set_system(std::string_view text);  // "" takes it away
  void clear();                                    // all but the system message
  // Takes the last question and its answer away; false when there is none.
  bool undo();
  // Takes the last answer away, so that the question stands last; false when there is none.
  bool undo_answer();
  // Takes the oldest question and its answer away; false when only one is left.
  bool drop_oldest();

  std::span<const Message> messages() const { return messages_.view(); }
  usize turns() const;  // questions

  Result<void> write_json(base::Writer& out) const;
  static Result<Conversation> parse_json(std::string_view text);

 private:
  Vector<Message> messages_;
};

enum class Continue : u8 { kNo, kAssistant };  // whether the answer's opening stands at the end

// What the template makes of the messages. A model without one gets plain "User:" lines.
Result<void> render_chat(const ai::Lease& model, std::span<const Message> messages,
                         Continue continuation, String& out);
// The same as tokens, ready to be answered.
Result<void> encode_chat(const ai::Lease& model, std::span<const Message> messages,
                         Vector<ai::TokenId>& out);
// Where an answer ends besides the model's own end tokens.
std::span<const std::string_view> chat_stops(const ai::Lease& model);

}  // namespace console
