// SPDX-License-Identifier: GPL-2.0-or-later
// Bytes that lie in memory, as the source of a saved text.
#pragma once

#include <algorithm>

#include "ai/engine/kv_file.h"
#include "kernel/base/bytes.h"

struct Stored final : ai::ByteSource {
  explicit Stored(std::span<const Byte> all) : reader(all) {}
  Result<void> read(std::span<Byte> out) override {
    std::span<const Byte> part = TRY(reader.read_bytes(out.size()));
    std::copy(part.begin(), part.end(), out.begin());
    return {};
  }
  base::ByteReader reader;
};
