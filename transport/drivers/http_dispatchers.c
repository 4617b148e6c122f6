/* SPDX-License-Identifier: Apache-2.0 */
/* http_dispatchers.c - the dispatchers of a client, found by their key in a hash table. */
#include <stdlib.h>

#include "transport/drivers/http_client.h"

static struct http_dispatcher *dispatcher_of_node(const struct kolk__hash_node *node)
{
	return (struct http_dispatcher *)(void *)(uintptr_t)node;
}

static bool has_key(const struct kolk__hash_node *node, const void *key)
{
	return dispatcher_of_node(node)->key == key;
}

static struct http_dispatcher *dispatcher_make(struct kolk_http *http, struct kolk_key *key)
{
	struct http_dispatcher *dispatcher = calloc(1, sizeof *dispatcher);

	if (dispatcher == NULL)
		return NULL;
	dispatcher->node.hash = kolk__table_hash((uintptr_t)key);
	dispatcher->http = http;
	dispatcher->key = key;
	http_list_init(&dispatcher->queue);
	http_list_init(&dispatcher->acquiring);
	http_list_init(&dispatcher->conns);
	if (kolk__table_add(&http->dispatchers, &dispatcher->node))
		return dispatcher;
	free(dispatcher);
	return NULL;
}

struct http_dispatcher *http_dispatcher_get(struct kolk_http *http, struct kolk_key *key)
{
	const struct kolk__hash_node *node = kolk__hash_find(
		&http->dispatchers, kolk__table_hash((uintptr_t)key), has_key, key);

	return node != NULL ? dispatcher_of_node(node) : dispatcher_make(http, key);
}

void http_dispatcher_put(struct http_dispatcher *dispatcher)
{
	if (!http_dispatcher_idle(dispatcher) || http_recent_keep(dispatcher))
		return;
	kolk__hash_remove(&dispatcher->http->dispatchers, &dispatcher->node);
	if (dispatcher->held)
		kolk_key_let_go(dispatcher->key);
	free(dispatcher);
}

/* What it drains may go. */
static void drain_one(struct kolk__hash_node *node, void *user)
{
	(void)user;
	http_dispatcher_drain(dispatcher_of_node(node));
}

void http_dispatchers_drain(struct kolk_http *http)
{
	uint32_t cursor = 0;

	do
		cursor = kolk__hash_scan(&http->dispatchers, cursor, drain_one, NULL);
	while (cursor != 0);
}
