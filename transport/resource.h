/* SPDX-License-Identifier: Apache-2.0 */
/* resource.h - a link whose other end is a resource of the embedder: made, validated, destroyed. */
#ifndef KOLK_RESOURCE_H
#define KOLK_RESOURCE_H

#include "transport/link.h"

enum kolk_err kolk__resource_dial(struct kolk__link *link);
void kolk__resource_ping(struct kolk__link *link);
void kolk__resource_close(struct kolk__link *link);
/* After the ring is closed: free what a link or a job still has. */
void kolk__resource_drop(struct kolk__link *link);
void kolk__jobs_drop(struct kolk__io_loop *loop);

#endif
