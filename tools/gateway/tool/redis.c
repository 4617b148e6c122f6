/* SPDX-License-Identifier: Apache-2.0 */
/* redis.c - a pooled tool that is a command of Redis: each word is an argument of its own. */
#include <stdio.h>
#include <string.h>

#include "tools/gateway/tool/call.h"

/* ---- a reply, as JSON */

static void put_reply(struct gw_tool_call *call, const struct kolk_redis_reply *reply);

/* More than bytes_max is an error, so no more than that and an element is made. */
static bool is_enough(const struct gw_tool_call *call)
{
	return gw_text_size(&call->data) > gw_tool_bytes_max(call->tool) || call->data.failed;
}

static void put_list(struct gw_tool_call *call, const struct kolk_redis_reply *reply)
{
	gw_text_say(&call->data, "[");
	for (size_t i = 0; i < reply->count && !is_enough(call); i++) {
		gw_text_say(&call->data, i > 0 ? "," : "");
		put_reply(call, &reply->elements[i]);
	}
	gw_text_say(&call->data, "]");
}

/* Keys may be of any type: pairs. */
static void put_map(struct gw_tool_call *call, const struct kolk_redis_reply *reply)
{
	gw_text_say(&call->data, "[");
	for (size_t i = 0; i + 1 < reply->count && !is_enough(call); i += 2) {
		gw_text_say(&call->data, i > 0 ? ",[" : "[");
		put_reply(call, &reply->elements[i]);
		gw_text_say(&call->data, ",");
		put_reply(call, &reply->elements[i + 1]);
		gw_text_say(&call->data, "]");
	}
	gw_text_say(&call->data, "]");
}

static void put_reply(struct gw_tool_call *call, const struct kolk_redis_reply *reply)
{
	struct gw_text *to = &call->data;

	switch (reply->type) {
	case KOLK_REDIS_NIL:
		gw_text_say(to, "null");
		break;
	case KOLK_REDIS_INTEGER:
		gw_text_number(to, reply->integer);
		break;
	case KOLK_REDIS_BOOL:
		gw_text_say(to, reply->integer != 0 ? "true" : "false");
		break;
	case KOLK_REDIS_ARRAY:
	case KOLK_REDIS_SET:
	case KOLK_REDIS_PUSH:
		put_list(call, reply);
		break;
	case KOLK_REDIS_MAP:
		put_map(call, reply);
		break;
	case KOLK_REDIS_DOUBLE:
		if (gw_is_json_number(reply->text, reply->size)) {
			gw_text_put(to, reply->text, reply->size);
			break;
		}
		gw_text_string(to, reply->text, reply->size); /* "inf" */
		break;
	default:
		gw_text_string(to, reply->text, reply->size);
	}
}

static void on_done(void *user, enum kolk_err err, const struct kolk_redis_reply *reply)
{
	struct gw_tool_call *call = user;

	call->redis = NULL;
	if (err != KOLK_OK) {
		gw_tool_call_fail_err(call, err);
	} else if (reply->type == KOLK_REDIS_ERROR) {
		gw_tool_call_fail(call, "redis: %s", reply->text);
	} else {
		gw_text_say(&call->data, "{\"value\":");
		put_reply(call, reply);
		gw_text_say(&call->data, "}");
		gw_tool_call_end(call, NULL);
	}
	kolk_redis_reply_free(reply);
}

/* ---- the command */

/* What a reply takes in memory for a byte of its JSON at most: an element that is "1," takes 40 bytes,
 * and 16 that are reserved for its text. */
enum { MEMORY_OF_BYTE = 32 };

/* NULL = there is no case of this value. */
static const struct gw_words *words_of(const struct gw_tool_call *call)
{
	const struct gw_tool *tool = call->tool;
	const struct gw_tool_case *all = tool->cases.items;
	const struct gw_argument *value = &call->arguments.at[tool->from];

	if (tool->kind == GW_TOOL_REDIS)
		return &tool->words;
	for (uint32_t i = 0; i < tool->cases.count; i++)
		if (strlen(all[i].value) == value->size &&
		    memcmp(all[i].value, value->text, value->size) == 0)
			return &all[i].words;
	return NULL;
}

void gw_tool_redis_begin(struct gw_tool_call *call)
{
	const struct gw_words *words = words_of(call);
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);
	struct gw_tool_words made;
	struct kolk_redis_command command = { .arguments = made.at, .sizes = made.sizes };
	enum kolk_err err = KOLK_E_MEMORY;

	if (words == NULL) {
		gw_tool_call_fail(call, "argument '%s' has a value that there is no case of",
				  call->tool->case_of);
		return;
	}
	if (!gw_tool_call_words(call, words, &made)) {
		gw_tool_call_fail_err(call, err);
		return;
	}
	command.count = made.count;
	request.count = 1;
	request.commands = &command;
	request.deadline_ns = call->deadline_ns;
	request.reply_bytes_max = MEMORY_OF_BYTE * (uint32_t)gw_tool_bytes_max(call->tool);
	err = kolk_redis_call_start(call->loop->loop, call->key, &request, on_done, call, &call->redis);
	if (err != KOLK_PENDING)
		gw_tool_call_fail_err(call, err);
}
