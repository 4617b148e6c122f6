/* SPDX-License-Identifier: Apache-2.0 */
/* redis_test.c - the Redis driver against Redis: opening, dirty returns, nonces, restarts. */
#include "tests/peers/peers.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kolk/kolk.h>
#include <kolk/redis.h>

#include "tests/peers/redis.h"

struct redis_fixture redis_fixture_open(const struct redis_fixture_options *h)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct redis_fixture fixture = { 0 };

	e.loops = 1;
	e.loop_owner = h->embedded ? KOLK_LOOPS_EMBEDDER : KOLK_LOOPS_ENGINE;
	p.name = "redis";
	p.address = h->address;
	p.driver = kolk_driver_redis();
	p.driver_user = (void *)(uintptr_t)h->redis;
	p.connections_max = h->connections != 0 ? h->connections : 1;
	p.waiters_max = 10000;
	p.circuit_failures = p.circuit_percent = KOLK_NONE;
	p.circuit_percent = 100;
	p.retry_max_ns = 50 * KOLK_MS_NS;
	p.retry_interval_ns = 10 * KOLK_MS_NS;
	p.idle_min = KOLK_NONE;
	p.ping_interval_ns = h->ping_interval_ns;
	if (h->ca_file != NULL) {
		tls.ca_file = h->ca_file;
		p.tls = &tls;
	}
	if (!CHECK_ERR(kolk_engine_create(&e, &fixture.engine), KOLK_OK) ||
	    !CHECK_ERR(kolk_pool_add(fixture.engine, &p, &fixture.pool), KOLK_OK))
		return fixture;
	fixture.key = kolk_pool_key(fixture.pool);
	return fixture;
}

void redis_fixture_close(struct redis_fixture *fixture)
{
	if (fixture->engine == NULL)
		return;
	CHECK_ERR(kolk_check(fixture->engine, NULL), KOLK_OK);
	CHECK_ERR(kolk_engine_destroy(fixture->engine), KOLK_OK);
}

/* One command of words on a lease; NULL when it failed. */
const struct kolk_redis_reply *say(const struct kolk_lease *lease, const char *text)
{
	const struct kolk_redis_reply *reply;
	const char *words[16];
	char copy[256];
	size_t count = 0;

	snprintf(copy, sizeof copy, "%s", text);
	for (char *word = strtok(copy, " "); word != NULL && count < 16; word = strtok(NULL, " "))
		words[count++] = word;
	if (!CHECK_ERR(kolk_redis_command(lease, kolk_in_ms(5000), count, words, NULL, &reply),
		       KOLK_OK)) {
		tap_note("it was: %s", text);
		return NULL;
	}
	return reply;
}

bool says(const struct kolk_lease *lease, const char *text, const char *answer)
{
	const struct kolk_redis_reply *reply = say(lease, text);
	bool right = reply != NULL && strncmp(reply->text, answer, strlen(answer)) == 0;

	if (reply != NULL && !right)
		tap_note("%s: %s", text, reply->text);
	kolk_redis_reply_free(reply);
	return right;
}

/* ---- opening */

static void opens_as(const struct redis_fixture_options *options, enum kolk_err expected,
		     const char *user, const char *more)
{
	struct redis_fixture fixture = redis_fixture_open(options);
	struct kolk_lease lease;
	const struct kolk_redis_reply *reply;
	char text[64];

	if (CHECK_ERR(kolk_acquire(fixture.key, kolk_in_ms(2000), &lease), expected) &&
	    expected == KOLK_OK) {
		reply = say(&lease, "CLIENT INFO");
		snprintf(text, sizeof text, "user=%s ", user);
		CHECK(reply != NULL && strstr(reply->text, text) != NULL);
		CHECK(reply != NULL && strstr(reply->text, more) != NULL);
		kolk_redis_reply_free(reply);
		CHECK_ERR(kolk_release(&lease), KOLK_OK);
	}
	redis_fixture_close(&fixture);
}

static enum kolk_err credentials_of(void *user, struct kolk_key *key,
				    struct kolk_credentials *credentials)
{
	CHECK(strcmp(kolk_key_tenant(key), "") == 0);
	credentials->user = "worker";
	credentials->secret = user;
	credentials->secret_size = strlen(user);
	return KOLK_OK;
}

static void test_opening(void)
{
	static const char *const args[] = { "--user", "worker", "on", ">canary-worker",
					    "~*", "&*", "+@all", NULL };
	struct kit_peer *peer = kit_redis_start(&(struct kit_redis_options){
		.tls = true, .password = "canary-default", .args = args });
	struct kolk_redis_options o = KOLK_INIT(kolk_redis_options);
	struct redis_fixture_options h = { .redis = &o };

	if (peer == NULL)
		return;
	h.address = peer->address;
	opens_as(&h, KOLK_E_AUTH, "", ""); /* NOAUTH */
	o.password = "wrong";
	opens_as(&h, KOLK_E_AUTH, "", "");
	o.password = "canary-default";
	opens_as(&h, KOLK_OK, "default", " db=0 ");
	o.user = "worker";
	opens_as(&h, KOLK_E_AUTH, "", "");
	o.password = "canary-worker";
	o.database = 3;
	o.client_name = "kolk-test";
	opens_as(&h, KOLK_OK, "worker", " db=3 ");
	opens_as(&h, KOLK_OK, "worker", " name=kolk-test ");
	h.address = peer->unix_address;
	opens_as(&h, KOLK_OK, "worker", " name=kolk-test ");
	h.address = peer->tls_address;
	h.ca_file = peer->ca_file;
	opens_as(&h, KOLK_OK, "worker", " name=kolk-test ");
	o.user = o.password = NULL;
	o.credentials = credentials_of;
	o.credentials_user = (void *)(uintptr_t)"canary-worker";
	opens_as(&h, KOLK_OK, "worker", " db=3 ");
	o.credentials_user = (void *)(uintptr_t)"wrong";
	opens_as(&h, KOLK_E_AUTH, "", "");
	o.credentials_user = (void *)(uintptr_t)"canary-worker";
	o.database = 16;
	opens_as(&h, KOLK_E_OPTIONS, "", "");
	o.database = 0;
	o.client_name = "two words";
	opens_as(&h, KOLK_E_OPTIONS, "", "");
	o.client_name = NULL;
	o.resp = 3;
	opens_as(&h, kolk_redis_has_resp3() ? KOLK_OK : KOLK_E_UNSUPPORTED, "worker", " resp=3");
	kit_peer_close(peer);
}

/* ---- commands */

static void pipelines(const struct kolk_lease *lease)
{
	const char *const set[] = { "SET", "a", "\0\r\n" }, *const get[] = { "GET", "a" },
			 *const wrong[] = { "LPUSH", "a", "b" }, *const incr[] = { "INCR", "n" };
	const size_t sizes[] = { 3, 1, 3 };
	const struct kolk_redis_command commands[] = {
		{ 3, set, sizes }, { 2, get, NULL }, { 3, wrong, NULL }, { 2, incr, NULL }
	};
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);
	const struct kolk_redis_reply *reply;

	request.commands = commands;
	request.count = 4;
	MUST(kolk_redis_pipeline(lease, &request, &reply) == KOLK_OK);
	CHECK(reply->type == KOLK_REDIS_ARRAY && reply->count == 4);
	CHECK(strcmp(reply->elements[0].text, "OK") == 0);
	CHECK(reply->elements[1].size == 3 && memcmp(reply->elements[1].text, "\0\r\n", 3) == 0);
	CHECK(reply->elements[2].error == KOLK_REDIS_WRONGTYPE);
	CHECK(reply->elements[3].type == KOLK_REDIS_INTEGER && reply->elements[3].integer == 1);
	kolk_redis_reply_free(reply);
	request.count = 0;
	CHECK_ERR(kolk_redis_pipeline(lease, &request, &reply), KOLK_E_OPTIONS);
}

static void big_values(const struct kolk_lease *lease)
{
	enum { BIG = 3000000 };
	char *value = malloc(BIG);
	const char *set[] = { "SET", "big", value }, *get[] = { "GET", "big" };
	const size_t sizes[] = { 3, 3, BIG };
	const struct kolk_redis_reply *reply;

	MUST(value != NULL);
	for (size_t i = 0; i < BIG; i++)
		value[i] = (char)(i * 7 % 251);
	MUST(kolk_redis_command(lease, 0, 3, set, sizes, &reply) == KOLK_OK);
	kolk_redis_reply_free(reply);
	MUST(kolk_redis_command(lease, 0, 2, get, NULL, &reply) == KOLK_OK);
	CHECK(reply->size == BIG && memcmp(reply->text, value, BIG) == 0);
	kolk_redis_reply_free(reply);
	free(value);
}

/* 20 MB go out and come back in one call. */
static void long_pipeline(const struct kolk_lease *lease)
{
	enum { COUNT = 20000, WORD = 1000 };
	static char word[WORD + 1];
	static struct kolk_redis_command commands[COUNT];
	static const char *const echo[] = { "ECHO", word };
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);
	const struct kolk_redis_reply *reply;
	uint64_t bytes = 0;

	memset(word, 'e', WORD);
	for (int i = 0; i < COUNT; i++)
		commands[i] = (struct kolk_redis_command){ 2, echo, NULL };
	request.commands = commands;
	request.count = COUNT;
	request.deadline_ns = kolk_in_ms(20000);
	if (!CHECK_ERR(kolk_redis_pipeline(lease, &request, &reply), KOLK_OK))
		return;
	for (size_t i = 0; i < reply->count; i++)
		bytes += reply->elements[i].size;
	CHECK(bytes == (uint64_t)COUNT * WORD);
	kolk_redis_reply_free(reply);
}

/* What one command opens after another has closed it, in one packet, is open. */
static void packed_states(const char *address, const struct kolk_lease *other)
{
	const struct kolk_redis_command commands[] = {
		{ 2, (const char *[]){ "WATCH", "packed" }, NULL },
		{ 1, (const char *[]){ "UNWATCH" }, NULL },
		{ 2, (const char *[]){ "WATCH", "packed" }, NULL },
		{ 1, (const char *[]){ "MULTI" }, NULL },
		{ 1, (const char *[]){ "EXEC" }, NULL },
		{ 2, (const char *[]){ "WATCH", "packed" }, NULL },
	};
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);
	struct redis_fixture fixture =
		redis_fixture_open(&(struct redis_fixture_options){.address = address});
	const struct kolk_redis_reply *reply;
	struct kolk_lease lease;

	request.commands = commands;
	for (request.count = 3; request.count <= 6; request.count += 3) {
		MUST(kolk_redis_call(fixture.key, &request, &reply) == KOLK_OK);
		kolk_redis_reply_free(reply);
		MUST(kolk_acquire(fixture.key, 0, &lease) == KOLK_OK); /* the same connection */
		kolk_redis_reply_free(say(other, "INCR packed"));
		kolk_redis_reply_free(say(&lease, "MULTI"));
		kolk_redis_reply_free(say(&lease, "PING"));
		reply = say(&lease, "EXEC");
		CHECK(reply != NULL && reply->count == 1);
		kolk_redis_reply_free(reply);
		kolk_release(&lease);
	}
	redis_fixture_close(&fixture);
}

static void refused(const struct kolk_lease *lease)
{
	static const char *const commands[][3] = { { "HELLO", "3" },	  { "SYNC" },
						   { "CLIENT", "REPLY", "OFF" }, { "PSYNC" },
						   { "UNSUBSCRIBE" } };
	const struct kolk_redis_reply *reply;

	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		size_t count = 0;

		while (count < 3 && commands[i][count] != NULL)
			count++;
		CHECK_ERR(kolk_redis_command(lease, 0, count, commands[i], NULL, &reply),
			  KOLK_E_UNSUPPORTED);
	}
	CHECK(says(lease, "PING", "PONG"));
}

static void test_commands(void)
{
	struct kit_peer *peer = kit_redis_start(&(struct kit_redis_options){ 0 });
	struct kolk_redis_options o = KOLK_INIT(kolk_redis_options);
	struct redis_fixture_options h = { .redis = &o };
	const struct kolk_redis_reply *reply;
	struct kolk_lease lease;
	struct redis_fixture fixture;

	if (peer == NULL)
		return;
	o.elements_max = 100;
	h.address = peer->address;
	fixture = redis_fixture_open(&h);
	MUST(kolk_acquire(fixture.key, 0, &lease) == KOLK_OK);
	pipelines(&lease);
	packed_states(peer->address, &lease);
	big_values(&lease);
	long_pipeline(&lease);
	refused(&lease);
	CHECK(says(&lease, "NOSUCH", "ERR unknown command"));
	kolk_redis_reply_free(say(&lease, "SETBIT bits 1000 1"));
	for (int i = 0; i < 101; i++)
		kolk_redis_reply_free(say(&lease, "RPUSH list x"));
	CHECK_ERR(kolk_redis_command(&lease, 0, 4, (const char *[]){ "LRANGE", "list", "0", "-1" },
				     NULL, &reply), KOLK_E_LIMIT);
	CHECK_ERR(kolk_redis_command(&lease, 0, 1, (const char *[]){ "PING" }, NULL, &reply),
		  KOLK_E_LEASE_BUSY);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	redis_fixture_close(&fixture);
	kit_peer_close(peer);
}

/* ---- dirty releases: the next lease sees none of it */

struct dirt {
	const char *commands[3];
	bool kept; /* the same connection serves on */
};

static const struct dirt dirts[] = {
	{ { "PING" }, true },
	{ { "MULTI" }, true },
	{ { "MULTI", "SET q 1" }, true },
	{ { "MULTI", "NOSUCH" }, true },
	{ { "MULTI", "SELECT 4", "EXEC" }, true },
	{ { "WATCH watched" }, true },
	{ { "WATCH watched", "MULTI" }, true },
	{ { "WATCH watched", "UNWATCH" }, true },
	{ { "MULTI", "EXEC", "WATCH watched" }, true },
	{ { "SUBSCRIBE a", "UNSUBSCRIBE a", "WATCH watched" }, true },
	{ { "SELECT 5" }, true },
	{ { "CLIENT SETNAME x" }, true },
	{ { "SUBSCRIBE news" }, true },
	{ { "SUBSCRIBE a b c" }, true },
	{ { "PSUBSCRIBE n*" }, true },
	{ { "SSUBSCRIBE n" }, true },
	{ { "AUTH other canary-other" }, true },
	{ { "CLIENT TRACKING ON BCAST" }, false }, /* RESP2 refuses it; see below */
	{ { "READONLY" }, true },
	{ { "RESET" }, true },
	{ { "CLIENT NO-EVICT on" }, false },
	{ { "MONITOR" }, false },
	{ { "QUIT" }, false },
};

static const char *field(const char *info, const char *name, char *value, size_t size)
{
	const char *at = strstr(info, name);
	size_t length = at != NULL ? strcspn(at, " \n") : 0;

	snprintf(value, size, "%.*s", (int)length, at != NULL ? at : "");
	return value;
}

static void info_same(const char *before, const char *after, const char *who)
{
	static const char *const names[] = { " name=", " flags=", " db=", " sub=", " psub=", " ssub=",
					     " multi=", " user=", " redir=", " resp=" };
	char a[64], b[64];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		field(before, names[i], a, sizeof a);
		field(after, names[i], b, sizeof b);
		if (!CHECK(strcmp(a, b) == 0))
			tap_note("after %s:%s instead of%s", who, b, a);
	}
}

/* A key that the last lease watched changes: it does not abort the next one's transaction. */
static void watches_nothing(struct kolk_key *other, const struct kolk_lease *lease, const char *who)
{
	const struct kolk_redis_reply *reply;
	struct kolk_lease second;

	MUST(kolk_acquire(other, 0, &second) == KOLK_OK);
	kolk_redis_reply_free(say(&second, "INCR watched"));
	kolk_release(&second);
	CHECK(says(lease, "MULTI", "OK"));
	CHECK(says(lease, "PING", "QUEUED"));
	reply = say(lease, "EXEC");
	if (!CHECK(reply != NULL && reply->count == 1))
		tap_note("after %s", who);
	kolk_redis_reply_free(reply);
}

static void dirty_once(struct redis_fixture *fixture, struct kolk_key *other,
		       const struct dirt *dirt, const char *clean_info)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	const struct kolk_redis_reply *reply;
	struct kolk_lease lease;
	uint64_t number;

	MUST(kolk_acquire(fixture->key, 0, &lease) == KOLK_OK);
	MUST(kolk_lease_info(&lease, &info) == KOLK_OK);
	number = info.connection;
	for (int i = 0; i < 3 && dirt->commands[i] != NULL; i++)
		kolk_redis_reply_free(say(&lease, dirt->commands[i]));
	MUST(kolk_release(&lease) == KOLK_OK);
	MUST(kolk_acquire(fixture->key, 0, &lease) == KOLK_OK);
	MUST(kolk_lease_info(&lease, &info) == KOLK_OK);
	if (!CHECK((info.connection == number) == dirt->kept) && dirt->kept)
		tap_note("%s: closed", dirt->commands[0]);
	reply = say(&lease, "CLIENT INFO");
	if (reply != NULL)
		info_same(clean_info, reply->text, dirt->commands[0]);
	kolk_redis_reply_free(reply);
	watches_nothing(other, &lease, dirt->commands[0]);
	MUST(kolk_release(&lease) == KOLK_OK);
}

static void dirty_returns(const char *address, const char *ca_file, uint32_t resp)
{
	struct kolk_redis_options o = KOLK_INIT(kolk_redis_options);
	struct kolk_redis_options plain = KOLK_INIT(kolk_redis_options);
	struct redis_fixture_options h = { .redis = &o, .address = address, .ca_file = ca_file };
	struct redis_fixture_options h2 = { .redis = &plain, .address = address, .ca_file = ca_file };
	struct redis_fixture fixture, other;
	const struct kolk_redis_reply *reply;
	struct kolk_lease lease;

	o.user = "worker";
	o.password = "canary-worker";
	o.client_name = "kolk-test";
	o.database = 2;
	o.resp = resp;
	plain.user = "worker";
	plain.password = "canary-worker";
	plain.database = 2;
	fixture = redis_fixture_open(&h);
	other = redis_fixture_open(&h2);
	MUST(kolk_acquire(fixture.key, 0, &lease) == KOLK_OK);
	reply = say(&lease, "CLIENT INFO");
	kolk_release(&lease);
	MUST(reply != NULL);
	for (size_t i = 0; i < sizeof dirts / sizeof dirts[0]; i++) {
		struct dirt dirt = dirts[i];

		if (strncmp(dirt.commands[0], "CLIENT TRACKING", 15) == 0)
			dirt.kept = true;
		dirty_once(&fixture, other.key, &dirt, reply->text);
	}
	kolk_redis_reply_free(reply);
	redis_fixture_close(&other);
	redis_fixture_close(&fixture);
}

static void test_dirty_returns(void)
{
	static const char *const args[] = { "--user", "worker", "on", ">canary-worker",
					    "~*", "&*", "+@all",
					    "--user", "other", "on", ">canary-other",
					    "~*", "&*", "+@all", NULL };
	struct kit_peer *peer = kit_redis_start(&(struct kit_redis_options){
		.tls = true, .args = args });

	if (peer == NULL)
		return;
	dirty_returns(peer->address, NULL, 2);
	dirty_returns(peer->tls_address, peer->ca_file, 2);
	if (kolk_redis_has_resp3())
		dirty_returns(peer->address, NULL, 3);
	kit_peer_close(peer);
}

/* Commands that timed out: their late replies are discarded. */
static void test_abandoned(void)
{
	static const char *const args[] = { "--enable-debug-command", "yes", NULL };
	struct kit_peer *peer = kit_redis_start(&(struct kit_redis_options){ .args = args });
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct kolk_redis_options o = KOLK_INIT(kolk_redis_options);
	struct redis_fixture_options h = { .redis = &o };
	const struct kolk_redis_reply *reply;
	struct kolk_lease lease;
	struct redis_fixture fixture;
	uint64_t number;

	if (peer == NULL)
		return;
	h.address = peer->address;
	fixture = redis_fixture_open(&h);
	MUST(kolk_acquire(fixture.key, 0, &lease) == KOLK_OK);
	MUST(kolk_lease_info(&lease, &info) == KOLK_OK);
	number = info.connection;
	CHECK_ERR(kolk_redis_command(&lease, kolk_in_ms(20), 3,
				     (const char *[]){ "DEBUG", "SLEEP", "0.2" }, NULL, &reply),
		  KOLK_E_TIMEOUT);
	CHECK(reply == NULL);
	CHECK_ERR(kolk_redis_command(&lease, 0, 1, (const char *[]){ "PING" }, NULL, &reply),
		  KOLK_E_LEASE_BUSY);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	MUST(kolk_acquire(fixture.key, 0, &lease) == KOLK_OK);
	MUST(kolk_lease_info(&lease, &info) == KOLK_OK);
	CHECK(info.connection == number); /* the reply was waited for, and dropped */
	CHECK(says(&lease, "ECHO mine", "mine"));
	CHECK_ERR(kolk_redis_command(&lease, kolk_in_ms(20), 3,
				     (const char *[]){ "BLPOP", "nothing", "0" }, NULL, &reply),
		  KOLK_E_TIMEOUT);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	MUST(kolk_acquire(fixture.key, 0, &lease) == KOLK_OK);
	MUST(kolk_lease_info(&lease, &info) == KOLK_OK);
	CHECK(info.connection != number); /* might have blocked for ever */
	CHECK(says(&lease, "ECHO mine", "mine"));
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	redis_fixture_close(&fixture);
	kit_peer_close(peer);
}

/* ---- subscriptions */

static void expect_message(const struct kolk_lease *lease, const char *text)
{
	const struct kolk_redis_reply *reply;

	MUST(kolk_redis_listen(lease, kolk_in_ms(2000), &reply) == KOLK_OK);
	CHECK(reply->count == 3 && strcmp(reply->elements[2].text, text) == 0);
	kolk_redis_reply_free(reply);
}

static void subscription(const char *address, uint32_t resp)
{
	struct kolk_redis_options o = KOLK_INIT(kolk_redis_options);
	struct redis_fixture_options h = { .redis = &o, .connections = 2, .address = address };
	const struct kolk_redis_reply *reply;
	struct kolk_lease ear, mouth;
	struct redis_fixture fixture;

	o.resp = resp;
	fixture = redis_fixture_open(&h);
	MUST(kolk_acquire(fixture.key, 0, &ear) == KOLK_OK);
	MUST(kolk_acquire(fixture.key, 0, &mouth) == KOLK_OK);
	reply = say(&ear, "SUBSCRIBE news weather");
	CHECK(reply != NULL && reply->count == 3 && reply->elements[2].integer == 2);
	kolk_redis_reply_free(reply);
	CHECK_ERR(kolk_redis_listen(&ear, kolk_in_ms(10), &reply), KOLK_E_TIMEOUT);
	for (int i = 0; i < 3; i++)
		kolk_redis_reply_free(say(&mouth, "PUBLISH weather rain"));
	kolk_redis_reply_free(say(&mouth, "PUBLISH news none"));
	for (int i = 0; i < 3; i++)
		expect_message(&ear, "rain");
	expect_message(&ear, "none");
	kolk_redis_reply_free(say(&mouth, "PUBLISH news kept"));
	reply = say(&ear, "SUBSCRIBE more");
	CHECK(reply != NULL && strcmp(reply->elements[0].text, "subscribe") == 0);
	kolk_redis_reply_free(reply);
	expect_message(&ear, "kept"); /* came before the reply */
	kolk_redis_reply_free(say(&mouth, "PUBLISH news late"));
	/* After the last subscription ended, lists that look like messages are replies. */
	kolk_redis_reply_free(say(&ear, "UNSUBSCRIBE news weather more"));
	kolk_redis_reply_free(say(&ear, "DEL list"));
	kolk_redis_reply_free(say(&ear, "RPUSH list message a b"));
	reply = say(&ear, "LRANGE list 0 -1");
	CHECK(reply != NULL && reply->count == 3);
	kolk_redis_reply_free(reply);
	CHECK_ERR(kolk_release(&ear), KOLK_OK);
	MUST(kolk_acquire(fixture.key, 0, &ear) == KOLK_OK);
	kolk_redis_reply_free(say(&mouth, "PUBLISH news later"));
	CHECK(says(&ear, "ECHO mine", "mine"));
	CHECK_ERR(kolk_release(&ear), KOLK_OK);
	CHECK_ERR(kolk_release(&mouth), KOLK_OK);
	redis_fixture_close(&fixture);
}

static void test_subscriptions(void)
{
	struct kit_peer *peer = kit_redis_start(&(struct kit_redis_options){ 0 });

	if (peer == NULL)
		return;
	subscription(peer->address, 2);
	if (kolk_redis_has_resp3())
		subscription(peer->address, 3);
	kit_peer_close(peer);
}

/* ---- the example of docs/drivers/redis.md does what it says */

static bool example_says(const char *example, const char *address, const char *expected)
{
	char command[512], text[512] = "";
	FILE *output;
	size_t size;

	snprintf(command, sizeof command, "'%s' '%s' canary 2>&1", example, address);
	output = popen(command, "re");
	if (output == NULL)
		return false;
	size = fread(text, 1, sizeof text - 1, output);
	text[size] = '\0';
	if (pclose(output) == 0 && strcmp(text, expected) == 0)
		return true;
	tap_note("it said: %s", text);
	return false;
}

static void test_example(void)
{
	static const char below[] = "/../tools/example-redis";
	char path[256 + sizeof below];
	ssize_t length = readlink("/proc/self/exe", path, 255);
	struct kit_peer *peer;

	path[length > 0 ? length : 0] = '\0';
	memcpy(strrchr(path, '/') != NULL ? strrchr(path, '/') : path, below, sizeof below);
	if (access(path, X_OK) != 0) {
		tap_skip("the tools are not built");
		return;
	}
	peer = kit_redis_start(&(struct kit_redis_options){ .password = "canary" });
	if (peer == NULL)
		return;
	CHECK(example_says(path, peer->address,
			   "SET: OK\nEXEC: done\n0: hello\n1: 1\n2: WRONGTYPE Operation against a key "
			   "holding the wrong kind of value\n"));
	CHECK(example_says(path, peer->unix_address,
			   "SET: OK\nEXEC: done\n0: hello\n1: 2\n2: WRONGTYPE Operation against a key "
			   "holding the wrong kind of value\n"));
	kit_peer_close(peer);
}

static const struct tap_test tests[] = {
	{ "opening", test_opening },
	{ "commands", test_commands },
	{ "dirty returns", test_dirty_returns },
	{ "abandoned commands", test_abandoned },
	{ "subscriptions", test_subscriptions },
	{ "the example", test_example },
};
TAP_TESTS(redis, tests);
