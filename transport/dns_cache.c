/* SPDX-License-Identifier: Apache-2.0 */
/* dns_cache.c - the addresses of a pool's name, and the resolutions of the loops. See
 * dns_cache.h. */
#include "transport/dns_cache.h"

#include <errno.h>
#include <string.h>

#include "core/base/atomic.h"
#include "core/base/container.h"
#include "core/base/lock.h"
#include "transport/dial.h"
#include "transport/input.h"
#include "transport/upstream.h"

#define TTL_MIN_NS KOLK_S_NS
#define TTL_MAX_NS (3600 * KOLK_S_NS)
#define STALE_MAX_NS (3600 * KOLK_S_NS)
#define FAILED_NS (5 * KOLK_S_NS)  /* a refresh that failed is tried again */
#define RECHECK_NS (10 * KOLK_S_NS) /* at most between two checks whether it is needed */

/* An address that is missing from this many answers in a row is gone. When an address comes back
 * after it was missing, the answers are subsets of a larger set. Then an address is gone only when
 * it would have appeared with a probability of 999 in 1 000 (each answer has k of the n known
 * addresses: 7 n/k answers). */
enum { MISSED_MAX = 2, ROTATIONS = 7, ROTATES_FOR = 256 /* answers */ };
enum { ADDRESSES_MAX = 64 }; /* more than a UDP answer of 512 bytes holds */

struct kolk__dns_cache {
	struct kolk__transport *transport;
	struct kolk__lock lock;      /* guards the fields up to host */
	struct {
		struct kolk_address address;
		uint32_t hash, missed; /* answers in a row without it */
		bool gone;             /* it stays here, to be noticed when it comes back */
	} entry[ADDRESSES_MAX];      /* those of the last answer first, in its order */
	uint32_t count;
	uint32_t rotates;            /* for so many more answers it is known to do so */
	uint64_t expires_ns;         /* 0 = never answered */
	struct resolution *resolutions;
	bool lookup_in_flight;       /* one is enough for a refresh */
	bool partial;                /* the last answer was: one family came too late */
	bool closed;
	kolk__atomic_u32 open;       /* relaxed: connections */
	uint32_t port;               /* constant, as the fields below */
	char host[KOLK__HOST_MAX], servers[KOLK__HOST_MAX];
};

struct resolution {
	struct kolk__timeout refresh_timer; /* first */
	struct kolk__dns_cache *dns;
	struct kolk__io_loop *loop;
	struct resolution *next;     /* loop.resolutions */
	struct resolution *dns_next; /* under dns.lock */
	struct kolk__link *waiting;  /* linked by resolution_next */
	struct kolk__task task;      /* addresses are gone */
	bool task_posted;               /* under dns.lock */
	struct kolk_op op;
	struct kolk_lookup lookup;
	struct kolk_address addresses[ADDRESSES_MAX];
};

static void dns_lock(struct kolk__dns_cache *dns)
{
	kolk__lock(dns->transport->sys, &dns->lock);
}

static void dns_unlock(struct kolk__dns_cache *dns)
{
	kolk__unlock(dns->transport->sys, &dns->lock);
}

/* ---- open and close */

struct kolk__dns_cache *kolk__dns_cache_open(struct kolk__transport *transport, const char *host,
					     uint32_t port, const char *servers)
{
	struct kolk__dns_cache *dns = kolk__alloc(transport, sizeof *dns);

	if (dns == NULL)
		return NULL;
	kolk__lock_init(&dns->lock, KOLK__RANK_LEAF);
	dns->transport = transport;
	dns->port = port;
	memcpy(dns->host, host, strlen(host) + 1);
	memcpy(dns->servers, servers, strlen(servers) + 1);
	return dns;
}

/* Unlock, and free it if it is closed and has no resolution left. */
static void unlock_or_free(struct kolk__dns_cache *dns)
{
	bool over = dns->closed && dns->resolutions == NULL;

	dns_unlock(dns);
	if (over)
		kolk__dealloc(dns->transport, dns, sizeof *dns);
}

void kolk__dns_cache_close(struct kolk__dns_cache *dns)
{
	if (dns == NULL)
		return;
	dns_lock(dns);
	dns->closed = true;
	unlock_or_free(dns);
}

void kolk__dns_cache_count(struct kolk__dns_cache *dns, int change)
{
	if (dns != NULL)
		kolk__add_relaxed(&dns->open, (uint32_t)change);
}

static void resolution_free(struct resolution *resolution)
{
	struct kolk__dns_cache *dns = resolution->dns;
	struct kolk__transport *transport = dns->transport;
	struct resolution **place = &resolution->loop->resolutions, **under = &dns->resolutions;

	KOLK__ON_LOOP(resolution->loop);
	kolk__timeout_stop(resolution->loop, &resolution->refresh_timer);
	while (*place != resolution)
		place = &(*place)->next;
	*place = resolution->next;
	dns_lock(dns);
	while (*under != resolution)
		under = &(*under)->dns_next;
	*under = resolution->dns_next;
	unlock_or_free(dns);
	kolk__dealloc(transport, resolution, sizeof *resolution);
}

void kolk__resolutions_drop(struct kolk__io_loop *loop)
{
	while (loop->resolutions != NULL)
		resolution_free(loop->resolutions);
}

/* ---- answers */

/* Only for the families that answered: addresses of the other family are not gone. */
static void count_missed(struct kolk__dns_cache *dns, const struct resolution *resolution,
			 uint32_t count)
{
	KOLK__HELD(&dns->lock);
	for (uint32_t i = 0; i < dns->count; i++) {
		bool answered = !resolution->lookup.partial;

		for (uint32_t k = 0; k < count; k++)
			answered = answered || resolution->addresses[k].family ==
						       dns->entry[i].address.family;
		dns->entry[i].missed += answered && count < ADDRESSES_MAX; /* else: truncated */
	}
}

/* The position of this address, searched from `from` on, or the one that it replaces: the address
 * that was missing most often. */
static uint32_t place_of(const struct kolk__dns_cache *dns, uint32_t hash, uint32_t from)
{
	uint32_t oldest = from;

	KOLK__HELD(&dns->lock);
	for (uint32_t i = from; i < dns->count; i++) {
		if (dns->entry[i].hash == hash)
			return i;
		if (dns->entry[i].missed > dns->entry[oldest].missed)
			oldest = i;
	}
	return dns->count < ADDRESSES_MAX ? dns->count : oldest;
}

/* The addresses of the new answer come first. True when it replaced one that was not gone. */
static bool store_address(struct kolk__dns_cache *dns, uint32_t kept,
			  const struct kolk_address *address)
{
	uint32_t hash = kolk__address_hash(address), at = place_of(dns, hash, kept);
	bool is_new = at == dns->count;
	bool known = !is_new && dns->entry[at].hash == hash;
	bool displaced = !is_new && !known && !dns->entry[at].gone;

	KOLK__HELD(&dns->lock);
	if (known && dns->entry[at].missed > 1) /* this answer alone makes 1 */
		dns->rotates = ROTATES_FOR;
	dns->count += is_new;
	dns->entry[at] = dns->entry[kept];
	dns->entry[kept].address = *address;
	dns->entry[kept].hash = hash;
	dns->entry[kept].missed = 0;
	dns->entry[kept].gone = false;
	return displaced;
}

/* True when there are any that were not before. */
static bool find_gone(struct kolk__dns_cache *dns, uint32_t missed_max)
{
	bool any = false;

	KOLK__HELD(&dns->lock);
	for (uint32_t i = 0; i < dns->count; i++) {
		if (dns->entry[i].gone || dns->entry[i].missed < missed_max)
			continue;
		dns->entry[i].gone = any = true;
	}
	return any;
}

/* Under dns.lock. True when an address is gone. */
static bool answer_store(struct kolk__dns_cache *dns, const struct resolution *resolution,
			 uint32_t count, uint64_t now_ns)
{
	uint64_t ttl_ns = resolution->lookup.ttl_s * KOLK_S_NS;
	uint64_t most_ns = resolution->lookup.partial ? FAILED_NS : TTL_MAX_NS;
	bool gone = false;

	KOLK__HELD(&dns->lock);
	ttl_ns = ttl_ns < TTL_MIN_NS ? TTL_MIN_NS : ttl_ns > most_ns ? most_ns : ttl_ns;
	dns->expires_ns = now_ns + ttl_ns;
	dns->partial = resolution->lookup.partial;
	count_missed(dns, resolution, count);
	dns->rotates -= dns->rotates > 0;
	for (uint32_t i = 0; i < count; i++)
		gone |= store_address(dns, i, &resolution->addresses[i]);
	return find_gone(dns, MISSED_MAX + (dns->rotates > 0 ?
					    ROTATIONS * dns->count / count : 0)) || gone;
}

static bool is_known(struct kolk__dns_cache *dns, uint32_t hash)
{
	bool known = false;

	dns_lock(dns);
	for (uint32_t i = 0; i < dns->count; i++)
		known = known || (dns->entry[i].hash == hash && !dns->entry[i].gone);
	dns_unlock(dns);
	return known;
}

/* Connections of this loop to addresses that are gone. */
static void retire_gone(struct kolk__task *task)
{
	struct resolution *resolution = kolk__container_of(task, struct resolution, task);
	struct kolk__link *next;

	KOLK__ON_LOOP(resolution->loop);
	dns_lock(resolution->dns);
	resolution->task_posted = false;
	dns_unlock(resolution->dns);
	for (struct kolk__link *link = resolution->loop->links; link != NULL; link = next) {
		next = link->next; /* retiring it can close it */
		if (link->upstream->dns == resolution->dns && kolk__link_is_open(link) &&
		    !is_known(resolution->dns, link->address_hash))
			kolk__link_retire(link, KOLK_REASON_NAME_CHANGED);
	}
}

/* Under dns.lock. */
static void notify_resolutions(struct kolk__dns_cache *dns)
{
	KOLK__HELD(&dns->lock);
	for (struct resolution *resolution = dns->resolutions; resolution != NULL;
	     resolution = resolution->dns_next) {
		if (resolution->task_posted)
			continue;
		resolution->task_posted = true;
		kolk__io_loop_post(resolution->loop, &resolution->task, retire_gone);
	}
}

/* ---- the resolution */

static void lookup_done(struct kolk_op *op);

static void lookup_start(struct resolution *resolution, bool whole)
{
	struct kolk__dns_cache *dns = resolution->dns;

	KOLK__ON_LOOP(resolution->loop);
	resolution->lookup = (struct kolk_lookup){ .host = dns->host, .servers = dns->servers,
					     .addresses = resolution->addresses,
					     .capacity = ADDRESSES_MAX, .port = dns->port,
					     .whole = whole };
	kolk__op_work(&resolution->op, KOLK_OP_RESOLVE, NULL, &resolution->lookup);
	kolk__submit(resolution->loop, &resolution->op, lookup_done, resolution);
}

/* The next check: when the answer expires, at the latest after RECHECK_NS. */
static void refresh_timer_start(struct resolution *resolution, uint64_t now_ns, uint64_t expires_ns)
{
	uint64_t due_ns = now_ns + RECHECK_NS;

	KOLK__ON_LOOP(resolution->loop);
	if (expires_ns > now_ns && expires_ns < due_ns)
		due_ns = expires_ns;
	kolk__timeout_start(resolution->loop, &resolution->refresh_timer, due_ns);
}

/* The next dial that this answer is for. One that asked for both families waits for the look-up
 * that brings them. */
static struct kolk__link *answered_next(struct kolk__link *link, bool both_follow)
{
	while (both_follow && link != NULL && link->progress->asked_whole)
		link = link->progress->resolution_next;
	return link;
}

/* When one family came too late, its answer is waited for by another look-up: its addresses may be
 * the ones that can be reached, and a dial that is dropped by those of the first learns nothing. */
static void lookup_done(struct kolk_op *op)
{
	struct resolution *resolution = op->owner;
	struct kolk__dns_cache *dns = resolution->dns;
	uint64_t now_ns = kolk__link_now(dns->transport), expires_ns;
	int32_t result = (int32_t)op->result;
	struct kolk__link *link;
	bool both_follow;

	KOLK__ON_LOOP(resolution->loop);
	dns_lock(dns);
	both_follow = !dns->closed && result > 0 && resolution->lookup.partial &&
		      !resolution->lookup.whole;
	dns->lookup_in_flight = both_follow;
	if (result > 0) {
		if (answer_store(dns, resolution, (uint32_t)result, now_ns))
			notify_resolutions(dns);
	} else if (dns->count > 0) {
		dns->expires_ns = now_ns + FAILED_NS;
	}
	expires_ns = dns->expires_ns;
	dns_unlock(dns);
	refresh_timer_start(resolution, now_ns, expires_ns);
	if (both_follow)
		lookup_start(resolution, true);
	while ((link = answered_next(resolution->waiting, both_follow)) != NULL) {
		kolk__dns_cache_cancel(link);
		kolk__dial_resolved(link, result);
	}
}

/* Is the pool still there, is the answer still good? */
static void refresh_timer(struct kolk__timeout *timeout)
{
	struct resolution *resolution = (struct resolution *)(void *)timeout;
	struct kolk__dns_cache *dns = resolution->dns;
	uint64_t now_ns = kolk__link_now(dns->transport), expires_ns;
	bool closed, refresh;

	KOLK__ON_LOOP(resolution->loop);
	dns_lock(dns);
	closed = dns->closed && !resolution->task_posted && !resolution->op.in_flight;
	refresh = !dns->closed && dns->expires_ns <= now_ns && !dns->lookup_in_flight &&
		  kolk__load_relaxed(&dns->open) > 0 && !resolution->op.in_flight;
	dns->lookup_in_flight = dns->lookup_in_flight || refresh;
	expires_ns = dns->expires_ns;
	dns_unlock(dns);
	if (closed) {
		resolution_free(resolution);
		return;
	}
	if (refresh)
		lookup_start(resolution, false);
	refresh_timer_start(resolution, now_ns, expires_ns);
}

static struct resolution *resolution_of(struct kolk__io_loop *loop, struct kolk__dns_cache *dns)
{
	struct resolution *resolution = loop->resolutions;

	KOLK__ON_LOOP(loop);
	while (resolution != NULL && resolution->dns != dns)
		resolution = resolution->next;
	if (resolution != NULL)
		return resolution;
	resolution = kolk__alloc(dns->transport, sizeof *resolution);
	if (resolution == NULL)
		return NULL;
	resolution->dns = dns;
	resolution->loop = loop;
	resolution->refresh_timer.fire = refresh_timer;
	resolution->next = loop->resolutions;
	loop->resolutions = resolution;
	dns_lock(dns);
	resolution->dns_next = dns->resolutions;
	dns->resolutions = resolution;
	dns_unlock(dns);
	kolk__timeout_start(loop, &resolution->refresh_timer,
			    kolk__link_now(dns->transport) + RECHECK_NS);
	return resolution;
}

/* ---- the dial */

/* The next of the last answer from *at on, of this family or of the others. */
static const struct kolk_address *next_of(const struct kolk__dns_cache *dns, uint32_t *at,
					  uint32_t family, bool others)
{
	KOLK__HELD(&dns->lock);
	while (*at < dns->count && dns->entry[*at].missed == 0) {
		const struct kolk_address *address = &dns->entry[(*at)++].address;

		if ((address->family == family) != others)
			return address;
	}
	return NULL;
}

/* Select addresses for a dial: families alternate, each in the resolver's order, beginning with the
 * family of the first address. Under dns.lock. */
static int32_t select_addresses(const struct kolk__dns_cache *dns, struct kolk_address *addresses)
{
	uint32_t at[2] = { 0, 0 }, family = dns->entry[0].address.family;
	int32_t count = 0;

	KOLK__HELD(&dns->lock);
	for (bool others = false; count < KOLK__ADDRESSES; others = !others) {
		const struct kolk_address *next = next_of(dns, &at[others], family, others);

		if (next == NULL) {
			others = !others;
			next = next_of(dns, &at[others], family, others);
		}
		if (next == NULL)
			break;
		addresses[count++] = *next;
	}
	return count;
}

static void await(struct kolk__link *link, struct resolution *resolution)
{
	link->progress->resolution = resolution;
	link->progress->resolution_next = resolution->waiting;
	resolution->waiting = link;
}

int32_t kolk__dns_cache_get(struct kolk__link *link, struct kolk_address *addresses)
{
	struct kolk__dns_cache *dns = link->upstream->dns;
	struct resolution *resolution = resolution_of(link->loop, dns);
	uint64_t now_ns = kolk__link_now(dns->transport);
	int32_t count = 0;
	bool old, start;

	KOLK__HOME(link);
	if (resolution == NULL)
		return -ENOMEM;
	dns_lock(dns);
	old = dns->expires_ns <= now_ns;
	if (dns->expires_ns + STALE_MAX_NS > now_ns)
		count = select_addresses(dns, addresses);
	/* One refresh is enough for all loops; but a dial without any address starts its own
	 * look-up. */
	start = old && !resolution->op.in_flight && (count == 0 || !dns->lookup_in_flight);
	dns->lookup_in_flight = dns->lookup_in_flight || start;
	dns_unlock(dns);
	if (start)
		lookup_start(resolution, false);
	if (count == 0)
		await(link, resolution);
	return count;
}

bool kolk__dns_cache_get_whole(struct kolk__link *link)
{
	struct kolk__dns_cache *dns = link->upstream->dns;
	struct kolk__progress *dial = link->progress;
	struct resolution *resolution;

	KOLK__HOME(link);
	resolution = dns != NULL && !dial->asked_whole ? resolution_of(link->loop, dns) : NULL;
	if (resolution == NULL)
		return false;
	dns_lock(dns);
	dial->asked_whole = dns->partial;
	dns->lookup_in_flight = dns->lookup_in_flight || dial->asked_whole;
	dns_unlock(dns);
	if (!dial->asked_whole)
		return false;
	if (!resolution->op.in_flight)
		lookup_start(resolution, true);
	await(link, resolution);
	return true;
}

void kolk__dns_cache_cancel(struct kolk__link *link)
{
	struct kolk__progress *dial = link->progress;
	struct resolution *resolution = dial != NULL ? dial->resolution : NULL;
	struct kolk__link **place;

	KOLK__HOME(link);
	if (resolution == NULL)
		return;
	dial->resolution = NULL;
	for (place = &resolution->waiting; *place != link;
	     place = &(*place)->progress->resolution_next)
		;
	*place = dial->resolution_next;
}
