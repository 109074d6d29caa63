// SPDX-License-Identifier: GPL-2.0-or-later
// The attention entry of the reference table.
#pragma once

#include "ai/attention/attend.h"

namespace ai {

void attend_reference(const AttendJob& job);

}  // namespace ai
