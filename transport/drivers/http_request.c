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
#include "transport/drivers/blocks.h"
#include "transport/drivers/credential.h"
#include "transport/drivers/h1_fields.h"
#include "transport/drivers/http.h"

enum { FIELDS_MAX = 1024, TEXT_MAX = 1 << 20 };

/* The largest: 40 fields and 880 bytes of text. */
static const size_t block_bytes[HTTP_BLOCK_SIZES] = { 984, 1888 };

/* ---- is it allowed? */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Fields that decide framing and routing are written by this library alone: those that have a
 * mark. */
static bool field_valid(const struct kolk_http_field *field, size_t *text)
{
	size_t size;

	if (field->name == NULL || field->value == NULL)
		return false;
	size = h1_token_size(field->name);
	if (size == 0 || field->name[size] != '\0' || http_field_mark(field->name, size) != 0)
		return false;
	*text += size + 1;
	size = strlen(field->value);
	*text += size + 1;
	if (size > 0 && (is_blank(field->value[0]) || is_blank(field->value[size - 1])))
		return false;
	return h1_is_value(field->value, size);
}

/* text grows by their bytes. */
static bool fields_valid(const struct kolk_http_field *fields, size_t count, size_t *text)
{
	if (count > FIELDS_MAX || (count > 0 && fields == NULL))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!field_valid(&fields[i], text))
			return false;
	return true;
}

bool http_fields_valid(const struct kolk_http_field *fields, size_t count)
{
	size_t text = 0;

	return fields_valid(fields, count, &text);
}

size_t http_trailer_count(const struct kolk_http_field *trailers, size_t count)
{
	size_t i = 0;

	while (i < count && trailers[i].name != NULL)
		i++;
	return i;
}

/* Visible ASCII, none of these. */
static bool visible(const char *text, const char *without)
{
	for (const char *c = text; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f)
			return false;
	return *text != '\0' && strpbrk(text, without) == NULL;
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

/* The member that is wrong, or NULL. */
static const char *wrong_in_body(const struct kolk_http_request *request)
{
	bool body = request->body_size > 0 || request->pull != NULL;

	if (request->body_size > 0 && request->body == NULL)
		return "body";
	if (request->body_size > 0 && request->pull != NULL)
		return "pull";
	if (request->pull == NULL && request->pull_size != 0)
		return "pull_size";
	if (request->trailer_count > 0 &&
	    (request->pull == NULL || request->pull_size != KOLK_HTTP_CHUNKED))
		return "trailer_count";
	if (body && (is_method(request, "CONNECT") || is_method(request, "TRACE")))
		return request->pull != NULL ? "pull" : "body_size";
	return !body && request->expect_continue != 0 ? "expect_continue" : NULL;
}

bool http_upgrade_valid(const char *upgrade)
{
	const char *slash = strchr(upgrade, '/');
	size_t size = slash == NULL ? strlen(upgrade) : (size_t)(slash - upgrade);

	return h1_is_token(upgrade, size) &&
	       (slash == NULL || h1_is_token(slash + 1, strlen(slash + 1)));
}

static const char *wrong_in_upgrade(const struct kolk_http_request *request,
				    const struct kolk_http_handler *handler)
{
	bool tunnel = is_method(request, "CONNECT") || request->upgrade != NULL;

	if (request->upgrade != NULL &&
	    (is_method(request, "CONNECT") || !http_upgrade_valid(request->upgrade)))
		return "upgrade";
	return tunnel && handler->upgraded == NULL ? "upgraded" : NULL;
}

/* Of a request that is complete; authority "" = it had none. text grows by the fields' bytes. */
static const char *wrong_in(const struct kolk_http_request *request,
			    const struct kolk_http_handler *handler, size_t *text)
{
	const char *wrong;

	if (!h1_is_token(request->method, strlen(request->method)))
		return "method";
	if (!target_valid(request))
		return "target";
	wrong = wrong_in_body(request);
	if (wrong != NULL)
		return wrong;
	if (request->scheme != NULL && !kolk__word_equal(request->scheme, "http") &&
	    !kolk__word_equal(request->scheme, "https"))
		return "scheme";
	wrong = wrong_in_upgrade(request, handler);
	if (wrong != NULL)
		return wrong;
	return fields_valid(request->fields, request->field_count, text) ? NULL : "fields";
}

/* ---- the copy */

/* Without its fields. */
static size_t line_size(const struct kolk_http_request *request)
{
	size_t size = strlen(request->method) + strlen(request->target) +
		      strlen(request->authority) + 3;

	return request->upgrade != NULL ? size + strlen(request->upgrade) + 1 : size;
}

static const char *copy(char **at, const char *text)
{
	char *begin = *at;

	*at = stpcpy(begin, text) + 1;
	return begin;
}

/* Names are lower-case on the wire: HTTP/2 wants them so, HTTP/1.1 does not mind. */
static const char *copy_name(char **at, const char *name, bool *is_credential)
{
	char *begin = *at;

	*at = h1_copy_name(begin, name);
	*is_credential |= http_is_credential(begin, (size_t)(*at - begin) - 1);
	return begin;
}

static void copy_request(struct kolk_http_exchange *exchange,
			 const struct kolk_http_request *request)
{
	struct http_asked *asked = exchange->asked;
	struct kolk_http_request *own = &asked->request;
	struct kolk_http_field *fields = asked->fields;
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
		fields[i].name = copy_name(&at, request->fields[i].name,
					   &asked->has_credentials);
		fields[i].value = copy(&at, request->fields[i].value);
	}
	own->fields = fields;
	exchange->cancel_closes = request->cancel_closes != 0;
}

static enum kolk_err refuse(const struct kolk_http_request *request, const char *field)
{
	const struct kolk_failure failure = { .size = (uint32_t)sizeof failure,
					      .err = KOLK_E_OPTIONS,
					      .err_class = kolk_err_class(KOLK_E_OPTIONS),
					      .phase = KOLK_PHASE_OPTIONS,
					      .field = field };

	(void)kolk__sized_write(request->failure, &failure);
	return KOLK_E_OPTIONS;
}

/* NULL = it is good, and complete. *named: its caller names the authority; *text: bytes to copy. */
static const char *complete(struct kolk_http_request *request,
			    const struct kolk_http_handler *handler, bool *named, size_t *text)
{
	const char *wrong;

	if (request->trailers_accepted > 1)
		return "trailers_accepted";
	if (request->cancel_closes > 1)
		return "cancel_closes";
	if (handler->end == NULL)
		return "end";
	*named = request->authority != NULL;
	request->method = request->method == NULL ? "GET" : request->method;
	request->target = request->target == NULL ? "/" : request->target;
	request->authority = *named ? request->authority : "";
	*text = 0;
	wrong = wrong_in(request, handler, text);
	if (wrong != NULL)
		return wrong;
	if (*named && !visible(request->authority, "/?#@,\\\"<>"))
		return "authority";
	*text += line_size(request);
	return *text > TEXT_MAX ? "fields" : NULL;
}

static struct http_asked *asked_make(struct http_blocks *blocks, uint32_t fields, size_t text)
{
	size_t size = sizeof(struct http_asked) + fields * sizeof(struct kolk_http_field) + text;
	struct http_asked *asked;
	uint8_t block = 0;

	while (block < HTTP_BLOCK_SIZES && size > block_bytes[block])
		block++;
	asked = block < HTTP_BLOCK_SIZES ? blocks_get(&blocks->asked[block], block_bytes[block]) :
					   malloc(size);
	if (asked != NULL) {
		memset(asked, 0, sizeof *asked);
		asked->block = block;
	}
	return asked;
}

static void asked_free(struct http_blocks *blocks, struct http_asked *asked)
{
	if (asked->has_credentials)
		http_credentials_wipe(asked->request.fields, asked->request.field_count);
	if (asked->block < HTTP_BLOCK_SIZES)
		blocks_put(&blocks->asked[asked->block], asked);
	else
		free(asked);
}

void http_asked_free(struct kolk_http_exchange *exchange)
{
	if (exchange->asked == NULL || exchange->deadline_ns != KOLK_FOREVER ||
	    exchange->idle_ns != KOLK_FOREVER)
		return;
	kolk_timer_stop(&exchange->asked->timer);
	asked_free(http_blocks(exchange->http), exchange->asked);
	exchange->asked = NULL;
}

static struct kolk_http_exchange *allocate(struct http_blocks *blocks, uint32_t fields, size_t text)
{
	struct kolk_http_exchange *exchange = blocks_get(&blocks->exchanges, sizeof *exchange);

	if (exchange == NULL)
		return NULL;
	memset(exchange, 0, sizeof *exchange);
	exchange->asked = asked_make(blocks, fields, text);
	if (exchange->asked != NULL)
		return exchange;
	blocks_put(&blocks->exchanges, exchange);
	return NULL;
}

void http_exchange_free(struct http_blocks *blocks, struct kolk_http_exchange *exchange)
{
	if (exchange->asked != NULL)
		asked_free(blocks, exchange->asked);
	blocks_put(&blocks->exchanges, exchange);
}

enum kolk_err http_exchange_make(struct http_blocks *blocks,
				 const struct kolk_http_request *request,
				 const struct kolk_http_handler *handler,
				 struct kolk_http_exchange **exchange)
{
	struct kolk_http_request own;
	struct kolk_http_handler callbacks;
	const char *wrong;
	size_t text;
	bool named;

	if (!kolk__sized_read(&own, request) || !kolk__sized_read(&callbacks, handler))
		return refuse(&own, "size");
	wrong = complete(&own, &callbacks, &named, &text);
	if (wrong != NULL)
		return refuse(&own, wrong);
	*exchange = allocate(blocks, own.field_count, text);
	if (*exchange == NULL)
		return KOLK_E_MEMORY;
	(*exchange)->handler = callbacks;
	(*exchange)->default_authority = !named;
	copy_request(*exchange, &own);
	return KOLK_OK;
}
