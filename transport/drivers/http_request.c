/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_request.c - requests are checked and copied.
 *
 * What a gateway's users put into targets and fields must not become another request: bytes that
 * could end a line, and fields that say where a request ends, are refused here, once, for both
 * protocols.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/ascii.h"
#include "transport/drivers/h1_fields.h"
#include "transport/drivers/http.h"

enum { FIELDS_MAX = 1024, TEXT_MAX = 1 << 20 };

/* ---- is it allowed? */

/* Fields that decide framing and routing are written by this library alone. */
static bool is_ours(const char *name)
{
	static const char *const ours[] = {
		"host", "content-length", "transfer-encoding", "connection", "keep-alive",
		"proxy-connection", "upgrade", "te", "trailer", "expect", "http2-settings",
	};

	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		if (kolk__word_equal(name, ours[i]))
			return true;
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool field_valid(const struct kolk_http_field *field)
{
	size_t size;

	if (field->name == NULL || field->value == NULL || is_ours(field->name) ||
	    !h1_is_token(field->name, strlen(field->name)))
		return false;
	size = strlen(field->value);
	if (size > 0 && (is_blank(field->value[0]) || is_blank(field->value[size - 1])))
		return false;
	return h1_is_value(field->value, size);
}

bool http_fields_valid(const struct kolk_http_field *fields, size_t count)
{
	if (count > FIELDS_MAX || (count > 0 && fields == NULL))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!field_valid(&fields[i]))
			return false;
	return true;
}

/* Visible ASCII, none of these. */
static bool visible(const char *text, const char *without)
{
	for (const char *c = text; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f || strchr(without, *c) != NULL)
			return false;
	return *text != '\0';
}

static bool is_method(const struct kolk_http_request *request, const char *method)
{
	return strcmp(request->method, method) == 0;
}

static bool target_valid(const struct kolk_http_request *request)
{
	if (is_method(request, "CONNECT"))
		return visible(request->target, "/?#@,\\\"<>") &&
		       strrchr(request->target, ':') != NULL;
	if (strcmp(request->target, "*") == 0)
		return is_method(request, "OPTIONS");
	return request->target[0] == '/' && visible(request->target, "#");
}

static bool body_valid(const struct kolk_http_request *request)
{
	bool body = request->body_size > 0 || request->pull != NULL;

	if (request->body_size > 0 && (request->body == NULL || request->pull != NULL))
		return false;
	if (request->pull == NULL && request->pull_size != 0)
		return false;
	if (request->trailer_count > 0 &&
	    (request->pull == NULL || request->pull_size != KOLK_HTTP_CHUNKED))
		return false;
	if (body && (is_method(request, "CONNECT") || is_method(request, "TRACE")))
		return false;
	return body || request->expect_continue == 0;
}

/* A protocol's name, perhaps with a version behind a slash. */
static bool upgrade_valid(const char *upgrade)
{
	const char *slash = strchr(upgrade, '/');
	size_t size = slash == NULL ? strlen(upgrade) : (size_t)(slash - upgrade);

	return h1_is_token(upgrade, size) &&
	       (slash == NULL || h1_is_token(slash + 1, strlen(slash + 1)));
}

static bool valid(const struct kolk_http_request *request, const struct kolk_http_handler *handler)
{
	bool tunnel = is_method(request, "CONNECT") || request->upgrade != NULL;

	if (!h1_is_token(request->method, strlen(request->method)) || !target_valid(request) ||
	    !body_valid(request))
		return false;
	if (request->scheme != NULL && !kolk__word_equal(request->scheme, "http") &&
	    !kolk__word_equal(request->scheme, "https"))
		return false;
	if (request->upgrade != NULL &&
	    (is_method(request, "CONNECT") || !upgrade_valid(request->upgrade)))
		return false;
	if (tunnel && handler->upgraded == NULL)
		return false;
	return http_fields_valid(request->fields, request->field_count);
}

/* ---- the copy */

static size_t text_size(const struct kolk_http_request *request)
{
	size_t size = strlen(request->method) + strlen(request->target) +
		      strlen(request->authority) + 3;

	if (request->upgrade != NULL)
		size += strlen(request->upgrade) + 1;
	for (uint32_t i = 0; i < request->field_count; i++)
		size += strlen(request->fields[i].name) + strlen(request->fields[i].value) + 2;
	return size;
}

static const char *copy(char **at, const char *text)
{
	size_t size = strlen(text) + 1;
	char *begin = memcpy(*at, text, size);

	*at += size;
	return begin;
}

/* Names are lower-case on the wire: HTTP/2 wants them so, HTTP/1.1 does not mind. */
static const char *copy_name(char **at, const char *name)
{
	char *begin = *at;

	copy(at, name);
	for (char *c = begin; *c != '\0'; c++)
		*c = kolk__lower(*c);
	return begin;
}

static void copy_request(struct kolk_http_exchange *exchange,
			 const struct kolk_http_request *request)
{
	struct kolk_http_request *own = &exchange->request;
	struct kolk_http_field *fields = (struct kolk_http_field *)(exchange + 1);
	char *at = (char *)(fields + request->field_count);

	*own = *request;
	own->method = copy(&at, request->method);
	own->target = copy(&at, request->target);
	own->authority = copy(&at, request->authority);
	if (request->scheme != NULL)
		own->scheme = kolk__word_equal(request->scheme, "http") ? "http" : "https";
	if (request->upgrade != NULL)
		own->upgrade = copy(&at, request->upgrade);
	for (uint32_t i = 0; i < request->field_count; i++) {
		fields[i].name = copy_name(&at, request->fields[i].name);
		fields[i].value = copy(&at, request->fields[i].value);
	}
	own->fields = fields;
}

enum kolk_err http_exchange_make(const struct kolk_http_request *request,
				 const struct kolk_http_handler *handler,
				 struct kolk_http_exchange **exchange)
{
	struct kolk_http_request complete;
	struct kolk_http_handler callbacks;
	size_t text;
	bool default_authority;

	if (!kolk__sized_read(&complete, request) || complete.reserved != 0 ||
	    !kolk__sized_read(&callbacks, handler) || callbacks.end == NULL)
		return KOLK_E_OPTIONS;
	complete.method = complete.method == NULL ? "GET" : complete.method;
	complete.target = complete.target == NULL ? "/" : complete.target;
	default_authority = complete.authority == NULL;
	complete.authority = default_authority ? "" : complete.authority;
	if (!valid(&complete, &callbacks) ||
	    (!default_authority && !visible(complete.authority, "/?#@,\\\"<>")))
		return KOLK_E_OPTIONS;
	text = text_size(&complete);
	if (text > TEXT_MAX)
		return KOLK_E_OPTIONS;
	*exchange = calloc(1, sizeof **exchange +
				      complete.field_count * sizeof(struct kolk_http_field) + text);
	if (*exchange == NULL)
		return KOLK_E_MEMORY;
	(*exchange)->handler = callbacks;
	(*exchange)->default_authority = default_authority;
	copy_request(*exchange, &complete);
	return KOLK_OK;
}
