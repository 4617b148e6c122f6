/* SPDX-License-Identifier: Apache-2.0 */
/* serve_test.c - admin.c and listen.c: sockets, and clients that misbehave. */
#include "tests/ops/serve_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/kit/tap.h"

static void a_unix_socket_is_its_owners(void **state)
{
	struct serve_fixture *fixture = *state;
	const struct kolk_admin_options o = serve_options(fixture);
	struct stat stat;

	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_OK);
	assert_string_equal(kolk_admin_address(fixture->admin), fixture->listen);
	assert_int_equal(lstat(fixture->path, &stat), 0);
	assert_true(S_ISSOCK(stat.st_mode));
	assert_int_equal(stat.st_mode & 0777, 0600);
	assert_int_equal(serve_ask(fixture, "GET /health HTTP/1.1\r\n" END), 200);
	assert_non_null(strstr(fixture->answer, "{\"status\":\"ok\"}"));
	assert_non_null(strstr(fixture->answer, "X-Content-Type-Options: nosniff\r\n"));
	assert_non_null(strstr(fixture->answer, "Cache-Control: no-store\r\n"));
	assert_non_null(strstr(fixture->answer, "Content-Security-Policy: default-src 'none'"));
	assert_int_equal(serve_ask(fixture, "GET /api/pool-status?connections=1 HTTP/1.1\r\n" END), 200);
	assert_int_equal(serve_ask(fixture, "GET /api/pool-status?pool=a%00b HTTP/1.1\r\n" END), 400);
	assert_int_equal(serve_ask(fixture, "GET /metrics HTTP/1.0\r\n\r\n"), 200);
	assert_int_equal(serve_ask(fixture, "GET /metrics HTTP/1.1\r\nHost: kolk\r\n" CLOSE), 200);
	assert_int_equal(serve_ask(fixture, "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n" CLOSE), 403);
	assert_int_equal(serve_ask(fixture, "GET /metrics HTTP/1.1\r\nHost: kolk\r\n"
				    "sec-fetch-mode: cors\r\n" CLOSE), 403);
	assert_int_equal(serve_ask(fixture, "POST /health HTTP/1.1\r\nContent-Length: 0\r\n" END), 405);
	assert_non_null(strstr(fixture->answer, "Allow: GET, HEAD\r\n"));
	assert_int_equal(serve_ask(fixture, "HEAD /metrics HTTP/1.1\r\n" END), 200);
	assert_null(strstr(fixture->answer, "kolk_"));
	kolk_admin_close(fixture->admin);
	fixture->admin = NULL;
	assert_int_not_equal(lstat(fixture->path, &stat), 0);
}

static void what_lies_at_the_path(void **state)
{
	struct serve_fixture *fixture = *state;
	const struct kolk_admin_options o = serve_options(fixture);
	struct kolk_admin *second;
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	FILE *file = fopen(fixture->path, "w");
	int fd;

	/* A file that is no socket stays. */
	assert_non_null(file);
	fclose(file);
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_E_OPTIONS);
	assert_int_equal(unlink(fixture->path), 0);
	/* A socket that a dead server left is replaced. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(un.sun_path, fixture->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
	close(fd);
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_OK);
	/* One that is answered is not. */
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &second), KOLK_E_IN_USE);
	assert_int_equal(serve_ask(fixture, "GET /health HTTP/1.1\r\n" END), 200);
}

static void options_that_cannot_be(void **state)
{
	static const char *const addresses[] = {
		"", "unix:", "unix:relative", "127.0.0.1", ":1", "127.0.0.1:", "127.0.0.1:65536",
		"127.0.0.1:1x", "localhost:0", "::1:0", "[::1]", "[::1:0", "256.0.0.1:0",
		("unix:/0123456789012345678901234567890123456789012345678901234567890123456789"
		 "012345678901234567890123456789012345678901234567890123456789"),
	};
	struct serve_fixture *fixture = *state;
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_admin_options o = serve_options(fixture);

	o.failure = &failure;
	o.token = TOKEN;
	o.token_size = sizeof TOKEN - 1;
	for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
		o.listen = addresses[i];
		assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_E_OPTIONS);
		assert_string_equal(failure.field, "listen");
	}
	o.listen = "127.0.0.1:0";
	o.token = NULL;
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_E_OPTIONS);
	assert_string_equal(failure.field, "token");
	o.token = TOKEN;
	o.token_size = KOLK_ADMIN_TOKEN_MIN - 1;
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_E_OPTIONS);
	o.token = "a token with a 0\0in it";
	o.token_size = 22;
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_E_OPTIONS);
	o = serve_options(fixture);
	o.listen = NULL;
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_E_OPTIONS);
	o = serve_options(fixture);
	o.failure = &failure;
	o.metrics_tenants_max = 10001;
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_E_OPTIONS);
	assert_string_equal(failure.field, "metrics_tenants_max");
	o = serve_options(fixture);
	o.size++;
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_E_OPTIONS);
	o = serve_options(fixture);
	o.listen = "unix:/nowhere/at/all/admin.sock";
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_E_IO);
	assert_null(fixture->admin);
}

static void tcp_wants_a_token(void **state)
{
	struct serve_fixture *fixture = *state;

	serve_open_with_token(fixture);
	assert_int_equal(serve_ask(fixture, "GET /metrics HTTP/1.1\r\n" END), 401);
	assert_non_null(strstr(fixture->answer, "WWW-Authenticate: Bearer\r\n"));
	assert_int_equal(serve_ask(fixture, "GET /metrics HTTP/1.1\r\nAuthorization: Bearer " TOKEN "\r\n" END),
			 200);
	assert_int_equal(serve_ask(fixture, "POST /api/evict HTTP/1.1\r\nAuthorization: Bearer " TOKEN
				    "\r\nOrigin: http://evil.example\r\nContent-Length: 0\r\n" END),
			 403);
	assert_int_equal(serve_ask(fixture, "GET / HTTP/1.1\r\n" END), 200);
	assert_non_null(strstr(fixture->answer, "<title>Kolk</title>"));
}

static void bodies_that_are_too_large(void **state)
{
	struct serve_fixture *fixture = *state;
	struct kolk_admin_options o = serve_options(fixture);
	char request[4096];

	o.body_max = 100;
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_OK);
	/* The length is announced: answered without waiting for the body. */
	assert_int_equal(serve_ask(fixture, "POST /api/drain HTTP/1.1\r\nContent-Type: application/json\r\n"
				    "Content-Length: 101\r\n" END),
			 413);
	(void)snprintf(request, sizeof request,
		       "POST /api/drain HTTP/1.1\r\nContent-Type: application/json\r\n"
		       "Transfer-Encoding: chunked\r\n" END "c8\r\n%0200d\r\n0\r\n\r\n", 0);
	assert_int_equal(serve_ask(fixture, request), 413);
	assert_int_equal(serve_ask(fixture, "POST /api/cleanup-connections HTTP/1.1\r\nContent-Type: "
				    "application/json\r\nTransfer-Encoding: chunked\r\n" END
				    "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"),
			 200);
}

static void slow_clients_are_closed(void **state)
{
	struct serve_fixture *fixture = *state;
	struct kolk_admin_options o = serve_options(fixture);
	int silent, dripping, drips = 0;

	o.request_timeout_ns = 300 * KOLK_MS_NS;
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_OK);
	silent = serve_connect(fixture);
	dripping = serve_connect(fixture);
	/* Never silent for long, never done. */
	for (; drips < 40 && send(dripping, "G", 1, MSG_NOSIGNAL) == 1; drips++)
		(void)usleep(50 * 1000);
	assert_true(drips < 38);
	assert_true(serve_read_to_end(fixture, silent, 1000));
	assert_true(serve_read_to_end(fixture, dripping, 1000));
	close(silent);
	close(dripping);
	assert_int_equal(serve_ask(fixture, "GET /health HTTP/1.1\r\n" END), 200);
}

/* ---- metrics of many tenants, in chunks */

static const char all_metrics[] = "GET /metrics?tenants=all HTTP/1.1\r\n" END;

static void many_tenants(const struct serve_fixture *fixture)
{
	struct kolk_tenant_limits limits = KOLK_INIT(kolk_tenant_limits);
	char name[32];

	limits.weight = 2;
	for (int i = 0; i < 20000; i++) {
		(void)snprintf(name, sizeof name, "tenant-%05d", i);
		assert_int_equal(kolk_tenant_limits_set(fixture->engine, name, &limits), KOLK_OK);
	}
}

/* How many bytes until the server closes; the answer keeps the first and the last. */
static size_t read_long(struct serve_fixture *fixture, int fd)
{
	size_t all = 0, kept = 0;
	ssize_t got;

	while ((got = recv(fd, fixture->answer + kept, 4096, 0)) > 0) {
		all += (size_t)got;
		kept += (size_t)got;
		if (kept > 16384) {
			memmove(fixture->answer + 4096, fixture->answer + kept - 4096, 4096);
			kept = 8192;
		}
		fixture->answer[kept] = 0;
	}
	assert_int_equal(got, 0);
	return all;
}

static void metrics_of_all_tenants_come_in_chunks(void **state)
{
	struct serve_fixture *fixture = *state;
	const struct kolk_admin_options o = serve_options(fixture);
	int fd;

	many_tenants(fixture);
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_OK);
	fd = serve_connect(fixture);
	serve_say(fd, all_metrics);
	assert_true(read_long(fixture, fd) > 4 * 20000 * 40);
	assert_non_null(strstr(fixture->answer, "HTTP/1.1 200 OK\r\n"));
	assert_non_null(strstr(fixture->answer, "Transfer-Encoding: chunked\r\n"));
	assert_non_null(strstr(fixture->answer, "Content-Type: text/plain; version=0.0.4"));
	assert_non_null(strstr(fixture->answer, "\r\n0\r\n\r\n")); /* whole */
	close(fd);
	assert_int_equal(serve_ask(fixture, "HEAD /metrics?tenants=all HTTP/1.1\r\n" END), 200);
	assert_null(strstr(fixture->answer, "kolk_"));
	assert_int_equal(serve_ask(fixture, "GET /metrics?tenants=all&tenants=all HTTP/1.1\r\n" END), 400);
}

/* One that reads nothing is cut off, and sees that the text is not whole; others are served
 * meanwhile; one that goes and a server that closes leave nothing. */
static void metrics_that_are_not_read_to_their_end(void **state)
{
	struct serve_fixture *fixture = *state;
	struct kolk_admin_options o = serve_options(fixture);
	int slow, gone, last;

	o.request_timeout_ns = 500 * KOLK_MS_NS;
	many_tenants(fixture);
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_OK);
	slow = serve_connect(fixture);
	serve_say(slow, all_metrics);
	gone = serve_connect(fixture);
	serve_say(gone, all_metrics);
	assert_int_equal(recv(gone, fixture->answer, 100, MSG_WAITALL), 100);
	close(gone);
	assert_int_equal(serve_ask(fixture, "GET /health HTTP/1.1\r\n" END), 200);
	(void)usleep(800 * 1000);
	assert_true(read_long(fixture, slow) < 4 * 20000 * 40);
	assert_null(strstr(fixture->answer, "\r\n0\r\n\r\n"));
	close(slow);
	last = serve_connect(fixture);
	serve_say(last, all_metrics);
	assert_int_equal(recv(last, fixture->answer, 100, MSG_WAITALL), 100);
	kolk_admin_close(fixture->admin);
	fixture->admin = NULL;
	close(last);
}

static void more_clients_than_clients_max(void **state)
{
	struct serve_fixture *fixture = *state;
	struct kolk_admin_options o = serve_options(fixture);
	int first, second, third;

	o.clients_max = 2;
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_OK);
	first = serve_connect(fixture);
	second = serve_connect(fixture);
	(void)usleep(50 * 1000);
	third = serve_connect(fixture);
	assert_true(third >= 0);
	assert_true(serve_read_to_end(fixture, third, 2000));
	assert_string_equal(fixture->answer, "");
	serve_say(second, "GET /health HTTP/1.1\r\n" END);
	assert_true(serve_read_to_end(fixture, second, 2000));
	assert_non_null(strstr(fixture->answer, "HTTP/1.1 200"));
	close(second);
	close(third);
	/* A client is accepted again. */
	assert_true(WITHIN_MS(2000, serve_ask(fixture, "GET /health HTTP/1.1\r\n" END) == 200));
	close(first);
}

enum { CANARY = 24, MASK = 0x55, REGION_MAX = 64 << 20 };

static bool is_in(const char *bytes, size_t size, const char masked[CANARY])
{
	for (size_t at = 0; at + CANARY <= size; at++) {
		size_t same = 0;

		while (same < CANARY && (bytes[at + same] ^ MASK) == masked[same])
			same++;
		if (same == CANARY)
			return true;
	}
	return false;
}

/* Read as a debugger does, so that freed memory is no taboo; beyond REGION_MAX is a sanitizer's. */
static bool is_in_memory(const char masked[CANARY])
{
	static char piece[1 << 20];
	FILE *maps = fopen("/proc/self/maps", "r");
	int memory = open("/proc/self/mem", O_RDONLY);
	unsigned long at, end;
	char line[512], mode[8];
	bool found = false;

	assert_true(maps != NULL && memory >= 0);
	while (!found && fgets(line, sizeof line, maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &at, &end, mode) != 3 || mode[1] != 'w' ||
		    end - at > REGION_MAX)
			continue;
		for (; at + CANARY < end && !found; at += sizeof piece - CANARY) {
			size_t size = end - at < sizeof piece ? end - at : sizeof piece;
			ssize_t got = pread(memory, piece, size, (off_t)at);

			found = got > 0 && is_in(piece, (size_t)got, masked);
		}
	}
	fclose(maps);
	close(memory);
	return found;
}

static void a_token_does_not_stay_in_memory(void **state)
{
	struct serve_fixture *fixture = *state;
	struct kolk_admin_options o = serve_options(fixture);
	char masked[CANARY], request[] = "GET /metrics HTTP/1.1\r\nAuthorization: Bearer "
					 "........................\r\n" END;
	char *token = strchr(request, '.');
	unsigned luck = (unsigned)time(NULL);

	while (memcmp(token, "........................", CANARY) != 0)
		token = strchr(token + 1, '.');
	o.token = TOKEN;
	o.token_size = sizeof TOKEN - 1;
	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_OK);
	for (size_t i = 0; i < CANARY; i++) {
		token[i] = (char)('a' + rand_r(&luck) % 26);
		masked[i] = (char)(token[i] ^ MASK);
	}
	assert_true(is_in_memory(masked));
	assert_int_equal(serve_ask(fixture, request), 401);
	explicit_bzero(request, sizeof request);
	assert_true(WITHIN_MS(2000, !is_in_memory(masked)));
}

static uint64_t cpu_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static void no_descriptor_is_left(void **state)
{
	struct serve_fixture *fixture = *state;
	const struct kolk_admin_options o = serve_options(fixture);
	struct rlimit before, none;
	uint64_t busy_ms;
	int fd;

	assert_int_equal(kolk_admin_open(fixture->engine, &o, &fixture->admin), KOLK_OK);
	fd = serve_connect(fixture); /* the highest number so far */
	(void)usleep(100 * 1000);
	close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	none = (struct rlimit){ 4, before.rlim_max }; /* as many as its thread polls */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	busy_ms = cpu_ms();
	{
		struct sockaddr_un un = { .sun_family = AF_UNIX };

		strcpy(un.sun_path, fixture->path);
		assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof un), 0);
	}
	(void)usleep(500 * 1000);
	busy_ms = cpu_ms() - busy_ms;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(busy_ms < 100);
	serve_say(fd, "GET /health HTTP/1.1\r\n" END);
	assert_true(serve_read_to_end(fixture, fd, 2000));
	close(fd);
	assert_non_null(strstr(fixture->answer, "HTTP/1.1 200"));
}

static void *opener(void *user)
{
	struct serve_fixture *fixture = user;
	const struct kolk_admin_options o = serve_options(fixture);

	return (void *)(intptr_t)kolk_admin_open(fixture->engine, &o, &fixture->admin);
}

static int listener(const struct serve_fixture *fixture, int backlog)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(un.sun_path, fixture->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
	if (backlog > 0)
		assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

/* One that starts finds what a dead one left, while another one is about to replace it. */
static void two_that_start_at_once(void **state)
{
	struct serve_fixture *fixture = *state;
	int folder = open(fixture->folder, O_RDONLY | O_DIRECTORY), fd;
	pthread_t thread;
	struct stat stat;
	void *err;

	close(listener(fixture, 0));
	assert_int_equal(flock(folder, LOCK_EX), 0);
	assert_int_equal(pthread_create(&thread, NULL, opener, fixture), 0);
	(void)usleep(100 * 1000);
	assert_int_equal(unlink(fixture->path), 0);
	fd = listener(fixture, 1);
	close(folder);
	assert_int_equal(pthread_join(thread, &err), 0);
	assert_int_equal((intptr_t)err, KOLK_E_IN_USE);
	assert_int_equal(lstat(fixture->path, &stat), 0);
	close(fd);
}

static const struct CMUnitTest tests[] = {
	SERVE_TEST(a_unix_socket_is_its_owners),
	SERVE_TEST(what_lies_at_the_path),
	SERVE_TEST(options_that_cannot_be),
	SERVE_TEST(tcp_wants_a_token),
	SERVE_TEST(bodies_that_are_too_large),
	SERVE_TEST(slow_clients_are_closed),
	SERVE_TEST(metrics_of_all_tenants_come_in_chunks),
	SERVE_TEST(metrics_that_are_not_read_to_their_end),
	SERVE_TEST(more_clients_than_clients_max),
	SERVE_TEST(no_descriptor_is_left),
	SERVE_TEST(two_that_start_at_once),
	SERVE_TEST(a_token_does_not_stay_in_memory),
};

CMOCKA_TESTS(serve, tests);
