/* SPDX-License-Identifier: Apache-2.0 */
/* tools_own.c - tools of the project's own tests: who sees what, how long, how much. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/mcp/tools.h"

/* Per session: how often it was called there, and whether by more than one owner. */
static void counter(struct mcp_call *call)
{
	const char *owner = mcp_argument(call, "owner", "");
	struct mcp_session *session = call->session;
	bool leaked = false;

	if (session != NULL) {
		if (session->counter++ == 0)
			snprintf(session->owner, sizeof session->owner, "%s", owner);
		leaked = strncmp(session->owner, owner, sizeof session->owner - 1) != 0;
	}
	if (leaked)
		mcp_count(call->fixture, MCP_N_leaks, 1);
	mcp_text_result(call, "{\"count\":%" PRIu64 ",\"leaked\":%s,\"session\":\"%s\"}",
			session != NULL ? session->counter : 1, leaked ? "true" : "false",
			session != NULL ? session->id : "");
}

static void whoami(struct mcp_call *call)
{
	const char *variable = mcp_argument(call, "env", NULL);
	const char *value = variable != NULL ? getenv(variable) : NULL;
	struct mcp_session *session = call->session;
	json_t *client = session != NULL ? session->client :
					   json_object_get(call->meta, MCP_META("clientInfo"));
	json_t *who = json_pack("{s:s, s:s, s:i, s:O*, s:O*, s:O*, s:s*, s:O}", "session",
				session != NULL ? session->id : "", "version",
				mcp_versions[session != NULL ? session->version : MCP_2026_07_28], "pid",
				(int)getpid(), "client", client, "capabilities",
				(json_t *)(uintptr_t)mcp_capabilities(call), "headers", call->headers, "env",
				value, "id", call->id);
	char *text = json_dumps(who, JSON_COMPACT);

	mcp_text_result(call, "%s", text);
	free(text);
	json_decref(who);
}

static void echo(struct mcp_call *call)
{
	mcp_text_result(call, "%s", mcp_argument(call, "nonce", ""));
}

static void slow(struct mcp_call *call)
{
	if (call->step == 0)
		mcp_later(call, mcp_argument_number(call, "ms", 1000));
	else
		mcp_text_result(call, "%s", mcp_argument(call, "nonce", "slow"));
}

static void progress(struct mcp_call *call)
{
	uint64_t steps = mcp_argument_number(call, "steps", 10);

	if (call->step > 0)
		mcp_progress(call, call->step, steps);
	if (call->step < steps)
		mcp_later(call, mcp_argument_number(call, "ms", 10));
	else
		mcp_text_result(call, "%s", mcp_argument(call, "nonce", "progress"));
}

static void big(struct mcp_call *call)
{
	uint64_t size = mcp_argument_number(call, "bytes", 1 << 20);
	char *text = malloc(size + 1);

	for (uint64_t i = 0; i < size; i++)
		text[i] = (char)('a' + i % 26);
	text[size] = '\0';
	mcp_text_result(call, "%s", text);
	free(text);
}

static void crash(struct mcp_call *call)
{
	if (call->fixture->options.may_crash)
		_exit(42);
	mcp_tool_error(call, "may_crash is 0");
}

static void touch(struct mcp_call *call)
{
	mcp_notify_updated(call->fixture, mcp_argument(call, "uri", "test://watched-resource"));
	mcp_text_result(call, "touched");
}

/* clang-format off */
#define TEXT(name) "\"" name "\":{\"type\":\"string\"}"
#define NUMBER(name) "\"" name "\":{\"type\":\"integer\",\"minimum\":0}"
#define OBJECT(properties) "{\"type\":\"object\",\"properties\":{" properties "}}"
const struct mcp_tool mcp_tools_own[] = {
	{ "counter", "Counts its calls in this session; leaked = two owners called it",
	  OBJECT(TEXT("owner")), counter },
	{ "whoami", "What the server knows of its caller; env = a variable of the process",
	  OBJECT(TEXT("env")), whoami },
	{ "echo", "The nonce", OBJECT(TEXT("nonce")), echo },
	{ "slow", "Answers after ms; /numbers names the nonce if it is cancelled",
	  OBJECT(NUMBER("ms") "," TEXT("nonce")), slow },
	{ "progress", "So many steps, ms apart",
	  OBJECT(NUMBER("steps") "," NUMBER("ms") "," TEXT("nonce")), progress },
	{ "big", "So many bytes of text", OBJECT(NUMBER("bytes")), big },
	{ "crash", "Ends the process (may_crash)", NULL, crash },
	{ "touch", "Notifies those that watch the resource", OBJECT(TEXT("uri")), touch },
	{ NULL, NULL, NULL, NULL }
};
/* clang-format on */
