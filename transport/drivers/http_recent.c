/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_recent.c - the dispatchers of the keys that were used last, found by identity.
 *
 * A request by identity finds its key here without a lock, or holds it (kolk_key_hold), which takes
 * the pool's. A table with one place per hash is enough: who is displaced is held anew next time.
 * What is in it stays a moment without exchanges, up to two rounds of the timer; so a pool that is
 * closed waits no longer than that. A key that refuses (kolk_key_is) is not found here, so what
 * drains is not kept by the requests that come, and a credential that was replaced is opened anew.
 */
#include <string.h>

#include "transport/drivers/http_client.h"

#define ROUND_MS 100

/* FNV-1a. Names that are chosen to share a place cost their owner the lock, and no more. */
static uint32_t hash_add(uint32_t hash, const void *data, size_t size)
{
	const uint8_t *byte = data;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ byte[i]) * 16777619;
	return hash;
}

static uint32_t hash_text(uint32_t hash, const char *text)
{
	return text != NULL ? hash_add(hash, text, strlen(text) + 1) : hash;
}

/* Not all of a long credential: its end is where tokens of one issuer differ. */
static uint32_t place_of(const struct kolk_pool *pool, const struct kolk_key_options *who)
{
	size_t size = who->credential != NULL ? who->credential_size : 0, tail = size < 32 ? size : 32;
	uint32_t hash = hash_add(2166136261, &pool, sizeof pool);

	hash = hash_text(hash_text(hash, who->tenant), who->session);
	if (tail > 0)
		hash = hash_add(hash, (const char *)who->credential + size - tail, tail);
	return (hash ^ hash >> 16) & (HTTP_RECENT_MAX - 1);
}

/* ---- ageing */

static void forget(struct http_dispatcher *dispatcher)
{
	dispatcher->http->recent[dispatcher->recent - 1] = NULL;
	dispatcher->recent = 0;
	http_dispatcher_put(dispatcher);
}

static void look(struct kolk_timer *timer, void *user);

static void look_soon(struct kolk_http *http)
{
	if (!http->recent_timed)
		http->recent_timed = kolk_timer_start(http->loop, &http->recent_timer,
						      kolk_in_ms(ROUND_MS), look, http) == KOLK_OK;
}

static void look(struct kolk_timer *timer, void *user)
{
	struct kolk_http *http = user;

	(void)timer;
	http->recent_timed = false;
	for (uint32_t i = 0; i < HTTP_RECENT_MAX; i++) {
		struct http_dispatcher *dispatcher = http->recent[i];

		if (dispatcher == NULL || !http_dispatcher_idle(dispatcher))
			continue;
		if (dispatcher->unused) {
			forget(dispatcher);
		} else {
			dispatcher->unused = true;
			look_soon(http);
		}
	}
}

bool http_recent_keep(struct http_dispatcher *dispatcher)
{
	if (dispatcher->recent == 0)
		return false;
	look_soon(dispatcher->http);
	return true;
}

void http_recent_close(struct kolk_http *http)
{
	kolk_timer_stop(&http->recent_timer);
	http->recent_timed = true; /* none any more */
	for (uint32_t i = 0; i < HTTP_RECENT_MAX; i++)
		if (http->recent[i] != NULL)
			forget(http->recent[i]);
}

/* ---- finding */

/* It takes the place of the one that was there. */
static void remember(struct http_dispatcher *dispatcher, uint32_t place)
{
	struct kolk_http *http = dispatcher->http;

	if (http->recent[place] == dispatcher)
		return;
	if (http->recent[place] != NULL)
		forget(http->recent[place]);
	if (dispatcher->recent > 0)
		http->recent[dispatcher->recent - 1] = NULL;
	http->recent[place] = dispatcher;
	dispatcher->recent = place + 1;
}

/* Its key is held once, however often it is asked for. */
static enum kolk_err hold(struct kolk_http *http, struct kolk_pool *pool,
			  const struct kolk_key_options *who, struct http_dispatcher **dispatcher)
{
	struct kolk_key *key;
	enum kolk_err err = kolk_key_hold(pool, who, &key);

	if (err != KOLK_OK)
		return err;
	*dispatcher = http_dispatcher_get(http, key);
	if (*dispatcher == NULL || (*dispatcher)->held)
		kolk_key_let_go(key);
	if (*dispatcher == NULL)
		return KOLK_E_MEMORY;
	(*dispatcher)->held = true;
	return KOLK_OK;
}

enum kolk_err http_recent_get(struct kolk_http *http, struct kolk_pool *pool,
			      const struct kolk_key_options *who,
			      struct http_dispatcher **dispatcher)
{
	struct kolk_key_options copy;
	const struct kolk_key_options *seen = kolk__sized_view(&copy, who);
	uint32_t place = seen != NULL ? place_of(pool, seen) : 0;
	enum kolk_err err = KOLK_OK;

	*dispatcher = seen != NULL ? http->recent[place] : NULL;
	if (*dispatcher == NULL || !kolk_key_is((*dispatcher)->key, pool, seen))
		err = hold(http, pool, who, dispatcher);
	if (err != KOLK_OK)
		return err;
	remember(*dispatcher, place);
	(*dispatcher)->unused = false;
	return KOLK_OK;
}
