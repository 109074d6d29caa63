// SPDX-License-Identifier: GPL-2.0-or-later
// The platform that the engine runs on: this kernel, or the hosted twin.
#pragma once

#include "ai/platform.h"

ai::Platform& ai_platform();
