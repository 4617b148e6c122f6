/* SPDX-License-Identifier: Apache-2.0 */
/* Clients and calls that end with a scope: on the loop, from a plain thread, and when three in ten
 * requests stop at a random instant. */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"

/* TENANT: sessions are another client's afterwards. */
static void open_place(struct place *place)
{
	struct place_options options = { 0 };

	options.mcp.isolation = KOLK_MCP_ISOLATION_TENANT;
	options.mcp.sharing = KOLK_MCP_EXCLUSIVE;
	options.mcp.sessions_max = 20;
	place_open(place, &options);
}

static enum kolk_err open_client(struct place *place, struct kolk_loop *loop,
				 struct kolk_scope *scope, struct kolk_mcp_client **client)
{
	struct kolk_mcp_client_options options = KOLK_INIT(kolk_mcp_client_options);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);

	who.tenant = "alice";
	options.who = &who;
	options.scope = scope;
	return kolk_mcp_client_open(place->mcp, loop, &options, client);
}

static struct kolk_mcp_request echo_of(struct kolk_scope *scope)
{
	static const char params[] = "{\"name\":\"echo\",\"arguments\":{\"nonce\":\"n\"}}";
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);

	request.method = "tools/call";
	request.params = params;
	request.params_size = sizeof params - 1;
	request.scope = scope;
	return request;
}

/* ---- one request */

static void a_thread_leaves_its_client_to_the_scope(void **state)
{
	struct kolk_mcp_request request;
	struct kolk_mcp_client *client;
	struct kolk_scope scope;
	struct place place;

	(void)state;
	open_place(&place);
	for (int i = 0; i < 3; i++) {
		struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

		kolk_scope_begin(&scope);
		request = echo_of(&scope); /* over when kolk_mcp_call returns */
		assert_int_equal(open_client(&place, place.loop, &scope, &client), KOLK_OK);
		assert_int_equal(kolk_mcp_call(client, &request, &result), KOLK_OK);
		kolk_mcp_result_free(&result);
		assert_int_equal(place_stats(&place).clients, 1);
		assert_int_equal(kolk_scope_end(&scope, KOLK_SCOPE_RELEASE), KOLK_OK);
		assert_int_equal(place_stats(&place).clients, 0);
	}
	assert_int_equal(place_sessions(&place).created, 1);
	place_close(&place);
}

struct one {
	struct place *place;
	struct kolk_mcp_client *client;
	struct kolk_scope of_client, of_call;
	sem_t over;
	enum kolk_err err;
	int ends;
};

static void on_one_end(void *user, struct kolk_mcp_call *call, const struct kolk_mcp_result *result)
{
	struct one *one = user;

	(void)call;
	one->err = result->err;
	one->ends++;
	sem_post(&one->over);
}

static const struct kolk_mcp_handler one_handler = { .size = sizeof one_handler,
						     .end = on_one_end };

static void begin_one(void *user)
{
	static const char slow[] = "{\"name\":\"slow\",\"arguments\":{\"ms\":60000}}";
	struct one *one = user;
	struct kolk_mcp_request request = echo_of(&one->of_call);

	request.params = slow;
	request.params_size = sizeof slow - 1;
	kolk_scope_begin(&one->of_client);
	kolk_scope_begin(&one->of_call);
	assert_int_equal(open_client(one->place, one->place->loop, &one->of_client, &one->client),
			 KOLK_OK);
	assert_int_equal(kolk_mcp_start(one->client, &request, &one_handler, one, NULL),
			 KOLK_PENDING);
}

static void end_call(void *user)
{
	struct one *one = user;

	assert_int_equal(kolk_scope_end(&one->of_call, KOLK_SCOPE_DISCARD), KOLK_OK);
	assert_int_equal(one->ends, 0); /* it runs from step */
}

static void end_client(void *user)
{
	struct one *one = user;

	assert_int_equal(kolk_scope_end(&one->of_client, KOLK_SCOPE_RELEASE), KOLK_OK);
}

static void end_both(void *user)
{
	struct one *one = user;

	assert_int_equal(kolk_scope_end(&one->of_call, KOLK_SCOPE_RELEASE), KOLK_OK);
	assert_int_equal(kolk_scope_end(&one->of_client, KOLK_SCOPE_RELEASE), KOLK_OK);
}

static void close_early(void *user)
{
	struct one *one = user;

	kolk_mcp_client_close(one->client);
}

/* by: what ends the call. */
static void try_one(void (*by)(void *user))
{
	struct place place;
	struct one one = { .place = &place };

	open_place(&place);
	sem_init(&one.over, 0, 0);
	place_on_loop(place.loop, begin_one, &one);
	place_wait_for(&place, MCP_N_tool_calls, 1);
	place_on_loop(place.loop, by, &one);
	sem_wait(&one.over);
	assert_int_equal(one.err, KOLK_E_CANCELLED);
	assert_int_equal(one.ends, 1);
	place_on_loop(place.loop, end_both, &one);
	assert_int_equal(place_stats(&place).clients, 0);
	place_close(&place);
	sem_destroy(&one.over);
}

static void a_call_is_cancelled_with_its_scope(void **state)
{
	(void)state;
	try_one(end_call);
}

static void a_client_takes_its_calls_along(void **state)
{
	(void)state;
	try_one(end_client);
}

static void a_client_that_was_closed_has_left(void **state)
{
	(void)state;
	try_one(close_early);
}

/* ---- many */

enum { SCOPES = 20000, ABORTED_PERCENT = 30, THREADS = 4, SEATS = 16 };

struct mix {
	struct place place;
	kolk__atomic_u32 left, aborted, wrong;
	sem_t over;
};

static bool is_next(struct mix *mix)
{
	uint32_t left = kolk__load_relaxed(&mix->left);

	while (left != 0 && !kolk__cas_acq_rel(&mix->left, &left, left - 1))
		;
	return left != 0;
}

static void end(struct mix *mix, struct kolk_scope *scope, bool aborts)
{
	enum kolk_scope_outcome outcome = aborts ? KOLK_SCOPE_DISCARD : KOLK_SCOPE_RELEASE;

	kolk__add_relaxed(&mix->aborted, aborts);
	kolk__add_relaxed(&mix->wrong, kolk_scope_end(scope, outcome) != KOLK_OK);
}

/* It stops before its call, or has it whole: a thread cannot be stopped inside. */
static void *run_thread(void *user)
{
	static kolk__atomic_u32 number = KOLK__ATOMIC_INIT(1);
	uint32_t me = kolk__add_acq_rel(&number, 1);
	unsigned seed = me;
	struct mix *mix = user;

	while (is_next(mix)) {
		struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);
		bool aborts = rand_r(&seed) % 100 < ABORTED_PERCENT;
		struct kolk_mcp_request request;
		struct kolk_mcp_client *client;
		struct kolk_scope scope;

		kolk_scope_begin(&scope);
		request = echo_of(&scope);
		if (open_client(&mix->place, kolk_engine_loop(mix->place.engine, me % 2), &scope,
				&client) != KOLK_OK)
			kolk__add_relaxed(&mix->wrong, 1);
		else if (!aborts && kolk_mcp_call(client, &request, &result) != KOLK_OK)
			kolk__add_relaxed(&mix->wrong, 1);
		kolk_mcp_result_free(&result);
		end(mix, &scope, aborts);
	}
	sem_post(&mix->over);
	return NULL;
}

struct seat {
	struct mix *mix;
	struct kolk_loop *loop;
	struct kolk_call call;
	struct kolk_timer timer;
	struct kolk_scope scope;
	unsigned seed;
	bool aborts, ended, answered;
};

static void begin(struct seat *seat);

static void go_on(struct seat *seat)
{
	if (is_next(seat->mix))
		begin(seat);
	else
		sem_post(&seat->mix->over);
}

static void on_timer(struct kolk_timer *timer, void *user)
{
	struct seat *seat = user;

	(void)timer;
	if (!seat->ended && (seat->aborts || seat->answered)) {
		end(seat->mix, &seat->scope, seat->aborts);
		seat->ended = true;
	}
	if (seat->ended && seat->answered) /* `end` has run: of each call once */
		go_on(seat);
}

static void on_seat_end(void *user, struct kolk_mcp_call *call, const struct kolk_mcp_result *result)
{
	struct seat *seat = user;
	bool wrong = result->err != KOLK_OK && !(seat->ended && result->err == KOLK_E_CANCELLED);

	(void)call;
	kolk__add_relaxed(&seat->mix->wrong, wrong || seat->answered);
	seat->answered = true;
	(void)kolk_timer_start(seat->loop, &seat->timer, kolk_in_ns(0), on_timer, seat);
}

static const struct kolk_mcp_handler seat_handler = { .size = sizeof seat_handler,
						      .end = on_seat_end };

static void begin(struct seat *seat)
{
	uint64_t after_ns = (uint64_t)rand_r(&seat->seed) % (500 * KOLK_US_NS);
	struct kolk_mcp_request request = echo_of(&seat->scope);
	struct kolk_mcp_client *client;

	seat->aborts = rand_r(&seat->seed) % 100 < ABORTED_PERCENT;
	seat->ended = seat->answered = false;
	kolk_scope_begin(&seat->scope);
	if (open_client(&seat->mix->place, seat->loop, &seat->scope, &client) != KOLK_OK ||
	    kolk_mcp_start(client, &request, &seat_handler, seat, NULL) != KOLK_PENDING)
		abort();
	if (seat->aborts)
		(void)kolk_timer_start(seat->loop, &seat->timer, kolk_in_ns(after_ns), on_timer,
				       seat);
}

static void sit_down(struct kolk_call *call, void *user)
{
	(void)call;
	go_on(user);
}

static void aborted_requests_leave_nothing(void **state)
{
	static struct seat seats[SEATS];
	static struct mix mix;
	pthread_t threads[THREADS];

	(void)state;
	mix = (struct mix){ .left = KOLK__ATOMIC_INIT(SCOPES) };
	sem_init(&mix.over, 0, 0);
	open_place(&mix.place);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_thread, &mix), 0);
	for (uint32_t i = 0; i < SEATS; i++) {
		seats[i] = (struct seat){ .mix = &mix, .seed = 1000 + i,
					  .loop = kolk_engine_loop(mix.place.engine, i % 2) };
		assert_int_equal(kolk_loop_call(seats[i].loop, &seats[i].call, sit_down, &seats[i]),
				 KOLK_OK);
	}
	for (int i = 0; i < THREADS + SEATS; i++)
		sem_wait(&mix.over);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(kolk__load_acquire(&mix.wrong), 0);
	assert_true(kolk__load_acquire(&mix.aborted) > SCOPES / 5);
	assert_int_equal(place_stats(&mix.place).clients, 0);
	for (int i = 0; i < 10000 && place_sessions(&mix.place).leased != 0; i++)
		usleep(1000); /* of calls that were cancelled: until the server was told */
	assert_int_equal(place_sessions(&mix.place).leased, 0);
	assert_int_equal(place_sessions(&mix.place).waiting, 0);
	place_close(&mix.place); /* no session is left at the server */
	sem_destroy(&mix.over);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_thread_leaves_its_client_to_the_scope),
	cmocka_unit_test(a_call_is_cancelled_with_its_scope),
	cmocka_unit_test(a_client_takes_its_calls_along),
	cmocka_unit_test(a_client_that_was_closed_has_left),
	cmocka_unit_test(aborted_requests_leave_nothing),
};
CMOCKA_TESTS(mcp_scope, tests);
