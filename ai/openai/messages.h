// SPDX-License-Identifier: GPL-2.0-or-later
// Brings the conversations of every API into one form: a list of {role, content, tool_calls…} for
// templates.
#pragma once

#include "ai/openai/error.h"
#include "kernel/base/wipe.h"

namespace ai::openai {

// Checks chat messages and writes them as templates need them: contents as plain strings,
// `developer` as `system`.
Result<void> normalize_messages(json::Value messages, String& out, ApiError& error);

// Finds what a request refers to.
class ItemSource {
 public:
  // Returns the message that the item is part of, as JSON; "" if there is none. An item's id ends
  // in kItemDigits digits of its own.
  virtual std::string_view message_of(std::string_view item_id) = 0;
  static constexpr usize kItemDigits = 4;

 protected:
  ~ItemSource() = default;
};

// Convert bodies of /v1/responses, /v1/messages and Ollama's two routes into bodies of
// /v1/chat/completions.
// `earlier`: the messages of the response that this one follows, as JSON with commas between them.
Result<void> chat_from_responses(json::Value body, std::string_view earlier, ItemSource& items,
                                 String& out, ApiError& error);
Result<void> chat_from_anthropic(json::Value body, String& out, ApiError& error);
Result<void> chat_from_ollama(json::Value body, String& out, ApiError& error);
// With "raw": true, `out` has a `prompt` in place of `messages`.
Result<void> chat_from_ollama_generate(json::Value body, String& out, ApiError& error);
// Returns the field `model`, or `name`, which older clients send.
std::string_view ollama_model_name(json::Value body);

// ---- parts of bodies

// Appends the text of a string or of a list of text parts, each on lines of its own. Refuses
// anything else and names it.
Result<void> join_content(json::Value content, std::string_view where, String& out,
                          ApiError& error);
// Copies fields that mean the same in both APIs.
void copy_fields(json::Value body, std::initializer_list<std::string_view> names, json::Writer& w);
// Writes {"type": "json_schema", "schema": …}, as the newer APIs have it, in chat's form.
void write_format(json::Value format, json::Writer& w);

}  // namespace ai::openai
