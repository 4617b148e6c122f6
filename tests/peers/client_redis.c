/* SPDX-License-Identifier: Apache-2.0 */
/* client_redis.c - ECHO of a nonce, with a password, in a database that is not the first; plain
 * and over TLS. Where requests are to be counted, a script counts and answers. */
#include <kolk/redis.h>

#include <string.h>

#include "tests/peers/clients.h"

#define SECRET "canary-of-redis"

static const struct kolk_redis_options redis_options = { .size = sizeof redis_options,
							 .password = SECRET,
							 .client_name = "kolk-peers",
							 .database = 3 };

struct redis_slot {
	struct kolk_redis_call *call;
};

static bool serve(struct client_fixture *fixture)
{
	fixture->peer =
		kit_redis_start(&(struct kit_redis_options){ .tls = true, .password = SECRET });
	return fixture->peer != NULL;
}

static const char *address(const struct client_fixture *fixture)
{
	return fixture->peer->address;
}

static const char *address_tls(const struct client_fixture *fixture)
{
	return fixture->peer->tls_address;
}

static enum kolk_err pool(struct client_fixture *fixture, struct kolk_pool_options *options)
{
	options->driver = kolk_driver_redis();
	options->driver_user = (void *)(uintptr_t)&redis_options;
	return kolk_pool_add(fixture->engine, options, &fixture->pool);
}

static enum kolk_err pool_tls(struct client_fixture *fixture, struct kolk_pool_options *options)
{
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);

	tls.ca_file = fixture->peer->ca_file;
	tls.server_name = "localhost";
	options->tls = &tls;
	return pool(fixture, options);
}

/* The request that answers with a nonce, in memory of the caller. */
struct asked {
	char text[CLIENT_NONCE];
	const char *words[6];
	struct kolk_redis_command command;
	struct kolk_redis_request request;
};

static void ask(struct asked *asked, const struct client_fixture *fixture, uint64_t nonce,
		uint64_t deadline_ns)
{
	static const char *const echo[] = { "ECHO" };
	static const char *const count[] = { "EVAL",
					     "redis.call('incr', KEYS[1]) return KEYS[1]",
					     "1" };
	size_t size = fixture->counts ? 3 : 1;

	nonce_print(nonce, asked->text);
	memcpy(asked->words, fixture->counts ? count : echo, size * sizeof *echo);
	asked->words[size] = asked->text;
	asked->command =
		(struct kolk_redis_command){ .count = size + 1, .arguments = asked->words };
	asked->request = (struct kolk_redis_request)KOLK_INIT(kolk_redis_request);
	asked->request.count = 1;
	asked->request.commands = &asked->command;
	asked->request.deadline_ns = deadline_ns;
}

/* The nonce in a reply, which is freed. */
static uint64_t nonce_of(const struct kolk_redis_reply *reply)
{
	uint64_t nonce = reply != NULL && reply->type == KOLK_REDIS_STRING
				 ? nonce_parse(reply->text, reply->size)
				 : 0;

	kolk_redis_reply_free(reply);
	return nonce;
}

static void done(void *user, enum kolk_err err, const struct kolk_redis_reply *reply)
{
	struct kit_nonce_slot *slot = user;

	((struct redis_slot *)slot->memory)->call = NULL;
	kit_nonce_done(slot, err, nonce_of(reply));
}

static enum kolk_err start(struct kit_nonce_slot *slot)
{
	const struct client_fixture *fixture = slot->options->user;
	struct redis_slot *redis = slot->memory;
	struct asked asked;

	ask(&asked, fixture, slot->nonce, client_deadline(slot));
	return kolk_redis_call_start(slot->loop, fixture->key, &asked.request, done, slot,
				     &redis->call);
}

static void cancel(struct kit_nonce_slot *slot)
{
	kolk_redis_cancel(((struct redis_slot *)slot->memory)->call);
}

static enum kolk_err call(void *user, uint64_t nonce, uint64_t deadline_ns, uint64_t *reply)
{
	const struct client_fixture *fixture = user;
	const struct kolk_redis_reply *answer = NULL;
	struct asked asked;
	enum kolk_err err;

	ask(&asked, fixture, nonce, deadline_ns);
	err = kolk_redis_call(fixture->key, &asked.request, &answer);
	*reply = nonce_of(answer);
	return err;
}

/* How many counters there are, and how many of them say more than 1; not through the relay. */
static bool executed(struct client_fixture *fixture, uint64_t *once, uint64_t *more)
{
	static const char script[] =
		"local all, more = redis.call('keys', '*'), 0\n"
		"for _, key in ipairs(all) do\n"
		"	if redis.call('get', key) ~= '1' then more = more + 1 end\n"
		"end\n"
		"return {#all - more, more}";
	const char *const words[] = { "EVAL", script, "0" };
	const struct kolk_redis_reply *reply = NULL;
	struct kolk_lease lease;
	bool found;

	kit_relay_faults(fixture->relay, &(struct kit_relay_faults){ .cut = 0 });
	kit_relay_hang_up(fixture->relay, false);
	found = WITHIN_MS(2000, kolk_acquire(fixture->key, kolk_in_ms(1000), &lease) == KOLK_OK &&
				       (kolk_redis_command(&lease, kolk_in_ms(5000), 3, words,
							   NULL, &reply) == KOLK_OK ||
					kolk_discard(&lease) != KOLK_OK)) &&
	       reply->type == KOLK_REDIS_ARRAY && reply->count == 2;
	if (found) {
		*once = (uint64_t)reply->elements[0].integer;
		*more = (uint64_t)reply->elements[1].integer;
	}
	kolk_redis_reply_free(reply);
	(void)kolk_release(&lease);
	return found;
}

/* Nonce 1, as the server answers. */
static const char junk[] = "$2\r\nn1\r\n";

static const struct client client_redis = {
	.name = "redis",
	.serve = serve,
	.address = address,
	.pool = pool,
	.executed = executed,
	.junk = junk,
	.junk_size = sizeof junk - 1,
	.slot_bytes = sizeof(struct redis_slot),
	.start = start,
	.cancel = cancel,
	.call = call,
};
PEERS_CLIENT(redis);
PEERS_IDLE(redis);

static const struct client client_redis_tls = {
	.name = "redis_tls",
	.serve = serve,
	.address = address_tls,
	.pool = pool_tls,
	.calm = 20000,
	.executed = executed,
	.slot_bytes = sizeof(struct redis_slot),
	.start = start,
	.cancel = cancel,
	.call = call,
};
PEERS_CLIENT(redis_tls);
