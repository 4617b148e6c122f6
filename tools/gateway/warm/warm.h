/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warm.h - warm start: what tenants used most is there before they ask for it again.
 *
 *   warm.c        the thread: it reads the file, has things made, and writes the file
 *   count.c       how often each pair was used: of each loop
 *   use.c         what loops count
 *   file.c        the file
 *   make.c        one session or connection that is made ahead, on a loop
 *   ahead.c       sessions that wait for the one client that gets them
 *
 * A pair is a tenant and an upstream; of sessions, also what their clients said of themselves, for a
 * session that was made with something else would not be theirs. It has no credential, and none is
 * made up: where a server is shown the client's own token, there is nothing to be made ahead.
 *
 *   loops ── counts ──► thread ──► file ──► the next start: thread ── jobs ──► loops
 *
 * Times are of a clock that goes on over restarts, s: since 1970, as it was known at the start.
 */
#ifndef KOLK_GATEWAY_WARM_H
#define KOLK_GATEWAY_WARM_H

#include <pthread.h>

#include "tools/gateway/gateway.h"
#include "tools/gateway/mcp/mcp.h"

enum gw_warm_kind {
	GW_WARM_CONNECTION, /* of the tenant, to the upstream */
	GW_WARM_SESSION,    /* for a client with sessions */
	GW_WARM_CALL,       /* for stateless requests */
	GW_WARM_KINDS
};

/* The texts of a pair. The last three are "" but for sessions. */
enum gw_warm_text {
	GW_WARM_POOL, GW_WARM_TENANT, GW_WARM_VERSION, GW_WARM_CAPABILITIES, GW_WARM_CLIENT_INFO,
	GW_WARM_TEXTS
};

enum {
	GW_WARM_PAIRS = 1000,
	GW_WARM_RATE = 20,
	GW_WARM_PROFILE_MAX = 2048, /* bytes of capabilities, client info; of more none is made ahead */
	GW_WARM_JOBS_MAX = 16       /* at a time: a server that does not answer holds up no more */
};
#define GW_WARM_INTERVAL_NS (300 * KOLK_S_NS)

/* What is less of a use is forgotten: one alone after three half-lives. */
#define GW_WARM_USES_MIN 0.125
/* More are no more: JSON has numbers for them. */
#define GW_WARM_USES_MAX 1e15
#define GW_WARM_HALF_LIFE_NS (86400 * KOLK_S_NS)

struct gw_warm_pair {
	double uses;               /* those that have ended, as of at_s */
	uint32_t kind, size;       /* size: of text */
	/* Of a count. */
	struct gw_warm_pair *next; /* with the same place in its index */
	uint64_t at_s, hash;
	uint32_t open;             /* sessions, each a use of now */
	bool forgotten;            /* it is in no count any more; the last of these frees it */
	char text[];               /* GW_WARM_TEXTS of them, each with its NUL */
};

/* What is used; not copied. */
struct gw_warm_use {
	enum gw_warm_kind kind;
	struct kolk_mcp_part texts[GW_WARM_TEXTS];
};

/* ---- count.c: one thread */

struct gw_warm_count;

struct gw_warm_count *gw_warm_count_make(uint32_t pairs_max, uint64_t half_life_s); /* NULL = no memory */
void gw_warm_count_free(struct gw_warm_count *count); /* NULL is allowed; no session is open */
/* One use more. What there is no memory for is not counted. */
void gw_warm_count_use(struct gw_warm_count *count, const struct gw_warm_use *use, uint64_t now_s);
/* A session is open with it, until it is closed; NULL = it is not counted. */
struct gw_warm_pair *gw_warm_count_open(struct gw_warm_count *count, const struct gw_warm_use *use,
					uint64_t now_s);
void gw_warm_count_close(struct gw_warm_count *count, struct gw_warm_pair *pair, uint64_t now_s);
/* All, with what their uses are worth at this time. */
typedef void gw_warm_pair_fn(void *user, const struct gw_warm_pair *pair, double uses);
void gw_warm_count_show(const struct gw_warm_count *count, uint64_t now_s, gw_warm_pair_fn *show,
			void *user);

/* What is left of uses after a time. */
double gw_warm_aged(double uses, uint64_t age_s, uint64_t half_life_s);

/* A pair by itself; NULL = no memory, or it has a text that no pair may have. */
struct gw_warm_pair *gw_warm_pair_make(const struct gw_warm_use *use, double uses);
const char *gw_warm_pair_text(const struct gw_warm_pair *pair, enum gw_warm_text which);
void gw_warm_pair_use(const struct gw_warm_pair *pair, struct gw_warm_use *use); /* what it is of */
bool gw_warm_pair_is(const struct gw_warm_pair *pair, const struct gw_warm_use *use);
uint64_t gw_warm_hash(const struct gw_warm_use *use, uint64_t seed);

/* ---- file.c */

struct gw_warm_list {
	struct gw_warm_pair **pairs;
	uint32_t count, capacity;
	uint64_t at_s;               /* their uses are as of then */
};

/* Takes the pair over, also if there is no memory. */
void gw_warm_list_add(struct gw_warm_list *list, struct gw_warm_pair *pair);
/* Equal pairs become one; the most used first, no more than max, and none of less than USES_MIN. */
void gw_warm_list_sort(struct gw_warm_list *list, uint32_t max);
void gw_warm_list_free(struct gw_warm_list *list);

enum { GW_WARM_WHY = 160 };
/* At most max pairs of the file. One that is not there, or is empty, has none; of one that does not say
 * it, list->at_s is 0. False: it is not taken, and why. */
bool gw_warm_file_read(const char *path, uint32_t max, struct gw_warm_list *list,
		       char why[GW_WARM_WHY]);
/* Whole or not at all, for its owner alone. */
bool gw_warm_file_write(const char *path, const struct gw_warm_list *list, char why[GW_WARM_WHY]);

/* Whether a file can be made beside it, told before the first write. */
bool gw_warm_file_check(const char *path, char why[GW_WARM_WHY]);

/* ---- make.c, warm.c */

struct gw_warm_job;
struct gw_warm_waiting;

/* Of a loop. */
struct gw_warm_loop {
	struct gw_warm_count *count;
	struct gw_warm_job *jobs;   /* under way */
	struct gw_warm_waiting *waiting; /* sessions that wait for their clients */
	uint64_t clock_ns;          /* added to the loop's time */
	bool ending;
};

enum gw_warm_outcome { GW_WARM_MADE, GW_WARM_FAILED, GW_WARM_SKIPPED, GW_WARM_OUTCOMES };

/* Have it made on a loop; any thread. The pair lives until it has ended: gw_warm_job_ended is called
 * then, also if it could not begin. */
void gw_warm_job_start(struct gw_warm *warm, struct gw_loop *loop, const struct gw_warm_pair *pair);
void gw_warm_job_ended(struct gw_warm *warm, enum gw_warm_outcome outcome);
/* Those of a loop end, and none begins; on the loop. */
void gw_warm_jobs_end(struct gw_loop *loop);

/* Begin: the engine, its pools and the loops are there, and nothing listens yet. Does nothing without
 * warm_state_file. False = no memory, no thread. */
bool gw_warm_begin(struct gateway *gateway);
/* Nothing is begun any more; what is under way has until the deadline, for a session that is given up
 * while it is made cannot be ended in order. Then the file is written. Not on a loop; all of them
 * run. */
void gw_warm_end(struct gateway *gateway, uint64_t deadline_ns);
void gw_warm_free(struct gateway *gateway);

/* ---- ahead.c: sessions that one client has alone */

struct gw_warm_ahead;

struct gw_warm_ahead *gw_warm_ahead_make(uint32_t pairs_max); /* NULL = no memory */
void gw_warm_ahead_free(struct gw_warm_ahead *ahead); /* none waits any more; NULL is allowed */
struct gw_warm_ahead *gw_warm_ahead_of(const struct gateway *gateway); /* NULL = there is no warm start */

/* A session that was made for a pair: by this client, with this holder's token. */
struct gw_warm_made {
	const struct gw_warm_pair *pair;
	const struct gw_mcp_pool *pool;
	const struct gw_mcp_holder *holder;
	struct kolk_mcp_client *client;
};
/* It waits, for as long as a session may be idle; false = no memory. On its loop. */
bool gw_warm_ahead_put(struct gw_loop *loop, const struct gw_warm_made *made);
/* All that wait on a loop are ended; on the loop. */
void gw_warm_ahead_end(struct gw_loop *loop);
/* initialize: the loop where a session waits for it, or its own; any thread. */
struct gw_loop *gw_warm_home_of(const struct gw_mcp_call *call);
/* The one that waits for it there, which is the caller's from here on, as is call->holder; NULL = none
 * does. On the loop. */
struct kolk_mcp_client *gw_warm_ahead_take(struct gw_mcp_call *call);

/* ---- use.c: on the loop */

/* A request of a tenant goes to a pool; to one of kolk/mcp.h, a stateless one (dialog: its client said
 * what it can be asked). */
void gw_warm_use_pool(struct gw_loop *loop, const char *pool, const char *tenant);
void gw_warm_use_call(const struct gw_mcp_call *call, bool dialog);
/* What initialize says is counted for a session of a pool; false = it is not. */
bool gw_warm_session_use(const struct gw_mcp_call *call, const struct gw_mcp_pool *pool,
			 struct gw_warm_use *use);
/* A session of a client is open, until it is not; NULL = it is not counted. */
struct gw_warm_pair *gw_warm_session_begin(const struct gw_mcp_call *call);
void gw_warm_session_end(struct gw_loop *loop, struct gw_warm_pair *pair); /* NULL is allowed */
/* Its clock, s. */
uint64_t gw_warm_now(const struct gw_loop *loop);

/* ---- status/warm.c: numbers for the admin server; any thread */

/* path NULL = there is none any more; why: its file is not taken, NULL = it is. */
void gw_status_warm_show(const char *path, uint64_t restored, const char *why);
void gw_status_warm_ended(enum gw_warm_outcome outcome);
/* One begins to wait for its client, or stops: taken, or its time is over. */
void gw_status_warm_waits(void);
void gw_status_warm_waited(bool taken);
/* why NULL = it was written. */
void gw_status_warm_wrote(uint64_t pairs, const char *why);

#endif
