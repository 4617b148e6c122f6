/* SPDX-License-Identifier: Apache-2.0 */
/* A server in this process that says more at once than message_bytes_max: its answers arrive. */
#include <kolk/mcp_local.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"

enum { CALLS = 8, BYTES = 40000, BYTES_MAX = 65536 };

/* Answers to calls wait until all have come; then all are given in one turn. */
struct server {
	char ids[CALLS][32];
	int count;
	kolk__atomic_u32 refused;    /* notifications and second answers, with E_LIMIT */
};

static char big[BYTES];

static enum kolk_err answer(struct kolk_mcp_local *local, const char *id, const char *json)
{
	struct kolk_mcp_result own = KOLK_INIT(kolk_mcp_result);

	own.result = json;
	own.result_size = strlen(json);
	return kolk_mcp_local_answer(local, id, strlen(id), &own);
}

static void answer_all(struct server *server, struct kolk_mcp_local *local)
{
	static char note[BYTES + 100];

	for (int i = 0; i < CALLS; i++)
		assert_int_equal(answer(local, server->ids[i], big), KOLK_OK);
	snprintf(note, sizeof note, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\","
				    "\"params\":%s}", big);
	/* What nobody waits for, as what a call was told before, is bounded. */
	if (kolk_mcp_local_send(local, note, strlen(note)) == KOLK_E_LIMIT)
		kolk__add_acq_rel(&server->refused, 1);
	if (answer(local, server->ids[0], big) == KOLK_E_LIMIT)
		kolk__add_acq_rel(&server->refused, 1);
	if (answer(local, "12345", big) == KOLK_E_LIMIT)
		kolk__add_acq_rel(&server->refused, 1);
}

static void on_message(void *user, struct kolk_mcp_local *local,
		       const struct kolk_mcp_envelope *envelope, const struct kolk_mcp_part *text)
{
	struct server *server = user;
	char id[32];

	(void)text;
	snprintf(id, sizeof id, "%.*s", (int)envelope->id.size, envelope->id.data);
	if (strcmp(envelope->method, "initialize") == 0) {
		assert_int_equal(answer(local, id, "{\"protocolVersion\":\"2025-11-25\","
						   "\"capabilities\":{},\"serverInfo\":{\"name\":\"here\","
						   "\"version\":\"1\"}}"), KOLK_OK);
	} else if (strcmp(envelope->method, "tools/call") == 0) {
		strcpy(server->ids[server->count++], id);
		if (server->count == CALLS)
			answer_all(server, local);
	}
}

static void start_all(void *user)
{
	struct tracked *calls = user;

	for (int i = 0; i < CALLS; i++)
		tracked_start(&calls[i]);
}

static void answers_of_one_turn_arrive(void **state)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_mcp_options options = KOLK_INIT(kolk_mcp_options);
	struct tracked *calls = calloc(CALLS, sizeof *calls);
	static struct server server;
	struct kolk_mcp_server functions = { .size = sizeof functions, .user = &server,
					     .message = on_message };
	struct kolk_mcp_client *client;
	struct place place = { .server = NULL };

	(void)state;
	snprintf(big, sizeof big, "{\"x\":\"%0*d\"}", BYTES - 10, 1);
	engine.resources_max = 10;
	options.message_bytes_max = BYTES_MAX;
	assert_int_equal(kolk_engine_create(&engine, &place.engine), KOLK_OK);
	assert_int_equal(kolk_mcp_local_open(place.engine, &functions, &options, &place.mcp), KOLK_OK);
	place.loop = kolk_engine_loop(place.engine, 0);
	client = place_client(&place, "alice", NULL);
	for (int i = 0; i < CALLS; i++)
		calls[i] = (struct tracked){ .client = client, .method = "tools/call",
					     .params = "{\"name\":\"any\"}",
					     .deadline_ns = KOLK_FOREVER };
	place_on_loop(place.loop, start_all, calls);
	for (int i = 0; i < CALLS; i++) {
		tracked_wait(&calls[i]);
		assert_int_equal(calls[i].result.err, KOLK_OK);
		assert_int_equal(strncmp(calls[i].text, "{\"x\":\"000", 9), 0);
	}
	assert_int_equal(kolk__load_acquire(&server.refused), 3);
	place_client_close(&place, client);
	assert_int_equal(kolk_mcp_close(place.mcp, kolk_in_ms(10000)), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(place.engine), KOLK_OK);
	free(calls);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(answers_of_one_turn_arrive),
};
CMOCKA_TESTS(mcp_local_limit, tests);
