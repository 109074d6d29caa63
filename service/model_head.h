// SPDX-License-Identifier: GPL-2.0-or-later
// Tells a model from what failed downloads leave under a model's name. Any context.
#pragma once

#include <string_view>

namespace service {

// Returns what is wrong with a file that begins with these bytes, as the end of a sentence about
// it, or null for the beginning of a GGUF. The first 32 bytes are enough.
const char* head_fault(std::string_view head);

}  // namespace service
