/* SPDX-License-Identifier: Apache-2.0 */
/* http1_client.c - a client whose exchanges are watched, and the mock server that it asks. */
#include "tests/drivers/http1_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kit/cmocka/run.h"

void http1_prepare(struct http1_fixture *fixture)
{
	memset(fixture, 0, sizeof *fixture);
	fixture->driver = (struct kolk_http_driver_options)KOLK_INIT(kolk_http_driver_options);
	fixture->pool = (struct kolk_pool_options)KOLK_INIT(kolk_pool_options);
	fixture->tls = (struct kolk_tls_options)KOLK_INIT(kolk_tls_options);
	fixture->pool.idle_min = KOLK_NONE;
	fixture->pool.connections_max = 4;
}

void http1_open(struct http1_fixture *fixture, kit_mock_fn *mock_fn, void *user)
{
	struct kit_mock_options options = {.play = mock_fn,
					   .user = user,
					   .cert = fixture->cert,
					   .receive_bytes = fixture->receive_bytes};

	fixture->tls.verify_off = 1;
	fixture->pool.tls = fixture->cert != NULL ? &fixture->tls : NULL;
	fixture->mock = kit_mock_open(&options);
	assert_non_null(fixture->mock);
	fixture->pool.address = kit_mock_address(fixture->mock);
	fixture->pool.driver_user = &fixture->driver;
	assert_true(http_fixture_open(&fixture->client, &fixture->pool));
}

void http1_close(struct http1_fixture *fixture)
{
	assert_true(http_fixture_close(&fixture->client));
	kit_mock_close(fixture->mock);
}

bool http1_head(struct kit_mock_conn *conn, char *text, size_t size)
{
	return kit_mock_read_until(conn, "\r\n\r\n", text, size, 20000);
}

/* ---- one exchange, watched */

static void on_informational(void *user, struct kolk_http_exchange *exchange,
			     const struct kolk_http_head *info)
{
	(void)exchange;
	(void)info;
	((struct ask *)user)->informational++;
}

static void on_head(void *user, struct kolk_http_exchange *exchange,
		    const struct kolk_http_head *answer)
{
	struct ask *ask = user;

	kolk__add_acq_rel(&ask->heads, 1);
	ask->status = answer->status;
	ask->reused = answer->reused;
	if (ask->act == CANCEL_IN_HEAD)
		kolk_http_cancel(exchange);
	if (ask->act == PAUSE_IN_HEAD)
		kolk_http_pause(exchange);
}

static void on_body(void *user, struct kolk_http_exchange *exchange, const void *data,
		    size_t size)
{
	struct ask *ask = user;

	kolk__add_acq_rel(&ask->bodies, 1);
	if (ask->body_size + size < sizeof ask->body)
		memcpy(ask->body + ask->body_size, data, size);
	ask->body_size += size;
	if (ask->act == CANCEL_IN_BODY)
		kolk_http_cancel(exchange);
}

static void on_upgraded(void *user, struct kolk_http_exchange *exchange,
			const struct kolk_lease *lease, const void *data, size_t size)
{
	struct ask *ask = user;

	(void)exchange;
	ask->lease = *lease;
	ask->behind = size;
	memcpy(ask->body, data, size < sizeof ask->body ? size : 0);
}

static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t count)
{
	struct ask *ask = user;

	(void)trailers;
	(void)count;
	kolk__add_acq_rel(&ask->ends, 1);
	ask->err = err;
	ask->retried = kolk_http_retried(exchange);
	sem_post(&ask->done);
}

enum kolk_err ask_pull(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct ask *ask = user;

	ask->pulls++;
	*size = ask->pull_left < capacity ? (size_t)ask->pull_left : capacity;
	memset(buffer, 'p', *size);
	ask->pull_left -= *size;
	return KOLK_OK;
}

void ask_init(struct ask *ask, struct http_fixture *client, const char *method,
	      const char *target)
{
	memset(ask, 0, sizeof *ask);
	ask->client = client;
	ask->request = (struct kolk_http_request)KOLK_INIT(kolk_http_request);
	ask->request.method = method;
	ask->request.target = target;
	ask->request.deadline_ns = kolk_in_ms(60000);
	ask->handler = (struct kolk_http_handler)KOLK_INIT(kolk_http_handler);
	ask->handler.informational = on_informational;
	ask->handler.head = on_head;
	ask->handler.body = on_body;
	ask->handler.upgraded = on_upgraded;
	ask->handler.end = on_end;
	sem_init(&ask->done, 0, 0);
}

static void start(struct kolk_call *post, void *user)
{
	struct ask *ask = user;

	(void)post;
	ask->started = kolk_http_start(ask->client->http, ask->client->key, &ask->request,
				       &ask->handler, ask, &ask->exchange);
	if (ask->started != KOLK_PENDING)
		sem_post(&ask->done);
}

void ask_start(struct ask *ask)
{
	assert_int_equal(kolk_loop_call(ask->client->loop, &ask->post, start, ask), KOLK_OK);
}

enum kolk_err ask_wait(struct ask *ask)
{
	while (sem_wait(&ask->done) != 0)
		;
	if (ask->started != KOLK_PENDING)
		return ask->started;
	assert_int_equal(kolk__load_acquire(&ask->ends), 1);
	return ask->err;
}

enum kolk_err ask_run(struct ask *ask)
{
	ask_start(ask);
	return ask_wait(ask);
}

void ask_on_loop(struct ask *ask, kolk_call_fn *run)
{
	assert_int_equal(kolk_loop_call(ask->client->loop, &ask->later, run, ask), KOLK_OK);
}

void ask_cancel(struct kolk_call *post, void *user)
{
	(void)post;
	kolk_http_cancel(((struct ask *)user)->exchange);
}

void ask_resume(struct kolk_call *post, void *user)
{
	(void)post;
	kolk_http_resume(((struct ask *)user)->exchange);
}

void http1_expect_get(struct http_fixture *client, const char *body)
{
	struct ask ask;

	ask_init(&ask, client, "GET", "/");
	assert_int_equal(ask_run(&ask), KOLK_OK);
	assert_int_equal(ask.status, 200);
	assert_int_equal(ask.body_size, strlen(body));
	assert_memory_equal(ask.body, body, ask.body_size);
}

void http1_mock_sizes(struct kit_mock_conn *conn, void *user)
{
	char text[4096], *body = malloc(48 << 20);

	(void)user;
	memset(body, 'b', 48 << 20);
	memcpy(body, "good", 4);
	while (http1_head(conn, text, sizeof text)) {
		size_t size = strstr(text, " /huge ") != NULL	 ? 48 << 20
			      : strstr(text, " /large ") != NULL ? 1 << 20
			      : strstr(text, " /small ") != NULL ? 30000
								 : 4;
		char line[96];

		snprintf(line, sizeof line, OK11 "Content-Length: %zu\r\n\r\n", size);
		if (!kit_mock_say(conn, line) || !kit_mock_wait(conn, 5000) ||
		    !kit_mock_send(conn, body, size))
			break;
	}
	free(body);
}
