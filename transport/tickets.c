/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tickets.c - sessions for resumption: kept with the key whose connections made them, only
 * after a verified handshake, few and not for long.
 *
 * Single flight: while the first full handshake of a key is under way, the key's other dials
 * wait for its session (a resumed handshake costs a fortieth), but not for long, and not for
 * a server that gives none.
 *
 * Rounds: to forget, and to dial another origin, begins a new round. A handshake belongs to the
 * round in which it began; what it leaves is kept only while that round lasts, so one that was
 * under way when secrets were replaced cannot put an outdated session back.
 *
 * A TLS 1.2 session may be used again and again; a TLS 1.3 ticket only once (RFC 8446,
 * appendix C.4), so it is taken out when it is offered.
 */
#include <string.h>

#include "core/base/atomic.h"
#include "transport/tls_state.h"

/* A TLS 1.3 ticket comes a round trip after the handshake, and is seen when somebody reads. */
#define TICKET_WAIT_NS (20 * KOLK_MS_NS)

static struct kolk__tickets *tickets_open(struct kolk__link *link)
{
	struct kolk__tickets *tickets = kolk__load_acquire(link->tickets);
	struct kolk__tickets *nobody = NULL;
	struct kolk__transport *transport = link->tloop->transport;

	if (tickets != NULL)
		return tickets;
	tickets = kolk__alloc(transport, sizeof *tickets);
	if (tickets == NULL)
		return NULL;
	pthread_mutex_init(&tickets->lock, NULL);
	if (kolk__cas_acq_rel(link->tickets, &nobody, tickets))
		return tickets;
	pthread_mutex_destroy(&tickets->lock);
	kolk__dealloc(transport, tickets, sizeof *tickets);
	return nobody;
}

static void slot_drop(struct kolk__tickets *tickets, uint32_t i)
{
	mbedtls_ssl_session_free(&tickets->slot[i].session);
	tickets->count--;
	memmove(&tickets->slot[i], &tickets->slot[i + 1],
		(tickets->count - i) * sizeof tickets->slot[0]);
}

/* ---- who goes first */

/* Any other refusal leaves the context as it was; half a copy would be half a ticket in the first
 * record, which the server refuses. */
static enum kolk_err offer(struct kolk__tickets *tickets, struct kolk__link *link)
{
	uint32_t last = tickets->count - 1;
	int result;

	errno = 0;
	result = mbedtls_ssl_set_session(&link->tls->ssl, &tickets->slot[last].session);
	link->tls->offered = result == 0;
	if (result != 0 && kolk__tls_is_memory(result))
		return KOLK_E_MEMORY;
	if (KOLK__TLS_VERSION_MAX > KOLK__TLS12)
		slot_drop(tickets, last);
	return KOLK_OK;
}

static void follow(struct kolk__tickets *tickets, struct kolk__link *link)
{
	if (tickets->followers == NULL)
		tickets->end = &tickets->followers;
	link->follower_next = NULL;
	*tickets->end = link;
	tickets->end = &link->follower_next;
	link->follows = true;
}

static void unfollow(struct kolk__tickets *tickets, struct kolk__link *link)
{
	struct kolk__link **place = &tickets->followers;

	while (*place != link)
		place = &(*place)->follower_next;
	*place = link->follower_next;
	if (*place == NULL)
		tickets->end = place;
	link->follows = false;
}

static void go_on(struct kolk__note *note)
{
	kolk__dial_follow(kolk__link_of_note(note));
}

/* All, when there is something for them or nothing to come; otherwise one, to lead. */
static void wake_followers(struct kolk__tickets *tickets)
{
	bool all = tickets->count > 0 || tickets->useless;
	struct kolk__link *link;

	while ((link = tickets->followers) != NULL) {
		unfollow(tickets, link);
		kolk__store_release(&link->note_out, 1);
		kolk__tloop_post(link->tloop, &link->note, go_on);
		if (!all)
			break;
	}
}

/* Nobody leads, or who does has shaken hands and still got no ticket: its owner may not read. */
static bool may_lead(const struct kolk__tickets *tickets, uint64_t now_ns)
{
	return tickets->leader == NULL ||
	       (tickets->shaken_ns != 0 && now_ns - tickets->shaken_ns > TICKET_WAIT_NS);
}

/* What was kept is not good any more, nor is what handshakes under way will leave: whoever
 * leads leads nobody now. */
static void round_begin(struct kolk__tickets *tickets)
{
	tickets->round++;
	while (tickets->count > 0)
		slot_drop(tickets, tickets->count - 1);
	tickets->leader = NULL;
	tickets->shaken_ns = 0;
	tickets->useless = false;
	wake_followers(tickets);
}

/* A pool that was given another origin: the first of its dials begins a round; what is
 * still dialled to the earlier one makes a session that nobody needs. */
static bool takes_part(struct kolk__tickets *tickets, struct kolk__link *link)
{
	bool part = link->origin->number >= tickets->origin;

	if (link->origin->number > tickets->origin) {
		tickets->origin = link->origin->number;
		round_begin(tickets);
	}
	link->session_round = part ? tickets->round : 0; /* no round is 0 */
	return part;
}

enum kolk_err kolk__tickets_begin(struct kolk__link *link)
{
	uint64_t now_ns = kolk__link_now(link->tloop->transport);
	struct kolk__tickets *tickets = link->origin->tls->resume ? tickets_open(link) : NULL;
	enum kolk_err err = KOLK_OK;

	if (tickets == NULL)
		return KOLK_OK;
	pthread_mutex_lock(&tickets->lock);
	while (tickets->count > 0 &&
	       now_ns - tickets->slot[0].stored_ns > KOLK__TICKET_AGE_MAX_NS)
		slot_drop(tickets, 0);
	if (!takes_part(tickets, link)) {
		/* alone, then */
	} else if (tickets->count > 0) {
		err = offer(tickets, link);
	} else if (!tickets->useless && may_lead(tickets, now_ns)) {
		tickets->leader = link;
		tickets->shaken_ns = 0;
	} else if (!tickets->useless) {
		follow(tickets, link);
		err = KOLK_PENDING;
	}
	pthread_mutex_unlock(&tickets->lock);
	return err;
}

static bool is_shaken(const struct kolk__link *link)
{
	return link->phase == KOLK__HANDSHAKING && link->tls->outcome == KOLK_OK;
}

void kolk__tickets_leave(struct kolk__link *link)
{
	struct kolk__tickets *tickets = kolk__load_acquire(link->tickets);

	if (tickets == NULL || link->tls == NULL)
		return;
	pthread_mutex_lock(&tickets->lock);
	if (link->follows)
		unfollow(tickets, link);
	if (tickets->leader == link && is_shaken(link) && KOLK__TLS_VERSION_MAX > KOLK__TLS12 &&
	    tickets->count == 0) {
		tickets->shaken_ns = kolk__link_now(link->tloop->transport);
	} else if (tickets->leader == link) {
		tickets->useless = is_shaken(link) && tickets->count == 0;
		tickets->leader = NULL;
		wake_followers(tickets);
	}
	pthread_mutex_unlock(&tickets->lock);
}

/* ---- what a handshake leaves */

void kolk__tickets_store(struct kolk__link *link)
{
	struct kolk__tls_config *config = link->origin->tls;
	struct kolk__tickets *tickets;
	mbedtls_ssl_session session;

	if (!config->resume || !config->verify ||
	    mbedtls_ssl_get_verify_result(&link->tls->ssl) != 0)
		return;
	tickets = kolk__load_acquire(link->tickets);
	if (tickets == NULL)
		return;
	mbedtls_ssl_session_init(&session);
	if (mbedtls_ssl_get_session(&link->tls->ssl, &session) != 0) {
		mbedtls_ssl_session_free(&session);
		return;
	}
	pthread_mutex_lock(&tickets->lock);
	if (link->session_round != tickets->round) {
		pthread_mutex_unlock(&tickets->lock);
		mbedtls_ssl_session_free(&session);
		return;
	}
	if (tickets->count == KOLK__TICKETS)
		slot_drop(tickets, 0);
	tickets->slot[tickets->count].session = session; /* moved: not freed here */
	tickets->slot[tickets->count++].stored_ns = kolk__link_now(link->tloop->transport);
	if (tickets->shaken_ns != 0) { /* TLS 1.3: it came after the handshake */
		tickets->leader = NULL;
		tickets->shaken_ns = 0;
	}
	if (tickets->leader == NULL)
		wake_followers(tickets);
	pthread_mutex_unlock(&tickets->lock);
}

void kolk__tickets_forget(struct kolk__transport *transport, kolk__tickets_place *place)
{
	struct kolk__tickets *tickets = kolk__load_acquire(place);

	(void)transport;
	if (tickets == NULL) /* then no handshake has begun that would leave anything */
		return;
	pthread_mutex_lock(&tickets->lock);
	round_begin(tickets);
	pthread_mutex_unlock(&tickets->lock);
}

void kolk__tickets_close(struct kolk__transport *transport, kolk__tickets_place *place)
{
	struct kolk__tickets *tickets = kolk__load_acquire(place);

	if (tickets == NULL)
		return;
	while (tickets->count > 0)
		slot_drop(tickets, tickets->count - 1);
	pthread_mutex_destroy(&tickets->lock);
	kolk__dealloc(transport, tickets, sizeof *tickets);
	kolk__store_release(place, NULL);
}
