/* SPDX-License-Identifier: Apache-2.0 */
/* config_test.c - the section `gateway`: what arrives, and every mistake with its place. */
#define _GNU_SOURCE
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/kit/certs.h"
#include "tools/gateway/config/fixed.h"
#include "tools/gateway/rate.h"

static const char pools[] = "pools: [{name: api, address: 'h:1', protocol: http},\n"
			    "{name: raw, address: 'h:1'}, {name: web, address: 'tls://h.test:443', protocol: http},\n"
			    "{name: ip, address: '10.0.0.1:1', protocol: http}, {name: un, address: 'unix:/s', protocol: http}]\n"
			    "gateway:\n"; /* what follows begins in line 5 */

/* A file of that text; the message of what is wrong, or "". */
static struct gw_config *load(const char *text, char *message, size_t size)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct gw_config *config = NULL;
	char path[] = "/tmp/kolk-gateway-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_true(dprintf(fd, "%s%s", pools, text) > 0);
	close(fd);
	message[0] = 0;
	if (gw_config_load(path, &config, &error) != KOLK_OK) {
		assert_null(config);
		kolk_config_error_text(&error, message, size);
	}
	unlink(path);
	for (char *at = message; (at = strstr(at, path)) != NULL;) /* names differ: without "PATH:" */
		memmove(at, at + strlen(path) + 1, strlen(at + strlen(path) + 1) + 1);
	if (message[0] == ' ') /* no place */
		memmove(message, message + 1, strlen(message));
	return config;
}

#define LISTEN "  listen: [{address: '0.0.0.0:0'}]\n"
#define ROUTES "  routes: [{pool: api}]\n"

static bool trusts(const struct gw_config *config, const char *address, uint32_t proxied)
{
	struct kolk_stream_peer peer = { .proxied = proxied };

	snprintf(peer.address, sizeof peer.address, "%s", address);
	return gw_config_trusts(config, &peer);
}

static void expect_balancers(const struct gw_config *config)
{
	const struct gw_balancer_options *b = config->balancers;
	const struct gw_member_options *members = b->members.items;

	assert_int_equal(config->balancer_count, 2);
	assert_string_equal(b->name, "web");
	assert_int_equal(b->policy, GW_BALANCE_HASH);
	assert_int_equal(b->hash_mode, GW_HASH_BY_HEADER);
	assert_string_equal(b->hash_header, "x-kind");
	assert_int_equal(b->members.count, 1);
	assert_string_equal(members[0].pool, "api");
	assert_int_equal(members[0].weight, 3);
	assert_string_equal(b->health_path, "/up?x");
	assert_int_equal(b->health_interval_ns, KOLK_S_NS);
	assert_int_equal(b->health_timeout_ns, 2 * KOLK_S_NS);
	assert_int_equal(b->health_status, 204);
	assert_int_equal(b->healthy_after, 4);
	assert_int_equal(b->unhealthy_after, 5);
	assert_int_equal(members[0].resolve, GW_RESOLVE_NONE);
	assert_null(members[0].host);
	assert_null(members[0].authority);
	members = b[1].members.items;
	assert_int_equal(members[0].resolve, GW_RESOLVE_ADDRESSES);
	assert_string_equal(members[0].host, "h");
	assert_string_equal(members[0].port, "1");
	assert_string_equal(members[0].authority, "h:1");
	assert_false(members[0].tls);
	assert_string_equal(members[1].host, "h.test");
	assert_string_equal(members[1].authority, "h.test");
	assert_true(members[1].tls);
	assert_int_equal(b[1].dns_ttl_min_ns, 2 * KOLK_S_NS);
	assert_int_equal(b[1].dns_ttl_max_ns, 9 * KOLK_S_NS);
	assert_int_equal(b[1].dns_members_max, 7);
	assert_int_equal(b[1].dns_stale_max_ns, 3600 * KOLK_S_NS);
	assert_int_equal(b[1].dns_required, 1);
	assert_int_equal(b[1].dns_start_timeout_ns, 3 * KOLK_S_NS);
	assert_int_equal(b[1].policy, GW_BALANCE_LEAST_IN_FLIGHT);
	assert_null(b[1].health_path);
}

static void all_of_it_arrives(void **state)
{
	static const char text[] =
		"  listen:\n"
		"  - {address: '127.0.0.1:8080', streams_max: 7, proxy_protocol: true}\n"
		"  - {address: 'unix:/tmp/x.sock', unix_mode: \"0600\"}\n"
		"  - {socket: http, address: '127.0.0.1:8082'}\n"
		"  trusted_proxies: [10.0.0.0/8, '2001:db8::/33', 192.0.2.7]\n"
		"  access_log: {path: /var/log/x}\n"
		"  drain_timeout: 3s\n"
		"  warm_state_file: /var/lib/kolk/warm\n"
		"  warm_pairs_max: 50\n"
		"  warm_rate: 5\n"
		"  warm_interval: 1m\n"
		"  warm_half_life: 2h\n"
		"  server: {streams_max: 9, body_bytes_max: 1MiB}\n"
		"  routes:\n"
		"  - match: {host: API.example.com, path: /a, methods: [GET], header: 'X-Kind:  b c'}\n"
		"    pool: api\n"
		"    timeouts: {request: 2s, idle: 1s}\n"
		"    limits: {body: 2MiB, requests_per_second: 5, burst: 6}\n"
		"    host: upstream\n"
		"    strip_prefix: true\n"
		"    ambiguous_path: pass\n"
		"    upgrades: [websocket, IRC/6.9]\n"
		"    request_id: true\n"
		"    cors: {origins: ['https://x.test'], max_age: 5s, credentials: true}\n"
		"  - {answer: {status: 404, body: no, content_type: text/html}}\n"
		"  - {match: {path: /r}, redirect: {location: /s}}\n"
		"  - {match: {path: /n}, pool: api, host: 'n.test:81', tenant: none}\n"
		"  - {match: {path: /u}, pool: api, upgrades: [none]}\n"
		"  - {match: {path: /b}, balancer: web}\n"
		"  balancers:\n"
		"  - name: web\n"
		"    members: [{pool: api, weight: 3}]\n"
		"    policy: hash\n"
		"    hash_by: header X-Kind\n"
		"    health: {path: '/up?x', interval: 1s, timeout: 2s, status: 204, healthy_after: 4, "
		"unhealthy_after: 5}\n"
		"  - name: least\n"
		"    members: [{pool: api, resolve: addresses}, {pool: web, resolve: addresses}]\n"
		"    dns: {ttl_min: 2s, ttl_max: 9s, members_max: 7, stale_max: 1h, required: true, "
		"start_timeout: 3s}\n";
	char message[300];
	struct gw_config *c = load(text, message, sizeof message);
	const struct gw_route *r;

	(void)state;
	assert_string_equal(message, "");
	assert_int_equal(c->listener_count, 3);
	assert_int_equal(c->listeners[0].options.streams_max, 7);
	assert_int_equal(c->listeners[0].options.size, sizeof(struct kolk_listener_options));
	assert_int_equal(c->listeners[0].options.proxy_protocol, 1);
	assert_null(c->listeners[0].options.tls);
	assert_int_equal(c->listeners[1].options.unix_mode, 0600);
	assert_string_equal(c->listeners[2].socket_name, "http");
	assert_int_equal(c->server.size, sizeof c->server);
	assert_int_equal(c->server.streams_max, 9);
	assert_string_equal(c->access_log.path, "/var/log/x");
	assert_int_equal(c->drain_timeout_ns, 3 * KOLK_S_NS);
	assert_string_equal(c->warm.state_file, "/var/lib/kolk/warm");
	assert_int_equal(c->warm.pairs_max, 50);
	assert_int_equal(c->warm.rate, 5);
	assert_int_equal(c->warm.interval_ns, 60 * KOLK_S_NS);
	assert_int_equal(c->warm.half_life_ns, 7200 * KOLK_S_NS);
	assert_non_null(c->pools);
	assert_non_null(c->tenants);
	assert_int_equal(c->routes[0].identity, gw_rate_identity(&c->routes[0]));
	assert_int_not_equal(c->routes[0].identity, c->routes[1].identity);
	assert_int_equal(c->route_count, 6);
	r = c->routes;
	assert_string_equal(r->host, "api.example.com");
	assert_string_equal(r->header_name, "x-kind");
	assert_string_equal(r->header_value, "b c");
	assert_string_equal(r->methods[0], "GET");
	assert_int_equal(r->request_timeout_ns, 2 * KOLK_S_NS);
	assert_int_equal(r->idle_timeout_ns, KOLK_S_NS);
	assert_int_equal(r->body_bytes_max, 2 << 20);
	assert_int_equal(r->requests_per_second, 5);
	assert_int_equal(r->burst, 6);
	assert_int_equal(r->host_mode, GW_HOST_UPSTREAM);
	assert_int_equal(r->strip_prefix + r->request_id + r->cors_credentials, 3);
	assert_int_equal(r->ambiguous_path, GW_AMBIGUOUS_PASS);
	assert_int_equal(r[3].ambiguous_path, GW_AMBIGUOUS_REFUSE);
	assert_string_equal(r->upgrades[1], "IRC/6.9");
	assert_null(r[3].upgrades);
	assert_null(r[4].upgrades[0]);
	assert_string_equal(r->cors_origins[0], "https://x.test");
	assert_int_equal(r->tenant, GW_TENANT_REQUIRED);
	assert_int_equal(r[1].action, GW_ACTION_ANSWER);
	assert_int_equal(r[1].tenant, GW_TENANT_NONE);
	assert_int_equal(r[1].answer_status, 404);
	assert_int_equal(r[1].index, 1);
	assert_int_equal(r[2].action, GW_ACTION_REDIRECT);
	assert_string_equal(r[2].redirect_location, "/s");
	assert_int_equal(r[2].tenant, GW_TENANT_NONE);
	assert_int_equal(r[3].tenant, GW_TENANT_NONE);
	assert_int_equal(r[3].host_mode, GW_HOST_NAME);
	assert_string_equal(r[3].host_name, "n.test:81");
	assert_true(trusts(c, "10.255.0.1", 0));
	assert_true(trusts(c, "::ffff:10.1.1.1", 0));
	assert_true(trusts(c, "2001:db8:7fff::1", 0));
	assert_true(trusts(c, "192.0.2.7", 0));
	assert_true(trusts(c, "192.0.2.7", 1));
	assert_true(trusts(c, "", 0));
	assert_false(trusts(c, "", 1));
	assert_false(trusts(c, "11.0.0.1", 0));
	assert_false(trusts(c, "2001:db8:8000::1", 0));
	assert_false(trusts(c, "192.0.2.8", 0));
	assert_false(trusts(c, "x", 0));
	assert_string_equal(r[5].balancer, "web");
	assert_int_equal(r[5].action, GW_ACTION_POOL);
	expect_balancers(c);
	gw_config_free(c);
	gw_config_free(NULL);
}

static void shares_are_read(void **state)
{
	static const struct {
		const char *sample;
		uint64_t from;
	} shares[] = { { "0", UINT64_C(1) << 56 }, { "1", 0 }, { "1.0", 0 }, { "0.5", UINT64_C(1) << 55 },
		       { "0.25", UINT64_C(3) << 54 } };
	char text[400], message[300];

	(void)state;
	for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
		struct gw_config *config;

		snprintf(text, sizeof text, LISTEN ROUTES
			 "  tracing: {endpoint: 'http://c.test:4318/v1/traces', sample: %s, "
			 "interval: 2s, queue_max: 16, parents: trusted}\n", shares[i].sample);
		config = load(text, message, sizeof message);
		assert_string_equal(message, "");
		assert_int_equal(config->tracing.sample_from, shares[i].from);
		assert_int_equal(config->tracing.interval_ns, 2 * KOLK_S_NS);
		assert_int_equal(config->tracing.queue_max, 16);
		assert_int_equal(config->tracing.parents, GW_PARENTS_TRUSTED);
		gw_config_free(config);
	}
}

/* What a reload cannot change, one option after the other. */
static void options_for_life_are_compared(void **state)
{
	static const char first[] = "  listen: [{address: '0.0.0.0:0'}, {address: 'unix:/x'}]\n" ROUTES;
	static const struct {
		const char *text, *changes;
	} next[] = {
		{ "  listen: [{address: '0.0.0.0:0'}, {address: 'unix:/x'}]\n"
		  "  routes: [{answer: {}}]\n", "" },
		{ "  listen: [{address: '0.0.0.0:0', streams_max: 10000, keepalive: 60s}, "
		  "{address: 'unix:/x'}]\n" ROUTES, "" }, /* the defaults, written out */
		{ "  listen: [{address: '0.0.0.0:0', streams_max: 3, proxy_protocol: true}, "
		  "{address: 'unix:/x', unix_mode: '0600', unix_owner: root}]\n" ROUTES
		  "  server: {header_timeout: 3s}\n  access_log: {path: \"-\"}\n"
		  "  warm_state_file: /x\n  warm_rate: 3\n  warm_half_life: 1h\n",
		  "streams_max of listen 1, proxy_protocol of listen 1, unix_owner of listen 2, "
		  "unix_mode of listen 2, header_timeout of server, path of access_log, "
		  "warm_state_file, warm_rate, warm_half_life" },
	};
	char message[300], changes[400], *before, *after;
	struct gw_config *config = load(first, message, sizeof message);

	(void)state;
	assert_string_equal(message, "");
	before = gw_config_fixed(config);
	gw_config_free(config);
	for (size_t i = 0; i < sizeof next / sizeof next[0]; i++) {
		config = load(next[i].text, message, sizeof message);
		assert_string_equal(message, "");
		after = gw_config_fixed(config);
		gw_config_fixed_changes(before, after, changes, sizeof changes);
		assert_string_equal(changes, next[i].changes);
		gw_config_fixed_changes(before, after, changes, 8); /* what fits */
		assert_true(strlen(changes) < 8);
		gw_config_free(config);
		free(after);
	}
	free(before);
}

static const struct {
	const char *text, *message;
} bad[] = {
#include "tests/gateway/config_bad.inc"
};

static void mistakes_have_a_place(void **state)
{
	char message[3000];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct gw_config *config = load(bad[i].text, message, sizeof message);

		if (config != NULL)
			fail_msg("this is taken:\n%s", bad[i].text);
		if (strcmp(message, bad[i].message) != 0)
			fail_msg("of\n%s\n  \"%s\"\nwas expected, not\n  \"%s\"", bad[i].text,
				 bad[i].message, message);
	}
}

static void the_example_is_right(void **state)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct gw_config *config;
	char message[600];

	(void)state;
	if (gw_config_load(GATEWAY_FILES "/kolk-gateway.yaml", &config, &error) != KOLK_OK) {
		kolk_config_error_text(&error, message, sizeof message);
		fail_msg("%s", message);
	}
	assert_string_equal(config->listeners[0].options.address, "0.0.0.0:8080");
	assert_int_equal(config->route_count, 4);
	gw_config_free(config);
	assert_int_equal(gw_config_load("/nowhere.yaml", &config, NULL), KOLK_E_NOT_FOUND);
}

static void files_of_tls_are_read(void **state)
{
	static const char form[] = "  listen: [{address: '0.0.0.0:0', tls: {certificate_file: %s, "
				   "key_file: %s}}]\n" ROUTES;
	struct kit_certs certs;
	char text[1024], message[600];
	struct gw_config *config;

	(void)state;
	assert_true(kit_certs_open(&certs));
	snprintf(text, sizeof text, form, certs.first.pem, certs.first.key);
	config = load(text, message, sizeof message);
	assert_string_equal(message, "");
	assert_ptr_equal(config->listeners[0].options.tls, &config->listeners[0].tls);
	assert_string_equal(config->listeners[0].tls.alpn[0], "h2");
	assert_ptr_equal(config->listeners[0].tls.certificates, &config->listeners[0].certificate);
	gw_config_free(config);
	snprintf(text, sizeof text, form, certs.first.pem, certs.second.key);
	assert_null(load(text, message, sizeof message));
	assert_non_null(strstr(message, "'key_file' is not the key of 'certificate_file'"));
	snprintf(text, sizeof text, form, "/nowhere", certs.first.key);
	assert_null(load(text, message, sizeof message));
	assert_string_equal(message, "5:59: 'certificate_file' cannot be read: No such file or "
				     "directory: write the path of a PEM file that this user may "
				     "read");
	snprintf(text, sizeof text, form, certs.first.key, certs.first.key);
	assert_null(load(text, message, sizeof message));
	assert_non_null(strstr(message, "what 'certificate_file' names is not understood"));
	snprintf(text, sizeof text, form, certs.first.pem, certs.first.key);
	assert_int_equal(chmod(certs.first.key, 0602), 0);
	assert_null(load(text, message, sizeof message));
	assert_non_null(strstr(message, "all users of this machine may write 'key_file': chmod o-w"));
	kit_certs_close(&certs);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(all_of_it_arrives),
	cmocka_unit_test(shares_are_read),
	cmocka_unit_test(options_for_life_are_compared),
	cmocka_unit_test(mistakes_have_a_place),
	cmocka_unit_test(the_example_is_right),
	cmocka_unit_test(files_of_tls_are_read),
};
CMOCKA_TESTS(config, tests);
