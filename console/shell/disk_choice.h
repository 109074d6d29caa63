// SPDX-License-Identifier: GPL-2.0-or-later
// The questions and answers of commands that erase a disk: which one, what is on it, and a person's
// consent. For the shell's thread; they wait for disks.
#pragma once

#include "console/shell/command.h"
#include "kernel/dev/block_device.h"

namespace console {

// Returns the disk of that name, if it is there and can be written.
Result<BlockDevice*> find_disk(std::string_view name);

// Says what will be lost: partitions and volumes with their sizes.
void show_disk(BlockDevice& disk, base::Writer& out);

// Asks for the disk's name. Any other answer is kCancelled.
Result<void> need_consent(std::string_view name);

void complete_disk_name(std::string_view word, void (*add)(void*, std::string_view), void* context);

}  // namespace console
