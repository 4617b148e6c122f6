/* SPDX-License-Identifier: Apache-2.0 */
/* buffer.c - bytes on their way. See buffer.h. */
#include "transport/buffer.h"

#include <string.h>

#include "transport/loop.h"

#define BUFFER_MAX ((size_t)1 << 31) /* its capacity is a power of two times 512 in 32 bits */

/* What a driver sends at the opening may be a password: it is wiped before its memory is freed. The
 * barrier keeps the compiler from removing a store that is never read. */
static void forget(const struct kolk__transport *transport, uint8_t *bytes, size_t size)
{
	if (bytes == NULL)
		return;
	memset(bytes, 0, size);
	__asm__ volatile("" : : "r"(bytes) : "memory");
	kolk__dealloc(transport, bytes, size);
}

static bool reserve(const struct kolk__transport *transport, struct kolk__buffer *buffer,
		    size_t size, bool forgets)
{
	size_t used = kolk__buffer_size(buffer);
	size_t capacity = buffer->capacity != 0 ? buffer->capacity : 512;
	uint8_t *grown;

	if (size > BUFFER_MAX - used)
		return false;
	while (capacity < used + size)
		capacity *= 2;
	if (capacity > buffer->capacity) {
		grown = kolk__alloc(transport, capacity);
		if (grown == NULL)
			return false;
		if (used > 0)
			memcpy(grown, buffer->bytes + buffer->start, used);
		if (forgets)
			forget(transport, buffer->bytes, buffer->capacity);
		else
			kolk__dealloc(transport, buffer->bytes, buffer->capacity);
		*buffer = (struct kolk__buffer){ grown, 0, (uint32_t)used, (uint32_t)capacity };
	} else if (buffer->end + size > buffer->capacity) {
		memmove(buffer->bytes, buffer->bytes + buffer->start, used);
		buffer->start = 0;
		buffer->end = (uint32_t)used;
	}
	return true;
}

bool kolk__buffer_reserve(const struct kolk__transport *transport, struct kolk__buffer *buffer,
			  size_t size)
{
	return reserve(transport, buffer, size, false);
}

bool kolk__buffer_add(const struct kolk__transport *transport, struct kolk__buffer *buffer,
		      const void *bytes, size_t size)
{
	if (!reserve(transport, buffer, size, true))
		return false;
	memcpy(buffer->bytes + buffer->end, bytes, size);
	buffer->end += (uint32_t)size;
	return true;
}

void kolk__buffer_free(const struct kolk__transport *transport, struct kolk__buffer *buffer)
{
	kolk__dealloc(transport, buffer->bytes, buffer->capacity);
	*buffer = (struct kolk__buffer){ 0 };
}

void kolk__buffer_wipe(const struct kolk__transport *transport, struct kolk__buffer *buffer)
{
	forget(transport, buffer->bytes, buffer->capacity);
	*buffer = (struct kolk__buffer){ 0 };
}
