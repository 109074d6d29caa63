// SPDX-License-Identifier: GPL-2.0-or-later
// The chat page that `/` shows. It is built in from service/serve/page/.
#pragma once

#include <string_view>

namespace service {

std::string_view serve_page();

}  // namespace service
