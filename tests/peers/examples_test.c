/* SPDX-License-Identifier: Apache-2.0 */
/* examples_test.c - the examples of docs/drivers do what their pages say: they are run as a reader would. */
#include "tests/peers/peers.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/kit/peers.h"

/* The directory of the built examples, beside this program's; false = they are not there. */
static bool find(char *path, size_t size)
{
	char self[256];
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

	self[length > 0 ? length : 0] = '\0';
	if (strrchr(self, '/') != NULL)
		*strrchr(self, '/') = '\0';
	snprintf(path, size, "%s/../tools/example-http", self);
	if (access(path, X_OK) != 0)
		return false;
	snprintf(path, size, "%s/../tools", self);
	return true;
}

/* Run an example; true when it ends with 0 and said all of the expected lines. */
static bool says(const char *expected, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static bool says(const char *expected, const char *format, ...)
{
	char tools[320], command[1024], text[4096];
	size_t used, size;
	FILE *output;
	va_list args;

	if (!find(tools, sizeof tools))
		return false;
	used = (size_t)snprintf(command, sizeof command, "%s/", tools);
	va_start(args, format);
	vsnprintf(command + used, sizeof command - used, format, args);
	va_end(args);
	output = popen(command, "re");
	if (output == NULL)
		return false;
	size = fread(text, 1, sizeof text - 1, output);
	text[size] = '\0';
	if (pclose(output) == 0 && strstr(text, expected) != NULL)
		return true;
	tap_note("it said: %s", text);
	return false;
}

static bool are_built(void)
{
	char path[320];

	if (find(path, sizeof path))
		return true;
	tap_skip("the tools are not built");
	return false;
}

static void http(void)
{
	struct kit_peer *peer;

	if (!are_built())
		return;
	peer = kit_nginx_start(&(struct kit_nginx_options){ .tls = true, .http2 = true });
	if (peer == NULL)
		return;
	CHECK(says("200, 6 bytes over HTTP/1.1\n", "example-http '%s' /small 2>&1", peer->address));
	CHECK(says("200, 1000000 bytes over HTTP/2.0\n",
		   "example-http 'tls://localhost:%u' /bytes/1000000 '%s' 2>&1", peer->tls_port,
		   peer->ca_file));
	kit_peer_close(peer);
}

/* The file says where and how, the program asks by name. */
static void configured(void)
{
	struct kit_peer *peer;
	char path[] = "/tmp/kolk-configured-XXXXXX";
	int fd;

	if (!are_built())
		return;
	peer = kit_nginx_start(&(struct kit_nginx_options){ .tls = true, .http2 = true });
	if (peer == NULL)
		return;
	fd = mkstemp(path);
	CHECK(fd >= 0);
	dprintf(fd, "pools:\n"
		"  - name: plain\n    address: %s\n    protocol: http\n"
		"  - name: secure\n    address: localhost:%u\n    protocol: http\n"
		"    tls: {ca_file: %s}\n"
		"    timeouts: {connect: 5s, socket: 30s, request: 60s, lookup: 5s}\n",
		peer->address, peer->tls_port, peer->ca_file);
	close(fd);
	CHECK(says("200, 6 bytes over HTTP/1.1\n", "example-configured %s plain /small 2>&1", path));
	CHECK(says("200, 6 bytes over HTTP/2.0\n", "example-configured %s secure /small 2>&1", path));
	unlink(path);
	kit_peer_close(peer);
}

static void postgres(void)
{
	struct kit_peer *peer;

	if (!are_built())
		return;
	peer = kit_postgres_start(&(struct kit_postgres_options){ .tls = false });
	if (peer == NULL)
		return;
	CHECK(says("bob has 30\n", "example-postgres '%s' %s %s %s 2>&1", peer->address,
		   KIT_POSTGRES_USER, KIT_POSTGRES_SECRET, "postgres"));
	CHECK(says("bob has 30\n", "example-postgres '%s' %s %s %s 2>&1", peer->unix_address,
		   KIT_POSTGRES_USER, KIT_POSTGRES_SECRET, "postgres"));
	kit_peer_close(peer);
}

/* The server of docs/drivers/http-server.md on a port of its own, asked by the client of http.md. */
static void http_server(void)
{
	char tools[320], command[640], line[64] = "";
	unsigned int port = 0, pid = 0;
	FILE *server;

	if (!are_built() || !find(tools, sizeof tools))
		return;
	snprintf(command, sizeof command, "echo $$; exec %s/example-http_server 127.0.0.1:0", tools);
	server = popen(command, "re");
	CHECK(server != NULL && fgets(line, sizeof line, server) != NULL);
	pid = (unsigned int)strtoul(line, NULL, 10);
	CHECK(fgets(line, sizeof line, server) != NULL && strncmp(line, "http://127.0.0.1:", 17) == 0);
	port = (unsigned int)strtoul(line + 17, NULL, 10);
	CHECK(says("200, 6 bytes over HTTP/1.1\n", "example-http 127.0.0.1:%u / 2>&1", port));
	CHECK(kill((pid_t)pid, SIGTERM) == 0);
	CHECK(fgets(line, sizeof line, server) != NULL &&
	      strcmp(line, "2 requests, 0 refused, 0 under way\n") == 0); /* example-http makes two */
	CHECK(pclose(server) == 0); /* it ends by itself, and well */
}

static const struct tap_test tests[] = {
	{ "HTTP server", http_server },
	{ "HTTP", http },
	{ "pools of a file", configured },
	{ "PostgreSQL", postgres },
};
TAP_TESTS(examples, tests);
