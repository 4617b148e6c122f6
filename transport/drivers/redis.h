/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis.h - what the files of the Redis driver share: a connection's state, a command's effects.
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
	REDIS_NAME = 8,        /* the client has another name */
	REDIS_SESSION = 16,    /* another user, tracking, READONLY ...: RESET undoes it */
	REDIS_SUBSCRIBED = 32, /* likewise, and messages arrive unsolicited */
	REDIS_BLOCKING = 64,   /* its reply may never come */
	REDIS_FATAL = 128      /* nothing undoes it */
};

/* What its reply means for that. */
enum redis_kind {
	REDIS_PLAIN = 0,
	REDIS_OPENS,    /* MULTI */
	REDIS_ENDS,     /* EXEC, DISCARD */
	REDIS_WATCHES,
	REDIS_UNWATCHES,
	REDIS_RESETS,
	REDIS_SUBSCRIBES, /* SUBSCRIBE ... UNSUBSCRIBE: a reply for each name */
	REDIS_TAKES_OVER, /* MONITOR, SCRIPT DEBUG: from its reply on, the server sends lines that
	                   * are no replies */
	REDIS_REFUSED   /* is not sent */
};

struct redis_traits {
	uint8_t effects; /* enum redis_effect */
	uint8_t kind;    /* enum redis_kind */
	size_t replies;
	const char *name; /* as in the tables; NULL = not in them */
};

/* Classify a command before it is sent. */
struct redis_traits redis_classify(const struct kolk_redis_command *command);

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
	REDIS_STEP_ECHO, /* a PING that says a number, and its echo: no other reply is
	                  * outstanding */
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
	uint64_t outstanding; /* replies to what leases sent */
	uint8_t state;        /* enum redis_effect: what differs from the state after opening */
	uint8_t pending;      /* likewise, of commands that are not answered yet */
	bool sending;         /* a request may be half sent */
	bool listening;       /* a caller waits for a message: no replies now */
	bool taken_over;      /* what is received is no reply to anything */
	bool sharded;         /* RESP2: it had a shard channel, which may end at any time */
	const char *confirm_command; /* its confirmations are outstanding while SUBSCRIBED is
	                              * pending */
	int64_t channels, shards; /* subscriptions, as Redis counted them last */
	uint8_t steps[REDIS_STEPS_MAX];
	uint8_t step, step_count;
	uint64_t echo;
	bool resp3;           /* what is spoken now: a RESET ends it */
	struct redis_message *messages; /* received before a caller listened */
	uint32_t message_first, message_count;
	uint64_t message_bytes; /* of the queued ones */
};

enum { REDIS_MESSAGES_MAX = 1024 };

/* Whether messages may look like replies: to a subscriber of RESP2. */
bool redis_gets_messages(const struct redis_session *session);
/* A value that is not the reply to anything: a push, or a message to a subscriber of RESP2. */
bool redis_is_message(const struct redis_session *session, const struct kolk_redis_reply *value);
/* A message without a listener: into the session's queue, to the callback, or dropped. */
enum kolk_err redis_on_message(struct redis_session *session, struct kolk_redis_reply *value);
/* RESET was answered: no subscriptions, and RESP2. */
void redis_after_reset(struct redis_session *session);
/* The reply to a command of this kind was received. */
void redis_update_state(struct redis_session *session, enum redis_kind kind,
			const struct kolk_redis_reply *reply);
/* Handle what follows the last reply; only messages may, and the beginning of one. KOLK_PENDING =
 * and nothing else. */
enum kolk_err redis_read_surplus(struct redis_session *session);

#endif
