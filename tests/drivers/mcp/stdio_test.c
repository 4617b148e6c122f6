/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that are child processes: kolk-mcp-fixture --stdio. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"

static const uint32_t sharings[] = { KOLK_MCP_BOUND, KOLK_MCP_VIRGIN, KOLK_MCP_EXCLUSIVE,
				     KOLK_MCP_MULTIPLEXED, KOLK_MCP_BOUND };

/* Of the last one the children have no sessions. */
static uint32_t era_of(int sharing)
{
	return sharing == 4 ? KOLK_MCP_MODERN : KOLK_MCP_ERA_AUTO;
}

/* A session is a process, which is started once. */
static void a_child_is_a_session(void **state)
{
	struct kolk_mcp_client *client;
	struct place place;
	char count[32];

	(void)state;
	for (int s = 0; s < 4; s++) {
		struct kolk_mcp_options options = { .sharing = sharings[s],
						    .isolation = KOLK_MCP_ISOLATION_TENANT };

		place_open_children(&place, &options, NULL);
		client = place_client(&place, "alice", NULL);
		for (int i = 1; i <= 5; i++) {
			snprintf(count, sizeof count, "count\\\":%d", i);
			assert_non_null(strstr(place_tool(client, "counter", "{\"owner\":\"a\"}"),
					       count));
		}
		assert_int_equal(place_sessions(&place).created, 1);
		place_client_close(&place, client);
		place_close_children(&place);
	}
}

static void share_a_child(int sharing)
{
	struct kolk_mcp_options options = { .sharing = sharings[sharing],
					    .isolation = KOLK_MCP_ISOLATION_TENANT,
					    .era = era_of(sharing) };
	struct kolk_mcp_client *client;
	struct place place;

	place_open_children(&place, &options, NULL);
	client = place_client(&place, "alice", NULL);
	place_calls_at_once(&place, client, 50);
	assert_int_equal(place_sessions(&place).created, 1);
	place_client_close(&place, client);
	place_close_children(&place);
}

static void many_calls_share_a_child(void **state)
{
	(void)state;
	share_a_child(3);
	share_a_child(4);
}

static void a_cancel_keeps_the_child(void **state)
{
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	for (int s = 0; s < 5; s++) {
		struct kolk_mcp_options options = { .sharing = sharings[s],
						    .isolation = KOLK_MCP_ISOLATION_TENANT,
						    .sessions_max = 1,
						    .era = era_of(s) };

		place_open_children(&place, &options, "--late");
		client = place_client(&place, "alice", NULL);
		for (int i = 0; i < 5; i++) {
			struct tracked call = { .client = client, .method = "tools/call",
						.params = "{\"name\":\"slow\",\"arguments\":"
							  "{\"ms\":60000}}" };

			place_on_loop(place.loop, tracked_start, &call);
			usleep((unsigned)i * 5000);
			place_on_loop(place.loop, tracked_cancel, &call);
			tracked_wait(&call);
			assert_int_equal(call.result.err, KOLK_E_CANCELLED);
			assert_non_null(strstr(place_tool(client, "echo", "{\"nonce\":\"on\"}"),
					       "\"on\""));
		}
		assert_int_equal(place_sessions(&place).created, 1);
		place_client_close(&place, client);
		place_close_children(&place);
	}
}

/* A call that wants no messages holds back those of the others, until it is cancelled. */
static void a_cancelled_pause_frees_the_others(void **state)
{
	struct kolk_mcp_options options = { .isolation = KOLK_MCP_ISOLATION_TENANT };
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	place_open_children(&place, &options, NULL);
	client = place_client(&place, "alice", NULL);
	place_cancelled_pause(&place, client, true);
	place_client_close(&place, client);
	place_close_children(&place);
}

/* However often it is said, a call is paused once, and one that is not holds back nothing. */
static void a_pause_counts_once(void **state)
{
	struct kolk_mcp_options options = { .isolation = KOLK_MCP_ISOLATION_TENANT };
	struct tracked slow[2];
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	place_open_children(&place, &options, NULL);
	client = place_client(&place, "alice", NULL);
	for (int i = 0; i < 2; i++) {
		slow[i] = (struct tracked){
			.client = client, .method = "tools/call",
			.params = "{\"name\":\"slow\",\"arguments\":{\"ms\":60000}}" };
		place_on_loop(place.loop, tracked_start, &slow[i]);
		place_tool(client, "echo", "{\"nonce\":\"on\"}"); /* it is on its way */
		place_on_loop(place.loop, tracked_resume, &slow[i]);
	}
	for (int i = 0; i < 4; i++)
		place_on_loop(place.loop, tracked_pause, &slow[i % 2]);
	for (int i = 0; i < 2; i++)
		place_on_loop(place.loop, tracked_resume, &slow[i]);
	place_tool(client, "echo", "{\"nonce\":\"on\"}");
	for (int i = 0; i < 2; i++) {
		place_on_loop(place.loop, tracked_cancel, &slow[i]);
		tracked_wait(&slow[i]);
		assert_int_equal(slow[i].result.err, KOLK_E_CANCELLED);
	}
	place_client_close(&place, client);
	place_close_children(&place);
}

static void a_child_may_ask(void **state)
{
	struct kolk_mcp_options options = { .capabilities = "{\"sampling\":{}}" };
	struct tracked call = { .method = "tools/call",
				.params = "{\"name\":\"test_sampling\",\"arguments\":"
					  "{\"prompt\":\"say it\"}}",
				.reply = "{\"role\":\"assistant\",\"content\":{\"type\":\"text\","
					 "\"text\":\"it is said\"},\"model\":\"m\"}" };
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	place_open_children(&place, &options, NULL);
	call.client = client = place_client(&place, "alice", NULL);
	place_on_loop(place.loop, tracked_start, &call);
	tracked_wait(&call);
	assert_int_equal(call.result.err, KOLK_OK);
	assert_int_equal(kolk__load_acquire(&call.requests), 1);
	assert_non_null(strstr(call.text, "it is said"));
	place_client_close(&place, client);
	place_close_children(&place);
}

/* The call that killed it is told; the next one gets another child, except of a client that had it. */
static void a_child_that_ends_is_replaced(void **state)
{
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (int s = 0; s < 5; s++) {
		struct kolk_mcp_options options = { .sharing = sharings[s],
						    .isolation = KOLK_MCP_ISOLATION_TENANT,
						    .era = era_of(s) };
		bool single = s < 4 && (sharings[s] == KOLK_MCP_BOUND ||
					sharings[s] == KOLK_MCP_VIRGIN);

		place_open_children(&place, &options, "--may-crash");
		client = place_client(&place, "alice", NULL);
		place_tool(client, "echo", "{\"nonce\":\"on\"}");
		result = place_call(client, "tools/call", "{\"name\":\"crash\",\"arguments\":{}}");
		assert_true(result.err == KOLK_E_CLOSED || result.err == KOLK_E_RESET);
		assert_int_equal(result.lost, single);
		kolk_mcp_result_free(&result);
		result = place_call(client, "tools/list", NULL);
		assert_int_equal(result.err, single ? KOLK_E_CLOSED : KOLK_OK);
		assert_int_equal(result.lost, single);
		kolk_mcp_result_free(&result);
		place_client_close(&place, client);
		place_close_children(&place);
	}
}

static void what_is_too_long_is_one_calls(void **state)
{
	struct kolk_mcp_options options = { .isolation = KOLK_MCP_ISOLATION_TENANT,
					    .message_bytes_max = 65536 };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	place_open_children(&place, &options, NULL);
	client = place_client(&place, "alice", NULL);
	result = place_call(client, "tools/call",
			    "{\"name\":\"big\",\"arguments\":{\"bytes\":200000}}");
	assert_int_equal(result.err, KOLK_E_LIMIT);
	kolk_mcp_result_free(&result);
	place_tool(client, "echo", "{\"nonce\":\"on\"}");
	assert_int_equal(place_sessions(&place).created, 1);
	place_client_close(&place, client);
	place_close_children(&place);
}

static void no_program_is_no_session(void **state)
{
	struct kolk_mcp_options options = { .isolation = KOLK_MCP_ISOLATION_TENANT };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	place_open_children(&place, &options, "--no-such-switch");
	client = place_client(&place, "alice", NULL);
	result = place_call(client, "tools/list", NULL);
	assert_true(result.err != KOLK_OK && result.err != KOLK_E_TIMEOUT);
	kolk_mcp_result_free(&result);
	place_client_close(&place, client);
	place_close_children(&place);
}

static pid_t pid_of(struct kolk_mcp_client *client)
{
	const char *said = strstr(place_tool(client, "whoami", "{}"), "pid\\\":");

	assert_non_null(said);
	return (pid_t)strtol(said + 6, NULL, 10);
}

/* A session that its client had, and that ended, is not replaced by one that another has left. */
static void a_lost_session_is_not_replaced(void **state)
{
	struct kolk_mcp_client *client, *other;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (int idle = 0; idle < 2; idle++) {
		struct kolk_mcp_options options = { .isolation = KOLK_MCP_ISOLATION_TENANT };

		place_open_children(&place, &options, "--may-crash");
		client = place_client(&place, "alice", NULL);
		other = place_client(&place, "alice", NULL);
		place_tool(client, "echo", "{\"nonce\":\"on\"}");
		if (idle) {
			pid_t pid = pid_of(client);

			kill(pid, SIGKILL);
			usleep(20000);
		} else {
			result = place_call(client, "tools/call",
					    "{\"name\":\"crash\",\"arguments\":{}}");
			assert_true(result.err == KOLK_E_CLOSED || result.err == KOLK_E_RESET);
			assert_int_equal(result.lost, 1);
			kolk_mcp_result_free(&result);
		}
		usleep(20000);
		place_tool(other, "echo", "{\"nonce\":\"on\"}");
		place_client_close(&place, other);
		usleep(20000);
		for (int i = 0; i < 2; i++) {
			result = place_call(client, "tools/list", NULL);
			assert_int_equal(result.err, KOLK_E_CLOSED);
			assert_int_equal(result.lost, 1);
			kolk_mcp_result_free(&result);
		}
		assert_int_equal(place_sessions(&place).created, 2);
		place_client_close(&place, client);
		place_close_children(&place);
	}
}

/* At a call it writes 30000 pings, then the answer, and reads nothing until there is a file. */
#define FLOODING \
	"say() { printf '{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\\n' \"$1\" \"$2\"; }\n" \
	"id_of() { id=${1#*\\\"id\\\":}; id=${id%%,*}; }\n" \
	"read -r line; id_of \"$line\"\n" \
	"say $id '{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{}," \
	"\"serverInfo\":{\"name\":\"f\",\"version\":\"1\"}}'\n" \
	"read -r line; read -r line; id_of \"$line\"; i=0\n" \
	"(while [ $i -lt 30000 ]; do i=$((i+1))\n" \
	"printf '{\"jsonrpc\":\"2.0\",\"id\":\"%0100d\",\"method\":\"ping\"}\\n' $i; done\n" \
	"say $id '{}') & until [ -e \"$0\" ]; do sleep 0.05; done; cat > /dev/null"

/* Replies are bounded: nothing more of the server is received until it reads. */
static void replies_are_bounded(void **state)
{
	char path[] = "/tmp/kolk-mcp-reads-XXXXXX";
	const char *const command[] = { "/bin/sh", "-c", FLOODING, path, NULL };
	struct kolk_mcp_options options = { .sharing = KOLK_MCP_BOUND };
	struct tracked call = { .method = "tools/list" };
	struct place place;
	int fd;

	(void)state;
	assert_true(close(mkstemp(path)) == 0 && unlink(path) == 0);
	place_open_command(&place, &options, command);
	call.client = place_client(&place, "alice", NULL);
	place_on_loop(place.loop, tracked_start, &call);
	usleep(800000);
	assert_int_equal(kolk__load_acquire(&call.ends), 0);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	tracked_wait(&call);
	assert_int_equal(call.result.err, KOLK_OK);
	close(fd);
	unlink(path);
	place_client_close(&place, call.client);
	place_close_children(&place);
}

#define LISTEN(uri) \
	"{\"notifications\":{\"resourceSubscriptions\":[\"" uri "\"]}}"

/* Without sessions a child is its tenant's, and a subscription hears its own. */
static void a_child_without_sessions_is_shared(void **state)
{
	struct kolk_mcp_options options = { .era = KOLK_MCP_MODERN };
	struct kolk_mcp_client *one, *other, *bob;
	struct tracked first = { .method = "subscriptions/listen", .params = LISTEN("test://a"),
				 .deadline_ns = KOLK_FOREVER };
	struct tracked second = { .method = "subscriptions/listen", .params = LISTEN("test://b"),
				  .deadline_ns = KOLK_FOREVER };
	struct place place;

	(void)state;
	place_open_children(&place, &options, "--versions=2026-07-28");
	one = first.client = place_client(&place, "alice", "1");
	other = second.client = place_client(&place, "alice", "2");
	bob = place_client(&place, "bob", NULL);
	assert_int_equal(pid_of(one), pid_of(other));
	assert_int_not_equal(pid_of(one), pid_of(bob));
	assert_int_equal(place_sessions(&place).created, 2);
	place_on_loop(place.loop, tracked_start, &first);
	place_on_loop(place.loop, tracked_start, &second);
	while (kolk__load_acquire(&first.notifications) + kolk__load_acquire(&second.notifications) < 2)
		usleep(1000); /* both are acknowledged */
	place_tool(bob, "touch", "{\"uri\":\"test://a\"}");
	place_tool(other, "touch", "{\"uri\":\"test://a\"}");
	while (kolk__load_acquire(&first.notifications) < 2)
		usleep(1000);
	assert_non_null(strstr(first.notification, "test://a"));
	assert_int_equal(kolk__load_acquire(&first.notifications), 2);
	assert_int_equal(kolk__load_acquire(&second.notifications), 1);
	place_on_loop(place.loop, tracked_cancel, &first);
	place_on_loop(place.loop, tracked_cancel, &second);
	tracked_wait(&first);
	tracked_wait(&second);
	place_client_close(&place, one);
	place_client_close(&place, other);
	place_client_close(&place, bob);
	place_close_children(&place);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_child_is_a_session),
	cmocka_unit_test(many_calls_share_a_child),
	cmocka_unit_test(a_cancel_keeps_the_child),
	cmocka_unit_test(a_cancelled_pause_frees_the_others),
	cmocka_unit_test(a_pause_counts_once),
	cmocka_unit_test(a_child_may_ask),
	cmocka_unit_test(a_lost_session_is_not_replaced),
	cmocka_unit_test(replies_are_bounded),
	cmocka_unit_test(a_child_that_ends_is_replaced),
	cmocka_unit_test(what_is_too_long_is_one_calls),
	cmocka_unit_test(no_program_is_no_session),
	cmocka_unit_test(a_child_without_sessions_is_shared),
};
CMOCKA_TESTS(mcp_stdio, tests);
