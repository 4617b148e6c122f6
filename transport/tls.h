/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h - mbedTLS over memory: it has no socket, does not block, and its output is never refused.
 *
 * Input: received bytes are put into link->in (input.h), mbedTLS reads them. Output: mbedTLS
 * appends to link->output, and the user of the link sends it. f_send never refuses, because
 * mbedtls_ssl_write after a refusal loses data when it is called with other bytes.
 */
#ifndef KOLK_TLS_H
#define KOLK_TLS_H

#include "transport/link.h"

struct kolk_listener_tls;
struct kolk_stream_peer;
struct kolk__tls_config;
struct kolk__tls_server;

enum { KOLK__TLS_SLICE = 16 * 1024 - 256 };

/* Makes upstream.tls, whose address is known: reads files and checks options; failure is filled on
 * error. */
enum kolk_err kolk__tls_config_open(struct kolk__upstream *upstream,
				    const struct kolk_tls_options *options,
				    struct kolk_failure *failure);
void kolk__tls_config_close(struct kolk__transport *transport, struct kolk__tls_config *config);
/* SNI and the name to verify, normalised; "" = none. */
const char *kolk__tls_config_name(const struct kolk__tls_config *config);
/* SHA-256 over the content of every file that was read. */
const uint8_t *kolk__tls_config_digest(const struct kolk__tls_config *config);

/* The same for a listener: E_OPTIONS, E_TLS, E_MEMORY. One reference is the caller's; unref NULL =
 * nothing. [any] */
enum kolk_err kolk__tls_server_open(struct kolk__transport *transport,
				    const struct kolk_listener_tls *options,
				    struct kolk_failure *failure,
				    struct kolk__tls_server **server);
struct kolk__tls_server *kolk__tls_server_ref(struct kolk__tls_server *server);
void kolk__tls_server_unref(struct kolk__tls_server *server);

/* A client context for this link; a server context, which has a reference to server. */
enum kolk_err kolk__tls_open(struct kolk__link *link);
enum kolk_err kolk__tls_accept(struct kolk__link *link, struct kolk__tls_server *server);
void kolk__tls_close(struct kolk__link *link);
/* May its handshake begin now? KOLK_PENDING: another handshake of the key is in flight, and its
 * session will make this one cheap; kolk__dial_resume(link) will run at home. Or E_MEMORY.
 * [home] */
enum kolk_err kolk__tls_sessions_begin(struct kolk__link *link);
/* Its handshake ended, or it does not wait any longer: waiting dials continue. [home] */
void kolk__tls_sessions_end(struct kolk__link *link);
/* Handshake as far as the input allows, on any one thread; then the result: KOLK_OK = done;
 * KOLK_PENDING = send what is pending, then add input; otherwise it failed. */
void kolk__tls_handshake(struct kolk__link *link);
enum kolk_err kolk__tls_outcome(const struct kolk__link *link, int *tls_error);
/* After the handshake: does the server accept our certificate (TLS 1.3)? KOLK_OK = probably, or it
 * wanted none; KOLK_PENDING = unknown: add input, or call kolk__tls_confirm after a while;
 * otherwise it refused. */
enum kolk_err kolk__tls_confirmation(struct kolk__link *link, int *tls_error);
void kolk__tls_confirm(struct kolk__link *link);
bool kolk__tls_is_confirmed(const struct kolk__link *link); /* nothing is waited for */
/* A byte was decrypted already: it is there without more input. */
bool kolk__tls_has_peeked(const struct kolk__link *link);
/* What exactly was wrong, if that is known: static, or NULL. */
const char *kolk__tls_detail(const struct kolk__link *link);
/* Read plain bytes: KOLK_OK with *size > 0; KOLK_PENDING = needs more input; E_CLOSED =
 * close_notify, or unsolicited data; E_TLS_TRUNCATED; E_TLS; E_MEMORY. */
enum kolk_err kolk__tls_read(struct kolk__link *link, void *bytes, size_t capacity, size_t *size);
/* Encrypt all into link->output. */
enum kolk_err kolk__tls_write(struct kolk__link *link, const void *bytes, size_t size);
/* What ALPN agreed on; NULL = nothing. */
const char *kolk__tls_alpn(const struct kolk__link *link);
/* Fill in what TLS knows of the client, after the handshake. */
void kolk__tls_peer(const struct kolk__link *link, struct kolk_stream_peer *peer);
void kolk__tls_notify(struct kolk__link *link); /* queues close_notify */
/* Check what was received and not read yet. Records without data (tickets, warnings) are processed:
 * KOLK_PENDING = nothing else is there, except perhaps a part of a record of unknown type. KOLK_OK
 * = data; or an error, as kolk__tls_read. */
enum kolk_err kolk__tls_peek(struct kolk__link *link);
/* Call it before bytes are sent: a record that is partly there is no answer to them. Data in it
 * goes to kolk__link_unsolicited. */
void kolk__tls_mark_early(struct kolk__link *link);

#endif
