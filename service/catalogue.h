// SPDX-License-Identifier: GPL-2.0-or-later
// The models that can be pulled by a short name. scripts/models.toml has the rows, which the build
// makes a table. Any context.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/types.h"

namespace service {

struct CatalogueModel {
  std::string_view name, title;
  std::string_view
      source;  // as `model pull` takes it; "" if it can only be fetched by `make model`
  std::string_view sha256;  // 64 digits; "" if nobody has pinned it
  std::string_view licence;
  u64 bytes = 0;  // 0 if not pinned
};

std::span<const CatalogueModel> catalogue();
const CatalogueModel* find_in_catalogue(std::string_view name);  // null if it has no such name

}  // namespace service
