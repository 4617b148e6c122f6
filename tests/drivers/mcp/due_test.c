/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of one client that are due, of a server that answers `initialize` alone. */
#include <kolk/mcp_local.h>
#include <string.h>
#include <unistd.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"

enum { CALLS = 300 };

struct due {
	struct kolk_mcp_client *client;
	struct kolk_mcp_call *call[CALLS];
	uint64_t deadlines_ns[CALLS], last_ns; /* last: of the latest that was due */
	uint32_t unordered;                    /* ended behind one whose deadline is later */
	kolk__atomic_u32 timed_out, cancelled;
};

static enum kolk_err on_open(void *user, struct kolk_mcp_local *local, void **session_user)
{
	(void)user;
	(void)local;
	*session_user = NULL;
	return KOLK_OK;
}

static void on_message(void *user, struct kolk_mcp_local *local,
		       const struct kolk_mcp_envelope *envelope, const struct kolk_mcp_part *text)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

	(void)user;
	(void)text;
	result.result = "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},\"serverInfo\":{}}";
	result.result_size = strlen(result.result);
	if (strcmp(envelope->method, "initialize") == 0)
		assert_int_equal(kolk_mcp_local_answer(local, envelope->id.data, envelope->id.size,
						       &result), KOLK_OK);
}

static void open_place(struct place *place)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_mcp_options options = KOLK_INIT(kolk_mcp_options);
	struct kolk_mcp_server server = { .size = sizeof server, .open = on_open,
					  .message = on_message };

	memset(place, 0, sizeof *place);
	engine.loops = 1;
	engine.resources_max = 10;
	assert_int_equal(kolk_engine_create(&engine, &place->engine), KOLK_OK);
	options.sharing = KOLK_MCP_BOUND;
	options.isolation = KOLK_MCP_ISOLATION_TENANT;
	assert_int_equal(kolk_mcp_local_open(place->engine, &server, &options, &place->mcp), KOLK_OK);
	place->loop = kolk_engine_loop(place->engine, 0);
}

static void close_place(struct place *place)
{
	assert_int_equal(kolk_mcp_close(place->mcp, kolk_in_ms(10000)), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(place->engine), KOLK_OK);
}

static uint32_t index_of(const struct due *due, const struct kolk_mcp_call *call)
{
	uint32_t i = 0;

	while (i < CALLS && due->call[i] != call)
		i++;
	assert_in_range(i, 0, CALLS - 1);
	return i;
}

static void on_end(void *user, struct kolk_mcp_call *call, const struct kolk_mcp_result *result)
{
	struct due *due = user;
	uint32_t i = index_of(due, call);

	if (result->err == KOLK_E_CANCELLED) {
		kolk__add_acq_rel(&due->cancelled, 1);
		return;
	}
	assert_int_equal(result->err, KOLK_E_TIMEOUT);
	due->unordered += due->deadlines_ns[i] < due->last_ns;
	due->last_ns = due->deadlines_ns[i];
	kolk__add_acq_rel(&due->timed_out, 1);
}

static void start(struct due *due, uint32_t i)
{
	static const struct kolk_mcp_handler handler = { .size = sizeof handler, .end = on_end };
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);

	request.method = "tools/list";
	request.deadline_ns = due->deadlines_ns[i];
	assert_int_equal(kolk_mcp_start(due->client, &request, &handler, due, &due->call[i]),
			 KOLK_PENDING);
}

/* Each third one is cancelled, each fourth one of the others is never due; the deadlines of the rest
 * are 1 us apart, in no order. All have passed when the loop looks at its timers again. */
static void start_all(void *user)
{
	struct due *due = user;
	uint64_t first_ns = kolk_in_ms(1);

	for (uint32_t i = 0; i < CALLS; i++) {
		due->deadlines_ns[i] = i % 4 == 1 ? KOLK_FOREVER :
						    first_ns + i * 7919 % CALLS * KOLK_US_NS;
		start(due, i);
	}
	for (uint32_t i = 0; i < CALLS; i += 3)
		kolk_mcp_cancel(due->call[i]);
	while (kolk_in_ns(0) < first_ns + CALLS * KOLK_US_NS)
		usleep(1000);
}

static void wait_for(kolk__atomic_u32 *count, uint32_t value)
{
	for (int i = 0; i < 10000 && kolk__load_acquire(count) < value; i++)
		usleep(1000);
	assert_int_equal(kolk__load_acquire(count), value);
}

static void they_end_in_the_order_of_their_deadlines(void **state)
{
	struct due due = { .client = NULL };
	struct place place;

	(void)state;
	open_place(&place);
	due.client = place_client(&place, "alice", NULL);
	place_on_loop(place.loop, start_all, &due);
	wait_for(&due.cancelled, CALLS / 3);
	wait_for(&due.timed_out, CALLS / 2);
	assert_int_equal(due.unordered, 0);
	place_client_close(&place, due.client);
	wait_for(&due.cancelled, CALLS / 2);
	assert_int_equal(kolk__load_acquire(&due.timed_out), CALLS / 2);
	close_place(&place);
}

/* ---- one that is begun again when it ends */

enum { AGAIN_MAX = 100000 };

struct again {
	struct kolk_mcp_client *client;
	struct kolk_mcp_request request;
	struct kolk_loop *loop;
	struct kolk_call posted;
	kolk__atomic_u32 ends, went_on; /* went_on: what `ends` was when the loop's next step ran */
};

static void start_again(struct again *again);

static void on_step(struct kolk_call *posted, void *user)
{
	struct again *again = user;

	(void)posted;
	kolk__store_release(&again->went_on, kolk__load_relaxed(&again->ends));
}

static void on_again(void *user, struct kolk_mcp_call *call, const struct kolk_mcp_result *result)
{
	struct again *again = user;

	(void)call;
	if (result->err == KOLK_E_CANCELLED) /* its client is closed */
		return;
	assert_int_equal(result->err, again->request.notification != 0 ? KOLK_OK : KOLK_E_TIMEOUT);
	if (kolk__add_acq_rel(&again->ends, 1) == 0)
		assert_int_equal(kolk_loop_call(again->loop, &again->posted, on_step, again), KOLK_OK);
	if (kolk__load_acquire(&again->went_on) == 0 && kolk__load_relaxed(&again->ends) < AGAIN_MAX)
		start_again(again);
}

static void start_again(struct again *again)
{
	static const struct kolk_mcp_handler handler = { .size = sizeof handler, .end = on_again };

	assert_int_equal(kolk_mcp_start(again->client, &again->request, &handler, again, NULL),
			 KOLK_PENDING);
}

static void start_first(void *user)
{
	struct again *again = user;

	if (again->request.notification == 0)
		again->request.deadline_ns = kolk_in_ms(1); /* of all of them */
	start_again(again);
}

static void expect_steps(const char *method, uint32_t notification)
{
	struct again again = { .request = KOLK_INIT(kolk_mcp_request) };
	struct place place;

	open_place(&place);
	again.loop = place.loop;
	again.client = place_client(&place, "alice", NULL);
	again.request.method = method;
	again.request.notification = notification;
	place_on_loop(place.loop, start_first, &again);
	for (int i = 0; i < 10000 && kolk__load_acquire(&again.went_on) == 0; i++)
		usleep(1000);
	assert_in_range(kolk__load_acquire(&again.went_on), 1, AGAIN_MAX - 1);
	place_client_close(&place, again.client);
	close_place(&place);
}

static void one_that_is_begun_again_when_it_is_due_lets_the_loop_go_on(void **state)
{
	(void)state;
	expect_steps("tools/list", 0);
}

static void one_that_is_begun_again_when_it_has_ended_lets_the_loop_go_on(void **state)
{
	(void)state;
	expect_steps("notifications/roots/list_changed", 1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(they_end_in_the_order_of_their_deadlines),
	cmocka_unit_test(one_that_is_begun_again_when_it_is_due_lets_the_loop_go_on),
	cmocka_unit_test(one_that_is_begun_again_when_it_has_ended_lets_the_loop_go_on),
};
CMOCKA_TESTS(mcp_due, tests);
