/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis.h - what the parts of the Redis driver know of a connection and of a command.
 */
#ifndef KOLK_REDIS_PRIVATE_H
#define KOLK_REDIS_PRIVATE_H

#include "core/base/sized.h"
#include "transport/drivers/redis_parser.h"

/* What a command leaves behind on its connection. */
enum redis_effect {
	REDIS_MULTI = 1,       /* a transaction is open */
	REDIS_WATCH = 2,       /* keys are watched */
	REDIS_DATABASE = 4,    /* another one was selected */
	REDIS_NAME = 8,        /* the client is called otherwise */
	REDIS_SESSION = 16,    /* another user, tracking, READONLY ...: RESET undoes it */
	REDIS_SUBSCRIBED = 32, /* likewise, and messages come unasked */
	REDIS_BLOCKING = 64,   /* its reply may take for ever */
	REDIS_FATAL = 128      /* nothing undoes it */
};

/* What its reply tells about that. */
enum redis_kind {
	REDIS_PLAIN = 0,
	REDIS_OPENS,    /* MULTI */
	REDIS_ENDS,     /* EXEC, DISCARD */
	REDIS_WATCHES,
	REDIS_UNWATCHES,
	REDIS_RESETS,
	REDIS_SUBSCRIBES, /* SUBSCRIBE ... UNSUBSCRIBE: a reply for each name */
	REDIS_TAKES_OVER, /* MONITOR, SCRIPT DEBUG: from its reply on, lines come that are no replies */
	REDIS_REFUSED   /* is not sent */
};

struct redis_verdict {
	uint8_t effects; /* enum redis_effect */
	uint8_t kind;    /* enum redis_kind */
	size_t replies;
	const char *name; /* as in the tables; NULL = it is in none */
};

/* What is to be known of a command before it is sent. */
struct redis_verdict redis_judge(const struct kolk_redis_command *command);

/* Bytes of a command on the wire; false: no command, or more than a size_t. */
bool redis_encoded_size(const struct kolk_redis_command *command, uint64_t *size);
/* Write it, and return where it ends. */
uint8_t *redis_encode(uint8_t *at, const struct kolk_redis_command *command);

/* Steps of an exchange of the driver's own: one reply each. */
enum redis_step {
	REDIS_STEP_HELLO,
	REDIS_STEP_AUTH,
	REDIS_STEP_NAME,
	REDIS_STEP_SELECT,
	REDIS_STEP_PING,
	REDIS_STEP_RESET,
	REDIS_STEP_DISCARD,
	REDIS_STEP_UNWATCH,
	REDIS_STEP_PROOF, /* a PING that says a number, and its echo: nothing else is owed */
	REDIS_STEPS_MAX = 8
};

extern const struct kolk_driver redis_driver;

/* redis_options.c */
extern const struct kolk_option_table redis_option_table;
enum kolk_err redis_options_check(const void *options, const struct kolk_pool_options *pool,
				  const char **field);

/* A message of a subscription. */
struct redis_message {
	struct kolk_redis_reply *reply;
	uint64_t bytes;
};

struct redis_session {
	const struct kolk_redis_options *options;
	struct redis_parser parser;
	uint64_t owed;   /* replies to what leases sent */
	uint8_t state;   /* enum redis_effect: what is not as it was at the opening */
	uint8_t pending; /* likewise, of commands that are not answered yet */
	bool sending;    /* a request may be half sent */
	bool listening;  /* somebody waits for a message: no replies now */
	bool taken_over; /* what comes is no reply to anything */
	bool sharded;    /* RESP2: it had a shard channel, whose end comes unasked at any time */
	const char *confirms; /* which command's confirmations are owed while SUBSCRIBED is pending */
	int64_t channels, shards; /* subscriptions, as Redis counted them last */
	uint8_t steps[REDIS_STEPS_MAX];
	uint8_t step, step_count;
	uint64_t proof;
	bool resp3;      /* what is spoken now: a RESET ends it */
	struct redis_message *messages; /* that came before anybody listened */
	uint32_t message_first, message_count;
	uint64_t message_bytes; /* of those that wait */
};

enum { REDIS_MESSAGES_MAX = 1024 };

/* Messages may come that look like replies: to a subscriber of RESP2. */
bool redis_hears_messages(const struct redis_session *session);
/* A value that is not the reply to anything: a push, or a message to a subscriber of RESP2. */
bool redis_is_message(const struct redis_session *session, const struct kolk_redis_reply *value);
/* A message that nobody listens for: into the session's queue, to the callback, or dropped. */
enum kolk_err redis_message_came(struct redis_session *session, struct kolk_redis_reply *value);
/* RESET was answered: nothing is subscribed to, and RESP2 is spoken. */
void redis_reset(struct redis_session *session);
/* The reply to a command of this kind came. */
void redis_settle(struct redis_session *session, enum redis_kind kind,
		  const struct kolk_redis_reply *reply);
/* Look at what came behind the last reply; only messages may, and the beginning of one.
 * KOLK_PENDING = and nothing more. */
enum kolk_err redis_read_surplus(struct redis_session *session);

#endif
