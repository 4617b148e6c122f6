/* SPDX-License-Identifier: Apache-2.0 */
/* origin_test.c - which spellings of an address are the same, which are not, which are none. */
#include "tests/unit/unit.h"

#include <string.h>

#include "transport/transport.h"

static void unheard(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	(void)user, (void)level, (void)subject, (void)text;
}

static int street_open(void **state)
{
	static const struct kolk__link_host nobody = { .log = unheard };
	struct kolk__transport *transport;

	if (kolk__transport_open(kolk_sys_linux(), &nobody, KOLK_BACKEND_EPOLL, &transport) !=
	    KOLK_OK)
		return -1;
	*state = transport;
	return 0;
}

static int street_close(void **state)
{
	kolk__transport_close(*state);
	return 0;
}

/* NULL and the field when it is refused. */
static struct kolk__origin *origin_of(void **state, const struct kolk_pool_options *o,
				      const char **field)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk__origin *origin = NULL;
	enum kolk_err err = kolk__origin_open(*state, o, &failure, &origin);

	*field = failure.field;
	assert_true((err == KOLK_OK) == (origin != NULL));
	if (origin == NULL)
		assert_int_equal(err, KOLK_E_OPTIONS);
	return origin;
}

static void expect(void **state, const char *written, const char *read)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	const char *field;
	struct kolk__origin *origin;

	o.address = written;
	origin = origin_of(state, &o, &field);
	if (origin == NULL && read != NULL)
		fail_msg("refused %s", written);
	if (origin != NULL && read == NULL)
		fail_msg("took %s as %s", written, kolk__origin_address(origin));
	if (origin == NULL) {
		assert_string_equal(field, "address");
		return;
	}
	assert_string_equal(kolk__origin_address(origin), read);
	assert_false(kolk__origin_is_tls(origin));
	kolk__origin_unref(origin);
}

static void names(void **state)
{
	expect(state, "api.example.com:80", "api.example.com:80");
	expect(state, "API.Example.COM:80", "api.example.com:80");
	expect(state, "api.example.com.:80", "api.example.com:80");
	expect(state, "tcp://api.example.com:0080", "api.example.com:80");
	expect(state, "my_service.local:80", "my_service.local:80");
	expect(state, "_dmarc.a--b.-odd-.example:1", "_dmarc.a--b.-odd-.example:1");
	expect(state, "127.1:80", "127.1:80"); /* not ours to guess */
}

static void international_names(void **state)
{
	expect(state, "xn--mnchen-3ya.de:80", "xn--mnchen-3ya.de:80");
	expect(state, "XN--MNCHEN-3YA.DE:80", "xn--mnchen-3ya.de:80");
	expect(state, "m\u00fcnchen.de:80", "xn--mnchen-3ya.de:80");
	expect(state, "M\u00dcNCHEN.de.:80", "xn--mnchen-3ya.de:80");
	expect(state, "mu\u0308nchen.de:80", "xn--mnchen-3ya.de:80"); /* u and a diaeresis */
	expect(state, "m\u00fcnchen\u3002de:80", "xn--mnchen-3ya.de:80"); /* ideographic full stop */
	expect(state, "stra\u00dfe.de:80", "xn--strae-oqa.de:80"); /* not strasse.de */
	expect(state, "\uff11\uff12\uff17.0.0.1:80", "127.0.0.1:80"); /* full-width digits */
	expect(state, "\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444:80",
	       "xn--e1afmkfd.xn--p1ai:80");
	expect(state, "\u0440\u0430ypal.com:80", "xn--ypal-43d9g.com:80"); /* Cyrillic r and a */
}

static void international_slips(void **state)
{
	expect(state, "a\uff0fb:80", NULL); /* becomes a slash */
	expect(state, "a\uff20b:80", NULL); /* becomes an at sign */
	expect(state, "a\uff1ab:80", NULL); /* becomes a colon */
	expect(state, "\u200b:80", NULL);   /* becomes nothing */
	expect(state, "a\u3002\u3002b:80", NULL);
	expect(state, "\xff\xfe:80", NULL); /* no UTF-8 */
	expect(state, "m\xfcnchen.de:80", NULL);
}

static void addresses(void **state)
{
	expect(state, "127.0.0.1:80", "127.0.0.1:80");
	expect(state, "127.0.0.1.:80", "127.0.0.1:80");
	expect(state, "[2001:DB8:0:0::1]:80", "[2001:db8::1]:80");
	expect(state, "[2001:0db8::0001]:80", "[2001:db8::1]:80");
	expect(state, "[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:80");
	expect(state, "[::ffff:7f00:1]:80", "[::ffff:127.0.0.1]:80");
	expect(state, "[fe80::1]:80", "[fe80::1]:80");
	expect(state, "[fe80::1%lo]:80", "[fe80::1%1]:80");
	expect(state, "[FE80:0::1%1]:80", "[fe80::1%1]:80");
}

static void paths(void **state)
{
	char path[200] = "unix:/";

	expect(state, "unix:/run/Kolk/../x.sock", "unix:/run/Kolk/../x.sock");
	expect(state, "unix:relative", "unix:relative");
	expect(state, "unix:@Name", "unix:@Name");
	expect(state, "unix:\xff", "unix:\xff");
	expect(state, "unix:@", NULL);
	memset(path + 6, 'x', sizeof path - 7);
	expect(state, path, NULL);
}

static void slips(void **state)
{
	static const char *const texts[] = {
		"[fe80::1%nowhere]:80", "[fe80::1%]:80",      "[fe80::1%4294967297]:80",
		"[fe80::1%-1]:80",      "[fe80::1%0]:80",     "[host]:80",
		"[127.0.0.1]:80",       "[::1%lo%lo]:80",     "host%lo:80",
		"a..b:80",              ".a:80",              ".:80",
		"a..:80",               "a b:80",             "user@host:80",
		"host/path:80",         "ho\\st:80",          "[]:80",
		"host?x:80",            "host#x:80",          "ho\nst:80",
	};
	char name[] = "0123456789012345678901234567890123456789012345678901234567890123.de:80";

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		expect(state, texts[i], NULL);
	expect(state, name, NULL); /* a label of 64 bytes */
	expect(state, name + 1, name + 1);
}

/* The name that a peer must prove; read NULL = refused. */
static void expect_name(void **state, const char *address, const char *written, const char *read)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk__origin *origin;
	const char *field;

	tls.verify_off = 1;
	tls.server_name = written;
	o.address = address;
	o.tls = &tls;
	origin = origin_of(state, &o, &field);
	if (read == NULL) {
		assert_null(origin);
		assert_string_equal(field, "server_name");
		return;
	}
	assert_non_null(origin);
	assert_true(kolk__origin_is_tls(origin));
	assert_string_equal(kolk__origin_server_name(origin), read);
	kolk__origin_unref(origin);
}

static void server_names(void **state)
{
	expect_name(state, "Host.example:1", NULL, "host.example");
	expect_name(state, "[fe80::1%lo]:1", NULL, "fe80::1");
	expect_name(state, "[::1]:1", "M\u00fcnchen.DE.", "xn--mnchen-3ya.de");
	expect_name(state, "unix:/x", "0:0::1", "::1");
	expect_name(state, "unix:/x", "192.0.2.1", "192.0.2.1");
	expect_name(state, "unix:/x", NULL, "");
	expect_name(state, "host:1", "fe80::1%lo", NULL);
	expect_name(state, "host:1", "host:443", NULL);
	expect_name(state, "host:1", "[::1]", NULL);
	expect_name(state, "host:1", "a..b", NULL);
}

static void local_addresses(void **state)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk__origin *origin;
	const char *field;

	o.address = "host:1";
	o.bind_address = "0:0::1%lo";
	origin = origin_of(state, &o, &field);
	assert_non_null(origin);
	assert_string_equal(kolk__origin_bind(origin), "::1%1");
	kolk__origin_unref(origin);
	o.bind_address = "localhost";
	assert_null(origin_of(state, &o, &field));
	assert_string_equal(field, "bind_address");
}

static enum kolk_err nothing(void *user, void **resource)
{
	(void)user;
	*resource = NULL;
	return KOLK_OK;
}

static void resources_have_no_address(void **state)
{
	const struct kolk_resource_driver driver = { .size = sizeof driver, .create = nothing };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	uint8_t digest[32], zeros[32] = { 0 };
	struct kolk__origin *origin;
	const char *field;

	o.resource = &driver;
	origin = origin_of(state, &o, &field);
	assert_non_null(origin);
	assert_string_equal(kolk__origin_address(origin), "");
	assert_string_equal(kolk__origin_bind(origin), "");
	assert_string_equal(kolk__origin_server_name(origin), "");
	assert_false(kolk__origin_is_tls(origin));
	kolk__origin_digest(origin, digest);
	assert_memory_equal(digest, zeros, sizeof digest);
	kolk__origin_unref(kolk__origin_ref(origin));
	assert_string_equal(kolk__origin_address(origin), ""); /* still there */
	kolk__origin_unref(origin);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, street_open, street_close)

static const struct CMUnitTest tests[] = {
	TEST(names),
	TEST(international_names),
	TEST(international_slips),
	TEST(addresses),
	TEST(paths),
	TEST(slips),
	TEST(server_names),
	TEST(local_addresses),
	TEST(resources_have_no_address),
};

CMOCKA_TESTS(origin, tests);
