/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input.h - what arrived on a link and nobody took yet, and how it arrives.
 *
 * A connection that its home loop's callers use streams: one operation stays armed from the
 * first receive to the close, and brings every byte, the end of the stream and errors. So a
 * request costs no receive of its own, and an idle connection tells at once when its peer
 * speaks out of turn or leaves. Who else reads it (a plain thread, another loop) asks the
 * home loop to stop the stream first, once per connection: from then on it is watched for
 * hang-up only, and readers use the socket themselves. So does who wants to send on another
 * thread when something has come before: only who reads it can tell whether it is harmless (a
 * ticket of TLS 1.3 is, data is not), and reads it all, to EAGAIN.
 *
 *   link.in         W, R: the holder; while it streams, the home loop
 *   link.unread     W: who changes link.in. R: who proves clean. Means: bytes in link.in, or
 *                   the stream has ended
 *   link.used       W: the holder. R: also the home loop. Means: what arrives was asked for
 *   link.streaming  W: home loop. R: anyone (a futex word). STREAM.R1 (0) -> STREAM.A1: in
 *   link.remote_reader   W: the holder's loop. R: also the home loop. NULL = a thread asks, or nobody
 *   link.task_posted   who turns it from 0 to 1 posts note: the question, or the answer
 *
 * STREAM.SC: the home loop stores unread, then looks at used. A release clears used, then
 * looks at unread; the first send of a lease sets used, then looks at unread. All sc: bytes
 * that come between two leases are seen by one of the two sides.
 *
 * HANDOFF.SC: who asks stores stranger, then turns task_posted to 1; the home loop clears task_posted,
 * stops the stream, then looks at stranger. All sc: who asks while an earlier question is on its
 * way (of a thread that did not wait for the end) is answered with it, or posts its own.
 */
#ifndef KOLK_INPUT_H
#define KOLK_INPUT_H

#include "transport/link.h"

/* Nobody takes it: the stream pauses, and TCP's window closes. */
enum { KOLK__UNREAD_MAX = 128 * 1024 };
#define KOLK__UNREAD_END (1u << 31) /* in link.unread: the stream has ended */

static inline size_t kolk__input_size(const struct kolk__link *link)
{
	return kolk__buffer_size(&link->in);
}

/* Room for what a receive brings, NULL = no memory; and that it came. [holder, no stream] */
uint8_t *kolk__input_reserve(struct kolk__link *link, size_t *size);
void kolk__input_received(struct kolk__link *link, size_t size);
/* Take at most so many bytes out; the count. [holder; home while it streams] */
size_t kolk__input_take(struct kolk__link *link, void *bytes, size_t size);

/* Its memory, and what is in it, goes. [holder; home while it streams] */
void kolk__input_free(struct kolk__link *link);

/* Begin to watch, one way or the other, as the pool's connections are used. [home] */
void kolk__input_watch(struct kolk__link *link);
/* A receive of a caller on the home loop found nothing in link.in. True: io waits for the
 * stream. False: receive it yourself. [home] */
bool kolk__input_wait(struct kolk__link *link, struct kolk__io *io);
/* A receive on the home loop is over: the stream may begin now. [home] */
void kolk__input_resume_stream(struct kolk__link *link);
/* Somebody else wants to read. kolk__input_hand_off: blocks until the socket is the caller's;
 * false = the deadline passed. kolk__input_hand_off_async: kolk__io_handed_off(link) will run on this
 * tloop; may be asked again before. [holder, not home, it streams] */
bool kolk__input_hand_off(struct kolk__link *link, uint64_t deadline_ns);
void kolk__input_hand_off_async(struct kolk__link *link, struct kolk__io_loop *loop);

/* link.c and io.c, told by the stream */
void kolk__link_retire(struct kolk__link *link, enum kolk_reason reason);
void kolk__link_close_if_quiescent(struct kolk__link *link);
void kolk__io_resume(struct kolk__io *io);
void kolk__io_handed_off(struct kolk__link *link); /* those that waited for that go on */

#endif
