/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.c - fuzz: any bytes as a request to the admin server. Lines are, in this order: flags,
 * method, path, two names and values of a query, Host, Origin, Sec-Fetch-Site, Authorization,
 * Content-Type, Content-Encoding, a tenant's name; what follows is the body. An empty line is a
 * header that is not there. The bytes are read as the head of a request too.
 */
#define _GNU_SOURCE /* memmem */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ops/admin.h"
#include "tools/ops/head.h"

/* Of characters that no escape of a name is made of. */
#define TOKEN "Zq!~#Zq!~#Zq!~#Z"

enum { FLAGS, METHOD, PATH, NAME1, VALUE1, NAME2, VALUE2, HOST, ORIGIN, SITE, AUTH, TYPE, ENCODING,
       TENANT, LINES };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kolk_engine *engine;
static int said; /* the token stands in the input, and not only as the authorization */

static void must(int right)
{
	if (!right)
		abort();
}

/* Loops that do not run: nothing is dialled, so each input meets the same state. */
static void fixture_open(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *pool;

	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.backend = KOLK_BACKEND_EPOLL;
	p.name = "search";
	p.address = "192.0.2.1:7";
	p.idle_min = KOLK_NONE;
	must(kolk_engine_create(&e, &engine) == KOLK_OK);
	must(kolk_pool_add(engine, &p, &pool) == KOLK_OK);
}

static enum kolk_err reload(void *user, char *text, size_t capacity)
{
	(void)user;
	memset(text, 0xff, capacity); /* not even ended */
	return KOLK_E_OPTIONS;
}

static void look_at(const struct kolk__response *response)
{
	json_t *json;

	must(response->status >= 200 && response->status < 600);
	must(response->type != NULL && response->policy != NULL && response->body != NULL);
	must(strlen(response->body) == response->size);
	/* A client that sends it in another place may read it back. */
	must(said || response->owned == NULL || strstr(response->body, TOKEN) == NULL);
	if (strncmp(response->type, "application/json", 16) != 0)
		return;
	json = json_loadb(response->body, response->size, 0, NULL);
	must(json != NULL);
	must((response->status >= 400) == (json_object_get(json, "error") != NULL));
	json_decref(json);
}

static const char *or_none(const char *line)
{
	return line[0] != 0 ? line : NULL;
}

static void ask(char *const *lines, const char *body, size_t size)
{
	const struct kolk__pair query[] = { { lines[NAME1], or_none(lines[VALUE1]) },
					    { lines[NAME2], or_none(lines[VALUE2]) } };
	struct kolk__admin_server server = { .engine = engine, .reload = reload };
	const struct kolk__request request = {
		.method = lines[METHOD],
		.path = lines[PATH],
		.query = query,
		.query_count = (lines[NAME1][0] != 0) + (lines[NAME2][0] != 0),
		.host = or_none(lines[HOST]),
		.origin = or_none(lines[ORIGIN]),
		.fetch_site = or_none(lines[SITE]),
		.authorization = or_none(lines[AUTH]),
		.content_type = or_none(lines[TYPE]),
		.content_encoding = or_none(lines[ENCODING]),
		.body = body,
		.body_size = size,
		.fetched = strchr(lines[FLAGS], 'f') != NULL,
		.too_large = strchr(lines[FLAGS], 'l') != NULL,
		.malformed = strchr(lines[FLAGS], 'm') != NULL,
	};
	struct kolk__response response;

	server.tcp = strchr(lines[FLAGS], 't') != NULL;
	server.has_token = strchr(lines[FLAGS], 'k') != NULL;
	must(kolk__digest(TOKEN, sizeof TOKEN - 1, server.token_digest));
	kolk__answer(&server, &request, &response);
	kolk__latencies_free(&server.trend.latencies);
	look_at(&response);
	/* Of a Unix socket, a page whose name is not the server's sees what is open to all. */
	must(server.tcp || response.status >= 400 || request.host == NULL ||
	     strcmp(request.host, "evil.example") != 0 || response.owned == NULL ||
	     strcmp(request.path, "/health") == 0 || strcmp(request.path, "/ready") == 0);
	free(response.owned);
	if (response.status != 202)
		return;
	must(kolk_engine_destroy(engine) == KOLK_OK); /* it drains: the next wants a new one */
	engine = NULL;
}

/* The same bytes as a head. What is good has one meaning, and was never in doubt on its way. */
static void check_head(const char *bytes, size_t size)
{
	const char *end = memmem(bytes, size, "\r\n\r\n", 4);

	if (kolk__head_check(bytes, size) != KOLK__HEAD_GOOD)
		return;
	must(end != NULL && memchr(bytes, 0, (size_t)(end - bytes)) == NULL);
	must(memmem(bytes, (size_t)(end - bytes), "\r\n ", 3) == NULL);
	for (const char *at = bytes; at < end; at++)
		must((*at == '\r') == (at[1] == '\n') &&
		     kolk__head_check(bytes, (size_t)(at - bytes)) == KOLK__HEAD_MORE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kolk_key_options k = KOLK_INIT(kolk_key_options);
	struct kolk_key *key = NULL;
	char *text = malloc(size + 1), *lines[LINES], *at = text;

	check_head((const char *)data, size);
	if (engine == NULL)
		fixture_open();
	memcpy(text, data, size);
	text[size] = 0;
	for (int i = 0; i < LINES; i++) {
		char *end = memchr(at, '\n', (size_t)(text + size - at));

		lines[i] = end != NULL ? at : text + size;
		if (end == NULL)
			continue;
		*end = 0;
		at = end + 1;
	}
	said = strstr(at, TOKEN) != NULL;
	for (int i = 0; i < LINES; i++)
		said |= i != AUTH && strstr(lines[i], TOKEN) != NULL;
	k.tenant = lines[TENANT];
	(void)!kolk_key_open(kolk_pool_find(engine, "search"), &k, &key);
	ask(lines, at, (size_t)(text + size - at));
	if (key != NULL && engine != NULL)
		kolk_key_close(key);
	free(text);
	return 0;
}
