/* SPDX-License-Identifier: Apache-2.0 */
/* tools_place.c - a kolk-gateway with pooled tools, calls of them, an HTTP server behind it. */
#include "tests/gateway/program/tools_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kit/peers.h"

bool tools_open(struct tools_place *place, const char *pools, const char *names, const char *tools)
{
	char routes[16384];

	memset(place, 0, sizeof *place);
	snprintf(routes, sizeof routes,
		 "    - {match: {path: /mcp}, tenant: none, tools: [%s]}\ntools:\n%s", names, tools);
	if (!place_start(&place->place, &(struct place_options){
			.engine = "loops: 2", .pools = pools, .routes = routes,
			.gateway = "  drain_timeout: 2s\n" }))
		return false;
	(void)post(&place->place, "", INITIALIZE("2025-11-25", ""));
	return take_session(place->session);
}

/* The peer ends with it, or now. pool: after its address, to the end of the line. */
static bool open_at(struct tools_place *place, struct kit_peer *peer, const char *pool,
		    const char *const names_and_tools[2])
{
	char pools[400];

	if (peer == NULL)
		return false;
	snprintf(pools, sizeof pools, "  - {address: \"%s\", %s}\n", peer->address, pool);
	if (!tools_open(place, pools, names_and_tools[0], names_and_tools[1])) {
		kit_peer_close(peer);
		return false;
	}
	place->peer = peer;
	return true;
}

bool tools_open_sql(struct tools_place *place, const char *sql, const char *names, const char *tools)
{
	return open_at(place, kit_postgres_start(&(struct kit_postgres_options){ .sql = sql }),
		       "name: db, protocol: postgres, postgres: {user: " KIT_POSTGRES_USER ", password: "
		       KIT_POSTGRES_SECRET ", database: postgres}", (const char *const[]){ names, tools });
}

bool tools_open_redis(struct tools_place *place, const char *names, const char *tools)
{
	return open_at(place, kit_redis_start(&(struct kit_redis_options){ .password = "secret" }),
		       "name: cache, protocol: redis, redis: {password: secret}",
		       (const char *const[]){ names, tools });
}

void tools_close(struct tools_place *place)
{
	place_close(&place->place);
	if (place->peer != NULL)
		kit_peer_close(place->peer);
}

json_t *ask_json(const struct tools_place *place, const char *fields, const char *body)
{
	const char *json;
	json_t *value = NULL;

	(void)post(&place->place, fields, body);
	json = strstr(text, "\r\n\r\n");
	if (json != NULL)
		value = json_loads(json + 4, JSON_ALLOW_NUL, NULL);
	if (value == NULL)
		tap_note("%s: %s", body, text);
	tap_check(value != NULL, "the answer is JSON", __FILE__, __LINE__);
	return value;
}

json_t *call(const struct tools_place *place, const char *tool, json_t *arguments)
{
	json_t *message = json_pack("{s:s, s:i, s:s, s:{s:s, s:o}}", "jsonrpc", "2.0", "id", 7, "method",
				    "tools/call", "params", "name", tool, "arguments", arguments);
	char *body = json_dumps(message, JSON_COMPACT);
	json_t *answer = ask_json(place, place->session, body);

	free(body);
	json_decref(message);
	return answer;
}

json_t *structured(json_t *answer)
{
	return json_object_get(json_object_get(answer, "result"), "structuredContent");
}

bool is_error(json_t *answer)
{
	return json_is_true(json_object_get(json_object_get(answer, "result"), "isError"));
}

json_t *text_of_row(json_t *result)
{
	return json_object_get(json_array_get(json_object_get(result, "rows"), 0), "t");
}

bool comes_to(const struct tools_place *place, const char *tool, const char *arguments,
	      const char *wanted, bool failed)
{
	json_t *answer = call(place, tool, json_loads(arguments, JSON_ALLOW_NUL, NULL));
	json_t *result = json_object_get(answer, "result"), *expected = json_loads(wanted, 0, NULL);
	json_t *said = json_object_get(json_array_get(json_object_get(result, "content"), 0), "text");
	bool good = json_is_true(json_object_get(result, "isError")) == failed;

	if (expected != NULL) { /* the text says the same */
		json_t *same = json_loads(json_string_value(said) != NULL ? json_string_value(said) : "",
					  0, NULL);

		good &= json_equal(structured(answer), expected) && json_equal(same, expected);
		json_decref(same);
	} else {
		good &= structured(answer) == NULL && json_string_value(said) != NULL &&
			strstr(json_string_value(said), wanted) != NULL;
	}
	if (!good)
		tap_note("%s %s: %s", tool, arguments, strstr(text, "\r\n\r\n"));
	json_decref(expected);
	json_decref(answer);
	return good;
}

/* ---- an HTTP server */

/* Answers with its request, as JSON: the target has no quotes. With the number of its connection where
 * it asks for that. */
static void play(struct kit_mock_conn *conn, void *of)
{
	struct tools_origin *origin = of;
	char head[8192], body[8192], answer[20000], line[4096];

	while (kit_mock_read_until(conn, "\r\n\r\n", head, sizeof head, 20000)) {
		const char *length = strstr(head, "content-length: ");
		size_t size = length != NULL ? strtoul(length + 16, NULL, 10) : 0;

		kolk__add_acq_rel(&origin->requests, 1);
		if (size >= sizeof body || !kit_mock_read(conn, body, size, 10000))
			return;
		body[size] = '\0';
		snprintf(line, sizeof line, "%.*s", (int)strcspn(head, "\r"), head);
		if (strstr(line, "/missing") != NULL) {
			kit_mock_say(conn, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone");
			continue;
		}
		if (strstr(line, "/number") != NULL) {
			snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
				 "%05u", kit_mock_number(conn));
			kit_mock_say(conn, answer);
			continue;
		}
		if (strstr(line, "/silent") != NULL) {
			kit_mock_drain(conn, 20000);
			return;
		}
		snprintf(answer, sizeof answer, "{\"line\":\"%s\",\"header\":%s,\"body\":%s}", line,
			 strstr(head, "x-own: yes") != NULL ? "true" : "false",
			 size > 0 ? body : "null");
		snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
			 strlen(answer));
		if (!kit_mock_say(conn, head) || !kit_mock_say(conn, answer))
			return;
	}
}

bool tools_origin_open(struct tools_origin *origin, char pools[300])
{
	origin->mock = kit_mock_open(&(struct kit_mock_options){ .play = play, .user = origin });
	if (origin->mock == NULL)
		return FAILED("there is a server");
	snprintf(pools, 300, "  - {name: web, protocol: http, address: \"%s\"}\n"
			     "  - {name: dead, protocol: http, address: \"127.0.0.1:1\"}\n",
		 kit_mock_address(origin->mock));
	return true;
}
