/* SPDX-License-Identifier: Apache-2.0 */
/* dns_test.c - a gateway whose servers are what a name resolves to, and a name server that changes its
 * mind. The servers are one mock at all addresses of 127.0.0.0/8; the last byte tells them apart. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/dns_server.h"
#include "tests/gateway/program/load.h"
#include "tests/kit/certs.h"

enum { CLIENTS = 6, HOSTS = LOAD_SERVERS };

static char text[PROGRAM_TEXT];

#define GET "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#define BALANCER(dns) "  balancers: [{name: web, members: [{pool: api, resolve: addresses}], " dns "}]\n"
#define PLAIN BALANCER("dns: {ttl_max: 5s}")
#define ROUTES "    - {match: {path: /}, balancer: web, host: upstream}\n"

/* ---- servers: each says the last byte of its address */

struct servers {
	struct kit_mock *mock;
	struct dns_server dns;
	char socket[64];                /* of the admin server */
	kolk__atomic_u32 open[HOSTS];   /* connections */
	kolk__atomic_u32 other_hosts;   /* requests whose Host is another than the name */
	kolk__atomic_u32 ill;           /* answers checks with 500 */
};

static void play(struct kit_mock_conn *conn, void *user)
{
	struct servers *servers = user;
	const uint32_t host = kit_mock_here(conn) & 0xff;
	char head[4096], answer[96], wanted[64];

	if (host < HOSTS)
		(void)kolk__add_relaxed(&servers->open[host], 1);
	snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nweb%u", host % 10);
	snprintf(wanted, sizeof wanted, "\r\nhost: api.test:%u\r\n",
		 kit_mock_port(kit_mock_of(conn)));
	while (kit_mock_read_until(conn, "\r\n\r\n", head, sizeof head, 20000)) {
		(void)kolk__add_relaxed(&servers->other_hosts, strstr(head, wanted) == NULL);
		if (strncmp(head, "GET /health ", 12) == 0 && kolk__load_relaxed(&servers->ill) == host)
			kit_mock_say(conn, "HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n");
		else
			kit_mock_say(conn, answer);
	}
	if (host < HOSTS)
		(void)kolk__sub_relaxed(&servers->open[host], 1);
}

static void pool_lines(char lines[512], const struct servers *servers)
{
	snprintf(lines, 512,
		 "  - {name: api, protocol: http, address: \"api.test:%u\", name_servers: \"%s\"}\n"
		 "admin: {listen: \"unix:%s\"}\n",
		 kit_mock_port(servers->mock), servers->dns.where, servers->socket);
}

/* cert NULL = they speak plain text. */
static bool open_servers_with(struct servers *servers, const char *said, const struct kit_cert *cert)
{
	memset(servers, 0, sizeof *servers);
	snprintf(servers->socket, sizeof servers->socket, "/tmp/kolk-gateway-dns-%d.sock",
		 (int)getpid());
	servers->mock = kit_mock_open(&(struct kit_mock_options){
		.play = play, .user = servers, .cert = cert, .any_address = true });
	if (servers->mock == NULL || !dns_server_open(&servers->dns))
		return false;
	dns_server_say(&servers->dns, said);
	return true;
}

static bool open_servers(struct servers *servers, const char *said)
{
	return open_servers_with(servers, said, NULL);
}

static bool begin(struct program *program, struct servers *servers, const char *said,
		  const char *routes)
{
	char pools[512];

	if (!open_servers(servers, said))
		return false;
	pool_lines(pools, servers);
	return program_start(program, pools, routes);
}

static void end(struct program *program, struct servers *servers)
{
	CHECK(program_stop(program, 10000));
	kit_mock_close(servers->mock);
	dns_server_close(&servers->dns);
}

/* Which server answers; -1 = none does. */
static int ask(const struct program *program)
{
	const char *body;

	if (program_ask(program, GET, text) != 0 || strncmp(text, "HTTP/1.1 200 ", 13) != 0)
		return -1;
	body = strstr(text, "\r\n\r\nweb");
	return body != NULL ? body[7] - '0' : -1;
}

static bool status_has(const struct program *program, const struct servers *servers, const char *part)
{
	char arguments[128];

	snprintf(arguments, sizeof arguments, "/api/pool-status --unix-socket %s", servers->socket);
	return program_curl(program, arguments, text) == 0 && strstr(text, part) != NULL;
}

static bool metrics_have(const struct program *program, const struct servers *servers,
			 const char *line)
{
	char arguments[128];

	snprintf(arguments, sizeof arguments, "/metrics --unix-socket %s", servers->socket);
	return program_curl(program, arguments, text) == 0 && strstr(text, line) != NULL;
}

static void forget(struct program *program)
{
	program->said[0] = '\0';
}

/* ---- under load: none is lost */

/* Its connections are closed, and it answers no more. */
static bool is_left(const struct load *load, const struct servers *servers, int host)
{
	uint64_t before;

	if (!WITHIN_MS(20000, kolk__load_relaxed(&servers->open[host]) == 0))
		return false;
	before = load_answers(load, host);
	return load_answers_more(load, "4", 100) && load_answers(load, host) == before;
}

static void change_under_load(const struct load *load, struct servers *servers)
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
	static struct servers servers;
	struct program program;
	uint64_t lost, sum = 0;

	MUST(begin(&program, &servers, "12", ROUTES PLAIN));
	load_begin(&load, &program, CLIENTS);
	change_under_load(&load, &servers);
	lost = load_end(&load);
	for (int i = 0; i < HOSTS; i++)
		sum += load_answers(&load, i);
	tap_note("%llu answers, %llu lost", (unsigned long long)sum, (unsigned long long)lost);
	CHECK(lost == 0);
	CHECK(kolk__load_relaxed(&servers.other_hosts) == 0);
	/* Pools that went are freed. */
	CHECK(WITHIN_MS(20000, status_has(&program, &servers, "\"api@127.0.0.4:") &&
				       strstr(text, "\"api@127.0.0.5:") == NULL));
	end(&program, &servers);
}

/* ---- names that do not resolve */

static void test_stale(void)
{
	static struct servers servers;
	struct program program;

	MUST(begin(&program, &servers, "2", ROUTES PLAIN));
	CHECK(ask(&program) == 2);
	dns_server_say(&servers.dns, "");
	CHECK(program_says(&program, "balancer web: api.test does not resolve: "));
	CHECK(ask(&program) == 2);
	CHECK(WITHIN_MS(10000, status_has(&program, &servers, "\"name\":\"api.test\",\"state\":\"stale\"")));
	CHECK(metrics_have(&program, &servers,
			   "kolk_gateway_name_stale{balancer=\"web\",pool=\"api\",name=\"api.test\"} 1\n"));
	dns_server_say(&servers.dns, "3");
	CHECK(program_says(&program, "balancer web: api.test resolves again\n"));
	CHECK(WITHIN_MS(10000, ask(&program) == 3));
	forget(&program);
	dns_server_lock(&servers.dns);
	servers.dns.code = servers.dns.code6 = DNS_SERVFAIL;
	dns_server_unlock(&servers.dns);
	CHECK(program_says(&program, "balancer web: api.test does not resolve: "));
	CHECK(ask(&program) == 3);
	dns_server_say(&servers.dns, "4");
	CHECK(WITHIN_MS(20000, ask(&program) == 4));
	forget(&program);
	dns_server_lock(&servers.dns);
	servers.dns.silent = true;
	dns_server_unlock(&servers.dns);
	CHECK(program_says(&program, "balancer web: api.test does not resolve: "));
	CHECK(ask(&program) == 4);
	end(&program, &servers);
}

static void test_stale_max(void)
{
	static struct servers servers;
	struct program program;

	MUST(begin(&program, &servers, "2", ROUTES BALANCER("dns: {stale_max: 2s, ttl_max: 2s}")));
	CHECK(ask(&program) == 2);
	dns_server_say(&servers.dns, "");
	CHECK(program_says(&program, "balancer web: api.test has no members: it has not resolved"));
	CHECK(WITHIN_MS(10000, ask(&program) == -1));
	CHECK(strncmp(text, "HTTP/1.1 503 ", 13) == 0 && strstr(text, "\"phase\":\"resolve\"") != NULL);
	dns_server_say(&servers.dns, "3");
	CHECK(WITHIN_MS(10000, ask(&program) == 3));
	end(&program, &servers);
}

static void test_start(void)
{
	static struct servers servers;
	struct program program;
	char pools[512];

	MUST(begin(&program, &servers, "", ROUTES PLAIN));
	CHECK(ask(&program) == -1 && strncmp(text, "HTTP/1.1 503 ", 13) == 0);
	CHECK(strstr(text, "\r\nretry-after: ") != NULL || strstr(text, "\r\nRetry-After: ") != NULL);
	CHECK(program_logged(&program, "\"phase\":\"resolve\""));
	CHECK(status_has(&program, &servers, "\"state\":\"unresolved\""));
	dns_server_say(&servers.dns, "1");
	CHECK(WITHIN_MS(10000, ask(&program) == 1));
	/* A name that has to resolve: the reload is refused, and nothing changes. */
	dns_server_say(&servers.dns, "");
	pool_lines(pools, &servers);
	memcpy(strstr(pools, "api.test"), "apx.test", 8);
	CHECK(program_configure(&program, pools, ROUTES BALANCER("dns: {required: true}")));
	CHECK(!program_reload(&program));
	CHECK(strstr(program.said, "balancer web: apx.test does not resolve: ") != NULL);
	CHECK(ask(&program) == 1);
	end(&program, &servers);
}

/* The start itself. */
static void test_required(void)
{
	static struct servers servers;
	char path[] = "/tmp/kolk-gateway-dns-XXXXXX", pools[512], command[256];
	int fd = mkstemp(path);
	size_t size;
	FILE *out;

	MUST(fd >= 0 && open_servers(&servers, ""));
	pool_lines(pools, &servers);
	CHECK(dprintf(fd, "pools:\n%sgateway:\n  listen: [{address: \"127.0.0.1:0\"}]\n  routes:\n%s",
		      pools, ROUTES BALANCER("dns: {required: true}")) > 0);
	snprintf(command, sizeof command, "timeout 30 %s --config %s 2>&1; echo \"status $?\"",
		 GATEWAY_PROGRAM, path);
	out = popen(command, "r");
	size = fread(text, 1, sizeof text - 1, out);
	text[size] = '\0';
	pclose(out);
	CHECK(strstr(text, "balancer web: api.test does not resolve: ") != NULL);
	CHECK(strstr(text, "status 1\n") != NULL);
	unlink(path);
	close(fd);
	kit_mock_close(servers.mock);
	dns_server_close(&servers.dns);
}

/* ---- checks */

/* None of so many goes there. */
static bool is_left_alone(const struct program *program, int host)
{
	bool alone = true;

	for (int i = 0; i < 30; i++) {
		const int who = ask(program);

		alone &= who >= 0 && who != host;
	}
	return alone;
}

static void test_checks(void)
{
	static struct servers servers;
	struct program program;
	char line[96];

	MUST(begin(&program, &servers, "12",
		   ROUTES BALANCER("health: {path: /health, interval: 100ms, unhealthy_after: 2}")));
	kolk__store_relaxed(&servers.ill, 2);
	snprintf(line, sizeof line, "balancer web: api@127.0.0.2:%u is down: status 500\n",
		 kit_mock_port(servers.mock));
	CHECK(program_says(&program, line));
	CHECK(is_left_alone(&program, 2));
	dns_server_say(&servers.dns, "123");
	CHECK(WITHIN_MS(10000, ask(&program) == 3));
	CHECK(is_left_alone(&program, 2));
	kolk__store_relaxed(&servers.ill, 0);
	CHECK(WITHIN_MS(10000, ask(&program) == 2));
	CHECK(kolk__load_relaxed(&servers.other_hosts) == 0); /* nor of a check */
	end(&program, &servers);
}

/* ---- answers of every kind */

static void test_answers(void)
{
	static struct servers servers;
	struct program program;
	char pools[512];

	MUST(open_servers(&servers, "1"));
	servers.dns.truncates = servers.dns.cname = true;
	dns_server_say_many(&servers.dns, 300);
	pool_lines(pools, &servers);
	MUST(program_start(&program, pools, ROUTES BALANCER("dns: {members_max: 20}")));
	CHECK(kolk__load_relaxed(&servers.dns.by_tcp) > 0);
	CHECK(program_says(&program, "api.test has 300 addresses: 20 are members (dns.members_max)\n"));
	CHECK(status_has(&program, &servers, "\"addresses\":300,\"members\":20,"));
	CHECK(strstr(text, "\"api@127.1.0.20:") != NULL && strstr(text, "\"api@127.1.0.21:") == NULL);
	CHECK(ask(&program) >= 0);
	/* A family that fails stays, one that there is none of goes. */
	dns_server_say(&servers.dns, "2");
	dns_server_lock(&servers.dns);
	servers.dns.loopback6 = true;
	servers.dns.truncates = servers.dns.cname = false;
	dns_server_unlock(&servers.dns);
	CHECK(WITHIN_MS(10000, status_has(&program, &servers, "\"pool\":\"api@[::1]:")));
	CHECK(WITHIN_MS(10000, status_has(&program, &servers, "\"addresses\":2,\"members\":2,")));
	dns_server_lock(&servers.dns);
	servers.dns.code6 = DNS_SERVFAIL;
	dns_server_unlock(&servers.dns);
	dns_server_say(&servers.dns, "34");
	dns_server_lock(&servers.dns);
	servers.dns.code6 = DNS_SERVFAIL;
	dns_server_unlock(&servers.dns);
	CHECK(WITHIN_MS(10000, status_has(&program, &servers, "\"pool\":\"api@127.0.0.4:")));
	CHECK(status_has(&program, &servers, "\"pool\":\"api@[::1]:"));
	dns_server_lock(&servers.dns);
	servers.dns.code6 = DNS_OK;
	servers.dns.loopback6 = false;
	dns_server_unlock(&servers.dns);
	CHECK(WITHIN_MS(10000, status_has(&program, &servers, "\"addresses\":2,\"members\":2,") &&
				       strstr(text, "\"pool\":\"api@[::1]:") == NULL));
	end(&program, &servers);
}

/* ---- TLS */

/* The name is what a certificate is verified by, not the address. */
static void test_tls(void)
{
	static struct servers servers;
	struct program program;
	struct kit_certs certs;
	char pools[512];

	MUST(CHECK(kit_certs_open(&certs)));
	MUST(open_servers_with(&servers, "1", &certs.first.cert));
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
	CHECK(ask(&program) == 1);
	CHECK(program_ask(&program, "GET /not HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", text) ==
		      0 &&
	      strncmp(text, "HTTP/1.1 502 ", 13) == 0 && strstr(text, "\"phase\":\"tls\"") != NULL);
	end(&program, &servers);
	kit_certs_close(&certs);
}

/* ---- reload */

static void test_reload(void)
{
	static struct servers servers;
	struct program program;
	char pools[512], other[600];
	uint64_t accepted;

	MUST(begin(&program, &servers, "1", ROUTES PLAIN));
	CHECK(ask(&program) == 1 && ask(&program) == 1);
	CHECK(WITHIN_MS(10000, status_has(&program, &servers, "\"inFlight\":0,\"requests\":2,") &&
				       strstr(text, "\"from\":\"api.test\"") != NULL));
	accepted = kit_mock_counts(servers.mock).accepted;
	pool_lines(pools, &servers);
	CHECK(program_configure(&program, pools, ROUTES BALANCER("dns: {ttl_max: 7s}")));
	CHECK(program_reload(&program));
	CHECK(ask(&program) == 1);
	CHECK(WITHIN_MS(10000, status_has(&program, &servers, "\"inFlight\":0,\"requests\":3,")));
	CHECK(kit_mock_counts(servers.mock).accepted == accepted);
	/* A bound holds at once, and not if the reload is refused. */
	dns_server_say(&servers.dns, "123");
	CHECK(WITHIN_MS(10000, status_has(&program, &servers, "\"addresses\":3,\"members\":3,")));
	dns_server_lock(&servers.dns);
	servers.dns.ttl_s = 3600;
	dns_server_unlock(&servers.dns);
	snprintf(other, sizeof other, "%.*s isolation: shared,%s", (int)strlen("  - {name: api,"), pools,
		 pools + strlen("  - {name: api,"));
	CHECK(program_configure(&program, other, ROUTES BALANCER("dns: {members_max: 2}")));
	CHECK(!program_reload(&program));
	CHECK(status_has(&program, &servers, "\"members\":3,"));
	CHECK(program_configure(&program, pools, ROUTES BALANCER("dns: {members_max: 2}")));
	CHECK(program_reload(&program));
	CHECK(WITHIN_MS(10000, status_has(&program, &servers, "\"members\":2,") &&
				       strstr(text, "\"pool\":\"api@127.0.0.3:") == NULL));
	/* Without the balancer its pools go. */
	CHECK(program_configure(&program, pools, "    - {answer: {body: x}}\n"));
	CHECK(program_reload(&program));
	CHECK(WITHIN_MS(20000, status_has(&program, &servers, "\"names\":[]") &&
				       strstr(text, "api@127.0.0.1") == NULL));
	end(&program, &servers);
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
