/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_read_test.c - kolk_mcp_read: the envelope of a client's message. */
#include "tests/kit/cmocka/run.h"

#include <kolk/mcp.h>
#include <stdio.h>
#include <string.h>

static struct kolk_mcp_envelope envelope = KOLK_INIT(kolk_mcp_envelope);

static enum kolk_err read_text(const char *text)
{
	return kolk_mcp_read(text, strlen(text), &envelope);
}

static bool is(struct kolk_mcp_part part, const char *text)
{
	return part.size == strlen(text) && memcmp(part.data, text, part.size) == 0;
}

static void what_a_message_says(void **state)
{
	char name[32];

	(void)state;
	assert_int_equal(read_text(" {\"jsonrpc\":\"2.0\",\"id\":\"a\\u0062\",\"method\":\"tools/call\","
				   "\"params\":{\"name\":\"x\\u0079\",\"_meta\":{"
				   "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
				   "\"io.modelcontextprotocol/clientCapabilities\":{}}}}\n"), KOLK_OK);
	assert_true(is(envelope.id, "\"a\\u0062\""));
	assert_string_equal(envelope.method, "tools/call");
	assert_string_equal(envelope.meta_version, "2026-07-28");
	assert_true(is(envelope.meta_capabilities, "{}"));
	assert_int_equal(kolk_mcp_decode(envelope.name, name), 2);
	assert_memory_equal(name, "xy", 2);
	assert_int_equal(read_text("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{"
				   "\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"roots\":{}},"
				   "\"clientInfo\":{\"name\":\"n\"}}}"), KOLK_OK);
	assert_string_equal(envelope.version, "2025-06-18");
	assert_string_equal(envelope.meta_version, "");
	assert_true(is(envelope.capabilities, "{\"roots\":{}}"));
	assert_true(is(envelope.client_info, "{\"name\":\"n\"}"));
}

static void answers_and_cancellations(void **state)
{
	(void)state;
	assert_int_equal(read_text("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":[1]}"), KOLK_OK);
	assert_string_equal(envelope.method, "");
	assert_true(is(envelope.result, "[1]") && envelope.error.size == 0);
	assert_int_equal(read_text("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\","
				   "\"params\":{\"requestId\":\"q\"}}"), KOLK_OK);
	assert_true(envelope.id.size == 0 && is(envelope.request_id, "\"q\""));
}

static void what_is_refused(void **state)
{
	static const struct {
		const char *text;
		enum kolk_err err;
		int code;
	} rows[] = {
		{ "", KOLK_E_PROTOCOL, 0 },
		{ "{", KOLK_E_PROTOCOL, -32700 },
		{ "7", KOLK_E_PROTOCOL, -32600 },
		{ " [{\"jsonrpc\":\"2.0\",\"method\":\"m\"}]", KOLK_E_UNSUPPORTED, 0 },
		{ "{\"jsonrpc\":\"1.0\",\"method\":\"m\"}", KOLK_E_PROTOCOL, -32600 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"m\"}", KOLK_E_PROTOCOL, -32600 },
		{ "{\"jsonrpc\":\"2.0\",\"Method\":\"m\",\"method\":\"m\"}", KOLK_E_PROTOCOL, -32600 },
		{ "{\"jsonrpc\":\"2.0\",\"method\":\"m\"} x", KOLK_E_PROTOCOL, -32700 },
		{ "{\"jsonrpc\":\"2.0\",\"method\":\"m\"}{}", KOLK_E_PROTOCOL, -32700 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (read_text(rows[i].text) != rows[i].err)
			fail_msg("row %zu", i);
		if (rows[i].code != 0 && envelope.fault_code != rows[i].code)
			fail_msg("row %zu: %d", i, envelope.fault_code);
		assert_true(rows[i].err != KOLK_E_PROTOCOL || envelope.fault != NULL);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(what_a_message_says),
	cmocka_unit_test(answers_and_cancellations),
	cmocka_unit_test(what_is_refused),
};
CMOCKA_TESTS(mcp_read, tests);
