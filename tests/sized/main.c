/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - every struct that begins with its size, given to a library that was compiled with other
 * headers. tests/sized/run compiles this with three sets: OLDER (structs without their last field),
 * NEWER (with one more), and these; the library stays.
 *
 * Structs lie at the end of a page with nothing behind it: a byte too many, read or written, is a
 * crash.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <kolk/http.h>
#include <kolk/kolk.h>
#include <kolk/ops/admin.h>
#include <kolk/ops/config.h>
#include <kolk/ops/status.h>
#include <kolk/postgres.h>
#include <kolk/redis.h>
#include <kolk/sys/sys.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef NEWER
enum { UNKNOWN = 8 }; /* bytes that the library does not know */
#else
enum { UNKNOWN = 0 };
#endif
enum { PAGE = 4096, MORE = 16, UNTOUCHED = 0xa5 };

static struct kolk_engine *engine;
static struct kolk_http *http;
static char address[32];  /* of the server */
static struct kolk_pool *raw, *http_pool, *redis, *postgres, *dead; /* dead: nobody listens */
static int wrong;         /* of the struct that is looked at */

static uint64_t soon(void)
{
	return kolk_in_ms(5000);
}

static void complain(const char *what, uint32_t size, enum kolk_err err)
{
	printf("# %s, size %u: %s\n", what, size, kolk_err_name(err));
	wrong++;
}

/* Memory of so many bytes, the end of which is the end of a page. */
static void *edge(uint32_t size)
{
	char *memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || mprotect(memory + PAGE, PAGE, PROT_NONE) != 0)
		exit(2);
	return memory + PAGE - size;
}

static void edge_free(void *at)
{
	munmap((void *)((uintptr_t)at & ~(uintptr_t)(PAGE - 1)), 2 * PAGE);
}

/* ---- a server of HTTP, Redis and PostgreSQL, as far as one request of each goes */

static void answer_postgres(int fd, const char *data, ssize_t size)
{
	static const char login[] = "R\0\0\0\10\0\0\0\0Z\0\0\0\5I";
	const char *tag;
	char text[64];
	uint32_t length;

	if (data[0] == 0) {
		(void)!write(fd, login, sizeof login - 1);
		return;
	}
	for (uint32_t at = 0; at + 5 < (size_t)size && data[at] == 'Q'; at += 1 + length) {
		memcpy(&length, data + at + 1, 4);
		length = ntohl(length);
		tag = data[at + 5] == 'b' ? "BEGIN" : data[at + 5] == 'c' ? "COMMIT" : "SELECT 0";
		text[0] = 'C';
		memcpy(text + 1, &(uint32_t){ htonl((uint32_t)strlen(tag) + 5) }, 4);
		strcpy(text + 5, tag);
		memcpy(text + 6 + strlen(tag), tag[0] == 'B' ? "Z\0\0\0\5T" : "Z\0\0\0\5I", 6);
		(void)!write(fd, text, 12 + strlen(tag));
	}
}

static void *serve(void *arg)
{
	static const char page[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	int fd = (int)(intptr_t)arg;
	char data[8192];
	ssize_t size;

	while ((size = read(fd, data, sizeof data)) > 0) {
		if (data[0] == 'G')
			(void)!write(fd, page, sizeof page - 1);
		else if (data[0] == '*')
			for (ssize_t i = 0; i < size; i++)
				(void)!write(fd, "+PONG\r\n", data[i] == '*' ? 7 : 0);
		else
			answer_postgres(fd, data, size);
	}
	close(fd);
	return NULL;
}

static void *listener(void *arg)
{
	pthread_t thread;

	for (;;) {
		int fd = accept((int)(intptr_t)arg, NULL, NULL);

		if (fd >= 0 && pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
			pthread_detach(thread);
	}
	return NULL;
}

static bool server_start(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	pthread_t thread;

	if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 64) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &size) != 0)
		return false;
	snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(at.sin_port));
	return pthread_create(&thread, NULL, listener, (void *)(intptr_t)fd) == 0;
}

/* ---- options: each given to a call that takes it */

static struct kolk_pool_options pool_options(const char *name)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = name;
	o.address = address;
	o.idle_min = KOLK_NONE;
	o.connect_timeout_ns = 2 * KOLK_S_NS;
	return o;
}

/* Add the pool, lease from it once, close it. */
static enum kolk_err lease_once(const struct kolk_pool_options *o)
{
	struct kolk_pool *pool;
	struct kolk_lease lease;
	enum kolk_err err = kolk_pool_add(engine, o, &pool);

	if (err != KOLK_OK)
		return err;
	err = kolk_acquire(kolk_pool_key(pool), soon(), &lease);
	if (err == KOLK_OK)
		err = kolk_release(&lease);
	if (kolk_pool_close(pool, soon()) != KOLK_OK)
		complain("the pool does not close", 0, KOLK_E_TIMEOUT);
	return err;
}

static enum kolk_err use_engine(const void *given)
{
	struct kolk_engine *made;
	enum kolk_err err = kolk_engine_create(given, &made);

	return err == KOLK_OK ? kolk_engine_destroy(made) : err;
}

static enum kolk_err use_sys(const void *given)
{
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);

	o.loops = 1;
	o.sys = given;
	return use_engine(&o);
}

static enum kolk_err use_pool(const void *given)
{
	return kolk_pool_check(engine, given);
}

static enum kolk_err use_postgres_pool(const void *given)
{
	struct kolk_pool *pool, *carrier;
	enum kolk_err err = kolk_postgres_pool_add(engine, given, &pool);

	if (err != KOLK_OK)
		return err;
	carrier = kolk_pool_find(engine, "pg.cancel");
	err = kolk_pool_close(pool, soon());
	return err == KOLK_OK ? kolk_pool_close(carrier, soon()) : err;
}

static enum kolk_err use_tls(const void *given)
{
	struct kolk_pool_options o = pool_options("tls");

	o.tls = given;
	return kolk_pool_check(engine, &o);
}

static enum kolk_err use_child(const void *given)
{
	struct kolk_pool_options o = pool_options("child");

	o.address = NULL;
	o.child = given;
	return kolk_pool_check(engine, &o);
}

static enum kolk_err use_limits(const void *given)
{
	return kolk_pool_limits_set(raw, given);
}

static enum kolk_err use_tenant(const void *given)
{
	return kolk_tenant_limits_set(engine, "somebody", given);
}

static enum kolk_err use_driver(const void *given)
{
	struct kolk_pool_options o = pool_options("driver");

	o.driver = given;
	return lease_once(&o);
}

static enum kolk_err clean(void *user, void *session)
{
	return user != NULL || session == NULL ? KOLK_E_PROTOCOL : KOLK_OK;
}

static enum kolk_err create(void *user, void **resource)
{
	*resource = user;
	return KOLK_OK;
}

#ifndef OLDER
static void destroy(void *user, void *resource)
{
	(void)user;
	(void)resource;
}
#endif

static enum kolk_err use_resource(const void *given)
{
	struct kolk_pool_options o = pool_options("resource");

	o.address = NULL;
	o.resource = given;
	o.driver_user = &o;
	return lease_once(&o);
}

static enum kolk_err use_filter(const void *given)
{
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(kolk_pool_key(raw), soon(), &lease);

	if (err == KOLK_OK)
		err = kolk_release(&lease);
	if (err != KOLK_OK)
		return err;
	return kolk_engine_clear(engine, given) > 0 ? KOLK_OK : KOLK_E_OPTIONS;
}

static enum kolk_err use_key(const void *given)
{
	struct kolk_key *key;
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire_as(raw, given, soon(), &lease);

	if (err == KOLK_OK)
		err = kolk_discard(&lease);
	if (err != KOLK_OK)
		return err;
	err = kolk_key_open(raw, given, &key);
	if (err == KOLK_OK)
		kolk_key_close(key);
	return err;
}

static enum kolk_err use_http_driver(const void *given)
{
	struct kolk_pool_options o = pool_options("http driver");

	o.driver = kolk_driver_http();
	o.driver_user = (void *)(uintptr_t)given;
	return lease_once(&o);
}

static enum kolk_err use_http(const void *given)
{
	struct kolk_http *made;
	enum kolk_err err = kolk_http_open(kolk_engine_loop(engine, 0), given, &made);

	return err == KOLK_OK ? kolk_http_close(made, NULL, NULL) : err;
}

static enum kolk_err use_http_request(const void *given)
{
	struct kolk_http_response response = KOLK_INIT(kolk_http_response);
	enum kolk_err err = kolk_http_call(http, kolk_pool_key(http_pool), given, NULL, &response);

	kolk_http_response_free(&response);
	return err;
}

struct asked {
	struct kolk_call call;
	const void *handler;
	enum kolk_err err;
	sem_t over;
};

static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t count)
{
	struct asked *asked = user;

	(void)exchange;
	(void)trailers;
	(void)count;
	asked->err = err;
	sem_post(&asked->over);
}

static void ask(struct kolk_call *call, void *user)
{
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct asked *asked = user;

	(void)call;
	asked->err = kolk_http_start(http, kolk_pool_key(http_pool), &request, asked->handler, asked,
				     NULL);
	if (asked->err != KOLK_PENDING)
		sem_post(&asked->over);
}

static enum kolk_err use_http_handler(const void *given)
{
	struct asked asked = { .handler = given };
	enum kolk_err err;

	sem_init(&asked.over, 0, 0);
	err = kolk_loop_call(kolk_engine_loop(engine, 0), &asked.call, ask, &asked);
	if (err != KOLK_OK)
		return err;
	while (sem_wait(&asked.over) != 0)
		;
	sem_destroy(&asked.over);
	return asked.err;
}

static enum kolk_err use_redis(const void *given)
{
	struct kolk_pool_options o = pool_options("redis options");

	o.driver = kolk_driver_redis();
	o.driver_user = (void *)(uintptr_t)given;
	return lease_once(&o);
}

static enum kolk_err use_redis_request(const void *given)
{
	const struct kolk_redis_reply *reply = NULL;
	enum kolk_err err = kolk_redis_call(kolk_pool_key(redis), given, &reply);

	kolk_redis_reply_free(reply);
	return err;
}

static enum kolk_err use_postgres(const void *given)
{
	struct kolk_pool_options o = pool_options("postgres options");
	enum kolk_err err;

	o.driver = kolk_driver_postgres();
	o.driver_user = (void *)(uintptr_t)given;
	err = lease_once(&o);
	return err == KOLK_E_AUTH ? KOLK_E_OPTIONS : err; /* no user */
}

static enum kolk_err use_postgres_request(const void *given)
{
	return kolk_postgres_query(kolk_pool_key(postgres), given, soon(), NULL);
}

static enum kolk_err nothing(void *user, const struct kolk_lease *lease, uint64_t deadline_ns)
{
	(void)user;
	(void)lease;
	(void)deadline_ns;
	return KOLK_OK;
}

static enum kolk_err use_transaction(const void *given)
{
	return kolk_postgres_transact(kolk_pool_key(postgres), given, soon(), nothing, NULL);
}

static enum kolk_err use_admin(const void *given)
{
	struct kolk_admin *admin;
	enum kolk_err err = kolk_admin_open(engine, given, &admin);

	if (err == KOLK_OK)
		kolk_admin_close(admin);
	return err;
}

static enum kolk_err use_status(const void *given)
{
	char *text = kolk_status_json(engine, given);
	enum kolk_err err = text != NULL ? KOLK_OK : KOLK_E_OPTIONS;

	free(text);
	return err;
}

static struct kolk_config *config_of(const char *text)
{
	struct kolk_config *config;

	if (kolk_config_parse("text", text, strlen(text), NULL, &config, NULL) != KOLK_OK)
		exit(2);
	return config;
}

static enum kolk_err use_base(const void *given)
{
	struct kolk_config *config = config_of("pools: []\n");
	struct kolk_engine *made;
	enum kolk_err err = kolk_config_open(config, given, &made, NULL);

	kolk_config_free(config);
	return err == KOLK_OK ? kolk_engine_destroy(made) : err;
}

static enum kolk_err use_error_text(const void *given)
{
	char text[800];

	return kolk_config_error_text(given, text, sizeof text) > 0 ? KOLK_OK : KOLK_E_OPTIONS;
}

/* Whole and shorter, longer, without a size. Up to `needs` bytes there is something that is
 * required. No older struct ended inside of a field: sizes go by the alignment. */
struct options {
	const char *name, *by;
	const void *value;
	uint32_t size, step, needs;
	enum kolk_err (*use)(const void *given);
	bool no_refusals; /* it says how far it goes, not what is wanted */
};

static enum kolk_err use_at(const struct options *o, uint32_t size, uint32_t said, uint8_t last)
{
	uint8_t *at = edge(size);
	enum kolk_err err;

	memset(at, 0, size);
	memcpy(at, o->value, size < o->size ? size : o->size);
	at[size - 1] |= last;
	memcpy(at, &said, sizeof said);
	err = o->use(at);
	edge_free(at);
	return err;
}

static void expect(const struct options *o, uint32_t size, enum kolk_err err, enum kolk_err wanted)
{
	if (err != wanted)
		complain(o->by, size, err);
}

static void options_walk(const struct options *o)
{
	for (uint32_t size = 8; size <= o->size; size += o->step)
		expect(o, size, use_at(o, size, size, 0),
		       size < o->needs ? KOLK_E_OPTIONS : KOLK_OK);
	expect(o, o->size + MORE, use_at(o, o->size + MORE, o->size + MORE, 0), KOLK_OK);
	if (o->no_refusals)
		return;
	expect(o, o->size + MORE, use_at(o, o->size + MORE, o->size + MORE, 1), KOLK_E_OPTIONS);
	expect(o, 0, use_at(o, o->size, 0, 0), KOLK_E_OPTIONS);
	expect(o, 4, use_at(o, o->size, 4, 0), KOLK_E_OPTIONS);
	expect(o, 1 << 20, use_at(o, o->size, 1 << 20, 0), KOLK_E_OPTIONS);
}

#define END_OF(type, field) (offsetof(struct type, field) + sizeof(((struct type *)0)->field))
#define OPTIONS(type, value, needs, use)                                                       \
	{ #type, #use, (value), (uint32_t)sizeof(struct type), _Alignof(struct type),          \
	  (uint32_t)(needs), (use), false }

static void all_options(void)
{
	static const char *const command[] = { "/bin/true", NULL };
	static const char *const words[] = { "PING" };
	const struct kolk_redis_command ping = { .count = 1, .arguments = words };
	const struct kolk_postgres_statement select = { .sql = "select",
							.flags = KOLK_POSTGRES_SIMPLE |
								 KOLK_POSTGRES_HARMLESS };
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool = pool_options("pool"), pg = pool_options("pg");
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_child_options child = KOLK_INIT(kolk_child_options);
	struct kolk_pool_limits limits = KOLK_INIT(kolk_pool_limits);
	struct kolk_tenant_limits tenant = KOLK_INIT(kolk_tenant_limits);
	struct kolk_driver driver = KOLK_INIT(kolk_driver);
	struct kolk_resource_driver resource = KOLK_INIT(kolk_resource_driver);
	struct kolk_filter filter = KOLK_INIT(kolk_filter);
	struct kolk_key_options key = KOLK_INIT(kolk_key_options);
	struct kolk_http_driver_options http_driver = KOLK_INIT(kolk_http_driver_options);
	struct kolk_http_options client = KOLK_INIT(kolk_http_options);
	struct kolk_http_request get = KOLK_INIT(kolk_http_request);
	struct kolk_http_handler handler = KOLK_INIT(kolk_http_handler);
	struct kolk_redis_options redis_options = KOLK_INIT(kolk_redis_options);
	struct kolk_redis_request command_request = KOLK_INIT(kolk_redis_request);
	struct kolk_postgres_options login = KOLK_INIT(kolk_postgres_options);
	struct kolk_postgres_request query = KOLK_INIT(kolk_postgres_request);
	struct kolk_postgres_transaction transaction = KOLK_INIT(kolk_postgres_transaction);
	struct kolk_admin_options admin = KOLK_INIT(kolk_admin_options);
	struct kolk_status_options status = KOLK_INIT(kolk_status_options);
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	const struct kolk_sys *linux_sys = kolk_sys_linux();
	struct kolk_sys sys = { 0 };
	char listen_at[64];
	const struct options all[] = {
		OPTIONS(kolk_engine_options, &e, 8, use_engine),
		OPTIONS(kolk_engine_options, &e, 8, use_base),
		OPTIONS(kolk_pool_options, &pool, END_OF(kolk_pool_options, address), use_pool),
		OPTIONS(kolk_pool_options, &pg, END_OF(kolk_pool_options, driver_user),
			use_postgres_pool),
		OPTIONS(kolk_tls_options, &tls, 8, use_tls),
		OPTIONS(kolk_child_options, &child, END_OF(kolk_child_options, command), use_child),
		OPTIONS(kolk_pool_limits, &limits, 8, use_limits),
		OPTIONS(kolk_tenant_limits, &tenant, 8, use_tenant),
		OPTIONS(kolk_driver, &driver, 8, use_driver),
		OPTIONS(kolk_resource_driver, &resource, END_OF(kolk_resource_driver, create),
			use_resource),
		OPTIONS(kolk_filter, &filter, 8, use_filter),
		OPTIONS(kolk_key_options, &key, 8, use_key),
		OPTIONS(kolk_http_driver_options, &http_driver, 8, use_http_driver),
		OPTIONS(kolk_http_options, &client, 8, use_http),
		OPTIONS(kolk_http_request, &get, 8, use_http_request),
		OPTIONS(kolk_http_handler, &handler, END_OF(kolk_http_handler, end),
			use_http_handler),
		OPTIONS(kolk_redis_options, &redis_options, 8, use_redis),
		OPTIONS(kolk_redis_request, &command_request, END_OF(kolk_redis_request, commands),
			use_redis_request),
		OPTIONS(kolk_postgres_options, &login, END_OF(kolk_postgres_options, user),
			use_postgres),
		OPTIONS(kolk_postgres_request, &query, END_OF(kolk_postgres_request, statements),
			use_postgres_request),
		OPTIONS(kolk_postgres_transaction, &transaction, 8, use_transaction),
		OPTIONS(kolk_admin_options, &admin, END_OF(kolk_admin_options, listen), use_admin),
		OPTIONS(kolk_status_options, &status, 8, use_status),
		OPTIONS(kolk_sys, &sys, END_OF(kolk_sys, child_read), use_sys),
		{ "kolk_config_error", "use_error_text", &error, sizeof error, 4, 8, use_error_text,
		  true },
	};

	snprintf(listen_at, sizeof listen_at, "unix:/tmp/kolk-sized-%d", (int)getpid());
	memcpy(&sys, linux_sys, linux_sys->size < sizeof sys ? linux_sys->size : sizeof sys);
	e.loops = 1;
	pg.driver = kolk_driver_postgres();
	pg.driver_user = &login;
	tls.verify_off = 1;
	child.command = command;
	limits.connections_max = 10;
	tenant.connections_max = 10;
	driver.session_bytes = 8;
	driver.name = "sized";
	driver.clean = clean;
	resource.name = "sized";
	resource.create = create;
#ifndef OLDER
	resource.destroy = destroy;
#endif
	key.tenant = "one";
	handler.end = on_end;
	command_request.count = 1;
	command_request.commands = &ping;
	login.user = "u";
	query.count = 1;
	query.statements = &select;
	admin.listen = listen_at;
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		wrong = 0;
		options_walk(&all[i]);
		printf("%sok %s, %s\n", wrong ? "not " : "", all[i].name, all[i].by);
	}
}

/* ---- results: each filled by a call that tells it. KOLK_OK = it did */

#ifndef OLDER /* in which failure is what was taken away */
static enum kolk_err told(enum kolk_err err, enum kolk_err wanted, const struct kolk_failure *failure)
{
	return err == wanted && failure->err == wanted ? KOLK_OK : KOLK_E_OPTIONS;
}

static enum kolk_err tell_engine_failure(void *into)
{
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);
	struct kolk_engine *made;

	o.dials_max = KOLK_NONE;
	o.failure = into;
	return told(kolk_engine_create(&o, &made), KOLK_E_OPTIONS, into);
}

static enum kolk_err tell_pool_failure(void *into)
{
	struct kolk_pool_options o = pool_options("refused");

	o.circuit_percent = 101;
	o.failure = into;
	return told(kolk_pool_check(engine, &o), KOLK_E_OPTIONS, into);
}

static enum kolk_err tell_origin_failure(void *into)
{
	struct kolk_pool_options o = pool_options("refused");

	o.address = "nonsense";
	o.failure = into;
	return told(kolk_pool_check(engine, &o), KOLK_E_OPTIONS, into);
}

static enum kolk_err tell_open_failure(void *into)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	struct kolk_key *key;

	o.replaces = 2;
	o.failure = into;
	return told(kolk_key_open(raw, &o, &key), KOLK_E_OPTIONS, into);
}

static enum kolk_err tell_admin_failure(void *into)
{
	struct kolk_admin_options o = KOLK_INIT(kolk_admin_options);
	struct kolk_admin *admin;

	o.failure = into;
	return told(kolk_admin_open(engine, &o, &admin), KOLK_E_OPTIONS, into);
}

/* What is not known is told as such, by name. */
static void unknown_is_named(void)
{
	struct {
		struct kolk_pool_options o;
		uint64_t unknown;
	} newer = { .o = pool_options("newer"), .unknown = 1 };
	struct kolk_failure failure = KOLK_INIT(kolk_failure);

	wrong = 0;
	newer.o.size = (uint32_t)sizeof newer;
	newer.o.failure = &failure;
	if (kolk_pool_check(engine, &newer.o) != KOLK_E_OPTIONS || failure.field == NULL ||
	    strcmp(failure.field, "size") != 0)
		complain("kolk_pool_check", newer.o.size, failure.err);
	printf("%sok what is not known is named\n", wrong ? "not " : "");
}
#endif

static enum kolk_err tell_key_failure(void *into)
{
	return kolk_key_failure(kolk_pool_key(dead), into) ? KOLK_OK : KOLK_E_OPTIONS;
}

static enum kolk_err tell_engine_info(void *into)
{
	return kolk_engine_inspect(engine, into);
}

static enum kolk_err tell_pool_info(void *into)
{
	return kolk_pool_inspect(dead, into);
}

static enum kolk_err tell_loop_info(void *into)
{
	return kolk_loop_inspect(kolk_engine_loop(engine, 0), into);
}

static enum kolk_err tell_engine_stats(void *into)
{
	return kolk_engine_stats(engine, into);
}

static enum kolk_err tell_pool_stats(void *into)
{
	return kolk_pool_stats(raw, into);
}

static enum kolk_err tell_key_stats(void *into)
{
	return kolk_key_stats(kolk_pool_key(raw), into);
}

static enum kolk_err tell_tenant_stats(void *into)
{
	return kolk_tenant_stats(engine, "", into);
}

static enum kolk_err tell_lease(void *into)
{
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(kolk_pool_key(raw), soon(), &lease);

	if (err != KOLK_OK)
		return err;
	err = kolk_lease_info(&lease, into);
	(void)kolk_discard(&lease); /* so that each is the first of its connection */
	return err;
}

static enum kolk_err tell_response(void *into)
{
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	enum kolk_err err = kolk_http_call(http, kolk_pool_key(http_pool), &request, NULL, into);
	struct kolk_http_response copy = KOLK_INIT(kolk_http_response);

	if (err == KOLK_OK) { /* freed by a copy: what it is filled with is looked at */
		memcpy(&copy.memory, (char *)into + offsetof(struct kolk_http_response, memory),
		       sizeof copy.memory);
		kolk_http_response_free(&copy);
		err = copy.memory == NULL ? KOLK_OK : KOLK_E_IN_USE;
	}
	return err;
}

static enum kolk_err tell_postgres(void *into)
{
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(kolk_pool_key(postgres), soon(), &lease);

	if (err != KOLK_OK)
		return err;
	err = kolk_postgres_info(&lease, into);
	(void)kolk_postgres_release(&lease);
	return err;
}

static enum kolk_err tell_parse_error(void *into)
{
	const struct kolk_config_error *error = into;
	struct kolk_config *config;
	enum kolk_err err = kolk_config_parse("text", "nonsense: 1\n", 12, NULL, &config, into);

	return err == KOLK_E_OPTIONS && error->err == err ? KOLK_OK : KOLK_E_OPTIONS;
}

static enum kolk_err tell_load_error(void *into)
{
	const struct kolk_config_error *error = into;
	struct kolk_config *config;
	enum kolk_err err = kolk_config_load("/nowhere", NULL, &config, into);

	return err == KOLK_E_NOT_FOUND && error->err == err ? KOLK_OK : KOLK_E_OPTIONS;
}

static enum kolk_err tell_try_error(void *into)
{
	static const char text[] = "pools: [{name: a, address: 'a:1', tls: {ca_file: /nowhere}}]\n";
	const struct kolk_config_error *error = into;
	struct kolk_config *config = config_of(text);
	enum kolk_err err = kolk_config_try(config, into);

	kolk_config_free(config);
	return err == KOLK_E_TLS && error->err == err ? KOLK_OK : KOLK_E_OPTIONS;
}

static enum kolk_err tell_tenant(void *into)
{
	struct kolk_config *config = config_of("tenants: [{name: gold, connections_max: 7}]\npools: []\n");
	const char *name = kolk_config_tenant(config, 0, into);

	kolk_config_free(config);
	return name != NULL ? KOLK_OK : KOLK_E_OPTIONS;
}

static uint32_t request_shown;

static enum kolk_err create_for(void *user, struct kolk_resource_request *request, void **resource)
{
	*resource = user;
	request_shown = request->size;
	return request->key != NULL ? KOLK_OK : KOLK_E_RESOURCE;
}

/* Shown by the library, with the library's size: as much as both know is there. */
static void request_is_shown(void)
{
	struct kolk_resource_driver resource = KOLK_INIT(kolk_resource_driver);

	wrong = 0;
	resource.create_for = create_for;
	if (use_resource(&resource) != KOLK_OK || request_shown < END_OF(kolk_resource_request, key))
		complain("create_for", request_shown, KOLK_E_OPTIONS);
	printf("%sok kolk_resource_request, create_for\n", wrong ? "not " : "");
}

struct result {
	const char *name, *by;
	uint32_t size, step, needs;
	enum kolk_err (*tell)(void *into);
};

static void *result_at(uint32_t size, uint32_t said)
{
	void *at = edge(size);

	memset(at, UNTOUCHED, size);
	memcpy(at, &said, sizeof said);
	return at;
}

/* The caller's size stays, a first field is there, and what the library does not know is not. */
static void told_at(const struct result *r, uint32_t size)
{
	uint8_t *at = result_at(size, size);
	enum kolk_err err = r->tell(at);
	bool filled = memcmp(at, &size, sizeof size) == 0 && at[4] != UNTOUCHED;

#ifndef OLDER
	for (uint32_t i = r->size - UNKNOWN; i < size; i++)
		filled &= at[i] == UNTOUCHED;
#endif
	if (size < r->needs ? err != KOLK_E_OPTIONS : err != KOLK_OK || !filled)
		complain(r->by, size, err);
	edge_free(at);
}

/* Without a size nothing is written. */
static void refused_at(const struct result *r, uint32_t said)
{
	uint8_t *at = result_at(r->size, said);
	enum kolk_err err = r->tell(at);

	for (uint32_t i = 4; i < r->size; i++)
		if (at[i] != UNTOUCHED)
			err = KOLK_OK;
	if (err != KOLK_E_OPTIONS)
		complain(r->by, said, err);
	edge_free(at);
}

static void result_walk(const struct result *r)
{
	for (uint32_t size = 8; size <= r->size; size += r->step)
		told_at(r, size);
	told_at(r, r->size + MORE);
	refused_at(r, 0);
	refused_at(r, 4);
	refused_at(r, 1 << 20);
}

#define RESULT(type, needs, tell)                                                              \
	{ #type, #tell, (uint32_t)sizeof(struct type), _Alignof(struct type), (uint32_t)(needs),  \
	  (tell) }

static void all_results(void)
{
	static const struct result all[] = {
#ifndef OLDER
		RESULT(kolk_failure, 8, tell_engine_failure),
		RESULT(kolk_failure, 8, tell_pool_failure),
		RESULT(kolk_failure, 8, tell_origin_failure),
		RESULT(kolk_failure, 8, tell_open_failure),
		RESULT(kolk_failure, 8, tell_admin_failure),
#endif
		RESULT(kolk_failure, 8, tell_key_failure),
		RESULT(kolk_engine_info, 8, tell_engine_info),
		RESULT(kolk_pool_info, 8, tell_pool_info),
		RESULT(kolk_loop_info, 8, tell_loop_info),
		RESULT(kolk_stats, 8, tell_engine_stats),
		RESULT(kolk_stats, 8, tell_pool_stats),
		RESULT(kolk_stats, 8, tell_key_stats),
		RESULT(kolk_tenant_stats, 8, tell_tenant_stats),
		RESULT(kolk_lease_info, 8, tell_lease),
		RESULT(kolk_http_response, END_OF(kolk_http_response, memory), tell_response),
		RESULT(kolk_postgres_info, 8, tell_postgres),
		RESULT(kolk_config_error, 8, tell_parse_error),
		RESULT(kolk_config_error, 8, tell_load_error),
		RESULT(kolk_config_error, 8, tell_try_error),
		RESULT(kolk_tenant_limits, 8, tell_tenant),
	};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		wrong = 0;
		result_walk(&all[i]);
		printf("%sok %s, %s\n", wrong ? "not " : "", all[i].name, all[i].by);
	}
}

/* ---- */

static bool pools_open(void)
{
	static struct kolk_postgres_options login = KOLK_INIT(kolk_postgres_options);
	struct kolk_pool_options o[5] = { pool_options("raw"), pool_options("http"),
					  pool_options("redis"), pool_options("postgres"),
					  pool_options("dead") };
	struct kolk_pool **pools[] = { &raw, &http_pool, &redis, &postgres, &dead };
	struct kolk_lease lease;

	login.user = "u";
	o[1].driver = kolk_driver_http();
	o[2].driver = kolk_driver_redis();
	o[3].driver = kolk_driver_postgres();
	o[3].driver_user = &login;
	o[4].address = "127.0.0.1:1";
	for (int i = 0; i < 5; i++)
		if (kolk_pool_add(engine, &o[i], pools[i]) != KOLK_OK)
			return false;
	return kolk_acquire(kolk_pool_key(dead), soon(), &lease) == KOLK_E_CONN_REFUSED;
}

int main(void)
{
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);

	o.loops = 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!server_start() || kolk_engine_create(&o, &engine) != KOLK_OK || !pools_open() ||
	    kolk_http_open(kolk_engine_loop(engine, 0), NULL, &http) != KOLK_OK) {
		puts("not ok the world is not there");
		return 1;
	}
	all_options();
	all_results();
	request_is_shown();
#ifndef OLDER
	unknown_is_named();
#endif
	(void)kolk_http_close(http, NULL, NULL);
	return kolk_engine_destroy(engine) != KOLK_OK;
}
