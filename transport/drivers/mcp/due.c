/* SPDX-License-Identifier: Apache-2.0 */
/*
 * due.c - when a call is looked at: at its deadline, and at the end of what is left of it. The
 * calls of a client are in order of that, and the client has one timer. It does not move when a
 * call ends, as nearly all do long before they are due: when it fires, it waits for the first of
 * those that are there. So no step takes more than log2 of the calls that the client has under
 * way, and a fire looks at nothing but the calls that are due.
 */
#include "transport/drivers/mcp/inside.h"

static void on_timer(struct kolk_timer *timer, void *user);

static void wait_until(struct kolk_mcp_client *client, uint64_t due_ns)
{
	if (due_ns >= client->timer_ns)
		return;
	client->timer_ns = due_ns;
	(void)kolk_timer_start(client->loop->loop, &client->timer, due_ns, on_timer, client);
}

static void on_timer(struct kolk_timer *timer, void *user)
{
	struct kolk_mcp_client *client = user;
	uint64_t now_ns = kolk_loop_now(client->loop->loop);
	struct kolk__timer *first;

	(void)timer;
	client->timer_ns = KOLK_FOREVER;
	client->looking = true;
	while ((first = kolk__heap_min(&client->due)) != NULL && first->due_ns <= now_ns) {
		kolk__heap_remove(&client->due, first);
		kolk__mcp_call_expire(mcp_container_of(first, struct kolk_mcp_call, due));
	}
	if (first != NULL)
		wait_until(client, first->due_ns);
	client->looking = false;
	kolk__mcp_client_check(client);
}

/* One that is begun while others end is not looked at with them, even if it is due by now: one that
 * is begun again and again with a deadline that has passed would keep the loop. */
static uint64_t behind_now(const struct kolk_mcp_client *client, uint64_t due_ns)
{
	uint64_t now_ns = client->looking ? kolk_loop_now(client->loop->loop) : 0;

	return due_ns > now_ns ? due_ns : now_ns + 1;
}

void kolk__mcp_call_due(struct kolk_mcp_call *call, uint64_t due_ns)
{
	struct kolk_mcp_client *client = call->client;

	if (kolk__timer_is_armed(&call->due))
		kolk__heap_remove(&client->due, &call->due);
	if (due_ns == KOLK_FOREVER)
		return;
	due_ns = behind_now(client, due_ns);
	kolk__heap_push(&client->due, &call->due, due_ns);
	wait_until(client, due_ns);
}
