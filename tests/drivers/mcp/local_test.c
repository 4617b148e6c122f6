/* SPDX-License-Identifier: Apache-2.0 */
/* Servers in this process. */
#include <kolk/mcp_local.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"

struct server {
	enum kolk_err refuses; /* open fails so */
	bool mute;             /* initialize is not answered */
	const char *tenant;    /* of its sessions; NULL = not looked at */
	kolk__atomic_u32 opened, closed, cancelled, replies;
};

struct session {
	struct server *server;
	int count;
	char id[32]; /* of a call that is to be answered later */
};

static void answer(struct kolk_mcp_local *local, const char *id, const char *result)
{
	struct kolk_mcp_result own = KOLK_INIT(kolk_mcp_result);

	own.result = result;
	own.result_size = strlen(result);
	assert_int_equal(kolk_mcp_local_answer(local, id, strlen(id), &own), KOLK_OK);
}

static enum kolk_err on_open(void *user, struct kolk_mcp_local *local, void **session_user)
{
	struct server *server = user;
	struct session *session;

	if (server->tenant != NULL)
		assert_string_equal(kolk_mcp_local_tenant(local), server->tenant);
	if (server->refuses != KOLK_OK)
		return server->refuses;
	session = calloc(1, sizeof *session);
	session->server = server;
	*session_user = session;
	kolk__add_acq_rel(&server->opened, 1);
	return KOLK_OK;
}

static void on_tool(struct session *session, struct kolk_mcp_local *local, const char *name,
		    const char *id)
{
	static const char note[] = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\","
				   "\"params\":{\"level\":\"info\",\"data\":1}}";
	static const char ask[] = "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"roots/list\"}";
	char text[64], *big;

	if (strcmp(name, "\"count\"") == 0) {
		assert_int_equal(kolk_mcp_local_send(local, note, sizeof note - 1), KOLK_OK);
		assert_int_equal(kolk_mcp_local_send(local, "{}", 2), KOLK_E_PROTOCOL);
		snprintf(text, sizeof text, "{\"count\":%d}", ++session->count);
		answer(local, id, text);
	} else if (strcmp(name, "\"ask\"") == 0) {
		snprintf(session->id, sizeof session->id, "%s", id);
		assert_int_equal(kolk_mcp_local_send(local, ask, sizeof ask - 1), KOLK_OK);
	} else if (strcmp(name, "\"big\"") == 0) {
		big = malloc(200000);
		snprintf(big, 200000, "{\"x\":\"%0*d\"}", 150000, 1);
		answer(local, id, big);
		free(big);
	} else if (strcmp(name, "\"end\"") == 0) {
		kolk_mcp_local_end(local);
	}
}

static void on_message(void *user, struct kolk_mcp_local *local,
		       const struct kolk_mcp_envelope *envelope, const struct kolk_mcp_part *text)
{
	struct session *session = user;
	char id[32], name[32];

	assert_ptr_equal(kolk_mcp_local_user(local), session);
	assert_true(text->size > 0 && text->data[0] == '{');
	snprintf(id, sizeof id, "%.*s", (int)envelope->id.size, envelope->id.data);
	snprintf(name, sizeof name, "%.*s", (int)envelope->name.size, envelope->name.data);
	if (strcmp(envelope->method, "initialize") == 0 && !session->server->mute)
		answer(local, id, "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},"
				  "\"serverInfo\":{\"name\":\"here\",\"version\":\"1\"}}");
	else if (strcmp(envelope->method, "tools/call") == 0)
		on_tool(session, local, name, id);
	else if (strcmp(envelope->method, "notifications/cancelled") == 0)
		kolk__add_acq_rel(&session->server->cancelled, 1);
	else if (envelope->method[0] == '\0' && envelope->result.size > 0) {
		kolk__add_acq_rel(&session->server->replies, 1);
		answer(local, session->id, "{\"asked\":true}");
	}
}

static void on_close(void *user, struct kolk_mcp_local *local)
{
	struct session *session = user;

	assert_ptr_equal(kolk_mcp_local_user(local), session);
	kolk__add_acq_rel(&session->server->closed, 1);
	free(session);
}

static void open_place(struct place *place, struct server *server, struct kolk_mcp_options *options)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_mcp_server functions = { .size = sizeof functions, .user = server,
					     .open = on_open, .message = on_message,
					     .close = on_close };

	memset(place, 0, sizeof *place);
	engine.loops = 2;
	engine.resources_max = 100;
	assert_int_equal(kolk_engine_create(&engine, &place->engine), KOLK_OK);
	options->size = sizeof *options;
	assert_int_equal(kolk_mcp_local_open(place->engine, &functions, options, &place->mcp),
			 KOLK_OK);
	place->loop = kolk_engine_loop(place->engine, 0);
}

static void close_place(struct place *place, struct server *server)
{
	assert_int_equal(place_stats(place).isolation_violations, 0);
	assert_int_equal(kolk_mcp_close(place->mcp, kolk_in_ms(5000)), KOLK_OK);
	assert_int_equal(kolk__load_acquire(&server->opened), kolk__load_acquire(&server->closed));
	assert_int_equal(kolk_check(place->engine, NULL), KOLK_OK);
	kolk_engine_drain(place->engine, kolk_in_ms(2000));
	assert_int_equal(kolk_engine_wait_closed(place->engine, kolk_in_ms(5000)), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(place->engine), KOLK_OK);
}

static const uint32_t sharings[] = { KOLK_MCP_BOUND, KOLK_MCP_VIRGIN, KOLK_MCP_EXCLUSIVE,
				     KOLK_MCP_MULTIPLEXED };

/* Calls of one client find the same session, with what its server says before it answers. */
static void a_server_here_has_sessions(void **state)
{
	struct place place;
	char text[32];

	(void)state;
	for (int s = 0; s < 4; s++) {
		struct kolk_mcp_options options = { .sharing = sharings[s],
						    .isolation = KOLK_MCP_ISOLATION_TENANT };
		struct server server = { .mute = false };
		struct kolk_mcp_client *client;

		open_place(&place, &server, &options);
		assert_string_equal(kolk_pool_name(kolk_mcp_pool(place.mcp)), "local.mcp");
		client = place_client(&place, "alice", NULL);
		for (int i = 1; i <= 3; i++) {
			struct tracked call = { .client = client, .method = "tools/call",
						.params = "{\"name\":\"count\",\"arguments\":{}}" };

			place_on_loop(place.loop, tracked_start, &call);
			tracked_wait(&call);
			assert_int_equal(call.result.err, KOLK_OK);
			snprintf(text, sizeof text, "{\"count\":%d}", i);
			assert_string_equal(call.text, text);
			assert_int_equal(kolk__load_acquire(&call.notifications), 1);
			assert_string_equal(call.method_seen, "notifications/message");
		}
		assert_int_equal(kolk__load_acquire(&server.opened), 1);
		place_client_close(&place, client);
		close_place(&place, &server);
	}
}

static void a_session_says_whose_it_is(void **state)
{
	static const struct {
		uint32_t isolation;
		const char *client, *seen;
	} cases[] = {
		{ KOLK_MCP_ISOLATION_TENANT, "alice", "alice" },
		{ KOLK_MCP_ISOLATION_TENANT, NULL, "" },
		{ KOLK_MCP_ISOLATION_SHARED, "alice", "" },
	};
	struct place place;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct kolk_mcp_options options = { .isolation = cases[i].isolation,
						    .sharing = KOLK_MCP_MULTIPLEXED };
		struct server server = { .tenant = cases[i].seen };
		struct kolk_mcp_client *client;
		struct kolk_mcp_result result;

		open_place(&place, &server, &options);
		client = place_client(&place, cases[i].client, NULL);
		result = place_call(client, "tools/call",
				    "{\"name\":\"count\",\"arguments\":{}}");
		assert_int_equal(result.err, KOLK_OK);
		assert_int_equal(kolk__load_acquire(&server.opened), 1);
		kolk_mcp_result_free(&result);
		place_client_close(&place, client);
		close_place(&place, &server);
	}
}

static void a_server_here_may_ask(void **state)
{
	struct kolk_mcp_options options = { .capabilities = "{\"roots\":{}}" };
	struct tracked call = { .method = "tools/call",
				.params = "{\"name\":\"ask\",\"arguments\":{}}",
				.reply = "{\"roots\":[]}" };
	struct server server = { .mute = false };
	struct place place;

	(void)state;
	open_place(&place, &server, &options);
	call.client = place_client(&place, "alice", NULL);
	place_on_loop(place.loop, tracked_start, &call);
	tracked_wait(&call);
	assert_int_equal(call.result.err, KOLK_OK);
	assert_string_equal(call.text, "{\"asked\":true}");
	assert_int_equal(kolk__load_acquire(&call.requests), 1);
	assert_int_equal(kolk__load_acquire(&server.replies), 1);
	place_client_close(&place, call.client);
	close_place(&place, &server);
}

static void it_is_told_of_a_cancel(void **state)
{
	struct kolk_mcp_options options = { .sharing = KOLK_MCP_EXCLUSIVE,
					    .isolation = KOLK_MCP_ISOLATION_TENANT,
					    .sessions_max = 1 };
	struct server server = { .mute = false };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	open_place(&place, &server, &options);
	client = place_client(&place, "alice", NULL);
	place_tool(client, "count", "{}");
	for (uint32_t i = 1; i <= 5; i++) {
		struct tracked call = { .client = client, .method = "tools/call",
					.params = "{\"name\":\"never\",\"arguments\":{}}" };

		place_on_loop(place.loop, tracked_start, &call);
		place_on_loop(place.loop, tracked_cancel, &call);
		tracked_wait(&call);
		assert_int_equal(call.result.err, KOLK_E_CANCELLED);
		result = place_call(client, "tools/call",
				    "{\"name\":\"count\",\"arguments\":{}}");
		assert_int_equal(result.err, KOLK_OK);
		kolk_mcp_result_free(&result);
		assert_int_equal(kolk__load_acquire(&server.cancelled), i);
	}
	assert_int_equal(kolk__load_acquire(&server.opened), 1);
	place_client_close(&place, client);
	close_place(&place, &server);
}

static void its_end_is_that_of_the_session(void **state)
{
	struct place place;

	(void)state;
	for (int s = 0; s < 4; s++) {
		struct kolk_mcp_options options = { .sharing = sharings[s],
						    .isolation = KOLK_MCP_ISOLATION_TENANT,
						    .message_bytes_max = 65536 };
		bool single = sharings[s] == KOLK_MCP_BOUND || sharings[s] == KOLK_MCP_VIRGIN;
		struct server server = { .mute = false };
		struct kolk_mcp_client *client;
		struct kolk_mcp_result result;

		open_place(&place, &server, &options);
		client = place_client(&place, "alice", NULL);
		result = place_call(client, "tools/call", "{\"name\":\"big\",\"arguments\":{}}");
		assert_int_equal(result.err, KOLK_E_LIMIT);
		kolk_mcp_result_free(&result);
		result = place_call(client, "tools/call", "{\"name\":\"end\",\"arguments\":{}}");
		assert_int_equal(result.err, KOLK_E_CLOSED);
		assert_int_equal(result.lost, single);
		kolk_mcp_result_free(&result);
		result = place_call(client, "tools/call", "{\"name\":\"count\",\"arguments\":{}}");
		assert_int_equal(result.err, single ? KOLK_E_CLOSED : KOLK_OK);
		kolk_mcp_result_free(&result);
		/* One that was made for a client that had lost its own is ended, too. */
		assert_in_range(kolk__load_acquire(&server.opened), single ? 1 : 2, 2);
		place_client_close(&place, client);
		close_place(&place, &server);
	}
}

static void one_that_does_not_answer_makes_no_session(void **state)
{
	static const enum kolk_err errs[] = { KOLK_E_AUTH, KOLK_E_DIAL_TIMEOUT };
	struct kolk_mcp_options options = { .initialize_timeout_ns = 50 * KOLK_MS_NS };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct server server = { .refuses = i == 0 ? KOLK_E_AUTH : KOLK_OK, .mute = true };

		open_place(&place, &server, &options);
		client = place_client(&place, "alice", NULL);
		result = place_call(client, "tools/list", NULL);
		assert_int_equal(result.err, errs[i]);
		kolk_mcp_result_free(&result);
		place_client_close(&place, client);
		close_place(&place, &server);
	}
}

static void a_server_without_functions_is_refused(void **state)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_mcp_options options = KOLK_INIT(kolk_mcp_options);
	struct kolk_mcp_server server = KOLK_INIT(kolk_mcp_server);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_engine *made;
	struct kolk_mcp *mcp;

	(void)state;
	engine.resources_max = 10;
	assert_int_equal(kolk_engine_create(&engine, &made), KOLK_OK);
	assert_int_equal(kolk_mcp_local_open(made, &server, NULL, &mcp), KOLK_E_OPTIONS);
	server.message = on_message;
	options.failure = &failure;
	options.era = KOLK_MCP_MODERN;
	assert_int_equal(kolk_mcp_local_open(made, &server, &options, &mcp), KOLK_E_OPTIONS);
	assert_string_equal(failure.field, "era");
	options.era = 0;
	options.transport = KOLK_MCP_STDIO;
	assert_int_equal(kolk_mcp_local_open(made, &server, &options, &mcp), KOLK_E_OPTIONS);
	assert_string_equal(failure.field, "transport");
	assert_int_equal(kolk_engine_destroy(made), KOLK_OK);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_server_here_has_sessions),
	cmocka_unit_test(a_session_says_whose_it_is),
	cmocka_unit_test(a_server_here_may_ask),
	cmocka_unit_test(it_is_told_of_a_cancel),
	cmocka_unit_test(its_end_is_that_of_the_session),
	cmocka_unit_test(one_that_does_not_answer_makes_no_session),
	cmocka_unit_test(a_server_without_functions_is_refused),
};
CMOCKA_TESTS(mcp_local, tests);
