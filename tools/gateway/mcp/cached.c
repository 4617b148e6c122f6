/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cached.c - which calls are answered from a cache, and what of them makes the key. What the key
 * does not have must not matter to a server: a request that says anything else is not answered so.
 */
#include "tools/gateway/mcp/cached.h"

#include <stdlib.h>
#include <string.h>

#include "tools/gateway/json.h"
#include "tools/gateway/jwt/jwt.h"
#include "tools/gateway/mcp/child.h"
#include "tools/gateway/mcp/client.h"

static const struct method {
	const char *name;
	const char *param;           /* that the result depends on; NULL = none */
	enum gw_mcp_part_of_server of; /* what it shows */
} methods[] = {
	{ "server/discover", NULL, GW_MCP_SERVER },
	{ "tools/list", "cursor", GW_MCP_TOOLS },
	{ "prompts/list", "cursor", GW_MCP_PROMPTS },
	{ "resources/list", "cursor", GW_MCP_RESOURCES },
	{ "resources/templates/list", "cursor", GW_MCP_RESOURCES },
	{ "resources/read", "uri", GW_MCP_CONTENTS },
};

static const struct method *method_of(const struct gw_mcp_call *call)
{
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (strcmp(methods[i].name, call->message->method) == 0)
			return &methods[i];
	return NULL;
}

/* ---- the key */

/* Each with its size: no two lists of parts are the same bytes. */
static bool put_part(struct gw_pipe *out, struct kolk_mcp_part part)
{
	const uint64_t size = part.size;

	return gw_pipe_push(out, &size, sizeof size) &&
	       (size == 0 || gw_pipe_push(out, part.data, part.size));
}

static bool put_digest(struct gw_pipe *out, const uint8_t digest[32])
{
	return gw_pipe_push(out, digest, 32);
}

static bool digest_of(const struct gw_pipe *of, uint8_t digest[32])
{
	return gw_sha256(&(struct gw_bytes){ (const uint8_t *)of->data + of->begin, of->size }, digest);
}

/* The members of an object that are among these, each at most once, in the order of the names. False:
 * it has another one. ignored: likewise, but what they say does not matter. */
static bool put_members(struct gw_pipe *out, struct kolk_mcp_part object, const char *const *names,
			const char *const *ignored)
{
	struct gw_json_member member;
	struct kolk_mcp_part rest = object;
	uint32_t members = 0, known = 0;
	bool ok = true;

	while (gw_json_next(&rest, &member))
		members++;
	for (; ignored != NULL && *ignored != NULL; ignored++)
		known += gw_json_member_of(object, *ignored).size > 0;
	for (; *names != NULL; names++) {
		const struct kolk_mcp_part value = gw_json_member_of(object, *names);

		known += value.size > 0;
		ok = ok && put_part(out, value);
	}
	return ok && known == members;
}

/* Arguments of tools in fields: of these methods nobody has any. */
static bool has_params_in_fields(const struct gw_mcp_call *call)
{
	const char *at = call->field_text.data;

	for (uint32_t i = 0; i < call->field_count; i++) {
		if (strncmp(at, "mcp-param-", 10) == 0)
			return true;
		at += strlen(at) + 1;
		at += strlen(at) + 1;
	}
	return false;
}

/* Servers may offer less to clients that can do less, or that they know by name. Traces, and what the
 * client wants to be told meanwhile, are nothing of the result. */
static bool put_request(struct gw_pipe *out, const struct gw_mcp_call *call,
			const struct method *method)
{
	static const char *const meta[] = { "io.modelcontextprotocol/protocolVersion",
					    "io.modelcontextprotocol/clientCapabilities",
					    "io.modelcontextprotocol/clientInfo", NULL };
	static const char *const ignored[] = { "io.modelcontextprotocol/logLevel", "progressToken",
					       "traceparent", "tracestate", "baggage", NULL };
	static const char *const also[] = { "_meta", NULL };
	const char *const params[] = { method->param, NULL };

	return put_part(out, (struct kolk_mcp_part){ method->name, strlen(method->name) }) &&
	       put_members(out, call->message->params, params, also) &&
	       put_members(out, call->message->meta, meta, ignored) && !has_params_in_fields(call);
}

/* Whose token the server is shown, if it is the gateway's own. */
static bool put_holder(struct gw_pipe *out, const struct gw_mcp_call *call)
{
	uint8_t digest[32];

	if (call->pool->tokens == NULL)
		return true;
	return call->holder != NULL && gw_mcp_holder_digest(call->holder, digest) &&
	       put_digest(out, digest);
}

/* With --stdio there is one client. */
static bool is_known(const struct gw_mcp_call *call)
{
	static const uint8_t nobody[32];

	return call->tenant[0] != '\0' || memcmp(call->principal, nobody, sizeof nobody) != 0 ||
	       call->home->gateway->stdio_route != NULL;
}

/* A token that is passed on is looked at by the server alone: the whole of it says who asks, nothing that
 * it says of itself. */
static bool put_client(struct gw_pipe *out, const struct gw_mcp_call *call)
{
	const struct gw_bytes token = { (const uint8_t *)call->token,
					call->token != NULL ? strlen(call->token) : 0 };
	uint8_t digest[32] = { 0 };

	return put_part(out, (struct kolk_mcp_part){ call->tenant, strlen(call->tenant) }) &&
	       put_digest(out, call->principal) &&
	       (token.size == 0 || gw_sha256(&token, digest)) && put_digest(out, digest);
}

/* Routes to several servers have one cache. */
static bool put_pool(struct gw_pipe *out, const struct gw_mcp_call *call)
{
	return put_part(out, (struct kolk_mcp_part){ call->pool->name, strlen(call->pool->name) });
}

/* False: no result may be kept for it. */
static bool make_key(const struct gw_mcp_call *call, const struct method *method,
		     struct gw_mcp_cache_key *key)
{
	struct gw_pipe who = { .data = NULL }, what = { .data = NULL };
	bool ok = put_client(&who, call) && digest_of(&who, key->who) && put_pool(&what, call) &&
		  put_request(&what, call, method) && put_holder(&what, call) &&
		  (!call->passes || put_digest(&what, key->who)) && digest_of(&what, key->what);

	if (!is_known(call))
		memset(key->who, 0, sizeof key->who);
	gw_pipe_free(&who);
	gw_pipe_free(&what);
	return ok;
}

/* ---- calls */

/* Results of a server with sessions say nothing that could be kept. */
static bool may_be_cached(const struct gw_mcp_call *call)
{
	return call->modern && call->cache != NULL &&
	       kolk_mcp_era(gw_mcp_calls(call->pool)) != KOLK_MCP_LEGACY;
}

bool gw_mcp_cached_answers(struct gw_mcp_call *call)
{
	const struct method *method = may_be_cached(call) ? method_of(call) : NULL;
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);
	struct gw_mcp_cache_key key;
	char *text;

	free(call->cached);
	call->cached = NULL;
	if (method == NULL)
		return false;
	call->holder = gw_mcp_holder_of(call->pool);
	/* relaxed: it stands for itself */
	key.version = kolk__load_relaxed(&call->pool->changed[method->of]);
	if (!make_key(call, method, &key))
		return false;
	text = gw_mcp_cache_get(call->cache, &key, kolk_in_ns(0), &result.result_size);
	if (text == NULL) {
		call->cached = malloc(sizeof key);
		if (call->cached != NULL)
			*call->cached = key;
		return false;
	}
	result.result = text;
	gw_mcp_call_end(call, &result);
	free(text);
	return true;
}

void gw_mcp_cached_keep(struct gw_mcp_call *call, const struct kolk_mcp_result *result)
{
	const struct kolk_mcp_part said = { result->result, result->result_size };
	struct gw_mcp_cache_key key;

	if (call->cached == NULL || result->err != KOLK_OK || said.data == NULL || !may_be_cached(call))
		return;
	/* Another token may have been read meanwhile. */
	if (make_key(call, method_of(call), &key) &&
	    memcmp(key.what, call->cached->what, sizeof key.what) == 0 &&
	    memcmp(key.who, call->cached->who, sizeof key.who) == 0)
		(void)!gw_mcp_cache_put(call->cache, call->cached, said, kolk_in_ns(0));
}

/* ---- changes */

static bool is_method(const struct kolk_mcp_message *message, const char *method)
{
	return message->method_size == strlen(method) &&
	       memcmp(message->method, method, message->method_size) == 0;
}

/* That one resource was updated may be said of a part of another one (2026-07-28, "Resources"). */
void gw_mcp_cached_note(struct gw_mcp_pool *pool, const struct kolk_mcp_message *message)
{
	static const struct {
		const char *method;
		enum gw_mcp_part_of_server of;
	} changes[] = {
		{ "notifications/tools/list_changed", GW_MCP_TOOLS },
		{ "notifications/prompts/list_changed", GW_MCP_PROMPTS },
		{ "notifications/resources/list_changed", GW_MCP_RESOURCES },
		{ "notifications/resources/list_changed", GW_MCP_CONTENTS },
		{ "notifications/resources/updated", GW_MCP_CONTENTS },
	};

	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
		if (is_method(message, changes[i].method))
			kolk__add_relaxed(&pool->changed[changes[i].of], 1);
}
