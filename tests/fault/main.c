/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - kolk-fault: in each scenario every allocation fails once. Nothing may crash, leak
 * or hang; what fails says E_MEMORY and nothing else (or goes on without); afterwards the same works.
 * Allocations are those of the table of functions, of the transport and c-ares, and, for TLS,
 * mbedTLS's own calloc.
 *
 * kolk-fault --random io_uring|epoll [--seconds N] [--seed S]: see random.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kolk/kolk.h>
#include <kolk/sys/sys.h>

#include "tests/fault/fault.h"
#include "tests/kit/origin.h"
#include "tests/kit/tap.h"

/* ---- the state of a scenario */

struct fault {
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
	uint64_t nth; /* the allocation that fails */
	bool raw; /* no opening exchange: the connection is ready before the peer has spoken */
};

uint16_t fault_plain, fault_tls;
char fault_ca_path[] = "/tmp/kolk-fault-XXXXXX", fault_pem_path[64], fault_key_path[64];
static struct kit_cert authority, server;

/* Memory comes back, what a kernel cannot do does not: the one is not to be taken for the other. */
void fault_on_log(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	(void)user;
	(void)level;
	if (strcmp(subject, "transport") == 0 && !CHECK(strstr(text, "no multishot") == NULL))
		tap_note("%s", text);
}

static enum kolk_err engine_open(struct fault *f, enum kolk_loop_owner owner)
{
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);

	o.loops = 1;
	o.loop_owner = owner;
	o.connections_max = 8;
	o.sys = fault_sys;
	o.log_level = KOLK_LOG_WARN;
	o.on_log = fault_on_log;
	return kolk_engine_create(&o, &f->engine);
}

static enum kolk_err pool_open(struct fault *f, const char *host, uint16_t port, bool with_tls,
			       const struct kolk_resource_driver *resource)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options t = KOLK_INIT(kolk_tls_options);
	char address[64];
	enum kolk_err err;

	snprintf(address, sizeof address, "%s:%u", host, port);
	t.ca_file = fault_ca_path;
	o.name = "fault";
	o.address = port != 0 ? address : NULL;
	o.tls = with_tls ? &t : NULL;
	o.driver = port != 0 && !f->raw ? kolk_driver_redis_ping() : NULL;
	o.resource = resource;
	o.retry_interval_ns = KOLK_MS_NS;
	o.retry_max_ns = 2 * KOLK_MS_NS;
	o.ping_interval_ns = 5 * KOLK_MS_NS;
	o.connections_max = 2;
	err = kolk_pool_add(f->engine, &o, &f->pool);
	if (err == KOLK_OK)
		f->key = kolk_pool_key(f->pool);
	return err;
}

/* The error of a dial without memory is reported to one caller; the next one is served. */
static enum kolk_err lease(struct fault *f, struct kolk_lease *out)
{
	enum kolk_err err = KOLK_E_MEMORY;

	for (int i = 0; i < 5 && err == KOLK_E_MEMORY; i++)
		err = kolk_acquire(f->key, kolk_in_ms(3000), out);
	return err;
}

/* Late: what the peer says after the dial has come before the first send. */
static enum kolk_err echo_after(struct fault *f, unsigned us)
{
	struct kolk_lease l;
	char answer[16];
	size_t got = 0, size;
	enum kolk_err err = lease(f, &l);

	if (err != KOLK_OK)
		return err;
	usleep(us);
	err = kolk_send_all(&l, "hello\n", 6, kolk_in_ms(2000));
	while (err == KOLK_OK && got < 6) {
		err = kolk_recv(&l, answer + got, sizeof answer - got, kolk_in_ms(2000), &size);
		got += size;
	}
	CHECK_ERR(err == KOLK_OK ? kolk_release(&l) : kolk_discard(&l), KOLK_OK);
	return err;
}

static enum kolk_err echo(struct fault *f)
{
	return echo_after(f, 0);
}

/* ---- scenarios: KOLK_OK or the error that memory's want became */

static enum kolk_err create(struct fault *f)
{
	return engine_open(f, KOLK_LOOPS_ENGINE);
}

static enum kolk_err add_pool(struct fault *f)
{
	enum kolk_err err = engine_open(f, KOLK_LOOPS_ENGINE);

	return err == KOLK_OK ? pool_open(f, "127.0.0.1", fault_plain, false, NULL) : err;
}

static enum kolk_err add_tls_pool(struct fault *f)
{
	enum kolk_err err = engine_open(f, KOLK_LOOPS_ENGINE);

	return err == KOLK_OK ? pool_open(f, "127.0.0.1", fault_tls, true, NULL) : err;
}

static enum kolk_err open_keys(struct fault *f)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	enum kolk_err err = add_pool(f);
	char tenant[16];

	for (int i = 0; i < 20 && err == KOLK_OK; i++) {
		struct kolk_key *key;

		snprintf(tenant, sizeof tenant, "t%d", i);
		o.tenant = tenant;
		o.credential = tenant;
		o.credential_size = 2;
		err = kolk_key_open(f->pool, &o, &key);
	}
	return err;
}

/* Tenants with limits of their own, keys used and let go of, a replaced credential, rotations. */
static enum kolk_err identities(struct fault *f)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	struct kolk_tenant_limits limits = KOLK_INIT(kolk_tenant_limits);
	enum kolk_err err = add_pool(f);
	struct kolk_key *own = f->key;
	char tenant[16];

	limits.connections_max = 1;
	for (uint32_t i = 0; i < 6 && err == KOLK_OK; i++) {
		struct kolk_lease l;

		snprintf(tenant, sizeof tenant, "t%u", i / 2);
		o.tenant = tenant;
		o.credential = &i;
		o.credential_size = sizeof i;
		o.replaces = i % 2;
		err = kolk_tenant_limits_set(f->engine, tenant, i < 4 ? &limits : NULL);
		if (err == KOLK_OK)
			err = kolk_key_open(f->pool, &o, &f->key);
		if (err != KOLK_OK)
			break;
		err = lease(f, &l);
		if (err == KOLK_OK)
			err = kolk_release(&l);
		(void)kolk_tenant_rotate(f->engine, tenant);
		kolk_key_close(f->key);
	}
	f->key = own;
	return err;
}

/* Another upstream and back, all or nothing: what failed for lack of memory works after. */
static enum kolk_err updates(struct fault *f)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options t = KOLK_INIT(kolk_tls_options);
	enum kolk_err err = add_pool(f);
	char address[64];

	if (err == KOLK_OK)
		err = echo(f);
	t.ca_file = fault_ca_path;
	o.name = "fault";
	o.address = address;
	for (int i = 0; i < 2 && err == KOLK_OK; i++) {
		o.tls = i == 0 ? &t : NULL;
		snprintf(address, sizeof address, "127.0.0.1:%u",
			 i == 0 ? fault_tls : fault_plain);
		err = kolk_pool_update(f->pool, &o);
		if (err == KOLK_E_MEMORY) { /* one allocation fails: not these, too */
			CHECK_ERR(echo(f), KOLK_OK);
			CHECK_ERR(kolk_pool_update(f->pool, &o), KOLK_OK);
			CHECK_ERR(echo(f), KOLK_OK);
		} else if (err == KOLK_OK) {
			err = echo(f);
		}
	}
	return err;
}

static enum kolk_err request(struct fault *f)
{
	enum kolk_err err = add_pool(f);

	return err == KOLK_OK ? echo(f) : err;
}

/* ---- on a loop that the test steps */

struct outcome {
	bool done;
	enum kolk_err err;
	size_t size;
	struct kolk_lease lease;
};

static void on_acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct outcome *outcome = user;

	outcome->done = true;
	outcome->err = err;
	if (err == KOLK_OK)
		outcome->lease = *lease;
}

static void on_moved(void *user, enum kolk_err err, size_t size)
{
	struct outcome *outcome = user;

	outcome->done = true;
	outcome->err = err;
	outcome->size = size;
}

/* What a call that answered so comes to. */
static enum kolk_err await(struct kolk_loop *loop, struct outcome *outcome, enum kolk_err err)
{
	uint64_t until = tap_now_ms() + 5000;

	while (err == KOLK_PENDING && !outcome->done && tap_now_ms() < until)
		(void)kolk_loop_step(loop, 10 * KOLK_MS_NS);
	if (err == KOLK_PENDING && CHECK(outcome->done))
		err = outcome->err;
	outcome->done = false;
	return err;
}

static enum kolk_err lease_on_loop(struct fault *f, struct kolk_loop *loop, struct outcome *outcome)
{
	struct kolk_acquire acquire = { 0 };
	enum kolk_err err = KOLK_E_MEMORY;

	for (int i = 0; i < 5 && err == KOLK_E_MEMORY; i++) {
		err = await(loop, outcome,
			    kolk_acquire_async(loop, f->key, kolk_in_ms(3000), &acquire,
					       on_acquired, outcome));
		if (err == KOLK_OK && acquire.lease.connection != NULL)
			outcome->lease = acquire.lease;
	}
	return err;
}

static enum kolk_err request_on_loop(struct fault *f)
{
	enum kolk_err err = engine_open(f, KOLK_LOOPS_EMBEDDER);
	struct outcome outcome = { 0 };
	struct kolk_loop *loop;
	struct kolk_io io;
	char answer[16];

	if (err == KOLK_OK)
		err = pool_open(f, "127.0.0.1", fault_plain, false, NULL);
	if (err != KOLK_OK)
		return err;
	loop = kolk_engine_loop(f->engine, 0);
	err = lease_on_loop(f, loop, &outcome);
	if (err != KOLK_OK)
		return err;
	for (int i = 0; i < 2 && err == KOLK_OK; i++) { /* the first receive begins the stream */
		err = await(loop, &outcome,
			    kolk_send_async(loop, &outcome.lease, &io, "hello\n", 6,
					    kolk_in_ms(2000), on_moved, &outcome));
		for (size_t got = 0; err == KOLK_OK && got < 6; got += outcome.size)
			err = await(loop, &outcome,
				    kolk_recv_async(loop, &outcome.lease, &io, answer,
						    sizeof answer, kolk_in_ms(2000), on_moved,
						    &outcome));
	}
	CHECK_ERR(kolk_release(&outcome.lease), KOLK_OK);
	return err;
}

static enum kolk_err request_by_name(struct fault *f)
{
	enum kolk_err err = engine_open(f, KOLK_LOOPS_ENGINE);

	if (err == KOLK_OK)
		err = pool_open(f, "localhost", fault_plain, false, NULL);
	return err == KOLK_OK ? echo(f) : err;
}

static enum kolk_err request_tls(struct fault *f)
{
	enum kolk_err err = add_tls_pool(f);

	return err == KOLK_OK ? echo(f) : err;
}

/* TLS 1.3: a ticket has to be read before anything can be sent. */
static enum kolk_err request_tls_late(struct fault *f)
{
	enum kolk_err err;

	f->raw = true;
	err = add_tls_pool(f);
	return err == KOLK_OK ? echo_after(f, 3000) : err;
}

static enum kolk_err requests_tls_resumed(struct fault *f)
{
	enum kolk_err err = add_tls_pool(f);

	for (int i = 0; i < 2 && err == KOLK_OK; i++) {
		err = echo(f);
		(void)kolk_pool_clear(f->pool);
	}
	return err;
}

/* What fails is the resumed handshake's. */
static enum kolk_err request_tls_resumed(struct fault *f)
{
	enum kolk_err err;

	fault_nth(0, false);
	err = add_tls_pool(f);
	if (err == KOLK_OK)
		err = echo(f);
	CHECK_ERR(err, KOLK_OK);
	fault_nth(f->nth, true);
	(void)kolk_pool_clear(f->pool);
	return echo(f);
}

/* What a listener cannot do its client learns as an end; the next one is served. */
static enum kolk_err serve_tls(struct fault *f)
{
	enum kolk_err err = engine_open(f, KOLK_LOOPS_ENGINE);
	uint16_t port = 0;

	f->raw = true;
	if (err == KOLK_OK)
		err = fault_listen(f->engine, &port);
	if (err == KOLK_OK)
		err = pool_open(f, "127.0.0.1", port, true, NULL);
	if (err != KOLK_OK)
		return err;
	err = echo(f);
	return err == KOLK_OK || err == KOLK_E_MEMORY ? err : echo(f);
}

static enum kolk_err warm(struct fault *f)
{
	enum kolk_err err = add_pool(f);

	return err == KOLK_OK ? kolk_pool_warm(f->pool, kolk_in_ms(2000)) : err;
}

static enum kolk_err pings(struct fault *f)
{
	enum kolk_err err = warm(f);

	if (err == KOLK_OK)
		usleep(20000);
	return err;
}

static enum kolk_err time_out(struct fault *f)
{
	struct kolk_lease l[3];
	enum kolk_err err = add_pool(f);

	for (int i = 0; i < 2 && err == KOLK_OK; i++)
		err = lease(f, &l[i]);
	if (err == KOLK_OK)
		err = kolk_acquire(f->key, kolk_in_ms(3), &l[2]);
	return err == KOLK_E_TIMEOUT ? KOLK_OK : err;
}

static enum kolk_err statistics(struct fault *f)
{
	struct kolk_stats s = KOLK_INIT(kolk_stats);
	enum kolk_err err = request(f);

	if (err == KOLK_OK)
		err = kolk_engine_stats(f->engine, &s);
	return err == KOLK_OK ? kolk_pool_stats(f->pool, &s) : err;
}

static enum kolk_err drain(struct fault *f)
{
	enum kolk_err err = request(f);

	if (err == KOLK_OK)
		err = kolk_pool_drain(f->pool, kolk_in_ms(50));
	return err == KOLK_OK ? kolk_pool_close(f->pool, kolk_in_ms(2000)) : err;
}

static enum kolk_err thing_create(void *user, void **resource)
{
	static int thing;

	(void)user;
	*resource = &thing;
	return KOLK_OK;
}

static enum kolk_err thing_ok(void *user, void *resource)
{
	(void)user;
	(void)resource;
	return KOLK_OK;
}

static void thing_destroy(void *user, void *resource)
{
	(void)user;
	(void)resource;
}

static enum kolk_err resources(struct fault *f)
{
	static const struct kolk_resource_driver driver = {
		.size = sizeof driver, .name = "thing", .create = thing_create,
		.validate = thing_ok, .reset = thing_ok, .destroy = thing_destroy
	};
	struct kolk_lease l;
	enum kolk_err err = engine_open(f, KOLK_LOOPS_ENGINE);

	if (err == KOLK_OK)
		err = pool_open(f, "", 0, false, &driver);
	if (err == KOLK_OK)
		err = lease(f, &l);
	if (err == KOLK_OK)
		err = kolk_release(&l);
	if (err == KOLK_OK)
		usleep(10000); /* a validation */
	return err;
}

static enum kolk_err children(struct fault *f)
{
	static const char *const command[] = { "/bin/cat", NULL };
	static const char *const environment[] = { "A=b", NULL };
	struct kolk_child_options child = KOLK_INIT(kolk_child_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	enum kolk_err err = engine_open(f, KOLK_LOOPS_ENGINE);

	child.command = command;
	child.environment = environment;
	o.name = "fault";
	o.child = &child;
	o.retry_interval_ns = KOLK_MS_NS;
	o.retry_max_ns = 2 * KOLK_MS_NS;
	if (err == KOLK_OK)
		err = kolk_pool_add(f->engine, &o, &f->pool);
	if (err != KOLK_OK)
		return err;
	f->key = kolk_pool_key(f->pool);
	return echo(f);
}

/* ---- every n */

/* A handshake makes 80 000 in mbedTLS: of those, each so many-th (--stride 1 takes an hour). */
static uint64_t stride = 97;

static void every_allocation(enum kolk_err (*scenario)(struct fault *), bool with_tls)
{
	uint64_t last = 0, failed = 0, runs = 0, n = 1;

	do {
		struct fault f = { 0 };
		int64_t before = fault_live();
		enum kolk_err err;

		f.nth = n;
		fault_nth(n, with_tls);
		err = scenario(&f);
		if (fault_counted() > last) /* runs differ: the loops go on beside them */
			last = fault_counted();
		fault_nth(0, false);
		failed += err != KOLK_OK;
		runs++;
		if (err != KOLK_OK && err != KOLK_E_MEMORY) {
			tap_check_err((int)err, KOLK_E_MEMORY, "scenario", __FILE__, __LINE__);
			tap_note("allocation %llu of %llu", (unsigned long long)n,
				 (unsigned long long)last);
		}
		if (f.engine != NULL) {
			CHECK_ERR(kolk_check(f.engine, NULL), KOLK_OK);
			CHECK_ERR(kolk_engine_destroy(f.engine), KOLK_OK);
		}
		MUST(fault_live() == before);
		n += with_tls ? stride : 1;
	} while (last >= n - (with_tls ? stride : 1)); /* until none was left to fail */
	tap_note("%llu allocations, %llu failed in turn, %llu fatal to the call",
		 (unsigned long long)last, (unsigned long long)runs - 1,
		 (unsigned long long)failed);
	CHECK(last > 0);
}

#define SCENARIO(name, with_tls)               \
	static void run_##name(void)           \
	{                                      \
		every_allocation(name, with_tls); \
	}
SCENARIO(create, false)
SCENARIO(add_pool, false)
SCENARIO(add_tls_pool, false)
SCENARIO(open_keys, false)
SCENARIO(identities, false)
SCENARIO(updates, false)
SCENARIO(request, false)
SCENARIO(request_on_loop, false)
SCENARIO(request_by_name, false)
SCENARIO(request_tls, false)
SCENARIO(request_tls_late, false)
SCENARIO(requests_tls_resumed, false)
SCENARIO(serve_tls, false)
SCENARIO(warm, false)
SCENARIO(pings, false)
SCENARIO(time_out, false)
SCENARIO(statistics, false)
SCENARIO(drain, false)
SCENARIO(resources, false)
SCENARIO(children, false)

/* mbedTLS's own memory. */
static void run_mbedtls(void)
{
	if (!fault_has_calloc) {
		tap_skip("the sanitizer has its own calloc");
		return;
	}
	every_allocation(request_tls, true);
}

static void run_resumed_mbedtls(void)
{
	uint64_t of_a_whole_handshake = stride;

	if (!fault_has_calloc) {
		tap_skip("the sanitizer has its own calloc");
		return;
	}
	if (strstr(kolk_tls_text(), "TLS 1.3") == NULL) /* which agrees on a key again: thousands */
		stride = 1;
	every_allocation(request_tls_resumed, true);
	stride = of_a_whole_handshake;
}

static void run_listener_mbedtls(void)
{
	if (!fault_has_calloc) {
		tap_skip("the sanitizer has its own calloc");
		return;
	}
	every_allocation(serve_tls, true);
}

static const struct tap_test tests[] = {
	{ "engine create", run_create },
	{ "pool add", run_add_pool },
	{ "pool add with TLS", run_add_tls_pool },
	{ "20 keys", run_open_keys },
	{ "identities", run_identities },
	{ "updates", run_updates },
	{ "a request", run_request },
	{ "requests on a loop", run_request_on_loop },
	{ "a request by name", run_request_by_name },
	{ "a request over TLS", run_request_tls },
	{ "a request over TLS, after a ticket", run_request_tls_late },
	{ "a resumed handshake", run_requests_tls_resumed },
	{ "mbedTLS's own memory", run_mbedtls },
	{ "mbedTLS's own memory, a resumed handshake", run_resumed_mbedtls },
	{ "a listener over TLS", run_serve_tls },
	{ "mbedTLS's own memory, a listener", run_listener_mbedtls },
	{ "warm-up", run_warm },
	{ "pings", run_pings },
	{ "a time-out", run_time_out },
	{ "statistics", run_statistics },
	{ "drain and close", run_drain },
	{ "resources", run_resources },
	{ "children", run_children },
};

TAP_TESTS(memory, tests);

/* In a process of their own: only our memory is out, and what the peers do is never the reason.
 * They end with the pipe. */
static pid_t origins_start(int *keep)
{
	uint16_t ports[2];
	int ports_pipe[2], end[2];
	pid_t child;

	if (pipe(ports_pipe) != 0 || pipe(end) != 0)
		return -1;
	child = fork();
	if (child == 0) {
		struct kit_origin *a = kit_origin_open(&(struct kit_origin_options){ 0 });
		struct kit_origin *b =
			kit_origin_open(&(struct kit_origin_options){ .cert = &server });

		close(end[1]);
		ports[0] = a != NULL ? kit_origin_port(a) : 0;
		ports[1] = b != NULL ? kit_origin_port(b) : 0;
		_exit(write(ports_pipe[1], ports, sizeof ports) < 0 || read(end[0], ports, 1) < 0);
	}
	close(ports_pipe[1]);
	close(end[0]);
	*keep = end[1];
	if (child < 0 || read(ports_pipe[0], ports, sizeof ports) != (ssize_t)sizeof ports)
		return -1;
	close(ports_pipe[0]);
	fault_plain = ports[0];
	fault_tls = ports[1];
	return fault_plain != 0 && fault_tls != 0 ? child : -1;
}

struct arguments {
	const char *only;
	bool random;
	uint32_t backend;
	uint64_t seconds, seed;
};

static void arguments_read(struct arguments *a, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		uint64_t *number = strcmp(argv[i], "--stride") == 0  ? &stride :
				   strcmp(argv[i], "--seconds") == 0 ? &a->seconds :
				   strcmp(argv[i], "--seed") == 0    ? &a->seed : NULL;

		if (number != NULL && i + 1 < argc)
			*number = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--random") == 0)
			a->random = true;
		else if (strcmp(argv[i], "io_uring") == 0)
			a->backend = KOLK_BACKEND_IO_URING;
		else if (strcmp(argv[i], "epoll") == 0)
			a->backend = KOLK_BACKEND_EPOLL;
		else
			a->only = argv[i];
	}
}

static bool certificates_make(void)
{
	const struct kit_cert_spec authority_spec = { .subject = "fault", .authority = true };
	const struct kit_cert_spec server_spec = { .subject = "server", .ip = "127.0.0.1" };
	int fd = mkstemp(fault_ca_path);

	if (fd < 0)
		return false;
	close(fd);
	snprintf(fault_pem_path, sizeof fault_pem_path, "%s.pem", fault_ca_path);
	snprintf(fault_key_path, sizeof fault_key_path, "%s.key", fault_ca_path);
	return kit_cert_make(&authority_spec, NULL, &authority) &&
	       kit_cert_make(&server_spec, &authority, &server) &&
	       kit_file_write(fault_ca_path, authority.pem) &&
	       kit_file_write(fault_pem_path, server.pem) &&
	       kit_file_write(fault_key_path, server.key);
}

int main(int argc, char **argv)
{
	struct arguments a = { .backend = KOLK_BACKEND_EPOLL, .seconds = 20, .seed = 1 };
	int status, keep = -1;
	pid_t origins;

	arguments_read(&a, argc, argv);
	fault_spare_me();
	if (!fault_memory_open() || !certificates_make()) {
		printf("Bail out! no certificates\n");
		return 1;
	}
	origins = origins_start(&keep);
	if (origins < 0) {
		printf("Bail out! no origins\n");
		return 1;
	}
	status = a.random ? fault_random_run(a.backend, a.seconds, a.seed) :
			    tap_suites_run("fault", a.only);
	close(keep);
	waitpid(origins, NULL, 0);
	unlink(fault_ca_path);
	unlink(fault_pem_path);
	unlink(fault_key_path);
	return status;
}
