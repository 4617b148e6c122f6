/* SPDX-License-Identifier: Apache-2.0 */
/* warm.c - the numbers of a warm start, as JSON and as metrics. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tools/gateway/status/status.h"
#include "tools/gateway/warm/warm.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct numbers {
	char path[256];              /* "" = there is no warm start */
	uint64_t restored;           /* pairs of the file */
	uint64_t ended[GW_WARM_OUTCOMES];
	uint64_t waiting, taken, unused; /* sessions that were made for one client: now; so far */
	uint64_t pairs;              /* of the last write */
	uint64_t writes, failures;   /* of them */
	char error[GW_WARM_WHY];     /* of the last one, or of reading it; "" = it was well */
} shared;

void gw_status_warm_show(const char *path, uint64_t restored, const char *why)
{
	pthread_mutex_lock(&lock);
	shared = (struct numbers){ .restored = restored };
	snprintf(shared.path, sizeof shared.path, "%s", path != NULL ? path : "");
	snprintf(shared.error, sizeof shared.error, "%s", why != NULL ? why : "");
	pthread_mutex_unlock(&lock);
}

void gw_status_warm_ended(enum gw_warm_outcome outcome)
{
	pthread_mutex_lock(&lock);
	shared.ended[outcome]++;
	pthread_mutex_unlock(&lock);
}

void gw_status_warm_waits(void)
{
	pthread_mutex_lock(&lock);
	shared.waiting++;
	pthread_mutex_unlock(&lock);
}

void gw_status_warm_waited(bool taken)
{
	pthread_mutex_lock(&lock);
	shared.waiting--;
	shared.taken += taken;
	shared.unused += !taken;
	pthread_mutex_unlock(&lock);
}

void gw_status_warm_wrote(uint64_t pairs, const char *why)
{
	pthread_mutex_lock(&lock);
	if (why == NULL)
		shared.pairs = pairs;
	shared.writes++;
	shared.failures += why != NULL;
	snprintf(shared.error, sizeof shared.error, "%s", why != NULL ? why : "");
	pthread_mutex_unlock(&lock);
}

void gw_status_put_warm(json_t *root)
{
	struct numbers numbers;
	json_t *object;

	gw_status_copy(&lock, &shared, &numbers, sizeof numbers);
	if (numbers.path[0] == '\0')
		return;
	object = json_object();
	json_object_set_new_nocheck(object, "stateFile", json_string(numbers.path));
	gw_status_put(object, "restored", numbers.restored);
	gw_status_put(object, "made", numbers.ended[GW_WARM_MADE]);
	gw_status_put(object, "failed", numbers.ended[GW_WARM_FAILED]);
	gw_status_put(object, "skipped", numbers.ended[GW_WARM_SKIPPED]);
	gw_status_put(object, "waiting", numbers.waiting);
	gw_status_put(object, "taken", numbers.taken);
	gw_status_put(object, "unused", numbers.unused);
	gw_status_put(object, "pairsWritten", numbers.pairs);
	gw_status_put(object, "writes", numbers.writes);
	gw_status_put(object, "writeFailures", numbers.failures);
	json_object_set_new_nocheck(object, "error", json_string(numbers.error));
	json_object_set_new_nocheck(root, "warmStart", object);
}

void gw_status_print_warm(FILE *out)
{
	static const char *const outcomes[GW_WARM_OUTCOMES] = { "made", "failed", "skipped" };
	struct numbers numbers;

	gw_status_copy(&lock, &shared, &numbers, sizeof numbers);
	if (numbers.path[0] == '\0')
		return;
	fprintf(out, "# HELP kolk_gateway_warm_total Pairs of the state file, by what became of them.\n"
		     "# TYPE kolk_gateway_warm_total counter\n");
	for (int i = 0; i < GW_WARM_OUTCOMES; i++)
		fprintf(out, "kolk_gateway_warm_total{outcome=\"%s\"} %" PRIu64 "\n", outcomes[i],
			numbers.ended[i]);
	fprintf(out,
		"# HELP kolk_gateway_warm_waiting Sessions that wait for the one client that gets them.\n"
		"# TYPE kolk_gateway_warm_waiting gauge\n"
		"kolk_gateway_warm_waiting %" PRIu64 "\n"
		"# HELP kolk_gateway_warm_waited_total Those that do not any more, by what became of them.\n"
		"# TYPE kolk_gateway_warm_waited_total counter\n"
		"kolk_gateway_warm_waited_total{outcome=\"taken\"} %" PRIu64 "\n"
		"kolk_gateway_warm_waited_total{outcome=\"unused\"} %" PRIu64 "\n",
		numbers.waiting, numbers.taken, numbers.unused);
	fprintf(out,
		"# HELP kolk_gateway_warm_writes_total Writes of the state file, by how they ended.\n"
		"# TYPE kolk_gateway_warm_writes_total counter\n"
		"kolk_gateway_warm_writes_total{outcome=\"ok\"} %" PRIu64 "\n"
		"kolk_gateway_warm_writes_total{outcome=\"failed\"} %" PRIu64 "\n",
		numbers.writes - numbers.failures, numbers.failures);
}
