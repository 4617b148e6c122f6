/* SPDX-License-Identifier: Apache-2.0 */
/* balancer.h - what the configuration file says of balancers. See config.h. */
#ifndef KOLK_GATEWAY_CONFIG_BALANCER_H
#define KOLK_GATEWAY_CONFIG_BALANCER_H

#include <kolk/ops/section.h>

/* `policy` of a balancer. */
enum gw_balance_policy {
	GW_BALANCE_LEAST_IN_FLIGHT = 0,
	GW_BALANCE_HASH
};

/* `hash_by`: by what a request is told. */
enum gw_hash_by {
	GW_HASH_BY_TENANT = 0,
	GW_HASH_BY_PATH,       /* without the query */
	GW_HASH_BY_HEADER      /* hash_header */
};

/* In a file; and with those that names resolve to, which are indexed by a byte (balance.c). */
enum { GW_MEMBERS_MAX = 64, GW_BALANCED_MAX = 256 };

/* `resolve` of a member: what takes its place. */
enum gw_resolve {
	GW_RESOLVE_NONE = 0,   /* nothing: it is its pool */
	GW_RESOLVE_ADDRESSES   /* each address of the host of its pool */
};

enum { GW_DNS_MEMBERS = 64 };
#define GW_DNS_TTL_MIN_NS KOLK_S_NS
#define GW_DNS_TTL_MAX_NS (60 * KOLK_S_NS)
#define GW_DNS_START_NS (5 * KOLK_S_NS)
/* A reload waits no longer: the admin server, which may be what it runs on, answers nothing meanwhile, and
 * its other actions take no longer either. */
#define GW_DNS_RELOAD_NS (2 * KOLK_S_NS)

/* An item of `members` of a balancer. */
struct gw_member_options {
	uint32_t weight;       /* 0 = 1 */
	uint32_t resolve;      /* enum gw_resolve */
	const char *pool;
	const struct kolk_config_place *place;

	/* Of one that resolves: the parts of its pool's address. */
	const char *host, *port;
	const char *authority; /* what the upstream sees as Host, unless a request says another one */
	bool tls;
};

/* An item of `balancers`. */
struct gw_balancer_options {
	uint32_t policy;       /* enum gw_balance_policy */
	uint32_t hash_mode;    /* hash_by: enum gw_hash_by */
	const char *name;
	const char *hash_by;   /* as in the file: "tenant", "path", "header NAME" */
	const char *hash_header; /* lower case */
	struct kolk_config_list members; /* struct gw_member_options */

	/* Requests of the gateway's own; health_path NULL = none. */
	const char *health_path;
	uint32_t health_status; /* what a good answer has; 0 = 200 .. 299 */
	uint32_t healthy_after, unhealthy_after; /* checks in a row; 0 = 2; 0 = 3 */
	uint64_t health_interval_ns; /* between two checks; 0 = 5 s */
	uint64_t health_timeout_ns; /* of a check, the dial too; 0 = 2 s */

	/* Of members that resolve. */
	uint64_t dns_ttl_min_ns; /* 0 = GW_DNS_TTL_MIN_NS */
	uint64_t dns_ttl_max_ns; /* 0 = GW_DNS_TTL_MAX_NS */
	uint64_t dns_stale_max_ns; /* 0 = KOLK_FOREVER */
	uint64_t dns_start_timeout_ns; /* 0 = GW_DNS_START_NS */
	uint32_t dns_members_max; /* of each name; 0 = GW_DNS_MEMBERS */
	uint32_t dns_required; /* 1 = the start fails where a name does not resolve */
	const struct kolk_config_place *place;
};

#endif
