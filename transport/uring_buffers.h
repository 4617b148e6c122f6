/* SPDX-License-Identifier: Apache-2.0 */
/* uring_buffers.h - the buffers of a ring's streams: the kernel picks one for each piece. */
#ifndef KOLK_URING_BUFFERS_H
#define KOLK_URING_BUFFERS_H

#include <liburing.h>
#include <stddef.h>
#include <stdint.h>

/* 1 MiB per ring. */
enum { KOLK__URING_BUFFERS = 128, KOLK__URING_BUFFER = 8192, KOLK__URING_GROUP = 0 };

struct kolk__uring_buffers {
	struct io_uring_buf_ring *ring; /* NULL until the first stream */
	uint8_t *bytes;                 /* their memory */
};

/* 0, also when they are open; -ENOMEM, and the next stream may have them; -EOPNOTSUPP, which is for
 * good. */
int kolk__uring_buffers_open(struct kolk__uring_buffers *buffers, struct io_uring *ring);
/* After the ring has ended. */
void kolk__uring_buffers_free(struct kolk__uring_buffers *buffers);

static inline uint8_t *kolk__uring_buffer(const struct kolk__uring_buffers *buffers, uint32_t id)
{
	return buffers->bytes + (size_t)id * KOLK__URING_BUFFER;
}

/* It was read: the kernel may fill it again. */
static inline void kolk__uring_buffer_return(struct kolk__uring_buffers *buffers, uint32_t id)
{
	io_uring_buf_ring_add(buffers->ring, kolk__uring_buffer(buffers, id), KOLK__URING_BUFFER,
			      (uint16_t)id, io_uring_buf_ring_mask(KOLK__URING_BUFFERS), 0);
	io_uring_buf_ring_advance(buffers->ring, 1);
}

#endif
