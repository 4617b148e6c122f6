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

#include "tests/gateway/program/mcp_place.h"
#include "tests/kit/origin.h"

/* One server, and gateways one after the other. */
struct warm {
	struct place place;
	char directory[32], state[64], token[64];
	const char *mcp;  /* options of its pool */
	const char *routes; /* NULL = one to this pool */
	const char *more; /* of the section gateway */
};

static bool write_file(const char *path, const char *content)
{
	FILE *file = fopen(path, "w");

	if (file == NULL)
		return FAILED("a file can be written");
	fputs(content, file);
	return fclose(file) == 0;
}

/* o: all but what each of them has. */
static bool begin_with(struct warm *warm, struct place_options o)
{
	char gateway[512];

	snprintf(gateway, sizeof gateway, "  warm_state_file: %s\n%s", warm->state,
		 warm->more != NULL ? warm->more : "");
	o.gateway = gateway;
	o.users = o.admin = true;
	memset(&warm->place.program, 0, sizeof warm->place.program);
	return place_start(&warm->place, &o);
}

static bool begin(struct warm *warm)
{
	return begin_with(warm, (struct place_options){ .mcp = warm->mcp, .routes = warm->routes });
}

static bool open_warm(struct warm *warm, struct mcp_options *o)
{
	o->listen = "127.0.0.1:0";
	warm->place.a = mcp_fixture_open(o);
	snprintf(warm->directory, sizeof warm->directory, "/tmp/kolk-warm-XXXXXX");
	if (warm->place.a == NULL || mkdtemp(warm->directory) == NULL)
		return FAILED("there is a server");
	snprintf(warm->state, sizeof warm->state, "%s/state", warm->directory);
	snprintf(warm->token, sizeof warm->token, "%s/token", warm->directory);
	return true;
}

/* Nothing is left at the server, and nothing but what was meant to be in the directory. */
static void close_warm(struct warm *warm)
{
	place_server_close(&warm->place, warm->place.a);
	(void)unlink(warm->state);
	(void)unlink(warm->token);
	CHECK(rmdir(warm->directory) == 0);
}

static bool end(struct warm *warm)
{
	return CHECK(program_stop(&warm->place.program, 15000));
}

static uint64_t created(const struct warm *warm)
{
	return number(&warm->place, MCP_N_sessions_created);
}

static const char *state_of(const struct warm *warm)
{
	FILE *file = fopen(warm->state, "r");
	size_t size = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;

	text[size] = '\0';
	if (file != NULL)
		fclose(file);
	return text;
}

/* Whether the admin server says so at this path, soon. */
static bool tells(const struct warm *warm, const char *path, const char *wanted)
{
	return program_admin_says(&warm->place.program, place_admin(), path, wanted, text);
}

/* So many are made ahead, without a request. */
static bool is_made(const struct warm *warm, int count)
{
	char wanted[128];

	snprintf(wanted, sizeof wanted, "\nkolk_gateway_warm_total{outcome=\"made\"} %d\n", count);
	return tells(warm, "/metrics", wanted);
}

/* ---- clients */

#define BEGIN_AS(name)                                                                             \
	REQUEST("1", "initialize", "\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"roots\":{}}," \
		"\"clientInfo\":{\"name\":\"" name "\",\"version\":\"1\"}")

static int ask_as(const struct warm *warm, const char *name, const char *fields, const char *body)
{
	user = name;
	return post(&warm->place, fields, body);
}

/* A session, and in it a call; or none, of a client that has no more use for it. */
static void use_session(const struct warm *warm, const char *name, bool calls)
{
	char fields[512];

	CHECK(ask_as(warm, name, "", BEGIN_AS("desk")) == 200);
	CHECK(take_session(fields));
	if (calls)
		CHECK(ask_as(warm, name, fields, CALL("2", "echo", "\"nonce\":\"n1\"")) == 200 && has("n1"));
	CHECK(ask(&warm->place, "DELETE /mcp", fields, "") == 200);
}

static void work(const struct warm *warm, const char *name)
{
	use_session(warm, name, true);
}

static void work_federated(const struct warm *warm, const char *name)
{
	use_session(warm, name, false);
}

static void work_modern(const struct warm *warm, const char *name)
{
	CHECK(ask_as(warm, name, MODERN_CALL_FIELDS("echo"),
		     REQUEST("2", "tools/call", "\"name\":\"echo\",\"arguments\":{\"nonce\":\"n1\"},"
			     META("", ""))) == 200);
	CHECK(has("n1"));
}

/* ---- sessions */

/* The first request of a user who was there often costs no initialize; that of another one does. */
static void comes_back_to(struct warm warm, void (*use)(const struct warm *warm, const char *name))
{
	struct mcp_options o = { .listen = NULL };
	uint64_t made;

	warm.more = "  warm_pairs_max: 1\n";
	MUST(open_warm(&warm, &o));
	MUST(begin(&warm));
	for (int i = 0; i < 4; i++)
		use(&warm, "alice");
	MUST(end(&warm));
	made = created(&warm);
	CHECK(made == (strstr(warm.mcp, "virgin") != NULL ? 4 : 1));
	MUST(begin(&warm));
	CHECK(is_made(&warm, 1) && created(&warm) == made + 1);
	use(&warm, "alice");
	CHECK(created(&warm) == made + 1);
	use(&warm, "bob");
	CHECK(created(&warm) == made + 2);
	MUST(end(&warm));
	CHECK(strstr(state_of(&warm), "\"tenant\":\"alice\"") != NULL);
	CHECK(strstr(text, "bob") == NULL); /* the less frequent of two has no warm */
	close_warm(&warm);
}

static void comes_back(const char *mcp, void (*use)(const struct warm *warm, const char *name))
{
	comes_back_to((struct warm){ .mcp = mcp }, use);
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
	comes_back_to((struct warm){
		.mcp = "era: legacy, isolation: tenant, sharing: exclusive",
		.routes = "    - {match: {path: /mcp}, federation: [{pool: tools}]}\n" },
		      work_federated);
}

/* A client that says something else of itself is told apart: the session that was made ahead is not
 * its own. */
static void test_another_client(void)
{
	struct warm warm = { .mcp = "era: legacy, isolation: tenant, sharing: exclusive" };
	struct mcp_options o = { .listen = NULL };

	MUST(open_warm(&warm, &o));
	MUST(begin(&warm));
	work(&warm, "alice");
	MUST(end(&warm));
	MUST(begin(&warm));
	CHECK(is_made(&warm, 1) && created(&warm) == 2);
	CHECK(ask_as(&warm, "alice", "", BEGIN_AS("another desk")) == 200);
	CHECK(created(&warm) == 3);
	MUST(end(&warm));
	close_warm(&warm);
}

/* ---- sessions that each client has alone: mcp.isolation is `session` unless it says otherwise */

/* They wait, each for its own. */
static bool waits(const struct warm *warm, int count)
{
	char wanted[64];

	snprintf(wanted, sizeof wanted, "\nkolk_gateway_warm_waiting %d\n", count);
	return tells(warm, "/metrics", wanted);
}

/* The one of a frequent user is made before the first request, is given once, and to no other one. */
static void test_alone(void)
{
	struct warm warm = { .mcp = "era: legacy" };
	struct mcp_options o = { .listen = NULL };

	MUST(open_warm(&warm, &o));
	MUST(begin(&warm));
	work(&warm, "alice");
	MUST(end(&warm));
	CHECK(created(&warm) == 1);
	CHECK(strstr(state_of(&warm), "\"kind\":\"session\"") != NULL && strstr(text, "desk") != NULL);
	MUST(begin(&warm));
	CHECK(is_made(&warm, 1) && waits(&warm, 1) && created(&warm) == 2);
	work(&warm, "bob");
	CHECK(created(&warm) == 3);
	CHECK(ask_as(&warm, "alice", "", BEGIN_AS("another desk")) == 200);
	CHECK(created(&warm) == 4 && waits(&warm, 1));
	work(&warm, "alice");
	CHECK(created(&warm) == 4 && waits(&warm, 0));
	CHECK(tells(&warm, "/api/pool-status", "\"waiting\":0,\"taken\":1,\"unused\":0,"));
	work(&warm, "alice");
	CHECK(created(&warm) == 5);
	MUST(end(&warm));
	close_warm(&warm);
}

/* One is made ahead for each of so many users, and each is taken by its client. */
static void each_has_its_own(struct warm warm, int users,
			     void (*use)(const struct warm *warm, const char *name))
{
	struct mcp_options o = { .listen = NULL };
	const uint64_t all = 2 * (uint64_t)users;
	char name[16];

	MUST(open_warm(&warm, &o));
	MUST(begin(&warm));
	for (int i = 0; i < users; i++) {
		snprintf(name, sizeof name, "user%d", i);
		use(&warm, name);
	}
	MUST(end(&warm));
	MUST(begin(&warm));
	CHECK(is_made(&warm, users) && waits(&warm, users) && created(&warm) == all);
	for (int i = 0; i < users; i++) {
		snprintf(name, sizeof name, "user%d", i);
		use(&warm, name);
		CHECK(created(&warm) == all);
	}
	MUST(end(&warm));
	close_warm(&warm);
}

/* They wait on the loops where they were made, and their clients come on whichever. */
static void test_alone_of_many(void)
{
	each_has_its_own((struct warm){ .mcp = "era: legacy" }, 24, work);
}

/* The client's session, and so those with its servers, is on the loop where one waits. */
static void test_alone_in_federation(void)
{
	each_has_its_own((struct warm){
		.mcp = "era: legacy",
		.routes = "    - {match: {path: /mcp}, federation: [{pool: tools}]}\n" },
			 8, work_federated);
}

/* The pool ended it meanwhile: its client gets another one, and does not see it. */
static void test_alone_evicted(void)
{
	struct warm warm = { .mcp = "era: legacy" };
	struct mcp_options o = { .listen = NULL };
	char evict[256];

	MUST(open_warm(&warm, &o));
	MUST(begin(&warm));
	work(&warm, "alice");
	MUST(end(&warm));
	MUST(begin(&warm));
	CHECK(is_made(&warm, 1) && waits(&warm, 1));
	snprintf(evict, sizeof evict, "/api/evict --unix-socket %s -H 'Content-Type: application/json' "
		 "-d '{\"pool\":\"tools.mcp\"}'", place_admin());
	CHECK(program_curl(&warm.place.program, evict, text) == 0 && strstr(text, "outdated") != NULL);
	CHECK(WITHIN_MS(10000, number(&warm.place, MCP_N_sessions_open) == 0));
	work(&warm, "alice");
	CHECK(created(&warm) == 3);
	MUST(end(&warm));
	close_warm(&warm);
}

/* Its client does not come for as long as a session may be idle. */
static void test_alone_over(void)
{
	struct warm warm = { .mcp = "era: legacy, idle_timeout: 1s" };
	struct mcp_options o = { .listen = NULL };

	MUST(open_warm(&warm, &o));
	MUST(begin(&warm));
	work(&warm, "alice");
	MUST(end(&warm));
	MUST(begin(&warm));
	CHECK(is_made(&warm, 1));
	CHECK(tells(&warm, "/api/pool-status", "\"waiting\":0,\"taken\":0,\"unused\":1,"));
	CHECK(WITHIN_MS(10000, number(&warm.place, MCP_N_sessions_open) == 0));
	work(&warm, "alice");
	CHECK(created(&warm) == 3);
	MUST(end(&warm));
	close_warm(&warm);
}

/* One that is used once is left in the pool, unused. */
static void test_virgin(void)
{
	comes_back("era: legacy, isolation: tenant, sharing: virgin", work);
}

static void test_virgin_calls(void)
{
	comes_back("era: legacy, isolation: tenant, sharing: virgin", work_modern);
}

/* Where each client has one alone it would be held until then: the pool could not end it to make room. */
static void test_virgin_alone(void)
{
	struct warm warm = { .mcp = "era: legacy, isolation: session, sharing: virgin" };
	struct mcp_options o = { .listen = NULL };

	MUST(open_warm(&warm, &o));
	MUST(begin(&warm));
	work(&warm, "alice");
	MUST(end(&warm));
	MUST(begin(&warm));
	CHECK(is_made(&warm, 1) && created(&warm) == 1); /* a connection */
	work(&warm, "alice");
	CHECK(created(&warm) == 2);
	MUST(end(&warm));
	close_warm(&warm);
}

/* The token is that of the file, which is configured, and not in the state; it may be another one at
 * the next start. */
static void test_token(void)
{
	struct mcp_options o = { .listen = NULL };
	struct warm warm = { .mcp = NULL };
	struct stat about;
	char mcp[256];

	MUST(open_warm(&warm, &o));
	snprintf(mcp, sizeof mcp, "era: legacy, isolation: tenant, sharing: exclusive, token_file: %s",
		 warm.token);
	warm.mcp = mcp;
	MUST(write_file(warm.token, "first-secret-token\n"));
	MUST(begin(&warm));
	work(&warm, "alice");
	MUST(end(&warm));
	CHECK(strstr(state_of(&warm), "alice") != NULL && strstr(text, "secret") == NULL);
	CHECK(stat(warm.state, &about) == 0 && (about.st_mode & 07777) == 0600);
	MUST(write_file(warm.token, "second-secret-token\n"));
	MUST(begin(&warm));
	CHECK(is_made(&warm, 1) && created(&warm) == 2);
	work(&warm, "alice");
	CHECK(created(&warm) == 2);
	MUST(end(&warm));
	MUST(unlink(warm.token) == 0); /* no token: nothing is made */
	MUST(begin(&warm));
	CHECK(ask_as(&warm, "alice", "", BEGIN_AS("desk")) != 200);
	CHECK(created(&warm) == 2);
	MUST(end(&warm));
	close_warm(&warm);
}

/* ---- connections */

/* Of version 1, whose uses have no time. */
#define STATE(pairs) "{\"kolk-gateway\":\"warm state\",\"version\":1,\"pairs\":[" pairs "]}"
#define CONNECTION(pool) \
	"{\"kind\":\"connection\",\"uses\":3,\"pool\":\"" pool "\",\"tenant\":\"alice\"}"

/* A gateway before a pool `api` of protocol http, at this port; with this state. */
static bool begin_api(struct warm *warm, uint16_t port, const char *tls, const char *state)
{
	char pools[256];

	snprintf(pools, sizeof pools,
		 "  - {name: api, protocol: http, address: \"127.0.0.1:%u\", limits: {idle_min: 0}%s}\n",
		 port, tls);
	return write_file(warm->state, state) &&
	       begin_with(warm, (struct place_options){
		       .engine = "loops: 2", .pools = pools,
		       .routes = "    - {match: {path: /api}, pool: api}\n" });
}

static void test_connections(void)
{
	struct kit_origin *origin = kit_origin_open(&(struct kit_origin_options){ 0 });
	struct mcp_options o = { .listen = NULL };
	struct warm warm = { .mcp = "" };

	MUST(origin != NULL && open_warm(&warm, &o));
	MUST(begin_api(&warm, kit_origin_port(origin), "",
		       STATE(CONNECTION("api") "," CONNECTION("gone"))));
	CHECK(is_made(&warm, 1));
	/* Its thread accepts it a moment after it is connected. */
	CHECK(WITHIN_MS(5000, kit_origin_counts(origin).accepted == 1));
	CHECK(tells(&warm, "/api/pool-status", "\"restored\":2,\"made\":1,\"failed\":0,\"skipped\":1,"));
	MUST(end(&warm));
	kit_origin_close(origin);
	close_warm(&warm);
}

/* A server that does not answer: the end does not wait for it, and the pair is kept. */
static void test_end_while_it_is_made(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct mcp_options o = { .listen = NULL };
	struct warm warm = { .mcp = "" };
	socklen_t size = sizeof at;

	MUST(bind(silent, (struct sockaddr *)&at, size) == 0 && listen(silent, 8) == 0 &&
	     getsockname(silent, (struct sockaddr *)&at, &size) == 0);
	MUST(open_warm(&warm, &o));
	MUST(begin_api(&warm, ntohs(at.sin_port), ", tls: {}", STATE(CONNECTION("api"))));
	CHECK(tells(&warm, "/api/pool-status", "\"dialing\":1"));
	MUST(end(&warm));
	CHECK(strstr(state_of(&warm), "\"pool\":\"api\"") != NULL &&
	      strstr(text, "alice") != NULL);
	close(silent);
	close_warm(&warm);
}

/* ---- the file */

static void test_written_meanwhile(void)
{
	struct warm warm = { .mcp = "era: legacy, isolation: tenant, sharing: exclusive",
			       .more = "  warm_interval: 1s\n" };
	struct mcp_options o = { .listen = NULL };

	MUST(open_warm(&warm, &o));
	MUST(begin(&warm));
	work(&warm, "alice");
	CHECK(WITHIN_MS(10000, strstr(state_of(&warm), "alice") != NULL));
	MUST(end(&warm));
	close_warm(&warm);
}

/* It is told, nothing is made, the gateway serves, and what is there stays. */
static void is_not_taken(const char *content, const char *why)
{
	struct warm warm = { .mcp = "era: legacy, isolation: tenant, sharing: exclusive" };
	struct mcp_options o = { .listen = NULL };

	MUST(open_warm(&warm, &o));
	MUST(write_file(warm.state, content));
	MUST(begin(&warm));
	CHECK(program_says(&warm.place.program, why));
	CHECK(strstr(warm.place.program.said, "nothing is made ahead") != NULL);
	work(&warm, "alice");
	CHECK(created(&warm) == 1);
	MUST(end(&warm));
	CHECK(strcmp(state_of(&warm), content) == 0);
	close_warm(&warm);
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
	struct warm warm = { .mcp = "era: legacy, isolation: tenant, sharing: exclusive",
			       .more = "  warm_interval: 1s\n" };
	struct mcp_options o = { .listen = NULL };
	const char *first;

	MUST(open_warm(&warm, &o));
	snprintf(warm.state, sizeof warm.state, "%s/none/state", warm.directory);
	MUST(begin(&warm));
	CHECK(program_says(&warm.place.program, told));
	CHECK(tells(&warm, "/api/pool-status", "\"writes\":0,\"writeFailures\":0,"
		   "\"error\":\"No such file or directory\""));
	work(&warm, "alice");
	CHECK(tells(&warm, "/metrics", "\nkolk_gateway_warm_writes_total{outcome=\"failed\"} 2\n"));
	MUST(end(&warm));
	first = strstr(warm.place.program.said, told);
	CHECK(first != NULL && strstr(first + 1, told) == NULL);
	close_warm(&warm);
}

/* Uses age by time. Whoever is still there counts as somebody who has just come. */
static void test_long_session(void)
{
	struct warm warm = { .mcp = "era: legacy",
			       .more = "  warm_interval: 1s\n  warm_half_life: 1s\n" };
	struct mcp_options o = { .listen = NULL };

	MUST(open_warm(&warm, &o));
	MUST(begin(&warm));
	CHECK(ask_as(&warm, "alice", "", BEGIN_AS("desk")) == 200); /* and does not end it */
	work(&warm, "bob");
	CHECK(WITHIN_MS(10000, strstr(state_of(&warm), "bob") != NULL));
	CHECK(strstr(text, "alice") != NULL);
	CHECK(WITHIN_MS(20000, strstr(state_of(&warm), "bob") == NULL && text[0] != '\0'));
	CHECK(strstr(text, "alice") != NULL);
	MUST(end(&warm));
	CHECK(strstr(state_of(&warm), "alice") != NULL);
	close_warm(&warm);
}

static const struct tap_test tests[] = {
	{ "the session of a frequent user is made before the first request", test_sessions },
	{ "so is one that a client holds for itself", test_bound },
	{ "so is one that several clients share", test_multiplexed },
	{ "so is one for stateless requests", test_calls },
	{ "so is one with a server of several behind a route", test_federation },
	{ "what was made ahead is not another client's", test_another_client },
	{ "one that a client has alone is made, for such a client, once", test_alone },
	{ "it is found from whichever loop", test_alone_of_many },
	{ "it is so with a server of several behind a route", test_alone_in_federation },
	{ "that the pool ended it meanwhile is not seen", test_alone_evicted },
	{ "it does not wait for ever", test_alone_over },
	{ "so is one that is used once", test_virgin },
	{ "so is one that is used for one request", test_virgin_calls },
	{ "one that is used once, by a client that has it alone, is not", test_virgin_alone },
	{ "the token is the one that is configured, and not in the state", test_token },
	{ "a connection of a frequent user is dialled before the first request", test_connections },
	{ "the end does not wait for what is being made", test_end_while_it_is_made },
	{ "the state is written from time to time", test_written_meanwhile },
	{ "a session that is open counts for as long as it is", test_long_session },
	{ "a file that is damaged or something else is left alone", test_bad_files },
	{ "a file that cannot be written is told of", test_no_place },
};

TAP_TESTS(warm, tests);
