/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_validate.c - proves that a connection works: the query of pings (pg_driver.c), of connections
 * that come back, and of connections that are about to be leased.
 */
#include "transport/drivers/pg_run.h"

const char *pg_validation_query(const struct pg_session *session)
{
	return session->options->validation_query != NULL ? session->options->validation_query : "";
}

enum kolk_err pg_validation_reply(struct pg_session *session, const struct pg_message *message)
{
	switch (message->type) {
	case 'T': case 'D':
		return pg_validation_query(session)[0] != 0 ? KOLK_PENDING : KOLK_E_PROTOCOL;
	case 'C': case 'I':
		session->answered = true;
		return KOLK_PENDING;
	default:
		return KOLK_E_PROTOCOL;
	}
}

/* ---- on borrow */

struct validation {
	const char *query; /* of the options, which live as long as the connection */
	uint64_t until_ns;
};

static enum kolk_err read_options(void *user, void *memory)
{
	struct validation *validation = user;
	const struct pg_session *session = memory;

	if (!session->options->validate_on_borrow)
		return KOLK_E_NOT_FOUND;
	validation->query = pg_validation_query(session);
	validation->until_ns = kolk_in_ns(session->options->validation_timeout_ns);
	return KOLK_OK;
}

/* A new connection has just logged in. */
static bool is_due(const struct kolk_lease *lease, struct validation *validation)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	return kolk_lease_session(lease, &pg_driver, read_options, validation) == KOLK_OK &&
	       kolk_lease_info(lease, &info) == KOLK_OK && info.reused;
}

bool pg_validation_is_due(const struct kolk_lease *lease)
{
	struct validation unused;

	return is_due(lease, &unused);
}

/* A deadline that is still to come bounds it, too. */
static uint64_t earlier(uint64_t until_ns, uint64_t deadline_ns)
{
	return deadline_ns > kolk_in_ns(0) && deadline_ns < until_ns ? deadline_ns : until_ns;
}

bool pg_validation_is_over(uint64_t deadline_ns)
{
	return deadline_ns != 0 && kolk_in_ns(0) >= deadline_ns;
}

enum kolk_err pg_validation_start(struct kolk_postgres_call *run, struct kolk_loop *loop,
				  kolk_postgres_done_fn *done)
{
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);
	struct validation validation;

	if (!is_due(&run->pump.lease, &validation))
		return KOLK_E_CLOSED;
	run->validation_query = (struct kolk_postgres_statement){
		.sql = validation.query, .flags = KOLK_POSTGRES_SIMPLE | KOLK_POSTGRES_HARMLESS
	};
	request.count = 1;
	request.statements = &run->validation_query;
	return kolk_postgres_run_async(loop, &run->pump.lease, &request,
				       earlier(validation.until_ns, run->pump.deadline_ns), done,
				       run, &run->validation);
}

/* Each turn closes a connection that was idle: in the end there is a new one, or none. */
enum kolk_err kolk_postgres_acquire(struct kolk_key *key, uint64_t deadline_ns,
				    struct kolk_lease *lease)
{
	struct validation validation;
	enum kolk_err err;

	for (;;) {
		err = kolk_acquire(key, deadline_ns, lease);
		if (err != KOLK_OK || !is_due(lease, &validation))
			return err;
		err = pg_exec_harmless(lease, validation.query,
				       earlier(validation.until_ns, deadline_ns), NULL);
		if (err == KOLK_OK)
			return KOLK_OK;
		(void)kolk_discard(lease);
		if (err == KOLK_E_THREAD || pg_validation_is_over(deadline_ns))
			return err == KOLK_E_THREAD ? err : KOLK_E_TIMEOUT;
	}
}
