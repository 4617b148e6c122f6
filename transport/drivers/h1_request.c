/* SPDX-License-Identifier: Apache-2.0 */
/* h1_request.c - requests of HTTP/1.1: request line, what fields say, and where they end (RFC 9112,
 * sections 3, 6 and 11). What answers have too is in h1_message.c. */
#include "transport/drivers/h1_request.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/ascii.h"
#include "transport/drivers/h1_fields.h"

enum { LINE_SPARE = 64 }; /* of a request line, beside its target: method, blanks, version */

void h1_request_begin(struct h1_request_parser *parser)
{
	parser->head = (struct kolk_http_request_head)KOLK_INIT(kolk_http_request_head);
	parser->status = parser->trailer_count = 0;
	parser->body_size = 0;
	parser->keep = parser->blank = false;
	parser->message.head_bytes_max = parser->limits.head_bytes_max;
	parser->message.fields_max = parser->limits.fields_max;
	h1_message_begin(&parser->message);
	h1_memory_shrink(&parser->head_memory);
}

void h1_request_free(struct h1_request_parser *parser)
{
	h1_message_free(&parser->message);
	h1_memory_free(&parser->head_memory);
}

void h1_request_trim(struct h1_request_parser *parser)
{
	struct kolk_http_request_head *head = &parser->head;
	size_t method = strlen(head->method) + 1, target = strlen(head->target) + 1;
	size_t authority = strlen(head->authority) + 1;
	char *text = malloc(method + target + authority);

	if (text == NULL)
		return;
	head->target = memcpy(text, head->target, target);
	head->method = memcpy(text + target, head->method, method);
	head->authority = memcpy(text + target + method, head->authority, authority);
	head->fields = NULL;
	head->upgrade = NULL;
	head->field_count = parser->message.field_count = 0;
	h1_request_free(parser);
	parser->head_memory.text = text;
	parser->head_memory.text_capacity = method + target + authority;
}

bool h1_request_begun(const struct h1_request_parser *parser)
{
	return parser->message.state != H1_IN_HEAD || parser->message.text_size > 0;
}

static enum kolk_err refuse(struct h1_request_parser *parser, uint32_t status)
{
	parser->status = status;
	parser->keep = false;
	return h1_message_break(&parser->message);
}

/* ---- the request line */

/* 0 = it is none. */
static uint32_t version_of(const char *text, size_t size)
{
	if (size != 8 || memcmp(text, "HTTP/", 5) != 0 || text[5] < '0' || text[5] > '9' ||
	    text[6] != '.' || text[7] < '0' || text[7] > '9')
		return 0;
	return (uint32_t)((text[5] - '0') * 10 + text[7] - '0');
}

/* "http://host/path": the host is moved to the left, where the scheme was, to make place for a NUL
 * and for the "/" that an empty path is. */
static uint32_t split_absolute(struct kolk_http_request_head *head, char *target, size_t scheme)
{
	size_t size = strcspn(target + scheme, "/?");
	char *rest = target + scheme + size;
	char *host = target + scheme - 2;

	memmove(host, target + scheme, size);
	host[size] = '\0';
	if (*rest == '?')
		*--rest = '/';
	head->target = *rest == '\0' ? "/" : rest;
	head->authority = host;
	head->scheme = scheme == 8 ? "https" : "http";
	return h1_is_authority(host) ? 0 : 400;
}

/* The forms of RFC 9112, section 3.2. Returns the status of a refusal, or 0. */
static uint32_t split_target(struct kolk_http_request_head *head, char *target)
{
	head->target = target;
	if (strcmp(head->method, "CONNECT") == 0)
		return 501;
	if (target[0] == '/')
		return 0;
	if (strcmp(target, "*") == 0)
		return strcmp(head->method, "OPTIONS") == 0 ? 0 : 400;
	if (kolk__word_begins(target, "http://"))
		return split_absolute(head, target, 7);
	if (kolk__word_begins(target, "https://"))
		return split_absolute(head, target, 8);
	return 400;
}

/* "GET /path HTTP/1.1": one blank each, no more. */
static uint32_t split_line(struct h1_request_parser *parser, char *line, char *end)
{
	struct kolk_http_request_head *head = &parser->head;
	char *target = memchr(line, ' ', (size_t)(end - line)), *version;

	if (target == NULL || !h1_is_token(line, (size_t)(target - line)))
		return 400;
	*target++ = '\0';
	version = memchr(target, ' ', (size_t)(end - target));
	if (version == NULL) /* HTTP/0.9 */
		return (size_t)(end - target) > parser->limits.target_bytes_max ? 414 : 400;
	*version++ = '\0';
	head->method = line;
	head->version = version_of(version, (size_t)(end - version));
	if (head->version != 10 && head->version != 11)
		return head->version == 0 ? 400 : 505;
	if ((size_t)(version - 1 - target) > parser->limits.target_bytes_max)
		return 414;
	if (h1_target_size(target) != (size_t)(version - 1 - target))
		return 400; /* a NUL is none of it, either */
	return split_target(head, target);
}

/* ---- fields */

/* RFC 9112, section 6.1: what is not understood is 501; what does not end in "chunked", or has it
 * twice, does not say where the body ends: 400. */
static uint32_t coding_status(const char *codings)
{
	bool chunked = false;
	const char *member;
	size_t size;

	while ((member = h1_next_member(&codings, &size)) != NULL) {
		if (chunked || !h1_is_token(member, size))
			return 400;
		chunked = kolk__word_is(member, size, "chunked");
	}
	return chunked ? 501 : 400;
}

static uint32_t check_host(struct kolk_http_request_head *head, const struct h1_framing *framing)
{
	if (framing->hosts > 1 || (framing->hosts == 0 && head->version == 11))
		return 400;
	if (framing->hosts == 1 && !h1_is_authority(framing->host))
		return 400;
	if (head->authority != NULL && framing->hosts == 1 &&
	    !kolk__word_equal(head->authority, framing->host))
		return 400;
	if (head->authority == NULL)
		head->authority = framing->hosts == 1 ? framing->host : "";
	return 0;
}

/* An upgrade to HTTP/2 that a proxy does not see is a tunnel past it: it is not offered. */
static const char *upgrade_of(const struct kolk_http_request_head *head,
			      const struct h1_framing *framing)
{
	const char *list = framing->upgrade, *member;
	size_t size;

	if (list == NULL || *list == '\0' || !framing->switching || head->version == 10)
		return NULL;
	while ((member = h1_next_member(&list, &size)) != NULL)
		if (size >= 3 && kolk__word_is(member, 3, "h2c"))
			return NULL;
	return framing->upgrade;
}

static uint32_t read_fields(struct h1_request_parser *parser, const struct h1_framing *framing)
{
	struct kolk_http_request_head *head = &parser->head;
	uint32_t status = check_host(head, framing);

	if (status != 0)
		return status;
	if (framing->chunked && head->version == 10)
		return 400;
	if (framing->expect != NULL && head->version == 11) {
		if (!kolk__word_equal(framing->expect, "100-continue"))
			return 417;
		head->expect_continue = framing->chunked || framing->length > 0;
	}
	if (framing->has_length && framing->length > parser->limits.body_bytes_max)
		return 413;
	if (head->scheme == NULL)
		head->scheme = parser->limits.tls ? "https" : "http";
	head->body_size = framing->chunked ? KOLK_HTTP_CHUNKED : framing->length;
	head->upgrade = upgrade_of(head, framing);
	head->trailers_accepted = framing->trailers;
	head->fields = parser->message.fields;
	head->field_count = parser->message.field_count;
	parser->keep = head->version == 11 ? !framing->close :
					     framing->keep_alive && !framing->close;
	return 0;
}

/* ---- the head */

static enum kolk_err split_head(struct h1_request_parser *parser)
{
	struct h1_message *message = &parser->message;
	char *end = h1_line_end(message->text);
	struct h1_framing framing = { 0 };
	uint32_t status = split_line(parser, message->text, end);
	enum kolk_err err;

	if (status != 0)
		return refuse(parser, h1_lines_end_well(message, end + 2) ? status : 400);
	err = h1_split_fields(message, end + 2, &framing);
	if (err == KOLK_E_PROTOCOL)
		return refuse(parser, message->too_large ? 431 :
				      framing.coding != NULL ? coding_status(framing.coding) : 400);
	if (err != KOLK_OK)
		return err;
	status = read_fields(parser, &framing);
	if (status != 0)
		return refuse(parser, status);
	h1_forget_text(message);
	message->left = framing.length;
	message->state = framing.chunked ? H1_CHUNK_LINE :
			 framing.length > 0 ? H1_FIXED : H1_WHOLE;
	if (framing.chunked)
		h1_memory_swap(message, &parser->head_memory);
	return KOLK_OK;
}

static bool may_begin(uint8_t byte)
{
	char c = (char)byte;

	return c == '\r' || h1_is_token(&c, 1);
}

/* The request line; KOLK_PENDING until it is whole. What cannot become one is refused when that is
 * seen, not when the head is whole. */
static enum kolk_err gather_line(struct h1_request_parser *parser, const uint8_t **data,
				 size_t *size)
{
	struct h1_message *message = &parser->message;
	size_t line_max = (size_t)parser->limits.target_bytes_max + LINE_SPARE;
	enum kolk_err err;

	if (message->text_size == 0 && !may_begin(**data))
		return refuse(parser, 400);
	err = h1_gather_line(message, data, size, message->head_bytes_max);
	if (message->too_large || message->text_size > line_max)
		return refuse(parser, 414);
	if (err == KOLK_E_PROTOCOL)
		return refuse(parser, 400);
	if (err != KOLK_OK)
		return err;
	if (message->text_size > 2) {
		message->line = message->text_size;
		return KOLK_OK;
	}
	if (parser->blank) /* RFC 9112, section 2.2: one empty line is none */
		return refuse(parser, 400);
	parser->blank = true;
	h1_forget_text(message);
	return KOLK_PENDING;
}

static enum kolk_err head_step(struct h1_request_parser *parser, const uint8_t **data, size_t *size)
{
	struct h1_message *message = &parser->message;
	enum kolk_err err = message->line == 0 ? gather_line(parser, data, size) : KOLK_OK;

	if (err == KOLK_OK)
		err = h1_gather(message, data, size);
	else
		return err;
	if (err == KOLK_E_PROTOCOL)
		return refuse(parser, message->too_large ? 431 : 400);
	return err == KOLK_OK ? split_head(parser) : err;
}

/* ---- the body */

static enum kolk_err body_step(struct h1_request_parser *parser, const uint8_t **data, size_t *size)
{
	struct h1_message *message = &parser->message;
	bool trailers = message->state == H1_IN_TRAILERS, close = false;
	enum kolk_err err = h1_body_step(message, data, size, &close);

	if (err == KOLK_E_PROTOCOL)
		return refuse(parser, trailers && message->too_large ? 431 : 400);
	if (err == KOLK_OK)
		parser->body_size += message->body_size;
	if (message->state == H1_CHUNK &&
	    message->left > parser->limits.body_bytes_max - parser->body_size)
		return refuse(parser, 413);
	if (trailers && message->state == H1_WHOLE)
		parser->trailer_count = message->field_count;
	if (close)
		parser->keep = false;
	return err;
}

/* ---- the machine */

enum kolk_err h1_request_parse(struct h1_request_parser *parser, const uint8_t **data, size_t *size,
			       enum h1_event *event)
{
	struct h1_message *message = &parser->message;
	enum kolk_err err = KOLK_PENDING;

	while (err == KOLK_PENDING) {
		if (message->state == H1_WHOLE) {
			*event = H1_END;
			message->state = H1_FINISHED;
			return KOLK_OK;
		}
		if (message->state >= H1_FINISHED)
			return refuse(parser, parser->status == 0 ? 400 : parser->status);
		if (*size == 0) {
			*event = H1_MORE;
			return KOLK_OK;
		}
		*event = message->state == H1_IN_HEAD ? H1_HEAD : H1_BODY;
		err = *event == H1_HEAD ? head_step(parser, data, size) :
					  body_step(parser, data, size);
	}
	return err;
}
