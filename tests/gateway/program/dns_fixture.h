/* SPDX-License-Identifier: Apache-2.0 */
/* dns_fixture.h - servers that a name resolves to, and its name server. The servers are one
 * mock at all addresses of 127.0.0.0/8; the last byte tells them apart. An answer to GET /slow has no body yet. */
#ifndef KOLK_TESTS_GATEWAY_PROGRAM_DNS_FIXTURE_H
#define KOLK_TESTS_GATEWAY_PROGRAM_DNS_FIXTURE_H

#include "tests/gateway/program/dns_server.h"
#include "tests/gateway/program/program.h"

enum { DNS_HOSTS = 10 };

#define DNS_GET "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#define DNS_ROUTES "    - {match: {path: /}, balancer: web, host: upstream}\n"
#define DNS_BALANCER(dns)                                                                      \
	"  balancers: [{name: web, members: [{pool: api, resolve: addresses}], " dns "}]\n"
#define DNS_PLAIN DNS_BALANCER("dns: {ttl_max: 5s}")

struct dns_servers {
	struct kit_mock *mock;
	struct dns_server dns;
	char socket[64]; /* of the admin server */
	kolk__atomic_u32 open[DNS_HOSTS]; /* connections */
	kolk__atomic_u32 other_hosts; /* requests whose Host is another than the name */
	kolk__atomic_u32 ill; /* the host that answers checks with 500; 0 = none */
	kolk__atomic_u32 mute;		  /* that does not answer them */
};

/* What dns_ask and the next ones read last. */
extern char dns_text[PROGRAM_TEXT];

/* said: as dns_server_say has it. */
bool dns_servers_open(struct dns_servers *servers, const char *said);
/* They speak TLS. */
bool dns_servers_open_tls(struct dns_servers *servers, const char *said,
			  const struct kit_cert *cert);
void dns_servers_close(struct dns_servers *servers);
/* The pool "api", whose name resolves to them, and the admin server: for the file. */
void dns_pool_lines(char lines[512], const struct dns_servers *servers);

/* Servers, and a gateway in front; and both end. */
bool dns_begin(struct program *program, struct dns_servers *servers, const char *said,
	       const char *routes);
void dns_end(struct program *program, struct dns_servers *servers);

/* Which server answers; -1 = none does. */
int dns_ask(const struct program *program);
/* Whether status, and metrics, have this text. */
bool dns_status_has(const struct program *program, const struct dns_servers *servers,
		    const char *part);
bool dns_metrics_have(const struct program *program, const struct dns_servers *servers,
		      const char *line);

#endif
