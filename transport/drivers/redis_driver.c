/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_driver.c - the driver's callbacks for Redis: opening, ping, reset, clean.
 *
 * Opening, ping and reset are lists of steps: their commands go out in one packet, each step checks
 * its own reply. Outstanding replies of earlier leases come before the first step.
 */
#include "core/base/atomic.h"
#include "transport/drivers/redis.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum kolk_err session_open(struct redis_session *session,
				  const struct kolk_redis_options *o)
{
	const struct redis_limits limits = { .depth_max = o->depth_max,
					     .elements_max = o->elements_max,
					     .bytes_max = o->reply_bytes_max };

	session->options = o;
	return redis_parser_open(&session->parser, &limits);
}

static void messages_drop(struct redis_session *session)
{
	while (session->message_first < session->message_count)
		kolk_redis_reply_free(session->messages[session->message_first++].reply);
	free(session->messages);
	session->messages = NULL;
	session->message_first = session->message_count = 0;
	session->message_bytes = 0;
}

static void redis_close(void *user, void *memory, struct kolk_exchange *exchange)
{
	struct redis_session *session = memory;

	(void)user;
	(void)exchange; /* nothing to send: QUIT is deprecated since Redis 7.2 */
	messages_drop(session);
	redis_parser_close(&session->parser);
}

/* ---- steps: commands outside of leases */

struct step_list {
	struct redis_session *session;
	struct kolk_exchange *exchange;
	enum kolk_err err;
};

static void add_step(struct step_list *step_list, enum redis_step step,
		     const struct kolk_redis_command *command)
{
	struct redis_session *session = step_list->session;
	uint64_t size;
	uint8_t *bytes;

	if (step_list->err != KOLK_OK)
		return;
	if (!redis_encoded_size(command, &size) || (bytes = malloc(size)) == NULL) {
		step_list->err = KOLK_E_MEMORY;
		return;
	}
	redis_encode(bytes, command);
	step_list->err = kolk_exchange_send(step_list->exchange, bytes, size);
	explicit_bzero(bytes, size); /* a password may be among them */
	free(bytes);
	session->steps[session->step_count++] = (uint8_t)step;
}

/* argument NULL = none */
static void add_word(struct step_list *step_list, enum redis_step step, const char *word,
		     const char *argument)
{
	const char *const words[] = { word, argument };
	const struct kolk_redis_command command = { argument != NULL ? 2 : 1, words, NULL };

	add_step(step_list, step, &command);
}

static void add_name(struct step_list *step_list)
{
	const char *name = step_list->session->options->client_name;
	const char *const words[] = { "CLIENT", "SETNAME", name != NULL ? name : "" };
	const struct kolk_redis_command command = { 3, words, NULL };

	add_step(step_list, REDIS_STEP_NAME, &command);
}

static void add_select(struct step_list *step_list)
{
	char number[16];

	snprintf(number, sizeof number, "%" PRIu32, step_list->session->options->database);
	add_word(step_list, REDIS_STEP_SELECT, "SELECT", number);
}

static enum kolk_err credentials_of(struct step_list *step_list,
				    struct kolk_credentials *credentials)
{
	const struct kolk_redis_options *o = step_list->session->options;

	*credentials = (struct kolk_credentials){ .user = o->user, .secret = o->password };
	if (o->credentials != NULL)
		return o->credentials(o->credentials_user, kolk_exchange_key(step_list->exchange),
				      credentials);
	credentials->secret_size = o->password != NULL ? strlen(o->password) : 0;
	return KOLK_OK;
}

static void add_hello(struct step_list *step_list, const struct kolk_credentials *credentials)
{
	const char *user = credentials->user != NULL ? credentials->user : "default";
	const char *words[5] = { "HELLO", "3", "AUTH", user, credentials->secret };
	const size_t sizes[5] = { 5, 1, 4, strlen(user), credentials->secret_size };
	const struct kolk_redis_command command = { credentials->secret != NULL ? 5 : 2, words,
						    sizes };

	add_step(step_list, REDIS_STEP_HELLO, &command);
}

static void add_auth(struct step_list *step_list, const struct kolk_credentials *credentials)
{
	const char *words[3] = { "AUTH", credentials->user, credentials->secret };
	size_t sizes[3] = { 4, credentials->user != NULL ? strlen(credentials->user) : 0,
			    credentials->secret_size };
	struct kolk_redis_command command = { 3, words, sizes };

	if (credentials->secret == NULL)
		return;
	if (credentials->user == NULL) { /* before ACLs (Redis 6) there was no other form */
		words[1] = words[2];
		sizes[1] = sizes[2];
		command.count = 2;
	}
	add_step(step_list, REDIS_STEP_AUTH, &command);
}

/* Authentication, protocol, client name, database. */
static void add_preamble(struct step_list *step_list)
{
	const struct kolk_redis_options *o = step_list->session->options;
	struct kolk_credentials credentials = { 0 };

	if (step_list->err == KOLK_OK)
		step_list->err = credentials_of(step_list, &credentials);
	if (step_list->err != KOLK_OK)
		return;
	if (o->resp == 3)
		add_hello(step_list, &credentials);
	else
		add_auth(step_list, &credentials);
	if (o->client_name != NULL)
		add_name(step_list);
	if (o->database != 0)
		add_select(step_list);
}

static struct step_list steps_begin(struct redis_session *session, struct kolk_exchange *exchange)
{
	session->step = session->step_count = 0;
	return (struct step_list){ .session = session, .exchange = exchange, .err = KOLK_OK };
}

static enum kolk_err steps_end(const struct step_list *step_list)
{
	return step_list->err == KOLK_OK ? KOLK_PENDING : step_list->err;
}

static enum kolk_err redis_open(void *user, void *memory, struct kolk_exchange *exchange)
{
	struct redis_session *session = memory;
	struct step_list step_list = steps_begin(session, exchange);

	step_list.err = session_open(session, user);
	if (session->options->resp == 3 && !kolk_redis_has_resp3()) {
		kolk_exchange_detail(exchange, "no RESP3 in this build (hiredis 1.0)");
		step_list.err = KOLK_E_UNSUPPORTED;
	}
	add_preamble(&step_list);
	add_word(&step_list, REDIS_STEP_PING, "PING", NULL);
	return steps_end(&step_list);
}

static enum kolk_err redis_ping(void *user, void *memory, struct kolk_exchange *exchange)
{
	struct step_list step_list = steps_begin(memory, exchange);

	(void)user;
	add_word(&step_list, REDIS_STEP_PING, "PING", NULL);
	return steps_end(&step_list);
}

/* A number that no other reset uses: its echo can only be the reply to it. */
static void add_echo(struct step_list *step_list)
{
	static kolk__atomic_u64 last;
	struct redis_session *session = step_list->session;
	char number[24];

	session->echo = kolk__add_relaxed(&last, 1) + 1;
	snprintf(number, sizeof number, "kolk%" PRIu64, session->echo);
	add_word(step_list, REDIS_STEP_ECHO, "PING", number);
}

static enum kolk_err redis_reset_state(void *user, void *memory, struct kolk_exchange *exchange)
{
	struct redis_session *session = memory;
	struct step_list step_list = steps_begin(session, exchange);
	unsigned state = session->state | session->pending;

	(void)user;
	if ((state & (REDIS_SESSION | REDIS_SUBSCRIBED)) != 0) {
		add_word(&step_list, REDIS_STEP_RESET, "RESET", NULL);
		add_preamble(&step_list);
	} else {
		if ((state & REDIS_MULTI) != 0)
			add_word(&step_list, REDIS_STEP_DISCARD, "DISCARD", NULL);
		if ((state & (REDIS_MULTI | REDIS_WATCH)) != 0)
			add_word(&step_list, REDIS_STEP_UNWATCH, "UNWATCH", NULL);
		if ((state & REDIS_NAME) != 0)
			add_name(&step_list);
		if ((state & REDIS_DATABASE) != 0)
			add_select(&step_list);
	}
	add_echo(&step_list);
	return steps_end(&step_list);
}

/* ---- replies */

static bool is_text(const struct kolk_redis_reply *reply, enum kolk_redis_type type,
		    const char *text)
{
	return reply->type == (uint32_t)type && reply->size == strlen(text) &&
	       memcmp(reply->text, text, reply->size) == 0;
}

static bool starts_with(const struct kolk_redis_reply *error, const char *beginning)
{
	return strncmp(error->text, beginning, strlen(beginning)) == 0;
}

/* The error of a step that got an error reply. */
static enum kolk_err step_error(enum redis_step step, const struct kolk_redis_reply *error)
{
	switch ((enum kolk_redis_error)error->error) {
	case KOLK_REDIS_NOAUTH:
	case KOLK_REDIS_WRONGPASS:
	case KOLK_REDIS_NOPERM:
		return KOLK_E_AUTH;
	case KOLK_REDIS_LOADING:
	case KOLK_REDIS_BUSY:
	case KOLK_REDIS_MASTERDOWN:
		return KOLK_E_RESOURCE;
	case KOLK_REDIS_MISCONF: /* alive, and reads may work */
		return step == REDIS_STEP_PING ? KOLK_OK : KOLK_E_PROTOCOL;
	case KOLK_REDIS_NOPROTO:
		return KOLK_E_UNSUPPORTED;
	default:
		break;
	}
	if (starts_with(error, "ERR max number of clients"))
		return KOLK_E_RESOURCE;
	switch (step) {
	case REDIS_STEP_HELLO:
		return starts_with(error, "ERR unknown command") ? KOLK_E_UNSUPPORTED :
								   KOLK_E_PROTOCOL;
	case REDIS_STEP_AUTH: /* "ERR invalid password" before Redis 6 */
		return KOLK_E_AUTH;
	case REDIS_STEP_NAME:
	case REDIS_STEP_SELECT:
		return KOLK_E_OPTIONS;
	case REDIS_STEP_DISCARD: /* MULTI was refused, or EXEC had arrived after all */
		return starts_with(error, "ERR DISCARD without MULTI") ? KOLK_OK : KOLK_E_PROTOCOL;
	default:
		return KOLK_E_PROTOCOL;
	}
}

static enum kolk_err hello_check(const struct kolk_redis_reply *reply)
{
	for (size_t i = 0; reply->type == KOLK_REDIS_MAP && i + 1 < reply->count; i += 2)
		if (is_text(&reply->elements[i], KOLK_REDIS_STRING, "proto"))
			return reply->elements[i + 1].type == KOLK_REDIS_INTEGER &&
					       reply->elements[i + 1].integer == 3 ?
				       KOLK_OK : KOLK_E_UNSUPPORTED;
	return KOLK_E_PROTOCOL;
}

static enum kolk_err step_check(const struct redis_session *session,
				const struct kolk_redis_reply *reply)
{
	enum redis_step step = session->steps[session->step];
	char echo[24];
	bool right;

	if (reply->type == KOLK_REDIS_ERROR)
		return step_error(step, reply);
	switch (step) {
	case REDIS_STEP_HELLO:
		return hello_check(reply);
	case REDIS_STEP_PING:
		right = is_text(reply, KOLK_REDIS_STATUS, "PONG");
		break;
	case REDIS_STEP_RESET:
		right = is_text(reply, KOLK_REDIS_STATUS, "RESET");
		break;
	case REDIS_STEP_ECHO:
		snprintf(echo, sizeof echo, "kolk%" PRIu64, session->echo);
		right = is_text(reply, KOLK_REDIS_STRING, echo);
		break;
	default:
		right = is_text(reply, KOLK_REDIS_STATUS, "OK");
	}
	return right ? KOLK_OK : KOLK_E_PROTOCOL;
}

/* An outstanding reply of an earlier lease is only counted. Several of one call share one tree. */
static void on_outstanding_reply(struct redis_session *session,
				 const struct kolk_redis_reply *value)
{
	session->outstanding--;
	if (session->outstanding == 0 || session->parser.batch == NULL)
		redis_parser_drop(&session->parser, redis_parser_tree(&session->parser, value));
}

static void steps_done(struct redis_session *session)
{
	session->state = session->pending = 0;
	messages_drop(session);
}

static enum kolk_err on_value(struct redis_session *session, struct kolk_redis_reply *value)
{
	enum kolk_err err;

	if (redis_is_message(session, value))
		return redis_on_message(session, value);
	if (session->outstanding > 0) {
		on_outstanding_reply(session, value);
		return KOLK_OK;
	}
	if (session->step == session->step_count)
		return KOLK_E_PROTOCOL;
	err = step_check(session, value);
	/* RESET ended the subscriptions: what looks like a message from here on is none. */
	if (session->steps[session->step] == REDIS_STEP_RESET) {
		session->state = session->pending = 0;
		redis_after_reset(session);
	} else if (session->steps[session->step] == REDIS_STEP_HELLO) {
		session->resp3 = err == KOLK_OK;
	}
	redis_parser_drop(&session->parser, &session->parser.answer);
	session->step++;
	return err;
}

static const char *refusal(enum kolk_err err, enum redis_step step)
{
	switch (err) {
	case KOLK_E_AUTH:
		return "user or password";
	case KOLK_E_RESOURCE:
		return "the server loads, is busy or full, or has lost its master";
	case KOLK_E_OPTIONS:
		return step == REDIS_STEP_NAME ? "CLIENT SETNAME, by client_name" :
						 "SELECT, by database";
	case KOLK_E_UNSUPPORTED:
		return "the server does not speak RESP3";
	default:
		return NULL;
	}
}

static enum kolk_err redis_feed(void *user, void *memory, struct kolk_exchange *exchange,
				const void *data, size_t size)
{
	struct redis_session *session = memory;
	struct kolk_redis_reply *value;
	enum kolk_err err = redis_parser_feed(&session->parser, data, size);

	(void)user;
	while (err == KOLK_OK) {
		err = redis_parser_next(&session->parser, &value);
		if (err == KOLK_OK)
			err = on_value(session, value);
	}
	if (err != KOLK_PENDING && session->step > 0)
		kolk_exchange_detail(exchange, refusal(err, session->steps[session->step - 1]));
	if (err != KOLK_PENDING)
		return session->parser.err = err;
	if (session->outstanding > 0 || session->step < session->step_count)
		return err;
	/* Everything is answered. Only the beginning of a push may follow. */
	if (!redis_parser_at_boundary(&session->parser) &&
	    !redis_parser_in_push(&session->parser))
		return KOLK_E_PROTOCOL;
	steps_done(session);
	return KOLK_OK;
}

static enum kolk_err redis_on_unsolicited(void *user, void *memory, struct kolk_exchange *exchange,
					  const void *data, size_t size)
{
	struct redis_session *session = memory;
	enum kolk_err err = redis_parser_feed(&session->parser, data, size);

	(void)user;
	(void)exchange;
	if (err == KOLK_OK)
		err = redis_read_surplus(session);
	return err == KOLK_PENDING ? KOLK_OK : err;
}

static enum kolk_err redis_clean(void *user, void *memory)
{
	struct redis_session *session = memory;
	unsigned state = session->state | session->pending;
	enum kolk_err err;

	(void)user;
	if (session->sending || session->parser.err != KOLK_OK || (state & REDIS_FATAL) != 0)
		return KOLK_E_PROTOCOL;
	if (session->outstanding > 0) /* a blocked command answers at any time, and RESET only after
	                               * it */
		return (session->pending & REDIS_BLOCKING) != 0 ? KOLK_E_PROTOCOL : KOLK_PENDING;
	err = redis_read_surplus(session);
	if (err != KOLK_PENDING)
		return err;
	if (!redis_parser_at_boundary(&session->parser)) /* the beginning of a message */
		return KOLK_PENDING;
	messages_drop(session);
	return state != 0 ? KOLK_PENDING : KOLK_OK;
}

const struct kolk_driver redis_driver = {
	.size = sizeof redis_driver,
	.session_bytes = sizeof(struct redis_session),
	.name = "redis",
	.open = redis_open,
	.ping = redis_ping,
	.mend = redis_reset_state,
	.feed = redis_feed,
	.heard = redis_on_unsolicited,
	.clean = redis_clean,
	.close = redis_close,
	.options = &redis_option_table,
	.check = redis_options_check,
};

const struct kolk_driver *kolk_driver_redis(void)
{
	return &redis_driver;
}
