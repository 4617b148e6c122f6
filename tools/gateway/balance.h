/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balance.h - which of several servers a request goes to: the balancers of a view.
 *
 * Each member is a pool. Passed over are members whose checks say that they are down, whose circuit is
 * open, and that drain; when all are, all are tried. Of the others:
 *
 *   least_in_flight  two are drawn, each by its weight; the one with fewer requests in flight for its
 *                    weight is taken, the first one of equals. (Mitzenmacher: the power of two
 *                    choices, 2001.) Without load that is by weight.
 *   hash             weighted rendezvous hashing (Thaler and Ravishankar, 1998; Schindelhauer and
 *                    Schomaker, 2005): each member has a draw of its own for a key, and the best
 *                    one is taken. When a member goes, its keys alone move, to all others by weight.
 *                    With bounded load (Mirrokni et al., 2018): a member with at least
 *                    GW_BOUND_MIN requests in flight and more than 5/4 of its share is passed over.
 *                    The same key has the same server in every gateway with the same members.
 *
 * It costs time that grows with the members: some tens of nanoseconds each.
 */
#ifndef KOLK_GATEWAY_BALANCE_H
#define KOLK_GATEWAY_BALANCE_H

#include "tools/gateway/config/config.h"
#include "tools/gateway/load.h"

enum { GW_BOUND_MIN = 16 };

struct gw_member {
	struct gw_load *load;
	struct kolk_pool *pool;   /* NULL = the engine has none */
	const char *name;         /* of the pool; of an address of a name: "POOL@ADDRESS:PORT" */
	const struct gw_member_options *options;
	uint64_t hash;            /* of the name */
	uint32_t weight;
};

struct gw_balancer {
	const struct gw_balancer_options *options;
	struct gw_member *members;
	uint32_t count;
};

/* The balancers of a configuration, in the order of the file, with the members that do not resolve
 * (dns/dns.h has the others). NULL = no memory. */
struct gw_balancer *gw_balancers_make(const struct gw_config *config);
/* They come into force: look up the pools of members that do not resolve. */
void gw_balancers_bind(struct gw_balancer *balancers, const struct gw_config *config,
		       struct kolk_engine *engine);
/* A member more, with a name that is copied; before the balancer is in use. False = no memory,
 * or it has GW_BALANCED_MAX. */
bool gw_balancer_add(struct gw_balancer *balancer, const struct gw_member_options *options,
		     const char *name, struct kolk_pool *pool);
void gw_balancers_free(struct gw_balancer *balancers, const struct gw_config *config);

struct gw_choice {
	uint64_t *random;         /* state of a generator, of the loop's; not 0 */
	const char *key;          /* NULL = the request has none: by least_in_flight */
	size_t key_size;
	const struct gw_member *except; /* it failed: the last that is taken; NULL = none */
};

/* NULL = the engine has no pool of any. */
const struct gw_member *gw_balancer_choose(const struct gw_balancer *balancer,
					   const struct gw_choice *choice);
/* Whether it is the pool of a member. */
bool gw_balancer_has(const struct gw_balancer *balancer, const struct kolk_pool *pool);

#endif
