/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_cache_test.c - results that a server without sessions says may be kept: for whom, for what, how
 * long. What the server was asked says which answers were kept ones.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/mcp_place.h"
#include "tests/kit/cert.h"

/* ---- a gateway in front of a server of 2026-07-28 */

static uint64_t had; /* requests to the server, up to the last look */

/* route: more keys of it, ", mcp: {...}". */
static bool begin(struct place *place, const struct mcp_options *server, const char *mcp,
		  const char *route)
{
	struct place_options o = { .server = *server, .users = true, .admin = true };
	char keys[256], routes[512];

	had = 0;
	o.server.versions = "2026-07-28";
	snprintf(keys, sizeof keys, "era: modern%s", mcp);
	snprintf(routes, sizeof routes,
		 "    - {match: {path: /mcp}, pool: tools%s}\n    - {match: {path: /other}, pool: tools}\n"
		 "    - {match: {path: /open}, tenant: none, pool: tools}\n", route);
	o.mcp = keys;
	o.routes = routes;
	return place_open(place, &o);
}

/* How many requests the server has had since the last look. */
static uint64_t asked(const struct place *place)
{
	uint64_t now = number(place, MCP_N_requests), before = had;

	had = now;
	return now - before;
}

/* ---- clients */

static const char *path = "/mcp", *id = "1", *token = "";
static const char *capabilities = "", *client = CLIENT_INFO;
static const char *meta = ""; /* more of _meta, with a comma behind */

/* What is asked for by these params; NULL = by its method alone. */
static const char *name_of(const char *method, const char *params, char name[256])
{
	const char *uri = strstr(params, "\"uri\":\"");

	if (strcmp(method, "tools/call") == 0)
		return strstr(params, "touch") != NULL ? "touch" :
		       strstr(params, "prompt") != NULL ? "test_trigger_prompt_change" :
							  "test_trigger_tool_change";
	if (uri == NULL)
		return NULL;
	snprintf(name, 256, "%.*s", (int)strcspn(uri + 7, "\""), uri + 7);
	return name;
}

/* params: with a comma behind each. */
static int begin_modern(const struct place *place, const char *method, const char *params)
{
	char line[64], fields[1024], body[2048], name[256];
	size_t size;

	snprintf(line, sizeof line, "POST %s", path);
	modern_fields(fields, method, name_of(method, params, name));
	size = strlen(fields);
	if (token[0] != '\0')
		snprintf(fields + size, sizeof fields - size, "Authorization: Bearer %s\r\n", token);
	snprintf(body, sizeof body, REQUEST("%s", "%s", "%s" META_OF("%s", "%s", "%s")), id, method,
		 params, meta, capabilities, client);
	return begin_request(place, line, fields, body);
}

static int modern(const struct place *place, const char *method, const char *params)
{
	return read_answer(begin_modern(place, method, params));
}

static uint64_t ttl_ms(void)
{
	const char *at = strstr(text, "\"ttlMs\":");

	return at != NULL ? strtoull(at + 8, NULL, 10) : UINT64_MAX;
}

/* What the body says but for the id and the time. */
static void body_of(char body[PROGRAM_TEXT])
{
	const char *at = strstr(text, "\"result\":"), *ttl = strstr(text, "\"ttlMs\":");

	body[0] = '\0';
	if (at != NULL && ttl != NULL)
		snprintf(body, PROGRAM_TEXT, "%.*s#%s", (int)(ttl - at), at,
			 ttl + 8 + strspn(ttl + 8, "0123456789"));
}

#define LIST "tools/list", ""
#define READ(name) "resources/read", "\"uri\":\"test://" name "\","

/* ---- what is kept */

static void test_public(void)
{
	static const char *const lists[] = { "server/discover", "tools/list", "prompts/list",
					     "resources/list", "resources/templates/list" };
	static char first[PROGRAM_TEXT], second[PROGRAM_TEXT];
	struct mcp_options o = { .ttl = 3600000 };
	struct place place;

	MUST(begin(&place, &o, "", ""));
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		user = "ann", id = "1";
		CHECK(modern(&place, lists[i], "") == 200 && has("\"id\":1,") && ttl_ms() == 3600000);
		body_of(first);
		CHECK(asked(&place) == 1);
		user = "bob", id = "\"x\\u0031\"";
		CHECK(modern(&place, lists[i], "") == 200 && has("\"id\":\"x\\u0031\",\"result\":"));
		CHECK(has("content-type: application/json") && has("cache-control: no-store"));
		CHECK(ttl_ms() < 3600000 && ttl_ms() > 0);
		body_of(second);
		CHECK(first[0] != '\0' && strcmp(first, second) == 0);
		CHECK(asked(&place) == 0);
	}
	CHECK(modern(&place, READ("static-text")) == 200 && asked(&place) == 1);
	user = "ann", id = "1";
	CHECK(modern(&place, READ("static-text")) == 200 && has("content of the static text"));
	CHECK(asked(&place) == 0);
	CHECK(modern(&place, READ("watched-resource")) == 200 && has("Watched") && asked(&place) == 1);
	place_close(&place);
}

/* Nothing that the key does not have, and nothing that is no result. */
static void test_asked_again(void)
{
	struct mcp_options o = { .ttl = 3600000, .page = 5 };
	struct place place;

	MUST(begin(&place, &o, "", ""));
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 1);
	CHECK(modern(&place, "tools/list", "\"cursor\":\"5\",") == 200 && asked(&place) == 1);
	CHECK(modern(&place, "tools/list", "\"cursor\":\"10\",") == 200 && asked(&place) == 1);
	CHECK(modern(&place, "tools/list", "\"cursor\":\"5\",") == 200 && asked(&place) == 0);
	CHECK(has("\"nextCursor\":\"10\""));
	for (int i = 0; i < 2; i++)
		CHECK(modern(&place, "tools/list", "\"filter\":\"a\",") == 200 && asked(&place) == 1);
	for (int i = 0; i < 2; i++)
		CHECK(modern(&place, "tools/list", "\"requestState\":\"a\",") == 200 && asked(&place) == 1);
	meta = "\"com.example/region\":\"eu\",";
	for (int i = 0; i < 2; i++)
		CHECK(modern(&place, LIST) == 200 && asked(&place) == 1);
	meta = "\"progressToken\":7,\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
	       "-01\",";
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 0);
	meta = "";
	capabilities = "\"sampling\":{}";
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 1);
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 0);
	capabilities = "";
	client = "\"name\":\"t\",\"version\":\"2\"";
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 1);
	client = "\"name\":\"t\",\"version\":\"1\"";
	path = "/other";
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 1);
	path = "/mcp";
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 0);
	for (int i = 0; i < 2; i++) {
		CHECK(modern(&place, READ("no-such")) == 200 && has("\"error\":{\"code\":-32602"));
		CHECK(asked(&place) == 1);
	}
	for (int i = 0; i < 2; i++) {
		CHECK(modern(&place, "tools/call", "\"name\":\"touch\",\"arguments\":{},") == 200);
		CHECK(asked(&place) == 1);
	}
	place_close(&place);
}

static void test_private(void)
{
	struct mcp_options o = { .ttl = 3600000, .private = 1 };
	struct place place;

	MUST(begin(&place, &o, "", ""));
	CHECK(modern(&place, LIST) == 200 && has("\"cacheScope\":\"private\"") && asked(&place) == 1);
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 0);
	user = "bob";
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 1);
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 0);
	user = "ann";
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 0);
	/* Where clients are not told apart none has anything for itself. */
	path = "/open";
	for (int i = 0; i < 2; i++)
		CHECK(modern(&place, LIST) == 200 && asked(&place) == 1);
	path = "/mcp";
	place_close(&place);
}

/* A server that says nothing of the kind, and a route that keeps nothing. */
static void test_not_kept(void)
{
	struct mcp_options o = { .ttl = 0 };
	struct place place;

	MUST(begin(&place, &o, "", ""));
	for (int i = 0; i < 3; i++)
		CHECK(modern(&place, LIST) == 200 && ttl_ms() == 0 && asked(&place) == 1);
	place_close(&place);
	o.ttl = 3600000;
	MUST(begin(&place, &o, "", ", mcp: {cache_max: 0}"));
	for (int i = 0; i < 3; i++)
		CHECK(modern(&place, LIST) == 200 && ttl_ms() == 3600000 && asked(&place) == 1);
	place_close(&place);
}

/* ---- how long */

static void test_time(void)
{
	struct mcp_options o = { .ttl = 400 };
	struct place place;

	MUST(begin(&place, &o, "", ""));
	CHECK(modern(&place, LIST) == 200);
	(void)asked(&place);
	CHECK(WITHIN_MS(10000, modern(&place, LIST) == 200 && asked(&place) == 1));
	CHECK(ttl_ms() == 400);
	place_close(&place);
}

static int listen_to(const struct place *place, const char *what)
{
	int fd = begin_modern(place, "subscriptions/listen", what);

	CHECK(client_read(fd, "}\n\n", text) && has("acknowledged"));
	return fd;
}

static bool tells(int fd, const char *what)
{
	return client_read(fd, "}\n\n", text) && has(what);
}

static void test_changes(void)
{
	struct mcp_options o = { .ttl = 3600000 };
	struct place place;
	int fd;

	MUST(begin(&place, &o, "", ""));
	fd = listen_to(&place, "\"notifications\":{\"toolsListChanged\":true,\"promptsListChanged\":true,"
			       "\"resourceSubscriptions\":[\"test://watched-resource\"]},");
	CHECK(modern(&place, LIST) == 200 && modern(&place, "prompts/list", "") == 200);
	CHECK(modern(&place, READ("watched-resource")) == 200 && modern(&place, "server/discover", "") == 200);
	(void)asked(&place);
	CHECK(modern(&place, "tools/call", "\"name\":\"test_trigger_tool_change\",\"arguments\":{},") == 200);
	CHECK(tells(fd, "notifications/tools/list_changed") && asked(&place) == 1);
	CHECK(modern(&place, "prompts/list", "") == 200 && asked(&place) == 0);
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 1);
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 0);
	CHECK(modern(&place, "tools/call", "\"name\":\"test_trigger_prompt_change\",\"arguments\":{},") ==
	      200);
	CHECK(tells(fd, "notifications/prompts/list_changed") && asked(&place) == 1);
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 0);
	CHECK(modern(&place, "prompts/list", "") == 200 && asked(&place) == 1);
	CHECK(modern(&place, READ("watched-resource")) == 200 && asked(&place) == 0);
	CHECK(modern(&place, "tools/call", "\"name\":\"touch\",\"arguments\":{},") == 200);
	CHECK(tells(fd, "notifications/resources/updated") && asked(&place) == 1);
	CHECK(modern(&place, READ("watched-resource")) == 200 && asked(&place) == 1);
	CHECK(modern(&place, "server/discover", "") == 200 && asked(&place) == 0);
	/* What another route's clients are told of holds here, too. */
	close(fd);
	path = "/other";
	fd = listen_to(&place, "\"notifications\":{\"toolsListChanged\":true},");
	path = "/mcp";
	(void)asked(&place);
	CHECK(modern(&place, "tools/call", "\"name\":\"test_trigger_tool_change\",\"arguments\":{},") == 200);
	CHECK(tells(fd, "notifications/tools/list_changed") && asked(&place) == 1);
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 1);
	close(fd);
	place_close(&place);
}

static void test_reload(void)
{
	struct mcp_options o = { .ttl = 3600000 };
	struct place place;

	MUST(begin(&place, &o, "", ""));
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 1);
	CHECK(program_reload(&place.program));
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 1);
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 0);
	place_close(&place);
}

/* A stream goes by the configuration from before a reload. Nothing is kept for its sake, and the gateway
 * ends while it is open. */
static void test_reload_beside_a_stream(void)
{
	struct mcp_options o = { .ttl = 3600000 };
	struct place place;
	int fd;

	MUST(begin(&place, &o, "", ""));
	fd = listen_to(&place, "\"notifications\":{\"toolsListChanged\":true},");
	CHECK(modern(&place, LIST) == 200);
	CHECK(program_admin_says(&place.program, place_admin(), "/api/pool-status", "\"entries\":1,",
				 text));
	CHECK(program_reload(&place.program));
	CHECK(program_admin_says(&place.program, place_admin(), "/api/pool-status", "\"entries\":0,",
				 text));
	place_close(&place);
	close(fd);
}

/* ---- tokens of clients that the server looks at: each has what it was told itself */

static void test_tokens(void)
{
	/* Two of one principal, as they say; the server does not take the second one. */
	static const char good[] = "e30.eyJpc3MiOiJpIiwic3ViIjoicyIsImF1ZCI6Im0ifQ.Z29vZA";
	static const char forged[] = "e30.eyJpc3MiOiJpIiwic3ViIjoicyIsImF1ZCI6Im0ifQ.YmFk";
	struct mcp_options o = { .ttl = 3600000 };
	char taken[64], lines[256];
	struct place place;

	snprintf(taken, sizeof taken, "/tmp/kolk-mcp-cache-%d.tokens", (int)getpid());
	snprintf(lines, sizeof lines, "%s ann\nopaque bob\n", good);
	MUST(kit_file_write(taken, lines));
	o.tokens = taken;
	for (o.private = 0; o.private < 2; o.private++) {
		MUST(begin(&place, &o, "", ", mcp: {client_token: pass}"));
		token = good;
		CHECK(modern(&place, LIST) == 200 && asked(&place) == 1);
		CHECK(modern(&place, LIST) == 200 && asked(&place) == 0);
		token = forged;
		CHECK(modern(&place, LIST) == 401 && modern(&place, LIST) == 401 && has("www-authenticate: "));
		token = "opaque";
		CHECK(modern(&place, LIST) == 200 && asked(&place) == 1);
		token = "";
		CHECK(modern(&place, LIST) == 401);
		place_close(&place);
	}
	unlink(taken);
}

/* The gateway's own token: another one sees other things. */
static void test_own_token(void)
{
	struct mcp_options o = { .ttl = 3600000 };
	char shown[64], taken[64], mcp[128];
	struct place place;

	snprintf(shown, sizeof shown, "/tmp/kolk-mcp-cache-%d.shown", (int)getpid());
	snprintf(taken, sizeof taken, "/tmp/kolk-mcp-cache-%d.tokens", (int)getpid());
	snprintf(mcp, sizeof mcp, ", token_file: %s", shown);
	MUST(kit_file_write(taken, "one ann\nanother bob\n") && kit_file_write(shown, "one\n"));
	o.tokens = taken;
	MUST(begin(&place, &o, mcp, ""));
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 1);
	user = "bob";
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 0);
	user = "ann";
	MUST(kit_file_write(shown, "another\n"));
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 1);
	CHECK(modern(&place, LIST) == 200 && asked(&place) == 0);
	place_close(&place);
	unlink(shown);
	unlink(taken);
}

/* ---- what it tells of itself */

static void test_status(void)
{
	struct mcp_options o = { .ttl = 3600000 };
	struct place place;

	MUST(begin(&place, &o, "", ""));
	for (int i = 0; i < 4; i++)
		CHECK(modern(&place, LIST) == 200);
	CHECK(modern(&place, "tools/call", "\"name\":\"touch\",\"arguments\":{},") == 200);
	MUST(place_get(&place, "/api/pool-status", text));
	CHECK(has("\"cache\":{\"hits\":3,\"misses\":1,\"entries\":1,\"bytes\":") && !has("\"bytes\":0}"));
	CHECK(has("\"virginHits\":0,\"firstByte\":{\"count\":2,\"meanNs\":"));
	MUST(place_get(&place, "/metrics", text));
	CHECK(has("kolk_gateway_mcp_cache_requests_total{pool=\"tools\",outcome=\"hit\"} 3\n"));
	CHECK(has("kolk_gateway_mcp_cache_requests_total{pool=\"tools\",outcome=\"miss\"} 1\n"));
	CHECK(has("kolk_gateway_mcp_cache_entries{pool=\"tools\"} 1\n"));
	CHECK(has("kolk_gateway_mcp_cache_bytes{pool=\"tools\"} "));
	/* Two went to the server. */
	CHECK(has("kolk_gateway_mcp_sessions_not_ended_total{pool=\"tools\"} 0\n"));
	CHECK(has("kolk_gateway_mcp_virgin_hits_total{pool=\"tools\"} 0\n"));
	CHECK(has("kolk_gateway_mcp_first_byte_seconds_bucket{pool=\"tools\",le=\"+Inf\"} 2\n"));
	CHECK(has("kolk_gateway_mcp_first_byte_seconds_count{pool=\"tools\"} 2\n"));
	place_close(&place);
}

static const struct tap_test tests[] = {
	{ "results that are public are kept for all", test_public },
	{ "what is no kept result is asked for", test_asked_again },
	{ "results that are private are kept for who asked", test_private },
	{ "a server or a route that keeps nothing", test_not_kept },
	{ "a result is kept for its time", test_time },
	{ "what has changed is asked for", test_changes },
	{ "a reload keeps no results", test_reload },
	{ "a reload keeps no results for a stream from before it", test_reload_beside_a_stream },
	{ "tokens that are passed on share nothing", test_tokens },
	{ "another token of the gateway's own", test_own_token },
	{ "numbers of kept results", test_status },
};

TAP_TESTS(mcp_cache, tests);
