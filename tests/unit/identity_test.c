/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity_test.c - identity.c: a field that decides the owner of a connection changes the bytes,
 * alone and with any other; a field that does not, never does.
 *
 * The tables here are written anew, not taken from the code under test: what the code calls "no
 * part of the identity" must be called so here, too. A field that is in neither fails
 * `every_field_is_reported`.
 */
#define _GNU_SOURCE /* memmem */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "core/engine.h"
#include "core/identity.h"

/* ---- the tables */

enum kind { U32, U64, TEXT, LIST, POINTER, TLS, CHILD };

struct field {
	const char *name;
	size_t offset, size;
	enum kind kind;
	bool identity;
};

#define FIELD(type, member, kind, identity) \
	{ #member, offsetof(type, member), sizeof(((type *)0)->member), kind, identity }
#define P(member, kind, identity) FIELD(struct kolk_pool_options, member, kind, identity)
#define T(member, kind, identity) FIELD(struct kolk_tls_options, member, kind, identity)
#define C(member, kind, identity) FIELD(struct kolk_child_options, member, kind, identity)

static const struct field pool_fields[] = {
	P(size, U32, false), P(isolation, U32, true), P(name, TEXT, false),
	P(address, TEXT, true), P(tls, TLS, true), P(driver, POINTER, true),
	P(driver_user, POINTER, true), P(resource, POINTER, true), P(child, CHILD, true),
	P(bind_address, TEXT, true),
	P(bind_port_min, U32, true), P(bind_port_max, U32, true), P(name_servers, TEXT, true),
	P(connections_max, U32, false), P(pool_connections_max, U32, false),
	P(idle_min, U32, false), P(waiters_max, U32, false), P(dials_max, U32, false),
	P(uses_max, U32, false), P(circuit_failures, U32, false), P(circuit_percent, U32, false),
	P(eager_dials, U32, false), P(hopeless_waits, U32, false),
	P(mend_bytes_max, U32, false), P(key_histograms, U32, false),
	P(acquire_timeout_ns, U64, false), P(overtake_max_ns, U64, false),
	P(idle_timeout_ns, U64, false), P(lifetime_ns, U64, false),
	P(resolve_timeout_ns, U64, false), P(connect_timeout_ns, U64, false),
	P(tls_timeout_ns, U64, false), P(ready_timeout_ns, U64, false),
	P(ping_interval_ns, U64, false), P(ping_timeout_ns, U64, false),
	P(mend_timeout_ns, U64, false),
	P(retry_interval_ns, U64, false), P(retry_max_ns, U64, false),
	P(auth_retry_ns, U64, false), P(lease_overdue_ns, U64, false),
	P(keepalive_ns, U64, false), P(unacked_ns, U64, false), P(failure, POINTER, false),
	P(socket_timeout_ns, U64, false), P(request_timeout_ns, U64, false),
	P(idle_max, U32, false), P(pool_idle_max, U32, false),
};

static const struct field tls_fields[] = {
	T(size, U32, false), T(verify_off, U32, true), T(version_min, U32, true),
	T(resume_off, U32, true), T(record_max, U32, true), T(profile, U32, true),
	T(server_name, TEXT, true), T(ca_file, TEXT, true), T(ca_directory, TEXT, true),
	T(certificate_file, TEXT, true), T(key_file, TEXT, true), T(alpn, LIST, true),
	T(crl_file, TEXT, true), T(pins, LIST, true),
};

static const struct field child_fields[] = {
	C(size, U32, false), C(files_max, U32, true), C(command, LIST, true),
	C(environment, LIST, false), C(inherit, LIST, false), /* the digest of the files has them */
	C(directory, TEXT, true), C(stop_timeout_ns, U64, false), C(term_timeout_ns, U64, false),
	C(lines_max, U32, false), C(last_words_off, U32, false),
};

enum {
	POOL_FIELDS = sizeof pool_fields / sizeof pool_fields[0],
	TLS_FIELDS = sizeof tls_fields / sizeof tls_fields[0],
	CHILD_FIELDS = sizeof child_fields / sizeof child_fields[0],
	CHILD_FIRST = POOL_FIELDS + TLS_FIELDS,
	FILES = CHILD_FIRST + CHILD_FIELDS, /* the digest of the files, as one field more */
	ALL_FIELDS = FILES + 1,
	VALUES = 4
};

/* ---- a configuration: which of its values each field has */

struct config {
	uint8_t value[ALL_FIELDS];
};

static bool is_identity(int field)
{
	return field == FILES ? true :
	       field < POOL_FIELDS ? pool_fields[field].identity :
	       field < CHILD_FIRST ? tls_fields[field - POOL_FIELDS].identity :
				     child_fields[field - CHILD_FIRST].identity;
}

static bool has(const struct config *config, enum kind kind)
{
	for (int i = 0; i < POOL_FIELDS; i++)
		if (pool_fields[i].kind == kind)
			return config->value[i] % 2 != 0;
	return false;
}

/* The struct that the field stands in is there. */
static bool is_there(const struct config *config, int field)
{
	return field < POOL_FIELDS ? true :
	       field < CHILD_FIRST ? has(config, TLS) :
	       field < FILES	   ? has(config, CHILD) : has(config, TLS) || has(config, CHILD);
}

/* One of the four values of its kind. Neighbours are as alike as can be. */
static void write_value(void *options, const struct field *field, uint8_t value,
			const struct kolk_tls_options *tls, const struct kolk_child_options *child)
{
	static const uint64_t numbers[VALUES] = { 0, 1, 0x100, UINT32_MAX };
	static const char *const texts[VALUES] = { NULL, "", "a", "A" };
	static const char *const none[] = { NULL }, *const two[] = { "a", "ab", NULL },
		*const other[] = { "aa", "b", NULL };
	static const char *const *const lists[VALUES] = { NULL, none, two, other };
	static const struct kolk_driver place[VALUES]; /* one of them is read */
	const void *pointer = value != 0 ? &place[value] : NULL;
	uint8_t *to = (uint8_t *)options + field->offset;

	if (field->kind == U32 || field->kind == U64)
		memcpy(to, &numbers[value], field->size); /* little endian */
	else if (field->kind == TEXT)
		memcpy(to, &texts[value], sizeof texts[value]);
	else if (field->kind == LIST)
		memcpy(to, &lists[value], sizeof lists[value]);
	else if (field->kind == POINTER)
		memcpy(to, &pointer, sizeof pointer);
	else if (value % 2 != 0)
		memcpy(to, field->kind == TLS ? (const void *)&tls : (const void *)&child,
		       sizeof tls);
}

struct bytes {
	uint8_t at[1024];
	size_t size;
};

static struct bytes identity_of(const struct config *config)
{
	struct kolk_pool_options o = { 0 };
	struct kolk_tls_options tls = { 0 };
	struct kolk_child_options child = { 0 };
	struct kolk__identity_parts parts = { .files = { config->value[FILES] } };
	struct bytes bytes = { .size = 0 };
	struct kolk__writer writer = { .to = bytes.at, .capacity = sizeof bytes.at };

	for (int i = 0; i < TLS_FIELDS; i++)
		write_value(&tls, &tls_fields[i], config->value[POOL_FIELDS + i], NULL, NULL);
	for (int i = 0; i < CHILD_FIELDS; i++)
		write_value(&child, &child_fields[i], config->value[CHILD_FIRST + i], NULL, NULL);
	for (int i = 0; i < POOL_FIELDS; i++)
		write_value(&o, &pool_fields[i], config->value[i], &tls, &child);
	parts.address = o.address;
	kolk__identity_pool(&o, &parts, &writer);
	bytes.size = writer.size;
	assert_true(bytes.size <= sizeof bytes.at);
	return bytes;
}

static bool same_bytes(const struct config *a, const struct config *b)
{
	struct bytes x = identity_of(a), y = identity_of(b);

	return x.size == y.size && memcmp(x.at, y.at, x.size) == 0;
}

/* What must be the case, from the tables alone. */
static bool must_be_same(const struct config *a, const struct config *b)
{
	if (has(a, TLS) != has(b, TLS) || has(a, CHILD) != has(b, CHILD))
		return false;
	for (int i = 0; i < ALL_FIELDS; i++) {
		uint8_t x = a->value[i], y = b->value[i];

		if (i < POOL_FIELDS && (pool_fields[i].kind == TLS || pool_fields[i].kind == CHILD))
			continue;
		if (x != y && is_identity(i) && is_there(a, i))
			return false;
	}
	return true;
}

static struct config with_all(void)
{
	struct config config = { { 0 } };

	for (int i = 0; i < POOL_FIELDS; i++)
		if (pool_fields[i].kind == TLS || pool_fields[i].kind == CHILD)
			config.value[i] = 1;
	return config;
}

static const char *name_of(int field)
{
	if (field == FILES)
		return "files";
	return field < POOL_FIELDS ? pool_fields[field].name :
	       field < CHILD_FIRST ? tls_fields[field - POOL_FIELDS].name :
				     child_fields[field - CHILD_FIRST].name;
}

/* ---- tests */

static size_t reported_size(const struct field *fields, int count)
{
	size_t size = 0;

	for (int i = 0; i < count; i++) {
		assert_int_equal(fields[i].offset, size); /* in order, nothing between */
		size += fields[i].size;
	}
	return size;
}

/* Limits and times that came later need not be listed here: the library's table calls them no part
 * of the identity, and one that is called so by mistake adds no text or pointer by it. */
static size_t reported_by_the_table(void)
{
	const struct kolk_option_table *table = kolk_option_table("pool");
	size_t bytes = 0;

	for (uint32_t i = 0; i < table->count; i++) {
		const struct kolk_option *option = &table->options[i];
		bool listed = false;

		for (int j = 0; j < POOL_FIELDS; j++)
			listed |= strcmp(pool_fields[j].name, option->field) == 0;
		if (!listed && option->kind >= KOLK_OPTION_COUNT &&
		    option->kind <= KOLK_OPTION_WORD && !(option->flags & KOLK_OPTION_IDENTITY))
			bytes += option->size;
	}
	return bytes;
}

static void every_field_is_reported(void **state)
{
	/* Constant for a pool's life, so it tells no two configurations of one apart. */
	size_t draws_from = sizeof ((struct kolk_pool_options *)0)->draws_from;
	size_t padding = 4; /* behind closes_max */

	(void)state;
	assert_int_equal(reported_size(pool_fields, POOL_FIELDS) + reported_by_the_table() +
				 padding + draws_from,
			 sizeof(struct kolk_pool_options));
	assert_int_equal(reported_size(tls_fields, TLS_FIELDS), sizeof(struct kolk_tls_options));
	assert_int_equal(reported_size(child_fields, CHILD_FIELDS), sizeof(struct kolk_child_options));
}

static void every_field_alone(void **state)
{
	const struct config base = with_all();

	(void)state;
	for (int field = 0; field < ALL_FIELDS; field++)
		for (uint8_t a = 0; a < VALUES; a++)
			for (uint8_t b = 0; b < VALUES; b++) {
				struct config one = base, other = base;

				one.value[field] = a;
				other.value[field] = b;
				if (same_bytes(&one, &other) != must_be_same(&one, &other))
					fail_msg("%s: %u and %u", name_of(field), a, b);
			}
}

/* Each alone, both, neither: four different identities, so nothing makes up for the other. */
static void every_pair(void **state)
{
	const struct config base = with_all();

	(void)state;
	for (int f = 0; f < ALL_FIELDS; f++)
		for (int g = 0; g < f; g++)
			for (uint8_t v = 1; v < VALUES; v++) {
				struct config c[4] = { base, base, base, base };

				c[1].value[f] = c[3].value[f] = v;
				c[2].value[g] = c[3].value[g] = v;
				for (int i = 0; i < 4; i++)
					for (int j = 0; j < i; j++)
						if (same_bytes(&c[i], &c[j]) !=
						    must_be_same(&c[i], &c[j]))
							fail_msg("%s and %s: %u", name_of(f),
								 name_of(g), v);
			}
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static struct config any_config(uint64_t *random)
{
	struct config config;

	for (int i = 0; i < ALL_FIELDS; i++)
		config.value[i] = (uint8_t)(next_random(random) % VALUES);
	return config;
}

static void ten_thousand_mutations(void **state)
{
	uint64_t random = UINT64_C(0x9e3779b97f4a7c15);
	struct config last = any_config(&random);
	int same = 0;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		struct config one = any_config(&random), other = one;

		for (uint64_t n = next_random(&random) % 6 + 1; n > 0; n--)
			other.value[next_random(&random) % ALL_FIELDS] =
				(uint8_t)(next_random(&random) % VALUES);
		same += must_be_same(&one, &other);
		if (same_bytes(&one, &other) != must_be_same(&one, &other) ||
		    same_bytes(&one, &last) != must_be_same(&one, &last))
			fail_msg("mutation %d", i);
		last = one;
	}
	assert_in_range(same, 1000, 9000); /* both cases were met */
}

/* A buffer that is too small is filled as far as it goes, never beyond. */
static void a_small_buffer(void **state)
{
	const struct config config = with_all();
	struct bytes all = identity_of(&config);
	struct kolk_tls_options tls = { 0 };
	struct kolk_child_options child = { 0 };
	struct kolk_pool_options o = { .tls = &tls, .child = &child };
	const struct kolk__identity_parts parts = { .address = NULL };
	uint8_t buffer[1024];

	(void)state;
	for (size_t capacity = 0; capacity < all.size; capacity++) {
		struct kolk__writer writer = { .to = buffer, .capacity = capacity };

		memset(buffer, 0xee, sizeof buffer);
		kolk__identity_pool(&o, &parts, &writer);
		assert_int_equal(writer.size, all.size);
		for (size_t i = capacity; i < sizeof buffer; i++)
			assert_int_equal(buffer[i], 0xee);
	}
}

/* ---- of keys */

static struct kolk_engine hasher(uint64_t secret)
{
	return (struct kolk_engine){ .secret = { { 1, secret } }, .hash_mask = UINT32_MAX };
}

enum { TENANT, CREDENTIAL, SESSION, REPLACES, RESERVED, SIZE, FAILURE, KEY_FIELDS };

/* The texts are made so that a byte moves from one field to the next. */
static struct kolk__identity key_identity(uint32_t isolation, const uint8_t value[KEY_FIELDS])
{
	static const char *const texts[VALUES] = { "", "b", "bb", "B" };
	const struct kolk_engine engine = hasher(2);
	static struct kolk_failure failure;
	struct kolk_key_options o = { 0 };
	struct kolk__identity id;

	memset(&id, 0xee, sizeof id);
	o.tenant = texts[value[TENANT]];
	o.session = texts[value[SESSION]];
	o.credential = value[CREDENTIAL] != 0 ? texts[value[CREDENTIAL]] : NULL;
	o.credential_size = (uint32_t)strlen(texts[value[CREDENTIAL]]);
	o.replaces = value[REPLACES];
	o.reserved = value[RESERVED];
	o.size = value[SIZE];
	o.failure = value[FAILURE] != 0 ? &failure : NULL;
	kolk__identity_make(&engine, isolation, &o, &id);
	assert_true(id.size <= sizeof id.bytes && id.scope_size < id.size);
	return id;
}

static bool key_counts(uint32_t isolation, int field)
{
	return field == CREDENTIAL ||
	       (isolation != KOLK_ISOLATION_SHARED && (field == TENANT || field == SESSION));
}

static bool same_key(const struct kolk__identity *a, const struct kolk__identity *b)
{
	return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

static void keys_compared(uint32_t isolation, const uint8_t x[KEY_FIELDS],
			  const uint8_t y[KEY_FIELDS])
{
	struct kolk__identity a = key_identity(isolation, x), b = key_identity(isolation, y);
	bool same = true, same_scope = true;

	for (int i = 0; i < KEY_FIELDS; i++) {
		same = same && (x[i] == y[i] || !key_counts(isolation, i));
		same_scope = same_scope && (i == CREDENTIAL || x[i] == y[i] ||
					    !key_counts(isolation, i));
	}
	assert_int_equal(same_key(&a, &b), same);
	assert_true(!same || a.hash == b.hash);
	assert_int_equal(a.scope_size == b.scope_size &&
			 memcmp(a.bytes, b.bytes, a.scope_size) == 0, same_scope);
}

/* All values of the fields that count, and each of the others beside them. */
static void keys_under_each_isolation(void **state)
{
	uint64_t random = 88172645463325252;

	(void)state;
	assert_int_equal(sizeof(struct kolk_key_options), 4 * sizeof(uint32_t) +
			 4 * sizeof(void *)); /* a new field has to be listed here, too */
	for (uint32_t isolation = 0; isolation <= KOLK_ISOLATION_SESSION; isolation++)
		for (int i = 0; i < 64 * 64; i++) {
			uint8_t x[KEY_FIELDS], y[KEY_FIELDS];

			for (int field = 0; field < KEY_FIELDS; field++) {
				x[field] = (uint8_t)(next_random(&random) % 2);
				y[field] = (uint8_t)(next_random(&random) % 2);
			}
			for (int field = 0; field < 3; field++) {
				x[field] = (uint8_t)(i >> 2 * field & 3);
				y[field] = (uint8_t)(i >> (6 + 2 * field) & 3);
			}
			keys_compared(isolation, x, y);
		}
}

/* Another secret, other digests: a thief of digests cannot try credentials. */
static void credentials_are_digested(void **state)
{
	const struct kolk_engine one = hasher(2), other = hasher(3);
	struct kolk_key_options o = { .credential = "canary-credential", .credential_size = 17 };
	struct kolk__identity a, b;

	(void)state;
	kolk__identity_make(&one, KOLK_ISOLATION_TENANT, &o, &a);
	kolk__identity_make(&other, KOLK_ISOLATION_TENANT, &o, &b);
	assert_false(same_key(&a, &b));
	assert_null(memmem(a.bytes, a.size, "canary", 6));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(every_field_is_reported),
	cmocka_unit_test(every_field_alone),
	cmocka_unit_test(every_pair),
	cmocka_unit_test(ten_thousand_mutations),
	cmocka_unit_test(a_small_buffer),
	cmocka_unit_test(keys_under_each_isolation),
	cmocka_unit_test(credentials_are_digested),
};

CMOCKA_TESTS(identity, tests);
