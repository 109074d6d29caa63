// SPDX-License-Identifier: GPL-2.0-or-later
// The formats of keys and values in the cache.
#pragma once

#include "kernel/base/types.h"

namespace ai {

enum class KvType : u8 { kF16, kQ8 };

}  // namespace ai
