/* SPDX-License-Identifier: Apache-2.0 */
/* pg_call.c - requests on a lease: from a plain thread, and on a loop. */
#include "transport/drivers/pg_run.h"

#include <stdlib.h>
#include <string.h>

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
	enum kolk_err err = pg_run_init(&run, lease, NULL, request, deadline_ns);

	if (err == KOLK_OK)
		err = pg_run_blocking(&run);
	if (result != NULL)
		*result = pg_run_take_result(&run);
	pg_run_free(&run);
	return err;
}

static enum kolk_err exec(const struct kolk_lease *lease, const char *sql, uint32_t flags,
			  uint64_t deadline_ns, struct kolk_postgres_result **result)
{
	const struct kolk_postgres_statement statement = { sql, NULL, 0,
							   flags | KOLK_POSTGRES_SIMPLE };
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);

	request.count = 1;
	request.statements = &statement;
	return kolk_postgres_run(lease, &request, deadline_ns, result);
}

enum kolk_err kolk_postgres_exec(const struct kolk_lease *lease, const char *sql,
				 uint64_t deadline_ns)
{
	return exec(lease, sql, 0, deadline_ns, NULL);
}

enum kolk_err pg_exec_harmless(const struct kolk_lease *lease, const char *sql,
			       uint64_t deadline_ns, char *tag, size_t capacity)
{
	struct kolk_postgres_result *result = NULL;
	enum kolk_err err = exec(lease, sql, KOLK_POSTGRES_HARMLESS, deadline_ns, &result);

	if (capacity > 0)
		tag[0] = 0;
	if (capacity > 0 && result != NULL)
		strncat(tag, result->tag, capacity - 1);
	kolk_postgres_result_free(result);
	return err;
}

/* ---- on a loop */

static void on_done(struct pump *pump, enum kolk_err err)
{
	struct kolk_postgres_call *run = (struct kolk_postgres_call *)(void *)pump;

	run->done(run->user, pg_run_outcome(run, err), pg_run_take_result(run));
	pg_run_free(run);
	free(run);
}

struct kolk_postgres_call *pg_run_new(const struct pump_callbacks *callbacks,
				      const struct kolk_lease *lease,
				      const struct kolk_key *key,
				      const struct kolk_postgres_request *request,
				      uint64_t deadline_ns, enum kolk_err *err)
{
	struct kolk_postgres_call *run = malloc(sizeof *run + PG_RECEIVE_BYTES);

	*err = run != NULL ? pg_run_init(run, lease, key, request, deadline_ns) : KOLK_E_MEMORY;
	if (*err != KOLK_OK) {
		free(run);
		return NULL;
	}
	run->pump.callbacks = callbacks;
	run->pump.buffer = (uint8_t *)(run + 1);
	run->pump.capacity = PG_RECEIVE_BYTES;
	return run;
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
	run = pg_run_new(&callbacks, lease, NULL, request, deadline_ns, &err);
	if (run == NULL)
		return err;
	run->done = done;
	run->user = user;
	err = pg_run_build(run);
	if (err == KOLK_OK)
		err = pump_start(&run->pump, loop);
	if (err == KOLK_PENDING) {
		if (call != NULL)
			*call = run;
		return KOLK_PENDING;
	}
	pg_run_free(run);
	free(run);
	return err;
}
