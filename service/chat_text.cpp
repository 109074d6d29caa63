// SPDX-License-Identifier: GPL-2.0-or-later
// Implements encode_chat(): runs the template and turns its error into a sentence.
#include "service/chat_text.h"

#include "kernel/base/format.h"
#include "kernel/time/wall_clock.h"

namespace service {

Result<void> encode_chat(const ai::Lease& model, ai::ChatInput input, String* text,
                         Vector<ai::TokenId>* tokens, base::Writer& problem) {
  input.now_unix = static_cast<i64>(timing::unix_ns() / 1'000'000'000);
  ai::TemplateError error;
  Result<void> done =
      ai::encode_chat(model.chat_template(), model.tokenizer(), input, text, tokens, &error);
  if (done.has_value() || error.message().empty()) return done;
  if (error.raised)
    base::format_to(problem, "{}", error.message());
  else
    base::format_to(problem, "line {}, column {}: {}", error.line, error.column, error.message());
  return done;
}

}  // namespace service
