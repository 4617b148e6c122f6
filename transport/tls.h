/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h - mbedTLS pumped over memory: it never sees a socket, never blocks, never refuses.
 *
 * Input: received bytes are put into link->in (input.h), mbedTLS takes them. Output: mbedTLS
 * appends to link->pending, whoever drives the link sends it. f_send never refuses, because
 * mbedtls_ssl_write after a refusal loses data when it is called with other bytes.
 */
#ifndef KOLK_TLS_H
#define KOLK_TLS_H

#include "transport/link.h"

enum { KOLK__TLS_SLICE = 16 * 1024 - 256 };

/* Reads files and checks options; failure is filled on error. name = host of the address. */
enum kolk_err kolk__tls_config_open(struct kolk__transport *transport,
				    const struct kolk_tls_options *options, const char *name,
				    struct kolk_failure *failure,
				    struct kolk__tls_config **config);
void kolk__tls_config_close(struct kolk__transport *transport, struct kolk__tls_config *config);
/* SNI and the name to verify, normalised; "" = none. */
const char *kolk__tls_config_name(const struct kolk__tls_config *config);
/* SHA-256 over the content of every file that was read. */
const uint8_t *kolk__tls_config_digest(const struct kolk__tls_config *config);

/* A client context for this link. */
enum kolk_err kolk__tls_open(struct kolk__link *link);
void kolk__tls_close(struct kolk__link *link);
/* May its handshake begin now? KOLK_PENDING: another one of the key is under way whose session will
 * save this one's work; kolk__dial_resume(link) will run at home. Or E_MEMORY. [home] */
enum kolk_err kolk__tls_sessions_begin(struct kolk__link *link);
/* It is over, one way or the other, or it no longer waits: others go on. [home] */
void kolk__tls_sessions_end(struct kolk__link *link);
/* As far as the input goes, on any one thread; then what came of it: KOLK_OK = done;
 * KOLK_PENDING = send what is pending, then feed more; else failed. */
void kolk__tls_handshake(struct kolk__link *link);
enum kolk_err kolk__tls_outcome(const struct kolk__link *link, int *tls_error);
/* After it: does the server take our certificate (TLS 1.3)? KOLK_OK = it seems so, or it asked for
 * none; KOLK_PENDING = it has not said yet: feed more, or accept after a while; else it refused. */
enum kolk_err kolk__tls_confirmation(struct kolk__link *link, int *tls_error);
void kolk__tls_confirm(struct kolk__link *link);
bool kolk__tls_is_confirmed(const struct kolk__link *link); /* nothing is waited for */
/* A byte was taken out already: it will come with no more input. */
bool kolk__tls_has_peeked(const struct kolk__link *link);
/* What exactly was wrong, if that is known: static, or NULL. */
const char *kolk__tls_detail(const struct kolk__link *link);
/* Take plain bytes: KOLK_OK with *size > 0; KOLK_PENDING = needs more input; E_CLOSED =
 * close_notify, or data that nobody asked for; E_TLS_TRUNCATED; E_TLS; E_MEMORY. */
enum kolk_err kolk__tls_read(struct kolk__link *link, void *bytes, size_t capacity, size_t *size);
/* Encrypt all into link->pending. */
enum kolk_err kolk__tls_write(struct kolk__link *link, const void *bytes, size_t size);
/* What ALPN agreed on; NULL = nothing. */
const char *kolk__tls_alpn(const struct kolk__link *link);
void kolk__tls_notify(struct kolk__link *link); /* close_notify into pending */
/* What was received and is not read yet. Records that carry no data (tickets, warnings) are taken
 * in: KOLK_PENDING = nothing else is there, but for part of a record whose kind cannot be known
 * yet. KOLK_OK = data; or an error, as kolk__tls_read. */
enum kolk_err kolk__tls_peek(struct kolk__link *link);
/* Bytes are about to be sent: a record that is there in part was no answer to them. Data in it
 * goes to kolk__link_unsolicited. */
void kolk__tls_mark_early(struct kolk__link *link);

#endif
