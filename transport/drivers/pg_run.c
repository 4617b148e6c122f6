/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_run.c - a request, message by message. ReadyForQuery alone ends it; everything between is
 * checked against the request, and what cannot be its answer breaks the connection.
 *
 * A server that reads the data of a COPY drops a Sync in between, and a server that failed before
 * does not. So requests with a source send Sync when their statements are answered: then it is
 * known how often the server will send ReadyForQuery.
 */
#include "transport/drivers/pg_run.h"

#include <stdlib.h>
#include <string.h>

enum {
	RESULT_DEFAULT = 16 << 20,
	RESULT_MAX = 1 << 30,
	VALUES_MAX = 65535,
	COPY_BYTES = 32768,
	COPY_HEADER = 5
};

static bool is_simple(const struct kolk_postgres_call *run)
{
	return (run->request.statements[0].flags & KOLK_POSTGRES_SIMPLE) != 0;
}

/* ---- what is sent */

/* What the source has next, as CopyData; CopyDone or CopyFail at its end. */
static size_t write_copy(struct kolk_postgres_call *run, struct pg_session *session,
			 const void **data)
{
	struct pg_bytes *frame = &run->frame;
	size_t size = 0, begun;
	enum kolk_err err = KOLK_E_UNSUPPORTED; /* the server asks for data, and there is no
	                                         * source */

	frame->size = 0;
	begun = pg_begin(frame, 'd');
	pg_put(frame, (const uint8_t[COPY_BYTES]){ 0 }, COPY_BYTES);
	if (frame->failed)
		err = KOLK_E_MEMORY;
	else if (run->request.source != NULL)
		err = run->request.source(run->request.user, frame->at + COPY_HEADER, COPY_BYTES,
					  &size);
	if (err == KOLK_OK && size > 0 && size <= COPY_BYTES) {
		frame->size = COPY_HEADER + size;
		pg_end(frame, begun);
	} else {
		run->copy_ended = true;
		run->caller_err = err != KOLK_OK ? err : size > 0 ? KOLK_E_OPTIONS : KOLK_OK;
		frame->size = 0;
		if (run->caller_err == KOLK_OK)
			pg_end(frame, pg_begin(frame, 'c'));
		else
			pg_put_message(frame, 'f', "the source failed");
		if (!is_simple(run)) /* the Sync that was sent before was dropped */
			pg_end(frame, pg_begin(frame, 'H'));
		session->copy = PG_COPY_NONE;
	}
	*data = frame->at;
	return frame->failed ? 0 : frame->size;
}

size_t pg_run_on_write(struct pump *pump, void *memory, const void **data)
{
	struct kolk_postgres_call *run = (struct kolk_postgres_call *)(void *)pump;
	struct pg_session *session = memory;
	const struct pg_segment *segment = &run->segments[run->segment];
	size_t begin = run->segment > 0 ? segment[-1].end : 0;

	if (session->copy == PG_COPY_IN && !run->copy_ended)
		return write_copy(run, session, data);
	if (run->segment == run->segments_count ||
	    (run->finished < segment->waits_for && !run->refused))
		return 0;
	if (run->segment == 0)
		session->outstanding = 1; /* from the first byte on */
	run->segment++;
	if (run->refused) { /* nothing is read up to Sync */
		run->segment = run->segments_count;
		begin = run->segments[run->segment - 1].end - 5;
		segment = &run->segments[run->segment - 1];
	}
	session->unsynced = run->segment < run->segments_count;
	*data = run->out.at + begin;
	return segment->end - begin;
}

/* ---- what is received */

static size_t bytes_of(const struct kolk_postgres_result *result)
{
	return result->bytes_size + result->cells_count * sizeof *result->cells;
}

/* Of all results together: with the simple protocol the server decides how many there are. */
static size_t bytes_left(const struct kolk_postgres_call *run)
{
	uint32_t max = run->request.result_bytes_max;
	size_t limit = max != 0 ? max : RESULT_DEFAULT;

	return limit > run->result_bytes ? limit - run->result_bytes : 0;
}

/* The result that the message is about. */
static struct kolk_postgres_result *current(struct kolk_postgres_call *run)
{
	struct kolk_postgres_result *result;

	if (run->current != NULL && !run->current->done)
		return run->current;
	if (run->current != NULL)
		run->result_bytes += bytes_of(run->current) + (is_simple(run) ? sizeof *result : 0);
	result = pg_result_new();
	if (result == NULL)
		return NULL;
	if (run->current != NULL)
		run->current->next = result;
	else
		run->first = result;
	run->current = result;
	return result;
}

/* The caller wants no more: the rest is only counted. */
static enum kolk_err discard_rest(struct kolk_postgres_call *run, enum kolk_err err)
{
	run->caller_err = err;
	run->discarding = true;
	return KOLK_PENDING;
}

static enum kolk_err on_row(struct kolk_postgres_call *run, const struct pg_message *message)
{
	enum kolk_err err;

	if (run->current == NULL || run->current->done)
		return KOLK_E_PROTOCOL;
	if (run->request.row != NULL)
		err = pg_result_deliver(run->current, message, &run->request, run->finished);
	else
		err = pg_result_row(run->current, message, bytes_left(run));
	if (err == KOLK_E_PROTOCOL || err == KOLK_E_MEMORY)
		return err;
	return err == KOLK_OK ? KOLK_PENDING : discard_rest(run, err);
}

/* A statement's end. Explicit statements that drop the server's prepared statements are noticed. */
static enum kolk_err finished(struct kolk_postgres_call *run, struct pg_session *session,
			      const struct pg_message *message)
{
	struct kolk_postgres_result *result = current(run);
	enum kolk_err err = result != NULL ? KOLK_OK : KOLK_E_MEMORY;

	if (err == KOLK_OK && message->type == 'C')
		err = pg_result_done(result, message);
	else if (err == KOLK_OK)
		result->done = true;
	if (err != KOLK_OK)
		return err;
	run->finished++;
	session->answered = true;
	if (strcmp(result->tag, "DISCARD ALL") == 0 || strcmp(result->tag, "DEALLOCATE ALL") == 0)
		pg_prepared_clear(session);
	return is_simple(run) && bytes_left(run) == 0 ? discard_rest(run, KOLK_E_LIMIT) :
							KOLK_PENDING;
}

static enum kolk_err refused(struct kolk_postgres_call *run, struct pg_session *session,
			     const struct pg_message *message)
{
	struct kolk_postgres_result *result = current(run);
	enum kolk_err err;

	if (result == NULL)
		return KOLK_E_MEMORY;
	err = pg_result_fail(result, message,
			     run->finished < run->request.count || is_simple(run) ?
				     run->finished : run->request.count - 1);
	if (err != KOLK_OK)
		return err;
	run->refused = session->answered = true;
	run->first->request_error = &result->error;
	memcpy(session->sqlstate, result->error.sqlstate, 5);
	session->copy = PG_COPY_NONE;
	if (strcmp(result->error.severity, "ERROR") != 0)
		session->broken = true; /* FATAL, PANIC: the server ends the connection */
	if (!is_simple(run))
		pg_batch_failed(run, session, result->error.sqlstate);
	return KOLK_PENDING;
}

static enum kolk_err on_copy(struct kolk_postgres_call *run, struct pg_session *session,
			     const struct pg_message *message)
{
	enum kolk_err err;

	switch (message->type) {
	case 'G':
		if (!pg_session_may_copy_in(session) ||
		    (!is_simple(run) && run->finished + 1 < run->request.count))
			return KOLK_E_UNSUPPORTED; /* what follows it would be its data */
		session->copy = PG_COPY_IN;
		run->copy_ended = false;
		return KOLK_PENDING;
	case 'H':
		session->copy = PG_COPY_OUT;
		return KOLK_PENDING;
	case 'd':
		if (session->copy != PG_COPY_OUT)
			return KOLK_E_PROTOCOL;
		if (run->request.sink == NULL)
			return KOLK_PENDING;
		err = run->request.sink(run->request.user, message->body, message->size);
		return err == KOLK_OK ? KOLK_PENDING : discard_rest(run, err);
	default:
		return session->copy == PG_COPY_OUT ? KOLK_PENDING : KOLK_E_PROTOCOL;
	}
}

/* The setting of the time-out is answered like a statement; its answer is not delivered. */
static bool is_timeout_reply(struct kolk_postgres_call *run, const struct pg_message *message)
{
	if (!run->timeout_pending || memchr("12DC", message->type, 4) == NULL)
		return false;
	run->timeout_pending = message->type != 'C';
	return true;
}

static enum kolk_err on_reply(struct kolk_postgres_call *run, struct pg_session *session,
			      const struct pg_message *message)
{
	struct kolk_postgres_result *result;
	enum kolk_err err;

	if (is_timeout_reply(run, message))
		return KOLK_PENDING;
	if (is_simple(run) && memchr("123n", message->type, 4) != NULL)
		return KOLK_E_PROTOCOL;
	switch (message->type) {
	case '1':
		pg_prepared_set_parsed(session, run->sent[run->finished], true);
		return KOLK_PENDING;
	case '2':
	case '3':
		return KOLK_PENDING;
	case 'n':
		return current(run) != NULL ? KOLK_PENDING : KOLK_E_MEMORY;
	case 'T':
		result = current(run);
		err = result != NULL ? pg_result_describe(result, message) : KOLK_E_MEMORY;
		return err == KOLK_OK ? KOLK_PENDING : err;
	case 'D':
		return on_row(run, message);
	case 'C':
	case 'I':
		return finished(run, session, message);
	case 'E':
		return refused(run, session, message);
	case 'G': case 'H': case 'c': case 'd':
		return on_copy(run, session, message);
	default:
		return KOLK_E_PROTOCOL;
	}
}

/* More answers than statements, or answers after an error: not the reply to this request. */
static bool is_due(const struct kolk_postgres_call *run, const struct pg_session *session,
		   const struct pg_message *message)
{
	if (session->outstanding == 0)
		return false;
	if (message->type == 'Z')
		return run->refused || run->finished >= run->request.count;
	if (run->refused)
		return false;
	return is_simple(run) || run->finished < run->request.count || message->type == 'E';
}

static enum kolk_err on_message(struct kolk_postgres_call *run, struct pg_session *session,
				const struct pg_message *message)
{
	enum kolk_err err = pg_session_async(session, message, true);

	if (err != KOLK_PENDING)
		return err == KOLK_OK ? KOLK_PENDING : err;
	if (session->outstanding == 0 && message->type == 'E') { /* the connection ends, after this
	                                                          * request's answer */
		pg_session_notice(session, message);
		session->broken = true;
		return KOLK_PENDING;
	}
	if (run->discarding && message->type != 'Z')
		return pg_session_discard(session, message);
	if (!run->discarding && !is_due(run, session, message))
		return KOLK_E_PROTOCOL;
	return message->type == 'Z' ? pg_session_ready(session, message) :
				      on_reply(run, session, message);
}

enum kolk_err pg_run_on_read(struct pump *pump, void *memory, const uint8_t *data, size_t size)
{
	struct kolk_postgres_call *run = (struct kolk_postgres_call *)(void *)pump;
	struct pg_session *session = memory;
	struct pg_message message;
	enum kolk_err err, ended = KOLK_PENDING;

	if (size == 0) {
		session->broken = true;
		return KOLK_E_CLOSED;
	}
	while ((err = pg_read(&session->reader, &data, &size, &message)) == KOLK_OK) {
		err = on_message(run, session, &message);
		if (err == KOLK_OK)
			ended = KOLK_OK; /* and on: only asynchronous messages can follow */
		else if (err != KOLK_PENDING)
			break;
	}
	if (err == KOLK_PENDING)
		return run->discarding ? KOLK_OK : ended;
	/* The rest of these bytes is lost, and with them the position in the stream. */
	session->broken = true;
	return err;
}

/* ---- init, build, outcome */

static bool is_good(const struct kolk_postgres_request *request)
{
	bool simple = false;

	if (request->count == 0 || request->statements == NULL ||
	    request->count > UINT16_MAX || request->result_bytes_max > RESULT_MAX)
		return false;
	for (uint32_t i = 0; i < request->count; i++) {
		const struct kolk_postgres_statement *statement = &request->statements[i];

		simple |= (statement->flags & KOLK_POSTGRES_SIMPLE) != 0;
		if (statement->sql == NULL || statement->value_count > VALUES_MAX ||
		    (statement->value_count > 0 && statement->values == NULL))
			return false;
		for (uint32_t j = 0; j < statement->value_count; j++)
			if (statement->values[j].size > INT32_MAX)
				return false;
	}
	return !simple || (request->count == 1 && request->statements[0].value_count == 0 &&
			   request->timeout_ms == 0);
}

enum kolk_err pg_run_init(struct kolk_postgres_call *run,
			  const struct kolk_postgres_request *request)
{
	memset(run, 0, sizeof *run);
	if (!kolk__sized_read(&run->request, request) || !is_good(&run->request))
		return KOLK_E_OPTIONS;
	return KOLK_OK;
}

/* Times of a request that has no lease yet. */
static void times_of(struct pump *pump, const struct kolk_pool *pool, uint64_t deadline_ns,
		     uint64_t idle_ns)
{
	pump->deadline_ns = deadline_ns != 0 ? deadline_ns :
					       kolk_in_ns(kolk_pool_request_timeout_ns(pool));
	pump->idle_ns = idle_ns != 0 ? idle_ns : kolk_pool_socket_timeout_ns(pool);
}

void pg_run_by_key(struct kolk_postgres_call *run, struct kolk_key *key, uint64_t deadline_ns)
{
	run->key = key;
	times_of(&run->pump, kolk_key_pool(key), deadline_ns, run->request.idle_ns);
}

void pg_run_on_lease(struct kolk_postgres_call *run, const struct kolk_lease *lease,
		     uint64_t deadline_ns)
{
	run->pump.lease = *lease;
	pump_set_times(&run->pump, deadline_ns, run->request.idle_ns);
}

static enum kolk_err build(void *user, void *memory)
{
	return pg_batch_write(user, memory);
}

enum kolk_err pg_run_build(struct kolk_postgres_call *run)
{
	return kolk_lease_session(&run->pump.lease, &pg_driver, build, run);
}

void pg_run_free(struct kolk_postgres_call *run)
{
	pg_bytes_free(&run->out);
	pg_bytes_free(&run->frame);
	free(run->sent);
	free(run->segments);
	kolk_postgres_result_free(run->first);
	run->sent = NULL;
	run->segments = NULL;
	run->first = run->current = NULL;
}

void pg_run_reset(struct kolk_postgres_call *run)
{
	struct pump pump = { .callbacks = run->pump.callbacks,
			     .buffer = run->pump.buffer,
			     .capacity = run->pump.capacity,
			     .deadline_ns = run->pump.deadline_ns,
			     .idle_ns = run->pump.idle_ns };

	pg_run_free(run);
	run->pump = pump;
	run->segments_count = run->segment = run->finished = 0;
	run->timeout_pending = run->refused = run->copy_ended = run->discarding = false;
	run->result_bytes = 0;
	run->caller_err = KOLK_OK;
}

enum kolk_err pg_run_outcome(const struct kolk_postgres_call *run, enum kolk_err err)
{
	if (run->caller_err != KOLK_OK && (err == KOLK_OK || err == KOLK_PENDING))
		return run->caller_err;
	return err == KOLK_OK && run->refused ? KOLK_E_SERVER : err;
}

struct kolk_postgres_result *pg_run_take_result(struct kolk_postgres_call *run)
{
	struct kolk_postgres_result *first = run->first;

	run->first = run->current = NULL;
	return first;
}
