// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps small texts: on the first disk that may hold them, otherwise in memory until power-off. Any
// thread of CPU 0; waits for disks.
#pragma once

#include "kernel/fs/file_system.h"

namespace service {

// The places that may hold a text.
enum class StoreOn : u8 {
  kAnyDisk,
  // For secrets. Sticks and CDs are carried away, and the disk that Marrow was started from is
  // copied, so no secret is written to them. None is read from them either, because somebody else
  // may have put it there.
  kFixedDisk,
};

// Keeps `text` under NAME among the texts of `kind` ("conversations"). Returns where it is now: a
// path, or a phrase that says it is only in memory, and why. A NAME that is a path
// ("/disk0/x.json") is used as it is.
Result<String> store_text(std::string_view kind, std::string_view name, std::string_view text,
                          StoreOn where = StoreOn::kAnyDisk);
Result<String> load_text(std::string_view kind, std::string_view name,
                         StoreOn where = StoreOn::kAnyDisk);

// Calls add() with the name of every text of `kind`.
void list_texts(std::string_view kind, void (*add)(void*, std::string_view), void* context);

constexpr std::string_view kConversations = "conversations";  // the kind of /save and /load

// Does the same for large files: KIND-NAME.bin on a disk, or NAME.bin for a path, but never in
// memory. Returns kNotFound if no disk can be written, or none has the file.
Result<base::Owner<fs::File>> create_kept_file(std::string_view kind, std::string_view name);
Result<base::Owner<fs::File>> open_kept_file(std::string_view kind, std::string_view name);

// Makes a folder for files of other kinds, on the first disk that can be written. Returns its path,
// or kNotFound if there is no such disk.
Result<String> kept_folder(std::string_view name, StoreOn where);

}  // namespace service
