/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - a call of a pooled tool: made of a message, run on a pool, answered once. */
#include "tools/gateway/tool/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/json.h"

/* ---- answered */

/* DATA as text, and as it is. */
static void put_result(struct gw_text *to, const char *data, size_t size, bool failed)
{
	gw_text_say(to, "{\"content\":[{\"type\":\"text\",\"text\":");
	gw_text_string(to, data, size);
	gw_text_say(to, "}],\"structuredContent\":");
	gw_text_put(to, data, size);
	gw_text_say(to, failed ? ",\"isError\":true}" : ",\"isError\":false}");
}

static void put_plain_failure(struct gw_text *to, const char *failure)
{
	gw_text_say(to, "{\"content\":[{\"type\":\"text\",\"text\":");
	gw_text_string(to, failure, strlen(failure));
	gw_text_say(to, "}],\"isError\":true}");
}

/* {"success", "data", "error"} */
static void put_success(struct gw_text *to, const struct gw_text *data, const char *failure)
{
	gw_text_say(to, failure == NULL ? "{\"success\":true" : "{\"success\":false,\"error\":");
	if (failure != NULL)
		gw_text_string(to, failure, strlen(failure));
	if (gw_text_size(data) > 0) {
		gw_text_say(to, ",\"data\":");
		gw_text_put(to, gw_text_data(data), gw_text_size(data));
	}
	gw_text_say(to, "}");
}

static void put_answer(const struct gw_tool_call *call, const char *failure, struct gw_text *to)
{
	struct gw_text whole = { .failed = false };

	if (call->tool->result == GW_TOOL_SUCCESS) {
		put_success(&whole, &call->data, failure);
		put_result(to, gw_text_data(&whole), gw_text_size(&whole), failure != NULL);
		to->failed |= whole.failed;
	} else if (failure != NULL && gw_text_size(&call->data) == 0) {
		put_plain_failure(to, failure);
	} else {
		put_result(to, gw_text_data(&call->data), gw_text_size(&call->data),
			   failure != NULL);
	}
	gw_text_free(&whole);
}

static enum kolk_err answer(struct gw_tool_call *call, const char *failure)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);
	struct gw_text text = { .failed = call->data.failed };
	enum kolk_err err = KOLK_E_MEMORY;

	put_answer(call, failure, &text);
	result.result = gw_text_data(&text);
	result.result_size = gw_text_size(&text);
	if (!text.failed)
		err = kolk_mcp_local_answer(call->session->local, call->id, call->id_size, &result);
	gw_text_free(&text);
	return err;
}

static void forget(struct gw_tool_call *call)
{
	if (call->session == NULL)
		return;
	*call->at = call->next;
	if (call->next != NULL)
		call->next->at = call->at;
	call->session = NULL;
}

static void call_free(struct gw_tool_call *call)
{
	forget(call);
	if (call->key != NULL)
		kolk_key_let_go(call->key);
	gw_tool_sql_free(call);
	gw_text_free(&call->sent);
	gw_text_free(&call->received);
	gw_text_free(&call->data);
	gw_arguments_free(&call->arguments);
	free(call->id);
	/* The last thing that is done with what gw_tools_close frees when none is in flight. */
	kolk__sub_acq_rel(&call->tools->numbers[call->tool->index].in_flight, 1);
	free(call);
}

void gw_tool_call_end(struct gw_tool_call *call, const char *failure)
{
	struct gw_tool_numbers *numbers = &call->tools->numbers[call->tool->index];
	enum kolk_err err;

	if (gw_text_size(&call->data) > gw_tool_bytes_max(call->tool)) {
		gw_text_free(&call->data);
		failure = "the result is longer than the tool's bytes_max";
	}
	if (failure != NULL)
		kolk__add_relaxed(&numbers->failed, 1); /* a number that nothing depends on */
	err = call->session != NULL ? answer(call, failure) : KOLK_OK;
	if (err != KOLK_OK && err != KOLK_E_CLOSED) { /* what is left of it is said in a few words */
		gw_text_free(&call->data);
		call->data.failed = false;
		(void)answer(call, kolk_err_text(err));
	}
	call_free(call);
}

void gw_tool_call_fail(struct gw_tool_call *call, const char *format, ...)
{
	char text[1024];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof text, format, list);
	va_end(list);
	gw_text_free(&call->data);
	gw_tool_call_end(call, text);
}

void gw_tool_call_fail_err(struct gw_tool_call *call, enum kolk_err err)
{
	if (err == KOLK_E_LIMIT)
		gw_tool_call_fail(call, "the result is longer than the tool's bytes_max");
	else if (err == KOLK_E_TIMEOUT)
		gw_tool_call_fail(call, "the tool's timeout has passed");
	else
		gw_tool_call_fail(call, "%s", kolk_err_text(err));
}

/* ---- words */

static bool visit_items(struct gw_tool_call *call, const struct gw_template *word,
			gw_tool_word_fn *visit, void *user)
{
	struct gw_argument *list = &call->arguments.at[gw_template_list(word, call->tool)];
	const struct gw_argument whole = *list;
	bool good = true;

	for (uint32_t i = 0; i < whole.count && good; i++) {
		*list = whole.items[i];
		good = visit(call, word, user);
	}
	*list = whole;
	return good;
}

bool gw_tool_call_each_word(struct gw_tool_call *call, const struct gw_words *words,
			    gw_tool_word_fn *visit, void *user)
{
	for (uint32_t i = 0; i < words->count; i++) {
		const struct gw_template *word = &words->at[i];

		if (!gw_template_is_given(word, call->arguments.at))
			continue;
		if (gw_template_list(word, call->tool) == GW_LITERAL ? !visit(call, word, user) :
								       !visit_items(call, word, visit, user))
			return false;
	}
	return true;
}

static bool put_word(struct gw_tool_call *call, const struct gw_template *word, void *user)
{
	struct gw_tool_words *made = user;
	size_t begin = gw_text_size(&call->sent);

	gw_template_put(word, call->arguments.at, &call->sent);
	made->sizes[made->count++] = gw_text_size(&call->sent) - begin;
	gw_text_put(&call->sent, "", 1);
	return !call->sent.failed;
}

bool gw_tool_call_words(struct gw_tool_call *call, const struct gw_words *words,
			struct gw_tool_words *made)
{
	const char *text;

	made->count = 0;
	if (!gw_tool_call_each_word(call, words, put_word, made))
		return false;
	text = gw_text_data(&call->sent);
	for (size_t i = 0; i < made->count; i++) {
		made->at[i] = text;
		text += made->sizes[i] + 1;
	}
	made->at[made->count] = NULL;
	return true;
}

/* ---- begun */

static const struct gw_tool *find(const struct gw_tool_set *set, struct kolk_mcp_part name)
{
	for (uint32_t i = 0; i < set->route->tool_count; i++)
		if (gw_json_says(name, set->route->tool_list[i]->name))
			return set->route->tool_list[i];
	return NULL;
}

static struct gw_tool_call *call_make(struct gw_tool_session *session, const struct gw_tool *tool,
				      struct kolk_mcp_part id)
{
	struct gw_tools *tools = session->set->tools;
	struct gw_tool_call *call = calloc(1, sizeof *call);

	if (call == NULL)
		return NULL;
	call->id = malloc(id.size);
	if (call->id == NULL) {
		free(call);
		return NULL;
	}
	memcpy(call->id, id.data, call->id_size = id.size);
	call->session = session;
	call->tools = tools;
	call->loop = &tools->gateway->loops[kolk_loop_index(kolk_loop_current())];
	call->tool = tool;
	call->tenant = kolk_mcp_local_tenant(session->local);
	call->deadline_ns = kolk_in_ns(tool->timeout_ns != 0 ? tool->timeout_ns : GW_TOOL_TIMEOUT_NS);
	call->at = &session->calls;
	call->next = session->calls;
	if (call->next != NULL)
		call->next->at = &call->next;
	session->calls = call;
	kolk__add_relaxed(&tools->numbers[tool->index].calls, 1); /* likewise */
	kolk__add_relaxed(&tools->numbers[tool->index].in_flight, 1); /* its end is what is waited for */
	return call;
}

/* A connection of the pool that is the tenant's. */
static enum kolk_err hold_key(struct gw_tool_call *call)
{
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_pool *pool;

	if (call->tool->pool == NULL)
		return KOLK_OK;
	pool = kolk_pool_find(call->tools->gateway->engine, call->tool->pool);
	if (pool == NULL)
		return KOLK_E_DRAINING;
	who.tenant = call->tenant[0] != '\0' ? call->tenant : NULL;
	return kolk_key_hold(pool, &who, &call->key);
}

static void work_begin(struct gw_tool_call *call)
{
	static void (*const begin[])(struct gw_tool_call *) = {
		[GW_TOOL_SQL] = gw_tool_sql_begin,     [GW_TOOL_QUERY] = gw_tool_sql_begin,
		[GW_TOOL_REDIS] = gw_tool_redis_begin, [GW_TOOL_CASES] = gw_tool_redis_begin,
		[GW_TOOL_HTTP] = gw_tool_http_begin,   [GW_TOOL_COMMAND] = gw_tool_command_begin,
	};

	begin[call->tool->kind](call);
}

static void refuse(struct gw_tool_session *session, struct kolk_mcp_part id, const char *error)
{
	struct kolk_mcp_result answer = KOLK_INIT(kolk_mcp_result);

	answer.error = error;
	answer.error_size = strlen(error);
	(void)kolk_mcp_local_answer(session->local, id.data, id.size, &answer);
}

void gw_tool_call_begin(struct gw_tool_session *session, const struct kolk_mcp_envelope *message)
{
	const struct gw_tool *tool = find(session->set, message->name);
	struct gw_tool_call *call;
	enum kolk_err err;

	if (tool == NULL) {
		refuse(session, message->id, "{\"code\":-32602,\"message\":\"Unknown tool\"}");
		return;
	}
	call = call_make(session, tool, message->id);
	if (call == NULL) {
		refuse(session, message->id, "{\"code\":-32603,\"message\":\"there is no memory\"}");
		return;
	}
	if (!gw_arguments_read(tool, gw_json_member_of(message->params, "arguments"),
			       &call->arguments)) {
		gw_tool_call_fail(call, "%s", call->arguments.flaw);
		return;
	}
	err = hold_key(call);
	if (err == KOLK_OK)
		work_begin(call);
	else
		gw_tool_call_fail_err(call, err);
}

/* ---- ended early */

void gw_tool_call_cancel(struct gw_tool_call *call)
{
	if (call->redis != NULL)
		kolk_redis_cancel(call->redis);
	else if (call->postgres != NULL)
		kolk_postgres_call_cancel(call->postgres);
	else if (call->http != NULL)
		kolk_http_cancel(call->http);
	else if (call->process != NULL)
		gw_tool_command_cancel(call);
}

void gw_tool_call_leave(struct gw_tool_call *call)
{
	forget(call);
	gw_tool_call_cancel(call);
}
