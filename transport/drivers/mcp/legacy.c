/* SPDX-License-Identifier: Apache-2.0 */
/*
 * legacy.c - messages of the eras with sessions: what a caller of the modern era says of itself in
 * _meta stays here. The session has said it, and a server of both eras would take the message for
 * a stateless one.
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

/* The values of the members that are there, the last one in the text first. */
struct values {
	struct mcp_text of[MEMBERS];
	int count;
};

static void sort(void *user, const struct mcp_message *message)
{
	struct values *values = user;

	for (int i = 0; i < MEMBERS; i++) {
		const struct mcp_text value = message->modern[i];
		int at = values->count;

		if (value.size == 0)
			continue;
		for (; at > 0 && values->of[at - 1].data < value.data; at--)
			values->of[at] = values->of[at - 1];
		values->of[at] = value;
		values->count++;
	}
}

static void cut(struct kolk_mcp_call *call, struct mcp_text member)
{
	char *at = (char *)(uintptr_t)call->body + (member.data - call->body);

	call->body_size -= member.size;
	memmove(at, at + member.size, call->body_size - (size_t)(at - call->body));
}

/* What is before a member stays in its place when it is cut. */
void kolk__mcp_legacy_strip(struct kolk_mcp_call *call)
{
	struct values values = { .count = 0 };
	const struct mcp_reading reading = { .text = call->body, .size = call->body_size,
					     .show = sort, .user = &values };

	if (call->says_modern)
		(void)kolk__mcp_messages_read(&reading); /* it was read before: nothing is wrong */
	for (int i = 0; i < values.count; i++)
		cut(call, member_of(values.of[i]));
	call->says_modern = false;
}
