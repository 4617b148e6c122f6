/* SPDX-License-Identifier: Apache-2.0 */
/* tls_state.h - the structs behind tls.h; the only header that uses mbedTLS' types. */
#ifndef KOLK_TLS_STATE_H
#define KOLK_TLS_STATE_H

#include <errno.h>
#include <pthread.h>

#include "core/base/atomic.h"
#include "transport/tls.h"
#include "transport/tls_compat.h"

enum { KOLK__ALPN_MAX = 8, KOLK__TLS_SESSIONS_MAX = 4, KOLK__PINS_MAX = 8, KOLK__PIN = 32 };
#define KOLK__TLS_SESSION_AGE_MAX_NS (12 * 3600 * KOLK_S_NS)

/* One per pool: immutable after open, but for long_records; shared by its links on all loops. The
 * DRBG has a lock of its own (mbedTLS is built with threads on every platform of ours). */
struct kolk__tls_config {
	mbedtls_ssl_config ssl;
	mbedtls_ssl_config ssl_full_records; /* ssl without record_max; not freed */
	bool asks_record_max;       /* ssl does */
	/* W, R: workers, home loops (relaxed: a hint): a handshake with record_max failed, so
	 * ssl_full_records is used. */
	kolk__atomic_bool long_records;
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context drbg;
	mbedtls_x509_crt anchors, certificate;
	mbedtls_x509_crl revoked;
	mbedtls_pk_context key;
	uint8_t pin[KOLK__PINS_MAX][KOLK__PIN]; /* SHA-256 of a SubjectPublicKeyInfo */
	uint32_t pin_count;    /* 0 = any */
	const char *name;      /* SNI and what the certificate must contain */
	const char *alpn[KOLK__ALPN_MAX + 1];
	bool by_address;       /* name is an IP literal */
	bool resume, verify;
	uint8_t digest[32];    /* of the files' content, as it was parsed */
	char text[1024];       /* name and ALPN, copied */
	size_t text_used;
};

/* One per link. */
struct kolk__tls {
	mbedtls_ssl_context ssl;
	enum kolk_err outcome; /* of the handshake so far */
	int error;     /* mbedTLS' */
	bool offered;  /* a stored session was offered */
	bool asked_record_max; /* for short records */
	uint32_t encrypted_records; /* encrypted records that were sent in the handshake */
	bool confirmed; /* nothing is awaited that the server may think of our certificate */
	bool has_peeked;
	uint8_t peeked; /* a byte that kolk__tls_peek read */
	bool early;     /* the next record had begun before the lease sent anything */
	bool awaits_session;             /* under tls_sessions.lock, as waiting_next */
	struct kolk__link *waiting_next;
	uint64_t session_epoch;          /* tls_sessions.epoch when the handshake began */
	kolk__tls_sessions_ptr *sessions; /* its key's */
};

/* Sessions of one key, newest last; offered newest first. */
struct kolk__tls_sessions {
	pthread_mutex_t lock;
	uint32_t count;
	struct kolk__link *leader; /* the full handshake under way, or NULL */
	uint64_t handshake_done_ns; /* of the leader, without a ticket so far; 0 = not so */
	struct kolk__link *waiting, **end; /* wait for its session, oldest first */
	bool none_given;              /* the server issues none */
	uint64_t epoch;            /* sessions of handshakes of earlier epochs are not kept */
	uint64_t upstream;           /* its number: the newest that dialled */
	struct {
		mbedtls_ssl_session session;
		uint64_t stored_ns;
	} entry[KOLK__TLS_SESSIONS_MAX];
};

/* What failed was memory. mbedTLS loses that on its way up ("not verified", "not parsed", one
 * certificate less), errno keeps it, since calloc(3) sets it: set it to 0 before the call. */
static inline bool kolk__tls_is_memory(int result)
{
	return errno == ENOMEM || result == MBEDTLS_ERR_SSL_ALLOC_FAILED ||
	       result == MBEDTLS_ERR_X509_ALLOC_FAILED || result == MBEDTLS_ERR_PK_ALLOC_FAILED;
}

/* tls_verify.c: the callback of mbedTLS, and its flags in addition to mbedTLS' own. */
enum {
	KOLK__FLAW_PIN = 1 << 28,
	KOLK__FLAW_CONSTRAINTS = 1 << 29,
	KOLK__FLAW_AUTHORITY_USAGE = 1 << 30
};
int kolk__tls_verify(void *user, mbedtls_x509_crt *certificate, int depth, uint32_t *flags);
bool kolk__tls_is_address(const char *name);

/* tls_detail.c: the error is of a certificate that cannot be parsed. */
bool kolk__tls_is_certificate(int error);

/* tls_profile.c: the suites and groups of a profile (enum kolk_tls_profile). */
void kolk__tls_offer(mbedtls_ssl_config *config, uint32_t profile);

/* tls_files.c: reads, digests and parses the files of the options. */
enum kolk_err kolk__tls_load(struct kolk__tls_config *config, const struct kolk_tls_options *o,
			     struct kolk_failure *failure);

/* tls_sessions.c */
void kolk__tls_sessions_store(struct kolk__link *link);

#endif
