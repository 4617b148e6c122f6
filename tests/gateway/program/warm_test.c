/* SPDX-License-Identifier: Apache-2.0 */
/* warm_test.c - what tenants used most is there when the gateway begins again; and what is wrong with
 * a state file. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"
#include "tests/kit/origin.h"
#include "tests/mcp/fixture.h"

static char text[PROGRAM_TEXT];

/* One server, and gateways one after the other. */
struct place {
	struct program program;
	struct mcp_fixture *server;
	char directory[32], state[64], token[64], admin[64];
	const char *mcp;  /* options of its pool */
	const char *routes; /* NULL = one to this pool */
	const char *more; /* of the section gateway */
};

#define TENANTS "  tenants: {from: header, header: x-user}\n  trusted_proxies: [\"127.0.0.0/8\"]\n"

static bool write_file(const char *path, const char *content)
{
	FILE *file = fopen(path, "w");

	if (file == NULL)
		return FAILED("a file can be written");
	fputs(content, file);
	return fclose(file) == 0;
}

static bool begin(struct place *place)
{
	char pools[512], gateway[512];

	snprintf(pools, sizeof pools,
		 "  - {name: tools, protocol: mcp, address: \"%s\", limits: {idle_min: 0}, mcp: {%s}}\n"
		 "admin: {listen: \"unix:%s\"}\n", mcp_fixture_address(place->server), place->mcp,
		 place->admin);
	snprintf(gateway, sizeof gateway, TENANTS "  warm_state_file: %s\n%s", place->state,
		 place->more != NULL ? place->more : "");
	memset(&place->program, 0, sizeof place->program);
	return program_start_with(&place->program, &(struct program_file){
		.engine = "loops: 3", .pools = pools, .gateway = gateway,
		.routes = place->routes != NULL ? place->routes :
						  "    - {match: {path: /mcp}, pool: tools}\n" });
}

static bool open_place(struct place *place, struct mcp_options *o)
{
	o->listen = "127.0.0.1:0";
	place->server = mcp_fixture_open(o);
	snprintf(place->directory, sizeof place->directory, "/tmp/kolk-warm-XXXXXX");
	if (place->server == NULL || mkdtemp(place->directory) == NULL)
		return FAILED("there is a server");
	snprintf(place->state, sizeof place->state, "%s/state", place->directory);
	snprintf(place->token, sizeof place->token, "%s/token", place->directory);
	snprintf(place->admin, sizeof place->admin, "%s/admin", place->directory);
	return true;
}

/* No session is left at the server, and nothing but what was meant to be in the directory. */
static void close_place(struct place *place)
{
	CHECK(mcp_fixture_number(place->server, MCP_N_sessions_open) == 0);
	CHECK(mcp_fixture_number(place->server, MCP_N_leaks) == 0);
	mcp_fixture_close(place->server);
	(void)unlink(place->state);
	(void)unlink(place->token);
	(void)unlink(place->admin);
	CHECK(rmdir(place->directory) == 0);
}

static bool end(struct place *place)
{
	return CHECK(program_stop(&place->program, 15000));
}

static uint64_t created(const struct place *place)
{
	return mcp_fixture_number(place->server, MCP_N_sessions_created);
}

static const char *state_of(const struct place *place)
{
	FILE *file = fopen(place->state, "r");
	size_t size = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;

	text[size] = '\0';
	if (file != NULL)
		fclose(file);
	return text;
}

/* Whether the admin server says so at this path, soon. */
static bool says(const struct place *place, const char *path, const char *wanted)
{
	return program_admin_says(&place->program, place->admin, path, wanted, text);
}

/* So many are made ahead, without a request. */
static bool is_made(const struct place *place, int number)
{
	char wanted[128];

	snprintf(wanted, sizeof wanted, "\nkolk_gateway_warm_total{outcome=\"made\"} %d\n", number);
	return says(place, "/metrics", wanted);
}

/* ---- clients */

static int ask_line(const struct place *place, const char *line, const char *user,
		    const char *fields, const char *body)
{
	char request[4096];
	int fd = program_connect(&place->program);

	snprintf(request, sizeof request,
		 "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-User: %s\r\n"
		 "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
		 "%sContent-Length: %zu\r\n\r\n%s", line, user, fields, strlen(body), body);
	if (fd < 0 || !client_send(fd, request))
		FAILED("a request is sent");
	client_read(fd, NULL, text);
	close(fd);
	return strncmp(text, "HTTP/1.1 ", 9) == 0 ? atoi(text + 9) : 0;
}

static int ask(const struct place *place, const char *user, const char *fields, const char *body)
{
	return ask_line(place, "POST /mcp", user, fields, body);
}

#define INITIALIZE(name)                                                                           \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":" \
	"\"2025-11-25\",\"capabilities\":{\"roots\":{}},\"clientInfo\":{\"name\":\"" name "\","     \
	"\"version\":\"1\"}}}"
#define ECHO \
	"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\"," \
	"\"arguments\":{\"nonce\":\"n1\"}"

/* A session, and in it a call; or none, of a client that has no more use for it. */
static void use_session(const struct place *place, const char *user, bool calls)
{
	char id[256] = "", fields[512];
	const char *at;

	CHECK(ask(place, user, "", INITIALIZE("desk")) == 200);
	at = strstr(text, "mcp-session-id: ");
	CHECK(at != NULL && sscanf(at, "mcp-session-id: %250s", id) == 1);
	snprintf(fields, sizeof fields, "Mcp-Session-Id: %s\r\n", id);
	if (calls)
		CHECK(ask(place, user, fields, ECHO "}}") == 200 && strstr(text, "n1") != NULL);
	CHECK(ask_line(place, "DELETE /mcp", user, fields, "") == 200);
}

static void work(const struct place *place, const char *user)
{
	use_session(place, user, true);
}

static void work_federated(const struct place *place, const char *user)
{
	use_session(place, user, false);
}

static void work_modern(const struct place *place, const char *user)
{
	CHECK(ask(place, user,
		  "Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\n",
		  ECHO ",\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
		  "\"io.modelcontextprotocol/clientCapabilities\":{},"
		  "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}}") == 200);
	CHECK(strstr(text, "n1") != NULL);
}

/* ---- sessions */

/* The first request of a user who was there often costs no initialize; that of another one does. */
static void comes_back_to(struct place place, void (*use)(const struct place *place, const char *user))
{
	struct mcp_options o = { .listen = NULL };
	uint64_t made;

	place.more = "  warm_pairs_max: 1\n";
	MUST(open_place(&place, &o));
	MUST(begin(&place));
	for (int i = 0; i < 4; i++)
		use(&place, "alice");
	MUST(end(&place));
	made = created(&place);
	CHECK(made == 1);
	MUST(begin(&place));
	CHECK(is_made(&place, 1) && created(&place) == made + 1);
	use(&place, "alice");
	CHECK(created(&place) == made + 1);
	use(&place, "bob");
	CHECK(created(&place) == made + 2);
	MUST(end(&place));
	CHECK(strstr(state_of(&place), "\"tenant\":\"alice\"") != NULL);
	CHECK(strstr(text, "bob") == NULL); /* the less frequent of two has no place */
	close_place(&place);
}

static void comes_back(const char *mcp, void (*use)(const struct place *place, const char *user))
{
	comes_back_to((struct place){ .mcp = mcp }, use);
}

static void test_sessions(void)
{
	comes_back("era: legacy, isolation: tenant, sharing: exclusive", work);
}

static void test_bound(void)
{
	comes_back("era: legacy, isolation: tenant, sharing: bound", work);
}

static void test_multiplexed(void)
{
	comes_back("era: legacy, isolation: tenant, sharing: multiplexed", work);
}

static void test_calls(void)
{
	comes_back("era: legacy, isolation: tenant, sharing: exclusive", work_modern);
}

static void test_federation(void)
{
	comes_back_to((struct place){
		.mcp = "era: legacy, isolation: tenant, sharing: exclusive",
		.routes = "    - {match: {path: /mcp}, federation: [{pool: tools}]}\n" },
		      work_federated);
}

/* A client that says something else of itself is told apart: the session that was made ahead is not
 * its own. */
static void test_another_client(void)
{
	struct place place = { .mcp = "era: legacy, isolation: tenant, sharing: exclusive" };
	struct mcp_options o = { .listen = NULL };

	MUST(open_place(&place, &o));
	MUST(begin(&place));
	work(&place, "alice");
	MUST(end(&place));
	MUST(begin(&place));
	CHECK(is_made(&place, 1) && created(&place) == 2);
	CHECK(ask(&place, "alice", "", INITIALIZE("another desk")) == 200);
	CHECK(created(&place) == 3);
	MUST(end(&place));
	close_place(&place);
}

/* ---- sessions that each client has alone: mcp.isolation is `session` unless it says otherwise */

/* They wait, each for its own. */
static bool waits(const struct place *place, int number)
{
	char wanted[64];

	snprintf(wanted, sizeof wanted, "\nkolk_gateway_warm_waiting %d\n", number);
	return says(place, "/metrics", wanted);
}

/* The one of a frequent user is made before the first request, is given once, and to no other one. */
static void test_alone(void)
{
	struct place place = { .mcp = "era: legacy" };
	struct mcp_options o = { .listen = NULL };

	MUST(open_place(&place, &o));
	MUST(begin(&place));
	work(&place, "alice");
	MUST(end(&place));
	CHECK(created(&place) == 1);
	CHECK(strstr(state_of(&place), "\"kind\":\"session\"") != NULL && strstr(text, "desk") != NULL);
	MUST(begin(&place));
	CHECK(is_made(&place, 1) && waits(&place, 1) && created(&place) == 2);
	work(&place, "bob");
	CHECK(created(&place) == 3);
	CHECK(ask(&place, "alice", "", INITIALIZE("another desk")) == 200);
	CHECK(created(&place) == 4 && waits(&place, 1));
	work(&place, "alice");
	CHECK(created(&place) == 4 && waits(&place, 0));
	CHECK(says(&place, "/api/pool-status", "\"waiting\":0,\"taken\":1,\"unused\":0,"));
	work(&place, "alice");
	CHECK(created(&place) == 5);
	MUST(end(&place));
	close_place(&place);
}

/* One is made ahead for each of so many users, and each is taken by its client. */
static void each_has_its_own(struct place place, int users,
			     void (*use)(const struct place *place, const char *user))
{
	struct mcp_options o = { .listen = NULL };
	const uint64_t all = 2 * (uint64_t)users;
	char name[16];

	MUST(open_place(&place, &o));
	MUST(begin(&place));
	for (int i = 0; i < users; i++) {
		snprintf(name, sizeof name, "user%d", i);
		use(&place, name);
	}
	MUST(end(&place));
	MUST(begin(&place));
	CHECK(is_made(&place, users) && waits(&place, users) && created(&place) == all);
	for (int i = 0; i < users; i++) {
		snprintf(name, sizeof name, "user%d", i);
		use(&place, name);
		CHECK(created(&place) == all);
	}
	MUST(end(&place));
	close_place(&place);
}

/* They wait on the loops where they were made, and their clients come on whichever. */
static void test_alone_of_many(void)
{
	each_has_its_own((struct place){ .mcp = "era: legacy" }, 24, work);
}

/* The client's session, and so those with its servers, is on the loop where one waits. */
static void test_alone_in_federation(void)
{
	each_has_its_own((struct place){
		.mcp = "era: legacy",
		.routes = "    - {match: {path: /mcp}, federation: [{pool: tools}]}\n" },
			 8, work_federated);
}

/* The pool ended it meanwhile: its client gets another one, and does not see it. */
static void test_alone_evicted(void)
{
	struct place place = { .mcp = "era: legacy" };
	struct mcp_options o = { .listen = NULL };
	char evict[256];

	MUST(open_place(&place, &o));
	MUST(begin(&place));
	work(&place, "alice");
	MUST(end(&place));
	MUST(begin(&place));
	CHECK(is_made(&place, 1) && waits(&place, 1));
	snprintf(evict, sizeof evict, "/api/evict --unix-socket %s -H 'Content-Type: application/json' "
		 "-d '{\"pool\":\"tools.mcp\"}'", place.admin);
	CHECK(program_curl(&place.program, evict, text) == 0 && strstr(text, "outdated") != NULL);
	CHECK(WITHIN_MS(10000, mcp_fixture_number(place.server, MCP_N_sessions_open) == 0));
	work(&place, "alice");
	CHECK(created(&place) == 3);
	MUST(end(&place));
	close_place(&place);
}

/* Its client does not come for as long as a session may be idle. */
static void test_alone_over(void)
{
	struct place place = { .mcp = "era: legacy, idle_timeout: 1s" };
	struct mcp_options o = { .listen = NULL };

	MUST(open_place(&place, &o));
	MUST(begin(&place));
	work(&place, "alice");
	MUST(end(&place));
	MUST(begin(&place));
	CHECK(is_made(&place, 1));
	CHECK(says(&place, "/api/pool-status", "\"waiting\":0,\"taken\":0,\"unused\":1,"));
	CHECK(WITHIN_MS(10000, mcp_fixture_number(place.server, MCP_N_sessions_open) == 0));
	work(&place, "alice");
	CHECK(created(&place) == 3);
	MUST(end(&place));
	close_place(&place);
}

/* It is used once, and held until then: the pool could not end it to make room. */
static void test_virgin(void)
{
	struct place place = { .mcp = "era: legacy, isolation: tenant, sharing: virgin" };
	struct mcp_options o = { .listen = NULL };

	MUST(open_place(&place, &o));
	MUST(begin(&place));
	work(&place, "alice");
	MUST(end(&place));
	MUST(begin(&place));
	CHECK(is_made(&place, 1) && created(&place) == 1); /* a connection */
	work(&place, "alice");
	CHECK(created(&place) == 2);
	MUST(end(&place));
	close_place(&place);
}

/* The token is that of the file, which is configured, and not in the state; it may be another one at
 * the next start. */
static void test_token(void)
{
	struct mcp_options o = { .listen = NULL };
	struct place place = { .mcp = NULL };
	struct stat about;
	char mcp[256];

	MUST(open_place(&place, &o));
	snprintf(mcp, sizeof mcp, "era: legacy, isolation: tenant, sharing: exclusive, token_file: %s",
		 place.token);
	place.mcp = mcp;
	MUST(write_file(place.token, "first-secret-token\n"));
	MUST(begin(&place));
	work(&place, "alice");
	MUST(end(&place));
	CHECK(strstr(state_of(&place), "alice") != NULL && strstr(text, "secret") == NULL);
	CHECK(stat(place.state, &about) == 0 && (about.st_mode & 07777) == 0600);
	MUST(write_file(place.token, "second-secret-token\n"));
	MUST(begin(&place));
	CHECK(is_made(&place, 1) && created(&place) == 2);
	work(&place, "alice");
	CHECK(created(&place) == 2);
	MUST(end(&place));
	MUST(unlink(place.token) == 0); /* no token: nothing is made */
	MUST(begin(&place));
	CHECK(ask(&place, "alice", "", INITIALIZE("desk")) != 200);
	CHECK(created(&place) == 2);
	MUST(end(&place));
	close_place(&place);
}

/* ---- connections */

/* Of version 1, whose uses have no time. */
#define STATE(pairs) "{\"kolk-gateway\":\"warm state\",\"version\":1,\"pairs\":[" pairs "]}"
#define CONNECTION(pool) \
	"{\"kind\":\"connection\",\"uses\":3,\"pool\":\"" pool "\",\"tenant\":\"alice\"}"

/* A gateway before a pool `api` of protocol http, at this port; with this state. */
static bool begin_api(struct place *place, uint16_t port, const char *tls, const char *state)
{
	char pools[256], gateway[512];

	snprintf(pools, sizeof pools,
		 "  - {name: api, protocol: http, address: \"127.0.0.1:%u\", limits: {idle_min: 0}%s}\n"
		 "admin: {listen: \"unix:%s\"}\n", port, tls, place->admin);
	snprintf(gateway, sizeof gateway, TENANTS "  warm_state_file: %s\n", place->state);
	return write_file(place->state, state) &&
	       program_start_with(&place->program, &(struct program_file){
		       .pools = pools, .gateway = gateway,
		       .routes = "    - {match: {path: /api}, pool: api}\n" });
}

static void test_connections(void)
{
	struct kit_origin *origin = kit_origin_open(&(struct kit_origin_options){ 0 });
	struct mcp_options o = { .listen = NULL };
	struct place place = { .mcp = "" };

	MUST(origin != NULL && open_place(&place, &o));
	MUST(begin_api(&place, kit_origin_port(origin), "",
		       STATE(CONNECTION("api") "," CONNECTION("gone"))));
	CHECK(is_made(&place, 1) && kit_origin_counts(origin).accepted == 1);
	CHECK(says(&place, "/api/pool-status", "\"restored\":2,\"made\":1,\"failed\":0,\"skipped\":1,"));
	MUST(end(&place));
	kit_origin_close(origin);
	close_place(&place);
}

/* A server that does not answer: the end does not wait for it, and the pair is kept. */
static void test_end_while_it_is_made(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct mcp_options o = { .listen = NULL };
	struct place place = { .mcp = "" };
	socklen_t size = sizeof at;

	MUST(bind(silent, (struct sockaddr *)&at, size) == 0 && listen(silent, 8) == 0 &&
	     getsockname(silent, (struct sockaddr *)&at, &size) == 0);
	MUST(open_place(&place, &o));
	MUST(begin_api(&place, ntohs(at.sin_port), ", tls: {}", STATE(CONNECTION("api"))));
	CHECK(says(&place, "/api/pool-status", "\"dialing\":1"));
	MUST(end(&place));
	CHECK(strstr(state_of(&place), "\"pool\":\"api\"") != NULL &&
	      strstr(text, "alice") != NULL);
	close(silent);
	close_place(&place);
}

/* ---- the file */

static void test_written_meanwhile(void)
{
	struct place place = { .mcp = "era: legacy, isolation: tenant, sharing: exclusive",
			       .more = "  warm_interval: 1s\n" };
	struct mcp_options o = { .listen = NULL };

	MUST(open_place(&place, &o));
	MUST(begin(&place));
	work(&place, "alice");
	CHECK(WITHIN_MS(10000, strstr(state_of(&place), "alice") != NULL));
	MUST(end(&place));
	close_place(&place);
}

/* It is told, nothing is made, the gateway serves, and what is there stays. */
static void is_not_taken(const char *content, const char *why)
{
	struct place place = { .mcp = "era: legacy, isolation: tenant, sharing: exclusive" };
	struct mcp_options o = { .listen = NULL };

	MUST(open_place(&place, &o));
	MUST(write_file(place.state, content));
	MUST(begin(&place));
	CHECK(program_says(&place.program, why));
	CHECK(strstr(place.program.said, "nothing is made ahead") != NULL);
	work(&place, "alice");
	CHECK(created(&place) == 1);
	MUST(end(&place));
	CHECK(strcmp(state_of(&place), content) == 0);
	close_place(&place);
}

static void test_bad_files(void)
{
	is_not_taken("root:x:0:0:root:/root:/bin/sh\n", "it is damaged");
	is_not_taken("{\"kolk-gateway\":\"warm state\",\"version\":1,\"pairs\":[{", "it is damaged");
	is_not_taken("{\"name\":\"a package\"}", "it is no state of kolk-gateway");
	is_not_taken("{\"kolk-gateway\":\"warm state\",\"version\":3,\"pairs\":[]}",
		     "it is of another version");
}

/* What cannot be written is told at the start, once, and costs nothing else. */
static void test_no_place(void)
{
	static const char told[] = "cannot be written: No such file or directory";
	struct place place = { .mcp = "era: legacy, isolation: tenant, sharing: exclusive",
			       .more = "  warm_interval: 1s\n" };
	struct mcp_options o = { .listen = NULL };
	const char *first;

	MUST(open_place(&place, &o));
	snprintf(place.state, sizeof place.state, "%s/none/state", place.directory);
	MUST(begin(&place));
	CHECK(program_says(&place.program, told));
	CHECK(says(&place, "/api/pool-status", "\"writes\":0,\"writeFailures\":0,"
		   "\"error\":\"No such file or directory\""));
	work(&place, "alice");
	CHECK(says(&place, "/metrics", "\nkolk_gateway_warm_writes_total{outcome=\"failed\"} 2\n"));
	MUST(end(&place));
	first = strstr(place.program.said, told);
	CHECK(first != NULL && strstr(first + 1, told) == NULL);
	close_place(&place);
}

/* Uses age by time. Whoever is still there counts as somebody who has just come. */
static void test_long_session(void)
{
	struct place place = { .mcp = "era: legacy",
			       .more = "  warm_interval: 1s\n  warm_half_life: 1s\n" };
	struct mcp_options o = { .listen = NULL };

	MUST(open_place(&place, &o));
	MUST(begin(&place));
	CHECK(ask(&place, "alice", "", INITIALIZE("desk")) == 200); /* and does not end it */
	work(&place, "bob");
	CHECK(WITHIN_MS(10000, strstr(state_of(&place), "bob") != NULL));
	CHECK(strstr(text, "alice") != NULL);
	CHECK(WITHIN_MS(20000, strstr(state_of(&place), "bob") == NULL && text[0] != '\0'));
	CHECK(strstr(text, "alice") != NULL);
	MUST(end(&place));
	CHECK(strstr(state_of(&place), "alice") != NULL);
	close_place(&place);
}

static const struct tap_test tests[] = {
	{ "the session of a frequent user is made before the first request", test_sessions },
	{ "so is one that a client holds for itself", test_bound },
	{ "so is one that several clients share", test_multiplexed },
	{ "so is one for requests that stand for themselves", test_calls },
	{ "so is one with a server of several behind a route", test_federation },
	{ "what was made ahead is not another client's", test_another_client },
	{ "one that a client has alone is made, for such a client, once", test_alone },
	{ "it is found from whichever loop", test_alone_of_many },
	{ "it is so with a server of several behind a route", test_alone_in_federation },
	{ "that the pool ended it meanwhile is not seen", test_alone_evicted },
	{ "it does not wait for ever", test_alone_over },
	{ "a session that is used once is not made ahead", test_virgin },
	{ "the token is the one that is configured, and not in the state", test_token },
	{ "a connection of a frequent user is dialled before the first request", test_connections },
	{ "the end does not wait for what is being made", test_end_while_it_is_made },
	{ "the state is written from time to time", test_written_meanwhile },
	{ "a session that is open counts for as long as it is", test_long_session },
	{ "a file that is damaged or something else is left alone", test_bad_files },
	{ "a file that cannot be written is told of", test_no_place },
};

TAP_TESTS(warm, tests);
