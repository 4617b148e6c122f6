/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job.h - work on another thread on behalf of a link. It cannot be cancelled. A resolve may
 * outlive the link that wanted it: it has its own copy of everything and frees itself. The
 * callbacks of a resource driver never do: the link, its permits and the pool wait for them.
 */
#ifndef KOLK_JOB_H
#define KOLK_JOB_H

#include "transport/link.h"

enum { KOLK__HOST_MAX = 256 };

struct kolk__job {
	struct kolk_op op;
	struct kolk__transport *transport;
	struct kolk__tloop *tloop;
	struct kolk__link *link; /* NULL = abandoned */
	struct kolk__job *next, **prev; /* tloop.jobs */
	void (*done)(struct kolk__job *job); /* on the home loop, with a link */
	/* resolve */
	char host[KOLK__HOST_MAX];
	uint32_t port;
	int count;
	struct kolk_address addresses[KOLK__ADDRESSES];
	/* resource */
	const struct kolk_resource_driver *driver;
	void *user, *resource;
	enum kolk_err err;
};

struct kolk__job *kolk__job_make(struct kolk__link *link, void (*done)(struct kolk__job *job));
void kolk__job_start(struct kolk__job *job, void (*work)(struct kolk_op *op));

#endif
