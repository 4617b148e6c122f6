/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - clients of the library: opened for a call, and whose token the server is shown. */
#include "tools/gateway/mcp/client.h"

#include <string.h>

#include "tools/gateway/principal.h"

struct gw_mcp_holder *gw_mcp_holder_of(struct gw_mcp_pool *pool)
{
	struct gw_mcp_holder *holder;
	uint64_t changes;

	if (pool->tokens == NULL)
		return NULL;
	holder = gw_mcp_tokens_look(pool->tokens);
	changes = gw_mcp_tokens_changes(pool->tokens);
	/* relaxed: two loops that both rotate do no harm */
	if (changes == kolk__load_relaxed(&pool->rotated))
		return holder;
	kolk__store_relaxed(&pool->rotated, changes);
	(void)kolk_pool_rotate(kolk_mcp_pool(pool->calls));
	if (pool->sessions != NULL && (pool->options.isolation != KOLK_MCP_ISOLATION_SESSION ||
				       pool->options.sharing != KOLK_MCP_BOUND))
		(void)kolk_pool_rotate(kolk_mcp_pool(pool->sessions));
	return holder;
}

/* What is made with a token is for this token: the gateway has not checked whose it is. */
static bool set_credential(const struct gw_mcp_call *call, struct kolk_key_options *who,
			   uint8_t digest[32])
{
	const struct gw_bytes token = { (const uint8_t *)call->token,
					call->token != NULL ? strlen(call->token) : 0 };

	if (call->holder != NULL && call->holder->who.readable)
		memcpy(digest, call->holder->who.digest, 32);
	else if (call->token == NULL)
		return true;
	else if (!gw_sha256(&token, digest))
		return false;
	who->credential = digest;
	who->credential_size = 32;
	return true;
}

enum kolk_err gw_mcp_client_open(struct gw_mcp_call *call, struct kolk_mcp *mcp,
				 struct kolk_mcp_client_options *options,
				 struct kolk_mcp_client **client)
{
	struct kolk_key_options who = *options->who;
	struct kolk_mcp_client *made;
	uint8_t digest[32];
	enum kolk_err err;

	call->holder = gw_mcp_holder_of(call->pool);
	options->credentials_user = (void *)(uintptr_t)call->holder;
	if (!set_credential(call, &who, digest))
		return KOLK_E_MEMORY;
	options->who = &who;
	err = kolk_mcp_client_open(mcp, call->home->loop, options, &made);
	if (err != KOLK_OK)
		return err;
	err = gw_mcp_client_show(call, made);
	if (err == KOLK_OK)
		*client = made;
	else
		kolk_mcp_client_close(made);
	return err;
}

enum kolk_err gw_mcp_client_show(const struct gw_mcp_call *call, struct kolk_mcp_client *client)
{
	return call->passes ? kolk_mcp_client_set_token(client, call->token) : KOLK_OK;
}

bool gw_mcp_is_for_resource(const struct gw_exchange *x)
{
	const struct gw_tenants_options *tenants = &x->view->config->tenants_options;
	const struct gw_route *route = x->target->route;
	const char *token;

	if (route->access.resource == NULL || route->tenant == GW_TENANT_NONE ||
	    tenants->from != GW_TENANTS_JWT || tenants->audience != NULL)
		return true;
	token = gw_tenant_token(x->head);
	return token != NULL && gw_principal_is_for(token, route->access.resource);
}
