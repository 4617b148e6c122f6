/* SPDX-License-Identifier: Apache-2.0 */
/* buffer.h - bytes on their way: those from start to end are there, the rest is space. */
#ifndef KOLK_BUFFER_H
#define KOLK_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kolk__transport;

struct kolk__buffer {
	uint8_t *bytes;
	uint32_t start, end, capacity;
};

/* reserve: space for so many bytes at its end; add: a copy of them there. False = no memory, or
 * more than 2 GiB. */
bool kolk__buffer_reserve(const struct kolk__transport *transport, struct kolk__buffer *buffer,
			  size_t size);
bool kolk__buffer_add(const struct kolk__transport *transport, struct kolk__buffer *buffer,
		      const void *bytes, size_t size);
void kolk__buffer_free(const struct kolk__transport *transport, struct kolk__buffer *buffer);
/* The same, and wipe it: for bytes that were to be sent. */
void kolk__buffer_wipe(const struct kolk__transport *transport, struct kolk__buffer *buffer);

static inline size_t kolk__buffer_size(const struct kolk__buffer *buffer)
{
	return buffer->end - buffer->start;
}

/* When everything before was sent, make the pending bytes the next to be sent. */
static inline void kolk__buffer_promote(struct kolk__buffer *out, struct kolk__buffer *pending)
{
	struct kolk__buffer empty = *out;

	if (kolk__buffer_size(out) != 0 || kolk__buffer_size(pending) == 0)
		return;
	*out = *pending;
	empty.start = empty.end = 0;
	*pending = empty;
}

#endif
