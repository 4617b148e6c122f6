/* SPDX-License-Identifier: Apache-2.0 */
/* config_check.h - what config_check.c, config_pools.c and config_address.c share. */
#ifndef KOLK_OPS_CONFIG_CHECK_H
#define KOLK_OPS_CONFIG_CHECK_H

#include "tools/ops/config.h"
#include "tools/ops/options.h"

/* A struct of options: as the file gives it, and with its defaults. */
struct kolk__given_options {
	const struct kolk_option_table *table;
	const void *given, *full;
};

/* config_check.c */
const struct kolk__section *kolk__pools_section(void);
/* What the table says of two of them; place: where the bounded one is set, or else the other. */
bool kolk__bound_check(struct kolk__reading *r, const struct kolk__given_options *o,
		       const struct kolk_option_bound *bound, const struct kolk__node *place);
/* No name twice; of duplicates, the last is reported. */
bool kolk__names_differ(struct kolk__reading *r, struct kolk__named *names, uint32_t names_count,
			const char *what);

/* config_pools.c */
bool kolk__pools_check(struct kolk__reading *r, struct kolk_config *config);

/* config_address.c */
/* "host:port", "[v6]:port" or "unix:/path"; NULL or what is wrong. */
const char *kolk__address_flaw(const char *text, int port_min);
/* True when it is one, and *suggestion says what to write instead; rest: behind tls:// or tcp://. */
bool kolk__address_is_url(const char *text, const char *rest, char *suggestion, size_t size);

#endif
