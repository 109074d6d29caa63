// SPDX-License-Identifier: GPL-2.0-or-later
// Messages through a loaded model's chat template: the one way of console and server.
#pragma once

#include "ai/engine/lease.h"
#include "ai/text/chat_encode.h"

namespace service {

// Appends what the model's template makes of `input` to `text` (as people read it) and to `tokens`;
// either may be null. The time of day is filled in here. `problem` gets a sentence when the
// template refuses.
Result<void> encode_chat(const ai::Lease& model, ai::ChatInput input, String* text,
                         Vector<ai::TokenId>* tokens, base::Writer& problem);

}  // namespace service
