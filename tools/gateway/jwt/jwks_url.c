/* SPDX-License-Identifier: Apache-2.0 */
/* jwks_url.c - a JSON Web Key Set by URL: where it comes from, and what requests see of it. */
#define _GNU_SOURCE /* strdup */
#include "tools/gateway/jwt/jwks_url.h"

#include <kolk/ops/admin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/jwt/jwks_fetch.h"

/* For the admin server. */
static pthread_mutex_t shown_lock = PTHREAD_MUTEX_INITIALIZER;
static struct gw_key_source *shown;

/* ---- sets */

static void set_free(struct gw_key_set *set)
{
	if (set == NULL)
		return;
	gw_keys_free(set->keys);
	gw_jwt_cache_free(set->cache);
	free(set);
}

struct gw_key_set *gw_key_source_use(struct gw_key_source *source)
{
	struct gw_key_set *set;

	pthread_mutex_lock(&source->lock);
	set = source->set;
	if (set != NULL)
		set->references++;
	pthread_mutex_unlock(&source->lock);
	return set;
}

uint64_t gw_key_source_retry_ns(struct gw_key_source *source)
{
	uint64_t now_ns = kolk_in_ns(0), due_ns;

	pthread_mutex_lock(&source->lock);
	due_ns = source->due_ns;
	pthread_mutex_unlock(&source->lock);
	return due_ns > now_ns + KOLK_S_NS ? due_ns - now_ns : KOLK_S_NS;
}

void gw_key_source_leave(struct gw_key_source *source, struct gw_key_set *set)
{
	bool last;

	pthread_mutex_lock(&source->lock);
	last = --set->references == 0;
	pthread_mutex_unlock(&source->lock);
	if (last)
		set_free(set);
}

/* ---- calls to the loop */

static void on_call(struct kolk_call *call, void *user)
{
	struct gw_key_source *source = user;

	(void)call;
	pthread_mutex_lock(&source->lock);
	source->asked = false;
	pthread_mutex_unlock(&source->lock);
	if (source->begun_ns == 0) {
		gw_key_fetch(source);
	} else {
		source->wanted = true;
		gw_key_schedule(source);
	}
}

/* One that is on its way does for all that ask meanwhile. */
static enum kolk_err ask(struct gw_key_source *source)
{
	bool first;

	pthread_mutex_lock(&source->lock);
	first = !source->asked;
	source->asked = true;
	pthread_mutex_unlock(&source->lock);
	return first ? kolk_loop_call(source->loop, &source->call, on_call, source) : KOLK_OK;
}

void gw_key_source_want(struct gw_key_source *source)
{
	pthread_mutex_lock(&source->lock);
	source->numbers.unknown++;
	pthread_mutex_unlock(&source->lock);
	(void)ask(source);
}

struct stop {
	struct kolk_call call;
	struct gw_key_source *source;
	sem_t done;
};

static void on_stop(struct kolk_call *call, void *user)
{
	struct stop *stop = user;
	struct gw_key_source *source = stop->source;
	bool asked;

	(void)call;
	pthread_mutex_lock(&source->lock);
	asked = source->asked;
	pthread_mutex_unlock(&source->lock);
	if (asked) { /* behind the call that is on its way */
		(void)kolk_loop_call(source->loop, &stop->call, on_stop, stop);
		return;
	}
	kolk_timer_stop(&source->timer);
	source->stopped = &stop->done;
	if (source->exchange != NULL)
		kolk_http_cancel(source->exchange); /* on_end posts */
	else
		sem_post(source->stopped);
}

/* ---- life */

static struct kolk_pool_options pool_of(const struct gw_key_source *source,
					const struct kolk_tls_options *tls)
{
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);

	pool.address = source->url.address;
	pool.tls = source->url.tls ? tls : NULL;
	pool.driver = kolk_driver_http();
	pool.connections_max = 1;
	pool.idle_min = KOLK_NONE;
	pool.circuit_failures = KOLK_NONE; /* a source has pauses of its own */
	return pool;
}

/* Names are unique, and for a moment there are two sources: another one has the next number. */
static enum kolk_err pool_add(struct gw_key_source *source, struct kolk_engine *engine)
{
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_pool_options pool = pool_of(source, &tls);
	enum kolk_err err = KOLK_E_NAME_TAKEN;
	char name[32];

	tls.ca_file = source->ca_file;
	pool.name = name;
	for (int i = 1; i <= 9 && err == KOLK_E_NAME_TAKEN; i++) {
		snprintf(name, sizeof name, i == 1 ? "(keys)" : "(keys %d)", i);
		err = kolk_pool_add(engine, &pool, &source->pool);
	}
	return err;
}

static char *copy_of(const char *text)
{
	return text != NULL ? strdup(text) : NULL;
}

static void source_free(struct gw_key_source *source)
{
	set_free(source->set);
	pthread_mutex_destroy(&source->lock);
	free(source->answer);
	free(source->ca_file);
	free(source->text);
	free(source);
}

void gw_key_source_adjust(struct gw_key_source *source, const struct gw_tenants_options *options)
{
	pthread_mutex_lock(&source->lock);
	source->refresh_ns = options->keys_refresh_ns != 0 ? options->keys_refresh_ns :
							     GW_KEYS_REFRESH_NS;
	source->max_age_ns = options->keys_max_age_ns != 0 ? options->keys_max_age_ns :
							     GW_KEYS_MAX_AGE_NS;
	pthread_mutex_unlock(&source->lock);
}

enum kolk_err gw_key_source_open(const struct gw_key_place *place,
				 const struct gw_tenants_options *options,
				 struct gw_key_source **source)
{
	struct gw_key_source *made = calloc(1, sizeof *made);
	enum kolk_err err = KOLK_E_MEMORY;

	if (made == NULL)
		return KOLK_E_MEMORY;
	pthread_mutex_init(&made->lock, NULL);
	made->loop = kolk_engine_loop(place->engine, 0);
	made->http = place->http;
	made->text = copy_of(options->keys_url);
	made->ca_file = copy_of(options->keys_ca_file);
	made->numbers.url = made->text;
	gw_key_source_adjust(made, options);
	if (made->text != NULL && (made->ca_file != NULL || options->keys_ca_file == NULL))
		err = gw_key_url_read(made->text, &made->url) != NULL ?
			      KOLK_E_OPTIONS : pool_add(made, place->engine);
	if (err != KOLK_OK) {
		source_free(made);
		return err;
	}
	*source = made;
	return ask(made);
}

void gw_key_source_close(struct gw_key_source *source)
{
	struct stop stop = { .source = source };

	if (source == NULL)
		return;
	sem_init(&stop.done, 0, 0);
	if (kolk_loop_call(source->loop, &stop.call, on_stop, &stop) == KOLK_OK)
		while (sem_wait(&stop.done) != 0)
			; /* a signal */
	sem_destroy(&stop.done);
	(void)!kolk_admin_pool_close(source->pool, kolk_in_ns(0)); /* else gw_reap does */
	source_free(source);
}

bool gw_key_source_is(const struct gw_key_source *source, const struct gw_tenants_options *options)
{
	const char *mine = source->ca_file != NULL ? source->ca_file : "";

	return strcmp(source->text, options->keys_url) == 0 &&
	       strcmp(mine, options->keys_ca_file != NULL ? options->keys_ca_file : "") == 0;
}

void gw_key_source_show(struct gw_key_source *source)
{
	pthread_mutex_lock(&shown_lock);
	shown = source;
	pthread_mutex_unlock(&shown_lock);
}

void gw_key_source_look(gw_key_numbers_fn *fn, void *user)
{
	uint64_t now_ns = kolk_in_ns(0), fetched_ns;
	struct gw_key_numbers numbers;

	pthread_mutex_lock(&shown_lock);
	if (shown != NULL) {
		pthread_mutex_lock(&shown->lock);
		numbers = shown->numbers;
		fetched_ns = shown->fetched_ns;
		pthread_mutex_unlock(&shown->lock);
		numbers.age_ns = fetched_ns != 0 && now_ns > fetched_ns ? now_ns - fetched_ns : 0;
		fn(user, &numbers);
	}
	pthread_mutex_unlock(&shown_lock);
}
