/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_envelope_test.c - messages: their kinds, fields, faults and spans; every text in every
 * cut. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/mcp/envelope.h"

enum { OUT_MAX = 4096 };

struct reading {
	struct kolk__mcp_envelope envelope;
	char kept[KOLK__MCP_TEXT_MAX];
	const char *text;
	char out[OUT_MAX];
	size_t size;
};

static const char *const kinds[] = { "invalid", "request", "notification", "result", "error" };
static const char *const names[] = {
#define X(field, level, name, keep, max) #field,
	KOLK__MCP_FIELD_TABLE(X)
#undef X
};
static const char *const faults[] = {
#define X(fault, code, text) #fault,
	KOLK__MCP_FAULT_TABLE(X)
#undef X
};

static void say(struct reading *reading, const void *bytes, size_t size)
{
	assert_true(reading->size + size < sizeof reading->out);
	memcpy(reading->out + reading->size, bytes, size);
	reading->size += size;
	reading->out[reading->size] = '\0';
}

static void say_word(struct reading *reading, const char *word)
{
	say(reading, word, strlen(word));
}

static void say_field(struct reading *reading, enum kolk__mcp_field_name name)
{
	const struct kolk__mcp_field *field = &reading->envelope.message.fields[name];
	const char *span = reading->text + field->at;

	if (!kolk__mcp_has(&reading->envelope.message, name) || name == MCP_JSONRPC)
		return;
	say_word(reading, " ");
	say_word(reading, names[name]);
	say_word(reading, "=");
	if (kolk__mcp_field_keep(name) != KEEP_NOTHING && field->type <= MCP_NUMBER)
		say(reading, field->text, field->text_size);
	else
		say(reading, span, (size_t)field->size);
	if (field->cut)
		say_word(reading, "...");
	else if (kolk__mcp_field_keep(name) == KEEP_RAW && field->type <= MCP_NUMBER)
		assert_memory_equal(span, field->text, field->size);
}

/* "kind[!FAULT][ FIELD=text ...]" for each message, in lines. */
static void say_message(struct reading *reading)
{
	const struct kolk__mcp_message *message = &reading->envelope.message;

	say_word(reading, reading->size > 0 ? "\n" : "");
	say_word(reading, kinds[message->kind]);
	assert_int_equal(message->kind == MCP_INVALID, message->fault != MCP_FAULT_NONE);
	if (message->fault != MCP_FAULT_NONE) {
		say_word(reading, "!");
		say_word(reading, faults[message->fault]);
		return;
	}
	assert_int_equal(reading->text[message->at], '{');
	assert_int_equal(reading->text[message->at + message->size - 1], '}');
	for (enum kolk__mcp_field_name i = 0; i < KOLK__MCP_FIELDS; i++)
		say_field(reading, i);
}

static void begin(struct reading *reading, const char *text, uint32_t batch_max)
{
	struct kolk__mcp_limits limits = { .bytes_max = 1 << 20,
					   .batch_max = batch_max,
					   .text = reading->kept,
					   .text_size = sizeof reading->kept };

	reading->text = text;
	reading->size = 0;
	reading->out[0] = '\0';
	kolk__mcp_envelope_begin(&reading->envelope, &limits);
}

static enum kolk_err feed(struct reading *reading, const char *bytes, size_t size)
{
	uint8_t *copy = malloc(size);
	enum kolk__mcp_event event = MCP_MESSAGE;
	const uint8_t *at = copy;
	enum kolk_err err = KOLK_OK;

	assert_non_null(copy);
	memcpy(copy, bytes, size);
	while (err == KOLK_OK && event != MCP_MORE) {
		err = kolk__mcp_envelope_scan(&reading->envelope, &at, &size, &event);
		if (err == KOLK_OK && event == MCP_MESSAGE)
			say_message(reading);
	}
	free(copy);
	return err;
}

/* What is said of the text in pieces of this size, the first one of `first` bytes. */
static void read_in_pieces(struct reading *reading, const char *text, size_t first,
			   size_t piece)
{
	size_t size = strlen(text), at = 0;
	enum kolk_err err = KOLK_OK;

	begin(reading, text, 4);
	for (size_t part = first; at < size && err == KOLK_OK; at += part, part = piece) {
		part = part < size - at ? part : size - at;
		err = feed(reading, text + at, part);
	}
	if (err == KOLK_OK)
		err = kolk__mcp_envelope_end(&reading->envelope);
	if (err != KOLK_OK) {
		say_word(reading, reading->size > 0 ? "\n" : "");
		say_word(reading, "refused!");
		say_word(reading, faults[reading->envelope.message.fault]);
	}
}

static void expect(const char *text, const char *meaning)
{
	static struct reading reading;
	size_t size = strlen(text);

	read_in_pieces(&reading, text, size, size);
	if (strcmp(reading.out, meaning) != 0)
		fail_msg("%s:\n%s\ninstead of\n%s", text, reading.out, meaning);
	for (size_t first = 1; first < size; first++)
		for (size_t piece = 1; piece <= size; piece += piece < 8 ? 1 : size) {
			read_in_pieces(&reading, text, first, piece);
			if (strcmp(reading.out, meaning) != 0)
				fail_msg("%s, cut at %zu, then every %zu: %s", text, first,
					 piece, reading.out);
		}
}

static void expect_all(const char *const list[][2], size_t count)
{
	for (size_t i = 0; i < count; i++)
		expect(list[i][0], list[i][1]);
}
#define EXPECT(list) expect_all(list, sizeof(list) / sizeof(list)[0])

#define V "\"jsonrpc\":\"2.0\""

static void messages(void **state)
{
	static const char *const list[][2] = {
		{ "{" V ",\"id\":1,\"method\":\"ping\"}", "request ID=1 METHOD=ping" },
		{ " {\n" V " , \"method\" : \"ping\" , \"id\" : \"a\\u0062\" }\n",
		  "request ID=\"a\\u0062\" METHOD=ping" },
		{ "{\"id\":-7,\"method\":\"x\"," V ",\"params\":{}}",
		  "request ID=-7 METHOD=x PARAMS={}" },
		{ "{" V ",\"method\":\"notifications/initialized\"}",
		  "notification METHOD=notifications/initialized" },
		{ "{" V ",\"id\":1,\"method\":\"tools/"
			"call\",\"params\":{\"name\":\"echo\",\"arguments\":"
		  "{\"id\":2,\"name\":\"no\",\"_meta\":{\"progressToken\":3}},\"_meta\":{"
		  "\"progressToken\":\"t\"}}}",
		  "request ID=1 METHOD=tools/call "
		  "PARAMS={\"name\":\"echo\",\"arguments\":{\"id\":2,\"name\":\"no\","
		  "\"_meta\":{\"progressToken\":3}},\"_meta\":{\"progressToken\":\"t\"}} "
		  "NAME=echo PARAMS_META="
		  "{\"progressToken\":\"t\"} META_TOKEN=\"t\"" },
		{ "{\"result\":{\"content\":[{\"id\":9,\"error\":{}}],\"error\":1}," V
		  ",\"id\":12}",
		  "result ID=12 RESULT={\"content\":[{\"id\":9,\"error\":{}}],\"error\":1}" },
		{ "{" V ",\"id\":\"x\",\"result\":null}", "result ID=\"x\" RESULT=null" },
		{ "{" V ",\"id\":3,\"error\":{\"code\":-32601,\"message\":\"no\",\"data\":{"
			"\"code\":1}}}",
		  "error ID=3 ERROR={\"code\":-32601,\"message\":\"no\",\"data\":{\"code\":1}} "
		  "CODE=-32601" },
		{ "{" V ",\"id\":null,\"error\":{\"message\":\"\",\"code\":0}}",
		  "error ID=null ERROR={\"message\":\"\",\"code\":0} CODE=0" },
		{ "{" V ",\"error\":{\"code\":1}}", "error ERROR={\"code\":1} CODE=1" },
		{ "{" V ",\"method\":\"notifications/"
			"progress\",\"params\":{\"progress\":1.5,\"progressToken\":5}}",
		  "notification METHOD=notifications/progress "
		  "PARAMS={\"progress\":1.5,\"progressToken\":5} "
		  "PROGRESS_TOKEN=5" },
		{ "{" V ",\"method\":\"notifications/"
			"cancelled\",\"params\":{\"requestId\":\"r\",\"reason\":\"\"}}",
		  "notification METHOD=notifications/cancelled "
		  "PARAMS={\"requestId\":\"r\",\"reason\":\"\"} "
		  "REQUEST_ID=\"r\"" },
		{ "{" V ",\"method\":\"m\",\"id\":1,\"params\":null}",
		  "request ID=1 METHOD=m PARAMS=null" },
		{ "{" V ",\"method\":\"m\",\"id\":1,\"more\":[{\"id\":2}],\"a\":true}",
		  "request ID=1 METHOD=m" },
		{ "{" V ",\"method\":\"m\",\"params\":{\"uri\":\"a:b\\/"
			"c\",\"name\":[1,{}],\"requestId\":{}}}",
		  "notification METHOD=m "
		  "PARAMS={\"uri\":\"a:b\\/c\",\"name\":[1,{}],\"requestId\":{}} NAME=[1,{}] "
		  "URI=a:b/c REQUEST_ID={}" },
		{ "{" V ",\"id\":1,\"result\":{\"protocolVersion\":\"2025-06-18\","
			"\"capabilities\":{},\"_meta\":null}}",
		  "result ID=1 "
		  "RESULT={\"protocolVersion\":\"2025-06-18\",\"capabilities\":{},\"_meta\":"
		  "null} "
		  "RESULT_VERSION=2025-06-18 RESULT_META=null" },
		{ "{" V
		  ",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"x\"}}",
		  "request ID=1 METHOD=initialize PARAMS={\"protocolVersion\":\"x\"} "
		  "INITIALIZE_VERSION=x" },
	};

	(void)state;
	EXPECT(list);
}

#define M "io.modelcontextprotocol/"

static void the_modern_era(void **state)
{
	static const char *const list[][2] = {
		{ "{" V ",\"id\":1,\"method\":\"m\",\"params\":{\"_meta\":{\"" M
		  "protocolVersion\":\"2026-07-28\",\"" M "clientCapabilities\":{},\"" M
		  "clientInfo\":{\"a\":[]}}}}",
		  "request ID=1 METHOD=m PARAMS={\"_meta\":{\"" M
		  "protocolVersion\":\"2026-07-28\",\"" M "clientCapabilities\":{},\"" M
		  "clientInfo\":{\"a\":[]}}} PARAMS_META={\"" M
		  "protocolVersion\":\"2026-07-28\",\"" M "clientCapabilities\":{},\"" M
		  "clientInfo\":{\"a\":[]}} META_VERSION=2026-07-28 META_CAPABILITIES={} "
		  "META_CLIENT={\"a\":[]}" },
		{ "{" V ",\"method\":\"n\",\"params\":{\"_meta\":{\"" M "subscriptionId\":4}}}",
		  "notification METHOD=n PARAMS={\"_meta\":{\"" M
		  "subscriptionId\":4}} PARAMS_META={\"" M
		  "subscriptionId\":4} META_SUBSCRIPTION=4" },
		{ "{" V ",\"id\":4,\"result\":{\"resultType\":\"complete\",\"_meta\":{\"" M
		  "subscriptionId\":4}}}",
		  "result ID=4 RESULT={\"resultType\":\"complete\",\"_meta\":{\"" M
		  "subscriptionId\":4}} "
		  "RESULT_TYPE=complete RESULT_META={\"" M
		  "subscriptionId\":4} META_SUBSCRIPTION=4" },
	};

	(void)state;
	EXPECT(list);
}

static void names_are_decoded(void **state)
{
	static const char *const list[][2] = {
		{ "{\"jsonrp\\u0063\":\"2\\u002e0\",\"\\u0069d\":1,\"\\u006Dethod\":"
		  "\"p\\u0069ng\"}",
		  "request ID=1 METHOD=ping" },
		{ "{" V ",\"method\":\"m\",\"p\\u0061rams\":{\"n\\u0061me\":"
			"\"\\u00e9\\ud83d\\ude00\"}}",
		  "notification METHOD=m PARAMS={\"n\\u0061me\":\"\\u00e9\\ud83d\\ude00\"} "
		  "NAME=\xc3\xa9\xf0\x9f\x98\x80" },
		{ "{" V ",\"id\":1,\"\\u0069d\":2,\"method\":\"m\"}", "invalid!TWICE" },
	};

	(void)state;
	EXPECT(list);
}

static void faults_of_messages(void **state)
{
	static const char *const list[][2] = {
		{ "{}", "invalid!JSONRPC" },
		{ "{\"id\":1,\"method\":\"m\"}", "invalid!JSONRPC" },
		{ "{\"jsonrpc\":2.0,\"id\":1,\"method\":\"m\"}", "invalid!JSONRPC" },
		{ "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"m\"}", "invalid!JSONRPC" },
		{ "{\"jsonrpc\":\"2.0 and more\",\"id\":1,\"method\":\"m\"}",
		  "invalid!JSONRPC" },
		{ "{" V "}", "invalid!SHAPE" },
		{ "{" V ",\"id\":1}", "invalid!SHAPE" },
		{ "{" V ",\"id\":1,\"method\":\"m\",\"result\":{}}", "invalid!SHAPE" },
		{ "{" V ",\"id\":1,\"result\":{},\"error\":{\"code\":1}}", "invalid!SHAPE" },
		{ "{" V ",\"id\":null,\"method\":\"m\"}", "invalid!ID" },
		{ "{" V ",\"id\":null,\"result\":{}}", "invalid!ID" },
		{ "{" V ",\"result\":{}}", "invalid!ID" },
		{ "{" V ",\"id\":1.0,\"method\":\"m\"}", "invalid!ID" },
		{ "{" V ",\"id\":1e2,\"method\":\"m\"}", "invalid!ID" },
		{ "{" V ",\"id\":true,\"method\":\"m\"}", "invalid!ID" },
		{ "{" V ",\"id\":[1],\"method\":\"m\"}", "invalid!ID" },
		{ "{" V ",\"id\":{},\"method\":\"m\"}", "invalid!ID" },
		{ "{" V ",\"method\":7}", "invalid!METHOD" },
		{ "{" V ",\"method\":null,\"id\":1,\"result\":{}}", "invalid!METHOD" },
		{ "{" V ",\"method\":\"m\",\"params\":[1]}", "invalid!PARAMS" },
		{ "{" V ",\"method\":\"m\",\"params\":\"a\"}", "invalid!PARAMS" },
		{ "{" V ",\"method\":\"m\",\"params\":{\"_meta\":[]}}", "invalid!PARAMS" },
		{ "{" V ",\"id\":1,\"result\":{\"_meta\":1}}", "invalid!PARAMS" },
		{ "{" V ",\"method\":\"m\",\"params\":{\"_meta\":{\"progressToken\":1.5}}}",
		  "invalid!TOKEN" },
		{ "{" V ",\"method\":\"m\",\"params\":{\"_meta\":{\"progressToken\":{}}}}",
		  "invalid!TOKEN" },
		{ "{" V ",\"method\":\"m\",\"params\":{\"_meta\":{\"" M
		  "protocolVersion\":1}}}",
		  "invalid!VERSION" },
		{ "{" V ",\"method\":\"notifications/progress\"}", "invalid!TOKEN" },
		{ "{" V
		  ",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":null}}",
		  "invalid!TOKEN" },
		{ "{" V
		  ",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1.5}}",
		  "invalid!ID" },
		{ "{" V ",\"id\":1,\"error\":1}", "invalid!ERROR" },
		{ "{" V ",\"id\":1,\"error\":{}}", "invalid!ERROR" },
		{ "{" V ",\"id\":1,\"error\":{\"code\":\"1\"}}", "invalid!ERROR" },
		{ "{" V ",\"id\":1,\"error\":{\"code\":1.5}}", "invalid!ERROR" },
		{ "{" V ",\"id\":1,\"error\":{\"code\":2147483648}}", "invalid!ERROR" },
		{ "{" V ",\"id\":1,\"error\":{\"code\":-99999999999999999999}}",
		  "invalid!ERROR" },
		{ "{" V ",\"id\":1,\"error\":{\"code\":999999999999999999999999999999999}}",
		  "invalid!TEXT_LONG" },
	};

	(void)state;
	EXPECT(list);
}

/* Two readers would read two things. */
static void what_readers_differ_in(void **state)
{
	static const char *const list[][2] = {
		{ "{" V ",\"id\":1,\"id\":1,\"method\":\"m\"}", "invalid!TWICE" },
		{ "{" V "," V ",\"method\":\"m\"}", "invalid!TWICE" },
		{ "{" V ",\"method\":\"a\",\"method\":\"b\"}", "invalid!TWICE" },
		{ "{" V ",\"method\":\"m\",\"params\":{},\"params\":{\"name\":\"b\"}}",
		  "invalid!TWICE" },
		{ "{" V ",\"id\":1,\"result\":{},\"result\":{}}", "invalid!TWICE" },
		{ "{" V ",\"id\":1,\"error\":{\"code\":1},\"error\":{\"code\":2}}",
		  "invalid!TWICE" },
		{ "{" V ",\"id\":1,\"error\":{\"code\":1,\"code\":2}}", "invalid!TWICE" },
		{ "{" V ",\"method\":\"m\",\"params\":{\"name\":\"a\",\"name\":\"b\"}}",
		  "invalid!TWICE" },
		{ "{" V ",\"method\":\"m\",\"params\":{\"_meta\":{},\"_meta\":{}}}",
		  "invalid!TWICE" },
		{ "{" V ",\"method\":\"m\",\"params\":{\"_meta\":{\"progressToken\":1,"
			"\"progressToken\":2}}}",
		  "invalid!TWICE" },
		{ "{" V
		  ",\"method\":\"m\",\"other\":1,\"other\":2,\"params\":{\"a\":1,\"a\":2}}",
		  "notification METHOD=m PARAMS={\"a\":1,\"a\":2}" },
		{ "{" V ",\"method\":\"m\",\"Method\":\"n\"}", "invalid!LOOKALIKE" },
		{ "{" V ",\"method\":\"m\",\"ID\":1}", "invalid!LOOKALIKE" },
		{ "{" V ",\"method\":\"m\",\"param\xc5\xbf\":{}}", "invalid!LOOKALIKE" },
		{ "{" V ",\"method\":\"m\",\"param\\u017f\":{}}", "invalid!LOOKALIKE" },
		{ "{" V ",\"method\":\"m\",\"params\":{\"_meta\":{\"progressTo\xe2\x84\xaa"
		  "en\":1}}}",
		  "invalid!LOOKALIKE" },
		{ "{" V ",\"method\":\"m\",\"params\":{\"NAME\":\"a\"}}", "invalid!LOOKALIKE" },
		{ "{" V ",\"method\":\"m\",\"params\":{\"_meta\":{\"" M
		  "ProtocolVersion\":\"a\"}}}",
		  "invalid!LOOKALIKE" },
		{ "{" V ",\"method\":\"m\",\"params\":{\"arguments\":{\"NAME\":1,\"Name\":2}},"
			"\"idd\":1}",
		  "notification METHOD=m PARAMS={\"arguments\":{\"NAME\":1,\"Name\":2}}" },
		{ "{" V ",\"method\":\"m\",\"id\\u0000\":1}", "invalid!AMBIGUOUS" },
		{ "{" V ",\"method\":\"m\",\"id\\ud800\":1}", "invalid!AMBIGUOUS" },
		{ "{" V ",\"method\":\"m\\u0000n\"}", "invalid!AMBIGUOUS" },
		{ "{" V ",\"method\":\"m\",\"id\":\"\\ud800\"}", "invalid!AMBIGUOUS" },
		{ "{" V ",\"method\":\"m\",\"params\":{\"name\":\"a\\udc00\"}}",
		  "invalid!AMBIGUOUS" },
		{ "{" V ",\"id\":1,\"result\":{\"text\":\"\\ud83d\",\"a\":{\"\\u0000\":0}}}",
		  "result ID=1 RESULT={\"text\":\"\\ud83d\",\"a\":{\"\\u0000\":0}}" },
	};

	(void)state;
	EXPECT(list);
}

static void no_messages(void **state)
{
	static const char *const list[][2] = {
		{ "", "refused!JSON" },
		{ " ", "refused!JSON" },
		{ "\xef\xbb\xbf{}", "refused!JSON" },
		{ "{" V ",\"method\":\"m\"", "refused!JSON" },
		{ "{" V ",\"method\":\"m\"}x", "notification METHOD=m\nrefused!JSON" },
		{ "{" V ",\"method\":\"m\"}{}", "notification METHOD=m\nrefused!JSON" },
		{ "{" V ",\"method\":\"m\",}", "refused!JSON" },
		{ "{" V ",\"id\":1,\"id\":2,\"method\":\"m\xff\"}", "refused!JSON" },
		{ "1", "refused!NO_MESSAGE" },
		{ "1 ", "refused!NO_MESSAGE" },
		{ "\"a\"", "refused!NO_MESSAGE" },
		{ "null", "refused!NO_MESSAGE" },
	};

	(void)state;
	EXPECT(list);
}

#define N "{" V ",\"method\":\"m\"}"

static void batches(void **state)
{
	static const char *const list[][2] = {
		{ "[" N "]", "notification METHOD=m" },
		{ " [ {" V ",\"id\":1,\"method\":\"a\"} ,\n{" V
		  ",\"id\":\"b\",\"result\":{\"id\":3}} ] ",
		  "request ID=1 METHOD=a\nresult ID=\"b\" RESULT={\"id\":3}" },
		{ "[" N ",1,\"a\",[" N ",[{}]],null,{}]",
		  "notification "
		  "METHOD=m\ninvalid!NO_MESSAGE\ninvalid!NO_MESSAGE\ninvalid!NO_"
		  "MESSAGE\nrefused!BATCH_LONG" },
		{ "[1,{" V ",\"id\":1,\"id\":1},{" V ",\"id\":1,\"method\":\"a\"}]",
		  "invalid!NO_MESSAGE\ninvalid!TWICE\nrequest ID=1 METHOD=a" },
		{ "[" N "," N "," N "," N "]",
		  "notification METHOD=m\nnotification METHOD=m\nnotification "
		  "METHOD=m\nnotification METHOD=m" },
		{ "[]", "refused!BATCH_EMPTY" },
		{ "[" N "", "notification METHOD=m\nrefused!JSON" },
		{ "[" N "]]", "notification METHOD=m\nrefused!JSON" },
		{ "[" N ",]", "notification METHOD=m\nrefused!JSON" },
	};
	static struct reading reading;

	(void)state;
	EXPECT(list);
	begin(&reading, "[]", 0);
	assert_int_equal(feed(&reading, "[", 1), KOLK_E_PROTOCOL);
	assert_int_equal(reading.envelope.message.fault, MCP_FAULT_NO_MESSAGE);
	assert_int_equal(feed(&reading, "{", 1), KOLK_E_PROTOCOL); /* stays */
	assert_int_equal(reading.envelope.message.fault, MCP_FAULT_NO_MESSAGE);
}

/* {"jsonrpc":"2.0","FIELD":"aaaa...","method":"m"}, as many as asked for. */
static const char *long_text(char *text, const char *before, uint32_t count, const char *after)
{
	char *at = text + sprintf(text, "%s", before);

	memset(at, 'a', count);
	strcpy(at + count, after);
	return text;
}

static void texts_are_bounded(void **state)
{
	static const struct {
		const char *before, *after, *good, *bad;
		uint32_t max;
	} list[] = {
		{ "{" V ",\"id\":\"", "\",\"method\":\"m\"}", "request", "invalid!TEXT_LONG",
		  254 },
		{ "{" V ",\"method\":\"", "\"}", "notification", "invalid!TEXT_LONG", 128 },
		{ "{" V ",\"method\":\"m\",\"params\":{\"_meta\":{\"progressToken\":\"",
		  "\"}}}", "notification", "invalid!TEXT_LONG", 254 },
		{ "{" V ",\"method\":\"m\",\"params\":{\"requestId\":\"", "\"}}",
		  "notification", "invalid!TEXT_LONG", 254 },
		{ "{" V ",\"method\":\"m\",\"params\":{\"name\":\"", "\"}}", "notification",
		  "notification", 256 },
		{ "{" V ",\"method\":\"m\",\"params\":{\"arguments\":\"", "\"}}",
		  "notification", "notification", 999 },
	};
	static struct reading reading;
	static char text[2048];

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		for (uint32_t more = 0; more < 2; more++) {
			const char *expected = more ? list[i].bad : list[i].good;

			long_text(text, list[i].before, list[i].max + more, list[i].after);
			read_in_pieces(&reading, text, 1, 1);
			if (strncmp(reading.out, expected, strlen(expected)) != 0)
				fail_msg("%zu, %u: %s", i, more, reading.out);
		}
	long_text(text, list[4].before, 300, list[4].after);
	read_in_pieces(&reading, text, 7, 7);
	assert_true(reading.envelope.message.fields[MCP_NAME].cut);
	assert_int_equal(reading.envelope.message.fields[MCP_NAME].text_size, 256);
}

/* What does not fit into the caller's buffer is refused if it has to be whole; nothing is
 * written behind. */
static void a_small_buffer(void **state)
{
	static const char text[] =
		"{" V ",\"id\":123456,\"method\":\"abcdef\",\"params\":{\"name\":\"abcdef\"}}";
	static struct reading reading;

	(void)state;
	for (uint32_t size = 0; size <= 24; size++) {
		begin(&reading, text, 0);
		memset(reading.kept, '#', sizeof reading.kept);
		reading.envelope.limits.text_size = size;
		assert_int_equal(feed(&reading, text, sizeof text - 1), KOLK_OK);
		assert_int_equal(reading.kept[size], '#');
		assert_int_equal(reading.envelope.message.kind == MCP_REQUEST, size >= 15);
		if (size >= 15)
			assert_int_equal(reading.envelope.message.fields[MCP_NAME].cut,
					 size < 21);
	}
}

static void codes_and_texts(void **state)
{
	(void)state;
	assert_int_equal(kolk__mcp_fault_code(MCP_FAULT_JSON), -32700);
	assert_int_equal(kolk__mcp_fault_code(MCP_FAULT_TWICE), -32600);
	assert_string_equal(kolk__mcp_fault_text(MCP_FAULT_TWICE), "a member occurs twice");
}

static void ids_are_compared_decoded(void **state)
{
	static const char *const list[][2] = {
		{ "\"a\\u0062c\"", "abc" },
		{ "\"\"", "" },
		{ "12", "12" },
		{ "\"\\/\\u00e9\"", "/\xc3\xa9" },
	};
	char out[32];

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		size_t size = kolk__mcp_decode(out, list[i][0], strlen(list[i][0]));

		assert_int_equal(size, strlen(list[i][1]));
		assert_memory_equal(out, list[i][1], size);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(messages),
	cmocka_unit_test(the_modern_era),
	cmocka_unit_test(names_are_decoded),
	cmocka_unit_test(faults_of_messages),
	cmocka_unit_test(what_readers_differ_in),
	cmocka_unit_test(no_messages),
	cmocka_unit_test(batches),
	cmocka_unit_test(texts_are_bounded),
	cmocka_unit_test(a_small_buffer),
	cmocka_unit_test(codes_and_texts),
	cmocka_unit_test(ids_are_compared_decoded),
};
CMOCKA_TESTS(mcp_envelope, tests);
