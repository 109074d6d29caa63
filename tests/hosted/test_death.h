// SPDX-License-Identifier: GPL-2.0-or-later
// Tests of what ends the program: assertions and panics.
#pragma once

#include <functional>
#include <string>

// Runs `body` in a process of its own. Returns what that wrote to stderr when it ended by abort(),
// an empty text when it ended in another way, and "the child did not end" after 20 s.
std::string death_of(const std::function<void()>& body);
