/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_run.h - a request under way: its bytes, its progress, its result. A pump (pump.h) that keeps
 * the session's counts.
 */
#ifndef KOLK_PG_RUN_H
#define KOLK_PG_RUN_H

#include "transport/drivers/pg_result.h"
#include "transport/drivers/pg_session.h"
#include "transport/drivers/pump.h"

enum { PG_RECEIVE_BYTES = 16384 };

/* A part of a batch that goes out only when the statements before it are answered. */
struct pg_segment {
	size_t end;       /* of its bytes in the batch */
	uint32_t waits_for; /* statements */
};

struct kolk_postgres_call {
	struct pump pump; /* first: the pump's callbacks get it */
	struct kolk_io send;
	struct kolk_postgres_request request;
	struct pg_bytes out, frame; /* the batch; a piece of COPY data */
	uint32_t *sent;           /* of each statement: its number if prepared, else 0 */
	struct pg_segment *segments;
	uint32_t segments_count, segment; /* segment: the next to go out */
	uint32_t finished;        /* statements answered */
	bool timeout_pending;     /* the setting of the time-out is not answered yet */
	bool refused;             /* an error was received: nothing is answered until
	                           * ReadyForQuery */
	bool discarding;          /* the caller wants no more of the answer */
	bool copy_ended;          /* the source has ended or failed */
	size_t result_bytes;      /* bytes of results before the current one */
	enum kolk_err caller_err; /* from a callback of the caller */
	struct kolk_postgres_result *first, *current;

	/* Of those on a loop. */
	kolk_postgres_done_fn *done;
	void *user;
	/* Of those by key. */
	struct kolk_key *key;
	struct kolk_acquire acquire;
	struct kolk_timer timer;
	enum kolk_err err;
	struct kolk_postgres_call *validation; /* of its lease, under way; NULL = none */
	struct kolk_postgres_statement validation_query; /* its */
	bool acquiring, ending, starting, retried;
};

/* Check the request, and copy it. Errors: E_OPTIONS. */
enum kolk_err pg_run_init(struct kolk_postgres_call *run,
			  const struct kolk_postgres_request *request);
/* Then: on this lease; or by key, which acquires them. Sets the run's times. */
void pg_run_on_lease(struct kolk_postgres_call *run, const struct kolk_lease *lease,
		     uint64_t deadline_ns);
void pg_run_by_key(struct kolk_postgres_call *run, struct kolk_key *key, uint64_t deadline_ns);
/* Write the batch for the leased connection. Errors: E_LEASE_BUSY, E_MEMORY, as
 * kolk_lease_session. */
enum kolk_err pg_run_build(struct kolk_postgres_call *run);
/* Back to the state before pg_run_build: for another connection. */
void pg_run_reset(struct kolk_postgres_call *run);
/* The request's error, from the pump's. */
enum kolk_err pg_run_outcome(const struct kolk_postgres_call *run, enum kolk_err err);
/* The result, which is the caller's then. */
struct kolk_postgres_result *pg_run_take_result(struct kolk_postgres_call *run);
void pg_run_free(struct kolk_postgres_call *run);

/* Inside the lease (pg_batch.c). */
enum kolk_err pg_batch_write(struct kolk_postgres_call *run, struct pg_session *session);
/* A statement failed, perhaps because its prepared statement does not exist any more, or is
 * stale. */
void pg_batch_failed(const struct kolk_postgres_call *run, struct pg_session *session,
		     const char *sqlstate);

/* The pump's callbacks (pg_run.c). */
size_t pg_run_on_write(struct pump *pump, void *memory, const void **data);
enum kolk_err pg_run_on_read(struct pump *pump, void *memory, const uint8_t *data, size_t size);

/* For a loop: as pg_run_init, in allocated memory with a buffer. Errors: E_MEMORY, too. */
enum kolk_err pg_run_make(const struct pump_callbacks *callbacks,
			  const struct kolk_postgres_request *request,
			  struct kolk_postgres_call **run);
/* Run what was initialized, on this thread. */
enum kolk_err pg_run_blocking(struct kolk_postgres_call *run);
/* A statement by the simple protocol that leaves no state in the session: "begin", "commit".
 * result may be NULL. */
enum kolk_err pg_exec_harmless(const struct kolk_lease *lease, const char *sql,
			       uint64_t deadline_ns, struct kolk_postgres_result **result);
/* Validation on borrow (pg_validate.c): is it due, and has the deadline passed for another? start:
 * KOLK_PENDING: done will run, on the loop. */
bool pg_validation_is_due(const struct kolk_lease *lease);
bool pg_validation_is_over(uint64_t deadline_ns);
enum kolk_err pg_validation_start(struct kolk_postgres_call *run, struct kolk_loop *loop,
				  kolk_postgres_done_fn *done);

/* Whether a request that failed with err may be sent again, on another connection. */
bool pg_run_may_retry(const struct kolk_postgres_call *run, enum kolk_err err);

#endif
