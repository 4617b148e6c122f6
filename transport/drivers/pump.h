/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pump.h - moves the bytes of one request and its answer over a leased connection: it asks the
 * protocol for bytes to send and feeds it the bytes received, until the protocol is done. The
 * protocol does no I/O, so the same callbacks work on a loop and on a plain thread, and a test can
 * feed them byte by byte.
 *
 * The lease stays the caller's: the caller releases it afterwards, and the driver's clean decides.
 * A pump that ends early (cancel, deadline) leaves the count of outstanding replies in the driver's
 * session.
 */
#ifndef KOLK_PUMP_H
#define KOLK_PUMP_H

#include <kolk/kolk.h>

struct pump;

/* The protocol's callbacks. on_write and on_read run inside the lease, on the driver's session,
 * never two at once; on_done runs outside, on the loop's thread, once. */
struct pump_callbacks {
	const struct kolk_driver *driver;
	/* The next bytes to send: *data stays as it is until the next call of on_write, which means
	 * that all of it was sent. 0 = nothing at the moment (see pump_more). */
	size_t (*on_write)(struct pump *pump, void *session, const void **data);
	/* Bytes were received; size 0 = the peer ended its stream. KOLK_OK = done, KOLK_PENDING =
	 * more is expected, an error ends the pump. It may be called once more after pump_abort,
	 * with what was received by then, so that the session's counts stay right. Surplus bytes
	 * are the callback's to handle: the transport keeps no copy. */
	enum kolk_err (*on_read)(struct pump *pump, void *session, const uint8_t *data,
				 size_t size);
	/* The end, on a loop. The pump is no longer used. */
	void (*on_done)(struct pump *pump, enum kolk_err err);
};

/* The owner embeds it and fills the first block. */
struct pump {
	const struct pump_callbacks *callbacks;
	struct kolk_lease lease;
	uint8_t *buffer;          /* receive buffer; the owner's */
	size_t capacity;
	uint64_t deadline_ns;     /* of all of it; absolute */
	uint64_t idle_ns;         /* the longest pause between two bytes, in either direction, and
	                           * for one piece that on_write returned; KOLK_FOREVER */

	struct kolk_loop *loop;    /* pump.c's from here; zero at the start */
	struct kolk_io *send, recv; /* send: the owner's */
	/* Its end, when nothing is in flight that could bring it. While it is not done its owner may
	 * start it for itself; if it is paused, pump_pause again from there. */
	struct kolk_timer timer;
	const void *data;
	size_t size;
	uint64_t send_deadline_ns; /* until then the send in flight is no silence */
	enum kolk_err err;
	uint32_t callback_depth;   /* callbacks that check `done` when they return */
	bool sending, receiving, paused, done;
	bool write_closed;         /* the peer reads no more; bytes that it sent before may still
	                            * arrive */
	bool last_write;           /* on_write's: nothing follows what it returned */
	bool any_received;         /* for its owner: at least one byte was received */
};

/* Set its times: deadline_ns absolute, idle_ns; 0 = what the pool of its lease says, from now. */
void pump_set_times(struct pump *pump, uint64_t deadline_ns, uint64_t idle_ns);

/* On a plain thread: returns the last result of on_read, or the error of an operation. It sends
 * first, and receives when the peer reads no more or everything is sent: not for protocols that
 * must react at once to what is received while they send. */
enum kolk_err pump_run(struct pump *pump);

/* On a loop, from its thread: KOLK_PENDING, and on_done will run from step; anything else: refused.
 * It sends and receives at the same time. send: the owner's, for what on_write returns; it may be
 * freed in the call of on_write after which there is nothing more to send. NULL: there never is. */
enum kolk_err pump_start(struct pump *pump, struct kolk_loop *loop, struct kolk_io *send);
/* on_write returned 0 before and has bytes now. Not from within on_write and on_read. */
void pump_more(struct pump *pump);
/* Receive no more until pump_resume: bytes already received are the callback's, the rest waits in
 * the socket. Also from within on_read. */
void pump_pause(struct pump *pump);
void pump_resume(struct pump *pump);
/* End it early: on_done runs from step, with err. Not after on_done. Also from within on_write and
 * on_read. */
void pump_abort(struct pump *pump, enum kolk_err err);

#endif
