// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps a text so that a power cut does not lose it: as two records, written in turn, each with a
// number and the SHA-256 of its text. A torn or an older record loses. They lie on a disk inside
// the machine, as its secrets do, or in memory where there is none. For threads of CPU 0; waits for
// disks. One thread at a time may write a record.
#pragma once

#include <string_view>

#include "kernel/base/containers.h"

namespace service::bundle {

// Returns the newer text of two records that are whole, or kNotFound.
Result<String> load_record(std::string_view name);
// Overwrites the record that would lose. Returns where it is now, as store_text() does.
Result<String> store_record(std::string_view name, std::string_view text);

}  // namespace service::bundle
