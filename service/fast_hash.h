// SPDX-License-Identifier: GPL-2.0-or-later
// SHA-256 as fast as this CPU has it, for the bytes of models. For threads of CPU 0; what it
// returns may be copied for workers. It may use vector registers.
#pragma once

#include "kernel/crypto/sha256.h"

namespace service {

crypto::Sha256By fast_sha256();

}  // namespace service
