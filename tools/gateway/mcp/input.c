/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input.c - what a server without sessions needs of a client with one. Its result says what
 * (inputRequests); each becomes a request to the client on the stream of the call. When all are
 * answered, the request is repeated with the answers (inputResponses) and the server's requestState.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/mcp/adapt.h"
#include "tools/gateway/json.h"

struct gw_mcp_input {
	struct gw_mcp_input *next;
	uint64_t id;                 /* of the request to the client */
	struct gw_pipe key;          /* the server's, a string of JSON */
	struct gw_pipe answer;       /* a result; empty = none has come */
};

/* A call whose server needs something. */
struct gw_mcp_asking {
	struct gw_mcp_input *inputs;
	uint32_t missing;            /* answers */
	uint32_t rounds;
	struct gw_pipe state;        /* requestState, JSON; empty = none */
	struct kolk_timer timer;     /* while answers are missing */
	bool waits;                  /* they are, and the pool counts it */
};

static bool put(struct gw_pipe *out, const char *text)
{
	return gw_pipe_push(out, text, strlen(text));
}

static struct kolk_mcp_part part_of(const struct gw_pipe *pipe)
{
	return (struct kolk_mcp_part){ pipe->data + pipe->begin, pipe->size };
}

static void forget_inputs(struct gw_mcp_asking *asking)
{
	struct gw_mcp_input *next;

	for (struct gw_mcp_input *input = asking->inputs; input != NULL; input = next) {
		next = input->next;
		gw_pipe_free(&input->key);
		gw_pipe_free(&input->answer);
		free(input);
	}
	asking->inputs = NULL;
	asking->missing = 0;
	gw_pipe_reset(&asking->state);
}

static void wait_no_more(struct gw_mcp_call *call)
{
	kolk_timer_stop(&call->asking->timer);
	if (call->asking->waits)
		kolk__sub_relaxed(&call->pool->suspended, 1);
	call->asking->waits = false;
}

void gw_mcp_input_end(struct gw_mcp_call *call)
{
	if (call->asking == NULL)
		return;
	wait_no_more(call);
	forget_inputs(call->asking);
	gw_pipe_free(&call->asking->state);
	free(call->asking);
	call->asking = NULL;
}

/* ---- the repeated request */

/* A member, behind what is there of the object. */
static bool put_member(struct gw_pipe *out, const char *name, struct kolk_mcp_part value)
{
	bool first = out->data[out->begin + out->size - 1] == '{';

	return put(out, first ? "" : ",") && put(out, name) && put(out, ":") &&
	       gw_pipe_push(out, value.data, value.size);
}

/* The client's members, but for those that are written anew. */
static bool put_old(struct gw_pipe *out, struct kolk_mcp_part params, bool without_meta)
{
	struct gw_json_member member;
	bool ok = true;

	while (ok && gw_json_next(&params, &member)) {
		if (gw_json_says(member.name, "inputResponses") ||
		    gw_json_says(member.name, "requestState") ||
		    (without_meta && gw_json_says(member.name, "_meta")))
			continue;
		ok = put(out, out->data[out->begin + out->size - 1] == '{' ? "" : ",") &&
		     gw_pipe_push(out, member.name.data, member.name.size) && put(out, ":") &&
		     gw_pipe_push(out, member.value.data, member.value.size);
	}
	return ok;
}

/* The level of log messages is said in each request. */
static bool put_meta(struct gw_pipe *out, const struct gw_mcp_call *call,
		     struct kolk_mcp_part level)
{
	static const char name[] = "\"io.modelcontextprotocol/logLevel\"";
	struct kolk_mcp_part meta = call->message->meta;
	struct gw_pipe members = { .data = NULL };
	bool ok = put(&members, "{") && put_member(&members, name, level) &&
		  put_old(&members, meta, false) && put(&members, "}") &&
		  put_member(out, "\"_meta\"", part_of(&members));

	gw_pipe_free(&members);
	return ok;
}

static bool put_answers(struct gw_pipe *out, const struct gw_mcp_asking *asking)
{
	struct gw_pipe answers = { .data = NULL };
	bool ok = put(&answers, "{");

	for (const struct gw_mcp_input *input = asking->inputs; ok && input != NULL;
	     input = input->next)
		ok = put(&answers, answers.size == 1 ? "" : ",") &&
		     gw_pipe_push(&answers, part_of(&input->key).data, input->key.size) &&
		     put(&answers, ":") &&
		     gw_pipe_push(&answers, part_of(&input->answer).data, input->answer.size);
	ok = ok && put(&answers, "}") &&
	     (asking->inputs == NULL || put_member(out, "\"inputResponses\"", part_of(&answers))) &&
	     (asking->state.size == 0 || put_member(out, "\"requestState\"", part_of(&asking->state)));
	gw_pipe_free(&answers);
	return ok;
}

bool gw_mcp_input_params(struct gw_mcp_call *call)
{
	const struct kolk_mcp_part level = part_of(&call->session->adapted->log_level);
	struct gw_pipe *out = &call->params;

	gw_pipe_reset(out);
	if (level.size == 0 && call->asking == NULL)
		return true;
	return put(out, "{") && put_old(out, call->message->params, level.size > 0) &&
	       (level.size == 0 || put_meta(out, call, level)) &&
	       (call->asking == NULL || put_answers(out, call->asking)) && put(out, "}");
}

static void repeat(struct gw_mcp_call *call)
{
	wait_no_more(call);
	if (gw_mcp_input_params(call))
		gw_mcp_call_start(call);
	else
		gw_mcp_call_refuse(call, 503, kolk_err_text(KOLK_E_MEMORY));
}

/* ---- what it needs */

static void on_timer(struct kolk_timer *timer, void *user)
{
	(void)timer;
	gw_mcp_call_refuse(user, 504, "the client did not answer in time");
}

/* A request of the server to its client: false = it is none, or no memory. */
static bool ask(struct gw_mcp_call *call, const struct gw_json_member *needed)
{
	struct kolk_mcp_message message = { .size = sizeof message };
	struct kolk_mcp_part method = gw_json_member_of(needed->value, "method");
	struct kolk_mcp_part params = gw_json_member_of(needed->value, "params");
	struct gw_mcp_input *input = calloc(1, sizeof *input), **at = &call->asking->inputs;
	char id[24];

	if (input == NULL)
		return false;
	while (*at != NULL) /* in the server's order */
		at = &(*at)->next;
	*at = input;
	call->asking->missing++;
	input->id = ++call->home->mcp->asked;
	if (method.size < 3 || method.data[0] != '"' ||
	    memchr(method.data, '\\', method.size) != NULL ||
	    !gw_pipe_push(&input->key, needed->name.data, needed->name.size))
		return false;
	message.method = method.data + 1;
	message.method_size = (uint32_t)method.size - 2;
	message.params = params.data;
	message.params_size = params.size;
	message.id = id;
	message.id_size = (size_t)snprintf(id, sizeof id, "%llu", (unsigned long long)input->id);
	gw_mcp_call_pass(call, &message);
	return true;
}

static bool ask_all(struct gw_mcp_call *call, struct kolk_mcp_part result)
{
	struct kolk_mcp_part state = gw_json_member_of(result, "requestState");
	struct kolk_mcp_part requests = gw_json_member_of(result, "inputRequests");
	struct gw_json_member needed;
	bool ok;

	forget_inputs(call->asking);
	ok = state.size == 0 || gw_pipe_push(&call->asking->state, state.data, state.size);
	while (ok && gw_json_next(&requests, &needed))
		ok = ask(call, &needed);
	return ok;
}

static bool may_need(const char *method)
{
	return strcmp(method, "tools/call") == 0 || strcmp(method, "prompts/get") == 0 ||
	       strcmp(method, "resources/read") == 0;
}

bool gw_mcp_input_required(struct gw_mcp_call *call, const struct kolk_mcp_result *result)
{
	const struct kolk_mcp_part said = { result->result, result->result_size };

	if (result->err != KOLK_OK || !may_need(call->message->method) ||
	    !gw_json_says(gw_json_member_of(said, "resultType"), "input_required"))
		return false;
	if (call->asking == NULL)
		call->asking = calloc(1, sizeof *call->asking);
	if (call->asking == NULL || ++call->asking->rounds > GW_MCP_ROUNDS_MAX ||
	    call->session->client == NULL || !ask_all(call, said)) {
		gw_mcp_call_refuse(call, 502, "what the server needs cannot be asked");
	} else if (call->asking->missing == 0) {
		repeat(call); /* it wants its state back, and that is all */
	} else {
		kolk__add_relaxed(&call->pool->suspended, 1);
		call->asking->waits = true;
		(void)kolk_timer_start(call->home->loop, &call->asking->timer,
				       kolk_in_ns(call->suspend_ns), on_timer, call);
	}
	return true;
}

/* ---- what the client says */

static struct gw_mcp_input *find(struct gw_mcp_call *asked, struct kolk_mcp_part id)
{
	struct gw_mcp_input *input = asked->asking != NULL ? asked->asking->inputs : NULL;
	char text[24];

	for (; input != NULL; input = input->next)
		if (input->answer.size == 0 &&
		    (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)input->id) ==
			    id.size && memcmp(text, id.data, id.size) == 0)
			break;
	return input;
}

/* The client cannot: that is how the call ends. */
static void fail(struct gw_mcp_call *asked, struct kolk_mcp_part error)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

	result.err = KOLK_E_SERVER;
	result.error = error.data;
	result.error_size = error.size;
	gw_mcp_call_end(asked, &result);
}

static void take(struct gw_mcp_call *asked, struct gw_mcp_input *input, struct kolk_mcp_part result)
{
	if (!gw_pipe_push(&input->answer, result.data, result.size))
		gw_mcp_call_refuse(asked, 503, kolk_err_text(KOLK_E_MEMORY));
	else if (--asked->asking->missing == 0)
		repeat(asked);
}

bool gw_mcp_input_reply(struct gw_mcp_session *session, const struct kolk_mcp_envelope *answer)
{
	struct gw_mcp_call *asked = session->calls;
	struct gw_mcp_input *input = NULL;

	for (; asked != NULL && input == NULL; asked = input == NULL ? asked->next : asked)
		input = find(asked, answer->id);
	if (input != NULL && answer->error.size > 0) /* NULL: it comes too late */
		fail(asked, answer->error);
	else if (input != NULL)
		take(asked, input, answer->result);
	return input != NULL;
}

/* ---- the end before the server's */

void gw_mcp_input_cancel(struct gw_mcp_call *call)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

	result.err = KOLK_E_CANCELLED;
	if (call->asking != NULL && call->asking->missing > 0)
		gw_mcp_call_end(call, &result);
}

static struct gw_mcp_call *find_waiting(const struct gw_mcp_session *session)
{
	struct gw_mcp_call *call = session->calls;

	while (call != NULL && (call->asking == NULL || call->asking->missing == 0))
		call = call->next;
	return call;
}

void gw_mcp_input_close(struct gw_mcp_session *session)
{
	struct gw_mcp_call *call;

	while ((call = find_waiting(session)) != NULL)
		gw_mcp_input_cancel(call);
}
