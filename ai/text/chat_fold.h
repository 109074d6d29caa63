// SPDX-License-Identifier: GPL-2.0-or-later
// Rewrites a conversation for a template that lacks something: a system message becomes the
// beginning of the next user message, calls of tools and their results become text.
#pragma once

#include "ai/text/chat_template.h"

namespace ai {

// The conversation as the template gets it. It may point into the original, which must outlive it.
class FoldedChat {
 public:
  static Result<FoldedChat> make(const TemplateAbilities& abilities,
                                 std::span<const ChatMessage> messages);
  std::span<const ChatMessage> messages() const { return messages_.view(); }

 private:
  Result<void> add(const TemplateAbilities& abilities, const ChatMessage& message);
  Result<void> add_to_user(std::string_view text);

  Vector<ChatMessage> messages_;
  Vector<base::Owner<String>> texts_;  // of messages that were rewritten
  bool joins_ = false;  // the last message is a user's that what comes next from a user belongs to
};

}  // namespace ai
