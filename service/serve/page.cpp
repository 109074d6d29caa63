// SPDX-License-Identifier: GPL-2.0-or-later
// Returns the built-in page: build/generated/page.inc has the files of service/serve/page as bytes.
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
