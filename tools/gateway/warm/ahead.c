/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ahead.c - sessions that one client has alone (mcp.isolation: session), made before it comes.
 *
 * Each is what a client's session would be: a client of the library that only that one uses, which has
 * said `initialize` and nothing else. It is given to the first client of its tenant that says the same
 * of itself, byte for byte, for the server has been told just that; to no other, and once. The pool may
 * end it before, for room or because its time is over, as it may end any session that is idle: then
 * `initialize` finds it lost, and makes another one (mcp/begin.c).
 *
 * It lives on a loop, and so will the session of the client, whose first request may come on another
 * one: which loop has it is looked up under a lock. Without any the way of a request has none.
 */
#include <stdlib.h>
#include <sys/random.h>

#include "core/base/atomic.h"
#include "tools/gateway/mcp/client.h"
#include "tools/gateway/mcp/federation.h"
#include "tools/gateway/warm/warm.h"

/* W, R: its loop, but for what the table needs. */
struct gw_warm_waiting {
	struct gw_warm_waiting *next, **at; /* on its loop: loop->warm->waiting */
	struct gw_warm_waiting *below;      /* in the table, under its lock */
	uint64_t hash;                      /* this and the next two: constant */
	const struct gw_warm_pair *pair;
	struct gw_loop *loop;
	const struct gw_mcp_holder *holder;
	struct kolk_mcp_client *client;
	struct kolk_timer over;
};

struct gw_warm_ahead {
	kolk__atomic_u32 count;             /* of those that wait. W: under the lock. R: any thread */
	uint64_t seed;
	uint32_t mask;
	pthread_mutex_t lock;
	struct gw_warm_waiting *table[];    /* by hash: mask + 1 of them */
};

struct gw_warm_ahead *gw_warm_ahead_make(uint32_t pairs_max)
{
	struct gw_warm_ahead *ahead;
	uint32_t mask = 0;

	while (mask < pairs_max)
		mask = 2 * mask + 1;
	ahead = calloc(1, sizeof *ahead + ((size_t)mask + 1) * sizeof(struct gw_warm_waiting *));
	if (ahead == NULL)
		return NULL;
	ahead->mask = mask;
	if (getrandom(&ahead->seed, sizeof ahead->seed, 0) != sizeof ahead->seed) {
		free(ahead);
		return NULL;
	}
	pthread_mutex_init(&ahead->lock, NULL);
	return ahead;
}

void gw_warm_ahead_free(struct gw_warm_ahead *ahead)
{
	if (ahead != NULL)
		pthread_mutex_destroy(&ahead->lock);
	free(ahead);
}

/* ---- the table */

static struct gw_warm_waiting **place(struct gw_warm_ahead *ahead, uint64_t hash)
{
	return &ahead->table[hash & ahead->mask];
}

/* Under the lock. loop NULL = on whichever. */
static struct gw_warm_waiting *find(struct gw_warm_ahead *ahead, const struct gw_warm_use *use,
				    const struct gw_loop *loop)
{
	const uint64_t hash = gw_warm_hash(use, ahead->seed);
	struct gw_warm_waiting *waiting = *place(ahead, hash);

	while (waiting != NULL &&
	       (waiting->hash != hash || (loop != NULL && waiting->loop != loop) ||
		!gw_warm_pair_is(waiting->pair, use)))
		waiting = waiting->below;
	return waiting;
}

static void enter(struct gw_warm_ahead *ahead, struct gw_warm_waiting *waiting)
{
	pthread_mutex_lock(&ahead->lock);
	waiting->below = *place(ahead, waiting->hash);
	*place(ahead, waiting->hash) = waiting;
	kolk__add_relaxed(&ahead->count, 1); /* a look that misses the first makes a session more */
	pthread_mutex_unlock(&ahead->lock);
}

/* On its loop. Its client is the caller's. */
static struct kolk_mcp_client *leave(struct gw_warm_waiting *waiting, bool taken)
{
	struct gw_warm_ahead *ahead = gw_warm_ahead_of(waiting->loop->gateway);
	struct gw_warm_waiting **below;
	struct kolk_mcp_client *client = waiting->client;

	pthread_mutex_lock(&ahead->lock);
	below = place(ahead, waiting->hash);
	while (*below != waiting)
		below = &(*below)->below;
	*below = waiting->below;
	kolk__sub_relaxed(&ahead->count, 1);
	pthread_mutex_unlock(&ahead->lock);
	kolk_timer_stop(&waiting->over);
	*waiting->at = waiting->next;
	if (waiting->next != NULL)
		waiting->next->at = waiting->at;
	free(waiting);
	gw_status_warm_waited(taken);
	return client;
}

/* ---- they wait */

static void on_over(struct kolk_timer *timer, void *user)
{
	(void)timer;
	kolk_mcp_client_close(leave(user, false));
}

bool gw_warm_ahead_put(struct gw_loop *loop, const struct gw_warm_made *made)
{
	struct gw_warm_ahead *ahead = gw_warm_ahead_of(loop->gateway);
	struct gw_warm_waiting *waiting = calloc(1, sizeof *waiting);
	struct gw_warm_use use;

	if (waiting == NULL)
		return false;
	gw_warm_pair_use(made->pair, &use);
	waiting->pair = made->pair;
	waiting->hash = gw_warm_hash(&use, ahead->seed);
	waiting->loop = loop;
	waiting->holder = made->holder;
	waiting->client = made->client;
	waiting->at = &loop->warm->waiting;
	waiting->next = loop->warm->waiting;
	if (waiting->next != NULL)
		waiting->next->at = &waiting->next;
	loop->warm->waiting = waiting;
	if (made->pool->idle_timeout_ns != KOLK_FOREVER)
		(void)kolk_timer_start(loop->loop, &waiting->over,
				       kolk_loop_now(loop->loop) + made->pool->idle_timeout_ns, on_over,
				       waiting);
	gw_status_warm_waits();
	enter(ahead, waiting);
	return true;
}

void gw_warm_ahead_end(struct gw_loop *loop)
{
	while (loop->warm->waiting != NULL)
		kolk_mcp_client_close(leave(loop->warm->waiting, false));
}

/* ---- and are taken */

static bool is_any(const struct gw_mcp_call *call)
{
	/* relaxed: as in enter */
	return call->home->warm != NULL &&
	       kolk__load_relaxed(&gw_warm_ahead_of(call->home->gateway)->count) > 0;
}

static struct gw_loop *loop_with(const struct gw_mcp_call *call, const struct gw_mcp_pool *pool)
{
	struct gw_warm_ahead *ahead = gw_warm_ahead_of(call->home->gateway);
	struct gw_warm_waiting *waiting;
	struct gw_loop *loop;
	struct gw_warm_use use;

	if (!gw_warm_session_use(call, pool, &use))
		return NULL;
	pthread_mutex_lock(&ahead->lock);
	waiting = find(ahead, &use, NULL);
	loop = waiting != NULL ? waiting->loop : NULL; /* it may be gone behind the lock */
	pthread_mutex_unlock(&ahead->lock);
	return loop;
}

/* Sessions with the servers of a federation are on the loop of the client's. */
struct gw_loop *gw_warm_home_of(const struct gw_mcp_call *call)
{
	const struct gw_mcp_federation *several = call->pool->federation;
	struct gw_loop *loop = NULL;

	if (!is_any(call))
		return call->home;
	if (several == NULL)
		loop = loop_with(call, call->pool);
	for (uint32_t i = 0; several != NULL && i < several->count && loop == NULL; i++)
		loop = loop_with(call, several->members[i].pool);
	return loop != NULL ? loop : call->home;
}

struct kolk_mcp_client *gw_warm_ahead_take(struct gw_mcp_call *call)
{
	struct gw_warm_ahead *ahead = gw_warm_ahead_of(call->home->gateway);
	struct gw_warm_waiting *waiting;
	struct gw_warm_use use;

	if (!is_any(call) || !gw_warm_session_use(call, call->pool, &use))
		return NULL;
	call->holder = gw_mcp_holder_of(call->pool);
	pthread_mutex_lock(&ahead->lock);
	waiting = find(ahead, &use, call->home);
	pthread_mutex_unlock(&ahead->lock);
	if (waiting == NULL)
		return NULL;
	if (waiting->holder == call->holder)
		return leave(waiting, true);
	kolk_mcp_client_close(leave(waiting, false)); /* it showed another principal's token */
	return NULL;
}
