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

/* What the file names: a check and a start say the same, with the place, and nothing is listened on. */
static void both_say(const char *file, const char *what)
{
	told("--check --config $FILE", file);
	CHECK(says(what, "status 1\n"));
	told("--config $FILE", file);
	CHECK(says(what, "status 1\n") && strstr(text, "listening") == NULL);
}

#define IN_DIRECTORY ": write a path in a directory in which this user may write\n"

static void test_admin(void)
{
	both_say("pools: []\nadmin: {listen: \"unix:/nowhere/admin.sock\"}\n" LISTEN ANSWER,
		 ":2:17: 'listen' names '/nowhere/admin.sock': No such file or directory" IN_DIRECTORY);
	both_say("pools: []\nadmin: {listen: \"unix:/etc/passwd\"}\n" LISTEN ANSWER,
		 ":2:17: 'listen' names '/etc/passwd': what is there is no socket" IN_DIRECTORY);
	both_say("pools: []\nadmin: {listen: \"192.0.2.1:80\", token: 0123456789abcdef}\n" LISTEN ANSWER,
		 ":2:17: 'listen' is 192.0.2.1:80: this machine does not have it: write an address of it\n");
}

static void test_access_log(void)
{
	both_say("pools: []\n" LISTEN "  access_log: {path: /nowhere/access.log}\n" ANSWER,
		 ":4:22: 'path' names '/nowhere/access.log': No such file or directory" IN_DIRECTORY);
	both_say("pools: []\n" LISTEN "  access_log: {path: /usr}\n" ANSWER,
		 ":4:22: 'path' names '/usr': Is a directory" IN_DIRECTORY);
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
	told("--config $FILE", "pools: []\ngateway:\n  listen: [{socket: http}]\n" ANSWER);
	CHECK(says("kolk-gateway: the service manager passed no socket 'http' (LISTEN_FDNAMES): give "
		   "the listener an 'address', too\n", "status 1\n"));
}

static void test_places(void)
{
	both_say("pools: []\ngateway:\n  listen: [{address: \"192.0.2.1:8080\"}]\n" ANSWER,
		 ":3:22: 'address' is 192.0.2.1:8080: this machine does not have it: write an address of it\n");
	both_say("pools: []\ngateway:\n  listen: [{address: \"[2001:db8::1]:80\"}]\n" ANSWER,
		 ":3:22: 'address' is [2001:db8::1]:80: this machine does not have it: write an address of it\n");
	both_say("pools: []\ngateway:\n  listen: [{address: \"unix:/nowhere/a.sock\"}]\n" ANSWER,
		 ":3:22: 'address' names '/nowhere/a.sock': No such file or directory" IN_DIRECTORY);
	both_say("pools: []\ngateway:\n  listen:\n    - {address: \"unix:/etc/passwd\"}\n" ANSWER,
		 ":4:17: 'address' names '/etc/passwd': what is there is no socket" IN_DIRECTORY);
	both_say("pools: []\ngateway:\n  listen:\n"
		 "    - {address: \"unix:/tmp/a.sock\", unix_owner: nobody-has-it}\n" ANSWER,
		 ":4:49: there is no user 'nobody-has-it': a user, or user:group\n");
	both_say("pools: []\ngateway:\n  listen:\n"
		 "    - {address: \"unix:/tmp/a.sock\", unix_owner: \"root:nobody-has-it\"}\n" ANSWER,
		 ":4:49: there is no group 'nobody-has-it': a user, or user:group\n");
	both_say("pools:\n  - {name: a, address: \"127.0.0.1:1\", bind_address: 192.0.2.1}\n" LISTEN ANSWER,
		 ":2:53: 'bind_address' is 192.0.2.1: this machine does not have it: write an address of it\n");
}

#define RUN ": write the path of a program that this user may run\n"
#define ENTER ": write the path of a directory that this user may enter\n"
#define CHILD(keys) "pools:\n  - {name: files, protocol: mcp, child: {" keys "}}\n" LISTEN \
		    "  routes: [{pool: files}]\n"
#define TOOL(keys) "pools: []\ntools:\n  - {name: t, " keys "}\n" LISTEN "  routes: [{tools: [t]}]\n"

static void test_programs(void)
{
	both_say(CHILD("command: [/nowhere/server, --stdio]"),
		 ":2:51: 'command' names '/nowhere/server': No such file or directory" RUN);
	both_say(CHILD("command: [/usr]"), ":2:51: 'command' names '/usr': Is a directory" RUN);
	both_say(CHILD("command: [/bin/cat], directory: /nowhere"),
		 ":2:74: 'directory' names '/nowhere': No such file or directory" ENTER);
	both_say(TOOL("command: [/etc/passwd, -x]"),
		 ":3:24: 'command' names '/etc/passwd': Permission denied" RUN);
	both_say(TOOL("command: [/usr]"), ":3:24: 'command' names '/usr': Is a directory" RUN);
	both_say(TOOL("command: [/bin/cat], directory: /etc/passwd"),
		 ":3:47: 'directory' names '/etc/passwd': Not a directory" ENTER);
}

/* Files of TLS that are there, and are not what they should be. */
static void test_certificates(void)
{
	both_say("pools: []\n" LISTEN "  tracing: {endpoint: \"https://127.0.0.1:1/v1\", ca_file: /etc/passwd}\n"
		 ANSWER, ":4:58: 'ca_file': it has no certificate: PEM\n");
	both_say("pools: []\n" LISTEN "  tracing: {endpoint: \"https://127.0.0.1:1/v1\", ca_file: /usr}\n"
		 ANSWER, ":4:58: 'ca_file': it is no regular file\n");
	both_say("pools:\n  - {name: a, address: \"127.0.0.1:1\", tls: {ca_file: /usr}}\n" LISTEN ANSWER,
		 ":2:54: 'ca_file' names '/usr': Is a directory: write the path of a PEM file that this "
		 "user may read\n");
}

/* What may come later is a warning of a check, and stops no start. */
static void test_later(void)
{
	static const char file[] =
		"pools:\n  - {name: far, protocol: mcp, address: \"127.0.0.1:1\", mcp: {token_file: /nowhere/t}}\n"
		LISTEN "  warm_state_file: /nowhere/warm\n  routes: [{pool: far}]\n";

	told("--check --config $FILE", file);
	CHECK(says(":2:74: 'token_file' names '/nowhere/t': No such file or directory: write the path of a "
		   "file that this user may read\n", "status 0\n"));
	CHECK(says("kolk-gateway: warning: ", " is right\n"));
	CHECK(says(":5:20: 'warm_state_file' names '/nowhere/warm': No such file or directory" IN_DIRECTORY,
		   "status 0\n"));
}

/* A check before the first start of the service finds no directory that it makes. */
static void test_service(void)
{
	static const char file[] = "pools: []\nadmin: {listen: \"unix:/run/kolk/admin.sock\"}\n" LISTEN ANSWER;
	const bool is_made = access("/run/kolk", F_OK) == 0;

	told("--check --config $FILE", file);
	CHECK(says(" is right\n", "status 0\n"));
	CHECK((strstr(text, "kolk-gateway: warning: ") == NULL) == is_made);
	CHECK(is_made || says(":2:17: 'listen' names '/run/kolk/admin.sock', whose directory is not there yet: "
			      "kolk-gateway.service makes it as it starts\n", "status 0\n"));
	if (!is_made)
		told("--config $FILE", file);
	CHECK(is_made || says(":2:17: 'listen' names '/run/kolk/admin.sock': No such file or directory"
			      IN_DIRECTORY, "status 1\n"));
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
	{ "places that this machine does not have", test_places },
	{ "programs that cannot be run", test_programs },
	{ "certificates that are none", test_certificates },
	{ "what may come later", test_later },
	{ "directories that the service makes", test_service },
	{ "--stdio with a path that no route has", test_stdio_route },
};
TAP_TESTS(start, tests);
