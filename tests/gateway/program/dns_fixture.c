/* SPDX-License-Identifier: Apache-2.0 */
/* dns_fixture.c - servers that a name resolves to, and its name server. */
#include "tests/gateway/program/dns_fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

char dns_text[PROGRAM_TEXT];

/* Each says the last byte of its address. */
static void answer(struct kit_mock_conn *conn, const struct dns_servers *servers, uint32_t host,
		   bool check)
{
	char text[96];

	snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nweb%u", host % 10);
	if (check && kolk__load_relaxed(&servers->mute) == host)
		return;
	if (check && kolk__load_relaxed(&servers->ill) == host)
		kit_mock_say(conn, "HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n");
	else
		kit_mock_say(conn, text);
}

static void play(struct kit_mock_conn *conn, void *user)
{
	struct dns_servers *servers = user;
	const uint32_t host = kit_mock_here(conn) & 0xff;
	char head[4096], wanted[64];

	if (host < DNS_HOSTS)
		(void)kolk__add_relaxed(&servers->open[host], 1);
	snprintf(wanted, sizeof wanted, "\r\nhost: api.test:%u\r\n",
		 kit_mock_port(kit_mock_of(conn)));
	while (kit_mock_read_until(conn, "\r\n\r\n", head, sizeof head, 20000)) {
		(void)kolk__add_relaxed(&servers->other_hosts, strstr(head, wanted) == NULL);
		if (strncmp(head, "GET /slow ", 10) == 0)
			kit_mock_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
		else
			answer(conn, servers, host, strncmp(head, "GET /health ", 12) == 0);
	}
	if (host < DNS_HOSTS)
		(void)kolk__sub_relaxed(&servers->open[host], 1);
}

void dns_pool_lines(char lines[512], const struct dns_servers *servers)
{
	snprintf(lines, 512,
		 "  - {name: api, protocol: http, address: \"api.test:%u\", name_servers: "
		 "\"%s\"}\n"
		 "admin: {listen: \"unix:%s\"}\n",
		 kit_mock_port(servers->mock), servers->dns.where, servers->socket);
}

bool dns_servers_open_tls(struct dns_servers *servers, const char *said,
			  const struct kit_cert *cert)
{
	memset(servers, 0, sizeof *servers);
	snprintf(servers->socket, sizeof servers->socket, "/tmp/kolk-gateway-dns-%d.sock",
		 (int)getpid());
	servers->mock = kit_mock_open(&(struct kit_mock_options){
		.play = play, .user = servers, .cert = cert, .any_address = true});
	if (servers->mock == NULL || !dns_server_open(&servers->dns))
		return false;
	dns_server_say(&servers->dns, said);
	return true;
}

bool dns_servers_open(struct dns_servers *servers, const char *said)
{
	return dns_servers_open_tls(servers, said, NULL);
}

void dns_servers_close(struct dns_servers *servers)
{
	kit_mock_close(servers->mock);
	dns_server_close(&servers->dns);
}

bool dns_begin(struct program *program, struct dns_servers *servers, const char *said,
	       const char *routes)
{
	char pools[512];

	if (!dns_servers_open(servers, said))
		return false;
	dns_pool_lines(pools, servers);
	return program_start(program, pools, routes);
}

void dns_end(struct program *program, struct dns_servers *servers)
{
	CHECK(program_stop(program, 10000));
	dns_servers_close(servers);
}

int dns_ask(const struct program *program)
{
	const char *body;

	if (program_ask(program, DNS_GET, dns_text) != 0 ||
	    strncmp(dns_text, "HTTP/1.1 200 ", 13) != 0)
		return -1;
	body = strstr(dns_text, "\r\n\r\nweb");
	return body != NULL ? body[7] - '0' : -1;
}

bool dns_status_has(const struct program *program, const struct dns_servers *servers,
		    const char *part)
{
	char arguments[128];

	snprintf(arguments, sizeof arguments, "/api/pool-status --unix-socket %s",
		 servers->socket);
	return program_curl(program, arguments, dns_text) == 0 &&
	       strstr(dns_text, part) != NULL;
}

bool dns_metrics_have(const struct program *program, const struct dns_servers *servers,
		      const char *line)
{
	char arguments[128];

	snprintf(arguments, sizeof arguments, "/metrics --unix-socket %s", servers->socket);
	return program_curl(program, arguments, dns_text) == 0 &&
	       strstr(dns_text, line) != NULL;
}
