/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns.h - members of balancers that DNS names: each address of a host is a member, as long as DNS says
 * so.
 *
 *   dns.c          names: their life, from a configuration to the next; what is known of them
 *   look_up.c      one round of questions to c-ares: A and AAAA of a name
 *   thread.c       the thread that asks: when, and what an answer changes
 *   members.c      from addresses to pools, and to the members of a view
 *
 * A round asks for both families. It succeeds if one of them has addresses. Those of a family that
 * failed (time-out, SERVFAIL) stay as they were, beside those of one that succeeded. After a round that
 * failed, whyever, all stay: the name is stale.
 *
 * Threads. c-ares and the times of rounds belong to the thread of thread.c. What it learns is under
 * gw_dns.lock. Pools, and which of them are members, belong to who holds the gateway's reload_lock. A
 * change is made as a reload is (reload.c): the loops get a new view of the same configuration.
 */
#ifndef KOLK_GATEWAY_DNS_H
#define KOLK_GATEWAY_DNS_H

#include <kolk/error.h>
#include <stdbool.h>
#include <stdint.h>

struct gateway;
struct gw_config;
struct gw_dns;
struct gw_dns_names; /* those of a configuration, in its order */
struct gw_view;
struct kolk_config_error;

/* Have the members of the view in force be those of now. Runs on the thread of gw_dns. False = not now:
 * it is called again in a moment. */
typedef bool gw_dns_changed_fn(void *user);

/* Before the engine: c-ares is initialized while there is one thread. The thread begins with the first
 * name. NULL = no memory, or no descriptor. */
struct gw_dns *gw_dns_open(gw_dns_changed_fn *changed, void *user);
/* The program ends: who waits for names waits no more. Any thread. NULL is allowed, as in the next two. */
void gw_dns_give_up(struct gw_dns *dns);
/* The thread ends; waits for it. Names stay. */
void gw_dns_end(struct gw_dns *dns);
/* Once all names are closed. */
void gw_dns_free(struct gw_dns *dns);

/* The names of a configuration: those in force that are the same, with what is known of them, and new
 * ones; waits for the first answers of these. Under reload_lock, not on a loop. Errors: E_RESOLVE (of a
 * balancer with dns.required), E_MEMORY, E_IO; error says more. *names is NULL then. */
KOLK_MUST_CHECK enum kolk_err gw_dns_names_open(struct gw_dns *dns, const struct gw_config *config,
						struct gw_dns_names **names,
						struct kolk_config_error *error);
/* Those that no other configuration shares end: their pools drain. Under reload_lock. NULL is allowed. */
void gw_dns_names_close(struct gw_dns_names *names);

/* They are in force from here on. Under reload_lock, before the view is bound: add to its balancers a member for each address. Pools of
 * new addresses are added to the engine, those of addresses that are gone drain. */
void gw_dns_bind(struct gw_dns_names *names, struct gw_view *view, struct kolk_engine *engine);

/* What is known of a name. Texts are as long as the call. */
struct gw_dns_numbers {
	const char *balancer, *pool, *name;
	const char *state;      /* "resolved", "stale" or "unresolved" */
	const char *error;      /* of the last round; "" = it succeeded */
	uint32_t addresses;     /* that the name has: members_max of them, at most, are members */
	uint32_t members;
	uint64_t age_ns;        /* since the last round that succeeded; 0 = none did */
	uint64_t ttl_ns;        /* of its answer, within the bounds */
	uint64_t rounds, failures;
};

/* Each name of the configuration in force, in the order in which they were opened; under a lock: run is
 * quick. Any thread. */
typedef void gw_dns_look_fn(void *user, const struct gw_dns_numbers *numbers);
void gw_dns_look(gw_dns_look_fn *run, void *user);

#endif
