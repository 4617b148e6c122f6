/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres.c - statements over pooled connections: example-postgres ADDRESS USER PASSWORD DATABASE
 *
 * ADDRESS is "host:port", "unix:/run/postgresql/.s.PGSQL.5432" or, for TLS, "tls://host:port". One thread
 * makes a table, moves money in a transaction and queries the result.
 */
#include <kolk/kolk.h>
#include <kolk/postgres.h>
#include <stdio.h>
#include <string.h>

static int complain(const char *what, enum kolk_err err, struct kolk_postgres_result *result)
{
	const struct kolk_postgres_error *error =
		result != NULL ? kolk_postgres_result_error(result) : NULL;

	fprintf(stderr, "%s: %s\n", what, error != NULL ? error->message : kolk_err_text(err));
	kolk_postgres_result_free(result);
	return 1;
}

/* In one call: lease, run, release. Values are never part of the statement's text. */
static enum kolk_err balance(struct kolk_key *key, const char *owner,
			     struct kolk_postgres_result **result)
{
	const struct kolk_postgres_value values[] = {
		{ .data = owner, .size = (uint32_t)strlen(owner) },
	};
	const struct kolk_postgres_statement statement = {
		.sql = "select amount from example_account where owner = $1",
		.values = values,
		.value_count = 1,
		/* It changes nothing in the session: the connection needs no DISCARD ALL after it, and
		 * keeps it prepared. */
		.flags = KOLK_POSTGRES_HARMLESS | KOLK_POSTGRES_PREPARE,
	};
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);

	request.statements = &statement;
	request.count = 1;
	request.replayable = 1; /* it only reads */
	return kolk_postgres_query(key, &request, kolk_in_ms(5000), result);
}

/* Both or neither: what fails here rolls back. */
static enum kolk_err move(void *user, const struct kolk_lease *lease, uint64_t deadline_ns)
{
	const struct kolk_postgres_value amount = { .data = user, .size = (uint32_t)strlen(user) };
	const struct kolk_postgres_statement statements[] = {
		{ "update example_account set amount = amount - $1 where owner = 'ada'", &amount, 1,
		  KOLK_POSTGRES_HARMLESS },
		{ "update example_account set amount = amount + $1 where owner = 'bob'", &amount, 1,
		  KOLK_POSTGRES_HARMLESS },
	};
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);

	request.statements = statements;
	request.count = 2;
	return kolk_postgres_run(lease, &request, deadline_ns, NULL);
}

static int use(struct kolk_key *key)
{
	static const char setup[] = "drop table if exists example_account; "
				    "create table example_account (owner text primary key, "
				    "amount int not null check (amount >= 0)); "
				    "insert into example_account values ('ada', 100), ('bob', 0)";
	static char some[] = "30", too_much[] = "1000";
	struct kolk_postgres_result *result = NULL;
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(key, kolk_in_ms(5000), &lease);

	if (err != KOLK_OK)
		return complain("no connection", err, NULL);
	err = kolk_postgres_exec(&lease, setup, kolk_in_ms(5000));
	kolk_postgres_release(&lease);
	if (err != KOLK_OK)
		return complain("setup", err, NULL);
	err = kolk_postgres_transact(key, NULL, kolk_in_ms(5000), move, some);
	if (err != KOLK_OK)
		return complain("transaction", err, NULL);
	if (kolk_postgres_transact(key, NULL, kolk_in_ms(5000), move, too_much) != KOLK_E_SERVER)
		return complain("who has 70 cannot give 1000", KOLK_OK, NULL);
	err = balance(key, "bob", &result);
	if (err != KOLK_OK)
		return complain("balance", err, result);
	printf("bob has %s\n", kolk_postgres_result_text(result, 0, 0));
	kolk_postgres_result_free(result);
	return 0;
}

int main(int argc, char **argv)
{
	struct kolk_postgres_options login = KOLK_INIT(kolk_postgres_options);
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kolk_engine_options engine_options = KOLK_INIT(kolk_engine_options);
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	int status = 1;

	if (argc != 5) {
		fprintf(stderr, "example-postgres ADDRESS USER PASSWORD DATABASE\n");
		return 2;
	}
	login.user = argv[2];
	login.password = argv[3];
	login.database = argv[4];
	login.validation_query = "select 1"; /* while idle, and after each lease */
	login.validate_on_return = 1;
	login.scram_required = 1;
	options.name = "accounts";
	options.address = argv[1];
	options.driver = kolk_driver_postgres();
	options.driver_user = &login;
	if (kolk_engine_create(&engine_options, &engine) != KOLK_OK)
		return 1;
	/* With a second pool for cancel requests. */
	if (kolk_postgres_pool_add(engine, &options, &pool) == KOLK_OK)
		status = use(kolk_pool_key(pool));
	kolk_engine_destroy(engine);
	return status;
}
