/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - the members of an object of JSON, in text that was checked before. */
#include "tools/gateway/json.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Behind blanks and these. */
static const char *skip(const char *at, const char *end, char also)
{
	while (at < end && (is_blank(*at) || *at == also))
		at++;
	return at;
}

/* Behind the string that begins at at. */
static const char *string_end(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++)
		if (*at == '\\')
			at++;
	return at < end ? at + 1 : end;
}

/* Behind the value that begins at at. */
static const char *value_end(const char *at, const char *end)
{
	size_t depth = 0;

	while (at < end) {
		if (*at == '"') {
			at = string_end(at, end);
		} else {
			if (depth == 0 && (*at == ',' || *at == '}' || *at == ']' || is_blank(*at)))
				return at;
			depth += *at == '{' || *at == '[';
			depth -= *at == '}' || *at == ']';
			at++;
		}
		if (depth == 0 && (at[-1] == '"' || at[-1] == '}' || at[-1] == ']'))
			return at;
	}
	return at;
}

bool gw_json_next(struct kolk_mcp_part *rest, struct gw_json_member *member)
{
	const char *end = rest->data + rest->size, *at;

	if (rest->size == 0 || rest->data[0] == '"')
		return false;
	at = skip(rest->data, end, rest->data[0] == '{' ? '{' : ',');
	if (at == end || *at != '"')
		return false;
	member->name.data = at;
	at = string_end(at, end);
	member->name.size = (size_t)(at - member->name.data);
	at = skip(at, end, ':');
	member->value.data = at;
	at = value_end(at, end);
	member->value.size = (size_t)(at - member->value.data);
	rest->data = at;
	rest->size = (size_t)(end - at);
	return true;
}

bool gw_json_entry_next(struct kolk_mcp_part *rest, struct kolk_mcp_part *entry)
{
	const char *end = rest->data + rest->size, *at = rest->data;

	if (rest->size == 0)
		return false;
	at = skip(at + (*at == '['), end, ',');
	if (at == end || *at == ']')
		return false;
	entry->data = at;
	at = value_end(at, end);
	entry->size = (size_t)(at - entry->data);
	rest->data = at;
	rest->size = (size_t)(end - at);
	return true;
}

bool gw_json_says(struct kolk_mcp_part string, const char *text)
{
	size_t size = strlen(text);
	char decoded[512]; /* names that are looked for are short, also in escapes */

	if (string.size < 2 || string.data[0] != '"')
		return false;
	if (memchr(string.data, '\\', string.size) == NULL)
		return string.size == size + 2 && memcmp(string.data + 1, text, size) == 0;
	return string.size <= sizeof decoded && kolk_mcp_decode(string, decoded) == size &&
	       memcmp(decoded, text, size) == 0;
}

bool gw_json_number(struct kolk_mcp_part text, uint64_t *number)
{
	uint64_t value = 0;

	if (text.size == 0 || text.size > 18)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.data[i] - '0');
	}
	*number = value;
	return true;
}

struct kolk_mcp_part gw_json_member_of(struct kolk_mcp_part object, const char *name)
{
	struct gw_json_member member;

	while (gw_json_next(&object, &member))
		if (gw_json_says(member.name, name))
			return member.value;
	return (struct kolk_mcp_part){ NULL, 0 };
}
