/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_release.c - giving a connection back whose server may still run something: it is asked to
 * cancel (protocol 3.0, "Canceling Requests in Progress"), on the connection's loop, while
 * nobody waits.
 *
 * A cancel request names a server process, not a statement: one that comes late hits whatever
 * the process runs then. So the lease is kept until the server has closed the connection that
 * carried the request: the signal was sent before that. Then one more round trip (the session's
 * barrier) is due before anybody gets the connection: a process takes pending signals before it
 * reads the next message, and forgets a cancel that meets no statement.
 */
#include "transport/drivers/pg_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kolk/engine.h>
#include <kolk/key.h>

enum { NAME_BYTES = 64 };
static const char suffix[] = ".cancel";

struct leaving {
	struct talk talk; /* first: reads what is owed, for a moment */
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

static enum kolk_err stay(void *user, void *memory)
{
	struct pg_session *session = memory;

	(void)user;
	session->leaving = false;
	return KOLK_OK;
}

static void give_back(struct leaving *leaving)
{
	(void)kolk_lease_session(&leaving->talk.lease, &pg_driver, stay, NULL);
	(void)kolk_release(&leaving->talk.lease); /* mended there, or closed */
	free(leaving);
}

/* A request may be on its way still: nobody must have this connection. */
static void give_up(struct leaving *leaving)
{
	(void)kolk_discard(&leaving->acquire.lease);
	(void)kolk_discard(&leaving->talk.lease);
	free(leaving);
}

static enum kolk_err raise_barrier(void *user, void *memory)
{
	struct pg_session *session = memory;

	(void)user;
	session->barrier = true;
	return KOLK_OK;
}

/* ---- the request on a connection of its own */

static void heard_back(void *user, enum kolk_err err, size_t size)
{
	struct leaving *leaving = user;

	(void)size;
	if (err != KOLK_E_CLOSED ||
	    kolk_lease_session(&leaving->talk.lease, &pg_driver, raise_barrier, NULL) != KOLK_OK) {
		give_up(leaving);
		return;
	}
	(void)kolk_discard(&leaving->acquire.lease);
	give_back(leaving);
}

static void sent(void *user, enum kolk_err err, size_t size)
{
	struct leaving *leaving = user;

	(void)size;
	if (err == KOLK_OK)
		err = kolk_recv_async(leaving->loop, &leaving->acquire.lease, &leaving->io,
				      leaving->buffer, 1, leaving->until_ns, heard_back, leaving);
	if (err != KOLK_PENDING)
		give_up(leaving);
}

static void acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct leaving *leaving = user;

	(void)lease;
	if (err != KOLK_OK) {
		give_back(leaving);
		return;
	}
	err = kolk_send_async(leaving->loop, &leaving->acquire.lease, &leaving->io,
			      leaving->request, sizeof leaving->request, leaving->until_ns, sent,
			      leaving);
	if (err != KOLK_PENDING)
		give_up(leaving);
}

static void ask(struct leaving *leaving)
{
	enum kolk_err err;

	leaving->until_ns = kolk_in_ns(5 * KOLK_S_NS);
	err = kolk_acquire_async(leaving->loop, kolk_pool_key(leaving->pool), leaving->until_ns,
				 &leaving->acquire, acquired, leaving);
	if (err != KOLK_PENDING)
		acquired(leaving, err, &leaving->acquire.lease);
}

/* ---- before that: most answers are on their way already */

static size_t nothing(struct talk *talk, void *memory, const void **data)
{
	(void)talk;
	(void)memory;
	*data = NULL;
	return 0;
}

static enum kolk_err drain(struct talk *talk, void *memory, const uint8_t *data, size_t size)
{
	struct pg_session *session = memory;
	struct pg_message message;
	enum kolk_err err = size > 0 ? KOLK_OK : KOLK_E_CLOSED;

	(void)talk;
	while (err == KOLK_OK) {
		err = pg_read(&session->reader, &data, &size, &message);
		if (err != KOLK_OK)
			break;
		err = pg_session_aside(session, &message, false);
		if (err == KOLK_PENDING && message.type == 'Z')
			err = pg_session_ready(session, &message);
		else if (err == KOLK_PENDING && pg_session_unheard(session, &message) == KOLK_PENDING)
			err = KOLK_OK;
		if (err == KOLK_PENDING)
			err = KOLK_E_PROTOCOL;
	}
	session->broken |= err != KOLK_PENDING;
	if (err == KOLK_PENDING && (session->owed == 0 || session->copy == PG_COPY_IN))
		return KOLK_OK;
	return err;
}

static void drained(struct talk *talk, enum kolk_err err)
{
	struct leaving *leaving = (struct leaving *)(void *)talk;

	if (err == KOLK_E_TIMEOUT)
		ask(leaving);
	else
		give_back(leaving);
}

static void begin(struct kolk_call *call, void *user)
{
	static const struct talk_side side = { &pg_driver, nothing, drain, drained };
	struct leaving *leaving = user;
	enum kolk_err err;

	(void)call;
	leaving->talk.side = &side;
	leaving->talk.buffer = leaving->buffer;
	leaving->talk.capacity = sizeof leaving->buffer;
	leaving->talk.idle_ns = KOLK_FOREVER;
	leaving->talk.deadline_ns = kolk_in_ns(leaving->until_ns);
	err = talk_start(&leaving->talk, leaving->loop);
	if (err != KOLK_PENDING)
		drained(&leaving->talk, err);
}

/* ---- whether that is needed */

static enum kolk_err look(void *user, void *memory)
{
	struct leaving *leaving = user;
	struct pg_session *session = memory;
	const uint32_t words[] = { 16, 80877102, session->pid, session->secret };

	if (session->owed == 0 || session->broken || session->unsynced || session->pid == 0 ||
	    session->copy == PG_COPY_IN)
		return KOLK_E_NOT_FOUND;
	session->leaving = true;
	for (size_t i = 0; i < sizeof leaving->request; i++)
		leaving->request[i] = (uint8_t)(words[i / 4] >> (24 - 8 * (i % 4)));
	leaving->until_ns = session->options->cancel_after_ns;
	return KOLK_OK;
}

static enum kolk_err owes(void *user, void *memory)
{
	const struct pg_session *session = memory;

	(void)user;
	if (session->leaving)
		return KOLK_E_LEASE_STALE;
	return session->owed > 0 ? KOLK_OK : KOLK_E_NOT_FOUND;
}

enum kolk_err kolk_postgres_release(struct kolk_lease *lease)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct leaving *leaving;
	struct kolk_pool *pool;
	enum kolk_err err = kolk_lease_session(lease, &pg_driver, owes, NULL);

	if (err == KOLK_E_LEASE_STALE)
		return err;
	if (err != KOLK_OK || kolk_lease_info(lease, &info) != KOLK_OK)
		return kolk_release(lease);
	pool = kolk_postgres_pool_cancel(kolk_key_pool(info.key));
	leaving = pool != NULL ? calloc(1, sizeof *leaving) : NULL;
	if (leaving == NULL)
		return kolk_release(lease);
	leaving->talk.lease = *lease;
	leaving->pool = pool;
	leaving->loop = kolk_engine_loop(kolk_pool_engine(pool), info.loop);
	if (kolk_lease_session(lease, &pg_driver, look, leaving) == KOLK_OK &&
	    kolk_loop_call(leaving->loop, &leaving->call, begin, leaving) == KOLK_OK)
		return KOLK_OK;
	(void)kolk_lease_session(lease, &pg_driver, stay, NULL);
	free(leaving);
	return kolk_release(lease);
}

/* ---- the two pools */

/* The options of the other pool; false when there is no room for its name, or another size. */
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
	struct kolk_pool *carrier;
	char name[NAME_BYTES];
	enum kolk_err err;

	if (!cancel_options(options, name, &cancel))
		return KOLK_E_OPTIONS;
	err = kolk_pool_add(engine, &cancel, &carrier);
	if (err != KOLK_OK)
		return err;
	err = kolk_pool_add(engine, options, pool);
	if (err != KOLK_OK)
		(void)!kolk_pool_close(carrier, kolk_in_ns(5 * KOLK_S_NS));
	return err;
}

/* The pool first: what it refuses, the other would refuse as well. A pool that was another
 * protocol's has no carrier yet. */
enum kolk_err kolk_postgres_pool_update(struct kolk_pool *pool,
					const struct kolk_pool_options *options)
{
	struct kolk_pool *carrier = kolk_postgres_pool_cancel(pool);
	struct kolk_pool_options cancel;
	char name[NAME_BYTES];
	enum kolk_err err;

	if (!cancel_options(options, name, &cancel))
		return KOLK_E_OPTIONS;
	err = kolk_pool_update(pool, options);
	if (err != KOLK_OK)
		return err;
	return carrier != NULL ? kolk_pool_update(carrier, &cancel) :
				 kolk_pool_add(kolk_pool_engine(pool), &cancel, &carrier);
}
