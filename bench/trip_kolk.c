/* SPDX-License-Identifier: Apache-2.0 */
/* trip_kolk.c - the round trips as a gateway makes them: acquire, send, receive, release. */
#include <stdlib.h>
#include <string.h>

#include "bench/trip.h"

struct drive {
	struct trip *trip;
	struct kolk_engine *engine;
	struct kolk_loop *loop;
	struct kolk_key *key;
	char *bytes;
	bool over;
};

struct caller {
	struct drive *drive;
	struct kolk_acquire acquire;
	struct kolk_io send, recv;
	struct kolk_lease lease;
	uint64_t sent_ns;
	size_t got;
	char *answer;
};

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease);

static void check(enum kolk_err err, const char *what)
{
	if (err != KOLK_OK && err != KOLK_PENDING)
		die("%s: %s", what, kolk_err_text(err));
}

static void ask(struct caller *caller)
{
	struct drive *drive = caller->drive;
	enum kolk_err err = kolk_acquire_async(drive->loop, drive->key,
					       caller->sent_ns + 5 * KOLK_S_NS,
					       &caller->acquire, on_lease, caller);

	check(err, "acquire");
	if (err == KOLK_OK)
		on_lease(caller, KOLK_OK, &caller->acquire.lease);
}

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	(void)user;
	(void)size;
	check(err, "send");
}

static void on_received(void *user, enum kolk_err err, size_t size)
{
	struct caller *caller = user;
	struct drive *drive = caller->drive;

	check(err, "receive");
	caller->got += size;
	if (caller->got < drive->trip->size) {
		check(kolk_recv_async(drive->loop, &caller->lease, &caller->recv, caller->answer,
				      drive->trip->size, caller->sent_ns + 5 * KOLK_S_NS,
				      on_received, caller), "receive");
		return;
	}
	check(kolk_release(&caller->lease), "release");
	caller->sent_ns = trip_done(drive->trip, caller->sent_ns);
	drive->over = drive->over || caller->sent_ns == 0;
	if (!drive->over)
		ask(caller);
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct caller *caller = user;
	struct drive *drive = caller->drive;
	size_t size = drive->trip->size;
	uint64_t deadline_ns = caller->sent_ns + 5 * KOLK_S_NS;

	check(err, "acquire");
	caller->lease = *lease;
	caller->got = 0;
	check(kolk_send_async(drive->loop, lease, &caller->send, drive->bytes, size, deadline_ns,
			      on_sent, caller), "send");
	check(kolk_recv_async(drive->loop, lease, &caller->recv, caller->answer, size,
			      deadline_ns, on_received, caller), "receive");
}

static void drive_open(struct drive *drive, struct trip *trip)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_pool *pool;
	char address[40];
	enum kolk_err err;

	*drive = (struct drive){ .trip = trip, .bytes = malloc(trip->size) };
	memset(drive->bytes, 'x', trip->size);
	drive->bytes[trip->size - 1] = '\n';
	engine.loops = 1;
	engine.loop_owner = KOLK_LOOPS_EMBEDDER;
	engine.backend = trip->backend;
	engine.connections_max = trip->connections;
	snprintf(address, sizeof address, "%s127.0.0.1:%u", trip->ca_path ? "tls://" : "",
		 trip->port);
	options.name = "roundtrip";
	options.address = address;
	options.connections_max = trip->connections;
	options.idle_min = trip->connections;
	options.waiters_max = trip->connections;
	options.dials_max = 16;
	tls.ca_file = trip->ca_path;
	options.tls = trip->ca_path != NULL ? &tls : NULL;
	err = kolk_engine_create(&engine, &drive->engine);
	if (err == KOLK_OK)
		err = kolk_pool_add(drive->engine, &options, &pool);
	if (err != KOLK_OK)
		die("cannot open the pool: %s", kolk_err_text(err));
	drive->loop = kolk_engine_loop(drive->engine, 0);
	drive->key = kolk_pool_key(pool);
	trip->backend_name = kolk_engine_backend(drive->engine);
	check(kolk_pool_warm(pool, 0), "warm");
	for (struct kolk_stats stats = KOLK_INIT(kolk_stats); stats.idle < trip->connections;) {
		check(kolk_loop_step(drive->loop, 10 * KOLK_MS_NS), "step");
		check(kolk_pool_stats(pool, &stats), "stats");
	}
}

static void drive_close(struct drive *drive)
{
	kolk_engine_drain(drive->engine, kolk_in_ms(1000));
	while (!kolk_engine_is_closed(drive->engine))
		check(kolk_loop_step(drive->loop, KOLK_MS_NS), "step");
	kolk_engine_destroy(drive->engine);
	free(drive->bytes);
}

void trip_kolk(struct trip *trip)
{
	struct caller *callers = calloc(trip->connections, sizeof *callers);
	struct drive drive;

	drive_open(&drive, trip);
	trip_begin(trip);
	for (uint32_t i = 0; i < trip->connections; i++) {
		callers[i].drive = &drive;
		callers[i].answer = malloc(trip->size);
		callers[i].sent_ns = trip->began_ns;
		ask(&callers[i]);
	}
	while (!drive.over)
		check(kolk_loop_step(drive.loop, KOLK_S_NS), "step");
	trip_end(trip);
	drive_close(&drive);
	for (uint32_t i = 0; i < trip->connections; i++)
		free(callers[i].answer);
	free(callers);
}
