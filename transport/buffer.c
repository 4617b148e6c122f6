/* SPDX-License-Identifier: Apache-2.0 */
/* buffer.c - bytes on their way out; and what errno means to a caller. */
#include <errno.h>
#include <string.h>

#include "transport/link.h"

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
		*buffer = (struct kolk__buffer){ grown, 0, used, capacity };
	} else if (buffer->end + size > buffer->capacity) {
		memmove(buffer->bytes, buffer->bytes + buffer->start, used);
		buffer->start = 0;
		buffer->end = used;
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
	buffer->end += size;
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

enum kolk_err kolk__err_of(int64_t result)
{
	switch (-result) {
	case 0:
		return KOLK_E_CLOSED;
	case ECONNREFUSED:
	case ENOENT: /* no such Unix socket */
		return KOLK_E_CONN_REFUSED;
	case ETIMEDOUT: /* the kernel timed out */
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
	case ENODEV: /* no such interface */
		return KOLK_E_UNREACHABLE;
	case EMFILE:
	case ENFILE:
		return KOLK_E_FILES;
	case EADDRNOTAVAIL:
	case EADDRINUSE:
		return KOLK_E_PORTS;
	case ENOMEM:
	case ENOBUFS:
		return KOLK_E_MEMORY;
	case ECONNRESET:
	case EPIPE:
	case ECONNABORTED:
		return KOLK_E_RESET;
	case ECANCELED:
		return KOLK_E_CANCELLED;
	default:
		return KOLK_E_IO;
	}
}
