/* SPDX-License-Identifier: Apache-2.0 */
/* h1_write.c - writes requests of HTTP/1.1 (RFC 9112, sections 3 and 7). What is written was
 * checked before (http_request.c): nothing here can end a line that it should not. */
#include <stdio.h>
#include <string.h>

#include "transport/drivers/h1.h"
#include "transport/drivers/h1_text.h"

static void add_length(struct h1_text *text, uint64_t length)
{
	h1_add_bytes(text, "content-length: ", 16);
	h1_add_number(text, length);
	h1_add_bytes(text, "\r\n", 2);
}

/* A method that usually has a body says so when it has none (RFC 9110, section 8.6). */
static bool expects_body(const char *method)
{
	return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
	       strcmp(method, "PATCH") == 0;
}

static void add_framing(struct h1_text *text, const struct kolk_http_request *request)
{
	if (request->pull != NULL && request->pull_size == KOLK_HTTP_CHUNKED)
		h1_add(text, "transfer-encoding: chunked\r\n");
	else if (request->pull != NULL)
		add_length(text, request->pull_size);
	else if (request->body_size > 0 || expects_body(request->method))
		add_length(text, request->body_size);
	if (request->expect_continue != 0)
		h1_add(text, "expect: 100-continue\r\n");
	if (request->upgrade != NULL) {
		h1_add(text, "connection: upgrade\r\n");
		h1_add_field(text, "upgrade", request->upgrade);
	} else if (request->trailers_accepted != 0) {
		h1_add(text, "connection: te\r\nte: trailers\r\n");
	}
}

/* They lie in one piece, with NULs where ":" and CR are written (http_request.c). */
static void add_fields(struct h1_text *text, const struct kolk_http_field *fields, uint32_t count)
{
	const char *begin = count > 0 ? fields[0].name : NULL;
	const char *last = count > 0 ? fields[count - 1].value : NULL;
	size_t from = text->size, size = count > 0 ? (size_t)(last - begin) + strlen(last) + 2 : 0;
	char *at = text->buffer + from;

	if (count == 0)
		return;
	h1_add_bytes(text, begin, size);
	if (text->size > text->capacity)
		return;
	for (uint32_t i = 0; i < count; i++) {
		at[fields[i].value - begin - 2] = ':';
		at[(i + 1 < count ? (size_t)(fields[i + 1].name - begin) : size) - 2] = '\r';
	}
}

size_t h1_write_head(const struct kolk_http_request *request, const char *base, char *buffer,
		     size_t capacity)
{
	struct h1_text text = { .buffer = buffer, .capacity = capacity };

	h1_add(&text, request->method);
	h1_add_bytes(&text, " ", 1);
	if (base != NULL && request->target[0] == '/')
		h1_add(&text, base);
	h1_add(&text, request->target);
	h1_add(&text, " HTTP/1.1\r\n");
	h1_add_field(&text, "host", request->authority);
	add_fields(&text, request->fields, request->field_count);
	add_framing(&text, request);
	h1_add_bytes(&text, "\r\n", 2);
	return text.size;
}

const void *h1_write_chunk(char *buffer, size_t size, size_t *whole)
{
	char line[H1_CHUNK_HEAD + 1];
	int digits = snprintf(line, sizeof line, "%x\r\n", (unsigned int)size);
	char *begin = buffer + H1_CHUNK_HEAD - digits;

	memcpy(begin, line, (size_t)digits);
	memcpy(buffer + H1_CHUNK_HEAD + size, "\r\n", H1_CHUNK_TAIL);
	*whole = (size_t)digits + size + H1_CHUNK_TAIL;
	return begin;
}

size_t h1_write_last(const struct kolk_http_field *trailers, size_t count, char *buffer,
		     size_t capacity)
{
	struct h1_text text = { .buffer = buffer, .capacity = capacity };

	h1_add(&text, "0\r\n");
	for (size_t i = 0; i < count; i++)
		h1_add_field(&text, trailers[i].name, trailers[i].value);
	h1_add_bytes(&text, "\r\n", 2);
	return text.size;
}
