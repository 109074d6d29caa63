// SPDX-License-Identifier: GPL-2.0-or-later
// Finds acknowledgements that a later one makes superfluous.
#pragma once

#include <span>

#include "kernel/base/containers.h"
#include "kernel/base/types.h"

namespace net {

struct Block {
  u32 left, right;
};
using Blocks = StaticVector<Block, 4>;  // as many as fit into TCP's options

// Returns the blocks of a selective acknowledgement (RFC 2018) among a segment's options.
Blocks read_blocks(std::span<const Byte> options);

// Returns true if `older` tells the peer nothing that `newer` does not: both are frames of one
// connection with an acknowledgement and no data, the newer one acknowledges and holds as much, and
// the older one is not a duplicate that a peer without RFC 2018 would count.
bool supersedes(std::span<const Byte> newer, std::span<const Byte> older);
// Returns true for a frame that carries a TCP acknowledgement and nothing else.
bool is_acknowledgement(std::span<const Byte> frame);

}  // namespace net
