// SPDX-License-Identifier: GPL-2.0-or-later
// Returns the built-in page: build/generated/page.inc has service/serve/page/index.html as bytes.
#include "service/serve/page.h"

namespace service {
namespace {

constexpr unsigned char kPage[] = {
#include <page.inc>
};

}  // namespace

std::string_view serve_page() {
  return {reinterpret_cast<const char*>(kPage), sizeof kPage};
}

}  // namespace service
