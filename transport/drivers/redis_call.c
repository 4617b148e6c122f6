/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_call.c - calls on a lease: commands are sent in one piece, replies are counted as they
 * arrive.
 *
 * From the moment that the request is sent, the session counts its replies as outstanding. A call
 * that ends early does not change that: the part received stays in the parser, and the driver reads
 * on.
 */
#include "transport/drivers/redis_call.h"

#include <stdlib.h>
#include <string.h>

/* ---- the request */

static enum kolk_err request_measure(struct kolk_redis_call *call,
				     const struct kolk_redis_request *request)
{
	bool special = false;

	for (uint32_t i = 0; i < request->count; i++) {
		struct redis_traits traits;
		uint64_t size;

		if (!redis_encoded_size(&request->commands[i], &size))
			return KOLK_E_OPTIONS;
		traits = redis_classify(&request->commands[i]);
		/* What follows it depends on its replies: it must be the only command. */
		if (traits.kind == REDIS_SUBSCRIBES || traits.kind == REDIS_TAKES_OVER)
			call->exclusive = traits.name;
		if (traits.kind == REDIS_REFUSED || (call->exclusive != NULL && request->count > 1))
			return KOLK_E_UNSUPPORTED;
		call->request_size += size;
		call->replies += traits.replies;
		call->effects |= traits.effects;
		special = special || traits.kind != REDIS_PLAIN;
	}
	if (call->request_size > SIZE_MAX / 2)
		return KOLK_E_LIMIT;
	if (!special)
		return KOLK_OK;
	call->kinds = malloc(request->count);
	if (call->kinds == NULL)
		return KOLK_E_MEMORY;
	for (uint32_t i = 0; i < request->count; i++)
		call->kinds[i] = redis_classify(&request->commands[i]).kind;
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
	memset(&call->request_sent, 0, offsetof(struct kolk_redis_call, buffer) -
					offsetof(struct kolk_redis_call, request_sent));
	if (!kolk__sized_read(&read, given) ||
	    (request->count > 0 && request->commands == NULL))
		return KOLK_E_OPTIONS;
	call->deadline_ns = request->deadline_ns;
	call->replayable = request->replayable != 0;
	call->commands = request->count;
	call->reply_bytes_max = request->reply_bytes_max;
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

/* From the driver's options, or else the pool's, which the pump has already. */
static void clock_set(struct kolk_redis_call *call, const struct kolk_redis_options *o)
{
	if (call->deadline_ns == 0 && o->request_timeout_ns != 0)
		call->pump.deadline_ns = kolk_in_ns(o->request_timeout_ns);
	if (call->request == NULL || (call->effects & REDIS_BLOCKING) != 0)
		call->pump.idle_ns = KOLK_FOREVER;
	else if (o->silence_timeout_ns != 0)
		call->pump.idle_ns = o->silence_timeout_ns;
}

/* What is outstanding when the call ends early is read under its limit, too. */
static void limit_set(const struct kolk_redis_call *call, struct redis_session *session)
{
	uint64_t all = session->options->reply_bytes_max, own = call->reply_bytes_max;

	session->parser.limits.bytes_max = own != 0 && own < all ? own : all;
}

/* A message received before the caller listened. */
static bool message_pop(struct kolk_redis_call *call, struct redis_session *session)
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

	if (message_pop(call, session))
		return KOLK_OK;
	/* Messages received with the reply to SUBSCRIBE are still in the parser. */
	err = redis_read_surplus(session);
	if (err == KOLK_PENDING && message_pop(call, session))
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
	if (session->outstanding > 0 || session->sending || session->listening)
		return KOLK_E_LEASE_BUSY;
	limit_set(call, session);
	if (call->request == NULL)
		return admit_listener(call, session);
	if (call->request_size > o->request_bytes_max ||
	    call->commands > o->commands_max)
		return KOLK_E_LIMIT;
	/* Inside a transaction it is queued like any other, and a subscriber's replies are
	 * counted otherwise. */
	if ((session->state & REDIS_MULTI) != 0 && call->exclusive != NULL)
		return KOLK_E_UNSUPPORTED;
	/* A message between its replies would count as one of them. */
	if (call->commands > 1 && (redis_gets_messages(session) || session->sharded))
		return KOLK_E_UNSUPPORTED;
	err = redis_read_surplus(session);
	if (err != KOLK_PENDING || call->commands == 1)
		return err;
	err = redis_parser_expect(&session->parser, call->commands);
	return err == KOLK_OK ? KOLK_PENDING : err;
}

/* ---- the two directions */

static size_t call_on_write(struct pump *pump, void *memory, const void **data)
{
	struct kolk_redis_call *call = (struct kolk_redis_call *)(void *)pump;
	struct redis_session *session = memory;
	uint64_t left = call->request_size - call->request_sent;

	if (left == 0) {
		session->sending = false;
		return 0;
	}
	if (call->request_sent == 0) {
		session->sending = true;
		session->outstanding = call->replies;
		session->pending = call->effects;
		session->confirm_command = call->exclusive;
		session->state |= call->effects & (uint8_t)~REDIS_BLOCKING;
	}
	*data = call->request + call->request_sent;
	left = left < REDIS_SLICE ? left : REDIS_SLICE;
	call->request_sent += left;
	return left;
}

/* KOLK_OK: it was the last reply. */
static enum kolk_err on_reply(struct kolk_redis_call *call, struct redis_session *session,
			      const struct kolk_redis_reply *reply)
{
	enum redis_kind kind = call->kinds != NULL ? call->kinds[call->at] : REDIS_PLAIN;
	struct redis_tree *tree = redis_parser_tree(&session->parser, reply);

	if (call->kinds != NULL)
		redis_update_state(session, kind, reply);
	session->outstanding--;
	if (kind == REDIS_SUBSCRIBES) {
		if (reply->type == KOLK_REDIS_ERROR) /* one error for all names */
			session->outstanding = 0;
		else if (session->outstanding > 0)
			redis_parser_drop(&session->parser, tree);
	} else {
		call->at++;
	}
	if (session->outstanding > 0)
		return KOLK_PENDING;
	call->reply = redis_parser_take(&session->parser, tree);
	session->pending = 0;
	session->sending = call->request_sent < call->request_size; /* true: the reply came
	                                                             * before the request was
	                                                             * sent */
	return KOLK_OK;
}

static enum kolk_err on_value(struct kolk_redis_call *call, struct redis_session *session,
			      struct kolk_redis_reply *value)
{
	if (redis_is_message(session, value)) {
		if (call->request != NULL)
			return redis_on_message(session, value);
		call->reply = redis_parser_take(&session->parser,
						redis_parser_tree(&session->parser, value));
		return KOLK_OK;
	}
	return session->outstanding == 0 ? KOLK_E_PROTOCOL : on_reply(call, session, value);
}

static enum kolk_err call_on_read(struct pump *pump, void *memory, const uint8_t *data, size_t size)
{
	struct kolk_redis_call *call = (struct kolk_redis_call *)(void *)pump;
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
		err = on_value(call, session, value);
		if (call->reply != NULL) /* what follows belongs to the driver */
			return redis_parser_buffer(&session->parser) == KOLK_OK ?
				       err : KOLK_E_MEMORY;
		err = err == KOLK_PENDING ? KOLK_OK : err;
	}
	session->parser.err = err; /* the error must stay */
	return err;
}

static enum kolk_err stop_listening(void *user, void *memory)
{
	struct redis_session *session = memory;

	(void)user;
	session->listening = false;
	return KOLK_OK;
}

/* Also when no message was received: the next call of the lease may begin. */
static void call_stop_listening(const struct kolk_redis_call *call)
{
	if (call->request == NULL)
		(void)kolk_lease_session(&call->pump.lease, &redis_driver, stop_listening, NULL);
}

static void call_on_done(struct pump *pump, enum kolk_err err)
{
	struct kolk_redis_call *call = (struct kolk_redis_call *)(void *)pump;

	call_stop_listening(call);
	/* A cancel that came after the last reply. */
	call->ended(call, call->reply != NULL ? KOLK_OK : err);
}

static const struct pump_callbacks callbacks = {
	.driver = &redis_driver,
	.on_write = call_on_write,
	.on_read = call_on_read,
	.on_done = call_on_done,
};

static enum kolk_err call_prepare(struct kolk_redis_call *call, const struct kolk_lease *lease)
{
	call->pump = (struct pump){
		.callbacks = &callbacks, .lease = *lease,
		.buffer = call->buffer, .capacity = REDIS_BUFFER
	};
	pump_set_times(&call->pump, call->deadline_ns, 0);
	call->request_sent = 0;
	call->at = 0;
	return kolk_lease_session(lease, &redis_driver, admit, call);
}

/* ---- on a plain thread */

enum kolk_err redis_call_run(struct kolk_redis_call *call, const struct kolk_lease *lease)
{
	enum kolk_err err = kolk_loop_current() == NULL ? call_prepare(call, lease) : KOLK_E_THREAD;

	if (err == KOLK_PENDING) {
		err = pump_run(&call->pump);
		call_stop_listening(call);
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
			      struct kolk_redis_call **made)
{
	struct kolk_redis_call *call = redis_call_cache_get();
	enum kolk_err err;

	if (call == NULL)
		return KOLK_E_MEMORY;
	err = redis_call_init(call, request);
	if (err != KOLK_OK) {
		redis_call_free(call);
		return err;
	}
	call->loop = loop;
	*made = call;
	return KOLK_OK;
}

void redis_call_free(struct kolk_redis_call *call)
{
	redis_call_fini(call);
	redis_call_cache_put(call);
}

void redis_call_notify(struct kolk_redis_call *call, enum kolk_err err)
{
	kolk_redis_done_fn *callback = call->callback;
	const struct kolk_redis_reply *reply = call->reply;
	void *user = call->user;

	redis_call_free(call);
	callback(user, err, reply);
}

static void on_posted(struct kolk_call *memory, void *user)
{
	struct kolk_redis_call *call = user;

	(void)memory;
	call->end_posted = false;
	call->ended(call, call->err);
}

void redis_call_post(struct kolk_redis_call *call, enum kolk_err err)
{
	call->end_posted = true;
	call->err = err;
	(void)kolk_loop_call(call->loop, &call->posted, on_posted, call);
}

enum kolk_err redis_call_begin(struct kolk_redis_call *call, const struct kolk_lease *lease)
{
	enum kolk_err err = call_prepare(call, lease);

	if (err == KOLK_PENDING) {
		err = pump_start(&call->pump, call->loop, &call->send);
		if (err != KOLK_PENDING)
			call_stop_listening(call);
		return err;
	}
	if (err == KOLK_OK) { /* the message was queued already; the callback runs from step as
	                       * always */
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

	err = redis_call_make(loop, request, &call);
	if (err != KOLK_OK)
		return err;
	call->callback = callback;
	call->user = user;
	call->ended = redis_call_notify;
	err = redis_call_begin(call, lease);
	if (err != KOLK_PENDING)
		redis_call_free(call);
	else if (handle != NULL)
		*handle = call;
	return err;
}
