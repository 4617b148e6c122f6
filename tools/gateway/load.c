/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - what is known of members of balancers, over all views. */
#include "tools/gateway/load.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Taken when a view is made or freed, and by who wants numbers: by no request. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct gw_load *first; /* under lock, as the next */
static uint64_t serial;       /* of the view in force; that of one that is being bound is the next */

static void free_load(struct gw_load *load)
{
	if (load == NULL)
		return;
	free(load->balancer);
	free(load->pool);
	free(load->host);
	free(load);
}

static struct gw_load *make(const char *balancer, const char *pool, const char *host)
{
	struct gw_load *load = aligned_alloc(KOLK_CACHE_LINE, sizeof *load);

	if (load == NULL)
		return NULL;
	memset(load, 0, sizeof *load);
	load->balancer = strdup(balancer);
	load->pool = strdup(pool);
	load->host = strdup(host != NULL ? host : "");
	if (load->balancer != NULL && load->pool != NULL && load->host != NULL)
		return load;
	free_load(load);
	return NULL;
}

struct gw_load *gw_load_open(const char *balancer, const char *pool, const char *host)
{
	struct gw_load **at = &first, *load;

	pthread_mutex_lock(&lock);
	while (*at != NULL &&
	       (strcmp((*at)->balancer, balancer) != 0 || strcmp((*at)->pool, pool) != 0))
		at = &(*at)->next;
	if (*at == NULL)
		*at = make(balancer, pool, host);
	load = *at;
	if (load != NULL) {
		load->at = at;
		load->users++;
	}
	pthread_mutex_unlock(&lock);
	return load;
}

/* On a loop that leaves a view: the time does not grow with how many there are. */
void gw_load_close(struct gw_load *load)
{
	bool unused;

	if (load == NULL)
		return;
	pthread_mutex_lock(&lock);
	unused = --load->users == 0;
	if (unused)
		*load->at = load->next;
	if (unused && load->next != NULL)
		load->next->at = load->at;
	pthread_mutex_unlock(&lock);
	if (unused)
		free_load(load);
}

void gw_load_bind(struct gw_load *load, uint32_t weight)
{
	kolk__store_relaxed(&load->weight, weight);
	pthread_mutex_lock(&lock);
	load->serial = serial + 1;
	pthread_mutex_unlock(&lock);
}

void gw_load_bound(void)
{
	pthread_mutex_lock(&lock);
	serial++;
	pthread_mutex_unlock(&lock);
}

void gw_load_each(gw_load_fn *run, void *user)
{
	pthread_mutex_lock(&lock);
	for (const struct gw_load *load = first; load != NULL; load = load->next)
		if (load->serial >= serial || kolk__load_relaxed(&load->in_flight) > 0)
			run(user, load);
	pthread_mutex_unlock(&lock);
}
