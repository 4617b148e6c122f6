/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_mcp.c - users that call tools of MCP servers through kolk-gateway. Their requests stand for
 * themselves (2026-07-28), the servers have sessions (2025-11-25): each user has its own, pooled, or one
 * is made for each call and ended, as clients without a pool do.
 */
#define _GNU_SOURCE /* MFD_CLOEXEC, memmem */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/mcp/fixture.h"
#include "tools/demo/demo.h"

/* ---- what users say */

#define META "io.modelcontextprotocol/"

static size_t request(char *buffer, size_t capacity, const char *host, uint32_t user)
{
	char body[512];
	int size = snprintf(body, sizeof body,
			    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{"
			    "\"name\":\"echo\",\"arguments\":{\"nonce\":\"user%u\"},\"_meta\":{"
			    "\"" META "protocolVersion\":\"2026-07-28\","
			    "\"" META "clientCapabilities\":{}}}}", user);

	return (size_t)snprintf(buffer, capacity,
				"POST /server%u HTTP/1.1\r\nHost: %s\r\nX-User: user%u\r\n"
				"Content-Type: application/json\r\n"
				"Accept: application/json, text/event-stream\r\n"
				"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n"
				"Mcp-Name: echo\r\nContent-Length: %d\r\n\r\n%s",
				user % MCP_SERVERS, host, user, size, body);
}

/* An error is no answer. */
static long answer(const char *bytes, size_t size, size_t request_size)
{
	const long whole = protocol_find("http-get")->answer(bytes, size, request_size);

	if (whole > 0 && (strncmp(bytes, "HTTP/1.1 200", 12) != 0 ||
			  memmem(bytes, size, "\"result\"", 8) == NULL))
		return -1;
	return whole;
}

static const struct protocol protocol = { "mcp", kolk_driver_http_get, request, answer };

/* ---- the servers */

struct servers {
	struct mcp_fixture *each[MCP_SERVERS];
	FILE *certificate, *key;
	char paths[2][32];
};

static void servers_close(struct servers *servers)
{
	for (int i = 0; i < MCP_SERVERS; i++)
		if (servers->each[i] != NULL)
			mcp_fixture_close(servers->each[i]);
	if (servers->certificate != NULL)
		fclose(servers->certificate);
	if (servers->key != NULL)
		fclose(servers->key);
}

static bool servers_open(struct servers *servers, const struct kit_cert *certificate)
{
	const struct mcp_options options = { .listen = "tls://127.0.0.1:0", .versions = "2025-11-25",
					     .certificate = servers->paths[0],
					     .key = servers->paths[1] };

	servers->certificate = memory_file("server.pem", MFD_CLOEXEC, servers->paths[0]);
	servers->key = memory_file("server.key", MFD_CLOEXEC, servers->paths[1]);
	if (servers->certificate == NULL || servers->key == NULL ||
	    fputs(certificate->pem, servers->certificate) < 0 || fflush(servers->certificate) != 0 ||
	    fputs(certificate->key, servers->key) < 0 || fflush(servers->key) != 0)
		return false;
	for (int i = 0; i < MCP_SERVERS; i++) {
		servers->each[i] = mcp_fixture_open(&options);
		if (servers->each[i] == NULL)
			return false;
	}
	return true;
}

static uint64_t number(const struct servers *servers, enum mcp_number of)
{
	uint64_t sum = 0;

	for (int i = 0; i < MCP_SERVERS; i++)
		sum += mcp_fixture_number(servers->each[i], of);
	return sum;
}

/* ---- the gateway in front of them */

static const char engine[] =
	"engine: {backend: %1$s, connections_max: %2$u, tenant_connections_max: unlimited}\n"
	"gateway:\n"
	"  listen: [{address: \"127.0.0.1:0\"}]\n"
	"  trusted_proxies: [127.0.0.1]\n"
	"  tenants: {from: header, header: X-User}\n"
	"  routes:\n";

/* Without a pool: a session is four requests, and so is a connection. */
static const char pool[] =
	"  - name: server%1$u\n"
	"    protocol: mcp\n"
	"    address: \"%2$s\"\n"
	"    tls: {ca_file: %3$s, resume: %4$s}\n"
	"    http: {version: 1.1}\n"
	"    limits: {idle_min: none, %5$s}\n"
	"    timeouts: {acquire: 60s, tls: 60s}\n"
	"    mcp: {era: legacy, isolation: %6$s, sharing: exclusive, acquire_timeout: 60s,\n"
	"          initialize_timeout: 60s}\n";

static void configure(FILE *file, const struct front *front, const void *user)
{
	static const char *const backends[] = { "auto", "io_uring", "epoll" };
	const struct servers *servers = user;
	const bool pooled = front->pooled;

	fprintf(file, engine, backends[front->options->backend],
		gateway_mcp_users(front->options) * 4);
	for (unsigned i = 0; i < MCP_SERVERS; i++)
		fprintf(file, "    - {match: {path: /server%u}, pool: server%u}\n", i, i);
	fprintf(file, "pools:\n");
	for (unsigned i = 0; i < MCP_SERVERS; i++)
		fprintf(file, pool, i, mcp_fixture_address(servers->each[i]), front->options->ca,
			pooled ? "true" : "false", pooled ? "uses_max: unlimited" : "uses_max: 4",
			pooled ? "tenant" : "session");
}

/* ---- traffic */

/* An answer that no server has given is the gateway's own: a failure. */
static void count(const struct servers *servers, struct outcome *outcome)
{
	const uint64_t called = number(servers, MCP_N_tool_calls);

	outcome->upstream = number(servers, MCP_N_sessions_created);
	if (called >= outcome->requests)
		return;
	outcome->failed += outcome->requests - called;
	outcome->requests = called;
	if (outcome->last_error == KOLK_OK)
		outcome->last_error = KOLK_E_PROTOCOL;
}

const char *gateway_mcp_traffic(const struct front *front, struct outcome *outcome)
{
	struct servers servers = { 0 };
	const struct behind behind = { &protocol, "MCP behind kolk-gateway", configure, &servers };
	struct options options = *front->options;
	struct front of_users = *front;
	const char *why = "an MCP server";

	options.callers = gateway_mcp_users(front->options);
	of_users.options = &options;
	if (servers_open(&servers, front->certificate))
		why = gateway_run(&of_users, &behind, outcome);
	if (why == NULL)
		count(&servers, outcome);
	servers_close(&servers);
	return why;
}
