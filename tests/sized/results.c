/* SPDX-License-Identifier: Apache-2.0 */
/* results.c - every struct of results, each filled by a call that tells it. KOLK_OK = it did. */
#include "tests/sized/sized.h"

#include <kolk/ops/admin.h>
#include <kolk/postgres.h>
#include <stdio.h>
#include <string.h>

#ifndef OLDER /* in which failure is what was taken away */
static enum kolk_err told(enum kolk_err err, enum kolk_err wanted, const struct kolk_failure *failure)
{
	return err == wanted && failure->err == wanted ? KOLK_OK : KOLK_E_OPTIONS;
}

static enum kolk_err tell_engine_failure(void *into)
{
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);
	struct kolk_engine *made;

	o.dials_max = KOLK_NONE;
	o.failure = into;
	return told(kolk_engine_create(&o, &made), KOLK_E_OPTIONS, into);
}

static enum kolk_err tell_pool_failure(void *into)
{
	struct kolk_pool_options o = pool_options("refused");

	o.circuit_percent = 101;
	o.failure = into;
	return told(kolk_pool_check(engine, &o), KOLK_E_OPTIONS, into);
}

static enum kolk_err tell_origin_failure(void *into)
{
	struct kolk_pool_options o = pool_options("refused");

	o.address = "nonsense";
	o.failure = into;
	return told(kolk_pool_check(engine, &o), KOLK_E_OPTIONS, into);
}

static enum kolk_err tell_open_failure(void *into)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	struct kolk_key *key;

	o.replaces = 2;
	o.failure = into;
	return told(kolk_key_open(raw, &o, &key), KOLK_E_OPTIONS, into);
}

static enum kolk_err tell_admin_failure(void *into)
{
	struct kolk_admin_options o = KOLK_INIT(kolk_admin_options);
	struct kolk_admin *admin;

	o.failure = into;
	return told(kolk_admin_open(engine, &o, &admin), KOLK_E_OPTIONS, into);
}

void unknown_is_named(void)
{
	struct {
		struct kolk_pool_options o;
		uint64_t unknown;
	} newer = { .o = pool_options("newer"), .unknown = 1 };
	struct kolk_failure failure = KOLK_INIT(kolk_failure);

	wrong = 0;
	newer.o.size = (uint32_t)sizeof newer;
	newer.o.failure = &failure;
	if (kolk_pool_check(engine, &newer.o) != KOLK_E_OPTIONS || failure.field == NULL ||
	    strcmp(failure.field, "size") != 0)
		complain("kolk_pool_check", newer.o.size, failure.err);
	printf("%sok what is not known is named\n", wrong ? "not " : "");
}
#endif

static enum kolk_err tell_key_failure(void *into)
{
	return kolk_key_failure(kolk_pool_key(dead), into) ? KOLK_OK : KOLK_E_OPTIONS;
}

static enum kolk_err tell_engine_info(void *into)
{
	return kolk_engine_inspect(engine, into);
}

static enum kolk_err tell_pool_info(void *into)
{
	return kolk_pool_inspect(dead, into);
}

static enum kolk_err tell_loop_info(void *into)
{
	return kolk_loop_inspect(kolk_engine_loop(engine, 0), into);
}

static enum kolk_err tell_engine_stats(void *into)
{
	return kolk_engine_stats(engine, into);
}

static enum kolk_err tell_pool_stats(void *into)
{
	return kolk_pool_stats(raw, into);
}

static enum kolk_err tell_key_stats(void *into)
{
	return kolk_key_stats(kolk_pool_key(raw), into);
}

static enum kolk_err tell_tenant_stats(void *into)
{
	return kolk_tenant_stats(engine, "", into);
}

static enum kolk_err tell_lease(void *into)
{
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(kolk_pool_key(raw), soon(), &lease);

	if (err != KOLK_OK)
		return err;
	err = kolk_lease_info(&lease, into);
	(void)kolk_discard(&lease); /* so that each is the first of its connection */
	return err;
}

static enum kolk_err tell_response(void *into)
{
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	enum kolk_err err = kolk_http_call(http, kolk_pool_key(http_pool), &request, NULL, into);
	struct kolk_http_response copy = KOLK_INIT(kolk_http_response);

	if (err == KOLK_OK) { /* freed by a copy: what it is filled with is looked at */
		memcpy(&copy.memory, (char *)into + offsetof(struct kolk_http_response, memory),
		       sizeof copy.memory);
		kolk_http_response_free(&copy);
		err = copy.memory == NULL ? KOLK_OK : KOLK_E_IN_USE;
	}
	return err;
}

static enum kolk_err tell_postgres(void *into)
{
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(kolk_pool_key(postgres), soon(), &lease);

	if (err != KOLK_OK)
		return err;
	err = kolk_postgres_info(&lease, into);
	(void)kolk_postgres_release(&lease);
	return err;
}

static enum kolk_err tell_parse_error(void *into)
{
	const struct kolk_config_error *error = into;
	struct kolk_config *config;
	enum kolk_err err = kolk_config_parse("text", "nonsense: 1\n", 12, NULL, &config, into);

	return err == KOLK_E_OPTIONS && error->err == err ? KOLK_OK : KOLK_E_OPTIONS;
}

static enum kolk_err tell_load_error(void *into)
{
	const struct kolk_config_error *error = into;
	struct kolk_config *config;
	enum kolk_err err = kolk_config_load("/nowhere", NULL, &config, into);

	return err == KOLK_E_NOT_FOUND && error->err == err ? KOLK_OK : KOLK_E_OPTIONS;
}

static enum kolk_err tell_try_error(void *into)
{
	static const char text[] = "pools: [{name: a, address: 'a:1', tls: {ca_file: /nowhere}}]\n";
	const struct kolk_config_error *error = into;
	struct kolk_config *config = config_of(text);
	enum kolk_err err = kolk_config_try(config, into);

	kolk_config_free(config);
	return err == KOLK_E_TLS && error->err == err ? KOLK_OK : KOLK_E_OPTIONS;
}

static enum kolk_err tell_tenant(void *into)
{
	struct kolk_config *config = config_of("tenants: [{name: gold, connections_max: 7}]\npools: []\n");
	const char *name = kolk_config_tenant(config, 0, into);

	kolk_config_free(config);
	return name != NULL ? KOLK_OK : KOLK_E_OPTIONS;
}

static uint32_t request_shown;

static enum kolk_err create_for(void *user, struct kolk_resource_request *request, void **resource)
{
	*resource = user;
	request_shown = request->size;
	return request->key != NULL ? KOLK_OK : KOLK_E_RESOURCE;
}

void request_is_shown(void)
{
	struct kolk_resource_driver resource = KOLK_INIT(kolk_resource_driver);

	wrong = 0;
	resource.create_for = create_for;
	if (use_resource(&resource) != KOLK_OK || request_shown < END_OF(kolk_resource_request, key))
		complain("create_for", request_shown, KOLK_E_OPTIONS);
	printf("%sok kolk_resource_request, create_for\n", wrong ? "not " : "");
}

struct result {
	const char *name, *by;
	uint32_t size, step, needs;
	enum kolk_err (*tell)(void *into);
};

static void *result_at(uint32_t size, uint32_t said)
{
	void *at = edge(size);

	memset(at, UNTOUCHED, size);
	memcpy(at, &said, sizeof said);
	return at;
}

/* The caller's size stays, a first field is there, and what the library does not know is not. */
static void told_at(const struct result *r, uint32_t size)
{
	uint8_t *at = result_at(size, size);
	enum kolk_err err = r->tell(at);
	bool filled = memcmp(at, &size, sizeof size) == 0 && at[4] != UNTOUCHED;

#ifndef OLDER
	for (uint32_t i = r->size - UNKNOWN; i < size; i++)
		filled &= at[i] == UNTOUCHED;
#endif
	if (size < r->needs ? err != KOLK_E_OPTIONS : err != KOLK_OK || !filled)
		complain(r->by, size, err);
	edge_free(at);
}

/* Without a size nothing is written. */
static void refused_at(const struct result *r, uint32_t said)
{
	uint8_t *at = result_at(r->size, said);
	enum kolk_err err = r->tell(at);

	for (uint32_t i = 4; i < r->size; i++)
		if (at[i] != UNTOUCHED)
			err = KOLK_OK;
	if (err != KOLK_E_OPTIONS)
		complain(r->by, said, err);
	edge_free(at);
}

static void result_walk(const struct result *r)
{
	for (uint32_t size = 8; size <= r->size; size += r->step)
		told_at(r, size);
	told_at(r, r->size + MORE);
	refused_at(r, 0);
	refused_at(r, 4);
	refused_at(r, 1 << 20);
}

#define RESULT(type, needs, tell)                                                              \
	{ #type, #tell, (uint32_t)sizeof(struct type), _Alignof(struct type), (uint32_t)(needs),  \
	  (tell) }

void all_results(void)
{
	static const struct result all[] = {
#ifndef OLDER
		RESULT(kolk_failure, 8, tell_engine_failure),
		RESULT(kolk_failure, 8, tell_pool_failure),
		RESULT(kolk_failure, 8, tell_origin_failure),
		RESULT(kolk_failure, 8, tell_open_failure),
		RESULT(kolk_failure, 8, tell_admin_failure),
#endif
		RESULT(kolk_failure, 8, tell_key_failure),
		RESULT(kolk_engine_info, 8, tell_engine_info),
		RESULT(kolk_pool_info, 8, tell_pool_info),
		RESULT(kolk_loop_info, 8, tell_loop_info),
		RESULT(kolk_stats, 8, tell_engine_stats),
		RESULT(kolk_stats, 8, tell_pool_stats),
		RESULT(kolk_stats, 8, tell_key_stats),
		RESULT(kolk_tenant_stats, 8, tell_tenant_stats),
		RESULT(kolk_lease_info, 8, tell_lease),
		RESULT(kolk_http_response, END_OF(kolk_http_response, memory), tell_response),
		RESULT(kolk_http_server_stats, 8, tell_http_server_stats),
		RESULT(kolk_mcp_result, END_OF(kolk_mcp_result, memory), tell_mcp_result),
		RESULT(kolk_mcp_stats, 8, tell_mcp_stats),
		RESULT(kolk_mcp_envelope, 8, tell_mcp_envelope),
		RESULT(kolk_postgres_info, 8, tell_postgres),
		RESULT(kolk_listener_stats, 8, tell_listener_stats),
		RESULT(kolk_stream_peer, 8, tell_stream_peer),
		RESULT(kolk_config_error, 8, tell_parse_error),
		RESULT(kolk_config_error, 8, tell_load_error),
		RESULT(kolk_config_error, 8, tell_try_error),
		RESULT(kolk_tenant_limits, 8, tell_tenant),
	};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		wrong = 0;
		result_walk(&all[i]);
		printf("%sok %s, %s\n", wrong ? "not " : "", all[i].name, all[i].by);
	}
}
