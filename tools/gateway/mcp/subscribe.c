/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subscribe.c - subscriptions/listen of a server with sessions: a session of the request's own,
 * its stream (GET), and resources/subscribe for each resource. The client is told what of it was
 * granted, then what it asked for, with the id of its request.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/json.h"
#include "tools/gateway/mcp/child.h"
#include "tools/gateway/mcp/client.h"
#include "tools/gateway/mcp/legacy.h"

struct gw_mcp_subscription {
	struct gw_mcp_call *call;    /* NULL = it has ended */
	bool tools, prompts, resources; /* changes of these lists */
	bool listens;                /* the server has the stream */
	bool acknowledged;           /* the client was told */
	bool steps;                  /* a resource is being subscribed to */
	uint32_t count;              /* resources, so far */
	struct kolk_mcp_part rest;   /* of the resources that are asked for */
	struct kolk_mcp_part uri;    /* the one that is being subscribed to */
	struct gw_pipe granted;      /* the URIs that the server took */
};

static bool put(struct gw_pipe *out, const char *text)
{
	return gw_pipe_push(out, text, strlen(text));
}

static bool put_part(struct gw_pipe *out, struct kolk_mcp_part part)
{
	return part.size == 0 || gw_pipe_push(out, part.data, part.size);
}

/* ---- what it asks for */

static bool is_true(struct kolk_mcp_part object, const char *name)
{
	struct kolk_mcp_part value = gw_json_member_of(object, name);

	return value.size == 4 && memcmp(value.data, "true", 4) == 0;
}

static struct gw_mcp_subscription *make(struct gw_mcp_call *call)
{
	struct kolk_mcp_part wanted = gw_json_member_of(call->message->params, "notifications");
	struct kolk_mcp_part uris = gw_json_member_of(wanted, "resourceSubscriptions");
	struct gw_mcp_subscription *made = calloc(1, sizeof *made);

	if (made == NULL)
		return NULL;
	made->call = call;
	made->tools = is_true(wanted, "toolsListChanged");
	made->prompts = is_true(wanted, "promptsListChanged");
	made->resources = is_true(wanted, "resourcesListChanged");
	if (uris.size > 0 && uris.data[0] == '[')
		made->rest = uris;
	return made;
}

static void free_subscription(struct gw_mcp_subscription *subscription)
{
	gw_pipe_free(&subscription->granted);
	free(subscription);
}

/* The call ends. A step that is under way ends later. */
static void leave(struct gw_mcp_call *call)
{
	struct gw_mcp_subscription *subscription = call->subscription;

	call->subscription = NULL;
	subscription->call = NULL;
	if (!subscription->steps)
		free_subscription(subscription);
}

/* ---- what the client is told */

static bool put_id(struct gw_pipe *out, const struct gw_mcp_call *call)
{
	return put(out, "{\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":") &&
	       put_part(out, call->message->id) && put(out, "}");
}

static void tell(struct gw_mcp_call *call, const char *method, const struct gw_pipe *params)
{
	const struct kolk_mcp_message message = {
		.size = sizeof message, .method = method, .method_size = (uint32_t)strlen(method),
		.params = params->data, .params_size = params->size
	};

	gw_mcp_call_pass(call, &message);
}

static void acknowledge(struct gw_mcp_subscription *subscription)
{
	struct gw_pipe out = { .data = NULL };
	bool ok = put_id(&out, subscription->call) && put(&out, ",\"notifications\":{") &&
		  (!subscription->tools || put(&out, "\"toolsListChanged\":true,")) &&
		  (!subscription->prompts || put(&out, "\"promptsListChanged\":true,")) &&
		  (!subscription->resources || put(&out, "\"resourcesListChanged\":true,")) &&
		  put(&out, "\"resourceSubscriptions\":[") &&
		  (subscription->granted.size == 0 ||
		   gw_pipe_push(&out, subscription->granted.data, subscription->granted.size)) &&
		  put(&out, "]}}");

	subscription->acknowledged = true;
	if (ok)
		tell(subscription->call, "notifications/subscriptions/acknowledged", &out);
	gw_pipe_free(&out);
}

static bool is_method(const struct kolk_mcp_message *message, const char *method)
{
	return message->method_size == strlen(method) &&
	       memcmp(message->method, method, message->method_size) == 0;
}

/* One that it asked for: its method. NULL = it is another. */
static const char *wanted_method(const struct gw_mcp_subscription *subscription,
				 const struct kolk_mcp_message *message)
{
	const struct {
		const char *method;
		bool wanted;
	} all[] = { { "notifications/tools/list_changed", subscription->tools },
		    { "notifications/prompts/list_changed", subscription->prompts },
		    { "notifications/resources/list_changed", subscription->resources },
		    { "notifications/resources/updated", subscription->granted.size > 0 } };

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (all[i].wanted && is_method(message, all[i].method))
			return all[i].method;
	return NULL;
}

/* Its params, with the id of the subscription as _meta. */
static void on_notification(void *user, struct kolk_mcp_call *back,
			    const struct kolk_mcp_message *message)
{
	struct gw_mcp_call *call = user;
	struct kolk_mcp_part params = { message->params, message->params_size };
	const char *method = call->subscription->acknowledged ?
				     wanted_method(call->subscription, message) : NULL;
	struct gw_pipe out = { .data = NULL };
	struct gw_json_member member;
	bool ok;

	(void)back;
	if (method == NULL)
		return;
	ok = put_id(&out, call);
	while (ok && gw_json_next(&params, &member))
		if (!gw_json_says(member.name, "_meta"))
			ok = put(&out, ",") && put_part(&out, member.name) && put(&out, ":") &&
			     put_part(&out, member.value);
	if (ok && put(&out, "}"))
		tell(call, method, &out);
	gw_pipe_free(&out);
}

/* ---- resource by resource */

static void step(struct gw_mcp_subscription *subscription);

static void on_step_end(void *user, struct kolk_mcp_call *back,
			const struct kolk_mcp_result *result)
{
	struct gw_mcp_subscription *subscription = user;
	struct gw_pipe *granted = &subscription->granted;

	(void)back;
	subscription->steps = false;
	if (subscription->call == NULL) {
		free_subscription(subscription);
		return;
	}
	if (result->err == KOLK_OK)
		(void)!((granted->size == 0 || put(granted, ",")) &&
			put_part(granted, subscription->uri));
	step(subscription);
}

static bool begin_step(struct gw_mcp_subscription *subscription)
{
	static const struct kolk_mcp_handler handler = { .size = sizeof handler, .end = on_step_end };
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);
	struct gw_pipe params = { .data = NULL };

	if (put(&params, "{\"uri\":") && put_part(&params, subscription->uri) && put(&params, "}")) {
		request.method = "resources/subscribe";
		request.params = params.data;
		request.params_size = params.size;
		subscription->steps = kolk_mcp_start(subscription->call->own, &request, &handler,
						     subscription, NULL) == KOLK_PENDING;
	}
	gw_pipe_free(&params);
	return subscription->steps;
}

static void step(struct gw_mcp_subscription *subscription)
{
	while (subscription->count++ < GW_MCP_SUBSCRIBED_MAX &&
	       gw_json_entry_next(&subscription->rest, &subscription->uri))
		if (subscription->uri.data[0] == '"' && begin_step(subscription))
			return;
	acknowledge(subscription);
}

/* ---- the stream */

static void on_head(void *user, struct kolk_mcp_call *back, const struct kolk_http_head *head)
{
	struct gw_mcp_call *call = user;

	(void)back;
	if (head->status != 200 || call->subscription->listens)
		return;
	call->subscription->listens = true;
	step(call->subscription);
}

static void refuse(struct gw_mcp_call *call)
{
	static const char no_method[] = "{\"code\":-32601,\"message\":\"Method not found\"}";
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

	result.err = KOLK_E_SERVER;
	result.error = no_method;
	result.error_size = sizeof no_method - 1;
	result.error_code = -32601;
	gw_mcp_call_end(call, &result);
}

static void on_end(void *user, struct kolk_mcp_call *back, const struct kolk_mcp_result *result)
{
	struct gw_mcp_call *call = user;
	bool refused = !call->subscription->listens && result->err == KOLK_E_SERVER;

	(void)back;
	call->back = NULL;
	leave(call);
	if (refused)
		refuse(call); /* the server has no such stream */
	else
		gw_mcp_call_end(call, result);
}

bool gw_mcp_is_subscription_legacy(const struct gw_mcp_call *call)
{
	const struct gw_mcp_pool *pool = call->pool;

	return call->modern && strcmp(call->message->method, "subscriptions/listen") == 0 &&
	       pool->sessions != NULL && kolk_mcp_era(gw_mcp_calls(pool)) == KOLK_MCP_LEGACY &&
	       (pool->options.sharing == KOLK_MCP_BOUND || pool->options.sharing == KOLK_MCP_VIRGIN);
}

/* Its own client is one that can listen. */
static enum kolk_err open_own(struct gw_mcp_call *call)
{
	struct kolk_mcp_client_options options = KOLK_INIT(kolk_mcp_client_options);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_mcp_client *own;
	enum kolk_err err;

	who.tenant = call->tenant[0] != '\0' ? call->tenant : NULL;
	options.who = &who;
	err = gw_mcp_client_open(call, call->pool->sessions, &options, &own);
	if (err != KOLK_OK)
		return err;
	if (call->own != NULL)
		kolk_mcp_client_close(call->own);
	else
		gw_mcp_call_list(call);
	call->own = own;
	return KOLK_OK;
}

void gw_mcp_subscribe(struct gw_mcp_call *call)
{
	static const struct kolk_mcp_handler handler = { .size = sizeof handler, .head = on_head,
							 .notification = on_notification,
							 .end = on_end };
	enum kolk_err err = open_own(call);

	if (err == KOLK_OK) {
		call->subscription = make(call);
		err = call->subscription == NULL ? KOLK_E_MEMORY :
			kolk_mcp_listen(call->own, &handler, call, &call->back);
	}
	if (err == KOLK_PENDING && (call->pool->options.transport == KOLK_MCP_STDIO ||
				    call->pool->options.transport == KOLK_MCP_WEBSOCKET))
		on_head(call, call->back, &(struct kolk_http_head){ .status = 200 });
	if (err == KOLK_PENDING)
		return;
	if (call->subscription != NULL)
		leave(call);
	gw_mcp_call_refuse(call, kolk_http_status_of(err), kolk_err_text(err));
}
