/* SPDX-License-Identifier: Apache-2.0 */
/*
 * count.c - the numbers of each route.
 *
 * Threads. A loop has counters of its own for each route that it had a request of, and is their only
 * writer; whoever wants numbers adds up those of all loops. Counters publish nothing but
 * themselves: relaxed. So a sum is no instant: a request may be in one of two numbers that it is
 * counted in. The counters of a loop are made by its first request of the route, and published by
 * release, which pairs with the acquire in run_one: they are seen zeroed.
 */
#include "tools/gateway/count.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/atomic.h"

/* W: one loop. R: any thread. */
struct counters {
	kolk__atomic_u64 in_flight, received, sent, sum_ns;
	kolk__atomic_u64 outcomes[GW_OUTCOMES], refused[GW_REFUSALS];
	kolk__atomic_u64 buckets[GW_BUCKETS];
};

struct gw_count {
	struct gw_count *next, **at; /* at: what points to it. These and users under lock */
	uint32_t users;
	char *route;                 /* constant */
	/* W: the loop, once. R: any thread. NULL = the loop had no request of it. */
	KOLK__ATOMIC(struct counters *) of_loop[KOLK_LOOPS_MAX];
};

/* Taken when a view is made or freed, and by who wants numbers: by no request. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct gw_count *first; /* under lock */

/* ---- which route */

/* "GET,HEAD api.example.com/v1 x-version: 2": what its match has. NULL = no memory. */
static char *name_of(const struct gw_route *route)
{
	const char *path = route->path != NULL ? route->path : "/";
	size_t path_size = strlen(path), size;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	for (const char *const *method = route->methods; method != NULL && *method != NULL; method++)
		fprintf(out, "%s%s", *method, method[1] != NULL ? "," : " ");
	while (path_size > 1 && path[path_size - 1] == '/')
		path_size--;
	fprintf(out, "%s%.*s", route->host != NULL ? route->host : "", (int)path_size, path);
	if (route->header_name != NULL)
		fprintf(out, " %s", route->header_name);
	if (route->header_name != NULL && route->header_value != NULL)
		fprintf(out, ": %s", route->header_value);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* Where it is, or where a new one is to be; under lock. */
static struct gw_count **find(const char *route)
{
	struct gw_count **at = &first;

	while (*at != NULL && strcmp((*at)->route, route) != 0)
		at = &(*at)->next;
	return at;
}

static struct gw_count *open_name(char *name)
{
	struct gw_count *count, **at;

	pthread_mutex_lock(&lock);
	at = find(name);
	count = *at;
	if (count == NULL) {
		count = calloc(1, sizeof *count);
		if (count != NULL) {
			count->route = name;
			name = NULL;
		}
		*at = count;
	}
	if (count != NULL) {
		count->at = at;
		count->users++;
	}
	pthread_mutex_unlock(&lock);
	free(name);
	return count;
}

struct gw_count *gw_count_open(const struct gw_route *route)
{
	char *name = route != NULL ? name_of(route) : strdup("(none)"); /* a path begins with '/' */

	return name != NULL ? open_name(name) : NULL;
}

/* On a loop that leaves a view: the time does not grow with how many there are. */
void gw_count_close(struct gw_count *count)
{
	bool unused;

	if (count == NULL)
		return;
	pthread_mutex_lock(&lock);
	unused = --count->users == 0;
	if (unused)
		*count->at = count->next;
	if (unused && count->next != NULL)
		count->next->at = count->at;
	pthread_mutex_unlock(&lock);
	if (!unused)
		return;
	for (uint32_t i = 0; i < KOLK_LOOPS_MAX; i++)
		free(kolk__load_acquire(&count->of_loop[i]));
	free(count->route);
	free(count);
}

/* ---- buckets */

uint64_t gw_numbers_below(const struct gw_numbers *numbers, uint64_t ns)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < GW_BUCKETS - 1 && kolk__bucket_bound_ns(i) <= ns; i++)
		sum += numbers->buckets[i];
	return sum;
}

uint64_t gw_numbers_quantile(const struct gw_numbers *numbers, uint32_t per_mille)
{
	uint64_t wanted = (numbers->timed * per_mille + 999) / 1000, sum = numbers->buckets[0];
	uint32_t i = 0;

	if (numbers->timed == 0)
		return 0;
	while (i < GW_BUCKETS - 2 && sum < wanted)
		sum += numbers->buckets[++i];
	return kolk__bucket_bound_ns(i);
}

/* ---- on a loop */

/* NULL = no memory: then the request is not counted. */
static struct counters *counters_of(struct gw_count *count, uint32_t loop)
{
	struct counters *counters = kolk__own(&count->of_loop[loop]);

	if (counters == NULL) {
		counters = calloc(1, sizeof *counters);
		kolk__store_release(&count->of_loop[loop], counters);
	}
	return counters;
}

void gw_count_begin(struct gw_count *count, uint32_t loop)
{
	struct counters *counters = counters_of(count, loop);

	if (counters != NULL)
		kolk__own_add(&counters->in_flight, 1);
}

static void count_refusal(struct counters *counters, uint32_t status)
{
	if (status == 401 || status == 403)
		kolk__own_add(&counters->refused[GW_REFUSAL_TENANT], 1);
	else if (status == 429)
		kolk__own_add(&counters->refused[GW_REFUSAL_RATE], 1);
	else if (status == 413)
		kolk__own_add(&counters->refused[GW_REFUSAL_BODY], 1);
}

void gw_count_end(struct gw_count *count, uint32_t loop, const struct gw_ended *ended)
{
	struct counters *counters = kolk__own(&count->of_loop[loop]);

	if (counters == NULL || kolk__own(&counters->in_flight) == 0)
		return; /* its begin found no memory */
	kolk__own_sub(&counters->in_flight, 1);
	if (ended == NULL)
		return;
	kolk__own_add(&counters->outcomes[ended->outcome], 1);
	count_refusal(counters, ended->status);
	kolk__own_add(&counters->received, ended->received);
	kolk__own_add(&counters->sent, ended->sent);
	if (ended->outcome < GW_OUTCOME_2XX || ended->outcome > GW_OUTCOME_5XX)
		return;
	kolk__own_add(&counters->sum_ns, ended->took_ns);
	kolk__own_add(&counters->buckets[kolk__bucket_of(ended->took_ns)], 1);
}

/* ---- of all loops */

static void add_loop(struct gw_numbers *numbers, const struct counters *counters)
{
	numbers->in_flight += kolk__load_relaxed(&counters->in_flight);
	numbers->received += kolk__load_relaxed(&counters->received);
	numbers->sent += kolk__load_relaxed(&counters->sent);
	numbers->sum_ns += kolk__load_relaxed(&counters->sum_ns);
	for (uint32_t i = 0; i < GW_OUTCOMES; i++)
		numbers->outcomes[i] += kolk__load_relaxed(&counters->outcomes[i]);
	for (uint32_t i = 0; i < GW_REFUSALS; i++)
		numbers->refused[i] += kolk__load_relaxed(&counters->refused[i]);
	for (uint32_t i = 0; i < GW_BUCKETS; i++) {
		uint64_t in_it = kolk__load_relaxed(&counters->buckets[i]);

		numbers->buckets[i] += in_it;
		numbers->timed += in_it;
	}
}

static void run_one(struct gw_count *count, gw_count_fn *run, void *user)
{
	struct gw_numbers numbers = { 0 };

	for (uint32_t i = 0; i < KOLK_LOOPS_MAX; i++) {
		const struct counters *counters = kolk__load_acquire(&count->of_loop[i]);

		if (counters != NULL)
			add_loop(&numbers, counters);
	}
	run(user, count->route, &numbers);
}

/* Uses each while it is looked at: the lock is not held meanwhile, as a loop that frees a view waits
 * for it. */
bool gw_count_each(gw_count_fn *run, void *user)
{
	struct gw_count **all;
	size_t size = 0;
	bool ok;

	pthread_mutex_lock(&lock);
	for (struct gw_count *count = first; count != NULL; count = count->next)
		size++;
	all = calloc(size + 1, sizeof(struct gw_count *));
	size = 0;
	for (struct gw_count *count = first; all != NULL && count != NULL; count = count->next) {
		count->users++;
		all[size++] = count;
	}
	pthread_mutex_unlock(&lock);
	for (size_t i = 0; i < size; i++) {
		run_one(all[i], run, user);
		gw_count_close(all[i]);
	}
	ok = all != NULL;
	free(all);
	return ok;
}
