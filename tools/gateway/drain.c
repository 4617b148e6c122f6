/* SPDX-License-Identifier: Apache-2.0 */
/* drain.c - what the end of drain_timeout breaks off: counted on the loops, and said in one line. */
#include "tools/gateway/drain.h"

#include "tools/gateway/mcp/session.h"
#include "tools/gateway/proxy.h"
#include "tools/gateway/say.h"

static void set_end(struct gw_loop *loop, void *user)
{
	const uint64_t *end_ns = user;

	loop->broken_off.end_ns = *end_ns;
}

void gw_drain_begin(struct gateway *gateway, uint64_t end_ns)
{
	gw_each_loop(gateway, set_end, &end_ns);
}

/* Not by err alone: an answer that cannot go on is cancelled by the gateway itself. */
void gw_drain_count(struct gw_exchange *x, enum kolk_err err)
{
	struct gw_broken_off *of = &x->loop->broken_off;

	if (err == KOLK_OK || of->end_ns == 0 || x->begin_ns + x->took_ns < of->end_ns)
		return;
	if (x->asking == NULL || gw_is_tunnel(x))
		of->streams++;
	else
		of->requests++;
}

static void add(struct gw_loop *loop, void *user)
{
	struct gw_broken_off *all = user;

	all->requests += loop->broken_off.requests;
	all->streams += loop->broken_off.streams;
	all->sessions += gw_mcp_sessions_busy(loop->mcp);
}

void gw_drain_say(struct gateway *gateway, uint64_t began_ns)
{
	const uint64_t took_ms = (kolk_in_ns(0) - began_ns) / KOLK_MS_NS;
	struct gw_broken_off all = { 0 };

	gw_each_loop(gateway, add, &all);
	if (all.requests + all.streams + all.sessions > 0)
		gw_say("broken off after %llu.%03llu s: requests %u, streams %u, sessions %u",
		       (unsigned long long)took_ms / 1000, (unsigned long long)took_ms % 1000,
		       all.requests, all.streams, all.sessions);
}
