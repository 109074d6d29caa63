// SPDX-License-Identifier: GPL-2.0-or-later
// Small texts that the console keeps: on the first disk that may have them, else in memory.
#pragma once

#include "kernel/fs/file_system.h"

namespace service {

// Where a text may lie.
enum class StoreOn : u8 {
  kAnyDisk,
  // A secret: not on what is carried away (sticks, CDs) or handed round (the disk that Marrow was
  // started from), and none is taken from there, where somebody else may have put it.
  kFixedDisk,
};

// Keeps `text` as NAME in the drawer `kind` ("conversations"). Returns where it is now: a path, or
// a phrase that says it is in memory only, and why. NAME may be a path ("/disk0/x.json"), which is
// taken as it is.
Result<String> store_text(std::string_view kind, std::string_view name, std::string_view text,
                          StoreOn where = StoreOn::kAnyDisk);
Result<String> load_text(std::string_view kind, std::string_view name,
                         StoreOn where = StoreOn::kAnyDisk);

// Calls add() for the name of every text in the drawer `kind`.
void list_texts(std::string_view kind, void (*add)(void*, std::string_view), void* context);

constexpr std::string_view kConversations = "conversations";  // the drawer of /save and /load

// The same for what is large: a file KIND-NAME.bin on a disk, or NAME.bin for a path; never in
// memory. kNotFound when no disk can be written, or none has it.
Result<base::Owner<fs::File>> create_kept_file(std::string_view kind, std::string_view name);
Result<base::Owner<fs::File>> open_kept_file(std::string_view kind, std::string_view name);

}  // namespace service
