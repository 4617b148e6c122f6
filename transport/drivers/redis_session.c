/* SPDX-License-Identifier: Apache-2.0 */
/* redis_session.c - the state of a connection: what a reply changes, and which values are
 * messages. */
#include "core/base/ascii.h"
#include "transport/drivers/redis.h"

#include <stdlib.h>
#include <string.h>

static bool is_one_of(const struct kolk_redis_reply *text, const char *const *words)
{
	for (; *words != NULL; words++)
		if (text->size == strlen(*words) && memcmp(text->text, *words, text->size) == 0)
			return true;
	return false;
}

bool redis_gets_messages(const struct redis_session *session)
{
	return !session->resp3 && (session->channels + session->shards > 0 ||
				   (session->pending & REDIS_SUBSCRIBED) != 0);
}

/* The reply to a SUBSCRIBE and the like begins with the command's name. */
static bool is_confirmation(const struct redis_session *session,
			    const struct kolk_redis_reply *value)
{
	return (session->pending & REDIS_SUBSCRIBED) != 0 && session->outstanding > 0 &&
	       value->count > 0 &&
	       kolk__word_is(value->elements[0].text, value->elements[0].size,
			     session->confirm_command);
}

/* The end of a subscription, which arrives unsolicited when the slot of a shard channel moves to
 * another server, and also after the end that was requested. A name, a channel and a number. */
static bool is_end(const struct kolk_redis_reply *value)
{
	static const char *const ends[] = { "unsubscribe", "punsubscribe", "sunsubscribe", NULL };

	return value->count == 3 && value->elements[2].type == KOLK_REDIS_INTEGER &&
	       is_one_of(&value->elements[0], ends);
}

bool redis_is_message(const struct redis_session *session, const struct kolk_redis_reply *value)
{
	static const char *const messages[] = { "message", "pmessage", "smessage", NULL };
	bool subscriber = redis_gets_messages(session);

	if (value->type == KOLK_REDIS_PUSH)
		return !is_confirmation(session, value);
	/* To a subscriber of RESP2 Redis sends no reply that begins so; to others it may. */
	if (session->resp3 || value->type != KOLK_REDIS_ARRAY || value->count == 0 ||
	    value->elements[0].type != KOLK_REDIS_STRING)
		return false;
	return (subscriber && is_one_of(&value->elements[0], messages)) ||
	       ((subscriber || session->sharded) && is_end(value) &&
		!is_confirmation(session, value));
}

static enum kolk_err queue(struct redis_session *session, struct redis_message message)
{
	if (session->messages == NULL)
		session->messages = malloc(REDIS_MESSAGES_MAX * sizeof(struct redis_message));
	if (session->message_count == REDIS_MESSAGES_MAX && session->message_first > 0) {
		session->message_count -= session->message_first;
		memmove(session->messages, session->messages + session->message_first,
			session->message_count * sizeof session->messages[0]);
		session->message_first = 0;
	}
	if (session->messages == NULL || session->message_count == REDIS_MESSAGES_MAX ||
	    message.bytes > session->options->reply_bytes_max - session->message_bytes) {
		kolk_redis_reply_free(message.reply);
		return session->messages == NULL ? KOLK_E_MEMORY : KOLK_E_LIMIT;
	}
	session->message_bytes += message.bytes;
	session->messages[session->message_count++] = message;
	return KOLK_OK;
}

/* "subscribe", its channel, and how many subscriptions there are now; sharded ones count apart. */
static void count_subscriptions(struct redis_session *session, const struct kolk_redis_reply *reply)
{
	bool sharded;

	if (reply->type == KOLK_REDIS_ERROR || reply->count != 3 ||
	    reply->elements[2].type != KOLK_REDIS_INTEGER || reply->elements[2].integer < 0)
		return;
	sharded = strncmp(reply->elements[0].text, "ss", 2) == 0 ||
		  strncmp(reply->elements[0].text, "sun", 3) == 0;
	session->sharded |= sharded && !session->resp3;
	*(sharded ? &session->shards : &session->channels) =
		reply->elements[2].integer > INT32_MAX ? INT32_MAX : reply->elements[2].integer;
}

enum kolk_err redis_on_message(struct redis_session *session, struct kolk_redis_reply *value)
{
	struct redis_parser *parser = &session->parser;
	struct redis_tree *tree = redis_parser_tree(parser, value);
	const struct kolk_redis_options *o = session->options;
	struct redis_message message = { .bytes = tree->bytes };

	if (is_end(value))
		count_subscriptions(session, value);
	if ((session->state & REDIS_SUBSCRIBED) != 0) {
		message.reply = redis_parser_take(parser, tree);
		return queue(session, message);
	}
	if (o->on_push != NULL)
		o->on_push(o->push_user, value);
	redis_parser_drop(parser, tree);
	return KOLK_OK;
}

void redis_after_reset(struct redis_session *session)
{
	session->channels = session->shards = 0;
	session->resp3 = session->sharded = false;
}

void redis_update_state(struct redis_session *session, enum redis_kind kind,
			const struct kolk_redis_reply *reply)
{
	bool refused = reply->type == KOLK_REDIS_ERROR;
	unsigned state = session->state;

	if (kind == REDIS_SUBSCRIBES)
		count_subscriptions(session, reply);
	else if (kind == REDIS_TAKES_OVER)
		session->taken_over = !refused;
	else if (kind == REDIS_RESETS && !refused) {
		redis_after_reset(session);
		state &= ~(unsigned)(REDIS_MULTI | REDIS_WATCH);
	}
	/* These two again: a command before them in the same packet may have undone them. */
	else if (kind == REDIS_OPENS && !refused)
		state |= REDIS_MULTI;
	else if (kind == REDIS_WATCHES && !refused)
		state |= REDIS_WATCH;
	else if (kind == REDIS_ENDS && (!refused || reply->error == KOLK_REDIS_EXECABORT))
		state &= ~(unsigned)(REDIS_MULTI | REDIS_WATCH);
	else if (kind == REDIS_UNWATCHES && !refused && (state & REDIS_MULTI) == 0)
		state &= ~(unsigned)REDIS_WATCH;
	session->state = (uint8_t)state;
}

enum kolk_err redis_read_surplus(struct redis_session *session)
{
	struct kolk_redis_reply *value;
	enum kolk_err err;

	do {
		err = redis_parser_next(&session->parser, &value);
		if (err == KOLK_OK)
			err = redis_is_message(session, value) ?
				      redis_on_message(session, value) : KOLK_E_PROTOCOL;
	} while (err == KOLK_OK);
	if (err == KOLK_PENDING && !redis_parser_at_boundary(&session->parser) &&
	    !redis_parser_in_push(&session->parser) && !redis_gets_messages(session))
		err = KOLK_E_PROTOCOL; /* it would count as the next reply */
	if (err != KOLK_PENDING)
		session->parser.err = err; /* the error must stay */
	return err;
}

bool kolk_redis_redirect(const struct kolk_redis_reply *reply, uint32_t *slot, char *address,
			 size_t capacity)
{
	const char *at;
	char *end;
	unsigned long number;

	if (reply == NULL || reply->type != KOLK_REDIS_ERROR ||
	    (reply->error != KOLK_REDIS_MOVED && reply->error != KOLK_REDIS_ASK))
		return false;
	at = strchr(reply->text, ' ');
	if (at == NULL || at[1] < '0' || at[1] > '9')
		return false;
	number = strtoul(at + 1, &end, 10);
	/* Redis Cluster has 16384 slots. */
	if (*end != ' ' || number >= 16384 || strchr(end + 1, ':') == NULL ||
	    strlen(end + 1) >= capacity || strlen(reply->text) != reply->size)
		return false;
	*slot = (uint32_t)number;
	memcpy(address, end + 1, strlen(end + 1) + 1);
	return true;
}
