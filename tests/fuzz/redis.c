/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis.c - fuzz: any bytes as what a Redis server sends. The first byte says in which pieces they
 * come and how many replies are outstanding; the rest is read by the parser in two ways, which must
 * agree (hiredis alone, and with long strings on their own), and by a connection that is being
 * reset, which must not take anything else for clean.
 */
#define _GNU_SOURCE /* memmem */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/redis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the driver calls of an exchange, replaced with --wrap: there is none here. */
void __wrap_kolk_exchange_detail(struct kolk_exchange *exchange, const char *text);

static const struct redis_limits limits = { 5, 64, 4096 };

static void must(int right)
{
	if (!right)
		abort();
}

void __wrap_kolk_exchange_detail(struct kolk_exchange *exchange, const char *text)
{
	(void)exchange;
	must(text == NULL || text[0] != '\0');
}

/* Walk a tree: every byte of it can be read, and it keeps to the limits. */
static uint64_t digest(const struct kolk_redis_reply *reply, uint32_t depth)
{
	bool nested = reply->type == KOLK_REDIS_ARRAY || reply->type == KOLK_REDIS_MAP ||
		      reply->type == KOLK_REDIS_SET || reply->type == KOLK_REDIS_PUSH;
	uint64_t sum = reply->type * UINT64_C(1099511628211) + reply->error;

	must(depth <= limits.depth_max + 1 && strlen(reply->text) <= reply->size);
	for (size_t i = 0; i < reply->size; i++)
		sum = (sum ^ (uint8_t)reply->text[i]) * UINT64_C(1099511628211);
	must(reply->size <= limits.bytes_max && reply->text[reply->size] == 0);
	if (!nested)
		return reply->type == KOLK_REDIS_INTEGER ? sum ^ (uint64_t)reply->integer : sum;
	must(depth <= limits.depth_max && reply->count <= limits.elements_max);
	for (size_t i = 0; i < reply->count; i++)
		sum = sum * 31 + digest(&reply->elements[i], depth + 1);
	return sum;
}

struct result {
	uint64_t values, sum;
	enum kolk_err err;
};

static struct result parse(const uint8_t *data, size_t size, size_t piece, size_t bulk_min)
{
	struct result result = { .err = KOLK_PENDING };
	struct kolk_redis_reply *value;
	struct redis_parser parser;

	must(redis_parser_open(&parser, &limits) == KOLK_OK);
	parser.bulk_min = bulk_min;
	for (size_t at = 0; at < size && result.err == KOLK_PENDING; at += piece) {
		size_t part = size - at < piece ? size - at : piece;

		must(redis_parser_feed(&parser, data + at, part) == KOLK_OK);
		while ((result.err = redis_parser_next(&parser, &value)) == KOLK_OK) {
			must((parser.growing == &parser.push) == (value->type == KOLK_REDIS_PUSH));
			result.values++;
			result.sum = result.sum * 31 + digest(value, 1);
			kolk_redis_reply_free(redis_parser_take(&parser, parser.growing));
		}
		must(parser.answer.bytes <= limits.bytes_max &&
		     parser.push.bytes <= limits.bytes_max);
	}
	redis_parser_close(&parser);
	return result;
}

/* Outstanding replies come first, then the echo: nothing else makes it clean. */
static void check_reset(const uint8_t *data, size_t size, size_t piece, uint32_t outstanding,
			uint8_t state)
{
	static const struct kolk_redis_options options = KOLK_INIT(kolk_redis_options);
	struct redis_session session = { .options = &options, .outstanding = outstanding, .state = state,
					 .steps = { REDIS_STEP_ECHO }, .step_count = 1,
					 .echo = 7 };
	enum kolk_err err = KOLK_PENDING;

	must(redis_parser_open(&session.parser, &limits) == KOLK_OK);
	session.parser.bulk_min = 2;
	if (outstanding > 1)
		must(redis_parser_expect(&session.parser, outstanding) == KOLK_OK);
	for (size_t at = 0; at < size && err == KOLK_PENDING; at += piece)
		err = redis_driver.feed(NULL, &session, NULL, data + at,
					size - at < piece ? size - at : piece);
	if (err == KOLK_OK) {
		must(session.outstanding == 0 && session.step == 1 && session.state == 0);
		must(memmem(data, size, "kolk7", 5) != NULL);
		must(redis_driver.clean(NULL, &session) == KOLK_OK ||
		     redis_parser_in_push(&session.parser));
	} else {
		must(redis_driver.clean(NULL, &session) != KOLK_OK || session.outstanding == 0);
	}
	redis_driver.close(NULL, &session, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct result whole, pieces;
	size_t piece;

	if (size < 1)
		return 0;
	piece = 1 + data[0] % 16;
	whole = parse(data + 1, size - 1, size, limits.bytes_max);
	pieces = parse(data + 1, size - 1, piece, 1);
	must(whole.sum == pieces.sum && whole.values == pieces.values);
	/* A long string is refused one byte earlier. */
	must(whole.err == KOLK_PENDING || pieces.err != KOLK_PENDING);
	check_reset(data + 1, size - 1, piece, data[0] >> 6, (uint8_t)(data[0] & REDIS_SUBSCRIBED));
	return 0;
}
