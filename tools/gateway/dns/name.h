/* SPDX-License-Identifier: Apache-2.0 */
/* name.h - a name that resolves to members, within: what dns*.c share. See dns.h. */
#ifndef KOLK_GATEWAY_DNS_NAME_H
#define KOLK_GATEWAY_DNS_NAME_H

#include <ares.h>
#include <kolk/kolk.h>
#include <pthread.h>

#include "tools/gateway/config/balancer.h"
#include "tools/gateway/dns/dns.h"

/* IPv4 is mapped into IPv6. */
struct gw_ip {
	uint8_t bytes[16];
};

struct gw_ips {
	struct gw_ip *at;          /* sorted, without twins */
	uint32_t count;
};

/* look_up.c: sort them, each once. */
void gw_ips_sort(struct gw_ips *ips);

/* ---- look_up.c: of the thread */

/* Of a question at a time: one of each of its servers. */
enum { GW_SOCKETS_MAX = 16 };

/* The question for one family. */
struct gw_look_up {
	ares_channel channel;      /* NULL = none is under way */
	struct {
		ares_socket_t fd;
		bool in, out;
	} sockets[GW_SOCKETS_MAX]; /* that it waits for */
	uint32_t socket_count;
	bool answered;             /* the rest is set */
	int status;                /* of c-ares */
	uint32_t ttl_s;
	struct gw_ips ips;
};

/* A question begins; its channel takes part in the thread's poll. servers NULL = the system's. */
void gw_look_up_begin(struct gw_look_up *look_up, const char *host, const char *servers, int family);
/* Free its channel, when it has answered or is not wanted any more; not within c-ares. */
void gw_look_up_end(struct gw_look_up *look_up);
/* The name has no address of this family: what it had is gone. */
bool gw_look_up_has_none(const struct gw_look_up *look_up);

/* ---- a name */

enum { GW_FAMILIES = 2 };

struct gw_dns_member {
	struct gw_ip ip;
	struct kolk_pool *pool;
	char *name;                /* of the member: "POOL@ADDRESS:PORT" */
};

struct gw_dns_name {
	struct gw_dns *dns;
	struct gw_dns_name *next;  /* in dns->first, under its lock */
	char *balancer, *pool, *host, *port, *servers; /* constant; servers NULL = the system's */

	/* Of the thread. */
	struct gw_look_up look_ups[GW_FAMILIES]; /* of the round that is under way */
	bool asking;
	uint64_t begun_ns, due_ns; /* of the round, and of the next one */
	uint64_t from_ns;          /* due_ns is at most ttl_max_ns, as it is now, after it */
	uint32_t failed;           /* rounds in a row */

	/* Under dns->lock. */
	struct gw_ips families[GW_FAMILIES]; /* what each has, as far as is known */
	struct gw_ips wanted;      /* of these, who are to be members */
	uint32_t addresses;        /* that there are */
	uint32_t version, bound;   /* of wanted, from 1; that of the members in force, 0 = none are */
	uint32_t balanced;         /* members in force: less than wanted, where a pool was refused */
	bool incomplete;           /* one could not be added: once more after the next round */
	bool shown;                /* it is of the configuration in force */
	uint32_t users;            /* configurations that have it; 0 = the thread frees it */
	bool known;                /* a round ended, or there are addresses */
	uint64_t resolved_ns;      /* the last round that succeeded; 0 = none */
	uint64_t ttl_ns, rounds, failures;
	char error[64];            /* of the last round; "" = it succeeded */
	uint32_t members_max;      /* the options of its balancer */
	uint64_t ttl_min_ns, ttl_max_ns, stale_max_ns;

	/* Under reload_lock. */
	struct gw_dns_member *members;
	uint32_t member_count;
	uint32_t serial;           /* of the configuration by which its pools are */
};

struct gw_dns {
	gw_dns_changed_fn *changed;
	void *user;
	int wake;                  /* eventfd of the thread */
	pthread_t thread;
	/* Of who opens names and ends the thread: under reload_lock, or alone. */
	bool running;              /* the thread is there */
	uint32_t serial;           /* of the configuration that was opened last */
	struct gw_dns_names *in_force; /* NULL = none */
	pthread_mutex_t lock;
	pthread_cond_t answered;   /* a name became known; by the monotonic clock */
	/* Under the lock. */
	struct gw_dns_name *first;
	bool ending;               /* the thread ends, and who waits for an answer */
};

struct gw_dns_names {
	struct gw_dns *dns;
	uint32_t serial;           /* of the configuration; not 0 */
	uint64_t grace_ns;         /* that requests of members have which are gone */
	uint32_t count;
	struct gw_dns_name *at[];
};

/* dns.c: free what no thread uses any more. */
void gw_dns_name_free(struct gw_dns_name *name);
/* Under dns->lock: the bounds of its balancer. */
void gw_dns_take_options(struct gw_dns_name *name, const struct gw_balancer_options *options);

/* thread.c. Under dns->lock: who are to be members, by the addresses that are known. */
void gw_dns_update_wanted(struct gw_dns_name *name);
/* The thread's function, of a struct gw_dns; and have it look at what changed. */
void *gw_dns_run(void *user);
void gw_dns_wake(const struct gw_dns *dns);

/* members.c: all pools of the name drain, and are not its members any more. */
void gw_dns_members_end(struct gw_dns_name *name, uint64_t grace_ns);

#endif
