/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_rewrite_test.c - messages that are passed on while they arrive: replaced values,
 * everything else byte for byte, in every cut; also of pieces that were held until more was
 * known.
 */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/mcp/rewrite.h"

struct replacement {
	enum kolk__mcp_field_name field;
	const char *text; /* NULL: the last one */
};

struct passing {
	struct kolk__mcp_envelope envelope;
	struct kolk__mcp_rewrite rewrite;
	char kept[KOLK__MCP_TEXT_MAX];
	const struct replacement *replacements;
	uint32_t set; /* bits of replacements that were set in the message at `message` */
	uint64_t message;
	char out[1024];
	size_t size;
	size_t hold; /* pieces are passed once so many bytes were scanned */
	const char *text;
	size_t scanned, passed;
};

static void begin(struct passing *passing, const char *text,
		  const struct replacement *replacements)
{
	struct kolk__mcp_limits limits = { .bytes_max = 1 << 20,
					   .batch_max = 4,
					   .text = passing->kept,
					   .text_size = sizeof passing->kept };

	memset(passing, 0, sizeof *passing);
	passing->text = text;
	passing->replacements = replacements;
	kolk__mcp_envelope_begin(&passing->envelope, &limits);
	kolk__mcp_rewrite_begin(&passing->rewrite);
}

static void replace(struct passing *passing)
{
	if (passing->message != passing->envelope.message.at) {
		passing->message = passing->envelope.message.at;
		passing->set = 0;
	}
	for (uint32_t i = 0; passing->replacements[i].text != NULL; i++) {
		const char *text = passing->replacements[i].text;
		struct kolk__mcp_bytes bytes = { (const uint8_t *)text, strlen(text) };

		if ((passing->set >> i & 1) == 0 &&
		    kolk__mcp_has(&passing->envelope.message, passing->replacements[i].field)) {
			assert_true(kolk__mcp_rewrite_set(&passing->rewrite, &passing->envelope,
							  passing->replacements[i].field,
							  bytes));
			passing->set |= 1U << i;
		}
	}
}

/* What was scanned and not passed yet, in memory of its own. */
static void pass(struct passing *passing)
{
	size_t size = passing->scanned - passing->passed;
	uint8_t *copy = malloc(size > 0 ? size : 1);
	struct kolk__mcp_bytes in = { copy, size }, part;

	assert_non_null(copy);
	memcpy(copy, passing->text + passing->passed, size);
	passing->passed = passing->scanned;
	while (kolk__mcp_rewrite_part(&passing->rewrite, &passing->envelope, &in, &part)) {
		assert_true(part.size > 0);
		assert_true(passing->size + part.size < sizeof passing->out);
		memcpy(passing->out + passing->size, part.bytes, part.size);
		passing->size += part.size;
	}
	assert_int_equal(in.size == 0, !passing->rewrite.stopped || size == 0);
	free(copy);
}

static enum kolk_err feed(struct passing *passing, size_t size)
{
	uint8_t *copy = malloc(size);
	enum kolk__mcp_event event = MCP_MESSAGE;
	const uint8_t *at = copy;
	enum kolk_err err = KOLK_OK;

	assert_non_null(copy);
	memcpy(copy, passing->text + passing->scanned, size);
	while (err == KOLK_OK && event != MCP_MORE) {
		size_t left = size;

		err = kolk__mcp_envelope_scan(&passing->envelope, &at, &size, &event);
		passing->scanned += left - size;
		replace(passing);
		if (err == KOLK_OK &&
		    (passing->scanned >= passing->hold || event == MCP_MESSAGE))
			pass(passing);
	}
	free(copy);
	return err;
}

static void pass_in_pieces(struct passing *passing, size_t first, size_t piece)
{
	size_t size = strlen(passing->text), part = first;
	enum kolk_err err = KOLK_OK;

	while (passing->scanned < size && err == KOLK_OK) {
		part = part < size - passing->scanned ? part : size - passing->scanned;
		err = feed(passing, part);
		part = piece;
	}
}

static void expect(const char *text, const struct replacement *replacements, const char *out)
{
	static struct passing passing;
	size_t size = strlen(text);

	for (size_t hold = 0; hold <= size; hold += hold < 4 ? 1 : 13)
		for (size_t first = 1; first <= size; first++)
			for (size_t piece = 1; piece <= size; piece += piece < 3 ? 1 : size) {
				begin(&passing, text, replacements);
				passing.hold = hold;
				pass_in_pieces(&passing, first, piece);
				assert_int_equal(passing.size, strlen(out));
				assert_memory_equal(passing.out, out, passing.size);
			}
}

#define V "\"jsonrpc\":\"2.0\""
#define S "\"io.modelcontextprotocol/subscriptionId\""
static const struct replacement nothing[] = { { 0, NULL } };

static void what_is_not_replaced_stays(void **state)
{
	static const char *const list[] = {
		"{" V ",\"id\":12,\"method\":\"m\",\"params\":{\"_meta\":{\"progressToken\":"
		      "\"\\u0061\\/b\"}}}",
		" { \"id\" : \"a\\\"b\xc3\xa9\" , " V ",\n\"result\" : { } }\r\n",
		"{" V ",\"id\":null,\"error\":{\"code\":-32601,\"message\":\"\"}}",
		"{" V ",\"method\":\"m\",\"params\":{\"requestId\":[1],\"progressToken\":1.5e3,"
		      "\"x\":{\"id\":1}}}",
		"{\"result\":{\"_meta\":{" S ":-1}}," V ",\"id\":-1}",
		"[{" V ",\"id\":1,\"method\":\"a\"}, {" V ",\"id\":2,\"method\":\"b\"},{" V
		",\"method\":\"c\"}]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		expect(list[i], nothing, list[i]);
}

static void ids_and_tokens_are_replaced(void **state)
{
	static const struct replacement request[] = { { MCP_ID, "4711" },
						      { MCP_META_TOKEN, "\"zz\"" },
						      { 0, NULL } };
	static const struct replacement listen[] = { { MCP_META_SUBSCRIPTION,
						       "\"long enough to be longer\"" },
						     { MCP_ID, "0" },
						     { 0, NULL } };
	static const struct replacement cancel[] = { { MCP_REQUEST_ID, "\"\"" },
						     { MCP_PROGRESS_TOKEN, "1" },
						     { 0, NULL } };

	(void)state;
	expect("{" V ",\"id\":12,\"method\":\"m\",\"params\":{\"_meta\":{\"progressToken\":"
		     "\"\\u0061\"}}}",
	       request,
	       "{" V ",\"id\":4711,\"method\":\"m\",\"params\":{\"_meta\":{\"progressToken\":"
		     "\"zz\"}}}");
	expect("{\"params\":{\"_meta\":{\"progressToken\":5 },\"name\":\"id\"}, \"id\":\"\" "
	       ",\"method\":\"m\"," V "}\n",
	       request,
	       "{\"params\":{\"_meta\":{\"progressToken\":\"zz\" },\"name\":\"id\"}, "
	       "\"id\":4711 ,\"method\":\"m\"," V "}\n");
	expect("{\"result\":{\"id\":1,\"_meta\":{" S ":77}},\"id\":77," V "}", listen,
	       "{\"result\":{\"id\":1,\"_meta\":{" S
	       ":\"long enough to be longer\"}},\"id\":0," V "}");
	expect("{" V
	       ",\"method\":\"m\",\"params\":{\"requestId\":\"\\\\\",\"progressToken\":-1.5}}",
	       cancel,
	       "{" V ",\"method\":\"m\",\"params\":{\"requestId\":\"\",\"progressToken\":1}}");
	expect("[{" V ",\"id\":1,\"method\":\"a\"},{\"id\":\"2\"," V ",\"method\":\"b\"},{" V
	       ",\"method\":\"c\"}]",
	       request,
	       "[{" V ",\"id\":4711,\"method\":\"a\"},{\"id\":4711," V ",\"method\":\"b\"},{" V
	       ",\"method\":\"c\"}]");
}

/* Other fields can be replaced while they are held, and not after they were passed. */
static void names_are_replaced_while_held(void **state)
{
	static const char text[] =
		"{" V ",\"id\":1,\"method\":\"m\",\"params\":{\"name\":\"a_b\",\"uri\":\"u\"}}";
	static const struct replacement name[] = { { MCP_NAME, "\"b\"" }, { 0, NULL } };
	static const char replaced[] =
		"{" V ",\"id\":1,\"method\":\"m\",\"params\":{\"name\":\"b\",\"uri\":\"u\"}}";
	struct kolk__mcp_bytes bytes = { (const uint8_t *)"1", 1 };
	static struct passing passing;

	(void)state;
	for (size_t piece = 1; piece < sizeof text; piece++) {
		begin(&passing, text, name);
		passing.hold = (size_t)(strstr(text, "uri") - text);
		pass_in_pieces(&passing, piece, piece);
		assert_int_equal(passing.size, sizeof replaced - 1);
		assert_memory_equal(passing.out, replaced, passing.size);
	}
	begin(&passing, text, nothing);
	pass_in_pieces(&passing, 1, 1);
	assert_false(
		kolk__mcp_rewrite_set(&passing.rewrite, &passing.envelope, MCP_NAME, bytes));
	assert_false(kolk__mcp_rewrite_set(&passing.rewrite, &passing.envelope, MCP_ID, bytes));
	assert_false(kolk__mcp_rewrite_set(&passing.rewrite, &passing.envelope, MCP_META_TOKEN,
					   bytes));
}

/* The end of a message that is refused is never passed: what was sent of it is no message. */
static void faults_stop_it(void **state)
{
	static const char *const list[] = {
		"{" V ",\"id\":1,\"method\":\"m\",\"params\":{},\"id\":2}",
		"{" V ",\"id\":1,\"method\":\"m\",\"ID\":2}",
		"{" V ",\"method\":\"m\",\"params\":{\"name\":\"a\",\"name\":\"b\"}}",
		"{" V ",\"id\":1.5,\"method\":\"m\"}",
		"{\"id\":1,\"method\":\"m\"}",
		"{" V ",\"id\":1,\"method\":\"m\",}",
		"{" V ",\"id\":1,\"method\":\"m\"]",
		"[{" V ",\"method\":\"a\"},{\"id\":1},{" V ",\"method\":\"b\"}]",
	};
	static struct passing passing;

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		for (size_t piece = 1; piece <= strlen(list[i]); piece++) {
			begin(&passing, list[i], nothing);
			pass_in_pieces(&passing, piece, piece);
			assert_true(passing.size < strlen(list[i]));
			assert_memory_equal(passing.out, list[i], passing.size);
		}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(what_is_not_replaced_stays),
	cmocka_unit_test(ids_and_tokens_are_replaced),
	cmocka_unit_test(names_are_replaced_while_held),
	cmocka_unit_test(faults_stop_it),
};
CMOCKA_TESTS(mcp_rewrite, tests);
