/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `current` is a variable, as Linux code runs on one CPU. Linux's own reads SP_EL0, which is the
 * stack of our threads. */
#pragma once
#ifndef __ASSEMBLY__
struct task_struct;
extern struct task_struct* current_task;
#define get_current() current_task
#define current current_task
#endif
