/* SPDX-License-Identifier: Apache-2.0 */
/* uring_buffers.c - the buffers of a ring's streams are made and registered with the first one. */
#include "transport/uring_buffers.h"

#include <errno.h>
#include <stdlib.h>

_Static_assert(KOLK__URING_BUFFERS * sizeof(struct io_uring_buf) <= 4096,
	       "the buffer ring is one page");

static int make(struct kolk__uring_buffers *buffers, struct io_uring *ring)
{
	struct io_uring_buf_reg reg = { .ring_entries = KOLK__URING_BUFFERS,
					.bgid = KOLK__URING_GROUP };

	buffers->bytes = malloc((size_t)KOLK__URING_BUFFERS * KOLK__URING_BUFFER);
	buffers->ring = aligned_alloc(4096, 4096);
	if (buffers->bytes == NULL || buffers->ring == NULL)
		return -ENOMEM;
	reg.ring_addr = (uint64_t)(uintptr_t)buffers->ring;
	return io_uring_register_buf_ring(ring, &reg, 0);
}

int kolk__uring_buffers_open(struct kolk__uring_buffers *buffers, struct io_uring *ring)
{
	int result;

	if (buffers->ring != NULL)
		return 0;
	result = make(buffers, ring);
	if (result != 0) {
		kolk__uring_buffers_free(buffers);
		return result == -ENOMEM ? result : -EOPNOTSUPP;
	}
	io_uring_buf_ring_init(buffers->ring);
	for (uint32_t i = 0; i < KOLK__URING_BUFFERS; i++)
		kolk__uring_buffer_return(buffers, i);
	return 0;
}

void kolk__uring_buffers_free(struct kolk__uring_buffers *buffers)
{
	free(buffers->bytes);
	free(buffers->ring);
	*buffers = (struct kolk__uring_buffers){ 0 };
}
