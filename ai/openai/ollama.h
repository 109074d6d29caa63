// SPDX-License-Identifier: GPL-2.0-or-later
// Names and times, as the routes and answers in Ollama's form share them.
#pragma once

#include "ai/openai/api.h"

namespace ai::openai {

// The level of Ollama's API that is followed: clients compare its numbers.
constexpr std::string_view kOllamaVersion = "0.12.6";

constexpr usize kOllamaNameRoom = 320;
// Writes the model's name as Ollama would. A name without a tag gets ":latest", because some
// clients add that to every name they look for.
std::string_view ollama_name(std::string_view model, std::span<char, kOllamaNameRoom> room);
// Writes the time by RFC 3339, with six digits behind the point.
std::string_view ollama_time(Backend& backend, u64 unix_ns, std::span<char> room);

}  // namespace ai::openai
