/* SPDX-License-Identifier: Apache-2.0 */
/* memory_test.c - calls to a child while memory runs out: E_MEMORY says that it did not get them. */
#include <string.h>

#include "core/base/atomic.h"
#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"

struct kolk__hash_table;
struct kolk__hash_node;
struct mcp_pipe;

bool __real_kolk__table_add(struct kolk__hash_table *table, struct kolk__hash_node *node);
bool __wrap_kolk__table_add(struct kolk__hash_table *table, struct kolk__hash_node *node);
enum kolk_err __real_kolk__mcp_pipe_append(struct mcp_pipe *pipe, const char *data, size_t size);
enum kolk_err __wrap_kolk__mcp_pipe_append(struct mcp_pipe *pipe, const char *data, size_t size);

static kolk__atomic_bool table_fails, append_fails; /* the next one */

bool __wrap_kolk__table_add(struct kolk__hash_table *table, struct kolk__hash_node *node)
{
	return !kolk__exchange_acq_rel(&table_fails, false) && __real_kolk__table_add(table, node);
}

enum kolk_err __wrap_kolk__mcp_pipe_append(struct mcp_pipe *pipe, const char *data, size_t size)
{
	return kolk__exchange_acq_rel(&append_fails, false) ?
		       KOLK_E_MEMORY : __real_kolk__mcp_pipe_append(pipe, data, size);
}

static void open_counter(struct place *place, struct kolk_mcp_client **client)
{
	struct kolk_mcp_options options = { .sharing = KOLK_MCP_MULTIPLEXED,
					    .isolation = KOLK_MCP_ISOLATION_TENANT };

	place_open_children(place, &options, NULL);
	*client = place_client(place, "alice", NULL);
	assert_non_null(strstr(place_tool(*client, "counter", "{}"), "count\\\":1"));
}

static enum kolk_err count_in_vain(struct kolk_mcp_client *client)
{
	struct kolk_mcp_result result =
		place_call(client, "tools/call", "{\"name\":\"counter\",\"arguments\":{}}");
	enum kolk_err err = result.err;

	kolk_mcp_result_free(&result);
	return err;
}

static void a_call_without_memory_is_not_sent(void **state)
{
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	open_counter(&place, &client);
	kolk__store_release(&table_fails, true);
	assert_int_equal(count_in_vain(client), KOLK_E_MEMORY);
	assert_non_null(strstr(place_tool(client, "counter", "{}"), "count\\\":2"));
	assert_int_equal(place_sessions(&place).created, 1);
	place_client_close(&place, client);
	place_close_children(&place);
}

/* The child has counted. */
static void an_answer_without_memory_is_not_such_a_call(void **state)
{
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	open_counter(&place, &client);
	kolk__store_release(&append_fails, true);
	assert_int_equal(count_in_vain(client), KOLK_E_CLOSED);
	assert_non_null(strstr(place_tool(client, "counter", "{}"), "count\\\":1")); /* a new one */
	assert_int_equal(place_sessions(&place).created, 2);
	place_client_close(&place, client);
	place_close_children(&place);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_call_without_memory_is_not_sent),
	cmocka_unit_test(an_answer_without_memory_is_not_such_a_call),
};
CMOCKA_TESTS(mcp_memory, tests);
