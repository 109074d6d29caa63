// SPDX-License-Identifier: GPL-2.0-or-later
// Messages to prompt tokens. The only way a conversation reaches a model.
//
// Control tokens come from the template: a message that spells one ("<|im_end|>") is letters.
// Tokens of other conversations are those of the whole rendered text.
#pragma once

#include "ai/text/chat_template.h"
#include "ai/tokenizer/tokenizer.h"

namespace ai {

struct ChatInput {
  std::span<const ChatMessage> messages;
  json::Value tools = {};
  json::Value extra = {};
  bool add_generation_prompt = true;
  std::string_view continued = {};  // how the answer begins, behind the generation prompt
  i64 now_unix = 0;                 // 0 = not known
};

// Appends what `chat` (null: plain "User:" lines) makes of `input`: to `text` as people read it, to
// `tokens` with BOS where the model wants it, once. Either may be null.
Result<void> encode_chat(const ChatTemplate* chat, const Tokenizer& tokenizer,
                         const ChatInput& input, String* text, Vector<TokenId>* tokens,
                         TemplateError* error = nullptr);

// Where an answer ends besides the model's end tokens.
std::span<const std::string_view> chat_stops(const ChatTemplate* chat);

}  // namespace ai
