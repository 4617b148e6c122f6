/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_wire_test.c - the HTTP server on sockets, on both back ends: clients that are fast, slow,
 * greedy, and gone. */
#include "tests/kit/cmocka/run.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/drivers/http_fixture.h"
#include "tests/drivers/served.h"
#include "tests/kit/restarted.h"
#include "transport/drivers/blocks.h"

/* ---- a client */

static int dial(const struct served *served)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(served->port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval patience = {.tv_sec = 10};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Read until this was received count times, or the end. */
static size_t read_until(int fd, const char *part, size_t count, char *text, size_t capacity)
{
	size_t size = 0, found = 0, from = 0;

	text[0] = '\0';
	while (found < count) {
		ssize_t got = kit_recv(fd, text + size, capacity - 1 - size, 0);
		char *at;

		if (got <= 0)
			break;
		size += (size_t)got;
		text[size] = '\0';
		while ((at = strstr(text + from, part)) != NULL) {
			found++;
			from = (size_t)(at - text) + strlen(part);
		}
	}
	return found;
}

static void reset_fd(int fd)
{
	struct linger linger = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	close(fd);
}

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

/* Each test on each back end that the machine has. */
static void on_backends(void (*test)(enum kolk_backend backend))
{
	test(KOLK_BACKEND_EPOLL);
	test(KOLK_BACKEND_AUTO);
}

/* ---- tests */

static void keep_alive(enum kolk_backend backend)
{
	struct served served;
	char text[4096];
	int fd;

	served_open(&served, backend, NULL);
	fd = dial(&served);
	for (int i = 0; i < 200; i++) {
		say(fd, GET("/"));
		assert_int_equal(read_until(fd, "hello", 1, text, sizeof text), 1);
	}
	say(fd, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	assert_int_equal(read_until(fd, "connection: close", 1, text, sizeof text), 1);
	while (kit_recv(fd, text, sizeof text, 0) > 0)
		;
	close(fd);
	served_wait_quiet(&served);
	assert_int_equal(kolk__load_acquire(&served.gone), 0);
	served_close(&served);
}

/* ---- loops that are held up: what is said meanwhile comes to them at once */

struct held_up {
	struct kolk_call call;
	sem_t go_on, gone;
};

static void wait_there(struct kolk_call *call, void *user)
{
	struct held_up *held = user;

	(void)call;
	while (sem_wait(&held->go_on) != 0) /* EINTR */
		;
	sem_post(&held->gone);
}

static void hold_up(const struct served *served, struct held_up held[2])
{
	for (uint32_t i = 0; i < 2; i++) {
		sem_init(&held[i].go_on, 0, 0);
		sem_init(&held[i].gone, 0, 0);
		assert_int_equal(kolk_loop_call(kolk_engine_loop(served->engine, i), &held[i].call,
						wait_there, &held[i]), KOLK_OK);
	}
}

static void let_go(struct held_up held[2])
{
	for (int i = 0; i < 2; i++) {
		sem_post(&held[i].go_on);
		while (sem_wait(&held[i].gone) != 0)
			;
	}
}

/* Once its memory is there, a request costs none but the callee's. How much that is depends on how
 * many come at once: in some rounds all of them do, early ones too. */
static void allocates_nothing(enum kolk_backend backend)
{
	struct served served;
	uint64_t before = 0;
	struct held_up held[2];
	char text[4096];
	int fds[8];

	served_open(&served, backend, NULL);
	for (int i = 0; i < 8; i++)
		fds[i] = dial(&served);
	for (uint32_t round = 0; round < 100; round++) {
		const bool at_once = round > 0 && round % 25 < 4;

		if (round == 50)
			before = kolk__load_relaxed(&allocations);
		if (at_once)
			hold_up(&served, held);
		for (int i = 0; i < 8; i++)
			say(fds[i], GET("/"));
		if (at_once)
			let_go(held);
		for (int i = 0; i < 8; i++)
			assert_int_equal(read_until(fds[i], "hello", 1, text, sizeof text), 1);
		served_wait_for(&served.ends, (round + 1) * 8);
	}
	/* AddressSanitizer: the block of each send is an allocation. */
	assert_int_equal(kolk__load_relaxed(&allocations) - before,
			 50 * 8 * (BLOCKS_ARE_KEPT ? 1 : 2));
	for (int i = 0; i < 8; i++)
		close(fds[i]);
	served_wait_quiet(&served);
	served_close(&served);
}

static void pipelined(enum kolk_backend backend)
{
	enum { COUNT = 500 };
	static char text[1 << 20];
	struct served served;
	char *requests = calloc(COUNT, sizeof GET("/"));
	int fd;

	for (int i = 0; i < COUNT; i++)
		strcat(requests, GET("/"));
	served_open(&served, backend, NULL);
	fd = dial(&served);
	say(fd, requests);
	assert_int_equal(read_until(fd, "hello", COUNT, text, sizeof text), COUNT);
	close(fd);
	served_wait_quiet(&served);
	served_close(&served);
	free(requests);
}

/* Send and receive at once, as much as goes; what comes back is what was sent. */
static void echo_over(int fd, uint64_t total)
{
	char out[32768], in[65536];
	uint64_t sent = 0, received = 0;

	while (received < total) {
		struct pollfd wait = {.fd = fd, .events = POLLIN | (sent < total ? POLLOUT : 0)};
		ssize_t moved;

		while (poll(&wait, 1, 10000) < 0)
			assert_int_equal(errno, EINTR);
		if (wait.revents & POLLOUT) {
			size_t size = total - sent < sizeof out ? total - sent : sizeof out;

			for (size_t i = 0; i < size; i++)
				out[i] = served_byte(sent + i);
			moved = send(fd, out, size, MSG_NOSIGNAL | MSG_DONTWAIT);
			sent += moved > 0 ? (uint64_t)moved : 0;
		}
		if (!(wait.revents & POLLIN))
			continue;
		moved = recv(fd, in, sizeof in, MSG_DONTWAIT);
		assert_true(moved > 0);
		for (ssize_t i = 0; i < moved; i++)
			assert_int_equal(in[i], served_byte(received++));
	}
}

/* Another protocol from here on: both directions at once, and both with back-pressure. */
static void upgrade(enum kolk_backend backend)
{
	static const char head[] = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n"
				   "upgrade: echo\r\n\r\n";
	struct served served;
	char text[1024];
	int fd;

	served_open(&served, backend, NULL);
	fd = dial(&served);
	say(fd, "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
	assert_int_equal(kit_recv(fd, text, sizeof head - 1, MSG_WAITALL), sizeof head - 1);
	assert_memory_equal(text, head, sizeof head - 1);
	echo_over(fd, 30 << 20);
	shutdown(fd, SHUT_WR); /* the callee ends its direction, too */
	assert_int_equal(kit_recv(fd, text, sizeof text, 0), 0);
	close(fd);
	served_wait_quiet(&served);
	assert_int_equal(kolk__load_acquire(&served.gone), 0);
	served_close(&served);
}

/* A body through the server and back, over the library's own client. */
static void ask_over(enum kolk_backend backend, enum kolk_http_protocols protocols)
{
	struct kolk_http_driver_options driver = KOLK_INIT(kolk_http_driver_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	struct kolk_http_response response;
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct http_fixture client;
	struct served served;
	size_t size = 3 << 20;
	char *body = malloc(size);

	for (size_t i = 0; i < size; i++)
		body[i] = served_byte(i);
	served_open(&served, backend, NULL);
	pool.address = kolk_listener_address(served.listener);
	pool.idle_min = KOLK_NONE;
	driver.protocols = protocols;
	pool.driver_user = &driver;
	assert_true(http_fixture_open_on(&client, &pool, backend));
	for (int i = 0; i < 20; i++) {
		response = (struct kolk_http_response)KOLK_INIT(kolk_http_response);
		request.method = "POST";
		request.target = "/echo";
		request.body = body;
		request.body_size = size >> (i % 8) * 3;
		request.expect_continue = (uint32_t)i % 2;
		request.deadline_ns = kolk_in_ms(20000);
		assert_int_equal(kolk_http_call(client.http, client.key, &request, NULL,
						&response), KOLK_OK);
		assert_int_equal(response.status, 200);
		assert_int_equal(response.body_size, request.body_size);
		assert_memory_equal(response.body, body, request.body_size);
		kolk_http_response_free(&response);
	}
	assert_int_equal(http_fixture_call(&client, "GET", "/bytes/1000000", &response), KOLK_OK);
	assert_int_equal(response.body_size, 1000000);
	assert_memory_equal(response.body, body, 1000000);
	kolk_http_response_free(&response);
	assert_int_equal(http_fixture_stats(&client).created, 1); /* one connection, kept */
	assert_true(http_fixture_close(&client));
	served_wait_quiet(&served);
	served_close(&served);
	free(body);
}

static void own_client(enum kolk_backend backend)
{
	ask_over(backend, KOLK_HTTP_1_ONLY);
	ask_over(backend, KOLK_HTTP_2_ONLY);
}

/* What stands in front of each target; "*" is not a path. */
static void base_path_over(enum kolk_backend backend, uint32_t protocols)
{
	struct kolk_http_driver_options driver = KOLK_INIT(kolk_http_driver_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	struct kolk_http_response response;
	struct http_fixture client;
	struct served served;

	served_open(&served, backend, NULL);
	pool.address = kolk_listener_address(served.listener);
	driver.protocols = protocols;
	driver.base_path = "/bytes/7000";
	pool.driver_user = &driver;
	assert_true(http_fixture_open_on(&client, &pool, backend));
	assert_int_equal(http_fixture_call(&client, "GET", "/a", &response), KOLK_OK);
	assert_int_equal(response.body_size, 7000);
	kolk_http_response_free(&response);
	assert_int_equal(http_fixture_call(&client, "OPTIONS", "*", &response), KOLK_OK);
	assert_int_not_equal(response.body_size, 7000);
	kolk_http_response_free(&response);
	assert_true(http_fixture_close(&client));
	served_close(&served);
}

static void base_path(enum kolk_backend backend)
{
	base_path_over(backend, KOLK_HTTP_1_ONLY);
	base_path_over(backend, KOLK_HTTP_2_ONLY);
}

static void test_base_paths(void **state)
{
	static const struct {
		const char *path;
		enum kolk_err err;
	} rows[] = { { "/api", KOLK_OK }, { "/a%20b/c", KOLK_OK }, { "api", KOLK_E_OPTIONS },
		     { "/api/", KOLK_E_OPTIONS }, { "/", KOLK_E_OPTIONS }, { "/a?b", KOLK_E_OPTIONS },
		     { "/a#b", KOLK_E_OPTIONS }, { "/a b", KOLK_E_OPTIONS }, { "", KOLK_E_OPTIONS },
		     { "/a\r\nx: y", KOLK_E_OPTIONS } };
	struct served served;

	(void)state;
	served_open(&served, KOLK_BACKEND_AUTO, NULL);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct kolk_http_driver_options driver = KOLK_INIT(kolk_http_driver_options);
		struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);

		driver.base_path = rows[i].path;
		pool.name = "web";
		pool.address = "127.0.0.1:80";
		pool.driver = kolk_driver_http();
		pool.driver_user = &driver;
		if (kolk_pool_check(served.engine, &pool) != rows[i].err)
			fail_msg("base_path '%s'", rows[i].path);
	}
	served_close(&served);
}

/* A client that does not read: what it does not take is not made. */
static void back_pressure(enum kolk_backend backend)
{
	struct served served;
	uint64_t pulled, before = 0;
	int fd;

	served_open(&served, backend, NULL);
	fd = dial(&served);
	say(fd, GET("/bytes/10000000000"));
	while ((pulled = kolk__load_acquire(&served.pulled)) == 0 || pulled != before) {
		before = pulled;
		usleep(100000);
	}
	assert_true(pulled < 32 << 20);
	reset_fd(fd);
	served_wait_quiet(&served);
	assert_int_equal(kolk__load_acquire(&served.gone), 1);
	served_close(&served);
}

static void slow_loris(enum kolk_backend backend)
{
	struct kolk_http_server_options options = KOLK_INIT(kolk_http_server_options);
	struct served served;
	char text[1024];
	int fds[50];

	options.header_timeout_ns = 300 * KOLK_MS_NS;
	served_open(&served, backend, &options);
	for (int i = 0; i < 50; i++)
		fds[i] = dial(&served);
	for (int i = 0; i < 50; i++)
		say(fds[i], "GET / HTTP/1.1\r\nHost: a\r\nX: ");
	for (int i = 0; i < 50; i++) {
		assert_int_equal(read_until(fds[i], "HTTP/1.1 408 ", 1, text, sizeof text), 1);
		close(fds[i]);
	}
	served_wait_for(&served.refused, 50);
	served_wait_quiet(&served);
	served_close(&served);
}

/* It goes at each byte of a request, and at each moment of an answer. */
static void client_resets(enum kolk_backend backend)
{
	static const char request[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
				      "0123456789" GET("/bytes/300000") GET("/hold");
	struct served served;
	char text[4096];

	served_open(&served, backend, NULL);
	for (size_t size = 0; size < sizeof request; size++) {
		int fd = dial(&served);

		assert_int_equal(send(fd, request, size, MSG_NOSIGNAL), (ssize_t)size);
		if (size % 3 == 1)
			(void)recv(fd, text, sizeof text, MSG_DONTWAIT);
		if (size % 5 == 2)
			usleep(500);
		if (size % 2 == 0)
			reset_fd(fd);
		else
			close(fd);
	}
	served_wait_quiet(&served);
	served_close(&served);
}

/* The callee learns that its client went while it works. */
static void gone_while_working(enum kolk_backend backend)
{
	struct served served;
	int fd;

	served_open(&served, backend, NULL);
	fd = dial(&served);
	say(fd, GET("/hold"));
	served_wait_for(&served.requests, 1);
	close(fd);
	served_wait_for(&served.gone, 1);
	fd = dial(&served);
	say(fd, GET("/hold"));
	served_wait_for(&served.requests, 2);
	reset_fd(fd);
	served_wait_for(&served.gone, 2);
	served_wait_quiet(&served);
	served_close(&served);
}

static struct kolk_http_server_stats stats_of(const struct served *served)
{
	struct kolk_http_server_stats stats = KOLK_INIT(kolk_http_server_stats);

	(void)kolk_http_server_stats(served->server, &stats);
	return stats;
}

/* What was asked, answered, refused, and by whom it was left. */
static void numbers(enum kolk_backend backend)
{
	static const char one[] = GET("/"), bad[] = "GET /bad\r\n\r\n";
	struct kolk_http_server_stats stats;
	struct served served;
	char text[1024];
	uint64_t bytes;
	int fd, held;

	served_open(&served, backend, NULL);
	fd = dial(&served);
	for (int i = 0; i < 3; i++) {
		say(fd, one);
		assert_int_equal(read_until(fd, "hello", 1, text, sizeof text), 1);
	}
	held = dial(&served);
	say(held, GET("/hold"));
	served_wait_for(&served.requests, 4);
	served_wait_for(&served.ends, 3);
	stats = stats_of(&served);
	assert_int_equal(stats.connections, 2);
	assert_int_equal(stats.exchanges, 1);
	close(held);
	served_wait_for(&served.gone, 1);
	bytes = stats_of(&served).bytes_sent;
	say(fd, bad);
	assert_int_equal(read_until(fd, "\r\n\r\nBad Request", 1, text, sizeof text), 1);
	close(fd);
	served_wait_quiet(&served);
	stats = stats_of(&served);
	assert_int_equal(stats.connections, 0);
	assert_int_equal(stats.exchanges, 0);
	assert_int_equal(stats.requests, 4);
	assert_int_equal(stats.requests_http2, 0);
	assert_int_equal(stats.answered, 3);
	assert_int_equal(stats.gone, 1);
	assert_int_equal(stats.timed_out + stats.failed, 0);
	assert_int_equal(stats.refused, 1);
	assert_int_equal(stats.status[2], 3);
	assert_int_equal(stats.status[4], 1);
	assert_int_equal(stats.bytes_received,
			 3 * strlen(one) + strlen(GET("/hold")) + strlen(bad));
	assert_int_equal(stats.bytes_sent, bytes + strlen(text));
	served_close(&served);
}

enum { MANY = 300 };

static void dial_many(struct served *served, int *fds)
{
	char text[1024];

	for (int i = 0; i < MANY; i++)
		fds[i] = dial(served);
	for (int i = 0; i < MANY; i++)
		say(fds[i], GET("/"));
	for (int i = 0; i < MANY; i++)
		assert_int_equal(read_until(fds[i], "hello", 1, text, sizeof text), 1);
}

static void expect_closed(int *fds)
{
	char byte;

	for (int i = 0; i < MANY; i++) {
		assert_int_equal(kit_recv(fds[i], &byte, 1, 0), 0);
		close(fds[i]);
	}
}

/* All connections are idle for too long at once, or idle when the server ends. */
static void many_idle(enum kolk_backend backend)
{
	struct kolk_http_server_options options = KOLK_INIT(kolk_http_server_options);
	struct served served;
	int fds[MANY];

	options.idle_timeout_ns = KOLK_S_NS;
	served_open(&served, backend, &options);
	dial_many(&served, fds);
	expect_closed(fds);
	served_wait_quiet(&served);
	served_close(&served);
	served_open(&served, backend, NULL);
	dial_many(&served, fds);
	served_close(&served);
	expect_closed(fds);
}

static void answer_held(struct kolk_call *call, void *user)
{
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);
	struct served *served = user;

	(void)call;
	answer.status = 200;
	answer.body = "late";
	answer.body_size = 4;
	assert_int_equal(kolk_http_server_answer(served->held, &answer), KOLK_OK);
}

static void on_closed(void *user)
{
	(void)sem_post(user);
}

/* Closed with an answer under way: it is sent, and nothing is accepted. */
static void drain(enum kolk_backend backend)
{
	struct kolk_call call;
	struct served served;
	struct kolk_loop *loop;
	char text[1024];
	sem_t closed;
	int busy, idle;

	sem_init(&closed, 0, 0);
	served_open(&served, backend, NULL);
	idle = dial(&served);
	say(idle, GET("/"));
	assert_int_equal(read_until(idle, "hello", 1, text, sizeof text), 1);
	busy = dial(&served);
	say(busy, GET("/hold"));
	while (!kolk__load_acquire(&served.holding))
		usleep(1000);
	loop = kolk_stream_loop(kolk_http_server_stream(served.held));
	assert_int_equal(kolk_http_server_close(served.server, kolk_in_ms(5000), on_closed,
						&closed), KOLK_OK);
	assert_int_equal(kit_recv(idle, text, sizeof text, 0), 0);
	assert_int_equal(kolk_loop_call(loop, &call, answer_held, &served), KOLK_OK);
	assert_int_equal(read_until(busy, "late", 1, text, sizeof text), 1);
	assert_non_null(strstr(text, "connection: close"));
	assert_int_equal(kit_recv(busy, text, sizeof text, 0), 0);
	close(idle);
	close(busy);
	sem_wait(&closed);
	assert_int_equal(kolk__load_acquire(&served.ends), 2);
	assert_int_equal(kolk_engine_destroy(served.engine), KOLK_OK);
}

/* An answer that does not come: the deadline ends it. */
static void drain_deadline(enum kolk_backend backend)
{
	struct served served;
	int fd;

	served_open(&served, backend, NULL);
	fd = dial(&served);
	say(fd, GET("/hold"));
	served_wait_for(&served.requests, 1);
	assert_int_equal(kolk_http_server_close(served.server, kolk_in_ms(100), NULL, NULL),
			 KOLK_OK);
	assert_int_equal(kolk__load_acquire(&served.gone), 1);
	close(fd);
	assert_int_equal(kolk_engine_destroy(served.engine), KOLK_OK);
}

/* What is impossible is refused when the server is made, or listens. */
static void test_options(void **state)
{
	static const char *const alpn[] = {"h2", "http/1.1", NULL}, *const other[] = {"spdy/3", NULL};
	struct kolk_http_server_options options = KOLK_INIT(kolk_http_server_options);
	struct kolk_http_server_handler handler = served_handler;
	struct kolk_listener_tls tls = KOLK_INIT(kolk_listener_tls);
	struct kolk_listener_options listener = KOLK_INIT(kolk_listener_options);
	struct kolk_http_server *server;
	struct served served;

	(void)state;
	served_open(&served, KOLK_BACKEND_AUTO, NULL);
	handler.request = NULL;
	assert_int_equal(kolk_http_server_open(served.engine, NULL, &handler, NULL, &server),
			 KOLK_E_OPTIONS);
	handler.request = served_handler.request;
	handler.end = NULL;
	assert_int_equal(kolk_http_server_open(served.engine, NULL, &handler, NULL, &server),
			 KOLK_E_OPTIONS);
	handler.end = served_handler.end;
	options.head_bytes_max = 100;
	assert_int_equal(kolk_http_server_open(served.engine, &options, &handler, NULL, &server),
			 KOLK_E_OPTIONS);
	options.head_bytes_max = 0;
	options.protocols = KOLK_HTTP_2_ONLY;
	assert_int_equal(kolk_http_server_open(served.engine, &options, &handler, NULL, &server),
			 KOLK_E_OPTIONS);
	options.protocols = KOLK_HTTP_1_ONLY;
	assert_int_equal(kolk_http_server_open(served.engine, &options, &handler, NULL, &server),
			 KOLK_OK);
	listener.address = "127.0.0.1:0";
	listener.user = &served; /* is the server's */
	assert_int_equal(kolk_http_server_listen(server, &listener, NULL), KOLK_E_OPTIONS);
	listener.user = NULL;
	listener.tls = &tls;
	tls.alpn = alpn; /* of a server that speaks no HTTP/2 */
	assert_int_equal(kolk_http_server_listen(server, &listener, NULL), KOLK_E_OPTIONS);
	tls.alpn = other;
	assert_int_equal(kolk_http_server_listen(served.server, &listener, NULL), KOLK_E_OPTIONS);
	assert_int_equal(kolk_http_server_close(server, kolk_in_ms(1000), NULL, NULL), KOLK_OK);
	served_close(&served);
}

#define ON_BACKENDS(name)                 \
	static void test_##name(void **state) \
	{                                 \
		(void)state;              \
		on_backends(name);        \
	}

ON_BACKENDS(keep_alive)
ON_BACKENDS(allocates_nothing)
ON_BACKENDS(pipelined)
ON_BACKENDS(upgrade)
ON_BACKENDS(own_client)
ON_BACKENDS(base_path)
ON_BACKENDS(back_pressure)
ON_BACKENDS(slow_loris)
ON_BACKENDS(client_resets)
ON_BACKENDS(gone_while_working)
ON_BACKENDS(numbers)
ON_BACKENDS(many_idle)
ON_BACKENDS(drain)
ON_BACKENDS(drain_deadline)

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_options),
	cmocka_unit_test(test_keep_alive),    cmocka_unit_test(test_allocates_nothing),
	cmocka_unit_test(test_pipelined),
	cmocka_unit_test(test_upgrade),    cmocka_unit_test(test_own_client),
	cmocka_unit_test(test_base_path),  cmocka_unit_test(test_base_paths),
	cmocka_unit_test(test_back_pressure), cmocka_unit_test(test_slow_loris),
	cmocka_unit_test(test_client_resets), cmocka_unit_test(test_gone_while_working),
	cmocka_unit_test(test_numbers),	      cmocka_unit_test(test_many_idle),
	cmocka_unit_test(test_drain),	      cmocka_unit_test(test_drain_deadline),
};
CMOCKA_TESTS(http_server_wire, tests);
