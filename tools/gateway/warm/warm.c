/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warm.c - the thread of a warm start, which alone touches the file; and what loops count.
 *
 * What was read counts on, halved with each write, so that a tenant who stays away is forgotten
 * after some of them, and one who comes back each day is not forgotten by a restart in the night.
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
	uint64_t interval_ns;
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

/* ---- counted by loops */

static struct kolk_mcp_part part_of(const char *text)
{
	return (struct kolk_mcp_part){ text, strlen(text) };
}

void gw_warm_use_pool(struct gw_loop *loop, const char *pool, const char *tenant)
{
	struct gw_warm_use use = { .kind = GW_WARM_CONNECTION };

	if (loop->warm == NULL || tenant[0] == '\0') /* the pool's own keeps idle_min */
		return;
	use.texts[GW_WARM_POOL] = part_of(pool);
	use.texts[GW_WARM_TENANT] = part_of(tenant);
	gw_warm_count_use(loop->warm->count, &use);
}

/* A server that is shown the client's token gets nothing from us without it; our own, in this program,
 * is there without a session. */
static bool is_counted(const struct gw_mcp_call *call)
{
	return call->home->warm != NULL && !call->passes && !call->pool->local;
}

static void use_mcp(const struct gw_mcp_call *call, struct gw_warm_use *use)
{
	use->texts[GW_WARM_POOL] = part_of(call->pool->name);
	use->texts[GW_WARM_TENANT] = part_of(call->tenant);
	gw_warm_count_use(call->home->warm->count, use);
}

/* Where each client has a session alone, all that it says of itself makes no difference. */
void gw_warm_use_session(const struct gw_mcp_call *call)
{
	bool alone = call->pool->options.isolation == KOLK_MCP_ISOLATION_SESSION;
	struct gw_warm_use use = { .kind = alone ? GW_WARM_CONNECTION : GW_WARM_SESSION };

	if (!is_counted(call))
		return;
	if (!alone) {
		const char *version = gw_mcp_version_asked(call->message);

		use.texts[GW_WARM_VERSION] = part_of(version != NULL ? version : "");
		if (call->pool->options.sharing != KOLK_MCP_MULTIPLEXED)
			use.texts[GW_WARM_CAPABILITIES] = call->message->capabilities;
		use.texts[GW_WARM_CLIENT_INFO] = call->message->client_info;
	}
	use_mcp(call, &use);
}

void gw_warm_use_call(const struct gw_mcp_call *call, bool dialog)
{
	struct gw_warm_use use = { .kind = GW_WARM_CALL };

	if (!is_counted(call))
		return;
	if (dialog)
		use.texts[GW_WARM_CAPABILITIES] = call->message->meta_capabilities;
	use_mcp(call, &use);
}

/* ---- written */

struct copies {
	struct gw_warm *warm;
	struct gw_warm_list list;
	bool halve, lost; /* lost: there was no memory for one */
};

static void copy(void *user, const struct gw_warm_pair *pair)
{
	struct copies *copies = user;
	struct gw_warm_use use = { .kind = (enum gw_warm_kind)pair->kind };
	uint32_t count = copies->list.count;

	for (int i = 0; i < GW_WARM_TEXTS; i++)
		use.texts[i] = part_of(gw_warm_pair_text(pair, (enum gw_warm_text)i));
	gw_warm_list_add(&copies->list, gw_warm_pair_make(&use, pair->uses));
	copies->lost |= copies->list.count == count;
}

static void copy_loop(struct gw_loop *loop, void *user)
{
	struct copies *copies = user;

	gw_warm_count_show(loop->warm->count, copy, copies);
	if (copies->halve)
		gw_warm_count_halve(loop->warm->count);
}

static void copy_read(struct copies *copies)
{
	struct gw_warm_list *list = &copies->warm->read;

	for (uint32_t i = 0; i < list->count; i++) {
		if (list->pairs[i]->uses > 0)
			copy(copies, list->pairs[i]);
		if (copies->halve)
			list->pairs[i]->uses /= 2;
	}
}

/* A file system that refuses each time is told of once. A part of what was counted does not take the
 * place of the whole that was written before. */
static void write_state(struct gw_warm *warm, bool halve)
{
	struct copies copies = { .warm = warm, .halve = halve };
	char why[GW_WARM_WHY] = "there is no memory";
	bool written;

	if (!warm->writes)
		return;
	gw_each_loop(warm->gateway, copy_loop, &copies);
	copy_read(&copies);
	gw_warm_list_sort(&copies.list, warm->pairs_max);
	written = !copies.lost && gw_warm_file_write(warm->path, &copies.list, why);
	if (!written && !warm->failed)
		gw_say("warm_state_file %s cannot be written: %s", warm->path, why);
	warm->failed = !written;
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
	loop = &warm->gateway->loops[*next % warm->gateway->loop_count];
	pair = warm->read.pairs[(*next)++];
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
		write_state(warm, true);
		write_ns = kolk_in_ns(warm->interval_ns);
		pthread_mutex_lock(&warm->lock);
	}
	end_all(warm);
	pthread_mutex_unlock(&warm->lock);
	write_state(warm, false);
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

static void read_state(struct gw_warm *warm)
{
	char why[GW_WARM_WHY];

	warm->writes = gw_warm_file_read(warm->path, warm->pairs_max, &warm->read, why);
	gw_status_warm_show(warm->path, warm->read.count, warm->writes ? NULL : why);
	if (!warm->writes)
		gw_say("warm_state_file %s: %s: nothing is made ahead, and it is left as it is; "
		       "move it away to begin a new one", warm->path, why);
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
	pthread_mutex_init(&warm->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&warm->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return warm;
}

static bool open_loops(struct gateway *gateway)
{
	for (uint32_t i = 0; i < gateway->loop_count; i++) {
		struct gw_warm_loop *loop = calloc(1, sizeof *loop);

		gateway->loops[i].warm = loop;
		if (loop != NULL)
			loop->count = gw_warm_count_make(gateway->warm->pairs_max);
		if (loop == NULL || loop->count == NULL)
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
	if (warm == NULL || warm->path == NULL || !open_loops(gateway))
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
	pthread_cond_destroy(&warm->changed);
	pthread_mutex_destroy(&warm->lock);
	free(warm->path);
	free(warm);
	gateway->warm = NULL;
}
