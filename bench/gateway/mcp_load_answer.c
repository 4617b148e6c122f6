/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_load_answer.c - an answer of HTTP/1.1: its head, and where its body ends. */
#define _GNU_SOURCE /* strcasestr */
#include "bench/gateway/mcp_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void load_answer_field(const char *answer, const char *name, char *to, size_t capacity)
{
	const char *end = strstr(answer, "\r\n\r\n"), *at;
	char line[64];

	snprintf(line, sizeof line, "\r\n%s:", name);
	at = strcasestr(answer, line);
	to[0] = '\0';
	if (at == NULL || end == NULL || at > end)
		return;
	at += strlen(line);
	at += strspn(at, " ");
	snprintf(to, capacity, "%.*s", (int)strcspn(at, "\r"), at);
}

/* Behind the last chunk; 0 = more must come. */
static size_t chunks_end(const char *answer, size_t size, size_t at)
{
	for (;;) {
		const char *line = answer + at, *end = strstr(line, "\r\n");
		size_t chunk;

		if (end == NULL)
			return 0;
		chunk = strtoul(line, NULL, 16);
		at = (size_t)(end + 2 - answer) + chunk + 2;
		if (at > size)
			return 0;
		if (chunk == 0)
			return at;
	}
}

struct load_answer load_answer_read(const char *answer, size_t size, bool head_alone)
{
	const char *end = strstr(answer, "\r\n\r\n");
	struct load_answer read = { 0 };
	char value[64];
	size_t head;

	if (end == NULL)
		return read;
	head = (size_t)(end + 4 - answer);
	read.status = strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
	read.body = end + 4;
	if (head_alone && read.status == 200) {
		read.size = head;
		return read;
	}
	load_answer_field(answer, "Transfer-Encoding", value, sizeof value);
	if (strstr(value, "chunked") != NULL) {
		read.size = chunks_end(answer, size, head);
		return read;
	}
	load_answer_field(answer, "Content-Length", value, sizeof value);
	head += strtoul(value, NULL, 10);
	read.size = head <= size ? head : 0;
	return read;
}
