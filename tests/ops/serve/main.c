/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - kolk-ops-serve: an engine with traffic of many tenants behind an admin server, for
 * the tests that look at it from outside: kolk-ops-serve LISTEN [TOKEN-FILE].
 *
 * It tells where it listens, and ends when its standard input does. What can be seen there: a pool
 * that works, one that is too small (waiters), one whose endpoint is dead, a lease that is overdue,
 * and tenants and an address with hostile names.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <kolk/kolk.h>
#include <kolk/ops/admin.h>

#include "core/base/atomic.h"
#include "tests/kit/origin.h"

enum { THREADS = 8, TENANTS = 24, POOLS = 3 };

static const char *const names[] = {
	"alice", "bob", "carol", "<img src=x onerror=document.title='owned'>",
	"esc\x1b[31mape\ttab\nline", "\xff\xfe not utf-8", "\"quoted\\\"", "日本語", 
	"turn\u061c" "ed \u202e li\u2028" "ne",
};

struct program {
	struct kolk_engine *engine;
	struct kit_origin *origin;
	struct kolk_pool *pools[POOLS];
	struct kolk_key *keys[POOLS][TENANTS];
	kolk__atomic_int stop;
};

static bool add_pool(struct program *program, int index, const char *name, const char *address)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = name;
	o.address = address;
	o.connections_max = index == 1 ? 1 : 4;
	o.pool_connections_max = 40;
	o.lease_overdue_ns = 500 * KOLK_MS_NS;
	o.acquire_timeout_ns = 100 * KOLK_MS_NS;
	if (kolk_pool_add(program->engine, &o, &program->pools[index]) != KOLK_OK)
		return false;
	for (int i = 0; i < TENANTS; i++) {
		struct kolk_key_options k = KOLK_INIT(kolk_key_options);
		char tenant[64];

		(void)snprintf(tenant, sizeof tenant, "user%03d", i);
		k.tenant = i < (int)(sizeof names / sizeof names[0]) ? names[i] : tenant;
		k.credential = "a secret that nobody may see";
		k.credential_size = 28;
		if (kolk_key_open(program->pools[index], &k, &program->keys[index][i]) != KOLK_OK)
			return false;
	}
	return true;
}

static void rest(unsigned *luck, long most_us)
{
	struct timespec time = { .tv_nsec = (long)((unsigned)rand_r(luck) % (unsigned)most_us) * 1000 };

	(void)nanosleep(&time, NULL);
}

static void request(struct program *program, unsigned *luck)
{
	int pool = rand_r(luck) % 8;
	int tenant = rand_r(luck) % (rand_r(luck) % 4 == 0 ? TENANTS : 3);
	struct kolk_lease lease;
	char answer[64];
	size_t size;

	pool = pool < 5 ? 0 : pool < 7 ? 1 : 2;
	if (kolk_acquire(program->keys[pool][tenant], 0, &lease) != KOLK_OK)
		return;
	if (kolk_send_all(&lease, "x\n", 2, kolk_in_ms(1000)) != KOLK_OK ||
	    kolk_recv(&lease, answer, sizeof answer, kolk_in_ms(1000), &size) != KOLK_OK)
		(void)kolk_discard(&lease);
	rest(luck, pool == 1 ? 30000 : 5000);
	(void)kolk_release(&lease);
}

static void *caller(void *user)
{
	struct program *program = user;
	unsigned luck = (unsigned)(uintptr_t)pthread_self();

	while (!kolk__load_relaxed(&program->stop)) {
		request(program, &luck);
		rest(&luck, 4000);
	}
	return NULL;
}

static bool add_odd_pool(struct program *program)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *pool;

	o.name = "odd";
	o.address = "unix:/nowhere/\u202e";
	o.idle_min = KOLK_NONE;
	return kolk_pool_add(program->engine, &o, &pool) == KOLK_OK;
}

static bool program_open(struct program *program)
{
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);
	char address[64];

	program->origin = kit_origin_open(&(struct kit_origin_options){ 0 });
	o.loops = 2;
	o.connections_max = 60;
	if (program->origin == NULL || kolk_engine_create(&o, &program->engine) != KOLK_OK)
		return false;
	(void)snprintf(address, sizeof address, "127.0.0.1:%u", kit_origin_port(program->origin));
	return add_pool(program, 0, "search", address) && add_pool(program, 1, "billing", address) &&
	       add_pool(program, 2, "archive", "127.0.0.1:1") && add_odd_pool(program);
}

static size_t read_token(const char *path, char *token, size_t capacity)
{
	FILE *file = fopen(path, "r");
	size_t size = file != NULL ? fread(token, 1, capacity, file) : 0;

	if (file != NULL)
		fclose(file);
	while (size != 0 && token[size - 1] == '\n')
		size--;
	return size;
}

static enum kolk_err reload(void *user, char *text, size_t capacity)
{
	(void)user;
	(void)snprintf(text, capacity, "nothing changed");
	return KOLK_OK;
}

/* As kolk-gateway has it: routes whose requests grow, one of them with a hostile name; members,
 * one by DNS; servers of a federation; tools. */
#define ROUTE(name)                                                                        \
	"{\"name\":\"" name "\",\"inFlight\":3,\"requests\":%u,\"outcomes\":{\"1xx\":0,"          \
	"\"2xx\":%u,\"3xx\":0,\"4xx\":5,\"5xx\":2,\"client_gone\":1,\"broken\":0},"               \
	"\"refused\":{\"tenant\":1,\"rate\":4,\"body\":0},\"bytesIn\":2048,\"bytesOut\":4096,"    \
	"\"latency\":{\"p50Ns\":655360,\"p99Ns\":7340032,\"p999Ns\":9437184}}"

#define MEMBERS                                                                            \
	"{\"balancer\":\"web\",\"pool\":\"web1\",\"state\":\"down\",\"weight\":2,\"inFlight\":0,"     \
	"\"requests\":7,\"failed\":1,\"moved\":1,\"checks\":{\"count\":9,\"failed\":3,"               \
	"\"status\":500,\"error\":\"\"},\"from\":\"\"},"                                         \
	"{\"balancer\":\"web\",\"pool\":\"shop@10.0.0.7:80\",\"state\":\"up\",\"weight\":1,"       \
	"\"inFlight\":1,\"requests\":6,\"failed\":0,\"moved\":0,\"checks\":{\"count\":0,\"failed\":0," \
	"\"status\":0,\"error\":\"\"},\"from\":\"shop.test\"}"

#define NAME                                                                               \
	"{\"balancer\":\"web\",\"pool\":\"shop\",\"name\":\"shop.test\",\"state\":\"stale\","      \
	"\"addresses\":1,\"members\":1,\"ageNs\":42000000000,\"ttlNs\":1000000000,\"rounds\":9,"     \
	"\"failures\":2,\"error\":\"Timeout\"}"

#define FEDERATIONS                                                                        \
	"{\"route\":\"/mcp\",\"toolsDenied\":0,\"servers\":["                                     \
	"{\"pool\":\"github\",\"prefix\":\"gh\",\"state\":\"up\",\"asked\":%u,\"failed\":0,"         \
	"\"error\":\"\"},"                                                                    \
	"{\"pool\":\"files\",\"prefix\":\"f\",\"state\":\"down\",\"asked\":9,\"failed\":4,"           \
	"\"error\":\"it says \\u001b[31mno\"}]}"

#define TOOLS                                                                              \
	"{\"name\":\"find_orders\",\"calls\":%u,\"failed\":2,\"inFlight\":1,\"kind\":\"sql\","        \
	"\"pool\":\"orders\"},"                                                               \
	"{\"name\":\"disk_usage\",\"calls\":0,\"failed\":0,\"inFlight\":0,\"kind\":\"command\","      \
	"\"pool\":\"\"}"

static char *program_status(void *user)
{
	static unsigned asked; /* by the server's thread alone */
	enum { CAPACITY = 4096 };
	char *text = malloc(CAPACITY);

	(void)user;
	asked += 100;
	if (text != NULL)
		(void)snprintf(text, CAPACITY,
			       "{\"routes\":[" ROUTE("GET shop.example/api") ","
			       ROUTE("/\\u001b[31m<img src=x onerror=1>") "],"
			       "\"members\":[" MEMBERS "],\"names\":[" NAME "],"
			       "\"federations\":[" FEDERATIONS "],\"tools\":[" TOOLS "]}",
			       asked + 8, asked, asked + 8, asked, asked, asked);
	return text;
}

static int serve(struct program *program, const char *listen, const char *token_path)
{
	struct kolk_admin_options o = KOLK_INIT(kolk_admin_options);
	struct kolk_admin *admin;
	char token[256], line[64];
	enum kolk_err err;

	o.listen = listen;
	if (token_path != NULL) {
		o.token = token;
		o.token_size = (uint32_t)read_token(token_path, token, sizeof token);
	}
	o.reload = reload;
	o.program_status = program_status;
	err = kolk_admin_open(program->engine, &o, &admin);
	if (err != KOLK_OK) {
		fprintf(stderr, "kolk-ops-serve: %s: %s\n", listen, kolk_err_text(err));
		return 1;
	}
	printf("%s\n", kolk_admin_address(admin));
	fflush(stdout);
	while (read(STDIN_FILENO, line, sizeof line) > 0)
		;
	kolk_admin_close(admin);
	return 0;
}

int main(int argc, char **argv)
{
	struct program program = { 0 };
	pthread_t threads[THREADS];
	struct kolk_lease held;
	int status;

	if (argc < 2 || !program_open(&program)) {
		fprintf(stderr, "usage: kolk-ops-serve LISTEN [TOKEN-FILE]\n");
		return 2;
	}
	if (kolk_acquire(program.keys[0][5], 0, &held) == KOLK_OK)
		(void)kolk_lease_tag(&held, 4711);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, caller, &program) != 0)
			return 1;
	status = serve(&program, argv[1], argc > 2 ? argv[2] : NULL);
	kolk__store_relaxed(&program.stop, 1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	(void)kolk_release(&held);
	if (kolk_engine_destroy(program.engine) != KOLK_OK)
		status = 1;
	kit_origin_close(program.origin);
	return status;
}
