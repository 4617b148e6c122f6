/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.c - memory for dials, pings and resets: a loop keeps a little of it, so that connections
 * that are reset often allocate none.
 */
#include "transport/connect.h"
#include "transport/dial.h"

enum { SPARES = 8 };

bool kolk__progress_begin(struct kolk__link *link)
{
	struct kolk__io_loop *loop = link->loop;
	struct kolk__progress *progress = link->progress;

	KOLK__HOME(link);
	if (progress != NULL) { /* of the dial: attempts are still in flight */
		progress->failure = (struct kolk_failure)KOLK_INIT(kolk_failure);
		progress->reset_tried = progress->dial_cancelled = false;
		return true;
	}
	progress = loop->spare_progress;
	if (progress != NULL) {
		loop->spare_progress = progress->next;
		loop->spare_progress_count--;
		*progress = (struct kolk__progress){ 0 };
	} else {
		progress = kolk__alloc(loop->transport, sizeof *progress);
		if (progress == NULL)
			return false;
	}
	progress->link = link;
	progress->timeout.fire = kolk__link_timed_out;
	progress->failure = (struct kolk_failure)KOLK_INIT(kolk_failure);
	link->progress = progress;
	return true;
}

void kolk__progress_end(struct kolk__link *link)
{
	struct kolk__io_loop *loop = link->loop;
	struct kolk__progress *progress = link->progress;

	KOLK__HOME(link);
	if (progress == NULL)
		return;
	kolk__timeout_stop(loop, &progress->timeout);
	if (!kolk__connect_is_done(link))
		return;
	kolk__connect_free(link);
	KOLK__ASSERT(progress->resolution == NULL);
	link->progress = NULL;
	if (loop->spare_progress_count == SPARES) {
		kolk__dealloc(loop->transport, progress, sizeof *progress);
		return;
	}
	progress->next = loop->spare_progress;
	loop->spare_progress = progress;
	loop->spare_progress_count++;
}

void kolk__progress_drop(struct kolk__io_loop *loop)
{
	while (loop->spare_progress != NULL) {
		struct kolk__progress *progress = loop->spare_progress;

		loop->spare_progress = progress->next;
		kolk__dealloc(loop->transport, progress, sizeof *progress);
	}
}
