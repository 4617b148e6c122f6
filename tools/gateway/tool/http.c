/* SPDX-License-Identifier: Apache-2.0 */
/* http.c - a pooled tool that is a request: values are percent-encoded, or JSON. */
#include <stdio.h>
#include <string.h>

#include "tools/gateway/path.h"
#include "tools/gateway/tool/call.h"

/* ---- the answer */

static void on_head(void *user, struct kolk_http_exchange *exchange, const struct kolk_http_head *head)
{
	struct gw_tool_call *call = user;

	(void)exchange;
	call->status = head->status;
}

static void on_body(void *user, struct kolk_http_exchange *exchange, const void *data, size_t size)
{
	struct gw_tool_call *call = user;

	if (gw_text_size(&call->received) + size > gw_tool_bytes_max(call->tool)) {
		call->too_long = true;
		kolk_http_cancel(exchange);
	} else if (!call->too_long) {
		gw_text_put(&call->received, data, size);
	}
}

static void put_data(struct gw_tool_call *call)
{
	const char *body = gw_text_data(&call->received);
	size_t size = gw_text_size(&call->received);

	gw_text_say(&call->data, "{\"status\":");
	gw_text_number(&call->data, call->status);
	gw_text_say(&call->data, ",\"body\":");
	if (gw_is_json(body, size, true))
		gw_text_put(&call->data, body, size);
	else
		gw_text_string(&call->data, body, size);
	gw_text_say(&call->data, "}");
	call->data.failed |= call->received.failed;
}

static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t trailer_count)
{
	struct gw_tool_call *call = user;
	char failure[64];

	(void)exchange;
	(void)trailers;
	(void)trailer_count;
	call->http = NULL;
	if (call->too_long) {
		gw_tool_call_fail_err(call, KOLK_E_LIMIT);
	} else if (err != KOLK_OK) {
		gw_tool_call_fail_err(call, err);
	} else {
		put_data(call);
		snprintf(failure, sizeof failure, "the server answered with status %u", call->status);
		gw_tool_call_end(call, call->status / 100 != 2 ? failure : NULL);
	}
}

static const struct kolk_http_handler handler = {
	.size = sizeof handler, .head = on_head, .body = on_body, .end = on_end
};

/* ---- the request */

static bool put_field(struct gw_tool_call *call, const struct gw_template *word, void *user)
{
	const char **before = user;

	gw_text_say(&call->sent, *before);
	gw_template_put_url(word, call->arguments.at, &call->sent);
	*before = "&";
	return true;
}

/* Target and body, one behind the other in `sent`, each with a zero: the size of the first. */
static size_t put_request(struct gw_tool_call *call)
{
	const struct gw_tool *tool = call->tool;
	const char *before = "?";
	size_t size;

	gw_template_put_url(tool->path, call->arguments.at, &call->sent);
	(void)gw_tool_call_each_word(call, &tool->words, put_field, &before);
	size = gw_text_size(&call->sent);
	gw_text_put(&call->sent, "", 1);
	if (tool->body != NULL)
		gw_template_put_json(tool->body, call->arguments.at, &call->sent);
	return size;
}

static uint32_t put_fields(const struct gw_tool *tool, struct kolk_http_field fields[32])
{
	uint32_t count = tool->field_count;

	if (count > 0)
		memcpy(fields, tool->fields, count * sizeof *fields);
	if (tool->body != NULL && kolk_http_field(tool->fields, count, "content-type") == NULL)
		fields[count++] = (struct kolk_http_field){ "content-type", "application/json" };
	return count;
}

/* Whether an argument made another path of it than the file's: one that is read in two ways, or that of
 * all things instead of one. */
static bool is_other_path(const struct gw_template *path, const char *target)
{
	const struct gw_template_part *last = &path->parts[path->count - 1];
	bool slash = last->parameter == GW_LITERAL && last->text[last->size - 1] == '/';

	return gw_path_reading(target) != GW_PATH_PLAIN || (!slash && gw_path_ends_empty(target));
}

void gw_tool_http_begin(struct gw_tool_call *call)
{
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct kolk_http_field fields[32];
	size_t size = put_request(call);
	enum kolk_err err = KOLK_E_MEMORY;

	request.method = call->tool->http_method != NULL ? call->tool->http_method : "GET";
	request.target = gw_text_data(&call->sent);
	if (!call->sent.failed && is_other_path(call->tool->path, request.target)) {
		gw_tool_call_fail(call, "an argument of the path is '.', '..' or empty, or has '/', '\\', ';' or a NUL");
		return;
	}
	if (call->tool->body != NULL) {
		request.body = gw_text_data(&call->sent) + size + 1;
		request.body_size = gw_text_size(&call->sent) - size - 1;
	}
	request.fields = fields;
	request.field_count = put_fields(call->tool, fields);
	request.deadline_ns = call->deadline_ns;
	request.replayable = strcmp(request.method, "GET") == 0 || strcmp(request.method, "HEAD") == 0;
	request.cancel_closes = 1;
	if (!call->sent.failed)
		err = kolk_http_start(call->loop->http, call->key, &request, &handler, call, &call->http);
	if (err != KOLK_PENDING)
		gw_tool_call_fail_err(call, err);
}
