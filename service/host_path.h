// SPDX-License-Identifier: GPL-2.0-or-later
// Paths that a person types. For threads of CPU 0.
#pragma once

#include <span>
#include <string_view>

namespace service {

// Returns the machine's path for a typed one. A path below a mount stays as it is. In the hosted
// twin any other one is a path of the host, where a relative path begins in the twin's folder.
// `room` holds the result.
std::string_view machine_path(std::string_view typed, std::span<char> room);

}  // namespace service
