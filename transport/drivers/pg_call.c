/* SPDX-License-Identifier: Apache-2.0 */
/* pg_call.c - requests on a lease: from a plain thread, and on a loop. */
#include "transport/drivers/pg_run.h"

#include <stdlib.h>

/* ---- on a plain thread */

enum kolk_err pg_run_blocking(struct kolk_postgres_call *run)
{
	static const struct pump_callbacks callbacks = { &pg_driver, pg_run_on_write,
							pg_run_on_read, NULL };
	uint8_t buffer[PG_RECEIVE_BYTES];
	enum kolk_err err;

	if (kolk_loop_current() != NULL) /* before the session counts a request as sent */
		return KOLK_E_THREAD;
	run->pump.callbacks = &callbacks;
	run->pump.buffer = buffer;
	run->pump.capacity = sizeof buffer;
	err = pg_run_build(run);
	if (err == KOLK_OK)
		err = pg_run_outcome(run, pump_run(&run->pump));
	return err;
}

enum kolk_err kolk_postgres_run(const struct kolk_lease *lease,
				const struct kolk_postgres_request *request, uint64_t deadline_ns,
				struct kolk_postgres_result **result)
{
	struct kolk_postgres_call run;
	enum kolk_err err = pg_run_init(&run, request);

	if (err == KOLK_OK) {
		pg_run_on_lease(&run, lease, deadline_ns);
		err = pg_run_blocking(&run);
	}
	if (result != NULL)
		*result = pg_run_take_result(&run);
	pg_run_free(&run);
	return err;
}

static enum kolk_err run_statement(const struct kolk_lease *lease,
				   const struct kolk_postgres_statement *statement,
				   uint64_t deadline_ns, struct kolk_postgres_result **result)
{
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);

	request.count = 1;
	request.statements = statement;
	return kolk_postgres_run(lease, &request, deadline_ns, result);
}

enum kolk_err kolk_postgres_exec(const struct kolk_lease *lease, const char *sql,
				 uint64_t deadline_ns)
{
	const struct kolk_postgres_statement statement = { .sql = sql,
							   .flags = KOLK_POSTGRES_SIMPLE };

	return run_statement(lease, &statement, deadline_ns, NULL);
}

enum kolk_err pg_exec_harmless(const struct kolk_lease *lease, const char *sql,
			       uint64_t deadline_ns, struct kolk_postgres_result **result)
{
	const struct kolk_postgres_statement statement = {
		.sql = sql, .flags = KOLK_POSTGRES_SIMPLE | KOLK_POSTGRES_HARMLESS
	};

	return run_statement(lease, &statement, deadline_ns, result);
}

/* ---- on a loop */

static void on_done(struct pump *pump, enum kolk_err err)
{
	struct kolk_postgres_call *run = (struct kolk_postgres_call *)(void *)pump;

	run->done(run->user, pg_run_outcome(run, err), pg_run_take_result(run));
	pg_run_free(run);
	free(run);
}

enum kolk_err pg_run_make(const struct pump_callbacks *callbacks,
			  const struct kolk_postgres_request *request,
			  struct kolk_postgres_call **made)
{
	struct kolk_postgres_call *run = malloc(sizeof *run + PG_RECEIVE_BYTES);
	enum kolk_err err = run != NULL ? pg_run_init(run, request) : KOLK_E_MEMORY;

	if (err != KOLK_OK) {
		free(run);
		return err;
	}
	run->pump.callbacks = callbacks;
	run->pump.buffer = (uint8_t *)(run + 1);
	run->pump.capacity = PG_RECEIVE_BYTES;
	*made = run;
	return KOLK_OK;
}

enum kolk_err kolk_postgres_run_async(struct kolk_loop *loop, const struct kolk_lease *lease,
				      const struct kolk_postgres_request *request,
				      uint64_t deadline_ns, kolk_postgres_done_fn *done, void *user,
				      struct kolk_postgres_call **call)
{
	static const struct pump_callbacks callbacks = { &pg_driver, pg_run_on_write,
							pg_run_on_read, on_done };
	enum kolk_err err;
	struct kolk_postgres_call *run;

	if (!kolk_loop_is_mine(loop))
		return KOLK_E_THREAD;
	err = pg_run_make(&callbacks, request, &run);
	if (err != KOLK_OK)
		return err;
	pg_run_on_lease(run, lease, deadline_ns);
	run->done = done;
	run->user = user;
	err = pg_run_build(run);
	if (err == KOLK_OK)
		err = pump_start(&run->pump, loop, &run->send);
	if (err == KOLK_PENDING) {
		if (call != NULL)
			*call = run;
		return KOLK_PENDING;
	}
	pg_run_free(run);
	free(run);
	return err;
}
