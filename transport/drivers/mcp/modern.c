/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modern.c - messages of the era without sessions (2026-07-28): what a session knew is in each
 * request's _meta, and its header says again what the body says.
 */
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

struct looking {
	struct mcp_modern *modern;
	const struct mcp_identity *identity;
	const char *body;
	size_t body_size;
	bool failed;
};

/* ---- the header */

/* What a field may hold as it is: printable, no blank at an end, not as if it were encoded. */
static bool is_plain(struct mcp_text text)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] < ' ' || text.data[i] >= 0x7f)
			return false;
	return text.size == 0 || (text.data[0] != ' ' && text.data[text.size - 1] != ' ' &&
				  (text.size < 2 || memcmp(text.data, "=?", 2) != 0));
}

static char *base64(char *at, struct mcp_text text)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";

	for (size_t i = 0; i < text.size; i += 3) {
		size_t left = text.size - i;
		uint32_t bits = (uint32_t)(uint8_t)text.data[i] << 16;

		bits |= left > 1 ? (uint32_t)(uint8_t)text.data[i + 1] << 8 : 0;
		bits |= left > 2 ? (uint8_t)text.data[i + 2] : 0;
		*at++ = digits[bits >> 18];
		*at++ = digits[bits >> 12 & 63];
		*at++ = left > 1 ? digits[bits >> 6 & 63] : '=';
		*at++ = left > 2 ? digits[bits & 63] : '=';
	}
	return at;
}

static char *field_of(struct mcp_text name)
{
	char *field = malloc(name.size / 3 * 4 + 4 + sizeof "=?base64?" + 2);
	char *at = field;

	if (field == NULL)
		return NULL;
	if (is_plain(name))
		at = (char *)memcpy(at, name.data, name.size) + name.size;
	else
		at = stpcpy(base64(stpcpy(at, "=?base64?"), name), "?=");
	*at = '\0';
	return field;
}

static bool has_name(struct mcp_text method)
{
	return mcp_text_is(method, "tools/call") || mcp_text_is(method, "prompts/get") ||
	       mcp_text_is(method, "resources/read");
}

/* ---- the body */

/* Whether an object has a member. */
static bool is_filled(const char *object)
{
	do
		object++;
	while (*object == ' ' || *object == '\t' || *object == '\n' || *object == '\r');
	return *object != '}';
}

/* The body, with this at this place, instead of so many bytes. */
static void insert(struct looking *looking, const char *place, size_t instead,
		   const char *const parts[3])
{
	struct mcp_modern *modern = looking->modern;
	size_t before = (size_t)(place - looking->body);
	size_t after = looking->body_size - before - instead;
	char *at;

	modern->body = malloc(looking->body_size + strlen(parts[0]) + strlen(parts[1]) +
			      strlen(parts[2]) + 1);
	if (modern->body == NULL) {
		looking->failed = true;
		return;
	}
	at = (char *)memcpy(modern->body, looking->body, before) + before;
	at = stpcpy(stpcpy(stpcpy(at, parts[0]), parts[1]), parts[2]);
	at = (char *)memcpy(at, place + instead, after) + after;
	modern->body_size = (size_t)(at - modern->body);
}

static void put_meta(struct looking *looking, const struct mcp_message *message)
{
	const char *meta = looking->identity->meta;

	if (message->meta_version.size > 0)
		insert(looking, looking->body, 0, (const char *[]){ "", "", "" });
	else if (message->meta.size > 0 && message->meta.data[0] != '{') /* null */
		insert(looking, message->meta.data, message->meta.size,
		       (const char *[]){ "{", meta, "}" });
	else if (message->meta.size > 0)
		insert(looking, message->meta.data + 1, 0,
		       (const char *[]){ meta, is_filled(message->meta.data) ? "," : "", "" });
	else if (message->params.size > 0 && message->params.data[0] != '{')
		insert(looking, message->params.data, message->params.size,
		       (const char *[]){ "{\"_meta\":{", meta, "}}" });
	else if (message->params.size > 0)
		insert(looking, message->params.data + 1, 0,
		       (const char *[]){ "\"_meta\":{", meta,
					 is_filled(message->params.data) ? "}," : "}" });
	else
		insert(looking, looking->body + looking->body_size - 1, 0,
		       (const char *[]){ ",\"params\":{\"_meta\":{", meta, "}}" });
}

static void look(void *user, const struct mcp_message *message)
{
	const struct mcp_text own = mcp_text_of(MCP_MODERN_VERSION);
	struct looking *looking = user;
	struct mcp_modern *modern = looking->modern;
	struct mcp_text version = message->meta_version.size > 0 ? message->meta_version : own;

	if (version.size < sizeof modern->version)
		memcpy(modern->version, version.data, version.size);
	if (message->method.size < sizeof modern->method)
		memcpy(modern->method, message->method.data, message->method.size);
	if (has_name(message->method) && message->name.data != NULL) {
		modern->name = field_of(message->name);
		looking->failed = modern->name == NULL;
	}
	if (!looking->failed)
		put_meta(looking, message);
}

struct mcp_modern *kolk__mcp_modern_make(const struct mcp_identity *identity, const char *body,
					 size_t body_size)
{
	struct mcp_modern *modern = calloc(1, sizeof *modern);
	struct looking looking = { .modern = modern, .identity = identity, .body = body,
				   .body_size = body_size };
	struct mcp_reading reading = { .text = body, .size = body_size, .show = look,
				       .user = &looking };

	if (modern == NULL)
		return NULL;
	if (kolk__mcp_messages_read(&reading) == KOLK_OK && !looking.failed)
		return modern;
	kolk__mcp_modern_free(modern);
	return NULL;
}

void kolk__mcp_modern_free(struct mcp_modern *modern)
{
	if (modern == NULL)
		return;
	free(modern->name);
	free(modern->body);
	free(modern);
}
