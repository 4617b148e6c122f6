/* SPDX-License-Identifier: Apache-2.0 */
/* log_test.c - the access log: each request has its line, and a file that takes nothing stops nothing. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"
#include "tests/kit/control.h"

static char text[PROGRAM_TEXT];

#define POOLS "  - {name: up, address: \"127.0.0.1:1\", protocol: http}\n"
#define ROUTES "    - {answer: {body: hello}}\n"

static bool begin(struct program *program)
{
	return program_start(program, POOLS, ROUTES);
}

/* ---- lines */

static void fill(char *at, char with, size_t size)
{
	memset(at, with, size);
	at[size] = '\0';
}

/* The line that has this text; false = there is none. */
static bool line_of(const struct program *program, const char *wanted, char *line, size_t size)
{
	char path[64];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof path, "%s/access.log", program->directory);
	if (!program_logged(program, wanted) || (file = fopen(path, "r")) == NULL)
		return false;
	while (!found && fgets(line, (int)size, file) != NULL)
		found = strstr(line, wanted) != NULL;
	fclose(file);
	return found;
}

/* Whatever a client sends: who it was and what became of it stand in front, the rest is cut. */
static void test_long_lines(void)
{
	static char request[16384], line[32768];
	char method[3000], target[3000], host[3000];
	struct program program;

	MUST(begin(&program));
	fill(method, 'M', 2000);
	fill(target, '"', 2000);
	fill(host, 'h', 2000);
	snprintf(request, sizeof request, "%s /%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
		 method, target, host);
	CHECK(program_ask(&program, request, text) == 0 && strstr(text, " 200 ") != NULL);
	CHECK(line_of(&program, "\"client\":\"127.0.0.1\",\"status\":200,\"method\":\"MMMM", line,
		      sizeof line));
	CHECK(strncmp(line, "{\"time\":\"", 9) == 0 && strstr(line, "}\n") != NULL);
	CHECK(strstr(line, "MMMM\\u2026\",\"host\":\"hhhh") != NULL);
	CHECK(strstr(line, "hhhh\\u2026\",\"target\":\"/\\u0022\\u0022") != NULL);
	CHECK(strstr(line, "\\u0022\\u2026\",\"version\":\"1.1\",\"bytes_in\":0") != NULL);
	CHECK(program_stop(&program, 10000));
}

/* ---- a FIFO whose reader does not read, or is not there */

/* The log is opened again, and is a FIFO; its end for reading, or -1 = none was opened. */
static int reopen_as_fifo(struct program *program, bool with_reader)
{
	char path[64];
	int fd;

	snprintf(path, sizeof path, "%s/access.log", program->directory);
	CHECK(unlink(path) == 0 && mkfifo(path, 0600) == 0);
	fd = with_reader ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
	CHECK(program_reload(program));
	return fd;
}

/* So many requests on one connection, with lines of more than a kilobyte. */
static void ask_often(const struct program *program, int requests)
{
	static char request[2048];
	char target[1101];
	int fd = program_connect(program);

	fill(target, 't', 1100);
	snprintf(request, sizeof request, "GET /%s HTTP/1.1\r\nHost: a\r\n\r\n", target);
	for (int i = 0; i < requests; i++)
		if (!client_send(fd, request) || !client_read(fd, "hello", text))
			FAILED("a request is answered");
	close(fd);
}

static void test_silent_reader(void)
{
	struct program program;
	int fd;

	MUST(begin(&program));
	fd = reopen_as_fifo(&program, true);
	ask_often(&program, 200); /* more than a pipe holds */
	kill(program.pid, SIGTERM);
	CHECK(program_says(&program, "lines of the access log were lost\n"));
	CHECK(program_stop(&program, 8000));
	close(fd);
}

/* What was opened before is written on, and that is told: its name may lead elsewhere by now. */
static void test_reopen_fails(void)
{
	struct program program;
	char path[64];

	MUST(begin(&program));
	snprintf(path, sizeof path, "%s/access.log", program.directory);
	CHECK(unlink(path) == 0 && mkdir(path, 0700) == 0);
	CHECK(program_reload(&program));
	CHECK(program_says(&program, "/access.log: Is a directory: what was opened before is written on\n"));
	CHECK(rmdir(path) == 0);
	CHECK(program_stop(&program, 10000));
}

static void play_silent(struct kit_mock_conn *conn, void *user)
{
	(void)user;
	kit_mock_drain(conn, 20000);
}

/* A request that does not end, then a log that takes nothing: drain_timeout bounds both together. */
static void test_end_is_bounded(void)
{
	struct kit_mock *mock = kit_mock_open(&(struct kit_mock_options){ .play = play_silent });
	struct kit_control control;
	struct program program;
	uint64_t begun_ms;
	char pools[256];
	int log, fd, took_ms;

	MUST(mock != NULL);
	snprintf(pools, sizeof pools, "  - {name: up, address: \"%s\", protocol: http}\n",
		 kit_mock_address(mock));
	MUST(program_start_with(&program, &(struct program_file){
						  .pools = pools,
						  .routes = ROUTES
							  "    - {match: {path: /up}, pool: up}\n",
						  .gateway = "  drain_timeout: 2s\n" }));
	log = reopen_as_fifo(&program, true);
	ask_often(&program, 200); /* more than a pipe holds */
	fd = program_connect(&program);
	CHECK(client_send(fd, "GET /up HTTP/1.1\r\nHost: a\r\n\r\n"));
	CHECK(WITHIN_MS(5000, kit_mock_counts(mock).bytes_in > 0));
	begun_ms = tap_now_ms();
	kit_control_begin(&control);
	CHECK(program_stop(&program, 10000));
	CHECK(tap_now_ms() - begun_ms >= 1000);
	took_ms = (int)kit_control_end(&control);
	tap_note("it ended after %d ms", took_ms);
	CHECK(took_ms < 2500);
	close(fd);
	close(log);
	kit_mock_close(mock);
}

/* Standard error that is not read, and full of lines: the program ends all the same, and serves. */
static void test_silent_error(void)
{
	struct program program;
	char path[64];

	MUST(begin(&program));
	snprintf(path, sizeof path, "%s/access.log", program.directory);
	CHECK(unlink(path) == 0 && symlink("/proc/self/fd/2", path) == 0);
	CHECK(program_reload(&program));
	ask_often(&program, 200);
	for (int i = 0; i < 40; i++) { /* a line of the program's own for each: the last page, too */
		usleep(25000);
		kill(program.pid, SIGHUP);
	}
	ask_often(&program, 200);
	CHECK(program_stop(&program, 8000));
}

static void test_no_reader(void)
{
	struct program program;

	MUST(begin(&program));
	(void)reopen_as_fifo(&program, false);
	ask_often(&program, 20);
	CHECK(program_stop(&program, 8000));
}

/* The disk is full for so long after the last line, then it has room: whether the lines are told. */
static bool full_for(struct program *program, int ms)
{
	char path[64];

	snprintf(path, sizeof path, "%s/access.log", program->directory);
	CHECK(unlink(path) == 0 && symlink("/dev/full", path) == 0);
	CHECK(program_reload(program));
	ask_often(program, 20);
	usleep((useconds_t)ms * 1000);
	CHECK(unlink(path) == 0 && program_reload(program));
	ask_often(program, 1);
	return program_logged(program, ",\"lost\":20}");
}

static void test_full_disk(void)
{
	struct program program;

	MUST(begin(&program));
	/* Older than a buffer becomes; on a machine that has no time for its writer, too. */
	CHECK(full_for(&program, 500) || full_for(&program, 2000) || full_for(&program, 8000));
	CHECK(program_stop(&program, 8000));
}

/* What a FIFO has: lines, and the sum of the lines that they tell as lost. */
struct told {
	uint64_t lines, lost;
};

/* Read until it has nothing for half a second. */
static void read_all(int fd, struct told *told)
{
	static char buffer[65536 + 1];
	static size_t had;
	const char *lost;
	ssize_t size;

	for (int still = 0; still < 50;) {
		size = read(fd, buffer + had, sizeof buffer - 1 - had);
		if (size <= 0) {
			usleep(10000);
			still++;
			continue;
		}
		still = 0;
		had += (size_t)size;
		buffer[had] = '\0';
		for (char *end; (end = strchr(buffer, '\n')) != NULL;) {
			*end = '\0';
			told->lines++;
			lost = strstr(buffer, "\"lost\":");
			told->lost += lost != NULL ? strtoull(lost + 7, NULL, 10) : 0;
			had -= (size_t)(end + 1 - buffer);
			memmove(buffer, end + 1, had + 1);
		}
	}
}

enum { REQUESTS = 6000 }; /* 64 buffers have room for 3 200 */

/* A reader that stops and goes on: what it did not get is told, to the line. */
static void test_lost_lines_are_told(void)
{
	uint64_t asked = REQUESTS;
	struct program program;
	struct told told = { 0 };
	int fd;

	MUST(begin(&program));
	fd = reopen_as_fifo(&program, true);
	ask_often(&program, REQUESTS);
	read_all(fd, &told);
	/* Where other load stopped the writer in between, the next line is lost, too, and told later. */
	do {
		ask_often(&program, 1);
		asked++;
		read_all(fd, &told);
	} while (told.lines + told.lost < asked && asked < REQUESTS + 20);
	tap_note("%llu lines, %llu lost", (unsigned long long)told.lines,
		 (unsigned long long)told.lost);
	CHECK(told.lost > 0 && told.lines + told.lost == asked);
	CHECK(program_stop(&program, 8000));
	close(fd);
}

static const struct tap_test tests[] = {
	{ "what a client sends cannot make a line too long", test_long_lines },
	{ "a reader of the log that is silent delays the end by a second", test_silent_reader },
	{ "drain_timeout bounds the end of requests and of the log", test_end_is_bounded },
	{ "a standard error that is not read delays the end by a second", test_silent_error },
	{ "a FIFO without a reader is not opened", test_no_reader },
	{ "a log that cannot be opened again is told", test_reopen_fails },
	{ "lines that a full disk did not take are told", test_full_disk },
	{ "lost lines are told", test_lost_lines_are_told },
};
TAP_TESTS(log, tests);
