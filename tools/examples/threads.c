/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threads.c - a threaded server: blocking workers that share two connections.
 *
 * The workers run no loop. They acquire, send and receive with deadlines, directly on the
 * socket; the engine's own threads dial, watch and evict.
 */
#include <kolk/kolk.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "upstream/upstream.h"

enum { WORKERS = 8, REQUESTS = 1000 };

static enum kolk_err request(struct kolk_key *key)
{
	static const char question[] = "hello\n";
	uint64_t deadline_ns = kolk_in_ms(2000);
	char answer[sizeof question];
	size_t size = 0, got;
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(key, deadline_ns, &lease);

	if (err != KOLK_OK)
		return err;
	err = kolk_send_all(&lease, question, strlen(question), deadline_ns);
	while (err == KOLK_OK && size < strlen(question)) {
		err = kolk_recv(&lease, answer + size, sizeof answer - size, deadline_ns, &got);
		size += err == KOLK_OK ? got : 0;
	}
	kolk_release(&lease); /* after an error it is closed, with the reason counted */
	return err;
}

static void *work(void *arg)
{
	struct kolk_key *key = arg;

	for (int i = 0; i < REQUESTS; i++) {
		enum kolk_err err = request(key);

		if (err != KOLK_OK) {
			fprintf(stderr, "%s\n", kolk_err_text(err));
			return (void *)1;
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct kolk_engine_options engine_options = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool_options = KOLK_INIT(kolk_pool_options);
	struct kolk_key_options key_options = KOLK_INIT(kolk_key_options);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
	pthread_t worker[WORKERS];
	void *failed = NULL, *result;

	pool_options.name = "echo";
	pool_options.address = upstream_address(argc, argv);
	pool_options.connections_max = 2;
	key_options.tenant = "user1";
	if (kolk_engine_create(&engine_options, &engine) != KOLK_OK ||
	    kolk_pool_add(engine, &pool_options, &pool) != KOLK_OK ||
	    kolk_key_open(pool, &key_options, &key) != KOLK_OK)
		return 1;

	for (int i = 0; i < WORKERS; i++)
		pthread_create(&worker[i], NULL, work, key);
	for (int i = 0; i < WORKERS; i++) {
		pthread_join(worker[i], &result);
		failed = result != NULL ? result : failed;
	}

	if (kolk_key_stats(key, &stats) == KOLK_OK)
		printf("%d workers, %d requests, %llu connections opened, %s\n", WORKERS,
		       WORKERS * REQUESTS, (unsigned long long)stats.created,
		       kolk_engine_backend(engine));
	kolk_key_close(key);
	kolk_engine_destroy(engine);
	return failed != NULL;
}
