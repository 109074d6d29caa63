/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the request layer (block.c) and the disks (disk.c). */
#pragma once

#include <linux/blk-mq.h>

struct request *shim_try_request(struct request_queue *q, blk_opf_t opf);
int shim_map_memory(struct request *rq, void *memory, unsigned int bytes);
