/* SPDX-License-Identifier: Apache-2.0 */
/* forward_test.c - which fields and trailers pass, both ways, and what the gateway adds. */
#include "tests/kit/cmocka/run.h"

#include <stdlib.h>
#include <string.h>

#include "tools/gateway/proxy.h"

/* answer.c calls it, and nothing here leads there. */
void gw_proxy_cancel(struct gw_exchange *x)
{
	(void)x;
	fail_msg("nothing is asked of an upstream");
}

/* An exchange that has come as far as its upstream request. */
struct passing {
	struct gateway gateway;
	struct gw_loop loop;
	struct gw_config config;
	struct gw_route route;
	struct gw_target target;
	struct gw_view view;
	struct kolk_http_request_head head;
	struct gw_passed passed;
	struct gw_exchange x;
	struct kolk_http_request request;
	struct kolk_http_answer answer;
};

static int make(void **state)
{
	struct passing *p = calloc(1, sizeof *p);

	assert_non_null(p);
	p->loop.gateway = &p->gateway;
	p->target.route = &p->route;
	p->view.config = &p->config;
	p->head = (struct kolk_http_request_head){ .size = sizeof p->head, .version = 11,
						   .method = "GET", .target = "/",
						   .authority = "a.test", .scheme = "http" };
	p->x = (struct gw_exchange){ .loop = &p->loop, .view = &p->view, .target = &p->target,
				     .head = &p->head, .passed = &p->passed, .client = "192.0.2.1",
				     .tenant = "" };
	p->request = (struct kolk_http_request)KOLK_INIT(kolk_http_request);
	p->answer = (struct kolk_http_answer)KOLK_INIT(kolk_http_answer);
	*state = p;
	return 0;
}

static int unmake(void **state)
{
	struct passing *p = *state;

	gw_fields_free(&p->loop.fields);
	gw_trailers_reset(&p->passed.up_trailers);
	gw_trailers_reset(&p->passed.down_trailers);
	free(p);
	return 0;
}

/* The upstream's view of a request for this target. */
static const char *target_of(struct passing *p, const char *target)
{
	p->head.target = target;
	assert_true(gw_forward_request(&p->x, &p->request));
	return p->request.target;
}

/* The upstream's view of a request with these fields. */
static void pass(struct passing *p, const struct kolk_http_field *fields, uint32_t count)
{
	p->head.fields = fields;
	p->head.field_count = count;
	assert_true(gw_forward_request(&p->x, &p->request));
}

#define PASS(p, fields) pass(p, fields, sizeof(fields) / sizeof *(fields))

static const char *passed(const struct passing *p, const char *name)
{
	return kolk_http_field(p->request.fields, p->request.field_count, name);
}

/* ---- fields */

static void only_proxies_name_the_client(void **state)
{
	static const struct kolk_http_field given[] = {
		{ "cf-connecting-ip", "6.6.6.6" }, { "cf-connecting-ipv6", "6.6.6.6" },
		{ "client-cert", "6.6.6.6" }, { "client-cert-chain", "6.6.6.6" },
		{ "client-ip", "6.6.6.6" }, { "fastly-client-ip", "6.6.6.6" },
		{ "forwarded-for", "6.6.6.6" }, { "true-client-ip", "6.6.6.6" },
		{ "x-azure-clientip", "6.6.6.6" }, { "x-azure-socketip", "6.6.6.6" },
		{ "x-client-ip", "6.6.6.6" }, { "x-cluster-client-ip", "6.6.6.6" },
		{ "x-envoy-external-address", "6.6.6.6" },
		{ "x-original-forwarded-for", "6.6.6.6" }, { "x-original-host", "6.6.6.6" },
		{ "x-original-url", "6.6.6.6" }, { "x-originating-ip", "6.6.6.6" },
		{ "x-real-ip", "6.6.6.6" }, { "x-remote-addr", "6.6.6.6" },
		{ "x-remote-ip", "6.6.6.6" }, { "x-rewrite-url", "6.6.6.6" },
		{ "x-forwarded", "6.6.6.6" }, { "x-forwarded-port", "6.6.6.6" },
		{ "x-forwarded-client-cert", "6.6.6.6" },
	};
	const size_t count = sizeof given / sizeof *given;
	struct passing *p = *state;

	PASS(p, given);
	for (size_t i = 0; i < count; i++)
		if (passed(p, given[i].name) != NULL)
			fail_msg("%s passes", given[i].name);
	assert_string_equal(passed(p, "x-forwarded-for"), "192.0.2.1");
	p->x.trusted = true;
	PASS(p, given);
	for (size_t i = 0; i < count; i++)
		if (passed(p, given[i].name) == NULL)
			fail_msg("%s does not pass", given[i].name);
}

/* CGI, and what comes from it, makes HTTP_X_TENANT of both x-tenant and x_tenant. */
static void underscores_stay_behind(void **state)
{
	static const struct kolk_http_field given[] = {
		{ "x_forwarded_for", "6.6.6.6" }, { "x-forwarded_for", "6.6.6.6" },
		{ "x_tenant", "root" }, { "content_length", "6" }, { "x-end", "a_b" },
	};
	struct passing *p = *state;

	for (p->x.trusted = false;; p->x.trusted = true) {
		PASS(p, given);
		for (size_t i = 0; i < 4; i++)
			assert_null(passed(p, given[i].name));
		assert_string_equal(passed(p, "x-end"), "a_b");
		assert_true(gw_forward_request_trailers(&p->x, given, 5));
		assert_string_equal(p->passed.up_trailers.at[0].name, "x-end");
		gw_trailers_reset(&p->passed.up_trailers);
		if (p->x.trusted)
			break;
	}
}

/* The upstream would take the request for one of no tenant, or of its default. */
static void the_tenant_is_not_named_away(void **state)
{
	static const struct kolk_http_field given[] = {
		{ "connection", "close, x-tenant, x-mine, authorization" },
		{ "x-tenant", "alice" }, { "authorization", "Bearer t" }, { "x-mine", "1" },
	};
	struct passing *p = *state;

	p->x.trusted = true;
	PASS(p, given);
	assert_null(passed(p, "x-tenant")); /* a field as any other */
	p->x.tenant = "alice";
	p->config.tenants_options.from = GW_TENANTS_HEADER;
	p->config.tenants_options.header = "x-tenant";
	PASS(p, given);
	assert_string_equal(passed(p, "x-tenant"), "alice");
	assert_null(passed(p, "authorization"));
	assert_null(passed(p, "x-mine"));
	assert_null(passed(p, "connection"));
	p->config.tenants_options.from = GW_TENANTS_JWT;
	PASS(p, given);
	assert_string_equal(passed(p, "authorization"), "Bearer t");
	assert_null(passed(p, "x-tenant"));
}

static void an_answer_has_one_request_id(void **state)
{
	static const struct kolk_http_field given[] = { { "x-request-id", "of the upstream" } };
	const struct kolk_http_head head = { .status = 200, .version = 11, .fields = given,
					     .field_count = 1 };
	struct passing *p = *state;

	assert_true(gw_forward_answer(&p->x, &head, &p->answer));
	assert_int_equal(p->answer.field_count, 2); /* and via */
	p->route.request_id = 1;
	strcpy(p->x.request_id, "mine");
	assert_true(gw_forward_answer(&p->x, &head, &p->answer));
	assert_int_equal(p->answer.field_count, 2);
	assert_string_equal(kolk_http_field(p->answer.fields, 2, "x-request-id"), "mine");
}

/* ---- target and scheme */

static void a_long_query_survives_the_prefix(void **state)
{
	static char target[8192] = "/api?";
	struct passing *p = *state;

	p->route.path = "/api";
	p->target.path_size = 4;
	p->route.strip_prefix = 1;
	assert_string_equal(target_of(p, "/api"), "/");
	assert_string_equal(target_of(p, "/api?q"), "/?q");
	assert_string_equal(target_of(p, "/api/?q"), "/?q");
	for (size_t size = 6; size < sizeof target; size++) { /* each makes the memory larger */
		target[size - 1] = 'q';
		assert_int_equal(strlen(target_of(p, target)), size - 4 + 1);
		assert_int_equal(strncmp(p->request.target, "/?qq", size < 7 ? 3 : 4), 0);
	}
}

/* "GET https://a.test/ HTTP/1.1" without TLS is the client's word alone. */
static void the_scheme_is_the_connections(void **state)
{
	struct passing *p = *state;

	p->head.scheme = "https";
	target_of(p, "/");
	assert_string_equal(p->request.scheme, "http");
	p->head.scheme = "http";
	p->x.tls = true;
	target_of(p, "/");
	assert_string_equal(p->request.scheme, "https");
}

/* ---- upgrades */

/* What the upstream is asked to switch to. */
static const char *upgrade_of(struct passing *p, const char *asked)
{
	p->head.upgrade = asked;
	p->head.trailers_accepted = 1;
	target_of(p, "/");
	assert_int_equal(p->request.trailers_accepted, p->request.upgrade == NULL);
	return p->request.upgrade != NULL ? p->request.upgrade : "";
}

/* A protocol that the gateway does not read is a tunnel past it: each has to be allowed. */
static void a_route_lists_its_upgrades(void **state)
{
	static const char *const upgrades[] = { "irc/7", "x", NULL }, *const none[] = { NULL };
	struct passing *p = *state;

	assert_string_equal(upgrade_of(p, "websocket"), "websocket");
	assert_string_equal(upgrade_of(p, "WebSocket"), "WebSocket");
	assert_string_equal(upgrade_of(p, "websocket/13"), "");
	assert_string_equal(upgrade_of(p, "websocket, x"), "");
	assert_string_equal(upgrade_of(p, "TLS/1.0"), "");
	assert_string_equal(upgrade_of(p, "h2"), "");
	assert_string_equal(upgrade_of(p, NULL), "");
	p->route.upgrades = upgrades;
	assert_string_equal(upgrade_of(p, "websocket"), "");
	assert_string_equal(upgrade_of(p, "IRC/7"), "IRC/7");
	assert_string_equal(upgrade_of(p, "x"), "x");
	p->route.upgrades = none;
	assert_string_equal(upgrade_of(p, "websocket"), "");
	assert_string_equal(upgrade_of(p, "none"), "");
	p->route.upgrades = NULL;
	p->head.body_size = 3;
	assert_string_equal(upgrade_of(p, "websocket"), "");
}

/* ---- trailers */

/* A recipient may add trailers to the fields of the head (RFC 9110, section 6.5): none may say what
 * the gateway decided by the head. */
static void trailers_say_nothing_of_who_asks(void **state)
{
	static const struct kolk_http_field given[] = {
		{ "x-forwarded-for", "6.6.6.6" }, { "forwarded", "for=6.6.6.6" },
		{ "x-real-ip", "6.6.6.6" }, { "x-tenant", "root" }, { "authorization", "Bearer x" },
		{ "proxy-authorization", "Basic x" }, { "cookie", "a=b" }, { "via", "1.1 x" },
		{ "x-request-id", "1" }, { "transfer-encoding", "chunked" }, { "x-sum", "7" },
		{ "grpc-status", "0" },
	};
	struct passing *p = *state;

	p->config.tenants_options.from = GW_TENANTS_HEADER;
	p->config.tenants_options.header = "x-tenant";
	for (p->x.trusted = false;; p->x.trusted = true) {
		assert_true(gw_forward_request_trailers(&p->x, given,
							sizeof given / sizeof *given));
		assert_string_equal(p->passed.up_trailers.at[0].name, "x-sum");
		assert_string_equal(p->passed.up_trailers.at[0].value, "7");
		assert_string_equal(p->passed.up_trailers.at[1].name, "grpc-status");
		assert_null(p->passed.up_trailers.at[2].name);
		gw_trailers_reset(&p->passed.up_trailers);
		if (p->x.trusted)
			break;
	}
	assert_true(gw_forward_request_trailers(&p->x, NULL, 0));
	assert_null(p->passed.up_trailers.at[0].name);
}

static void trailers_of_an_answer_allow_no_origin(void **state)
{
	static const struct kolk_http_field given[] = {
		{ "access-control-allow-origin", "*" }, { "via", "1.1 x" }, { "te", "x" },
		{ "x-request-id", "1" }, { "grpc-status", "0" },
	};
	struct passing *p = *state;

	assert_true(gw_forward_answer_trailers(&p->x, given, sizeof given / sizeof *given));
	assert_string_equal(p->passed.down_trailers.at[0].name, "x-request-id");
	assert_string_equal(p->passed.down_trailers.at[1].name, "grpc-status");
	assert_null(p->passed.down_trailers.at[2].name);
	gw_trailers_reset(&p->passed.down_trailers);
	p->route.request_id = 1; /* the gateway says it */
	assert_true(gw_forward_answer_trailers(&p->x, given, sizeof given / sizeof *given));
	assert_string_equal(p->passed.down_trailers.at[0].name, "grpc-status");
}

static void more_trailers_than_that_are_none(void **state)
{
	struct kolk_http_field given[GW_TRAILERS_MAX + 1];
	struct passing *p = *state;

	for (size_t i = 0; i <= GW_TRAILERS_MAX; i++)
		given[i] = (struct kolk_http_field){ "x-sum", "7" };
	assert_false(gw_forward_request_trailers(&p->x, given, GW_TRAILERS_MAX + 1));
	assert_false(gw_forward_answer_trailers(&p->x, given, GW_TRAILERS_MAX + 1));
	assert_true(gw_forward_request_trailers(&p->x, given, GW_TRAILERS_MAX));
	assert_string_equal(p->passed.up_trailers.at[GW_TRAILERS_MAX - 1].name, "x-sum");
}

/* The library does not check again what it has read itself; all else it does. */
static void what_was_read_is_known_to_be_checked(void **state)
{
	static const struct kolk_http_field given[] = {
		{ "connection", "x-mine, x-tenant" }, { "accept", "*/*" }, { "x-mine", "1" },
		{ "x-tenant", "alice" }, { "x-end", "2" },
	};
	static const struct kolk_http_field answered[] = { { "keep-alive", "timeout=1" },
							   { "etag", "3" } };
	struct kolk_http_head head = { .status = 200, .version = 11, .fields = answered,
				       .field_count = 2 };
	struct passing *p = *state;

	PASS(p, given);
	assert_int_equal(p->request.fields_checked, p->request.field_count);
	assert_string_equal(p->request.fields[0].name, "accept");
	assert_string_equal(p->request.fields[1].name, "x-end");
	assert_true(p->request.field_count > 2);
	p->route.request_id = 1; /* the client may choose it */
	PASS(p, given);
	assert_int_equal(p->request.fields_checked, p->request.field_count - 1);
	p->route.request_id = 0;
	p->x.tenant = "alice"; /* its field passes although Connection names it */
	p->config.tenants_options.from = GW_TENANTS_HEADER;
	p->config.tenants_options.header = "x-tenant";
	PASS(p, given);
	assert_string_equal(passed(p, "x-tenant"), "alice");
	assert_int_equal(p->request.fields_checked, 0);
	p->x.tenant = "";
	p->head.version = 20;
	PASS(p, given);
	assert_int_equal(p->request.fields_checked, 0);
	assert_true(gw_forward_answer(&p->x, &head, &p->answer));
	assert_int_equal(p->answer.fields_checked, p->answer.field_count);
	assert_string_equal(p->answer.fields[0].name, "etag");
	assert_true(p->answer.field_count > 1);
	head.version = 20;
	assert_true(gw_forward_answer(&p->x, &head, &p->answer));
	assert_int_equal(p->answer.fields_checked, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)
static const struct CMUnitTest tests[] = {
	TEST(only_proxies_name_the_client),
	TEST(underscores_stay_behind),
	TEST(the_tenant_is_not_named_away),
	TEST(an_answer_has_one_request_id),
	TEST(a_long_query_survives_the_prefix),
	TEST(the_scheme_is_the_connections),
	TEST(a_route_lists_its_upgrades),
	TEST(trailers_say_nothing_of_who_asks),
	TEST(trailers_of_an_answer_allow_no_origin),
	TEST(more_trailers_than_that_are_none),
	TEST(what_was_read_is_known_to_be_checked),
};
CMOCKA_TESTS(forward, tests);
