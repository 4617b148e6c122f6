/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk.h - a conversation on a leased connection: what a protocol has to say goes out, what comes
 * is fed to it, until it says that this was all. The protocol does no I/O of its own, so the same
 * side works on a loop and on a plain thread, and a test can feed it byte by byte.
 *
 * The lease stays the caller's: he releases it afterwards, and the driver's clean decides. A
 * conversation that ends early (cancel, deadline) leaves what is owed in the driver's account.
 */
#ifndef KOLK_TALK_H
#define KOLK_TALK_H

#include <kolk/kolk.h>

struct talk;

/* A protocol's side. give and take run inside the lease, on the driver's session, never two at
 * once; over runs outside, on the loop's thread, once. */
struct talk_side {
	const struct kolk_driver *driver;
	/* What is to be sent next: *data stays as it is until the next call of give, which means that
	 * all of it was sent. 0 = nothing at the moment (see talk_more). */
	size_t (*give)(struct talk *talk, void *session, const void **data);
	/* Bytes came; size 0 = the peer ended its stream. KOLK_OK = the conversation is over,
	 * KOLK_PENDING = go on, an error = over. It may be called once more after talk_end, with what
	 * had come by then, for the account. What is surplus is the side's to account for: the
	 * transport has handed it out. */
	enum kolk_err (*take)(struct talk *talk, void *session, const uint8_t *data, size_t size);
	/* The end, of a conversation on a loop. The talk is no longer used. */
	void (*over)(struct talk *talk, enum kolk_err err);
};

/* The owner embeds it and fills the first block. */
struct talk {
	const struct talk_side *side;
	struct kolk_lease lease;
	uint8_t *buffer;          /* what comes is received into it; the owner's */
	size_t capacity;
	uint64_t deadline_ns;     /* of all of it; absolute */
	uint64_t idle_ns;         /* the longest pause between two bytes, in whichever direction, and
	                           * for one piece that give gave; KOLK_FOREVER */

	struct kolk_loop *loop;   /* talk.c's from here; zero at the start */
	struct kolk_io send, recv;
	struct kolk_timer timer;  /* its end, when nothing is in flight that could bring it */
	const void *data;
	size_t size;
	uint64_t quiet_ns;        /* until then what was given last is no silence */
	enum kolk_err err;
	uint32_t inside;          /* callbacks that will look at done when they return */
	bool sending, receiving, paused, done;
	bool cut;                 /* the peer takes no more; what it said before may come yet */
	bool heard;               /* for its owner: at least one byte came */
};

/* Set its times: deadline_ns absolute, idle_ns; 0 = what the pool of its lease says, from now. */
void talk_times(struct talk *talk, uint64_t deadline_ns, uint64_t idle_ns);
/* The deadline that lies so far ahead; KOLK_FOREVER stays what it is. */
uint64_t talk_deadline(uint64_t ns);

/* On a plain thread: returns what the side said last, or the error of an operation. What is to be
 * sent goes out first, and it listens when the peer takes no more of it, or all is sent: not for
 * sides that must hear at once what comes while they speak. */
enum kolk_err talk_run(struct talk *talk);

/* On a loop, from its thread: KOLK_PENDING, and over will run from step; anything else: refused.
 * It sends and receives at the same time. */
enum kolk_err talk_start(struct talk *talk, struct kolk_loop *loop);
/* give said 0 before and has something now. Not from within give and take. */
void talk_more(struct talk *talk);
/* Receive no more until talk_go: what has come is the side's, the rest waits in the socket. From
 * within take, too. */
void talk_pause(struct talk *talk);
void talk_go(struct talk *talk);
/* End it early: over runs from step, with err. Not after over. From within give and take, too. */
void talk_end(struct talk *talk, enum kolk_err err);

#endif
