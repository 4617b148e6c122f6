/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c - results of MCP servers, kept as they say: by a hash table, and by their last use. */
#include "tools/gateway/mcp/cache.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/json.h"

enum {
	BUCKETS = 1024,
	SHARE = 4,           /* an entry is at most bytes_max / SHARE */
	TTL_DIGITS = 20
};
#define TTL_MAX_MS (24 * UINT64_C(3600) * 1000)

/* A result: head, ttlMs, tail. */
struct entry {
	struct entry *next;          /* of its bucket */
	struct entry *newer, *older; /* by use */
	struct gw_mcp_cache_key key; /* who: zeros = it is public */
	uint64_t until_ns;
	size_t head, tail;           /* bytes in front of the number of ttlMs, and behind it */
	char text[];
};

struct gw_mcp_cache {
	pthread_mutex_t lock;
	uint64_t bytes_max;
	struct gw_mcp_cache_numbers *numbers;
	/* Under the lock. */
	uint32_t refs;
	bool closed;
	uint64_t bytes;
	struct entry *newest, *oldest;
	struct entry *buckets[BUCKETS];
};

static const uint8_t nobody[32];

/* ---- what a result says of itself */

struct hints {
	uint64_t ttl_ms;
	struct kolk_mcp_part ttl; /* its number, in the text */
	bool is_public;
};

/* False: it may not be kept, or not for sure: what is said twice, or in another way, is not believed. */
static bool read_hints(struct kolk_mcp_part result, struct hints *hints)
{
	struct kolk_mcp_part rest = result, scope = { NULL, 0 }, type = { NULL, 0 };
	struct gw_json_member member;
	uint32_t ttls = 0, scopes = 0, types = 0;

	while (gw_json_next(&rest, &member)) {
		if (gw_json_says(member.name, "ttlMs"))
			ttls++, hints->ttl = member.value;
		else if (gw_json_says(member.name, "cacheScope"))
			scopes++, scope = member.value;
		else if (gw_json_says(member.name, "resultType"))
			types++, type = member.value;
		else if (gw_json_says(member.name, "inputRequests") ||
			 gw_json_says(member.name, "requestState"))
			return false;
	}
	hints->is_public = gw_json_says(scope, "public");
	return ttls == 1 && scopes == 1 && types <= 1 &&
	       (types == 0 || gw_json_says(type, "complete")) &&
	       (hints->is_public || gw_json_says(scope, "private")) &&
	       gw_json_number(hints->ttl, &hints->ttl_ms) && hints->ttl_ms > 0;
}

/* ---- entries; under the lock */

static struct entry **bucket_of(struct gw_mcp_cache *cache, const struct gw_mcp_cache_key *key)
{
	return &cache->buckets[(key->what[0] | (uint32_t)key->what[1] << 8) % BUCKETS];
}

static uint64_t bytes_of(const struct entry *entry)
{
	return sizeof *entry + entry->head + entry->tail;
}

static void unlink_use(struct gw_mcp_cache *cache, struct entry *entry)
{
	*(entry->newer != NULL ? &entry->newer->older : &cache->newest) = entry->older;
	*(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void link_use(struct gw_mcp_cache *cache, struct entry *entry)
{
	entry->newer = NULL;
	entry->older = cache->newest;
	*(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry;
	cache->newest = entry;
}

static void forget(struct gw_mcp_cache *cache, struct entry *entry)
{
	struct entry **at = bucket_of(cache, &entry->key);

	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	unlink_use(cache, entry);
	cache->bytes -= bytes_of(entry);
	kolk__sub_relaxed(&cache->numbers->bytes, bytes_of(entry));
	kolk__sub_relaxed(&cache->numbers->entries, 1);
	free(entry);
}

static void forget_all(struct gw_mcp_cache *cache)
{
	while (cache->newest != NULL)
		forget(cache, cache->newest);
}

static bool is_for(const struct entry *entry, const struct gw_mcp_cache_key *key)
{
	return memcmp(entry->key.what, key->what, sizeof key->what) == 0 &&
	       (memcmp(entry->key.who, nobody, sizeof nobody) == 0 ||
		memcmp(entry->key.who, key->who, sizeof key->who) == 0);
}

/* What is for this client, whether it holds or not; after NULL or that one. */
static struct entry *next_for(struct gw_mcp_cache *cache, const struct gw_mcp_cache_key *key,
			      struct entry *after)
{
	struct entry *entry = after != NULL ? after->next : *bucket_of(cache, key);

	while (entry != NULL && !is_for(entry, key))
		entry = entry->next;
	return entry;
}

/* ---- a cache */

struct gw_mcp_cache *gw_mcp_cache_open(uint64_t bytes_max, struct gw_mcp_cache_numbers *numbers)
{
	struct gw_mcp_cache *cache = calloc(1, sizeof *cache);

	if (cache == NULL)
		return NULL;
	pthread_mutex_init(&cache->lock, NULL);
	cache->bytes_max = bytes_max;
	cache->numbers = numbers;
	cache->refs = 1;
	return cache;
}

struct gw_mcp_cache *gw_mcp_cache_ref(struct gw_mcp_cache *cache)
{
	if (cache == NULL)
		return NULL;
	pthread_mutex_lock(&cache->lock);
	cache->refs++;
	pthread_mutex_unlock(&cache->lock);
	return cache;
}

void gw_mcp_cache_unref(struct gw_mcp_cache *cache)
{
	bool last;

	if (cache == NULL)
		return;
	pthread_mutex_lock(&cache->lock);
	last = --cache->refs == 0;
	pthread_mutex_unlock(&cache->lock);
	if (!last)
		return;
	forget_all(cache);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

void gw_mcp_cache_close(struct gw_mcp_cache *cache)
{
	if (cache == NULL)
		return;
	pthread_mutex_lock(&cache->lock);
	cache->closed = true;
	forget_all(cache);
	pthread_mutex_unlock(&cache->lock);
}

/* ---- found */

static bool holds(const struct entry *entry, const struct gw_mcp_cache_key *key, uint64_t now_ns)
{
	return entry->key.version == key->version && now_ns + KOLK_MS_NS <= entry->until_ns;
}

static char *text_of(const struct entry *entry, uint64_t now_ns, size_t *size)
{
	const uint64_t left_ms = (entry->until_ns - now_ns) / KOLK_MS_NS;
	char *text = malloc(entry->head + TTL_DIGITS + 1 + entry->tail), *at = text;

	if (text == NULL)
		return NULL;
	at = (char *)memcpy(at, entry->text, entry->head) + entry->head;
	at += snprintf(at, TTL_DIGITS + 1, "%" PRIu64, left_ms);
	at = (char *)memcpy(at, entry->text + entry->head, entry->tail) + entry->tail;
	*size = (size_t)(at - text);
	return text;
}

/* What does not hold any more goes on the way. */
static struct entry *find(struct gw_mcp_cache *cache, const struct gw_mcp_cache_key *key,
			  uint64_t now_ns)
{
	struct entry *entry = next_for(cache, key, NULL), *next;

	for (; entry != NULL && !holds(entry, key, now_ns); entry = next) {
		next = next_for(cache, key, entry);
		forget(cache, entry);
	}
	if (entry != NULL) {
		unlink_use(cache, entry);
		link_use(cache, entry);
	}
	return entry;
}

char *gw_mcp_cache_get(struct gw_mcp_cache *cache, const struct gw_mcp_cache_key *key, uint64_t now_ns,
		       size_t *size)
{
	const struct entry *entry;
	char *text;

	pthread_mutex_lock(&cache->lock);
	entry = find(cache, key, now_ns);
	text = entry != NULL ? text_of(entry, now_ns, size) : NULL;
	pthread_mutex_unlock(&cache->lock);
	kolk__add_relaxed(text != NULL ? &cache->numbers->hits : &cache->numbers->misses, 1);
	return text;
}

/* ---- kept */

static struct entry *entry_make(const struct gw_mcp_cache_key *key, struct kolk_mcp_part result,
				const struct hints *hints, uint64_t now_ns)
{
	const uint64_t ttl_ms = hints->ttl_ms < TTL_MAX_MS ? hints->ttl_ms : TTL_MAX_MS;
	const char *behind = hints->ttl.data + hints->ttl.size;
	struct entry *entry = calloc(1, sizeof *entry + result.size);

	if (entry == NULL)
		return NULL;
	entry->key = *key;
	if (hints->is_public)
		memset(entry->key.who, 0, sizeof entry->key.who);
	entry->until_ns = now_ns + ttl_ms * KOLK_MS_NS;
	entry->head = (size_t)(hints->ttl.data - result.data);
	entry->tail = result.size - entry->head - hints->ttl.size;
	memcpy(entry->text, result.data, entry->head);
	memcpy(entry->text + entry->head, behind, entry->tail);
	return entry;
}

static void keep(struct gw_mcp_cache *cache, struct entry *entry, const struct gw_mcp_cache_key *key)
{
	struct entry *before;

	while ((before = next_for(cache, key, NULL)) != NULL)
		forget(cache, before);
	entry->next = *bucket_of(cache, key);
	*bucket_of(cache, key) = entry;
	link_use(cache, entry);
	cache->bytes += bytes_of(entry);
	kolk__add_relaxed(&cache->numbers->bytes, bytes_of(entry));
	kolk__add_relaxed(&cache->numbers->entries, 1);
	while (cache->bytes > cache->bytes_max)
		forget(cache, cache->oldest);
}

bool gw_mcp_cache_put(struct gw_mcp_cache *cache, const struct gw_mcp_cache_key *key,
		      struct kolk_mcp_part result, uint64_t now_ns)
{
	struct entry *entry;
	struct hints hints = { .ttl_ms = 0 };
	bool closed;

	if (result.size > cache->bytes_max / SHARE || !read_hints(result, &hints) ||
	    (!hints.is_public && memcmp(key->who, nobody, sizeof nobody) == 0) ||
	    sizeof *entry + result.size > cache->bytes_max / SHARE)
		return false;
	entry = entry_make(key, result, &hints, now_ns);
	if (entry == NULL)
		return false;
	pthread_mutex_lock(&cache->lock);
	closed = cache->closed;
	if (!closed)
		keep(cache, entry, key);
	pthread_mutex_unlock(&cache->lock);
	if (closed)
		free(entry);
	return !closed;
}
