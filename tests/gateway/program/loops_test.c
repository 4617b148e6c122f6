/* SPDX-License-Identifier: Apache-2.0 */
/* loops_test.c - a gateway whose number of loops is changed by reloads while it works. */
#include <nghttp2/nghttp2.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"

enum { KEPT, ANEW, H2, KINDS };
enum { RESERVED = 4, CLIENTS = 2 * KINDS, STREAMS = 3, RUN_MS = 1200, RUN_MOST_MS = 10000,
       ASKS_MAX = 30 /* on a connection: the loop that has it may be one that stays */ };

#define ROUTES "    - {match: {path: /}, pool: a}\n"

static char text[PROGRAM_TEXT];

static void play(struct kit_mock_conn *conn, void *user)
{
	char head[4096];

	(void)user;
	while (kit_mock_read_until(conn, "\r\n\r\n", head, sizeof head, 20000))
		kit_mock_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

/* ---- clients: a request whose answer does not come whole is lost */

struct client {
	const struct program *program;
	pthread_t thread;
	kolk__atomic_u32 *stop;
	uint64_t answered, lost;
	kolk__atomic_u64 parted; /* connections that the gateway asked to leave; R: the test, too */
	/* HTTP/2 */
	int fd;
	nghttp2_session *session;
	uint32_t open;
	bool asked;      /* a GOAWAY came */
};

static bool goes_on(const struct client *client)
{
	return kolk__load_acquire(client->stop) == 0 && client->lost == 0;
}

/* False: what came instead is in answer. */
static bool ask(int fd, char answer[PROGRAM_TEXT])
{
	size_t had = 0;
	ssize_t size;

	answer[0] = '\0';
	if (!client_send(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
		return false;
	while (strstr(answer, "\r\n\r\nok") == NULL) {
		size = recv(fd, answer + had, PROGRAM_TEXT - 1 - had, 0);
		if (size <= 0)
			return false;
		had += (size_t)size;
		answer[had] = '\0';
	}
	return strncmp(answer, "HTTP/1.1 200 ", 13) == 0;
}

/* HTTP/1.1: on one connection as long as the gateway keeps it, or on a new one each. */
static void ask_on(struct client *client, bool anew)
{
	char answer[PROGRAM_TEXT];

	while (goes_on(client)) {
		int fd = program_connect(client->program);
		bool stays = true;

		for (int i = 0; stays && i < ASKS_MAX && goes_on(client); i++) {
			if (!ask(fd, answer)) {
				client->lost++;
				tap_note("lost: %s", answer);
				break;
			}
			client->answered++;
			stays = strstr(answer, "Connection: close") == NULL &&
				strstr(answer, "connection: close") == NULL;
			kolk__add_relaxed(&client->parted, !stays);
			if (anew)
				break;
			usleep(200);
		}
		close(fd);
	}
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct client *client = user;

	(void)session;
	client->asked |= frame->hd.type == NGHTTP2_GOAWAY;
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_size, const uint8_t *value, size_t size, uint8_t flags, void *user)
{
	struct client *client = user;

	(void)session;
	(void)frame;
	(void)flags;
	if (name_size == 7 && memcmp(name, ":status", 7) == 0)
		client->answered += size == 3 && memcmp(value, "200", 3) == 0;
	return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *user)
{
	struct client *client = user;

	(void)session;
	(void)stream;
	client->open--;
	client->lost += error != 0;
	return 0;
}

static bool flush(struct client *client)
{
	const uint8_t *out;
	ssize_t size;

	while ((size = nghttp2_session_mem_send(client->session, &out)) > 0)
		if (send(client->fd, out, (size_t)size, MSG_NOSIGNAL) != size)
			return false;
	return size == 0;
}

#define FIELD(name, value)                                                                         \
	{ (uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, sizeof(value) - 1, 0 }

/* Some streams at once, until all have their answers. */
static bool ask_streams(struct client *client)
{
	const nghttp2_nv fields[] = { FIELD(":method", "GET"), FIELD(":scheme", "http"),
				      FIELD(":path", "/"), FIELD(":authority", "a") };
	uint64_t answered = client->answered;
	uint8_t in[16384];

	for (int i = 0; i < STREAMS; i++, client->open++)
		if (nghttp2_submit_request(client->session, NULL, fields, 4, NULL, NULL) < 0)
			return false;
	while (client->open > 0) {
		ssize_t size;

		if (!flush(client))
			return false;
		size = recv(client->fd, in, sizeof in, 0);
		if (size <= 0 || nghttp2_session_mem_recv(client->session, in, (size_t)size) != size)
			return false;
	}
	return flush(client) && client->answered == answered + STREAMS;
}

static void ask_on_h2(struct client *client)
{
	nghttp2_session_callbacks *callbacks;

	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	while (goes_on(client)) {
		client->asked = false;
		client->open = 0;
		client->fd = program_connect(client->program);
		nghttp2_session_client_new(&client->session, callbacks, client);
		nghttp2_submit_settings(client->session, NGHTTP2_FLAG_NONE, NULL, 0);
		for (int i = 0; i < ASKS_MAX && goes_on(client) && !client->asked; i++) {
			client->lost += !ask_streams(client);
			usleep(200);
		}
		kolk__add_relaxed(&client->parted, client->asked);
		nghttp2_session_del(client->session);
		close(client->fd);
	}
	nghttp2_session_callbacks_del(callbacks);
}

static void *ask_kept(void *user)
{
	ask_on(user, false);
	return NULL;
}

static void *ask_anew(void *user)
{
	ask_on(user, true);
	return NULL;
}

static void *ask_h2(void *user)
{
	ask_on_h2(user);
	return NULL;
}

/* ---- reloads */

static bool configure(struct program *program, const struct kit_mock *mock, const char *backend,
		      uint32_t loops)
{
	char engine[96], pools[160];
	const struct program_file file = { .engine = engine, .pools = pools, .routes = ROUTES };

	snprintf(engine, sizeof engine, "loops: %u, loops_reserved: %u, backend: %s", loops, RESERVED,
		 backend);
	snprintf(pools, sizeof pools,
		 "  - {name: a, address: \"%s\", protocol: http, limits: {connections_max: 20}}\n",
		 kit_mock_address(mock));
	return program->pid == 0 ? program_start_with(program, &file) :
				   program_configure_with(program, &file) && program_reload(program);
}

static uint64_t parted(const struct client clients[CLIENTS], int kind)
{
	uint64_t count = 0;

	for (int i = kind; i < CLIENTS; i += KINDS)
		count += kolk__load_relaxed(&clients[i].parted);
	return count;
}

/* Long enough, and until both kinds of connections that stay were asked to leave. */
static bool is_enough(const struct client clients[CLIENTS], uint32_t reloads, uint64_t ms)
{
	bool seen = parted(clients, KEPT) > 0 && parted(clients, H2) > 0;

	return reloads >= 7 && ms >= RUN_MS && (seen || ms >= RUN_MOST_MS);
}

static void run_on(const char *backend)
{
	static const uint32_t loops[] = { 4, 2, 1, 3, 4, 1, 2 };
	static void *(*const kinds[KINDS])(void *user) = {
		[KEPT] = ask_kept, [ANEW] = ask_anew, [H2] = ask_h2 };
	struct kit_mock *mock = kit_mock_open(&(struct kit_mock_options){ .play = play });
	uint64_t begin_ms = tap_now_ms(), answered = 0;
	struct client clients[CLIENTS];
	struct program program = { .pid = 0 };
	kolk__atomic_u32 stop = { 0 };
	uint32_t reloads = 0;

	MUST(mock != NULL && configure(&program, mock, backend, 1));
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){ .program = &program, .stop = &stop };
		CHECK(pthread_create(&clients[i].thread, NULL, kinds[i % KINDS], &clients[i]) == 0);
	}
	while (!tap_is_failing() && !is_enough(clients, reloads, tap_now_ms() - begin_ms)) {
		CHECK(configure(&program, mock, backend, loops[reloads++ % 7]));
		usleep(30000);
	}
	kolk__store_release(&stop, 1);
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(clients[i].thread, NULL);
		answered += clients[i].answered;
		CHECK(clients[i].lost == 0);
	}
	tap_note("%s: %u reloads, %llu requests, %llu and %llu connections asked to leave", backend,
		 reloads, (unsigned long long)answered, (unsigned long long)parted(clients, KEPT),
		 (unsigned long long)parted(clients, H2));
	CHECK(answered > 100 && parted(clients, KEPT) > 0 && parted(clients, H2) > 0);
	CHECK(program_stop(&program, 10000));
	kit_mock_close(mock);
}

static void test_epoll(void)
{
	run_on("epoll");
}

static void test_io_uring(void)
{
	if (tap_io_uring_refused() != NULL)
		tap_skip(tap_io_uring_refused());
	else
		run_on("io_uring");
}

/* More than there are: nothing changes, and the operator is told what to do. */
static void test_beyond_the_reserve(void)
{
	struct kit_mock *mock = kit_mock_open(&(struct kit_mock_options){ .play = play });
	struct program program = { .pid = 0 };
	uint32_t loops = RESERVED + 1;

	MUST(mock != NULL && configure(&program, mock, "epoll", 2));
	CHECK(!configure(&program, mock, "epoll", loops));
	CHECK(strstr(program.said, "loops_reserved") != NULL);
	CHECK(program_ask(&program, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", text) == 0 &&
	      strstr(text, " 200 ") != NULL);
	CHECK(configure(&program, mock, "epoll", 3));
	CHECK(program_stop(&program, 10000));
	kit_mock_close(mock);
}

static const struct tap_test tests[] = {
	{ "another number of loops loses no request", test_epoll },
	{ "nor on io_uring", test_io_uring },
	{ "more loops than are reserved are refused", test_beyond_the_reserve },
};
TAP_TESTS(loops, tests);
