/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reuse_test.c - wrong reuses that others published and that take a handshake to show: sessions,
 * certificates that are renewed, trust that is given late. The others: unit/reuse_test.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/wire/wire.h"

static struct kolk_pool_options one_at_a_time(const struct kolk_tls_options *tls)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = "wire";
	o.tls = tls;
	o.connections_max = 1;
	o.idle_min = KOLK_NONE;
	return o;
}

static struct kolk_key *key_of(struct wire *w, const char *tenant, const char *credential)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	struct kolk_key *key = NULL;

	o.tenant = tenant;
	o.credential = credential;
	o.credential_size = (uint32_t)strlen(credential);
	CHECK_ERR(kolk_key_open(w->pool, &o, &key), KOLK_OK);
	return key;
}

/* A request on a connection of its own: the origin closes after each. How many were resumed. */
static uint64_t request(struct wire *w, struct kolk_key *key)
{
	uint64_t ended = kit_origin_counts(w->origin).ended;
	uint64_t resumed = kit_origin_counts(w->origin).resumed;

	CHECK_ERR(wire_request(key, "hello\n"), KOLK_OK);
	CHECK(WITHIN_MS(1000, kit_origin_counts(w->origin).ended > ended));
	CHECK(WITHIN_MS(1000, wire_stats(w->pool).open == 0));
	return kit_origin_counts(w->origin).resumed - resumed;
}

static void sessions_are_a_keys_own(void)
{
	struct kit_origin_options origin = { .behaviour = KIT_CLOSE, .after = 1,
					     .cert = &wire_certs.good };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_pool_options o = one_at_a_time(&tls);
	struct wire w = { 0 };
	struct kolk_key *keys[4];
	uint64_t resumed = 0;

	tls.ca_file = wire_certs.ca_path;
	MUST(wire_origin(&w, &origin) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	keys[0] = key_of(&w, "a", "1");
	keys[1] = key_of(&w, "a", "2");
	keys[2] = key_of(&w, "b", "1");
	keys[3] = w.key; /* anonymous */
	for (int i = 0; i < 8; i++)
		resumed += request(&w, keys[0]);
	CHECK(resumed >= 3);
	for (int i = 1; i < 4; i++)
		CHECK(request(&w, keys[i]) == 0); /* the first of each is a full one */
	CHECK(kolk_key_rotate(keys[0]) == 0);     /* nothing is open, but there are sessions */
	CHECK(request(&w, keys[0]) == 0);
	(void)kolk_tenant_rotate(w.engine, "b");
	CHECK(request(&w, keys[2]) == 0);
	(void)kolk_pool_rotate(w.pool);
	CHECK(request(&w, keys[3]) == 0);
	for (int i = 0; i < 3; i++)
		kolk_key_close(keys[i]);
	wire_close(&w);
}

/* What was trusted blindly leaves nothing: no session, no connection once trust is asked for. */
static void verification_asked_for_late(void)
{
	struct kit_origin_options origin = { .cert = &wire_certs.unknown_issuer };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_pool_options o = one_at_a_time(&tls);
	struct wire w = { 0 };
	uint64_t answered;

	tls.verify_off = 1;
	MUST(wire_origin(&w, &origin) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	for (int i = 0; i < 5; i++) {
		CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
		CHECK(kolk_pool_clear(w.pool) == 1);
		CHECK(WITHIN_MS(1000, wire_stats(w.pool).open == 0));
	}
	CHECK(kit_origin_counts(w.origin).resumed == 0);
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK); /* and lies idle now */
	answered = kit_origin_counts(w.origin).answered;
	tls.verify_off = 0;
	tls.ca_file = wire_certs.ca_path;
	o.address = w.address;
	CHECK_ERR(kolk_pool_update(w.pool, &o), KOLK_OK);
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_TLS_VERIFY);
	CHECK(kit_origin_counts(w.origin).answered == answered);
	wire_close(&w);
}

static uint64_t number(struct wire *w)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct kolk_lease lease;

	if (!CHECK_ERR(kolk_acquire(w->key, kolk_in_ms(5000), &lease), KOLK_OK))
		return 0;
	CHECK_ERR(kolk_lease_info(&lease, &info), KOLK_OK);
	CHECK_ERR(wire_exchange(&lease, "hello\n"), KOLK_OK);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	return info.connection;
}

/* The files of a pool keep their names and get other content: an update sees it. */
static void renewed_certificates(void)
{
	struct kit_origin_options origin = { .cert = &wire_certs.good };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_pool_options o = one_at_a_time(&tls);
	char folder[] = "/tmp/kolk-reuse-XXXXXX", certificate[64], key[64];
	struct wire w = { 0 };
	uint64_t first, second;

	MUST(mkdtemp(folder) != NULL);
	snprintf(certificate, sizeof certificate, "%s/cert.pem", folder);
	snprintf(key, sizeof key, "%s/key.pem", folder);
	CHECK(kit_file_write(certificate, wire_certs.good.pem));
	CHECK(kit_file_write(key, wire_certs.good.key));
	tls.ca_file = wire_certs.ca_path;
	tls.certificate_file = certificate;
	tls.key_file = key;
	MUST(wire_origin(&w, &origin) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	o.address = w.address;
	first = number(&w);
	CHECK_ERR(kolk_pool_update(w.pool, &o), KOLK_OK);
	CHECK(number(&w) == first);
	CHECK(kit_file_write(certificate, wire_certs.other_name.pem));
	CHECK(kit_file_write(key, wire_certs.other_name.key));
	CHECK(number(&w) == first); /* not requested so far */
	CHECK_ERR(kolk_pool_update(w.pool, &o), KOLK_OK);
	second = number(&w);
	CHECK(second != first);
	CHECK(kit_file_write(key, "nonsense"));
	CHECK_ERR(kolk_pool_update(w.pool, &o), KOLK_E_TLS);
	CHECK(number(&w) == second);
	wire_close(&w);
	unlink(certificate), unlink(key), rmdir(folder);
}

static const struct tap_test tests[] = {
	{ "CVE-2016-5419: sessions are a key's own", sessions_are_a_keys_own },
	{ "CVE-2014-8151, CVE-2024-0853: verification that is asked for late",
	  verification_asked_for_late },
	{ "CVE-2016-5420, CVE-2026-8932: certificates that are renewed", renewed_certificates },
};
TAP_TESTS(reuse, tests);
