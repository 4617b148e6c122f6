/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_json_test.c - JSON as RFC 8259 has it: what must be accepted, what must be refused,
 * and what is left open; every text in every cut. The kinds are those of JSONTestSuite, the
 * texts are ours.
 */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/mcp/json.h"

struct text {
	const char *bytes;
	size_t size;
};
#define T(string) \
	{ \
		string, sizeof(string) - 1 \
	}

static const struct text accepted[] = {
	/* structure */
	T("[]"),
	T("{}"),
	T(" [ ] "),
	T("\t{\n}\r"),
	T("[[]]"),
	T("[{}]"),
	T("{\"a\":{}}"),
	T("[[],[]]"),
	T("{\"a\":1,\"b\":2}"),
	T("{\"a\":1,\"a\":2}"),
	T("{\"\":0}"),
	T("{ \"a\" : [ 1 , 2 ] , \"b\" : null }"),
	T("[true,false,null]"),
	T("[1]\n"),
	T("[1\n]"),
	T("[1,\n1\n,2]"),
	T("[\"\",\"\"]"),
	T("\r\n\t [0]"),
	T("{\"a\":[{\"b\":[[{\"c\":[]}]]}]}"),
	T("[[[[[[[[[[]]]]]]]]]]"),
	/* a value alone */
	T("null"),
	T("true"),
	T("false"),
	T("0"),
	T("-1"),
	T("\"\""),
	T("\"a\""),
	T(" 42 "),
	T("1.5e3"),
	T("\"\\u0061\" "),
	/* numbers */
	T("[0]"),
	T("[-0]"),
	T("[-0.0]"),
	T("[0e0]"),
	T("[0E+1]"),
	T("[0e-1]"),
	T("[1]"),
	T("[10]"),
	T("[-10]"),
	T("[1.0]"),
	T("[1.25]"),
	T("[0.001]"),
	T("[1e1]"),
	T("[1E1]"),
	T("[1e+1]"),
	T("[1E-1]"),
	T("[1e01]"),
	T("[1.5E10]"),
	T("[123456789012345678901234567890]"),
	T("[-1.0e-00]"),
	T("[20e1 ]"),
	T("[ 4]"),
	T("[0.000000000000000000000000000000000000000000000000000000000000000000000000000001]"),
	/* strings */
	T("[\"abc\"]"),
	T("[\"a b\"]"),
	T("[\"/\"]"),
	T("[\"\\/\"]"),
	T("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"),
	T("[\"\\u0000\"]"),
	T("{\"\\u0000\":1}"),
	T("[\"\\u0041\\u00e9\\u20aC\"]"),
	T("[\"\\uD834\\uDd1e\"]"),
	T("[\"\\uDBFF\\uDFFF\"]"),
	T("[\"\\\\u0061\"]"),
	T("[\"\\\\n\"]"),
	T("[\"/* no comment */\"]"),
	T("[\"\x7f\"]"),
	T("[\"\xc2\x80\"]"),
	T("[\"\xdf\xbf\"]"),
	T("[\"\xe0\xa0\x80\"]"),
	T("[\"\xed\x9f\xbf\"]"),
	T("[\"\xee\x80\x80\"]"),
	T("[\"\xef\xbb\xbf\"]"),
	T("[\"\xef\xbf\xbf\"]"),
	T("[\"\xf0\x90\x80\x80\"]"),
	T("[\"\xf4\x8f\xbf\xbf\"]"),
	T("[\"\xe2\x80\xa8\xe2\x80\xa9\"]"),
	T("{\"\xd0\xba\xd0\xbb\":\"\xe2\x82\xac\"}"),
	T("[\"\\uFFFE\\uffff\\uFDD0\"]"),
	T("[\"0123456789abcdef0123456789abcdef0123456789abcdef\"]"),
	T("[\"0123456\xc3\xa9\x38"
	  "9abcdef\\\\0123456789\\\"\"]"),
	T("[\"{}[]:,\"]"),
};

static const struct text refused[] = {
	/* nothing, or too little */
	T(""),
	T(" "),
	T("["),
	T("{"),
	T("[1"),
	T("[1,"),
	T("{\"a\""),
	T("{\"a\":"),
	T("{\"a\":1"),
	T("{\"a\":1,"),
	T("["),
	T("[["),
	T("[\"a"),
	T("\""),
	T("\"\\"),
	T("\"\\u"),
	T("\"\\u00"),
	T("-"),
	T("1."),
	T("1e"),
	T("1e+"),
	T("tru"),
	T("nul"),
	T("fals"),
	T("[\"\xe2\x82"),
	T("\"\xf0\x9f\x98"),
	/* too much */
	T("[]]"),
	T("{}}"),
	T("[] []"),
	T("[],"),
	T("1 2"),
	T("nullnull"),
	T("\"a\"\"b\""),
	T("[1]x"),
	T("{} #"),
	T("[]\0"),
	T("[1]\xef\xbb\xbf"),
	T("[1]\xc2\xa0"),
	T("12,"),
	/* brackets and commas */
	T("]"),
	T("}"),
	T("[}"),
	T("{]"),
	T("[1}"),
	T("{\"a\":1]"),
	T("[,]"),
	T("[1,]"),
	T("[,1]"),
	T("[1,,2]"),
	T("[1 2]"),
	T("[1:2]"),
	T("{,}"),
	T("{\"a\":1,}"),
	T("{,\"a\":1}"),
	T("{\"a\":1,,\"b\":2}"),
	T("{\"a\" 1}"),
	T("{\"a\"}"),
	T("{\"a\":}"),
	T("{:1}"),
	T("{\"a\"::1}"),
	T("{\"a\",1}"),
	T("{\"a\":1 \"b\":2}"),
	T("{\"a\":1:2}"),
	T("{1:2}"),
	T("{a:1}"),
	T("{'a':1}"),
	T("{null:1}"),
	T("{[]:1}"),
	T("{{}:1}"),
	T("{\"a\":1,2}"),
	T("[\"a\":1]"),
	T("[[],]"),
	T("[{}"),
	T("[1]]"),
	T("*"),
	T("<a>"),
	T("[*]"),
	T("[a]"),
	/* white space that is none */
	T("[\f]"),
	T("[\v]"),
	T("[\0]"),
	T("[\xc2\xa0]"),
	T("[\xe2\x81\xa0]"),
	T("\xef\xbb\xbf[]"),
	T("\xef\xbb\xbf{}"),
	T("\xfe\xff[]"),
	T("\xff\xfe[\0]\0"),
	T("[\0]\0"),
	T("[\x1f]"),
	T("\\u0020[]"),
	T("/**/[]"),
	T("[] // x"),
	T("[1/**/]"),
	T("#\n[]"),
	/* literals */
	T("True"),
	T("TRUE"),
	T("NULL"),
	T("nUll"),
	T("[nul]"),
	T("[truth]"),
	T("[nulll]"),
	T("[true1]"),
	T("undefined"),
	T("[NaN]"),
	T("[nan]"),
	T("[Infinity]"),
	T("[-Infinity]"),
	T("[-inf]"),
	T("[t]"),
	T("[tru e]"),
	T("[falsee]"),
	/* numbers */
	T("[+1]"),
	T("[01]"),
	T("[-01]"),
	T("[00]"),
	T("[-]"),
	T("[--1]"),
	T("[- 1]"),
	T("[1.]"),
	T("[.5]"),
	T("[-.5]"),
	T("[1.e1]"),
	T("[.]"),
	T("[1..2]"),
	T("[1.2.3]"),
	T("[1e]"),
	T("[1E+]"),
	T("[1e-]"),
	T("[1e1.5]"),
	T("[1e1e1]"),
	T("[1ee1]"),
	T("[1e+-1]"),
	T("[0x1]"),
	T("[0b1]"),
	T("[1a]"),
	T("[1 000]"),
	T("[1_000]"),
	T("[1-1]"),
	T("[1+1]"),
	T("[0e]"),
	T("[0e+]"),
	T("[0.e1]"),
	T("[-2.]"),
	T("[\xef\xbc\x91]"),
	T("[1\xc2\xa0]"),
	T("[-a]"),
	T("[-\"1\"]"),
	T("[0.1.]"),
	T("[1,000.0,]"),
	T("[012.5]"),
	T("[1e\0]"),
	T("[9.e+]"),
	T("[2.e3]"),
	/* strings */
	T("['a']"),
	T("[\"a]"),
	T("[a\"]"),
	T("[\"\n\"]"),
	T("[\"\t\"]"),
	T("[\"\0\"]"),
	T("[\"\x1f\"]"),
	T("[\"\r\"]"),
	T("[\"\\a\"]"),
	T("[\"\\'\"]"),
	T("[\"\\v\"]"),
	T("[\"\\0\"]"),
	T("[\"\\x41\"]"),
	T("[\"\\U0041\"]"),
	T("[\"\\ \"]"),
	T("[\"\\\n\"]"),
	T("[\"\\\"]"),
	T("[\"\\\\\\\"]"),
	T("[\"\\u\"]"),
	T("[\"\\u1\"]"),
	T("[\"\\u12\"]"),
	T("[\"\\u123\"]"),
	T("[\"\\u123g\"]"),
	T("[\"\\u 123\"]"),
	T("[\"\\u-123\"]"),
	T("[\"\\u{61}\"]"),
	T("[\"\\uD834\\u\"]"),
	T("[\"\\uD834\\x\"]"),
	T("[\"\\\xc3\xa9\"]"),
	T("[\"\\u00\xc3\xa9\"]"),
	T("[\"\\\0\"]"),
	T("{\"a\n\":1}"),
	T("{\"\\x\":1}"),
	/* UTF-8 */
	T("[\"\x80\"]"),
	T("[\"\xbf\"]"),
	T("[\"\xc0\x80\"]"),
	T("[\"\xc0\xaf\"]"),
	T("[\"\xc1\xbf\"]"),
	T("[\"\xc3\"]"),
	T("[\"\xc3(\"]"),
	T("[\"\xe0\x80\xaf\"]"),
	T("[\"\xe0\x9f\xbf\"]"),
	T("[\"\xe2\x82\"]"),
	T("[\"\xe2(\xac\"]"),
	T("[\"\xe2\x82(\"]"),
	T("[\"\xed\xa0\x80\"]"),
	T("[\"\xed\xbf\xbf\"]"),
	T("[\"\xed\xa0\xbd\xed\xb8\x80\"]"),
	T("[\"\xf0\x80\x80\xaf\"]"),
	T("[\"\xf0\x8f\xbf\xbf\"]"),
	T("[\"\xf0\x9f\x98\"]"),
	T("[\"\xf4\x90\x80\x80\"]"),
	T("[\"\xf5\x80\x80\x80\"]"),
	T("[\"\xf8\x88\x80\x80\x80\"]"),
	T("[\"\xfc\x84\x80\x80\x80\x80\"]"),
	T("[\"\xfe\"]"),
	T("[\"\xff\"]"),
	T("[\xc3\xa9]"),
	T("{\"\xff\":1}"),
	T("[\"\xe9\"]"),
	T("[\"\xc3\xa9\xa9\"]"),
	T("[\"\xf0\x9f\x98\x80\x80\"]"),
	T("[\"01234567\x80\"]"),
	T("[\"0123456789\xed\xa0\x80\"]"),
};

/* The RFC leaves it to the reader. */
static const struct text accepted_by_us[] = {
	/* numbers that no machine has: they are passed on, not computed */
	T("[1e9999]"),
	T("[-1e9999]"),
	T("[1e-9999]"),
	T("[0.4e00669999999999999999999999999999999999999]"),
	T("[100000000000000000000000000000000000000000000000000000000000000000000]"),
	/* halves of surrogate pairs, as escapes */
	T("[\"\\uD834\"]"),
	T("[\"\\uDD1E\"]"),
	T("[\"\\uDD1E\\uD834\"]"),
	T("[\"\\uD834\\uD834\\uDD1E\"]"),
	T("[\"\\uD834a\"]"),
	T("[\"\\uD834\\n\"]"),
	T("[\"\\uD834\\u0061\"]"),
	T("[\"\\ud834\xc3\xa9\"]"),
	T("{\"\\uDFAA\":0}"),
};

struct trace {
	enum kolk_err err;
	uint32_t tokens;
	uint64_t hash; /* of tokens, offsets, kept texts */
};

static void mix(struct trace *trace, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		trace->hash =
			(trace->hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
}

struct reading {
	struct kolk__json json;
	enum kolk__json_keep keep;
	uint32_t keep_max;
	char kept[80];
	struct trace trace;
};

static void take(struct reading *reading, enum kolk__json_token token)
{
	const struct kolk__json *json = &reading->json;
	uint64_t facts[] = { token, json->token_at, json->depth, json->at, json->text.size };

	reading->trace.tokens++;
	if (token < TOKEN_KEY || token > TOKEN_NUMBER ||
	    (token != TOKEN_KEY && reading->keep == KEEP_NOTHING))
		facts[4] = 0;
	else
		mix(&reading->trace, json->text.bytes, json->text.size);
	mix(&reading->trace, facts, sizeof facts);
	mix(&reading->trace, &json->text.cut, facts[4] > 0);
	kolk__json_keep(&reading->json, reading->keep, reading->kept, reading->keep_max);
}

static void begin(struct reading *reading, enum kolk__json_keep keep, uint32_t keep_max)
{
	kolk__json_begin(&reading->json, 1 << 20, 64);
	reading->keep = keep;
	reading->keep_max = keep_max;
	reading->trace = (struct trace){ 0 };
	kolk__json_keep(&reading->json, keep, reading->kept, keep_max);
}

/* A piece in memory of its own: a byte too far is seen by sanitizers. */
static void feed(struct reading *reading, const char *bytes, size_t size)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);
	enum kolk__json_token token = TOKEN_KEY;
	const uint8_t *at = copy;

	assert_non_null(copy);
	memcpy(copy, bytes, size);
	while (reading->trace.err == KOLK_OK && token != TOKEN_MORE) {
		reading->trace.err = kolk__json_next(&reading->json, &at, &size, &token);
		if (reading->trace.err == KOLK_OK && token != TOKEN_MORE)
			take(reading, token);
	}
	free(copy);
}

static struct trace ended(struct reading *reading)
{
	if (reading->trace.err == KOLK_OK)
		reading->trace.err = kolk__json_end(&reading->json);
	assert_int_equal(reading->json.err, reading->trace.err);
	return reading->trace;
}

static struct trace read_whole(const struct text *text, enum kolk__json_keep keep, uint32_t max)
{
	struct reading reading;

	begin(&reading, keep, max);
	feed(&reading, text->bytes, text->size);
	return ended(&reading);
}

static void must_equal(const struct text *text, struct trace one, struct trace other)
{
	if (one.err != other.err || one.tokens != other.tokens || one.hash != other.hash)
		fail_msg("%s: another cut, another meaning", text->bytes);
}

/* Cuts before byte i wherever bit i - 1 is set. */
static struct trace read_cut(const struct text *text, enum kolk__json_keep keep, uint64_t cuts)
{
	struct reading reading;
	size_t from = 0;

	begin(&reading, keep, sizeof reading.kept);
	for (size_t i = 1; i <= text->size; i++)
		if (i == text->size || (i <= 64 && (cuts >> (i - 1) & 1) != 0)) {
			feed(&reading, text->bytes + from, i - from);
			from = i;
		}
	return ended(&reading);
}

/* All cuts of short texts; one, two and all cuts of others. */
static void every_cut(const struct text *text, enum kolk__json_keep keep)
{
	struct trace whole = read_whole(text, keep, 80);

	if (text->size <= 12)
		for (uint64_t cuts = 0;
		     text->size > 0 && cuts < UINT64_C(1) << (text->size - 1); cuts++)
			must_equal(text, whole, read_cut(text, keep, cuts));
	for (size_t i = 1; i < text->size && i <= 64; i++)
		for (size_t j = i; j < text->size && j <= 64; j++)
			must_equal(text, whole,
				   read_cut(text, keep,
					    UINT64_C(1) << (i - 1) | UINT64_C(1) << (j - 1)));
	must_equal(text, whole, read_cut(text, keep, UINT64_MAX));
}

static void check_all(const struct text *texts, size_t count, enum kolk_err err)
{
	for (size_t i = 0; i < count; i++) {
		for (enum kolk__json_keep keep = KEEP_NOTHING; keep <= KEEP_RAW; keep++)
			every_cut(&texts[i], keep);
		if (read_whole(&texts[i], KEEP_NOTHING, 0).err != err)
			fail_msg("%s (%zu): not %s", texts[i].bytes, i, kolk_err_name(err));
	}
}
#define CHECK_ALL(texts, err) check_all(texts, sizeof(texts) / sizeof(texts)[0], err)

static void what_must_be_accepted(void **state)
{
	(void)state;
	CHECK_ALL(accepted, KOLK_OK);
}

static void what_must_be_refused(void **state)
{
	(void)state;
	CHECK_ALL(refused, KOLK_E_PROTOCOL);
}

static void what_is_left_open(void **state)
{
	(void)state;
	CHECK_ALL(accepted_by_us, KOLK_OK);
}

/* No byte but the right ones anywhere: each byte value at each place of a text. */
static void every_byte_everywhere(void **state)
{
	static const char text[] = "{\"a\":[1,-0.5e1,true,\"\\u00e9\xc3\xa9\"]}";
	uint32_t good = 0;

	(void)state;
	for (size_t i = 0; i < sizeof text - 1; i++)
		for (int c = 0; c < 256; c++) {
			char copy[sizeof text];
			struct text changed = { copy, sizeof text - 1 };
			struct trace whole;

			memcpy(copy, text, sizeof text);
			copy[i] = (char)c;
			whole = read_whole(&changed, KEEP_DECODED, 80);
			must_equal(&changed, whole,
				   read_cut(&changed, KEEP_DECODED, UINT64_MAX));
			good += whole.err == KOLK_OK;
		}
	assert_int_equal(good, 465); /* as CPython's json counts them */
}

static void depth_is_bounded(void **state)
{
	static char deep[2 * KOLK__JSON_DEPTH_MAX + 3];

	(void)state;
	for (uint32_t depth = 1; depth <= KOLK__JSON_DEPTH_MAX + 1; depth++) {
		const uint8_t *at = (const uint8_t *)deep;
		enum kolk__json_token token;
		size_t left = 2 * depth;
		struct kolk__json json;

		memset(deep, '[', depth);
		memset(deep + depth, ']', depth);
		kolk__json_begin(&json, 1 << 20, UINT32_MAX);
		json.report_depth = 0;
		assert_int_equal(kolk__json_next(&json, &at, &left, &token), KOLK_OK);
		assert_int_equal(token, TOKEN_ARRAY);
		assert_int_equal(kolk__json_next(&json, &at, &left, &token),
				 depth <= KOLK__JSON_DEPTH_MAX ? KOLK_OK : KOLK_E_LIMIT);
		if (depth > KOLK__JSON_DEPTH_MAX)
			continue;
		assert_int_equal(token, TOKEN_ARRAY_END);
		assert_int_equal(kolk__json_end(&json), KOLK_OK);
	}
}

static void size_is_bounded(void **state)
{
	static const char text[] = "[1,\"abc\"]  ";

	(void)state;
	for (uint64_t max = 1; max <= sizeof text; max++)
		for (size_t piece = 1; piece < sizeof text; piece++) {
			enum kolk_err err = KOLK_OK;
			struct kolk__json json;

			kolk__json_begin(&json, max, 8);
			for (size_t from = 0; from < sizeof text - 1 && err == KOLK_OK;
			     from += piece) {
				size_t left = sizeof text - 1 - from < piece ?
						      sizeof text - 1 - from :
						      piece;
				const uint8_t *at = (const uint8_t *)text + from;
				enum kolk__json_token token = TOKEN_KEY;

				while (err == KOLK_OK && token != TOKEN_MORE)
					err = kolk__json_next(&json, &at, &left, &token);
			}
			assert_int_equal(err, max < sizeof text - 1 ? KOLK_E_LIMIT : KOLK_OK);
			assert_true(json.at <= max);
		}
}

static void kept_texts(void **state)
{
	static const struct {
		const char *json, *decoded;
		bool ambiguous;
	} list[] = {
		{ "\"abc\"", "abc", false },
		{ "\"\\u0069\\u0064\"", "id", false },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", false },
		{ "\"\\u00e9\\u20AC\\uD83D\\uDE00\"", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		  false },
		{ "\"\xc3\xa9\xf0\x9f\x98\x80\"", "\xc3\xa9\xf0\x9f\x98\x80", false },
		{ "\"\\ud83d\"", "\xef\xbf\xbd", true },
		{ "\"\\ude00x\"", "\xef\xbf\xbdx", true },
		{ "\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80", true },
		{ "\"\\ud83d\\n\"", "\xef\xbf\xbd\n", true },
		{ "-12.5e+3 ", "-12.5e+3", false },
		{ "\"\"", "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		size_t left = strlen(list[i].json), size = strlen(list[i].decoded);
		const uint8_t *at = (const uint8_t *)list[i].json;
		enum kolk__json_token token;
		struct kolk__json json;
		char kept[64];

		kolk__json_begin(&json, 1 << 20, 8);
		kolk__json_keep(&json, KEEP_DECODED, kept, sizeof kept);
		assert_int_equal(kolk__json_next(&json, &at, &left, &token), KOLK_OK);
		assert_int_equal(json.text.size, size);
		assert_memory_equal(kept, list[i].decoded, size);
		assert_int_equal(json.text.ambiguous, list[i].ambiguous);
		assert_false(json.text.cut);
	}
}

static void kept_texts_are_bounded(void **state)
{
	static const struct text text =
		T("[\"0123456789\\u00e9\xc3\xa9\",123456,{\"a key of more than sixty-four "
		  "bytes, which no member of ours has, whatever\":1}]");

	(void)state;
	for (uint32_t max = 0; max < 20; max++)
		for (enum kolk__json_keep keep = KEEP_DECODED; keep <= KEEP_RAW; keep++) {
			struct reading reading;

			begin(&reading, keep, max);
			memset(reading.kept, '#', sizeof reading.kept);
			for (size_t i = 0; i < text.size; i++)
				feed(&reading, text.bytes + i, 1);
			must_equal(&text, read_whole(&text, keep, max), ended(&reading));
			assert_int_equal(reading.kept[max], '#');
		}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(what_must_be_accepted),
	cmocka_unit_test(what_must_be_refused),
	cmocka_unit_test(what_is_left_open),
	cmocka_unit_test(every_byte_everywhere),
	cmocka_unit_test(depth_is_bounded),
	cmocka_unit_test(size_is_bounded),
	cmocka_unit_test(kept_texts),
	cmocka_unit_test(kept_texts_are_bounded),
};
CMOCKA_TESTS(mcp_json, tests);
