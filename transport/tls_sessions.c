/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_sessions.c - TLS sessions for resumption: kept with the key whose connections made them, only
 * after a verified handshake, few and not for long.
 *
 * Single flight: while the first full handshake of a key is in flight, the key's other dials wait
 * for its session (a resumed handshake costs a fortieth), but not for long, and not for a server
 * that issues none. The dial that makes this handshake is the leader.
 *
 * Epochs: kolk__tls_sessions_forget, and a dial to another upstream, begin a new epoch. A handshake
 * belongs to the epoch in which it began. Its session is kept only while that epoch lasts, so a
 * handshake that was in flight when secrets were replaced cannot store a stale session.
 *
 * A TLS 1.2 session may be used repeatedly; a TLS 1.3 ticket only once (RFC 8446, appendix C.4), so
 * it is removed when it is offered.
 */
#include <string.h>

#include "core/base/atomic.h"
#include "transport/dial.h"
#include "transport/tls_state.h"
#include "transport/upstream.h"

/* A TLS 1.3 ticket comes a round trip after the handshake, and is noticed at the next read. */
#define TICKET_WAIT_NS (20 * KOLK_MS_NS)

static struct kolk__tls_sessions *tls_sessions_open(struct kolk__link *link)
{
	struct kolk__tls_sessions *sessions = kolk__load_acquire(link->tls->sessions);
	struct kolk__tls_sessions *none = NULL;
	struct kolk__transport *transport = link->loop->transport;

	if (sessions != NULL)
		return sessions;
	sessions = kolk__alloc(transport, sizeof *sessions);
	if (sessions == NULL)
		return NULL;
	pthread_mutex_init(&sessions->lock, NULL);
	if (kolk__cas_acq_rel(link->tls->sessions, &none, sessions))
		return sessions;
	pthread_mutex_destroy(&sessions->lock);
	kolk__dealloc(transport, sessions, sizeof *sessions);
	return none;
}

static void entry_drop(struct kolk__tls_sessions *sessions, uint32_t i)
{
	mbedtls_ssl_session_free(&sessions->entry[i].session);
	sessions->count--;
	memmove(&sessions->entry[i], &sessions->entry[i + 1],
		(sessions->count - i) * sizeof sessions->entry[0]);
}

/* ---- the leader, and the dials that wait */

/* Any other error leaves the context as it was; half a copy would be half a ticket in the first
 * record, which the server refuses. */
static enum kolk_err offer(struct kolk__tls_sessions *sessions, struct kolk__link *link)
{
	uint32_t last = sessions->count - 1;
	int result;

	errno = 0;
	result = mbedtls_ssl_set_session(&link->tls->ssl, &sessions->entry[last].session);
	link->tls->offered = result == 0;
	if (result != 0 && kolk__tls_is_memory(result))
		return KOLK_E_MEMORY;
	if (kolk__tls_session_is_13(&sessions->entry[last].session))
		entry_drop(sessions, last);
	return KOLK_OK;
}

static void wait_for_session(struct kolk__tls_sessions *sessions, struct kolk__link *link)
{
	if (sessions->waiting == NULL)
		sessions->end = &sessions->waiting;
	link->tls->waiting_next = NULL;
	*sessions->end = link;
	sessions->end = &link->tls->waiting_next;
	link->tls->awaits_session = true;
}

static void stop_waiting(struct kolk__tls_sessions *sessions, struct kolk__link *link)
{
	struct kolk__link **place = &sessions->waiting;

	while (*place != link)
		place = &(*place)->tls->waiting_next;
	*place = link->tls->waiting_next;
	if (*place == NULL)
		sessions->end = place;
	link->tls->awaits_session = false;
}

static void resume_dial(struct kolk__task *task)
{
	kolk__dial_resume(kolk__link_of_task(task));
}

/* Wake all, if there is a session for them or none will come; otherwise one, as the next leader. */
static void wake_waiting(struct kolk__tls_sessions *sessions)
{
	bool all = sessions->count > 0 || sessions->none_given;
	struct kolk__link *link;

	while ((link = sessions->waiting) != NULL) {
		stop_waiting(sessions, link);
		kolk__store_release(&link->task_posted, 1);
		kolk__io_loop_post(link->loop, &link->task, resume_dial);
		if (!all)
			break;
	}
}

/* There is no leader, or its handshake ended without a ticket so far: its owner may not read. */
static bool may_lead(const struct kolk__tls_sessions *sessions, uint64_t now_ns)
{
	return sessions->leader == NULL ||
	       (sessions->handshake_done_ns != 0 &&
		now_ns - sessions->handshake_done_ns > TICKET_WAIT_NS);
}

/* Sessions that were kept are not valid any more, nor are those of handshakes in flight: their
 * leader has no waiting dials now. */
static void epoch_begin(struct kolk__tls_sessions *sessions)
{
	sessions->epoch++;
	while (sessions->count > 0)
		entry_drop(sessions, sessions->count - 1);
	sessions->leader = NULL;
	sessions->handshake_done_ns = 0;
	sessions->none_given = false;
	wake_waiting(sessions);
}

/* The pool was given another upstream: its first dial begins an epoch. Dials to the earlier
 * upstream make sessions that are not kept. */
static bool joins_epoch(struct kolk__tls_sessions *sessions, struct kolk__link *link)
{
	bool part = link->upstream->number >= sessions->upstream;

	if (link->upstream->number > sessions->upstream) {
		sessions->upstream = link->upstream->number;
		epoch_begin(sessions);
	}
	link->tls->session_epoch = part ? sessions->epoch : 0; /* no epoch is 0 */
	return part;
}

enum kolk_err kolk__tls_sessions_begin(struct kolk__link *link)
{
	uint64_t now_ns = kolk__link_now(link->loop->transport);
	struct kolk__tls_sessions *sessions =
		link->upstream->tls->resume ? tls_sessions_open(link) : NULL;
	enum kolk_err err = KOLK_OK;

	if (sessions == NULL)
		return KOLK_OK;
	pthread_mutex_lock(&sessions->lock);
	while (sessions->count > 0 &&
	       now_ns - sessions->entry[0].stored_ns > KOLK__TLS_SESSION_AGE_MAX_NS)
		entry_drop(sessions, 0);
	if (!joins_epoch(sessions, link)) {
		/* alone, then */
	} else if (sessions->count > 0) {
		err = offer(sessions, link);
	} else if (!sessions->none_given && may_lead(sessions, now_ns)) {
		sessions->leader = link;
		sessions->handshake_done_ns = 0;
	} else if (!sessions->none_given) {
		wait_for_session(sessions, link);
		err = KOLK_PENDING;
	}
	pthread_mutex_unlock(&sessions->lock);
	return err;
}

static bool is_handshake_done(const struct kolk__link *link)
{
	return link->phase == KOLK__HANDSHAKING && link->tls->outcome == KOLK_OK;
}

void kolk__tls_sessions_end(struct kolk__link *link)
{
	struct kolk__tls_sessions *sessions =
		link->tls != NULL && link->tls->sessions != NULL ?
			kolk__load_acquire(link->tls->sessions) : NULL;

	if (sessions == NULL)
		return;
	pthread_mutex_lock(&sessions->lock);
	if (link->tls->awaits_session)
		stop_waiting(sessions, link);
	if (sessions->leader == link && is_handshake_done(link) &&
	    kolk__tls_is_13(&link->tls->ssl) && sessions->count == 0) {
		sessions->handshake_done_ns = kolk__link_now(link->loop->transport);
	} else if (sessions->leader == link) {
		sessions->none_given = is_handshake_done(link) && sessions->count == 0;
		sessions->leader = NULL;
		wake_waiting(sessions);
	}
	pthread_mutex_unlock(&sessions->lock);
}

/* ---- what a handshake leaves */

void kolk__tls_sessions_store(struct kolk__link *link)
{
	struct kolk__tls_config *config = link->upstream->tls;
	struct kolk__tls_sessions *sessions;
	mbedtls_ssl_session session;

	if (!config->resume || !config->verify ||
	    mbedtls_ssl_get_verify_result(&link->tls->ssl) != 0)
		return;
	sessions = kolk__load_acquire(link->tls->sessions);
	if (sessions == NULL)
		return;
	mbedtls_ssl_session_init(&session);
	if (mbedtls_ssl_get_session(&link->tls->ssl, &session) != 0) {
		mbedtls_ssl_session_free(&session);
		return;
	}
	pthread_mutex_lock(&sessions->lock);
	if (link->tls->session_epoch != sessions->epoch) {
		pthread_mutex_unlock(&sessions->lock);
		mbedtls_ssl_session_free(&session);
		return;
	}
	if (sessions->count == KOLK__TLS_SESSIONS_MAX)
		entry_drop(sessions, 0);
	sessions->entry[sessions->count].session = session; /* moved: not freed here */
	sessions->entry[sessions->count++].stored_ns = kolk__link_now(link->loop->transport);
	if (sessions->handshake_done_ns != 0) { /* TLS 1.3: the ticket came after the handshake */
		sessions->leader = NULL;
		sessions->handshake_done_ns = 0;
	}
	if (sessions->leader == NULL)
		wake_waiting(sessions);
	pthread_mutex_unlock(&sessions->lock);
}

void kolk__tls_sessions_forget(struct kolk__transport *transport, kolk__tls_sessions_ptr *place)
{
	struct kolk__tls_sessions *sessions = kolk__load_acquire(place);

	(void)transport;
	if (sessions == NULL) /* then no handshake has begun that would leave anything */
		return;
	pthread_mutex_lock(&sessions->lock);
	epoch_begin(sessions);
	pthread_mutex_unlock(&sessions->lock);
}

void kolk__tls_sessions_close(struct kolk__transport *transport, kolk__tls_sessions_ptr *place)
{
	struct kolk__tls_sessions *sessions = kolk__load_acquire(place);

	if (sessions == NULL)
		return;
	while (sessions->count > 0)
		entry_drop(sessions, sessions->count - 1);
	pthread_mutex_destroy(&sessions->lock);
	kolk__dealloc(transport, sessions, sizeof *sessions);
	kolk__store_release(place, NULL);
}
