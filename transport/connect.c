/* SPDX-License-Identifier: Apache-2.0 */
/* connect.c - a race of addresses. See connect.h. */
#include "transport/connect.h"

#include <errno.h>
#include <sys/socket.h>

#include "transport/dial.h"
#include "transport/dns_cache.h"
#include "transport/input.h"
#include "transport/upstream.h"

#define ATTEMPT_DELAY_NS (250 * KOLK_MS_NS) /* RFC 8305, section 8 */
/* Pause between two attempts at a Unix listener whose queue is full: the kernel does not report
 * when it has space. */
#define FULL_MIN_NS KOLK_MS_NS
#define FULL_MAX_NS (50 * KOLK_MS_NS)

struct attempt {
	struct kolk_op op;
	uint32_t address;
};

struct kolk__race {
	struct kolk__timeout next_attempt; /* first */
	struct kolk__link *link;
	uint32_t count, next, in_flight;
	bool done;      /* an attempt succeeded, all failed, or the dial was cancelled */
	int32_t result; /* of the last that failed */
	struct attempt *retry; /* its listener's queue is full: to be tried again. NULL = none */
	uint64_t retry_ns;     /* the pause before that */
	struct attempt attempt[KOLK__ADDRESSES];
	struct kolk_address address[KOLK__ADDRESSES];
};

struct kolk_address *kolk__connect_addresses(struct kolk__link *link)
{
	struct kolk__race **race = &link->progress->race;

	if (*race == NULL)
		*race = kolk__alloc(link->loop->transport, sizeof **race);
	return *race != NULL ? (*race)->address : NULL;
}

void kolk__connect_free(struct kolk__link *link)
{
	const struct kolk_sys *sys = link->loop->transport->sys;
	struct kolk__race *race = link->progress->race;

	if (race == NULL)
		return;
	if (race->retry != NULL)
		sys->sock_close(sys->context, race->retry->op.fd);
	for (uint32_t i = 0; i < race->next; i++)
		if (race->attempt[i].op.in_flight) /* the ring is closed */
			sys->sock_close(sys->context, race->attempt[i].op.fd);
	kolk__timeout_stop(link->loop, &race->next_attempt);
	kolk__dealloc(link->loop->transport, race, sizeof *race);
	link->progress->race = NULL;
}

int32_t kolk__connect_result(const struct kolk__link *link)
{
	return link->progress->race->result;
}

bool kolk__connect_is_done(const struct kolk__link *link)
{
	const struct kolk__progress *progress = link->progress;

	return progress == NULL || progress->race == NULL || progress->race->in_flight == 0;
}

static void try_more(struct kolk__race *race);

/* The last attempt has ended: the link may be waiting for that. */
static void end_if_last(struct kolk__race *race)
{
	struct kolk__link *link = race->link;

	KOLK__HOME(link);
	if (race->in_flight > 0)
		return;
	kolk__connect_free(link);
	if (link->phase == KOLK__ENDING)
		kolk__dial_end_if_quiescent(link);
	else if (link->phase == KOLK__CLOSING_LINK)
		kolk__link_close_if_quiescent(link);
	else if (link->phase == KOLK__READY)
		kolk__progress_end(link);
}

/* Repeated until the connect timeout. */
static void retry_later(struct kolk__race *race, struct attempt *attempt)
{
	struct kolk__link *link = race->link;

	race->retry = attempt;
	race->retry_ns = race->retry_ns == 0 ? FULL_MIN_NS :
			race->retry_ns < FULL_MAX_NS / 2 ? race->retry_ns * 2 : FULL_MAX_NS;
	kolk__timeout_start(link->loop, &race->next_attempt,
			    kolk__link_now(link->loop->transport) + race->retry_ns);
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
	const struct kolk_sys *sys = link->loop->transport->sys;

	KOLK__HOME(link);
	race->in_flight--;
	if (!race->done && is_full(race, attempt)) {
		retry_later(race, attempt);
		return;
	}
	if (race->done || op->result < 0) {
		sys->sock_close(sys->context, op->fd);
		if (race->done) {
			end_if_last(race);
			return;
		}
		race->result = op->result;
		try_more(race);
		return;
	}
	link->fd = op->fd;
	link->address_hash = kolk__address_hash(&race->address[attempt->address]);
	kolk__connect_stop(link);
	if (race->in_flight == 0)
		kolk__connect_free(link);
	kolk__connected(link, 0);
}

static void submit(struct kolk__race *race, struct attempt *attempt, int fd)
{
	struct kolk_address *address = &race->address[attempt->address];

	race->in_flight++;
	kolk__op_transfer(&attempt->op, KOLK_OP_CONNECT, fd,
			  (struct kolk__space){ address->bytes, address->size });
	kolk__submit(race->link->loop, &attempt->op, attempt_done, race);
}

static void on_timer(struct kolk__timeout *timeout)
{
	struct kolk__race *race = (struct kolk__race *)(void *)timeout;
	struct attempt *retry = race->retry;

	race->retry = NULL;
	if (retry != NULL)
		submit(race, retry, retry->op.fd);
	else
		try_more(race);
}

/* One more address. False: there is none, or none that has a socket. */
static bool try_next(struct kolk__race *race)
{
	struct kolk__link *link = race->link;
	struct kolk__transport *transport = link->loop->transport;

	while (race->next < race->count) {
		struct kolk_address *address = &race->address[race->next];
		struct attempt *attempt = &race->attempt[race->next];
		int fd = kolk__upstream_socket(link->upstream, address->family);

		attempt->address = race->next++;
		if (fd < 0) {
			race->result = fd;
			continue;
		}
		submit(race, attempt, fd);
		if (race->next < race->count)
			kolk__timeout_start(link->loop, &race->next_attempt,
					    kolk__link_now(transport) + ATTEMPT_DELAY_NS);
		return true;
	}
	return false;
}

static void try_more(struct kolk__race *race)
{
	if (try_next(race) || race->in_flight > 0)
		return;
	race->done = true;
	kolk__timeout_stop(race->link->loop, &race->next_attempt);
	kolk__connected(race->link, race->result);
}

void kolk__connect(struct kolk__link *link, uint32_t count)
{
	struct kolk__race *race = link->progress->race;

	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_CONNECTING);
	race->link = link;
	race->count = count;
	race->next = 0;
	race->done = false;
	race->result = -ENODEV; /* no address at all: its interface is not there */
	race->next_attempt.fire = on_timer;
	if (!try_next(race)) /* report that in the next step */
		kolk__timeout_start(link->loop, &race->next_attempt, 1);
}

void kolk__connect_stop(struct kolk__link *link)
{
	struct kolk__race *race = link->progress->race;

	KOLK__HOME(link);
	if (race == NULL)
		return;
	race->done = true;
	kolk__timeout_stop(link->loop, &race->next_attempt);
	for (uint32_t i = 0; i < race->next; i++)
		kolk__cancel(link->loop, &race->attempt[i].op);
}
