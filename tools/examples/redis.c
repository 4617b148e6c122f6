/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis.c - commands over pooled connections: example-redis ADDRESS [PASSWORD]
 *
 * ADDRESS is "host:port", "tls://host:port" or "unix:/path". A command for itself, a transaction on
 * a lease of one's own, and several commands in one packet on a loop.
 */
#include <inttypes.h>
#include <kolk/kolk.h>
#include <kolk/redis.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- one command, on a plain thread: a lease is taken and given back inside */

static bool greet(struct kolk_key *key)
{
	const char *const words[] = { "SET", "greeting", "hello" };
	const struct kolk_redis_command command = { 3, words, NULL };
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);
	const struct kolk_redis_reply *reply;
	enum kolk_err err;

	request.commands = &command;
	request.count = 1;
	request.deadline_ns = kolk_in_ms(2000);
	request.replayable = 1; /* twice is as good as once */
	err = kolk_redis_call(key, &request, &reply);
	printf("SET: %s\n", err == KOLK_OK ? reply->text : kolk_err_text(err));
	kolk_redis_reply_free(reply);
	return err == KOLK_OK;
}

/* ---- a transaction: WATCH, GET, MULTI, SET, EXEC on one connection */

/* The reply, or NULL: then all is over, and release sees to what is left open. */
static const struct kolk_redis_reply *ask(const struct kolk_lease *lease, size_t count,
					  const char *const *words)
{
	const struct kolk_redis_reply *reply;
	enum kolk_err err = kolk_redis_command(lease, kolk_in_ms(2000), count, words, NULL, &reply);

	if (err == KOLK_OK && reply->type != KOLK_REDIS_ERROR)
		return reply;
	fprintf(stderr, "%s: %s\n", words[0], err == KOLK_OK ? reply->text : kolk_err_text(err));
	kolk_redis_reply_free(reply);
	return NULL;
}

static bool send_command(const struct kolk_lease *lease, size_t count, const char *const *words)
{
	const struct kolk_redis_reply *reply = ask(lease, count, words);

	kolk_redis_reply_free(reply);
	return reply != NULL;
}

static bool double_it(const struct kolk_lease *lease)
{
	const struct kolk_redis_reply *reply;
	char number[24];
	bool done;

	if (!send_command(lease, 2, (const char *[]){ "WATCH", "number" }) ||
	    (reply = ask(lease, 2, (const char *[]){ "GET", "number" })) == NULL)
		return false;
	snprintf(number, sizeof number, "%lld", 2 * strtoll(reply->text, NULL, 10) + 1);
	kolk_redis_reply_free(reply);
	if (!send_command(lease, 1, (const char *[]){ "MULTI" }) ||
	    !send_command(lease, 3, (const char *[]){ "SET", "number", number }) ||
	    (reply = ask(lease, 1, (const char *[]){ "EXEC" })) == NULL)
		return false;
	done = reply->type == KOLK_REDIS_ARRAY; /* NIL: another client changed it meanwhile */
	printf("EXEC: %s\n", done ? "done" : "try again");
	kolk_redis_reply_free(reply);
	return true;
}

static bool transact(struct kolk_key *key)
{
	struct kolk_lease lease;
	bool ok;

	if (kolk_acquire(key, kolk_in_ms(2000), &lease) != KOLK_OK)
		return false;
	ok = double_it(&lease);
	kolk_release(&lease); /* what is still open or unanswered is reset first */
	return ok;
}

/* ---- on the loop: three commands in one packet, an array of three replies */

struct batch {
	struct kolk_key *key;
	struct kolk_loop *loop;
	enum kolk_err err;
	sem_t done;
};

static void on_replies(void *user, enum kolk_err err, const struct kolk_redis_reply *reply)
{
	struct batch *batch = user;

	for (size_t i = 0; err == KOLK_OK && i < reply->count; i++)
		if (reply->elements[i].type == KOLK_REDIS_INTEGER)
			printf("%zu: %" PRId64 "\n", i, reply->elements[i].integer);
		else
			printf("%zu: %s\n", i, reply->elements[i].text);
	kolk_redis_reply_free(reply);
	batch->err = err;
	sem_post(&batch->done);
}

static void begin(struct kolk_call *call, void *user)
{
	const struct kolk_redis_command commands[] = {
		{ 2, (const char *[]){ "GET", "greeting" }, NULL },
		{ 2, (const char *[]){ "INCR", "visits" }, NULL },
		{ 3, (const char *[]){ "LPUSH", "greeting", "!" }, NULL }, /* an error is an answer */
	};
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);
	struct batch *batch = user;
	enum kolk_err err;

	(void)call;
	request.commands = commands;
	request.count = 3;
	err = kolk_redis_call_start(batch->loop, batch->key, &request, on_replies, batch, NULL);
	if (err != KOLK_PENDING) /* refused: on_replies will not run */
		on_replies(batch, err, NULL);
}

static bool run_batch(struct kolk_loop *loop, struct kolk_key *key)
{
	struct batch batch = { .key = key, .loop = loop };
	struct kolk_call call;

	sem_init(&batch.done, 0, 0);
	if (kolk_loop_call(loop, &call, begin, &batch) != KOLK_OK)
		return false;
	sem_wait(&batch.done);
	return batch.err == KOLK_OK;
}

int main(int argc, char **argv)
{
	struct kolk_engine_options options = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool_options = KOLK_INIT(kolk_pool_options);
	struct kolk_redis_options redis = KOLK_INIT(kolk_redis_options);
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	bool ok = false;

	if (argc < 2) {
		fprintf(stderr, "example-redis ADDRESS [PASSWORD]\n");
		return 2;
	}
	if (kolk_engine_create(&options, &engine) != KOLK_OK)
		return 1;
	redis.client_name = "example";
	redis.password = argc > 2 ? argv[2] : NULL;
	pool_options.name = "redis";
	pool_options.address = argv[1];
	pool_options.driver = kolk_driver_redis();
	pool_options.driver_user = &redis; /* copied */
	if (kolk_pool_add(engine, &pool_options, &pool) == KOLK_OK)
		ok = greet(kolk_pool_key(pool)) && transact(kolk_pool_key(pool)) &&
		     run_batch(kolk_engine_loop(engine, 0), kolk_pool_key(pool));
	kolk_engine_destroy(engine);
	return ok ? 0 : 1;
}
