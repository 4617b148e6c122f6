/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_memory.h - nghttp2's memory for the sessions of one loop: what a stream gave back serves the
 * next. Blocks of a few sizes, in lists; what is larger, and what a list has no place for, is the C
 * library's. One thread.
 */
#ifndef KOLK_DRIVERS_H2_MEMORY_H
#define KOLK_DRIVERS_H2_MEMORY_H

#include <nghttp2/nghttp2.h>
#include <stdint.h>

enum { H2_MEMORY_SIZES = 7 }; /* 64, 128, ... 4096 bytes */

struct h2_memory {
	nghttp2_mem ng; /* for nghttp2_session_server_new3; its mem_user_data is this struct */
	struct h2_block *free[H2_MEMORY_SIZES];
	uint32_t kept[H2_MEMORY_SIZES];
};

void h2_memory_init(struct h2_memory *memory);
/* Free what it keeps. No session is left. */
void h2_memory_free(struct h2_memory *memory);

#endif
