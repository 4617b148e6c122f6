/* SPDX-License-Identifier: Apache-2.0 */
/*
 * corpus_h2_test.c - requests of HTTP/2 that would be others in HTTP/1.1, through the gateway to an
 * upstream of HTTP/1.1: CR, LF and NUL in names, values and pseudo-fields, fields of a connection,
 * lengths that the data deny. Whole, byte by byte, and in two pieces cut everywhere.
 */
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/gateway/program/hostile.h"

enum { FIELDS = 16, BYTES = 4096 };

struct field {
	const char *name;
	size_t name_size;
	const char *value;
	size_t size;
};

struct row {
	const char *name;
	const char *meaning;  /* recorder.h; NULL = nothing whole may arrive */
	const char *body;     /* NULL = the head ends the request */
	struct field fields[FIELDS];
};

/* clang-format off */
#define F(name, value) { name, sizeof(name) - 1, value, sizeof(value) - 1 }
#define METHOD(value) F(":method", value)
#define PATH(value) F(":path", value)
#define AUTHORITY(value) F(":authority", value)
#define SCHEME F(":scheme", "http")
#define GET METHOD("GET"), SCHEME, PATH("/"), AUTHORITY("a")
#define POST METHOD("POST"), SCHEME, PATH("/"), AUTHORITY("a")
#define SMUGGLED "\r\nhost: b\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n"
#define A16 "aaaaaaaaaaaaaaaa"
#define A64 A16 A16 A16 A16

static const struct row rows[] = {
	/* plain */
	{ "get", "GET / a|", NULL, { GET } },
	{ "a body", "POST / a|hello", "hello", { POST } },
	{ "a length", "POST / a|hello", "hello", { POST, F("content-length", "5") } },
	{ "an empty body", "POST / a|", "", { POST } },
	{ "a length of zero", "GET / a|", NULL, { GET, F("content-length", "0") } },
	{ "a body that is a request", "POST / a|GET /2 HTTP/1.1\r\nhost: a\r\n\r\n",
	  "GET /2 HTTP/1.1\r\nhost: a\r\n\r\n", { POST } },
	{ "a body that ends as chunks do", "POST / a|0\r\n\r\n", "0\r\n\r\n", { POST } },
	{ "trailers are accepted", "GET / a|+", NULL, { GET, F("te", "trailers") } },
	{ "cookies in two", "GET / a|", NULL, { GET, F("cookie", "a=1"), F("cookie", "b=2") } },
	{ "options of all", "OPTIONS * a|", NULL,
	  { METHOD("OPTIONS"), SCHEME, PATH("*"), AUTHORITY("a") } },
	{ "host alone", "GET / a|", NULL, { METHOD("GET"), SCHEME, PATH("/"), F("host", "a") } },
	{ "x-forwarded-for", "GET / a|", NULL, { GET, F("x-forwarded-for", "127.1.0.99") } },

	/* CR, LF, NUL */
	{ "CR LF in a value", NULL, NULL, { GET, F("x", "a\r\nx-forwarded-for: 127.1.0.99") } },
	{ "a request in a value", NULL, NULL, { GET, F("x", "a" SMUGGLED) } },
	{ "LF in a value", NULL, NULL, { GET, F("x", "a\nb") } },
	{ "CR in a value", NULL, NULL, { GET, F("x", "a\rb") } },
	{ "NUL in a value", NULL, NULL, { GET, F("x", "a\0b") } },
	{ "DEL in a value", NULL, NULL, { GET, F("x", "a\x7f") } },
	{ "CR LF at a value's end", NULL, NULL, { GET, F("x", "a\r\n") } },
	{ "LF at a value's beginning", NULL, NULL, { GET, F("x", "\na") } },
	{ "a coding in a value", NULL, "0\r\n\r\n",
	  { POST, F("x", "a\r\ntransfer-encoding: chunked"), F("content-length", "5") } },
	{ "CR LF in a name", NULL, NULL, { GET, F("x: a\r\ny", "b") } },
	{ "LF in a name", NULL, NULL, { GET, F("x\n", "b") } },
	{ "NUL in a name", NULL, NULL, { GET, F("x\0", "b") } },
	{ "a colon in a name", NULL, NULL, { GET, F("x: y", "b") } },
	{ "a blank in a name", NULL, NULL, { GET, F("x y", "b") } },
	{ "a blank behind a name", NULL, NULL, { GET, F("content-length ", "5") } },
	{ "upper case in a name", NULL, NULL, { GET, F("X", "b") } },
	{ "a byte above 127 in a name", NULL, NULL, { GET, F("x\xe4", "b") } },
	{ "no name", NULL, NULL, { GET, F("", "b") } },
	{ "a request in the path", NULL, NULL,
	  { METHOD("GET"), SCHEME, PATH("/ HTTP/1.1" SMUGGLED), AUTHORITY("a") } },
	{ "LF in the path", NULL, NULL, { METHOD("GET"), SCHEME, PATH("/\n"), AUTHORITY("a") } },
	{ "a blank in the path", NULL, NULL,
	  { METHOD("GET"), SCHEME, PATH("/ HTTP/1.1"), AUTHORITY("a") } },
	{ "NUL in the path", NULL, NULL, { METHOD("GET"), SCHEME, PATH("/\0"), AUTHORITY("a") } },
	{ "a request in the method", NULL, NULL,
	  { METHOD("GET / HTTP/1.1" SMUGGLED "GET"), SCHEME, PATH("/"), AUTHORITY("a") } },
	{ "a blank in the method", NULL, NULL,
	  { METHOD("GET /2"), SCHEME, PATH("/"), AUTHORITY("a") } },
	{ "no method", NULL, NULL, { METHOD(""), SCHEME, PATH("/"), AUTHORITY("a") } },
	{ "CR LF in the authority", NULL, NULL,
	  { METHOD("GET"), SCHEME, PATH("/"), AUTHORITY("a\r\nx: y") } },
	{ "CR LF in host", NULL, NULL,
	  { METHOD("GET"), SCHEME, PATH("/"), F("host", "a\r\nx: y") } },
	{ "CR LF in the scheme", NULL, NULL,
	  { METHOD("GET"), F(":scheme", "http\r\nx: y"), PATH("/"), AUTHORITY("a") } },
	{ "CR LF in te", NULL, NULL, { GET, F("te", "trailers\r\nx: y") } },

	/* fields of one connection */
	{ "connection", NULL, NULL, { GET, F("connection", "x-hop"), F("x-hop", "1") } },
	{ "connection: close", NULL, NULL, { GET, F("connection", "close") } },
	{ "transfer-encoding", NULL, "0\r\n\r\n", { POST, F("transfer-encoding", "chunked") } },
	{ "transfer-encoding and a length", NULL, "0\r\n\r\n",
	  { POST, F("transfer-encoding", "chunked"), F("content-length", "5") } },
	{ "keep-alive", NULL, NULL, { GET, F("keep-alive", "timeout=1") } },
	{ "proxy-connection", NULL, NULL, { GET, F("proxy-connection", "keep-alive") } },
	{ "upgrade", NULL, NULL, { GET, F("upgrade", "websocket") } },
	{ "te: gzip", NULL, NULL, { GET, F("te", "gzip") } },

	/* lengths */
	{ "a length that is too small", NULL, "hello", { POST, F("content-length", "4") } },
	{ "a length that is too large", NULL, "hello", { POST, F("content-length", "6") } },
	{ "a length of zero with a body", NULL, "hello", { POST, F("content-length", "0") } },
	{ "a length without a body", NULL, NULL, { POST, F("content-length", "5") } },
	{ "a length that is negative", NULL, "hello", { POST, F("content-length", "-5") } },
	{ "a length with a sign", NULL, "hello", { POST, F("content-length", "+5") } },
	{ "a length that is a list", NULL, "hello", { POST, F("content-length", "5,5") } },
	{ "a length that is hexadecimal", NULL, "hello", { POST, F("content-length", "0x5") } },
	{ "a length of 2^64 + 5", NULL, "hello",
	  { POST, F("content-length", "18446744073709551621") } },
	{ "a length that is empty", NULL, "hello", { POST, F("content-length", "") } },
	{ "two lengths", NULL, "hello", { POST, F("content-length", "5"), F("content-length", "5") } },
	{ "two lengths that differ", NULL, "hello",
	  { POST, F("content-length", "5"), F("content-length", "0") } },
	{ "a body of 65 bytes", NULL, A64 "a", { POST } },
	{ "a length of 65", NULL, A64 "a", { POST, F("content-length", "65") } },
	{ "a length of 2^32 + 5", NULL, "hello", { POST, F("content-length", "4294967301") } },

	/* pseudo-fields */
	{ "two methods", NULL, NULL, { GET, METHOD("POST") } },
	{ "two paths", NULL, NULL, { GET, PATH("/2") } },
	{ "two authorities", NULL, NULL, { GET, AUTHORITY("b") } },
	{ "two schemes", NULL, NULL, { GET, SCHEME } },
	{ "none of method", NULL, NULL, { SCHEME, PATH("/"), AUTHORITY("a") } },
	{ "none of path", NULL, NULL, { METHOD("GET"), SCHEME, AUTHORITY("a") } },
	{ "none of scheme", NULL, NULL, { METHOD("GET"), PATH("/"), AUTHORITY("a") } },
	{ "an empty path", NULL, NULL, { METHOD("GET"), SCHEME, PATH(""), AUTHORITY("a") } },
	{ "a path without a slash", NULL, NULL,
	  { METHOD("GET"), SCHEME, PATH("a"), AUTHORITY("a") } },
	{ "a path that is absolute", NULL, NULL,
	  { METHOD("GET"), SCHEME, PATH("http://b/"), AUTHORITY("a") } },
	{ "asterisk with get", NULL, NULL, { METHOD("GET"), SCHEME, PATH("*"), AUTHORITY("a") } },
	{ "a fragment", NULL, NULL, { METHOD("GET"), SCHEME, PATH("/#a"), AUTHORITY("a") } },
	{ "one behind a field", NULL, NULL,
	  { METHOD("GET"), SCHEME, F("x", "y"), PATH("/"), AUTHORITY("a") } },
	{ "an unknown one", NULL, NULL, { GET, F(":x", "y") } },
	{ "one of an answer", NULL, NULL, { GET, F(":status", "200") } },
	{ "one of extended CONNECT", NULL, NULL, { GET, F(":protocol", "websocket") } },
	{ "connect", NULL, NULL, { METHOD("CONNECT"), AUTHORITY("a:443") } },
	{ "connect with a path", NULL, NULL,
	  { METHOD("CONNECT"), SCHEME, PATH("/"), AUTHORITY("a") } },
	{ "a user in the authority", NULL, NULL,
	  { METHOD("GET"), SCHEME, PATH("/"), AUTHORITY("u@a") } },
	{ "a path in the authority", NULL, NULL,
	  { METHOD("GET"), SCHEME, PATH("/"), AUTHORITY("a/b") } },
	{ "an empty authority", NULL, NULL,
	  { METHOD("GET"), SCHEME, PATH("/"), AUTHORITY("") } },
	{ "no authority, no host", NULL, NULL, { METHOD("GET"), SCHEME, PATH("/") } },
	{ "another host", NULL, NULL, { GET, F("host", "b") } },
	{ "two hosts", NULL, NULL,
	  { METHOD("GET"), SCHEME, PATH("/"), F("host", "a"), F("host", "b") } },

	/* too large */
	{ "a path of 65 bytes", NULL, NULL, { METHOD("GET"), SCHEME, PATH("/" A64), AUTHORITY("a") } },
	{ "fields of more than 512 bytes", NULL, NULL,
	  { GET, F("x", A64), F("x", A64), F("x", A64), F("x", A64), F("y", A64 A16 A16 A16) } },
	{ "a ninth field", NULL, NULL,
	  { GET, F("x", ""), F("x", ""), F("x", ""), F("x", ""), F("x", ""), F("x", ""), F("x", ""),
	    F("x", ""), F("x", "") } },
};
/* clang-format on */

enum { ROWS = sizeof rows / sizeof rows[0] };

/* ---- a connection's bytes */

struct bytes {
	uint8_t data[BYTES];
	size_t size;
};

static void put(struct bytes *bytes, const void *data, size_t size)
{
	memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
}

static void put_frame(struct bytes *bytes, const uint8_t head[3], const void *payload, size_t size)
{
	const uint8_t frame[9] = { 0, (uint8_t)(size >> 8), (uint8_t)size, head[0], head[1],
				   0, 0, 0, head[2] };

	put(bytes, frame, sizeof frame);
	put(bytes, payload, size);
}

/* HPACK: literals, in no table, no Huffman code. Sizes are below 127. */
static void put_text(struct bytes *block, const char *text, size_t size)
{
	const uint8_t length = (uint8_t)size;

	put(block, &length, 1);
	put(block, text, size);
}

static void put_request(struct bytes *bytes, const struct row *row, uint8_t stream)
{
	struct bytes block = { .size = 0 };
	const uint8_t last = row->body == NULL ? NGHTTP2_FLAG_END_STREAM : 0;

	for (const struct field *field = row->fields; field->name != NULL; field++) {
		put(&block, "", 1);
		put_text(&block, field->name, field->name_size);
		put_text(&block, field->value, field->size);
	}
	put_frame(bytes, (uint8_t[]){ NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | last, stream },
		  block.data, block.size);
	if (row->body != NULL)
		put_frame(bytes, (uint8_t[]){ NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, stream },
			  row->body, strlen(row->body));
}

static void put_connection(struct bytes *bytes, const struct row *row)
{
	static const struct row next = {
		"next", NULL, NULL, { METHOD("GET"), SCHEME, PATH("/next"), AUTHORITY("a") }
	};

	bytes->size = 0;
	put(bytes, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
	put_frame(bytes, (uint8_t[]){ NGHTTP2_SETTINGS, 0, 0 }, "", 0);
	put_request(bytes, row, 1);
	put_request(bytes, &next, 3);
}

/* ---- what comes back */

struct answers {
	nghttp2_hd_inflater *inflater;
	bool ended[2];         /* streams 1 and 3; otherwise the connection ended */
	uint32_t accepted;     /* answers with 200 to stream 1 */
	uint32_t foreign;      /* fields x-asked of another client or target */
	char own[2][64];       /* what they are to be, of stream 1 and 3; a beginning */
};

static bool receive(int fd, void *data, size_t size)
{
	uint8_t *at = data, *end = at + size;
	ssize_t got;

	while (at < end && ((got = recv(fd, at, (size_t)(end - at), 0)) > 0 ||
			    (got < 0 && errno == EINTR)))
		at += got > 0 ? got : 0;
	return at == end;
}

static void take_head(struct answers *answers, uint8_t stream, uint8_t *block, size_t size)
{
	nghttp2_nv nv;
	int flags = 0;

	while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
		ssize_t used = nghttp2_hd_inflate_hd2(answers->inflater, &nv, &flags, block, size, 1);
		const char *name = (const char *)nv.name, *value = (const char *)nv.value;

		if (used < 0) {
			FAILED("an answer's head can be read");
			return;
		}
		block += used;
		size -= (size_t)used;
		if (!(flags & NGHTTP2_HD_INFLATE_EMIT))
			continue;
		if (strcmp(name, ":status") == 0 && stream == 1)
			answers->accepted += strcmp(value, "200") == 0;
		if (strcmp(name, "x-asked") == 0)
			answers->foreign += strncmp(value, answers->own[stream / 2],
						    strlen(answers->own[stream / 2])) != 0;
	}
	nghttp2_hd_inflate_end_headers(answers->inflater);
}

/* Until both streams or the connection have ended. */
static void read_answers(int fd, struct answers *answers)
{
	uint8_t head[9], payload[16384];

	nghttp2_hd_inflate_new(&answers->inflater);
	while (!(answers->ended[0] && answers->ended[1]) && receive(fd, head, sizeof head)) {
		size_t size = (size_t)head[1] << 8 | head[2];

		if (head[0] != 0 || size > sizeof payload || head[8] > 3 || !receive(fd, payload, size))
			break;
		if (head[3] == NGHTTP2_HEADERS)
			take_head(answers, head[8], payload, size);
		if (head[3] == NGHTTP2_RST_STREAM ||
		    ((head[3] == NGHTTP2_HEADERS || head[3] == NGHTTP2_DATA) &&
		     (head[4] & NGHTTP2_FLAG_END_STREAM) != 0))
			answers->ended[head[8] / 2] = true;
	}
	nghttp2_hd_inflate_del(answers->inflater);
}

/* ---- a round */

struct try {
	struct bytes bytes;
	size_t sent;
	int fd;
};

static bool is_seen_well(const struct row *row, const struct recorder_client *seen, bool next)
{
	char both[2][RECORDER_TEXT];

	/* Streams run side by side: in either order. */
	snprintf(both[0], sizeof both[0], "%s%s%s", row->meaning != NULL ? row->meaning : "",
		 row->meaning != NULL ? "\n" : "", next ? "GET /next a|\n" : "");
	snprintf(both[1], sizeof both[1], "%s%s%s", next ? "GET /next a|\n" : "",
		 row->meaning != NULL ? row->meaning : "", row->meaning != NULL ? "\n" : "");
	return strcmp(seen->text, both[0]) == 0 || strcmp(seen->text, both[1]) == 0;
}

static bool finish(struct hostile *hostile, struct try *try, const struct row *row, uint32_t client)
{
	struct answers answers = { .ended = { false } };
	struct recorder_client seen;
	bool good;

	for (int i = 0; i < 2; i++)
		snprintf(answers.own[i], sizeof answers.own[i], "127.1.%u.%u %s", client / 256,
			 client % 256, i == 0 ? "" : "GET /next");
	read_answers(try->fd, &answers);
	close(try->fd);
	seen = recorder_of(&hostile->recorder, client);
	good = is_seen_well(row, &seen, answers.ended[1]) && answers.foreign == 0 &&
	       answers.accepted == (row->meaning != NULL);
	if (!good)
		tap_note("%s: upstream saw '%s', part '%s', not '%s'; %u accepted, %u foreign, %s",
			 row->name, seen.text, seen.part, row->meaning != NULL ? row->meaning : "",
			 answers.accepted, answers.foreign,
			 answers.ended[1] ? "the connection stayed" : "the connection ended");
	return good;
}

static void send_to(struct try *try, size_t end)
{
	if (end > try->bytes.size)
		end = try->bytes.size;
	if (end > try->sent) /* the connection may have ended */
		(void)!send(try->fd, try->bytes.data + try->sent, end - try->sent, MSG_NOSIGNAL);
	try->sent = end;
}

/* The first piece has so many bytes, each other one `piece`. How many went wrong. */
static uint32_t run(struct hostile *hostile, size_t first, size_t piece)
{
	static struct try tries[ROWS];
	uint32_t wrong = 0;
	size_t most = 0;

	recorder_clear(&hostile->recorder, 0, ROWS);
	for (uint32_t i = 0; i < ROWS; i++) {
		tries[i].sent = 0;
		put_connection(&tries[i].bytes, &rows[i]);
		tries[i].fd = hostile_connect(hostile, i);
		most = tries[i].bytes.size > most ? tries[i].bytes.size : most;
	}
	for (size_t end = first; end < most + piece; end += piece) {
		for (uint32_t i = 0; i < ROWS; i++)
			send_to(&tries[i], end);
		CHECK(hostile_is_honest(hostile));
	}
	for (uint32_t i = 0; i < ROWS; i++)
		wrong += !finish(hostile, &tries[i], &rows[i], i);
	CHECK(hostile_is_honest(hostile));
	return wrong;
}

static void run_on(const char *engine)
{
	struct hostile hostile;

	MUST(hostile_open(&hostile, engine));
	CHECK(run(&hostile, BYTES, BYTES) == 0);
	CHECK(run(&hostile, 1, 1) == 0);
	for (size_t cut = 1; cut < 300; cut += 3 * hostile_stride())
		CHECK(run(&hostile, cut, BYTES) == 0);
	hostile_close(&hostile);
}

static void test_epoll(void)
{
	run_on("loops: 1, backend: epoll");
}

static void test_io_uring(void)
{
	if (tap_io_uring_refused() != NULL)
		tap_skip(tap_io_uring_refused());
	else
		run_on("loops: 1, backend: io_uring");
}

static const struct tap_test tests[] = {
	{ "the corpus of HTTP/2", test_epoll },
	{ "the corpus of HTTP/2, on io_uring", test_io_uring },
};
TAP_TESTS(corpus_h2, tests);
