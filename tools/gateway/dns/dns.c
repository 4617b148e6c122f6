/* SPDX-License-Identifier: Apache-2.0 */
/* dns.c - names that resolve to members: their life, from a configuration to the next; what is known
 * of them. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "tools/gateway/config/config.h"
#include "tools/gateway/dns/name.h"

#define LOOK_NS (100 * KOLK_MS_NS) /* how often who waits looks for a signal */

/* ---- the whole */

/* W: gw_dns_open and gw_dns_free, while there is no admin server. */
static struct gw_dns *shown;

struct gw_dns *gw_dns_open(gw_dns_changed_fn *changed, void *user)
{
	struct gw_dns *dns = calloc(1, sizeof *dns);
	pthread_condattr_t attributes;

	if (dns == NULL)
		return NULL;
	dns->changed = changed;
	dns->user = user;
	dns->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (dns->wake < 0 || ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
		if (dns->wake >= 0)
			close(dns->wake);
		free(dns);
		return NULL;
	}
	pthread_mutex_init(&dns->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&dns->answered, &attributes);
	pthread_condattr_destroy(&attributes);
	shown = dns;
	return dns;
}

void gw_dns_give_up(struct gw_dns *dns)
{
	if (dns == NULL)
		return;
	pthread_mutex_lock(&dns->lock);
	dns->ending = true;
	pthread_cond_broadcast(&dns->answered);
	pthread_mutex_unlock(&dns->lock);
	gw_dns_wake(dns);
}

void gw_dns_end(struct gw_dns *dns)
{
	if (dns == NULL || !dns->running)
		return;
	gw_dns_give_up(dns);
	pthread_join(dns->thread, NULL);
	dns->running = false;
}

void gw_dns_free(struct gw_dns *dns)
{
	struct gw_dns_name *next;

	if (dns == NULL)
		return;
	shown = NULL;
	for (struct gw_dns_name *name = dns->first; name != NULL; name = next) {
		next = name->next;
		gw_dns_name_free(name);
	}
	pthread_cond_destroy(&dns->answered);
	pthread_mutex_destroy(&dns->lock);
	close(dns->wake);
	ares_library_cleanup();
	free(dns);
}

/* ---- a name */

void gw_dns_name_free(struct gw_dns_name *name)
{
	for (int i = 0; i < GW_FAMILIES; i++) {
		gw_look_up_end(&name->look_ups[i]);
		free(name->look_ups[i].ips.at);
		free(name->families[i].at);
	}
	free(name->wanted.at);
	free(name->members); /* none is left */
	free(name->balancer);
	free(name->pool);
	free(name->host);
	free(name->port);
	free(name->servers);
	free(name);
}

static char *copy_of(const char *text, bool *ok)
{
	char *copy = text != NULL ? strdup(text) : NULL;

	*ok &= text == NULL || copy != NULL;
	return copy;
}

/* An item of `members` that resolves, with what is around it. */
struct given {
	const struct gw_balancer_options *balancer;
	const struct gw_member_options *member;
	const char *servers;
};

static struct gw_dns_name *name_make(struct gw_dns *dns, const struct given *given)
{
	struct gw_dns_name *name = calloc(1, sizeof *name);
	bool ok = name != NULL;

	if (!ok)
		return NULL;
	name->dns = dns;
	name->version = 1;
	name->balancer = copy_of(given->balancer->name, &ok);
	name->pool = copy_of(given->member->pool, &ok);
	name->host = copy_of(given->member->host, &ok);
	name->port = copy_of(given->member->port, &ok);
	name->servers = copy_of(given->servers, &ok);
	if (ok)
		return name;
	gw_dns_name_free(name);
	return NULL;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_same(const struct gw_dns_name *name, const struct given *given)
{
	return strcmp(name->balancer, given->balancer->name) == 0 &&
	       strcmp(name->pool, given->member->pool) == 0 &&
	       strcmp(name->host, given->member->host) == 0 &&
	       strcmp(name->port, given->member->port) == 0 &&
	       same_text(name->servers, given->servers);
}

static struct gw_dns_name *name_in(const struct gw_dns_names *names, const struct given *given)
{
	for (uint32_t i = 0; names != NULL && i < names->count; i++)
		if (is_same(names->at[i], given))
			return names->at[i];
	return NULL;
}

static uint64_t or(uint64_t value, uint64_t fallback)
{
	return value != 0 ? value : fallback;
}

void gw_dns_take_options(struct gw_dns_name *name, const struct gw_balancer_options *options)
{
	const uint32_t before = name->members_max;

	name->members_max = (uint32_t)or(options->dns_members_max, GW_DNS_MEMBERS);
	name->ttl_min_ns = or(options->dns_ttl_min_ns, GW_DNS_TTL_MIN_NS);
	name->ttl_max_ns = or(options->dns_ttl_max_ns, GW_DNS_TTL_MAX_NS);
	name->stale_max_ns = or(options->dns_stale_max_ns, KOLK_FOREVER);
	if (name->members_max != before)
		gw_dns_update_wanted(name);
}

/* ---- the names of a configuration */

static uint32_t count_of(const struct gw_config *config)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < config->balancer_count; i++) {
		const struct gw_member_options *members = config->balancers[i].members.items;

		for (uint32_t j = 0; j < config->balancers[i].members.count; j++)
			count += members[j].resolve != GW_RESOLVE_NONE;
	}
	return count;
}

static void name_append(struct gw_dns *dns, struct gw_dns_name *name)
{
	struct gw_dns_name **at = &dns->first;

	while (*at != NULL)
		at = &(*at)->next;
	*at = name;
}

/* The one that is there, or a new one. */
static bool take(struct gw_dns_names *names, const struct given *given)
{
	struct gw_dns_name *known = name_in(names->dns->in_force, given);
	struct gw_dns_name *name = known != NULL ? known : name_make(names->dns, given);

	if (name == NULL)
		return false;
	pthread_mutex_lock(&names->dns->lock);
	name->users++;
	if (known == NULL) { /* others keep theirs until they are bound: a reload may be refused */
		name_append(names->dns, name);
		gw_dns_take_options(name, given->balancer);
	}
	pthread_mutex_unlock(&names->dns->lock);
	names->at[names->count++] = name;
	return true;
}

static bool take_all(struct gw_dns_names *names, const struct gw_config *config)
{
	bool ok = true;

	for (uint32_t i = 0; ok && i < config->balancer_count; i++) {
		struct given given = { .balancer = &config->balancers[i] };
		const struct gw_member_options *members = given.balancer->members.items;

		for (uint32_t j = 0; ok && j < given.balancer->members.count; j++) {
			given.member = &members[j];
			if (members[j].resolve == GW_RESOLVE_NONE)
				continue;
			given.servers =
				gw_config_pool(config->pools, members[j].pool, NULL)->name_servers;
			ok = take(names, &given);
		}
	}
	return ok;
}

static struct timespec later(struct timespec at, uint64_t ns)
{
	ns += (uint64_t)at.tv_nsec;
	at.tv_sec += (time_t)(ns / KOLK_S_NS);
	at.tv_nsec = (long)(ns % KOLK_S_NS);
	return at;
}

static struct timespec sooner(struct timespec a, struct timespec b)
{
	return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec) ? a : b;
}

/* The thread that takes SIGTERM may be the one that waits here: then it is pending. */
static bool is_told_to_end(const struct gw_dns *dns)
{
	sigset_t pending;

	return dns->ending || (sigpending(&pending) == 0 && (sigismember(&pending, SIGTERM) == 1 ||
							    sigismember(&pending, SIGINT) == 1));
}

/* Wait for an answer, for a moment. False = there is no time left. */
static bool await_some(struct gw_dns *dns, struct timespec deadline)
{
	struct timespec now, until;

	clock_gettime(CLOCK_MONOTONIC, &now);
	until = sooner(later(now, LOOK_NS), deadline);
	return pthread_cond_timedwait(&dns->answered, &dns->lock, &until) != ETIMEDOUT ||
	       memcmp(&until, &deadline, sizeof until) != 0;
}

/* Of a name. With names in force it is a reload. */
static uint64_t patience_ns(const struct gw_dns *dns, const struct gw_balancer_options *options)
{
	const uint64_t start_ns = or(options->dns_start_timeout_ns, GW_DNS_START_NS);

	return dns->in_force != NULL && start_ns > GW_DNS_RELOAD_NS ? GW_DNS_RELOAD_NS : start_ns;
}

/* Until it is known, or its time is up. False = it does not resolve, and has to. */
static bool await(struct gw_dns_name *name, const struct gw_balancer_options *options,
		  struct timespec begin, struct kolk_config_error *error)
{
	struct gw_dns *dns = name->dns;
	const struct timespec deadline = later(begin, patience_ns(dns, options));
	bool fails;

	pthread_mutex_lock(&dns->lock);
	while (!name->known && !is_told_to_end(dns) && await_some(dns, deadline))
		;
	fails = options->dns_required != 0 && name->resolved_ns == 0;
	if (fails)
		snprintf(error->message, sizeof error->message,
			 "balancer %s: %s does not resolve: %s", name->balancer, name->host,
			 name->known ? name->error : "no answer yet");
	pthread_mutex_unlock(&dns->lock);
	return !fails;
}

static bool await_all(const struct gw_dns_names *names, const struct gw_config *config,
		      struct kolk_config_error *error)
{
	struct timespec begin; /* of all: they are asked for at the same time */
	bool ok = true;
	uint32_t next = 0;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (uint32_t i = 0; i < config->balancer_count; i++) {
		const struct gw_balancer_options *options = &config->balancers[i];
		const struct gw_member_options *members = options->members.items;

		for (uint32_t j = 0; ok && j < options->members.count; j++)
			if (members[j].resolve != GW_RESOLVE_NONE)
				ok = await(names->at[next++], options, begin, error);
	}
	return ok;
}

static bool thread_begin(struct gw_dns *dns)
{
	if (!dns->running)
		dns->running = pthread_create(&dns->thread, NULL, gw_dns_run, dns) == 0;
	return dns->running;
}

enum kolk_err gw_dns_names_open(struct gw_dns *dns, const struct gw_config *config,
				struct gw_dns_names **names, struct kolk_config_error *error)
{
	const uint32_t count = count_of(config);
	struct gw_dns_names *made = calloc(1, sizeof *made + count * sizeof made->at[0]);
	enum kolk_err err = KOLK_OK;

	*names = NULL;
	if (made == NULL)
		return KOLK_E_MEMORY;
	made->dns = dns;
	made->serial = ++dns->serial;
	made->grace_ns = kolk_config_drain_grace_ns(config->pools);
	if (!take_all(made, config))
		err = KOLK_E_MEMORY;
	else if (count > 0 && !thread_begin(dns))
		err = KOLK_E_IO;
	if (err == KOLK_OK && count > 0) {
		gw_dns_wake(dns);
		err = await_all(made, config, error) ? KOLK_OK : KOLK_E_RESOLVE;
	}
	if (err == KOLK_OK) {
		*names = made;
		return KOLK_OK;
	}
	if (error->message[0] == '\0')
		snprintf(error->message, sizeof error->message, "names of members: %s",
			 kolk_err_text(err));
	gw_dns_names_close(made);
	return err;
}

void gw_dns_names_close(struct gw_dns_names *names)
{
	if (names == NULL)
		return;
	for (uint32_t i = 0; i < names->count; i++) {
		struct gw_dns_name *name = names->at[i];
		uint32_t users;

		pthread_mutex_lock(&names->dns->lock);
		users = name->users;
		pthread_mutex_unlock(&names->dns->lock);
		if (users == 1)
			gw_dns_members_end(name, names->grace_ns);
		pthread_mutex_lock(&names->dns->lock);
		name->users--;
		name->shown &= name->users > 0;
		pthread_mutex_unlock(&names->dns->lock);
	}
	if (names->dns->in_force == names)
		names->dns->in_force = NULL;
	gw_dns_wake(names->dns);
	free(names);
}

/* ---- what is known */

static struct gw_dns_numbers numbers_of(const struct gw_dns_name *name, uint64_t now_ns)
{
	return (struct gw_dns_numbers){
		.balancer = name->balancer, .pool = name->pool, .name = name->host,
		.state = name->wanted.count == 0 ? "unresolved" :
			 name->error[0] != '\0' ? "stale" : "resolved",
		.error = name->error, .addresses = name->addresses, .members = name->balanced,
		.age_ns = name->resolved_ns != 0 && now_ns > name->resolved_ns ?
				  now_ns - name->resolved_ns : 0,
		.ttl_ns = name->ttl_ns, .rounds = name->rounds, .failures = name->failures,
	};
}

void gw_dns_look(gw_dns_look_fn *run, void *user)
{
	const uint64_t now_ns = kolk_in_ns(0);

	if (shown == NULL)
		return;
	pthread_mutex_lock(&shown->lock);
	for (const struct gw_dns_name *name = shown->first; name != NULL; name = name->next)
		if (name->shown) {
			const struct gw_dns_numbers numbers = numbers_of(name, now_ns);

			run(user, &numbers);
		}
	pthread_mutex_unlock(&shown->lock);
}
