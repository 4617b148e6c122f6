/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_scram.h - the client's half of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel
 * binding: the peer's certificate cannot be had through the public interface.
 */
#ifndef KOLK_PG_SCRAM_H
#define KOLK_PG_SCRAM_H

#include <kolk/driver.h>

/* PG_SCRAM_TEXT_MAX: of a message, with its zero. */
enum { PG_NONCE_MAX = 48, PG_HASH = 32, PG_SCRAM_TEXT_MAX = 1024 };

struct pg_scram {
	const char *user;    /* borrowed; "" for PostgreSQL, which knows the user from the
	                      * start-up message */
	uint32_t rounds_max; /* that the server may ask for */
	char nonce[PG_NONCE_MAX + 1];
	uint8_t server_signature[PG_HASH]; /* what the server must prove */
	bool answered;       /* the proof was made */
};

/* Begin with a nonce: printable, without comma (RFC 5802, section 5.1), <= PG_NONCE_MAX; NULL =
 * one of 18 random bytes. Errors: E_IO. */
enum kolk_err pg_scram_begin(struct pg_scram *scram, const char *user, uint32_t rounds_max,
			     const char *nonce);
/* client-first-message, into text; its size with the zero, or 0. */
size_t pg_scram_first(const struct pg_scram *scram, char *text, size_t capacity);
/* server-first-message was received: client-final-message, by the secret of the credentials, into
 * text. Errors: E_PROTOCOL, E_LIMIT (more rounds than rounds_max), E_AUTH (fewer than 4096, or a
 * nonce that is not ours), E_MEMORY. */
enum kolk_err pg_scram_final(struct pg_scram *scram, const char *server_first,
			     const struct kolk_credentials *credentials,
			     char text[PG_SCRAM_TEXT_MAX]);
/* server-final-message was received. KOLK_OK: the server knows the password. Errors: E_AUTH. */
enum kolk_err pg_scram_verify(const struct pg_scram *scram, const char *server_final);

#endif
