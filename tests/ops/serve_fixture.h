/* SPDX-License-Identifier: Apache-2.0 */
/* serve_fixture.h - an admin server whose requests are bytes: what serve_test.c and serve_head_test.c share. */
#ifndef KOLK_TESTS_OPS_SERVE_FIXTURE_H
#define KOLK_TESTS_OPS_SERVE_FIXTURE_H

#include "tests/kit/cmocka/run.h"

#include <stdbool.h>

#include <kolk/kolk.h>
#include <kolk/ops/admin.h>

#define TOKEN "sixteen or more bytes"
#define CLOSE "Connection: close\r\n\r\n"
#define END "Host: localhost\r\n" CLOSE
#define HEALTH "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"

struct serve_fixture {
	struct kolk_engine *engine;
	struct kolk_admin *admin; /* opened by the test */
	char folder[64], path[96], listen[128];
	char answer[262144]; /* what was read last */
};

/* Of cmocka: *state is the fixture. */
int serve_fixture_open(void **state);
int serve_fixture_close(void **state);
struct kolk_admin_options serve_options(const struct serve_fixture *fixture);
/* At a TCP address, by TOKEN. */
void serve_open_with_token(struct serve_fixture *fixture);

/* A connection to the server; -1 = none. */
int serve_connect(const struct serve_fixture *fixture);
void serve_say_bytes(int fd, const char *bytes, size_t size);
void serve_say(int fd, const char *text);
/* Read until the server closes, at most so long, as WITHIN_MS. False when it did not. */
bool serve_read_to_end(struct serve_fixture *fixture, int fd, int ms);
/* One request on a connection of its own; the status. */
int serve_ask_bytes(struct serve_fixture *fixture, const char *request, size_t size);
int serve_ask(struct serve_fixture *fixture, const char *request);

#define SERVE_TEST(name) \
	cmocka_unit_test_setup_teardown(name, serve_fixture_open, serve_fixture_close)

#endif
