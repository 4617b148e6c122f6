/* SPDX-License-Identifier: Apache-2.0 */
/* admin_bench.c - what the admin server is asked, and that no answer has a secret in it. */
#include "tests/ops/admin_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kit/cmocka/run.h"

static void on_log(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	struct admin_bench *bench = user;
	size_t size = strlen(bench->log);

	(void)level;
	(void)snprintf(bench->log + size, sizeof bench->log - size, "%s: %s\n", subject, text);
}

static enum kolk_err reload(void *user, char *text, size_t capacity)
{
	struct admin_bench *bench = user;

	(void)snprintf(text, capacity, "%s", bench->reload_err == KOLK_OK ? "2 pools changed" :
									     "kolk.yaml:3:1: no");
	return bench->reload_err;
}

struct kolk_key *admin_key(struct kolk_pool *pool, const char *tenant)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	struct kolk_key *key;

	o.tenant = tenant;
	o.credential = CREDENTIAL;
	o.credential_size = sizeof CREDENTIAL - 1;
	assert_int_equal(kolk_key_open(pool, &o, &key), KOLK_OK);
	return key;
}

int admin_bench_open(void **state)
{
	struct admin_bench *bench = calloc(1, sizeof *bench);
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	char address[64];

	bench->origin = kit_origin_open(&(struct kit_origin_options){ 0 });
	e.loops = 1;
	e.connections_max = 10;
	assert_int_equal(kolk_engine_create(&e, &bench->engine), KOLK_OK);
	(void)snprintf(address, sizeof address, "127.0.0.1:%u", kit_origin_port(bench->origin));
	p.name = "search";
	p.address = address;
	p.connections_max = 4;
	p.idle_max = 4;
	p.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_add(bench->engine, &p, &bench->pool), KOLK_OK);
	p.name = "dead";
	p.address = "127.0.0.1:1";
	assert_int_equal(kolk_pool_add(bench->engine, &p, &bench->dead), KOLK_OK);
	bench->alice = admin_key(bench->pool, "alice");
	bench->odd = admin_key(bench->pool, "\xff\"<b>\n");
	bench->server = (struct kolk__admin_server){ .engine = bench->engine,
						     .reload = reload,
						     .reload_user = bench,
						     .on_log = on_log,
						     .log_user = bench,
						     .metrics_tenants = 3,
						     .wait_ns = 2 * KOLK_S_NS };
	kolk__page_policy(bench->server.page_policy, sizeof bench->server.page_policy);
	*state = bench;
	return 0;
}

static void forget(struct admin_bench *bench)
{
	json_decref(bench->json);
	free(bench->response.owned);
	bench->json = NULL;
	bench->response = (struct kolk__response){ 0 };
}

int admin_bench_close(void **state)
{
	struct admin_bench *bench = *state;

	forget(bench);
	kolk__latencies_free(&bench->server.trend.latencies);
	assert_int_equal(kolk_engine_destroy(bench->engine), KOLK_OK);
	kit_origin_close(bench->origin);
	/* No answer contains a secret. */
	assert_null(strstr(bench->log, TOKEN));
	assert_null(strstr(bench->log, CREDENTIAL));
	free(bench);
	return 0;
}

/* As if it had come as a body. */
static void read_stream(struct kolk__response *response)
{
	size_t capacity = 1 << 16;
	ssize_t got;

	response->owned = malloc(capacity + 1);
	while ((got = kolk__metrics_read(response->stream, response->owned + response->size,
					 capacity - response->size)) > 0) {
		response->size += (size_t)got;
		if (response->size < capacity)
			continue;
		capacity *= 2;
		response->owned = realloc(response->owned, capacity + 1);
	}
	assert_int_equal(got, 0);
	kolk__metrics_close(response->stream);
	response->stream = NULL;
	response->owned[response->size] = 0;
	response->body = response->owned;
}

unsigned admin_ask(struct admin_bench *bench, const struct kolk__request *request)
{
	forget(bench);
	kolk__answer(&bench->server, request, &bench->response);
	if (bench->response.stream != NULL)
		read_stream(&bench->response);
	assert_non_null(bench->response.policy);
	if (bench->response.owned != NULL) {
		assert_null(strstr(bench->response.body, TOKEN));
		assert_null(strstr(bench->response.body, CREDENTIAL));
	}
	if (strncmp(bench->response.type, "application/json", 16) != 0)
		return bench->response.status;
	bench->json = json_loadb(bench->response.body, bench->response.size, 0, NULL);
	assert_non_null(bench->json);
	assert_true((bench->response.status >= 400) ==
		    (json_object_get(bench->json, "error") != NULL));
	return bench->response.status;
}

unsigned admin_get(struct admin_bench *bench, const char *path)
{
	return admin_ask(bench, &(struct kolk__request){ .method = "GET", .path = path });
}

unsigned admin_send(struct admin_bench *bench, const char *method, const char *path,
		    const char *body)
{
	return admin_ask(bench, &(struct kolk__request){ .method = method,
							 .path = path,
							 .content_type = "application/json",
							 .body = body,
							 .body_size = strlen(body) });
}

unsigned admin_post(struct admin_bench *bench, const char *path, const char *body)
{
	return admin_send(bench, "POST", path, body);
}

unsigned admin_status(struct admin_bench *bench, const char *name, const char *value)
{
	const struct kolk__pair pair = { name, value };

	return admin_ask(bench, &(struct kolk__request){ .method = "GET",
							 .path = "/api/pool-status",
							 .query = &pair,
							 .query_count = 1 });
}

const char *admin_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "(none)";
}

json_int_t admin_number(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

const char *admin_code(const struct admin_bench *bench)
{
	return admin_text(json_object_get(bench->json, "error"), "code");
}

struct kolk_lease admin_take(struct kolk_key *key)
{
	struct kolk_lease lease;

	assert_int_equal(kolk_acquire(key, kolk_in_ms(5000), &lease), KOLK_OK);
	return lease;
}

void admin_fill(struct kolk_key *key, int count)
{
	struct kolk_lease leases[8];

	for (int i = 0; i < count; i++)
		leases[i] = admin_take(key);
	for (int i = 0; i < count; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
}

const json_t *admin_alert(const struct admin_bench *bench, const char *subject, const char *part)
{
	const json_t *alert;
	size_t i;

	json_array_foreach(json_object_get(bench->json, "alerts"), i, alert)
		if (strcmp(admin_text(alert, "subject"), subject) == 0 &&
		    strstr(admin_text(alert, "text"), part) != NULL)
			return alert;
	return NULL;
}
