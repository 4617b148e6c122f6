/* SPDX-License-Identifier: Apache-2.0 */
/* name_test.c - names: answers that are kept, renewed, lost, in parts; addresses that race. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/kit/control.h"
#include "tests/wire/name_server.h"
#include "tests/wire/wire.h"

/* A pool to "upstream.test" at the origin's port. */
static bool named(struct wire *w, struct name_server *server, uint64_t resolve_ns)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	static char address[64];

	if (!wire_origin(w, NULL) || !wire_engine(w, NULL))
		return false;
	snprintf(address, sizeof address, "Upstream.Test.:%u", kit_origin_port(w->origin));
	o.address = address;
	o.name_servers = server->where;
	o.resolve_timeout_ns = resolve_ns;
	o.idle_min = KOLK_NONE;
	o.retry_interval_ns = o.retry_max_ns = KOLK_MS_NS;
	return wire_pool(w, &o);
}

static void kept_for_its_time(void)
{
	struct name_server server;
	struct wire w = { 0 };

	MUST(name_server_open(&server));
	name_server_answers(&server, 1, "127.0.0.1", "127.0.0.1", 100);
	MUST(named(&w, &server, 0));
	for (int i = 0; i < 30; i++) {
		CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
		(void)kolk_pool_clear(w.pool);
	}
	CHECK(wire_stats(w.pool).created >= 30);
	/* One for each loop that had no answer yet. */
	CHECK(kolk__load_relaxed(&server.questions) <= kolk_engine_loop_count(w.engine));
	wire_close(&w);
	name_server_close(&server);
}

static void stale_is_used(void)
{
	struct kit_control control;
	struct name_server server;
	struct wire w = { 0 };

	MUST(name_server_open(&server));
	name_server_answers(&server, 1, "127.0.0.1", "127.0.0.1", 1);
	MUST(named(&w, &server, 0));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	pthread_mutex_lock(&server.lock);
	server.silent = true;
	pthread_mutex_unlock(&server.lock);
	usleep(1300000);
	(void)kolk_pool_clear(w.pool);
	kit_control_begin(&control);
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	CHECK(kit_control_end(&control) < 200);
	wire_close(&w);
	name_server_close(&server);
}

static void no_such_name(void)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct name_server server;
	struct wire w = { 0 };

	MUST(name_server_open(&server));
	MUST(named(&w, &server, 0));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_RESOLVE);
	CHECK(kolk_key_failure(w.key, &failure) && failure.phase == KOLK_PHASE_RESOLVE);
	name_server_answers(&server, 1, "127.0.0.1", "127.0.0.1", 1);
	CHECK(WITHIN_MS(2000, wire_request(w.key, "hello\n") == KOLK_OK));
	wire_close(&w);
	name_server_close(&server);
}

/* A silent name server delays the dials to this name and no others. */
static void silent_server(void)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_lease nothing;
	struct kolk_pool *other;
	struct kit_control control;
	struct name_server server;
	struct wire w = { 0 };

	MUST(name_server_open(&server));
	server.silent = true;
	name_server_answers(&server, 1, "127.0.0.1", "127.0.0.1", 1);
	MUST(named(&w, &server, 300 * KOLK_MS_NS));
	CHECK_ERR(kolk_try_acquire(w.key, &nothing), KOLK_E_EMPTY); /* a dial begins */
	o.name = "other";
	o.address = w.address;
	CHECK_ERR(kolk_pool_add(w.engine, &o, &other), KOLK_OK);
	kit_control_begin(&control);
	CHECK_ERR(wire_request(kolk_pool_key(other), "hello\n"), KOLK_OK);
	CHECK(kit_control_ms(&control) < 100);
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_DIAL_TIMEOUT);
	CHECK(kolk_key_failure(w.key, &failure) && failure.phase == KOLK_PHASE_RESOLVE);
	CHECK(kit_control_end(&control) < 1500);
	wire_close(&w);
	name_server_close(&server);
}

/* The first address refuses; then it is a black hole: the second one is tried beside it. */
static void addresses_race(void)
{
	struct sockaddr_in hole = { .sin_family = AF_INET };
	struct name_server server;
	struct wire w = { 0 };
	int listener, filler[4];
	struct kit_control control;
	uint32_t took_ms;

	MUST(name_server_open(&server));
	name_server_answers(&server, 2, "127.0.0.2", "127.0.0.1", 100);
	MUST(named(&w, &server, 0));
	kit_control_begin(&control);
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	CHECK(kit_control_end(&control) < 200);

	hole.sin_port = htons(kit_origin_port(w.origin));
	hole.sin_addr.s_addr = inet_addr("127.0.0.2");
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(bind(listener, (struct sockaddr *)&hole, sizeof hole) == 0 && listen(listener, 0) == 0);
	for (int i = 0; i < 4; i++) { /* fill its queue: what comes then is dropped */
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(filler[i], (struct sockaddr *)&hole, sizeof hole);
	}
	(void)kolk_pool_clear(w.pool);
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).open == 0));
	kit_control_begin(&control);
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	took_ms = kit_control_end(&control);
	tap_note("beside a black hole: ready after %u ms", took_ms);
	CHECK(took_ms < 1000);
	(void)kolk_pool_clear(w.pool);
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).open == 0));
	wire_close(&w);
	for (int i = 0; i < 4; i++)
		close(filler[i]);
	close(listener);
	name_server_close(&server);
}

static void name_moves(void)
{
	struct name_server server;
	struct wire w = { 0 };

	MUST(name_server_open(&server));
	name_server_answers(&server, 2, "127.0.0.1", "127.0.0.2", 1);
	MUST(named(&w, &server, 0));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	name_server_answers(&server, 1, "127.0.0.2", "127.0.0.2", 1);
	CHECK(WITHIN_MS(8000, wire_stats(w.pool).destroyed[KOLK_REASON_NAME_CHANGED] >= 1));
	name_server_answers(&server, 1, "127.0.0.1", "127.0.0.1", 1);
	CHECK(WITHIN_MS(8000, wire_request(w.key, "hello\n") == KOLK_OK));
	wire_close(&w);
	name_server_close(&server);
}

/* ---- one family is lost on the way */

/* Wall time; *control_ms is that of a thread that only sleeps. */
static uint64_t first_ms(uint32_t drops, uint32_t refuses, uint32_t *control_ms)
{
	struct name_server server;
	struct kit_control control;
	struct wire w = { 0 };
	uint64_t began_ms;

	*control_ms = UINT32_MAX;

	if (!name_server_open(&server))
		return 0;
	server.drops = drops;
	server.refuses = refuses;
	name_server_answers(&server, 1, "127.0.0.1", "127.0.0.1", 1);
	if (!named(&w, &server, 0))
		return 0;
	kit_control_begin(&control);
	began_ms = tap_now_ms();
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	began_ms = tap_now_ms() - began_ms;
	*control_ms = kit_control_end(&control);
	wire_close(&w);
	name_server_close(&server);
	return began_ms;
}

static void one_family_is_lost(void)
{
	uint32_t control_ms;
	uint64_t ms = first_ms(TYPE_AAAA, 0, &control_ms);

	tap_note("AAAA dropped: ready after %llu ms", (unsigned long long)ms);
	CHECK(ms >= 45 && control_ms < 500); /* the query goes out again after 1 s */
	(void)first_ms(0, TYPE_AAAA, &control_ms);
	CHECK(control_ms < 500);
}

/* The family that is there is not there: only the lost one could say so. */
static void both_are_lost(void)
{
	struct name_server server;
	struct wire w = { 0 };

	MUST(name_server_open(&server));
	server.drops = TYPE_A;
	name_server_answers(&server, 1, "127.0.0.1", "127.0.0.1", 1);
	MUST(named(&w, &server, 300 * KOLK_MS_NS));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_DIAL_TIMEOUT);
	wire_close(&w);
	name_server_close(&server);
}

/* ---- names with many addresses: a listener on all of them, that keeps what it accepts */

struct listeners {
	int fd;
	pthread_t thread;
	char address[64];
};

static void *keep(void *arg)
{
	struct listeners *listeners = arg;
	int fd[64], count = 0;

	while (count < 64 && (fd[count] = accept(listeners->fd, NULL, NULL)) >= 0)
		count++;
	while (count > 0)
		close(fd[--count]);
	return NULL;
}

static bool listeners_open(struct listeners *listeners)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	socklen_t size = sizeof here;

	listeners->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!CHECK(bind(listeners->fd, (struct sockaddr *)&here, size) == 0 &&
		   listen(listeners->fd, 64) == 0 &&
		   getsockname(listeners->fd, (struct sockaddr *)&here, &size) == 0))
		return false;
	snprintf(listeners->address, sizeof listeners->address, "many.test:%u", ntohs(here.sin_port));
	return CHECK(pthread_create(&listeners->thread, NULL, keep, listeners) == 0);
}

static void many(struct name_server *server, uint32_t from, uint32_t count, uint32_t shift,
		 uint32_t part)
{
	pthread_mutex_lock(&server->lock);
	server->count = count;
	server->shift = shift;
	server->part = part;
	for (uint32_t i = 0; i < count; i++)
		server->address[i] = htonl(INADDR_LOOPBACK + from + i);
	server->ttl_s = 1;
	pthread_mutex_unlock(&server->lock);
}

static bool many_pool(struct wire *w, const struct listeners *listeners,
		      const struct name_server *server)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.address = listeners->address;
	o.name_servers = server->where;
	o.idle_min = 4;
	o.connections_max = 8;
	return wire_engine(w, NULL) && wire_pool(w, &o) &&
	       CHECK_ERR(kolk_key_warm(w->key, kolk_in_ms(5000)), KOLK_OK);
}

static void listener_close(struct listeners *listeners, struct name_server *server, struct wire *w)
{
	wire_close(w);
	(void)shutdown(listeners->fd, SHUT_RDWR);
	pthread_join(listeners->thread, NULL);
	close(listeners->fd);
	name_server_close(server);
}

/* Twelve of them in each answer, rotating: none is gone. Then all of them are. */
static void many_addresses(void)
{
	struct name_server server;
	struct listeners listeners;
	struct wire w = { 0 };

	if (!wire_has_time())
		return;
	MUST(name_server_open(&server) && listeners_open(&listeners));
	many(&server, 1, 12, 1, 0);
	MUST(many_pool(&w, &listeners, &server));
	CHECK(NEVER_MS(5000, wire_stats(w.pool).destroyed[KOLK_REASON_NAME_CHANGED] > 0));
	name_server_answers(&server, 1, "127.0.0.1", "127.0.0.1", 1);
	CHECK(WITHIN_MS(8000, wire_stats(w.pool).destroyed[KOLK_REASON_NAME_CHANGED] == 4));
	CHECK(WITHIN_MS(3000, wire_stats(w.pool).idle == 4));
	listener_close(&listeners, &server, &w);
}

/* One of twelve is taken out: its connections go, and those that follow stay. */
static void one_of_many(void)
{
	struct name_server server;
	struct listeners listeners;
	struct wire w = { 0 };

	if (!wire_has_time())
		return;
	MUST(name_server_open(&server) && listeners_open(&listeners));
	many(&server, 1, 12, 0, 0);
	MUST(many_pool(&w, &listeners, &server)); /* all to the first */
	many(&server, 2, 11, 1, 0);
	CHECK(WITHIN_MS(8000, wire_stats(w.pool).destroyed[KOLK_REASON_NAME_CHANGED] == 4));
	CHECK(NEVER_MS(4000, wire_stats(w.pool).destroyed[KOLK_REASON_NAME_CHANGED] > 4));
	listener_close(&listeners, &server, &w);
}

/* Four of twelve in each answer: once that has been noticed, nothing more is gone. */
static void parts_of_many(void)
{
	struct name_server server;
	struct listeners listeners;
	struct wire w = { 0 };
	uint64_t gone;

	if (!wire_has_time())
		return;
	MUST(name_server_open(&server) && listeners_open(&listeners));
	many(&server, 1, 12, 4, 4);
	MUST(many_pool(&w, &listeners, &server));
	usleep(5500000);
	gone = wire_stats(w.pool).destroyed[KOLK_REASON_NAME_CHANGED];
	CHECK(NEVER_MS(6000, wire_stats(w.pool).destroyed[KOLK_REASON_NAME_CHANGED] > gone));
	listener_close(&listeners, &server, &w);
}

static const struct tap_test tests[] = {
	{ "an answer is kept for its time", kept_for_its_time },
	{ "an answer that is too old serves while a new one is fetched", stale_is_used },
	{ "there is no such name, then there is", no_such_name },
	{ "a name server that is silent", silent_server },
	{ "addresses race", addresses_race },
	{ "a family that is lost is not waited for", one_family_is_lost },
	{ "a family that is the only one is", both_are_lost },
	{ "a name with many addresses", many_addresses },
	{ "a name that loses one of many addresses", one_of_many },
	{ "a name of which each answer is a part", parts_of_many },
	{ "a name that moves takes its connections along", name_moves },
};
TAP_TESTS(name, tests);
