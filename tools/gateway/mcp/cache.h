/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.h - results of MCP servers that say how long they hold (ttlMs) and for whom (cacheScope):
 * discovery, lists and resources (2026-07-28, "Caching").
 *
 *   cache.c        results, by a key; who makes the key knows what they depend on
 *   cached.h       what the key of a call is
 *
 * A public result is for all, a private one for the client whose request it answers. Results are kept
 * up to their end, at most a day, within bytes_max of memory; the one that was used least lately gives
 * way. None takes more than a quarter of it.
 *
 * Any thread: a cache has a lock of its own, which is held while a result is copied.
 */
#ifndef KOLK_GATEWAY_MCP_CACHE_H
#define KOLK_GATEWAY_MCP_CACHE_H

#include <kolk/mcp.h>

#include "core/base/atomic.h"

/* What servers tell changes of; but of themselves. */
enum gw_mcp_part_of_server {
	GW_MCP_SERVER, GW_MCP_TOOLS, GW_MCP_PROMPTS, GW_MCP_RESOURCES, GW_MCP_CONTENTS,
	GW_MCP_PARTS_OF_SERVER
};

struct gw_mcp_cache;

/* Of one cache, or of several together. */
struct gw_mcp_cache_numbers {
	kolk__atomic_u64 hits, misses;   /* since the start */
	kolk__atomic_u64 entries, bytes; /* now: bytes with what an entry needs besides its result */
};

struct gw_mcp_cache_key {
	uint8_t what[32];  /* SHA-256 of all that the result depends on but the client */
	uint8_t who[32];   /* likewise, of the client's authorisation; zeros = it is not known who asks:
			    * no private result is found or kept */
	/* How often that which it is made of has changed. What was kept with another one is not found. Read
	 * before the server is asked: a change that comes meanwhile then drops the result, too. */
	uint64_t version;
};

/* With one reference. numbers live until it is closed or freed. NULL = no memory. */
struct gw_mcp_cache *gw_mcp_cache_open(uint64_t bytes_max, struct gw_mcp_cache_numbers *numbers);
struct gw_mcp_cache *gw_mcp_cache_ref(struct gw_mcp_cache *cache); /* NULL is allowed */
/* The last one frees it. NULL is allowed. */
void gw_mcp_cache_unref(struct gw_mcp_cache *cache);

/* A result that holds at this time: JSON, whose ttlMs is what is left of it; malloc'd. NULL = none. */
char *gw_mcp_cache_get(struct gw_mcp_cache *cache, const struct gw_mcp_cache_key *key, uint64_t now_ns,
		       size_t *size);
/* Keep a result, well-formed JSON, that came at this time, instead of what get would find. False: it
 * does not say that it may be kept, it is too large, the cache is closed, or there is no memory. */
bool gw_mcp_cache_put(struct gw_mcp_cache *cache, const struct gw_mcp_cache_key *key,
		      struct kolk_mcp_part result, uint64_t now_ns);
/* Forget all, and keep nothing from now on: numbers may end before the last reference. NULL is allowed. */
void gw_mcp_cache_close(struct gw_mcp_cache *cache);

#endif
