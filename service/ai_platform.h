// SPDX-License-Identifier: GPL-2.0-or-later
// The engine's platform on this kernel, the hosted twin included.
#pragma once

#include "ai/platform.h"

ai::Platform& ai_platform();
