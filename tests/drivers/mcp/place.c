/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/drivers/mcp/place.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/kit/cmocka/run.h"

void place_open(struct place *place, struct place_options *options)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);

	memset(place, 0, sizeof *place);
	options->server.listen = "127.0.0.1:0";
	place->stateless = options->server.stateless != 0;
	place->http_sse = options->mcp.transport >= KOLK_MCP_HTTP_SSE;
	place->server = mcp_fixture_open(&options->server);
	assert_non_null(place->server);
	engine.loops = 2;
	engine.connections_max = 1000;
	engine.tenant_connections_max = KOLK_UNLIMITED;
	engine.resources_max = 2000;
	assert_int_equal(kolk_engine_create(&engine, &place->engine), KOLK_OK);
	pool.name = "server";
	pool.address = mcp_fixture_address(place->server);
	pool.driver = kolk_driver_http();
	pool.connections_max = options->connections_max != 0 ? options->connections_max : 100;
	pool.mend_timeout_ns = options->mend_timeout_ns;
	if (place->http_sse) /* a stream that is left is not read to its end */
		pool.mend_timeout_ns = KOLK_AT_ONCE;
	assert_int_equal(kolk_pool_add(place->engine, &pool, &place->connections), KOLK_OK);
	options->mcp.size = sizeof options->mcp;
	options->mcp.failure = &failure;
	if (options->mcp.era == 0 && !options->era_auto)
		options->mcp.era = KOLK_MCP_LEGACY;
	if (kolk_mcp_open(place->connections, &options->mcp, &place->mcp) != KOLK_OK)
		fail_msg("%s: %s", kolk_err_text(failure.err), failure.field);
	place->loop = kolk_engine_loop(place->engine, 0);
}

void place_close(struct place *place)
{
	assert_int_equal(place_stats(place).isolation_violations, 0);
	assert_int_equal(kolk_mcp_close(place->mcp, kolk_in_ms(60000)), KOLK_OK);
	if (place->http_sse)
		place_wait_for(place, MCP_N_sessions_open, 0);
	assert_int_equal(place_number(place, MCP_N_sessions_open), place->stateless ? 1 : 0);
	place_end(place);
}

void place_end(struct place *place)
{
	assert_int_equal(kolk_check(place->engine, NULL), KOLK_OK);
	kolk_engine_drain(place->engine, kolk_in_ms(2000));
	assert_int_equal(kolk_engine_wait_closed(place->engine, kolk_in_ms(60000)), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(place->engine), KOLK_OK);
	mcp_fixture_close(place->server);
}

/* ---- children */

void place_open_at(struct place *place, const char *address)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	struct kolk_mcp_options options = KOLK_INIT(kolk_mcp_options);

	engine.resources_max = 10;
	pool.name = "server";
	pool.address = address;
	pool.driver = kolk_driver_http();
	options.era = KOLK_MCP_LEGACY;
	assert_int_equal(kolk_engine_create(&engine, &place->engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(place->engine, &pool, &place->connections), KOLK_OK);
	assert_int_equal(kolk_mcp_open(place->connections, &options, &place->mcp), KOLK_OK);
	place->loop = kolk_engine_loop(place->engine, 0);
}

void place_open_command(struct place *place, struct kolk_mcp_options *options,
			const char *const *command)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	struct kolk_child_options child = KOLK_INIT(kolk_child_options);

	memset(place, 0, sizeof *place);
	engine.loops = 2;
	engine.tenant_connections_max = KOLK_UNLIMITED;
	engine.resources_max = 100;
	assert_int_equal(kolk_engine_create(&engine, &place->engine), KOLK_OK);
	child.command = command;
	pool.name = "children";
	pool.child = &child;
	pool.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_add(place->engine, &pool, &place->connections), KOLK_OK);
	options->size = sizeof *options;
	options->transport = KOLK_MCP_STDIO;
	assert_int_equal(kolk_mcp_open(place->connections, options, &place->mcp), KOLK_OK);
	place->loop = kolk_engine_loop(place->engine, 0);
}

void place_open_children(struct place *place, struct kolk_mcp_options *options,
			 const char *argument)
{
	static char program[300];
	const char *command[] = { program, "--stdio", argument, NULL };
	ssize_t length = readlink("/proc/self/exe", program, 200);

	assert_true(length > 0);
	program[length] = '\0';
	strcpy(strrchr(program, '/'), "/kolk-mcp-fixture");
	place_open_command(place, options, command);
}

void place_close_children(struct place *place)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(place_stats(place).isolation_violations, 0);
	assert_int_equal(kolk_mcp_close(place->mcp, kolk_in_ms(60000)), KOLK_OK);
	kolk_engine_drain(place->engine, kolk_in_ms(5000));
	assert_int_equal(kolk_engine_wait_closed(place->engine, kolk_in_ms(60000)), KOLK_OK);
	assert_int_equal(kolk_pool_stats(place->connections, &stats), KOLK_OK);
	assert_int_equal(stats.open, 0);
	assert_int_equal(kolk_engine_destroy(place->engine), KOLK_OK);
}

/* ---- what is seen of it */

uint64_t place_number(const struct place *place, enum mcp_number number)
{
	return mcp_fixture_number(place->server, number);
}

void place_wait_for(const struct place *place, enum mcp_number number, uint64_t value)
{
	for (int i = 0; i < 5000 && place_number(place, number) != value; i++)
		usleep(1000);
	assert_int_equal(place_number(place, number), value);
}

struct kolk_stats place_sessions(const struct place *place)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_pool_stats(kolk_mcp_pool(place->mcp), &stats), KOLK_OK);
	return stats;
}

struct kolk_mcp_stats place_stats(const struct place *place)
{
	struct kolk_mcp_stats stats = KOLK_INIT(kolk_mcp_stats);

	assert_int_equal(kolk_mcp_stats(place->mcp, &stats), KOLK_OK);
	return stats;
}

/* ---- on a loop */

struct errand {
	struct kolk_call call;
	void (*run)(void *user);
	void *user;
	sem_t done;
};

static void errand_run(struct kolk_call *call, void *user)
{
	struct errand *errand = user;

	(void)call;
	errand->run(errand->user);
	sem_post(&errand->done);
}

void place_on_loop(struct kolk_loop *loop, void (*run)(void *user), void *user)
{
	struct errand errand = { .run = run, .user = user };

	sem_init(&errand.done, 0, 0);
	assert_int_equal(kolk_loop_call(loop, &errand.call, errand_run, &errand), KOLK_OK);
	sem_wait(&errand.done);
	sem_destroy(&errand.done);
}

/* ---- clients */

struct kolk_mcp_client *place_client(struct place *place, const char *tenant, const char *session)
{
	struct kolk_mcp_client_options options = KOLK_INIT(kolk_mcp_client_options);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_mcp_client *client = NULL;

	who.tenant = tenant;
	who.session = session;
	options.who = &who;
	assert_int_equal(kolk_mcp_client_open(place->mcp, place->loop, &options, &client), KOLK_OK);
	return client;
}

static void client_close(void *user)
{
	kolk_mcp_client_close(user);
}

void place_client_close(struct place *place, struct kolk_mcp_client *client)
{
	place_on_loop(place->loop, client_close, client);
}

struct kolk_mcp_result place_call(struct kolk_mcp_client *client, const char *method,
				  const char *params)
{
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);
	enum kolk_err err;

	request.method = method;
	request.params = params;
	request.params_size = params != NULL ? strlen(params) : 0;
	err = kolk_mcp_call(client, &request, &result);
	assert_int_equal(err, result.err);
	return result;
}

const char *place_tool(struct kolk_mcp_client *client, const char *name, const char *arguments)
{
	static char text[65536];
	struct kolk_mcp_result result;

	snprintf(text, sizeof text, "{\"name\":\"%s\",\"arguments\":%s}", name, arguments);
	result = place_call(client, "tools/call", text);
	if (result.err != KOLK_OK)
		fail_msg("%s: %s, status %u, %s", name, kolk_err_text(result.err), result.status,
			 result.error != NULL ? (const char *)result.error : "");
	snprintf(text, sizeof text, "%s", (const char *)result.result);
	kolk_mcp_result_free(&result);
	return text;
}

/* ---- calls with handlers */

static void keep(char *to, size_t max, const void *from, size_t size)
{
	snprintf(to, max, "%.*s", (int)size, (const char *)from);
}

static void on_head(void *user, struct kolk_mcp_call *call, const struct kolk_http_head *head)
{
	struct tracked *tracked = user;

	(void)call;
	(void)head;
	kolk__add_acq_rel(&tracked->heads, 1);
}

static void on_notification(void *user, struct kolk_mcp_call *call,
			    const struct kolk_mcp_message *message)
{
	struct tracked *tracked = user;

	(void)call;
	keep(tracked->notification, sizeof tracked->notification, message->params, message->params_size);
	keep(tracked->method_seen, sizeof tracked->method_seen, message->method, message->method_size);
	kolk__add_acq_rel(&tracked->notifications, 1);
}

static void on_request(void *user, struct kolk_mcp_call *call,
		       const struct kolk_mcp_message *message)
{
	struct kolk_mcp_result answer = KOLK_INIT(kolk_mcp_result);
	struct tracked *tracked = user;

	keep(tracked->request, sizeof tracked->request, message->params, message->params_size);
	keep(tracked->method_seen, sizeof tracked->method_seen, message->method, message->method_size);
	keep(tracked->id, sizeof tracked->id, message->id, message->id_size);
	answer.result = tracked->reply;
	answer.result_size = tracked->reply != NULL ? strlen(tracked->reply) : 0;
	if (tracked->reply != NULL)
		assert_int_equal(kolk_mcp_reply(call, message->id, message->id_size, &answer), KOLK_OK);
	kolk__add_acq_rel(&tracked->requests, 1);
}

static void on_end(void *user, struct kolk_mcp_call *call, const struct kolk_mcp_result *result)
{
	struct tracked *tracked = user;

	(void)call;
	tracked->result = *result;
	if (result->result != NULL)
		keep(tracked->text, sizeof tracked->text, result->result, result->result_size);
	if (result->error != NULL)
		keep(tracked->text, sizeof tracked->text, result->error, result->error_size);
	kolk__add_acq_rel(&tracked->ends, 1);
}

static const struct kolk_mcp_handler handler = { .size = sizeof handler, .head = on_head,
						 .notification = on_notification,
						 .request = on_request, .end = on_end };

void tracked_start(void *user)
{
	struct tracked *tracked = user;
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);
	struct kolk_mcp_envelope read = KOLK_INIT(kolk_mcp_envelope);

	request.method = tracked->method;
	request.params = tracked->params;
	request.params_size = tracked->params != NULL ? strlen(tracked->params) : 0;
	if (tracked->message != NULL) {
		assert_int_equal(kolk_mcp_read(tracked->message, strlen(tracked->message), &read),
				 KOLK_OK);
		request.method = read.method;
		request.message = &read;
	}
	request.deadline_ns = tracked->deadline_ns;
	if (tracked->listen)
		tracked->started = kolk_mcp_listen(tracked->client, &handler, tracked, &tracked->call);
	else
		tracked->started = kolk_mcp_start(tracked->client, &request, &handler, tracked,
						&tracked->call);
}

void tracked_cancel(void *tracked)
{
	kolk_mcp_cancel(((struct tracked *)tracked)->call);
}

void tracked_pause(void *tracked)
{
	kolk_mcp_pause(((struct tracked *)tracked)->call);
}

void tracked_resume(void *tracked)
{
	kolk_mcp_resume(((struct tracked *)tracked)->call);
}

void tracked_wait(struct tracked *tracked)
{
	for (int i = 0; i < 60000 && kolk__load_acquire(&tracked->ends) == 0; i++)
		usleep(1000);
	assert_int_equal(kolk__load_acquire(&tracked->ends), 1);
}

void place_calls_at_once(struct place *place, struct kolk_mcp_client *client, int count)
{
	struct tracked *calls = calloc((size_t)count, sizeof *calls);
	char (*params)[128] = calloc((size_t)count, sizeof *params), nonce[16];

	for (int i = 0; i < count; i++) {
		snprintf(params[i], 128, "{\"_meta\":{\"progressToken\":\"t\"},\"name\":\"progress\","
			 "\"arguments\":{\"steps\":2,\"ms\":1,\"nonce\":\"n-%d-\"}}", i);
		calls[i].client = client;
		calls[i].method = "tools/call";
		calls[i].params = params[i];
		place_on_loop(place->loop, tracked_start, &calls[i]);
	}
	for (int i = 0; i < count; i++) {
		tracked_wait(&calls[i]);
		assert_int_equal(calls[i].result.err, KOLK_OK);
		snprintf(nonce, sizeof nonce, "n-%d-", i);
		assert_non_null(strstr(calls[i].text, nonce));
		assert_int_equal(kolk__load_acquire(&calls[i].notifications), 2);
		assert_non_null(strstr(calls[i].notification, "\"progressToken\":\"t\""));
	}
	free(params);
	free(calls);
}

void place_cancelled_pause(struct place *place, struct kolk_mcp_client *client, bool receiving)
{
	struct tracked slow = { .client = client, .method = "tools/call",
				.params = "{\"name\":\"slow\",\"arguments\":{\"ms\":60000}}" };
	struct tracked others[2] = { { .client = NULL } };

	place_tool(client, "echo", "{\"nonce\":\"on\"}");
	place_on_loop(place->loop, tracked_start, &slow);
	place_on_loop(place->loop, tracked_pause, &slow);
	for (int i = 0; i < 2; i++) {
		others[i].client = client;
		others[i].method = "tools/list";
		place_on_loop(place->loop, tracked_start, &others[i]);
		if (i == 0 && receiving)
			tracked_wait(&others[0]);
	}
	usleep(20000);
	assert_int_equal(kolk__load_acquire(&others[1].ends), 0);
	place_on_loop(place->loop, tracked_cancel, &slow);
	for (int i = 0; i < 2; i++) {
		tracked_wait(&others[i]);
		assert_int_equal(others[i].result.err, KOLK_OK);
	}
	tracked_wait(&slow);
	assert_int_equal(slow.result.err, KOLK_E_CANCELLED);
}
