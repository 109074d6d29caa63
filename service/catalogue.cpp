// SPDX-License-Identifier: GPL-2.0-or-later
// Holds the table of the catalogue.
#include "service/catalogue.h"

#include <catalogue_table.h>

#include <algorithm>

namespace service {

std::span<const CatalogueModel> catalogue() {
  return kCatalogue;
}

const CatalogueModel* find_in_catalogue(std::string_view name) {
  auto row = std::ranges::find(kCatalogue, name, &CatalogueModel::name);
  return row == std::end(kCatalogue) ? nullptr : row;
}

}  // namespace service
