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

/* A field of the copy lies there as it is written over HTTP/1.1 (h1_write.c), but for the NULs
 * where ":" and CR will be: so many bytes beside its name and value. */
enum { AROUND_FIELD = 4 };

/* The largest: 40 fields and 864 bytes of text. */
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
	*text += size + AROUND_FIELD;
	size = strlen(field->value);
	*text += size;
	if (size > 0 && (is_blank(field->value[0]) || is_blank(field->value[size - 1])))
		return false;
	return h1_is_value(field->value, size);
}

static bool can_be(const struct kolk_http_field *fields, size_t count, size_t checked)
{
	return count <= FIELDS_MAX && checked <= count && (count == 0 || fields != NULL);
}

/* text grows by the bytes of all. */
static bool fields_valid(const struct kolk_http_field *fields, size_t count, size_t checked,
			 size_t *text)
{
	if (!can_be(fields, count, checked))
		return false;
	for (size_t i = 0; i < checked; i++)
		*text += strlen(fields[i].name) + strlen(fields[i].value) + AROUND_FIELD;
	for (size_t i = checked; i < count; i++)
		if (!field_valid(&fields[i], text))
			return false;
	return true;
}

bool http_fields_valid_behind(const struct kolk_http_field *fields, size_t count, size_t checked)
{
	size_t text = 0;

	return can_be(fields, count, checked) &&
	       (checked == count || fields_valid(fields + checked, count - checked, 0, &text));
}

bool http_fields_valid(const struct kolk_http_field *fields, size_t count)
{
	return http_fields_valid_behind(fields, count, 0);
}

size_t http_trailer_count(const struct kolk_http_field *trailers, size_t count)
{
	size_t i = 0;

	while (i < count && trailers[i].name != NULL)
		i++;
	return i;
}

static bool is_authority(const char *text)
{
	return *text != '\0' && text[h1_authority_size(text)] == '\0';
}

static bool is_method(const struct kolk_http_request *request, const char *method)
{
	return strcmp(request->method, method) == 0;
}

static bool target_valid(const struct kolk_http_request *request)
{
	if (is_method(request, "CONNECT"))
		return is_authority(request->target) && strrchr(request->target, ':') != NULL;
	if (strcmp(request->target, "*") == 0)
		return is_method(request, "OPTIONS");
	return request->target[0] == '/' &&
	       request->target[h1_target_size(request->target)] == '\0';
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

/* In lower case; NULL = it is none. */
static const char *scheme_of(const char *text)
{
	static const char http[] = "http", https[] = "https";

	if (strcmp(text, http) == 0 || kolk__word_equal(text, http))
		return http;
	return kolk__word_equal(text, https) ? https : NULL;
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
	if (request->scheme != NULL && scheme_of(request->scheme) == NULL)
		return "scheme";
	wrong = wrong_in_upgrade(request, handler);
	if (wrong != NULL)
		return wrong;
	return fields_valid(request->fields, request->field_count, request->fields_checked, text) ?
		       NULL : "fields";
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
static struct kolk_http_field copy_field(char **at, const struct kolk_http_field *field, bool lower,
					 bool *is_credential)
{
	char *name = *at;
	char *value = lower ? stpcpy(name, field->name) + 1 : h1_copy_name(name, field->name);

	*is_credential |= http_is_credential(name, (size_t)(value - name) - 1);
	*value++ = ' ';
	*at = stpcpy(value, field->value) + 1;
	*(*at)++ = '\n';
	return (struct kolk_http_field){ name, value };
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
		own->scheme = scheme_of(request->scheme);
	if (request->upgrade != NULL)
		own->upgrade = copy(&at, request->upgrade);
	for (uint32_t i = 0; i < request->field_count; i++)
		fields[i] = copy_field(&at, &request->fields[i], i < request->fields_checked,
				       &asked->has_credentials);
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
	if (*named && !is_authority(request->authority))
		return "authority";
	*text += line_size(request);
	return *text > TEXT_MAX ? "fields" : NULL;
}

static struct http_asked *asked_make(struct http_blocks *blocks, uint32_t fields, size_t text)
{
	size_t size = sizeof(struct http_asked) + fields * sizeof(struct kolk_http_field) + text;
	struct http_asked *asked;
	bool is_kept = false; /* and has its timer, which may be armed */
	uint8_t block = 0;

	while (block < HTTP_BLOCK_SIZES && size > block_bytes[block])
		block++;
	if (block < HTTP_BLOCK_SIZES) {
		is_kept = blocks->asked[block].first != NULL;
		asked = blocks_get(&blocks->asked[block], block_bytes[block]);
	} else {
		asked = malloc(size);
	}
	if (asked == NULL)
		return NULL;
	if (!is_kept) {
		memset(&asked->timer, 0, sizeof asked->timer);
		asked->timer_ns = KOLK_FOREVER;
	}
	asked->block = block;
	asked->has_credentials = false;
	return asked;
}

static void asked_free(struct http_blocks *blocks, struct http_asked *asked)
{
	struct blocks *kept = asked->block < HTTP_BLOCK_SIZES ? &blocks->asked[asked->block] : NULL;

	if (asked->has_credentials)
		http_credentials_wipe(asked->request.fields, asked->request.field_count);
	asked->exchange = NULL;
	if (kept == NULL || !blocks_keep(kept))
		kolk_timer_stop(&asked->timer);
	if (kept != NULL)
		blocks_put(kept, asked);
	else
		free(asked);
}

void http_blocks_free(struct http_blocks *blocks)
{
	for (int i = 0; i < HTTP_BLOCK_SIZES; i++) {
		for (struct free_block *block = blocks->asked[i].first; block != NULL;
		     block = block->next)
			kolk_timer_stop(&((struct http_asked *)(void *)block)->timer);
		blocks_free(&blocks->asked[i]);
	}
	blocks_free(&blocks->exchanges);
}

void http_asked_free(struct kolk_http_exchange *exchange)
{
	if (exchange->asked == NULL || exchange->deadline_ns != KOLK_FOREVER ||
	    exchange->idle_ns != KOLK_FOREVER)
		return;
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
	if (exchange->asked != NULL) {
		exchange->asked->exchange = exchange;
		return exchange;
	}
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
	struct kolk_http_handler copy;
	const struct kolk_http_handler *callbacks = kolk__sized_view(&copy, handler);
	const char *wrong;
	size_t text;
	bool named;

	if (!kolk__sized_read(&own, request) || callbacks == NULL)
		return refuse(&own, "size");
	wrong = complete(&own, callbacks, &named, &text);
	if (wrong != NULL)
		return refuse(&own, wrong);
	*exchange = allocate(blocks, own.field_count, text);
	if (*exchange == NULL)
		return KOLK_E_MEMORY;
	(*exchange)->handler = *callbacks;
	(*exchange)->default_authority = !named;
	copy_request(*exchange, &own);
	return KOLK_OK;
}
