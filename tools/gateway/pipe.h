/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipe.h - the bytes of one direction that are in the gateway: what came, and was not fetched yet.
 *
 * A sender is paused at GW_PIPE_HIGH bytes and resumed at GW_PIPE_LOW. One piece more may come, so a
 * pipe never holds more than GW_PIPE_HIGH and the largest piece (20 KiB from upstreams, 16 KiB on
 * HTTP/2; from a client on HTTP/1.1 what its socket held, at most 1 MiB). Whole messages that are
 * gathered in one have bounds of their own, and GW_PIPE_MAX.
 */
#ifndef KOLK_GATEWAY_PIPE_H
#define KOLK_GATEWAY_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { GW_PIPE_HIGH = 65536, GW_PIPE_LOW = 32768, GW_PIPE_MAX = 1 << 30 };

struct gw_pipe {
	char *data;
	uint32_t begin, size, capacity;
	bool ended; /* nothing comes any more */
	bool secret; /* credentials are in it: its memory is wiped before it is given back */
};

/* Room for so many bytes behind what is there: NULL = no memory, or more than GW_PIPE_MAX. What is
 * there may move. */
char *gw_pipe_reserve(struct gw_pipe *pipe, size_t size);
/* So many bytes were written to that place. */
void gw_pipe_commit(struct gw_pipe *pipe, size_t size);
/* Both at once, of bytes that are elsewhere. */
static inline bool gw_pipe_push(struct gw_pipe *pipe, const void *data, size_t size)
{
	const bool fits = pipe->data != NULL && pipe->capacity - pipe->begin - pipe->size >= size;
	char *to = fits ? pipe->data + pipe->begin + pipe->size : gw_pipe_reserve(pipe, size);

	if (to == NULL)
		return false;
	memcpy(to, data, size);
	pipe->size += (uint32_t)size;
	return true;
}
/* A text, without its NUL. */
bool gw_pipe_put(struct gw_pipe *pipe, const char *text);
/* Fetch at most capacity bytes; how many. Moves nothing. */
size_t gw_pipe_take(struct gw_pipe *pipe, void *buffer, size_t capacity);
/* So many bytes were used in their place. */
void gw_pipe_drop(struct gw_pipe *pipe, size_t size);
/* Empty, for the next use; memory beyond GW_PIPE_LOW is given back. */
void gw_pipe_reset(struct gw_pipe *pipe);
void gw_pipe_free(struct gw_pipe *pipe);

#endif
