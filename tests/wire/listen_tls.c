/* SPDX-License-Identifier: Apache-2.0 */
/* listen_tls.c - a listener that speaks TLS, pools of Kolk's to it, and OpenSSL's client. */
#include "tests/wire/listen_tls.h"

#include <stdio.h>
#include <string.h>

#include "tests/kit/peers.h"

bool secure_prepare(struct secure *s)
{
	memset(s, 0, sizeof *s);
	s->tls = (struct kolk_listener_tls)KOLK_INIT(kolk_listener_tls);
	s->o = (struct kolk_listener_options)KOLK_INIT(kolk_listener_options);
	s->own[0] = (struct kolk_certificate){ s->certs.first.pem, s->certs.first.key };
	s->own[1] = (struct kolk_certificate){ s->certs.second.pem, s->certs.second.key };
	s->own[2] = (struct kolk_certificate){ s->certs.wild.pem, s->certs.wild.key };
	s->tls.certificates = s->own;
	s->tls.certificate_count = 3;
	s->o.tls = &s->tls;
	return CHECK(kit_certs_open(&s->certs));
}

bool secure_open(struct secure *s)
{
	return listening_open(&s->l, NULL, &s->o);
}

void secure_close(struct secure *s)
{
	listening_close(&s->l);
	kit_certs_close(&s->certs);
}

const char *secure_address(struct secure *s)
{
	return kolk_listener_address(s->l.listener);
}

struct kolk_tls_options secure_client(struct secure *s)
{
	struct kolk_tls_options o = KOLK_INIT(kolk_tls_options);

	o.ca_file = s->certs.authority.pem;
	o.server_name = "first.test";
	return o;
}

struct kolk_pool *secure_pool(struct secure *s, const struct kolk_tls_options *tls)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *pool = NULL;
	static uint32_t count;
	char name[16];

	snprintf(name, sizeof name, "client%u", ++count);
	o.name = name;
	o.address = secure_address(s);
	o.tls = tls;
	o.idle_min = KOLK_NONE;
	o.circuit_failures = KOLK_NONE;
	CHECK_ERR(kolk_pool_add(s->l.engine, &o, &pool), KOLK_OK);
	return pool;
}

void secure_pool_end(struct kolk_pool *pool)
{
	CHECK_ERR(kolk_pool_close(pool, kolk_in_ms(5000)), KOLK_OK);
}

enum kolk_err secure_ask(struct secure *s, const struct kolk_tls_options *tls)
{
	struct kolk_pool *pool = secure_pool(s, tls);
	enum kolk_err err = wire_request(kolk_pool_key(pool), "question\n");

	secure_pool_end(pool);
	return err;
}

const char *secure_openssl(struct secure *s, const char *arguments)
{
	static char output[16384];
	char all[1024];
	struct kit_openssl_talk talk = { secure_address(s), "question\n", all, s->patience };

	/* Names as "CN = x": what the default writes changed with OpenSSL 3.4. */
	snprintf(all, sizeof all, "-CAfile %s -nameopt oneline %s", s->certs.authority.pem,
		 arguments);
	(void)kit_openssl_client(&talk, output, sizeof output);
	return output;
}

bool secure_says(const char *output, const char *text)
{
	if (strstr(output, text) != NULL)
		return true;
	tap_note("%s is not in: %.3000s", text, output);
	return false;
}

bool secure_speaks_13(void)
{
	return strstr(kolk_tls_text(), "TLS 1.3") != NULL;
}
