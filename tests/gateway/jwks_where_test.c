/* SPDX-License-Identifier: Apache-2.0 */
/* jwks_where_test.c - URLs of key sets, good and bad. */
#include "tests/kit/cmocka/run.h"

#include <stdlib.h>
#include <string.h>

#include "tools/gateway/jwt/jwks_url.h"

static void good_urls_are_taken_apart(void **state)
{
	static const struct {
		const char *text, *address, *authority, *target;
		bool tls;
	} good[] = {
		{ "https://id.test/jwks.json", "id.test:443", "id.test", "/jwks.json", true },
		{ "https://id.test", "id.test:443", "id.test", "/", true },
		{ "https://ID.test:8443/a?b=c/d", "ID.test:8443", "ID.test:8443", "/a?b=c/d", true },
		{ "https://192.0.2.1/", "192.0.2.1:443", "192.0.2.1", "/", true },
		{ "https://[2001:db8::1]:444/k", "[2001:db8::1]:444", "[2001:db8::1]:444", "/k", true },
		{ "https://[::1]/k", "[::1]:443", "[::1]", "/k", true },
		{ "http://127.0.0.1:8080/k", "127.0.0.1:8080", "127.0.0.1:8080", "/k", false },
		{ "http://localhost/k", "localhost:80", "localhost", "/k", false },
		{ "http://[::1]:1/", "[::1]:1", "[::1]:1", "/", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct gw_url url;
		const char *flaw = gw_key_url_read(good[i].text, &url);

		if (flaw != NULL)
			fail_msg("%s: %s", good[i].text, flaw);
		assert_string_equal(url.address, good[i].address);
		assert_string_equal(url.authority, good[i].authority);
		assert_string_equal(url.target, good[i].target);
		assert_int_equal(url.tls, good[i].tls);
	}
}

static void bad_urls_are_refused(void **state)
{
	static const char *const bad[] = {
		"", "id.test", "ftp://id.test/", "HTTPS://id.test/", "https:/id.test", "https://",
		"https:///k", "https://:443/k", "https://id.test:/k", "https://id.test:0/k",
		"https://id.test:65536/k", "https://id.test:443x/k", "https://id.test:+443/k",
		"https://u@id.test/", "https://u:p@id.test/k", "https://id.test?k", "https://id.test/#k",
		"https://id.test/a b", "https://id.test/\r\nx: y", "https://id.test/\x7f", "https://id.test/\xc3\xa4",
		"https://id.test/\"", "https://id.test\\k", "https://[::1/k", "https://[]/k",
		"https://[::1]k/", "https://id%41.test/", "https://id.test:443:443/",
		"http://id.test/k", "http://127.0.0.1.test/k", "http://127.test/", "http://localhost.test/",
		"http://128.0.0.1/", "http://[::2]/", "http://localhosts/",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct gw_url url;

		if (gw_key_url_read(bad[i], &url) == NULL)
			fail_msg("'%s' is taken for %s", bad[i], url.address);
	}
}

static void a_host_that_is_too_long_is_refused(void **state)
{
	char text[512] = "https://";
	struct gw_url url;

	(void)state;
	memset(text + 8, 'a', 300);
	assert_non_null(gw_key_url_read(text, &url));
	text[8 + 253] = '\0';
	assert_null(gw_key_url_read(text, &url));
	assert_int_equal(strlen(url.address), 253 + 4);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(good_urls_are_taken_apart),
	cmocka_unit_test(bad_urls_are_refused),
	cmocka_unit_test(a_host_that_is_too_long_is_refused),
};
CMOCKA_TESTS(jwks_where, tests);
