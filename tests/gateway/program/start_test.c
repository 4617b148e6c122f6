/* SPDX-License-Identifier: Apache-2.0 */
/* start_test.c - a start that fails says what is missing, by its name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
	{ "--stdio with a path that no route has", test_stdio_route },
};
TAP_TESTS(start, tests);
