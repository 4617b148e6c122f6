/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - clients are opened and closed. */
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

static struct mcp_group *group_of_node(const struct kolk__hash_node *node)
{
	return mcp_container_of((struct kolk__hash_node *)(uintptr_t)node, struct mcp_group, node);
}

static bool has_identity(const struct kolk__hash_node *node, const void *identity)
{
	return group_of_node(node)->identity == identity;
}

/* MULTIPLEXED: the group of an identity on this loop, found or made. */
static struct mcp_group *shared_group(struct mcp_loop *loop, struct mcp_identity *identity)
{
	uint32_t hash = kolk__table_hash((uintptr_t)identity);
	const struct kolk__hash_node *found =
		kolk__hash_find(&loop->groups, hash, has_identity, identity);
	struct mcp_group *group = found != NULL ? group_of_node(found) : malloc(sizeof *group);

	if (found != NULL || group == NULL)
		return group;
	kolk__mcp_group_init(group, loop, identity);
	group->node.hash = hash;
	if (kolk__table_add(&loop->groups, &group->node))
		return group;
	free(group);
	return NULL;
}

/* On its loop. */
bool kolk__mcp_client_ready(struct kolk_mcp_client *client)
{
	uint32_t sharing = client->loop->mcp->options.sharing;

	if (client->group != NULL || sharing == KOLK_MCP_EXCLUSIVE)
		return true;
	if (sharing == KOLK_MCP_MULTIPLEXED) {
		client->group = shared_group(client->loop, client->identity);
		if (client->group != NULL)
			client->group->clients++;
		return client->group != NULL;
	}
	client->group = malloc(sizeof *client->group);
	if (client->group != NULL)
		kolk__mcp_group_init(client->group, client->loop, client->identity);
	return client->group != NULL;
}

/* What it needs to be closed with a scope. */
struct mcp_client_scope {
	struct kolk_scope_item item;
	struct kolk_call call; /* from another thread than its loop's */
};

static kolk_scope_end_fn close_with_scope;

static struct kolk_mcp_client *make(bool scoped)
{
	struct kolk_mcp_client *made =
		calloc(1, sizeof *made + (scoped ? sizeof *made->scoped : 0));

	if (made != NULL)
		made->timer_ns = KOLK_FOREVER;
	if (made != NULL && scoped)
		made->scoped = (struct mcp_client_scope *)(made + 1);
	return made;
}

enum kolk_err kolk_mcp_client_open(struct kolk_mcp *mcp, struct kolk_loop *loop,
				   const struct kolk_mcp_client_options *options,
				   struct kolk_mcp_client **client)
{
	struct kolk_mcp_client_options own = KOLK_INIT(kolk_mcp_client_options);
	struct kolk_mcp_client *made;
	enum kolk_err err;

	if (options != NULL && !kolk__sized_read(&own, options))
		return KOLK_E_OPTIONS;
	made = make(own.scope != NULL);
	if (made == NULL)
		return KOLK_E_MEMORY;
	err = kolk__mcp_identity_open(mcp, options, &made->identity);
	if (err != KOLK_OK) {
		free(made);
		return err;
	}
	made->loop = kolk__mcp_loop(mcp, loop);
	mcp_list_init(&made->calls);
	kolk__mcp_client_opened(mcp);
	if (own.scope != NULL)
		kolk_scope_add_item(own.scope, &made->scoped->item, close_with_scope, made);
	*client = made;
	return KOLK_OK;
}

enum kolk_err kolk_mcp_client_warm(struct kolk_mcp_client *client, uint64_t deadline_ns)
{
	return kolk_key_warm(client->identity->key, deadline_ns);
}

static void leave_group(struct mcp_group *group)
{
	const bool shared = group != NULL && group->clients > 0; /* MULTIPLEXED */

	if (group == NULL || (shared && --group->clients > 0))
		return;
	kolk__mcp_group_close(group);
	if (shared)
		kolk__hash_remove(&group->loop->groups, &group->node);
	free(group);
}

void kolk__mcp_client_check(struct kolk_mcp_client *client)
{
	struct kolk_mcp *mcp = client->loop->mcp;

	if (!client->closing || client->looking || !mcp_list_empty(&client->calls))
		return;
	kolk_timer_stop(&client->timer);
	leave_group(client->group);
	kolk__mcp_identity_close(client->identity);
	free(client);
	kolk__mcp_client_freed(mcp);
}

/* ---- the end */

/* For kolk_mcp_close, which waits for its calls from now on. */
static void count_closed(struct kolk_mcp *mcp)
{
	(void)pthread_mutex_lock(&mcp->lock);
	mcp->open--;
	(void)pthread_mutex_unlock(&mcp->lock);
}

static void end_calls(struct kolk_mcp_client *client)
{
	struct mcp_link *at, *next;

	client->closing = true;
	for (at = client->calls.next; at != &client->calls; at = next) {
		next = at->next;
		kolk_mcp_cancel(mcp_container_of(at, struct kolk_mcp_call, all));
	}
	kolk__mcp_client_check(client);
}

void kolk_mcp_client_close(struct kolk_mcp_client *client)
{
	if (client->scoped != NULL)
		kolk_scope_remove_item(&client->scoped->item);
	count_closed(client->loop->mcp);
	end_calls(client);
}

static void end_calls_posted(struct kolk_call *posted, void *user)
{
	(void)posted;
	end_calls(user);
}

/* No caller has it any more: on another thread than its loop's, the loop does the rest. */
static enum kolk_err close_with_scope(void *user, enum kolk_scope_outcome outcome)
{
	struct kolk_mcp_client *client = user;
	struct kolk_mcp *mcp = client->loop->mcp;
	struct kolk_loop *loop = client->loop->loop;
	enum kolk_err err;

	(void)outcome;
	if (kolk_loop_current() == loop) {
		kolk_mcp_client_close(client);
		return KOLK_OK;
	}
	count_closed(mcp);
	err = kolk_loop_call(loop, &client->scoped->call, end_calls_posted, client);
	if (err != KOLK_OK) { /* a fork's child: nothing happens in it */
		(void)pthread_mutex_lock(&mcp->lock);
		mcp->open++;
		(void)pthread_mutex_unlock(&mcp->lock);
	}
	return err;
}
