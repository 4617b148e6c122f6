/* SPDX-License-Identifier: Apache-2.0 */
/* locale_test.c - the protocols' words and numbers are the same in every locale. */
#include "tests/kit/cmocka/run.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kit/locale.h"
#include "tests/kit/tap.h"
#include "transport/drivers/h1.h"
#include "transport/drivers/h1_fields.h"
#include "transport/drivers/http.h"
#include "transport/drivers/redis_call.h"

/* ---- Turkish: "i" and "I" are two letters */

static void test_fields_of_ours(void **state)
{
	static const char *const ours[] = { "TRANSFER-ENCODING", "PROXY-CONNECTION", "CONNECTION",
					    "KEEP-ALIVE", "TRAILER", "HTTP2-SETTINGS" };

	(void)state;
	kit_locale_enter("tr_TR");
	assert_int_equal(tolower('I'), 'I');
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
		const struct kolk_http_field field = { ours[i], "chunked" };

		if (http_fields_valid(&field, 1))
			print_message("%s\n", ours[i]);
		assert_false(http_fields_valid(&field, 1));
	}
}

static void split(const char *text, struct h1_parser *parser, struct h1_framing *framing)
{
	static char line[256];

	snprintf(line, sizeof line, "%s", text);
	*framing = (struct h1_framing){ 0 };
	assert_int_equal(h1_split_fields(&parser->message, line, framing), KOLK_OK);
}

static void test_framing(void **state)
{
	struct h1_parser parser = { .message = { .fields_max = 10 } };
	struct h1_framing framing;

	(void)state;
	kit_locale_enter("tr_TR");
	split("CONNECTION: KEEP-ALIVE\r\nKEEP-ALIVE: TIMEOUT=7\r\n\r\n", &parser, &framing);
	assert_true(framing.keep_alive);
	assert_int_equal(framing.idle_s, 7);
	assert_true(h1_upgrade_is("WEBSOCKET-I", "websocket-i"));
	free(parser.message.fields);
}

static void test_redis_words(void **state)
{
	static const char *const words[][3] = {
		{ "multi" }, { "discard" }, { "quit" }, { "wait" }, { "monitor" }, { "asking" },
		{ "subscribe", "a" }, { "psubscribe", "a" }, { "unsubscribe", "a" }, { "readwrite" },
		{ "bzpopmin" }, { "client", "setname", "a" }, { "client", "caching", "yes" },
		{ "client", "tracking", "on" }, { "client", "reply", "off" }, { "script", "debug" },
	};

	(void)state;
	kit_locale_enter("tr_TR");
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		struct redis_traits lower, upper;
		struct kolk_redis_command command = { .arguments = words[i] };
		char big[2][16];
		const char *shouted[3] = { big[0], big[1], words[i][2] };

		while (command.count < 3 && words[i][command.count] != NULL)
			command.count++;
		for (size_t j = 0; j < 2 && words[i][j] != NULL; j++)
			for (size_t k = 0; k <= strlen(words[i][j]); k++)
				big[j][k] = (char)(words[i][j][k] & ~0x20);
		lower = redis_classify(&command);
		command.arguments = shouted;
		upper = redis_classify(&command);
		if (lower.kind != upper.kind || lower.effects != upper.effects)
			print_message("%s %s\n", words[i][0], words[i][1] != NULL ? words[i][1] : "");
		assert_int_equal(lower.kind, upper.kind);
		assert_int_equal(lower.effects, upper.effects);
		assert_true(lower.kind != REDIS_PLAIN || lower.effects != 0);
	}
}

/* ---- German: a comma in numbers */

static void test_redis_numbers(void **state)
{
	static const char reply[] = ",1.5\r\n";
	const struct redis_limits limits = { 7, 1000, 100000 };
	struct kolk_redis_reply *value;
	struct redis_parser parser;

	(void)state;
	if (!kolk_redis_has_resp3()) {
		SKIP_BECAUSE("this hiredis reads no doubles");
	}
	kit_locale_enter("de_DE");
	assert_true(strtod("1,5", NULL) > 1.4);
	assert_int_equal(redis_parser_open(&parser, &limits), KOLK_OK);
	assert_int_equal(redis_parser_feed(&parser, reply, sizeof reply - 1), KOLK_OK);
	assert_int_equal(redis_parser_next(&parser, &value), KOLK_OK);
	assert_int_equal(value->type, KOLK_REDIS_DOUBLE);
	assert_true(fabs(value->number - 1.5) < 1e-9);
	assert_string_equal(value->text, "1.5");
	kolk_redis_reply_free(redis_parser_take(&parser, parser.growing));
	redis_parser_close(&parser);
	assert_true(strtod("1,5", NULL) > 1.4); /* the thread's locale is its own again */
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_teardown(test_fields_of_ours, kit_locale_leave),
	cmocka_unit_test_teardown(test_framing, kit_locale_leave),
	cmocka_unit_test_teardown(test_redis_words, kit_locale_leave),
	cmocka_unit_test_teardown(test_redis_numbers, kit_locale_leave),
};
CMOCKA_TESTS(locale, tests);
