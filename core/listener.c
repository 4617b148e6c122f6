/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.c - listeners of an engine: their permits, stop, close, count. See listener.h.
 */
#include "core/listener.h"

#include "core/base/container.h"
#include "core/event.h"
#include "core/options.h"

/* ---- permits: transport/listen.h */

static bool take(void *user)
{
	struct kolk_listener *listener = user;
	uint32_t permits = kolk__load_sc(&listener->permits);

	do {
		if (permits >= listener->streams_max)
			return false;
	} while (!kolk__cas_sc(&listener->permits, &permits, permits + 1)); /* ORDERS.SC */
	return true;
}

/* Bounded by the number of loops. */
static void give(void *user)
{
	struct kolk_listener *listener = user;
	uint32_t first = kolk__add_relaxed(&listener->turn, 1);

	kolk__add_sc(&listener->permits, UINT32_MAX); /* ORDERS.SC */
	for (uint32_t i = 0; i < listener->count; i++)
		if (kolk__acceptor_wake(listener->parts[(first + i) % listener->count].acceptor))
			return;
}

static bool take_address(void *user, uint64_t address)
{
	struct kolk_listener *listener = user;

	return kolk__address_limit_add(&listener->addresses, listener->engine->sys,
				       &listener->engine->secret, address);
}

static void give_address(void *user, uint64_t address)
{
	struct kolk_listener *listener = user;

	kolk__address_limit_remove(&listener->addresses, listener->engine->sys,
				   &listener->engine->secret, address);
}

/* ---- the end */

/* Stop listening at a socket of our own at once, even if the kernel or a forked child keeps it open
 * for a while. */
static void unlisten(struct kolk_listener *listener, int fd)
{
	const struct kolk_sys *sys = listener->engine->sys;

	if (listener->made_file)
		sys->sock_unlink(sys->context, &listener->address, listener->file);
	if (listener->given)
		sys->sock_unlisten(sys->context, fd);
	else
		sys->sock_close(sys->context, fd);
}

static void on_stopped(void *user, uint32_t index)
{
	struct kolk_listener *listener = user;
	struct kolk__listener_part *part = &listener->parts[index];

	if (!listener->shared || kolk__sub_acq_rel(&listener->listens, 1) == 1)
		unlisten(listener, part->fd);
	part->fd = -1;
}

void kolk__listener_sockets_close(struct kolk_listener *listener)
{
	for (uint32_t i = 0; i < listener->count; i++) {
		if (listener->parts[i].fd < 0)
			continue;
		unlisten(listener, listener->parts[i].fd);
		if (listener->shared) /* the other acceptors use the same socket */
			return;
	}
}

void kolk__listener_free(struct kolk_listener *listener)
{
	struct kolk_engine *engine = listener->engine;

	for (uint32_t i = 0; i < listener->count; i++)
		if (listener->parts[i].acceptor != NULL)
			kolk__acceptor_free(listener->parts[i].acceptor);
	kolk__address_limit_free(&listener->addresses, engine->sys);
	kolk__listening_tls_free(&listener->listening);
	kolk__deallocate(engine, listener,
			 sizeof *listener + listener->count * sizeof listener->parts[0]);
}

/* Under engine.listeners. */
static void unlist(struct kolk_listener *listener)
{
	KOLK__HELD(&listener->engine->listeners);
	*listener->prev = listener->next;
	if (listener->next != NULL)
		listener->next->prev = listener->prev;
}

static void call_closed(struct kolk_listener *listener)
{
	kolk_listener_closed_fn *closed = listener->closed;
	void *user = listener->closed_user;

	kolk__listener_free(listener);
	closed(user);
}

/* An acceptor has ended. The last one frees the listener, or wakes the thread that waits for it. */
static bool on_closed(void *user, uint32_t index)
{
	struct kolk_listener *listener = user;
	struct kolk_engine *engine = listener->engine;
	struct kolk__listener_part *part = &listener->parts[index];
	bool last, calls;

	kolk__take_lock(engine, &engine->listeners);
	if (part->closed || kolk__acceptor_has_orders(part->acceptor)) {
		kolk__give_lock(engine, &engine->listeners);
		return false;
	}
	part->closed = true;
	last = --listener->open == 0;
	calls = last && listener->closed != NULL;
	listener->ended = last;
	if (calls)
		unlist(listener);
	if (last) {
		kolk__sub_acq_rel(&engine->listeners_open, 1);
		kolk__add_acq_rel(&engine->listeners_ended, 1);
	}
	kolk__give_lock(engine, &engine->listeners);
	if (last)
		engine->sys->wake(engine->sys->context, kolk__futex(&engine->listeners_ended),
				  UINT32_MAX);
	if (calls)
		call_closed(listener);
	return true;
}

void kolk__listener_calls(struct kolk_listener *listener, bool limits_addresses)
{
	listener->listening.take = take;
	listener->listening.give = give;
	listener->listening.stopped = on_stopped;
	listener->listening.closed = on_closed;
	if (!limits_addresses)
		return;
	listener->listening.take_address = take_address;
	listener->listening.give_address = give_address;
}

/* ---- stop and close */

/* Under engine.listeners. Acceptors that have ended get no order. */
static void order(struct kolk_listener *listener, enum kolk__order what, uint64_t deadline_ns)
{
	KOLK__HELD(&listener->engine->listeners);
	listener->stopping = true;
	for (uint32_t i = 0; i < listener->count; i++) {
		if (listener->parts[i].closed)
			continue;
		if (what == KOLK__ORDER_CLOSE)
			kolk__acceptor_deadline(listener->parts[i].acceptor, deadline_ns);
		kolk__acceptor_order(listener->parts[i].acceptor, what);
	}
}

void kolk_listener_stop(struct kolk_listener *listener)
{
	struct kolk_engine *engine = listener->engine;

	if (kolk__is_child(engine))
		return;
	kolk__take_lock(engine, &engine->listeners);
	order(listener, KOLK__ORDER_STOP, 0);
	kolk__give_lock(engine, &engine->listeners);
}

/* If the engine ends first, it finds the listener in its list. */
static void on_ended(struct kolk__task *task)
{
	struct kolk_listener *listener = kolk__container_of(task, struct kolk_listener, task);
	struct kolk_engine *engine = listener->engine;

	kolk__take_lock(engine, &engine->listeners);
	unlist(listener);
	kolk__give_lock(engine, &engine->listeners);
	call_closed(listener);
}

/* True = it had ended already: the caller frees it, or closed will be called. */
static bool close_begin(struct kolk_listener *listener, uint64_t deadline_ns,
			kolk_listener_closed_fn *closed, void *user)
{
	struct kolk_engine *engine = listener->engine;
	bool ended;

	kolk__take_lock(engine, &engine->listeners);
	ended = listener->ended;
	listener->closed = closed;
	listener->closed_user = user;
	if (ended && closed == NULL)
		unlist(listener);
	if (!ended)
		order(listener, KOLK__ORDER_CLOSE, deadline_ns);
	kolk__give_lock(engine, &engine->listeners);
	if (ended && closed != NULL)
		kolk__post(&engine->shards[0], &listener->task, on_ended);
	return ended;
}

/* Wait until it has ended, and free it; or until the deadline. */
static enum kolk_err wait_ended(struct kolk_listener *listener, uint64_t deadline_ns)
{
	struct kolk_engine *engine = listener->engine;
	const struct kolk_sys *sys = engine->sys;
	bool ended = false, late = false;

	while (!ended && !late) {
		uint32_t seen = kolk__load_acquire(&engine->listeners_ended);

		kolk__take_lock(engine, &engine->listeners);
		ended = listener->ended;
		if (ended)
			unlist(listener);
		kolk__give_lock(engine, &engine->listeners);
		if (!ended)
			late = !sys->wait(sys->context, kolk__futex(&engine->listeners_ended), seen,
					  deadline_ns);
	}
	if (!ended)
		return KOLK_E_TIMEOUT;
	kolk__listener_free(listener);
	return KOLK_OK;
}

enum kolk_err kolk_listener_close(struct kolk_listener *listener, uint64_t deadline_ns,
				  kolk_listener_closed_fn *closed, void *user)
{
	struct kolk_engine *engine = listener->engine;
	uint64_t now_ns = kolk__now(engine);

	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	if (closed == NULL && kolk__on_loop(engine))
		return KOLK_E_THREAD;
	if (close_begin(listener, deadline_ns, closed, user)) {
		if (closed == NULL)
			kolk__listener_free(listener);
		return KOLK_OK;
	}
	if (closed != NULL)
		return KOLK_OK;
	if (deadline_ns < now_ns)
		deadline_ns = now_ns;
	return wait_ended(listener, deadline_ns < KOLK_FOREVER - KOLK_S_NS ?
				    deadline_ns + KOLK_S_NS : KOLK_FOREVER);
}

/* ---- with the engine */

void kolk__listeners_close(struct kolk_engine *engine)
{
	kolk__take_lock(engine, &engine->listeners);
	for (struct kolk_listener *l = engine->listener_list; l != NULL; l = l->next)
		order(l, KOLK__ORDER_CLOSE, 0);
	kolk__give_lock(engine, &engine->listeners);
}

bool kolk__listeners_are_closed(struct kolk_engine *engine)
{
	return kolk__load_acquire(&engine->listeners_open) == 0;
}

void kolk__listeners_wait(struct kolk_engine *engine, uint64_t deadline_ns)
{
	const struct kolk_sys *sys = engine->sys;
	bool late = false;

	while (!late) {
		uint32_t seen = kolk__load_acquire(&engine->listeners_ended);

		if (kolk__listeners_are_closed(engine))
			return;
		late = !sys->wait(sys->context, kolk__futex(&engine->listeners_ended), seen,
				  deadline_ns);
	}
}

/* No other thread uses the listeners any more. */
void kolk__listeners_drop(struct kolk_engine *engine)
{
	for (struct kolk_listener *l = engine->listener_list; l != NULL; l = l->next)
		for (uint32_t i = 0; i < l->count; i++)
			if (!l->parts[i].closed)
				kolk__acceptor_drop(l->parts[i].acceptor);
}

void kolk__listeners_free(struct kolk_engine *engine)
{
	while (engine->listener_list != NULL) {
		struct kolk_listener *listener = engine->listener_list;

		engine->listener_list = listener->next;
		kolk__listener_sockets_close(listener);
		if (listener->closed != NULL)
			call_closed(listener);
		else
			kolk__listener_free(listener);
	}
}

/* ---- about it */

const char *kolk_listener_address(const struct kolk_listener *listener)
{
	return listener->text;
}

void kolk_listener_stats(const struct kolk_listener *listener, struct kolk_listener_stats *out)
{
	struct kolk_listener_stats stats = KOLK_INIT(kolk_listener_stats);

	if (kolk__is_child(listener->engine))
		return;
	for (uint32_t i = 0; i < listener->count; i++)
		kolk__acceptor_stats(listener->parts[i].acceptor, &stats);
	(void)kolk__sized_write(out, &stats);
}

const char *kolk__listeners_check(struct kolk_engine *engine)
{
	const char *law = NULL;

	kolk__take_lock(engine, &engine->listeners);
	for (struct kolk_listener *l = engine->listener_list; l != NULL; l = l->next) {
		struct kolk_listener_stats stats = { 0 };

		for (uint32_t i = 0; i < l->count; i++)
			kolk__acceptor_stats(l->parts[i].acceptor, &stats);
		if (kolk__load_relaxed(&l->permits) > l->streams_max)
			law = "listener.permits <= streams_max";
		else if (!engine->threads && stats.streams != kolk__load_relaxed(&l->permits))
			law = "listener.permits == sum of its streams";
	}
	kolk__give_lock(engine, &engine->listeners);
	return law;
}
