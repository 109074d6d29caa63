// SPDX-License-Identifier: GPL-2.0-or-later
// What nearly every file includes. The build parses it once for each set of flags (precompiled.mk).
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <charconv>
#include <cstring>
#include <expected>
#include <span>
#include <string_view>
#include <utility>

#include "kernel/base/containers.h"
#include "kernel/base/format.h"
#include "kernel/base/result.h"
