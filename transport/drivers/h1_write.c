/* SPDX-License-Identifier: Apache-2.0 */
/* h1_write.c - writes requests of HTTP/1.1 (RFC 9112, sections 3 and 7). What is written was
 * checked before (http_request.c): nothing here can end a line that it should not. */
#include <stdio.h>
#include <string.h>

#include "transport/drivers/h1.h"

struct text {
	char *buffer;
	size_t size, capacity;
};

static void add_bytes(struct text *text, const char *bytes, size_t size)
{
	if (size <= text->capacity && text->size <= text->capacity - size)
		memcpy(text->buffer + text->size, bytes, size);
	text->size += size;
}

static void add(struct text *text, const char *string)
{
	add_bytes(text, string, strlen(string));
}

static void add_field(struct text *text, const char *name, const char *value)
{
	add(text, name);
	add_bytes(text, ": ", 2);
	add(text, value);
	add_bytes(text, "\r\n", 2);
}

static void add_length(struct text *text, uint64_t length)
{
	char line[48];
	int size = snprintf(line, sizeof line, "content-length: %llu\r\n",
			    (unsigned long long)length);

	add_bytes(text, line, (size_t)size);
}

/* A method that usually has a body says so when it has none (RFC 9110, section 8.6). */
static bool expects_body(const char *method)
{
	return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
	       strcmp(method, "PATCH") == 0;
}

static void add_framing(struct text *text, const struct kolk_http_request *request)
{
	if (request->pull != NULL && request->pull_size == KOLK_HTTP_CHUNKED)
		add(text, "transfer-encoding: chunked\r\n");
	else if (request->pull != NULL)
		add_length(text, request->pull_size);
	else if (request->body_size > 0 || expects_body(request->method))
		add_length(text, request->body_size);
	if (request->expect_continue != 0)
		add(text, "expect: 100-continue\r\n");
	if (request->upgrade != NULL) {
		add(text, "connection: upgrade\r\n");
		add_field(text, "upgrade", request->upgrade);
	}
}

size_t h1_write_head(const struct kolk_http_request *request, char *buffer, size_t capacity)
{
	struct text text = { .buffer = buffer, .capacity = capacity };

	add(&text, request->method);
	add_bytes(&text, " ", 1);
	add(&text, request->target);
	add(&text, " HTTP/1.1\r\n");
	add_field(&text, "host", request->authority);
	for (uint32_t i = 0; i < request->field_count; i++)
		add_field(&text, request->fields[i].name, request->fields[i].value);
	add_framing(&text, request);
	add_bytes(&text, "\r\n", 2);
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
	struct text text = { .buffer = buffer, .capacity = capacity };

	add(&text, "0\r\n");
	for (size_t i = 0; i < count; i++)
		add_field(&text, trailers[i].name, trailers[i].value);
	add_bytes(&text, "\r\n", 2);
	return text.size;
}
