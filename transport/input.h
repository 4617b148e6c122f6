/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input.h - how bytes arrive on a link, and those that were not read yet.
 *
 * A connection that callers of its home loop use streams: one operation stays armed from the first
 * receive to the close, and delivers every byte, the end of the stream, and errors. So a request
 * costs no receive of its own, and an idle connection reports at once when its peer sends
 * unsolicited bytes or closes. Another reader (a plain thread, another loop) first asks the home
 * loop to hand the socket over: the stream stops, once per connection. From then on the connection
 * is watched for hang-up only, and readers use the socket themselves. A send on another thread asks
 * for the same when bytes have arrived before it: only a reader can tell whether they are harmless
 * (a TLS 1.3 ticket is, data is not), and it reads all of them, to EAGAIN.
 *
 *   link.in             W, R: the holder; while it streams, the home loop
 *   link.unread         W: the writer of link.in. R: the check whether it is clean. Means: bytes in
 *                       link.in, or the stream has ended
 *   link.used           W: the holder. R: also the home loop. Means: what arrives is expected
 *   link.streaming      W: home loop. R: anyone (a futex word). STREAM.R1 (0) -> STREAM.A1: in
 *   link.remote_reader  W: the holder's loop. R: also the home loop. NULL = a thread, or none
 *   link.task_posted    the thread that turns it from 0 to 1 posts the task: request or answer
 *
 * STREAM.SC: the home loop stores unread, then looks at used. A release clears used, then looks at
 * unread; the first send of a lease sets used, then looks at unread. All sc: one of the two sides
 * sees bytes that arrive between two leases.
 *
 * HANDOFF.SC: the requester stores remote_reader, then turns task_posted to 1; the home loop clears
 * task_posted, stops the stream, then looks at remote_reader. All sc: a request that is made while
 * an earlier one is on its way (of a thread that did not wait for the end) is answered with it, or
 * posts its own task.
 */
#ifndef KOLK_INPUT_H
#define KOLK_INPUT_H

#include "transport/link.h"

/* With more unread bytes than this, the stream pauses, and TCP's window closes. */
enum { KOLK__UNREAD_MAX = 128 * 1024 };
#define KOLK__UNREAD_END (1u << 31) /* in link.unread: the stream has ended */

static inline size_t kolk__input_size(const struct kolk__link *link)
{
	return kolk__buffer_size(&link->in);
}

/* Space for a receive, NULL = no memory; and what was received into it. [holder, no stream] */
uint8_t *kolk__input_reserve(struct kolk__link *link, size_t *size);
void kolk__input_received(struct kolk__link *link, size_t size);
/* Keep a copy of bytes that a stream delivered. False = no memory. [home] */
bool kolk__input_add(struct kolk__link *link, const uint8_t *bytes, size_t size);
/* Read at most size bytes; returns how many. [holder; home while it streams] */
size_t kolk__input_take(struct kolk__link *link, void *bytes, size_t size);

/* Free its memory, and drop the bytes in it. [holder; home while it streams] */
void kolk__input_free(struct kolk__link *link);

/* Begin a stream or a watch for hang-up, depending on how the pool's connections are used.
 * [home] */
void kolk__input_watch(struct kolk__link *link);
/* A caller's receive on the home loop found nothing in link.in. True = io waits for the stream.
 * False = the caller must receive by itself. [home] */
bool kolk__input_wait(struct kolk__link *link, struct kolk__io *io);
/* A STREAM ended with -EOPNOTSUPP: this ring cannot. [the loop's thread] */
void kolk__input_no_streams(struct kolk__io_loop *loop);
/* A receive on the home loop has ended: the stream may begin now. [home] */
void kolk__input_resume_stream(struct kolk__link *link);
/* Hand the socket over to the caller. kolk__input_hand_off blocks until the socket is the caller's;
 * false = the deadline passed. After kolk__input_hand_off_async, kolk__io_handed_off(link) will run
 * on this loop; it may be called again before that. [holder, not home, it streams] */
bool kolk__input_hand_off(struct kolk__link *link, uint64_t deadline_ns);
void kolk__input_hand_off_async(struct kolk__link *link, struct kolk__io_loop *loop);

/* link.c: called by the stream, as what follows */
void kolk__link_retire(struct kolk__link *link, enum kolk_reason reason);
void kolk__link_close_if_quiescent(struct kolk__link *link);

/* io_async.c */
void kolk__io_resume(struct kolk__io *io);
void kolk__io_over(struct kolk__io *io); /* its callback is run next */
void kolk__io_handed_off(struct kolk__link *link); /* operations that waited for that continue */

/* io.c */
/* Note in the link that a receive ended with err; returns err. */
enum kolk_err kolk__recv_end(struct kolk__link *link, enum kolk_err err);

#endif
