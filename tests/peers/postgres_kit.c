/* SPDX-License-Identifier: Apache-2.0 */
/* postgres_kit.c - see postgres_kit.h. */
#include "tests/peers/postgres_kit.h"

#include <stdio.h>
#include <string.h>

bool pg_fixture_start(struct pg_fixture *fixture, const struct kit_postgres_options *options)
{
	memset(fixture, 0, sizeof *fixture);
	fixture->peer = kit_postgres_start(options);
	if (fixture->peer == NULL)
		return false;
	fixture->options = (struct kolk_postgres_options)KOLK_INIT(kolk_postgres_options);
	fixture->options.user = KIT_POSTGRES_USER;
	fixture->options.password = KIT_POSTGRES_SECRET;
	fixture->options.database = "postgres";
	fixture->options.scram_required = 1;
	fixture->pool_options = (struct kolk_pool_options)KOLK_INIT(kolk_pool_options);
	fixture->pool_options.name = "db";
	fixture->pool_options.address = fixture->peer->address;
	fixture->pool_options.driver = kolk_driver_postgres();
	fixture->pool_options.driver_user = &fixture->options;
	fixture->pool_options.idle_min = KOLK_NONE;
	return true;
}

bool pg_fixture_open(struct pg_fixture *fixture)
{
	struct kolk_engine_options options = KOLK_INIT(kolk_engine_options);

	options.loops = 2;
	options.connections_max = 200;
	options.tenant_connections_max = 100;
	if (!CHECK_ERR(kolk_engine_create(&options, &fixture->engine), KOLK_OK) ||
	    !CHECK_ERR(kolk_postgres_pool_add(fixture->engine, &fixture->pool_options, &fixture->pool),
		       KOLK_OK))
		return false;
	fixture->key = kolk_pool_key(fixture->pool);
	return true;
}

void pg_fixture_close(struct pg_fixture *fixture)
{
	const char *law = "";

	if (fixture->engine != NULL && !CHECK_ERR(kolk_check(fixture->engine, &law), KOLK_OK))
		tap_note("%s", law);
	if (fixture->engine != NULL)
		CHECK_ERR(kolk_engine_destroy(fixture->engine), KOLK_OK);
	kit_peer_close(fixture->peer);
}

bool pg_acquire(struct pg_fixture *fixture, struct kolk_lease *lease)
{
	return CHECK_ERR(kolk_acquire(fixture->key, kolk_in_ms(10000), lease), KOLK_OK);
}

static enum kolk_err first_value(enum kolk_err err, struct kolk_postgres_result *result,
				 char *text, size_t size)
{
	const struct kolk_postgres_error *error =
		result != NULL ? kolk_postgres_result_error(result) : NULL;

	text[0] = 0;
	if (error != NULL)
		snprintf(text, size, "%s", error->sqlstate);
	else if (err == KOLK_OK)
		snprintf(text, size, "%s", kolk_postgres_result_text(result, 0, 0));
	kolk_postgres_result_free(result);
	return err;
}

enum kolk_err pg_ask(const struct kolk_lease *lease, const char *sql, uint32_t flags, char *text,
		     size_t size)
{
	const struct kolk_postgres_statement statement = { sql, NULL, 0, flags };
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);
	struct kolk_postgres_result *result = NULL;
	enum kolk_err err;

	request.count = 1;
	request.statements = &statement;
	err = kolk_postgres_run(lease, &request, kolk_in_ms(10000), &result);
	return first_value(err, result, text, size);
}

enum kolk_err pg_ask_key(struct kolk_key *key, const char *sql, uint32_t flags, char *text,
			 size_t size)
{
	const struct kolk_postgres_statement statement = { sql, NULL, 0, flags };
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);
	struct kolk_postgres_result *result = NULL;
	enum kolk_err err;

	request.count = 1;
	request.statements = &statement;
	err = kolk_postgres_query(key, &request, kolk_in_ms(10000), &result);
	return first_value(err, result, text, size);
}

uint32_t pg_pid(const struct kolk_lease *lease)
{
	struct kolk_postgres_info info = KOLK_INIT(kolk_postgres_info);

	return CHECK_ERR(kolk_postgres_info(lease, &info), KOLK_OK) ? info.pid : 0;
}
