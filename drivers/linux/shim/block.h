/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the request layer (block.c) and the disks (disk.c). */
#pragma once

#include <linux/blk-mq.h>

struct request* shim_try_request(struct request_queue* q, blk_opf_t opf);
/* Whether a request that waits while its queue is frozen was taken off it: it comes again with
   shim_resume() when the queue thaws. Those of the driver itself stay. */
bool shim_set_aside(struct request* rq);
void shim_resume(struct request_queue* q);
int shim_map_memory(struct request* rq, void* memory, unsigned int bytes);
