// SPDX-License-Identifier: GPL-2.0-or-later
// Puts messages through a loaded model's chat template. The console and the server both use it, so
// they cannot differ.
#pragma once

#include "ai/engine/lease.h"
#include "ai/text/chat_encode.h"

namespace service {

// Renders `input` with the model's template and appends the result to `text` (what a person would
// read) and to `tokens`; either may be null. Fills in the time of day. When the template refuses,
// `problem` gets a sentence that says where and why. Any thread of CPU 0; does not wait.
Result<void> encode_chat(const ai::Lease& model, ai::ChatInput input, String* text,
                         Vector<ai::TokenId>* tokens, base::Writer& problem);

}  // namespace service
