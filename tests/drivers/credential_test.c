/* SPDX-License-Identifier: Apache-2.0 */
/* credential_test.c - no copy of a credential is left in memory that the client's loop frees. (The
 * program is linked with --wrap=free.) */
#define _GNU_SOURCE /* memmem */
#include "tests/drivers/http1_client.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kit/cmocka/run.h"

static const char secret[] = "kolk-0f31b7-secret";

void __real_free(void *memory);
void __wrap_free(void *memory);

/* Of this thread: what it frees is looked at. */
static __thread bool watched;
static kolk__atomic_u32 found, freed;

void __wrap_free(void *memory)
{
	if (watched && memory != NULL) {
		kolk__add_relaxed(&freed, 1);
		if (memmem(memory, malloc_usable_size(memory), secret, sizeof secret - 1) != NULL)
			kolk__add_relaxed(&found, 1);
	}
	__real_free(memory);
}

static void watch(struct kolk_call *post, void *user)
{
	(void)post;
	watched = true;
	(void)sem_post(user);
}

static void on_loop(struct http_fixture *client, kolk_call_fn *run)
{
	struct kolk_call post;
	sem_t done;

	sem_init(&done, 0, 0);
	assert_int_equal(kolk_loop_call(client->loop, &post, run, &done), KOLK_OK);
	while (sem_wait(&done) != 0)
		;
	sem_destroy(&done);
}

enum { BODY = 20000 };

static void serve(struct kit_mock_conn *conn, void *user)
{
	char head[16384], body[BODY];

	(void)user;
	while (http1_head(conn, head, sizeof head)) {
		if (head[0] == 'P' && !kit_mock_read(conn, body, sizeof body, 20000))
			break;
		(void)kit_mock_say(conn, OK11 "Content-Length: 2\r\n\r\nok");
	}
}

/* Short and long heads, without a body and before one that is pulled: then all memory is freed. */
static void no_copy_is_left(void **state)
{
	static char filler[4000];
	const struct kolk_http_field fields[] = {
		{ "Authorization", secret }, { "x-filler", filler }, { "Cookie", secret },
		{ "Proxy-Authorization", secret },
	};
	struct http1_fixture fixture;

	(void)state;
	memset(filler, 'f', sizeof filler - 1);
	http1_prepare(&fixture);
	http1_open(&fixture, serve, NULL);
	on_loop(&fixture.client, watch);
	for (uint32_t count = 1; count <= 4; count++) {
		for (int pulled = 0; pulled < 2; pulled++) {
			struct ask ask;

			ask_init(&ask, &fixture.client, pulled ? "POST" : "GET", "/");
			ask.request.fields = fields;
			ask.request.field_count = count;
			ask.pull_left = BODY;
			ask.request.pull = pulled ? ask_pull : NULL;
			ask.request.pull_size = pulled ? ask.pull_left : 0;
			assert_int_equal(ask_run(&ask), KOLK_OK);
		}
	}
	http1_close(&fixture); /* the client's blocks are freed */
	assert_true(kolk__load_relaxed(&freed) > 0);
	assert_int_equal(kolk__load_relaxed(&found), 0);
}

static const struct CMUnitTest tests[] = { cmocka_unit_test(no_copy_is_left) };

CMOCKA_TESTS(credential, tests);
