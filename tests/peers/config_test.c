/* SPDX-License-Identifier: Apache-2.0 */
/* config_test.c - a YAML file opens pools of every protocol on real servers, and requests on them
 * are made by their names. */
#include "tests/peers/peers.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kolk/http.h>
#include <kolk/kolk.h>
#include <kolk/ops/config.h>
#include <kolk/postgres.h>
#include <kolk/redis.h>

/* An engine by a file. */
struct fixture {
	struct kolk_engine *engine;
	struct kolk_config *config;
	struct kolk_http *http; /* a client of its first loop */
};

static struct kolk_config *parse(const char *format, va_list list)
{
	static const char *const environment[] = { "REDIS_SECRET=canary-redis", NULL };
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config;
	char text[4000], told[1200];

	vsnprintf(text, sizeof text, format, list);
	if (!CHECK_ERR(kolk_config_parse("test", text, strlen(text), environment, &config, &error),
		       KOLK_OK)) {
		kolk_config_error_text(&error, told, sizeof told);
		tap_note("%s", told);
	}
	return config;
}

static bool fixture_open(struct fixture *fixture, const char *format, ...)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	char told[1200];
	va_list list;

	*fixture = (struct fixture){ 0 };
	va_start(list, format);
	fixture->config = parse(format, list);
	va_end(list);
	if (fixture->config == NULL)
		return false;
	if (!CHECK_ERR(kolk_config_open(fixture->config, NULL, &fixture->engine, &error), KOLK_OK)) {
		kolk_config_error_text(&error, told, sizeof told);
		tap_note("%s", told);
		return false;
	}
	return CHECK_ERR(kolk_http_open(kolk_engine_loop(fixture->engine, 0), NULL, &fixture->http),
			 KOLK_OK);
}

static void fixture_reload(struct fixture *fixture, const char *format, ...)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *after;
	char told[1200];
	va_list list;

	va_start(list, format);
	after = parse(format, list);
	va_end(list);
	if (after == NULL)
		return;
	if (!CHECK_ERR(kolk_config_apply(fixture->engine, fixture->config, after, &error), KOLK_OK)) {
		kolk_config_error_text(&error, told, sizeof told);
		tap_note("%s", told);
		kolk_config_free(after);
		return;
	}
	kolk_config_free(fixture->config); /* nothing in force points into it */
	fixture->config = after;
}

static void fixture_close(struct fixture *fixture)
{
	if (fixture->http != NULL)
		CHECK_ERR(kolk_http_close(fixture->http, NULL, NULL), KOLK_OK);
	if (fixture->engine != NULL) {
		CHECK_ERR(kolk_check(fixture->engine, NULL), KOLK_OK);
		CHECK_ERR(kolk_engine_destroy(fixture->engine), KOLK_OK);
	}
	kolk_config_free(fixture->config);
}

static struct kolk_key *key_of(const struct fixture *fixture, const char *pool)
{
	struct kolk_pool *found = kolk_pool_find(fixture->engine, pool);

	return CHECK(found != NULL) ? kolk_pool_key(found) : NULL;
}

static uint64_t opened(const struct fixture *fixture, const char *pool)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	CHECK_ERR(kolk_pool_stats(kolk_pool_find(fixture->engine, pool), &stats), KOLK_OK);
	return stats.created;
}

/* ---- requests by name */

/* The version that answered, 10 times; 0 = an error. */
static uint32_t http_get(const struct fixture *fixture, const char *pool, const char *target)
{
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct kolk_http_response response = KOLK_INIT(kolk_http_response);
	uint32_t version = 0;

	request.target = target;
	if (CHECK_ERR(kolk_http_call(fixture->http, key_of(fixture, pool), &request, NULL, &response),
		      KOLK_OK) &&
	    CHECK(response.status == 200))
		version = response.version;
	kolk_http_response_free(&response);
	return version;
}

/* The answer to a command of words contains this. */
static bool redis_says(const struct fixture *fixture, const char *pool, const char *first,
		       const char *second, const char *expected)
{
	const char *const words[] = { first, second };
	const struct kolk_redis_command command = { second != NULL ? 2 : 1, words, NULL };
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);
	const struct kolk_redis_reply *reply = NULL;
	bool said;

	request.count = 1;
	request.commands = &command;
	said = CHECK_ERR(kolk_redis_call(key_of(fixture, pool), &request, &reply), KOLK_OK) &&
	       strstr(reply->text, expected) != NULL;
	if (!said && reply != NULL)
		tap_note("%s %s: %s", first, second != NULL ? second : "", reply->text);
	kolk_redis_reply_free(reply);
	return said;
}

static enum kolk_err postgres_ask(const struct fixture *fixture, const char *pool, const char *sql,
				  char *text, size_t size)
{
	const struct kolk_postgres_statement statement = { sql, NULL, 0, 0 };
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);
	struct kolk_postgres_result *result = NULL;
	enum kolk_err err;

	request.count = 1;
	request.statements = &statement;
	err = kolk_postgres_query(key_of(fixture, pool), &request, 0, &result);
	snprintf(text, size, "%s", err == KOLK_OK ? kolk_postgres_result_text(result, 0, 0) : "");
	kolk_postgres_result_free(result);
	return err;
}

static bool postgres_says(const struct fixture *fixture, const char *pool, const char *sql,
			  const char *expected)
{
	char text[200];

	if (!CHECK_ERR(postgres_ask(fixture, pool, sql, text, sizeof text), KOLK_OK))
		return false;
	if (strcmp(text, expected) != 0)
		tap_note("%s: %s", sql, text);
	return strcmp(text, expected) == 0;
}

/* ---- tests */

static void test_http(void)
{
	struct kit_peer *peer = kit_nginx_start(&(struct kit_nginx_options){ .tls = true,
									     .http2 = true });
	struct fixture fixture;

	if (peer == NULL)
		return;
	if (fixture_open(&fixture,
		       "pools:\n"
		       "- {name: plain, address: '%s', protocol: http}\n"
		       "- {name: one, address: '%s', protocol: http, tls: {ca_file: '%s'},"
		       "   http: {version: 1.1, ping: head, ping_target: /small}}\n"
		       "- {name: two, address: '%s', protocol: http, tls: {ca_file: '%s'},"
		       "   http: {version: 2, streams_max: 10}}\n"
		       "- {name: either, address: 'tls://%s', protocol: http,"
		       "   tls: {ca_file: '%s'}}\n"
			 "- {name: known, address: '%s', protocol: http, http: {version: 2}}\n",
			 peer->address, peer->tls_address, peer->ca_file, peer->tls_address,
			 peer->ca_file, peer->tls_address, peer->ca_file, peer->h2c_address)) {
		CHECK(http_get(&fixture, "plain", "/small") == 11);
		CHECK(http_get(&fixture, "one", "/small") == 11);
		CHECK(http_get(&fixture, "two", "/small") == 20);
		CHECK(http_get(&fixture, "either", "/small") == 20);
		CHECK(http_get(&fixture, "known", "/small") == 20);
	}
	fixture_close(&fixture);
	kit_peer_close(peer);
}

static void test_redis(void)
{
	static const char *const args[] = { "--user", "worker", "on", ">canary-redis",
					    "~*", "&*", "+@all", NULL };
	struct kit_peer *peer = kit_redis_start(&(struct kit_redis_options){ .tls = true,
									     .args = args });
	struct fixture fixture;

	if (peer == NULL)
		return;
	if (fixture_open(&fixture,
		       "pools:\n"
		       "- {name: cache, address: '%s', protocol: redis,"
		       "   redis: {user: worker, password: '${REDIS_SECRET}', database: 3,"
		       "           client_name: kolk-yaml}}\n"
		       "- {name: secure, address: '%s', protocol: redis, tls: {ca_file: '%s'},"
			 "   redis: {user: worker, password: '${REDIS_SECRET}'}}\n",
			 peer->address, peer->tls_address, peer->ca_file)) {
		CHECK(redis_says(&fixture, "cache", "CLIENT", "INFO", "user=worker"));
		CHECK(redis_says(&fixture, "cache", "CLIENT", "INFO", " db=3 "));
		CHECK(redis_says(&fixture, "cache", "CLIENT", "INFO", " name=kolk-yaml "));
		CHECK(redis_says(&fixture, "secure", "CLIENT", "INFO", " db=0 "));
	}
	fixture_close(&fixture);
	kit_peer_close(peer);
}

/* A file of one secret, that only its owner can read. */
static void secret_write(const char *path, const char *secret)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && write(fd, secret, strlen(secret)) == (ssize_t)strlen(secret));
	close(fd);
}

#define POSTGRES_POOL                                                                        \
	"pools:\n"                                                                           \
	"- {name: db, address: '%s', protocol: postgres, tls: {ca_file: '%s'},"              \
	"   limits: {connections_max: 1},"                                                   \
	"   postgres: {user: " KIT_POSTGRES_USER ", password: 'file:%s', database: %s,"      \
	"              application_name: kolk-yaml, scram_required: true,"                   \
	"              parameters: [search_path, pg_catalog]}}\n"

static void test_postgres(void)
{
	struct kit_peer *peer = kit_postgres_start(&(struct kit_postgres_options){
		.tls = true, .sql = "create database shop" });
	char secret[KIT_PEER_PATH + 8];
	struct fixture fixture;

	if (peer == NULL)
		return;
	snprintf(secret, sizeof secret, "%s/secret", peer->directory);
	secret_write(secret, KIT_POSTGRES_SECRET "\n");
	if (fixture_open(&fixture, POSTGRES_POOL, peer->tls_address, peer->ca_file, secret, "shop")) {
		CHECK(postgres_says(&fixture, "db", "select current_database()", "shop"));
		CHECK(postgres_says(&fixture, "db", "show application_name", "kolk-yaml"));
		CHECK(postgres_says(&fixture, "db", "show search_path", "pg_catalog"));
		CHECK(postgres_says(&fixture, "db",
				    "select ssl from pg_stat_ssl where pid = pg_backend_pid()", "t"));
		CHECK(kolk_pool_find(fixture.engine, "db.cancel") != NULL);
		/* The same file is the same identity: no connection is opened anew. */
		uint64_t before = opened(&fixture, "db");

		fixture_reload(&fixture, POSTGRES_POOL, peer->tls_address, peer->ca_file, secret, "shop");
		CHECK(postgres_says(&fixture, "db", "select current_database()", "shop"));
		CHECK(opened(&fixture, "db") == before);
		fixture_reload(&fixture, POSTGRES_POOL, peer->tls_address, peer->ca_file, secret,
			       "postgres");
		CHECK(postgres_says(&fixture, "db", "select current_database()", "postgres"));
		CHECK(opened(&fixture, "db") > before);
		fixture_reload(&fixture, "pools: []");
		CHECK(WITHIN_MS(5000, kolk_config_reap(fixture.engine) + 0 > 0 ||
					      kolk_pool_find(fixture.engine, "db") == NULL));
	}
	fixture_close(&fixture);
	kit_peer_close(peer);
}

/* An answer that is late: each protocol's request ends by the pool's own time-outs. */
static void test_timeouts(void)
{
	struct kit_peer *redis = kit_redis_start(&(struct kit_redis_options){ 0 });
	struct kit_peer *postgres = kit_postgres_start(&(struct kit_postgres_options){ 0 });
	struct kit_peer *nginx = kit_nginx_start(&(struct kit_nginx_options){ 0 });
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct kolk_http_response response = KOLK_INIT(kolk_http_response);
	const char *const words[] = { "PING" };
	const struct kolk_redis_command command = { 1, words, NULL };
	struct kolk_redis_request ping = KOLK_INIT(kolk_redis_request);
	const struct kolk_redis_reply *reply = NULL;
	struct fixture fixture;
	char text[64];
	uint64_t begun;

	if (redis == NULL || postgres == NULL || nginx == NULL)
		goto out;
	ping.count = 1;
	ping.commands = &command;
#define TIMES "timeouts: {connect: 5s, lookup: 5s, %s}"
	for (int i = 0; i < 2; i++) {
		const char *times = i == 0 ? "socket: 1s, request: 60s" :
					     "socket: 30s, request: 1s";

		if (!fixture_open(&fixture,
				"pools:\n"
				  "- {name: web, address: '%s', protocol: http, " TIMES "}\n"
				  "- {name: cache, address: '%s', protocol: redis, " TIMES "}\n"
				  "- {name: db, address: '%s', protocol: postgres, " TIMES ","
				  "   postgres: {user: " KIT_POSTGRES_USER ","
				  "              password: " KIT_POSTGRES_SECRET ", database: postgres}}\n",
				  nginx->address, times, redis->address, times, postgres->address, times))
			break;
		CHECK(http_get(&fixture, "web", "/small") == 11);
		CHECK(redis_says(&fixture, "cache", "PING", NULL, "PONG"));
		begun = tap_now_ms();
		CHECK_ERR(postgres_ask(&fixture, "db", "select pg_sleep(20)", text, sizeof text),
			  KOLK_E_TIMEOUT);
		kit_peer_freeze(nginx);
		kit_peer_freeze(redis);
		CHECK_ERR(kolk_http_call(fixture.http, key_of(&fixture, "web"), &request, NULL,
					 &response), KOLK_E_TIMEOUT);
		kolk_http_response_free(&response);
		CHECK_ERR(kolk_redis_call(key_of(&fixture, "cache"), &ping, &reply), KOLK_E_TIMEOUT);
		CHECK(tap_now_ms() - begun < 15000); /* neither 30 s nor 60 s */
		kit_peer_thaw(nginx);
		kit_peer_thaw(redis);
		fixture_close(&fixture);
	}
out:
	kit_peer_close(nginx);
	kit_peer_close(postgres);
	kit_peer_close(redis);
}

/* What a reload says of the identity opens new connections; what it does not, leaves them. */
static void test_reload(void)
{
	struct kit_peer *peer = kit_redis_start(&(struct kit_redis_options){ .password = "one" });
	struct fixture fixture;
	uint64_t before;

	if (peer == NULL)
		return;
#define CACHE                                                                                \
	"pools: [{name: cache, address: '%s', protocol: redis, timeouts: {request: %s},"     \
	"         limits: {connections_max: 1},"                                             \
	"         redis: {password: one, database: %d}}]"
	if (fixture_open(&fixture, CACHE, peer->address, "10s", 0)) {
		CHECK(redis_says(&fixture, "cache", "CLIENT", "INFO", " db=0 "));
		before = opened(&fixture, "cache");
		fixture_reload(&fixture, CACHE, peer->address, "20s", 0);
		CHECK(kolk_pool_request_timeout_ns(kolk_pool_find(fixture.engine, "cache")) ==
		      20 * KOLK_S_NS);
		CHECK(redis_says(&fixture, "cache", "CLIENT", "INFO", " db=0 "));
		CHECK(opened(&fixture, "cache") == before);
		fixture_reload(&fixture, CACHE, peer->address, "20s", 2);
		CHECK(redis_says(&fixture, "cache", "CLIENT", "INFO", " db=2 "));
		CHECK(opened(&fixture, "cache") > before);
		before = opened(&fixture, "cache");
		CHECK(kolk_pool_rotate(kolk_pool_find(fixture.engine, "cache")) > 0);
		CHECK(redis_says(&fixture, "cache", "CLIENT", "INFO", " db=2 "));
	}
	fixture_close(&fixture);
	kit_peer_close(peer);
}

static const struct tap_test tests[] = {
	{ "HTTP/1.1 and HTTP/2 by name", test_http },
	{ "Redis by name: user, secret, database, TLS", test_redis },
	{ "PostgreSQL by name: user, secret, database, TLS, reload", test_postgres },
	{ "time-outs of a request, and of its pauses", test_timeouts },
	{ "a reload changes the identity, or not", test_reload },
};
TAP_TESTS(config, tests);
