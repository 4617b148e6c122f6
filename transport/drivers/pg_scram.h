/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_scram.h - the client's half of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel
 * binding: the peer's certificate cannot be had through the public interface.
 */
#ifndef KOLK_PG_SCRAM_H
#define KOLK_PG_SCRAM_H

#include <kolk/error.h>

enum { PG_NONCE_MAX = 48, PG_HASH = 32 };

struct pg_scram {
	char nonce[PG_NONCE_MAX + 1];
	uint8_t server_signature[PG_HASH]; /* what the server must prove */
	bool answered;                     /* the proof was made */
};

/* Begin with a nonce: printable, without comma (RFC 5802, section 5.1), <= PG_NONCE_MAX; NULL =
 * one of 18 random bytes. Errors: E_IO. */
enum kolk_err pg_scram_begin(struct pg_scram *scram, const char *nonce);
/* client-first-message of the user, into text; its size with the zero, or 0. PostgreSQL knows the
 * user from the start-up message and wants "" here. */
size_t pg_scram_first(const struct pg_scram *scram, const char *user, char *text,
		      size_t capacity);
/* server-first-message was received: client-final-message into text. Errors: E_PROTOCOL, E_LIMIT
 * (more rounds than rounds_max), E_AUTH (fewer than 4096, or a nonce that is not ours),
 * E_MEMORY. */
enum kolk_err pg_scram_final(struct pg_scram *scram, const char *user, const void *secret,
			     size_t secret_size, const char *server_first, uint32_t rounds_max,
			     char *text, size_t capacity);
/* server-final-message was received. KOLK_OK: the server knows the password. Errors: E_AUTH. */
enum kolk_err pg_scram_verify(const struct pg_scram *scram, const char *server_final);

#endif
