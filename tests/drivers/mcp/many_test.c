/* SPDX-License-Identifier: Apache-2.0 */
/* Thousands of calls of one session under way: each gets its own answer, and the youngest does not pay for
 * the others. Thousands of tenants: nor does one for other tenants. */
#include <kolk/mcp_local.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"

enum { MANY = 10000, ROUNDS = 100 };

/* A tool's name is its answer. A number waits until "all" is called: then the youngest is answered first. */
struct server {
	char ids[MANY][24];
};

static void answer(struct kolk_mcp_local *local, const char *id, const char *json)
{
	struct kolk_mcp_result own = KOLK_INIT(kolk_mcp_result);

	own.result = json;
	own.result_size = strlen(json);
	assert_int_equal(kolk_mcp_local_answer(local, id, strlen(id), &own), KOLK_OK);
}

static void answer_all(struct server *server, struct kolk_mcp_local *local)
{
	char text[16];

	for (int i = MANY; i-- > 0;) {
		snprintf(text, sizeof text, "\"%d\"", i);
		if (server->ids[i][0] != '\0')
			answer(local, server->ids[i], text);
	}
}

static void on_message(void *user, struct kolk_mcp_local *local,
		       const struct kolk_mcp_envelope *envelope, const struct kolk_mcp_part *text)
{
	struct server *server = user;
	char id[24], name[16];

	(void)text;
	snprintf(id, sizeof id, "%.*s", (int)envelope->id.size, envelope->id.data);
	snprintf(name, sizeof name, "%.*s", (int)envelope->name.size, envelope->name.data);
	if (strcmp(envelope->method, "initialize") == 0) {
		answer(local, id, "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},"
				  "\"serverInfo\":{\"name\":\"here\",\"version\":\"1\"}}");
	} else if (strcmp(envelope->method, "tools/call") == 0) {
		if (strcmp(name, "\"all\"") == 0)
			answer_all(server, local);
		if (name[1] >= '0' && name[1] <= '9')
			strcpy(server->ids[atoi(name + 1)], id);
		else
			answer(local, id, name);
	}
}

struct held {
	struct tracked call;
	char params[32], expected[16];
};

struct beside {
	struct kolk_mcp_client *client;
	struct held *held;
	int from, to;
	uint64_t cpu_ns;
};

static void hold(void *user)
{
	struct beside *beside = user;

	for (int i = beside->from; i < beside->to; i++) {
		struct held *held = &beside->held[i];

		snprintf(held->params, sizeof held->params, "{\"name\":\"%d\"}", i);
		snprintf(held->expected, sizeof held->expected, "\"%d\"", i);
		held->call = (struct tracked){ .client = beside->client, .method = "tools/call",
					       .params = held->params, .deadline_ns = KOLK_FOREVER };
		tracked_start(&held->call);
	}
}

static void read_cpu_time(void *user)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	*(uint64_t *)user = (uint64_t)now.tv_sec * KOLK_S_NS + (uint64_t)now.tv_nsec;
}

static void call_tool(struct kolk_mcp_client *client, struct kolk_loop *loop, const char *params,
		      const char *expected)
{
	struct tracked call = { .client = client, .method = "tools/call", .params = params,
				.deadline_ns = KOLK_FOREVER };

	place_on_loop(loop, tracked_start, &call);
	tracked_wait(&call);
	assert_int_equal(call.result.err, KOLK_OK);
	assert_string_equal(call.text, expected);
}

/* CPU time of the loop for the youngest of so many. */
static void measure(struct place *place, struct beside *beside, int count)
{
	uint64_t begin_ns, end_ns;

	beside->to = count;
	place_on_loop(place->loop, hold, beside);
	beside->from = count;
	call_tool(beside->client, place->loop, "{\"name\":\"now\"}", "\"now\"");
	place_on_loop(place->loop, read_cpu_time, &begin_ns);
	for (int i = 0; i < ROUNDS; i++)
		call_tool(beside->client, place->loop, "{\"name\":\"now\"}", "\"now\"");
	place_on_loop(place->loop, read_cpu_time, &end_ns);
	print_message("beside %d: %.1f us\n", count, (double)(end_ns - begin_ns) / 1e3 / ROUNDS);
}

static void each_gets_its_own_answer(void **state)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_mcp_options options = KOLK_INIT(kolk_mcp_options);
	struct server *server = calloc(1, sizeof *server);
	struct beside beside = { .held = calloc(MANY, sizeof *beside.held) };
	struct kolk_mcp_server functions = { .size = sizeof functions, .user = server,
					     .message = on_message };
	struct place place = { .server = NULL };

	(void)state;
	engine.resources_max = 10;
	assert_int_equal(kolk_engine_create(&engine, &place.engine), KOLK_OK);
	assert_int_equal(kolk_mcp_local_open(place.engine, &functions, &options, &place.mcp), KOLK_OK);
	place.loop = kolk_engine_loop(place.engine, 0);
	beside.client = place_client(&place, "alice", NULL);
	for (int count = 10; count <= MANY; count *= 10)
		measure(&place, &beside, count);
	call_tool(beside.client, place.loop, "{\"name\":\"all\"}", "\"all\"");
	for (int i = 0; i < MANY; i++) {
		tracked_wait(&beside.held[i].call);
		assert_int_equal(beside.held[i].call.result.err, KOLK_OK);
		assert_string_equal(beside.held[i].call.text, beside.held[i].expected);
	}
	place_client_close(&place, beside.client);
	assert_int_equal(kolk_mcp_close(place.mcp, kolk_in_ms(10000)), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(place.engine), KOLK_OK);
	free(beside.held);
	free(server);
}

/* ---- thousands of tenants */

enum { TENANTS = 3000 };

struct tenants {
	struct place place;
	struct kolk_mcp_client *clients[TENANTS], *seconds[TENANTS];
};

static struct kolk_mcp_client *client_of(struct tenants *tenants, int i)
{
	char tenant[32];

	snprintf(tenant, sizeof tenant, "tenant%d", i);
	return place_client(&tenants->place, tenant, NULL);
}

static uint64_t sessions_of(const struct tenants *tenants)
{
	struct kolk_stats stats = place_sessions(&tenants->place);

	return stats.created;
}

/* CPU time of the loop for the first call of each of so many. */
static void first_calls(struct tenants *tenants, struct kolk_mcp_client **clients, int from, int to)
{
	uint64_t begin_ns, end_ns;

	place_on_loop(tenants->place.loop, read_cpu_time, &begin_ns);
	for (int i = from; i < to; i++) {
		clients[i] = client_of(tenants, i);
		call_tool(clients[i], tenants->place.loop, "{\"name\":\"now\"}", "\"now\"");
	}
	place_on_loop(tenants->place.loop, read_cpu_time, &end_ns);
	print_message("tenants %d to %d: %.1f us\n", from, to,
		      (double)(end_ns - begin_ns) / 1e3 / (to - from));
}

/* Two clients of one share its session. */
static void each_tenant_has_its_own_session(void **state)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_mcp_options options = KOLK_INIT(kolk_mcp_options);
	struct kolk_mcp_server functions = { .size = sizeof functions, .message = on_message };
	struct tenants *tenants = calloc(1, sizeof *tenants);
	struct place *place = &tenants->place;

	(void)state;
	functions.user = calloc(1, sizeof(struct server));
	engine.connections_max = engine.resources_max = TENANTS;
	options.isolation = KOLK_MCP_ISOLATION_TENANT;
	options.sharing = KOLK_MCP_MULTIPLEXED;
	assert_int_equal(kolk_engine_create(&engine, &place->engine), KOLK_OK);
	assert_int_equal(kolk_mcp_local_open(place->engine, &functions, &options, &place->mcp), KOLK_OK);
	place->loop = kolk_engine_loop(place->engine, 0);
	for (int i = 0; i < TENANTS; i += TENANTS / 3)
		first_calls(tenants, tenants->clients, i, i + TENANTS / 3);
	assert_int_equal(sessions_of(tenants), TENANTS);
	first_calls(tenants, tenants->seconds, 0, TENANTS);
	assert_int_equal(sessions_of(tenants), TENANTS);
	for (int i = 0; i < TENANTS; i++) {
		place_client_close(place, tenants->clients[i]);
		place_client_close(place, tenants->seconds[i]);
	}
	assert_int_equal(kolk_mcp_close(place->mcp, kolk_in_ms(10000)), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(place->engine), KOLK_OK);
	free(functions.user);
	free(tenants);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(each_gets_its_own_answer),
	cmocka_unit_test(each_tenant_has_its_own_session),
};
CMOCKA_TESTS(mcp_many, tests);
