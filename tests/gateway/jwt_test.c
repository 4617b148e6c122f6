/* SPDX-License-Identifier: Apache-2.0 */
/* jwt_test.c - signed tokens and key sets, good and bad, and what they cost. */
#define _GNU_SOURCE
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/gateway/ask.h"
#include "tests/gateway/sign.h"
#include "tools/gateway/jwt/jwt.h"

#define GOOD "\"iss\":\"i\",\"aud\":\"a\",\"sub\":\"alice\""
#define LATER ",\"exp\":4000000000}"

static struct gw_config signed_config(struct signer *signer, char path[40])
{
	struct gw_config config = { .tenants_options = { .from = GW_TENANTS_JWT, .keys_file = path,
							 .issuer = "i", .audience = "a" } };

	signer_open(signer);
	file_put(path, signer->jwks);
	config.tenants = must_make(&config.tenants_options);
	return config;
}

static void expect_token(const struct gw_config *config, char *token, uint32_t status)
{
	char tenant[GW_TENANT_SIZE];

	if (ask_bearer(config, token, tenant) != status)
		fail_msg("%u was expected of %s", status, token);
	assert_string_equal(tenant, status == 0 ? "alice" : "");
	free(token);
}

static void good_tokens_are_taken(void **state)
{
	static const char *const payloads[] = {
		("{" GOOD LATER),
		("{" GOOD ",\"exp\":4000000000.5,\"nbf\":1,\"iat\":5}"),
		("{\"iss\":\"i\",\"aud\":[\"b\",\"a\"],\"sub\":\"alice\"" LATER),
	};
	struct signer signer;
	char path[40], tenant[GW_TENANT_SIZE], *token;
	struct gw_config config = signed_config(&signer, path);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		expect_token(&config, signer_token(&signer, "RS256", "{\"alg\":\"RS256\",\"kid\":\"r\"}",
						   payloads[i]), 0);
		expect_token(&config, signer_token(&signer, "ES256", "{\"alg\":\"ES256\",\"typ\":\"JWT\"}",
						   payloads[i]), 0);
	}
	token = signer_token(&signer, "ES256", "{\"alg\":\"ES256\"}", payloads[0]);
	for (int i = 0; i < 1000; i++) /* the second time by the cache */
		assert_int_equal(ask_bearer(&config, token, tenant), 0);
	free(token);
	gw_tenants_free(config.tenants);
	signer_close(&signer);
	unlink(path);
}

/* ---- what a signature costs */

static int verified; /* signatures */
bool __real_gw_keys_verify(const struct gw_keys *keys, enum gw_algorithm algorithm, const char *kid,
			   const struct gw_bytes parts[2]);
bool __wrap_gw_keys_verify(const struct gw_keys *keys, enum gw_algorithm algorithm, const char *kid,
			   const struct gw_bytes parts[2]);

bool __wrap_gw_keys_verify(const struct gw_keys *keys, enum gw_algorithm algorithm, const char *kid,
			   const struct gw_bytes parts[2])
{
	verified++;
	return __real_gw_keys_verify(keys, algorithm, kid, parts);
}

/* A bad token that comes again costs no signature, and drives no good one out. */
static void refused_tokens_are_remembered(void **state)
{
	static const char header[] = "{\"alg\":\"ES256\"}";
	struct signer signer;
	char path[40], tenant[GW_TENANT_SIZE], *good, *expired, *forged;
	struct gw_config config = signed_config(&signer, path);

	(void)state;
	good = signer_token(&signer, "ES256", header, "{" GOOD LATER);
	expired = signer_token(&signer, "ES256", header, "{" GOOD ",\"exp\":1}");
	forged = strdup(good);
	forged[strlen(forged) - 3] = forged[strlen(forged) - 3] == 'B' ? 'C' : 'B';
	verified = 0;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(ask_bearer(&config, forged, tenant), 401);
		assert_string_equal(tenant, "");
		assert_int_equal(ask_bearer(&config, expired, tenant), 401);
		assert_int_equal(ask_bearer(&config, good, tenant), 0);
		assert_string_equal(tenant, "alice");
	}
	assert_int_equal(verified, 3);
	for (int i = 0; i < 100; i++) /* no signature is looked at */
		assert_int_equal(ask_bearer(&config, "eyJhbGciOiJub25lIn0.e30.", tenant), 401);
	assert_int_equal(verified, 3);
	free(forged);
	free(expired);
	free(good);
	gw_tenants_free(config.tenants);
	signer_close(&signer);
	unlink(path);
}

/* Refused for nbf, and good a second later: what is remembered ends with its reason. */
static void a_token_may_become_good(void **state)
{
	struct signer signer;
	char path[40], payload[200], tenant[GW_TENANT_SIZE], *token;
	struct gw_config config = signed_config(&signer, path);
	const long begins = (long)time(NULL) + 2;

	(void)state;
	config.tenants_options.leeway_ns = KOLK_AT_ONCE;
	snprintf(payload, sizeof payload, "{" GOOD ",\"nbf\":%ld" LATER, begins);
	token = signer_token(&signer, "ES256", "{\"alg\":\"ES256\"}", payload);
	assert_int_equal(ask_bearer(&config, token, tenant), 401);
	while (time(NULL) < begins)
		usleep(10000);
	assert_int_equal(ask_bearer(&config, token, tenant), 0);
	free(token);
	gw_tenants_free(config.tenants);
	signer_close(&signer);
	unlink(path);
}

/* A set of keys of both algorithms, and one more of ES256 with this kid. */
static void second_key(struct signer *signer, const char *kid, const char *path)
{
	struct signer other;
	char text[sizeof signer->jwks + sizeof other.jwks];
	const char *key;
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	signer_open(&other);
	key = strstr(other.jwks, "\"x\":");
	snprintf(text, sizeof text, "%.*s,{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"%s\",%s",
		 (int)(strstr(signer->jwks, "]}") - signer->jwks), signer->jwks, kid, key);
	assert_true(fputs(text, file) >= 0);
	fclose(file);
	signer_close(&other);
}

/* With more than one key of its algorithm a token says which: no request tries them all. */
static void a_token_names_its_key(void **state)
{
	struct signer signer;
	char path[40];
	struct gw_config config = signed_config(&signer, path);
	struct gw_trouble trouble;

	(void)state;
	gw_tenants_free(config.tenants);
	second_key(&signer, "f", path);
	config.tenants = must_make(&config.tenants_options);
	expect_token(&config, signer_token(&signer, "ES256", "{\"alg\":\"ES256\",\"kid\":\"e\"}",
					   "{" GOOD LATER), 0);
	expect_token(&config, signer_token(&signer, "ES256", "{\"alg\":\"ES256\",\"kid\":\"f\"}",
					   "{" GOOD LATER), 401);
	expect_token(&config, signer_token(&signer, "ES256", "{\"alg\":\"ES256\"}", "{" GOOD LATER),
		     401);
	expect_token(&config, signer_token(&signer, "RS256", "{\"alg\":\"RS256\"}", "{" GOOD LATER), 0);
	gw_tenants_free(config.tenants);
	second_key(&signer, "e", path);
	assert_null(gw_tenants_make(&config.tenants_options, &trouble));
	assert_string_equal(trouble.what, "key 4 has the kid of another key of its algorithm");
	signer_close(&signer);
	unlink(path);
}

static void times_have_a_leeway(void **state)
{
	struct signer signer;
	char path[40], payload[200];
	struct gw_config config = signed_config(&signer, path);
	const long now = (long)time(NULL);
	const struct {
		long exp, nbf;
		uint32_t status;
	} cases[] = { { now - 20, 0, 0 }, { now - 40, 0, 401 }, { now + 90, now + 20, 0 },
		      { now + 90, now + 60, 401 } };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		snprintf(payload, sizeof payload, "{" GOOD ",\"exp\":%ld,\"nbf\":%ld}", cases[i].exp,
			 cases[i].nbf);
		expect_token(&config, signer_token(&signer, "ES256", "{\"alg\":\"ES256\"}", payload),
			     cases[i].status);
	}
	gw_tenants_free(config.tenants);
	signer_close(&signer);
	unlink(path);
}

/* Signed, and refused all the same: headers, then claims. */
static void signed_and_refused(void **state)
{
	static const char *const headers[][2] = {
		{ "none", "{\"alg\":\"none\"}" }, { "none", "{\"alg\":\"None\"}" },
		{ "none", "{\"alg\":\"RS256\"}" }, { "ES256", "{}" }, { "ES256", "[]" },
		{ "HS256", "{\"alg\":\"HS256\"}" }, { "HS256", "{\"alg\":\"HS256\",\"kid\":\"r\"}" },
		{ "HS256", "{\"alg\":\"RS256\",\"kid\":\"r\"}" },
		{ "ES256", "{\"alg\":\"RS256\"}" }, { "RS256", "{\"alg\":\"ES256\"}" },
		{ "ES256", "{\"alg\":\"ES256\",\"kid\":\"r\"}" },
		{ "ES256", "{\"alg\":\"ES256\",\"kid\":\"none\"}" },
		{ "ES256", "{\"alg\":\"ES256\",\"kid\":1}" }, { "ES256", "{\"alg\":[\"ES256\"]}" },
		{ "ES256", "{\"alg\":\"ES256\",\"alg\":\"none\"}" }, { "ES256", "{\"alg\":\"ES256\"} " "x" },
		{ "ES256", "{\"alg\":\"ES256\",\"crit\":[\"exp\"]}" },
		{ "ES256", "{\"alg\":\"ES256\",\"typ\":\"dpop+jwt\"}" },
		{ "ES256", "{\"alg\":\"es256\"}" }, { "ES256", "{\"alg\":\"ES384\"}" },
	};
	static const char *const payloads[] = {
		"", "1", "[]", "{}", "{" GOOD "}", "{" GOOD ",\"exp\":\"4000000000\"}",
		"{" GOOD ",\"exp\":null}", "{" GOOD ",\"exp\":-1}", "{" GOOD ",\"exp\":1e300}",
		"{" GOOD ",\"exp\":99999999999999999999}", "{" GOOD ",\"exp\":1}",
		"{" GOOD ",\"nbf\":4000000000" LATER, "{" GOOD ",\"nbf\":\"1\"" LATER,
		"{" GOOD ",\"sub\":\"bob\"" LATER, "{" GOOD LATER "{}", "{" GOOD ",\"exp\":4000000000",
		"{\"iss\":\"j\",\"aud\":\"a\",\"sub\":\"alice\"" LATER,
		"{\"aud\":\"a\",\"sub\":\"alice\"" LATER, "{\"iss\":[\"i\"],\"aud\":\"a\",\"sub\":\"alice\"" LATER,
		"{\"iss\":\"i\",\"aud\":\"b\",\"sub\":\"alice\"" LATER, "{\"iss\":\"i\",\"sub\":\"alice\"" LATER,
		"{\"iss\":\"i\",\"aud\":[],\"sub\":\"alice\"" LATER,
		"{\"iss\":\"i\",\"aud\":[\"a\",1],\"sub\":\"alice\"" LATER,
		"{\"iss\":\"i\",\"aud\":\"a\"" LATER, "{\"iss\":\"i\",\"aud\":\"a\",\"sub\":\"\"" LATER,
		"{\"iss\":\"i\",\"aud\":\"a\",\"sub\":7" LATER,
		"{\"iss\":\"i\",\"aud\":\"a\",\"sub\":\"al\\u0000ice\"" LATER,
		"{\"iss\":\"i\",\"aud\":\"a\",\"sub\":\"al\\nice\"" LATER, "{" GOOD ",\"x\":\"\xff\"" LATER,
	};
	struct signer signer;
	char path[40];
	struct gw_config config = signed_config(&signer, path);

	(void)state;
	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
		expect_token(&config, signer_token(&signer, headers[i][0], headers[i][1],
						   "{" GOOD LATER), 401);
	for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++)
		expect_token(&config, signer_token(&signer, "ES256", "{\"alg\":\"ES256\"}", payloads[i]),
			     401);
	gw_tenants_free(config.tenants);
	signer_close(&signer);
	unlink(path);
}

/* A good token, cut after each byte, with each byte changed, and grown. */
static void broken_tokens_are_refused(void **state)
{
	static const char *const odd[] = { ".", "..", "...", "a.b.c", "eyJ9.e30.", "e30.e30.e30",
					   "=.=.=", "\xff.\xff.\xff" };
	struct signer signer;
	char path[40], *token, *broken;
	struct gw_config config = signed_config(&signer, path);
	size_t size;

	(void)state;
	token = signer_token(&signer, "ES256", "{\"alg\":\"ES256\"}", "{" GOOD LATER);
	size = strlen(token);
	for (size_t i = 0; i < size; i++) {
		expect_token(&config, strndup(token, i), 401);
		broken = strdup(token);
		broken[i] = broken[i] == 'B' ? 'C' : 'B';
		expect_token(&config, broken, 401);
	}
	for (const char *tail = "=.A \n"; *tail != 0; tail++) {
		assert_true(asprintf(&broken, "%s%c", token, *tail) > 0);
		expect_token(&config, broken, 401);
	}
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
		expect_token(&config, strdup(odd[i]), 401);
	broken = malloc(20000);
	memset(broken, 'A', 19999);
	broken[19999] = 0;
	broken[5] = broken[9000] = '.';
	expect_token(&config, broken, 401);
	expect_token(&config, token, 0);
	gw_tenants_free(config.tenants);
	signer_close(&signer);
	unlink(path);
}

static void broken_key_sets(void **state)
{
	static const struct {
		const char *text, *what;
	} bad[] = {
		{ "", "it is not JSON" }, { "{}", "it is no JSON Web Key Set" },
		{ "{\"keys\":{}}", "it is no JSON Web Key Set" },
		{ "{\"keys\":[]}", "no key in it is for RS256 or ES256" },
		{ "{\"keys\":[],\"keys\":[]}", "it is not JSON" },
		{ "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", "no key in it is for RS256 or ES256" },
		{ "{\"keys\":[{}]}", "key 1 is no key that can be used" },
		{ "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
		  "key 1 is no key that can be used" },
		{ "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}",
		  "key 1 is no key that can be used" },
		/* Not on the curve. */
		{ "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
		  "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
		  "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}]}",
		  "key 1 is no key that can be used" },
		{ "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"enc\"}]}",
		  "no key in it is for RS256 or ES256" },
	};
	char path[40];
	const struct gw_tenants_options o = { .from = GW_TENANTS_JWT, .keys_file = path };
	struct gw_trouble trouble;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		file_put(path, bad[i].text);
		assert_null(gw_tenants_make(&o, &trouble));
		assert_string_equal(trouble.what, bad[i].what);
		unlink(path);
	}
}

/* It may come: no token of it is remembered as refused, and where keys come from a URL it is asked
 * for. */
static void a_key_that_is_not_there_is_told(void **state)
{
	static const struct {
		const char *header;
		bool no_key;
	} rows[] = {
		{ "{\"alg\":\"ES256\",\"kid\":\"e\"}", false },
		{ "{\"alg\":\"ES256\"}", false },
		{ "{\"alg\":\"ES256\",\"kid\":\"x\"}", true },
		{ "{\"alg\":\"RS256\",\"kid\":\"e\"}", true },
		{ "{\"alg\":\"HS256\",\"kid\":\"x\"}", false },
		{ "{\"alg\":\"ES256\",\"kid\":\"x\",\"crit\":[]}", false },
	};
	const struct gw_tenants_options o = { .from = GW_TENANTS_JWT };
	struct gw_trouble trouble;
	struct signer signer;
	struct gw_keys *keys;

	(void)state;
	signer_open(&signer);
	keys = gw_keys_parse(&(struct gw_bytes){ (const uint8_t *)signer.jwks, strlen(signer.jwks) },
			     &trouble);
	assert_non_null(keys);
	assert_int_equal(gw_keys_count(keys), 2);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *text = signer_token(&signer, "ES256", rows[i].header, "{" GOOD LATER);
		const struct gw_bytes token = { (const uint8_t *)text, strlen(text) };
		struct gw_jwt jwt = { .now_s = 1, .no_key = !rows[i].no_key };

		assert_int_equal(gw_jwt_read(keys, &o, &token, &jwt), i < 2);
		assert_int_equal(jwt.no_key, rows[i].no_key);
		free(text);
	}
	gw_keys_free(keys);
	signer_close(&signer);
}

static void keys_that_all_may_write(void **state)
{
	struct gw_trouble trouble;
	struct signer signer;
	char path[40];
	struct gw_config config = signed_config(&signer, path);

	(void)state;
	chmod(path, 0666);
	assert_null(gw_tenants_make(&config.tenants_options, &trouble));
	assert_string_equal(trouble.what, "all users of this machine may write it");
	config.tenants_options.keys_file = "/tmp";
	assert_null(gw_tenants_make(&config.tenants_options, &trouble));
	assert_string_equal(trouble.what, "it is no regular file");
	gw_tenants_free(config.tenants);
	signer_close(&signer);
	unlink(path);
}

static void base64url_has_one_spelling(void **state)
{
	uint8_t to[16];

	(void)state;
	assert_int_equal(gw_base64url("", 0, to), 0);
	assert_int_equal(gw_base64url("_-8", 3, to), 2);
	assert_memory_equal(to, "\xff\xef", 2);
	assert_int_equal(gw_base64url("_-9", 3, to), -1); /* bits behind the last byte */
	assert_int_equal(gw_base64url("A", 1, to), -1);
	assert_int_equal(gw_base64url("AA==", 4, to), -1);
	assert_int_equal(gw_base64url("A+/A", 4, to), -1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(good_tokens_are_taken),
	cmocka_unit_test(refused_tokens_are_remembered),
	cmocka_unit_test(a_token_may_become_good),
	cmocka_unit_test(a_token_names_its_key),
	cmocka_unit_test(times_have_a_leeway),
	cmocka_unit_test(signed_and_refused),
	cmocka_unit_test(broken_tokens_are_refused),
	cmocka_unit_test(broken_key_sets),
	cmocka_unit_test(a_key_that_is_not_there_is_told),
	cmocka_unit_test(keys_that_all_may_write),
	cmocka_unit_test(base64url_has_one_spelling),
};
CMOCKA_TESTS(jwt, tests);
