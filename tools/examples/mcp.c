/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp.c - tools of an MCP server over pooled sessions: example-mcp HOST:PORT [PATH [TOOL [ARGUMENTS]]]
 *
 * Eight callers of two tenants call a tool, each 25 times. A session serves one call at a time and
 * then the next one of its tenant: 200 calls make as many sessions as calls of a tenant run at once.
 * Then a call shows its progress as it comes.
 */
#include <kolk/kolk.h>
#include <kolk/mcp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

enum { CALLERS = 8, CALLS = 25 };

struct caller {
	struct kolk_mcp_client *client;
	char params[1024];
	uint32_t failed;
};

/* ---- on plain threads: a call, and its result */

static void *run_caller(void *user)
{
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);
	struct caller *caller = user;

	request.method = "tools/call";
	request.params = caller->params;
	request.params_size = strlen(caller->params);
	for (int i = 0; i < CALLS; i++) {
		struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

		if (kolk_mcp_call(caller->client, &request, &result) != KOLK_OK) {
			fprintf(stderr, "%s %s\n", kolk_err_text(result.err),
				result.error != NULL ? (const char *)result.error : "");
			caller->failed++;
		}
		kolk_mcp_result_free(&result);
	}
	return NULL;
}

static uint32_t run_callers(struct caller *callers)
{
	pthread_t threads[CALLERS];
	uint32_t failed = 0;

	for (int i = 0; i < CALLERS; i++)
		pthread_create(&threads[i], NULL, run_caller, &callers[i]);
	for (int i = 0; i < CALLERS; i++) {
		pthread_join(threads[i], NULL);
		failed += callers[i].failed;
	}
	return failed;
}

/* ---- on the loop: what comes before the result */

struct shown {
	struct kolk_mcp_client *client;
	enum kolk_err err;
	sem_t done;
};

static void on_notification(void *user, struct kolk_mcp_call *call,
			    const struct kolk_mcp_message *message)
{
	(void)user;
	(void)call;
	printf("%.*s\n", (int)message->params_size, (const char *)message->params);
}

static void on_end(void *user, struct kolk_mcp_call *call, const struct kolk_mcp_result *result)
{
	struct shown *shown = user;

	(void)call;
	shown->err = result->err;
	printf("%.*s\n", (int)result->result_size, (const char *)result->result);
	sem_post(&shown->done);
}

static void show(struct kolk_call *posted, void *user)
{
	static const char params[] = "{\"_meta\":{\"progressToken\":\"mine\"},\"name\":\"progress\","
				     "\"arguments\":{\"steps\":2}}";
	static const struct kolk_mcp_handler handler = {
		.size = sizeof handler, .notification = on_notification, .end = on_end
	};
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);
	struct shown *shown = user;

	(void)posted;
	request.method = "tools/call";
	request.params = params;
	request.params_size = sizeof params - 1;
	shown->err = kolk_mcp_start(shown->client, &request, &handler, shown, NULL);
	if (shown->err != KOLK_PENDING) /* refused: on_end will not run */
		sem_post(&shown->done);
}

static void close_client(struct kolk_call *posted, void *user)
{
	struct shown *shown = user;

	(void)posted;
	kolk_mcp_client_close(shown->client);
	sem_post(&shown->done);
}

static void run_on_loop(struct kolk_loop *loop, kolk_call_fn *run, struct shown *shown)
{
	struct kolk_call call;

	sem_init(&shown->done, 0, 0);
	if (kolk_loop_call(loop, &call, run, shown) == KOLK_OK)
		sem_wait(&shown->done);
	sem_destroy(&shown->done);
}

/* ---- an engine, a pool of connections, an upstream, clients */

static struct kolk_mcp *open_upstream(struct kolk_engine *engine, const char *address,
				      const char *path)
{
	struct kolk_pool_options connections = KOLK_INIT(kolk_pool_options);
	struct kolk_mcp_options options = KOLK_INIT(kolk_mcp_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool *pool;
	struct kolk_mcp *mcp;

	connections.name = "server";
	connections.address = address;
	connections.driver = kolk_driver_http();
	connections.failure = options.failure = &failure;
	options.path = path;
	options.transport = KOLK_MCP_HTTP_AUTO;        /* servers of 2024-11-05, too */
	options.isolation = KOLK_MCP_ISOLATION_TENANT; /* a tenant's sessions are its own */
	options.sharing = KOLK_MCP_EXCLUSIVE;          /* and serve a call at a time */
	options.client_name = "example";
	if (kolk_pool_add(engine, &connections, &pool) == KOLK_OK &&
	    kolk_mcp_open(pool, &options, &mcp) == KOLK_OK)
		return mcp;
	fprintf(stderr, "%s: %s\n", failure.field != NULL ? failure.field : address,
		kolk_err_text(failure.err));
	return NULL;
}

static void run(struct kolk_mcp *mcp, struct kolk_loop *loop, struct caller *callers)
{
	static const char *const tenants[] = { "alice", "bob" };
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct shown shown = { .err = KOLK_OK };

	for (int i = 0; i < CALLERS; i++) {
		struct kolk_mcp_client_options client = KOLK_INIT(kolk_mcp_client_options);
		struct kolk_key_options who = KOLK_INIT(kolk_key_options);

		who.tenant = tenants[i % 2];
		client.who = &who;
		if (kolk_mcp_client_open(mcp, loop, &client, &callers[i].client) != KOLK_OK)
			return;
	}
	printf("%d calls, %u failed\n", CALLERS * CALLS, run_callers(callers));
	shown.client = callers[0].client;
	run_on_loop(loop, show, &shown);
	if (kolk_pool_stats(kolk_mcp_pool(mcp), &stats) == KOLK_OK && stats.dial.count > 0)
		printf("%llu sessions made, %llu times used again, %llu us to make one\n",
		       (unsigned long long)stats.created, (unsigned long long)stats.reused,
		       (unsigned long long)(stats.dial.sum / stats.dial.count / 1000));
	for (int i = 0; i < CALLERS; i++) {
		shown.client = callers[i].client;
		run_on_loop(loop, close_client, &shown);
	}
}

int main(int argc, char **argv)
{
	static struct caller callers[CALLERS];
	struct kolk_engine_options options = KOLK_INIT(kolk_engine_options);
	struct kolk_engine *engine;
	struct kolk_mcp *mcp;
	uint32_t failed = 0;

	if (argc < 2) {
		fprintf(stderr, "example-mcp HOST:PORT [PATH [TOOL [ARGUMENTS]]]\n");
		return 2;
	}
	for (int i = 0; i < CALLERS; i++)
		snprintf(callers[i].params, sizeof callers[i].params,
			 "{\"name\":\"%s\",\"arguments\":%s}", argc > 3 ? argv[3] : "echo",
			 argc > 4 ? argv[4] : "{}");
	options.resources_max = 100; /* sessions, besides the connections */
	if (kolk_engine_create(&options, &engine) != KOLK_OK)
		return 1;
	mcp = open_upstream(engine, argv[1], argc > 2 ? argv[2] : NULL);
	if (mcp != NULL) {
		run(mcp, kolk_engine_loop(engine, 0), callers);
		kolk_mcp_close(mcp, kolk_in_ms(5000)); /* each session is told its end */
	}
	kolk_engine_destroy(engine);
	for (int i = 0; i < CALLERS; i++)
		failed += callers[i].failed;
	return mcp == NULL || failed != 0;
}
