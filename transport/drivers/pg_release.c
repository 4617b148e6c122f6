/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_release.c - releases a connection whose server may still run a statement: the server is asked
 * to cancel it (protocol 3.0, "Canceling Requests in Progress"), on the connection's loop, while no
 * caller waits.
 *
 * A cancel request names a server process, not a statement: one that comes late hits whatever the
 * process runs then. So the lease is kept until the server has closed the connection that carried
 * the request: the signal was sent before that. Then one more round trip (the session's barrier) is
 * due before the next lease: a process handles pending signals before it reads the next message,
 * and drops a cancel that meets no statement.
 */
#include "transport/drivers/pg_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kolk/engine.h>
#include <kolk/key.h>

enum { NAME_BYTES = 64 };
static const char suffix[] = ".cancel";

struct cancel_op {
	struct pump pump; /* first: reads outstanding replies, for a moment */
	struct kolk_call call;
	struct kolk_loop *loop;
	struct kolk_pool *pool;
	struct kolk_acquire acquire;
	struct kolk_io io;
	uint64_t until_ns;
	uint8_t request[16], buffer[PG_RECEIVE_BYTES];
};

struct kolk_pool *kolk_postgres_pool_cancel(struct kolk_pool *pool)
{
	char name[NAME_BYTES];
	int size = snprintf(name, sizeof name, "%s%s", kolk_pool_name(pool), suffix);

	return size > 0 && (size_t)size < sizeof name ?
		       kolk_pool_find(kolk_pool_engine(pool), name) : NULL;
}

/* ---- the end */

static enum kolk_err end_cancelling(void *user, void *memory)
{
	struct pg_session *session = memory;

	(void)user;
	session->cancelling = false;
	return KOLK_OK;
}

static void return_lease(struct cancel_op *cancel_op)
{
	(void)kolk_lease_session(&cancel_op->pump.lease, &pg_driver, end_cancelling, NULL);
	(void)kolk_release(&cancel_op->pump.lease); /* reset there, or closed */
	free(cancel_op);
}

/* A cancel request may still be in flight: this connection must not be leased again. */
static void discard_both(struct cancel_op *cancel_op)
{
	(void)kolk_discard(&cancel_op->acquire.lease);
	(void)kolk_discard(&cancel_op->pump.lease);
	free(cancel_op);
}

static enum kolk_err set_barrier(void *user, void *memory)
{
	struct pg_session *session = memory;

	(void)user;
	session->barrier = true;
	return KOLK_OK;
}

/* ---- the request on a connection of its own */

static void on_cancel_closed(void *user, enum kolk_err err, size_t size)
{
	struct cancel_op *cancel_op = user;

	(void)size;
	if (err != KOLK_E_CLOSED ||
	    kolk_lease_session(&cancel_op->pump.lease, &pg_driver, set_barrier, NULL) != KOLK_OK) {
		discard_both(cancel_op);
		return;
	}
	(void)kolk_discard(&cancel_op->acquire.lease);
	return_lease(cancel_op);
}

static void on_cancel_sent(void *user, enum kolk_err err, size_t size)
{
	struct cancel_op *cancel_op = user;

	(void)size;
	if (err == KOLK_OK)
		err = kolk_recv_async(cancel_op->loop, &cancel_op->acquire.lease,
				      &cancel_op->io, cancel_op->buffer, 1, cancel_op->until_ns,
				      on_cancel_closed, cancel_op);
	if (err != KOLK_PENDING)
		discard_both(cancel_op);
}

static void acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct cancel_op *cancel_op = user;

	(void)lease;
	if (err != KOLK_OK) {
		return_lease(cancel_op);
		return;
	}
	err = kolk_send_async(cancel_op->loop, &cancel_op->acquire.lease, &cancel_op->io,
			      cancel_op->request, sizeof cancel_op->request,
			      cancel_op->until_ns, on_cancel_sent, cancel_op);
	if (err != KOLK_PENDING)
		discard_both(cancel_op);
}

static void send_cancel(struct cancel_op *cancel_op)
{
	enum kolk_err err;

	cancel_op->until_ns = kolk_in_ns(5 * KOLK_S_NS);
	err = kolk_acquire_async(cancel_op->loop, kolk_pool_key(cancel_op->pool),
				 cancel_op->until_ns, &cancel_op->acquire, acquired, cancel_op);
	if (err != KOLK_PENDING)
		acquired(cancel_op, err, &cancel_op->acquire.lease);
}

/* ---- before that: most answers are already in flight */

static size_t write_nothing(struct pump *pump, void *memory, const void **data)
{
	(void)pump;
	(void)memory;
	*data = NULL;
	return 0;
}

static enum kolk_err on_read(struct pump *pump, void *memory, const uint8_t *data, size_t size)
{
	struct pg_session *session = memory;
	struct pg_message message;
	enum kolk_err err = size > 0 ? KOLK_OK : KOLK_E_CLOSED;

	(void)pump;
	while (err == KOLK_OK) {
		err = pg_read(&session->reader, &data, &size, &message);
		if (err != KOLK_OK)
			break;
		err = pg_session_async(session, &message, false);
		if (err == KOLK_PENDING && message.type == 'Z')
			err = pg_session_ready(session, &message);
		else if (err == KOLK_PENDING &&
			 pg_session_discard(session, &message) == KOLK_PENDING)
			err = KOLK_OK;
		if (err == KOLK_PENDING)
			err = KOLK_E_PROTOCOL;
	}
	session->broken |= err != KOLK_PENDING;
	if (err == KOLK_PENDING && (session->outstanding == 0 || session->copy == PG_COPY_IN))
		return KOLK_OK;
	return err;
}

static void on_drained(struct pump *pump, enum kolk_err err)
{
	struct cancel_op *cancel_op = (struct cancel_op *)(void *)pump;

	if (err == KOLK_E_TIMEOUT)
		send_cancel(cancel_op);
	else
		return_lease(cancel_op);
}

static void begin(struct kolk_call *call, void *user)
{
	static const struct pump_callbacks callbacks = { &pg_driver, write_nothing, on_read,
							on_drained };
	struct cancel_op *cancel_op = user;
	enum kolk_err err;

	(void)call;
	cancel_op->pump.callbacks = &callbacks;
	cancel_op->pump.buffer = cancel_op->buffer;
	cancel_op->pump.capacity = sizeof cancel_op->buffer;
	cancel_op->pump.idle_ns = KOLK_FOREVER;
	cancel_op->pump.deadline_ns = kolk_in_ns(cancel_op->until_ns);
	err = pump_start(&cancel_op->pump, cancel_op->loop, NULL);
	if (err != KOLK_PENDING)
		on_drained(&cancel_op->pump, err);
}

/* ---- whether a cancel is needed */

static enum kolk_err begin_cancelling(void *user, void *memory)
{
	struct cancel_op *cancel_op = user;
	struct pg_session *session = memory;
	const uint32_t words[] = { 16, 80877102, session->pid, session->secret };

	if (session->outstanding == 0 || session->broken || session->unsynced ||
	    session->pid == 0 || session->copy == PG_COPY_IN)
		return KOLK_E_NOT_FOUND;
	session->cancelling = true;
	for (size_t i = 0; i < sizeof cancel_op->request; i++)
		cancel_op->request[i] = (uint8_t)(words[i / 4] >> (24 - 8 * (i % 4)));
	cancel_op->until_ns = session->options->cancel_after_ns;
	return KOLK_OK;
}

static enum kolk_err has_outstanding(void *user, void *memory)
{
	const struct pg_session *session = memory;

	(void)user;
	if (session->cancelling)
		return KOLK_E_LEASE_STALE;
	return session->outstanding > 0 ? KOLK_OK : KOLK_E_NOT_FOUND;
}

enum kolk_err kolk_postgres_release(struct kolk_lease *lease)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct cancel_op *cancel_op;
	struct kolk_pool *pool;
	enum kolk_err err = kolk_lease_session(lease, &pg_driver, has_outstanding, NULL);

	if (err == KOLK_E_LEASE_STALE)
		return err;
	if (err != KOLK_OK || kolk_lease_info(lease, &info) != KOLK_OK)
		return kolk_release(lease);
	pool = kolk_postgres_pool_cancel(kolk_key_pool(info.key));
	cancel_op = pool != NULL ? calloc(1, sizeof *cancel_op) : NULL;
	if (cancel_op == NULL)
		return kolk_release(lease);
	cancel_op->pump.lease = *lease;
	cancel_op->pool = pool;
	cancel_op->loop = kolk_engine_loop(kolk_pool_engine(pool), info.loop);
	if (kolk_lease_session(lease, &pg_driver, begin_cancelling, cancel_op) == KOLK_OK &&
	    kolk_loop_call(cancel_op->loop, &cancel_op->call, begin, cancel_op) == KOLK_OK)
		return KOLK_OK;
	(void)kolk_lease_session(lease, &pg_driver, end_cancelling, NULL);
	free(cancel_op);
	return kolk_release(lease);
}

/* ---- the two pools */

/* The options of the cancel pool; false when its name does not fit, or options has another size. */
static bool cancel_options(const struct kolk_pool_options *options, char name[NAME_BYTES],
			   struct kolk_pool_options *cancel)
{
	int size;

	if (!kolk__sized_read(cancel, options))
		return false;
	size = snprintf(name, NAME_BYTES, "%s%s", cancel->name != NULL ? cancel->name : "", suffix);
	if (cancel->driver != &pg_driver || cancel->driver_user == NULL || size <= 0 ||
	    size >= NAME_BYTES)
		return false;
	cancel->name = name;
	cancel->driver = &pg_cancel_driver;
	cancel->isolation = KOLK_ISOLATION_TENANT;
	cancel->idle_min = KOLK_NONE;
	cancel->uses_max = 1;
	cancel->pool_connections_max = 0;
	cancel->ping_interval_ns = 0;
	cancel->eager_dials = 1;
	cancel->waiters_max = 10000;
	return true;
}

enum kolk_err kolk_postgres_pool_add(struct kolk_engine *engine,
				     const struct kolk_pool_options *options,
				     struct kolk_pool **pool)
{
	struct kolk_pool_options cancel;
	struct kolk_pool *cancel_pool;
	char name[NAME_BYTES];
	enum kolk_err err;

	if (!cancel_options(options, name, &cancel))
		return KOLK_E_OPTIONS;
	err = kolk_pool_add(engine, &cancel, &cancel_pool);
	if (err != KOLK_OK)
		return err;
	err = kolk_pool_add(engine, options, pool);
	if (err != KOLK_OK)
		(void)!kolk_pool_close(cancel_pool, kolk_in_ns(5 * KOLK_S_NS));
	return err;
}

/* The pool first: what it refuses, the cancel pool would refuse as well. A pool that was another
 * protocol's has no cancel pool yet. */
enum kolk_err kolk_postgres_pool_update(struct kolk_pool *pool,
					const struct kolk_pool_options *options)
{
	struct kolk_pool *cancel_pool = kolk_postgres_pool_cancel(pool);
	struct kolk_pool_options cancel;
	char name[NAME_BYTES];
	enum kolk_err err;

	if (!cancel_options(options, name, &cancel))
		return KOLK_E_OPTIONS;
	err = kolk_pool_update(pool, options);
	if (err != KOLK_OK)
		return err;
	return cancel_pool != NULL ? kolk_pool_update(cancel_pool, &cancel) :
				 kolk_pool_add(kolk_pool_engine(pool), &cancel, &cancel_pool);
}
