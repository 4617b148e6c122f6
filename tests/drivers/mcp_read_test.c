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

static struct {
	uint32_t count;
	char methods[256];
	struct kolk_mcp_envelope last;
} seen;

static void on_read(void *user, const struct kolk_mcp_envelope *shown)
{
	(void)user;
	seen.count++;
	seen.last = *shown;
	if (shown->fault == NULL && strlen(seen.methods) < 200)
		strcat(strcat(seen.methods, shown->method), ",");
}

static enum kolk_err read_array(const char *text)
{
	memset(&seen, 0, sizeof seen);
	return kolk_mcp_read_array(text, strlen(text), on_read, NULL);
}

#define NOTE "{\"jsonrpc\":\"2.0\",\"method\":\"n\"}"

static void arrays_of_messages(void **state)
{
	static const struct {
		const char *text;
		int32_t fault_code;
	} refused[] = {
		{ "", -32600 },
		{ NOTE, -32600 },
		{ "[]", -32600 },
		{ " [ ] ", -32600 },
		{ "[[" NOTE "]]", -32600 },
		{ "[" NOTE ",[]]", -32600 },
		{ "[1]", -32600 },
		{ "[" NOTE ",{\"jsonrpc\":\"2.0\"}]", -32600 },
		{ "[" NOTE, -32700 },
		{ "[" NOTE ",]", -32700 },
		{ "[" NOTE "]x", -32700 },
	};
	static char text[(KOLK_MCP_ARRAY_MAX + 1) * sizeof NOTE + 2];
	char *at = text;

	(void)state;
	assert_int_equal(read_array(" [" NOTE ", {\"id\":\"x\",\"jsonrpc\":\"2.0\",\"method\":\"m\"}]"),
			 KOLK_OK);
	assert_string_equal(seen.methods, "n,m,");
	assert_true(is(seen.last.id, "\"x\""));
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		assert_int_equal(read_array(refused[i].text), KOLK_E_PROTOCOL);
		assert_non_null(seen.last.fault);
		if (seen.last.fault_code != refused[i].fault_code)
			fail_msg("%s: %d, %s", refused[i].text, seen.last.fault_code, seen.last.fault);
	}
	for (int i = 0; i <= KOLK_MCP_ARRAY_MAX; i++) {
		at += sprintf(at, "%s" NOTE, i == 0 ? "[" : ",");
		if (i + 1 < KOLK_MCP_ARRAY_MAX)
			continue;
		strcpy(at, "]");
		assert_int_equal(read_array(text), i < KOLK_MCP_ARRAY_MAX ? KOLK_OK : KOLK_E_PROTOCOL);
		assert_int_equal(seen.count, KOLK_MCP_ARRAY_MAX + (i == KOLK_MCP_ARRAY_MAX));
	}
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
	cmocka_unit_test(arrays_of_messages),
	cmocka_unit_test(answers_and_cancellations),
	cmocka_unit_test(what_is_refused),
};
CMOCKA_TESTS(mcp_read, tests);
