/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_driver.c - the driver's callbacks for PostgreSQL: SSLRequest, log-in, ping, messages while
 * idle, and how a connection is reset after a lease.
 *
 * A reset has two steps. First outstanding replies are read and a COPY is ended: then the state of
 * the transaction is known. Second, in one packet, ROLLBACK if a transaction is open and DISCARD
 * ALL if the policy wants it; an error there, or any state but idle after it, closes the
 * connection.
 */
#include "transport/drivers/pg_session.h"

#include <string.h>

static const uint8_t ssl_request[] = { 0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f };

static enum kolk_err send_bytes(struct kolk_exchange *exchange, struct pg_bytes *bytes)
{
	enum kolk_err err = bytes->failed ? KOLK_E_MEMORY :
					    kolk_exchange_send(exchange, bytes->at, bytes->size);

	pg_bytes_free(bytes);
	return err == KOLK_OK ? KOLK_PENDING : err;
}

/* ---- the dial */

static enum kolk_err request_tls(void *user, void *memory, struct kolk_exchange *exchange)
{
	const struct kolk_postgres_options *options = user;
	struct pg_session *session = memory;
	enum kolk_err err;

	session->options = options;
	if (options->tls_direct)
		return KOLK_OK;
	session->stage = PG_TLS_REQUESTED;
	err = kolk_exchange_send(exchange, ssl_request, sizeof ssl_request);
	return err == KOLK_OK ? KOLK_PENDING : err;
}

/* One byte: 'S', or the server refuses TLS. An unauthenticated error message is not even read
 * (CVE-2024-10977), and bytes behind the answer were sent before TLS and are not trusted
 * (CVE-2021-23222). */
static enum kolk_err on_tls_reply(struct pg_session *session, struct kolk_exchange *exchange,
				  const uint8_t *data, size_t size)
{
	if (size == 0)
		return KOLK_PENDING;
	session->stage = PG_IDLE;
	if (data[0] != 'S') {
		kolk_exchange_detail(exchange, "the server does not speak TLS");
		return KOLK_E_TLS;
	}
	return size == 1 ? KOLK_OK : KOLK_E_PROTOCOL;
}

static enum kolk_err log_in(void *user, void *memory, struct kolk_exchange *exchange)
{
	struct pg_session *session = memory;
	const char *alpn;

	session->options = user;
	if (session->options->tls_direct && kolk_exchange_is_tls(exchange)) {
		alpn = kolk_exchange_alpn(exchange);
		if (alpn == NULL || strcmp(alpn, "postgresql") != 0)
			return KOLK_E_TLS; /* another protocol's server, perhaps (ALPACA) */
	}
	session->stage = PG_LOGGING_IN;
	return pg_login_begin(session, exchange);
}

/* ---- ping and reset */

static enum kolk_err ping(void *user, void *memory, struct kolk_exchange *exchange)
{
	struct pg_session *session = memory;
	struct pg_bytes bytes = { 0 };

	(void)user;
	session->stage = PG_PINGING;
	session->outstanding = 1;
	pg_put_message(&bytes, 'Q', pg_validation_query(session));
	return send_bytes(exchange, &bytes);
}

static enum kolk_err send_reset(struct pg_session *session, struct kolk_exchange *exchange)
{
	bool reset = pg_session_needs_reset(session);
	struct pg_bytes bytes = { 0 };

	session->stage = PG_RESETTING;
	if (session->status != 'I') {
		pg_put_message(&bytes, 'Q', "ROLLBACK");
		session->outstanding++;
	}
	/* Not in one message: DISCARD ALL refuses to be part of a transaction, and several
	 * commands in one are. */
	if (reset) {
		pg_put_message(&bytes, 'Q', "DISCARD ALL");
		session->outstanding++;
	}
	if (pg_session_needs_validation(session)) {
		pg_put_message(&bytes, 'Q', pg_validation_query(session));
		session->outstanding++;
	} else if (session->barrier && session->outstanding == 0) {
		pg_put_message(&bytes, 'Q', "");
		session->outstanding++;
	}
	session->barrier = false;
	if (session->outstanding == 0)
		return KOLK_OK;
	return send_bytes(exchange, &bytes);
}

static void put_sync(struct pg_bytes *bytes)
{
	pg_end(bytes, pg_begin(bytes, 'S'));
}

static void put_copy_fail(struct pg_session *session, struct pg_bytes *bytes)
{
	pg_put_message(bytes, 'f', "the caller left");
	if (session->unsynced)
		put_sync(bytes);
	session->unsynced = false;
	session->copy = PG_COPY_NONE;
}

static enum kolk_err reset(void *user, void *memory, struct kolk_exchange *exchange)
{
	struct pg_session *session = memory;
	struct pg_bytes bytes = { 0 };

	(void)user;
	if (session->outstanding == 0 && pg_reader_at_boundary(&session->reader))
		return send_reset(session, exchange);
	session->stage = PG_DRAINING;
	if (session->copy == PG_COPY_IN) {
		put_copy_fail(session, &bytes);
	} else if (session->unsynced) {
		put_sync(&bytes);
		session->unsynced = false;
	} else if (session->outstanding == 0) { /* a part of a message was received: an empty query
	                                         * brings its end */
		pg_put_message(&bytes, 'Q', "");
		session->outstanding++;
	} else {
		return KOLK_PENDING;
	}
	return send_bytes(exchange, &bytes);
}

/* Drains the replies of earlier statements. */
static enum kolk_err on_drain_reply(struct pg_session *session, struct kolk_exchange *exchange,
				    const struct pg_message *message)
{
	struct pg_bytes bytes = { 0 };
	enum kolk_err err;

	if (message->type == 'Z') {
		err = pg_session_ready(session, message);
		if (err != KOLK_OK || session->outstanding > 0)
			return err != KOLK_OK ? err : KOLK_PENDING;
		return send_reset(session, exchange);
	}
	err = pg_session_discard(session, message);
	if (err != KOLK_PENDING || message->type != 'G')
		return err; /* after a FATAL error the stream ends, and with it the connection */
	put_copy_fail(session, &bytes);
	return send_bytes(exchange, &bytes);
}

static enum kolk_err on_reset_reply(struct pg_session *session, const struct pg_message *message)
{
	enum kolk_err err;

	switch (message->type) {
	case 'C': case 'I': case 'T': case 'D':
		return pg_validation_reply(session, message);
	case 'Z':
		err = pg_session_ready(session, message);
		if (err != KOLK_OK || session->outstanding > 0)
			return err != KOLK_OK ? err : KOLK_PENDING;
		if (session->status != 'I')
			return KOLK_E_PROTOCOL;
		if (pg_session_needs_reset(session))
			pg_prepared_clear(session);
		session->dirty = session->used = false;
		return KOLK_OK;
	default:
		return KOLK_E_PROTOCOL; /* an error, too: the reset failed */
	}
}

static enum kolk_err on_ping_reply(struct pg_session *session, const struct pg_message *message)
{
	enum kolk_err err;

	if (message->type == 'C' && pg_validation_query(session)[0] == 0)
		return KOLK_E_PROTOCOL;
	if (message->type != 'Z')
		return pg_validation_reply(session, message);
	err = pg_session_ready(session, message);
	return err == KOLK_OK && session->status != 'I' ? KOLK_E_PROTOCOL : err;
}

/* ---- what is received */

static enum kolk_err on_message(struct pg_session *session, struct kolk_exchange *exchange,
				const struct pg_message *message)
{
	enum kolk_err err;

	if (session->stage == PG_LOGGING_IN)
		return pg_login_on_message(session, exchange, message);
	err = pg_session_async(session, message, false);
	if (err != KOLK_PENDING)
		return err == KOLK_OK ? KOLK_PENDING : err;
	if (message->type == 'E' && session->stage != PG_DRAINING)
		pg_session_notice(session, message);
	switch (session->stage) {
	case PG_PINGING:
		return on_ping_reply(session, message);
	case PG_DRAINING:
		return on_drain_reply(session, exchange, message);
	case PG_RESETTING:
		return on_reset_reply(session, message);
	default:
		return KOLK_E_PROTOCOL;
	}
}

/* Between two leases a server may report and notify, or end the connection. */
static enum kolk_err on_unsolicited(void *user, void *memory, struct kolk_exchange *exchange,
				    const void *data, size_t size)
{
	struct pg_session *session = memory;
	const uint8_t *at = data;
	struct pg_message message;
	enum kolk_err err;

	(void)user;
	(void)exchange;
	while ((err = pg_read(&session->reader, &at, &size, &message)) == KOLK_OK) {
		err = pg_session_async(session, &message, false);
		if (message.type == 'E')
			pg_session_notice(session, &message);
		if (err != KOLK_OK)
			return message.type == 'E' ? KOLK_E_CLOSED : KOLK_E_PROTOCOL;
	}
	return err == KOLK_PENDING ? KOLK_OK : err;
}

static enum kolk_err feed(void *user, void *memory, struct kolk_exchange *exchange,
			  const void *data, size_t size)
{
	struct pg_session *session = memory;
	const uint8_t *at = data;
	struct pg_message message;
	enum kolk_err err, ended = KOLK_PENDING;

	if (session->stage == PG_TLS_REQUESTED)
		return on_tls_reply(session, exchange, data, size);
	while ((err = pg_read(&session->reader, &at, &size, &message)) == KOLK_OK) {
		ended = on_message(session, exchange, &message);
		if (ended != KOLK_PENDING)
			break;
	}
	if (err != KOLK_OK && err != KOLK_PENDING)
		return err;
	if (ended != KOLK_OK)
		return ended;
	if (session->stage == PG_LOGGING_IN)
		session->reader.max = session->options->message_bytes_max;
	session->stage = PG_IDLE;
	return size > 0 ? on_unsolicited(user, session, exchange, at, size) : KOLK_OK;
}

static enum kolk_err clean(void *user, void *memory)
{
	(void)user;
	return pg_session_clean(memory);
}

static void close_session(void *user, void *memory, struct kolk_exchange *exchange)
{
	static const uint8_t terminate[] = { 'X', 0, 0, 0, 4 };
	struct pg_session *session = memory;

	(void)user;
	if (exchange != NULL && !session->broken && session->status != 0 &&
	    session->copy == PG_COPY_NONE)
		(void)kolk_exchange_send(exchange, terminate, sizeof terminate);
	pg_session_free(session);
}

const struct kolk_driver pg_driver = { .size = sizeof pg_driver,
				       .session_bytes = sizeof(struct pg_session),
				       .name = "postgres",
				       .upgrade = request_tls,
				       .open = log_in,
				       .ping = ping,
				       .mend = reset,
				       .feed = feed,
				       .heard = on_unsolicited,
				       .clean = clean,
				       .close = close_session,
				       .options = &pg_option_table,
				       .check = pg_options_check };

const struct kolk_driver *kolk_driver_postgres(void)
{
	return &pg_driver;
}

/* ---- the driver of the cancel pool: TLS as configured, no log-in */

static enum kolk_err cancel_feed(void *user, void *memory, struct kolk_exchange *exchange,
				 const void *data, size_t size)
{
	(void)user;
	return on_tls_reply(memory, exchange, data, size);
}

static enum kolk_err cancel_clean(void *user, void *memory)
{
	(void)user;
	(void)memory;
	return KOLK_E_CLOSED; /* one request each */
}

const struct kolk_driver pg_cancel_driver = { .size = sizeof pg_cancel_driver,
					      .session_bytes = sizeof(struct pg_session),
					      .name = "postgres-cancel",
					      .upgrade = request_tls,
					      .feed = cancel_feed,
					      .clean = cancel_clean,
					      .options = &pg_option_table,
					      .check = pg_options_check };
