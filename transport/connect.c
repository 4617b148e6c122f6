/* SPDX-License-Identifier: Apache-2.0 */
/* connect.c - a race of addresses. See connect.h. */
#include "transport/connect.h"

#include <errno.h>
#include <sys/socket.h>

#include "transport/input.h"
#include "transport/names.h"

#define ATTEMPT_DELAY_NS (250 * KOLK_MS_NS) /* RFC 8305, section 8 */
/* Between two tries at a Unix listener whose queue is full: nothing tells when it is not. */
#define FULL_MIN_NS KOLK_MS_NS
#define FULL_MAX_NS (50 * KOLK_MS_NS)

struct attempt {
	struct kolk_op op;
	uint32_t address;
};

struct kolk__race {
	struct kolk__timeout next_attempt; /* first */
	struct kolk__link *link;
	uint32_t count, next, flying;
	bool over;      /* somebody won, or nobody wants it any more */
	int32_t result; /* of the last that failed */
	struct attempt *held; /* its listener's queue is full: to be tried again. NULL = none */
	uint64_t held_ns;     /* the pause before that */
	struct attempt attempt[KOLK__ADDRESSES];
	struct kolk_address address[KOLK__ADDRESSES];
};

struct kolk_address *kolk__connect_room(struct kolk__link *link)
{
	if (link->race == NULL)
		link->race = kolk__alloc(link->tloop->transport, sizeof *link->race);
	return link->race != NULL ? link->race->address : NULL;
}

void kolk__connect_free(struct kolk__link *link)
{
	const struct kolk_sys *sys = link->tloop->transport->sys;

	if (link->race == NULL)
		return;
	if (link->race->held != NULL)
		sys->sock_close(sys->context, link->race->held->op.fd);
	for (uint32_t i = 0; i < link->race->next; i++)
		if (link->race->attempt[i].op.in_flight) /* the ring is closed */
			sys->sock_close(sys->context, link->race->attempt[i].op.fd);
	kolk__timeout_stop(link->tloop, &link->race->next_attempt);
	kolk__dealloc(link->tloop->transport, link->race, sizeof *link->race);
	link->race = NULL;
}

bool kolk__connect_is_over(const struct kolk__link *link)
{
	return link->race == NULL || link->race->flying == 0;
}

static void go_on(struct kolk__race *race);

/* The last attempt has ended: the link may be waiting for that. */
static void settle(struct kolk__race *race)
{
	struct kolk__link *link = race->link;

	KOLK__HOME(link);
	if (race->flying > 0)
		return;
	kolk__connect_free(link);
	if (link->phase == KOLK__ENDING)
		kolk__dial_end_if_quiet(link);
	else if (link->phase == KOLK__CLOSING_LINK)
		kolk__link_close_if_quiet(link);
}

/* Until the time for connecting is over. */
static void hold(struct kolk__race *race, struct attempt *attempt)
{
	struct kolk__link *link = race->link;

	race->held = attempt;
	race->held_ns = race->held_ns == 0 ? FULL_MIN_NS :
			race->held_ns < FULL_MAX_NS / 2 ? race->held_ns * 2 : FULL_MAX_NS;
	kolk__timeout_start(link->tloop, &race->next_attempt,
			    kolk__link_now(link->tloop->transport) + race->held_ns);
}

static bool is_full(const struct kolk__race *race, const struct attempt *attempt)
{
	return attempt->op.result == -EAGAIN &&
	       race->address[attempt->address].family == AF_UNIX;
}

static void attempt_done(struct kolk_op *op)
{
	struct kolk__race *race = op->owner;
	struct kolk__link *link = race->link;
	struct attempt *attempt = (struct attempt *)(void *)op;
	const struct kolk_sys *sys = link->tloop->transport->sys;

	KOLK__HOME(link);
	race->flying--;
	if (!race->over && is_full(race, attempt)) {
		hold(race, attempt);
		return;
	}
	if (race->over || op->result < 0) {
		sys->sock_close(sys->context, op->fd);
		if (race->over) {
			settle(race);
			return;
		}
		race->result = op->result;
		go_on(race);
		return;
	}
	link->fd = op->fd;
	link->peer = kolk__address_hash(&race->address[attempt->address]);
	kolk__connect_stop(link);
	if (race->flying == 0)
		kolk__connect_free(link);
	kolk__connected(link, 0);
}

static void submit(struct kolk__race *race, struct attempt *attempt, int fd)
{
	race->flying++;
	kolk__submit(race->link->tloop, &attempt->op, KOLK_OP_CONNECT, fd, NULL, 0, attempt_done,
		     race);
}

static void late(struct kolk__timeout *timeout)
{
	struct kolk__race *race = (struct kolk__race *)(void *)timeout;
	struct attempt *held = race->held;

	race->held = NULL;
	if (held != NULL)
		submit(race, held, held->op.fd);
	else
		go_on(race);
}

/* One more address. False: there is none, or none that has a socket. */
static bool try_next(struct kolk__race *race)
{
	struct kolk__link *link = race->link;
	struct kolk__transport *transport = link->tloop->transport;

	while (race->next < race->count) {
		struct kolk_address *address = &race->address[race->next];
		struct attempt *attempt = &race->attempt[race->next];
		int fd = kolk__origin_socket(link->origin, address->family);

		attempt->address = race->next++;
		if (fd < 0) {
			race->result = fd;
			continue;
		}
		attempt->op.address = address->bytes;
		attempt->op.address_size = address->size;
		submit(race, attempt, fd);
		if (race->next < race->count)
			kolk__timeout_start(link->tloop, &race->next_attempt,
					    kolk__link_now(transport) + ATTEMPT_DELAY_NS);
		return true;
	}
	return false;
}

static void go_on(struct kolk__race *race)
{
	if (try_next(race) || race->flying > 0)
		return;
	race->over = true;
	kolk__connected(race->link, race->result);
}

void kolk__connect(struct kolk__link *link, uint32_t count)
{
	struct kolk__race *race = link->race;

	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_CONNECTING);
	race->link = link;
	race->count = count;
	race->result = -ENODEV; /* no address at all: its interface is not there */
	race->next_attempt.fire = late;
	if (!try_next(race)) /* to be told in the next step */
		kolk__timeout_start(link->tloop, &race->next_attempt, 1);
}

void kolk__connect_stop(struct kolk__link *link)
{
	struct kolk__race *race = link->race;

	KOLK__HOME(link);
	if (race == NULL)
		return;
	race->over = true;
	kolk__timeout_stop(link->tloop, &race->next_attempt);
	for (uint32_t i = 0; i < race->next; i++)
		kolk__cancel(link->tloop, &race->attempt[i].op);
}
