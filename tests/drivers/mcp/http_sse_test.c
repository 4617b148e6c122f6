/* SPDX-License-Identifier: Apache-2.0 */
/* Servers of 2024-11-05: HTTP+SSE. */
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"
#include "transport/drivers/mcp/inside.h"

static const uint32_t sharings[] = { KOLK_MCP_BOUND, KOLK_MCP_VIRGIN, KOLK_MCP_EXCLUSIVE,
				     KOLK_MCP_MULTIPLEXED };

#define HTTP_SSE .mcp.transport = KOLK_MCP_HTTP_SSE, .mcp.path = "/sse"

static void a_stream_is_a_session(void **state)
{
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (int s = 0; s < 4; s++) {
		struct place_options options = { HTTP_SSE, .mcp.sharing = sharings[s],
						 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT };

		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		for (int i = 0; i < 5; i++)
			assert_non_null(strstr(place_tool(client, "echo", "{\"nonce\":\"n\"}"),
					       "\"n\""));
		result = place_call(client, "initialize", NULL);
		assert_non_null(strstr(result.result, "\"protocolVersion\":\"2024-11-05\""));
		kolk_mcp_result_free(&result);
		assert_int_equal(place_number(&place, MCP_N_sessions_created), 1);
		assert_int_equal(place_number(&place, MCP_N_requests), 6);
		assert_int_equal(place_number(&place, MCP_N_notifications), 1);
		assert_int_equal(kolk_mcp_era(place.mcp), KOLK_MCP_LEGACY);
		place_client_close(&place, client);
		place_close(&place);
	}
}

/* ---- the endpoint */

/* What it says in front of "ID": the session is made if that is "/message?sessionId=ID" here. */
static void an_endpoint_is_of_the_same_origin(void **state)
{
	static const struct {
		const char *endpoint;
		bool good;
	} cases[] = {
		{ "/message?sessionId=", true },
		{ "message?sessionId=", true },
		{ "http://%s/message?sessionId=", true },
		{ "HTTP://%s/message?sessionId=", true },
		{ "//%s/message?sessionId=", true },
		{ "https://%s/message?sessionId=", false },
		{ "http://127.0.0.2:1/message?sessionId=", false },
		{ "http://user@%s/message?sessionId=", false },
		{ "http://%s@127.0.0.2/message?sessionId=", false },
		{ "http://%s.example/message?sessionId=", false },
		{ "//127.0.0.2:1/message?sessionId=", false },
		{ "http:///message?sessionId=", false },
		{ "http:/message?sessionId=", false },
		{ "file:///message?sessionId=", false },
		{ "/message ?sessionId=", false },
		{ "/message#?sessionId=", false },
		{ "\\\\127.0.0.2\\message?sessionId=", false },
	};
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct place_options options = { HTTP_SSE, .server.endpoint = cases[i].endpoint };

		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		result = place_call(client, "ping", NULL);
		if (result.err != (cases[i].good ? KOLK_OK : KOLK_E_PROTOCOL))
			fail_msg("%s: %s", cases[i].endpoint, kolk_err_text(result.err));
		if (!cases[i].good)
			assert_int_equal(place_number(&place, MCP_N_requests), 0);
		kolk_mcp_result_free(&result);
		place_client_close(&place, client);
		place_close(&place);
	}
}

static void without_its_endpoint_there_is_no_session(void **state)
{
	static const struct {
		struct mcp_options server;
		enum kolk_err err;
		const char *path;
	} cases[] = {
		{ { .endpoint = "" }, KOLK_E_TIMEOUT, "/sse" },
		{ { .endpoint = "/other?" }, KOLK_E_SERVER, "/sse" },
		{ { .init_status = 503 }, KOLK_E_SERVER, "/sse" },
		{ { .init_status = 401 }, KOLK_E_AUTH, "/sse" },
		{ { .init_version = 1 }, KOLK_E_UNSUPPORTED, "/sse" },
		{ { .early = 1 }, KOLK_OK, "/sse" },
		{ { .cut = 1 }, KOLK_E_CLOSED, "/sse" },
		{ { .versions = "2025-11-25" }, KOLK_E_SERVER, "/sse" },
		{ { .versions = NULL }, KOLK_E_PROTOCOL, "/numbers" }, /* 200, but no stream */
	};
	struct kolk_mcp_result result;
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct place_options options = { .server = cases[i].server,
						 .mcp.transport = KOLK_MCP_HTTP_SSE,
						 .mcp.path = cases[i].path };

		if (cases[i].err == KOLK_E_TIMEOUT)
			options.mcp.initialize_timeout_ns = 200 * KOLK_MS_NS;
		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		result = place_call(client, "tools/list", NULL);
		if (result.err != cases[i].err &&
		    !(cases[i].err == KOLK_E_TIMEOUT && result.err == KOLK_E_DIAL_TIMEOUT) &&
		    !(cases[i].err == KOLK_E_CLOSED && result.err == KOLK_E_RESET))
			fail_msg("case %zu: %s", i, kolk_err_text(result.err));
		kolk_mcp_result_free(&result);
		place_client_close(&place, client);
		place_close(&place);
	}
}

/* A server that answers POST with 405 is asked by GET, and then at once. */
static void what_a_server_speaks_is_found(void **state)
{
	static const char *const paths[] = { "/sse", "/mcp" };
	struct kolk_mcp_client *clients[2];
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (int p = 0; p < 2; p++) {
		struct place_options options = { .mcp.transport = KOLK_MCP_HTTP_AUTO };

		options.mcp.path = paths[p];
		place_open(&place, &options);
		for (int i = 0; i < 2; i++) {
			clients[i] = place_client(&place, "alice", NULL);
			place_tool(clients[i], "echo", "{}");
			result = place_call(clients[i], "initialize", NULL);
			assert_non_null(strstr(result.result, p == 0 ? "2024-11-05" : "2025-11-25"));
			kolk_mcp_result_free(&result);
			assert_int_equal(kolk__load_relaxed(&place.mcp->http_sse_until_ns) != 0,
					 p == 0);
		}
		assert_int_equal(place_number(&place, MCP_N_sessions_created), 2);
		for (int i = 0; i < 2; i++)
			place_client_close(&place, clients[i]);
		place_close(&place);
	}
}

/* ---- what a session does */

static void messages_come_on_the_stream(void **state)
{
	struct place_options options = { HTTP_SSE, .mcp.capabilities = "{\"sampling\":{}}" };
	struct tracked tracked = {
		.method = "tools/call",
		.params = "{\"_meta\":{\"progressToken\":\"mine\"},\"name\":\"progress\",\"arguments\":"
			  "{\"steps\":3,\"ms\":1}}",
	};
	struct tracked asked = {
		.method = "tools/call",
		.params = "{\"name\":\"test_sampling\",\"arguments\":{\"prompt\":\"p\"}}",
		.reply = "{\"role\":\"assistant\",\"content\":{\"type\":\"text\",\"text\":\"the answer\"},"
			 "\"model\":\"m\"}",
	};
	struct tracked listening = { .listen = true };
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	place_open(&place, &options);
	tracked.client = asked.client = listening.client = place_client(&place, "alice", NULL);
	place_on_loop(place.loop, tracked_start, &tracked);
	tracked_wait(&tracked);
	assert_int_equal(tracked.result.err, KOLK_OK);
	assert_int_equal(kolk__load_acquire(&tracked.notifications), 3);
	assert_non_null(strstr(tracked.notification, "\"mine\""));
	place_on_loop(place.loop, tracked_start, &asked);
	tracked_wait(&asked);
	assert_int_equal(kolk__load_acquire(&asked.requests), 1);
	assert_non_null(strstr(asked.text, "the answer"));
	place_on_loop(place.loop, tracked_start, &listening);
	for (int i = 0; i < 5000 && kolk__load_acquire(&listening.heads) == 0; i++)
		usleep(1000);
	assert_int_equal(kolk__load_acquire(&listening.heads), 1);
	result = place_call(listening.client, "resources/subscribe",
			    "{\"uri\":\"test://watched-resource\"}");
	kolk_mcp_result_free(&result);
	place_tool(listening.client, "touch", "{}");
	for (int i = 0; i < 5000 && kolk__load_acquire(&listening.notifications) == 0; i++)
		usleep(1000);
	assert_string_equal(listening.method_seen, "notifications/resources/updated");
	place_on_loop(place.loop, tracked_cancel, &listening);
	tracked_wait(&listening);
	assert_int_equal(listening.result.err, KOLK_E_CANCELLED);
	place_client_close(&place, tracked.client);
	place_close(&place);
}

static void a_cancel_keeps_the_session(void **state)
{
	struct place_options options = { HTTP_SSE };
	struct tracked tracked = { .method = "tools/call",
				   .params = "{\"name\":\"slow\",\"arguments\":{\"ms\":60000}}" };
	struct place place;

	(void)state;
	place_open(&place, &options);
	tracked.client = place_client(&place, "alice", NULL);
	place_on_loop(place.loop, tracked_start, &tracked);
	place_wait_for(&place, MCP_N_calls_now, 1);
	place_on_loop(place.loop, tracked_cancel, &tracked);
	tracked_wait(&tracked);
	assert_int_equal(tracked.result.err, KOLK_E_CANCELLED);
	place_wait_for(&place, MCP_N_cancels_notified, 1);
	place_tool(tracked.client, "echo", "{}");
	assert_int_equal(place_number(&place, MCP_N_sessions_created), 1);
	place_client_close(&place, tracked.client);
	place_close(&place);
}

/* More than is queued for a reader: the server is slowed down, and goes on. */
static void messages_may_be_long(void **state)
{
	struct place_options options = { HTTP_SSE, .server = { .huge = 2, .huge_bytes = 3 << 20 } };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	for (int i = 0; i < 6; i++)
		assert_non_null(strstr(place_tool(client, "echo", "{\"nonce\":\"long\"}"), "long"));
	place_client_close(&place, client);
	place_close(&place);
	options.mcp.message_bytes_max = 65536;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	result = place_call(client, "tools/call", "{\"name\":\"echo\",\"arguments\":{}}");
	assert_int_equal(result.err, KOLK_E_LIMIT);
	assert_int_equal(result.lost, 1);
	kolk_mcp_result_free(&result);
	place_client_close(&place, client);
	place_close(&place);
}

/* ---- what it loses */

/* The second answer, after that to initialize, is cut; or it is no message. */
static void a_stream_that_ends_has_lost_its_session(void **state)
{
	static const struct mcp_options servers[] = { { .cut = 2 }, { .bad_json = 2 } };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (int s = 0; s < 8; s++) {
		struct place_options options = { HTTP_SSE, .mcp.sharing = sharings[s % 4],
						 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT,
						 .server = servers[s / 4] };
		bool single = options.mcp.sharing == KOLK_MCP_BOUND ||
			      options.mcp.sharing == KOLK_MCP_VIRGIN;

		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		result = place_call(client, "tools/list", NULL);
		assert_true(result.err == KOLK_E_CLOSED || result.err == KOLK_E_RESET ||
			    (s >= 4 && result.err == KOLK_E_PROTOCOL));
		assert_int_equal(result.lost, single);
		kolk_mcp_result_free(&result);
		assert_int_equal(place_stats(&place).lost, 1);
		result = place_call(client, "ping", NULL); /* its session's initialize is the third */
		if (single)
			assert_int_equal(result.err, KOLK_E_CLOSED);
		assert_int_equal(result.lost, single);
		kolk_mcp_result_free(&result);
		place_client_close(&place, client);
		place_close(&place);
	}
}

static void what_the_server_forgot_is_made_again(void **state)
{
	struct place_options options = { HTTP_SSE, .mcp.sharing = KOLK_MCP_EXCLUSIVE,
					 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT, .server.lose = 4 };
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	for (int i = 0; i < 6; i++)
		place_tool(client, "echo", "{}");
	assert_int_equal(place_number(&place, MCP_N_sessions_created), 3);
	assert_int_equal(place_stats(&place).remade, 2);
	assert_int_equal(place_stats(&place).lost, 2);
	place_client_close(&place, client);
	place_close(&place);
}

/* ---- sessions of one loop are read on another */

enum { CALLERS = 8, CALLS = 30 };

struct caller {
	struct kolk_mcp_client *client;
	uint32_t failed;
};

static void *be_caller(void *user)
{
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);
	struct caller *caller = user;

	request.method = "tools/call";
	request.params = "{\"name\":\"progress\",\"arguments\":{\"steps\":2,\"ms\":0}}";
	request.params_size = strlen(request.params);
	for (int i = 0; i < CALLS; i++) {
		struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

		caller->failed += kolk_mcp_call(caller->client, &request, &result) != KOLK_OK;
		kolk_mcp_result_free(&result);
	}
	return NULL;
}

static void any_loop_reads(void **state)
{
	struct caller callers[CALLERS];
	pthread_t threads[CALLERS];
	struct place place;

	(void)state;
	for (int s = 2; s < 4; s++) {
		struct place_options options = { HTTP_SSE, .mcp.sharing = sharings[s],
						 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT,
						 .mcp.sessions_max = 3 };
		struct kolk_loop *first;

		place_open(&place, &options);
		first = place.loop;
		for (int i = 0; i < CALLERS; i++) {
			place.loop = kolk_engine_loop(place.engine, (uint32_t)i % 2);
			callers[i] = (struct caller){ .client = place_client(&place, "alice", NULL) };
			pthread_create(&threads[i], NULL, be_caller, &callers[i]);
		}
		for (int i = 0; i < CALLERS; i++) {
			pthread_join(threads[i], NULL);
			assert_int_equal(callers[i].failed, 0);
		}
		assert_true(place_number(&place, MCP_N_sessions_created) <= 3);
		assert_int_equal(place_number(&place, MCP_N_duplicate_ids), 0);
		for (int i = 0; i < CALLERS; i++) {
			place.loop = i % 2 == 0 ? first : kolk_engine_loop(place.engine, 1);
			place_client_close(&place, callers[i].client);
		}
		place_close(&place);
	}
}

/* ---- what comes while no call is there, from a server of the test's own: a connection at a time,
 * but for the stream */

struct server {
	pthread_t thread;
	pthread_mutex_t lock;
	int listener, stream;
	char posted[4096];               /* the last body */
	bool pings_first;                /* initialize is answered when a ping was */
	unsigned long long initialize;   /* its id, until then */
	kolk__atomic_u32 posts, pongs;
};

#define PING "data: {\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"ping\"}\n\n"
#define PONG "{\"jsonrpc\":\"2.0\",\"id\":\"p\",\"result\":{}}"

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* A request; true = it has a body. */
static bool read_request(int fd, char *body, size_t max)
{
	char text[8192], *end = NULL, *length;
	size_t had = 0;

	while (end == NULL || strlen(end) < (length != NULL ? strtoul(length + 16, NULL, 10) : 0) + 4) {
		ssize_t size = recv(fd, text + had, sizeof text - 1 - had, 0);

		assert_true(size > 0);
		text[had += (size_t)size] = '\0';
		end = strstr(text, "\r\n\r\n");
		length = strstr(text, "content-length: ");
	}
	snprintf(body, max, "%s", end + 4);
	return body[0] != '\0';
}

/* The id of what is to be answered now; 0 = nothing is. */
static unsigned long long id_to_answer(struct server *server)
{
	const char *id = strstr(server->posted, "\"method\":") != NULL ?
				 strstr(server->posted, "\"id\":") : NULL;
	unsigned long long number = id != NULL ? strtoull(id + 5, NULL, 10) : 0;

	if (server->pings_first && strstr(server->posted, "\"initialize\"") != NULL) {
		server->initialize = number;
		say(server->stream, PING);
		return 0;
	}
	if (strcmp(server->posted, PONG) == 0) {
		kolk__add_acq_rel(&server->pongs, 1);
		number = server->initialize;
		server->initialize = 0;
	}
	return number;
}

static void serve(struct server *server, int fd)
{
	unsigned long long id;
	char answer[512];

	if (!read_request(fd, server->posted, sizeof server->posted)) {
		server->stream = fd;
		say(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
			"data: {}\n\n: none of these is the endpoint\nevent: other\ndata: /a\n\n"
			"event: endpoint\r\ndata: /b\r\n\r\nevent: endpoint\ndata: /c\n\n");
		return;
	}
	say(fd, "HTTP/1.1 202 Accepted\r\nContent-Length: 8\r\nConnection: close\r\n\r\nAccepted");
	close(fd);
	id = id_to_answer(server);
	snprintf(answer, sizeof answer,
		 "data: {\"jsonrpc\":\"2.0\",\ndata: \"id\":%llu,\"result\":{\"protocolVersion\":"
		 "\"2024-11-05\",\"capabilities\":{},\"serverInfo\":{}}}\n\n",
		 id);
	if (id != 0)
		say(server->stream, answer);
	kolk__add_acq_rel(&server->posts, 1);
}

static void *be_server(void *user)
{
	struct server *server = user;
	int fd;

	while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
		pthread_mutex_lock(&server->lock);
		serve(server, fd);
		pthread_mutex_unlock(&server->lock);
	}
	return NULL;
}

static void wait_for_posts(struct server *server, uint32_t count)
{
	for (int i = 0; i < 5000 && kolk__load_acquire(&server->posts) < count; i++)
		usleep(1000);
	assert_int_equal(kolk__load_acquire(&server->posts), count);
}

/* An engine with a pool to it, and an upstream; no fixture. */
static void open_place(struct place *place, const char *address)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	struct kolk_mcp_options options = KOLK_INIT(kolk_mcp_options);

	engine.loops = 2;
	engine.resources_max = 10;
	assert_int_equal(kolk_engine_create(&engine, &place->engine), KOLK_OK);
	pool.name = "server";
	pool.address = address;
	pool.driver = kolk_driver_http();
	pool.mend_timeout_ns = KOLK_AT_ONCE;
	assert_int_equal(kolk_pool_add(place->engine, &pool, &place->connections), KOLK_OK);
	options.transport = KOLK_MCP_HTTP_SSE;
	options.sharing = KOLK_MCP_EXCLUSIVE;
	options.isolation = KOLK_MCP_ISOLATION_TENANT;
	assert_int_equal(kolk_mcp_open(place->connections, &options, &place->mcp), KOLK_OK);
	place->loop = kolk_engine_loop(place->engine, 0);
}

/* The stream of the session has ended, also as the client sees it. */
static void wait_for_no_stream(const struct place *place)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	for (int i = 0; i < 5000; i++) {
		assert_int_equal(kolk_pool_stats(place->connections, &stats), KOLK_OK);
		if (stats.leased == 0)
			break;
		usleep(1000);
	}
	assert_int_equal(stats.leased, 0);
}

/* It runs, and a place is opened to it. */
static void server_open(struct server *server, struct place *place)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof at;
	char address[64];

	(void)pthread_mutex_init(&server->lock, NULL);
	server->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&at, size), 0);
	assert_int_equal(listen(server->listener, 16), 0);
	assert_int_equal(getsockname(server->listener, (struct sockaddr *)&at, &size), 0);
	snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(at.sin_port));
	pthread_create(&server->thread, NULL, be_server, server);
	open_place(place, address);
}

static void server_close(struct server *server, struct place *place, struct kolk_mcp_client *client)
{
	place_client_close(place, client);
	assert_int_equal(kolk_mcp_close(place->mcp, kolk_in_ms(5000)), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(place->engine), KOLK_OK);
	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->listener);
	close(server->stream);
	(void)pthread_mutex_destroy(&server->lock);
}

/* A server that waits for the answer before it goes on with the session. */
static void a_server_may_ping_while_a_session_is_made(void **state)
{
	struct server server = { .pings_first = true };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	server_open(&server, &place);
	client = place_client(&place, "alice", NULL);
	result = place_call(client, "ping", NULL);
	assert_int_equal(result.err, KOLK_OK);
	kolk_mcp_result_free(&result);
	assert_int_equal(kolk__load_acquire(&server.pongs), 1);
	server_close(&server, &place, client);
}

static void a_server_may_ping_an_idle_session(void **state)
{
	struct server server = { .pings_first = false };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	server_open(&server, &place);
	client = place_client(&place, "alice", NULL);
	for (uint32_t i = 0; i < 2; i++) {
		result = place_call(client, "ping", NULL);
		assert_int_equal(result.err, KOLK_OK);
		kolk_mcp_result_free(&result);
		wait_for_posts(&server, 3 + 2 * i);
		pthread_mutex_lock(&server.lock);
		say(server.stream, "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n" PING);
		pthread_mutex_unlock(&server.lock);
		wait_for_posts(&server, 4 + 2 * i);
		pthread_mutex_lock(&server.lock);
		assert_string_equal(server.posted, PONG);
		pthread_mutex_unlock(&server.lock);
	}
	pthread_mutex_lock(&server.lock);
	close(server.stream); /* the session is idle: the next call makes another one */
	pthread_mutex_unlock(&server.lock);
	wait_for_no_stream(&place);
	result = place_call(client, "ping", NULL);
	assert_int_equal(result.err, KOLK_OK);
	kolk_mcp_result_free(&result);
	wait_for_posts(&server, 9);
	server_close(&server, &place, client);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_stream_is_a_session),
	cmocka_unit_test(an_endpoint_is_of_the_same_origin),
	cmocka_unit_test(without_its_endpoint_there_is_no_session),
	cmocka_unit_test(what_a_server_speaks_is_found),
	cmocka_unit_test(messages_come_on_the_stream),
	cmocka_unit_test(a_cancel_keeps_the_session),
	cmocka_unit_test(messages_may_be_long),
	cmocka_unit_test(a_stream_that_ends_has_lost_its_session),
	cmocka_unit_test(what_the_server_forgot_is_made_again),
	cmocka_unit_test(any_loop_reads),
	cmocka_unit_test(a_server_may_ping_while_a_session_is_made),
	cmocka_unit_test(a_server_may_ping_an_idle_session),
};
CMOCKA_TESTS(mcp_http_sse, tests);
