// SPDX-License-Identifier: GPL-2.0-or-later
// A model's own chat template: messages to the text the model was trained on.
//
// Jinja as Hugging Face renders it (trim_blocks, lstrip_blocks, json.dumps as tojson,
// raise_exception, strftime_now, break and continue). Every render is bounded in steps, memory,
// output and depth. Immutable after compile(); thread context.
#pragma once

#include "ai/text/jinja_error.h"
#include "kernel/base/json.h"

namespace ai {

class Tokenizer;

struct ChatMessage {
  std::string_view role;
  std::string_view content;
  bool has_content = true;  // false: null, as beside tool calls
  json::Value parts;        // when present: the content as the client sent it, instead
  json::Value tool_calls;   // an array; arguments given as JSON text reach the template parsed
  std::string_view name;    // "" = not given
  std::string_view tool_call_id;  // likewise
  std::string_view reasoning;     // "reasoning_content", likewise
};

struct TemplateOptions {
  bool add_generation_prompt = true;
  std::string_view bos, eos;  // texts of the tokens; "" when there is none
  json::Value tools;          // an array, or absent
  json::Value documents;
  json::Value extra;  // an object: more variables, such as enable_thinking
  i64 now_unix = 0;   // for strftime_now, UTC; 0 = that function is undefined
  // Given: every text of messages, tools, documents and extra comes out as its guard() writes it,
  // so that encode_guarded() takes control tokens from the template alone.
  const Tokenizer* guard = nullptr;
  u64 max_steps = 1'000'000;  // about 50 ms
  usize max_output = 16 * kMiB;
};

class ChatTemplate {
 public:
  // `source` is copied. `error`, when given, says what is wrong and where.
  static Result<base::Owner<ChatTemplate>> compile(std::string_view source,
                                                   TemplateError* error = nullptr);
  virtual ~ChatTemplate() = default;

  // Appends to `out`; on failure `out` is as it was and `error`, when given, has the reason (with
  // `raised` set when the template itself refused the messages).
  virtual Result<void> render(std::span<const ChatMessage> messages, const TemplateOptions& options,
                              String& out, TemplateError* error = nullptr) const = 0;
  // The template's text mentions tools: giving it some has an effect.
  virtual bool knows_tools() const = 0;
  virtual std::string_view source() const = 0;
};

}  // namespace ai
