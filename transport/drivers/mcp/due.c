/* SPDX-License-Identifier: Apache-2.0 */
/*
 * due.c - when a call is looked at: at its deadline, and at the end of what is left of it. A
 * client has one timer for all of its calls. It does not move when a call ends, as nearly all do
 * long before they are due: when it fires, it waits for the first of those that are there.
 */
#include "transport/drivers/mcp/inside.h"

static void on_timer(struct kolk_timer *timer, void *user);

static void wait_until(struct kolk_mcp_client *client, uint64_t due_ns)
{
	if (due_ns >= client->due_ns)
		return;
	client->due_ns = due_ns;
	(void)kolk_timer_start(client->loop->loop, &client->timer, due_ns, on_timer, client);
}

/* A call that is due may be freed, but no other is: their ends run from step. */
static void on_timer(struct kolk_timer *timer, void *user)
{
	struct kolk_mcp_client *client = user;
	uint64_t now_ns = kolk_loop_now(client->loop->loop);
	struct mcp_link *at, *next;

	(void)timer;
	client->due_ns = KOLK_FOREVER;
	client->looking = true;
	for (at = client->calls.next; at != &client->calls; at = next) {
		struct kolk_mcp_call *call = mcp_container_of(at, struct kolk_mcp_call, all);

		next = at->next;
		if (call->due_ns > now_ns) {
			wait_until(client, call->due_ns);
			continue;
		}
		call->due_ns = KOLK_FOREVER;
		kolk__mcp_call_expire(call);
	}
	client->looking = false;
	kolk__mcp_client_check(client);
}

void kolk__mcp_call_due(struct kolk_mcp_call *call, uint64_t due_ns)
{
	call->due_ns = due_ns;
	wait_until(call->client, due_ns);
}
