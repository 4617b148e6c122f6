/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_status_test.c - the API of MCP pools, byte for byte: files in golden, on a clock of the test. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kolk/sys/sys.h>

#include "tests/kit/tap.h"
#include "tests/ops/admin_bench.h"

enum { THINGS = 8 };

#define START_MS UINT64_C(1795262400000) /* 2026-11-21T12:00:00Z */
#define MINUTE_NS (60 * KOLK_S_NS)

static uint64_t clock_ns; /* 0 = the machine's */
static uint64_t tick_ns;  /* each look at it; 0 = it stands still */

uint64_t __real_kolk__wall_ms(void);
uint64_t __wrap_kolk__wall_ms(void);
uint64_t __wrap_kolk__wall_ms(void)
{
	return clock_ns == 0 ? __real_kolk__wall_ms() : START_MS + clock_ns / KOLK_MS_NS;
}

static uint64_t now_ns(void *context)
{
	(void)context;
	clock_ns += tick_ns;
	return clock_ns;
}

/* The secret of the engine's digests. */
static void random_bytes(void *context, void *bytes, size_t size)
{
	(void)context;
	memset(bytes, 0x2a, size);
}

struct fixture {
	struct admin_bench bench; /* its engine and server alone */
	struct kolk_sys sys;
	struct kolk_loop *loop;
	struct kolk_acquire call;
	struct kolk_lease lease;
	int leased;
};

static enum kolk_err thing_create(void *user, void **thing)
{
	*thing = user;
	return KOLK_OK;
}

static void thing_destroy(void *user, void *thing)
{
	(void)user;
	(void)thing;
}

static const struct kolk_resource_driver things = { .size = sizeof things, .name = "thing",
						    .create = thing_create,
						    .destroy = thing_destroy };

static void step(struct fixture *fixture)
{
	for (int i = 0; i < 20; i++) {
		assert_int_equal(kolk_loop_step(fixture->loop, 0), KOLK_OK);
		(void)kolk_engine_maintain(fixture->bench.engine);
	}
}

static int fixture_open(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);

	tick_ns = 0;
	clock_ns = KOLK_S_NS;
	fixture->sys = *kolk_sys_linux();
	fixture->sys.now_ns = now_ns;
	fixture->sys.random_bytes = random_bytes;
	fixture->sys.thread_start = NULL;
	e.sys = &fixture->sys;
	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.connections_max = 200;
	e.resources_max = 100;
	e.maintenance_interval_ns = 5 * MINUTE_NS;
	e.backend = KOLK_BACKEND_EPOLL;
	assert_int_equal(kolk_engine_create(&e, &fixture->bench.engine), KOLK_OK);
	fixture->loop = kolk_engine_loop(fixture->bench.engine, 0);
	fixture->bench.server = (struct kolk__admin_server){ .engine = fixture->bench.engine };
	*state = fixture;
	return 0;
}

static int fixture_close(void **state)
{
	struct fixture *fixture = *state;

	json_decref(fixture->bench.json);
	free(fixture->bench.response.owned);
	kolk__latencies_free(&fixture->bench.server.trend.latencies);
	tick_ns = KOLK_MS_NS; /* leases that a failed test left are waited for */
	assert_int_equal(kolk_engine_destroy(fixture->bench.engine), KOLK_OK);
	clock_ns = tick_ns = 0;
	free(fixture);
	return 0;
}

static void pool_add(struct fixture *fixture, const char *name, const char *from)
{
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	const char *const draws_from[] = { from, NULL };
	struct kolk_pool *pool;

	p.name = name;
	p.resource = &things;
	p.draws_from = from != NULL ? draws_from : NULL;
	p.isolation = KOLK_ISOLATION_SESSION;
	p.connections_max = THINGS;
	p.idle_min = KOLK_NONE;
	p.idle_timeout_ns = 30 * MINUTE_NS;
	assert_int_equal(kolk_pool_add(fixture->bench.engine, &p, &pool), KOLK_OK);
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct fixture *fixture = user;

	assert_int_equal(err, KOLK_OK);
	fixture->lease = *lease;
	fixture->leased++;
}

static struct kolk_lease take(struct fixture *fixture, const char *pool, const char *tenant,
			      const char *credential)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	int before = fixture->leased;
	struct kolk_key *key;
	enum kolk_err err;

	o.tenant = o.session = tenant;
	o.credential = credential;
	o.credential_size = credential != NULL ? (uint32_t)strlen(credential) : 0;
	assert_int_equal(kolk_key_open(kolk_pool_find(fixture->bench.engine, pool), &o, &key),
			 KOLK_OK);
	err = kolk_acquire_async(fixture->loop, key, KOLK_FOREVER, &fixture->call, on_lease,
				 fixture);
	if (err == KOLK_OK)
		on_lease(fixture, KOLK_OK, &fixture->call.lease);
	for (int i = 0; i < 25000 && fixture->leased == before; i++) {
		step(fixture);
		tap_nap(); /* a worker makes it */
	}
	assert_int_equal(fixture->leased, before + 1);
	kolk_key_close(key);
	return fixture->lease;
}

static void use(struct fixture *fixture, const char *pool, const char *tenant,
		const char *credential)
{
	struct kolk_lease lease = take(fixture, pool, tenant, credential);

	assert_int_equal(kolk_release(&lease), KOLK_OK);
	step(fixture);
}

/* The last answer is what the file has, but for the newline at its end. */
static void assert_golden(const struct fixture *fixture, const char *name)
{
	char path[512], text[8192];
	size_t size;
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/golden/%s.json", OPS_TEST_FILES, name);
	file = fopen(path, "r");
	assert_non_null(file);
	size = fread(text, 1, sizeof text - 1, file);
	(void)fclose(file);
	assert_true(size > 0 && text[size - 1] == '\n');
	text[size - 1] = 0;
	assert_string_equal(fixture->bench.response.body, text);
}

static void answers_are(struct fixture *fixture, const char *kind)
{
	char name[64];

	assert_int_equal(admin_get(&fixture->bench, "/api/mcp/pool-status"), 200);
	(void)snprintf(name, sizeof name, "pool-status-%s", kind);
	assert_golden(fixture, name);
	assert_int_equal(admin_send(&fixture->bench, "POST", "/api/mcp/cleanup-connections", ""),
			 200);
	(void)snprintf(name, sizeof name, "cleanup-connections-%s", kind);
	assert_golden(fixture, name);
}

/* Two users of a server, one with two credentials; one connection is leased. */
static void be_used(struct fixture *fixture, const char *pool)
{
	struct kolk_lease lease;

	use(fixture, pool, "alice", "token one");
	clock_ns += 2 * MINUTE_NS + 250 * KOLK_MS_NS;
	use(fixture, pool, "bob", NULL);
	clock_ns += 90 * KOLK_S_NS;
	lease = take(fixture, pool, "carol", "token one");
	clock_ns += 10 * KOLK_S_NS;
	step(fixture);
	answers_are(fixture, strchr(pool, '.') != NULL ? "sessions" : "connections");
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	step(fixture);
}

static void connections_are_shown_as_mcp_pools_show_them(void **state)
{
	struct fixture *fixture = *state;

	pool_add(fixture, "github", NULL);
	be_used(fixture, "github");
}

/* The connections that sessions are made of are neither shown nor closed while there are sessions. */
static void sessions_are_shown_instead_of_their_connections(void **state)
{
	struct fixture *fixture = *state;
	struct kolk_pool *pool;

	pool_add(fixture, "github", NULL);
	pool_add(fixture, "github.mcp", "github");
	use(fixture, "github", "alice", NULL);
	assert_int_equal(admin_get(&fixture->bench, "/api/mcp/pool-status"), 200);
	assert_int_equal(admin_number(json_object_get(fixture->bench.json, "data"),
				      "totalConnections"), 1);
	be_used(fixture, "github.mcp");
	pool = kolk_pool_find(fixture->bench.engine, "github");
	assert_int_equal(kolk_pool_clear(pool), 1);
}

static void two_credentials_differ(void **state)
{
	struct fixture *fixture = *state;
	struct kolk_lease leases[2];
	const json_t *list, *one, *two;

	pool_add(fixture, "github", NULL);
	leases[0] = take(fixture, "github", "alice", "token one");
	leases[1] = take(fixture, "github", "alice", "token two");
	assert_int_equal(admin_get(&fixture->bench, "/api/mcp/pool-status"), 200);
	list = json_object_get(json_object_get(fixture->bench.json, "data"), "connectionDetails");
	assert_int_equal(json_array_size(list), 2);
	one = json_array_get(list, 0);
	two = json_array_get(list, 1);
	assert_int_equal(strlen(admin_text(one, "authHash")), 8);
	assert_string_not_equal(admin_text(one, "authHash"), admin_text(two, "authHash"));
	assert_null(strstr(fixture->bench.response.body, "token"));
	for (int i = 0; i < 2; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
	step(fixture);
}

static void only_what_is_meant_is_cleaned(void **state)
{
	struct fixture *fixture = *state;
	struct admin_bench *bench = &fixture->bench;
	static const char path[] = "/api/mcp/cleanup-connections";

	pool_add(fixture, "github", NULL);
	use(fixture, "github", "alice", NULL);
	clock_ns += MINUTE_NS;
	use(fixture, "github", "bob", NULL);
	assert_int_equal(admin_post(bench, path, "{\"idleMs\":60001}"), 200);
	assert_int_equal(admin_number(json_object_get(bench->json, "data"), "cleanedConnections"),
			 0);
	assert_int_equal(admin_post(bench, path, "{\"user\":\"bob\"}"), 200);
	assert_int_equal(admin_number(json_object_get(bench->json, "data"), "cleanedConnections"),
			 1);
	assert_int_equal(admin_post(bench, path, "{\"idleMs\":60000}"), 200);
	assert_int_equal(admin_number(json_object_get(bench->json, "data"), "cleanedConnections"),
			 1);
	assert_int_equal(admin_post(bench, path, "{\"user\":\"nobody\"}"), 404);
	assert_int_equal(admin_post(bench, path, "{\"pool\":\"github\"}"), 400);
	assert_string_equal(admin_code(bench), "unknown_field");
	assert_int_equal(admin_send(bench, "GET", path, ""), 405);
}

static bool is_open(struct fixture *fixture, const char *pool)
{
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);

	assert_int_equal(kolk_pool_inspect(kolk_pool_find(fixture->bench.engine, pool), &info),
			 KOLK_OK);
	assert_int_equal(info.suspended, info.draining);
	return !info.draining;
}

/* A pool that is drained takes those along that draw from it; so does one that is resumed. */
static void sessions_are_resumed_with_their_connections(void **state)
{
	struct fixture *fixture = *state;

	pool_add(fixture, "server", NULL);
	pool_add(fixture, "server.mcp", "server");
	pool_add(fixture, "server.mcp.once", "server");
	pool_add(fixture, "other", NULL);
	assert_int_equal(admin_post(&fixture->bench, "/api/drain", "{\"pool\":\"server\"}"), 202);
	assert_int_equal(admin_post(&fixture->bench, "/api/drain", "{\"pool\":\"other\"}"), 202);
	step(fixture);
	assert_false(is_open(fixture, "server"));
	assert_false(is_open(fixture, "server.mcp"));
	assert_int_equal(admin_post(&fixture->bench, "/api/resume", "{\"pool\":\"server\"}"), 200);
	step(fixture);
	assert_true(is_open(fixture, "server"));
	assert_true(is_open(fixture, "server.mcp"));
	assert_true(is_open(fixture, "server.mcp.once"));
	assert_false(is_open(fixture, "other"));
}

static void the_token_is_asked_for(void **state)
{
	static const struct kolk__request requests[] = {
		{ .method = "GET", .path = "/api/mcp/pool-status" },
		{ .method = "POST", .path = "/api/mcp/cleanup-connections" },
	};
	struct fixture *fixture = *state;
	struct kolk__admin_server *server = &fixture->bench.server;

	server->has_token = server->tcp = true;
	assert_true(kolk__digest(TOKEN, strlen(TOKEN), server->token_digest));
	for (int i = 0; i < 2; i++) {
		struct kolk__request request = requests[i];

		request.host = "localhost";
		assert_int_equal(admin_ask(&fixture->bench, &request), 401);
		request.authorization = "Bearer another token of thirty-two chars";
		assert_int_equal(admin_ask(&fixture->bench, &request), 401);
		request.authorization = "Bearer " TOKEN;
		assert_int_equal(admin_ask(&fixture->bench, &request), 200);
	}
}

#define GOLDEN(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

static const struct CMUnitTest tests[] = {
	GOLDEN(connections_are_shown_as_mcp_pools_show_them),
	GOLDEN(sessions_are_shown_instead_of_their_connections),
	GOLDEN(two_credentials_differ),
	GOLDEN(only_what_is_meant_is_cleaned),
	GOLDEN(sessions_are_resumed_with_their_connections),
	GOLDEN(the_token_is_asked_for),
};

CMOCKA_TESTS(mcp_status, tests);
