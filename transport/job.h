/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job.h - a callback of a resource driver on a worker thread, on behalf of a link. It cannot
 * be cancelled: the link, its permits and the pool wait for it.
 */
#ifndef KOLK_JOB_H
#define KOLK_JOB_H

#include "transport/link.h"

struct kolk__job {
	struct kolk_op op;
	struct kolk__transport *transport;
	struct kolk__io_loop *loop;
	struct kolk__link *link;
	struct kolk__job *next, **prev; /* loop.jobs */
	void (*done)(struct kolk__job *job); /* on the home loop */
	const struct kolk_resource_driver *driver;
	void *user, *resource;
	struct kolk_resource_request request;
	enum kolk_err err;
};

struct kolk__job *kolk__job_make(struct kolk__link *link, void (*done)(struct kolk__job *job));
void kolk__job_start(struct kolk__job *job, void (*work)(struct kolk_op *op));

#endif
