/* SPDX-License-Identifier: Apache-2.0 */
/* protocol.c - requests and how an answer is known to be whole, as small as the job needs. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/demo/demo.h"

/* ---- raw: a line that comes back as it is */

static size_t raw_request(char *buffer, size_t capacity, const char *host, uint32_t caller)
{
	size_t size = capacity < 128 ? capacity : 128;

	(void)host;
	(void)caller;
	memset(buffer, 'k', size);
	buffer[size - 1] = '\n';
	return size;
}

static long raw_answer(const char *bytes, size_t size, size_t request_size)
{
	(void)bytes;
	return size >= request_size ? (long)request_size : 0;
}

/* ---- Redis */

static size_t redis_request(char *buffer, size_t capacity, const char *host, uint32_t caller)
{
	(void)host;
	(void)caller;
	return (size_t)snprintf(buffer, capacity, "PING\r\n");
}

static long redis_answer(const char *bytes, size_t size, size_t request_size)
{
	(void)request_size;
	if (size > 0 && bytes[0] != '+')
		return -1;
	return size >= 7 ? 7 : 0;
}

/* ---- HTTP/1.1 (RFC 9112): a body with a length, or in chunks whose end is looked for */

static size_t http_request(char *buffer, size_t capacity, const char *host, uint32_t caller)
{
	(void)caller;
	return (size_t)snprintf(buffer, capacity,
				"GET / HTTP/1.1\r\nHost: %s\r\nUser-Agent: kolk-demo\r\n\r\n", host);
}

static long http_answer(const char *bytes, size_t size, size_t request_size)
{
	const char *end = memmem(bytes, size, "\r\n\r\n", 4), *field;
	size_t head;

	(void)request_size;
	if (size >= 5 && memcmp(bytes, "HTTP/", 5) != 0)
		return -1;
	if (end == NULL)
		return 0;
	head = (size_t)(end + 4 - bytes);
	for (field = bytes; field < end; field++) {
		if (strncasecmp(field, "\r\nContent-Length:", 17) == 0) {
			size_t body = strtoul(field + 17, NULL, 10);

			return size >= head + body ? (long)(head + body) : 0;
		}
		if (strncasecmp(field, "\r\nTransfer-Encoding: chunked", 28) == 0) {
			end = memmem(bytes + head - 2, size - head + 2, "\r\n0\r\n\r\n", 7);
			return end != NULL ? (long)(end + 7 - bytes) : 0;
		}
	}
	return (long)head;
}

const struct protocol *protocol_find(const char *name)
{
	static const struct protocol protocols[] = {
		{ "raw", kolk_driver_raw, raw_request, raw_answer },
		{ "redis-ping", kolk_driver_redis_ping, redis_request, redis_answer },
		{ "http-get", kolk_driver_http_get, http_request, http_answer },
	};

	for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++)
		if (strcmp(name, protocols[i].name) == 0)
			return &protocols[i];
	return NULL;
}
