/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - text that grows, and JSON written to it. */
#include "tools/gateway/tool/json.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

void gw_text_put(struct gw_text *text, const char *data, size_t size)
{
	if (!text->failed && size > 0)
		text->failed = !gw_pipe_push(&text->pipe, data, size);
}

void gw_text_say(struct gw_text *text, const char *words)
{
	gw_text_put(text, words, strlen(words));
}

void gw_text_number(struct gw_text *text, int64_t number)
{
	char digits[24];

	gw_text_put(text, digits, (size_t)snprintf(digits, sizeof digits, "%lld", (long long)number));
}

void gw_text_free(struct gw_text *text)
{
	gw_pipe_free(&text->pipe);
}

/* ---- strings */

/* How many bytes the character of UTF-8 has that begins there; 0 = there is none (RFC 3629). */
static size_t character(const uint8_t *at, size_t left)
{
	uint8_t lead = at[0];
	size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 :
		      lead < 0xf5 ? 4 : 0;

	if (size > left)
		return 0;
	for (size_t i = 1; i < size; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	if ((lead == 0xe0 && at[1] < 0xa0) || (lead == 0xed && at[1] > 0x9f) ||
	    (lead == 0xf0 && at[1] < 0x90) || (lead == 0xf4 && at[1] > 0x8f))
		return 0; /* too long, half of a pair, beyond the last */
	return size;
}

static void put_escape(struct gw_text *text, uint8_t byte)
{
	static const char letters[] = "btn\0fr"; /* of 8 to 13 */
	static const char hex[] = "0123456789abcdef";
	char escape[6] = { '\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15] };
	bool letter = byte >= 8 && byte <= 13 && byte != 11;

	if (letter || byte == '"' || byte == '\\')
		escape[1] = letter ? letters[byte - 8] : (char)byte;
	gw_text_put(text, escape, escape[1] == 'u' ? 6 : 2);
}

void gw_text_inside(struct gw_text *text, const char *data, size_t size)
{
	const uint8_t *bytes = (const uint8_t *)data;
	size_t plain = 0, i = 0;

	while (i < size) {
		size_t step = character(bytes + i, size - i);

		if (step > 0 && bytes[i] >= ' ' && bytes[i] != '"' && bytes[i] != '\\' &&
		    bytes[i] != 0x7f) {
			i += step;
			continue;
		}
		gw_text_put(text, data + plain, i - plain);
		if (step == 0)
			gw_text_say(text, "\xef\xbf\xbd");
		else
			put_escape(text, bytes[i]);
		plain = ++i;
	}
	gw_text_put(text, data + plain, size - plain);
}

void gw_text_string(struct gw_text *text, const char *data, size_t size)
{
	gw_text_put(text, "\"", 1);
	gw_text_inside(text, data, size);
	gw_text_put(text, "\"", 1);
}

/* ---- what others wrote */

static size_t digits(const char *text, size_t size, size_t from)
{
	size_t i = from;

	while (i < size && text[i] >= '0' && text[i] <= '9')
		i++;
	return i;
}

bool gw_is_json_number(const char *text, size_t size)
{
	size_t from = size > 0 && text[0] == '-', i = digits(text, size, from), behind;

	if (i == from || (text[from] == '0' && i > from + 1))
		return false;
	if (i < size && text[i] == '.') {
		behind = i + 1;
		i = digits(text, size, behind);
		if (i == behind)
			return false;
	}
	if (i < size && (text[i] == 'e' || text[i] == 'E')) {
		behind = i + 1 < size && (text[i + 1] == '+' || text[i + 1] == '-') ? i + 2 : i + 1;
		i = digits(text, size, behind);
		if (i == behind)
			return false;
	}
	return i == size;
}

/* Of JSON that was checked. */
static size_t depth_of(const char *text, size_t size)
{
	size_t depth = 0, most = 0;
	bool quoted = false;

	for (size_t i = 0; i < size; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text[i] == '{' || text[i] == '['))
			depth++;
		else if (!quoted && (text[i] == '}' || text[i] == ']'))
			depth--;
		most = depth > most ? depth : most;
	}
	return most;
}

bool gw_is_json(const char *text, size_t size, bool whole)
{
	json_t *value = json_loadb(text, size,
				   JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL |
				   (whole ? 0 : JSON_DECODE_ANY), NULL);

	json_decref(value);
	return value != NULL && depth_of(text, size) <= GW_JSON_DEPTH;
}
