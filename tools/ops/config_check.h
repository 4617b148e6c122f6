/* SPDX-License-Identifier: Apache-2.0 */
/* config_check.h - what contradicts something else; where a setting is, and what has a name: what
 * config_check.c, config_pools.c and config_address.c share. */
#ifndef KOLK_OPS_CONFIG_CHECK_H
#define KOLK_OPS_CONFIG_CHECK_H

#include <kolk/options.h>

#include "tools/ops/config.h"

struct kolk__reading;
struct kolk__section;
struct kolk__setting;

/* config_check.c */
bool kolk__config_check(struct kolk__reading *r, struct kolk_config *config);

/* Where a section of the file or the environment sets this key, or the key of this C field;
 * else where the section is, else the file. */
const struct kolk__node *kolk__config_node(const struct kolk_config *config, const char *section,
					    const char *field);
/* The same in a pool, with its setting; the pool and NULL when it is not set there. */
const struct kolk__node *kolk__pool_node(const struct kolk__config_pool *pool, const char *field,
					  const struct kolk__setting **setting);

/* An array's items by their names, sorted. */
struct kolk__named {
	const char *name;
	const struct kolk__node *node; /* of the name */
	void *item;
};
struct kolk__config_pool *kolk__config_pool_named(const struct kolk_config *config,
						  const char *name);
struct kolk__config_tenant *kolk__config_tenant_named(const struct kolk_config *config,
						      const char *name);

/* A struct of options: as the file gives it, and with its defaults. */
struct kolk__given_options {
	const struct kolk_option_table *table;
	const void *given, *full;
};

const struct kolk__section *kolk__pools_section(void);
/* What the table says of two of them; at: where the bounded one is set, or else the other. */
bool kolk__bound_check(struct kolk__reading *r, const struct kolk__given_options *o,
		       const struct kolk_option_bound *bound, const struct kolk__node *at);
/* No name twice; of duplicates, the last is reported. */
bool kolk__names_differ(struct kolk__reading *r, struct kolk__named *names, uint32_t names_count,
			const char *what);

/* config_pools.c */
bool kolk__pools_check(struct kolk__reading *r, struct kolk_config *config);
bool kolk__key_is_same(const struct kolk__config_key *a, const struct kolk__config_key *b);

/* config_address.c */
/* "host:port", "[v6]:port" or "unix:/path"; NULL or what is wrong. */
const char *kolk__address_flaw(const char *text, int port_min);

/* config_url.c */
/* An address that is a URL becomes host:port and what else it says; another stays. False = it says
 * what it may not. */
bool kolk__pool_url(struct kolk__reading *r, struct kolk__config_pool *pool);

#endif
