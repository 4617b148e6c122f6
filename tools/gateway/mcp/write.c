/* SPDX-License-Identifier: Apache-2.0 */
/* write.c - messages of JSON-RPC: as JSON, as events (HTML Standard, section 9.2), as lines. */
#include <stdio.h>
#include <string.h>

#include "tools/gateway/mcp/mcp.h"

enum form { JSON, EVENT, LINE };

static enum form form_of(const struct gw_mcp_call *call)
{
	return call->line != NULL ? LINE : call->stream ? EVENT : JSON;
}

static inline bool put(struct gw_pipe *out, const char *text)
{
	return gw_pipe_push(out, text, strlen(text));
}

/* JSON has ends of lines between its tokens alone; in an event each is the beginning of another line
 * of data, which readers join again, and in a line a blank. */
static bool put_value(struct gw_pipe *out, enum form form, struct kolk_mcp_part value)
{
	const char *at = value.data, *end = value.data + value.size;
	bool ok = true;

	if (form == JSON || (memchr(at, '\n', value.size) == NULL && memchr(at, '\r', value.size) == NULL))
		return gw_pipe_push(out, at, value.size);
	while (ok && at < end) {
		const char *next = at;

		while (next < end && *next != '\n' && *next != '\r')
			next++;
		ok = next == at || gw_pipe_push(out, at, (size_t)(next - at));
		if (ok && next < end)
			ok = put(out, *next == '\n' && form == EVENT ? "\ndata: " : " ");
		at = next + 1;
	}
	return ok;
}

/* The object's brace, and what comes in front; value is its rest then. */
static bool put_first(struct gw_pipe *out, const struct gw_mcp_message *message,
		      struct kolk_mcp_part *value)
{
	size_t blanks = 1;

	if (message->first == NULL || value->data[0] != '{')
		return true;
	value->data++;
	value->size--;
	while (blanks < value->size && strchr(" \t\r\n", value->data[blanks - 1]) != NULL)
		blanks++;
	return put(out, "{") && put(out, message->first) &&
	       (value->data[blanks - 1] == '}' || put(out, ","));
}

/* What an event says of its stream. */
static bool put_mark(struct gw_pipe *out, const struct gw_mcp_message *message)
{
	char retry[40];

	snprintf(retry, sizeof retry, "retry: %llu\n", (unsigned long long)message->retry_ms);
	return (!message->has_retry || put(out, retry)) &&
	       (message->event_id.size == 0 ||
		(put(out, "id: ") &&
		 gw_pipe_push(out, message->event_id.data, message->event_id.size) && put(out, "\n")));
}

static bool put_message(struct gw_pipe *out, enum form form, const struct gw_mcp_message *message)
{
	static const char *const ends[] = { "}", "}\n\n", "}\n" };
	struct kolk_mcp_part value = message->value;
	bool ok = true;

	if (form == EVENT)
		ok = put_mark(out, message);
	ok = ok && put(out, form == EVENT ? "event: message\ndata: {\"jsonrpc\":\"2.0\"" :
					    "{\"jsonrpc\":\"2.0\"");
	if (message->id.size > 0)
		ok = ok && put(out, ",\"id\":") && put_value(out, form, message->id);
	if (message->method.size > 0)
		ok = ok && put(out, ",\"method\":\"") &&
		     gw_pipe_push(out, message->method.data, message->method.size) && put(out, "\"");
	if (message->member != NULL && message->value.size > 0)
		ok = ok && put(out, ",\"") && put(out, message->member) && put(out, "\":") &&
		     put_first(out, message, &value) && put_value(out, form, value);
	return ok && put(out, ends[form]);
}

/* All of it, or nothing. */
bool gw_mcp_write(struct gw_mcp_call *call, const struct gw_mcp_message *message)
{
	uint32_t before = call->out.size;
	bool ok = put_message(&call->out, form_of(call), message);

	if (!ok)
		call->out.size = before;
	return ok;
}

bool gw_mcp_write_mark(struct gw_mcp_call *call, const struct kolk_mcp_message *event)
{
	const struct gw_mcp_message mark = { .event_id = { event->event_id, event->event_id_size },
					     .has_retry = event->has_retry != 0,
					     .retry_ms = event->retry_ms };
	uint32_t before = call->out.size;
	/* Browsers keep the id of no event without data. */
	bool ok = put_mark(&call->out, &mark) &&
		  put(&call->out, mark.event_id.size > 0 ? "data: \n\n" : "\n");

	if (!ok)
		call->out.size = before;
	return ok;
}

bool gw_mcp_write_error(struct gw_mcp_call *call, const struct kolk_mcp_result *error)
{
	static const struct kolk_mcp_part null = { "null", 4 };
	const struct kolk_mcp_part value = { error->error, error->error_size };
	const struct kolk_mcp_part id = call->message->id;
	const struct gw_mcp_message message = { .id = id.size > 0 ? id : null, .member = "error",
						.value = value };

	return gw_mcp_write(call, &message);
}
