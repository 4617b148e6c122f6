/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scope.c - a server that keeps nothing between two requests: what a request took is given back at
 * one place, wherever it stopped.
 *
 * Each request asks two upstreams, and three in ten of them stop in the middle. No path through
 * serve() has to release anything.
 */
#include <kolk/kolk.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "upstream/upstream.h"

enum { WORKERS = 4, REQUESTS = 1000, STOPPED_PERCENT = 30 };

struct worker {
	struct kolk_key *users, *orders;
	unsigned seed;
	int answered, stopped;
};

static enum kolk_err ask(struct kolk_scope *scope, struct kolk_key *key, uint64_t deadline_ns)
{
	static const char question[] = "who is it?\n";
	char answer[sizeof question];
	size_t size = 0, got;
	struct kolk_lease lease;
	enum kolk_err err = kolk_scope_acquire(scope, key, deadline_ns, &lease);

	if (err == KOLK_OK)
		err = kolk_send_all(&lease, question, strlen(question), deadline_ns);
	while (err == KOLK_OK && size < strlen(question)) {
		err = kolk_recv(&lease, answer + size, sizeof answer - size, deadline_ns, &got);
		size += err == KOLK_OK ? got : 0;
	}
	return err;
}

/* E_CANCELLED: its client has gone. */
static enum kolk_err serve(struct worker *worker, struct kolk_scope *scope)
{
	uint64_t deadline_ns = kolk_in_ms(2000);
	enum kolk_err err = ask(scope, worker->users, deadline_ns);

	if (err != KOLK_OK)
		return err;
	if (rand_r(&worker->seed) % 100 < STOPPED_PERCENT)
		return KOLK_E_CANCELLED;
	return ask(scope, worker->orders, deadline_ns);
}

static void *work(void *user)
{
	struct worker *worker = user;

	for (int i = 0; i < REQUESTS; i++) {
		struct kolk_scope scope;
		enum kolk_err err;

		kolk_scope_begin(&scope);
		err = serve(worker, &scope);
		worker->answered += err == KOLK_OK;
		worker->stopped += err == KOLK_E_CANCELLED;
		/* A request that stopped may have left an answer on the way: its leases are closed. */
		err = kolk_scope_end(&scope,
				     err == KOLK_OK ? KOLK_SCOPE_RELEASE : KOLK_SCOPE_DISCARD);
		if (err != KOLK_OK)
			fprintf(stderr, "%s\n", kolk_err_text(err));
	}
	return NULL;
}

static struct kolk_key *open_key(struct kolk_engine *engine, const char *name, const char *address)
{
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_pool *pool;
	struct kolk_key *key;

	options.name = name;
	options.address = address;
	who.tenant = "user1";
	if (kolk_pool_add(engine, &options, &pool) != KOLK_OK ||
	    kolk_key_open(pool, &who, &key) != KOLK_OK)
		exit(1);
	return key;
}

int main(int argc, char **argv)
{
	struct kolk_engine_options options = KOLK_INIT(kolk_engine_options);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	const char *address = upstream_address(argc, argv);
	struct worker workers[WORKERS] = { { .answered = 0 } };
	pthread_t threads[WORKERS];
	struct kolk_engine *engine;
	int answered = 0, stopped = 0;

	if (kolk_engine_create(&options, &engine) != KOLK_OK)
		return 1;
	workers[0].users = open_key(engine, "users", address);
	workers[0].orders = open_key(engine, "orders", address);
	for (int i = 0; i < WORKERS; i++) {
		workers[i].users = workers[0].users;
		workers[i].orders = workers[0].orders;
		workers[i].seed = (unsigned)i;
		pthread_create(&threads[i], NULL, work, &workers[i]);
	}
	for (int i = 0; i < WORKERS; i++) {
		pthread_join(threads[i], NULL);
		answered += workers[i].answered;
		stopped += workers[i].stopped;
	}
	if (kolk_engine_stats(engine, &stats) == KOLK_OK)
		printf("%d requests, %d answered, %d stopped in the middle, %u leases left\n",
		       WORKERS * REQUESTS, answered, stopped, stats.leased);
	kolk_key_close(workers[0].users);
	kolk_key_close(workers[0].orders);
	kolk_engine_destroy(engine);
	return answered + stopped != WORKERS * REQUESTS || stats.leased != 0;
}
