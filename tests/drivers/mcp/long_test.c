/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of a server that are too long, where several calls share what they come on: each ends the
 * call that it is the answer to, and nothing else. The server is a script, whose answers have their
 * members in the order that a case wants.
 */
#include <stdio.h>
#include <string.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"

/* A line goes on for 200 000 bytes; the rest is what a tool of this name says. */
#define LONG "head -c 200000 /dev/zero | tr '\\0' x; "
#define TOOL(name, says) "*'\"name\":\"" name "\"'*) " says ";;\n"

static const char script[] =
	"while read -r line; do\n"
	"id=$(printf '%s' \"$line\" | sed -n 's/.*\"id\":\\([0-9]*\\).*/\\1/p')\n"
	"case $line in\n"
	"*'\"initialize\"'*) printf '{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"protocolVersion\":"
	"\"2025-11-25\",\"capabilities\":{},\"serverInfo\":{\"name\":\"s\",\"version\":\"1\"}}}\\n' $id;;\n"
	TOOL("short", "printf '{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{}}\\n' $id")
	TOOL("silent", ":")
	TOOL("first", "printf '{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"x\":\"' $id; " LONG
		      "echo '\"}}'")
	TOOL("last", "printf '{\"result\":{\"x\":\"'; " LONG
		     "printf '\"},\"jsonrpc\":\"2.0\",\"id\":%s}\\n' $id")
	TOOL("error", "printf '{\"error\":{\"code\":-1,\"message\":\"'; " LONG
		      "printf '\"},\"jsonrpc\":\"2.0\",\"id\":%s}\\n' $id")
	TOOL("array", "printf '[{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":"
		      "{\"x\":\"'; " LONG
		      "printf '\"}},{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{}}]\\n' $id")
	TOOL("noise", "echo; " LONG "echo; printf '{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{}}\\n' $id")
	TOOL("note", "printf '{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"x\":\"'; "
		     LONG "echo '\"}}'; printf '{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{}}\\n' $id")
	TOOL("ask", "asked=$id; printf '{\"method\":\"roots/list\",\"params\":{\"x\":\"'; " LONG
		    "echo '\"},\"id\":77,\"jsonrpc\":\"2.0\"}'")
	TOOL("cut", "printf '{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"x\":\"' $id; " LONG "echo")
	TOOL("unclear", "printf '{\"jsonrpc\":\"2.0\",\"result\":{\"x\":\"'; " LONG "echo")
	"*'\"id\":77,\"error\"'*) printf '{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{}}\\n' $asked;;\n"
	"esac\ndone\n";

static void call_tool(struct place *place, struct tracked *call, const char *params)
{
	call->method = "tools/call";
	call->params = params;
	call->deadline_ns = KOLK_FOREVER; /* it ends for what is said, or not at all */
	place_on_loop(place->loop, tracked_start, call);
}

static void open_script(struct place *place, uint32_t sharing)
{
	static const char *const command[] = { "/bin/sh", "-c", script, NULL };
	struct kolk_mcp_options options = { .isolation = KOLK_MCP_ISOLATION_TENANT,
					    .sharing = sharing, .message_bytes_max = 65536 };

	place_open_command(place, &options, command);
}

static void a_message_that_is_too_long_ends_its_call(void **state)
{
	static const struct {
		const char *params;
		enum kolk_err err;
	} cases[] = {
		{ "{\"name\":\"first\"}", KOLK_E_LIMIT }, { "{\"name\":\"last\"}", KOLK_E_LIMIT },
		{ "{\"name\":\"error\"}", KOLK_E_LIMIT }, { "{\"name\":\"array\"}", KOLK_E_LIMIT },
		{ "{\"name\":\"cut\"}", KOLK_E_LIMIT },	  { "{\"name\":\"noise\"}", KOLK_OK },
		{ "{\"name\":\"note\"}", KOLK_OK },	  { "{\"name\":\"ask\"}", KOLK_OK },
	};
	static const uint32_t sharings[] = { KOLK_MCP_BOUND, KOLK_MCP_MULTIPLEXED };
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	for (int s = 0; s < 2; s++) {
		struct tracked other = { .client = NULL };

		open_script(&place, sharings[s]);
		other.client = client = place_client(&place, "alice", NULL);
		call_tool(&place, &other, "{\"name\":\"silent\"}");
		for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
			struct tracked call = { .client = client };

			call_tool(&place, &call, cases[i].params);
			tracked_wait(&call);
			if (call.result.err != cases[i].err)
				fail_msg("%s: %s", cases[i].params, kolk_err_text(call.result.err));
			place_tool(client, "short", "{}");
			assert_int_equal(kolk__load_acquire(&other.ends), 0);
		}
		place_on_loop(place.loop, tracked_cancel, &other);
		tracked_wait(&other);
		assert_int_equal(place_sessions(&place).created, 1);
		place_client_close(&place, client);
		place_close_children(&place);
	}
}

/* It breaks off, and does not say whose answer it is: it may be that of any call. */
static void one_that_may_be_any_calls_ends_all(void **state)
{
	struct tracked calls[3] = { { .client = NULL } };
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	open_script(&place, KOLK_MCP_BOUND);
	client = place_client(&place, "alice", NULL);
	for (int i = 0; i < 3; i++) {
		calls[i].client = client;
		call_tool(&place, &calls[i], i == 2 ? "{\"name\":\"unclear\"}" : "{\"name\":\"silent\"}");
	}
	for (int i = 0; i < 3; i++) {
		tracked_wait(&calls[i]);
		assert_int_equal(calls[i].result.err, KOLK_E_LIMIT);
		assert_int_equal(calls[i].result.lost, 0);
	}
	place_tool(client, "short", "{}");
	assert_int_equal(place_sessions(&place).created, 1);
	place_client_close(&place, client);
	place_close_children(&place);
}

/* ... and no session is waited for whose initialize is answered so. */
static void an_initialize_that_is_too_long_is_told(void **state)
{
	static const char *const command[] = {
		"/bin/sh", "-c",
		"read -r line; id=$(printf '%s' \"$line\" | sed -n 's/.*\"id\":\\([0-9]*\\).*/\\1/p')\n"
		"printf '{\"result\":{\"x\":\"'; " LONG
		"printf '\"},\"jsonrpc\":\"2.0\",\"id\":%s}\\n' $id; read -r line\n", NULL
	};
	struct kolk_mcp_options options = { .isolation = KOLK_MCP_ISOLATION_TENANT,
					    .initialize_timeout_ns = 60 * KOLK_S_NS,
					    .acquire_timeout_ns = 60 * KOLK_S_NS,
					    .message_bytes_max = 65536 };
	struct tracked call = { .method = "tools/list" };
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	place_open_command(&place, &options, command);
	call.client = client = place_client(&place, "alice", NULL);
	place_on_loop(place.loop, tracked_start, &call);
	tracked_wait(&call);
	assert_int_equal(call.result.err, KOLK_E_LIMIT);
	place_client_close(&place, client);
	place_close_children(&place);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_message_that_is_too_long_ends_its_call),
	cmocka_unit_test(one_that_may_be_any_calls_ends_all),
	cmocka_unit_test(an_initialize_that_is_too_long_is_told),
};
CMOCKA_TESTS(mcp_long, tests);
