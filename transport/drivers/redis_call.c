/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_call.c - calls on a lease: commands go out in one piece, replies are counted as they come.
 *
 * From the moment that the request is handed over, its replies stand in the account of the session.
 * A call that ends early does not touch it: what came of them stays in the parser, and the driver
 * reads on.
 */
#include "transport/drivers/redis_call.h"

#include <stdlib.h>
#include <string.h>

/* ---- what is asked */

static enum kolk_err request_measure(struct kolk_redis_call *call,
				     const struct kolk_redis_request *request)
{
	bool special = false;

	for (uint32_t i = 0; i < request->count; i++) {
		struct redis_verdict verdict;
		uint64_t size;

		if (!redis_encoded_size(&request->commands[i], &size))
			return KOLK_E_OPTIONS;
		verdict = redis_judge(&request->commands[i]);
		/* What comes after it depends on its replies: alone, or not at all. */
		if (verdict.kind == REDIS_SUBSCRIBES || verdict.kind == REDIS_TAKES_OVER)
			call->alone = verdict.name;
		if (verdict.kind == REDIS_REFUSED || (call->alone != NULL && request->count > 1))
			return KOLK_E_UNSUPPORTED;
		call->request_size += size;
		call->replies += verdict.replies;
		call->effects |= verdict.effects;
		special = special || verdict.kind != REDIS_PLAIN;
	}
	if (call->request_size > SIZE_MAX / 2)
		return KOLK_E_LIMIT;
	if (!special)
		return KOLK_OK;
	call->kinds = malloc(request->count);
	if (call->kinds == NULL)
		return KOLK_E_MEMORY;
	for (uint32_t i = 0; i < request->count; i++)
		call->kinds[i] = redis_judge(&request->commands[i]).kind;
	return KOLK_OK;
}

enum kolk_err redis_call_init(struct kolk_redis_call *call,
			      const struct kolk_redis_request *given)
{
	struct kolk_redis_request read;
	const struct kolk_redis_request *request = &read;
	enum kolk_err err;
	uint8_t *at;

	memset(call, 0, offsetof(struct kolk_redis_call, small));
	memset(&call->given, 0, offsetof(struct kolk_redis_call, buffer) -
					offsetof(struct kolk_redis_call, given));
	if (!kolk__sized_read(&read, given) ||
	    (request->count > 0 && request->commands == NULL))
		return KOLK_E_OPTIONS;
	call->deadline_ns = request->deadline_ns;
	call->replayable = request->replayable != 0;
	call->commands = request->count;
	err = request_measure(call, request);
	if (err != KOLK_OK || request->count == 0)
		return err;
	call->request = call->request_size <= REDIS_SMALL ? call->small :
							    malloc(call->request_size);
	if (call->request == NULL)
		return KOLK_E_MEMORY;
	at = call->request;
	for (uint32_t i = 0; i < request->count; i++)
		at = redis_encode(at, &request->commands[i]);
	return KOLK_OK;
}

void redis_call_fini(struct kolk_redis_call *call)
{
	/* AUTH is among them, and this memory will be another call's. */
	if (call->request != NULL && (call->effects & REDIS_SESSION) != 0)
		explicit_bzero(call->request, call->request_size);
	if (call->request != call->small)
		free(call->request);
	free(call->kinds);
}

/* ---- admission: may this call begin on this connection? */

/* The driver's options say it, or else the pool's, which are in talk already. */
static void clock_set(struct kolk_redis_call *call, const struct kolk_redis_options *o)
{
	if (call->deadline_ns == 0 && o->request_timeout_ns != 0)
		call->talk.deadline_ns = talk_deadline(o->request_timeout_ns);
	if (call->request == NULL || (call->effects & REDIS_BLOCKING) != 0)
		call->talk.idle_ns = KOLK_FOREVER;
	else if (o->silence_timeout_ns != 0)
		call->talk.idle_ns = o->silence_timeout_ns;
}

/* What was heard before anybody listened. */
static bool message_take(struct kolk_redis_call *call, struct redis_session *session)
{
	if (session->message_first == session->message_count)
		return false;
	call->reply = session->messages[session->message_first].reply;
	session->message_bytes -= session->messages[session->message_first++].bytes;
	if (session->message_first == session->message_count)
		session->message_first = session->message_count = 0;
	return true;
}

static enum kolk_err admit_listener(struct kolk_redis_call *call, struct redis_session *session)
{
	enum kolk_err err;

	if (message_take(call, session))
		return KOLK_OK;
	/* What came with the reply to SUBSCRIBE lies in the parser. */
	err = redis_read_surplus(session);
	if (err == KOLK_PENDING && message_take(call, session))
		return KOLK_OK;
	session->listening = err == KOLK_PENDING;
	return err;
}

static enum kolk_err admit(void *user, void *memory)
{
	struct kolk_redis_call *call = user;
	struct redis_session *session = memory;
	const struct kolk_redis_options *o = session->options;
	enum kolk_err err;

	clock_set(call, o);
	if (session->taken_over)
		return KOLK_E_UNSUPPORTED;
	if (session->owed > 0 || session->sending || session->listening)
		return KOLK_E_LEASE_BUSY;
	if (call->request == NULL)
		return admit_listener(call, session);
	if (call->request_size > o->request_bytes_max ||
	    call->commands > o->commands_max)
		return KOLK_E_LIMIT;
	/* Inside a transaction it is queued like any other, and a subscriber's replies are
	 * counted otherwise. */
	if ((session->state & REDIS_MULTI) != 0 && call->alone != NULL)
		return KOLK_E_UNSUPPORTED;
	/* A message between its replies would be taken for one of them. */
	if (call->commands > 1 && (redis_hears_messages(session) || session->sharded))
		return KOLK_E_UNSUPPORTED;
	err = redis_read_surplus(session);
	if (err != KOLK_PENDING || call->commands == 1)
		return err;
	err = redis_parser_expect(&session->parser, call->commands);
	return err == KOLK_OK ? KOLK_PENDING : err;
}

/* ---- the two directions */

static size_t call_give(struct talk *talk, void *memory, const void **data)
{
	struct kolk_redis_call *call = (struct kolk_redis_call *)(void *)talk;
	struct redis_session *session = memory;
	uint64_t left = call->request_size - call->given;

	if (left == 0) {
		session->sending = false;
		return 0;
	}
	if (call->given == 0) {
		session->sending = true;
		session->owed = call->replies;
		session->pending = call->effects;
		session->confirms = call->alone;
		session->state |= call->effects & (uint8_t)~REDIS_BLOCKING;
	}
	*data = call->request + call->given;
	left = left < REDIS_SLICE ? left : REDIS_SLICE;
	call->given += left;
	return left;
}

/* KOLK_OK: this was the last. */
static enum kolk_err reply_came(struct kolk_redis_call *call, struct redis_session *session,
				const struct kolk_redis_reply *reply)
{
	enum redis_kind kind = call->kinds != NULL ? call->kinds[call->at] : REDIS_PLAIN;
	struct redis_tree *tree = redis_parser_tree(&session->parser, reply);

	if (call->kinds != NULL)
		redis_settle(session, kind, reply);
	session->owed--;
	if (kind == REDIS_SUBSCRIBES) {
		if (reply->type == KOLK_REDIS_ERROR) /* one for all names */
			session->owed = 0;
		else if (session->owed > 0)
			redis_parser_drop(&session->parser, tree);
	} else {
		call->at++;
	}
	if (session->owed > 0)
		return KOLK_PENDING;
	call->reply = redis_parser_take(&session->parser, tree);
	session->pending = 0;
	session->sending = call->given < call->request_size; /* or it answers what it cannot know */
	return KOLK_OK;
}

static enum kolk_err value_came(struct kolk_redis_call *call, struct redis_session *session,
				struct kolk_redis_reply *value)
{
	if (redis_is_message(session, value)) {
		if (call->request != NULL)
			return redis_message_came(session, value);
		call->reply = redis_parser_take(&session->parser,
						redis_parser_tree(&session->parser, value));
		return KOLK_OK;
	}
	return session->owed == 0 ? KOLK_E_PROTOCOL : reply_came(call, session, value);
}

static enum kolk_err call_take(struct talk *talk, void *memory, const uint8_t *data, size_t size)
{
	struct kolk_redis_call *call = (struct kolk_redis_call *)(void *)talk;
	struct redis_session *session = memory;
	struct kolk_redis_reply *value;
	enum kolk_err err;

	if (size == 0)
		return KOLK_E_CLOSED;
	err = redis_parser_feed(&session->parser, data, size);
	while (err == KOLK_OK) {
		err = redis_parser_next(&session->parser, &value);
		if (err != KOLK_OK)
			return err;
		err = value_came(call, session, value);
		if (call->reply != NULL) /* what follows is the driver's */
			return redis_parser_hold(&session->parser) == KOLK_OK ? err : KOLK_E_MEMORY;
		err = err == KOLK_PENDING ? KOLK_OK : err;
	}
	session->parser.err = err; /* what was read must not be forgotten */
	return err;
}

static enum kolk_err stop_listening(void *user, void *memory)
{
	struct redis_session *session = memory;

	(void)user;
	session->listening = false;
	return KOLK_OK;
}

/* Also when nothing came: the next call of the lease may begin. */
static void call_leave(const struct kolk_redis_call *call)
{
	if (call->request == NULL)
		(void)kolk_lease_session(&call->talk.lease, &redis_driver, stop_listening, NULL);
}

static void call_over(struct talk *talk, enum kolk_err err)
{
	struct kolk_redis_call *call = (struct kolk_redis_call *)(void *)talk;

	call_leave(call);
	/* A cancel that lost against the last reply. */
	call->ended(call, call->reply != NULL ? KOLK_OK : err);
}

static const struct talk_side side = {
	.driver = &redis_driver, .give = call_give, .take = call_take, .over = call_over
};

static enum kolk_err call_prepare(struct kolk_redis_call *call, const struct kolk_lease *lease)
{
	call->talk = (struct talk){
		.side = &side, .lease = *lease, .buffer = call->buffer, .capacity = REDIS_BUFFER
	};
	talk_times(&call->talk, call->deadline_ns, 0);
	call->given = 0;
	call->at = 0;
	return kolk_lease_session(lease, &redis_driver, admit, call);
}

/* ---- on a plain thread */

enum kolk_err redis_call_run(struct kolk_redis_call *call, const struct kolk_lease *lease)
{
	enum kolk_err err = kolk_loop_current() == NULL ? call_prepare(call, lease) : KOLK_E_THREAD;

	if (err == KOLK_PENDING) {
		err = talk_run(&call->talk);
		call_leave(call);
	}
	return call->reply != NULL ? KOLK_OK : err;
}

static enum kolk_err run(const struct kolk_lease *lease, const struct kolk_redis_request *request,
			 const struct kolk_redis_reply **reply)
{
	struct kolk_redis_call call;
	enum kolk_err err = redis_call_init(&call, request);

	if (err == KOLK_OK)
		err = redis_call_run(&call, lease);
	*reply = call.reply;
	redis_call_fini(&call);
	return err;
}

enum kolk_err kolk_redis_command(const struct kolk_lease *lease, uint64_t deadline_ns, size_t argc,
				 const char *const *argv, const size_t *argvlen,
				 const struct kolk_redis_reply **reply)
{
	const struct kolk_redis_command command = { argc, argv, argvlen };
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);

	request.count = 1;
	request.commands = &command;
	request.deadline_ns = deadline_ns;
	return run(lease, &request, reply);
}

enum kolk_err kolk_redis_pipeline(const struct kolk_lease *lease,
				  const struct kolk_redis_request *request,
				  const struct kolk_redis_reply **reply)
{
	*reply = NULL;
	return request->count > 0 ? run(lease, request, reply) : KOLK_E_OPTIONS;
}

enum kolk_err kolk_redis_listen(const struct kolk_lease *lease, uint64_t deadline_ns,
				const struct kolk_redis_reply **reply)
{
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);

	request.deadline_ns = deadline_ns;
	return run(lease, &request, reply);
}

/* ---- on a loop */

enum kolk_err redis_call_make(struct kolk_loop *loop, const struct kolk_redis_request *request,
			      kolk_redis_done_fn *callback, void *user,
			      struct kolk_redis_call **made)
{
	struct kolk_redis_call *call = redis_shelf_get();
	enum kolk_err err;

	if (call == NULL)
		return KOLK_E_MEMORY;
	err = redis_call_init(call, request);
	if (err != KOLK_OK) {
		redis_call_free(call);
		return err;
	}
	call->loop = loop;
	call->callback = callback;
	call->user = user;
	*made = call;
	return KOLK_OK;
}

void redis_call_free(struct kolk_redis_call *call)
{
	redis_call_fini(call);
	redis_shelf_put(call);
}

void redis_call_tell(struct kolk_redis_call *call, enum kolk_err err)
{
	kolk_redis_done_fn *callback = call->callback;
	const struct kolk_redis_reply *reply = call->reply;
	void *user = call->user;

	redis_call_free(call);
	callback(user, err, reply);
}

static void posted(struct kolk_call *memory, void *user)
{
	struct kolk_redis_call *call = user;

	(void)memory;
	call->posting = false;
	call->ended(call, call->err);
}

void redis_call_post(struct kolk_redis_call *call, enum kolk_err err)
{
	call->posting = true;
	call->err = err;
	(void)kolk_loop_call(call->loop, &call->posted, posted, call);
}

enum kolk_err redis_call_begin(struct kolk_redis_call *call, const struct kolk_lease *lease)
{
	enum kolk_err err = call_prepare(call, lease);

	if (err == KOLK_PENDING) {
		err = talk_start(&call->talk, call->loop);
		if (err != KOLK_PENDING)
			call_leave(call);
		return err;
	}
	if (err == KOLK_OK) { /* it was there already, and is told from step as always */
		redis_call_post(call, KOLK_OK);
		return KOLK_PENDING;
	}
	return err;
}

enum kolk_err kolk_redis_start(struct kolk_loop *loop, const struct kolk_lease *lease,
			       const struct kolk_redis_request *request,
			       kolk_redis_done_fn *callback, void *user,
			       struct kolk_redis_call **handle)
{
	struct kolk_redis_call *call;
	enum kolk_err err;

	err = redis_call_make(loop, request, callback, user, &call);
	if (err != KOLK_OK)
		return err;
	call->ended = redis_call_tell;
	err = redis_call_begin(call, lease);
	if (err != KOLK_PENDING)
		redis_call_free(call);
	else if (handle != NULL)
		*handle = call;
	return err;
}
