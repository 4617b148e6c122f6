/* SPDX-License-Identifier: Apache-2.0 */
/*
 * legacy.c - messages of the eras with sessions: what a caller of the modern era says of itself in
 * _meta stays here. The session has said it, and a server of both eras would take the message for
 * one that stands for itself.
 */
#include "transport/drivers/mcp/inside.h"

enum { MEMBERS = sizeof ((struct mcp_message *)NULL)->modern / sizeof(struct mcp_text) };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* From its name on: there is none with a quote in it among those that are sought. */
static const char *begin_of(const char *value)
{
	const char *at = value - 1;

	while (*at != ':')
		at--;
	while (*at != '"')
		at--;
	do
		at--;
	while (*at != '"');
	return at;
}

/* The member of this value, with a comma at one side of it. */
static struct mcp_text member_of(struct mcp_text value)
{
	const char *begin = begin_of(value.data), *end = value.data + value.size, *before = begin - 1;

	while (is_blank(*end))
		end++;
	while (is_blank(*before))
		before--;
	if (*end == ',')
		end++;
	else if (*before == ',')
		begin = before;
	return (struct mcp_text){ begin, (size_t)(end - begin) };
}

/* The last one of the members: what is behind it was cut already. */
static void cut_last(void *user, const struct mcp_message *message)
{
	struct mcp_text *found = user, last = { NULL, 0 };

	for (int i = 0; i < MEMBERS; i++)
		if (message->modern[i].size > 0 &&
		    (last.size == 0 || message->modern[i].data > last.data))
			last = message->modern[i];
	if (last.size > 0)
		*found = member_of(last);
}

void kolk__mcp_legacy_strip(struct kolk_mcp_call *call)
{
	for (int i = 0; i < MEMBERS && call->says_modern; i++) {
		char *body = (char *)(uintptr_t)call->body, *at;
		struct mcp_text found = { NULL, 0 };
		const struct mcp_reading reading = { .text = body, .size = call->body_size,
						     .show = cut_last, .user = &found };

		if (kolk__mcp_messages_read(&reading) != KOLK_OK || found.size == 0)
			break;
		at = body + (found.data - body);
		call->body_size -= found.size;
		memmove(at, at + found.size, call->body_size - (size_t)(at - body));
	}
	call->says_modern = false;
}
