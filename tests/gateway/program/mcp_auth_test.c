/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_auth_test.c - who may use an MCP route, whose its sessions are, which tokens its server sees. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/mcp_place.h"
#include "tests/gateway/program/signed.h"
#include "tests/kit/cert.h"

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

static struct files {
	char directory[32], shown[64], taken[64]; /* of the gateway's and of the server's tokens */
} files;

static bool write_file(const char *path, const char *content)
{
	char next[96];

	snprintf(next, sizeof next, "%s.next", path);
	return kit_file_write(next, content) && rename(next, path) == 0;
}

static bool take(const struct token *token, const char *principal)
{
	char line[320];

	snprintf(line, sizeof line, "%s %s\n", token->text, principal);
	return write_file(files.taken, line);
}

static bool files_make(void)
{
	strcpy(files.directory, "/tmp/kolk-auth-XXXXXX");
	if (mkdtemp(files.directory) == NULL)
		return FAILED("there is a directory");
	snprintf(files.shown, sizeof files.shown, "%s/shown", files.directory);
	snprintf(files.taken, sizeof files.taken, "%s/taken", files.directory);
	return true;
}

static bool begin(struct place *place, const char *mcp, const char *route, const char *gateway,
		  const struct mcp_options *server)
{
	return place_open(place, &(struct place_options){
		.server = *server, .mcp = mcp, .route = route, .gateway = gateway,
		.pool = "limits: {connections_max: 16, idle_min: 0}", .leaves_sessions = true });
}

static void end(struct place *place)
{
	place_close(place);
	unlink(files.shown);
	unlink(files.taken);
	rmdir(files.directory);
}

/* ---- requests */

struct sent {
	const char *line, *session, *token, *body; /* NULL = none */
	const char *fields;
};

/* Its status. */
static int ask_as(const struct place *place, const struct sent *sent)
{
	char fields[2048];

	snprintf(fields, sizeof fields, "%s%s%s%s%s", sent->session != NULL ? sent->session : "",
		 sent->token != NULL ? "Authorization: Bearer " : "", sent->token != NULL ? sent->token : "",
		 sent->token != NULL ? "\r\n" : "", sent->fields != NULL ? sent->fields : "");
	return ask(place, sent->line != NULL ? sent->line : "POST /mcp", fields,
		   sent->body != NULL ? sent->body : "");
}

#define PLAIN_INITIALIZE INITIALIZE("2025-11-25", "")
#define CALL_OF(tool) CALL("2", tool, "\"nonce\":\"done\"")

static bool open_as(const struct place *place, const char *token, const char *initialize,
		    char session[512])
{
	(void)ask_as(place, &(struct sent){ .token = token, .body = initialize });
	return take_session(session);
}

static bool open_session(const struct place *place, const char *token, char session[512])
{
	return open_as(place, token, PLAIN_INITIALIZE, session);
}

static int call(const struct place *place, const char *session, const char *token)
{
	return ask_as(place, &(struct sent){ .session = session, .token = token,
					     .body = CALL_OF("whoami") });
}

/* A stateless request. */
#define MODERN(tool, more, can) \
	REQUEST("3", "tools/call", "\"name\":\"" tool "\",\"arguments\":{}," more META("", can))

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

	MUST(files_make() && kit_file_write(files.taken, ONE_AND_TWO));
	snprintf(gateway, sizeof gateway, TENANTS, files.taken);
	MUST(begin(&place, "path: /mcp", route, gateway, &o));
	CHECK(ask_as(&place, &(struct sent){ .line = "GET /.well-known/oauth-protected-resource/mcp",
					  .fields = "Origin: https://app.test\r\n" }) == 200);
	CHECK(says("content-type: application/json") && says("access-control-allow-origin: https://app.test"));
	CHECK(says("{\"resource\":\"https://gw.test/mcp\",\"authorization_servers\":[\"https://id.test\"],"
		  "\"bearer_methods_supported\":[\"header\"],"
		  "\"scopes_supported\":[\"files:read\",\"files:write\"]}"));
	CHECK(ask_as(&place, &(struct sent){ .line = "HEAD /.well-known/oauth-protected-resource/mcp" }) ==
	      200 && strstr(text, "{") == NULL);
	CHECK(ask_as(&place, &(struct sent){ .line = "POST /.well-known/oauth-protected-resource/mcp" }) ==
	      405 && says("allow: GET, HEAD"));
	CHECK(ask_as(&place, &(struct sent){ .line = "GET /.well-known/oauth-protected-resource/no" }) == 404);
	CHECK(ask_as(&place, &(struct sent){ .body = PLAIN_INITIALIZE }) == 401);
	CHECK(says("www-authenticate: Bearer resource_metadata=") && says(where));
	CHECK(ask_as(&place, &(struct sent){ .token = "three", .body = PLAIN_INITIALIZE }) == 401);
	CHECK(says("www-authenticate: Bearer error=\"invalid_token\", resource_metadata=") && says(where));
	end(&place);
}

/* ---- a session is its principal's */

/* The state of a call that is suspended. */
static bool suspend(const struct place *place, const char *token, char state[256])
{
	const char *at;

	if (ask_as(place, &(struct sent){ .token = token, .fields = MODERN_CALL_FIELDS("test_elicitation"),
				       .body = MODERN("test_elicitation", "", "\"elicitation\":{}") }) !=
		    200 ||
	    (at = strstr(text, "\"requestState\":\"")) == NULL)
		return says("requestState");
	return sscanf(at, "\"requestState\":\"%250[^\"]", state) == 1;
}

static int go_on(const struct place *place, const char *token, const char *state)
{
	char body[2048];

	snprintf(body, sizeof body,
		 MODERN("test_elicitation", "\"inputResponses\":{\"1\":{\"action\":\"accept\","
					    "\"content\":{\"response\":\"yes\"}}},\"requestState\":\"%s\",",
			"\"elicitation\":{}"), state);
	return ask_as(place, &(struct sent){ .token = token, .fields = MODERN_CALL_FIELDS("test_elicitation"),
					  .body = body });
}

/* Two tokens of one tenant: what is not readable is a principal by itself. */
static void test_principal(void)
{
	struct mcp_options o = { .versions = "2025-11-25" };
	char session[512], state[256], gateway[128];
	struct place place;

	MUST(files_make() && kit_file_write(files.taken, ONE_AND_TWO));
	snprintf(gateway, sizeof gateway, TENANTS, files.taken);
	MUST(begin(&place, "path: /mcp", "", gateway, &o));
	MUST(open_session(&place, "one", session));
	CHECK(call(&place, session, "two") == 404);
	CHECK(ask_as(&place, &(struct sent){ .line = "GET /mcp", .session = session, .token = "two" }) == 404);
	CHECK(ask_as(&place, &(struct sent){ .line = "DELETE /mcp", .session = session, .token = "two" }) == 404);
	CHECK(ask_as(&place, &(struct sent){ .line = "POST /other", .session = session, .token = "one",
					  .body = CALL_OF("echo") }) == 404);
	CHECK(call(&place, session, "one") == 200 && !strstr(text, "Bearer"));
	MUST(suspend(&place, "one", state));
	CHECK(go_on(&place, "two", state) == 400 && says("requestState is unknown"));
	CHECK(go_on(&place, "one", state) == 200 && says("\"resultType\":\"complete\""));
	end(&place);
}

/* ---- tokens that are signed: a refreshed one is of the same principal */

/* As those of signed.h; aud: "other" and "https://gw.test/mcp". */
#define KEY_THREE \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"three\"," \
	"\"x\":\"p91I6QlXFoHVqrWoGT1J2eHW8oZj0OqYACrN9_468_c\"," \
	"\"y\":\"8pIz3ydXX52ypFF-JfsRtJHWWJZNQTXv5pVtQcIfT6I\"}"
static const char signed_three[] = "eyJhbGciOiJFUzI1NiIsImtpZCI6InRocmVlIn0."
		   "eyJpc3MiOiJpIiwic3ViIjoiYWxpY2UiLCJhdWQiOlsib3RoZXIiLCJodHRwczovL2d3LnRlc3QvbWNwIl0sImV4"
		   "cCI6NDAwMDAwMDAwMH0."
		   "lFm52tPlEaW1MdbhIUextGRXra1R93fQi_FyWNm6qW8nXzUssX2GvEKcU8VufaZwq_WfhCDrYSc-_62oCquzTQ";

static bool begin_signed(struct place *place, const char *route, struct mcp_options *o)
{
	char gateway[160];

	if (!files_make() ||
	    !kit_file_write(files.taken, "{\"keys\":[" KEY_ONE "," KEY_TWO "," KEY_THREE "]}"))
		return FAILED("there are keys");
	snprintf(gateway, sizeof gateway,
		 "  tenants: {from: jwt, issuer: i, audience: any, keys_file: %s}\n", files.taken);
	return begin(place, "path: /mcp", route, gateway, o);
}

static void test_refreshed(void)
{
	struct mcp_options o = { .listen = NULL };
	struct place place;
	char session[512];

	MUST(begin_signed(&place, "", &o));
	MUST(open_session(&place, SIGNED_ONE, session));
	CHECK(call(&place, session, SIGNED_TWO) == 200 && call(&place, session, SIGNED_ONE) == 200);
	CHECK(call(&place, session, signed_three) == 404); /* of another audience */
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
	char session[512];

	MUST(begin_signed(&place, route, &o));
	CHECK(ask_as(&place, &(struct sent){ .token = SIGNED_ONE, .body = PLAIN_INITIALIZE }) == 401 &&
	      says("error=\"invalid_token\""));
	CHECK(open_session(&place, signed_three, session) && call(&place, session, signed_three) == 200);
	end(&place);
}

/* ---- tokens of clients that the server sees */

#define PASS ", mcp: {client_token: pass}"

static void test_pass(void)
{
	const struct token ann = token_of("ann", 1), newer = token_of("ann", 2);
	const struct token bob = token_of("bob", 1);
	char session[512], older[512], lines[1024];
	struct mcp_options o = { .listen = NULL };
	struct place place;

	MUST(files_make() && take(&ann, "ann"));
	o.tokens = files.taken;
	MUST(begin(&place, "path: /mcp", PASS, NULL, &o));
	CHECK(ask_as(&place, &(struct sent){ .body = PLAIN_INITIALIZE }) == 401);
	CHECK(says("www-authenticate: Bearer realm=\"fixture\", resource_metadata="
		  "\"https://fixture.test/.well-known/oauth-protected-resource\"\r\n"));
	CHECK(ask_as(&place, &(struct sent){ .token = bob.text, .body = PLAIN_INITIALIZE }) == 401);
	MUST(open_session(&place, ann.text, session));
	MUST(open_as(&place, ann.text, INITIALIZE("2025-03-26", ""), older));
	CHECK(call(&place, session, ann.text) == 200 && says(ann.text));
	CHECK(call(&place, session, NULL) == 404);
	snprintf(lines, sizeof lines, "%s ann\n%s bob\n", newer.text, bob.text);
	MUST(write_file(files.taken, lines));
	CHECK(call(&place, session, ann.text) == 401 && says("www-authenticate: Bearer realm=\"fixture\""));
	CHECK(ask_as(&place, &(struct sent){ .session = older, .token = ann.text,
					  .body = "[" CALL_OF("whoami") "]" }) == 401);
	CHECK(says("www-authenticate: Bearer realm=\"fixture\""));
	CHECK(call(&place, session, newer.text) == 200 && says(newer.text));
	CHECK(call(&place, session, bob.text) == 404 && !strstr(text, "www-authenticate"));
	snprintf(lines, sizeof lines, "%s ann narrow\n%s ann\n", newer.text, ann.text);
	MUST(write_file(files.taken, lines));
	CHECK(call(&place, session, newer.text) == 403);
	CHECK(says("www-authenticate: Bearer error=\"insufficient_scope\", scope=\"files:write\"\r\n"));
	CHECK(ask_as(&place, &(struct sent){ .line = "DELETE /mcp", .session = session, .token = ann.text }) ==
	      200);
	CHECK(ask_as(&place, &(struct sent){ .line = "DELETE /mcp", .session = older,
					  .token = ann.text }) == 200);
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_sessions_open) == 0));
	end(&place);
}

/* Stateless requests, to a server with sessions: each its own, by its own token. */
static void test_pass_modern(void)
{
	const struct token ann = token_of("ann", 1), bob = token_of("bob", 1);
	char state[256], lines[1024];
	struct mcp_options o = { .versions = "2025-11-25" };
	struct place place;

	MUST(files_make());
	snprintf(lines, sizeof lines, "%s ann\n%s bob\n", ann.text, bob.text);
	MUST(write_file(files.taken, lines));
	o.tokens = files.taken;
	MUST(begin(&place, "path: /mcp", PASS, NULL, &o));
	CHECK(ask_as(&place, &(struct sent){ .fields = MODERN_CALL_FIELDS("whoami"),
					  .body = MODERN("whoami", "", "") }) == 401);
	CHECK(says("www-authenticate: Bearer realm=\"fixture\""));
	for (int i = 0; i < 4; i++) {
		const char *token = i % 2 == 0 ? ann.text : bob.text;

		CHECK(ask_as(&place, &(struct sent){ .token = token, .fields = MODERN_CALL_FIELDS("whoami"),
						  .body = MODERN("whoami", "", "") }) == 200 && says(token));
	}
	MUST(suspend(&place, ann.text, state));
	CHECK(go_on(&place, bob.text, state) == 400 && says("requestState is unknown"));
	CHECK(go_on(&place, ann.text, state) == 200 && says("\"resultType\":\"complete\""));
	end(&place);
}

/* With metadata of the route's own a client is led to that; what else the server asks for stays. */
static void test_pass_metadata(void)
{
	static const char route[] = ", mcp: {client_token: pass, resource: \"https://gw.test/mcp\", "
				    "authorization_servers: [\"https://id.test\"], scopes: [files]}";
	static const char where[] = "resource_metadata=\"https://gw.test/.well-known/"
				    "oauth-protected-resource/mcp\"\r\n";
	const struct token ann = token_of("ann", 1);
	struct mcp_options o = { .listen = NULL };
	char session[512], lines[1024];
	struct place place;

	MUST(files_make() && take(&ann, "ann"));
	o.tokens = files.taken;
	MUST(begin(&place, "path: /mcp", route, NULL, &o));
	CHECK(ask_as(&place, &(struct sent){ .line = "GET /.well-known/oauth-protected-resource/mcp" }) ==
	      200 && says("\"scopes_supported\":[\"files\"]"));
	CHECK(ask_as(&place, &(struct sent){ .body = PLAIN_INITIALIZE }) == 401);
	CHECK(says("www-authenticate: Bearer realm=\"fixture\", ") && says(where));
	MUST(open_session(&place, ann.text, session));
	CHECK(call(&place, session, ann.text) == 200 && !has("www-authenticate"));
	snprintf(lines, sizeof lines, "%s ann narrow\n", ann.text);
	MUST(write_file(files.taken, lines));
	CHECK(call(&place, session, ann.text) == 403);
	CHECK(says("www-authenticate: Bearer error=\"insufficient_scope\", scope=\"files:write\", ") &&
	      says(where));
	MUST(take(&ann, "ann"));
	CHECK(ask_as(&place, &(struct sent){ .line = "DELETE /mcp", .session = session,
					     .token = ann.text }) == 200);
	end(&place);
}

/* ---- the gateway's own token changes */

/* At the first 401 the file has another token. */
struct renewal {
	const char *path, *content;
	bool done;
};

static void renew(void *of)
{
	struct renewal *renewal = of;

	if (renewal->content != NULL && !renewal->done)
		CHECK(write_file(renewal->path, renewal->content));
	renewal->done = true;
}

static bool begin_with_token(struct place *place, const char *more, struct mcp_options *o,
			     const struct token *shown, const struct token *taken)
{
	char mcp[256];

	if (!files_make() || !write_file(files.shown, shown->text) || !take(taken, "svc"))
		return FAILED("there are files");
	o->tokens = files.taken;
	snprintf(mcp, sizeof mcp, "token_file: %s%s", files.shown, more);
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
	char session[512];

	MUST(begin_with_token(&place, more, &o, &first, &second));
	renewal.path = files.shown;
	usleep(60000); /* the file is not fresh any more */
	if (modern)
		CHECK(ask_as(&place, &(struct sent){ .fields = MODERN_CALL_FIELDS("whoami"),
						  .body = MODERN("whoami", "", "") }) == 200 &&
		      says(second.text));
	else
		CHECK(open_session(&place, NULL, session) && call(&place, session, NULL) == 200 &&
		      says(second.text));
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
	const struct sent sent = { .fields = MODERN_CALL_FIELDS("whoami"), .body = MODERN("whoami", "", "") };
	struct place place;

	MUST(begin_with_token(&place, ", era: modern", &o, &first, &third));
	renewal.path = files.shown;
	usleep(60000);
	CHECK(ask_as(&place, &sent) == 502 && !strstr(text, "www-authenticate"));
	CHECK(number(&place, MCP_N_refused) == 2);
	CHECK(ask_as(&place, &sent) == 502 && number(&place, MCP_N_refused) == 3);
	MUST(write_file(files.shown, ""));
	CHECK(ask_as(&place, &sent) == 502 && number(&place, MCP_N_refused) == 4); /* the last one known */
	MUST(write_file(files.shown, third.text));
	CHECK(ask_as(&place, &sent) == 200 && number(&place, MCP_N_refused) == 4);
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
static bool call_legacy(struct rotation *rotation, char session[512])
{
	const struct place *place = &rotation->place;

	if (call(place, session, NULL) == 200)
		return true;
	if (session[0] != '\0' && status() != 404)
		return false;
	kolk__add_relaxed(&rotation->remade, 1);
	return open_session(place, NULL, session) && call(place, session, NULL) == 200;
}

static bool call_modern(struct rotation *rotation)
{
	return ask_as(&rotation->place, &(struct sent){ .fields = MODERN_CALL_FIELDS("whoami"),
							.body = MODERN("whoami", "", "") }) == 200;
}

static void be_caller(struct rotation *rotation, bool modern)
{
	char session[512] = "";

	for (int i = 0; i < CALLS; i++) {
		const char *before = kolk__load_acquire(&rotation->before);

		if (!(modern ? call_modern(rotation) : call_legacy(rotation, session))) {
			kolk__add_relaxed(&rotation->lost, 1);
			tap_note("%.500s", text);
		} else if (before != NULL && has(before)) {
			kolk__add_relaxed(&rotation->old, 1);
		}
		kolk__add_relaxed(&rotation->done, 1);
	}
}

static void *be_legacy(void *of)
{
	be_caller(of, false);
	return NULL;
}

static void *be_modern(void *of)
{
	be_caller(of, true);
	return NULL;
}

/* The server takes both for a while, as issuers do: then the one before is revoked. */
static void rotate(struct rotation *rotation, const struct token *from, const char *whose,
		   const struct token *to, const char *whose_now)
{
	char lines[2048];

	snprintf(lines, sizeof lines, "%s %s\n%s %s\n", from->text, whose, to->text, whose_now);
	CHECK(write_file(files.taken, lines) && write_file(files.shown, to->text));
	kolk__store_release(&rotation->before, from->text);
	if (strcmp(whose, whose_now) == 0)
		CHECK(take(to, whose_now));
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
	/* Each of two callers: at its begin, for the other one; not one that was done before it came. */
	CHECK(made == 3 || made == 4);
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
	char session[512], lines[2048];
	struct place place;
	int fd;

	MUST(begin_with_token(&place, "", &o, &first, &first));
	MUST(open_as(&place, NULL, INITIALIZE("2025-11-25", "\"elicitation\":{}"), session));
	fd = begin_request(&place, "POST /mcp", session, CALL_OF("test_input_required_result_elicitation"));
	CHECK(client_read(fd, "elicitation/create", text));
	snprintf(lines, sizeof lines, "%s svc\n%s other\n", first.text, other.text);
	CHECK(write_file(files.taken, lines) && write_file(files.shown, other.text));
	CHECK(call(&place, session, NULL) == 404);
	close(fd);
	end(&place);
}

static const struct tap_test tests[] = {
	{ "metadata of the resource, and a 401 that says where", test_metadata },
	{ "a session, and a suspended call, are its principal's", test_principal },
	{ "a refreshed token keeps its session", test_refreshed },
	{ "a token is for the resource", test_audience },
	{ "the client's token is passed", test_pass },
	{ "the token of a stateless request is passed", test_pass_modern },
	{ "the client's token is passed, the metadata are the route's", test_pass_metadata },
	{ "a token that was renewed is tried once", test_retry },
	{ "a token that is refused", test_refused },
	{ "tokens change while there are calls", test_rotation },
	{ "a token changes while a call waits for its client", test_waiting },
};

TAP_TESTS(mcp_auth, tests);
