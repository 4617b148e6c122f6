/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - a configuration on its way: text -> tree -> values -> checked -> engine.
 *
 *   config.c           read from a file or a text, queried, freed
 *   config_arena.c     its memory
 *   config_error.c     what is wrong, and where
 *   config_yaml.c      text to tree, bounded: depth, sizes, no aliases
 *   options.c          this library's own options, as rows
 *   config_schema.c    which keys there are, and which field of which options each is
 *   config_read.c      tree to options by the schema
 *   config_value.c     one scalar: ${ENV}, file:, counts, durations, sizes, words
 *   config_env.c       what the environment says besides
 *   config_protocol.c  which driver a protocol is, and what its pools need
 *   section.c          a program's own keys: its description as a part of the schema
 *   config_check.c     what contradicts something else; in pools: config_pools.c, config_address.c
 *   config_open.c      options to an engine
 *   config_life.c      what cannot change from one configuration to the next
 *   config_apply.c     one configuration to the next, or back
 *   config_reload.c    a file once more, and what is left of the last one
 *
 * Each has a header of its name when it has something to say to others.
 */
#ifndef KOLK_OPS_CONFIG_INTERNAL_H
#define KOLK_OPS_CONFIG_INTERNAL_H

#include <kolk/kolk.h>
#include <kolk/http.h>
#include <kolk/mcp.h>
#include <kolk/ops/section.h>
#include <kolk/postgres.h>
#include <kolk/redis.h>

#include "tools/ops/config_arena.h"
#include "tools/ops/config_read.h"
#include "tools/ops/config_value.h"

struct kolk__named;

struct kolk__config_tenant {
	const char *name;
	struct kolk_tenant_limits limits;
	const struct kolk__node *node;
};

struct kolk__config_key {
	const char *tenant, *session;
	struct kolk__secret credential;
	const struct kolk__node *node;
};

struct kolk__config_pool {
	struct kolk_pool_options options;
	struct kolk_tls_options tls;
	struct kolk_child_options child;
	struct kolk_http_driver_options http; /* of these, that of the protocol; MCP: also http */
	struct kolk_redis_options redis;
	struct kolk_postgres_options postgres;
	struct kolk_mcp_options mcp;
	const char *mcp_token_file;
	uint32_t tls_off;
	uint32_t protocol; /* enum kolk__protocol_number */
	struct kolk_config_list warm; /* struct kolk__config_key */
	const struct kolk__node *node;
};

struct kolk_config {
	struct kolk__arena arena;
	const char *name;
	struct kolk__node *file;    /* kept to say where something is that fails later */
	struct kolk__node *overlay; /* the environment's, in the same shape */
	struct kolk_engine_options engine;
	uint64_t drain_grace_ns;
	struct kolk_admin_options admin;
	struct kolk_config_list tenants; /* struct kolk__config_tenant */
	struct kolk_config_list pools;   /* struct kolk__config_pool */
	struct kolk__named *tenants_named, *pools_named;
	struct kolk_config_program program; /* size 0 = none */
	const struct kolk__section *schema; /* the library's keys and the program's */
	void *own;                          /* the program's struct, behind this one */
};

static inline struct kolk__config_pool *kolk__config_pool_at(const struct kolk_config *config,
							     uint32_t index)
{
	return (struct kolk__config_pool *)config->pools.items + index;
}

static inline struct kolk__config_tenant *
kolk__config_tenant_at(const struct kolk_config *config, uint32_t index)
{
	return (struct kolk__config_tenant *)config->tenants.items + index;
}

#endif
