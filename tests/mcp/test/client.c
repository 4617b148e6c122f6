/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - a fixture that runs in this process, and bare clients of it. */
#include "tests/mcp/test/client.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_MS = 10000 };

static bool switches_read(struct mcp_options *options, char *switches)
{
	for (char *one = strtok(switches, " "); one != NULL; one = strtok(NULL, " ")) {
		char *value = strchr(one, '=');

		*value = '\0';
		if (!CHECK(mcp_options_set(options, one, value + 1)))
			return false;
	}
	return true;
}

struct client *client_open(const char *switches)
{
	struct mcp_options options = { .listen = "127.0.0.1:0" };
	struct client *client = calloc(1, sizeof *client);
	char copy[256];

	snprintf(copy, sizeof copy, "%s", switches != NULL ? switches : "");
	if (switches_read(&options, copy))
		client->fixture = mcp_fixture_open(&options);
	if (CHECK(client->fixture != NULL))
		return client;
	free(client);
	return NULL;
}

void client_close(struct client *client)
{
	mcp_fixture_close(client->fixture);
	free(client);
}

/* ---- bytes */

int client_connect(struct client *client)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_port = htons((uint16_t)atoi(strrchr(mcp_fixture_address(client->fixture), ':') + 1));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(connect(fd, (const struct sockaddr *)&to, sizeof to) == 0);
	return fd;
}

bool client_send(int fd, const char *start, const char *headers, const char *body)
{
	char text[16384];
	int size = snprintf(text, sizeof text,
			    "%s HTTP/1.1\r\nHost: localhost\r\n"
			    "Accept: application/json, text/event-stream\r\n%s%s",
			    start, headers, body == NULL ? "\r\n" : "");

	if (body != NULL)
		size += snprintf(text + size, sizeof text - (size_t)size,
				 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
				 strlen(body), body);
	return CHECK(size < (int)sizeof text && send(fd, text, (size_t)size, MSG_NOSIGNAL) == size);
}

bool client_read(struct client *client, int fd, const char *until)
{
	size_t had = 0;
	ssize_t size;

	client->text[0] = '\0';
	while (until == NULL || strstr(client->text, until) == NULL) {
		struct pollfd look = { .fd = fd, .events = POLLIN };

		if (had + 1 >= sizeof client->text || poll(&look, 1, WAIT_MS) <= 0)
			return false;
		size = recv(fd, client->text + had, sizeof client->text - 1 - had, 0);
		if (size <= 0)
			return until == NULL && size == 0;
		had += (size_t)size;
		client->text[had] = '\0';
	}
	return true;
}

int client_ask(struct client *client, const char *start, const char *headers, const char *body)
{
	int fd = client_connect(client);
	char all[1024];
	bool whole;

	snprintf(all, sizeof all, "Connection: close\r\n%s", headers);
	whole = client_send(fd, start, all, body) && client_read(client, fd, NULL);
	close(fd);
	return whole && strlen(client->text) > 12 ? atoi(client->text + 9) : 0;
}

bool client_has(const struct client *client, const char *text)
{
	if (strstr(client->text, text) != NULL)
		return true;
	tap_note("it is not in: %.2000s", client->text);
	return false;
}

uint64_t client_number(const struct client *client, enum mcp_number number)
{
	return mcp_fixture_number(client->fixture, number);
}

/* ---- messages */

int client_post(struct client *client, const char *body)
{
	char headers[256];

	snprintf(headers, sizeof headers, "%s%s%s%s", client->session,
		 client->version != NULL ? "MCP-Protocol-Version: " : "",
		 client->version != NULL ? client->version : "", client->version != NULL ? "\r\n" : "");
	return client_ask(client, "POST /mcp", headers, body);
}

#define MODERN "io.modelcontextprotocol/"

static void modern(const char *method, const char *name, const char *params, char text[2][2048])
{
	snprintf(text[0], sizeof text[0], "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: %s\r\n%s%s%s",
		 method, name != NULL ? "Mcp-Name: " : "", name != NULL ? name : "",
		 name != NULL ? "\r\n" : "");
	snprintf(text[1], sizeof text[1],
		 "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"%s\",\"params\":{%s%s\"_meta\":{\"" MODERN
		 "protocolVersion\":\"2026-07-28\",\"" MODERN "clientCapabilities\":{\"elicitation\":{}}}}}",
		 method, params, params[0] != '\0' ? "," : "");
}

int client_modern(struct client *client, const char *method, const char *name, const char *params)
{
	char text[2][2048];

	modern(method, name, params, text);
	return client_ask(client, "POST /mcp", text[0], text[1]);
}

int client_modern_send(struct client *client, const char *method, const char *name,
		       const char *params)
{
	int fd = client_connect(client);
	char text[2][2048];

	modern(method, name, params, text);
	client_send(fd, "POST /mcp", text[0], text[1]);
	return fd;
}

bool client_initialize(struct client *client, const char *version, const char *capabilities)
{
	char body[512];
	char *id;

	snprintf(body, sizeof body,
		 "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
		 "\"%s\",\"capabilities\":{%s},\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}",
		 version, capabilities);
	client->session[0] = '\0';
	client->version = NULL;
	if (!CHECK(client_post(client, body) == 200) || !CHECK(client_has(client, version)))
		return false;
	id = strstr(client->text, "Mcp-Session-Id: ");
	if (id != NULL)
		snprintf(client->session, sizeof client->session, "%.50s", id);
	client->version = version;
	return CHECK(client_post(client, "{\"jsonrpc\":\"2.0\","
					 "\"method\":\"notifications/initialized\"}") == 202);
}
