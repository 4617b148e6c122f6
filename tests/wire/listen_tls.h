/* SPDX-License-Identifier: Apache-2.0 */
/* listen_tls.h - a listener that speaks TLS, pools of Kolk's to it, and OpenSSL's client. */
#ifndef KOLK_TESTS_WIRE_LISTEN_TLS_H
#define KOLK_TESTS_WIRE_LISTEN_TLS_H

#include "tests/kit/certs.h"
#include "tests/wire/listening.h"

/* A listener with certificates, and options to change before secure_open. */
struct secure {
	struct listening l;
	struct kit_certs certs;
	struct kolk_certificate own[3];
	struct kolk_listener_tls tls;
	struct kolk_listener_options o;
	const char *patience; /* of s_client, in seconds; NULL = 5 */
};

bool secure_prepare(struct secure *s);
bool secure_open(struct secure *s);
void secure_close(struct secure *s);
const char *secure_address(struct secure *s);
struct kolk_tls_options secure_client(struct secure *s);
/* A pool to it, in the same engine. */
struct kolk_pool *secure_pool(struct secure *s, const struct kolk_tls_options *tls);
void secure_pool_end(struct kolk_pool *pool);
/* One request over one connection; its error. */
enum kolk_err secure_ask(struct secure *s, const struct kolk_tls_options *tls);
/* What s_client says, with the authority's certificate; "" = there is none here. */
const char *secure_openssl(struct secure *s, const char *arguments);
/* Whether that has this text; a note if not. */
bool secure_says(const char *output, const char *text);
bool secure_speaks_13(void);

#endif
