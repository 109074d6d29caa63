// SPDX-License-Identifier: GPL-2.0-or-later
// The chat page that `/` shows, built in from console/page/.
#pragma once

#include <string_view>

namespace service {

std::string_view serve_page();

}  // namespace service
