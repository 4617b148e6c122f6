/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_tools_ws_test.c - tools that a client may not have, of a server behind a WebSocket: a mock that
 * counts what it is told. */
#define _GNU_SOURCE /* memmem, strcasestr */
#include <mbedtls/base64.h>
#include <mbedtls/md.h>
#include <stdio.h>
#include <string.h>

#include "tests/gateway/program/mcp_place.h"

/* ---- the server */

struct seen {
	kolk__atomic_u32 calls, lists, echoes; /* requests for tools, lists, messages with "cho" in them */
};

static bool shake_hands(struct kit_mock_conn *conn)
{
	unsigned char keyed[61], hash[20], accept[29];
	char head[4096], answer[512];
	const char *key;
	size_t size;

	if (!kit_mock_read_until(conn, "\r\n\r\n", head, sizeof head, 10000))
		return false;
	key = strcasestr(head, "\r\nsec-websocket-key: ");
	if (key == NULL)
		return false;
	snprintf((char *)keyed, sizeof keyed, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 21);
	mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA1), keyed, 60, hash);
	mbedtls_base64_encode(accept, sizeof accept, &size, hash, sizeof hash);
	snprintf(answer, sizeof answer,
		 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		 "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: mcp\r\n\r\n", (char *)accept);
	return kit_mock_say(conn, answer);
}

/* A frame of the client, unmasked: its opcode; -1 = the end, or one that is longer than a test's. */
static int read_frame(struct kit_mock_conn *conn, char message[4096])
{
	uint8_t head[2], more[2], mask[4];
	size_t size;

	if (!kit_mock_read(conn, head, 2, 20000))
		return -1;
	size = head[1] & 0x7f;
	if (size == 126) {
		if (!kit_mock_read(conn, more, 2, 10000))
			return -1;
		size = (size_t)more[0] << 8 | more[1];
	}
	if (size >= 4096 || !kit_mock_read(conn, mask, 4, 10000) ||
	    (size > 0 && !kit_mock_read(conn, message, size, 10000)))
		return -1;
	for (size_t i = 0; i < size; i++)
		message[i] = (char)((uint8_t)message[i] ^ mask[i % 4]);
	message[size] = '\0';
	return head[0] & 0x0f;
}

static bool answer(struct kit_mock_conn *conn, const char *message, const char *result)
{
	const char *id = strstr(message, "\"id\":");
	uint8_t head[4] = { 0x81 };
	char json[1024];
	bool is_short;
	int size;

	if (id == NULL)
		return true;
	size = snprintf(json, sizeof json, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":%s}",
			(int)strcspn(id + 5, ",}"), id + 5, result);
	is_short = size < 126;
	head[1] = is_short ? (uint8_t)size : 126;
	head[2] = (uint8_t)(size >> 8);
	head[3] = (uint8_t)size;
	return kit_mock_send(conn, head, is_short ? 2 : 4) && kit_mock_send(conn, json, (size_t)size);
}

static bool serve(struct kit_mock_conn *conn, struct seen *seen, const char *message)
{
	if (strstr(message, "cho\"") != NULL)
		kolk__add_acq_rel(&seen->echoes, 1);
	if (strstr(message, "\"initialize\"") != NULL)
		return answer(conn, message, "{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{\"tools\":{}},"
					     "\"serverInfo\":{\"name\":\"ws\",\"version\":\"1\"}}");
	if (strstr(message, "\"tools/list\"") != NULL) {
		kolk__add_acq_rel(&seen->lists, 1);
		return answer(conn, message, "{\"tools\":[{\"name\":\"echo\",\"inputSchema\":{}},{\"name\":"
					     "\"add\",\"inputSchema\":{}}],\"nextCursor\":\"c\"}");
	}
	if (strstr(message, "\"tools/call\"") != NULL) {
		kolk__add_acq_rel(&seen->calls, 1);
		return answer(conn, message, "{\"content\":[{\"type\":\"text\",\"text\":\"done\"}]}");
	}
	return answer(conn, message, "{}");
}

static void play(struct kit_mock_conn *conn, void *of)
{
	char message[4096];
	int opcode;

	if (!shake_hands(conn))
		return;
	do
		opcode = read_frame(conn, message);
	while (opcode >= 0 && opcode != 8 && (opcode != 1 || serve(conn, of, message)));
}

/* ---- clients */

#define CALL_OF(name) REQUEST("5", "tools/call", "\"name\":\"" name "\"")

static void use(const struct place *place)
{
	static const char *const denied[] = { CALL_OF("echo"), CALL_OF("\\u0065cho"), CALL_OF("ech\\u006f"),
					      CALL_OF("echo\\\",\\\"name\\\":\\\"add"), CALL_OF("Echo"),
					      CALL_OF("add echo") };
	char session[512];

	CHECK(post(place, "", INITIALIZE("2025-06-18", "")) == 200);
	MUST(take_session(session));
	for (size_t i = 0; i < sizeof denied / sizeof denied[0]; i++)
		CHECK(post(place, session, denied[i]) == 200 && has("-32602") && has("Unknown tool"));
	CHECK(post(place, session, "{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"tools/list\"}") == 200);
	CHECK(has("{\"tools\":[{\"name\":\"add\",\"inputSchema\":{}}],\"nextCursor\":\"c\"}"));
	CHECK(post(place, session, CALL_OF("add")) == 200 && has("done"));
}

static void test_socket(void)
{
	struct seen seen = { 0 };
	struct kit_mock *mock = kit_mock_open(&(struct kit_mock_options){ .play = play, .user = &seen });
	struct place place;
	char upstream[128];

	if (!WITH_WEBSOCKET) {
		kit_mock_close(mock);
		tap_skip("this build has no WebSocket");
		return;
	}
	MUST(mock != NULL);
	snprintf(upstream, sizeof upstream, "address: \"%s\"", kit_mock_address(mock));
	if (place_open(&place, &(struct place_options){
			.upstream = upstream, .mcp = "transport: websocket, path: /ws",
			.route = ", mcp: {tools_allow: [add, \"sub*\"]}" })) {
		use(&place);
		place_close(&place);
	}
	CHECK(kolk__load_acquire(&seen.calls) == 1 && kolk__load_acquire(&seen.lists) == 1);
	CHECK(kolk__load_acquire(&seen.echoes) == 0);
	kit_mock_close(mock);
}

static const struct tap_test tests[] = {
	{ "no call of a denied tool goes into a WebSocket", test_socket },
};

TAP_TESTS(mcp_tools_ws, tests);
