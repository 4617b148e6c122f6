/* SPDX-License-Identifier: Apache-2.0 */
/* upstream_test.c - which spellings of an address are the same, which are not, which are none. */
#include "tests/unit/unit.h"

#include <string.h>

#include "transport/transport.h"

static void ignore_log(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	(void)user, (void)level, (void)subject, (void)text;
}

static int transport_setup(void **state)
{
	static const struct kolk__link_callbacks callbacks = { .log = ignore_log };
	struct kolk__transport *transport;

	if (kolk__transport_open(kolk_sys_linux(), &callbacks, KOLK_BACKEND_EPOLL, &transport) !=
	    KOLK_OK)
		return -1;
	*state = transport;
	return 0;
}

static int transport_teardown(void **state)
{
	kolk__transport_close(*state);
	return 0;
}

/* NULL and the field when it is refused. */
static struct kolk__upstream *upstream_of(void **state, const struct kolk_pool_options *o,
					  const char **field)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk__upstream *upstream = NULL;
	enum kolk_err err = kolk__upstream_open(*state, o, &failure, &upstream);

	*field = failure.field;
	assert_true((err == KOLK_OK) == (upstream != NULL));
	if (upstream == NULL)
		assert_int_equal(err, KOLK_E_OPTIONS);
	return upstream;
}

static void expect(void **state, const char *written, const char *read)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	const char *field;
	struct kolk__upstream *upstream;

	o.address = written;
	upstream = upstream_of(state, &o, &field);
	if (upstream == NULL && read != NULL)
		fail_msg("refused %s", written);
	if (upstream != NULL && read == NULL)
		fail_msg("took %s as %s", written, kolk__upstream_address(upstream));
	if (upstream == NULL) {
		assert_string_equal(field, "address");
		return;
	}
	assert_string_equal(kolk__upstream_address(upstream), read);
	assert_false(kolk__upstream_is_tls(upstream));
	kolk__upstream_unref(upstream);
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
	struct kolk__upstream *upstream;
	const char *field;

	tls.verify_off = 1;
	tls.server_name = written;
	o.address = address;
	o.tls = &tls;
	upstream = upstream_of(state, &o, &field);
	if (read == NULL) {
		assert_null(upstream);
		assert_string_equal(field, "server_name");
		return;
	}
	assert_non_null(upstream);
	assert_true(kolk__upstream_is_tls(upstream));
	assert_string_equal(kolk__upstream_server_name(upstream), read);
	kolk__upstream_unref(upstream);
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
	struct kolk__upstream *upstream;
	const char *field;

	o.address = "host:1";
	o.bind_address = "0:0::1%lo";
	upstream = upstream_of(state, &o, &field);
	assert_non_null(upstream);
	assert_string_equal(kolk__upstream_bind(upstream), "::1%1");
	kolk__upstream_unref(upstream);
	o.bind_address = "localhost";
	assert_null(upstream_of(state, &o, &field));
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
	struct kolk__upstream *upstream;
	const char *field;

	o.resource = &driver;
	upstream = upstream_of(state, &o, &field);
	assert_non_null(upstream);
	assert_string_equal(kolk__upstream_address(upstream), "");
	assert_string_equal(kolk__upstream_bind(upstream), "");
	assert_string_equal(kolk__upstream_server_name(upstream), "");
	assert_false(kolk__upstream_is_tls(upstream));
	kolk__upstream_digest(upstream, digest);
	assert_memory_equal(digest, zeros, sizeof digest);
	kolk__upstream_unref(kolk__upstream_ref(upstream));
	assert_string_equal(kolk__upstream_address(upstream), ""); /* still there */
	kolk__upstream_unref(upstream);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, transport_setup, transport_teardown)

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

CMOCKA_TESTS(upstream, tests);
