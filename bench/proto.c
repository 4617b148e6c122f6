/* SPDX-License-Identifier: Apache-2.0 */
/* proto.c - rounds of the protocols' scenarios, and the report on them. */
#define _GNU_SOURCE
#include "bench/proto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/echo.h"

enum { ROUNDS = 5, ROUNDS_MAX = 25, COUNT_MIN = 2000 };

struct figures {
	double ops[ROUNDS_MAX], cpu[ROUNDS_MAX], ratio[ROUNDS_MAX];
	uint64_t connections;
	struct hist latency;
};

/* All threads of this process: Kolk's helpers and kernel workers count. */
static uint64_t process_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * KOLK_S_NS + (uint64_t)now.tv_nsec;
}

/* ---- one run */

void load_begin(struct load *load)
{
	load->ops = 0;
	load->over = false;
	load->cold = (uint64_t)load->concurrency * load->depth * (load->fresh ? 1 : 4);
	load->began_ns = clock_now();
}

static void warmed(struct load *load, uint64_t now_ns)
{
	load->began_ns = now_ns;
	load->cpu_ns = process_ns();
}

uint64_t load_done(struct load *load, uint64_t sent_ns)
{
	uint64_t now_ns = clock_now();

	if (load->over)
		return 0;
	if (load->cold > 1 ||
	    (load->cold == 1 && now_ns - load->began_ns < load->duration_ns / 5)) {
		load->cold -= load->cold > 1;
		return now_ns;
	}
	if (load->cold == 1) {
		load->cold = 0;
		warmed(load, now_ns);
		return now_ns;
	}
	load->ops++;
	hist_add(&load->latency, now_ns - sent_ns);
	if (now_ns - load->began_ns < load->duration_ns)
		return now_ns;
	load->over = true;
	load->wall_ns = now_ns - load->began_ns;
	load->cpu_ns = process_ns() - load->cpu_ns;
	return 0;
}

/* ---- rounds */

static bool takes_part(const struct rival *rival, const struct load *plan)
{
	return rival->run != NULL &&
	       (plan->client == NULL || strcmp(plan->client, rival->name) == 0) &&
	       (rival->concurrency_max == 0 || plan->concurrency <= rival->concurrency_max) &&
	       (rival->depth_max == 0 || plan->depth <= rival->depth_max);
}

/* What a line is held against: Kolk's first one of the kind; -1 = that was not built in. */
static int baseline(const struct rival *rivals, int index)
{
	int i = 0;

	while (rivals[i].kind != rivals[index].kind)
		i++;
	return rivals[i].run != NULL ? i : -1;
}

/* rate: what the first line reached in this round, per second. */
static void one_run(const struct rival *rival, const struct load *plan, int round, double rate,
		    struct figures *figures)
{
	struct load *load = malloc(sizeof *load);

	*load = *plan;
	load->count = COUNT_MIN + (uint64_t)(rate * (double)plan->duration_ns / 1e9);
	load->fresh = rival->kind == FRESH;
	proto_client_side();
	rival->run(load);
	if (load->ops == 0)
		die("%s: not one request in the time given", rival->name);
	figures->ops[round] = (double)load->ops * 1e9 / (double)load->wall_ns;
	figures->cpu[round] = (double)load->cpu_ns / (double)load->ops;
	figures->connections = load->connections;
	hist_merge(&figures->latency, &load->latency);
	free(load);
}

static void measure(const struct rival *rivals, int count, const struct load *plan,
		    struct figures *figures)
{
	for (int round = 0; round < plan->rounds; round++) {
		for (int i = 0; i < count; i++) {
			int kolk = baseline(rivals, i);

			if (!takes_part(&rivals[i], plan))
				continue;
			progress("round %d of %d: %s", round + 1, plan->rounds, rivals[i].name);
			one_run(&rivals[i], plan, round, figures[0].ops[round], &figures[i]);
			if (kolk >= 0)
				figures[i].ratio[round] = figures[i].cpu[round] /
							  figures[kolk].cpu[round];
		}
	}
	progress("%s", "");
}

/* ---- output */

static void tell_json(FILE *json, const char *scenario, const struct rival *rival,
		      const struct load *plan, struct figures *f)
{
	fprintf(json,
		"{\"scenario\":\"%s\",\"server\":\"%s\",\"client\":\"%s\",\"tls\":%s,"
		"\"fresh\":%s,\"concurrency\":%u,\"depth\":%u,\"bytes\":%u,"
		"\"requests_per_s\":%.0f,",
		scenario, plan->site->server, rival->name, plan->site->ca_file ? "true" : "false",
		rival->kind == FRESH ? "true" : "false", plan->concurrency, plan->depth,
		plan->bytes, median(f->ops, plan->rounds));
	if (f->latency.count > 0) {
		json_hist(json, "latency_ns", &f->latency, 0);
		fprintf(json, ",");
	}
	fprintf(json,
		"\"cpu_s_per_100000\":%.4f,\"kolk_per_cpu_ratio\":%.3f,\"connections\":%llu}\n",
		median(f->cpu, plan->rounds) / 1e4, median(f->ratio, plan->rounds),
		(unsigned long long)f->connections);
}

static void tell_row(const struct rival *rival, const struct load *plan, struct figures *f)
{
	char p50[24] = "-", p99[24] = "-";

	if (f->latency.count > 0) {
		snprintf(p50, sizeof p50, "%.1f", (double)hist_at(&f->latency, 0.5) / 1e3);
		snprintf(p99, sizeof p99, "%.1f", (double)hist_at(&f->latency, 0.99) / 1e3);
	}
	printf("%-22s %10.0f %10s %10s %12.3f %8.2f %12llu\n", rival->name,
	       median(f->ops, plan->rounds), p50, p99, median(f->cpu, plan->rounds) / 1e4,
	       median(f->ratio, plan->rounds), (unsigned long long)f->connections);
}

static void tell(const struct args *args, const char *scenario, const char *title,
		 const struct rival *rivals, int count, const struct load *plan,
		 struct figures *figures)
{
	FILE *json = json_open(args);

	if (json == NULL) {
		printf("%s; %u at a time", title, plan->concurrency);
		if (plan->depth > 1)
			printf(", %u sent together", plan->depth);
		printf("; %u bytes; median of %d rounds\n%-22s %10s %10s %10s %12s %8s %12s\n",
		       plan->bytes, plan->rounds, "", "requests/s", "p50 us", "p99 us",
		       "CPU-s/100k", "kolk is", "connections");
	}
	for (int i = 0; i < count; i++) {
		if (takes_part(&rivals[i], plan) && json != NULL)
			tell_json(json, scenario, &rivals[i], plan, &figures[i]);
		else if (takes_part(&rivals[i], plan))
			tell_row(&rivals[i], plan, &figures[i]);
		else if (json == NULL && rivals[i].run == NULL)
			printf("%-22s skipped: not there when this was built\n", rivals[i].name);
	}
	if (json == NULL)
		printf("\n");
	json_close(json);
}

void proto_measure(const struct args *args, const char *scenario, const char *title,
		   const struct rival *rivals, int count, const struct load *load)
{
	struct figures *figures = calloc((size_t)count, sizeof *figures);
	struct load *plan = malloc(sizeof *plan);

	*plan = *load;
	plan->rounds = args->rounds == 0 ? ROUNDS :
		       args->rounds > ROUNDS_MAX ? ROUNDS_MAX : (int)args->rounds;
	plan->duration_ns = (uint64_t)(args->seconds * 1e9 / plan->rounds);
	plan->client = args->client;
	measure(rivals, count, plan, figures);
	tell(args, scenario, title, rivals, count, plan, figures);
	free(plan);
	fflush(stdout);
	free(figures);
}

/* ---- arguments, CPUs */

int proto_list(const char *text, const char *fallback, uint32_t list[LIST_MAX])
{
	int count = 0;

	for (const char *at = text ? text : fallback; count < LIST_MAX;) {
		char *end;
		unsigned long value;

		errno = 0;
		value = strtoul(at, &end, 10);
		if (errno != 0 || end == at || value == 0 || value > UINT32_MAX ||
		    (*end != 0 && *end != ','))
			die("'%s' is not a list of numbers", text);
		list[count++] = (uint32_t)value;
		if (*end == 0)
			return count;
		at = end + 1;
	}
	die("'%s' has more than %d numbers", text, LIST_MAX);
}

void proto_server_side(void)
{
	pin_to_cpu((int)sysconf(_SC_NPROCESSORS_ONLN) - 1);
}

void proto_client_side(void)
{
	pin_to_cpu(0);
}
