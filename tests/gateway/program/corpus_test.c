/* SPDX-License-Identifier: Apache-2.0 */
/*
 * corpus_test.c - requests of HTTP/1.1 that two readers read in two ways, or that are too large,
 * through the gateway: whole, byte by byte, in two pieces cut everywhere, and ended everywhere. The
 * upstream sees what a strict reader would have sent, or nothing.
 *
 * All rows of a round are sent at the same time, each by a client of its own address. The gateway
 * has one loop: when it has answered an honest client, it has read what the others sent before.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/gateway/program/corpus.h"
#include "tests/gateway/program/hostile.h"

/* BYTEWISE_MAX: what is left of the long rows goes in one piece. */
enum { GROUP = 250, CUTS_MAX = 200, BYTEWISE_MAX = 1200 };

enum how { WHOLE, BYTEWISE, IN_TWO };
static const char *const names[] = { "whole", "byte by byte", "in two pieces" };

#define SECOND "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
#define NEXT "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static char text[PROGRAM_TEXT];

/* A row on its way. */
struct try {
	const struct http1_request_case *row;
	int fd;
	char *bytes;         /* the row's, and the next request of an honest client */
	size_t size, sent;
	/* To be expected: what the upstream saw, as recorder.h has it; what its answers are to,
	 * "METHOD TARGET" in lines; the gateway's own answer, 0 = none. */
	char seen[RECORDER_TEXT], asked[RECORDER_TEXT];
	int status;
};

/* ---- what is to be expected */

static void expect_request(struct try *try, const struct hostile *hostile, const char *meaning)
{
	const char *no_host = strstr(meaning, " |"); /* HTTP/1.0: the pool's */
	size_t had = strlen(try->seen), asked = strlen(try->asked);
	int head = no_host != NULL ? (int)(no_host + 1 - meaning) : 0;
	int method = (int)strcspn(meaning, " "), target = (int)strcspn(meaning + method + 1, " ");

	snprintf(try->seen + had, sizeof try->seen - had, "%.*s%s%s\n", head, meaning,
		 no_host != NULL ? kit_mock_address(hostile->recorder.mock) : "", meaning + head);
	snprintf(try->asked + asked, sizeof try->asked - asked, "%.*s\n", method + 1 + target,
		 meaning);
}

/* Its bytes end with these. */
static bool ends_with(const struct http1_request_case *row, const char *end)
{
	size_t size = strlen(end);

	return row->size > size && memcmp(row->bytes + row->size - size, end, size) == 0;
}

static void expect(struct try *try, const struct hostile *hostile)
{
	const struct http1_request_case *row = try->row;
	int refused = corpus_refused_by_gateway(row);
	bool second = row->verdict == MORE && ends_with(row, SECOND);
	bool garbage = row->verdict == MORE && !second && !ends_with(row, "\r\n\r\n\r\n");

	try->status = row->verdict >= 400 ? row->verdict : refused;
	if (row->verdict >= 400 || row->verdict == CUT)
		return;
	if (refused == 0)
		expect_request(try, hostile, row->meaning);
	if (second)
		expect_request(try, hostile, "GET /2 a|");
	if (garbage)
		try->status = ends_with(row, "SM\r\n\r\n") ? 505 : 400;
	else if (row->verdict != LAST)
		expect_request(try, hostile, "GET /next a|");
}

/* ---- a round */

static void begin(struct try *try, const struct hostile *hostile, uint32_t client)
{
	const struct http1_request_case *row = try->row;
	bool next = row->verdict == KEEP || row->verdict == MORE;

	expect(try, hostile);
	try->size = row->size + (next ? sizeof NEXT - 1 : 0);
	try->bytes = malloc(try->size + 1);
	memcpy(try->bytes, row->bytes, row->size);
	if (next)
		memcpy(try->bytes + row->size, NEXT, sizeof NEXT - 1);
	try->fd = hostile_connect(hostile, client);
}

static void send_to(struct try *try, size_t end)
{
	if (end > try->size)
		end = try->size;
	if (end > try->sent) /* it may be closed: then it was refused */
		(void)!send(try->fd, try->bytes + try->sent, end - try->sent, MSG_NOSIGNAL);
	try->sent = end;
	if (end == try->size && try->row->verdict == CUT)
		shutdown(try->fd, SHUT_WR);
}

/* The answers: whose they are, and their order. */
static bool answers_are(const struct try *try, uint32_t client)
{
	char own[64], asked[RECORDER_TEXT] = "";
	const char *at = text;
	size_t size = 0;

	snprintf(own, sizeof own, "x-asked: 127.1.%u.%u ", client / 256, client % 256);
	while ((at = strstr(at, "x-asked: ")) != NULL) {
		if (strncmp(at, own, strlen(own)) != 0)
			return false;
		at += strlen(own);
		size += (size_t)snprintf(asked + size, sizeof asked - size, "%.*s\n",
					 (int)strcspn(at, "\r"), at);
	}
	return strcmp(asked, try->asked) == 0;
}

static bool status_is(const struct try *try, bool must)
{
	char wanted[32];

	snprintf(wanted, sizeof wanted, "HTTP/1.1 %d ", try->status);
	if (try->status == 0)
		return strstr(text, "HTTP/1.1 4") == NULL && strstr(text, "HTTP/1.1 5") == NULL;
	/* A client that goes on to send after it was refused may find its answer gone. */
	return strstr(text, wanted) != NULL || (!must && text[0] == '\0');
}

static void say_wrong(const struct try *try, const struct recorder_client *seen, const char *how)
{
	static int said;

	if (said++ < 10)
		tap_note("%s, %s: upstream saw '%s', part '%s', not '%s'; the client '%.300s'",
			 try->row->name, how, seen->text, seen->part, try->seen, text);
}

static bool part_is_good(const struct try *try, const char *part)
{
	if (part[0] == '\0')
		return true;
	return try->row->meaning != NULL && (try->row->verdict >= 400 || try->row->verdict == CUT) &&
	       strncmp(try->row->meaning, part, strlen(part)) == 0;
}

/* A strict reader's outcome, of both sides. */
static bool finish(struct hostile *hostile, struct try *try, uint32_t client, enum how how)
{
	bool ended = client_read(try->fd, NULL, text), good;
	struct recorder_client seen = recorder_of(&hostile->recorder, client);

	good = strcmp(seen.text, try->seen) == 0 && part_is_good(try, seen.part) &&
	       answers_are(try, client) && status_is(try, how == WHOLE && ended);
	if (!good)
		say_wrong(try, &seen, names[how]);
	close(try->fd);
	free(try->bytes);
	return good;
}

/* So many bytes, then the others in one piece, or each. */
static void send_all(struct hostile *hostile, struct try *tries, uint32_t count, size_t first,
		     enum how how)
{
	size_t last = how == BYTEWISE ? BYTEWISE_MAX : first + (how == IN_TWO);

	for (size_t end = first; end <= last; end++) {
		for (uint32_t i = 0; i < count; i++)
			send_to(&tries[i], end == last ? SIZE_MAX : end);
		CHECK(hostile_is_honest(hostile));
	}
}

/* A range of clients: what the ones before left behind may be noted late. */
static uint32_t next_clients(struct hostile *hostile, uint32_t count)
{
	static uint32_t next;
	uint32_t first = next + count > HOSTILE_CLIENTS ? 0 : next;

	next = first + count;
	recorder_clear(&hostile->recorder, first, count);
	return first;
}

/* All rows, but those that are shorter than the first piece. How many went wrong. */
static uint32_t run(struct hostile *hostile, size_t first, enum how how)
{
	static struct try tries[GROUP];
	uint32_t wrong = 0;

	for (size_t from = 0; from < hostile->count;) {
		uint32_t count = 0, client = next_clients(hostile, GROUP);

		for (; from < hostile->count && count < GROUP; from++) {
			if (first > hostile->rows[from].size)
				continue;
			tries[count] = (struct try){ .row = &hostile->rows[from] };
			begin(&tries[count], hostile, client + count);
			count++;
		}
		send_all(hostile, tries, count, first, how);
		for (uint32_t i = 0; i < count; i++)
			wrong += !finish(hostile, &tries[i], client + i, how);
		CHECK(hostile_is_honest(hostile));
	}
	return wrong;
}

static void whole_and_bytewise(const char *engine)
{
	struct hostile hostile;

	MUST(hostile_open(&hostile, engine));
	CHECK(hostile.count >= 250);
	CHECK(run(&hostile, 0, WHOLE) == 0);
	CHECK(run(&hostile, 1, BYTEWISE) == 0);
	hostile_close(&hostile);
}

static void test_whole(void)
{
	whole_and_bytewise("loops: 1, backend: epoll");
}

static void test_whole_io_uring(void)
{
	if (tap_io_uring_refused() != NULL)
		tap_skip(tap_io_uring_refused());
	else
		whole_and_bytewise("loops: 1, backend: io_uring");
}

static void test_two_pieces(void)
{
	struct hostile hostile;

	MUST(hostile_open(&hostile, "loops: 1"));
	for (size_t cut = 1; cut <= CUTS_MAX; cut += hostile_stride())
		CHECK(run(&hostile, cut, IN_TWO) == 0);
	hostile_close(&hostile);
}

/* ---- clients that go */

/* What is not whole never arrives whole. */
static bool is_cut(struct hostile *hostile, const struct http1_request_case *row, uint32_t client)
{
	struct recorder_client seen = recorder_of(&hostile->recorder, client);
	struct try try = { .row = row };

	expect(&try, hostile);
	if (row->verdict == MORE ? strncmp(try.seen, seen.text, strlen(seen.text)) == 0 :
				   seen.whole == 0)
		return true;
	say_wrong(&try, &seen, "ended early");
	return false;
}

static void end_all(struct hostile *hostile, size_t size, bool reset)
{
	const struct linger at_once = { .l_onoff = 1 };
	uint32_t count = (uint32_t)hostile->count, client = next_clients(hostile, count);
	int fds[HOSTILE_CLIENTS];

	for (uint32_t i = 0; i < count; i++) {
		fds[i] = -1;
		if (size >= hostile->rows[i].size)
			continue;
		fds[i] = hostile_connect(hostile, client + i);
		CHECK(send(fds[i], hostile->rows[i].bytes, size, MSG_NOSIGNAL) == (ssize_t)size);
	}
	CHECK(hostile_is_honest(hostile));
	for (uint32_t i = 0; i < count; i++) {
		if (fds[i] < 0)
			continue;
		if (reset)
			setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
		close(fds[i]);
	}
	CHECK(hostile_is_honest(hostile));
	for (uint32_t i = 0; i < count; i++)
		CHECK(fds[i] < 0 || is_cut(hostile, &hostile->rows[i], client + i));
}

static void test_ended(void)
{
	struct hostile hostile;
	bool reset = false;

	MUST(hostile_open(&hostile, "loops: 1"));
	for (size_t size = 1; size <= CUTS_MAX; size += hostile_stride(), reset = !reset)
		end_all(&hostile, size, reset);
	hostile_close(&hostile);
}

static const struct tap_test tests[] = {
	{ "the corpus, whole and byte by byte", test_whole },
	{ "the corpus, whole and byte by byte, on io_uring", test_whole_io_uring },
	{ "the corpus in two pieces", test_two_pieces },
	{ "the corpus, of clients that go", test_ended },
};
TAP_TESTS(corpus, tests);
