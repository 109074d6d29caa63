// SPDX-License-Identifier: GPL-2.0-or-later
// Constants of the ext4 format that several files share.
#pragma once

#include "kernel/base/types.h"

namespace fs::ext4 {

// Incompatible features (s_feature_incompat).
constexpr u32 kRecover = 0x4, kMetaGroups = 0x10, k64Bit = 0x80, kSeedInSuper = 0x2000;
// filetype, recover, meta_bg, extents, 64bit, mmp, flex_bg, ea_inode, csum_seed, largedir,
// inline_data, encrypt (only encrypted files are refused), casefold (names compare exactly).
constexpr u32 kReadable = 0x2 | kRecover | kMetaGroups | 0x40 | k64Bit | 0x100 | 0x200 | 0x400 |
                          kSeedInSuper | 0x4000 | 0x8000 | 0x10000 | 0x20000;
// Features that only a writer must know (s_feature_ro_compat).
constexpr u32 kSparseSuper = 0x1, kMetadataChecksums = 0x400;
// Inode flags.
constexpr u32 kEncrypted = 0x800, kIndexed = 0x1000, kExtents = 0x80000, kInline = 0x10000000;

constexpr u32 kRootInode = 2;
constexpr u32 kMapAt = 40, kMapBytes = 60;  // i_block in the inode
constexpr u32 kMostExtent = 32768;          // blocks; a longer length marks it unwritten
constexpr u32 kMostDepth = 5;
constexpr u32 kMostLinks = 8, kMostLinkBytes = 4096;

}  // namespace fs::ext4
