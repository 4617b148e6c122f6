/* SPDX-License-Identifier: Apache-2.0 */
/* redis_parser_test.c - replies from bytes: whole, cut anywhere, too deep, too long, wrong. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/redis_call.h"

static const struct redis_limits usual = { 7, 1000, 100000 };

/* A reader points back to its parser: it must not move after it was opened. */
#define PARSER(name, limits)                                                    \
	struct redis_parser name;                                               \
	assert_int_equal(redis_parser_open(&name, limits), KOLK_OK)

static enum kolk_err read_all(const struct redis_limits *limits, const char *bytes, size_t size,
			      size_t piece, uint32_t *values)
{
	struct kolk_redis_reply *value;
	enum kolk_err err = KOLK_PENDING;
	PARSER(parser, limits);

	*values = 0;
	for (size_t at = 0; at < size && err == KOLK_PENDING; at += piece) {
		size_t part = size - at < piece ? size - at : piece;

		assert_int_equal(redis_parser_feed(&parser, bytes + at, part), KOLK_OK);
		while ((err = redis_parser_next(&parser, &value)) == KOLK_OK) {
			++*values;
			kolk_redis_reply_free(redis_parser_take(&parser, parser.growing));
		}
	}
	redis_parser_close(&parser);
	return err;
}

static const char sample[] = "*6\r\n$5\r\na\0b\r\n\r\n:-42\r\n+OK\r\n-MOVED 7 h:1\r\n$-1\r\n"
			     "*2\r\n*0\r\n$0\r\n\r\n";
enum { SAMPLE = sizeof sample - 1 };

static void check_sample(const struct kolk_redis_reply *r)
{
	const struct kolk_redis_reply *e = r->elements;

	assert_int_equal(r->type, KOLK_REDIS_ARRAY);
	assert_int_equal(r->count, 6);
	assert_int_equal(e[0].type, KOLK_REDIS_STRING);
	assert_int_equal(e[0].size, 5);
	assert_memory_equal(e[0].text, "a\0b\r\n", 6);
	assert_int_equal(e[1].integer, -42);
	assert_string_equal(e[2].text, "OK");
	assert_int_equal(e[2].type, KOLK_REDIS_STATUS);
	assert_int_equal(e[3].error, KOLK_REDIS_MOVED);
	assert_int_equal(e[4].type, KOLK_REDIS_NIL);
	assert_string_equal(e[4].text, "");
	assert_int_equal(e[5].elements[0].count, 0);
	assert_int_equal(e[5].elements[1].type, KOLK_REDIS_STRING);
	assert_int_equal(e[5].elements[1].size, 0);
}

static void cut_at_every_offset(void **state)
{
	(void)state;
	for (size_t cut = 0; cut <= SAMPLE; cut++) {
		struct kolk_redis_reply *value;
		enum kolk_err err;
		PARSER(parser, &usual);

		if (cut > 0) {
			assert_int_equal(redis_parser_feed(&parser, sample, cut), KOLK_OK);
			err = redis_parser_next(&parser, &value);
			assert_int_equal(err, cut == SAMPLE ? KOLK_OK : KOLK_PENDING);
			if (err == KOLK_PENDING)
				assert_false(redis_parser_at_boundary(&parser));
		}
		if (cut < SAMPLE) {
			assert_int_equal(redis_parser_feed(&parser, sample + cut, SAMPLE - cut),
					 KOLK_OK);
			assert_int_equal(redis_parser_next(&parser, &value), KOLK_OK);
		}
		check_sample(value);
		value = redis_parser_take(&parser, &parser.answer);
		assert_true(redis_parser_at_boundary(&parser));
		redis_parser_close(&parser);
		check_sample(value); /* outlives its parser */
		kolk_redis_reply_free(value);
	}
}

static void several_become_one_array(void **state)
{
	struct kolk_redis_reply *value;
	const struct kolk_redis_reply *root;
	PARSER(parser, &usual);

	(void)state;
	assert_int_equal(redis_parser_expect(&parser, 3), KOLK_OK);
	assert_int_equal(redis_parser_feed(&parser, "+a\r\n*1\r\n:1\r\n$1\r\nc\r\n+more\r\n", 26),
			 KOLK_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(redis_parser_next(&parser, &value), KOLK_OK);
	root = redis_parser_take(&parser, &parser.answer);
	assert_int_equal(root->count, 3);
	assert_string_equal(root->elements[0].text, "a");
	assert_int_equal(root->elements[1].elements[0].integer, 1);
	assert_string_equal(root->elements[2].text, "c");
	kolk_redis_reply_free(root);
	assert_int_equal(redis_parser_next(&parser, &value), KOLK_OK); /* not one of them */
	assert_string_equal(value->text, "more");
	redis_parser_close(&parser);
}

static void more_than_expected_is_refused(void **state)
{
	struct kolk_redis_reply *value;
	PARSER(parser, &usual);

	(void)state;
	assert_int_equal(redis_parser_expect(&parser, 2), KOLK_OK);
	assert_int_equal(redis_parser_feed(&parser, "+a\r\n+b\r\n+c\r\n", 12), KOLK_OK);
	assert_int_equal(redis_parser_next(&parser, &value), KOLK_OK);
	assert_int_equal(redis_parser_next(&parser, &value), KOLK_OK);
	assert_int_equal(redis_parser_next(&parser, &value), KOLK_E_PROTOCOL);
	redis_parser_close(&parser);
}

/* Long strings go their own way, and come out the same. */
static void long_strings(void **state)
{
	enum { LONG = 5000 };
	static const size_t pieces[] = { 1, 7, 4096, 3 * LONG };
	char *bytes = malloc(3 * LONG);
	size_t size = 0;

	(void)state;
	assert_non_null(bytes);
	for (int i = 0; i < 2; i++) {
		size += (size_t)sprintf(bytes + size, "+a\r\n$%d\r\n", LONG);
		memset(bytes + size, 'x' + i, LONG);
		memcpy(bytes + size + LONG, "\r\n", 2);
		size += LONG + 2;
	}
	for (size_t i = 0; i < 2 * (sizeof pieces / sizeof pieces[0]); i++) {
		size_t piece = pieces[i / 2], at = 0;
		struct kolk_redis_reply *value;
		const struct kolk_redis_reply *root;
		PARSER(parser, &usual);

		if (i % 2 == 1)
			parser.bulk_min = SIZE_MAX;
		assert_int_equal(redis_parser_expect(&parser, 4), KOLK_OK);
		for (int values = 0; values < 4; values++)
			while (redis_parser_next(&parser, &value) == KOLK_PENDING) {
				size_t part = size - at < piece ? size - at : piece;

				assert_true(at < size);
				redis_parser_feed(&parser, bytes + at, part);
				at += part;
			}
		assert_true(redis_parser_at_boundary(&parser));
		root = redis_parser_take(&parser, &parser.answer);
		assert_int_equal(root->elements[1].size, LONG);
		assert_int_equal(root->elements[1].text[LONG - 1], 'x');
		assert_int_equal(root->elements[3].text[0], 'y');
		assert_int_equal(root->elements[3].text[LONG], 0);
		kolk_redis_reply_free(root);
		redis_parser_close(&parser);
	}
	bytes[size - 1] = 'x'; /* no end of a line */
	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		uint32_t values;

		assert_int_equal(read_all(&usual, bytes, size, pieces[i], &values),
				 KOLK_E_PROTOCOL);
		assert_int_equal(values, 3);
	}
	free(bytes);
}

struct hostile {
	const char *bytes;
	enum kolk_err err;
};

static void hostile_bytes(void **state)
{
	static const struct hostile list[] = {
		{ "HTTP/1.1 200 OK\r\n", KOLK_E_PROTOCOL },
		{ "\r\n", KOLK_E_PROTOCOL },
		{ ":12a\r\n", KOLK_E_PROTOCOL },
		{ ":\r\n", KOLK_E_PROTOCOL },
		{ ":99999999999999999999\r\n", KOLK_E_PROTOCOL },
		{ "*x\r\n", KOLK_E_PROTOCOL },
		{ "*-2\r\n", KOLK_E_PROTOCOL },
		{ "*1001\r\n", KOLK_E_LIMIT },
		{ "*2147483647\r\n", KOLK_E_LIMIT },
		{ "$-2\r\n", KOLK_E_PROTOCOL },
		{ "$2\r\nabc\r\n", KOLK_E_PROTOCOL },
		{ "$2\r\na\r\n\r\n", KOLK_E_PROTOCOL },
		{ "$100001\r\n", KOLK_E_LIMIT },
		{ "$100001", KOLK_E_LIMIT },
		{ "$4294967296\r\n", KOLK_E_LIMIT },
		{ "$9223372036854775807\r\n", KOLK_E_LIMIT },
		{ "$18446744073709551616\r\n", KOLK_OK }, /* either of the two */
		{ "$0000000000000000000000000000000000000001\r\n", KOLK_E_PROTOCOL },
		{ "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", KOLK_E_LIMIT },
		{ "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", KOLK_PENDING },
		{ "*2\r\n:1\r\n?\r\n", KOLK_E_PROTOCOL },
	};
	uint32_t values;

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		for (size_t piece = 1; piece < 64; piece += 31) {
			enum kolk_err err = read_all(&usual, list[i].bytes, strlen(list[i].bytes),
						     piece, &values);

			if (err != list[i].err &&
			    (list[i].err != KOLK_OK ||
			     (err != KOLK_E_LIMIT && err != KOLK_E_PROTOCOL)))
				fail_msg("%s: %s instead of %s", list[i].bytes, kolk_err_name(err),
					 kolk_err_name(list[i].err));
		}
}

/* What is refused is refused while little of it has come. */
static void endless_values_end(void **state)
{
	char *line = malloc(1 << 20);
	uint32_t values;

	(void)state;
	assert_non_null(line);
	memset(line, 'a', 1 << 20);
	line[0] = '+';
	assert_int_equal(read_all(&usual, line, 70000, 4096, &values), KOLK_E_LIMIT);
	line[0] = '$';
	memset(line + 1, '1', 4);
	assert_int_equal(read_all(&usual, line, 64, 1, &values), KOLK_E_PROTOCOL);
	free(line);
}

/* Many small ones count as what they take in memory. */
static void bytes_of_all_are_bounded(void **state)
{
	static const char small[] = ":1\r\n";
	struct redis_limits limits = { 7, 1000000, 30000 };
	char *bytes = malloc(8192);
	uint32_t values;
	int size;

	(void)state;
	assert_non_null(bytes);
	size = sprintf(bytes, "*1000\r\n");
	for (int i = 0; i < 1000; i++)
		size += sprintf(bytes + size, "%s", small);
	assert_int_equal(read_all(&limits, bytes, (size_t)size, 100, &values), KOLK_E_LIMIT);
	limits.bytes_max = 60000;
	assert_int_equal(read_all(&limits, bytes, (size_t)size, 100, &values), KOLK_PENDING);
	assert_int_equal(values, 1);
	free(bytes);
}

static void error_words(void **state)
{
	static const struct {
		const char *bytes;
		uint32_t error;
	} list[] = {
		{ "-ERR x\r\n", KOLK_REDIS_ERR },
		{ "-LOADING Redis is loading\r\n", KOLK_REDIS_LOADING },
		{ "-READONLY You can't write\r\n", KOLK_REDIS_READONLY },
		{ "-CLUSTERDOWN\r\n", KOLK_REDIS_CLUSTERDOWN },
		{ "-MOVEDX 1 a:1\r\n", KOLK_REDIS_OTHER },
		{ "-\r\n", KOLK_REDIS_OTHER },
	};
	struct kolk_redis_reply *value;

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		PARSER(parser, &usual);

		redis_parser_feed(&parser, list[i].bytes, strlen(list[i].bytes));
		assert_int_equal(redis_parser_next(&parser, &value), KOLK_OK);
		assert_int_equal(value->type, KOLK_REDIS_ERROR);
		assert_int_equal(value->error, list[i].error);
		redis_parser_close(&parser);
	}
	assert_string_equal(kolk_redis_error_name(KOLK_REDIS_UNBLOCKED), "UNBLOCKED");
	assert_string_equal(kolk_redis_error_name(99), "OTHER");
}

static void redirections(void **state)
{
	static const struct {
		const char *bytes, *address;
		uint32_t slot;
	} list[] = {
		{ "-MOVED 3999 127.0.0.1:6381\r\n", "127.0.0.1:6381", 3999 },
		{ "-ASK 0 :6379\r\n", ":6379", 0 },
		{ "-MOVED 16383 [::1]:1\r\n", "[::1]:1", 16383 },
		{ "-MOVED 16384 a:1\r\n", NULL, 0 },
		{ "-MOVED -1 a:1\r\n", NULL, 0 },
		{ "-MOVED 1\r\n", NULL, 0 },
		{ "-MOVED 1 a\r\n", NULL, 0 },
		{ "-MOVED 1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:1\r\n", NULL, 0 },
		{ "-ERR 1 a:1\r\n", NULL, 0 },
		{ "+MOVED 1 a:1\r\n", NULL, 0 },
	};
	struct kolk_redis_reply *value;
	char address[24];
	uint32_t slot;

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		PARSER(parser, &usual);

		redis_parser_feed(&parser, list[i].bytes, strlen(list[i].bytes));
		assert_int_equal(redis_parser_next(&parser, &value), KOLK_OK);
		assert_int_equal(kolk_redis_redirect(value, &slot, address, sizeof address),
				 list[i].address != NULL);
		if (list[i].address != NULL) {
			assert_string_equal(address, list[i].address);
			assert_int_equal(slot, list[i].slot);
		}
		redis_parser_close(&parser);
	}
}

static void resp3_values(void **state)
{
	static const char bytes[] = ">2\r\n+invalidate\r\n*1\r\n+k\r\n"
				    "*5\r\n%1\r\n+a\r\n:1\r\n~1\r\n#t\r\n,1.5\r\n=5\r\ntxt:x\r\n_\r\n";
	const struct kolk_redis_reply *e;
	struct kolk_redis_reply *value;
	PARSER(parser, &usual);

	(void)state;
	redis_parser_feed(&parser, bytes, 5);
	if (!kolk_redis_has_resp3()) {
		assert_int_equal(redis_parser_next(&parser, &value), KOLK_E_PROTOCOL);
		redis_parser_close(&parser);
		return;
	}
	assert_int_equal(redis_parser_next(&parser, &value), KOLK_PENDING);
	assert_true(redis_parser_in_push(&parser));
	redis_parser_feed(&parser, bytes + 5, sizeof bytes - 6);
	assert_int_equal(redis_parser_next(&parser, &value), KOLK_OK);
	assert_int_equal(value->type, KOLK_REDIS_PUSH);
	assert_string_equal(value->elements[0].text, "invalidate");
	redis_parser_drop(&parser, &parser.push);
	assert_int_equal(redis_parser_next(&parser, &value), KOLK_OK);
	e = value->elements;
	assert_int_equal(e[0].type, KOLK_REDIS_MAP);
	assert_int_equal(e[0].count, 2);
	assert_int_equal(e[1].type, KOLK_REDIS_SET);
	assert_int_equal(e[1].elements[0].type, KOLK_REDIS_BOOL);
	assert_int_equal(e[1].elements[0].integer, 1);
	assert_true(e[2].number == 1.5);
	assert_string_equal(e[2].text, "1.5");
	assert_int_equal(e[3].type, KOLK_REDIS_VERBATIM);
	assert_string_equal(e[3].text, "x");
	assert_int_equal(e[4].type, KOLK_REDIS_NIL);
	redis_parser_close(&parser);
}

/* ---- commands */

static struct redis_traits judge(const char *text)
{
	char copy[128];
	const char *words[16];
	struct kolk_redis_command command = { 0, words, NULL };

	snprintf(copy, sizeof copy, "%s", text);
	for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
		words[command.count++] = word;
	return redis_classify(&command);
}

static void verdicts(void **state)
{
	static const struct {
		const char *command;
		uint8_t kind, effects;
	} list[] = {
		{ "GET a", REDIS_PLAIN, 0 },
		{ "set a b", REDIS_PLAIN, 0 },
		{ "hello 3", REDIS_REFUSED, 0 },
		{ "multi", REDIS_OPENS, REDIS_MULTI },
		{ "Exec", REDIS_ENDS, 0 },
		{ "DISCARD", REDIS_ENDS, 0 },
		{ "WATCH a", REDIS_WATCHES, REDIS_WATCH },
		{ "SELECT 5", REDIS_PLAIN, REDIS_DATABASE },
		{ "AUTH a b", REDIS_PLAIN, REDIS_SESSION },
		{ "RESET", REDIS_RESETS, REDIS_SESSION },
		{ "monitor", REDIS_TAKES_OVER, REDIS_FATAL },
		{ "QUIT", REDIS_PLAIN, REDIS_FATAL },
		{ "SYNC", REDIS_REFUSED, 0 },
		{ "PSYNC ? -1", REDIS_REFUSED, 0 },
		{ "CLIENT REPLY OFF", REDIS_REFUSED, 0 },
		{ "client setname x", REDIS_PLAIN, REDIS_NAME },
		{ "CLIENT ID", REDIS_PLAIN, 0 },
		{ "CLIENT TRACKING ON", REDIS_PLAIN, REDIS_SESSION },
		{ "CLIENT NO-EVICT on", REDIS_PLAIN, REDIS_FATAL },
		{ "CLIENT SETINFO lib-name x", REDIS_PLAIN, REDIS_FATAL },
		{ "CLIENT", REDIS_PLAIN, REDIS_FATAL },
		{ "BLPOP a 0", REDIS_PLAIN, REDIS_BLOCKING },
		{ "XREAD BLOCK 0 STREAMS a $", REDIS_PLAIN, REDIS_BLOCKING },
		{ "XREAD COUNT 1 STREAMS BLOCK 0", REDIS_PLAIN, 0 },
		{ "SCRIPT DEBUG YES", REDIS_TAKES_OVER, REDIS_FATAL },
		{ "SCRIPT LOAD x", REDIS_PLAIN, 0 },
		{ "SUBSCRIBE a b c", REDIS_SUBSCRIBES, REDIS_SUBSCRIBED },
		{ "UNSUBSCRIBE", REDIS_REFUSED, REDIS_SUBSCRIBED },
		{ "a", REDIS_PLAIN, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		struct redis_traits v = judge(list[i].command);

		if (v.kind != list[i].kind || v.effects != list[i].effects)
			fail_msg("%s: kind %d, effects %d", list[i].command, v.kind, v.effects);
	}
	assert_int_equal(judge("SUBSCRIBE a b c").replies, 3);
	assert_int_equal(judge("GET a").replies, 1);
}

static void encoding(void **state)
{
	static const char expected[] = "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$11\r\na\0\r\n$4\r\n567\r\n";
	const char *words[] = { "SET", NULL, "a\0\r\n$4\r\n567" };
	const size_t sizes[] = { 3, 0, 11 };
	struct kolk_redis_command command = { 3, words, sizes };
	uint8_t bytes[64];
	uint64_t size;

	(void)state;
	assert_true(redis_encoded_size(&command, &size));
	assert_int_equal(size, sizeof expected - 1);
	assert_ptr_equal(redis_encode(bytes, &command), bytes + size);
	assert_memory_equal(bytes, expected, size);
	command.count = 0;
	assert_false(redis_encoded_size(&command, &size));
}

/* The memory of a call becomes another one's. */
static void what_was_authenticated_with_is_wiped(void **state)
{
	static struct kolk_redis_call call;
	static const char *const words[] = { "AUTH", "canary" };
	const struct kolk_redis_command command = { 2, words, NULL };
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);

	(void)state;
	request.commands = &command;
	request.count = 1;
	assert_int_equal(redis_call_init(&call, &request), KOLK_OK);
	assert_memory_equal(call.small + 18, "canary", 6);
	redis_call_fini(&call);
	assert_memory_not_equal(call.small + 18, "canary", 6);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(cut_at_every_offset),
	cmocka_unit_test(several_become_one_array),
	cmocka_unit_test(more_than_expected_is_refused),
	cmocka_unit_test(long_strings),
	cmocka_unit_test(hostile_bytes),
	cmocka_unit_test(endless_values_end),
	cmocka_unit_test(bytes_of_all_are_bounded),
	cmocka_unit_test(error_words),
	cmocka_unit_test(redirections),
	cmocka_unit_test(resp3_values),
	cmocka_unit_test(verdicts),
	cmocka_unit_test(encoding),
	cmocka_unit_test(what_was_authenticated_with_is_wiped),
};
CMOCKA_TESTS(redis_parser, tests);
