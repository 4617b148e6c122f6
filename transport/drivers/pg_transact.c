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

static enum kolk_err once(const struct kolk_lease *lease, const char *begin, uint64_t deadline_ns,
			  kolk_postgres_body_fn *body, void *user)
{
	char tag[16] = "";
	enum kolk_err err = strchr(begin, ';') == NULL ?
				    pg_exec_harmless(lease, begin, deadline_ns, NULL, 0) :
				    kolk_postgres_exec(lease, begin, deadline_ns);

	if (err == KOLK_OK)
		err = body(user, lease, deadline_ns);
	if (err != KOLK_OK)
		return err;
	err = pg_exec_harmless(lease, "commit", deadline_ns, tag, sizeof tag);
	/* A transaction that had failed ends so, and the server does not call that an error. */
	return err == KOLK_OK && strcmp(tag, "COMMIT") != 0 ? KOLK_E_SERVER : err;
}

enum kolk_err kolk_postgres_transact(struct kolk_key *key,
				     const struct kolk_postgres_transaction *options,
				     uint64_t deadline_ns, kolk_postgres_body_fn *body, void *user)
{
	struct kolk_postgres_transaction o = KOLK_INIT(kolk_postgres_transaction);
	struct kolk_lease lease;
	const char *begin;
	enum kolk_err err;

	if (body == NULL || (options != NULL && !kolk__sized_read(&o, options)))
		return KOLK_E_OPTIONS;
	begin = o.begin != NULL ? o.begin : "begin";
	deadline_ns = deadline_ns != 0 ? deadline_ns :
		      pump_deadline(kolk_pool_request_timeout_ns(kolk_key_pool(key)));
	err = kolk_acquire(key, deadline_ns, &lease);
	if (err != KOLK_OK)
		return err;
	err = once(&lease, begin, deadline_ns, body, user);
	while (err == KOLK_E_SERVER && o.retries-- > 0 && may_succeed_again(&lease)) {
		err = pg_exec_harmless(&lease, "rollback", deadline_ns, NULL, 0);
		if (err == KOLK_OK)
			err = once(&lease, begin, deadline_ns, body, user);
	}
	(void)kolk_postgres_release(&lease);
	return err;
}
