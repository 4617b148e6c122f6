/* SPDX-License-Identifier: Apache-2.0 */
/* http1_client.h - an HTTP/1.1 client and its mock server, and one exchange of it, watched. */
#ifndef KOLK_TESTS_HTTP1_CLIENT_H
#define KOLK_TESTS_HTTP1_CLIENT_H

#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/atomic.h"
#include "tests/drivers/http_fixture.h"
#include "tests/kit/mock.h"

#define OK11 "HTTP/1.1 200 OK\r\n"

struct http1_fixture {
	struct kit_mock *mock;
	struct http_fixture client;
	struct kolk_http_driver_options driver;
	struct kolk_pool_options pool;
	struct kolk_tls_options tls;
	const struct kit_cert *cert; /* NULL = plain */
	uint32_t receive_bytes;	     /* of the mock's sockets; 0 = as usual */
};

/* Options as most tests want them, to be changed before the open. */
void http1_prepare(struct http1_fixture *fixture);
void http1_open(struct http1_fixture *fixture, kit_mock_fn *mock_fn, void *user);
void http1_close(struct http1_fixture *fixture);
/* A request up to the end of its head. */
bool http1_head(struct kit_mock_conn *conn, char *text, size_t size);

/* One exchange, and what its handler was told. */
struct ask {
	struct http_fixture *client;
	struct kolk_http_request request;
	struct kolk_http_handler handler;
	struct kolk_http_exchange *exchange;
	struct kolk_call post, later, last;
	sem_t done;
	enum kolk_err started, err;
	kolk__atomic_u32 heads, bodies, ends;
	uint32_t informational, status, reused;
	size_t body_size;
	char body[4096];
	bool retried;
	enum { NOTHING, CANCEL_IN_HEAD, CANCEL_IN_BODY, PAUSE_IN_HEAD } act;
	struct kolk_lease lease; /* upgraded */
	size_t behind;
	uint64_t pull_left;
	uint32_t pulls;
};

/* A request with a deadline of a minute, to be changed before it starts. */
void ask_init(struct ask *ask, struct http_fixture *client, const char *method,
	      const char *target);
void ask_start(struct ask *ask);
/* Its end, which came once, or what kolk_http_start returned. */
enum kolk_err ask_wait(struct ask *ask);
enum kolk_err ask_run(struct ask *ask);
/* Run ask_cancel or ask_resume on the loop of the exchange. */
void ask_on_loop(struct ask *ask, kolk_call_fn *run);
void ask_cancel(struct kolk_call *post, void *user);
void ask_resume(struct kolk_call *post, void *user);
/* A body of pull_left bytes. */
enum kolk_err ask_pull(void *user, void *buffer, size_t capacity, size_t *size);

/* GET / answers this with status 200, on a connection that is reused or not. */
void http1_expect_get(struct http_fixture *client, const char *body);
/* /huge is 48 MiB, /large 1 MiB, /small 30000 bytes; all else is "good". */
void http1_mock_sizes(struct kit_mock_conn *conn, void *user);

#endif
