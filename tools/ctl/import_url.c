/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_url.c - a pool's address that is a URL. It stays one; what our URLs do not have
 * becomes keys of the pool, or is left out: passwords that are no ${NAME}, names of Python
 * drivers (postgresql+asyncpg://), parameters.
 */
#include <string.h>

#include "core/base/ascii.h"
#include "tools/ctl/import.h"

struct url {
	struct import *import;
	struct import_pool *pool;
	const struct kolk__node *option;
	const char *scheme, *user, *password, *host, *path, *query; /* NULL = it has none */
	const char *remark;
	bool left; /* a part was left out */
};

static char *piece(struct import *import, const char *begin, const char *end)
{
	return import_text(import, "%.*s", (int)(end - begin), begin);
}

static void split_host(struct url *url, const char *text, const char *end)
{
	const char *whole = piece(url->import, text, end), *at = NULL, *colon;

	for (const char *next = import_find(whole, "@"); *next != 0;
	     next = import_find(next + 1, "@"))
		at = next;
	url->host = at != NULL ? at + 1 : whole;
	if (at == NULL)
		return;
	whole = piece(url->import, whole, at);
	colon = import_find(whole, ":");
	url->user = piece(url->import, whole, colon);
	url->password = *colon != 0 ? colon + 1 : NULL;
}

static void split(struct url *url, const char *text)
{
	const char *colon = strstr(text, "://"), *end;

	url->scheme = piece(url->import, text, text + strcspn(text, "+:"));
	text = colon + 3;
	end = import_find(text, "/?#");
	split_host(url, text, end);
	text = end;
	end = import_find(text, "?#");
	url->path = piece(url->import, text, end);
	if (*end == '?')
		url->query = piece(url->import, end + 1, import_find(end, "#"));
}

/* %XX decoded; what is no %XX stays. */
static const char *decoded(struct import *import, const char *text)
{
	char *own = import_text(import, "%s", text), *to = own;

	for (; *text != 0; text++) {
		const int high = *text == '%' ? kolk__hex_digit(text[1]) : -1;
		const int low = high >= 0 ? kolk__hex_digit(text[2]) : -1;

		if (low >= 0 && high + low > 0) {
			*to++ = (char)(high << 4 | low);
			text += 2;
		} else {
			*to++ = *text;
		}
	}
	*to = 0;
	return own;
}

/* ---- what the URL says */

/* It goes to a key, or, with NULL, stays in the URL, where no key may say it again. */
static bool put(struct url *url, const char *key, const char *value)
{
	const struct import_entry entry = { import_protocol_name(url->pool), key, value,
					    url->option->key_line };

	return import_put(url->import, url->pool, NULL, &entry);
}

static void leave_out(struct url *url, const char *remark)
{
	url->remark = url->remark == NULL
			      ? remark
			      : import_text(url->import, "%s; %s", url->remark, remark);
	url->left = true;
}

/* "user:${PASSWORD}@" stays; anything else becomes keys. */
static const char *account(struct url *url)
{
	const char *todo;

	if (url->user == NULL)
		return "";
	if (url->pool->protocol == KOLK__PROTOCOL_HTTP) {
		leave_out(url,
			  "user and password are left out: write http.headers in the tools");
		return "";
	}
	if (url->password != NULL && import_refers(url->password)) {
		if (url->user[0] != 0)
			put(url, "user", NULL);
		put(url, "password", NULL);
		return import_text(url->import, "%s:%s@", url->user, url->password);
	}
	if (url->user[0] != 0)
		put(url, "user", import_own(url->import, decoded(url->import, url->user)));
	if (url->password != NULL && url->password[0] != 0) {
		todo = import_password(url->import, url->pool, NULL,
				       decoded(url->import, url->password));
		url->remark = todo;
	}
	return "";
}

static const char *path(struct url *url)
{
	const bool redis = url->pool->protocol == KOLK__PROTOCOL_REDIS;

	if (url->path[0] == 0 || url->path[1] == 0)
		return "";
	if (redis && !import_refers(url->path) &&
	    (strlen(url->path) > 10 ||
	     url->path[1 + strspn(url->path + 1, "0123456789")] != 0)) {
		leave_out(url, "the path is left out: it is no number of a database");
		return "";
	}
	put(url, url->pool->protocol == KOLK__PROTOCOL_HTTP ? "base_path" : "database", NULL);
	return url->path;
}

/* ---- parameters, of PostgreSQL's */

/* Whether there is TLS is not left to the server here: it has to have it. */
static const char *sslmode(struct url *url, const char *mode)
{
	if (import_is_one_of(mode, "disable require verify-ca verify-full") ||
	    import_refers(mode))
		return import_text(url->import, "sslmode=%s", mode);
	leave_out(url,
		  "TLS is required where it was optional: write sslmode=disable if the server "
		  "has none");
	return "sslmode=verify-full";
}

/* What stays of a parameter; NULL = nothing. */
static const char *parameter(struct url *url, const char *name, const char *value)
{
	const struct import_entry connect = { "timeouts", "connect",
					      import_seconds(url->import, value),
					      url->option->key_line };

	if (strcmp(name, "sslmode") == 0 || strcmp(name, "ssl") == 0)
		return sslmode(url, value);
	if (strcmp(name, "application_name") == 0) {
		put(url, "application_name", NULL);
		return import_text(url->import, "%s=%s", name, value);
	}
	if (strcmp(name, "connect_timeout") == 0 && connect.value != NULL &&
	    strcmp(connect.value, "0s") != 0)
		import_put(url->import, url->pool, NULL, &connect);
	else
		leave_out(url, import_text(url->import, "parameter '%s' is left out", name));
	return NULL;
}

static const char *query(struct url *url)
{
	const char *kept = "", *at = url->query, *end;

	if (at == NULL)
		return "";
	if (url->pool->protocol != KOLK__PROTOCOL_POSTGRES) {
		leave_out(url, "what follows '?' is left out");
		return "";
	}
	for (; *at != 0; at = *end != 0 ? end + 1 : end) {
		const char *equals, *stays;

		end = import_find(at, "&");
		equals = memchr(at, '=', (size_t)(end - at));
		if (equals == NULL)
			continue;
		stays = parameter(url, piece(url->import, at, equals),
				  piece(url->import, equals + 1, end));
		if (stays != NULL)
			kept = import_text(url->import, "%s%s%s", kept,
					   kept[0] != 0 ? "&" : "?", stays);
	}
	return kept;
}

/* ---- the whole */

static bool protocol(struct url *url)
{
	static const struct {
		const char *schemes, *own, *secure;
		enum kolk__protocol_number protocol;
	} known[] = {
		{ "postgresql postgres", "postgresql", "", KOLK__PROTOCOL_POSTGRES },
		{ "redis valkey rediss valkeys", "redis", "rediss valkeys",
		  KOLK__PROTOCOL_REDIS },
		{ "http https", "http", "https", KOLK__PROTOCOL_HTTP },
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (!import_is_one_of(url->scheme, known[i].schemes))
			continue;
		url->pool->protocol = known[i].protocol;
		url->scheme = import_is_one_of(url->scheme, known[i].secure)
				      ? import_text(url->import, "%ss", known[i].own)
				      : known[i].own;
		return true;
	}
	return false;
}

static void address(struct url *url)
{
	const struct import_entry entry = { "", "address", NULL, url->option->key_line };
	struct import_entry written = entry;
	const char *before = account(url), *behind = path(url), *parameters = query(url);

	written.value =
		import_own(url->import, import_text(url->import, "%s://%s%s%s%s", url->scheme,
						    before, url->host, behind, parameters));
	import_put(url->import, url->pool, NULL, &written);
}

bool import_is_url(const char *text)
{
	const char *scheme = strstr(text, "://");

	return scheme != NULL && memchr(text, '$', (size_t)(scheme - text)) == NULL;
}

bool import_url(struct import *import, struct import_pool *pool,
		const struct kolk__node *option)
{
	struct url url = { .import = import, .pool = pool, .option = option };
	const struct import_entry whole = { "", "address", import_own(import, option->text),
					    option->key_line };

	pool->url_line = option->key_line;
	if (!import_is_url(option->text)) { /* host:port, or all of it is a variable */
		import_put(import, pool, NULL, &whole);
		import_done(import, option, NULL);
		return true;
	}
	split(&url, option->text);
	if (!protocol(&url))
		return false;
	address(&url);
	if (url.left)
		import_left(import, option, url.remark);
	else
		import_done(import, option, url.remark);
	return true;
}
