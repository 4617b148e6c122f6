/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_commands.c - which commands change their connection, and how commands are written.
 *
 * Commands that are not in the tables leave no state: in Redis these alone give a connection state.
 * Scripts and functions cannot call them.
 */
#include "core/base/ascii.h"
#include "transport/drivers/redis.h"

#include <string.h>

struct rule {
	const char *name;
	uint8_t kind, effects;
	/* NULL, or adjusts the traits by the arguments. */
	void (*adjust)(const struct kolk_redis_command *command, struct redis_traits *traits);
};

static void adjust_block(const struct kolk_redis_command *command, struct redis_traits *traits);
static void adjust_client(const struct kolk_redis_command *command, struct redis_traits *traits);
static void adjust_names(const struct kolk_redis_command *command, struct redis_traits *traits);
static void adjust_script(const struct kolk_redis_command *command, struct redis_traits *traits);

/* By the length of the name, so that most commands need no or few comparisons. */
static const struct rule of_4[] = {
	{ "AUTH", REDIS_PLAIN, REDIS_SESSION, NULL },
	{ "EXEC", REDIS_ENDS, 0, NULL },
	{ "QUIT", REDIS_PLAIN, REDIS_FATAL, NULL },
	{ "SYNC", REDIS_REFUSED, 0, NULL },
	{ "WAIT", REDIS_PLAIN, REDIS_BLOCKING, NULL },
};
static const struct rule of_5[] = {
	{ "BLPOP", REDIS_PLAIN, REDIS_BLOCKING, NULL },
	{ "BRPOP", REDIS_PLAIN, REDIS_BLOCKING, NULL },
	{ "HELLO", REDIS_REFUSED, 0, NULL }, /* the protocol is the driver's */
	{ "MULTI", REDIS_OPENS, REDIS_MULTI, NULL },
	{ "PSYNC", REDIS_REFUSED, 0, NULL },
	{ "RESET", REDIS_RESETS, REDIS_SESSION, NULL },
	{ "WATCH", REDIS_WATCHES, REDIS_WATCH, NULL },
	{ "XREAD", REDIS_PLAIN, REDIS_BLOCKING, adjust_block },
};
static const struct rule of_6[] = {
	{ "ASKING", REDIS_PLAIN, REDIS_SESSION, NULL },
	{ "BLMOVE", REDIS_PLAIN, REDIS_BLOCKING, NULL },
	{ "BLMPOP", REDIS_PLAIN, REDIS_BLOCKING, NULL },
	{ "BZMPOP", REDIS_PLAIN, REDIS_BLOCKING, NULL },
	{ "CLIENT", REDIS_PLAIN, 0, adjust_client },
	{ "SCRIPT", REDIS_PLAIN, 0, adjust_script },
	{ "SELECT", REDIS_PLAIN, REDIS_DATABASE, NULL },
};
static const struct rule of_7[] = {
	{ "DISCARD", REDIS_ENDS, 0, NULL },
	/* RESET ends it, but until then its lines cannot be told from replies. */
	{ "MONITOR", REDIS_TAKES_OVER, REDIS_FATAL, NULL },
	{ "UNWATCH", REDIS_UNWATCHES, 0, NULL },
	{ "WAITAOF", REDIS_PLAIN, REDIS_BLOCKING, NULL },
};
static const struct rule of_8[] = {
	{ "BZPOPMAX", REDIS_PLAIN, REDIS_BLOCKING, NULL },
	{ "BZPOPMIN", REDIS_PLAIN, REDIS_BLOCKING, NULL },
	{ "READONLY", REDIS_PLAIN, REDIS_SESSION, NULL },
	{ "REPLCONF", REDIS_REFUSED, 0, NULL },
};
static const struct rule of_9[] = {
	{ "READWRITE", REDIS_PLAIN, REDIS_SESSION, NULL },
	{ "SUBSCRIBE", REDIS_SUBSCRIBES, REDIS_SUBSCRIBED, adjust_names },
};
static const struct rule of_10[] = {
	{ "BRPOPLPUSH", REDIS_PLAIN, REDIS_BLOCKING, NULL },
	{ "PSUBSCRIBE", REDIS_SUBSCRIBES, REDIS_SUBSCRIBED, adjust_names },
	{ "SSUBSCRIBE", REDIS_SUBSCRIBES, REDIS_SUBSCRIBED, adjust_names },
	{ "XREADGROUP", REDIS_PLAIN, REDIS_BLOCKING, adjust_block },
};
static const struct rule of_11[] = {
	{ "UNSUBSCRIBE", REDIS_SUBSCRIBES, REDIS_SUBSCRIBED, adjust_names },
};
static const struct rule of_12[] = {
	{ "PUNSUBSCRIBE", REDIS_SUBSCRIBES, REDIS_SUBSCRIBED, adjust_names },
	{ "SUNSUBSCRIBE", REDIS_SUBSCRIBES, REDIS_SUBSCRIBED, adjust_names },
};

/* What follows CLIENT. What an unknown one leaves behind is unknown. */
static const struct rule of_client[] = {
	{ "CACHING", REDIS_PLAIN, REDIS_SESSION, NULL },
	{ "GETNAME", REDIS_PLAIN, 0, NULL },
	{ "GETREDIR", REDIS_PLAIN, 0, NULL },
	{ "HELP", REDIS_PLAIN, 0, NULL },
	{ "ID", REDIS_PLAIN, 0, NULL },
	{ "INFO", REDIS_PLAIN, 0, NULL },
	{ "KILL", REDIS_PLAIN, 0, NULL },
	{ "LIST", REDIS_PLAIN, 0, NULL },
	{ "NO-EVICT", REDIS_PLAIN, REDIS_FATAL, NULL },
	{ "NO-TOUCH", REDIS_PLAIN, REDIS_FATAL, NULL },
	{ "PAUSE", REDIS_PLAIN, 0, NULL },
	{ "REPLY", REDIS_REFUSED, 0, NULL },
	{ "SETNAME", REDIS_PLAIN, REDIS_NAME, NULL },
	{ "TRACKING", REDIS_PLAIN, REDIS_SESSION, NULL },
	{ "TRACKINGINFO", REDIS_PLAIN, 0, NULL },
	{ "UNBLOCK", REDIS_PLAIN, 0, NULL },
	{ "UNPAUSE", REDIS_PLAIN, 0, NULL },
};

#define RULES(list) { list, sizeof list / sizeof list[0] }
static const struct {
	const struct rule *rules;
	size_t count;
} by_length[] = {
	[4] = RULES(of_4), [5] = RULES(of_5), [6] = RULES(of_6), [7] = RULES(of_7),
	[8] = RULES(of_8), [9] = RULES(of_9), [10] = RULES(of_10), [11] = RULES(of_11),
	[12] = RULES(of_12),
};

static size_t size_of(const struct kolk_redis_command *command, size_t i)
{
	return command->sizes != NULL ? command->sizes[i] : strlen(command->arguments[i]);
}

static bool is_word(const struct kolk_redis_command *command, size_t i, const char *word)
{
	return kolk__word_is(command->arguments[i], size_of(command, i), word);
}

static const struct rule *rule_of(const struct kolk_redis_command *command)
{
	const char *name = command->arguments[0];
	size_t size = size_of(command, 0);

	if (size >= sizeof by_length / sizeof by_length[0])
		return NULL;
	for (size_t i = 0; i < by_length[size].count; i++) {
		const struct rule *rule = &by_length[size].rules[i];

		/* In ASCII, upper and lower case differ in one bit. */
		if (((rule->name[0] ^ name[0]) & ~0x20) == 0 &&
		    kolk__word_is(name, size, rule->name))
			return rule;
	}
	return NULL;
}

static void adjust_client(const struct kolk_redis_command *command, struct redis_traits *traits)
{
	traits->effects = REDIS_FATAL;
	for (size_t i = 0; command->count > 1 && i < sizeof of_client / sizeof of_client[0]; i++)
		if (is_word(command, 1, of_client[i].name)) {
			traits->effects = of_client[i].effects;
			traits->kind = of_client[i].kind;
			return;
		}
}

/* XREAD and XREADGROUP block with BLOCK, which stands before the names of the streams. */
static void adjust_block(const struct kolk_redis_command *command, struct redis_traits *traits)
{
	traits->effects = 0;
	for (size_t i = 1; i < command->count && !is_word(command, i, "STREAMS"); i++)
		if (is_word(command, i, "BLOCK"))
			traits->effects = REDIS_BLOCKING;
}

/* Without names, an UNSUBSCRIBE has as many replies as there are subscriptions. */
static void adjust_names(const struct kolk_redis_command *command, struct redis_traits *traits)
{
	traits->replies = command->count - 1;
	if (command->count < 2)
		traits->kind = REDIS_REFUSED;
}

/* The debugger of scripts takes the connection over. */
static void adjust_script(const struct kolk_redis_command *command, struct redis_traits *traits)
{
	if (command->count > 1 && is_word(command, 1, "DEBUG")) {
		traits->kind = REDIS_TAKES_OVER;
		traits->effects = REDIS_FATAL;
	}
}

struct redis_traits redis_classify(const struct kolk_redis_command *command)
{
	const struct rule *rule = rule_of(command);
	struct redis_traits traits = { .replies = 1 };

	if (rule == NULL)
		return traits;
	traits.effects = rule->effects;
	traits.kind = rule->kind;
	traits.name = rule->name;
	if (rule->adjust != NULL)
		rule->adjust(command, &traits);
	return traits;
}

/* ---- writing: *COUNT, then for each argument $SIZE and its bytes */

static size_t digits_of(size_t value)
{
	size_t digits = 1;

	while (value >= 10) {
		value /= 10;
		digits++;
	}
	return digits;
}

bool redis_encoded_size(const struct kolk_redis_command *command, uint64_t *size)
{
	uint64_t sum = 3 + digits_of(command->count);

	if (command->count == 0 || command->count > 1048576)
		return false;
	for (size_t i = 0; i < command->count; i++) {
		size_t bytes = size_of(command, i);

		if (bytes > UINT32_MAX) /* Redis itself ends at 512 MB */
			return false;
		sum += 5 + digits_of(bytes) + bytes;
	}
	*size = sum;
	return true;
}

static uint8_t *write_head(uint8_t *at, uint8_t mark, size_t value)
{
	size_t digits = digits_of(value);

	*at++ = mark;
	for (size_t i = digits; i > 0; i--) {
		at[i - 1] = (uint8_t)('0' + value % 10);
		value /= 10;
	}
	at += digits;
	*at++ = '\r';
	*at++ = '\n';
	return at;
}

uint8_t *redis_encode(uint8_t *at, const struct kolk_redis_command *command)
{
	at = write_head(at, '*', command->count);
	for (size_t i = 0; i < command->count; i++) {
		size_t bytes = size_of(command, i);

		at = write_head(at, '$', bytes);
		if (bytes > 0)
			memcpy(at, command->arguments[i], bytes);
		at += bytes;
		*at++ = '\r';
		*at++ = '\n';
	}
	return at;
}
