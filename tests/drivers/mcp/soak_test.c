/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that come and go on two loops, calls that are cancelled at random instants, sessions that
 * are lost, over each transport: each answer is its caller's, and nothing is left. */
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/drivers/mcp/place.h"
#include "tests/drivers/mcp/ws_server.h"
#include "tests/kit/cmocka/run.h"

enum { SEATS = 16 }; /* per loop */

uint32_t soak_calls = 60;

struct seat {
	struct crowd *crowd;
	struct kolk_loop *loop;
	struct kolk_mcp_client *client;
	struct kolk_mcp_call *call;
	struct kolk_timer timer;
	unsigned seed;
	int number;
	uint32_t calls;
	char nonce[32];
};

struct crowd {
	struct place *place;
	struct seat seats[2 * SEATS];
	kolk__atomic_u32 answered, cancelled, foreign;
	sem_t done;
};

static void next(struct seat *seat);

static void open_client(struct seat *seat)
{
	struct kolk_mcp_client_options options = KOLK_INIT(kolk_mcp_client_options);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	char tenant[16];

	snprintf(tenant, sizeof tenant, "t%d", seat->number % 4);
	who.tenant = tenant;
	options.who = &who;
	if (kolk_mcp_client_open(seat->crowd->place->mcp, seat->loop, &options, &seat->client) !=
	    KOLK_OK)
		abort();
}

static void on_timer(struct kolk_timer *timer, void *user)
{
	struct seat *seat = user;

	(void)timer;
	if (seat->call == NULL) {
		next(seat);
	} else {
		kolk__add_acq_rel(&seat->crowd->cancelled, 1);
		kolk_mcp_cancel(seat->call);
	}
}

static void on_end(void *user, struct kolk_mcp_call *call, const struct kolk_mcp_result *result)
{
	struct seat *seat = user;
	char text[2048];

	(void)call;
	seat->call = NULL;
	kolk_timer_stop(&seat->timer);
	if (result->err == KOLK_OK) {
		snprintf(text, sizeof text, "%.*s", (int)result->result_size,
			 (const char *)result->result);
		kolk__add_acq_rel(&seat->crowd->answered, 1);
		if (strstr(text, seat->nonce) == NULL)
			kolk__add_acq_rel(&seat->crowd->foreign, 1);
	}
	if (result->lost || rand_r(&seat->seed) % 8 == 0) {
		kolk_mcp_client_close(seat->client);
		open_client(seat);
	}
	/* the next one from a timer: not deeper and deeper */
	(void)kolk_timer_start(seat->loop, &seat->timer, kolk_in_ns(0), on_timer, seat);
}

static void next(struct seat *seat)
{
	static const struct kolk_mcp_handler handler = { .size = sizeof handler, .end = on_end };
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);
	char params[192];

	if (seat->calls++ == soak_calls) {
		kolk_mcp_client_close(seat->client);
		sem_post(&seat->crowd->done);
		return;
	}
	snprintf(seat->nonce, sizeof seat->nonce, "n-%d-%u-", seat->number, seat->calls);
	snprintf(params, sizeof params,
		 "{\"_meta\":{\"progressToken\":1},\"name\":\"%s\",\"arguments\":{\"ms\":%d,"
		 "\"steps\":2,\"nonce\":\"%s\"}}",
		 rand_r(&seat->seed) % 2 ? "progress" : "slow", rand_r(&seat->seed) % 3,
		 seat->nonce);
	request.method = "tools/call";
	request.params = params;
	request.params_size = strlen(params);
	if (kolk_mcp_start(seat->client, &request, &handler, seat, &seat->call) != KOLK_PENDING)
		abort();
	if (rand_r(&seat->seed) % 3 == 0)
		(void)kolk_timer_start(seat->loop, &seat->timer,
				       kolk_in_us((uint64_t)rand_r(&seat->seed) % 4000), on_timer,
				       seat);
}

static void begin(void *user)
{
	struct seat *seat = user;

	open_client(seat);
	next(seat);
}

/* Everyone's calls at a place that is open. */
static void run(struct place *place)
{
	struct crowd *crowd = calloc(1, sizeof *crowd);
	uint32_t answered, cancelled;

	crowd->place = place;
	sem_init(&crowd->done, 0, 0);
	for (int i = 0; i < 2 * SEATS; i++) {
		struct seat *seat = &crowd->seats[i];

		seat->crowd = crowd;
		seat->number = i;
		seat->seed = (unsigned)i + 7;
		seat->loop = kolk_engine_loop(place->engine, (uint32_t)i % 2);
		place_on_loop(seat->loop, begin, seat);
	}
	for (int i = 0; i < 2 * SEATS; i++)
		while (sem_wait(&crowd->done) != 0)
			;
	sem_destroy(&crowd->done);
	answered = kolk__load_acquire(&crowd->answered);
	cancelled = kolk__load_acquire(&crowd->cancelled);
	printf("# %u calls: %u answered, %u cancelled, %u foreign\n", 2 * SEATS * soak_calls,
	       answered, cancelled, kolk__load_acquire(&crowd->foreign));
	assert_int_equal(kolk__load_acquire(&crowd->foreign), 0);
	assert_true(answered > SEATS * soak_calls / 2);
	assert_true(cancelled > SEATS * soak_calls / 10);
	free(crowd);
}

static void run_http(struct place_options *options)
{
	struct place place;

	place_open(&place, options);
	run(&place);
	assert_int_equal(place_number(&place, MCP_N_duplicate_ids), 0);
	assert_int_equal(place_number(&place, MCP_N_duplicate_tokens), 0);
	place_close(&place);
}

static const uint32_t sharings[] = { KOLK_MCP_BOUND, KOLK_MCP_VIRGIN, KOLK_MCP_EXCLUSIVE,
				     KOLK_MCP_MULTIPLEXED };

static void clients_that_go_at_random(void **state)
{
	(void)state;
	for (int s = 0; s < 4; s++)
		for (int isolation = 0; isolation < 2; isolation++) {
			struct place_options options = {
				.mcp.sharing = sharings[s],
				.mcp.isolation = s < 2 && isolation == 0 ?
							 KOLK_MCP_ISOLATION_SESSION :
							 KOLK_MCP_ISOLATION_TENANT,
			};

			run_http(&options);
		}
}

static void sessions_that_are_lost(void **state)
{
	(void)state;
	for (int s = 0; s < 4; s++) {
		struct place_options options = { .mcp.sharing = sharings[s],
						 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT,
						 .server.lose = 7 };

		run_http(&options);
	}
}

static void streams_that_are_closed(void **state)
{
	struct place_options options = { .mcp.era = KOLK_MCP_MODERN };

	(void)state;
	run_http(&options);
}

static void streams_that_are_sessions(void **state)
{
	(void)state;
	for (int s = 0; s < 4; s++) {
		struct place_options options = { .mcp.transport = KOLK_MCP_HTTP_SSE,
						 .mcp.path = "/sse",
						 .mcp.sharing = sharings[s],
						 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT };

		run_http(&options);
	}
}

/* Sessions of several calls; with the others a process would be started for each eighth of them. */
static void children(void **state)
{
	static const struct {
		uint32_t sharing, era;
	} kinds[] = { { KOLK_MCP_EXCLUSIVE, KOLK_MCP_LEGACY },
		      { KOLK_MCP_MULTIPLEXED, KOLK_MCP_LEGACY },
		      { KOLK_MCP_BOUND, KOLK_MCP_MODERN } };
	struct place place;

	(void)state;
	for (int k = 0; k < 3; k++) {
		struct kolk_mcp_options options = { .sharing = kinds[k].sharing,
						    .era = kinds[k].era,
						    .isolation = KOLK_MCP_ISOLATION_TENANT };

		place_open_children(&place, &options, NULL);
		run(&place);
		place_close_children(&place);
	}
}

static void web_sockets(void **state)
{
	struct place place;

	(void)state;
	for (int s = 2; s < 4; s++) {
		struct kolk_mcp_options options = { .sharing = sharings[s],
						    .isolation = KOLK_MCP_ISOLATION_TENANT };
		struct ws_server server = { .answer = NULL };

		if (!ws_place_open(&place, &server, &options))
			return;
		run(&place);
		ws_place_close(&place, &server);
		assert_int_equal(kolk__load_acquire(&server.unmasked), 0);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(clients_that_go_at_random),
	cmocka_unit_test(sessions_that_are_lost),
	cmocka_unit_test(streams_that_are_closed),
	cmocka_unit_test(streams_that_are_sessions),
	cmocka_unit_test(children),
	cmocka_unit_test(web_sockets),
};
CMOCKA_TESTS(mcp_soak, tests);
