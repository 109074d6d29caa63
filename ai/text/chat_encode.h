// SPDX-License-Identifier: GPL-2.0-or-later
// Turns messages into prompt tokens. Every conversation reaches the model through this.
//
// Control tokens come only from the template: a message that contains the text of one
// ("<|im_end|>") is encoded as letters. A conversation without such text gets the same tokens as
// encoding the whole rendered text.
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

// Renders `input` with `chat` (null: plain "User:" lines). Appends the result to `text` as people
// read it, and to `tokens`, with BOS once if the model needs it. Either may be null.
Result<void> encode_chat(const ChatTemplate* chat, const Tokenizer& tokenizer,
                         const ChatInput& input, String* text, Vector<TokenId>* tokens,
                         TemplateError* error = nullptr);

// Returns the strings that end an answer, besides the model's end tokens.
std::span<const std::string_view> chat_stops(const ChatTemplate* chat);

}  // namespace ai
