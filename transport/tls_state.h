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

/* A certificate that we show, with its chain, and its key. */
struct kolk__tls_own {
	mbedtls_x509_crt certificate;
	mbedtls_pk_context key;
};

/* What clients and servers have in common. Immutable once it is open. The DRBG has a lock of its
 * own (mbedTLS is built with threads on every platform of ours). */
struct kolk__tls_common {
	mbedtls_ssl_config ssl;
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context drbg;
	mbedtls_x509_crt anchors;
	mbedtls_x509_crl revoked;
	const char *alpn[KOLK__ALPN_MAX + 1];
	char text[1024];            /* names, copied */
	size_t text_used;
};

/* One per pool: immutable after open, but for long_records; shared by its links on all loops. */
struct kolk__tls_config {
	struct kolk__tls_common common;
	mbedtls_ssl_config ssl_full_records; /* common.ssl without record_max; not freed */
	bool asks_record_max;       /* common.ssl does */
	/* W, R: workers, home loops (relaxed: a hint): a handshake with record_max failed, so
	 * ssl_full_records is used. */
	kolk__atomic_bool long_records;
	struct kolk__tls_own own;
	uint8_t pin[KOLK__PINS_MAX][KOLK__PIN]; /* SHA-256 of a SubjectPublicKeyInfo */
	uint32_t pin_count;    /* 0 = any */
	const char *name;      /* SNI and what the certificate must contain */
	bool by_address;       /* name is an IP literal */
	bool resume, verify;
	uint8_t digest[32];    /* of the files' content, as it was parsed */
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
	bool reads;     /* inside mbedtls_ssl_read */
	uint8_t alert_sent; /* in plain text, in the handshake; 0 = none */
	bool awaits_session;             /* under tls_sessions.lock, as waiting_next */
	struct kolk__link *waiting_next;
	uint64_t session_epoch;          /* tls_sessions.epoch when the handshake began */
	kolk__tls_sessions_ptr *sessions; /* its key's; NULL = a stream */
	struct kolk__tls_server *server; /* has a reference; NULL = a dial */
	char *server_name;               /* that the client asked for; NULL = none */
};

/* One of the two keys of a listener's tickets. */
struct kolk__ticket_key {
	uint8_t name[8], key[32];
	uint64_t made_ns;
};

/* How a listener speaks TLS. Immutable once it is open, but for refs, the DRBG, and the keys of
 * tickets, which have a lock. */
struct kolk__tls_server {
	struct kolk__tls_common common;
	struct kolk__transport *transport;
	kolk__atomic_u32 refs;  /* W: its listener, its streams; relaxed up, acq_rel down */
	uint32_t client_auth;   /* enum kolk_client_auth */
	uint32_t own_count;
	struct kolk__tls_own *own; /* own_count; the first serves what no other does */
	pthread_mutex_t tickets_lock;
	uint64_t ticket_lifetime_ns;
	struct kolk__ticket_key ticket_key[2]; /* under tickets_lock; newest first, name 0 = none */
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

/* tls_verify.c: the callbacks of mbedTLS for the certificates of servers (user: our configuration)
 * and of clients (user: nothing), and their flags in addition to mbedTLS' own. */
enum {
	KOLK__FLAW_PIN = 1 << 28,
	KOLK__FLAW_CONSTRAINTS = 1 << 29,
	KOLK__FLAW_AUTHORITY_USAGE = 1 << 30
};
int kolk__tls_verify(void *user, mbedtls_x509_crt *certificate, int depth, uint32_t *flags);
int kolk__tls_verify_client(void *user, mbedtls_x509_crt *certificate, int depth, uint32_t *flags);
bool kolk__tls_is_address(const char *name);

/* tls_detail.c: the error is of a certificate that cannot be parsed. */
bool kolk__tls_is_certificate(int error);

/* tls_profile.c: the suites and groups of a profile (enum kolk_tls_profile); of a server, too,
 * whose configuration this is. */
void kolk__tls_offer(mbedtls_ssl_config *config, uint32_t profile, bool server);

/* tls_files.c: reads, digests and parses files. */
struct kolk__tls_files {
	const char *ca_file, *ca_directory; /* both NULL = the system's anchors, if trusts */
	const char *crl_file;               /* NULL = none */
	bool trusts;
	const char *certificate_file, *key_file; /* NULL = none */
	struct kolk__tls_own *own;          /* what these two become */
	uint8_t digest[32];                 /* of what was read */
};
enum kolk_err kolk__tls_load(struct kolk__tls_common *common, struct kolk__tls_files *files,
			     struct kolk_failure *failure);

/* tls_common.c: in this order, then free. After init it may be freed at any time. */
void kolk__tls_common_init(struct kolk__tls_common *common);
enum kolk_err kolk__tls_common_seed(struct kolk__tls_common *common, bool server,
				    struct kolk_failure *failure);
enum kolk_err kolk__tls_common_alpn(struct kolk__tls_common *common, const char *const *alpn,
				    struct kolk_failure *failure);
/* Random numbers, versions, suites; no renegotiation. */
void kolk__tls_common_settle(struct kolk__tls_common *common, uint32_t version_min,
			     uint32_t profile);
void kolk__tls_common_free(struct kolk__tls_common *common);
const char *kolk__tls_copy(struct kolk__tls_common *common, const char *text); /* NULL = too long */
void kolk__tls_own_init(struct kolk__tls_own *own);
void kolk__tls_own_free(struct kolk__tls_own *own);
/* Fills failure and returns err, or E_MEMORY if that was the cause. */
enum kolk_err kolk__tls_refuse(struct kolk_failure *failure, enum kolk_err err, const char *field,
			       int tls_error);

/* tls_server.c. The handshake as far as the input allows, as mbedtls_ssl_handshake; and what
 * tls holds for its server. */
int kolk__tls_server_handshake(struct kolk__tls *tls);
void kolk__tls_server_forget(struct kolk__tls *tls);

/* tls_tickets.c: the callbacks of mbedTLS; user: struct kolk__tls_server. */
int kolk__tls_ticket_seal(void *user, const mbedtls_ssl_session *session, unsigned char *start,
			  const unsigned char *end, size_t *size, uint32_t *lifetime_s);
int kolk__tls_ticket_open(void *user, mbedtls_ssl_session *session, unsigned char *ticket,
			  size_t size);

/* tls_sessions.c */
void kolk__tls_sessions_store(struct kolk__link *link);

#endif
