/* SPDX-License-Identifier: Apache-2.0 */
/* locale_test.c - what is served, and who may ask, is the same in every locale. */
#include "tests/kit/cmocka/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <jansson.h>
#include <kolk/kolk.h>
#include <kolk/ops/admin.h>
#include <kolk/ops/config.h>

#include "tests/kit/locale.h"
#include "tests/kit/origin.h"
#include "tools/ops/admin.h"
#include "tools/ops/guard.h"

#define TOKEN "sixteen or more bytes"

/* ---- Turkish: "i" and "I" are two letters */

static void words_of_requests(void **state)
{
	static char own[] = "status.internal", *hosts[] = { own, NULL };
	struct kolk__admin_server server = { .tcp = true, .hosts = hosts };
	struct kolk__request request = { .content_type = "APPLICATION/JSON",
					 .content_encoding = "IDENTITY",
					 .host = "STATUS.INTERNAL:80",
					 .origin = "HTTP://status.internal:80" };

	(void)state;
	kit_locale_enter("tr_TR");
	assert_true(kolk__is_json(&request));
	assert_null(kolk__cross_origin(&server, &request));
}

/* One request to an admin server of its own; the status. */
static int ask(const char *request)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_admin_options o = KOLK_INIT(kolk_admin_options);
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct kolk_engine *engine;
	struct kolk_admin *admin;
	char answer[4096] = "";
	int fd = socket(AF_INET, SOCK_STREAM, 0), status = 0;

	e.loops = 1;
	o.listen = "127.0.0.1:0";
	o.token = TOKEN;
	o.token_size = sizeof TOKEN - 1;
	assert_int_equal(kolk_engine_create(&e, &engine), KOLK_OK);
	assert_int_equal(kolk_admin_open(engine, &o, &admin), KOLK_OK);
	in.sin_port = htons((uint16_t)atoi(strrchr(kolk_admin_address(admin), ':') + 1));
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (void *)&in, sizeof in), 0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	(void)recv(fd, answer, sizeof answer - 1, 0);
	close(fd);
	kolk_admin_close(admin);
	assert_int_equal(kolk_engine_destroy(engine), KOLK_OK);
	(void)sscanf(answer, "HTTP/1.1 %d", &status);
	return status;
}

#define END "Host: localhost\r\nConnection: close\r\n\r\n"

static void framing_of_requests(void **state)
{
	(void)state;
	kit_locale_enter("tr_TR");
	assert_int_equal(ask("GET /metrics HTTP/1.1\r\n"
			     "AUTHORIZATION: Bearer " TOKEN "\r\n" END), 200);
	assert_int_equal(ask("POST /api/evict HTTP/1.1\r\nAuthorization: Bearer " TOKEN "\r\n"
			     "SEC-FETCH-SITE: cross-site\r\nContent-Length: 0\r\n" END), 403);
	assert_int_equal(ask("POST /api/evict HTTP/1.1\r\nAuthorization: Bearer " TOKEN "\r\n"
			     "CONTENT-TYPE: application/json\r\nTRANSFER-ENCODING: chunked\r\n"
			     "CONTENT-LENGTH: 2\r\n" END "2\r\n{}\r\n0\r\n\r\n"), 400);
}

/* ---- German: a comma in numbers, and messages in German where they are installed */

static bool has_comma(const char *text)
{
	for (const char *at = text; *at != 0; at++)
		if (*at == ',' && at > text && at[-1] >= '0' && at[-1] <= '9' && at[1] >= '0' &&
		    at[1] <= '9')
			return true;
	return false;
}

/* What is asked for, on an engine with a pool that alerts; for the caller to free. */
static char *answer_of(const char *path)
{
	const struct kolk__request request = { .method = "GET", .path = path };
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct kolk__response response = { 0 };
	struct kolk__admin_server server = { .wait_ns = KOLK_S_NS };
	struct kolk_pool *pool;
	struct kolk_lease lease;
	struct kit_origin *origin = kit_origin_open(&(struct kit_origin_options){ 0 });
	char address[64], *text;

	(void)snprintf(address, sizeof address, "127.0.0.1:%u", kit_origin_port(origin));
	e.loops = 1;
	p.name = "a";
	p.address = address;
	e.connections_max = 1; /* all are open: an alert with a ratio */
	assert_int_equal(kolk_engine_create(&e, &server.engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(server.engine, &p, &pool), KOLK_OK);
	assert_int_equal(kolk_acquire(kolk_pool_key(pool), kolk_in_ms(5000), &lease), KOLK_OK);
	kolk__answer(&server, &request, &response);
	kolk__latencies_free(&server.trend.latencies);
	assert_int_equal(response.status, 200);
	text = strndup(response.body, response.size);
	free(response.owned);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(server.engine), KOLK_OK);
	kit_origin_close(origin);
	return text;
}

static void numbers_of_answers(void **state)
{
	json_t *json;
	char *text;

	(void)state;
	kit_locale_enter("de_DE");
	assert_true(strtod("1,5", NULL) > 1.4);
	text = answer_of("/metrics");
	assert_non_null(strstr(text, "kolk_"));
	assert_false(has_comma(text));
	free(text);
	text = answer_of("/api/pool-status");
	json = json_loads(text, 0, NULL);
	assert_non_null(json);
	assert_non_null(strstr(text, "\"ratio\":1.0"));
	json_decref(json);
	free(text);
}

/* What the system calls an error goes into answers and logs: in one language and encoding. */
static void words_of_errors(void **state)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config = NULL;

	(void)state;
	kit_locale_enter("de_DE");
	assert_int_equal(kolk_config_load("/nowhere/kolk.yaml", NULL, &config, &error),
			 KOLK_E_NOT_FOUND);
	if (strcmp(strerror(ENOENT), "No such file or directory") == 0)
		print_message("no German messages are installed (package libc-l10n)\n");
	assert_non_null(strstr(error.message, "No such file or directory"));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_teardown(words_of_requests, kit_locale_leave),
	cmocka_unit_test_teardown(framing_of_requests, kit_locale_leave),
	cmocka_unit_test_teardown(numbers_of_answers, kit_locale_leave),
	cmocka_unit_test_teardown(words_of_errors, kit_locale_leave),
};

CMOCKA_TESTS(locale, tests);
