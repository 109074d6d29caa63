/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Per-CPU data is plain data at offset 0, as Linux code runs on one CPU. Linux's own reads
 * TPIDR_EL1, which is ours. */
#pragma once
#define __my_cpu_offset 0UL
#define __per_cpu_offset
#define per_cpu_offset(cpu) 0UL
#include <asm-generic/percpu.h>
