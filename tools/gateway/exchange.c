/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.c - exchanges: made, kept for the next, freed when nothing uses them any more. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/proxy.h"

enum { UNUSED_MAX = 128 }; /* exchanges that a loop keeps for the next requests */

static struct gw_exchange *make(void)
{
	struct gw_exchange *x = calloc(1, sizeof *x);

	if (x == NULL)
		return NULL;
	x->asking = calloc(1, sizeof *x->asking);
	if (x->asking != NULL)
		return x;
	free(x);
	return NULL;
}

struct gw_exchange *gw_exchange_get(struct gw_loop *loop)
{
	struct gw_exchange *x = loop->unused;

	if (x == NULL) {
		x = make();
	} else {
		loop->unused = x->next;
		loop->unused_count--;
	}
	if (x == NULL)
		return NULL;
	x->loop = loop;
	x->tenant = x->asking->tenant;
	x->view = gw_view_use(loop->view, loop->index);
	x->live_at = &loop->live;
	x->live_next = loop->live;
	if (x->live_next != NULL)
		x->live_next->live_at = &x->live_next;
	loop->live = x;
	return x;
}

static void free_exchange(struct gw_exchange *x)
{
	gw_pipe_free(&x->up);
	gw_pipe_free(&x->down);
	free(x->passed);
	free(x->trace);
	free(x->asking);
	free(x);
}

void gw_exchange_trim(struct gw_exchange *x, const char *tenant)
{
	x->tenant = tenant;
	free(x->asking);
	x->asking = NULL;
	free(x->passed);
	x->passed = NULL;
	if (x->traced)
		return;
	free(x->trace);
	x->trace = NULL;
}

void gw_exchange_put(struct gw_exchange *x)
{
	struct gw_loop *loop = x->loop;

	if (x->front != NULL || x->back != NULL || gw_is_tunnel(x))
		return;
	gw_view_leave(x->view, loop->index);
	*x->live_at = x->live_next;
	if (x->live_next != NULL)
		x->live_next->live_at = x->live_at;
	if (x->passed != NULL) {
		gw_trailers_reset(&x->passed->up_trailers);
		gw_trailers_reset(&x->passed->down_trailers);
	}
	gw_pipe_reset(&x->up);
	gw_pipe_reset(&x->down);
	if (loop->unused_count >= UNUSED_MAX || x->asking == NULL) {
		free_exchange(x);
		return;
	}
	memset(x, 0, offsetof(struct gw_exchange, up));
	x->asking->tenant[0] = '\0';
	x->next = loop->unused;
	loop->unused = x;
	loop->unused_count++;
}

/* Of a balancer that it goes through: any pool until it can be moved to none any more. */
static bool uses(const struct gw_exchange *x, const struct kolk_pool *pool)
{
	if (x->target == NULL || x->target->balancer == NULL)
		return x->target != NULL && x->target->pool == pool;
	return (x->member != NULL && x->member->pool == pool) ||
	       (x->state == GW_ASKED && gw_balancer_has(x->target->balancer, pool));
}

bool gw_proxy_uses(const struct gw_loop *loop, const struct kolk_pool *pool)
{
	for (const struct gw_exchange *x = loop->live; x != NULL; x = x->live_next)
		if (uses(x, pool))
			return true;
	return false;
}

void gw_proxy_free(struct gw_loop *loop)
{
	struct gw_exchange *next;

	for (struct gw_exchange *x = loop->unused; x != NULL; x = next) {
		next = x->next;
		free_exchange(x);
	}
	loop->unused = NULL;
}
