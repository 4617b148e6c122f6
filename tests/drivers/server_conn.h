/* SPDX-License-Identifier: Apache-2.0 */
/* server_conn.h - connections of the HTTP server for cmocka: requests, callees, expectations. */
#ifndef KOLK_TESTS_SERVER_CONN_H
#define KOLK_TESTS_SERVER_CONN_H

#include "tests/drivers/server_wire.h"

#define HOST "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST "\r\n"
#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
#define POST(length) "POST / HTTP/1.1\r\n" HOST "Content-Length: " length "\r\n\r\n"

/* Set-up and teardown: *state is a wire of HTTP/1.1 whose requests are answered with "hello". */
int open_wire(void **state);
int close_wire(void **state);

/* Callees; answer_at_end with "got it". */
void answer_hello(struct server_wire *wire);
void answer_nothing(struct server_wire *wire);
void answer_at_end(struct server_wire *wire);
void pause_exchange(struct server_wire *wire);
/* What is pulled next. */
void give(struct server_wire *wire, const char *text, bool ends);

/* Whether the server sent this. */
bool sent(const struct server_wire *wire, const char *text);
size_t count_of(const char *text, const char *part);
void expect_log(const struct server_wire *wire, const char *log);

#endif
