/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_run.h - a request under way: its bytes, where it stands, what came of it. A conversation
 * (talk.h) whose other half is the session's account.
 */
#ifndef KOLK_PG_RUN_H
#define KOLK_PG_RUN_H

#include "transport/drivers/pg_result.h"
#include "transport/drivers/pg_session.h"
#include "transport/drivers/talk.h"

enum { PG_RECEIVE_BYTES = 16384 };

/* A part of a batch that goes out only when the statements before it are answered. */
struct pg_segment {
	size_t end;       /* of its bytes in the batch */
	uint32_t waits_for; /* statements */
};

struct kolk_postgres_call {
	struct talk talk; /* first: the side's functions get it */
	struct kolk_postgres_request request;
	struct pg_bytes out, frame; /* the batch; a piece of what is copied in */
	uint32_t *sent;      /* of each statement: its number among those kept prepared; 0 = it is not */
	struct pg_segment *segments;
	uint32_t segments_count, segment; /* segment: the next to go out */
	uint32_t finished;   /* statements answered */
	bool prelude;        /* the time-out's setting is still to be answered */
	bool refused;        /* an error came: nothing is answered until ReadyForQuery */
	bool deaf;           /* the caller has enough of it */
	bool copied;         /* the source said that this was all, or failed */
	size_t kept;         /* bytes of results before the current one */
	enum kolk_err ended; /* by a callback of the caller */
	struct kolk_postgres_result *first, *current;

	/* Of those on a loop. */
	kolk_postgres_done_fn *done;
	void *user;
	/* Of those by key. */
	struct kolk_key *key;
	struct kolk_acquire acquire;
	struct kolk_timer timer;
	enum kolk_err err;
	bool acquiring, ending, inside, retried;
};

/* Check the request, and take it over. Errors: E_OPTIONS. */
enum kolk_err pg_run_init(struct kolk_postgres_call *run, const struct kolk_lease *lease,
			  const struct kolk_key *key, const struct kolk_postgres_request *request,
			  uint64_t deadline_ns);
/* Write the batch for the leased connection. Errors: E_LEASE_BUSY, E_MEMORY, as
 * kolk_lease_session. */
enum kolk_err pg_run_build(struct kolk_postgres_call *run);
/* Put all back to where pg_run_init left it: for another connection. */
void pg_run_reset(struct kolk_postgres_call *run);
/* What it ended with, from what the conversation ended with. */
enum kolk_err pg_run_outcome(const struct kolk_postgres_call *run, enum kolk_err err);
/* The result, which is the caller's then. */
struct kolk_postgres_result *pg_run_take_result(struct kolk_postgres_call *run);
void pg_run_free(struct kolk_postgres_call *run);

/* Inside the lease (pg_batch.c). */
enum kolk_err pg_batch_write(struct kolk_postgres_call *run, struct pg_session *session);
/* A statement failed, perhaps because the one that is kept prepared is not there, or outdated. */
void pg_batch_failed(const struct kolk_postgres_call *run, struct pg_session *session,
		     const char *sqlstate);

/* The two functions of a side (pg_run.c). */
size_t pg_run_give(struct talk *talk, void *memory, const void **data);
enum kolk_err pg_run_take(struct talk *talk, void *memory, const uint8_t *data, size_t size);

/* One in memory of its own, with a buffer; NULL and *err. */
struct kolk_postgres_call *pg_run_new(const struct talk_side *side, const struct kolk_lease *lease,
				      const struct kolk_key *key,
				      const struct kolk_postgres_request *request,
				      uint64_t deadline_ns, enum kolk_err *err);
/* Run what was initialized, on this thread. */
enum kolk_err pg_run_blocking(struct kolk_postgres_call *run);
/* One by the simple protocol that leaves nothing behind: "begin", "commit". */
enum kolk_err pg_exec_harmless(const struct kolk_lease *lease, const char *sql,
			       uint64_t deadline_ns, char *tag, size_t capacity);
/* Whether a request that failed so may be sent again, on another connection. */
bool pg_run_may_retry(const struct kolk_postgres_call *run, enum kolk_err err);

#endif
