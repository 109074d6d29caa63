// SPDX-License-Identifier: GPL-2.0-or-later
// Acknowledgements that say nothing which the next one does not say, too.
#pragma once

#include <span>

#include "kernel/base/containers.h"
#include "kernel/base/types.h"

namespace net {

struct Block {
  u32 left, right;
};
using Blocks = StaticVector<Block, 4>;  // what fits into TCP's options

// The blocks of a selective acknowledgement (RFC 2018) among a segment's options.
Blocks read_blocks(std::span<const Byte> options);

// Whether the peer learns nothing from `older` that `newer` does not tell it: both are frames of
// one connection that carry an acknowledgement and no data, the newer acknowledges as much and
// holds as much, and the older is not one of those that a peer without RFC 2018 counts.
bool supersedes(std::span<const Byte> newer, std::span<const Byte> older);
// A frame that carries an acknowledgement over TCP and nothing else.
bool is_acknowledgement(std::span<const Byte> frame);

}  // namespace net
