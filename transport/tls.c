/* SPDX-License-Identifier: Apache-2.0 */
/* tls.c - one link's TLS: bytes in, bytes out, no socket. See tls.h. */
#include <string.h>

#include "core/base/atomic.h"
#include "transport/input.h"
#include "transport/tls_state.h"
#include "transport/upstream.h"

/* ---- the BIO functions of mbedTLS */

/* In the handshake: how many encrypted records, and an alert in plain text. */
static void note_sent(struct kolk__tls *tls, const unsigned char *bytes, size_t size)
{
	enum { HEADER = 5, ALERT = 2 };

	for (size_t at = 0; at + HEADER <= size;
	     at += HEADER + ((size_t)bytes[at + 3] << 8 | bytes[at + 4]))
		tls->encrypted_records += bytes[at] == MBEDTLS_SSL_MSG_APPLICATION_DATA;
	if (size == HEADER + ALERT && bytes[0] == MBEDTLS_SSL_MSG_ALERT)
		tls->alert_sent = bytes[HEADER + 1];
}

/* A peer of TLS 1.2 gets an alert for each renegotiation that it asks for, and need not read it.
 * More than two slices, which a send may have queued. */
enum { REPLY_AT_MOST = 64 * 1024 };

static int send_bytes(void *user, const unsigned char *bytes, size_t size)
{
	struct kolk__link *link = user;
	struct kolk__tls *tls = link->tls;

	if (tls->outcome == KOLK_PENDING)
		note_sent(tls, bytes, size);
	if (tls->reads && kolk__output_size(link) > REPLY_AT_MOST)
		return MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE;
	if (kolk__output_add(link, bytes, size) != KOLK_OK)
		return MBEDTLS_ERR_SSL_ALLOC_FAILED;
	return (int)size;
}

/* mbedTLS asks for one record at a time: if it holds no part of a record, it begins the next. */
static int recv_bytes(void *user, unsigned char *bytes, size_t size)
{
	struct kolk__link *link = user;
	size_t taken = kolk__input_take(link, bytes, size);

	if (taken > 0 && !kolk__tls_has_part(&link->tls->ssl))
		link->tls->early = false;
	if (taken > 0)
		return (int)taken;
	return link->ended ? 0 : MBEDTLS_ERR_SSL_WANT_READ;
}

/* ---- open and close */

static enum kolk_err make(struct kolk__link *link)
{
	struct kolk__tls *tls = kolk__alloc(link->loop->transport, sizeof *tls);

	if (tls == NULL)
		return KOLK_E_MEMORY;
	link->tls = tls;
	tls->outcome = KOLK_PENDING;
	mbedtls_ssl_init(&tls->ssl);
	mbedtls_ssl_set_bio(&tls->ssl, link, send_bytes, recv_bytes, NULL);
	errno = 0;
	return KOLK_OK;
}

static enum kolk_err made(int result)
{
	if (result == 0)
		return KOLK_OK;
	return kolk__tls_is_memory(result) ? KOLK_E_MEMORY : KOLK_E_TLS;
}

enum kolk_err kolk__tls_open(struct kolk__link *link)
{
	struct kolk__tls_config *config = link->upstream->tls;
	struct kolk__tls *tls;
	int result;

	if (make(link) != KOLK_OK)
		return KOLK_E_MEMORY;
	tls = link->tls;
	tls->sessions = link->progress->tls_sessions;
	tls->asked_record_max = config->asks_record_max && !kolk__load_relaxed(&config->long_records);
	result = mbedtls_ssl_setup(&tls->ssl, tls->asked_record_max ? &config->common.ssl :
								      &config->ssl_full_records);
	/* Our callback checks an address, and no SNI is sent for it; 3.6 requires this call. */
	if (result == 0)
		result = mbedtls_ssl_set_hostname(
			&tls->ssl,
			config->by_address || config->name[0] == 0 ? NULL : config->name);
	return made(result);
}

enum kolk_err kolk__tls_accept(struct kolk__link *link, struct kolk__tls_server *server)
{
	if (make(link) != KOLK_OK)
		return KOLK_E_MEMORY;
	link->tls->server = kolk__tls_server_ref(server);
	return made(mbedtls_ssl_setup(&link->tls->ssl, &server->common.ssl));
}

void kolk__tls_close(struct kolk__link *link)
{
	struct kolk__tls *tls = link->tls;

	if (tls == NULL)
		return;
	kolk__tls_sessions_end(link);
	link->tls = NULL;
	mbedtls_ssl_free(&tls->ssl);
	kolk__tls_server_forget(tls);
	mbedtls_platform_zeroize(tls, sizeof *tls);
	kolk__dealloc(link->loop->transport, tls, sizeof *tls);
}

/* ---- handshake */

static bool wants_more(int result)
{
	return result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE;
}

static enum kolk_err handshake_error(struct kolk__link *link, int result)
{
	if (kolk__tls_is_memory(result))
		return KOLK_E_MEMORY;
	if (kolk__tls_is_certificate(result) ||
	    (kolk__tls_is_flawed(result) && mbedtls_ssl_get_verify_result(&link->tls->ssl) != 0))
		return KOLK_E_TLS_VERIFY;
	if (result == MBEDTLS_ERR_SSL_CONN_EOF)
		return KOLK_E_CLOSED;
	return KOLK_E_TLS;
}

/* A server whose answer has more records than mbedTLS reassembles, or is wrong, is not asked for
 * short records again. */
static void handshake_failed(struct kolk__link *link, int result)
{
	struct kolk__tls *tls = link->tls;
	struct kolk__tls_config *config = link->upstream->tls;

	tls->outcome = handshake_error(link, result);
	if (tls->outcome != KOLK_E_TLS || !tls->asked_record_max)
		return;
	kolk__store_relaxed(&config->long_records, true);
	kolk__transport_log(link->loop->transport, KOLK_LOG_WARN,
			    "TLS to %s: a handshake failed that asked for record_max: the next "
			    "ones do not", config->name);
}

/* mbedTLS continues although an allocation failed: it waits for an answer to what it did not send,
 * or sends what the server refuses, for example a wrong Finished. */
static int handshake_step(struct kolk__tls *tls)
{
	int result = tls->server != NULL ? kolk__tls_server_handshake(tls) :
					   mbedtls_ssl_handshake(&tls->ssl);

	return errno == ENOMEM && (result == 0 || wants_more(result)) ?
		       MBEDTLS_ERR_SSL_ALLOC_FAILED : result;
}

/* WANT_READ is only final when all input was consumed. */
void kolk__tls_handshake(struct kolk__link *link)
{
	struct kolk__tls *tls = link->tls;
	int result;

	errno = 0;
	do {
		result = handshake_step(tls);
	} while (kolk__tls_is_ticket(result) ||
		 (wants_more(result) && kolk__input_size(link) != 0));
	tls->error = wants_more(result) ? 0 : result;
	tls->outcome = wants_more(result) ? KOLK_PENDING : KOLK_OK;
	if (tls->error != 0)
		handshake_failed(link, result);
	/* A server that asked for a certificate was sent one, or an empty message, before the last
	 * record. In TLS 1.3 it answers after that. */
	tls->confirmed = !kolk__tls_is_13(&tls->ssl) || tls->encrypted_records <= 1;
	if (result == 0 && tls->server == NULL && !kolk__tls_is_13(&tls->ssl))
		kolk__tls_sessions_store(link);
}

enum kolk_err kolk__tls_confirmation(struct kolk__link *link, int *tls_error)
{
	struct kolk__tls *tls = link->tls;
	enum kolk_err err = tls->confirmed ? KOLK_OK : kolk__tls_peek(link);

	*tls_error = tls->error;
	if (tls->confirmed || err == KOLK_OK) {
		tls->confirmed = true;
		return KOLK_OK;
	}
	return err == KOLK_PENDING && link->ended ? KOLK_E_CLOSED : err;
}

bool kolk__tls_is_confirmed(const struct kolk__link *link)
{
	return link->tls->confirmed;
}

void kolk__tls_confirm(struct kolk__link *link)
{
	link->tls->confirmed = true;
}

enum kolk_err kolk__tls_outcome(const struct kolk__link *link, int *tls_error)
{
	*tls_error = link->tls->error;
	return link->tls->outcome;
}

/* ---- data */

/* The stream ended without close_notify: it was truncated, or it failed. */
static enum kolk_err truncated_error(const struct kolk__link *link)
{
	return link->end_error == 0 ? KOLK_E_TLS_TRUNCATED : kolk__err_of(link->end_error);
}

static enum kolk_err read_error(struct kolk__link *link, int result)
{
	link->tls->error = result;
	if (result == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
		return KOLK_E_CLOSED;
	if (result == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE && link->tls->server == NULL)
		kolk__transport_log(link->loop->transport, KOLK_LOG_WARN, "TLS to %s: %s",
				    link->upstream->tls->name, kolk__tls_detail(link));
	if (result == MBEDTLS_ERR_SSL_CONN_EOF)
		return truncated_error(link);
	return kolk__tls_is_memory(result) ? KOLK_E_MEMORY : KOLK_E_TLS;
}

/* 0: a record without data, or recv_bytes has told the end; link.ended says which. */
static bool is_nothing(int result)
{
	return result == 0 || wants_more(result);
}

static enum kolk_err read_record(struct kolk__link *link, void *bytes, size_t capacity,
				 size_t *size)
{
	struct kolk__tls *tls = link->tls;
	int result;

	tls->reads = true;
	do {
		errno = 0;
		result = mbedtls_ssl_read(&tls->ssl, bytes, capacity);
		if (kolk__tls_is_ticket(result)) {
			tls->confirmed = true;
			kolk__tls_sessions_store(link);
		}
	} while (kolk__tls_is_ticket(result) ||
		 (is_nothing(result) && (kolk__input_size(link) != 0 ||
					 mbedtls_ssl_check_pending(&tls->ssl) != 0)));
	tls->reads = false;
	*size = result > 0 ? (size_t)result : 0;
	if (result > 0)
		return KOLK_OK;
	if (is_nothing(result))
		return link->ended ? truncated_error(link) : KOLK_PENDING;
	return read_error(link, result);
}

enum kolk_err kolk__tls_read(struct kolk__link *link, void *bytes, size_t capacity, size_t *size)
{
	struct kolk__tls *tls = link->tls;
	enum kolk_err err;

	if (tls->has_peeked) {
		*(uint8_t *)bytes = tls->peeked;
		tls->has_peeked = false;
		*size = 1;
		return KOLK_OK;
	}
	do {
		err = read_record(link, bytes, capacity, size);
		if (err != KOLK_OK || !tls->early)
			return err;
		err = kolk__link_unsolicited(link, bytes, *size);
	} while (err == KOLK_OK);
	*size = 0;
	return err;
}

enum kolk_err kolk__tls_write(struct kolk__link *link, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	errno = 0;
	while (size > 0) {
		int result = mbedtls_ssl_write(&link->tls->ssl, at, size);

		if (result <= 0) /* send_bytes never refuses: this context is dead */
			return kolk__tls_is_memory(result) ? KOLK_E_MEMORY : KOLK_E_TLS;
		at += result;
		size -= (size_t)result;
	}
	return KOLK_OK;
}

const char *kolk__tls_alpn(const struct kolk__link *link)
{
	return mbedtls_ssl_get_alpn_protocol(&link->tls->ssl);
}

void kolk__tls_notify(struct kolk__link *link)
{
	(void)mbedtls_ssl_close_notify(&link->tls->ssl); /* best effort */
}

enum kolk_err kolk__tls_peek(struct kolk__link *link)
{
	struct kolk__tls *tls = link->tls;
	enum kolk_err err = KOLK_PENDING;
	size_t size;

	tls->early = false; /* everything that is there is unsolicited */
	if (tls->has_peeked)
		return KOLK_OK;
	if (kolk__input_size(link) != 0 || mbedtls_ssl_check_pending(&tls->ssl) != 0)
		err = kolk__tls_read(link, &tls->peeked, 1, &size);
	tls->has_peeked = err == KOLK_OK;
	if (err == KOLK_PENDING && link->upstream->driver->heard == NULL &&
	    kolk__tls_has_part_of_data(&tls->ssl))
		return KOLK_OK;
	return err;
}

bool kolk__tls_has_peeked(const struct kolk__link *link)
{
	return link->tls != NULL && link->tls->has_peeked;
}

void kolk__tls_mark_early(struct kolk__link *link)
{
	link->tls->early = kolk__tls_has_part(&link->tls->ssl);
}
