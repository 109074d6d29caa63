// SPDX-License-Identifier: GPL-2.0-or-later
// Finds out by trying it how a chat template treats messages.
#pragma once

#include "ai/text/chat_template.h"

namespace ai {

// Renders a few short conversations. For threads; it does not yield.
Result<TemplateAbilities> probe_template(const ChatTemplate& chat);

}  // namespace ai
