/* SPDX-License-Identifier: Apache-2.0 */
/* start_test.c - a start that fails says what is missing, by its name. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"

static char text[8192];

/* What the program says with these arguments; $FILE in them is a file with that text. */
static const char *told(const char *arguments, const char *file)
{
	char path[] = "/tmp/kolk-gateway-start-XXXXXX", command[1024];
	int fd = mkstemp(path);
	size_t size = 0;
	FILE *out;

	text[0] = '\0';
	if (fd < 0 || dprintf(fd, "%s", file) < 0)
		return text;
	snprintf(command, sizeof command, "FILE=%s; timeout 30 %s %s 2>&1 </dev/null; echo \"status $?\"",
		 path, GATEWAY_PROGRAM, arguments);
	out = popen(command, "r");
	if (out != NULL) {
		size = fread(text, 1, sizeof text - 1, out);
		text[size] = '\0';
		pclose(out);
	}
	unlink(path);
	close(fd);
	return text;
}

static bool says(const char *what, const char *status)
{
	const bool said = strstr(text, what) != NULL && strstr(text, status) != NULL;

	if (!said)
		tap_note("%.400s", text);
	return said;
}

static void test_arguments(void)
{
	told("", "");
	CHECK(says("kolk-gateway: --config FILE is missing\n", "status 2\n"));
	told("--check", "");
	CHECK(says("kolk-gateway: --config FILE is missing\n", "status 2\n"));
	told("--check gw.yaml", "");
	CHECK(says("write --config in front of the file: --config gw.yaml\n", "status 2\n"));
	told("--config gw.yaml other.yaml", "");
	CHECK(says("'other.yaml' is one argument too many\n", "status 2\n"));
	told("--stdio /mcp a.yaml b.yaml", "");
	CHECK(says("'b.yaml' is one argument too many\n", "status 2\n"));
}

#define LISTEN "gateway:\n  listen: [{address: \"127.0.0.1:0\"}]\n"
#define ANSWER "  routes: [{answer: {body: hi}}]\n"

static void test_admin(void)
{
	told("--config $FILE", "pools: []\nadmin: {listen: \"unix:/nowhere/admin.sock\"}\n" LISTEN ANSWER);
	CHECK(says("kolk-gateway: no admin server at unix:/nowhere/admin.sock: No such file or directory\n",
		   "status 1\n"));
}

static void test_access_log(void)
{
	told("--config $FILE", "pools: []\n" LISTEN "  access_log: {path: /nowhere/access.log}\n" ANSWER);
	CHECK(says("kolk-gateway: access log /nowhere/access.log: No such file or directory\n",
		   "status 1\n"));
}

/* Of the error of the operating system the text alone, and what to do where that is known. */
static void test_listen(void)
{
	struct sockaddr_in taken = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof taken;
	char file[200], line[200];

	MUST(bind(fd, (void *)&taken, size) == 0 && listen(fd, 1) == 0);
	MUST(getsockname(fd, (void *)&taken, &size) == 0);
	snprintf(file, sizeof file,
		 "pools: []\ngateway:\n  listen: [{address: \"127.0.0.1:%u\"}]\n" ANSWER,
		 ntohs(taken.sin_port));
	snprintf(line, sizeof line,
		 "kolk-gateway: cannot listen at 127.0.0.1:%u: Address already in use: another "
		 "process has it, or another listener here\n", ntohs(taken.sin_port));
	told("--config $FILE", file);
	CHECK(says(line, "status 1\n"));
	close(fd);
	snprintf(file, sizeof file,
		 "pools: []\ngateway:\n  listen: [{address: \"127.0.0.1:%u\"}, {address: \"0.0.0.0:%u\"}]\n"
		 ANSWER, ntohs(taken.sin_port), ntohs(taken.sin_port));
	told("--config $FILE", file);
	CHECK(says(": Address already in use: another process has it, or another listener here\n",
		   "status 1\n"));
	told("--config $FILE",
	     "pools: []\ngateway:\n  listen: [{address: \"192.0.2.1:8080\"}]\n" ANSWER);
	CHECK(says("kolk-gateway: cannot listen at 192.0.2.1:8080: Cannot assign requested address: "
		   "this machine does not have it\n", "status 1\n"));
	told("--config $FILE",
	     "pools: []\ngateway:\n  listen: [{address: \"unix:/nowhere/a.sock\"}]\n" ANSWER);
	CHECK(says("kolk-gateway: cannot listen at unix:/nowhere/a.sock: No such file or directory\n",
		   "status 1\n"));
	told("--config $FILE", "pools: []\ngateway:\n  listen: [{socket: http}]\n" ANSWER);
	CHECK(says("kolk-gateway: the service manager passed no socket 'http' (LISTEN_FDNAMES): give "
		   "the listener an 'address', too\n", "status 1\n"));
}

/* A program that is not there stops no start: a check finds it. */
static void test_programs(void)
{
	told("--check --config $FILE",
	     "pools:\n  - {name: files, protocol: mcp, child: {command: [/nowhere/server, --stdio]}}\n"
	     LISTEN "  routes: [{pool: files}]\n");
	CHECK(says(":2:51: 'command' names '/nowhere/server': No such file or directory: write the path of "
		   "a program that this user may run\n", "status 1\n"));
	told("--check --config $FILE",
	     "pools: []\ntools:\n  - {name: no, command: [/etc/passwd, -x]}\n"
	     "  - {name: t, command: [/nowhere/program]}\n"
	     LISTEN "  routes: [{tools: [no, t]}]\n");
	CHECK(says(":3:25: 'command' names '/etc/passwd': Permission denied: write the path of a "
		   "program that this user may run\n", "status 1\n"));
	CHECK(says(":4:24: 'command' names '/nowhere/program': No such file or directory: ", "status 1\n"));
}

static void test_stdio_route(void)
{
	static const char tools[] =
		"pools: []\n"
		"tools: [{name: t, command: [/bin/true]}]\n"
		"gateway:\n  routes:\n"
		"    - {match: {path: /one}, tools: [t]}\n"
		"    - {match: {path: /text}, answer: {body: hi}}\n"
		"    - {match: {path: /two}, tools: [t]}\n";

	told("--stdio /nope $FILE", tools);
	CHECK(says("no route to an MCP server has the path /nope: there are /one, /two\n", "status 1\n"));
	told("--stdio /text $FILE", tools);
	CHECK(says("no route to an MCP server has the path /text: there are /one, /two\n", "status 1\n"));
	told("--stdio /two $FILE --check", tools);
	CHECK(says(" is right\n", "status 0\n"));
	told("--stdio / $FILE", "pools: []\ngateway:\n" ANSWER);
	CHECK(says("no route to an MCP server has the path /: there is none at all\n", "status 1\n"));
}

static const struct tap_test tests[] = {
	{ "arguments that are wrong", test_arguments },
	{ "an admin server that cannot be", test_admin },
	{ "an access log that cannot be opened", test_access_log },
	{ "an address that cannot be listened on", test_listen },
	{ "--check with programs that cannot be run", test_programs },
	{ "--stdio with a path that no route has", test_stdio_route },
};
TAP_TESTS(start, tests);
