/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls_redis.c - leases on which several things are said: transactions, subscriptions, errors, given up
 * or given back in the middle. What the next one sees must be its own.
 */
#include "tests/protocols/protocols.h"

#include <stdio.h>
#include <string.h>

enum { ECHO, MULTI, QUEUE, EXEC, SUBSCRIBE, UNSUBSCRIBE, LISTEN, PING, LIST, FAIL, KINDS };

static void go_on(struct call *call);

/* Other than what it says to itself nobody may say it: it is in the answer, or the answer is fixed. */
static bool is_right(const struct call *call, const struct kolk_redis_reply *reply)
{
	bool resp3 = call->world->redis.resp == 3;

	switch (call->what) {
	case ECHO:
		return reply->type == KOLK_REDIS_STRING && strcmp(reply->text, call->text) == 0;
	case MULTI:
		return strcmp(reply->text, "OK") == 0;
	case QUEUE:
		return strcmp(reply->text, "QUEUED") == 0;
	case EXEC:
		return reply->type == KOLK_REDIS_ARRAY && reply->count == 1 &&
		       strcmp(reply->elements[0].text, call->text) == 0;
	case SUBSCRIBE:
	case UNSUBSCRIBE:
	case LISTEN: /* with RESP3, what is tracked, too */
		return (reply->count == 3 && strcmp(reply->elements[1].text, call->text) == 0) ||
		       (call->what == LISTEN && resp3 && reply->count == 2);
	case PING:
		return call->subscribed && !resp3 ?
			       reply->count == 2 && strcmp(reply->elements[1].text, call->text) == 0 :
			       strcmp(reply->text, call->text) == 0;
	case LIST:
		return reply->count == 3 && strcmp(reply->elements[2].text, call->text) == 0;
	default:
		return reply->error == KOLK_REDIS_WRONGTYPE &&
		       strcmp(reply->text + strlen("WRONGTYPE "), call->text) == 0;
	}
}

static void end(struct call *call, enum kolk_err err)
{
	(void)kolk_release(&call->lease);
	calls_must_be_possible(call, err);
	calls_over(call, err);
}

static void on_step(void *user, enum kolk_err err, const struct kolk_redis_reply *reply)
{
	struct call *call = user;
	bool patient = call->what == LISTEN && err == KOLK_E_TIMEOUT;

	call->redis = NULL;
	world_trace(call->world, "%s step %u of kind %u: %s", call->text, call->step, call->what,
		    kolk_err_name(err));
	if (err == KOLK_OK && !is_right(call, reply))
		world_break(call->world, "a lease got another one's reply, or another's state");
	kolk_redis_reply_free(reply);
	if (err != KOLK_OK && !patient)
		end(call, err);
	else
		go_on(call);
}

/* What may be said next; nothing that Redis would refuse. */
static uint32_t choose(const struct call *call)
{
	bool narrow = call->subscribed && call->world->redis.resp == 2;

	if (call->step == 1)
		return ECHO;
	if (call->what == MULTI || call->what == QUEUE)
		return call->what + 1;
	for (;;) {
		uint32_t what = MULTI + (uint32_t)below(call->world, KINDS - MULTI);

		if (what == QUEUE || what == EXEC ||
		    (!call->subscribed && (what == UNSUBSCRIBE || what == LISTEN)) ||
		    (narrow && (what == MULTI || what == LIST || what == FAIL)))
			continue;
		return what;
	}
}

static void go_on(struct call *call)
{
	static const char *const names[] = { "ECHO", "MULTI", "QUEUE", "EXEC", "SUBSCRIBE",
					     "UNSUBSCRIBE", "", "PING", "LRANGE", "GET" };
	const char *words[2] = { NULL, call->text };
	struct kolk_redis_command command = { 2, words, NULL };
	struct kolk_redis_request r = KOLK_INIT(kolk_redis_request);
	enum kolk_err err;

	if (call->step++ == call->steps) {
		end(call, KOLK_OK);
		return;
	}
	call->what = choose(call);
	words[0] = call->what == QUEUE ? "ECHO" : names[call->what];
	if (call->what == MULTI || call->what == EXEC)
		command.count = 1;
	r.commands = &command;
	r.count = call->what != LISTEN;
	r.deadline_ns = call->deadline_ns;
	if (call->what == LISTEN)
		r.deadline_ns = kolk_in_ms(below(call->world, 20));
	call->subscribed = call->what == SUBSCRIBE || (call->subscribed && call->what != UNSUBSCRIBE);
	err = kolk_redis_start(call->loop, &call->lease, &r, on_step, call, &call->redis);
	if (err != KOLK_PENDING)
		end(call, err);
}

static void acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct call *call = user;

	call->acquiring = false;
	if (err != KOLK_OK) {
		calls_must_be_possible(call, err);
		calls_over(call, err);
		return;
	}
	call->lease = *lease;
	go_on(call);
}

void calls_redis_lease(struct world *world, struct call *call)
{
	enum kolk_err err;

	call->calm = world->calm;
	call->loop = kolk_engine_loop(world->engine, (uint32_t)below(world, world->loops));
	call->deadline_ns = kolk__sim_now(world->sim) + (1 + below(world, 3000)) * KOLK_MS_NS;
	call->steps = 1 + (uint32_t)below(world, 9);
	call->replayable = false;
	err = kolk_acquire_async(call->loop, world->redis_key, call->deadline_ns, &call->acquire,
				 acquired, call);
	call->pending = err == KOLK_PENDING || err == KOLK_OK;
	call->acquiring = err == KOLK_PENDING;
	if (err == KOLK_OK)
		acquired(call, KOLK_OK, &call->acquire.lease);
	else if (err != KOLK_PENDING)
		calls_must_be_possible(call, err);
}

bool calls_redis_lease_cancel(struct call *call)
{
	if (!call->acquiring)
		return false;
	if (kolk_acquire_cancel(&call->acquire) == KOLK_OK) {
		call->acquiring = false;
		calls_over(call, KOLK_E_CANCELLED);
	}
	return true;
}
