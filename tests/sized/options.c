/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - every struct of options, whole, shorter and longer, given to a call that takes it. */
#include "tests/sized/sized.h"

#include <kolk/ops/admin.h>
#include <kolk/ops/section.h>
#include <kolk/ops/status.h>
#include <kolk/postgres.h>
#include <kolk/redis.h>
#include <kolk/sys/sys.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct kolk_pool_options pool_options(const char *name)
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

enum kolk_err use_resource(const void *given)
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

struct kolk_config *config_of(const char *text)
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

static enum kolk_err use_config_program(const void *given)
{
	struct kolk_config *config;
	enum kolk_err err = kolk_config_parse_for(given, "text", "pools: []\n", 10, &config, NULL);

	if (err == KOLK_OK)
		kolk_config_free(config);
	return err;
}

static enum kolk_err use_error_text(const void *given)
{
	char text[800];

	return kolk_config_error_text(given, text, sizeof text) == strlen(text) ? KOLK_OK :
										  KOLK_E_OPTIONS;
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

#define OPTIONS(type, value, needs, use)                                                       \
	{ #type, #use, (value), (uint32_t)sizeof(struct type), _Alignof(struct type),          \
	  (uint32_t)(needs), (use), false }

void all_options(void)
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
	struct kolk_http_server_options served = KOLK_INIT(kolk_http_server_options);
	struct kolk_http_server_handler callee = http_server_handler();
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);
	const struct kolk_certificate nowhere = { "/nowhere", "/nowhere" };
	struct kolk_stream_handler streams = stream_handler();
	struct kolk_listener_options listen = KOLK_INIT(kolk_listener_options);
	struct kolk_listener_tls listen_tls = KOLK_INIT(kolk_listener_tls);
	struct kolk_mcp_options upstream = KOLK_INIT(kolk_mcp_options);
	struct kolk_mcp_client_options mcp_client = KOLK_INIT(kolk_mcp_client_options);
	struct kolk_mcp_request mcp_request = KOLK_INIT(kolk_mcp_request);
	struct kolk_mcp_handler mcp_callee = mcp_handler();
	struct kolk_mcp_server local = mcp_server();
	struct kolk_redis_options redis_options = KOLK_INIT(kolk_redis_options);
	struct kolk_redis_request command_request = KOLK_INIT(kolk_redis_request);
	struct kolk_postgres_options login = KOLK_INIT(kolk_postgres_options);
	struct kolk_postgres_request query = KOLK_INIT(kolk_postgres_request);
	struct kolk_postgres_transaction transaction = KOLK_INIT(kolk_postgres_transaction);
	struct kolk_admin_options admin = KOLK_INIT(kolk_admin_options);
	struct kolk_status_options status = KOLK_INIT(kolk_status_options);
	static const struct kolk_section no_keys = { .name = "the file", .struct_size = 8 };
	struct kolk_config_program program = KOLK_INIT(kolk_config_program);
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
		OPTIONS(kolk_http_server_options, &served, 8, use_http_server),
		OPTIONS(kolk_http_server_handler, &callee, END_OF(kolk_http_server_handler, end),
			use_http_server_handler),
		OPTIONS(kolk_http_answer, &answer, 8, use_http_answer),
		OPTIONS(kolk_listener_options, &listen, END_OF(kolk_listener_options, handler),
			use_listener),
		OPTIONS(kolk_stream_handler, &streams, END_OF(kolk_stream_handler, data),
			use_stream_handler),
		OPTIONS(kolk_listener_tls, &listen_tls,
			END_OF(kolk_listener_tls, certificate_count), use_listener_tls),
		OPTIONS(kolk_mcp_options, &upstream, 8, use_mcp),
		OPTIONS(kolk_mcp_client_options, &mcp_client, 8, use_mcp_client),
		OPTIONS(kolk_mcp_request, &mcp_request, END_OF(kolk_mcp_request, method),
			use_mcp_request),
		OPTIONS(kolk_mcp_handler, &mcp_callee, END_OF(kolk_mcp_handler, end),
			use_mcp_handler),
		OPTIONS(kolk_mcp_server, &local, END_OF(kolk_mcp_server, message), use_mcp_server),
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
		OPTIONS(kolk_config_program, &program, END_OF(kolk_config_program, file),
			use_config_program),
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
	answer.status = 200;
	listen.address = "127.0.0.1:0";
	listen.handler = &streams;
	listen_tls.certificates = &nowhere;
	listen_tls.certificate_count = 1;
	mcp_request.method = "tools/list";
	command_request.count = 1;
	command_request.commands = &ping;
	login.user = "u";
	query.count = 1;
	query.statements = &select;
	admin.listen = listen_at;
	program.file = &no_keys;
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		wrong = 0;
		options_walk(&all[i]);
		printf("%sok %s, %s\n", wrong ? "not " : "", all[i].name, all[i].by);
	}
}
