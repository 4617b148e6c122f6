/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_cache_test.c - results of MCP servers that are kept: what, for whom, how long; against a model. */
#include "tests/kit/cmocka/run.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/mcp/cache.h"

#define START (7 * KOLK_S_NS)
#define ROOM (4u << 20)

static struct kolk_mcp_part part(const char *text)
{
	return (struct kolk_mcp_part){ text, strlen(text) };
}

/* who 0 = it is not known who asks. */
static struct gw_mcp_cache_key key(uint8_t what, uint8_t who, uint64_t version)
{
	struct gw_mcp_cache_key key = { .what = { what, 1 }, .version = version };

	key.who[31] = who;
	return key;
}

static bool put(struct gw_mcp_cache *cache, struct gw_mcp_cache_key key, const char *text, uint64_t now_ns)
{
	return gw_mcp_cache_put(cache, &key, part(text), now_ns);
}

/* Whether it is found, and is this; NULL = it is not found. */
static bool gets(struct gw_mcp_cache *cache, struct gw_mcp_cache_key key, uint64_t now_ns,
		 const char *text)
{
	size_t size = 0;
	char *got = gw_mcp_cache_get(cache, &key, now_ns, &size);
	bool same = text == NULL ? got == NULL :
				   got != NULL && size == strlen(text) && memcmp(got, text, size) == 0;

	if (!same)
		print_message("%.*s\n", (int)size, got != NULL ? got : "");
	free(got);
	return same;
}

/* ---- what is kept, as the result says */

static void kept_for_its_time(void **state)
{
	struct gw_mcp_cache_numbers n = { 0 };
	struct gw_mcp_cache *cache = gw_mcp_cache_open(ROOM, &n);
	static const char text[] = "{ \"a\":[1, {\"ttlMs\":7}],\n\"ttlMs\" : 5000 ,\"cacheScope\":\"public\"}";

	(void)state;
	assert_non_null(cache);
	assert_true(gets(cache, key(1, 1, 0), START, NULL));
	assert_true(put(cache, key(1, 1, 0), text, START));
	assert_true(gets(cache, key(1, 1, 0), START, text));
	assert_true(gets(cache, key(1, 2, 0), START + KOLK_S_NS,
			 "{ \"a\":[1, {\"ttlMs\":7}],\n\"ttlMs\" : 4000 ,\"cacheScope\":\"public\"}"));
	assert_true(gets(cache, key(1, 0, 0), START + 4999 * KOLK_MS_NS,
			 "{ \"a\":[1, {\"ttlMs\":7}],\n\"ttlMs\" : 1 ,\"cacheScope\":\"public\"}"));
	assert_true(gets(cache, key(2, 1, 0), START, NULL));
	assert_int_equal(kolk__load_relaxed(&n.entries), 1);
	assert_true(gets(cache, key(1, 1, 0), START + 4999 * KOLK_MS_NS + 1, NULL));
	assert_true(gets(cache, key(1, 1, 0), START, NULL)); /* it is gone */
	assert_int_equal(kolk__load_relaxed(&n.entries), 0);
	assert_int_equal(kolk__load_relaxed(&n.bytes), 0);
	assert_int_equal(kolk__load_relaxed(&n.hits), 3);
	assert_int_equal(kolk__load_relaxed(&n.misses), 4);
	/* A day at most. */
	assert_true(put(cache, key(1, 1, 0),
			"{\"cacheScope\":\"public\",\"ttlMs\":999999999999999999}", START));
	assert_true(gets(cache, key(1, 1, 0), START, "{\"cacheScope\":\"public\",\"ttlMs\":86400000}"));
	gw_mcp_cache_unref(cache);
	assert_int_equal(kolk__load_relaxed(&n.bytes), 0);
}

static void not_kept(void **state)
{
	static const char *const texts[] = {
		"{}", "[]", "\"ttlMs\"", "{\"ttlMs\":5000}", "{\"cacheScope\":\"public\"}",
		"{\"ttlMs\":0,\"cacheScope\":\"public\"}", "{\"ttlMs\":-1,\"cacheScope\":\"public\"}",
		"{\"ttlMs\":5e3,\"cacheScope\":\"public\"}", "{\"ttlMs\":5000.0,\"cacheScope\":\"public\"}",
		"{\"ttlMs\":\"5000\",\"cacheScope\":\"public\"}", "{\"ttlMs\":null,\"cacheScope\":\"public\"}",
		"{\"ttlMs\":1000000000000000000000,\"cacheScope\":\"public\"}",
		"{\"ttlMs\":5000,\"cacheScope\":\"Public\"}", "{\"ttlMs\":5000,\"cacheScope\":\"shared\"}",
		"{\"ttlMs\":5000,\"cacheScope\":null}", "{\"ttlMs\":5000,\"cacheScope\":[\"public\"]}",
		/* Said twice, also by another spelling. */
		"{\"ttlMs\":5000,\"cacheScope\":\"public\",\"ttlMs\":5000}",
		"{\"ttlMs\":5000,\"cacheScope\":\"public\",\"cacheScope\":\"private\"}",
		"{\"ttlMs\":5000,\"cacheScope\":\"public\",\"cache\\u0053cope\":\"private\"}",
		"{\"resultType\":\"complete\",\"ttlMs\":5000,\"cacheScope\":\"public\",\"resultType\":\"x\"}",
		/* It is not the end. */
		"{\"resultType\":\"input_required\",\"ttlMs\":5000,\"cacheScope\":\"public\"}",
		"{\"ttlMs\":5000,\"cacheScope\":\"public\",\"requestState\":\"s\"}",
		"{\"ttlMs\":5000,\"cacheScope\":\"public\",\"inputRequests\":{}}",
		/* Of what is inside nothing holds for the whole. */
		"{\"tools\":[{\"ttlMs\":5000,\"cacheScope\":\"public\"}]}",
	};
	struct gw_mcp_cache_numbers n = { 0 };
	struct gw_mcp_cache *cache = gw_mcp_cache_open(ROOM, &n);

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (put(cache, key(1, 1, 0), texts[i], START))
			fail_msg("it is kept: %s", texts[i]);
	assert_false(put(cache, key(1, 0, 0), "{\"ttlMs\":5000,\"cacheScope\":\"private\"}", START));
	assert_int_equal(kolk__load_relaxed(&n.entries), 0);
	assert_true(put(cache, key(1, 1, 0), "{\"ttlMs\":5000,\"cacheScope\":\"p\\u0075blic\","
					     "\"resultType\":\"complete\"}", START));
	gw_mcp_cache_unref(cache);
}

static void private_is_private(void **state)
{
	struct gw_mcp_cache_numbers n = { 0 };
	struct gw_mcp_cache *cache = gw_mcp_cache_open(ROOM, &n);
	static const char anns[] = "{\"a\":1,\"ttlMs\":5000,\"cacheScope\":\"private\"}";
	static const char bobs[] = "{\"b\":1,\"ttlMs\":5000,\"cacheScope\":\"private\"}";
	static const char all[] = "{\"c\":1,\"ttlMs\":5000,\"cacheScope\":\"public\"}";

	(void)state;
	assert_true(put(cache, key(1, 1, 0), anns, START));
	assert_true(gets(cache, key(1, 2, 0), START, NULL));
	assert_true(gets(cache, key(1, 0, 0), START, NULL));
	assert_true(put(cache, key(1, 2, 0), bobs, START));
	assert_true(gets(cache, key(1, 1, 0), START, anns));
	assert_true(gets(cache, key(1, 2, 0), START, bobs));
	/* The server says another scope: what it said before is not found by who asked. */
	assert_true(put(cache, key(1, 1, 0), all, START));
	assert_true(gets(cache, key(1, 1, 0), START, all));
	assert_true(gets(cache, key(1, 3, 0), START, all));
	assert_true(put(cache, key(1, 3, 0), anns, START));
	assert_true(gets(cache, key(1, 1, 0), START, NULL));
	assert_true(gets(cache, key(1, 3, 0), START, anns));
	gw_mcp_cache_unref(cache);
	assert_int_equal(kolk__load_relaxed(&n.entries), 0);
}

static void changes_drop(void **state)
{
	struct gw_mcp_cache_numbers n = { 0 };
	struct gw_mcp_cache *cache = gw_mcp_cache_open(ROOM, &n);
	static const char text[] = "{\"ttlMs\":5000,\"cacheScope\":\"public\"}";

	(void)state;
	assert_true(put(cache, key(1, 1, 4), text, START));
	assert_true(gets(cache, key(1, 1, 4), START, text));
	assert_true(gets(cache, key(1, 1, 5), START, NULL));
	assert_int_equal(kolk__load_relaxed(&n.entries), 0);
	/* The change came while the server was asked. */
	assert_true(put(cache, key(1, 1, 4), text, START));
	assert_true(gets(cache, key(1, 1, 5), START, NULL));
	assert_true(put(cache, key(1, 1, 5), text, START) && put(cache, key(2, 1, 5), text, START));
	gw_mcp_cache_unref(cache);
}

/* A call that began before may still have it, and end when the pool's numbers are gone. */
static void one_that_is_closed_keeps_nothing(void **state)
{
	struct gw_mcp_cache_numbers *n = calloc(1, sizeof *n);
	struct gw_mcp_cache *cache = gw_mcp_cache_open(ROOM, n), *other = gw_mcp_cache_ref(cache);
	static const char text[] = "{\"ttlMs\":5000,\"cacheScope\":\"public\"}";

	(void)state;
	assert_true(put(cache, key(1, 1, 5), text, START) && put(cache, key(2, 1, 5), text, START));
	gw_mcp_cache_close(cache);
	gw_mcp_cache_close(NULL);
	assert_true(gets(cache, key(1, 1, 5), START, NULL) && gets(cache, key(2, 1, 5), START, NULL));
	assert_int_equal(kolk__load_relaxed(&n->entries), 0);
	assert_int_equal(kolk__load_relaxed(&n->bytes), 0);
	gw_mcp_cache_unref(cache);
	free(n); /* a read or a write of it is seen by the sanitizer */
	assert_false(put(other, key(1, 1, 5), text, START));
	gw_mcp_cache_unref(other);
}

/* ---- its memory */

static char *text_of_size(size_t size)
{
	static const char head[] = "{\"ttlMs\":5000,\"cacheScope\":\"public\",\"a\":\"";
	char *text = malloc(size + 1);

	assert_non_null(text);
	memset(text, 'x', size);
	memcpy(text, head, sizeof head - 1);
	memcpy(text + size - 2, "\"}", 3);
	return text;
}

static void the_oldest_use_gives_way(void **state)
{
	struct gw_mcp_cache_numbers n = { 0 };
	struct gw_mcp_cache *cache = gw_mcp_cache_open(65536, &n);
	char *large = text_of_size(16384), *text = text_of_size(12000);

	(void)state;
	assert_false(put(cache, key(9, 1, 0), large, START)); /* with its entry it is more than a quarter */
	for (uint8_t i = 0; i < 5; i++)
		assert_true(put(cache, key(i, 1, 0), text, START));
	assert_true(gets(cache, key(0, 1, 0), START, text));
	assert_true(put(cache, key(5, 1, 0), text, START));
	assert_true(gets(cache, key(1, 1, 0), START, NULL));
	for (uint8_t i = 0; i < 6; i++)
		assert_true(i == 1 || gets(cache, key(i, 1, 0), START, text));
	assert_int_equal(kolk__load_relaxed(&n.entries), 5);
	assert_in_range(kolk__load_relaxed(&n.bytes), 5 * 12000, 65536);
	free(large);
	free(text);
	gw_mcp_cache_unref(cache);
}

/* ---- against a model: two clients, and some who are not known */

enum { STEPS = 1000, WHATS = 3 };

struct put {
	uint8_t what, who;
	bool is_public, gone;
	uint64_t version, until_ns, number;
};

struct model {
	struct put puts[STEPS];
	uint32_t count;
	uint64_t now_ns, version, random;
};

static uint32_t pick(struct model *model, uint32_t of)
{
	model->random = model->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(model->random >> 33) % of;
}

static bool is_for(const struct put *put, uint8_t what, uint8_t who)
{
	return !put->gone && put->what == what && (put->is_public || put->who == who);
}

static void model_put(struct model *model, struct gw_mcp_cache *cache, uint8_t what, uint8_t who)
{
	struct put *put_ = &model->puts[model->count];
	uint64_t ttl_ms = pick(model, 5) == 0 ? 0 : 1 + pick(model, 4000);
	uint64_t version = model->version - (pick(model, 8) == 0); /* asked before the last change */
	char text[128];

	*put_ = (struct put){ .what = what, .who = who, .is_public = pick(model, 3) == 0,
			      .version = version, .until_ns = model->now_ns + ttl_ms * KOLK_MS_NS,
			      .number = model->count };
	snprintf(text, sizeof text, "{\"n\":%u,\"who\":%u,\"cacheScope\":\"%s\",\"ttlMs\":%" PRIu64 "}",
		 model->count, who, put_->is_public ? "public" : "private", ttl_ms);
	if (!put(cache, key(what, who, version), text, model->now_ns)) {
		assert_true(ttl_ms == 0 || (who == 0 && !put_->is_public));
		return;
	}
	assert_true(ttl_ms > 0 && (who != 0 || put_->is_public));
	for (uint32_t i = 0; i < model->count; i++)
		model->puts[i].gone |= is_for(&model->puts[i], what, who);
	model->count++;
}

static void print_put(const struct model *model, const struct put *put, char text[128])
{
	snprintf(text, 128, "{\"n\":%" PRIu64 ",\"who\":%u,\"cacheScope\":\"%s\",\"ttlMs\":%" PRIu64 "}",
		 put->number, put->who, put->is_public ? "public" : "private",
		 (put->until_ns - model->now_ns) / KOLK_MS_NS);
}

static bool holds(const struct model *model, const struct put *put)
{
	return put->version == model->version && model->now_ns + KOLK_MS_NS <= put->until_ns;
}

/* Without room for all, an older one may be there when a newer one is not. */
static void model_get(struct model *model, struct gw_mcp_cache *cache, uint8_t what, uint8_t who,
		      bool exact)
{
	const struct gw_mcp_cache_key asked = key(what, who, model->version);
	size_t size = 0;
	char *got = gw_mcp_cache_get(cache, &asked, model->now_ns, &size), text[128];
	bool any = false, same = false;

	for (uint32_t i = model->count; i-- > 0 && !same && !(exact && any);) {
		if (!is_for(&model->puts[i], what, who) || !holds(model, &model->puts[i]))
			continue;
		any = true;
		assert_true(model->puts[i].is_public || (model->puts[i].who == who && who != 0));
		print_put(model, &model->puts[i], text);
		same = got != NULL && size == strlen(text) && memcmp(got, text, size) == 0;
	}
	assert_true(same || (got == NULL && !(exact && any)));
	free(got);
}

/* exact: all is kept. Otherwise there is room for a few, and what is found is what the model has. */
static void against_model(uint64_t seed, bool exact)
{
	static struct model model;
	struct gw_mcp_cache_numbers n = { 0 };
	struct gw_mcp_cache *cache = gw_mcp_cache_open(exact ? ROOM : 2048, &n);

	memset(&model, 0, sizeof model);
	model.random = seed;
	model.version = 1;
	for (int i = 0; i < STEPS; i++) {
		const uint8_t what = (uint8_t)pick(&model, WHATS), who = (uint8_t)pick(&model, 3);

		switch (pick(&model, 8)) {
		case 0:
			model.now_ns += pick(&model, 1500) * KOLK_MS_NS;
			break;
		case 1:
			model.version += pick(&model, 4) == 0;
			break;
		case 2:
		case 3:
		case 4:
			model_put(&model, cache, what, who);
			break;
		default:
			model_get(&model, cache, what, who, exact);
		}
		assert_true(kolk__load_relaxed(&n.bytes) <= (exact ? ROOM : 2048));
	}
	if (exact)
		assert_true(kolk__load_relaxed(&n.hits) > 20 && kolk__load_relaxed(&n.misses) > 20);
	gw_mcp_cache_unref(cache);
	assert_int_equal(kolk__load_relaxed(&n.entries), 0);
	assert_int_equal(kolk__load_relaxed(&n.bytes), 0);
}

static void as_the_model_has_it(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++)
		against_model(seed, true);
}

/* What gives way is not the model's to know, only that nothing else is found. */
static void as_the_model_has_it_in_little_room(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++)
		against_model(seed, false);
}

/* ---- threads */

static void *use(void *user)
{
	struct gw_mcp_cache *cache = user;
	char text[64];

	for (uint32_t i = 0; i < 2000; i++) {
		const struct gw_mcp_cache_key some = key((uint8_t)(i % 40), (uint8_t)(1 + i % 3), i / 500);
		size_t size;

		free(gw_mcp_cache_get(cache, &some, START + i, &size));
		snprintf(text, sizeof text, "{\"ttlMs\":%u,\"cacheScope\":\"%s\"}", 1 + i % 50,
			 i % 2 == 0 ? "public" : "private");
		(void)gw_mcp_cache_put(cache, &some, part(text), START + i);
	}
	gw_mcp_cache_unref(cache);
	return NULL;
}

static void threads_share_a_cache(void **state)
{
	struct gw_mcp_cache_numbers n = { 0 };
	struct gw_mcp_cache *cache = gw_mcp_cache_open(4096, &n);
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use, gw_mcp_cache_ref(cache)), 0);
	gw_mcp_cache_unref(cache);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(kolk__load_relaxed(&n.hits) + kolk__load_relaxed(&n.misses), 8000);
	assert_int_equal(kolk__load_relaxed(&n.entries), 0);
	assert_int_equal(kolk__load_relaxed(&n.bytes), 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(kept_for_its_time),
	cmocka_unit_test(not_kept),
	cmocka_unit_test(private_is_private),
	cmocka_unit_test(changes_drop),
	cmocka_unit_test(one_that_is_closed_keeps_nothing),
	cmocka_unit_test(the_oldest_use_gives_way),
	cmocka_unit_test(as_the_model_has_it),
	cmocka_unit_test(as_the_model_has_it_in_little_room),
	cmocka_unit_test(threads_share_a_cache),
};
CMOCKA_TESTS(mcp_cache, tests);
