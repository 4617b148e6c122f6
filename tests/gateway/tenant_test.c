/* SPDX-License-Identifier: Apache-2.0 */
/* tenant_test.c - who asks: tokens, fields and certificates, good and bad. */
#define _GNU_SOURCE
#include "tests/kit/cmocka/run.h"

#include <mbedtls/pem.h>
#include <mbedtls/x509_crt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/gateway/ask.h"
#include "tests/kit/cert.h"

/* ---- bearer tokens */

#define ALICE "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90" /* alice */
#define BOB "81b637d8fcd2c6da6359e6963113a1170de795e4b725b84d1e0b4cfd9ec58ce9"   /* bob */

static void bearer_tokens_are_found(void **state)
{
	char path[40], tenant[GW_TENANT_SIZE];
	struct gw_config config = { .tenants_options = { .from = GW_TENANTS_BEARER, .file = path } };
	struct request twice = { .fields = { { .name = "authorization", .value = "Bearer alice" },
					     { .name = "authorization", .value = "Bearer bob" } } };
	struct request nothing = { .fields = { { .name = NULL } } };
	struct request basic = { .fields = { { .name = "authorization", .value = "Basic alice" } } };
	struct request small = { .fields = { { .name = "authorization", .value = "bEARER   bob" } } };

	(void)state;
	file_put(path, "# tokens\n\n alice  " ALICE "\nBob the second\t" BOB " \r\n");
	config.tenants = must_make(&config.tenants_options);
	assert_int_equal(ask_bearer(&config, "alice", tenant), 0);
	assert_string_equal(tenant, "alice");
	assert_int_equal(ask(&config, &small), 0);
	assert_string_equal(small.tenant, "Bob the second");
	assert_int_equal(ask_bearer(&config, "alicE", tenant), 401);
	assert_string_equal(tenant, "");
	assert_int_equal(ask_bearer(&config, "", tenant), 401);
	assert_int_equal(ask_bearer(&config, ALICE, tenant), 401); /* a digest is no token */
	assert_int_equal(ask(&config, &twice), 401);
	assert_int_equal(ask(&config, &nothing), 401);
	assert_int_equal(ask(&config, &basic), 401);
	gw_tenants_free(config.tenants);
	unlink(path);
}

static void broken_files_of_tokens(void **state)
{
	static const struct {
		const char *text, *what;
		uint32_t line;
	} bad[] = {
		{ "", "there is no token in it", 0 },
		{ "# nothing\n", "there is no token in it", 0 },
		{ "alice\n", "a name and a digest are expected", 1 },
		{ ALICE "\n", "a name and a digest are expected", 1 },
		{ "\nalice abc\n", "the last word is no SHA-256 in hexadecimal", 2 },
		{ "alice " ALICE "0\n", "the last word is no SHA-256 in hexadecimal", 1 },
		{ "a\001b " ALICE "\n", "a name has 1 to 255 bytes, and no control characters", 1 },
		{ "a " ALICE "\nb " ALICE "\n", "one token is of two lines", 0 },
	};
	char path[40];
	const struct gw_tenants_options o = { .from = GW_TENANTS_BEARER, .file = path };
	struct gw_trouble trouble;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		file_put(path, bad[i].text);
		assert_null(gw_tenants_make(&o, &trouble));
		assert_string_equal(trouble.what, bad[i].what);
		assert_int_equal(trouble.line, bad[i].line);
		unlink(path);
	}
	file_put(path, "alice " ALICE "\n");
	chmod(path, 0666);
	assert_null(gw_tenants_make(&o, &trouble));
	assert_string_equal(trouble.what, "all users of this machine may write it");
	unlink(path);
}

/* ---- a trusted field */

static void a_field_of_a_trusted_proxy(void **state)
{
	struct gw_network network = { .bits = 128 };
	const struct gw_config config = {
		.tenants_options = { .from = GW_TENANTS_HEADER, .header = "x-tenant" },
		.trusted = &network, .trusted_count = 1
	};
	struct request r = { .fields = { { .name = "x-tenant", .value = "alice" } },
			     .peer = { .address = "192.0.2.1" } };
	struct request again = { .fields = { { .name = "x-tenant", .value = "alice" },
					     { .name = "x-tenant", .value = "bob" } } };
	struct request empty = { .fields = { { .name = "x-tenant", .value = "" } } };

	(void)state;
	memcpy(network.address, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1", 16);
	assert_int_equal(ask(&config, &r), 0);
	assert_string_equal(r.tenant, "alice");
	strcpy(r.peer.address, "192.0.2.2");
	assert_int_equal(ask(&config, &r), 403);
	strcpy(r.peer.address, ""); /* a Unix socket */
	assert_int_equal(ask(&config, &r), 0);
	r.peer.proxied = 1; /* a PROXY header that says so: of whatever client */
	assert_int_equal(ask(&config, &r), 403);
	assert_string_equal(r.tenant, "");
	strcpy(r.peer.address, "192.0.2.1");
	assert_int_equal(ask(&config, &r), 0);
	assert_int_equal(ask(&config, &again), 403);
	assert_int_equal(ask(&config, &empty), 403);
}

/* ---- certificates */

static void a_certificate_names_its_tenant(void **state)
{
	const struct kit_cert_spec spec = { .subject = "alice", .dns = "alice.test" };
	struct gw_config config = { .tenants_options = { .from = GW_TENANTS_CLIENT_CERTIFICATE } };
	struct request r = { .fields = { { .name = NULL } } };
	struct kit_cert cert;
	mbedtls_x509_crt parsed;

	(void)state;
	assert_int_equal(ask(&config, &r), 403); /* 401 would ask for a token */
	assert_true(kit_cert_make(&spec, NULL, &cert));
	mbedtls_x509_crt_init(&parsed);
	assert_int_equal(mbedtls_x509_crt_parse(&parsed, (const unsigned char *)cert.pem,
						strlen(cert.pem) + 1), 0);
	r.peer.certificate = parsed.raw.p;
	r.peer.certificate_size = parsed.raw.len;
	assert_int_equal(ask(&config, &r), 0);
	assert_string_equal(r.tenant, "alice");
	config.tenants_options.claim = "dns";
	assert_int_equal(ask(&config, &r), 0);
	assert_string_equal(r.tenant, "alice.test");
	config.tenants_options.claim = "uri";
	assert_int_equal(ask(&config, &r), 403);
	r.peer.certificate_size--;
	config.tenants_options.claim = NULL;
	assert_int_equal(ask(&config, &r), 403);
	mbedtls_x509_crt_free(&parsed);
}
static const struct CMUnitTest tests[] = {
	cmocka_unit_test(bearer_tokens_are_found),
	cmocka_unit_test(broken_files_of_tokens),
	cmocka_unit_test(a_field_of_a_trusted_proxy),
	cmocka_unit_test(a_certificate_names_its_tenant),
};
CMOCKA_TESTS(tenant, tests);
