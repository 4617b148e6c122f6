/* SPDX-License-Identifier: Apache-2.0 */
/* draws_test.c - draws.c: pools that draw from others are counted apart, and drain first. */
#include "tests/unit/learn.h"

#include "core/pool.h"

#include <string.h>

enum { SESSIONS = 100, CONNECTIONS = 4 };

/* A session takes a connection of the other pool to be made, and one to be ended. */
struct server {
	struct fixture *fix;
	struct kolk_pool *connections, *sessions;
	int waiting, made, refused, ended, closing, closing_max;
};

struct step {
	struct kolk_acquire acquire;
	struct kolk_timer timer;
	struct kolk_lease lease;
	struct kolk_resource_op *op;
	struct server *server;
	bool destroy;
};

static void answered(struct kolk_timer *timer, void *user)
{
	struct step *step = user;

	(void)timer;
	assert_int_equal(kolk_release(&step->lease), KOLK_OK);
	if (step->destroy) {
		step->server->closing--;
		step->server->ended++;
		kolk_resource_done(step->op);
	} else {
		step->server->made++;
		kolk_resource_created(step->op, step->server);
	}
}

static void connected(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct step *step = user;
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct fixture *fix = step->server->fix;

	step->server->waiting--;
	if (err != KOLK_OK) {
		step->server->refused++;
		step->server->closing -= step->destroy;
		failure.err = err;
		kolk_resource_failed(step->op, &failure);
		return;
	}
	step->lease = *lease;
	assert_int_equal(kolk_timer_start(kolk_engine_loop(fix->engine, 0), &step->timer,
					  kolk__sim_now(fix->sim) + KOLK_MS_NS, answered, step),
			 KOLK_OK);
}

static void connect_for(struct server *server, struct kolk_resource_op *op, bool destroy)
{
	struct step *step = kolk_resource_op_memory(op);
	struct fixture *fix = server->fix;
	enum kolk_err err;

	step->op = op;
	step->server = server;
	step->destroy = destroy;
	server->waiting++;
	err = kolk_acquire_async(kolk_engine_loop(fix->engine, 0), kolk_pool_key(server->connections),
				 kolk_resource_op_deadline(op), &step->acquire, connected, step);
	if (err != KOLK_PENDING)
		connected(step, err, &step->acquire.lease);
}

static void begin_create(void *user, struct kolk_resource_op *op,
			 const struct kolk_resource_request *request)
{
	(void)request;
	connect_for(user, op, false);
}

static void begin_destroy(void *user, struct kolk_resource_op *op, void *resource)
{
	struct server *server = user;

	assert_ptr_equal(resource, server);
	if (++server->closing > server->closing_max)
		server->closing_max = server->closing;
	connect_for(server, op, true);
}

static const struct kolk_resource_driver driver = {
	.size = sizeof driver, .op_bytes = sizeof(struct step), .name = "session",
	.begin_create = begin_create, .begin_destroy = begin_destroy,
};

static struct kolk_pool_options sessions(struct server *server)
{
	static const char *const names[] = { "connections", NULL };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = "sessions";
	o.resource = &driver;
	o.driver_user = server;
	o.draws_from = names;
	o.connections_max = SESSIONS;
	o.dials_max = SESSIONS;
	o.idle_min = KOLK_NONE;
	o.closes_max = 3;
	return o;
}

/* An engine whose connections are all of one small pool. */
static void open_both(struct fixture *fix, struct server *server)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	assert_int_equal(kolk_engine_destroy(fix->engine), KOLK_OK);
	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.connections_max = CONNECTIONS;
	e.resources_max = SESSIONS;
	e.tenant_connections_max = SESSIONS;
	e.dials_max = SESSIONS;
	e.sys = kolk__sim_sys(fix->sim);
	assert_int_equal(kolk_engine_create(&e, &fix->engine), KOLK_OK);
	*server = (struct server){ .fix = fix };
	o.name = "connections";
	o.address = "192.0.2.1:7";
	o.connections_max = CONNECTIONS;
	server->connections = pool_of(fix, &o);
	o = sessions(server);
	server->sessions = pool_of(fix, &o);
}

/* Each that is being made waits for a connection, and holds no permit that a connection needs. Of
 * one class, the sessions alone would be more than the engine's limit. */
static void a_hundred_over_four(void **state)
{
	static struct caller callers[SESSIONS];
	struct fixture *fix = *state;
	static struct server server; /* the pool outlives the test */

	open_both(fix, &server);
	for (int i = 0; i < SESSIONS; i++)
		assert_int_equal(begin(fix, &callers[i], kolk_pool_key(server.sessions), KOLK_S_NS),
				 KOLK_PENDING);
	for (int i = 0; i < 1000 && server.made < SESSIONS; i++) {
		fixture_run(fix, KOLK_MS_NS);
		assert_int_equal(kolk_check(fix->engine, NULL), KOLK_OK);
		assert_true(stats_of(server.connections).open <= CONNECTIONS);
	}
	fixture_run(fix, KOLK_MS_NS);
	assert_int_equal(server.made, SESSIONS);
	assert_int_equal(server.refused, 0);
	assert_int_equal(stats_of(server.sessions).open, SESSIONS);
	assert_int_equal(stats_of(server.connections).destroyed[KOLK_REASON_ROOM], 0);
	for (int i = 0; i < SESSIONS; i++) {
		assert_int_equal(callers[i].err, KOLK_OK);
		assert_int_equal(kolk_release(&callers[i].lease), KOLK_OK);
	}
	/* Neither makes room for the other. */
	fixture_run(fix, 2 * KOLK_S_NS);
	assert_int_equal(stats_of(server.sessions).destroyed[KOLK_REASON_ROOM], 0);
}

static void make_ten(struct server *server)
{
	static struct caller callers[10];
	struct fixture *fix = server->fix;

	for (int i = 0; i < 10; i++)
		assert_int_equal(begin(fix, &callers[i], kolk_pool_key(server->sessions), KOLK_S_NS),
				 KOLK_PENDING);
	fixture_run(fix, 50 * KOLK_MS_NS);
	for (int i = 0; i < 10; i++)
		assert_int_equal(kolk_release(&callers[i].lease), KOLK_OK);
	assert_int_equal(stats_of(server->sessions).idle, 10);
}

/* What they draw from serves until the last of them is ended. */
static void dependants_end_first(void **state)
{
	struct fixture *fix = *state;
	static struct server server; /* the pool outlives the test */

	open_both(fix, &server);
	make_ten(&server);
	assert_int_equal(kolk_pool_drain(server.connections, KOLK_FOREVER), KOLK_OK);
	assert_true(info_of(server.sessions).draining);
	assert_false(info_of(server.connections).draining);
	for (int i = 0; i < 1000 && !kolk_pool_is_closed(server.connections); i++) {
		fixture_run(fix, 100 * KOLK_US_NS);
		assert_int_equal(kolk_check(fix->engine, NULL), KOLK_OK);
	}
	assert_true(kolk_pool_is_closed(server.sessions));
	assert_true(kolk_pool_is_closed(server.connections));
	assert_int_equal(server.ended, 10);
	assert_int_equal(server.refused, 0);
	assert_int_equal(server.closing_max, 3);
}

/* The engine ends them in the same order, though it gives leases no time. */
static void the_engine_ends_them_first(void **state)
{
	struct fixture *fix = *state;
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	static struct server server; /* the pool outlives the test */

	open_both(fix, &server);
	make_ten(&server);
	assert_int_equal(kolk_engine_destroy(fix->engine), KOLK_OK);
	assert_int_equal(server.ended, 10);
	assert_int_equal(server.refused, 0);
	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.sys = kolk__sim_sys(fix->sim);
	assert_int_equal(kolk_engine_create(&e, &fix->engine), KOLK_OK); /* the fixture's to end */
}

/* A session that stays leased: at the deadline it is waited for no more. */
static void until_the_deadline(void **state)
{
	struct fixture *fix = *state;
	static struct server server; /* the pool outlives the test */
	struct caller caller;

	open_both(fix, &server);
	assert_int_equal(begin(fix, &caller, kolk_pool_key(server.sessions), KOLK_S_NS), KOLK_PENDING);
	fixture_run(fix, 50 * KOLK_MS_NS);
	assert_int_equal(kolk_pool_drain(server.connections,
					 kolk__sim_now(fix->sim) + 100 * KOLK_MS_NS), KOLK_OK);
	fixture_run(fix, 50 * KOLK_MS_NS);
	assert_false(info_of(server.connections).draining);
	fixture_run(fix, 100 * KOLK_MS_NS);
	assert_true(kolk_pool_is_closed(server.connections));
	assert_false(kolk_pool_is_closed(server.sessions));
	assert_int_equal(kolk_release(&caller.lease), KOLK_OK);
	fixture_run(fix, 50 * KOLK_MS_NS); /* its end finds no connection: it is ended all the same */
	assert_int_equal(server.refused, 1);
	assert_true(kolk_pool_is_closed(server.sessions));
}

/* Suspended and resumed: counted again, and waited for again. */
static void resumed(void **state)
{
	struct fixture *fix = *state;
	static struct server server; /* the pool outlives the test */

	open_both(fix, &server);
	assert_int_equal(kolk_pool_suspend(server.connections, KOLK_FOREVER), KOLK_OK);
	assert_int_equal(kolk_pool_resume(server.connections), KOLK_OK); /* before it began */
	fixture_run(fix, 50 * KOLK_MS_NS);
	assert_true(kolk_pool_is_closed(server.sessions));
	assert_false(kolk_pool_is_closed(server.connections));
	assert_int_equal(kolk_pool_resume(server.sessions), KOLK_OK);
	make_ten(&server);
	assert_int_equal(kolk_pool_suspend(server.connections, KOLK_FOREVER), KOLK_OK);
	fixture_run(fix, 50 * KOLK_MS_NS);
	assert_int_equal(server.ended, 10);
	assert_int_equal(server.refused, 0);
	assert_true(kolk_pool_is_closed(server.connections));
	assert_int_equal(kolk_pool_close(server.connections, KOLK_FOREVER), KOLK_OK);
	assert_int_equal(kolk_pool_resume(server.sessions), KOLK_OK); /* it draws from nothing now */
}

static enum kolk_err add(struct fixture *fix, struct server *server, const char *const *names,
			 const char **field)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool_options o = sessions(server);
	struct kolk_pool *pool;
	enum kolk_err err;

	o.name = "others";
	o.draws_from = names;
	o.failure = &failure;
	err = kolk_pool_add(fix->engine, &o, &pool);
	*field = failure.field != NULL ? failure.field : "";
	return err;
}

/* As long, and what kolk_check finds on the way. */
static void run_checked(struct fixture *fix, uint64_t ns)
{
	const char *law = NULL;

	for (uint64_t at = 0; at < ns; at += 250 * KOLK_US_NS) {
		if (kolk_check(fix->engine, &law) != KOLK_OK)
			fail_msg("broken: %s", law);
		fixture_run(fix, 250 * KOLK_US_NS);
	}
}

/* While a session is made, used, ended; while what it draws from waits for it, drains, is closed. */
static void the_laws_hold(void **state)
{
	struct fixture *fix = *state;
	static struct server server; /* the pool outlives the test */
	struct caller callers[6];

	open_both(fix, &server);
	for (int i = 0; i < 6; i++)
		assert_int_equal(begin(fix, &callers[i], kolk_pool_key(server.sessions), KOLK_S_NS),
				 KOLK_PENDING);
	run_checked(fix, 50 * KOLK_MS_NS);
	assert_int_equal(server.made, 6);
	assert_int_equal(kolk_pool_suspend(server.connections,
					   kolk__sim_now(fix->sim) + 100 * KOLK_MS_NS), KOLK_OK);
	run_checked(fix, 10 * KOLK_MS_NS);
	assert_int_equal(kolk_pool_resume(server.connections), KOLK_OK);
	run_checked(fix, 200 * KOLK_MS_NS);
	assert_false(info_of(server.connections).draining);
	assert_int_equal(kolk_pool_drain(server.connections,
					 kolk__sim_now(fix->sim) + 100 * KOLK_MS_NS), KOLK_OK);
	for (int i = 0; i < 5; i++) {
		run_checked(fix, 10 * KOLK_MS_NS);
		assert_int_equal(kolk_release(&callers[i].lease), KOLK_OK);
	}
	run_checked(fix, 100 * KOLK_MS_NS);
	assert_true(kolk_pool_is_closed(server.connections));
	assert_int_equal(kolk_release(&callers[5].lease), KOLK_OK);
	run_checked(fix, 50 * KOLK_MS_NS);
	assert_true(kolk_pool_is_closed(server.sessions));
	assert_int_equal(server.ended, 5);
	assert_int_equal(kolk_pool_resume(server.sessions), KOLK_OK);
	assert_int_equal(kolk_pool_resume(server.connections), KOLK_OK);
	run_checked(fix, KOLK_MS_NS);
}

static void must_break(struct fixture *fix, const char *expected)
{
	const char *law = "";

	assert_int_equal(kolk_check(fix->engine, &law), KOLK_E_IN_USE);
	assert_string_equal(law, expected);
}

/* Waits that would never end are found. */
static void broken_laws_are_found(void **state)
{
	struct fixture *fix = *state;
	static struct server server; /* the pool outlives the test */

	open_both(fix, &server);
	server.sessions->drain_waits = true;
	must_break(fix, "a pool that waits to drain is drawn from");
	server.sessions->drain_waits = false;
	assert_int_equal(kolk_check(fix->engine, NULL), KOLK_OK);
	kolk__alarm_arm(fix->engine, &server.connections->drain_alarm, KOLK_S_NS * 1000);
	must_break(fix, "only the alarm of a pool that drains, or is to, is armed");
	kolk__alarm_disarm(fix->engine, &server.connections->drain_alarm);
	assert_int_equal(kolk_check(fix->engine, NULL), KOLK_OK);
	server.connections->dependants++;
	must_break(fix, "pool.dependants == pools that draw from it and are not closed");
	server.connections->dependants--;
	assert_int_equal(kolk_pool_drain(server.sessions, KOLK_FOREVER), KOLK_OK);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_true(kolk_pool_is_closed(server.sessions));
	server.sessions->drain_waits = true;
	must_break(fix, "only an open pool waits to drain");
	server.sessions->drain_waits = false;
}

/* Itself, a pool that draws, one that is not there, one twice, none, too many. */
static void slips(void **state)
{
	static const char *const lists[][10] = {
		{ "others", NULL }, { "sessions", NULL }, { "nowhere", NULL },
		{ "connections", "connections", NULL }, { NULL },
		{ "a", "b", "c", "d", "e", "f", "g", "h", "i", NULL },
	};
	static const char *const good[] = { "connections", NULL };
	struct fixture *fix = *state;
	struct kolk_pool_options o;
	static struct server server; /* the pool outlives the test */
	const char *field;

	open_both(fix, &server);
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		assert_int_equal(add(fix, &server, lists[i], &field), KOLK_E_OPTIONS);
		assert_string_equal(field, "draws_from");
	}
	o = sessions(&server);
	assert_int_equal(kolk_pool_update(server.sessions, &o), KOLK_OK);
	o.draws_from = NULL;
	assert_int_equal(kolk_pool_update(server.sessions, &o), KOLK_E_OPTIONS);
	assert_int_equal(kolk_pool_drain(server.connections, KOLK_FOREVER), KOLK_OK);
	assert_int_equal(add(fix, &server, good, &field), KOLK_E_DRAINING);
}

static const struct CMUnitTest tests[] = {
	T(a_hundred_over_four), T(dependants_end_first), T(the_engine_ends_them_first),
	T(until_the_deadline),	T(resumed),		 T(the_laws_hold),
	T(broken_laws_are_found), T(slips),
};

CMOCKA_TESTS(draws, tests);
