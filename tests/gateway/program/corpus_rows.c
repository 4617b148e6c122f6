/* SPDX-License-Identifier: Apache-2.0 */
/* corpus_rows.c - requests that only a proxy can do wrong, and those that are too long for a table. */
#include "tests/gateway/program/corpus.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROW(name, verdict, meaning, bytes) { name, verdict, meaning, bytes, sizeof(bytes) - 1 }

/* clang-format off */
#define H "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" H
#define POST "POST / HTTP/1.1\r\n" H
#define CHUNKED "Transfer-Encoding: chunked\r\n\r\n"
#define SECOND "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
#define A16 "aaaaaaaaaaaaaaaa"
#define A64 A16 A16 A16 A16

/* Fields of one connection are named x-hop: the upstream may never see them. */
static const struct http1_request_case more[] = {

	/* what Connection names */
	ROW("it names a field", KEEP, "GET / a|",
	    GET "Connection: x-hop\r\nX-Hop: 1\r\n\r\n"),
	ROW("it names a field before itself", KEEP, "GET / a|",
	    GET "X-HOP: 1\r\nConnection: X-Hop\r\n\r\n"),
	ROW("it names a field twice", KEEP, "GET / a|",
	    GET "X-Hop: 1\r\nX-Hop: 2\r\nConnection: , x-hop ,\tclosed\r\n\r\n"),
	ROW("two of it", KEEP, "GET / a|",
	    GET "X-Hop: 1\r\nX-Hop2: 2\r\nConnection: x-hop\r\nConnection: x-hop2\r\n\r\n"),
	ROW("it names Host", KEEP, "GET / a|",
	    GET "Connection: host\r\n\r\n"),
	ROW("it names Content-Length", KEEP, "POST / a|hello",
	    POST "Connection: content-length\r\nContent-Length: 5\r\n\r\nhello"),
	ROW("it names Transfer-Encoding", KEEP, "POST / a|hello",
	    POST "Connection: transfer-encoding\r\n" CHUNKED "5\r\nhello\r\n0\r\n\r\n"),
	ROW("it names Expect", KEEP, "POST / a|x",
	    POST "Connection: expect\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx"),
	ROW("it names X-Forwarded-For", KEEP, "GET / a|",
	    GET "Connection: x-forwarded-for\r\nX-Forwarded-For: 127.1.0.99\r\n\r\n"),
	ROW("it names Via", KEEP, "GET / a|",
	    GET "Connection: via\r\nVia: 1.1 x-hop\r\n\r\n"),
	ROW("it names TE", KEEP, "GET / a|+",
	    GET "Connection: te\r\nTE: trailers\r\n\r\n"),
	ROW("it names itself", KEEP, "GET / a|",
	    GET "Connection: connection\r\n\r\n"),
	ROW("it names close and a field", LAST, "GET / a|",
	    GET "Connection: close, x-hop\r\nX-Hop: 1\r\n\r\n"),
	ROW("Keep-Alive and Proxy-Connection", KEEP, "GET / a|",
	    GET "Keep-Alive: timeout=1\r\nProxy-Connection: x-hop\r\n\r\n"),
	ROW("HTTP2-Settings alone", KEEP, "GET / a|",
	    GET "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"),
	ROW("Proxy-Authorization that it names", KEEP, "GET / a|",
	    GET "Connection: proxy-authorization\r\nProxy-Authorization: Basic x\r\n\r\n"),

	/* what a client says of others */
	ROW("X-Forwarded-For", KEEP, "GET / a|",
	    GET "X-Forwarded-For: 127.1.0.99\r\n\r\n"),
	ROW("X-Forwarded-For twice", KEEP, "GET / a|",
	    GET "X-Forwarded-For: 127.1.0.99\r\nx-forwarded-for: 6.6.6.6\r\n\r\n"),
	ROW("X-Forwarded-For of the second line", 400, NULL,
	    GET "X: y\r\n X-Forwarded-For: 127.1.0.99\r\n\r\n"),
	ROW("Forwarded and X-Real-IP", KEEP, "GET / a|",
	    GET "Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n\r\n"),
	ROW("X-Forwarded-Host", KEEP, "GET / a|",
	    GET "X-Forwarded-Host: evil\r\nX-Original-URL: /evil\r\n\r\n"),
	ROW("Max-Forwards", KEEP, "OPTIONS / a|",
	    "OPTIONS / HTTP/1.1\r\n" H "Max-Forwards: 0\r\n\r\n"),
	ROW("X-HTTP-Method-Override", KEEP, "GET / a|",
	    GET "X-HTTP-Method-Override: CONNECT\r\n\r\n"),

	/* requests in requests */
	ROW("CL.0", MORE, "GET / a|",
	    GET "Content-Length: 0\r\n\r\n" SECOND),
	ROW("CL.CL with a request", 400, NULL,
	    POST "Content-Length: 0\r\nContent-Length: 35\r\n\r\n" SECOND),
	ROW("CL.TE with a request", 400, NULL,
	    POST "Content-Length: 6\r\n" CHUNKED "0\r\n\r\n" SECOND),
	ROW("TE.CL with a request", 400, NULL,
	    POST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n23\r\n" SECOND "\r\n0\r\n\r\n"),
	ROW("TE.TE with a request", 400, NULL,
	    POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n" SECOND),
	ROW("TE.0 with a request", MORE, "OPTIONS / a|",
	    "OPTIONS / HTTP/1.1\r\n" H CHUNKED "0\r\n\r\n" SECOND),
	ROW("a folded coding with a request", 400, NULL,
	    POST "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 35\r\n\r\n" SECOND),
	ROW("a bare LF before a coding", 400, NULL,
	    POST "X: y\nTransfer-Encoding: chunked\r\nContent-Length: 35\r\n\r\n" SECOND),
	ROW("a bare CR before a coding", 400, NULL,
	    POST "X: y\rTransfer-Encoding: chunked\r\nContent-Length: 35\r\n\r\n" SECOND),
	ROW("a NUL before a coding", 400, NULL,
	    POST "X: y\x00""\r\nTransfer-Encoding: chunked\r\nContent-Length: 35\r\n\r\n" SECOND),
	ROW("a body that ends as chunks do", KEEP, "POST / a|0\r\n\r\n",
	    POST "Content-Length: 5\r\n\r\n0\r\n\r\n"),
	ROW("a chunk that ends as chunks do", KEEP, "POST / a|0\r\n\r\n",
	    POST CHUNKED "5\r\n0\r\n\r\n\r\n0\r\n\r\n"),
	ROW("a chunk that is a request", KEEP, "POST / a|" SECOND,
	    POST CHUNKED "1c\r\n" SECOND "\r\n0\r\n\r\n"),
	ROW("an extension that is a request line", KEEP, "POST / a|hello",
	    POST CHUNKED "5;x=\"GET /2 HTTP/1.1\"\r\nhello\r\n0\r\n\r\n"),
	ROW("an extension that ends in LF", 400, "POST / a|",
	    POST CHUNKED "5;x\nhello\r\n0\r\n\r\n" SECOND),
	ROW("a last chunk with an extension", MORE, "POST / a|",
	    POST CHUNKED "0;x=y\r\n\r\n" SECOND),
	ROW("a trailer that names a field of one connection", KEEP, "POST / a|",
	    POST "Connection: x-hop\r\n" CHUNKED "0\r\nX: y\r\n\r\n"),
	ROW("Trailer names Content-Length", KEEP, "POST / a|hello",
	    POST "Trailer: content-length\r\n" CHUNKED "5\r\nhello\r\n0\r\n\r\n"),
	ROW("head with a body", KEEP, "HEAD / a|x",
	    "HEAD / HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nx"),
	ROW("head, then a request", MORE, "HEAD / a|",
	    "HEAD / HTTP/1.1\r\n" H "\r\n" SECOND),
	ROW("delete in chunks", KEEP, "DELETE /x a|hello",
	    "DELETE /x HTTP/1.1\r\n" H CHUNKED "5\r\nhello\r\n0\r\n\r\n"),
	ROW("options of all, with a body", KEEP, "OPTIONS * a|x",
	    "OPTIONS * HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nx"),
	ROW("expect, then a request", MORE, "POST / a|x",
	    POST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx" SECOND),
	ROW("expect, and no body", CUT, "POST / a|",
	    POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"),
	ROW("an upgrade that is refused, then a request", MORE, "GET / a|^websocket",
	    GET "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" SECOND),
	ROW("an upgrade to h2c and its preface", MORE, "GET / a|",
	    GET "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"
	    "\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	ROW("an upgrade with a body", KEEP, "POST / a|x",
	    POST "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx"),

	/* hosts */
	ROW("another host, absolute, in https", 400, NULL,
	    "GET https://b/ HTTP/1.1\r\n" H "\r\n"),
	ROW("another host, absolute, with a request", 400, NULL,
	    "GET http://b/ HTTP/1.1\r\n" H "\r\n" SECOND),
	ROW("another host in a second request", MORE, "GET / a|",
	    GET "\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"),
	ROW("absolute, a user that looks like the host", 400, NULL,
	    "GET http://a:80@b/ HTTP/1.1\r\n" H "\r\n"),
	ROW("a host with a dot behind", KEEP, "GET / a.|",
	    "GET / HTTP/1.1\r\nHost: a.\r\n\r\n"),
	ROW("a host in upper case", KEEP, "GET / A|",
	    "GET / HTTP/1.1\r\nHost: A\r\n\r\n"),
	ROW("a path that begins as a host", KEEP, "GET //b/ a|",
	    "GET //b/ HTTP/1.1\r\n" H "\r\n"),

	/* lengths */
	ROW("a length of 4 GiB", 413, NULL,
	    POST "Content-Length: 4294967296\r\n\r\n"),
	ROW("a length of 2^32 + 5", 413, NULL,
	    POST "Content-Length: 4294967301\r\n\r\nhello"),
	ROW("a length of 2^63 - 1", 413, NULL,
	    POST "Content-Length: 9223372036854775807\r\n\r\nhello"),
	ROW("a chunk of 2^32 + 5", 413, "POST / a|",
	    POST CHUNKED "100000005\r\nhello\r\n0\r\n\r\n"),
	ROW("a chunk of 2^64 + 5", 400, "POST / a|",
	    POST CHUNKED "10000000000000005\r\nhello\r\n0\r\n\r\n"),
};

static const struct {
	const char *name, *before, *piece;
	size_t count;
	const char *after;
	int verdict;
	const char *meaning;
} long_ones[] = {
	{ "a target of 64 bytes", "GET /", "a", 63, " HTTP/1.1\r\nHost: a\r\n\r\n", KEEP,
	  "GET /" A16 A16 A16 "aaaaaaaaaaaaaaa a|" },
	{ "a target of 65 bytes", "GET /", "a", 64, " HTTP/1.1\r\nHost: a\r\n\r\n", 414, NULL },
	{ "a line without an end", "", "A", 600, "", 414, NULL },
	{ "a target without an end", "GET /", "a", 100000, "", 414, NULL },
	{ "a long field", GET "X: ", "a", 600, "\r\n\r\n", 431, NULL },
	{ "a field without an end", GET "X: ", "a", 100000, "", 431, NULL },
	{ "a name without an end", GET, "X", 600, "", 431, NULL },
	{ "a ninth field", GET, "X: a\r\n", 8, "\r\n", 431, NULL },
	{ "fields without an end", GET, "X: a\r\n", 10000, "", 431, NULL },
	{ "64 chunks", POST CHUNKED, "1\r\na\r\n", 64, "0\r\n\r\n", KEEP, "POST / a|" A64 },
	{ "65 chunks", POST CHUNKED, "1\r\na\r\n", 65, "0\r\n\r\n", 413, "POST / a|" A64 },
	{ "chunks without an end", POST CHUNKED, "1\r\na\r\n", 10000, "", 413, "POST / a|" A64 },
	{ "a long extension", POST CHUNKED "1;", "x", 300, "\r\na\r\n0\r\n\r\n", 400, "POST / a|" },
	{ "an extension without an end", POST CHUNKED "1;", "x", 100000, "", 400, "POST / a|" },
	{ "extensions of 512 bytes in all", POST CHUNKED, "1;xxxxxxxx\r\na\r\n", 60, "0\r\n\r\n", 400,
	  "POST / a|" A64 },
	{ "a ninth trailer", POST CHUNKED "0\r\n", "X: a\r\n", 9, "\r\n", 431, "POST / a|" },
	{ "trailers without an end", POST CHUNKED "0\r\n", "X: a\r\n", 10000, "", 431, "POST / a|" },
	{ "a long trailer", POST CHUNKED "0\r\nX: ", "a", 600, "\r\n\r\n", 431, "POST / a|" },
	{ "zeros without an end", POST CHUNKED, "0", 1000, "", 400, "POST / a|" },
	{ "a body of 65 bytes", POST "Content-Length: 65\r\n\r\n", "a", 65, "", 413, NULL },
};

/* clang-format on */

/* Paths that two servers read in two ways: the server takes them, the gateway does not. */
int corpus_refused_by_gateway(const struct http1_request_case *row)
{
	static const char *const names[] = { "dots stay", "escapes stay", "slashes stay",
					     "odd characters stay", "a path that begins as a host" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(row->name, names[i]) == 0)
			return 400;
	return 0;
}

static struct http1_request_case make(size_t i)
{
	size_t piece = strlen(long_ones[i].piece), before = strlen(long_ones[i].before);
	size_t size = before + piece * long_ones[i].count + strlen(long_ones[i].after);
	char *text = malloc(size + 1);

	memcpy(text, long_ones[i].before, before);
	for (size_t n = 0; n < long_ones[i].count; n++)
		memcpy(text + before + n * piece, long_ones[i].piece, piece);
	memcpy(text + before + long_ones[i].count * piece, long_ones[i].after,
	       strlen(long_ones[i].after));
	text[size] = '\0';
	return (struct http1_request_case){ long_ones[i].name, long_ones[i].verdict,
					    long_ones[i].meaning, text, size };
}

enum { MORE_ROWS = sizeof more / sizeof more[0], LONG_ROWS = sizeof long_ones / sizeof long_ones[0] };

const struct http1_request_case *corpus_open(size_t *count)
{
	size_t most = http1_request_count + MORE_ROWS + LONG_ROWS, size = 0;
	struct http1_request_case *rows = calloc(most, sizeof *rows);

	while (size < LONG_ROWS) {
		rows[size] = make(size);
		size++;
	}
	for (size_t i = 0; i < http1_request_count; i++)
		if (strcmp(http1_requests[i].name, "the preface of HTTP/2") != 0) /* it speaks that */
			rows[size++] = http1_requests[i];
	memcpy(rows + size, more, sizeof more);
	*count = size + MORE_ROWS;
	return rows;
}

void corpus_close(const struct http1_request_case *rows)
{
	for (size_t i = 0; i < LONG_ROWS; i++)
		free((char *)(uintptr_t)rows[i].bytes);
	free((struct http1_request_case *)(uintptr_t)rows);
}
