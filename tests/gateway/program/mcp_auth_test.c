/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_auth_test.c - who may use an MCP route, whose its sessions are, which tokens its server sees. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"
#include "tests/kit/cert.h"
#include "tests/mcp/fixture.h"

static char text[PROGRAM_TEXT];

/* ---- tokens that say whose they are, and are signed by nobody */

static void base64url(const char *from, char *to)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t bits = 0, count = 0;

	for (; *from != '\0'; from++) {
		bits = bits << 8 | (uint8_t)*from;
		for (count += 8; count >= 6; count -= 6)
			*to++ = digits[bits >> (count - 6) & 63];
	}
	if (count > 0)
		*to++ = digits[bits << (6 - count) & 63];
	*to = '\0';
}

struct token {
	char text[256];
};

static struct token token_of(const char *subject, uint32_t number)
{
	char claims[128], payload[200];
	struct token token;

	snprintf(claims, sizeof claims, "{\"iss\":\"i\",\"sub\":\"%s\",\"aud\":\"m\",\"exp\":%u}", subject,
		 4000000000u + number);
	base64url(claims, payload);
	snprintf(token.text, sizeof token.text, "e30.%s.c2ln", payload);
	return token;
}

/* ---- a gateway in front of the fixture, which takes the tokens of a file */

struct place {
	struct program program;
	struct mcp_fixture *server;
	char directory[32], shown[64], taken[64]; /* files of the gateway's and of the server's tokens */
};

static bool write_file(const char *path, const char *content)
{
	char next[96];

	snprintf(next, sizeof next, "%s.next", path);
	return kit_file_write(next, content) && rename(next, path) == 0;
}

static bool take(const struct place *place, const struct token *token, const char *principal)
{
	char line[320];

	snprintf(line, sizeof line, "%s %s\n", token->text, principal);
	return write_file(place->taken, line);
}

static bool files_make(struct place *place)
{
	strcpy(place->directory, "/tmp/kolk-auth-XXXXXX");
	if (mkdtemp(place->directory) == NULL)
		return FAILED("there is a directory");
	snprintf(place->shown, sizeof place->shown, "%s/shown", place->directory);
	snprintf(place->taken, sizeof place->taken, "%s/taken", place->directory);
	return true;
}

static bool begin(struct place *place, const char *mcp, const char *route, const char *gateway,
		  struct mcp_options *o)
{
	char pools[512], routes[768];

	o->listen = "127.0.0.1:0";
	place->server = mcp_fixture_open(o);
	if (place->server == NULL)
		return FAILED("there is a server");
	snprintf(pools, sizeof pools, "  - {name: tools, protocol: mcp, address: \"%s\", "
				      "limits: {connections_max: 16, idle_min: 0}, mcp: {%s}}\n",
		 mcp_fixture_address(place->server), mcp);
	snprintf(routes, sizeof routes, "    - {match: {path: /mcp}, pool: tools%s}\n"
					"    - {match: {path: /other}, pool: tools%s}\n", route, route);
	return program_start_with(&place->program, &(struct program_file){
		.engine = "loops: 3", .pools = pools, .gateway = gateway, .routes = routes });
}

static uint64_t number(const struct place *place, enum mcp_number of)
{
	return mcp_fixture_number(place->server, of);
}

static void end(struct place *place)
{
	CHECK(program_stop(&place->program, 15000));
	CHECK(number(place, MCP_N_foreign) == 0 && number(place, MCP_N_leaks) == 0);
	mcp_fixture_close(place->server);
	if (place->directory[0] != '\0') {
		unlink(place->shown);
		unlink(place->taken);
		rmdir(place->directory);
	}
}

/* ---- requests */

struct sent {
	const char *line, *session, *token, *body; /* NULL = none */
	const char *fields;
};

static int status(const char *answer)
{
	return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
}

static int ask_into(const struct place *place, const struct sent *sent, char to[PROGRAM_TEXT])
{
	const char *body = sent->body != NULL ? sent->body : "";
	const char *line = sent->line != NULL ? sent->line : "POST /mcp";
	char request[4096];
	int fd = program_connect(&place->program);

	snprintf(request, sizeof request,
		 "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
		 "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
		 "%s%s%s%s%s%s%sContent-Length: %zu\r\n\r\n%s", line,
		 sent->session != NULL ? "Mcp-Session-Id: " : "", sent->session != NULL ? sent->session : "",
		 sent->session != NULL ? "\r\n" : "",
		 sent->token != NULL ? "Authorization: Bearer " : "", sent->token != NULL ? sent->token : "",
		 sent->token != NULL ? "\r\n" : "", sent->fields != NULL ? sent->fields : "",
		 strlen(body), body);
	to[0] = '\0';
	if (fd < 0 || !client_send(fd, request) || !client_read(fd, NULL, to))
		FAILED("a request is answered");
	close(fd);
	return status(to);
}

static int ask(const struct place *place, const struct sent *sent)
{
	return ask_into(place, sent, text);
}

static bool has(const char *what)
{
	if (strstr(text, what) != NULL)
		return true;
	tap_note("%.700s", text);
	return false;
}

#define INITIALIZE_AS(version, capabilities)                                                       \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":" \
	"\"" version "\",\"capabilities\":{" capabilities "},\"clientInfo\":{\"name\":\"t\","         \
	"\"version\":\"1\"}}}"
#define INITIALIZE INITIALIZE_AS("2025-11-25", "")
#define CALL(tool) \
	"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"" tool "\"," \
	"\"arguments\":{\"nonce\":\"done\"}}}"

static bool open_as(const struct place *place, const char *token, const char *initialize,
		    char id[256])
{
	const char *at;

	if (ask(place, &(struct sent){ .token = token, .body = initialize }) != 200) {
		tap_note("%.700s", text);
		return FAILED("a session is made");
	}
	at = strstr(text, "mcp-session-id: ");
	return at != NULL && sscanf(at, "mcp-session-id: %250s", id) == 1;
}

static bool open_session(const struct place *place, const char *token, char id[256])
{
	return open_as(place, token, INITIALIZE, id);
}

static int call(const struct place *place, const char *id, const char *token)
{
	return ask(place, &(struct sent){ .session = id, .token = token, .body = CALL("whoami") });
}

/* A request that stands for itself. */
#define MODERN_FIELDS(tool) \
	"Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: " tool "\r\n"
#define MODERN(tool, more, can)                                                                    \
	"{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/call\",\"params\":{\"name\":\"" tool "\"," \
	"\"arguments\":{}," more "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":"          \
	"\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities\":{" can "},"                  \
	"\"io.modelcontextprotocol/clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}}"

/* ---- metadata of the resource, and what a 401 says of it */

#define TENANTS "  tenants: {from: bearer, file: %s}\n"
/* SHA-256 of "one" and "two". */
#define ONE_AND_TWO                                                                  \
	"team 7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed\n" \
	"team 3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3\n"

static void test_metadata(void)
{
	static const char route[] = ", mcp: {resource: \"https://gw.test/mcp\", authorization_servers: "
				    "[\"https://id.test\"], scopes: [\"files:read\", \"files:write\"]}, "
				    "cors: {origins: [\"https://app.test\"]}";
	static const char where[] = "resource_metadata=\"https://gw.test/.well-known/"
				    "oauth-protected-resource/mcp\", scope=\"files:read files:write\"\r\n";
	struct mcp_options o = { .listen = NULL };
	struct place place;
	char gateway[128];

	MUST(files_make(&place) && kit_file_write(place.taken, ONE_AND_TWO));
	snprintf(gateway, sizeof gateway, TENANTS, place.taken);
	MUST(begin(&place, "path: /mcp", route, gateway, &o));
	CHECK(ask(&place, &(struct sent){ .line = "GET /.well-known/oauth-protected-resource/mcp",
					  .fields = "Origin: https://app.test\r\n" }) == 200);
	CHECK(has("content-type: application/json") && has("access-control-allow-origin: https://app.test"));
	CHECK(has("{\"resource\":\"https://gw.test/mcp\",\"authorization_servers\":[\"https://id.test\"],"
		  "\"bearer_methods_supported\":[\"header\"],"
		  "\"scopes_supported\":[\"files:read\",\"files:write\"]}"));
	CHECK(ask(&place, &(struct sent){ .line = "HEAD /.well-known/oauth-protected-resource/mcp" }) ==
	      200 && strstr(text, "{") == NULL);
	CHECK(ask(&place, &(struct sent){ .line = "POST /.well-known/oauth-protected-resource/mcp" }) ==
	      405 && has("allow: GET, HEAD"));
	CHECK(ask(&place, &(struct sent){ .line = "GET /.well-known/oauth-protected-resource/no" }) == 404);
	CHECK(ask(&place, &(struct sent){ .body = INITIALIZE }) == 401);
	CHECK(has("www-authenticate: Bearer resource_metadata=") && has(where));
	CHECK(ask(&place, &(struct sent){ .token = "three", .body = INITIALIZE }) == 401);
	CHECK(has("www-authenticate: Bearer error=\"invalid_token\", resource_metadata=") && has(where));
	end(&place);
}

/* ---- a session is its principal's */

/* The state of a call that is suspended. */
static bool suspend(const struct place *place, const char *token, char state[256])
{
	const char *at;

	if (ask(place, &(struct sent){ .token = token, .fields = MODERN_FIELDS("test_elicitation"),
				       .body = MODERN("test_elicitation", "", "\"elicitation\":{}") }) !=
		    200 ||
	    (at = strstr(text, "\"requestState\":\"")) == NULL)
		return has("requestState");
	return sscanf(at, "\"requestState\":\"%250[^\"]", state) == 1;
}

static int go_on(const struct place *place, const char *token, const char *state)
{
	char body[2048];

	snprintf(body, sizeof body,
		 MODERN("test_elicitation", "\"inputResponses\":{\"1\":{\"action\":\"accept\","
					    "\"content\":{\"response\":\"yes\"}}},\"requestState\":\"%s\",",
			"\"elicitation\":{}"), state);
	return ask(place, &(struct sent){ .token = token, .fields = MODERN_FIELDS("test_elicitation"),
					  .body = body });
}

/* Two tokens of one tenant: what is not readable is a principal by itself. */
static void test_principal(void)
{
	struct mcp_options o = { .versions = "2025-11-25" };
	char id[256], state[256], gateway[128];
	struct place place;

	MUST(files_make(&place) && kit_file_write(place.taken, ONE_AND_TWO));
	snprintf(gateway, sizeof gateway, TENANTS, place.taken);
	MUST(begin(&place, "path: /mcp", "", gateway, &o));
	MUST(open_session(&place, "one", id));
	CHECK(call(&place, id, "two") == 404);
	CHECK(ask(&place, &(struct sent){ .line = "GET /mcp", .session = id, .token = "two" }) == 404);
	CHECK(ask(&place, &(struct sent){ .line = "DELETE /mcp", .session = id, .token = "two" }) == 404);
	CHECK(ask(&place, &(struct sent){ .line = "POST /other", .session = id, .token = "one",
					  .body = CALL("echo") }) == 404);
	CHECK(call(&place, id, "one") == 200 && !strstr(text, "Bearer"));
	MUST(suspend(&place, "one", state));
	CHECK(go_on(&place, "two", state) == 400 && has("requestState is unknown"));
	CHECK(go_on(&place, "one", state) == 200 && has("\"resultType\":\"complete\""));
	end(&place);
}

/* ---- tokens that are signed: a refreshed one is of the same principal */

/* Keys of P-256, and a token of each: iss "i", sub "alice", exp in 2096; aud of the last one alone:
 * "other" and "https://gw.test/mcp". */
#define KEY_THREE \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"three\"," \
	"\"x\":\"p91I6QlXFoHVqrWoGT1J2eHW8oZj0OqYACrN9_468_c\"," \
	"\"y\":\"8pIz3ydXX52ypFF-JfsRtJHWWJZNQTXv5pVtQcIfT6I\"}"
static const char signed_three[] = "eyJhbGciOiJFUzI1NiIsImtpZCI6InRocmVlIn0."
		   "eyJpc3MiOiJpIiwic3ViIjoiYWxpY2UiLCJhdWQiOlsib3RoZXIiLCJodHRwczovL2d3LnRlc3QvbWNwIl0sImV4"
		   "cCI6NDAwMDAwMDAwMH0."
		   "lFm52tPlEaW1MdbhIUextGRXra1R93fQi_FyWNm6qW8nXzUssX2GvEKcU8VufaZwq_WfhCDrYSc-_62oCquzTQ";
#define KEY_ONE \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"one\"," \
	"\"x\":\"bHc6uRP3iVQwiDcSG5Lp2psYPSBlkZHVVbtCiN6wRLs\"," \
	"\"y\":\"Qc2WHrVA6tjxVvD4wrbGvBHCnllZMxZ2Zp4bWT-8ruE\"}"
#define KEY_TWO \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"two\"," \
	"\"x\":\"j5MBYpTd92wHM8lLPIQ1CW8w-Az3BPVjicMimrE5LHg\"," \
	"\"y\":\"P9YbgrwYL1WTlXOkD9-HOgA3mqB9mCkupbkkzE8MuXo\"}"
static const char signed_one[] = "eyJhbGciOiJFUzI1NiIsImtpZCI6Im9uZSJ9."
		   "eyJpc3MiOiJpIiwic3ViIjoiYWxpY2UiLCJleHAiOjQwMDAwMDAwMDB9."
		   "7h1lsyTbPwnLRuj_N4PUCu3A1iDJBO6Al2Q0ohZeudxQffVI3NHc0k3UnYLwXGU7rFhCo0SA6Bc7JPC_rYtNZg";
static const char signed_two[] = "eyJhbGciOiJFUzI1NiIsImtpZCI6InR3byJ9."
		   "eyJpc3MiOiJpIiwic3ViIjoiYWxpY2UiLCJleHAiOjQwMDAwMDAwMDB9."
		   "GCKm0jnCN9BcUimfIIgYgsulCe8eaVhlWZAm4EDFH34-r13_kLb2oRPyJvw9PFMa6xbBWso3wSoUhHT1kDJE1Q";

static bool begin_signed(struct place *place, const char *route, struct mcp_options *o)
{
	char gateway[160];

	if (!files_make(place) ||
	    !kit_file_write(place->taken, "{\"keys\":[" KEY_ONE "," KEY_TWO "," KEY_THREE "]}"))
		return FAILED("there are keys");
	snprintf(gateway, sizeof gateway,
		 "  tenants: {from: jwt, issuer: i, audience: any, keys_file: %s}\n", place->taken);
	return begin(place, "path: /mcp", route, gateway, o);
}

static void test_refreshed(void)
{
	struct mcp_options o = { .listen = NULL };
	struct place place;
	char id[256];

	MUST(begin_signed(&place, "", &o));
	MUST(open_session(&place, signed_one, id));
	CHECK(call(&place, id, signed_two) == 200 && call(&place, id, signed_one) == 200);
	CHECK(call(&place, id, signed_three) == 404); /* of another audience */
	CHECK(number(&place, MCP_N_sessions_created) == 1);
	end(&place);
}

/* Without an audience in `tenants` a token is for the resource. */
static void test_audience(void)
{
	static const char route[] = ", mcp: {resource: \"https://gw.test/mcp\", authorization_servers: "
				    "[\"https://id.test\"]}";
	struct mcp_options o = { .listen = NULL };
	struct place place;
	char id[256];

	MUST(begin_signed(&place, route, &o));
	CHECK(ask(&place, &(struct sent){ .token = signed_one, .body = INITIALIZE }) == 401 &&
	      has("error=\"invalid_token\""));
	CHECK(open_session(&place, signed_three, id) && call(&place, id, signed_three) == 200);
	end(&place);
}

/* ---- tokens of clients that the server sees */

#define PASS ", mcp: {client_token: pass}"

static void test_pass(void)
{
	const struct token ann = token_of("ann", 1), newer = token_of("ann", 2);
	const struct token bob = token_of("bob", 1);
	char id[256], older[256], lines[1024];
	struct mcp_options o = { .listen = NULL };
	struct place place;

	MUST(files_make(&place) && take(&place, &ann, "ann"));
	o.tokens = place.taken;
	MUST(begin(&place, "path: /mcp", PASS, NULL, &o));
	CHECK(ask(&place, &(struct sent){ .body = INITIALIZE }) == 401);
	CHECK(has("www-authenticate: Bearer realm=\"fixture\", resource_metadata="
		  "\"https://fixture.test/.well-known/oauth-protected-resource\"\r\n"));
	CHECK(ask(&place, &(struct sent){ .token = bob.text, .body = INITIALIZE }) == 401);
	MUST(open_session(&place, ann.text, id));
	MUST(open_as(&place, ann.text, INITIALIZE_AS("2025-03-26", ""), older));
	CHECK(call(&place, id, ann.text) == 200 && has(ann.text));
	CHECK(call(&place, id, NULL) == 404);
	snprintf(lines, sizeof lines, "%s ann\n%s bob\n", newer.text, bob.text);
	MUST(write_file(place.taken, lines));
	CHECK(call(&place, id, ann.text) == 401 && has("www-authenticate: Bearer realm=\"fixture\""));
	CHECK(ask(&place, &(struct sent){ .session = older, .token = ann.text,
					  .body = "[" CALL("whoami") "]" }) == 401);
	CHECK(has("www-authenticate: Bearer realm=\"fixture\""));
	CHECK(call(&place, id, newer.text) == 200 && has(newer.text));
	CHECK(call(&place, id, bob.text) == 404 && !strstr(text, "www-authenticate"));
	snprintf(lines, sizeof lines, "%s ann narrow\n%s ann\n", newer.text, ann.text);
	MUST(write_file(place.taken, lines));
	CHECK(call(&place, id, newer.text) == 403);
	CHECK(has("www-authenticate: Bearer error=\"insufficient_scope\", scope=\"files:write\"\r\n"));
	CHECK(ask(&place, &(struct sent){ .line = "DELETE /mcp", .session = id, .token = ann.text }) ==
	      200);
	CHECK(ask(&place, &(struct sent){ .line = "DELETE /mcp", .session = older,
					  .token = ann.text }) == 200);
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_sessions_open) == 0));
	end(&place);
}

/* Requests that stand for themselves, to a server with sessions: each its own, by its own token. */
static void test_pass_modern(void)
{
	const struct token ann = token_of("ann", 1), bob = token_of("bob", 1);
	char state[256], lines[1024];
	struct mcp_options o = { .versions = "2025-11-25" };
	struct place place;

	MUST(files_make(&place));
	snprintf(lines, sizeof lines, "%s ann\n%s bob\n", ann.text, bob.text);
	MUST(write_file(place.taken, lines));
	o.tokens = place.taken;
	MUST(begin(&place, "path: /mcp", PASS, NULL, &o));
	CHECK(ask(&place, &(struct sent){ .fields = MODERN_FIELDS("whoami"),
					  .body = MODERN("whoami", "", "") }) == 401);
	CHECK(has("www-authenticate: Bearer realm=\"fixture\""));
	for (int i = 0; i < 4; i++) {
		const char *token = i % 2 == 0 ? ann.text : bob.text;

		CHECK(ask(&place, &(struct sent){ .token = token, .fields = MODERN_FIELDS("whoami"),
						  .body = MODERN("whoami", "", "") }) == 200 && has(token));
	}
	MUST(suspend(&place, ann.text, state));
	CHECK(go_on(&place, bob.text, state) == 400 && has("requestState is unknown"));
	CHECK(go_on(&place, ann.text, state) == 200 && has("\"resultType\":\"complete\""));
	end(&place);
}

/* ---- the gateway's own token changes */

/* At the first 401 the file has another token. */
struct renewal {
	const char *path, *content;
	bool done;
};

static void renew(void *user)
{
	struct renewal *renewal = user;

	if (renewal->content != NULL && !renewal->done)
		CHECK(write_file(renewal->path, renewal->content));
	renewal->done = true;
}

static bool begin_with_token(struct place *place, const char *more, struct mcp_options *o,
			     const struct token *shown, const struct token *taken)
{
	char mcp[256];

	if (!files_make(place) || !write_file(place->shown, shown->text) || !take(place, taken, "svc"))
		return FAILED("there are files");
	o->tokens = place->taken;
	snprintf(mcp, sizeof mcp, "token_file: %s%s", place->shown, more);
	return begin(place, mcp, "", NULL, o);
}

/* The server's 401 comes before the gateway has looked at its file: the question for the era, the
 * session, the call; of the same principal, and of another one. */
static void retry_once(const char *more, const char *versions, bool modern, const char *subject)
{
	const struct token first = token_of("svc", 1), second = token_of(subject, 2);
	struct renewal renewal = { .content = second.text };
	struct mcp_options o = { .versions = versions, .on_refused = renew, .on_refused_user = &renewal };
	struct place place;
	char id[256];

	MUST(begin_with_token(&place, more, &o, &first, &second));
	renewal.path = place.shown;
	usleep(60000); /* the file is not fresh any more */
	if (modern)
		CHECK(ask(&place, &(struct sent){ .fields = MODERN_FIELDS("whoami"),
						  .body = MODERN("whoami", "", "") }) == 200 &&
		      has(second.text));
	else
		CHECK(open_session(&place, NULL, id) && call(&place, id, NULL) == 200 &&
		      has(second.text));
	if (number(&place, MCP_N_refused) != 1)
		tap_note("%llu refused", (unsigned long long)number(&place, MCP_N_refused));
	CHECK(number(&place, MCP_N_refused) == 1);
	end(&place);
}

static void test_retry(void)
{
	retry_once("", "2026-07-28", true, "svc");
	retry_once("", "2025-11-25", true, "svc");
	retry_once("", "2025-11-25", false, "svc");
	retry_once(", era: modern", "2026-07-28", true, "svc");
	retry_once("", "2025-11-25", true, "other");
	retry_once("", "2025-11-25", false, "other");
}

/* It is one retry, and none without another token. */
static void test_refused(void)
{
	const struct token first = token_of("svc", 1), second = token_of("svc", 2);
	const struct token third = token_of("svc", 3);
	struct renewal renewal = { .content = second.text };
	struct mcp_options o = { .versions = "2026-07-28", .on_refused = renew,
				 .on_refused_user = &renewal };
	const struct sent sent = { .fields = MODERN_FIELDS("whoami"), .body = MODERN("whoami", "", "") };
	struct place place;

	MUST(begin_with_token(&place, ", era: modern", &o, &first, &third));
	renewal.path = place.shown;
	usleep(60000);
	CHECK(ask(&place, &sent) == 502 && !strstr(text, "www-authenticate"));
	CHECK(number(&place, MCP_N_refused) == 2);
	CHECK(ask(&place, &sent) == 502 && number(&place, MCP_N_refused) == 3);
	MUST(write_file(place.shown, ""));
	CHECK(ask(&place, &sent) == 502 && number(&place, MCP_N_refused) == 4); /* the last one known */
	MUST(write_file(place.shown, third.text));
	CHECK(ask(&place, &sent) == 200 && number(&place, MCP_N_refused) == 4);
	end(&place);
}

/* ---- and changes while there are calls: none is lost, none is made for the one before */

enum { CALLERS = 4, CALLS = 60 };

struct rotation {
	struct place place;
	KOLK__ATOMIC(const char *) before; /* a token that no call may show any more */
	kolk__atomic_u32 done, lost, old, remade;
};

/* True: it was answered. A session that ended for the other principal is made again. */
static bool call_legacy(struct rotation *rotation, char id[256], char answer[PROGRAM_TEXT])
{
	const struct place *place = &rotation->place;
	const char *at;

	if (ask_into(place, &(struct sent){ .session = id, .body = CALL("whoami") }, answer) == 200)
		return true;
	if (id[0] != '\0' && status(answer) != 404)
		return false;
	kolk__add_relaxed(&rotation->remade, 1);
	if (ask_into(place, &(struct sent){ .body = INITIALIZE }, answer) != 200 ||
	    (at = strstr(answer, "mcp-session-id: ")) == NULL ||
	    sscanf(at, "mcp-session-id: %250s", id) != 1)
		return false;
	return ask_into(place, &(struct sent){ .session = id, .body = CALL("whoami") }, answer) == 200;
}

static bool call_modern(struct rotation *rotation, char answer[PROGRAM_TEXT])
{
	return ask_into(&rotation->place, &(struct sent){ .fields = MODERN_FIELDS("whoami"),
							   .body = MODERN("whoami", "", "") },
			answer) == 200;
}

static void be_caller(struct rotation *rotation, bool modern)
{
	char *answer = malloc(PROGRAM_TEXT), id[256] = "";

	for (int i = 0; i < CALLS; i++) {
		const char *before = kolk__load_acquire(&rotation->before);

		if (!(modern ? call_modern(rotation, answer) : call_legacy(rotation, id, answer))) {
			kolk__add_relaxed(&rotation->lost, 1);
			tap_note("%.500s", answer);
		} else if (before != NULL && strstr(answer, before) != NULL) {
			kolk__add_relaxed(&rotation->old, 1);
		}
		kolk__add_relaxed(&rotation->done, 1);
	}
	free(answer);
}

static void *be_legacy(void *user)
{
	be_caller(user, false);
	return NULL;
}

static void *be_modern(void *user)
{
	be_caller(user, true);
	return NULL;
}

/* The server takes both for a while, as issuers do: then the one before is revoked. */
static void rotate(struct rotation *rotation, const struct token *from, const char *whose,
		   const struct token *to, const char *whose_now)
{
	char lines[2048];

	snprintf(lines, sizeof lines, "%s %s\n%s %s\n", from->text, whose, to->text, whose_now);
	CHECK(write_file(rotation->place.taken, lines) && write_file(rotation->place.shown, to->text));
	kolk__store_release(&rotation->before, from->text);
	if (strcmp(whose, whose_now) == 0)
		CHECK(take(&rotation->place, to, whose_now));
}

static void rotate_under_calls(const char *more, const char *versions)
{
	const struct token tokens[] = { token_of("svc", 1), token_of("svc", 2), token_of("other", 3),
					token_of("other", 4) };
	static const char *const whose[] = { "svc", "svc", "other", "other" };
	struct mcp_options o = { .versions = versions };
	struct rotation rotation = { .before = KOLK__ATOMIC_INIT(NULL) };
	uint32_t lost, old, made;
	pthread_t callers[CALLERS];

	MUST(begin_with_token(&rotation.place, more, &o, &tokens[0], &tokens[0]));
	for (int i = 0; i < CALLERS; i++)
		pthread_create(&callers[i], NULL, i % 2 == 0 ? be_legacy : be_modern, &rotation);
	for (uint32_t i = 0; i < 3; i++) {
		CHECK(WITHIN_MS(20000, kolk__load_relaxed(&rotation.done) >=
					       (i + 1) * CALLERS * CALLS / 4));
		rotate(&rotation, &tokens[i], whose[i], &tokens[i + 1], whose[i + 1]);
	}
	for (int i = 0; i < CALLERS; i++)
		pthread_join(callers[i], NULL);
	lost = kolk__load_relaxed(&rotation.lost);
	old = kolk__load_relaxed(&rotation.old);
	made = kolk__load_relaxed(&rotation.remade);
	tap_note("%u calls: %u lost, %u under the token before, %u sessions made",
		 kolk__load_relaxed(&rotation.done), lost, old, made);
	CHECK(lost == 0 && old == 0);
	CHECK(made == 4); /* each of two callers: at its begin, for the other one */
	end(&rotation.place);
}

static void test_rotation(void)
{
	rotate_under_calls("", "2025-11-25");
	rotate_under_calls(", isolation: tenant, sharing: exclusive", "2025-11-25");
}

/* A session ends with its token while a call waits for what its client, who goes, should answer;
 * then the program ends. */
static void test_waiting(void)
{
	struct token first = token_of("svc", 1), other = token_of("other", 2);
	struct mcp_options o = { .versions = "2026-07-28", .early = 1 }; /* before it has an id */
	char id[256] = "", request[1024], lines[2048];
	struct place place;
	int fd;

	MUST(begin_with_token(&place, "", &o, &first, &first));
	MUST(open_as(&place, NULL, INITIALIZE_AS("2025-11-25", "\"elicitation\":{}"), id));
	fd = program_connect(&place.program);
	snprintf(request, sizeof request,
		 "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
		 "Accept: application/json, text/event-stream\r\nMcp-Session-Id: %s\r\n"
		 "Content-Length: %zu\r\n\r\n%s", id,
		 strlen(CALL("test_input_required_result_elicitation")),
		 CALL("test_input_required_result_elicitation"));
	CHECK(client_send(fd, request) && client_read(fd, "elicitation/create", text));
	snprintf(lines, sizeof lines, "%s svc\n%s other\n", first.text, other.text);
	CHECK(write_file(place.taken, lines) && write_file(place.shown, other.text));
	CHECK(call(&place, id, NULL) == 404);
	close(fd);
	end(&place);
}

static const struct tap_test tests[] = {
	{ "metadata of the resource, and a 401 that says where", test_metadata },
	{ "a session, and a suspended call, are its principal's", test_principal },
	{ "a refreshed token keeps its session", test_refreshed },
	{ "a token is for the resource", test_audience },
	{ "the client's token is passed", test_pass },
	{ "the token of a request that stands for itself is passed", test_pass_modern },
	{ "a token that was renewed is tried once", test_retry },
	{ "a token that is refused", test_refused },
	{ "tokens change while there are calls", test_rotation },
	{ "a token changes while a call waits for its client", test_waiting },
};

TAP_TESTS(mcp_auth, tests);
