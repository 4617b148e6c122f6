/* SPDX-License-Identifier: Apache-2.0 */
/* names.c - a pool's name: answers, and the desks of the loops. See names.h. */
#include "transport/names.h"

#include <errno.h>
#include <string.h>

#include "core/base/atomic.h"
#include "core/base/lock.h"
#include "transport/input.h"

#define TTL_MIN_NS KOLK_S_NS
#define TTL_MAX_NS (3600 * KOLK_S_NS)
#define STALE_MAX_NS (3600 * KOLK_S_NS)
#define FAILED_NS (5 * KOLK_S_NS)  /* a refresh that failed is tried again */
#define GLANCE_NS (10 * KOLK_S_NS) /* a desk looks at least so often whether it is needed */

/* An address that so many answers in a row did not contain is gone. Once one that was away has
 * come back, the answers are parts of a larger set: then it is gone when it would have come by
 * with 999 chances in 1 000 (each answer has k of the n that are known: 7 n/k answers). */
enum { MISSED_MAX = 2, ROTATIONS = 7, ROTATES_FOR = 256 /* answers */ };
enum { KNOWN = 64 }; /* more than a UDP answer of 512 bytes holds */

struct kolk__names {
	struct kolk__transport *transport;
	struct kolk__lock lock;      /* what follows, up to host */
	struct {
		struct kolk_address address;
		uint32_t hash, missed; /* answers in a row without it */
		bool gone;             /* it stays here, to be noticed when it comes back */
	} entry[KNOWN];              /* those of the last answer first, in its order */
	uint32_t count;
	uint32_t rotates;            /* for so many more answers it is known to do so */
	uint64_t expires_ns;         /* 0 = never answered */
	struct desk *desks;
	bool asking;                 /* a look-up is under way: one is enough for a refresh */
	bool closed;
	kolk__atomic_u32 open;       /* relaxed: connections */
	uint32_t port;               /* constant, as what follows */
	char host[KOLK__HOST_MAX], servers[KOLK__HOST_MAX];
};

struct desk {
	struct kolk__timeout glance; /* first */
	struct kolk__names *names;
	struct kolk__tloop *tloop;
	struct desk *next;           /* tloop.desks */
	struct desk *names_next;     /* under names.lock */
	struct kolk__link *waiting;  /* linked by named_next */
	struct kolk__note note;      /* addresses are gone */
	bool note_out;               /* under names.lock */
	struct kolk_op op;
	struct kolk_lookup lookup;
	struct kolk_address addresses[KNOWN];
};

static void take(struct kolk__names *names)
{
	kolk__lock(names->transport->sys, &names->lock);
}

static void give(struct kolk__names *names)
{
	kolk__unlock(names->transport->sys, &names->lock);
}

uint32_t kolk__address_hash(const struct kolk_address *address)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (uint32_t i = 0; i < address->size; i++)
		hash = (hash ^ address->bytes[i]) * 16777619u;
	return hash;
}

/* ---- open and close */

struct kolk__names *kolk__names_open(struct kolk__transport *transport, const char *host,
				     uint32_t port, const char *servers)
{
	struct kolk__names *names = kolk__alloc(transport, sizeof *names);

	if (names == NULL)
		return NULL;
	kolk__lock_init(&names->lock, KOLK__RANK_LEAF);
	names->transport = transport;
	names->port = port;
	memcpy(names->host, host, strlen(host) + 1);
	memcpy(names->servers, servers, strlen(servers) + 1);
	return names;
}

/* Closed, and the last desk is gone: whoever brings that about frees it. Gives the lock. */
static void give_or_free(struct kolk__names *names)
{
	bool over = names->closed && names->desks == NULL;

	give(names);
	if (over)
		kolk__dealloc(names->transport, names, sizeof *names);
}

void kolk__names_close(struct kolk__names *names)
{
	if (names == NULL)
		return;
	take(names);
	names->closed = true;
	give_or_free(names);
}

void kolk__names_use(struct kolk__names *names, int change)
{
	if (names != NULL)
		kolk__add_relaxed(&names->open, (uint32_t)change);
}

static void desk_free(struct desk *desk)
{
	struct kolk__names *names = desk->names;
	struct kolk__transport *transport = names->transport;
	struct desk **place = &desk->tloop->desks, **under = &names->desks;

	KOLK__ON_TLOOP(desk->tloop);
	kolk__timeout_stop(desk->tloop, &desk->glance);
	while (*place != desk)
		place = &(*place)->next;
	*place = desk->next;
	take(names);
	while (*under != desk)
		under = &(*under)->names_next;
	*under = desk->names_next;
	give_or_free(names);
	kolk__dealloc(transport, desk, sizeof *desk);
}

void kolk__desks_drop(struct kolk__tloop *tloop)
{
	while (tloop->desks != NULL)
		desk_free(tloop->desks);
}

/* ---- answers */

/* Of the families that answered: what the other's servers lost is not gone. */
static void count_missed(struct kolk__names *names, const struct desk *desk, uint32_t count)
{
	KOLK__HELD(&names->lock);
	for (uint32_t i = 0; i < names->count; i++) {
		bool answered = !desk->lookup.partial;

		for (uint32_t k = 0; k < count; k++)
			answered = answered || desk->addresses[k].family ==
						       names->entry[i].address.family;
		names->entry[i].missed += answered && count < KNOWN; /* else: it was cut off */
	}
}

/* Where it stands from `from` on, or who makes room for it: who was missed most often. */
static uint32_t place_of(const struct kolk__names *names, uint32_t hash, uint32_t from)
{
	uint32_t oldest = from;

	KOLK__HELD(&names->lock);
	for (uint32_t i = from; i < names->count; i++) {
		if (names->entry[i].hash == hash)
			return i;
		if (names->entry[i].missed > names->entry[oldest].missed)
			oldest = i;
	}
	return names->count < KNOWN ? names->count : oldest;
}

/* The new answer's order comes first. True when one that was not gone made room. */
static bool put(struct kolk__names *names, uint32_t kept, const struct kolk_address *address)
{
	uint32_t hash = kolk__address_hash(address), at = place_of(names, hash, kept);
	bool is_new = at == names->count;
	bool known = !is_new && names->entry[at].hash == hash;
	bool displaced = !is_new && !known && !names->entry[at].gone;

	KOLK__HELD(&names->lock);
	if (known && names->entry[at].missed > 1) /* it was away: this one alone makes 1 */
		names->rotates = ROTATES_FOR;
	names->count += is_new;
	names->entry[at] = names->entry[kept];
	names->entry[kept].address = *address;
	names->entry[kept].hash = hash;
	names->entry[kept].missed = 0;
	names->entry[kept].gone = false;
	return displaced;
}

/* True when there are any that were not before. */
static bool find_gone(struct kolk__names *names, uint32_t missed_max)
{
	bool any = false;

	KOLK__HELD(&names->lock);
	for (uint32_t i = 0; i < names->count; i++) {
		if (names->entry[i].gone || names->entry[i].missed < missed_max)
			continue;
		names->entry[i].gone = any = true;
	}
	return any;
}

/* Under names.lock. True when an address is gone. */
static bool answer_store(struct kolk__names *names, const struct desk *desk, uint32_t count,
			 uint64_t now_ns)
{
	uint64_t ttl_ns = desk->lookup.ttl_s * KOLK_S_NS;
	uint64_t most_ns = desk->lookup.partial ? FAILED_NS : TTL_MAX_NS;
	bool gone = false;

	KOLK__HELD(&names->lock);
	ttl_ns = ttl_ns < TTL_MIN_NS ? TTL_MIN_NS : ttl_ns > most_ns ? most_ns : ttl_ns;
	names->expires_ns = now_ns + ttl_ns;
	count_missed(names, desk, count);
	names->rotates -= names->rotates > 0;
	for (uint32_t i = 0; i < count; i++)
		gone |= put(names, i, &desk->addresses[i]);
	return find_gone(names, MISSED_MAX + (names->rotates > 0 ?
					      ROTATIONS * names->count / count : 0)) || gone;
}

static bool is_known(struct kolk__names *names, uint32_t hash)
{
	bool known = false;

	take(names);
	for (uint32_t i = 0; i < names->count; i++)
		known = known || (names->entry[i].hash == hash && !names->entry[i].gone);
	give(names);
	return known;
}

/* Connections of this loop to addresses that are gone. */
static void sweep(struct kolk__note *note)
{
	struct desk *desk = (struct desk *)(void *)((char *)note - offsetof(struct desk, note));
	struct kolk__link *next;

	KOLK__ON_TLOOP(desk->tloop);
	take(desk->names);
	desk->note_out = false;
	give(desk->names);
	for (struct kolk__link *link = desk->tloop->links; link != NULL; link = next) {
		next = link->next; /* to be told can close it */
		if (link->origin->names == desk->names && kolk__link_is_open(link) &&
		    !is_known(desk->names, link->peer))
			kolk__link_hung_up(link, KOLK_REASON_NAME_CHANGED);
	}
}

/* Under names.lock. */
static void tell_desks(struct kolk__names *names)
{
	KOLK__HELD(&names->lock);
	for (struct desk *desk = names->desks; desk != NULL; desk = desk->names_next) {
		if (desk->note_out)
			continue;
		desk->note_out = true;
		kolk__tloop_post(desk->tloop, &desk->note, sweep);
	}
}

/* ---- the desk */

static void looked_up(struct kolk_op *op);

static void look_up(struct desk *desk)
{
	struct kolk__names *names = desk->names;

	KOLK__ON_TLOOP(desk->tloop);
	desk->lookup = (struct kolk_lookup){ .host = names->host, .servers = names->servers,
					     .addresses = desk->addresses,
					     .capacity = KNOWN, .port = names->port };
	kolk__submit(desk->tloop, &desk->op, KOLK_OP_RESOLVE, -1, &desk->lookup, 0, looked_up,
		     desk);
}

/* The next look at the clock: when the answer expires, but soon. */
static void glance_again(struct desk *desk, uint64_t now_ns, uint64_t expires_ns)
{
	uint64_t due_ns = now_ns + GLANCE_NS;

	KOLK__ON_TLOOP(desk->tloop);
	if (expires_ns > now_ns && expires_ns < due_ns)
		due_ns = expires_ns;
	kolk__timeout_start(desk->tloop, &desk->glance, due_ns);
}

static void looked_up(struct kolk_op *op)
{
	struct desk *desk = op->owner;
	struct kolk__names *names = desk->names;
	uint64_t now_ns = kolk__link_now(names->transport), expires_ns;
	struct kolk__link *link;

	KOLK__ON_TLOOP(desk->tloop);
	take(names);
	names->asking = false;
	if (op->result > 0) {
		if (answer_store(names, desk, (uint32_t)op->result, now_ns))
			tell_desks(names);
	} else if (names->count > 0) {
		names->expires_ns = now_ns + FAILED_NS;
	}
	expires_ns = names->expires_ns;
	give(names);
	glance_again(desk, now_ns, expires_ns);
	while ((link = desk->waiting) != NULL) {
		desk->waiting = link->named_next;
		link->waits_at = NULL;
		kolk__dial_named(link, op->result);
	}
}

/* Is the pool still there, is the answer still good? */
static void glance(struct kolk__timeout *timeout)
{
	struct desk *desk = (struct desk *)(void *)timeout;
	struct kolk__names *names = desk->names;
	uint64_t now_ns = kolk__link_now(names->transport), expires_ns;
	bool closed, refresh;

	KOLK__ON_TLOOP(desk->tloop);
	take(names);
	closed = names->closed && !desk->note_out && !desk->op.in_flight;
	refresh = !names->closed && names->expires_ns <= now_ns && !names->asking &&
		  kolk__load_relaxed(&names->open) > 0 && !desk->op.in_flight;
	names->asking = names->asking || refresh;
	expires_ns = names->expires_ns;
	give(names);
	if (closed) {
		desk_free(desk);
		return;
	}
	if (refresh)
		look_up(desk);
	glance_again(desk, now_ns, expires_ns);
}

static struct desk *desk_of(struct kolk__tloop *tloop, struct kolk__names *names)
{
	struct desk *desk = tloop->desks;

	KOLK__ON_TLOOP(tloop);
	while (desk != NULL && desk->names != names)
		desk = desk->next;
	if (desk != NULL)
		return desk;
	desk = kolk__alloc(names->transport, sizeof *desk);
	if (desk == NULL)
		return NULL;
	desk->names = names;
	desk->tloop = tloop;
	desk->glance.fire = glance;
	desk->next = tloop->desks;
	tloop->desks = desk;
	take(names);
	desk->names_next = names->desks;
	names->desks = desk;
	give(names);
	kolk__timeout_start(tloop, &desk->glance, kolk__link_now(names->transport) + GLANCE_NS);
	return desk;
}

/* ---- the dial */

/* The next of the last answer from *at on, of this family or of the others. */
static const struct kolk_address *next_of(const struct kolk__names *names, uint32_t *at,
					  uint32_t family, bool others)
{
	KOLK__HELD(&names->lock);
	while (*at < names->count && names->entry[*at].missed == 0) {
		const struct kolk_address *address = &names->entry[(*at)++].address;

		if ((address->family == family) != others)
			return address;
	}
	return NULL;
}

/* Some to try: families take turns, each in the resolver's order, that of the first one first.
 * Under names.lock. */
static int32_t pick(const struct kolk__names *names, struct kolk_address *addresses)
{
	uint32_t at[2] = { 0, 0 }, family = names->entry[0].address.family;
	int32_t count = 0;

	KOLK__HELD(&names->lock);
	for (bool others = false; count < KOLK__ADDRESSES; others = !others) {
		const struct kolk_address *next = next_of(names, &at[others], family, others);

		if (next == NULL) {
			others = !others;
			next = next_of(names, &at[others], family, others);
		}
		if (next == NULL)
			break;
		addresses[count++] = *next;
	}
	return count;
}

int32_t kolk__names_ask(struct kolk__link *link, struct kolk_address *addresses)
{
	struct kolk__names *names = link->origin->names;
	struct desk *desk = desk_of(link->tloop, names);
	uint64_t now_ns = kolk__link_now(names->transport);
	int32_t count = 0;
	bool old, ask;

	KOLK__HOME(link);
	if (desk == NULL)
		return -ENOMEM;
	take(names);
	old = names->expires_ns <= now_ns;
	if (names->expires_ns + STALE_MAX_NS > now_ns)
		count = pick(names, addresses);
	/* Somebody's refresh is enough; but who has nothing at all asks for itself. */
	ask = old && !desk->op.in_flight && (count == 0 || !names->asking);
	names->asking = names->asking || ask;
	give(names);
	if (ask)
		look_up(desk);
	if (count == 0) {
		link->waits_at = desk;
		link->named_next = desk->waiting;
		desk->waiting = link;
	}
	return count;
}

void kolk__names_forget(struct kolk__link *link)
{
	struct desk *desk = link->waits_at;
	struct kolk__link **place;

	KOLK__HOME(link);
	if (desk == NULL)
		return;
	link->waits_at = NULL;
	for (place = &desk->waiting; *place != link; place = &(*place)->named_next)
		;
	*place = link->named_next;
}
