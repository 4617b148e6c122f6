/* SPDX-License-Identifier: Apache-2.0 */
/* jwks_fetch.c - fetches of a key source: what is asked, what comes, when it is asked again. */
#include "tools/gateway/jwt/jwks_fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "tools/gateway/say.h"

#define FETCH_NS (5 * KOLK_S_NS)   /* from the dial to the last byte */
#define PAUSE_NS (10 * KOLK_S_NS)  /* between fetches that tokens ask for */
#define ABSENT_NS (30 * KOLK_S_NS) /* between fetches while no set is in force */

enum { ANSWER_MAX = 256 * 1024 };  /* bytes: 64 keys have 100 KiB, with certificates */

/* It takes the place of the set in force; NULL = none is from now on. */
static void set_put(struct gw_key_source *source, struct gw_key_set *set)
{
	struct gw_key_set *before;

	pthread_mutex_lock(&source->lock);
	before = source->set;
	source->set = set;
	source->numbers.keys = set != NULL ? gw_keys_count(set->keys) : 0;
	pthread_mutex_unlock(&source->lock);
	if (before != NULL)
		gw_key_source_leave(source, before);
}

/* ---- when it fetches again */

static void on_timer(struct kolk_timer *timer, void *user);

/* Up to 20 % less. */
static uint64_t jitter(uint64_t ns)
{
	uint16_t random = 0;

	(void)!getrandom(&random, sizeof random, GRND_NONBLOCK);
	return ns - ns / 5 / 65536 * random;
}

static uint64_t expiry_ns(const struct gw_key_source *source)
{
	return source->set == NULL || source->max_age_ns == KOLK_FOREVER ?
		       KOLK_FOREVER : source->fetched_ns + source->max_age_ns;
}

void gw_key_schedule(struct gw_key_source *source)
{
	uint64_t pause_ns, due_ns = source->refresh_at_ns, expiry;

	pthread_mutex_lock(&source->lock);
	pause_ns = source->refresh_ns < PAUSE_NS ? source->refresh_ns : PAUSE_NS;
	if (source->wanted && source->begun_ns + pause_ns < due_ns)
		due_ns = source->begun_ns + pause_ns;
	source->due_ns = due_ns;
	expiry = expiry_ns(source);
	pthread_mutex_unlock(&source->lock);
	if (source->exchange != NULL) /* its end schedules */
		due_ns = KOLK_FOREVER;
	if (expiry < due_ns)
		due_ns = expiry;
	if (due_ns == KOLK_FOREVER)
		kolk_timer_stop(&source->timer);
	else
		(void)kolk_timer_start(source->loop, &source->timer, due_ns, on_timer, source);
}

/* In 1, 2, 4 ... s; after a success in a whole period. */
static uint64_t pause_of(const struct gw_key_source *source)
{
	uint64_t most_ns = source->refresh_ns, ns = KOLK_S_NS;

	if (source->failed == 0)
		return most_ns;
	if (source->set == NULL && most_ns > ABSENT_NS)
		most_ns = ABSENT_NS;
	for (uint32_t i = 1; i < source->failed && ns < most_ns; i++)
		ns *= 2;
	return ns < most_ns ? ns : most_ns;
}

/* ---- an answer */

static void fetch_ended(struct gw_key_source *source, const char *error)
{
	bool news;

	source->failed = error[0] != '\0' ? source->failed + 1 : 0;
	pthread_mutex_lock(&source->lock);
	news = strcmp(source->numbers.error, error) != 0 || source->fetched_ns == 0;
	source->numbers.fetches++;
	source->numbers.failures += error[0] != '\0';
	snprintf(source->numbers.error, sizeof source->numbers.error, "%s", error);
	if (error[0] == '\0')
		source->fetched_ns = kolk_in_ns(0);
	source->refresh_at_ns = kolk_in_ns(jitter(pause_of(source)));
	pthread_mutex_unlock(&source->lock);
	if (error[0] != '\0')
		gw_say("keys of tokens, %s: %s%s", source->text, error,
		       source->set != NULL ? "; those that are here stay in force" : "");
	else if (news)
		gw_say("keys of tokens, %s: fetched", source->text);
	gw_key_schedule(source);
}

/* What is wrong with the answer; NULL: it is in force. Memory that is missing leaves what is there. */
static const char *answer_take(struct gw_key_source *source, struct gw_trouble *trouble)
{
	const struct gw_bytes answer = { (const uint8_t *)source->answer, source->size };
	struct gw_key_set *set = calloc(1, sizeof *set);

	if (set == NULL)
		return "out of memory";
	set->references = 1;
	if (!gw_sha256(&answer, set->digest)) {
		free(set);
		return "out of memory";
	}
	if (source->set != NULL && memcmp(set->digest, source->set->digest, 32) == 0) {
		free(set); /* nothing is new: tokens that were read stay known */
		return NULL;
	}
	set->keys = gw_keys_parse(&answer, trouble);
	if (set->keys == NULL) {
		free(set);
		return trouble->what;
	}
	set->cache = gw_jwt_cache_make();
	set_put(source, set);
	return NULL;
}

static void on_head(void *user, struct kolk_http_exchange *exchange, const struct kolk_http_head *head)
{
	struct gw_key_source *source = user;

	source->status = head->status;
	if (head->status != 200)
		kolk_http_cancel(exchange); /* redirects too: they are not followed */
}

static void on_body(void *user, struct kolk_http_exchange *exchange, const void *data, size_t size)
{
	struct gw_key_source *source = user;

	source->too_large |= size > ANSWER_MAX - source->size;
	if (source->too_large) {
		kolk_http_cancel(exchange);
		return;
	}
	memcpy(source->answer + source->size, data, size);
	source->size += size;
}

static void on_end(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		   const struct kolk_http_field *trailers, size_t trailer_count)
{
	struct gw_key_source *source = user;
	struct gw_trouble trouble = { .suggestion = "" };
	char error[160] = "";
	const char *flaw;

	(void)trailers, (void)trailer_count;
	source->exchange = NULL;
	if (source->stopped != NULL) {
		sem_post(source->stopped);
		return;
	}
	if (source->too_large) {
		snprintf(error, sizeof error, "more than 256 KiB");
	} else if (source->status != 0 && source->status != 200) {
		snprintf(error, sizeof error, "status %u", source->status);
	} else if (err != KOLK_OK) {
		snprintf(error, sizeof error, "%s (%s)", kolk_err_text(err),
			 kolk_http_phase_of(err, exchange));
	} else {
		flaw = answer_take(source, &trouble);
		snprintf(error, sizeof error, "%s", flaw != NULL ? flaw : "");
	}
	free(source->answer);
	source->answer = NULL;
	fetch_ended(source, error);
}

/* ---- a fetch */

static const struct kolk_http_handler handler = { .size = sizeof handler, .head = on_head,
						  .body = on_body, .end = on_end };

void gw_key_fetch(struct gw_key_source *source)
{
	static const struct kolk_http_field fields[] = {
		{ "accept", "application/jwk-set+json, application/json" },
		{ "user-agent", "kolk-gateway" },
	};
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	enum kolk_err err;

	source->begun_ns = kolk_in_ns(0);
	source->wanted = source->too_large = false;
	source->size = source->status = 0;
	source->answer = malloc(ANSWER_MAX);
	request.target = source->url.target;
	request.authority = source->url.authority;
	request.fields = fields;
	request.field_count = sizeof fields / sizeof *fields;
	request.replayable = 1;
	request.deadline_ns = kolk_in_ns(FETCH_NS);
	err = source->answer == NULL ? KOLK_E_MEMORY :
	      kolk_http_start(source->http, kolk_pool_key(source->pool), &request, &handler, source,
			      &source->exchange);
	if (err == KOLK_PENDING) {
		gw_key_schedule(source);
		return;
	}
	source->exchange = NULL;
	free(source->answer);
	source->answer = NULL;
	fetch_ended(source, kolk_err_text(err));
}

static void on_timer(struct kolk_timer *timer, void *user)
{
	struct gw_key_source *source = user;
	uint64_t now_ns = kolk_in_ns(0);
	bool expired, due;

	(void)timer;
	pthread_mutex_lock(&source->lock);
	expired = expiry_ns(source) <= now_ns;
	due = source->due_ns <= now_ns && source->exchange == NULL;
	pthread_mutex_unlock(&source->lock);
	if (expired) {
		set_put(source, NULL);
		source->refresh_at_ns = now_ns;
		gw_say("keys of tokens, %s: older than keys_max_age", source->text);
	}
	if (due || (expired && source->exchange == NULL))
		gw_key_fetch(source);
	else
		gw_key_schedule(source);
}
