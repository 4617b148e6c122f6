/* SPDX-License-Identifier: Apache-2.0 */
/* http_dispatchers.c - the dispatchers of a client, found by their key in a hash table. */
#include <stdlib.h>

#include "transport/drivers/http_client.h"

enum { BUCKETS_MIN = 16 };

static struct http_dispatcher **bucket(struct kolk_http *http, const struct kolk_key *key)
{
	uint64_t mixed = (uint64_t)(uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15);

	return &http->buckets[(mixed >> 32) & (http->bucket_count - 1)];
}

/* No memory for a larger one: longer chains. */
static void grow(struct kolk_http *http)
{
	uint32_t count = http->bucket_count == 0 ? BUCKETS_MIN : http->bucket_count * 2;
	uint32_t old_count = http->bucket_count;
	struct http_dispatcher **old = http->buckets, **buckets;

	if (http->dispatchers < http->bucket_count || count == 0)
		return;
	buckets = calloc(count, sizeof *buckets);
	if (buckets == NULL)
		return;
	http->buckets = buckets;
	http->bucket_count = count;
	for (uint32_t i = 0; i < old_count; i++) {
		while (old[i] != NULL) {
			struct http_dispatcher *dispatcher = old[i],
					       **at = bucket(http, dispatcher->key);

			old[i] = dispatcher->next;
			dispatcher->next = *at;
			*at = dispatcher;
		}
	}
	free(old);
}

struct http_dispatcher *http_dispatcher_get(struct kolk_http *http, struct kolk_key *key)
{
	struct http_dispatcher *dispatcher, **at;

	grow(http);
	if (http->buckets == NULL)
		return NULL;
	at = bucket(http, key);
	for (dispatcher = *at; dispatcher != NULL; dispatcher = dispatcher->next)
		if (dispatcher->key == key)
			return dispatcher;
	dispatcher = calloc(1, sizeof *dispatcher);
	if (dispatcher == NULL)
		return NULL;
	dispatcher->http = http;
	dispatcher->key = key;
	http_list_init(&dispatcher->queue);
	http_list_init(&dispatcher->acquiring);
	http_list_init(&dispatcher->conns);
	dispatcher->next = *at;
	*at = dispatcher;
	http->dispatchers++;
	return dispatcher;
}

void http_dispatcher_put(struct http_dispatcher *dispatcher)
{
	struct http_dispatcher **at = bucket(dispatcher->http, dispatcher->key);

	if (!http_dispatcher_idle(dispatcher) || http_recent_keep(dispatcher))
		return;
	while (*at != dispatcher)
		at = &(*at)->next;
	*at = dispatcher->next;
	dispatcher->http->dispatchers--;
	if (dispatcher->held)
		kolk_key_let_go(dispatcher->key);
	free(dispatcher);
}
