// SPDX-License-Identifier: GPL-2.0-or-later
// Brings the conversations of every API into one form: a list of {role, content, tool_calls…} for
// templates.
#pragma once

#include "ai/openai/error.h"

namespace ai::openai {

// Checks chat messages and writes them as templates need them: contents as plain strings,
// `developer` as `system`, arguments of tool calls as objects.
Result<void> normalize_messages(json::Value messages, String& out, ApiError& error);

// Convert bodies of /v1/responses, /v1/messages and Ollama's two routes into bodies of
// /v1/chat/completions.
Result<void> chat_from_responses(json::Value body, String& out, ApiError& error);
Result<void> chat_from_anthropic(json::Value body, String& out, ApiError& error);
Result<void> chat_from_ollama(json::Value body, String& out, ApiError& error);
// With "raw": true, `out` has a `prompt` in place of `messages`.
Result<void> chat_from_ollama_generate(json::Value body, String& out, ApiError& error);
// Returns the field `model`, or `name`, which older clients send.
std::string_view ollama_model_name(json::Value body);

}  // namespace ai::openai
