/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_transact.c - a transaction around a function: committed when it succeeds. What fails is rolled
 * back by the reset at release: the caller need not wait for it.
 */
#include "transport/drivers/pg_run.h"

#include <string.h>

static enum kolk_err read_state(void *user, void *memory)
{
	struct pg_session *session = memory;
	char *sqlstate = user;

	memcpy(sqlstate, session->sqlstate, sizeof session->sqlstate);
	session->sqlstate[0] = 0;
	return KOLK_OK;
}

/* PostgreSQL 15, "Serialization Failure Handling". */
static bool may_succeed_again(const struct kolk_lease *lease)
{
	char sqlstate[6] = "";

	return kolk_lease_session(lease, &pg_driver, read_state, sqlstate) == KOLK_OK &&
	       (strcmp(sqlstate, "40001") == 0 || strcmp(sqlstate, "40P01") == 0);
}

struct transaction {
	const char *begin;
	uint64_t deadline_ns;
	kolk_postgres_body_fn *body;
	void *user; /* of body */
};

/* A transaction that had failed ends with ROLLBACK, and the server does not call that an error. */
static enum kolk_err commit(const struct kolk_lease *lease, uint64_t deadline_ns)
{
	struct kolk_postgres_result *result = NULL;
	enum kolk_err err = pg_exec_harmless(lease, "commit", deadline_ns, &result);

	if (err == KOLK_OK && (result == NULL || strcmp(result->tag, "COMMIT") != 0))
		err = KOLK_E_SERVER;
	kolk_postgres_result_free(result);
	return err;
}

static enum kolk_err once(const struct transaction *transaction, const struct kolk_lease *lease)
{
	uint64_t deadline_ns = transaction->deadline_ns;
	enum kolk_err err =
		strchr(transaction->begin, ';') == NULL ?
			pg_exec_harmless(lease, transaction->begin, deadline_ns, NULL) :
			kolk_postgres_exec(lease, transaction->begin, deadline_ns);

	if (err == KOLK_OK)
		err = transaction->body(transaction->user, lease, deadline_ns);
	return err == KOLK_OK ? commit(lease, deadline_ns) : err;
}

enum kolk_err kolk_postgres_transact(struct kolk_key *key,
				     const struct kolk_postgres_transaction *options,
				     uint64_t deadline_ns, kolk_postgres_body_fn *body, void *user)
{
	struct kolk_postgres_transaction o = KOLK_INIT(kolk_postgres_transaction);
	struct transaction transaction = { "begin", deadline_ns, body, user };
	struct kolk_lease lease;
	enum kolk_err err;

	if (body == NULL || (options != NULL && !kolk__sized_read(&o, options)))
		return KOLK_E_OPTIONS;
	if (o.begin != NULL)
		transaction.begin = o.begin;
	if (deadline_ns == 0)
		transaction.deadline_ns =
			kolk_in_ns(kolk_pool_request_timeout_ns(kolk_key_pool(key)));
	err = kolk_postgres_acquire(key, transaction.deadline_ns, &lease);
	if (err != KOLK_OK)
		return err;
	err = once(&transaction, &lease);
	while (err == KOLK_E_SERVER && o.retries-- > 0 && may_succeed_again(&lease)) {
		err = pg_exec_harmless(&lease, "rollback", transaction.deadline_ns, NULL);
		if (err == KOLK_OK)
			err = once(&transaction, &lease);
	}
	(void)kolk_postgres_release(&lease);
	return err;
}
