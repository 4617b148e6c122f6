/* SPDX-License-Identifier: Apache-2.0 */
/* dns_change_test.c - what members that DNS names must not change: the rest of the gateway. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/dns_fixture.h"

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
	servers.dns.alternates = true;
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

static const struct tap_test tests[] = {
	{ "a warm start before a name resolves", test_warm_without_members },
	{ "checks go on while a name changes each second", test_checks_go_on },
};
TAP_TESTS(dns_change, tests);
