/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reuse_test.c - the wrong reuses that other pools had to publish, one test each: what was not
 * compared there is compared here. What needs a handshake to show is in wire/reuse_test.c.
 */
#include "tests/unit/unit.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/engine.h"
#include "core/settings.h"
#include "tests/kit/cert.h"

/* ---- identities: keys of one pool */

struct who {
	const char *tenant, *session;
	const void *credential;
	uint32_t size;
};

static struct kolk_key *open_key(struct fixture *fix, struct who who)
{
	return key_with(fix->pool, (struct kolk_key_options){ .tenant = who.tenant,
							      .session = who.session,
							      .credential = who.credential,
							      .credential_size = who.size });
}

/* Lease and release: the number of the connection. */
static uint64_t use(struct fixture *fix, struct kolk_key *key)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct kolk_lease lease;

	assert_int_equal(kolk_acquire(key, kolk__sim_now(fix->sim) + KOLK_S_NS, &lease), KOLK_OK);
	assert_int_equal(kolk_lease_info(&lease, &info), KOLK_OK);
	assert_ptr_equal(info.key, key);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	return info.connection;
}

/* Each gets its own connection, again and again, and an equal one the same. */
static void never_shared(void **state, struct who a, struct who b)
{
	struct fixture *fix = *state;
	struct kolk_key *one = open_key(fix, a), *same = open_key(fix, a), *other = open_key(fix, b);
	uint64_t mine, theirs;

	assert_ptr_equal(one, same);
	assert_ptr_not_equal(one, other);
	mine = use(fix, one);
	theirs = use(fix, other);
	assert_int_not_equal(mine, theirs);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(use(fix, other), theirs);
		assert_int_equal(use(fix, same), mine);
	}
	kolk_key_close(one);
	kolk_key_close(same);
	kolk_key_close(other);
}

static struct who credential(const char *bytes, uint32_t size)
{
	return (struct who){ .tenant = "t", .credential = bytes, .size = size };
}

static void cve_2014_0015_credentials(void **state)
{
	never_shared(state, credential("alice:1", 7), credential("bob:2", 5));
}

/* Not meant as a login: the driver is the raw one and knows of no protocol. */
static void cve_2014_0138_any_protocol(void **state)
{
	never_shared(state, credential("scp", 3), credential("pop3", 4));
}

static void cve_2015_3143_anonymous_is_an_identity(void **state)
{
	struct fixture *fix = *state;

	never_shared(state, credential("x", 1), credential(NULL, 0));
	assert_ptr_equal(open_key(fix, (struct who){ 0 }), fix->key);
	kolk_key_close(fix->key);
}

static void cve_2016_8616_credentials_by_case(void **state)
{
	never_shared(state, credential("Secret", 6), credential("secret", 6));
}

/* All kinds of credentials are bytes: with zeros inside, and of any length. */
static void cve_2022_22576_bearer_tokens(void **state)
{
	never_shared(state, credential("token\0a", 7), credential("token\0b", 7));
	never_shared(state, credential("token", 5), credential("token\0", 6));
	never_shared(state, credential("token", 5), credential("token1", 6));
}

/* What was said in a session's preamble (an account, SET ROLE, CLIENT SETNAME). */
static void cve_2023_27535_session_parameters(void **state)
{
	never_shared(state, (struct who){ "t", "account=1", "c", 1 },
		     (struct who){ "t", "account=2", "c", 1 });
	never_shared(state, (struct who){ "t", "s", NULL, 0 }, (struct who){ "ts", "", NULL, 0 });
	never_shared(state, (struct who){ "t", "s", NULL, 0 }, (struct who){ "T", "s", NULL, 0 });
}

/* A connection remembered by its place: another one lies there now. */
static void cve_2020_8231_a_handle_of_a_recycled_place(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key *a = open_key(fix, credential("a", 1)), *b = open_key(fix, credential("b", 1));
	uint64_t deadline_ns = kolk__sim_now(fix->sim) + 10 * KOLK_S_NS;
	struct kolk_lease old, now;
	size_t size;
	char byte;

	assert_int_equal(kolk_engine_connections_max_set(fix->engine, 1), KOLK_OK);
	assert_int_equal(kolk_acquire(a, deadline_ns, &old), KOLK_OK);
	for (int i = 0; i < 100; i++) { /* so that the number of leases agrees again and again */
		struct kolk_lease copy = old;

		assert_int_equal(kolk_discard(&copy), KOLK_OK);
		fixture_run(fix, 5 * KOLK_MS_NS);
		assert_int_equal(kolk_acquire(i % 2 ? a : b, deadline_ns + (uint64_t)i * KOLK_S_NS,
					      &now), KOLK_OK);
		assert_ptr_equal(now.connection, old.connection);
		assert_int_equal(kolk_release(&old), KOLK_E_LEASE_STALE);
		assert_int_equal(kolk_send_all(&old, "x", 1, KOLK_FOREVER), KOLK_E_LEASE_STALE);
		assert_int_equal(kolk_recv(&old, &byte, 1, KOLK_FOREVER, &size),
				 KOLK_E_LEASE_STALE);
		assert_int_equal(kolk_discard(&old), KOLK_E_LEASE_STALE);
		old = now;
	}
	assert_int_equal(kolk_release(&now), KOLK_OK);
	kolk_key_close(a);
	kolk_key_close(b);
}

/* What the thread used last for a key is not remembered for the key that lies there next. */
static void cve_2020_8231_a_key_of_a_recycled_place(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key *last = NULL;
	uint32_t recycled = 0;
	uint64_t number = 0;

	assert_int_equal(kolk_engine_connections_max_set(fix->engine, 1), KOLK_OK);
	for (int i = 0; i < 50; i++) {
		char name[2] = { (char)('A' + i), 0 };
		struct kolk_key *key = open_key(fix, (struct who){ .tenant = name });
		uint64_t now = use(fix, key);

		recycled += key == last;
		assert_int_not_equal(now, number);
		number = now;
		last = key;
		kolk_key_close(key);
		assert_true(kolk_pool_clear(fix->pool) > 0);
		fixture_run(fix, 5 * KOLK_MS_NS); /* the key goes with its connection */
	}
	assert_true(recycled > 40);
}

/* A credential that was taken back while its connection was out. */
static void cve_2015_3236_a_reset_credential(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	struct kolk_key *old = open_key(fix, credential("old", 3)), *fresh, *again;
	struct kolk_lease lease;
	uint64_t number = use(fix, old);

	assert_int_equal(kolk_try_acquire(old, &lease), KOLK_OK);
	o.tenant = "t";
	o.credential = "new";
	o.credential_size = 3;
	o.replaces = 1;
	assert_int_equal(kolk_key_open(fix->pool, &o, &fresh), KOLK_OK);
	assert_int_not_equal(use(fix, fresh), number);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	assert_int_equal(kolk_try_acquire(old, &lease), KOLK_E_ROTATED);
	again = open_key(fix, credential("old", 3)); /* and put back: it dials anew */
	assert_int_not_equal(use(fix, again), number);
	kolk_key_close(again);
	kolk_key_close(old);
	kolk_key_close(fresh);
}

/* ---- where and how: a pool's options, read as kolk_pool_add does */

static bool same_peer(struct fixture *fix, const struct kolk_pool_options *a,
		      const struct kolk_pool_options *b)
{
	struct kolk__settings x, y;
	bool same;

	assert_int_equal(kolk__settings_read(fix->engine, a, &x), KOLK_OK);
	assert_int_equal(kolk__settings_read(fix->engine, b, &y), KOLK_OK);
	same = x.identity_size == y.identity_size &&
	       memcmp(x.identity, y.identity, x.identity_size) == 0;
	kolk__settings_drop(fix->engine, &x);
	kolk__settings_drop(fix->engine, &y);
	return same;
}

static struct kolk_pool_options to(const char *address)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = "read";
	o.address = address;
	return o;
}

static bool same_address(struct fixture *fix, const char *a, const char *b)
{
	const struct kolk_pool_options x = to(a), y = to(b);

	return same_peer(fix, &x, &y);
}

static void cve_2022_27775_ipv6_zone(void **state)
{
	struct fixture *fix = *state;
	struct if_nameindex *interfaces = if_nameindex();
	char one[64], other[64];

	assert_false(same_address(fix, "[fe80::1]:7", "[fe80::1%lo]:7"));
	assert_true(same_address(fix, "[fe80::1%1]:7", "[FE80:0::1%lo]:7"));
	if (interfaces != NULL && interfaces[0].if_index != 0 && interfaces[1].if_index != 0) {
		snprintf(one, sizeof one, "[fe80::1%%%u]:7", interfaces[0].if_index);
		snprintf(other, sizeof other, "[fe80::1%%%u]:7", interfaces[1].if_index);
		assert_false(same_address(fix, one, other));
	}
	if_freenameindex(interfaces);
}

/* 2022-30115, 2022-42916, 2022-43551, 2023-23914, 2024-9681: a dot, a spelling, a subdomain. */
static void hsts_family_host_spelling(void **state)
{
	struct fixture *fix = *state;

	assert_true(same_address(fix, "api.example.com:7", "API.Example.com.:7"));
	assert_true(same_address(fix, "m\u00fcnchen.de:7", "xn--mnchen-3ya.DE:7"));
	assert_false(same_address(fix, "example.com:7", "api.example.com:7"));
	assert_false(same_address(fix, "example.com:7", "example.com:8"));
	assert_false(same_address(fix, "example.com:7", "tls://example.com:7"));
	assert_true(same_address(fix, "example.com:7", "tcp://example.com:7"));
	assert_false(same_address(fix, "127.0.0.1:7", "[::ffff:127.0.0.1]:7"));
}

/* 2026-4873 and the like: TLS or not is said by options or by the address, and means the same. */
static void cve_2026_4873_tls_required(void **state)
{
	struct fixture *fix = *state;
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_pool_options plain = to("host:7"), secure = to("host:7"),
				 prefix = to("tls://host:7");

	tls.verify_off = 1;
	secure.tls = prefix.tls = &tls;
	assert_false(same_peer(fix, &plain, &secure));
	assert_true(same_peer(fix, &secure, &prefix));
}

/* A path is bytes; an abstract name is no path. */
static void unix_sockets_by_path(void **state)
{
	struct fixture *fix = *state;

	assert_true(same_address(fix, "unix:/run/a", "unix:/run/a"));
	assert_false(same_address(fix, "unix:/run/a", "unix:/run/A"));
	assert_false(same_address(fix, "unix:/run/a", "unix:/run//a"));
	assert_false(same_address(fix, "unix:@a", "unix:a"));
}

/* Where it dials from, whom it asks for names, which protocol with which settings. */
static void local_address_and_ports(void **state)
{
	struct fixture *fix = *state;
	const struct kolk_pool_options base = to("host:7");
	struct kolk_pool_options o = base;
	static const struct kolk_driver driver = { .size = sizeof driver };
	char user;

	o.bind_address = "127.0.0.2";
	assert_false(same_peer(fix, &base, &o));
	o = base;
	o.bind_port_min = 40000, o.bind_port_max = 40010;
	assert_false(same_peer(fix, &base, &o));
	o = base;
	o.name_servers = "192.0.2.53:53";
	assert_false(same_peer(fix, &base, &o));
	o = base;
	o.driver = &driver;
	assert_false(same_peer(fix, &base, &o));
	o = base;
	o.connections_max = 3, o.idle_timeout_ns = KOLK_S_NS, o.connect_timeout_ns = KOLK_S_NS;
	assert_true(same_peer(fix, &base, &o));
	o.driver_user = &user; /* 2026-5773: the database, the share, the server's id */
	assert_false(same_peer(fix, &base, &o));
}

/* ---- files, by content */

struct files {
	char folder[64], path[6][96];
};

enum { CA, OTHER_CA, CERTIFICATE, KEY, CRL, UPPER };

static struct kit_cert authority, client, renewed;
static char crl[2048], other_crl[2048];

static int files_make(void **state)
{
	static const char *const names[] = { "ca.pem",  "other.pem", "cert.pem",
					     "key.pem", "crl.pem",   "CA.pem" };
	struct kit_cert_spec spec = { .subject = "authority", .authority = true };
	struct kit_cert_spec leaf = { .subject = "client" };
	char folder[] = "/tmp/kolk-reuse-XXXXXX";
	struct files *f;

	if (fixture_open(state) != 0)
		return -1;
	f = calloc(1, sizeof *f);
	((struct fixture *)*state)->user = f;
	if (mkdtemp(folder) == NULL)
		return -1;
	strcpy(f->folder, folder);
	for (int i = 0; i < 6; i++)
		snprintf(f->path[i], sizeof f->path[i], "%.40s/%s", folder, names[i]);
	return kit_cert_make(&spec, NULL, &authority) &&
	       kit_cert_make(&leaf, &authority, &client) &&
	       kit_cert_make(&leaf, &authority, &renewed) &&
	       kit_crl_make(&authority, &client, crl, sizeof crl) &&
	       kit_crl_make(&authority, &renewed, other_crl, sizeof other_crl) &&
	       kit_file_write(f->path[CA], authority.pem) &&
	       kit_file_write(f->path[UPPER], authority.pem) &&
	       kit_file_write(f->path[CERTIFICATE], client.pem) &&
	       kit_file_write(f->path[KEY], client.key) &&
	       kit_file_write(f->path[CRL], crl) ? 0 : -1;
}

static int files_remove(void **state)
{
	struct files *f = ((struct fixture *)*state)->user;

	for (int i = 0; i < 6; i++)
		unlink(f->path[i]);
	rmdir(f->folder);
	free(f);
	return fixture_close(state);
}

static struct kolk_tls_options tls_of(const struct files *f)
{
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);

	tls.ca_file = f->path[CA];
	tls.certificate_file = f->path[CERTIFICATE];
	tls.key_file = f->path[KEY];
	tls.crl_file = f->path[CRL];
	return tls;
}

/* The same options before and after a file gets other content: another identity. */
static void content_counts(void **state, int file, const char *before, const char *after)
{
	struct fixture *fix = *state;
	struct files *f = fix->user;
	struct kolk_tls_options tls = tls_of(f);
	struct kolk_pool_options o = to("host:7");
	struct kolk__settings x, y;

	o.tls = &tls;
	assert_int_equal(kolk__settings_read(fix->engine, &o, &x), KOLK_OK);
	assert_true(same_peer(fix, &o, &o));
	assert_true(kit_file_write(f->path[file], after));
	assert_int_equal(kolk__settings_read(fix->engine, &o, &y), KOLK_OK);
	assert_int_equal(x.identity_size, y.identity_size);
	assert_memory_not_equal(x.identity, y.identity, x.identity_size);
	kolk__settings_drop(fix->engine, &y);
	assert_true(kit_file_write(f->path[file], before));
	assert_int_equal(kolk__settings_read(fix->engine, &o, &y), KOLK_OK);
	assert_memory_equal(x.identity, y.identity, x.identity_size);
	kolk__settings_drop(fix->engine, &y);
	kolk__settings_drop(fix->engine, &x);
}

static void cve_2016_5420_client_certificate(void **state)
{
	char chain[sizeof client.pem + sizeof authority.pem];

	snprintf(chain, sizeof chain, "%s%s", client.pem, authority.pem);
	content_counts(state, CERTIFICATE, client.pem, chain);
}

/* No certificate is not any certificate. */
static void cve_2016_7141_no_client_certificate(void **state)
{
	struct fixture *fix = *state;
	struct kolk_tls_options tls = tls_of(fix->user), none = tls;
	struct kolk_pool_options a = to("host:7"), b = a;

	none.certificate_file = none.key_file = NULL;
	a.tls = &tls;
	b.tls = &none;
	assert_false(same_peer(fix, &a, &b));
}

static void cve_2026_8932_private_key(void **state)
{
	char key[sizeof client.key + 1];

	/* Another key is refused, since it is not the certificate's. */
	snprintf(key, sizeof key, "%s\n", client.key);
	content_counts(state, KEY, client.key, key);
}

static void cve_2021_22924_trust_anchors(void **state)
{
	struct fixture *fix = *state;
	struct files *f = fix->user;
	struct kolk_tls_options tls = tls_of(f), upper = tls;
	struct kolk_pool_options a = to("host:7"), b = a;

	content_counts(state, CA, authority.pem, client.pem);
	upper.ca_file = f->path[UPPER]; /* another path, even with the same content today */
	a.tls = &tls;
	b.tls = &upper;
	assert_false(same_peer(fix, &a, &b));
}

static void cve_2022_27782_revoked_certificates(void **state)
{
	content_counts(state, CRL, crl, other_crl);
}

static void cve_2024_0853_verification(void **state)
{
	struct fixture *fix = *state;
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options), off = tls;
	struct kolk_pool_options a = to("host:7"), b = a;

	tls.ca_file = off.ca_file = ((struct files *)fix->user)->path[CA];
	off.verify_off = 1;
	a.tls = &tls;
	b.tls = &off;
	assert_false(same_peer(fix, &a, &b));
}

/* The first repair of 2022-27782 forgot some: every option of TLS, as it is read from outside. */
static void cve_2023_27538_every_tls_option(void **state)
{
	struct fixture *fix = *state;
	static const char *const alpn[] = { "h2", "http/1.1", NULL }, *const other_alpn[] = {
		"http/1.1", "h2", NULL };
	char pin[64], other_pin[64];
	const char *pins[] = { pin, NULL }, *other_pins[] = { other_pin, NULL };
	struct kolk_tls_options base = tls_of(fix->user), tls[8];
	struct kolk_pool_options o[8];

	assert_true(kit_pin_make(&client, pin) && kit_pin_make(&renewed, other_pin));
	for (int i = 0; i < 8; i++)
		tls[i] = base;
	tls[1].server_name = "other";
	tls[2].version_min = 0x0303;
	tls[3].resume_off = 1;
	tls[4].record_max = 4096;
	tls[5].alpn = alpn;
	tls[6].alpn = other_alpn;
	tls[7].pins = pins;
	base.pins = other_pins;
	for (int i = 0; i < 8; i++) {
		o[i] = to("host:7");
		o[i].tls = &tls[i];
		for (int j = 0; j < i; j++)
			assert_false(same_peer(fix, &o[i], &o[j]));
	}
	o[0].tls = &base;
	assert_false(same_peer(fix, &o[0], &o[7]));
	tls[1].server_name = "HOST."; /* as the address says already */
	o[0].tls = &tls[0];
	tls[0].server_name = NULL;
	assert_true(same_peer(fix, &o[0], &o[1]));
}

/* ---- when hashes say nothing */

enum { KEYS = 1000 };

static struct kolk_key *numbered(struct fixture *fix, uint32_t i)
{
	char name[16];

	snprintf(name, sizeof name, "%u", i / 10);
	return open_key(fix, (struct who){ .tenant = name, .credential = &i, .size = sizeof i });
}

/* Every key has the same hash: only the full comparison tells them apart. */
static void forced_collisions(void **state)
{
	struct fixture *fix = *state;
	static uint32_t owner[1 << 18];
	static struct kolk_key *keys[KEYS];
	uint64_t random = 42;

	memset(owner, 0, sizeof owner);
	fix->engine->hash_mask = 0;
	for (uint32_t i = 0; i < KEYS; i++)
		keys[i] = numbered(fix, i);
	for (uint32_t n = 0; n < 100000; n++) {
		uint32_t i;
		uint64_t number;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		i = (uint32_t)(random >> 33) % (n % 2 ? KEYS : 12);
		number = use(fix, keys[i]);
		assert_in_range(number, 1, (1 << 18) - 1);
		assert_true(owner[number] == 0 || owner[number] == i + 1);
		owner[number] = i + 1;
	}
	for (uint32_t i = 0; i < KEYS; i++)
		kolk_key_close(keys[i]);
}

static void a_flood_of_look_ups(void **state)
{
	struct fixture *fix = *state;
	static struct kolk_key *keys[KEYS];

	fix->engine->hash_mask = 0;
	for (uint32_t i = 0; i < KEYS; i++)
		keys[i] = numbered(fix, i);
	for (uint32_t n = 0; n < 100000; n++) {
		uint32_t i = (uint32_t)(n * 2654435761u) % KEYS;

		assert_ptr_equal(numbered(fix, i), keys[i]);
		kolk_key_close(keys[i]);
	}
	for (uint32_t i = 0; i < KEYS; i++)
		kolk_key_close(keys[i]);
}

#define IN_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)
#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, files_make, files_remove)

static const struct CMUnitTest tests[] = {
	IN_FIXTURE(cve_2014_0015_credentials),
	IN_FIXTURE(cve_2014_0138_any_protocol),
	IN_FIXTURE(cve_2015_3143_anonymous_is_an_identity),
	IN_FIXTURE(cve_2016_8616_credentials_by_case),
	IN_FIXTURE(cve_2022_22576_bearer_tokens),
	IN_FIXTURE(cve_2023_27535_session_parameters),
	IN_FIXTURE(cve_2020_8231_a_handle_of_a_recycled_place),
	IN_FIXTURE(cve_2020_8231_a_key_of_a_recycled_place),
	IN_FIXTURE(cve_2015_3236_a_reset_credential),
	IN_FIXTURE(cve_2022_27775_ipv6_zone),
	IN_FIXTURE(hsts_family_host_spelling),
	IN_FIXTURE(cve_2026_4873_tls_required),
	IN_FIXTURE(unix_sockets_by_path),
	IN_FIXTURE(local_address_and_ports),
	WITH_FILES(cve_2016_5420_client_certificate),
	WITH_FILES(cve_2016_7141_no_client_certificate),
	WITH_FILES(cve_2026_8932_private_key),
	WITH_FILES(cve_2021_22924_trust_anchors),
	WITH_FILES(cve_2022_27782_revoked_certificates),
	WITH_FILES(cve_2024_0853_verification),
	WITH_FILES(cve_2023_27538_every_tls_option),
	IN_FIXTURE(forced_collisions),
	IN_FIXTURE(a_flood_of_look_ups),
};

CMOCKA_TESTS(reuse, tests);
