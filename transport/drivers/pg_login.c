/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_login.c - from the start-up message to the first ReadyForQuery. Secrets are requested when
 * they are needed, used once and wiped; the server's errors about them go to the notice callback
 * only.
 */
#include "transport/drivers/pg_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>

enum {
	PROTOCOL_3_0 = 3 << 16,
	OPENING_BYTES_MAX = 32768 /* of a message before authentication */
};

enum { AUTH_OK = 0, AUTH_CLEAR = 3, AUTH_MD5 = 5, AUTH_SASL = 10, AUTH_SASL_CONTINUE = 11,
       AUTH_SASL_FINAL = 12 };

static enum kolk_err credentials_of(const struct kolk_postgres_options *options,
				    struct kolk_exchange *exchange,
				    struct kolk_credentials *credentials)
{
	*credentials = (struct kolk_credentials){
		options->user, options->password,
		options->password != NULL ? strlen(options->password) : 0
	};
	if (options->credentials == NULL)
		return KOLK_OK;
	return options->credentials(options->credentials_user, kolk_exchange_key(exchange),
				    credentials);
}

static enum kolk_err send(struct kolk_exchange *exchange, struct pg_bytes *bytes)
{
	enum kolk_err err = bytes->failed ? KOLK_E_MEMORY :
					    kolk_exchange_send(exchange, bytes->at, bytes->size);

	if (bytes->at != NULL)
		mbedtls_platform_zeroize(bytes->at, bytes->size);
	pg_bytes_free(bytes);
	return err == KOLK_OK ? KOLK_PENDING : err;
}

static void put_parameter(struct pg_bytes *bytes, const char *name, const char *value)
{
	if (value == NULL)
		return;
	pg_put_text(bytes, name);
	pg_put_text(bytes, value);
}

enum kolk_err pg_login_begin(struct pg_session *session, struct kolk_exchange *exchange)
{
	const struct kolk_postgres_options *options = session->options;
	struct kolk_credentials who;
	struct pg_bytes bytes = { 0 };
	size_t begun;
	enum kolk_err err = credentials_of(options, exchange, &who);

	if (err != KOLK_OK || who.user == NULL)
		return err != KOLK_OK ? err : KOLK_E_AUTH;
	session->login = calloc(1, sizeof *session->login);
	if (session->login == NULL)
		return KOLK_E_MEMORY;
	session->reader.max = OPENING_BYTES_MAX;
	begun = pg_begin(&bytes, 0);
	pg_put_u32(&bytes, PROTOCOL_3_0);
	put_parameter(&bytes, "user", who.user);
	put_parameter(&bytes, "database", options->database);
	put_parameter(&bytes, "application_name",
		      options->application_name != NULL ? options->application_name : "kolk");
	put_parameter(&bytes, "client_encoding", "UTF8");
	for (const char *const *at = options->parameters; at != NULL && at[0] != NULL; at += 2)
		put_parameter(&bytes, at[0], at[1] != NULL ? at[1] : "");
	pg_put_u8(&bytes, 0);
	pg_end(&bytes, begun);
	return send(exchange, &bytes);
}

void pg_login_free(struct pg_session *session)
{
	if (session->login == NULL)
		return;
	mbedtls_platform_zeroize(session->login, sizeof *session->login);
	free(session->login);
	session->login = NULL;
}

/* What the server says of it goes to the notice callback alone. */
static enum kolk_err refused(struct kolk_exchange *exchange, const char *detail)
{
	kolk_exchange_detail(exchange, detail);
	return KOLK_E_AUTH;
}

/* ---- passwords that cross the wire, in clear or as md5 of itself: only where an option says
 * so. */

/* The hash of what was added, in 32 digits and a zero. */
static int md5_finish(mbedtls_md_context_t *md5, char *hex)
{
	uint8_t hash[16] = { 0 };
	int bad = mbedtls_md_finish(md5, hash);

	for (int i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", hash[i]);
	return bad;
}

/* MD5 of the hexadecimal MD5 of secret and user, and of the salt; hex as above. */
static int md5_password(const struct kolk_credentials *who, const uint8_t *salt, char *hex)
{
	mbedtls_md_context_t md5;
	int bad;

	mbedtls_md_init(&md5);
	bad = mbedtls_md_setup(&md5, mbedtls_md_info_from_type(MBEDTLS_MD_MD5), 0);
	if (bad == 0) {
		bad |= mbedtls_md_starts(&md5);
		bad |= mbedtls_md_update(&md5, who->secret, who->secret_size);
		bad |= mbedtls_md_update(&md5, (const uint8_t *)who->user, strlen(who->user));
		bad |= md5_finish(&md5, hex);
		bad |= mbedtls_md_starts(&md5);
		bad |= mbedtls_md_update(&md5, (const uint8_t *)hex, 32);
		bad |= mbedtls_md_update(&md5, salt, 4);
		bad |= md5_finish(&md5, hex);
	}
	mbedtls_md_free(&md5);
	return bad;
}

static enum kolk_err answer_password(struct pg_session *session, struct kolk_exchange *exchange,
				     const uint8_t *salt)
{
	struct kolk_credentials who;
	struct pg_bytes bytes = { 0 };
	char text[3 + 32 + 1] = "md5";
	size_t begun;
	enum kolk_err err = credentials_of(session->options, exchange, &who);

	if (err != KOLK_OK)
		return err;
	if (who.secret == NULL || who.user == NULL)
		return refused(exchange, "the server asks for a password, and there is none");
	begun = pg_begin(&bytes, 'p');
	if (salt == NULL)
		pg_put(&bytes, who.secret, who.secret_size), pg_put_u8(&bytes, 0);
	else if (md5_password(&who, salt, text + 3) == 0)
		pg_put_text(&bytes, text);
	else
		bytes.failed = true;
	pg_end(&bytes, begun);
	mbedtls_platform_zeroize(text, sizeof text);
	session->login->step = PG_LOGIN_PASSWORD;
	return send(exchange, &bytes);
}

/* ---- SCRAM-SHA-256 */

static bool offers_scram(struct pg_cursor cursor)
{
	bool scram = false;

	for (const char *name; !cursor.bad && (name = pg_get_text(&cursor))[0] != 0;)
		scram |= strcmp(name, "SCRAM-SHA-256") == 0;
	return scram && pg_cursor_ended(&cursor);
}

static enum kolk_err sasl_first(struct pg_session *session, struct kolk_exchange *exchange,
				struct pg_cursor mechanisms)
{
	struct pg_login *login = session->login;
	struct pg_bytes bytes = { 0 };
	char text[128];
	size_t begun, size;
	enum kolk_err err;

	if (login->step != PG_LOGIN_STARTED)
		return KOLK_E_PROTOCOL;
	if (!offers_scram(mechanisms))
		return refused(exchange, "the server does not offer SCRAM-SHA-256");
	err = pg_scram_begin(&login->scram, "", session->options->scram_rounds_max, NULL);
	size = err == KOLK_OK ? pg_scram_first(&login->scram, text, sizeof text) : 0;
	if (size == 0)
		return err != KOLK_OK ? err : KOLK_E_PROTOCOL;
	begun = pg_begin(&bytes, 'p');
	pg_put_text(&bytes, "SCRAM-SHA-256");
	pg_put_u32(&bytes, (uint32_t)size - 1);
	pg_put(&bytes, text, size - 1);
	pg_end(&bytes, begun);
	login->step = PG_LOGIN_SASL_FIRST;
	return send(exchange, &bytes);
}

/* The rest of the message as text: NULL when it contains a zero, or does not fit. */
static const char *rest(struct pg_cursor *cursor, char *text, size_t capacity)
{
	size_t size = cursor->left;
	const uint8_t *bytes = pg_get_bytes(cursor, size);

	if (bytes == NULL || size >= capacity || memchr(bytes, 0, size) != NULL)
		return NULL;
	memcpy(text, bytes, size);
	text[size] = 0;
	return text;
}

static enum kolk_err sasl_final(struct pg_session *session, struct kolk_exchange *exchange,
				struct pg_cursor *cursor)
{
	char first[PG_SCRAM_TEXT_MAX], final[PG_SCRAM_TEXT_MAX];
	struct kolk_credentials who;
	struct pg_bytes bytes = { 0 };
	size_t begun;
	enum kolk_err err;

	if (session->login->step != PG_LOGIN_SASL_FIRST ||
	    rest(cursor, first, sizeof first) == NULL)
		return KOLK_E_PROTOCOL;
	err = credentials_of(session->options, exchange, &who);
	if (err == KOLK_OK && who.secret == NULL)
		err = refused(exchange, "the server asks for a password, and there is none");
	if (err == KOLK_OK)
		err = pg_scram_final(&session->login->scram, first, &who, final);
	if (err != KOLK_OK)
		return err;
	begun = pg_begin(&bytes, 'p');
	pg_put(&bytes, final, strlen(final));
	pg_end(&bytes, begun);
	session->login->step = PG_LOGIN_SASL_FINAL;
	return send(exchange, &bytes);
}

static enum kolk_err sasl_verify(struct pg_session *session, struct kolk_exchange *exchange,
				 struct pg_cursor *cursor)
{
	char final[PG_SCRAM_TEXT_MAX];

	if (session->login->step != PG_LOGIN_SASL_FINAL ||
	    rest(cursor, final, sizeof final) == NULL)
		return KOLK_E_PROTOCOL;
	if (pg_scram_verify(&session->login->scram, final) != KOLK_OK)
		return refused(exchange, "the server does not prove that it knows the password");
	session->login->step = PG_LOGIN_SASL_DONE;
	return KOLK_PENDING;
}

/* ---- messages */

/* AuthenticationOk: only from a server that proved what the options require. A SCRAM exchange that
 * began must end: a server that does not know the password cannot skip its proof. */
static enum kolk_err on_auth_ok(struct pg_session *session, struct kolk_exchange *exchange)
{
	struct pg_login *login = session->login;

	if (login->step == PG_LOGIN_SASL_FIRST || login->step == PG_LOGIN_SASL_FINAL)
		return refused(exchange, "the server does not prove that it knows the password");
	if (session->options->scram_required && login->step != PG_LOGIN_SASL_DONE)
		return refused(exchange, "the server asks for no password: see scram_required");
	if (login->step == PG_LOGIN_IN)
		return KOLK_E_PROTOCOL;
	login->step = PG_LOGIN_IN;
	return KOLK_PENDING;
}

static enum kolk_err authentication(struct pg_session *session, struct kolk_exchange *exchange,
				    const struct pg_message *message)
{
	const struct kolk_postgres_options *options = session->options;
	struct pg_cursor cursor = pg_cursor_of(message);
	uint32_t what = pg_get_u32(&cursor);
	bool asked = session->login->step != PG_LOGIN_STARTED || options->scram_required;

	if (cursor.bad)
		return KOLK_E_PROTOCOL;
	switch (what) {
	case AUTH_OK:
		return cursor.left == 0 ? on_auth_ok(session, exchange) : KOLK_E_PROTOCOL;
	case AUTH_CLEAR:
		if (asked || !options->clear_allowed || !kolk_exchange_is_tls(exchange))
			return refused(exchange, "the server asks for the password in clear: see "
						 "clear_allowed");
		return answer_password(session, exchange, NULL);
	case AUTH_MD5:
		if (asked || !options->md5_allowed || cursor.left != 4)
			return refused(exchange, "the server asks for md5: see md5_allowed");
		return answer_password(session, exchange, cursor.at);
	case AUTH_SASL:
		return sasl_first(session, exchange, cursor);
	case AUTH_SASL_CONTINUE:
		return sasl_final(session, exchange, &cursor);
	case AUTH_SASL_FINAL:
		return sasl_verify(session, exchange, &cursor);
	default:
		return refused(exchange, "the server asks for a log-in other than by password");
	}
}

/* Why the server refuses the log-in (SQLSTATE, or how it begins), as an error of the dial. After
 * E_AUTH a retry will not help soon. */
static const struct refusal {
	const char *sqlstate, *detail;
	enum kolk_err err;
} refusals[] = {
	{ "28", "user or password, or pg_hba.conf", KOLK_E_AUTH },
	{ "3D000", "there is no such database", KOLK_E_AUTH },
	{ "42501", "the user may not connect to the database", KOLK_E_AUTH },
	{ "53", "the server takes no more connections", KOLK_E_CONN_REFUSED },
	{ "57", "the server starts or stops", KOLK_E_CONN_REFUSED },
	{ "42704", "a start-up parameter", KOLK_E_SERVER },
	{ "22023", "a start-up parameter", KOLK_E_SERVER },
};

static enum kolk_err login_error(const struct pg_session *session, struct kolk_exchange *exchange,
				 const struct pg_message *message)
{
	struct kolk_postgres_error error;

	pg_session_notice(session, message);
	if (!pg_get_error(message, &error))
		return KOLK_E_PROTOCOL;
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		const char *sqlstate = refusals[i].sqlstate;

		if (strncmp(error.sqlstate, sqlstate, strlen(sqlstate)) != 0)
			continue;
		kolk_exchange_detail(exchange, refusals[i].detail);
		return refusals[i].err;
	}
	return KOLK_E_SERVER;
}

static enum kolk_err backend_key(struct pg_session *session, const struct pg_message *message)
{
	struct pg_cursor cursor = pg_cursor_of(message);

	session->pid = pg_get_u32(&cursor);
	session->secret = pg_get_u32(&cursor);
	return pg_cursor_ended(&cursor) ? KOLK_PENDING : KOLK_E_PROTOCOL;
}

enum kolk_err pg_login_on_message(struct pg_session *session, struct kolk_exchange *exchange,
				  const struct pg_message *message)
{
	bool in = session->login->step == PG_LOGIN_IN;
	enum kolk_err err;

	if (message->type == 'E')
		return login_error(session, exchange, message);
	if (message->type == 'R' && !in)
		return authentication(session, exchange, message);
	if (message->type == 'N' || in) {
		err = pg_session_async(session, message, false);
		if (err != KOLK_PENDING)
			return err == KOLK_OK ? KOLK_PENDING : err;
	}
	if (message->type == 'K' && in)
		return backend_key(session, message);
	if (message->type != 'Z' || !in)
		return KOLK_E_PROTOCOL;
	session->outstanding = 1;
	session->answered = true;
	err = pg_session_ready(session, message);
	if (err == KOLK_OK && session->status != 'I')
		err = KOLK_E_PROTOCOL;
	if (err == KOLK_OK)
		pg_login_free(session);
	return err;
}
