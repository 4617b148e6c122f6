/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource_session.c - sessions over pooled connections: an asynchronous resource driver.
 *
 * A session is opened by a line and its answer, and closed by another, each over a connection that
 * is leased for so long from the pool that the sessions' pool draws from. So 20 sessions need 2
 * connections, and the engine closes the sessions before it closes the connections.
 */
#include <kolk/kolk.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "upstream/upstream.h"

enum { SESSIONS = 20 };

struct server {
	struct kolk_key *connections;
	int opened, closed; /* the loop's, until the engine is destroyed */
};

struct session {
	int number;
};

/* What an open or a close needs until it is over: its op_bytes. */
struct exchange {
	struct kolk_acquire acquire;
	struct kolk_io io;
	struct kolk_lease lease;
	struct kolk_resource_op *op;
	struct server *server;
	struct session *session;
	const char *line;
	char answer[16];
	size_t size;
};

static void exchange_over(struct exchange *exchange, enum kolk_err err)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	bool opens = exchange->line[0] == 'o';

	failure.err = err;
	if (!opens || err != KOLK_OK)
		free(exchange->session);
	if (err != KOLK_OK) {
		kolk_resource_failed(exchange->op, &failure);
	} else if (opens) {
		exchange->session->number = ++exchange->server->opened;
		kolk_resource_created(exchange->op, exchange->session);
	} else {
		exchange->server->closed++;
		kolk_resource_done(exchange->op);
	}
}

static void on_received(void *user, enum kolk_err err, size_t size)
{
	struct exchange *exchange = user;

	exchange->size += size;
	if (err == KOLK_OK && exchange->size < strlen(exchange->line))
		err = kolk_recv_async(kolk_loop_current(), &exchange->lease, &exchange->io,
				      exchange->answer + exchange->size,
				      sizeof exchange->answer - exchange->size,
				      kolk_resource_op_deadline(exchange->op), on_received, exchange);
	if (err == KOLK_PENDING)
		return;
	kolk_release(&exchange->lease); /* after an error it is closed */
	exchange_over(exchange, err);
}

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	(void)size;
	on_received(user, err, 0);
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct exchange *exchange = user;

	if (err != KOLK_OK) {
		exchange_over(exchange, err);
		return;
	}
	exchange->lease = *lease;
	err = kolk_send_async(kolk_loop_current(), &exchange->lease, &exchange->io, exchange->line,
			      strlen(exchange->line), kolk_resource_op_deadline(exchange->op),
			      on_sent, exchange);
	if (err != KOLK_PENDING)
		on_sent(exchange, err, 0);
}

/* Each step has the operation's deadline, so it is completed in time without `expired`. */
static void exchange_begin(struct exchange *exchange)
{
	enum kolk_err err = exchange->session == NULL ? KOLK_E_MEMORY :
		kolk_acquire_async(kolk_loop_current(), exchange->server->connections,
				   kolk_resource_op_deadline(exchange->op), &exchange->acquire,
				   on_lease, exchange);

	if (err != KOLK_PENDING) /* a hit, or refused: the callback will not run */
		on_lease(exchange, err, &exchange->acquire.lease);
}

static void begin_create(void *user, struct kolk_resource_op *op,
			 const struct kolk_resource_request *request)
{
	struct exchange *exchange = kolk_resource_op_memory(op);

	(void)request; /* request->key says for whom */
	exchange->op = op;
	exchange->server = user;
	exchange->session = calloc(1, sizeof *exchange->session);
	exchange->line = "open\n";
	exchange_begin(exchange);
}

static void begin_destroy(void *user, struct kolk_resource_op *op, void *resource)
{
	struct exchange *exchange = kolk_resource_op_memory(op);

	exchange->op = op;
	exchange->server = user;
	exchange->session = resource;
	exchange->line = "close\n";
	exchange_begin(exchange);
}

static const struct kolk_resource_driver driver = {
	.size = sizeof driver, .op_bytes = sizeof(struct exchange), .name = "session",
	.begin_create = begin_create, .begin_destroy = begin_destroy,
};

static enum kolk_err pools_add(struct kolk_engine *engine, const char *address,
			       struct server *server, struct kolk_pool **sessions)
{
	static const char *const from[] = { "connections", NULL };
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *connections;
	enum kolk_err err;

	options.name = "connections";
	options.address = address;
	options.connections_max = 2;
	err = kolk_pool_add(engine, &options, &connections);
	if (err != KOLK_OK)
		return err;
	server->connections = kolk_pool_key(connections);
	options = (struct kolk_pool_options)KOLK_INIT(kolk_pool_options);
	options.name = "sessions";
	options.resource = &driver;
	options.driver_user = server;
	options.draws_from = from;
	options.connections_max = SESSIONS;
	return kolk_pool_add(engine, &options, sessions);
}

int main(int argc, char **argv)
{
	struct kolk_engine_options options = KOLK_INIT(kolk_engine_options);
	struct kolk_lease leases[SESSIONS];
	struct server server = { .connections = NULL };
	struct kolk_engine *engine;
	struct kolk_pool *sessions;
	int count = 0;
	enum kolk_err err;

	options.loops = 1;
	options.resources_max = SESSIONS; /* besides connections_max */
	if (kolk_engine_create(&options, &engine) != KOLK_OK ||
	    pools_add(engine, upstream_address(argc, argv), &server, &sessions) != KOLK_OK)
		return 1;
	do
		err = kolk_acquire(kolk_pool_key(sessions), kolk_in_ms(5000), &leases[count]);
	while (err == KOLK_OK && ++count < SESSIONS);
	if (err != KOLK_OK)
		fprintf(stderr, "%s\n", kolk_err_text(err));
	while (count > 0)
		kolk_release(&leases[--count]);
	if (kolk_engine_destroy(engine) != KOLK_OK)
		return 1;
	printf("%d sessions opened, %d closed\n", server.opened, server.closed);
	return err != KOLK_OK || server.opened != SESSIONS || server.closed != SESSIONS;
}
