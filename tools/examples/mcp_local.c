/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_local.c - an MCP server in the program itself: example-mcp_local
 *
 * Four callers of two tenants add numbers up, each 25 times. A tenant's numbers stay its own: each
 * session has its sum, and belongs to one tenant.
 */
#include <kolk/kolk.h>
#include <kolk/mcp_local.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLERS = 4, CALLS = 25 };

/* ---- the server: on the loops of the engine */

struct sum {
	long long value;
};

static enum kolk_err on_open(void *user, struct kolk_mcp_local *session, void **session_user)
{
	(void)user;
	(void)session;
	*session_user = calloc(1, sizeof(struct sum));
	return *session_user != NULL ? KOLK_OK : KOLK_E_MEMORY;
}

static void on_message(void *session_user, struct kolk_mcp_local *session,
		       const struct kolk_mcp_envelope *message, const struct kolk_mcp_part *text)
{
	struct kolk_mcp_result answer = KOLK_INIT(kolk_mcp_result);
	struct sum *sum = session_user;
	char result[256];

	(void)text;
	if (message->id.size == 0 || message->method[0] == '\0')
		return; /* a notification, or an answer */
	if (strcmp(message->method, "initialize") == 0) {
		snprintf(result, sizeof result,
			 "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"tools\":{}},"
			 "\"serverInfo\":{\"name\":\"sums\",\"version\":\"1\"}}");
		answer.result = result;
	} else if (strcmp(message->method, "tools/call") == 0) {
		sum->value++;
		snprintf(result, sizeof result,
			 "{\"content\":[{\"type\":\"text\",\"text\":\"%lld\"}]}", sum->value);
		answer.result = result;
	} else {
		snprintf(result, sizeof result,
			 "{\"code\":-32601,\"message\":\"Method not found\"}");
		answer.error = result;
	}
	answer.result_size = answer.error_size = strlen(result);
	/* Now, or later: a session lasts at least until its requests are answered. */
	(void)kolk_mcp_local_answer(session, message->id.data, message->id.size, &answer);
}

static void on_close(void *session_user, struct kolk_mcp_local *session)
{
	(void)session;
	free(session_user);
}

/* ---- the callers: on threads of their own */

struct caller {
	struct kolk_mcp_client *client;
	uint32_t failed;
	sem_t closed;
};

static void *run_caller(void *user)
{
	static const char params[] = "{\"name\":\"add\",\"arguments\":{}}";
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);
	struct caller *caller = user;

	request.method = "tools/call";
	request.params = params;
	request.params_size = sizeof params - 1;
	for (int i = 0; i < CALLS; i++) {
		struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

		if (kolk_mcp_call(caller->client, &request, &result) != KOLK_OK)
			caller->failed++;
		kolk_mcp_result_free(&result);
	}
	return NULL;
}

static void close_client(struct kolk_call *call, void *user)
{
	struct caller *caller = user;

	(void)call;
	kolk_mcp_client_close(caller->client);
	sem_post(&caller->closed);
}

static bool open_client(struct kolk_mcp *mcp, struct kolk_loop *loop, const char *tenant,
			struct kolk_mcp_client **client)
{
	struct kolk_mcp_client_options options = KOLK_INIT(kolk_mcp_client_options);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);

	who.tenant = tenant;
	options.who = &who;
	return kolk_mcp_client_open(mcp, loop, &options, client) == KOLK_OK;
}

static uint32_t run(struct kolk_mcp *mcp, struct kolk_loop *loop)
{
	static const char *const tenants[] = { "alice", "bob" };
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct caller callers[CALLERS] = { { 0 } };
	pthread_t threads[CALLERS];
	uint32_t failed = 0;

	for (int i = 0; i < CALLERS; i++)
		if (!open_client(mcp, loop, tenants[i % 2], &callers[i].client))
			return 1;
	for (int i = 0; i < CALLERS; i++)
		pthread_create(&threads[i], NULL, run_caller, &callers[i]);
	for (int i = 0; i < CALLERS; i++) {
		struct kolk_call call;

		pthread_join(threads[i], NULL);
		failed += callers[i].failed;
		sem_init(&callers[i].closed, 0, 0);
		if (kolk_loop_call(loop, &call, close_client, &callers[i]) == KOLK_OK)
			sem_wait(&callers[i].closed);
		sem_destroy(&callers[i].closed);
	}
	if (kolk_pool_stats(kolk_mcp_pool(mcp), &stats) == KOLK_OK)
		printf("%d calls, %u failed, %llu sessions made\n", CALLERS * CALLS, failed,
		       (unsigned long long)stats.created);
	return failed;
}

int main(void)
{
	struct kolk_engine_options options = KOLK_INIT(kolk_engine_options);
	struct kolk_mcp_options upstream = KOLK_INIT(kolk_mcp_options);
	struct kolk_mcp_server server = KOLK_INIT(kolk_mcp_server);
	struct kolk_engine *engine;
	struct kolk_mcp *mcp;
	uint32_t failed = 1;

	options.resources_max = 100;
	if (kolk_engine_create(&options, &engine) != KOLK_OK)
		return 1;
	server.open = on_open;
	server.message = on_message;
	server.close = on_close;
	upstream.isolation = KOLK_MCP_ISOLATION_TENANT;
	upstream.sharing = KOLK_MCP_EXCLUSIVE; /* a session serves one call at a time */
	if (kolk_mcp_local_open(engine, &server, &upstream, &mcp) == KOLK_OK) {
		failed = run(mcp, kolk_engine_loop(engine, 0));
		kolk_mcp_close(mcp, kolk_in_ms(5000));
	}
	kolk_engine_destroy(engine);
	return failed != 0;
}
