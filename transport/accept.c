/* SPDX-License-Identifier: Apache-2.0 */
/* accept.c - a listener's part on one loop: when it accepts, and when it does not. See listen.h. */
#include <errno.h>

#include "core/base/atomic.h"
#include "core/base/container.h"
#include "transport/stream.h"
#include "transport/upstream.h"

/* Out of descriptors or memory: pauses between two tries. */
#define RETRY_MIN_NS (10 * KOLK_MS_NS)
#define RETRY_MAX_NS KOLK_S_NS

enum { ENDS_MAX = 64 }; /* streams that a deadline ends in a turn */

static void on_accept(struct kolk_op *op);

static bool is_listening(const struct kolk__acceptor *acceptor)
{
	return acceptor->started && !acceptor->stopped;
}

static void accept_more(struct kolk__acceptor *acceptor)
{
	bool wants = is_listening(acceptor) && !acceptor->rests;
	bool may = wants && !acceptor->waits && !acceptor->failed;

	kolk__store_relaxed(&acceptor->paused, wants && !may);
	if (!may || acceptor->op.in_flight)
		return;
	kolk__op_fd(&acceptor->op, KOLK_OP_ACCEPT, acceptor->fd);
	acceptor->op.size = acceptor->listening->keepalive_s;
	kolk__submit(acceptor->loop, &acceptor->op, on_accept, acceptor);
}

/* ---- the end */

/* Its order to resume may be on its way: it comes. */
static bool is_woken(struct kolk__acceptor *acceptor)
{
	if (acceptor->waits && kolk__exchange_sc(&acceptor->waiting, 0) != 0) /* ORDERS.SC */
		acceptor->waits = false;
	return acceptor->waits;
}

static void release_held(struct kolk__acceptor *acceptor)
{
	const struct kolk_sys *sys = acceptor->listening->transport->sys;

	if (acceptor->held >= 0)
		sys->sock_reset(sys->context, acceptor->held);
	acceptor->held = -1;
}

/* It may be freed by this. */
static void end_if_done(struct kolk__acceptor *acceptor)
{
	const struct kolk__listening *listening = acceptor->listening;

	if (!acceptor->stopped || acceptor->op.in_flight)
		return;
	if (!acceptor->stop_told) {
		acceptor->stop_told = true;
		listening->stopped(listening->listener, acceptor->index);
	}
	if (!acceptor->closing || acceptor->count > 0 || acceptor->held >= 0 || is_woken(acceptor))
		return;
	kolk__timeout_stop(acceptor->loop, &acceptor->retry);
	kolk__timeout_stop(acceptor->loop, &acceptor->deadline);
	kolk__timeout_stop(acceptor->loop, &acceptor->opening.timer);
	kolk__timeout_stop(acceptor->loop, &acceptor->sends.timer);
	kolk__timeout_stop(acceptor->loop, &acceptor->lingers.timer);
	(void)listening->closed(listening->listener, acceptor->index);
}

/* A connection that is held was accepted: it gets a permit yet, or ends at the deadline. */
static void stop(struct kolk__acceptor *acceptor)
{
	acceptor->stopped = true;
	kolk__store_relaxed(&acceptor->paused, 0);
	kolk__timeout_stop(acceptor->loop, &acceptor->retry);
	kolk__cancel(acceptor->loop, &acceptor->op);
}

/* In slices: the others of the loop wait meanwhile. */
static void on_deadline(struct kolk__timeout *timeout)
{
	struct kolk__acceptor *acceptor =
		kolk__container_of(timeout, struct kolk__acceptor, deadline);

	release_held(acceptor);
	for (int i = 0; i < ENDS_MAX && acceptor->streams != NULL; i++)
		kolk__stream_fail(acceptor->streams, KOLK_E_DRAINING, true);
	if (acceptor->streams != NULL)
		kolk__timeout_start(acceptor->loop, timeout, 1);
	end_if_done(acceptor);
}

void kolk__acceptor_stream_ended(struct kolk__acceptor *acceptor)
{
	const struct kolk__listening *listening = acceptor->listening;

	KOLK__ON_LOOP(acceptor->loop);
	acceptor->count--;
	kolk__own_sub(&acceptor->streams_now, 1);
	listening->give(listening->listener);
	if (acceptor->failed) {
		acceptor->failed = false;
		kolk__timeout_stop(acceptor->loop, &acceptor->retry);
		accept_more(acceptor);
	}
	end_if_done(acceptor);
}

/* ---- accepting */

static void fail(struct kolk__acceptor *acceptor, int32_t result)
{
	struct kolk__transport *transport = acceptor->loop->transport;
	uint64_t now_ns = kolk__link_now(transport);

	kolk__own_add(&acceptor->accept_errors, 1);
	if (acceptor->error_logged_ns == 0 || now_ns - acceptor->error_logged_ns >= KOLK_S_NS) {
		kolk__transport_log(transport, KOLK_LOG_WARN, "accept: error %d", -result);
		acceptor->error_logged_ns = now_ns;
	}
	/* From the beginning again when a pause was over, and as long a time went well. */
	acceptor->retry_ns = now_ns - acceptor->failed_ns >= 2 * acceptor->retry_ns ? RETRY_MIN_NS :
			     acceptor->retry_ns < RETRY_MAX_NS / 2 ? acceptor->retry_ns * 2 :
								     RETRY_MAX_NS;
	acceptor->failed = true;
	acceptor->failed_ns = now_ns;
	kolk__timeout_start(acceptor->loop, &acceptor->retry, now_ns + acceptor->retry_ns);
}

static void on_retry(struct kolk__timeout *timeout)
{
	struct kolk__acceptor *acceptor = kolk__container_of(timeout, struct kolk__acceptor, retry);

	acceptor->failed = false;
	accept_more(acceptor);
}

/* A permit, or it waits for one. */
static bool admit(struct kolk__acceptor *acceptor)
{
	const struct kolk__listening *listening = acceptor->listening;

	if (listening->take(listening->listener))
		return true;
	acceptor->waits = true;
	kolk__store_sc(&acceptor->waiting, 1); /* ORDERS.SC */
	if (!listening->take(listening->listener))
		return false;
	(void)is_woken(acceptor); /* or it is resumed for nothing */
	return true;
}

static void begin(struct kolk__acceptor *acceptor, int fd, const struct kolk_address *peer)
{
	const struct kolk__listening *listening = acceptor->listening;
	const struct kolk_sys *sys = acceptor->loop->transport->sys;

	if (kolk__stream_open(acceptor, fd, peer))
		return;
	sys->sock_reset(sys->context, fd);
	listening->give(listening->listener);
	fail(acceptor, -ENOMEM);
	kolk__cancel(acceptor->loop, &acceptor->op);
}

static void on_accept(struct kolk_op *op)
{
	struct kolk__acceptor *acceptor = op->owner;

	KOLK__ON_LOOP(acceptor->loop);
	if (op->in_flight) {
		kolk__own_add(&acceptor->accepted, 1);
		if (admit(acceptor)) {
			begin(acceptor, op->result, op->data);
			return;
		}
		acceptor->held = op->result;
		acceptor->held_peer = *(const struct kolk_address *)op->data;
		kolk__cancel(acceptor->loop, op);
		return;
	}
	if (op->result != -ECANCELED && is_listening(acceptor))
		fail(acceptor, op->result);
	accept_more(acceptor);
	end_if_done(acceptor);
}

static void resume(struct kolk__acceptor *acceptor)
{
	int fd = acceptor->held;

	acceptor->waits = false;
	if (fd >= 0 && !admit(acceptor))
		return;
	acceptor->held = -1;
	if (fd >= 0)
		begin(acceptor, fd, &acceptor->held_peer);
}

/* What is queued is left to the others; what was accepted becomes a stream as well. */
static void follow(struct kolk__acceptor *acceptor)
{
	acceptor->rests = kolk__load_relaxed(&acceptor->inactive) != 0;
	if (acceptor->rests)
		kolk__cancel(acceptor->loop, &acceptor->op);
}

/* ---- orders */

static void on_orders(struct kolk__task *task)
{
	struct kolk__acceptor *acceptor = kolk__container_of(task, struct kolk__acceptor, task);
	uint32_t orders = kolk__exchange_sc(&acceptor->orders, 0); /* ORDERS.SC */

	KOLK__ON_LOOP(acceptor->loop);
	acceptor->started |= (orders & KOLK__ORDER_START) != 0;
	if (orders & (KOLK__ORDER_STOP | KOLK__ORDER_CLOSE) && !acceptor->stopped)
		stop(acceptor);
	if (orders & KOLK__ORDER_RESUME)
		resume(acceptor);
	if (orders & KOLK__ORDER_LOOPS)
		follow(acceptor);
	if (orders & KOLK__ORDER_CLOSE) {
		acceptor->closing = true;
		kolk__timeout_start(acceptor->loop, &acceptor->deadline,
				    kolk__load_relaxed(&acceptor->deadline_ns));
	}
	accept_more(acceptor);
	end_if_done(acceptor);
}

void kolk__acceptor_order(struct kolk__acceptor *acceptor, enum kolk__order order)
{
	if (kolk__or_sc(&acceptor->orders, (uint32_t)order) == 0) /* ORDERS.SC */
		kolk__io_loop_post(acceptor->loop, &acceptor->task, on_orders);
}

bool kolk__acceptor_has_orders(const struct kolk__acceptor *acceptor)
{
	return kolk__load_sc(&acceptor->orders) != 0;
}

void kolk__acceptor_set_active(struct kolk__acceptor *acceptor, bool active)
{
	kolk__store_relaxed(&acceptor->inactive, !active);
	kolk__acceptor_order(acceptor, KOLK__ORDER_LOOPS);
}

void kolk__acceptor_deadline(struct kolk__acceptor *acceptor, uint64_t deadline_ns)
{
	kolk__store_relaxed(&acceptor->deadline_ns, deadline_ns);
}

bool kolk__acceptor_wake(struct kolk__acceptor *acceptor)
{
	if (kolk__load_sc(&acceptor->waiting) == 0 ||
	    kolk__exchange_sc(&acceptor->waiting, 0) == 0) /* ORDERS.SC */
		return false;
	kolk__acceptor_order(acceptor, KOLK__ORDER_RESUME);
	return true;
}

/* ---- open, free, count */

struct kolk__acceptor *kolk__acceptor_open(struct kolk__listening *listening,
					   struct kolk__io_loop *loop, uint32_t index, int fd)
{
	struct kolk__transport *transport = listening->transport;
	struct kolk__acceptor *acceptor = kolk__alloc(transport, sizeof *acceptor);

	if (acceptor == NULL)
		return NULL;
	acceptor->upstream = kolk__upstream_accepting(transport, sizeof(struct kolk_stream),
						       &kolk__stream_accepting);
	if (acceptor->upstream == NULL) {
		kolk__dealloc(transport, acceptor, sizeof *acceptor);
		return NULL;
	}
	acceptor->listening = listening;
	acceptor->loop = loop;
	acceptor->index = index;
	acceptor->fd = fd;
	acceptor->held = -1;
	acceptor->steps_end = &acceptor->steps_waiting;
	acceptor->retry.fire = on_retry;
	acceptor->deadline.fire = on_deadline;
	kolk__stream_queue_init(&acceptor->opening, acceptor, listening->handshake_ns,
				kolk__stream_late_opening);
	kolk__stream_queue_init(&acceptor->sends, acceptor, listening->send_ns,
				kolk__stream_late_send);
	acceptor->sends.lag = 0;
	kolk__stream_queue_init(&acceptor->lingers, acceptor, listening->linger_ns,
				kolk__stream_late_linger);
	return acceptor;
}

void kolk__acceptor_free(struct kolk__acceptor *acceptor)
{
	struct kolk__transport *transport = acceptor->listening->transport;

	release_held(acceptor);
	kolk__upstream_unref(acceptor->upstream);
	kolk__dealloc(transport, acceptor, sizeof *acceptor);
}

/* First none of them can be used any more, whatever the handlers do. */
void kolk__acceptor_drop(struct kolk__acceptor *acceptor)
{
	struct kolk__io_loop *loop = acceptor->loop;

	for (struct kolk_stream *stream = acceptor->streams; stream != NULL; stream = stream->next)
		kolk__stream_lost(stream);
	for (struct kolk__link *link = loop->links; link != NULL; link = link->next)
		if (link->upstream == acceptor->upstream)
			kolk__stream_drop(kolk__link_driver_session(link));
}

void kolk__acceptor_stats(const struct kolk__acceptor *acceptor,
			  struct kolk_listener_stats *stats)
{
	stats->streams += kolk__load_relaxed(&acceptor->streams_now);
	stats->handshakes += kolk__load_relaxed(&acceptor->handshakes);
	stats->paused += kolk__load_relaxed(&acceptor->paused);
	stats->accepted += kolk__load_relaxed(&acceptor->accepted);
	stats->refused_address += kolk__load_relaxed(&acceptor->refused_address);
	stats->handshake_failed += kolk__load_relaxed(&acceptor->handshake_failed);
	stats->handshake_timeout += kolk__load_relaxed(&acceptor->handshake_timeout);
	stats->proxy_failed += kolk__load_relaxed(&acceptor->proxy_failed);
	stats->refused_open += kolk__load_relaxed(&acceptor->refused_open);
	stats->accept_errors += kolk__load_relaxed(&acceptor->accept_errors);
	stats->bytes_received += kolk__load_relaxed(&acceptor->received);
	stats->bytes_sent += kolk__load_relaxed(&acceptor->sent);
}
