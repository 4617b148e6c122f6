/* SPDX-License-Identifier: Apache-2.0 */
/* What completes a request, and what may be sent again: servers that answer to other ids, and
 * streams that break. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/drivers/mcp/place.h"
#include "tests/drivers/mcp/scripted.h"
#include "tests/kit/cmocka/run.h"

/* An upstream of a scripted server. */
static void open_scripted(struct place *place, struct scripted *server,
			  struct kolk_mcp_options *options)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);

	memset(place, 0, sizeof *place);
	scripted_open(server);
	engine.loops = 1;
	engine.resources_max = 100;
	assert_int_equal(kolk_engine_create(&engine, &place->engine), KOLK_OK);
	pool.name = "server";
	pool.address = server->address;
	pool.driver = kolk_driver_http();
	assert_int_equal(kolk_pool_add(place->engine, &pool, &place->connections), KOLK_OK);
	options->size = sizeof *options;
	assert_int_equal(kolk_mcp_open(place->connections, options, &place->mcp), KOLK_OK);
	place->loop = kolk_engine_loop(place->engine, 0);
}

static void close_scripted(struct place *place, struct scripted *server)
{
	assert_int_equal(kolk_mcp_close(place->mcp, kolk_in_ms(5000)), KOLK_OK);
	kolk_engine_drain(place->engine, kolk_in_ms(1000));
	assert_int_equal(kolk_engine_wait_closed(place->engine, kolk_in_ms(5000)), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(place->engine), KOLK_OK);
	scripted_close(server);
}

static void start(struct place *place, struct tracked *call)
{
	place_on_loop(place->loop, tracked_start, call);
	assert_int_equal(call->started, KOLK_PENDING);
}

static struct kolk_mcp_options exclusive(void)
{
	return (struct kolk_mcp_options){ .sharing = KOLK_MCP_EXCLUSIVE,
					  .isolation = KOLK_MCP_ISOLATION_TENANT,
					  .era = KOLK_MCP_LEGACY };
}

/* ---- ids */

/* How an id is wrong. %ld is the right one. */
static const char *const wrong_ids[] = { "1%ld", "\"%ld\"", "-%ld", "0", "\"wrong\"" };
enum { WRONG_IDS = sizeof wrong_ids / sizeof *wrong_ids };

struct said {
	const char *wrong; /* a format */
	int events, also;  /* also: the right answer follows */
};

static void print_answer(char text[512], const char *id_format, long id, const char *says)
{
	char shown[64];

	snprintf(shown, sizeof shown, id_format, id);
	snprintf(text, 512, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"says\":\"%s\"}}", shown, says);
}

static int answer_to_another(struct scripted *server, int fd, const struct scripted_request *request)
{
	const struct said *all = server->user, *said;
	char wrong[512], right[512], events[1200];

	if (scripted_begins(fd, request))
		return 1;
	said = &all[kolk__load_acquire(&server->calls) - 1];
	print_answer(wrong, said->wrong, request->id, "wrong");
	print_answer(right, "%ld", request->id, "right");
	if (said->events)
		snprintf(events, sizeof events, "data: %s\n\n%s%s%s", wrong, said->also ? "data: " : "",
			 said->also ? right : "", said->also ? "\n\n" : "");
	scripted_whole(fd, said->events ? "text/event-stream" : "application/json",
		       said->events ? events : wrong);
	return 1;
}

/* An answer to another id is none: what follows it is waited for, and without that it is no answer
 * of MCP. */
static void an_answer_has_the_requests_id(void **state)
{
	struct kolk_mcp_options options = exclusive();
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;
	struct said said[3 * WRONG_IDS]; /* to each call */
	struct scripted server = { .answer = answer_to_another, .user = said };

	(void)state;
	for (size_t i = 0; i < 3 * WRONG_IDS; i++)
		said[i] = (struct said){ wrong_ids[i / 3], i % 3 > 0, i % 3 > 1 };
	open_scripted(&place, &server, &options);
	client = place_client(&place, "alice", NULL);
	for (size_t i = 0; i < WRONG_IDS; i++)
		for (int how = 0; how < 3; how++) {
			result = place_call(client, "tools/call", "{\"name\":\"a\"}");
			if (how < 2)
				assert_int_equal(result.err, KOLK_E_PROTOCOL);
			else
				assert_non_null(strstr(result.result, "right"));
			assert_int_equal(result.err == KOLK_OK, how == 2);
			kolk_mcp_result_free(&result);
		}
	place_client_close(&place, client);
	close_scripted(&place, &server);
}

/* An error that names no request is of the exchange that carries it. */
static int answer_without_id(struct scripted *server, int fd, const struct scripted_request *request)
{
	(void)server;
	if (!scripted_begins(fd, request))
		scripted_whole(fd, "application/json", "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":"
							"{\"code\":-32700,\"message\":\"no\"}}");
	return 1;
}

static void an_error_may_be_without_id(void **state)
{
	struct scripted server = { .answer = answer_without_id };
	struct kolk_mcp_options options = exclusive();
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	open_scripted(&place, &server, &options);
	client = place_client(&place, "alice", NULL);
	result = place_call(client, "tools/call", "{\"name\":\"a\"}");
	assert_int_equal(result.err, KOLK_E_SERVER);
	assert_int_equal(result.error_code, -32700);
	kolk_mcp_result_free(&result);
	place_client_close(&place, client);
	close_scripted(&place, &server);
}

/* A stream that is listened to brings no answers. */
static int answer_on_get(struct scripted *server, int fd, const struct scripted_request *request)
{
	static const char blanks[] = "                                                            ";

	(void)server;
	if (scripted_begins(fd, request))
		return 1;
	scripted_say(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
			 "data: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"says\":\"x\"}}\n\n");
	for (int i = 0; i < 100; i++) /* the text of the answer is gone */
		scripted_say(fd, "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/n\"%s}\n\n",
			     i < 99 ? blanks : "");
	return 0;
}

static void a_listener_gets_no_answer(void **state)
{
	struct scripted server = { .answer = answer_on_get };
	struct kolk_mcp_options options = exclusive();
	struct tracked listen = { .listen = true };
	struct place place;

	(void)state;
	options.sharing = KOLK_MCP_BOUND;
	open_scripted(&place, &server, &options);
	listen.client = place_client(&place, "alice", NULL);
	start(&place, &listen);
	tracked_wait(&listen);
	assert_int_equal(kolk__load_acquire(&listen.notifications), 100);
	assert_null(listen.result.result);
	assert_null(listen.result.error);
	place_client_close(&place, listen.client);
	close_scripted(&place, &server);
}

/* Of initialize and server/discover likewise: the fixture answers each N-th to another id. */
static void what_is_made_is_by_its_own_answer(void **state)
{
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (int era_auto = 0; era_auto < 2; era_auto++) {
		struct place_options options = { .mcp = exclusive(), .server.wrong_id = 1,
						 .era_auto = era_auto != 0 };

		options.mcp.era = 0;
		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		result = place_call(client, "tools/list", NULL);
		assert_int_equal(result.err, KOLK_E_PROTOCOL);
		assert_int_equal(kolk_mcp_era(place.mcp), KOLK_MCP_LEGACY);
		assert_int_equal(place_sessions(&place).created, 0);
		kolk_mcp_result_free(&result);
		place_client_close(&place, client);
		place_wait_for(&place, MCP_N_sessions_deleted, 1);
		place_close(&place);
	}
	for (int i = 0; i < 1; i++) {
		struct place_options options = { .mcp = exclusive(), .server.unknown_id = 1,
						 .server.sse = 1, .server.init_sse = 1 };

		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		place_tool(client, "echo", "{\"nonce\":\"n\"}");
		place_client_close(&place, client);
		place_close(&place);
	}
}

/* ---- what is sent again */

/* It takes a call, says so, and breaks off; it knows no session after that. */
static int break_off(struct scripted *server, int fd, const struct scripted_request *request)
{
	(void)server;
	if (strncmp(request->head, "GET ", 4) == 0) {
		scripted_say(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
		return 1;
	}
	if (scripted_begins(fd, request))
		return 1;
	scripted_say(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
			 "Transfer-Encoding: chunked\r\n\r\n%s", "19\r\nid: e1\ndata: \nretry: 10\n\n\r\n");
	usleep(20000);
	return 0;
}

/* The server may have done it: it is not asked to do it twice. */
static void a_call_that_was_taken_is_not_sent_again(void **state)
{
	static const uint32_t sharings[] = { KOLK_MCP_EXCLUSIVE, KOLK_MCP_MULTIPLEXED, KOLK_MCP_BOUND };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct scripted server = { .answer = break_off };
		struct kolk_mcp_options options = exclusive();

		options.sharing = sharings[i];
		open_scripted(&place, &server, &options);
		client = place_client(&place, "alice", NULL);
		result = place_call(client, "tools/call", "{\"name\":\"a\"}");
		assert_int_equal(result.err, KOLK_E_CLOSED);
		assert_int_equal(result.remade, 0);
		assert_int_equal(kolk__load_acquire(&server.calls), 1);
		assert_int_equal(place_stats(&place).lost, 1);
		kolk_mcp_result_free(&result);
		place_client_close(&place, client);
		close_scripted(&place, &server);
	}
}

static void cancelled_is_not_sent_again(void **state)
{
	struct scripted server = { .answer = break_off };
	struct kolk_mcp_options options = exclusive();
	struct tracked call = { .method = "tools/call", .params = "{\"name\":\"a\"}" };
	struct place place;

	(void)state;
	open_scripted(&place, &server, &options);
	call.client = place_client(&place, "alice", NULL);
	start(&place, &call);
	for (int i = 0; i < 5000 && kolk__load_acquire(&call.heads) == 0; i++)
		usleep(1000);
	place_on_loop(place.loop, tracked_cancel, &call);
	tracked_wait(&call);
	usleep(50000);
	assert_int_equal(kolk__load_acquire(&server.calls), 1);
	place_client_close(&place, call.client);
	close_scripted(&place, &server);
}

/* ---- one call after the other */

enum { CHAIN = 20 };

struct chain {
	struct kolk_mcp_client *client;
	kolk__atomic_u32 ended;
};

static void chain_next(struct chain *chain);

static void chain_ended(void *user, struct kolk_mcp_call *call,
			const struct kolk_mcp_result *result)
{
	struct chain *chain = user;

	(void)call;
	assert_int_equal(result->err, KOLK_OK);
	if (kolk__add_acq_rel(&chain->ended, 1) + 1 < CHAIN)
		chain_next(chain);
}

static void chain_next(struct chain *chain)
{
	static const char params[] = "{\"name\":\"echo\",\"arguments\":{\"nonce\":\"n\"}}";
	const struct kolk_mcp_handler handler = { .size = sizeof handler, .end = chain_ended };
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);

	request.method = "tools/call";
	request.params = params;
	request.params_size = sizeof params - 1;
	assert_int_equal(kolk_mcp_start(chain->client, &request, &handler, chain, NULL),
			 KOLK_PENDING);
}

static void chain_begin(void *user)
{
	chain_next(user);
}

static uint64_t waited(const struct place *place)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_pool_stats(place->connections, &stats), KOLK_OK);
	return stats.waited;
}

/* A call that begins when another one ends finds the connection of that, and needs no second. */
static void the_next_call_has_the_connection_of_the_last(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND, .connections_max = 1 };
	struct chain chain = { .client = NULL };
	struct place place;
	uint64_t before;

	(void)state;
	place_open(&place, &options);
	chain.client = place_client(&place, "alice", NULL);
	place_tool(chain.client, "echo", "{\"nonce\":\"n\"}");
	before = waited(&place);
	place_on_loop(place.loop, chain_begin, &chain);
	for (int i = 0; i < 10000 && kolk__load_acquire(&chain.ended) < CHAIN; i++)
		usleep(1000);
	assert_int_equal(kolk__load_acquire(&chain.ended), CHAIN);
	assert_int_equal(waited(&place), before);
	place_client_close(&place, chain.client);
	place_close(&place);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(an_answer_has_the_requests_id),
	cmocka_unit_test(an_error_may_be_without_id),
	cmocka_unit_test(a_listener_gets_no_answer),
	cmocka_unit_test(what_is_made_is_by_its_own_answer),
	cmocka_unit_test(a_call_that_was_taken_is_not_sent_again),
	cmocka_unit_test(cancelled_is_not_sent_again),
	cmocka_unit_test(the_next_call_has_the_connection_of_the_last),
};
CMOCKA_TESTS(mcp_answer, tests);
