// SPDX-License-Identifier: GPL-2.0-or-later
// A model's own chat template: turns messages into the text format that the model was trained on.
//
// Templates are Jinja as Hugging Face renders it (trim_blocks, lstrip_blocks, json.dumps as tojson,
// raise_exception, strftime_now, break and continue). Every render is bounded in steps, memory,
// output and depth. A template is immutable after compile(). For threads; long renders do not
// yield.
#pragma once

#include "ai/text/jinja_error.h"
#include "kernel/base/json.h"

namespace ai {

class Tokenizer;

struct ChatMessage {
  std::string_view role;
  std::string_view content;
  bool has_content = true;        // false: null, as in messages with tool calls
  json::Value parts;              // if present, the content as the client sent it
  json::Value tool_calls;         // an array; arguments are objects or JSON text
  std::string_view name;          // "" = not given
  std::string_view tool_call_id;  // "" = not given
  std::string_view reasoning;     // "reasoning_content"; "" = not given
};

struct TemplateOptions {
  bool add_generation_prompt = true;
  std::string_view bos, eos;  // text of the tokens; "" if there is none
  json::Value tools;          // an array, or absent
  json::Value documents;
  json::Value extra;  // an object with more variables, such as enable_thinking
  i64 now_unix = 0;   // UTC, for strftime_now; 0 leaves that function undefined
  // The template sees the arguments of calls as JSON text; otherwise as objects, if they are.
  bool argument_texts = false;
  // If given, every text of messages, tools, documents and extra is passed through its guard(), so
  // that encode_guarded() finds control tokens only where the template wrote them.
  const Tokenizer* guard = nullptr;
  u64 max_steps = 1'000'000;  // about 50 ms
  usize max_output = 16 * kMiB;
};

// Describes how a template treats messages that not every template knows (template_probe.h).
struct TemplateAbilities {
  bool system = true;            // it writes system messages
  bool calls = true;             // it writes the calls of an assistant's message
  bool calls_need_null = false;  // only if the message's content is null
  bool results = true;           // it writes messages of the role "tool"
  bool argument_texts = false;   // it writes arguments as they are, so they must be JSON text
};

class ChatTemplate {
 public:
  // Copies `source`. `error`, if given, says what is wrong and where.
  static Result<base::Owner<ChatTemplate>> compile(std::string_view source,
                                                   TemplateError* error = nullptr);
  virtual ~ChatTemplate() = default;

  // Appends to `out`. On failure `out` is unchanged, and `error`, if given, has the reason;
  // `raised` is set if the template itself refused the messages.
  virtual Result<void> render(std::span<const ChatMessage> messages, const TemplateOptions& options,
                              String& out, TemplateError* error = nullptr) const = 0;
  // Returns true if the template mentions tools, so that passing some has an effect.
  virtual bool knows_tools() const = 0;
  virtual const TemplateAbilities& abilities() const = 0;
  virtual std::string_view source() const = 0;
};

}  // namespace ai
