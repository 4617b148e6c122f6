/* SPDX-License-Identifier: Apache-2.0 */
/* thread.c - the thread that asks for names: when, and what an answer changes. */
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tools/gateway/dns/name.h"
#include "tools/gateway/say.h"

/* Questions at a time; the others wait for their turn. */
enum { LOOK_UPS_MAX = 64, POLLS_MAX = 1 + LOOK_UPS_MAX * GW_SOCKETS_MAX };

#define AGAIN_NS (20 * KOLK_MS_NS) /* a reload is under way: members are changed after it */

static const int families[GW_FAMILIES] = { AF_INET, AF_INET6 };

struct run {
	struct gw_dns *dns;
	uint32_t look_ups;         /* under way */
	uint64_t now_ns, due_ns;   /* due: when there is something to do without an answer */
	struct pollfd polls[POLLS_MAX];
	ares_channel channels[POLLS_MAX]; /* of each poll */
	nfds_t poll_count;
};

static void due(struct run *run, uint64_t ns)
{
	run->due_ns = ns < run->due_ns ? ns : run->due_ns;
}

/* ---- what a round changes; under the lock */

/* Who are to be members: the lowest addresses, so that the same ones are everywhere and every time. One
 * of IPv4 may be in both families: mapped into IPv6, in an answer to AAAA. */
void gw_dns_update_wanted(struct gw_dns_name *name)
{
	uint32_t all = name->families[0].count + name->families[1].count;
	struct gw_ips wanted = { .at = calloc(all + 1, sizeof *wanted.at) };

	if (wanted.at == NULL) {
		name->incomplete = true;
		return;
	}
	for (int i = 0; i < GW_FAMILIES; i++)
		for (uint32_t j = 0; j < name->families[i].count; j++)
			wanted.at[wanted.count++] = name->families[i].at[j];
	gw_ips_sort(&wanted);
	all = wanted.count;
	if (all > name->members_max) {
		wanted.count = name->members_max;
		if (name->addresses != all)
			gw_say("balancer %s: %s has %u addresses: %u %s (dns.members_max)",
			       name->balancer, name->host, all, name->members_max,
			       name->members_max == 1 ? "is a member" : "are members");
	}
	name->addresses = all;
	if (!name->incomplete && wanted.count == name->wanted.count &&
	    (wanted.count == 0 ||
	     memcmp(wanted.at, name->wanted.at, wanted.count * sizeof *wanted.at) == 0)) {
		free(wanted.at);
		return;
	}
	free(name->wanted.at);
	name->wanted = wanted;
	name->incomplete = false;
	name->version++;
}

static void forget(struct gw_ips *ips)
{
	free(ips->at);
	*ips = (struct gw_ips){ .at = NULL };
}

/* The answers that have come with addresses. False = none. */
static bool take_addresses(struct gw_dns_name *name)
{
	bool any = false;

	for (int i = 0; i < GW_FAMILIES; i++) {
		struct gw_look_up *look_up = &name->look_ups[i];

		if (!look_up->answered || look_up->status != ARES_SUCCESS)
			continue;
		any = true;
		if (look_up->ips.at == NULL)
			continue; /* taken already */
		forget(&name->families[i]);
		name->families[i] = look_up->ips;
		look_up->ips = (struct gw_ips){ .at = NULL };
	}
	return any;
}

static void become_known(struct gw_dns_name *name)
{
	name->known = true;
	pthread_cond_broadcast(&name->dns->answered);
}

static uint64_t ttl_of(const struct gw_dns_name *name)
{
	uint64_t ttl_ns = name->ttl_max_ns;

	for (int i = 0; i < GW_FAMILIES; i++)
		if (name->look_ups[i].status == ARES_SUCCESS &&
		    name->look_ups[i].ttl_s * KOLK_S_NS < ttl_ns)
			ttl_ns = name->look_ups[i].ttl_s * KOLK_S_NS;
	return ttl_ns > name->ttl_min_ns ? ttl_ns : name->ttl_min_ns;
}

static void bound_due(struct gw_dns_name *name)
{
	if (name->due_ns > name->from_ns + name->ttl_max_ns)
		name->due_ns = name->from_ns + name->ttl_max_ns;
}

static void due_in(struct gw_dns_name *name, uint64_t from_ns, uint64_t ns)
{
	name->from_ns = from_ns;
	name->due_ns = from_ns + ns;
	bound_due(name);
}

static void round_succeeded(struct gw_dns_name *name, uint64_t now_ns)
{
	for (int i = 0; i < GW_FAMILIES; i++)
		if (gw_look_up_has_none(&name->look_ups[i]))
			forget(&name->families[i]);
	if (name->error[0] != '\0')
		gw_say("balancer %s: %s resolves again", name->balancer, name->host);
	name->error[0] = '\0';
	name->failed = 0;
	name->resolved_ns = now_ns;
	name->ttl_ns = ttl_of(name);
	due_in(name, name->begun_ns, name->ttl_ns);
	gw_dns_update_wanted(name);
}

/* Of two failures the one that says more than that there is nothing. */
static int failure_of(const struct gw_dns_name *name)
{
	const struct gw_look_up *first = &name->look_ups[0];

	return gw_look_up_has_none(first) ? name->look_ups[1].status : first->status;
}

static void round_failed(struct gw_dns_name *name, uint64_t now_ns)
{
	const uint64_t pause_ns = KOLK_S_NS << (name->failed < 16 ? name->failed : 16);
	const char *text = ares_strerror(failure_of(name));

	if (name->error[0] == '\0')
		gw_say("balancer %s: %s does not resolve: %s; members: the last %u", name->balancer,
		       name->host, text, name->wanted.count);
	snprintf(name->error, sizeof name->error, "%s", text);
	name->failed++;
	name->failures++;
	due_in(name, now_ns, pause_ns);
}

static bool is_stale(const struct gw_dns_name *name)
{
	return name->error[0] != '\0' && name->wanted.count > 0 && name->stale_max_ns != KOLK_FOREVER;
}

/* What has not been confirmed for stale_max is forgotten. */
static void expire(struct run *run, struct gw_dns_name *name)
{
	const uint64_t end_ns = name->resolved_ns + name->stale_max_ns;

	if (!is_stale(name))
		return;
	if (run->now_ns < end_ns) {
		due(run, end_ns);
		return;
	}
	gw_say("balancer %s: %s has no members: it has not resolved for dns.stale_max",
	       name->balancer, name->host);
	for (int i = 0; i < GW_FAMILIES; i++)
		forget(&name->families[i]);
	gw_dns_update_wanted(name);
}

/* ---- rounds; under the lock */

static void round_begin(struct run *run, struct gw_dns_name *name)
{
	if (run->look_ups + GW_FAMILIES > LOOK_UPS_MAX) {
		due(run, run->now_ns + AGAIN_NS);
		return;
	}
	name->asking = true;
	name->begun_ns = run->now_ns;
	run->look_ups += GW_FAMILIES;
	for (int i = 0; i < GW_FAMILIES; i++)
		gw_look_up_begin(&name->look_ups[i], name->host, name->servers, families[i]);
}

static void round_end(struct run *run, struct gw_dns_name *name)
{
	for (int i = 0; i < GW_FAMILIES; i++)
		gw_look_up_end(&name->look_ups[i]);
	run->look_ups -= GW_FAMILIES;
	name->asking = false;
}

/* Whoever waits for the first answer, or has no member, does not wait for the slower family. */
static void round_step(struct run *run, struct gw_dns_name *name)
{
	bool any, whole = true;

	for (int i = 0; i < GW_FAMILIES; i++)
		whole &= name->look_ups[i].answered;
	if (!whole && name->wanted.count > 0)
		return;
	any = take_addresses(name);
	if (!whole && any) {
		name->resolved_ns = run->now_ns;
		gw_dns_update_wanted(name);
		become_known(name);
	}
	if (!whole)
		return;
	round_end(run, name);
	name->rounds++;
	if (any)
		round_succeeded(name, run->now_ns);
	else
		round_failed(name, run->now_ns);
	become_known(name);
}

static void name_step(struct run *run, struct gw_dns_name *name)
{
	bound_due(name); /* a reload may have made it smaller */
	if (!name->asking && run->now_ns >= name->due_ns)
		round_begin(run, name);
	if (name->asking)
		round_step(run, name);
	expire(run, name);
	if (!name->asking && name->due_ns > run->now_ns) /* else it waits for its turn: round_begin */
		due(run, name->due_ns);
}

/* Whether members are to change. */
static bool names_step(struct run *run)
{
	struct gw_dns_name **at = &run->dns->first, *name;
	bool changed = false;

	while ((name = *at) != NULL) {
		if (name->users > 0) {
			name_step(run, name);
			changed |= name->bound != 0 && name->bound != name->version;
			at = &name->next;
			continue;
		}
		*at = name->next;
		if (name->asking)
			round_end(run, name);
		gw_dns_name_free(name);
	}
	return changed;
}

/* ---- the poll */

static void add_sockets(struct run *run, const struct gw_look_up *look_up)
{
	struct timeval left, *soon = ares_timeout(look_up->channel, NULL, &left);

	for (uint32_t i = 0; i < look_up->socket_count; i++) {
		run->channels[run->poll_count] = look_up->channel;
		run->polls[run->poll_count++] = (struct pollfd){
			.fd = look_up->sockets[i].fd,
			.events = (short)((look_up->sockets[i].in ? POLLIN : 0) |
					  (look_up->sockets[i].out ? POLLOUT : 0)) };
	}
	if (soon != NULL)
		due(run, run->now_ns + (uint64_t)soon->tv_sec * KOLK_S_NS +
				 (uint64_t)soon->tv_usec * KOLK_US_NS);
}

/* Call visit for each question that is under way; only this thread changes which there are. */
static void each_look_up(struct run *run,
			 void (*visit)(struct run *run, const struct gw_look_up *look_up))
{
	for (struct gw_dns_name *name = run->dns->first; name != NULL; name = name->next)
		for (int i = 0; i < GW_FAMILIES; i++)
			if (name->look_ups[i].channel != NULL)
				visit(run, &name->look_ups[i]);
}

static void process_times(struct run *run, const struct gw_look_up *look_up)
{
	(void)run;
	ares_process_fd(look_up->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static int timeout_of(const struct run *run)
{
	uint64_t left_ns = run->due_ns > run->now_ns ? run->due_ns - run->now_ns : 0;

	if (run->due_ns == KOLK_FOREVER)
		return -1;
	left_ns = left_ns < 3600 * KOLK_S_NS ? left_ns : 3600 * KOLK_S_NS;
	return (int)(left_ns / KOLK_MS_NS) + 1;
}

static void wait_and_process(struct run *run)
{
	uint64_t count;
	int ready;

	run->polls[0] = (struct pollfd){ .fd = run->dns->wake, .events = POLLIN };
	run->poll_count = 1;
	pthread_mutex_lock(&run->dns->lock); /* of the list */
	each_look_up(run, add_sockets);
	pthread_mutex_unlock(&run->dns->lock);
	ready = poll(run->polls, run->poll_count, timeout_of(run));
	pthread_mutex_lock(&run->dns->lock); /* answers are kept in names */
	for (nfds_t i = 1; ready > 0 && i < run->poll_count; i++) {
		const struct pollfd *one = &run->polls[i];

		if (one->revents != 0)
			ares_process_fd(run->channels[i],
					(one->revents & ~POLLOUT) != 0 ? one->fd : ARES_SOCKET_BAD,
					(one->revents & ~POLLIN) != 0 ? one->fd : ARES_SOCKET_BAD);
	}
	each_look_up(run, process_times);
	pthread_mutex_unlock(&run->dns->lock);
	if (ready > 0 && run->polls[0].revents != 0)
		(void)!read(run->dns->wake, &count, sizeof count);
}

void gw_dns_wake(const struct gw_dns *dns)
{
	const uint64_t one = 1;

	(void)!write(dns->wake, &one, sizeof one);
}

void *gw_dns_run(void *user)
{
	struct run run = { .dns = user };
	bool changed, ending;

	for (;;) {
		run.now_ns = kolk_in_ns(0);
		run.due_ns = KOLK_FOREVER;
		pthread_mutex_lock(&run.dns->lock);
		ending = run.dns->ending;
		changed = !ending && names_step(&run);
		pthread_mutex_unlock(&run.dns->lock);
		if (ending)
			return NULL;
		if (changed && !run.dns->changed(run.dns->user))
			due(&run, run.now_ns + AGAIN_NS);
		wait_and_process(&run);
	}
}
