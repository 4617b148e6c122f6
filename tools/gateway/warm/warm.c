/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warm.c - the thread of a warm start, which alone touches the file.
 *
 * What was read counts on, and ages as what loops count does: a tenant who comes back each day is not
 * forgotten by a restart in the night.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/gateway/say.h"
#include "tools/gateway/warm/warm.h"

struct gw_warm {
	struct gateway *gateway;
	char *path;
	uint32_t pairs_max, rate;
	uint64_t interval_ns, half_life_s;
	uint64_t clock_ns;           /* added to kolk_in_ns(0) */
	struct gw_warm_ahead *ahead;
	struct gw_warm_list read;    /* of the file: the thread's; jobs look at their pairs */
	bool writes;                 /* false: what is there is not ours */
	bool failed;                 /* the last write; the thread's */
	pthread_t thread;
	bool runs;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under it. */
	uint32_t jobs;
	bool ending;
	uint64_t deadline_ns;        /* of the end */
};

/* ---- written */

struct copies {
	struct gw_warm *warm;
	struct gw_warm_list list; /* at_s: now */
	bool lost;                /* there was no memory for one */
};

static void copy(void *user, const struct gw_warm_pair *pair, double uses)
{
	struct copies *copies = user;
	struct gw_warm_use use;
	uint32_t count = copies->list.count;

	gw_warm_pair_use(pair, &use);
	gw_warm_list_add(&copies->list, gw_warm_pair_make(&use, uses));
	copies->lost |= copies->list.count == count;
}

static void copy_loop(struct gw_loop *loop, void *user)
{
	struct copies *copies = user;

	gw_warm_count_show(loop->warm->count, copies->list.at_s, copy, copies);
}

static void copy_read(struct copies *copies)
{
	const struct gw_warm *warm = copies->warm;
	const uint64_t now_s = copies->list.at_s, at_s = warm->read.at_s;
	const uint64_t age_s = now_s > at_s ? now_s - at_s : 0;

	for (uint32_t i = 0; i < warm->read.count; i++)
		copy(copies, warm->read.pairs[i],
		     gw_warm_aged(warm->read.pairs[i]->uses, age_s, warm->half_life_s));
}

static uint64_t clock_s(const struct gw_warm *warm)
{
	return (kolk_in_ns(0) + warm->clock_ns) / KOLK_S_NS;
}

/* A file system that refuses each time is told of once. */
static void failed(struct gw_warm *warm, const char *why)
{
	if (!warm->failed)
		gw_say("warm_state_file %s cannot be written: %s", warm->path, why);
	warm->failed = true;
}

/* A part of what was counted does not take the place of the whole that was written before. */
static void write_state(struct gw_warm *warm)
{
	struct copies copies = { .warm = warm, .list.at_s = clock_s(warm) };
	char why[GW_WARM_WHY] = "there is no memory";
	bool written;

	if (!warm->writes)
		return;
	gw_each_loop(warm->gateway, copy_loop, &copies);
	copy_read(&copies);
	gw_warm_list_sort(&copies.list, warm->pairs_max);
	written = !copies.lost && gw_warm_file_write(warm->path, &copies.list, why);
	if (written)
		warm->failed = false;
	else
		failed(warm, why);
	gw_status_warm_wrote(copies.list.count, written ? NULL : why);
	gw_warm_list_free(&copies.list);
}

/* ---- the thread */

/* Until then, or until something has changed; under the lock. */
static void wait_until(struct gw_warm *warm, uint64_t due_ns)
{
	struct timespec until = { .tv_sec = (time_t)(due_ns / KOLK_S_NS),
				  .tv_nsec = (long)(due_ns % KOLK_S_NS) };

	pthread_cond_timedwait(&warm->changed, &warm->lock, &until);
}

/* All of a tenant is made on one: a client has sessions with several servers there (federation). */
static struct gw_loop *loop_of(const struct gw_warm *warm, const struct gw_warm_pair *pair)
{
	const char *tenant = gw_warm_pair_text(pair, GW_WARM_TENANT);
	const struct gw_warm_use use = { .texts = { { tenant, strlen(tenant) } } };

	return &warm->gateway->loops[gw_warm_hash(&use, 0) % warm->gateway->loop_count];
}

/* The next pair, if it is time for one; under the lock. Returns when to come back. */
static uint64_t start_next(struct gw_warm *warm, uint32_t *next, uint64_t *due_ns)
{
	uint64_t now_ns = kolk_in_ns(0);
	const struct gw_warm_pair *pair;
	struct gw_loop *loop;

	if (*next == warm->read.count || warm->jobs == GW_WARM_JOBS_MAX)
		return KOLK_FOREVER;
	if (now_ns < *due_ns)
		return *due_ns;
	*due_ns = now_ns + KOLK_S_NS / warm->rate;
	pair = warm->read.pairs[(*next)++];
	loop = loop_of(warm, pair);
	warm->jobs++;
	pthread_mutex_unlock(&warm->lock);
	gw_warm_job_start(warm, loop, pair);
	pthread_mutex_lock(&warm->lock);
	return *due_ns;
}

static void end_jobs(struct gw_loop *loop, void *user)
{
	(void)user;
	gw_warm_jobs_end(loop);
	gw_warm_ahead_end(loop);
}

/* Under the lock. */
static void end_all(struct gw_warm *warm)
{
	while (warm->jobs > 0 && kolk_in_ns(0) < warm->deadline_ns)
		wait_until(warm, warm->deadline_ns);
	pthread_mutex_unlock(&warm->lock);
	gw_each_loop(warm->gateway, end_jobs, NULL);
	pthread_mutex_lock(&warm->lock);
	while (warm->jobs > 0) /* they end from step, or have ended */
		pthread_cond_wait(&warm->changed, &warm->lock);
}

static void *run(void *user)
{
	struct gw_warm *warm = user;
	uint64_t write_ns = kolk_in_ns(warm->interval_ns), job_ns = 0;
	uint32_t next = 0;

	pthread_mutex_lock(&warm->lock);
	while (!warm->ending) {
		uint64_t due_ns = start_next(warm, &next, &job_ns);

		if (!warm->ending && kolk_in_ns(0) < write_ns)
			wait_until(warm, due_ns < write_ns ? due_ns : write_ns);
		if (warm->ending || kolk_in_ns(0) < write_ns)
			continue;
		pthread_mutex_unlock(&warm->lock);
		write_state(warm);
		write_ns = kolk_in_ns(warm->interval_ns);
		pthread_mutex_lock(&warm->lock);
	}
	end_all(warm);
	pthread_mutex_unlock(&warm->lock);
	write_state(warm);
	return NULL;
}

void gw_warm_job_ended(struct gw_warm *warm, enum gw_warm_outcome outcome)
{
	gw_status_warm_ended(outcome);
	pthread_mutex_lock(&warm->lock);
	warm->jobs--;
	pthread_cond_signal(&warm->changed);
	pthread_mutex_unlock(&warm->lock);
}

/* ---- life */

/* That it cannot be written is told now, not when there is something to be lost; a disk that is full may
 * have room then, so that it is tried. */
static void read_state(struct gw_warm *warm)
{
	char why[GW_WARM_WHY];
	bool writable;

	warm->writes = gw_warm_file_read(warm->path, warm->pairs_max, &warm->read, why);
	if (warm->read.at_s == 0)
		warm->read.at_s = clock_s(warm);
	writable = warm->writes && gw_warm_file_check(warm->path, why);
	gw_status_warm_show(warm->path, warm->read.count, writable ? NULL : why);
	if (!warm->writes)
		gw_say("warm_state_file %s: %s: nothing is made ahead, and it is left as it is; "
		       "move it away to begin a new one", warm->path, why);
	else if (!writable)
		failed(warm, why);
}

/* The clock of a restart is the system's; meanwhile it goes on evenly, whatever is done to that one. */
static uint64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * KOLK_S_NS + (uint64_t)now.tv_nsec - kolk_in_ns(0);
}

static struct gw_warm *make(struct gateway *gateway, const struct gw_warm_options *options)
{
	struct gw_warm *warm = calloc(1, sizeof *warm);
	pthread_condattr_t monotonic;

	if (warm == NULL)
		return NULL;
	warm->gateway = gateway;
	warm->path = strdup(options->state_file);
	warm->pairs_max = options->pairs_max != 0 ? options->pairs_max : GW_WARM_PAIRS;
	warm->rate = options->rate != 0 ? options->rate : GW_WARM_RATE;
	warm->interval_ns = options->interval_ns != 0 ? options->interval_ns : GW_WARM_INTERVAL_NS;
	warm->half_life_s = (options->half_life_ns != 0 ? options->half_life_ns :
							  GW_WARM_HALF_LIFE_NS) / KOLK_S_NS;
	warm->clock_ns = clock_now_ns();
	warm->ahead = gw_warm_ahead_make(warm->pairs_max);
	pthread_mutex_init(&warm->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&warm->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return warm;
}

struct gw_warm_ahead *gw_warm_ahead_of(const struct gateway *gateway)
{
	return gateway->warm != NULL ? gateway->warm->ahead : NULL;
}

static bool open_loops(struct gateway *gateway)
{
	for (uint32_t i = 0; i < gateway->loop_count; i++) {
		struct gw_warm_loop *loop = calloc(1, sizeof *loop);

		gateway->loops[i].warm = loop;
		if (loop == NULL)
			return false;
		loop->clock_ns = gateway->warm->clock_ns;
		loop->count = gw_warm_count_make(gateway->warm->pairs_max, gateway->warm->half_life_s);
		if (loop->count == NULL)
			return false;
	}
	return true;
}

bool gw_warm_begin(struct gateway *gateway)
{
	const struct gw_warm_options *options = &gateway->view->config->warm;
	struct gw_warm *warm;

	if (options->state_file == NULL)
		return true;
	warm = gateway->warm = make(gateway, options);
	if (warm == NULL || warm->path == NULL || warm->ahead == NULL || !open_loops(gateway))
		return false;
	read_state(warm);
	warm->runs = pthread_create(&warm->thread, NULL, run, warm) == 0;
	return warm->runs;
}

void gw_warm_end(struct gateway *gateway, uint64_t deadline_ns)
{
	struct gw_warm *warm = gateway->warm;

	if (warm == NULL || !warm->runs)
		return;
	pthread_mutex_lock(&warm->lock);
	warm->ending = true;
	warm->deadline_ns = deadline_ns;
	pthread_cond_signal(&warm->changed);
	pthread_mutex_unlock(&warm->lock);
	pthread_join(warm->thread, NULL);
	warm->runs = false;
	gw_status_warm_show(NULL, 0, NULL);
}

void gw_warm_free(struct gateway *gateway)
{
	struct gw_warm *warm = gateway->warm;

	if (warm == NULL)
		return;
	for (uint32_t i = 0; i < gateway->loop_count && gateway->loops[i].warm != NULL; i++) {
		gw_warm_count_free(gateway->loops[i].warm->count);
		free(gateway->loops[i].warm);
	}
	gw_warm_list_free(&warm->read);
	gw_warm_ahead_free(warm->ahead);
	pthread_cond_destroy(&warm->changed);
	pthread_mutex_destroy(&warm->lock);
	free(warm->path);
	free(warm);
	gateway->warm = NULL;
}
