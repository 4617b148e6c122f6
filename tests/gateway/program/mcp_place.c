/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_place.c - a kolk-gateway in front of MCP servers, and clients of its routes. */
#include "tests/gateway/program/mcp_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__thread char text[PROGRAM_TEXT];
__thread const char *user;

/* ---- the gateway and its servers */

const char *place_admin(void)
{
	static char path[64];

	snprintf(path, sizeof path, "/tmp/kolk-mcp-%d.sock", (int)getpid());
	return path;
}

struct lines {
	char pools[4096], routes[4096], gateway[1024];
};

static const char *given(const char *keys, const char *otherwise)
{
	return keys != NULL ? keys : otherwise;
}

static void print_pool(const struct place *place, const struct place_options *o, struct lines *to)
{
	const bool mcp = o->mcp != NULL;
	char address[64] = "";

	if (o->upstream == NULL)
		snprintf(address, sizeof address, "address: \"%s\"", mcp_fixture_address(place->a));
	snprintf(to->pools, sizeof to->pools, "  - {name: tools, protocol: mcp, %s, %s%s%s%s}\n",
		 given(o->upstream, address), given(o->pool, "limits: {idle_min: 0}"),
		 mcp ? ", mcp: {" : "", given(o->mcp, ""), mcp ? "}" : "");
}

static void print_lines(const struct place *place, const struct place_options *o,
			struct lines *lines)
{
	const char *route = given(o->route, "");
	size_t size;

	if (o->pools != NULL)
		snprintf(lines->pools, sizeof lines->pools, "%s", o->pools);
	else
		print_pool(place, o, lines);
	size = strlen(lines->pools);
	if (o->admin)
		snprintf(lines->pools + size, sizeof lines->pools - size, "admin: {listen: \"unix:%s\"}\n",
			 place_admin());
	if (o->routes != NULL)
		snprintf(lines->routes, sizeof lines->routes, "%s", o->routes);
	else
		snprintf(lines->routes, sizeof lines->routes,
			 "    - {match: {path: /mcp}, pool: tools%s}\n"
			 "    - {match: {path: /other}, pool: tools%s}\n", route, route);
	snprintf(lines->gateway, sizeof lines->gateway, "%s%s",
		 !o->users ? "" : "  tenants: {from: header, header: x-user}\n"
				  "  trusted_proxies: [\"127.0.0.0/8\"]\n", given(o->gateway, ""));
}

static struct program_file file_of(const struct place *place, const struct place_options *o,
				   struct lines *lines)
{
	print_lines(place, o, lines);
	return (struct program_file){ .engine = given(o->engine, "loops: 3"), .pools = lines->pools,
				      .routes = lines->routes, .gateway = lines->gateway,
				      .counted = o->counted };
}

bool place_start(struct place *place, const struct place_options *options)
{
	struct lines lines;
	const struct program_file file = file_of(place, options, &lines);

	place->leaves_sessions = options->leaves_sessions;
	user = options->users ? "ann" : NULL;
	return program_start_with(&place->program, &file);
}

bool place_configure(struct place *place, const struct place_options *options)
{
	struct lines lines;
	const struct program_file file = file_of(place, options, &lines);

	return program_configure_with(&place->program, &file);
}

bool place_open(struct place *place, const struct place_options *options)
{
	struct mcp_options server = options->server;

	memset(place, 0, sizeof *place);
	server.listen = "127.0.0.1:0";
	place->a = options->upstream == NULL ? mcp_fixture_open(&server) : NULL;
	if (options->upstream == NULL && place->a == NULL)
		return FAILED("there is a server");
	return place_start(place, options);
}

void place_server_close(const struct place *place, struct mcp_fixture *server)
{
	if (server == NULL)
		return;
	/* It may see a moment later that a stream has ended, or a connection. */
	CHECK(WITHIN_MS(10000, mcp_fixture_number(server, MCP_N_calls_now) == 0 &&
			       (place->leaves_sessions ||
				mcp_fixture_number(server, MCP_N_sessions_open) == 0)));
	CHECK(mcp_fixture_number(server, MCP_N_leaks) == 0);
	CHECK(mcp_fixture_number(server, MCP_N_duplicate_ids) == 0);
	CHECK(mcp_fixture_number(server, MCP_N_duplicate_tokens) == 0);
	CHECK(mcp_fixture_number(server, MCP_N_foreign) == 0);
	CHECK(mcp_fixture_number(server, MCP_N_header_mismatches) == 0);
	mcp_fixture_close(server);
}

void place_close(struct place *place)
{
	CHECK(program_stop(&place->program, 20000));
	place_server_close(place, place->a);
	place_server_close(place, place->b);
	kit_mock_close(place->mock);
}

uint64_t number(const struct place *place, enum mcp_number of)
{
	return mcp_fixture_number(place->a, of);
}

uint64_t number_b(const struct place *place, enum mcp_number of)
{
	return mcp_fixture_number(place->b, of);
}

bool place_get(const struct place *place, const char *path, char to[PROGRAM_TEXT])
{
	char arguments[192];

	snprintf(arguments, sizeof arguments, "%s --unix-socket %s", path, place_admin());
	return CHECK(program_curl(&place->program, arguments, to) == 0);
}

/* ---- clients */

int begin_request(const struct place *place, const char *line, const char *fields,
		  const char *body)
{
	const size_t size = strlen(line) + strlen(fields) + strlen(body) + 512;
	int fd = program_connect(&place->program);
	char *request = malloc(size);

	snprintf(request, size,
		 "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s%s%s"
		 "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
		 "%sContent-Length: %zu\r\n\r\n%s", line, user != NULL ? "X-User: " : "", given(user, ""),
		 user != NULL ? "\r\n" : "", fields, strlen(body), body);
	if (fd >= 0 && !client_send(fd, request))
		FAILED("a request is sent");
	free(request);
	return fd;
}

int read_answer(int fd)
{
	client_read(fd, NULL, text);
	close(fd);
	return status();
}

int ask(const struct place *place, const char *line, const char *fields, const char *body)
{
	return read_answer(begin_request(place, line, fields, body));
}

int post(const struct place *place, const char *fields, const char *body)
{
	return ask(place, "POST /mcp", fields, body);
}

int status(void)
{
	return strncmp(text, "HTTP/1.1 ", 9) == 0 ? atoi(text + 9) : 0;
}

bool has(const char *what)
{
	return strstr(text, what) != NULL;
}

bool says(const char *what)
{
	if (!has(what))
		tap_note("without %s: %.700s", what, text);
	return has(what);
}

uint32_t count(const char *what)
{
	uint32_t found = 0;

	for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
		found++;
	return found;
}

bool cut(const char *behind, const char *until, char *to, size_t size)
{
	const char *at = strstr(text, behind);
	size_t length = at != NULL ? strcspn(at + strlen(behind), until) : size;

	if (length >= size)
		return false;
	memcpy(to, at + strlen(behind), length);
	to[length] = '\0';
	return true;
}

bool take_session(char field[512])
{
	char id[256];

	field[0] = '\0';
	if (status() != 200 || !cut("mcp-session-id: ", "\r", id, sizeof id)) {
		tap_note("%.500s", text);
		return FAILED("a session is made");
	}
	snprintf(field, 512, "Mcp-Session-Id: %s\r\n", id);
	return true;
}

void modern_fields(char fields[512], const char *method, const char *name)
{
	snprintf(fields, 512, MODERN_FIELDS("%s") "%s%s%s", method, name != NULL ? "Mcp-Name: " : "",
		 given(name, ""), name != NULL ? "\r\n" : "");
}
