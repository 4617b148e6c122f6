/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group.c - which session a call gets.
 *
 * A group has the leases of sessions of one identity. Its calls wait until one of them has a place
 * for them, each for its own time; meanwhile it acquires, one lease at a time, for all of them. A
 * lease is given back when no call is on it any more: then the pool may evict the session, or lend
 * it to others of the identity. A `single` group has one session for its whole life: when that is
 * gone, the group is lost.
 *
 *   EXCLUSIVE    a group for each call
 *   MULTIPLEXED  a group for the clients of an identity on a loop; several leases
 *   BOUND, VIRGIN  a group for each client, single. The lease is kept until the client is closed,
 *                but for BOUND clients with isolation `session`: their key is theirs alone, so no
 *                other gets the session meanwhile. A session of VIRGIN on which its client has sent
 *                nothing (initialize is answered from here) is another one's
 */
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

/* One that is pending. */
struct mcp_acquire {
	struct kolk_acquire acquire;
	uint64_t since_ns, until_ns; /* its beginning, its deadline */
};

static void run(struct mcp_group *group);

static const struct kolk_mcp_options *options_of(const struct mcp_group *group)
{
	return &group->loop->mcp->options;
}

static bool is_alone(const struct mcp_group *group)
{
	return options_of(group)->sharing == KOLK_MCP_BOUND &&
	       options_of(group)->isolation == KOLK_MCP_ISOLATION_SESSION;
}

void kolk__mcp_group_init(struct mcp_group *group, struct mcp_loop *loop,
			  struct mcp_identity *identity)
{
	uint32_t sharing = loop->mcp->options.sharing;

	memset(group, 0, sizeof *group);
	group->loop = loop;
	group->identity = identity;
	mcp_list_init(&group->holds);
	mcp_list_init(&group->waiting);
	group->single = sharing == KOLK_MCP_BOUND || sharing == KOLK_MCP_VIRGIN;
	group->calls_max = sharing == KOLK_MCP_MULTIPLEXED ? loop->mcp->options.requests_max :
			   sharing == KOLK_MCP_EXCLUSIVE   ? 1 : UINT32_MAX;
}

/* ---- holds */

static struct mcp_hold *hold_make(struct mcp_group *group)
{
	struct mcp_hold *hold = group->first_used ? calloc(1, sizeof *hold) : &group->first;

	if (hold == NULL)
		return NULL;
	memset(hold, 0, sizeof *hold);
	group->first_used |= hold == &group->first;
	hold->group = group;
	mcp_list_add(&group->holds, &hold->link);
	return hold;
}

static void hold_free(struct mcp_hold *hold)
{
	struct mcp_group *group = hold->group;

	mcp_list_del(&hold->link);
	if (hold == &group->first)
		group->first_used = false;
	else
		free(hold);
}

/* Of VIRGIN, and not one any more. */
static bool is_spent(const struct mcp_group *group, const struct mcp_session *session)
{
	return options_of(group)->sharing == KOLK_MCP_VIRGIN && session->told;
}

/* Give it back: to be used again, or to be ended. */
static void hold_return(struct mcp_hold *hold, bool again)
{
	again = again && !hold->session->lost && !is_spent(hold->group, hold->session);
	if (hold->session->pipe != NULL)
		kolk__mcp_pipe_return(hold->session->pipe, &hold->lease, again);
	else if (again)
		(void)kolk_release(&hold->lease);
	else
		(void)kolk_discard(&hold->lease);
	hold_free(hold);
}

/* Whether it stays although no call is on it. */
static bool is_kept(const struct mcp_hold *hold)
{
	const struct mcp_group *group = hold->group;

	return !hold->session->lost && !group->closing && group->single && !is_alone(group);
}

/* ---- calls that wait */

static struct kolk_mcp_call *first_waiting(struct mcp_group *group)
{
	return mcp_container_of(group->waiting.next, struct kolk_mcp_call, link);
}

/* It waits no more. What its acquire was begun for goes on for the next. */
static void wait_end(struct kolk_mcp_call *call)
{
	struct mcp_group *group = call->group;
	struct kolk_mcp_call *counted = call;

	mcp_list_del(&call->link);
	if (!call->counted && group->acquire != NULL && !mcp_list_empty(&group->waiting))
		counted = first_waiting(group);
	if (counted->counted)
		kolk_waiter_remove(group->identity->key);
	counted->counted = false;
}

/* The first that waits is a waiter of the pool by the group's acquire; the others are counted, so
 * that waiters_max bounds them. */
static void count(struct kolk_mcp_call *call)
{
	struct mcp_group *group = call->group;
	enum kolk_err err;

	if (call->state != MCP_WAITING || first_waiting(group) == call)
		return;
	err = kolk_waiter_add(group->identity->key);
	call->counted = err == KOLK_OK;
	if (err == KOLK_OK)
		return;
	mcp_list_del(&call->link);
	kolk__mcp_call_end_soon(call, err);
}

static void fail_first(struct mcp_group *group, enum kolk_err err)
{
	struct kolk_mcp_call *call = first_waiting(group);

	wait_end(call);
	call->outcome.lost = group->lost;
	kolk__mcp_call_end_soon(call, err);
}

/* Those that may wait no longer than until then end so. */
static void fail_until(struct mcp_group *group, enum kolk_err err, uint64_t until_ns)
{
	while (!mcp_list_empty(&group->waiting) &&
	       first_waiting(group)->wait_until_ns <= until_ns)
		fail_first(group, err);
}

/* All that wait end so. */
static void fail_waiting(struct mcp_group *group, enum kolk_err err)
{
	fail_until(group, err, UINT64_MAX);
}

/* There was no lease: of those that wait, time ends only for those whose time is over. */
static void acquire_failed(struct mcp_group *group, enum kolk_err err, uint64_t until_ns)
{
	fail_until(group, err, err == KOLK_E_TIMEOUT ? until_ns : UINT64_MAX);
}

/* The session of a single group is gone. */
static void set_lost(struct mcp_group *group)
{
	group->lost = true;
	fail_waiting(group, KOLK_E_CLOSED);
}

/* The first session of a client must be one that it may have. */
static bool may_have(const struct mcp_group *group, const struct mcp_session *session)
{
	return session->identity == group->identity && !is_spent(group, session);
}

/* Whether a session of VIRGIN was ready before it was asked for. */
static void count_virgin(const struct mcp_group *group, const struct kolk_lease *lease)
{
	uint64_t waited_ns = kolk_loop_now(group->loop->loop) - group->acquire->since_ns;
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	if (options_of(group)->sharing == KOLK_MCP_VIRGIN &&
	    kolk_lease_info(lease, &info) == KOLK_OK && info.age_ns > waited_ns)
		kolk__own_add(&group->loop->counts.virgin_hits, 1);
}

/* A lease has come. */
static void take_lease(struct mcp_group *group, const struct kolk_lease *lease)
{
	struct mcp_session *session = kolk_lease_resource(lease);
	struct mcp_hold *hold = hold_make(group);
	struct kolk_lease taken = *lease;

	if (hold == NULL || !may_have(group, session)) {
		if (hold != NULL)
			kolk__add_relaxed(&group->loop->counts.violations, 1);
		if (hold != NULL)
			hold_free(hold);
		(void)kolk_discard(&taken);
		fail_waiting(group, hold == NULL ? KOLK_E_MEMORY : KOLK_E_RESOURCE);
		return;
	}
	hold->lease = taken;
	hold->session = session;
	hold->reused = session->used;
	if (session->pipe != NULL && kolk__mcp_pipe_is_dead(session->pipe)) {
		session->lost = true; /* it ended while it was idle */
		hold_return(hold, false);
		if (group->single && group->had_one)
			set_lost(group);
		return;
	}
	if (group->single && group->had_one && !session->used) {
		/* It was made anew behind our back: what the client had is gone. */
		hold_return(hold, false);
		set_lost(group);
		return;
	}
	if (group->single && !group->had_one) {
		kolk__store_relaxed(&group->identity->gone, false);
		count_virgin(group, lease);
	}
	group->had_one = session->used = true;
	if (session->pipe != NULL)
		kolk__mcp_pipe_take(session->pipe, group->loop);
	(void)kolk_lease_pin(&hold->lease);
}

/* The calls that a lease was asked for may be gone, or on another one. */
static void return_unused(struct mcp_group *group)
{
	struct mcp_hold *last = mcp_container_of(group->holds.prev, struct mcp_hold, link);

	if (!mcp_list_empty(&group->holds) && last->calls == 0 && (group->lost || !is_kept(last)))
		hold_return(last, true);
}

static void acquire_end(struct mcp_group *group)
{
	blocks_put(&group->loop->acquires, group->acquire);
	group->acquire = NULL;
}

static void acquire_cancel(struct mcp_group *group)
{
	if (group->acquire == NULL)
		return;
	(void)kolk_acquire_cancel(&group->acquire->acquire);
	acquire_end(group);
}

static void on_acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct mcp_group *group = user;
	uint64_t until_ns = group->acquire->until_ns;

	if (err == KOLK_OK)
		take_lease(group, lease);
	acquire_end(group);
	if (err != KOLK_OK)
		acquire_failed(group, err, until_ns);
	run(group);
	return_unused(group);
}

/* For all that wait, as long as the first of them may; the deadline of a call is its own, and ends
 * no other's wait (call.c). False: its end will come. */
static bool acquire(struct mcp_group *group)
{
	struct kolk_mcp_call *first = first_waiting(group);
	uint64_t until_ns = first->wait_until_ns;
	enum kolk_err err;

	group->acquire = blocks_get(&group->loop->acquires, sizeof *group->acquire);
	if (group->acquire == NULL) {
		fail_waiting(group, KOLK_E_MEMORY);
		return true;
	}
	group->acquire->since_ns = kolk_loop_now(group->loop->loop);
	group->acquire->until_ns = until_ns;
	err = (first->counted ? kolk_waiter_acquire_async : kolk_acquire_async)(
		group->loop->loop, group->identity->key, until_ns, &group->acquire->acquire,
		on_acquired, group);
	first->counted = false;
	if (err == KOLK_PENDING)
		return false;
	if (err == KOLK_OK)
		take_lease(group, &group->acquire->acquire.lease);
	acquire_end(group);
	if (err == KOLK_E_QUEUE_FULL)
		fail_first(group, err); /* the others are counted already */
	else if (err != KOLK_OK)
		acquire_failed(group, err, until_ns);
	return true;
}

static struct mcp_hold *hold_with_place(struct mcp_group *group)
{
	for (struct mcp_link *at = group->holds.next; at != &group->holds; at = at->next) {
		struct mcp_hold *hold = mcp_container_of(at, struct mcp_hold, link);

		if (hold->calls < group->calls_max && !hold->session->lost)
			return hold;
	}
	return NULL;
}

/* Each turn of the loop ends a wait, or begins one. */
static void run(struct mcp_group *group)
{
	while (!mcp_list_empty(&group->waiting)) {
		struct mcp_hold *hold = hold_with_place(group);
		struct kolk_mcp_call *call;

		if (hold == NULL) {
			if (group->acquire != NULL || !acquire(group))
				return;
			continue;
		}
		call = first_waiting(group);
		wait_end(call);
		call->hold = hold;
		call->reused = hold->reused || hold->calls > 0;
		hold->calls++;
		hold->reused = true;
		kolk__mcp_call_send(call);
	}
}

/* The session of a single group may have ended between two calls. */
static void check_lost(struct mcp_group *group)
{
	struct mcp_hold *hold = mcp_container_of(group->holds.next, struct mcp_hold, link);

	if (!group->single || !group->had_one)
		return;
	if (mcp_list_empty(&group->holds)) {
		group->lost |= kolk__load_relaxed(&group->identity->gone);
	} else if (hold->session->lost) {
		group->lost = true;
		if (hold->calls == 0)
			hold_return(hold, false);
	}
}

/* A call of the modern era needs none. False: no memory. */
static bool set_group(struct kolk_mcp_call *call)
{
	struct kolk_mcp_client *client = call->client;

	if (call->group != NULL)
		return true;
	if (!kolk__mcp_client_ready(client))
		return false;
	if (client->group == NULL)
		kolk__mcp_group_init(call->own, client->loop, client->identity);
	call->group = client->group != NULL ? client->group : call->own;
	return true;
}

void kolk__mcp_group_enqueue(struct kolk_mcp_call *call)
{
	struct mcp_group *group;

	if (!set_group(call)) {
		kolk__mcp_call_end_soon(call, KOLK_E_MEMORY);
		return;
	}
	group = call->group;
	check_lost(group);
	if (group->lost) {
		call->outcome.lost = true;
		kolk__mcp_call_end_soon(call, KOLK_E_CLOSED);
		return;
	}
	call->state = MCP_WAITING;
	call->wait_until_ns = kolk__mcp_in_ns(group->loop, options_of(group)->acquire_timeout_ns);
	mcp_list_add(&group->waiting, &call->link);
	run(group);
	count(call);
}

void kolk__mcp_group_remove(struct kolk_mcp_call *call)
{
	struct mcp_group *group = call->group;

	wait_end(call);
	if (mcp_list_empty(&group->waiting))
		acquire_cancel(group);
}

void kolk__mcp_group_lost(struct kolk_mcp_call *call)
{
	struct mcp_session *session = call->hold->session;
	struct mcp_group *group = call->group;

	if (!session->lost)
		kolk__add_relaxed(&group->loop->counts.lost, 1);
	session->lost = true;
	if (group->single)
		set_lost(group);
}

void kolk__mcp_group_leave(struct kolk_mcp_call *call)
{
	struct mcp_hold *hold = call->hold;
	struct mcp_group *group = call->group;

	if (hold == NULL)
		return;
	call->hold = NULL;
	if (--hold->calls == 0 && !is_kept(hold) &&
	    (hold->session->lost || mcp_list_empty(&group->waiting)))
		hold_return(hold, true);
	run(group);
}

/* A session that no other client may use, or find by its key, ends with its client. */
void kolk__mcp_group_close(struct mcp_group *group)
{
	bool again = !group->single ||
		     options_of(group)->isolation != KOLK_MCP_ISOLATION_SESSION;

	group->closing = true;
	acquire_cancel(group);
	while (!mcp_list_empty(&group->holds))
		hold_return(mcp_container_of(group->holds.next, struct mcp_hold, link), again);
	if (is_alone(group))
		(void)kolk_key_rotate(group->identity->key);
}
