/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres.c - fuzz: any bytes as what a PostgreSQL server says. The first byte chooses to whom: a
 * log-in, a request of some kind, or a connection that is reset and then idle; the second how many
 * bytes come at a time.
 */
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/pg_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the drivers call of an exchange, replaced with --wrap: there is none here. */
enum kolk_err __wrap_kolk_exchange_send(struct kolk_exchange *exchange, const void *data, size_t size);
struct kolk_key *__wrap_kolk_exchange_key(struct kolk_exchange *exchange);
const char *__wrap_kolk_exchange_alpn(struct kolk_exchange *exchange);
bool __wrap_kolk_exchange_is_tls(struct kolk_exchange *exchange);
void __wrap_kolk_exchange_detail(struct kolk_exchange *exchange, const char *text);

enum { LOG_IN = 0, REQUEST, MEND, ROLES };
enum { SIMPLE = 4, PREPARE = 8, TIMEOUT = 16, ROWS = 32, SOURCE = 64, SINK = 128 };

static void must(bool right)
{
	if (!right)
		abort();
}

enum kolk_err __wrap_kolk_exchange_send(struct kolk_exchange *exchange, const void *data, size_t size)
{
	(void)exchange;
	must(data != NULL && size > 0);
	return KOLK_OK;
}

struct kolk_key *__wrap_kolk_exchange_key(struct kolk_exchange *exchange)
{
	(void)exchange;
	return NULL;
}

const char *__wrap_kolk_exchange_alpn(struct kolk_exchange *exchange)
{
	(void)exchange;
	return NULL;
}

bool __wrap_kolk_exchange_is_tls(struct kolk_exchange *exchange)
{
	(void)exchange;
	return true;
}

void __wrap_kolk_exchange_detail(struct kolk_exchange *exchange, const char *text)
{
	(void)exchange;
	must(text[0] != '\0');
}

static size_t told;

static void notice(void *user, const struct kolk_postgres_error *said)
{
	(void)user;
	told += strlen(said->severity) + strlen(said->sqlstate) + strlen(said->message);
}

static const struct kolk_postgres_options options = {
	.size = sizeof options, .user = "u", .password = "p", .md5_allowed = 1, .clear_allowed = 1,
	.notice = notice, .notes_max = 3, .prepared_max = 2, .scram_rounds_max = 5000,
	.message_bytes_max = 16 << 20
};

static enum kolk_err on_row(void *user, uint32_t statement, const struct kolk_postgres_value *values,
			    uint32_t count)
{
	(void)user;
	told += statement;
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t j = 0; j < values[i].size; j++)
			told += ((const uint8_t *)values[i].data)[j];
	return told % 64 == 63 ? KOLK_E_CANCELLED : KOLK_OK;
}

static enum kolk_err on_source(void *user, void *buffer, size_t capacity, size_t *size)
{
	(void)user;
	memset(buffer, 'x', capacity);
	*size = ++told % 3;
	return KOLK_OK;
}

static enum kolk_err on_sink(void *user, const void *data, size_t size)
{
	(void)user;
	for (size_t i = 0; i < size; i++)
		told += ((const uint8_t *)data)[i];
	return KOLK_OK;
}

/* A driver's exchange, in pieces. */
static void feed(struct pg_session *session, const uint8_t *data, size_t size, size_t piece)
{
	enum kolk_err err = KOLK_PENDING;
	size_t now;

	for (; size > 0 && err == KOLK_PENDING; data += now, size -= now) {
		now = piece < size ? piece : size;
		err = pg_driver.feed((void *)(uintptr_t)&options, session, NULL, data, now);
	}
	if (err == KOLK_OK) {
		must(session->outstanding == 0 && session->status == 'I' && session->login == NULL);
		(void)pg_session_clean(session);
		(void)pg_driver.heard((void *)(uintptr_t)&options, session, NULL, data, size);
	}
}

static void read_results(const struct kolk_postgres_result *result)
{
	for (; result != NULL; result = kolk_postgres_result_next(result)) {
		told += strlen(kolk_postgres_result_tag(result));
		told += kolk_postgres_result_error(result) != NULL;
		for (uint32_t row = 0; row < 3; row++)
			for (uint32_t column = 0; column < 3; column++)
				told += strlen(kolk_postgres_result_text(result, row, column)) +
					strlen(kolk_postgres_result_name(result, column));
	}
}

static void request(struct pg_session *session, uint8_t kind, const uint8_t *data, size_t size,
		    size_t piece)
{
	const uint32_t flags = (kind & SIMPLE ? KOLK_POSTGRES_SIMPLE : 0) |
			       (kind & PREPARE ? KOLK_POSTGRES_PREPARE : 0);
	const struct kolk_postgres_statement statements[] = { { "a", NULL, 0, flags },
							      { "b", NULL, 0, flags } };
	struct kolk_postgres_request what = KOLK_INIT(kolk_postgres_request);
	static struct kolk_postgres_call run;
	enum kolk_err err = KOLK_PENDING;
	const void *given;

	what.statements = statements;
	what.count = kind & SIMPLE ? 1 : 2;
	what.timeout_ms = kind & SIMPLE ? 0 : kind & TIMEOUT;
	what.row = kind & ROWS ? on_row : NULL;
	what.source = kind & SOURCE ? on_source : NULL;
	what.sink = kind & SINK ? on_sink : NULL;
	what.result_bytes_max = 10000;
	must(pg_run_init(&run, &what) == KOLK_OK);
	pg_run_on_lease(&run, &(struct kolk_lease){ 0 }, 1);
	must(pg_batch_write(&run, session) == KOLK_OK);
	while (err == KOLK_PENDING && size > 0) {
		size_t now = piece < size ? piece : size;

		for (int i = 0; i < 100 && pg_run_on_write(&run.pump, session, &given) > 0; i++)
			must(given != NULL);
		err = pg_run_on_read(&run.pump, session, data, now);
		data += now;
		size -= now;
	}
	err = pg_run_outcome(&run, err);
	must(err != KOLK_OK || (session->outstanding == 0 && !run.refused));
	must(err != KOLK_E_PROTOCOL || session->broken);
	read_results(run.first);
	pg_run_free(&run);
	if (pg_session_clean(session) == KOLK_PENDING && session->outstanding > 0) {
		(void)pg_driver.mend((void *)(uintptr_t)&options, session, NULL);
		feed(session, data, size, piece);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pg_session session = { .options = &options, .reader.max = 1 << 16, .status = 'I' };
	size_t piece;

	if (size < 2)
		return 0;
	told = 0;
	piece = data[1] != 0 ? data[1] : size;
	switch ((data[0] & 3) % ROLES) {
	case LOG_IN:
		must(pg_driver.open((void *)(uintptr_t)&options, &session, NULL) == KOLK_PENDING);
		feed(&session, data + 2, size - 2, piece);
		break;
	case REQUEST:
		request(&session, data[0], data + 2, size - 2, piece);
		break;
	default:
		session.outstanding = data[0] >> 6;
		session.dirty = true;
		session.simple = (data[0] & SIMPLE) != 0;
		must(pg_driver.mend((void *)(uintptr_t)&options, &session, NULL) == KOLK_PENDING);
		feed(&session, data + 2, size - 2, piece);
	}
	pg_driver.close((void *)(uintptr_t)&options, &session, NULL);
	return 0;
}
