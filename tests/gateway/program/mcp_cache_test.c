/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_cache_test.c - results that a server without sessions says may be kept: for whom, for what, how
 * long. What the server was asked says which answers were kept ones.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"
#include "tests/kit/cert.h"
#include "tests/mcp/fixture.h"

static char text[PROGRAM_TEXT];

/* ---- a gateway in front of a server of 2026-07-28 */

struct place {
	struct program program;
	struct mcp_fixture *server;
	uint64_t asked;              /* requests to the server, up to the last look */
};

static struct program_file file = { .engine = "loops: 3" };
static char pools[512], routes[512];

/* route: more keys of it, ", mcp: {...}". */
static bool begin(struct place *place, struct mcp_options *o, const char *mcp, const char *route)
{
	o->listen = "127.0.0.1:0";
	o->versions = "2026-07-28";
	place->asked = 0;
	place->server = mcp_fixture_open(o);
	if (place->server == NULL)
		return FAILED("there is a server");
	snprintf(pools, sizeof pools,
		 "  - {name: tools, protocol: mcp, address: \"%s\", limits: {idle_min: 0}, "
		 "mcp: {era: modern%s}}\n"
		 "admin: {listen: \"unix:/tmp/kolk-mcp-cache-%d.sock\"}\n",
		 mcp_fixture_address(place->server), mcp, (int)getpid());
	snprintf(routes, sizeof routes,
		 "    - {match: {path: /mcp}, pool: tools%s}\n    - {match: {path: /other}, pool: tools}\n"
		 "    - {match: {path: /open}, tenant: none, pool: tools}\n", route);
	file.pools = pools;
	file.routes = routes;
	file.gateway = "  tenants: {from: header, header: x-user}\n"
		       "  trusted_proxies: [\"127.0.0.0/8\"]\n";
	return program_start_with(&place->program, &file);
}

static void end(struct place *place)
{
	CHECK(program_stop(&place->program, 15000));
	CHECK(mcp_fixture_number(place->server, MCP_N_calls_now) == 0);
	mcp_fixture_close(place->server);
}

/* How many requests the server has had since the last look. */
static uint64_t asked(struct place *place)
{
	uint64_t now = mcp_fixture_number(place->server, MCP_N_requests), before = place->asked;

	place->asked = now;
	return now - before;
}

/* ---- clients */

static const char *user = "ann", *path = "/mcp", *id = "1", *token = "";
static const char *capabilities = "", *client = "\"name\":\"t\",\"version\":\"1\"";
static const char *meta = ""; /* more of _meta, with a comma behind */

static bool has(const char *what)
{
	return strstr(text, what) != NULL;
}

/* A request on a connection of its own, which may be another loop's. params: with a comma behind each. */
static int begin_request(const struct place *place, const char *method, const char *params)
{
	char request[4096], body[2048], name[256] = "";
	const char *uri = strstr(params, "\"uri\":\"");
	int fd = program_connect(&place->program);

	if (uri != NULL)
		snprintf(name, sizeof name, "Mcp-Name: %.*s\r\n", (int)strcspn(uri + 7, "\""), uri + 7);
	if (strcmp(method, "tools/call") == 0)
		strcpy(name, strstr(params, "touch") != NULL ? "Mcp-Name: touch\r\n" :
			     strstr(params, "prompt") != NULL ?
							    "Mcp-Name: test_trigger_prompt_change\r\n" :
							    "Mcp-Name: test_trigger_tool_change\r\n");
	snprintf(body, sizeof body,
		 "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"%s\",\"params\":{%s\"_meta\":{%s"
		 "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
		 "\"io.modelcontextprotocol/clientCapabilities\":{%s},"
		 "\"io.modelcontextprotocol/clientInfo\":{%s}}}}",
		 id, method, params, meta, capabilities, client);
	snprintf(request, sizeof request,
		 "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-User: %s\r\n%s%s"
		 "Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: %s\r\n%s"
		 "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
		 "Content-Length: %zu\r\n\r\n%s", path, user, token[0] != '\0' ? "Authorization: Bearer " :
		 "", token, method, name, strlen(body), body);
	if (token[0] != '\0') { /* the field ends */
		char *at = strstr(request, "Mcp-Protocol-Version");

		memmove(at + 2, at, strlen(at) + 1);
		memcpy(at, "\r\n", 2);
	}
	if (fd >= 0 && !client_send(fd, request))
		FAILED("a request is sent");
	return fd;
}

static int ask(const struct place *place, const char *method, const char *params)
{
	int fd = begin_request(place, method, params);

	client_read(fd, NULL, text);
	close(fd);
	return strncmp(text, "HTTP/1.1 ", 9) == 0 ? atoi(text + 9) : 0;
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
		CHECK(ask(&place, lists[i], "") == 200 && has("\"id\":1,") && ttl_ms() == 3600000);
		body_of(first);
		CHECK(asked(&place) == 1);
		user = "bob", id = "\"x\\u0031\"";
		CHECK(ask(&place, lists[i], "") == 200 && has("\"id\":\"x\\u0031\",\"result\":"));
		CHECK(has("content-type: application/json") && has("cache-control: no-store"));
		CHECK(ttl_ms() < 3600000 && ttl_ms() > 0);
		body_of(second);
		CHECK(first[0] != '\0' && strcmp(first, second) == 0);
		CHECK(asked(&place) == 0);
	}
	CHECK(ask(&place, READ("static-text")) == 200 && asked(&place) == 1);
	user = "ann", id = "1";
	CHECK(ask(&place, READ("static-text")) == 200 && has("content of the static text"));
	CHECK(asked(&place) == 0);
	CHECK(ask(&place, READ("watched-resource")) == 200 && has("Watched") && asked(&place) == 1);
	end(&place);
}

/* Nothing that the key does not have, and nothing that is no result. */
static void test_asked_again(void)
{
	struct mcp_options o = { .ttl = 3600000, .page = 5 };
	struct place place;

	MUST(begin(&place, &o, "", ""));
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 1);
	CHECK(ask(&place, "tools/list", "\"cursor\":\"5\",") == 200 && asked(&place) == 1);
	CHECK(ask(&place, "tools/list", "\"cursor\":\"10\",") == 200 && asked(&place) == 1);
	CHECK(ask(&place, "tools/list", "\"cursor\":\"5\",") == 200 && asked(&place) == 0);
	CHECK(has("\"nextCursor\":\"10\""));
	for (int i = 0; i < 2; i++)
		CHECK(ask(&place, "tools/list", "\"filter\":\"a\",") == 200 && asked(&place) == 1);
	for (int i = 0; i < 2; i++)
		CHECK(ask(&place, "tools/list", "\"requestState\":\"a\",") == 200 && asked(&place) == 1);
	meta = "\"com.example/region\":\"eu\",";
	for (int i = 0; i < 2; i++)
		CHECK(ask(&place, LIST) == 200 && asked(&place) == 1);
	meta = "\"progressToken\":7,\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
	       "-01\",";
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 0);
	meta = "";
	capabilities = "\"sampling\":{}";
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 1);
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 0);
	capabilities = "";
	client = "\"name\":\"t\",\"version\":\"2\"";
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 1);
	client = "\"name\":\"t\",\"version\":\"1\"";
	path = "/other";
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 1);
	path = "/mcp";
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 0);
	for (int i = 0; i < 2; i++) {
		CHECK(ask(&place, READ("no-such")) == 200 && has("\"error\":{\"code\":-32602"));
		CHECK(asked(&place) == 1);
	}
	for (int i = 0; i < 2; i++) {
		CHECK(ask(&place, "tools/call", "\"name\":\"touch\",\"arguments\":{},") == 200);
		CHECK(asked(&place) == 1);
	}
	end(&place);
}

static void test_private(void)
{
	struct mcp_options o = { .ttl = 3600000, .private = 1 };
	struct place place;

	MUST(begin(&place, &o, "", ""));
	CHECK(ask(&place, LIST) == 200 && has("\"cacheScope\":\"private\"") && asked(&place) == 1);
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 0);
	user = "bob";
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 1);
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 0);
	user = "ann";
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 0);
	/* Where clients are not told apart none has anything for itself. */
	path = "/open";
	for (int i = 0; i < 2; i++)
		CHECK(ask(&place, LIST) == 200 && asked(&place) == 1);
	path = "/mcp";
	end(&place);
}

/* A server that says nothing of the kind, and a route that keeps nothing. */
static void test_not_kept(void)
{
	struct mcp_options o = { .ttl = 0 };
	struct place place;

	MUST(begin(&place, &o, "", ""));
	for (int i = 0; i < 3; i++)
		CHECK(ask(&place, LIST) == 200 && ttl_ms() == 0 && asked(&place) == 1);
	end(&place);
	o.ttl = 3600000;
	MUST(begin(&place, &o, "", ", mcp: {cache_max: 0}"));
	for (int i = 0; i < 3; i++)
		CHECK(ask(&place, LIST) == 200 && ttl_ms() == 3600000 && asked(&place) == 1);
	end(&place);
}

/* ---- how long */

static void test_time(void)
{
	struct mcp_options o = { .ttl = 400 };
	struct place place;

	MUST(begin(&place, &o, "", ""));
	CHECK(ask(&place, LIST) == 200);
	(void)asked(&place);
	CHECK(WITHIN_MS(10000, ask(&place, LIST) == 200 && asked(&place) == 1));
	CHECK(ttl_ms() == 400);
	end(&place);
}

static int listen_to(const struct place *place, const char *what)
{
	int fd = begin_request(place, "subscriptions/listen", what);

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
	CHECK(ask(&place, LIST) == 200 && ask(&place, "prompts/list", "") == 200);
	CHECK(ask(&place, READ("watched-resource")) == 200 && ask(&place, "server/discover", "") == 200);
	(void)asked(&place);
	CHECK(ask(&place, "tools/call", "\"name\":\"test_trigger_tool_change\",\"arguments\":{},") == 200);
	CHECK(tells(fd, "notifications/tools/list_changed") && asked(&place) == 1);
	CHECK(ask(&place, "prompts/list", "") == 200 && asked(&place) == 0);
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 1);
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 0);
	CHECK(ask(&place, "tools/call", "\"name\":\"test_trigger_prompt_change\",\"arguments\":{},") ==
	      200);
	CHECK(tells(fd, "notifications/prompts/list_changed") && asked(&place) == 1);
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 0);
	CHECK(ask(&place, "prompts/list", "") == 200 && asked(&place) == 1);
	CHECK(ask(&place, READ("watched-resource")) == 200 && asked(&place) == 0);
	CHECK(ask(&place, "tools/call", "\"name\":\"touch\",\"arguments\":{},") == 200);
	CHECK(tells(fd, "notifications/resources/updated") && asked(&place) == 1);
	CHECK(ask(&place, READ("watched-resource")) == 200 && asked(&place) == 1);
	CHECK(ask(&place, "server/discover", "") == 200 && asked(&place) == 0);
	/* What another route's clients are told of holds here, too. */
	close(fd);
	path = "/other";
	fd = listen_to(&place, "\"notifications\":{\"toolsListChanged\":true},");
	path = "/mcp";
	(void)asked(&place);
	CHECK(ask(&place, "tools/call", "\"name\":\"test_trigger_tool_change\",\"arguments\":{},") == 200);
	CHECK(tells(fd, "notifications/tools/list_changed") && asked(&place) == 1);
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 1);
	close(fd);
	end(&place);
}

static void test_reload(void)
{
	struct mcp_options o = { .ttl = 3600000 };
	struct place place;

	MUST(begin(&place, &o, "", ""));
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 1);
	CHECK(program_configure_with(&place.program, &file) && program_reload(&place.program));
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 1);
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 0);
	end(&place);
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
		CHECK(ask(&place, LIST) == 200 && asked(&place) == 1);
		CHECK(ask(&place, LIST) == 200 && asked(&place) == 0);
		token = forged;
		CHECK(ask(&place, LIST) == 401 && ask(&place, LIST) == 401 && has("www-authenticate: "));
		token = "opaque";
		CHECK(ask(&place, LIST) == 200 && asked(&place) == 1);
		token = "";
		CHECK(ask(&place, LIST) == 401);
		end(&place);
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
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 1);
	user = "bob";
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 0);
	user = "ann";
	MUST(kit_file_write(shown, "another\n"));
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 1);
	CHECK(ask(&place, LIST) == 200 && asked(&place) == 0);
	end(&place);
	unlink(shown);
	unlink(taken);
}

/* ---- what it tells of itself */

static void show(const char *target)
{
	char command[256];
	FILE *out;

	snprintf(command, sizeof command, "curl -s -m 20 --unix-socket /tmp/kolk-mcp-cache-%d.sock "
					  "http://kolk%s", (int)getpid(), target);
	out = popen(command, "r");
	text[out != NULL ? fread(text, 1, sizeof text - 1, out) : 0] = '\0';
	CHECK(out != NULL && pclose(out) == 0);
}

static void test_status(void)
{
	struct mcp_options o = { .ttl = 3600000 };
	struct place place;

	MUST(begin(&place, &o, "", ""));
	for (int i = 0; i < 4; i++)
		CHECK(ask(&place, LIST) == 200);
	CHECK(ask(&place, "tools/call", "\"name\":\"touch\",\"arguments\":{},") == 200);
	show("/api/pool-status");
	CHECK(has("\"cache\":{\"hits\":3,\"misses\":1,\"entries\":1,\"bytes\":") && !has("\"bytes\":0}"));
	show("/metrics");
	CHECK(has("kolk_gateway_mcp_cache_requests_total{pool=\"tools\",outcome=\"hit\"} 3\n"));
	CHECK(has("kolk_gateway_mcp_cache_requests_total{pool=\"tools\",outcome=\"miss\"} 1\n"));
	CHECK(has("kolk_gateway_mcp_cache_entries{pool=\"tools\"} 1\n"));
	CHECK(has("kolk_gateway_mcp_cache_bytes{pool=\"tools\"} "));
	end(&place);
}

static const struct tap_test tests[] = {
	{ "results that are public are kept for all", test_public },
	{ "what is no kept result is asked for", test_asked_again },
	{ "results that are private are kept for who asked", test_private },
	{ "a server or a route that keeps nothing", test_not_kept },
	{ "a result is kept for its time", test_time },
	{ "what has changed is asked for", test_changes },
	{ "a reload keeps no results", test_reload },
	{ "tokens that are passed on share nothing", test_tokens },
	{ "another token of the gateway's own", test_own_token },
	{ "numbers of kept results", test_status },
};

TAP_TESTS(mcp_cache, tests);
