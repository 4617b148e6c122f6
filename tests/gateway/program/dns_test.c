/* SPDX-License-Identifier: Apache-2.0 */
/* dns_test.c - a gateway whose servers are what a name resolves to, and a name server that changes its
 * mind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/dns_fixture.h"
#include "tests/gateway/program/load.h"
#include "tests/kit/certs.h"

enum { CLIENTS = 6 };

static void forget(struct program *program)
{
	program->said[0] = '\0';
}

/* ---- under load: none is lost */

/* Its connections are closed, and it answers no more. A connection that was being dialled for a
 * request that waited comes after the others, once for each of the two loops. */
static bool is_left(const struct load *load, const struct dns_servers *servers, int host)
{
	uint64_t before;

	for (int late = 0; late < 3; late++) {
		if (!WITHIN_MS(20000, kolk__load_relaxed(&servers->open[host]) == 0))
			return false;
		before = load_answers(load, host);
		if (!load_answers_more(load, "4", 100))
			return false;
		if (load_answers(load, host) == before)
			return true;
	}
	return false;
}

static void change_under_load(const struct load *load, struct dns_servers *servers)
{
	CHECK(load_answers_more(load, "12", 20));
	dns_server_say(&servers->dns, "1234"); /* it grows */
	CHECK(load_answers_more(load, "1234", 20));
	dns_server_say(&servers->dns, "34"); /* shrinks */
	CHECK(is_left(load, servers, 1) && is_left(load, servers, 2));
	CHECK(load_answers_more(load, "34", 20));
	dns_server_say(&servers->dns, "14"); /* one that went comes back */
	CHECK(load_answers_more(load, "14", 20) && is_left(load, servers, 3));
	dns_server_say(&servers->dns, "56"); /* all are others */
	CHECK(load_answers_more(load, "56", 20));
	dns_server_say(&servers->dns, "4");
	CHECK(load_answers_more(load, "4", 20));
	CHECK(is_left(load, servers, 1) && is_left(load, servers, 5) &&
	      is_left(load, servers, 6));
}

static void test_changes_under_load(void)
{
	static struct load load;
	static struct dns_servers servers;
	struct program program;
	uint64_t lost, sum = 0;

	MUST(dns_begin(&program, &servers, "12", DNS_ROUTES DNS_PLAIN));
	load_begin(&load, &program, CLIENTS);
	change_under_load(&load, &servers);
	lost = load_end(&load);
	for (int i = 0; i < LOAD_SERVERS; i++)
		sum += load_answers(&load, i);
	tap_note("%llu answers, %llu lost", (unsigned long long)sum, (unsigned long long)lost);
	CHECK(lost == 0);
	CHECK(kolk__load_relaxed(&servers.other_hosts) == 0);
	/* Pools that went are freed. */
	CHECK(WITHIN_MS(20000, dns_status_has(&program, &servers, "\"api@127.0.0.4:") &&
				       strstr(dns_text, "\"api@127.0.0.5:") == NULL));
	dns_end(&program, &servers);
}

/* ---- names that do not resolve */

static void test_stale(void)
{
	static struct dns_servers servers;
	struct program program;

	MUST(dns_begin(&program, &servers, "2", DNS_ROUTES DNS_PLAIN));
	CHECK(dns_ask(&program) == 2);
	dns_server_say(&servers.dns, "");
	CHECK(program_says(&program, "balancer web: api.test does not resolve: "));
	CHECK(dns_ask(&program) == 2);
	CHECK(WITHIN_MS(10000, dns_status_has(&program, &servers, "\"name\":\"api.test\",\"state\":\"stale\"")));
	CHECK(dns_metrics_have(&program, &servers,
			   "kolk_gateway_name_stale{balancer=\"web\",pool=\"api\",name=\"api.test\"} 1\n"));
	dns_server_say(&servers.dns, "3");
	CHECK(program_says(&program, "balancer web: api.test resolves again\n"));
	CHECK(WITHIN_MS(10000, dns_ask(&program) == 3));
	forget(&program);
	dns_server_lock(&servers.dns);
	servers.dns.code = servers.dns.code6 = DNS_SERVFAIL;
	dns_server_unlock(&servers.dns);
	CHECK(program_says(&program, "balancer web: api.test does not resolve: "));
	CHECK(dns_ask(&program) == 3);
	dns_server_say(&servers.dns, "4");
	CHECK(WITHIN_MS(20000, dns_ask(&program) == 4));
	forget(&program);
	dns_server_lock(&servers.dns);
	servers.dns.silent = true;
	dns_server_unlock(&servers.dns);
	CHECK(program_says(&program, "balancer web: api.test does not resolve: "));
	CHECK(dns_ask(&program) == 4);
	dns_end(&program, &servers);
}

static void test_stale_max(void)
{
	static struct dns_servers servers;
	struct program program;

	MUST(dns_begin(&program, &servers, "2", DNS_ROUTES DNS_BALANCER("dns: {stale_max: 2s, ttl_max: 2s}")));
	CHECK(program_says(&program, "balancer web: api.test: 1 member: 1 added, 0 removed\n"));
	CHECK(dns_ask(&program) == 2);
	dns_server_say(&servers.dns, "");
	CHECK(program_says(&program, "balancer web: api.test has no members: it has not resolved"));
	CHECK(WITHIN_MS(10000, dns_ask(&program) == -1));
	CHECK(strncmp(dns_text, "HTTP/1.1 503 ", 13) == 0 && strstr(dns_text, "\"phase\":\"resolve\"") != NULL);
	dns_server_say(&servers.dns, "3");
	CHECK(WITHIN_MS(10000, dns_ask(&program) == 3));
	dns_end(&program, &servers);
}

static void test_start(void)
{
	static struct dns_servers servers;
	struct program program;
	char pools[512];

	MUST(dns_begin(&program, &servers, "", DNS_ROUTES DNS_PLAIN));
	CHECK(dns_ask(&program) == -1 && strncmp(dns_text, "HTTP/1.1 503 ", 13) == 0);
	CHECK(strstr(dns_text, "\r\nretry-after: ") != NULL || strstr(dns_text, "\r\nRetry-After: ") != NULL);
	CHECK(program_logged(&program, "\"phase\":\"resolve\""));
	CHECK(dns_status_has(&program, &servers, "\"state\":\"unresolved\""));
	dns_server_say(&servers.dns, "1");
	CHECK(WITHIN_MS(10000, dns_ask(&program) == 1));
	/* A name that has to resolve: the reload is refused, and nothing changes. */
	dns_server_say(&servers.dns, "");
	dns_pool_lines(pools, &servers);
	memcpy(strstr(pools, "api.test"), "apx.test", 8);
	CHECK(program_configure(&program, pools, DNS_ROUTES DNS_BALANCER("dns: {required: true}")));
	CHECK(!program_reload(&program));
	CHECK(strstr(program.said, "balancer web: apx.test does not resolve: ") != NULL);
	CHECK(dns_ask(&program) == 1);
	dns_end(&program, &servers);
}

/* The start itself. */
static void test_required(void)
{
	static struct dns_servers servers;
	char path[] = "/tmp/kolk-gateway-dns-XXXXXX", pools[512], command[256];
	int fd = mkstemp(path);
	size_t size;
	FILE *out;

	MUST(fd >= 0 && dns_servers_open(&servers, ""));
	dns_pool_lines(pools, &servers);
	CHECK(dprintf(fd, "pools:\n%sgateway:\n  listen: [{address: \"127.0.0.1:0\"}]\n  routes:\n%s",
		      pools, DNS_ROUTES DNS_BALANCER("dns: {required: true}")) > 0);
	snprintf(command, sizeof command, "timeout 30 %s --config %s 2>&1; echo \"status $?\"",
		 GATEWAY_PROGRAM, path);
	out = popen(command, "r");
	size = fread(dns_text, 1, PROGRAM_TEXT - 1, out);
	dns_text[size] = '\0';
	pclose(out);
	CHECK(strstr(dns_text, "balancer web: api.test does not resolve: ") != NULL);
	CHECK(strstr(dns_text, "status 1\n") != NULL);
	unlink(path);
	close(fd);
	dns_servers_close(&servers);
}

/* ---- checks */

/* None of so many goes there. */
static bool is_left_alone(const struct program *program, int host)
{
	bool alone = true;

	for (int i = 0; i < 30; i++) {
		const int who = dns_ask(program);

		alone &= who >= 0 && who != host;
	}
	return alone;
}

static void test_checks(void)
{
	static struct dns_servers servers;
	struct program program;
	char line[96];

	MUST(dns_begin(&program, &servers, "12",
		   DNS_ROUTES DNS_BALANCER("health: {path: /health, interval: 100ms, unhealthy_after: 2}")));
	kolk__store_relaxed(&servers.ill, 2);
	snprintf(line, sizeof line, "balancer web: api@127.0.0.2:%u is down: status 500\n",
		 kit_mock_port(servers.mock));
	CHECK(program_says(&program, line));
	CHECK(is_left_alone(&program, 2));
	dns_server_say(&servers.dns, "123");
	CHECK(WITHIN_MS(10000, dns_ask(&program) == 3));
	CHECK(is_left_alone(&program, 2));
	kolk__store_relaxed(&servers.ill, 0);
	CHECK(WITHIN_MS(10000, dns_ask(&program) == 2));
	CHECK(kolk__load_relaxed(&servers.other_hosts) == 0); /* nor of a check */
	dns_end(&program, &servers);
}

/* ---- answers of every kind */

static void test_answers(void)
{
	static struct dns_servers servers;
	struct program program;
	char pools[512];

	MUST(dns_servers_open(&servers, "1"));
	servers.dns.truncates = servers.dns.cname = true;
	dns_server_say_many(&servers.dns, 300);
	dns_pool_lines(pools, &servers);
	MUST(program_start(&program, pools, DNS_ROUTES DNS_BALANCER("dns: {members_max: 20}")));
	CHECK(kolk__load_relaxed(&servers.dns.by_tcp) > 0);
	CHECK(program_says(&program, "api.test has 300 addresses: 20 are members (dns.members_max)\n"));
	CHECK(dns_status_has(&program, &servers, "\"addresses\":300,\"members\":20,"));
	CHECK(strstr(dns_text, "\"api@127.1.0.20:") != NULL && strstr(dns_text, "\"api@127.1.0.21:") == NULL);
	CHECK(dns_ask(&program) >= 0);
	/* A family that fails stays, one that there is none of goes. */
	dns_server_say(&servers.dns, "2");
	dns_server_lock(&servers.dns);
	servers.dns.loopback6 = true;
	servers.dns.truncates = servers.dns.cname = false;
	dns_server_unlock(&servers.dns);
	CHECK(WITHIN_MS(10000, dns_status_has(&program, &servers, "\"pool\":\"api@[::1]:")));
	CHECK(WITHIN_MS(10000, dns_status_has(&program, &servers, "\"addresses\":2,\"members\":2,")));
	dns_server_lock(&servers.dns);
	servers.dns.code6 = DNS_SERVFAIL;
	dns_server_unlock(&servers.dns);
	dns_server_say(&servers.dns, "34");
	dns_server_lock(&servers.dns);
	servers.dns.code6 = DNS_SERVFAIL;
	dns_server_unlock(&servers.dns);
	CHECK(WITHIN_MS(10000, dns_status_has(&program, &servers, "\"pool\":\"api@127.0.0.4:")));
	CHECK(dns_status_has(&program, &servers, "\"pool\":\"api@[::1]:"));
	dns_server_lock(&servers.dns);
	servers.dns.code6 = DNS_OK;
	servers.dns.loopback6 = false;
	dns_server_unlock(&servers.dns);
	CHECK(WITHIN_MS(10000, dns_status_has(&program, &servers, "\"addresses\":2,\"members\":2,") &&
				       strstr(dns_text, "\"pool\":\"api@[::1]:") == NULL));
	dns_end(&program, &servers);
}

/* ---- TLS */

/* The name is what a certificate is verified by, not the address. */
static void test_tls(void)
{
	static struct dns_servers servers;
	struct program program;
	struct kit_certs certs;
	char pools[512];

	MUST(CHECK(kit_certs_open(&certs)));
	MUST(dns_servers_open_tls(&servers, "1", &certs.first.cert));
	snprintf(pools, sizeof pools,
		 "  - {name: api, protocol: http, address: \"https://first.test:%u\", name_servers: "
		 "\"%s\", tls: {ca_file: %s}}\n"
		 "  - {name: not, protocol: http, address: \"https://second.test:%u\", name_servers: "
		 "\"%s\", tls: {ca_file: %s}}\n",
		 kit_mock_port(servers.mock), servers.dns.where, certs.authority.pem,
		 kit_mock_port(servers.mock), servers.dns.where, certs.authority.pem);
	MUST(program_start(&program, pools,
			   "    - {match: {path: /}, balancer: web}\n"
			   "    - {match: {path: /not}, balancer: not}\n"
			   "  balancers:\n"
			   "  - {name: web, members: [{pool: api, resolve: addresses}]}\n"
			   "  - {name: not, members: [{pool: not, resolve: addresses}]}\n"));
	CHECK(dns_ask(&program) == 1);
	CHECK(program_ask(&program, "GET /not HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", dns_text) ==
		      0 &&
	      strncmp(dns_text, "HTTP/1.1 502 ", 13) == 0 && strstr(dns_text, "\"phase\":\"tls\"") != NULL);
	dns_end(&program, &servers);
	kit_certs_close(&certs);
}

/* ---- reload */

static void test_reload(void)
{
	static struct dns_servers servers;
	struct program program;
	char pools[512], other[600];
	uint64_t accepted;

	MUST(dns_begin(&program, &servers, "1", DNS_ROUTES DNS_PLAIN));
	CHECK(dns_ask(&program) == 1 && dns_ask(&program) == 1);
	CHECK(WITHIN_MS(10000, dns_status_has(&program, &servers, "\"inFlight\":0,\"requests\":2,") &&
				       strstr(dns_text, "\"from\":\"api.test\"") != NULL));
	accepted = kit_mock_counts(servers.mock).accepted;
	dns_pool_lines(pools, &servers);
	CHECK(program_configure(&program, pools, DNS_ROUTES DNS_BALANCER("dns: {ttl_max: 7s}")));
	CHECK(program_reload(&program));
	CHECK(dns_ask(&program) == 1);
	CHECK(WITHIN_MS(10000, dns_status_has(&program, &servers, "\"inFlight\":0,\"requests\":3,")));
	CHECK(kit_mock_counts(servers.mock).accepted == accepted);
	/* A bound holds at once, and not if the reload is refused. */
	dns_server_say(&servers.dns, "123");
	CHECK(WITHIN_MS(10000, dns_status_has(&program, &servers, "\"addresses\":3,\"members\":3,")));
	dns_server_lock(&servers.dns);
	servers.dns.ttl_s = 3600;
	dns_server_unlock(&servers.dns);
	snprintf(other, sizeof other, "%.*s isolation: shared,%s", (int)strlen("  - {name: api,"), pools,
		 pools + strlen("  - {name: api,"));
	CHECK(program_configure(&program, other, DNS_ROUTES DNS_BALANCER("dns: {members_max: 2}")));
	CHECK(!program_reload(&program));
	CHECK(dns_status_has(&program, &servers, "\"members\":3,"));
	CHECK(program_configure(&program, pools, DNS_ROUTES DNS_BALANCER("dns: {members_max: 2}")));
	CHECK(program_reload(&program));
	CHECK(WITHIN_MS(10000, dns_status_has(&program, &servers, "\"members\":2,") &&
				       strstr(dns_text, "\"pool\":\"api@127.0.0.3:") == NULL));
	/* Without the balancer its pools go. */
	CHECK(program_configure(&program, pools, "    - {answer: {body: x}}\n"));
	CHECK(program_reload(&program));
	CHECK(WITHIN_MS(20000, dns_status_has(&program, &servers, "\"names\":[]") &&
				       strstr(dns_text, "api@127.0.0.1") == NULL));
	dns_end(&program, &servers);
}

static const struct tap_test tests[] = {
	{ "members follow a name; under load no request is lost", test_changes_under_load },
	{ "a name that does not resolve any more keeps its members", test_stale },
	{ "for dns.stale_max at most", test_stale_max },
	{ "a name that does not resolve yet: 503, or no reload", test_start },
	{ "a name that has to resolve: or no start", test_required },
	{ "TCP, CNAME, 300 addresses, a family that fails", test_answers },
	{ "checks of members stay what they were when others come", test_checks },
	{ "certificates are verified by the name", test_tls },
	{ "a reload keeps members and their connections", test_reload },
};
TAP_TESTS(dns, tests);
