/* SPDX-License-Identifier: Apache-2.0 */
/* pg_wire.c - PostgreSQL's messages, cut at every byte; SCRAM by the book (RFC 7677, section 3). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/pg_result.h"
#include "transport/drivers/pg_scram.h"
#include "tests/kit/cmocka/run.h"

/* ---- the reader */

static const uint8_t stream[] = "Z\0\0\0\5I"
				"S\0\0\0\x0f" "TimeZone\0X"
				"\0" /* the zero of the value above */
				"C\0\0\0\xdSELECT 1\0"
				"I\0\0\0\4";
enum { STREAM = sizeof stream - 1 };

/* Types and sizes of what was read, as text. */
static void read_all(struct pg_reader *reader, const uint8_t *data, size_t size, char *seen)
{
	struct pg_message message;
	enum kolk_err err;

	while ((err = pg_read(reader, &data, &size, &message)) == KOLK_OK) {
		char text[] = { (char)message.type, (char)('a' + message.size), 0 };

		strcat(seen, text);
	}
	assert_int_equal(err, KOLK_PENDING);
	assert_int_equal(size, 0);
}

static void test_cuts(void **state)
{
	(void)state;
	for (size_t a = 0; a <= STREAM; a++)
		for (size_t b = a; b <= STREAM; b++) {
			struct pg_reader reader = { .max = 100 };
			char seen[64] = "";

			read_all(&reader, stream, a, seen);
			read_all(&reader, stream + a, b - a, seen);
			read_all(&reader, stream + b, STREAM - b, seen);
			assert_string_equal(seen, "ZbSlCjIa");
			assert_true(pg_reader_at_boundary(&reader));
			pg_reader_free(&reader);
		}
}

static void refuse(const char *header, enum kolk_err expected)
{
	for (size_t cut = 0; cut < 5; cut++) {
		struct pg_reader reader = { .max = 100 };
		const uint8_t *data = (const uint8_t *)header;
		struct pg_message message;
		size_t size = cut;
		enum kolk_err err = pg_read(&reader, &data, &size, &message);

		assert_int_equal(err, KOLK_PENDING);
		size = 5 - cut;
		err = pg_read(&reader, &data, &size, &message);
		assert_int_equal(err, expected);
		assert_true(reader.capacity < 200); /* nothing is reserved for what is announced */
		pg_reader_free(&reader);
	}
}

static void test_lengths(void **state)
{
	(void)state;
	refuse("D\0\0\0\0", KOLK_E_PROTOCOL);
	refuse("D\0\0\0\3", KOLK_E_PROTOCOL);
	refuse("D\xff\xff\xff\xff", KOLK_E_PROTOCOL);
	refuse("D\x80\0\0\0", KOLK_E_PROTOCOL);
	refuse("D\x7f\xff\xff\xff", KOLK_E_LIMIT);
	refuse("D\0\0\0\x69", KOLK_E_LIMIT);
	refuse("D\0\0\0\x68", KOLK_PENDING);
}

static void test_errors(void **state)
{
	static const char body[] = "SFEHLER\0VERROR\0C22012\0Mdivision by zero\0P7\0ntab_key\0";
	struct pg_message message = { 'E', (const uint8_t *)body, sizeof body };
	struct kolk_postgres_error error;

	(void)state;
	assert_true(pg_get_error(&message, &error));
	assert_string_equal(error.severity, "ERROR");
	assert_string_equal(error.sqlstate, "22012");
	assert_string_equal(error.message, "division by zero");
	assert_string_equal(error.constraint, "tab_key");
	assert_null(error.hint);
	assert_int_equal(error.position, 7);
	for (uint32_t size = 0; size < sizeof body; size++) { /* every cut is noticed */
		message.size = size;
		assert_false(pg_get_error(&message, &error));
	}
}

static void test_writing(void **state)
{
	struct pg_bytes bytes = { 0 };
	size_t begun = pg_begin(&bytes, 'Q');

	(void)state;
	pg_put_text(&bytes, "select");
	pg_end(&bytes, begun);
	pg_put_message(&bytes, 'f', "");
	assert_int_equal(bytes.size, 12 + 6);
	assert_memory_equal(bytes.at, "Q\0\0\0\xbselect\0f\0\0\0\5\0", bytes.size);
	assert_false(bytes.failed);
	pg_bytes_free(&bytes);
}

/* ---- results */

static struct pg_message message_of(char type, const void *body, size_t size)
{
	return (struct pg_message){ (uint8_t)type, body, (uint32_t)size };
}

static const char columns[] = "\0\2a\0\0\0\0\0\0\0\0\0\0\x17\0\4\377\377\377\377\0\0"
			      "b\0\0\0\0\0\0\0\0\0\0\x19\377\377\377\377\377\377\0\0";
static const char row[] = "\0\2\0\0\0\1x\377\377\377\377";

static void test_results(void **state)
{
	struct pg_message t = message_of('T', columns, sizeof columns - 1);
	struct pg_message d = message_of('D', row, sizeof row - 1);
	struct kolk_postgres_result *result = pg_result_new();

	(void)state;
	assert_int_equal(pg_result_row(result, &d, 1000), KOLK_E_PROTOCOL); /* not described */
	assert_int_equal(pg_result_describe(result, &t), KOLK_OK);
	assert_int_equal(pg_result_describe(result, &t), KOLK_E_PROTOCOL); /* twice */
	assert_int_equal(pg_result_row(result, &d, 1000), KOLK_OK);
	assert_int_equal(pg_result_row(result, &d, 10), KOLK_E_LIMIT);
	assert_string_equal(kolk_postgres_result_text(result, 0, 0), "x");
	assert_null(kolk_postgres_result_value(result, 0, 1).data);
	assert_int_equal(kolk_postgres_result_value(result, 0, 1).type, 25);
	for (uint32_t size = 0; size < sizeof row - 1; size++) {
		d.size = size;
		assert_int_equal(pg_result_row(result, &d, 1000), KOLK_E_PROTOCOL);
	}
	kolk_postgres_result_free(result);
	for (uint32_t size = 0; size < sizeof columns - 1; size++) {
		result = pg_result_new();
		t.size = size;
		assert_int_equal(pg_result_describe(result, &t), KOLK_E_PROTOCOL);
		kolk_postgres_result_free(result);
	}
}

static void test_bad_rows(void **state)
{
	static const struct {
		const char *body;
		size_t size;
	} bad[] = {
		{ "\0\1\0\0\0\1x", 7 },                       /* fewer columns */
		{ "\0\2\0\0\0\1x\377\377\377\376", 11 },      /* a length of -2 */
		{ "\0\2\0\0\0\1x\177\377\377\377", 11 },      /* beyond the message */
		{ "\0\2\0\0\0\1x\377\377\377\377y", 12 },     /* surplus */
		{ "\377\377\0\0\0\1x\377\377\377\377", 11 },
	};
	struct pg_message t = message_of('T', columns, sizeof columns - 1);

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct kolk_postgres_result *result = pg_result_new();
		struct pg_message d = message_of('D', bad[i].body, bad[i].size);

		assert_int_equal(pg_result_describe(result, &t), KOLK_OK);
		assert_int_equal(pg_result_row(result, &d, 1000), KOLK_E_PROTOCOL);
		kolk_postgres_result_free(result);
	}
}

/* ---- SCRAM */

#define NONCE "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="

static enum kolk_err answer(struct pg_scram *scram, const char *first, char *text)
{
	const struct kolk_credentials credentials = { .secret = "pencil", .secret_size = 6 };

	assert_int_equal(pg_scram_begin(scram, "user", 65536, NONCE), KOLK_OK);
	return pg_scram_final(scram, first, &credentials, text);
}

static void test_scram(void **state)
{
	static const char signature[] = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
	struct pg_scram scram;
	char text[PG_SCRAM_TEXT_MAX], wrong[sizeof signature];

	(void)state;
	assert_int_equal(pg_scram_begin(&scram, "user", 65536, NONCE), KOLK_OK);
	assert_int_not_equal(pg_scram_first(&scram, text, sizeof text), 0);
	assert_string_equal(text, "n,,n=user,r=" NONCE);
	assert_int_equal(pg_scram_first(&scram, text, 8), 0);
	assert_int_equal(pg_scram_verify(&scram, signature), KOLK_E_AUTH); /* too early */
	assert_int_equal(answer(&scram, "r=" SERVER_NONCE ",s=" SALT ",i=4096", text), KOLK_OK);
	assert_string_equal(text, "c=biws,r=" SERVER_NONCE
				  ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
	assert_int_equal(pg_scram_verify(&scram, signature), KOLK_OK);
	for (size_t i = 0; i < sizeof signature - 2; i++) {
		memcpy(wrong, signature, sizeof signature);
		wrong[i] = wrong[i] == 'A' ? 'B' : 'A';
		assert_int_equal(pg_scram_verify(&scram, wrong), KOLK_E_AUTH);
	}
	assert_int_equal(pg_scram_verify(&scram, "e=other-error"), KOLK_E_AUTH);
	assert_int_equal(pg_scram_verify(&scram, ""), KOLK_E_AUTH);
}

static void test_bad_scram(void **state)
{
	static const struct {
		const char *first;
		enum kolk_err err;
	} bad[] = {
		{ "", KOLK_E_PROTOCOL },
		{ "r=", KOLK_E_AUTH },
		{ "r=" NONCE ",s=" SALT ",i=4096", KOLK_E_AUTH }, /* nothing of its own */
		{ "r=x" SERVER_NONCE ",s=" SALT ",i=4096", KOLK_E_AUTH },
		{ "m=ext,r=" SERVER_NONCE ",s=" SALT ",i=4096", KOLK_E_PROTOCOL },
		{ "r=" SERVER_NONCE ",i=4096,s=" SALT, KOLK_E_PROTOCOL },
		{ "r=" SERVER_NONCE ",s=,i=4096", KOLK_E_PROTOCOL },
		{ "r=" SERVER_NONCE ",s=!!!!,i=4096", KOLK_E_PROTOCOL },
		{ "r=" SERVER_NONCE ",s=" SALT, KOLK_E_PROTOCOL },
		{ "r=" SERVER_NONCE ",s=" SALT ",i=", KOLK_E_PROTOCOL },
		{ "r=" SERVER_NONCE ",s=" SALT ",i=-1", KOLK_E_PROTOCOL },
		{ "r=" SERVER_NONCE ",s=" SALT ",i=4096x", KOLK_E_PROTOCOL },
		{ "r=" SERVER_NONCE ",s=" SALT ",i=1", KOLK_E_AUTH },
		{ "r=" SERVER_NONCE ",s=" SALT ",i=4095", KOLK_E_AUTH },
		{ "r=" SERVER_NONCE ",s=" SALT ",i=65537", KOLK_E_LIMIT },
		{ "r=" SERVER_NONCE ",s=" SALT ",i=99999999999", KOLK_E_PROTOCOL },
	};
	struct pg_scram scram;
	char text[PG_SCRAM_TEXT_MAX], first[PG_SCRAM_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(answer(&scram, bad[i].first, text), bad[i].err);
	(void)snprintf(first, sizeof first, "r=" NONCE "%0*d,s=" SALT ",i=4096", 940, 0);
	assert_int_equal(answer(&scram, first, text), KOLK_E_PROTOCOL); /* no room for the proof */
	(void)snprintf(first, sizeof first, "r=" NONCE "%0*d,s=" SALT ",i=4096", 930, 0);
	assert_int_equal(answer(&scram, first, text), KOLK_OK);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_cuts),      cmocka_unit_test(test_lengths),
	cmocka_unit_test(test_errors),    cmocka_unit_test(test_writing),
	cmocka_unit_test(test_results),   cmocka_unit_test(test_bad_rows),
	cmocka_unit_test(test_scram),     cmocka_unit_test(test_bad_scram),
};
CMOCKA_TESTS(pg_wire, tests);
