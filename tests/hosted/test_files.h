// SPDX-License-Identifier: GPL-2.0-or-later
// Files that tests use when they are there: models and data that are not part of the tree.
#pragma once

#include <string>

// False when it cannot be read; `bytes` is then empty.
bool read_file(const std::string& path, std::string& bytes);

// $MARROW_SHARED, or shared/ beside the repository, then `name`.
std::string shared_path(const std::string& name);

// The first of $MARROW_MODELS, build/models and ~/.cache/marrow/models that has `name`; "" if none.
std::string model_path(const std::string& name);
