/* SPDX-License-Identifier: Apache-2.0 */
/* dns_change_test.c - what members that DNS names must not change: the rest of the gateway. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/dns_fixture.h"
#include "tests/gateway/program/load.h"
#include "tests/gateway/program/mcp_messages.h"
#include "tests/kit/certs.h"
#include "tests/mcp/fixture.h"

/* ---- a warm start */

#define STATE \
	"{\"kolk-gateway\": \"warm state\", \"version\": 1, \"pairs\": [" \
	"{\"kind\": \"connection\", \"pool\": \"api@127.0.0.9:%u\", \"tenant\": \"alice\", \"uses\": 9}]}"

/* The file has a pair of a member that was, and the name has no address now. */
static void test_warm_without_members(void)
{
	static struct dns_servers servers;
	struct program program;
	char pools[512], gateway[256], state[] = "/tmp/kolk-gateway-dns-XXXXXX";
	int fd = mkstemp(state);

	MUST(fd >= 0 && dns_servers_open(&servers, ""));
	CHECK(dprintf(fd, STATE, kit_mock_port(servers.mock)) > 0);
	close(fd);
	dns_pool_lines(pools, &servers);
	snprintf(gateway, sizeof gateway,
		 "  tenants: {from: header, header: x-user}\n"
		 "  trusted_proxies: [\"127.0.0.0/8\"]\n"
		 "  warm_state_file: %s\n", state);
	MUST(program_start_with(&program, &(struct program_file){
		.pools = pools, .routes = DNS_ROUTES DNS_PLAIN, .gateway = gateway }));
	CHECK(WITHIN_MS(10000, dns_metrics_have(&program, &servers,
			"\nkolk_gateway_warm_total{outcome=\"skipped\"} 1\n")));
	dns_server_say(&servers.dns, "1");
	CHECK(WITHIN_MS(10000, dns_status_has(&program, &servers, "\"pool\":\"api@127.0.0.1:")));
	dns_end(&program, &servers);
	unlink(state);
}

/* ---- checks */

/* Of two members one stays, and does not answer checks; the other one is another each second. */
static void test_checks_go_on(void)
{
	static struct dns_servers servers;
	struct program program;
	char pools[512], line[96];

	MUST(dns_servers_open(&servers, "12"));
	dns_server_lock(&servers.dns);
	servers.dns.alternates = true;
	dns_server_unlock(&servers.dns);
	kolk__store_relaxed(&servers.mute, 1);
	dns_pool_lines(pools, &servers);
	MUST(program_start(&program, pools,
			   DNS_ROUTES DNS_BALANCER("health: {path: /health, interval: 100ms, "
						   "timeout: 3s, unhealthy_after: 1}")));
	snprintf(line, sizeof line, "balancer web: api@127.0.0.1:%u is down: the deadline passed",
		 kit_mock_port(servers.mock));
	CHECK(program_says(&program, line));
	kolk__store_relaxed(&servers.mute, 0);
	snprintf(line, sizeof line, "balancer web: api@127.0.0.1:%u is up",
		 kit_mock_port(servers.mock));
	CHECK(program_says(&program, line));
	dns_end(&program, &servers);
}

/* ---- the cache of an MCP server */

static bool list_tools(const struct program *program)
{
	static const char body[] = REQUEST("1", "tools/list", META("", ""));
	char request[1024];

	snprintf(request, sizeof request,
		 "POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
		 MODERN_FIELDS("tools/list")
		 "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
		 "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	return program_ask(program, request, dns_text) == 0 && strstr(dns_text, "\"tools\":") != NULL;
}

/* What it has is good when members of a balancer change. */
static void test_cache_stays(void)
{
	static struct dns_servers servers;
	struct mcp_options o = { .ttl = 3600000, .listen = "127.0.0.1:0", .versions = "2026-07-28" };
	struct mcp_fixture *server = mcp_fixture_open(&o);
	struct program program;
	char lines[512], pools[1024];
	uint64_t asked;

	MUST(server != NULL && dns_servers_open(&servers, "1"));
	dns_pool_lines(lines, &servers);
	snprintf(pools, sizeof pools,
		 "  - {name: tools, protocol: mcp, address: \"%s\", limits: {idle_min: 0}, "
		 "mcp: {era: modern}}\n%s", mcp_fixture_address(server), lines);
	MUST(program_start(&program, pools,
			   "    - {match: {path: /mcp}, pool: tools}\n" DNS_ROUTES DNS_PLAIN));
	CHECK(list_tools(&program));
	asked = mcp_fixture_number(server, MCP_N_requests);
	CHECK(list_tools(&program) && mcp_fixture_number(server, MCP_N_requests) == asked);
	dns_server_say(&servers.dns, "2");
	CHECK(WITHIN_MS(10000, dns_ask(&program) == 2));
	CHECK(list_tools(&program) && mcp_fixture_number(server, MCP_N_requests) == asked);
	dns_end(&program, &servers);
	mcp_fixture_close(server);
}

/* ---- bounds of a new configuration */

static bool reload_with(struct program *program, const struct dns_servers *servers, const char *routes)
{
	char pools[512];

	dns_pool_lines(pools, servers);
	return program_configure(program, pools, routes) && program_reload(program);
}

/* Though what is known holds for an hour by what held before. */
static void test_bounds_hold_at_once(void)
{
	static struct dns_servers servers;
	struct program program;

	MUST(dns_begin(&program, &servers, "", DNS_ROUTES DNS_BALANCER("dns: {members_max: 2}")));
	dns_server_say(&servers.dns, "123");
	dns_server_lock(&servers.dns);
	servers.dns.ttl_s = 3600;
	dns_server_unlock(&servers.dns);
	CHECK(reload_with(&program, &servers,
			  DNS_ROUTES DNS_BALANCER("dns: {members_max: 2, ttl_max: 1d}")));
	CHECK(WITHIN_MS(10000, dns_status_has(&program, &servers, "\"addresses\":3,\"members\":2,") &&
				       strstr(dns_text, "\"ttlNs\":3600000000000,") != NULL));
	CHECK(reload_with(&program, &servers,
			  DNS_ROUTES DNS_BALANCER("dns: {members_max: 3, ttl_max: 1d}")));
	CHECK(WITHIN_MS(10000, dns_status_has(&program, &servers, "\"addresses\":3,\"members\":3,")));
	dns_server_say(&servers.dns, "4");
	CHECK(reload_with(&program, &servers, DNS_ROUTES DNS_BALANCER("dns: {ttl_max: 1s}")));
	CHECK(WITHIN_MS(10000, dns_ask(&program) == 4));
	dns_end(&program, &servers);
}

/* ---- what is shown */

static uint32_t count_of(const char *part)
{
	uint32_t count = 0;

	for (const char *at = dns_text; (at = strstr(at, part)) != NULL; at++)
		count++;
	return count;
}

/* A name of a reload that waits for it is not shown: it would be there twice. */
static void test_shown_once(void)
{
	static struct dns_servers servers;
	static struct dns_server silent;
	struct program program;
	char pools[512];

	MUST(dns_begin(&program, &servers, "1", DNS_ROUTES DNS_PLAIN) && dns_server_open(&silent));
	dns_server_lock(&silent);
	silent.silent = true;
	dns_server_unlock(&silent);
	snprintf(pools, sizeof pools,
		 "  - {name: api, protocol: http, address: \"api.test:%u\", name_servers: \"%s\"}\n"
		 "admin: {listen: \"unix:%s\"}\n", kit_mock_port(servers.mock), silent.where,
		 servers.socket);
	CHECK(program_configure(&program, pools, DNS_ROUTES DNS_PLAIN));
	program.said[0] = '\0';
	kill(program.pid, SIGHUP);
	CHECK(WITHIN_MS(10000, kolk__load_relaxed(&silent.questions) > 0));
	CHECK(dns_status_has(&program, &servers, "\"names\":") &&
	      count_of("\"name\":\"api.test\"") == 1);
	CHECK(dns_metrics_have(&program, &servers, "\nkolk_gateway_name_stale{") &&
	      count_of("\nkolk_gateway_name_stale{") == 1);
	CHECK(program_says(&program, "reload done: "));
	dns_end(&program, &servers);
	dns_server_close(&silent);
}

#define MEMBER(host) "{\"balancer\":\"web\",\"pool\":\"api@127.0.0." host ":"

/* A request that goes on keeps what it began with, whose other members are none any more. */
static void test_gone_is_not_shown(void)
{
	static struct dns_servers servers;
	struct program program;
	int fd;

	MUST(dns_begin(&program, &servers, "12", DNS_ROUTES DNS_PLAIN));
	fd = program_connect(&program);
	CHECK(client_send(fd, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"));
	CHECK(client_read(fd, "\r\n\r\n", dns_text));
	CHECK(dns_status_has(&program, &servers, MEMBER("1")) && strstr(dns_text, MEMBER("2")) != NULL);
	dns_server_say(&servers.dns, "3");
	CHECK(WITHIN_MS(10000, dns_status_has(&program, &servers, MEMBER("3"))));
	CHECK(count_of("{\"balancer\":\"web\",\"pool\":\"api@") == 2 &&
	      strstr(dns_text, "\"inFlight\":1,") != NULL);
	CHECK(dns_metrics_have(&program, &servers, "\nkolk_gateway_member_up{") &&
	      count_of("\nkolk_gateway_member_up{") == 2);
	close(fd);
	CHECK(WITHIN_MS(10000, dns_metrics_have(&program, &servers, "\nkolk_gateway_member_up{") &&
				       count_of("\nkolk_gateway_member_up{") == 1));
	dns_end(&program, &servers);
}

/* An address whose pool cannot be made is none that is shown as a member. */
static void test_no_pool(void)
{
	static struct dns_servers servers;
	struct program program;
	struct kit_certs certs;
	char pools[512], away[KIT_CERTS_PATH + 8];

	MUST(CHECK(kit_certs_open(&certs)));
	MUST(dns_servers_open_tls(&servers, "1", &certs.first.cert));
	snprintf(away, sizeof away, "%s.away", certs.authority.pem);
	snprintf(pools, sizeof pools,
		 "  - {name: api, protocol: http, address: \"https://first.test:%u\", name_servers: "
		 "\"%s\", tls: {ca_file: %s}}\nadmin: {listen: \"unix:%s\"}\n",
		 kit_mock_port(servers.mock), servers.dns.where, certs.authority.pem, servers.socket);
	MUST(program_start(&program, pools, DNS_ROUTES DNS_PLAIN));
	CHECK(rename(certs.authority.pem, away) == 0);
	dns_server_say(&servers.dns, "12");
	CHECK(program_says(&program, " is no member: "));
	CHECK(WITHIN_MS(10000, dns_status_has(&program, &servers, "\"addresses\":2,\"members\":1,")));
	CHECK(rename(away, certs.authority.pem) == 0);
	CHECK(WITHIN_MS(20000, dns_status_has(&program, &servers, "\"addresses\":2,\"members\":2,")));
	dns_end(&program, &servers);
	kit_certs_close(&certs);
}

/* ---- one address in both families */

static void test_mapped(void)
{
	static struct dns_servers servers;
	struct program program;

	MUST(dns_begin(&program, &servers, "", DNS_ROUTES DNS_BALANCER("dns: {members_max: 2}")));
	dns_server_say(&servers.dns, "12");
	dns_server_lock(&servers.dns);
	servers.dns.mapped6 = true;
	dns_server_unlock(&servers.dns);
	CHECK(WITHIN_MS(10000, dns_status_has(&program, &servers, "\"members\":2,")));
	CHECK(strstr(dns_text, "\"addresses\":2,") != NULL);
	dns_end(&program, &servers);
}

/* ---- both at once */

/* Members come and go by DNS, and by reloads that take them away and bring them back. */
static void test_reloads(void)
{
	static const char *const balancers[] = {
		DNS_ROUTES DNS_BALANCER("dns: {members_max: 1}, health: {path: /health, interval: 100ms}"),
		DNS_ROUTES DNS_BALANCER("dns: {members_max: 2, ttl_max: 1s}"),
		DNS_ROUTES "  balancers: [{name: web, members: [{pool: api}]}]\n",
	};
	static struct load load;
	static struct dns_servers servers;
	struct program program;

	MUST(dns_begin(&program, &servers, "12", DNS_ROUTES DNS_PLAIN));
	dns_server_lock(&servers.dns);
	servers.dns.alternates = true;
	dns_server_unlock(&servers.dns);
	load_begin(&load, &program, 4);
	for (uint32_t i = 0; i < 12; i++) {
		const uint32_t asked = kolk__load_relaxed(&servers.dns.questions);

		CHECK(reload_with(&program, &servers, balancers[i % 3]));
		CHECK(load_answers_more(&load, "1", 20));
		CHECK(i % 3 == 2 ||
		      WITHIN_MS(10000, kolk__load_relaxed(&servers.dns.questions) >= asked + 4));
	}
	CHECK(load_end(&load) == 0);
	dns_end(&program, &servers);
}

/* ---- what a reload waits for */

/* Ten name servers that are silent, each of which is given 3 s: for a name of a reload. */
static bool configure_silent(struct program *program, const struct dns_servers *servers,
			     struct dns_server *silent)
{
	char pools[1024], where[300] = "";

	if (!dns_server_open(silent))
		return false;
	dns_server_lock(silent);
	silent->silent = true;
	dns_server_unlock(silent);
	for (int i = 0; i < 10; i++)
		snprintf(where + strlen(where), sizeof where - strlen(where), "%s%s",
			 i > 0 ? "," : "", silent->where);
	snprintf(pools, sizeof pools,
		 "  - {name: api, protocol: http, address: \"api.test:%u\", name_servers: \"%s\"}\n"
		 "admin: {listen: \"unix:%s\"}\n", kit_mock_port(servers->mock), where, servers->socket);
	return CHECK(program_configure(program, pools, DNS_ROUTES DNS_BALANCER("dns: {start_timeout: 60s}")));
}

/* The admin server, which waits with it, answers again long before the name would have. */
static void test_waits_2_s(void)
{
	static struct dns_servers servers;
	static struct dns_server silent;
	char request[192], text[PROGRAM_TEXT];
	struct program program;

	MUST(dns_begin(&program, &servers, "1", DNS_ROUTES DNS_PLAIN) &&
	     configure_silent(&program, &servers, &silent));
	snprintf(request, sizeof request, "/api/config --unix-socket %s -X PUT "
		 "-H 'Content-Type: application/json' -d '{}'", servers.socket);
	CHECK(program_curl(&program, request, text) == 0 && strstr(text, "in force") != NULL);
	CHECK(dns_status_has(&program, &servers, "\"rounds\":0,")); /* its first one goes on */
	dns_end(&program, &servers);
	dns_server_close(&silent);
}

/* A reload that waits for a name does not hold the end up. */
static void test_ends_while_it_waits(void)
{
	static struct dns_servers servers;
	static struct dns_server silent;
	struct program program;

	MUST(dns_begin(&program, &servers, "1", DNS_ROUTES DNS_PLAIN) &&
	     configure_silent(&program, &servers, &silent));
	kill(program.pid, SIGHUP);
	CHECK(WITHIN_MS(10000, kolk__load_relaxed(&silent.questions) > 0));
	dns_end(&program, &servers);
	dns_server_close(&silent);
}

static const struct tap_test tests[] = {
	{ "a warm start before a name resolves", test_warm_without_members },
	{ "checks go on while a name changes each second", test_checks_go_on },
	{ "a result of an MCP server is kept when a name changes", test_cache_stays },
	{ "bounds of a reload hold at once", test_bounds_hold_at_once },
	{ "a name is shown once while a reload waits for it", test_shown_once },
	{ "members that are gone are not shown", test_gone_is_not_shown },
	{ "an address without a pool is not counted as a member", test_no_pool },
	{ "an address of IPv4 in both families is one member", test_mapped },
	{ "reloads while a name changes lose no request", test_reloads },
	{ "a reload waits for a name for 2 s", test_waits_2_s },
	{ "a reload that waits for a name does not hold the end up", test_ends_while_it_waits },
};
TAP_TESTS(dns_change, tests);
