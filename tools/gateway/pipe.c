/* SPDX-License-Identifier: Apache-2.0 */
/* pipe.c - the bytes of one direction that are in the gateway. */
#define _GNU_SOURCE /* explicit_bzero */
#include "tools/gateway/pipe.h"

#include <stdlib.h>
#include <string.h>

static uint32_t capacity_for(size_t size)
{
	uint32_t capacity = 512;

	while (capacity < size)
		capacity *= 2;
	return capacity;
}

static void free_data(struct gw_pipe *pipe)
{
	if (pipe->secret && pipe->data != NULL)
		explicit_bzero(pipe->data, pipe->capacity);
	free(pipe->data);
}

/* realloc, which would leave a copy of a secret behind. NULL = no memory. */
static char *grow(struct gw_pipe *pipe, size_t capacity)
{
	char *grown = pipe->secret ? malloc(capacity) : realloc(pipe->data, capacity);

	if (grown == NULL || !pipe->secret)
		return grown;
	if (pipe->size > 0)
		memcpy(grown, pipe->data, pipe->size);
	free_data(pipe);
	return grown;
}

char *gw_pipe_reserve(struct gw_pipe *pipe, size_t size)
{
	char *grown;

	if (size > GW_PIPE_MAX - pipe->size)
		return NULL;
	if (pipe->size == 0)
		pipe->begin = 0;
	if (pipe->capacity - pipe->begin - pipe->size >= size)
		return pipe->data + pipe->begin + pipe->size;
	if (pipe->size > 0)
		memmove(pipe->data, pipe->data + pipe->begin, pipe->size);
	pipe->begin = 0;
	if (pipe->capacity - pipe->size < size) {
		uint32_t capacity = capacity_for(pipe->size + size);

		grown = grow(pipe, capacity);
		if (grown == NULL)
			return NULL;
		pipe->data = grown;
		pipe->capacity = capacity;
	}
	return pipe->data + pipe->size;
}

void gw_pipe_commit(struct gw_pipe *pipe, size_t size)
{
	pipe->size += (uint32_t)size;
}

bool gw_pipe_put(struct gw_pipe *pipe, const char *text)
{
	return text[0] == '\0' || gw_pipe_push(pipe, text, strlen(text));
}

size_t gw_pipe_take(struct gw_pipe *pipe, void *buffer, size_t capacity)
{
	size_t size = pipe->size < capacity ? pipe->size : capacity;

	if (size == 0)
		return 0;
	memcpy(buffer, pipe->data + pipe->begin, size);
	gw_pipe_drop(pipe, size);
	return size;
}

void gw_pipe_drop(struct gw_pipe *pipe, size_t size)
{
	pipe->begin += (uint32_t)size;
	pipe->size -= (uint32_t)size;
}

void gw_pipe_reset(struct gw_pipe *pipe)
{
	if (pipe->capacity > GW_PIPE_LOW)
		gw_pipe_free(pipe);
	pipe->begin = pipe->size = 0;
	pipe->ended = false;
}

void gw_pipe_free(struct gw_pipe *pipe)
{
	free_data(pipe);
	*pipe = (struct gw_pipe){ .secret = pipe->secret };
}
