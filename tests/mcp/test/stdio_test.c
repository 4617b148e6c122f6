/* SPDX-License-Identifier: Apache-2.0 */
/* stdio_test.c - kolk-mcp-fixture as a child process. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/mcp/test/client.h"

struct child {
	pid_t pid;
	int in, out;
	char text[65536];
};

static struct child *start(const char *one, const char *two)
{
	struct child *child = calloc(1, sizeof *child);
	int in[2], out[2];

	if (!CHECK(pipe(in) == 0 && pipe(out) == 0))
		abort();
	child->pid = fork();
	if (child->pid == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		close(in[1]);
		close(out[0]);
		execl(MCP_FIXTURE_PROGRAM, "kolk-mcp-fixture", "--stdio", one, two, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	child->in = in[1];
	child->out = out[0];
	return child;
}

static void say(struct child *child, const char *line)
{
	CHECK(write(child->in, line, strlen(line)) == (ssize_t)strlen(line) &&
	      write(child->in, "\n", 1) == 1);
}

/* Until this came, anywhere behind what came before. */
static bool hears(struct child *child, const char *text)
{
	size_t had = strlen(child->text);

	while (strstr(child->text, text) == NULL) {
		struct pollfd look = { .fd = child->out, .events = POLLIN };
		ssize_t size = poll(&look, 1, 10000) > 0 ?
			read(child->out, child->text + had, sizeof child->text - 1 - had) : 0;

		if (size <= 0) {
			tap_note("it said: %s", child->text);
			return false;
		}
		had += (size_t)size;
	}
	return true;
}

/* Its exit status; -1 = a signal. */
static int end(struct child *child)
{
	int status = 0;

	close(child->in);
	waitpid(child->pid, &status, 0);
	close(child->out);
	free(child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define INITIALIZE                                                                         \
	"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":" \
	"\"2025-06-18\",\"capabilities\":{\"roots\":{}},\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}"
#define META                                                                               \
	"\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","           \
	"\"io.modelcontextprotocol/clientCapabilities\":{}}"

static void a_session(void)
{
	struct child *child = start("--early", NULL);

	say(child, INITIALIZE);
	CHECK(hears(child, "\"id\":0,\"result\""));
	CHECK(strstr(child->text, "list_changed") < strstr(child->text, "\"id\":0"));
	say(child, CALL("1", "slow", "\"ms\":200"));
	say(child, CALL("2", "echo", "\"nonce\":\"first\""));
	CHECK(hears(child, "\"id\":1,\"result\"")); /* multiplexed: the second was not kept back */
	CHECK(strstr(child->text, "first") < strstr(child->text, "\"id\":1"));
	say(child, CALL("3", "test_input_required_result_list_roots", ""));
	CHECK(hears(child, "roots/list"));
	say(child, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"roots\":[{\"uri\":\"file:///r\"}]}}");
	CHECK(hears(child, "the first is file:///r"));
	say(child, "{");
	CHECK(hears(child, "-32700"));
	CHECK(end(child) == 0);
}

static void without_sessions(void)
{
	struct child *child = start(NULL, NULL);

	say(child, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\",\"params\":{" META "}}");
	CHECK(hears(child, "supportedVersions"));
	say(child, "{\"jsonrpc\":\"2.0\",\"id\":\"l\",\"method\":\"subscriptions/listen\",\"params\":{"
		   "\"notifications\":{\"toolsListChanged\":true}," META "}}");
	CHECK(hears(child, "acknowledged"));
	say(child, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":"
		   "\"test_trigger_tool_change\"," META "}}");
	CHECK(hears(child, "tools/list_changed"));
	say(child, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":"
		   "{\"requestId\":\"l\"}}");
	say(child, "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"ping\",\"params\":{" META "}}");
	CHECK(hears(child, "-32601"));
	CHECK(end(child) == 0);
	child = start("--versions=2025-06-18", NULL);
	say(child, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\",\"params\":{" META "}}");
	CHECK(hears(child, "-32601"));
	CHECK(end(child) == 0);
}

static void it_ends_badly(void)
{
	struct child *child = start("--may-crash", NULL);

	say(child, INITIALIZE);
	say(child, CALL("1", "crash", ""));
	CHECK(end(child) == 42);
	child = start("--ignore-end", "--ignore-term");
	say(child, INITIALIZE);
	CHECK(hears(child, "\"id\":0,\"result\""));
	close(child->in);
	child->in = -1;
	kill(child->pid, SIGTERM);
	usleep(50000);
	CHECK(waitpid(child->pid, NULL, WNOHANG) == 0);
	kill(child->pid, SIGKILL);
	CHECK(end(child) == -1);
}

static const struct tap_test tests[] = {
	{ "a session on stdio", a_session },
	{ "2026-07-28 on stdio", without_sessions },
	{ "it ends badly", it_ends_badly },
};
TAP_TESTS(stdio, tests);
