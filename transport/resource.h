/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource.h - a link whose other end is a resource of the embedder: made, validated, reset,
 * destroyed. By blocking callbacks on worker threads (resource.c), or by operations that complete
 * later (resource_async.c).
 */
#ifndef KOLK_RESOURCE_H
#define KOLK_RESOURCE_H

#include "transport/link.h"
#include "transport/upstream.h"

enum kolk_err kolk__resource_dial(struct kolk__link *link);
void kolk__resource_ping(struct kolk__link *link);
void kolk__resource_close(struct kolk__link *link);
/* After the ring is closed: free what a link or a job still has. */
void kolk__resource_drop(struct kolk__link *link);
void kolk__jobs_drop(struct kolk__io_loop *loop);

/* resource_async.c: drivers with begin_create. */
static inline bool kolk__resource_is_async(const struct kolk__upstream *upstream)
{
	return upstream->resource != NULL && upstream->resource->begin_create != NULL;
}
/* Of the operation that lies behind a link; 0 = it has none. */
size_t kolk__resource_op_bytes(const struct kolk__upstream *upstream);
bool kolk__resource_is_busy(const struct kolk__link *link); /* an operation is in flight */
/* Begin; the end of each is reported as that of its blocking sister. [home] */
void kolk__async_create(struct kolk__link *link, const struct kolk_resource_request *request);
void kolk__async_ping(struct kolk__link *link);
void kolk__async_reset(struct kolk__link *link);
void kolk__async_close(struct kolk__link *link); /* when nothing is in flight, and in its turn */
/* Waits for other threads: until none is inside a completion on this loop. */
void kolk__completions_wait(struct kolk__io_loop *loop);

#endif
