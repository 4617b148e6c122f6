/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tenants.c - does a neighbour feel a greedy tenant? Both want connections of one engine whose
 * limit is full; every request takes 5 ms upstream.
 *
 * B asks at fixed times for half of its fair share, on its own and beside A, which keeps 100 x its
 * share of requests queued. B's times are counted from when it was to ask, so that a request
 * that had to wait for the one before is not left out. "back" are the first of B's requests after
 * a pause in which all that it had was lent to A.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/kit.h"
#include "bench/slow.h"
#include "core/base/atomic.h"

enum { LOOPS = 2, TOTAL = 16, TIMES = 100, ROUNDS = 5, CALMS = 4096 };
#define SERVICE_NS (5 * KOLK_MS_NS)
#define PAUSE_S 1.5  /* longer than lend_after_ns, 1 s */
#define BACK_S 0.1
/* What the neighbour may feel. */
#define LIMIT_TIMES 1.5
#define LIMIT_MS 1.0

struct party {
	struct kolk_key *key;
	struct hist acquire[LOOPS], request[LOOPS]; /* one writer each */
	kolk__atomic_u64 served;
	kolk__atomic_u32 out; /* requests that have not ended */
	kolk__atomic_bool stop; /* of the greedy */
};

struct request {
	struct party *party;
	struct kolk_call call;
	struct kolk_acquire acquire;
	struct kolk_io send, recv;
	struct kolk_lease lease;
	uint64_t due_ns;
	uint32_t loop;
	kolk__atomic_u32 busy;
	size_t got;
	bool again;          /* greedy: asks again as soon as it is served */
	char bytes[SLOW_SIZE], answer[SLOW_SIZE];
};

struct fixture_of_two {
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct party a, b;
	struct request *greedy, *calm;
	uint32_t demand;      /* of A: requests at a time */
	uint32_t weight;      /* of A; B's is 1 */
	uint64_t interval_ns; /* between B's */
};

static void check(enum kolk_err err, const char *what)
{
	if (err != KOLK_OK && err != KOLK_PENDING)
		die("%s: %s", what, kolk_err_text(err));
}

/* ---- a request */

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease);

static void begin(struct kolk_call *call, void *user)
{
	struct request *r = user;
	enum kolk_err err;

	(void)call;
	r->got = 0;
	if (r->again)
		r->due_ns = clock_now();
	err = kolk_acquire_async(kolk_loop_current(), r->party->key, KOLK_FOREVER, &r->acquire,
				 on_lease, r);
	if (err != KOLK_PENDING)
		on_lease(r, err, &r->acquire.lease);
}

static void on_received(void *user, enum kolk_err err, size_t size)
{
	struct request *r = user;
	struct party *party = r->party;

	check(err, "receive");
	r->got += size;
	if (r->got < SLOW_SIZE) {
		check(kolk_recv_async(kolk_loop_current(), &r->lease, &r->recv, r->answer,
				      SLOW_SIZE, KOLK_FOREVER, on_received, r), "receive");
		return;
	}
	check(kolk_release(&r->lease), "release");
	hist_add(&party->request[r->loop], clock_now() - r->due_ns);
	kolk__add_relaxed(&party->served, 1);
	if (r->again && !kolk__load_relaxed(&party->stop)) {
		begin(&r->call, r);
		return;
	}
	kolk__store_release(&r->busy, 0);
	kolk__sub_acq_rel(&party->out, 1);
}

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	(void)user;
	(void)size;
	check(err, "send");
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct kolk_loop *loop = kolk_loop_current();
	struct request *r = user;

	check(err, "acquire");
	r->lease = *lease;
	hist_add(&r->party->acquire[r->loop], clock_now() - r->due_ns);
	check(kolk_send_async(loop, lease, &r->send, r->bytes, SLOW_SIZE, KOLK_FOREVER, on_sent,
			      r), "send");
	check(kolk_recv_async(loop, lease, &r->recv, r->answer, SLOW_SIZE, KOLK_FOREVER,
			      on_received, r), "receive");
}

static void start(struct fixture_of_two *fixture, struct party *party, struct request *r,
		  uint32_t i)
{
	if (kolk__load_acquire(&r->busy))
		die("the neighbour has %d requests out: it is starved", CALMS);
	kolk__store_relaxed(&r->busy, 1);
	r->party = party;
	r->loop = i % LOOPS;
	kolk__add_relaxed(&party->out, 1);
	check(kolk_loop_call(kolk_engine_loop(fixture->engine, r->loop), &r->call, begin, r), "call");
}

/* ---- phases */

static void wait_until_over(const struct party *party)
{
	while (kolk__load_acquire(&party->out) > 0)
		usleep(200);
}

static void greedy_begin(struct fixture_of_two *fixture, struct party *party, uint32_t demand,
			 struct request *requests)
{
	kolk__store_relaxed(&party->stop, false);
	kolk__store_relaxed(&party->served, 0);
	for (uint32_t i = 0; i < demand; i++) {
		requests[i].again = true;
		start(fixture, party, &requests[i], i);
	}
}

static void calm_run(struct fixture_of_two *fixture, double seconds)
{
	uint64_t now_ns = clock_now(), end_ns = now_ns + (uint64_t)(seconds * 1e9);

	for (uint32_t i = 0; now_ns < end_ns; i++, now_ns += fixture->interval_ns) {
		struct timespec due = { (time_t)(now_ns / KOLK_S_NS), (long)(now_ns % KOLK_S_NS) };
		struct request *r = &fixture->calm[i % CALMS];

		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
		r->again = false;
		r->due_ns = now_ns;
		start(fixture, &fixture->b, r, i);
	}
	wait_until_over(&fixture->b);
}

struct figures {
	double acquire[3], request[3]; /* p50, p99, max; ms */
	double rate;                   /* of A, per second */
};

static void read_hist(struct hist *parts, double ms[3])
{
	for (int i = 1; i < LOOPS; i++)
		hist_merge(&parts[0], &parts[i]);
	ms[0] = (double)hist_at(&parts[0], 0.5) / 1e6;
	ms[1] = (double)hist_at(&parts[0], 0.99) / 1e6;
	ms[2] = (double)parts[0].max / 1e6;
	memset(parts, 0, LOOPS * sizeof parts[0]);
}

static void nap(double seconds)
{
	usleep((useconds_t)(seconds * 1e6));
}

/* B for so long; beside A, when it has had so long a start that everything is its. */
static struct figures phase(struct fixture_of_two *fixture, double start_s, double seconds)
{
	struct figures f = { 0 };

	if (start_s > 0)
		greedy_begin(fixture, &fixture->a, fixture->demand, fixture->greedy);
	nap(start_s);
	kolk__store_relaxed(&fixture->a.served, 0);
	calm_run(fixture, seconds);
	f.rate = (double)kolk__load_relaxed(&fixture->a.served) / seconds;
	kolk__store_relaxed(&fixture->a.stop, true);
	wait_until_over(&fixture->a);
	read_hist(fixture->b.acquire, f.acquire);
	read_hist(fixture->b.request, f.request);
	return f;
}

/* Both want everything: how many of A's are served for one of B's. */
static double both_greedy(struct fixture_of_two *fixture, double seconds)
{
	double ratio;

	greedy_begin(fixture, &fixture->a, fixture->demand, fixture->greedy);
	greedy_begin(fixture, &fixture->b, CALMS / 4, fixture->calm);
	nap(0.2);
	kolk__store_relaxed(&fixture->a.served, 0);
	kolk__store_relaxed(&fixture->b.served, 0);
	nap(seconds);
	ratio = (double)kolk__load_relaxed(&fixture->a.served) /
		(double)kolk__load_relaxed(&fixture->b.served);
	kolk__store_relaxed(&fixture->a.stop, true);
	kolk__store_relaxed(&fixture->b.stop, true);
	wait_until_over(&fixture->a);
	wait_until_over(&fixture->b);
	return ratio;
}

/* ---- open and close */

static struct kolk_key *key_of(struct kolk_pool *pool, const char *tenant)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	struct kolk_key *key;

	o.tenant = tenant;
	check(kolk_key_open(pool, &o, &key), tenant);
	return key;
}

static void open_two(struct fixture_of_two *fixture, const struct args *args, uint16_t port,
		     uint32_t weight)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_tenant_limits limits = KOLK_INIT(kolk_tenant_limits);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	double share = (double)TOTAL / (weight + 1);
	char address[40];

	memset(fixture, 0, sizeof *fixture);
	fixture->weight = weight;
	fixture->demand = (uint32_t)((double)TIMES * share * weight);
	fixture->interval_ns = (uint64_t)((double)SERVICE_NS / (share / 2));
	fixture->greedy = calloc(fixture->demand, sizeof *fixture->greedy);
	fixture->calm = calloc(CALMS, sizeof *fixture->calm);
	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	e.loops = LOOPS;
	e.backend = args->backend;
	e.connections_max = TOTAL;
	e.tenant_connections_max = KOLK_UNLIMITED;
	o.name = "tenants";
	o.address = address;
	o.connections_max = TOTAL;
	o.waiters_max = 10000;
	limits.weight = weight;
	check(kolk_engine_create(&e, &fixture->engine), "engine");
	check(kolk_pool_add(fixture->engine, &o, &fixture->pool), "pool");
	check(kolk_tenant_limits_set(fixture->engine, "a", &limits), "weight");
	fixture->a.key = key_of(fixture->pool, "a");
	fixture->b.key = key_of(fixture->pool, "b");
}

static void close_two(struct fixture_of_two *fixture)
{
	kolk_key_close(fixture->a.key);
	kolk_key_close(fixture->b.key);
	check(kolk_engine_destroy(fixture->engine), "close");
	free(fixture->greedy);
	free(fixture->calm);
}

/* ---- output */

static double middle(const struct figures *rounds, size_t offset)
{
	double values[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		memcpy(&values[i], (const char *)&rounds[i] + offset, sizeof values[i]);
	return median(values, ROUNDS);
}

static struct figures medians(const struct figures *rounds)
{
	struct figures f = { .rate = middle(rounds, offsetof(struct figures, rate)) };

	for (size_t i = 0; i < 3; i++) {
		f.acquire[i] = middle(rounds, offsetof(struct figures, acquire) + i * sizeof(double));
		f.request[i] = middle(rounds, offsetof(struct figures, request) + i * sizeof(double));
	}
	return f;
}

static void print_row(const char *who, const struct figures *f)
{
	printf("  %-12s", who);
	for (int i = 0; i < 3; i++)
		printf(" %8.3f", f->acquire[i]);
	printf("  ");
	for (int i = 0; i < 3; i++)
		printf(" %8.3f", f->request[i]);
	if (f->rate > 0)
		printf(" %9.0f", f->rate);
	printf("\n");
}

static void print_json(FILE *json, const struct fixture_of_two *fixture, const char *who,
		       const struct figures *f)
{
	fprintf(json, "{\"scenario\":\"tenants\",\"who\":\"%s\",\"weight_a\":%u,\"weight_b\":1,"
		"\"connections\":%d,\"service_ms\":%.0f,\"demand_a\":%u,"
		"\"acquire_ms\":{\"p50\":%.4f,\"p99\":%.4f,\"max\":%.4f},"
		"\"request_ms\":{\"p50\":%.4f,\"p99\":%.4f,\"max\":%.4f},\"a_per_s\":%.0f}\n",
		who, fixture->weight, TOTAL, (double)SERVICE_NS / 1e6, fixture->demand, f->acquire[0],
		f->acquire[1], f->acquire[2], f->request[0], f->request[1], f->request[2],
		f->rate);
}

static void tell(FILE *json, const struct fixture_of_two *fixture, const struct figures *alone,
		 const struct figures *beside, const struct figures *back, double served)
{
	double limit = LIMIT_TIMES * alone->request[1] + LIMIT_MS;
	bool holds = beside->request[1] <= limit;

	if (json != NULL) {
		print_json(json, fixture, "alone", alone);
		print_json(json, fixture, "beside", beside);
		print_json(json, fixture, "back", back);
		fprintf(json, "{\"scenario\":\"tenants\",\"who\":\"both\",\"weight_a\":%u,"
			"\"p99_ratio\":%.3f,\"limit_ms\":%.3f,\"holds\":%s,\"served\":%.2f}\n",
			fixture->weight, beside->request[1] / alone->request[1], limit,
			holds ? "true" : "false", served);
		return;
	}
	printf("weights %u : 1; B asks every %.2f ms, A keeps %u requests out\n"
	       "  %-12s %26s   %26s\n  %-12s %8s %8s %8s   %8s %8s %8s %9s\n", fixture->weight,
	       (double)fixture->interval_ns / 1e6, fixture->demand, "ms", "acquire", "request", "", "p50",
	       "p99", "max", "p50", "p99", "max", "A's per s");
	print_row("B alone", alone);
	print_row("B beside A", beside);
	print_row("B back", back);
	printf("  p99 x %.2f; limit %.1f x alone + %.0f ms = %.3f ms: %s\n"
	       "  both want everything: A is served %.2f x as often as B\n\n",
	       beside->request[1] / alone->request[1], LIMIT_TIMES, LIMIT_MS, limit,
	       holds ? "holds" : "does not hold", served);
}

int scenario_tenants(const struct args *args)
{
	static const uint32_t weights[] = { 1, 4 };
	struct fixture_of_two *fixture = calloc(1, sizeof *fixture);
	struct slow *slow = slow_open(SERVICE_NS);
	FILE *json = json_open(args);

	if (json == NULL)
		printf("%d connections in all, %.0f ms per request, %d rounds of %.1f s, medians\n\n",
		       TOTAL, (double)SERVICE_NS / 1e6, ROUNDS, args->seconds);
	for (size_t v = 0; v < sizeof weights / sizeof weights[0]; v++) {
		struct figures alone[ROUNDS], beside[ROUNDS], back[ROUNDS], of[3];

		open_two(fixture, args, slow_port(slow), weights[v]);
		calm_run(fixture, 0.2); /* warm */
		memset(fixture->b.acquire, 0, sizeof fixture->b.acquire);
		memset(fixture->b.request, 0, sizeof fixture->b.request);
		for (int i = 0; i < ROUNDS; i++) {
			progress("weight %u, round %d of %d", weights[v], i + 1, ROUNDS);
			alone[i] = phase(fixture, 0, args->seconds);
			beside[i] = phase(fixture, 0.1, args->seconds);
			back[i] = phase(fixture, PAUSE_S, BACK_S);
		}
		progress("%s", "");
		of[0] = medians(alone);
		of[1] = medians(beside);
		of[2] = medians(back);
		tell(json, fixture, &of[0], &of[1], &of[2], both_greedy(fixture, args->seconds));
		close_two(fixture);
	}
	json_close(json);
	slow_close(slow);
	free(fixture);
	return 0;
}
