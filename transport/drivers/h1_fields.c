/* SPDX-License-Identifier: Apache-2.0 */
/* h1_fields.c - see h1_fields.h. Every byte is checked; what is not allowed is refused. */
#include <stdlib.h>
#include <string.h>

#include "core/base/ascii.h"
#include "transport/drivers/h1_bytes.h"
#include "transport/drivers/h1_fields.h"

enum { TOKEN = 1, VALUE = 2 };

/* clang-format off */
static const uint8_t kinds[256] = {
	['\t'] = VALUE, [' '] = VALUE,
	['!'] = TOKEN | VALUE, ['"'] = VALUE, ['#' ... '\''] = TOKEN | VALUE, ['(' ... ')'] = VALUE,
	['*' ... '+'] = TOKEN | VALUE, [','] = VALUE, ['-' ... '.'] = TOKEN | VALUE, ['/'] = VALUE,
	['0' ... '9'] = TOKEN | VALUE, [':' ... '@'] = VALUE, ['A' ... 'Z'] = TOKEN | VALUE,
	['[' ... ']'] = VALUE, ['^' ... 'z'] = TOKEN | VALUE, ['{'] = VALUE, ['|'] = TOKEN | VALUE,
	['}'] = VALUE, ['~'] = TOKEN | VALUE, [0x80 ... 0xff] = VALUE
};

/* A token's characters in lower case; 0 = it is none. */
static const char lowered[256] = {
	['!'] = '!', ['#'] = '#', '$', '%', '&', '\'', ['*'] = '*', '+', ['-'] = '-', '.',
	['0'] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9',
	['A'] = 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q',
	'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z',
	['^'] = '^', '_', '`', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n',
	'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', ['|'] = '|', ['~'] = '~'
};
/* clang-format on */

static bool all_are(const char *text, size_t size, int kind)
{
	const uint8_t *byte = (const uint8_t *)text;

	for (size_t i = 0; i < size; i++)
		if ((kinds[byte[i]] & kind) == 0)
			return false;
	return true;
}

bool h1_is_token(const char *text, size_t size)
{
	return size > 0 && all_are(text, size, TOKEN);
}

size_t h1_token_size(const char *text)
{
	size_t size = 0;

	while ((kinds[(uint8_t)text[size]] & TOKEN) != 0)
		size++;
	return size;
}

char *h1_copy_name(char *to, const char *name)
{
	while ((*to++ = lowered[(uint8_t)*name++]) != '\0')
		;
	return to;
}

/* From the first HTAB on, each byte by itself; the last ones may be looked at twice. */
bool h1_is_value(const char *text, size_t size)
{
	size_t plain = 0;

	while (size - plain >= H1_STEP && h1_odd(text + plain) == 0)
		plain += H1_STEP;
	if (size >= H1_STEP && size - plain < H1_STEP && h1_odd(text + size - H1_STEP) == 0)
		return true;
	return all_are(text + plain, size - plain, VALUE);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A part of the gathered text: a name, a value, a member of a list. */
struct part {
	const char *text;
	size_t size;
};

static struct part part_between(const char *begin, const char *end)
{
	return (struct part){ begin, (size_t)(end - begin) };
}

static struct part part_from(struct part part, size_t at)
{
	return (struct part){ part.text + at, part.size - at };
}

/* In upper or lower case. */
static bool part_is(struct part part, const char *word)
{
	return kolk__word_is(part.text, part.size, word);
}

/* Whether something follows the word that it begins with. */
static bool part_begins(struct part part, const char *word)
{
	size_t size = strlen(word);

	return part.size > size && kolk__word_is(part.text, size, word);
}

/* ---- values that matter here */

/* Digits alone, at most 2^63 - 1. */
static bool number(struct part part, uint64_t *value)
{
	*value = 0;
	if (part.size == 0 || part.size > 19)
		return false;
	for (size_t i = 0; i < part.size; i++) {
		if (!is_digit(part.text[i]))
			return false;
		*value = *value * 10 + (uint64_t)(part.text[i] - '0');
	}
	return *value <= INT64_MAX;
}

bool h1_length(const char *value, uint64_t *length)
{
	return number((struct part){ value, strlen(value) }, length);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

const char *h1_next_member(const char **list, size_t *size)
{
	const char *at = *list, *end;

	while (*at == ',' || is_blank(*at))
		at++;
	for (end = at; *end != ',' && *end != '\0'; end++)
		;
	if (end == at)
		return NULL;
	*list = end;
	while (is_blank(end[-1]))
		end--;
	*size = (size_t)(end - at);
	return at;
}

static bool next_member(const char **list, struct part *member)
{
	member->text = h1_next_member(list, &member->size);
	return member->text != NULL;
}

static void read_connection(const char *value, struct h1_framing *framing)
{
	struct part member;

	if (strcmp(value, "keep-alive") == 0) { /* as most servers and clients say it, if at all */
		framing->keep_alive = true;
		return;
	}
	while (next_member(&value, &member)) {
		framing->close |= part_is(member, "close");
		framing->keep_alive |= part_is(member, "keep-alive");
		framing->switching |= part_is(member, "upgrade");
	}
}

static void read_te(const char *value, struct h1_framing *framing)
{
	struct part member;

	while (next_member(&value, &member))
		framing->trailers |= part_is(member, "trailers");
}

/* A hint: a value that cannot be read is ignored. */
static void read_keep_alive(const char *value, struct h1_framing *framing)
{
	struct part member;
	uint64_t count;

	while (next_member(&value, &member)) {
		if (part_begins(member, "timeout=")) {
			if (number(part_from(member, 8), &count) && count <= UINT32_MAX)
				framing->idle_s = count, framing->last |= count == 0;
		} else if (part_begins(member, "max=")) {
			framing->last |= number(part_from(member, 4), &count) && count <= 1;
		}
	}
}

bool h1_is_trailer(const char *name)
{
	return strcmp(name, "content-length") != 0 && strcmp(name, "transfer-encoding") != 0 &&
	       strcmp(name, "host") != 0 && strcmp(name, "expect") != 0;
}

bool h1_upgrade_is(const char *field, const char *asked)
{
	struct part member;

	return field != NULL && next_member(&field, &member) && part_is(member, asked) &&
	       !next_member(&field, &member);
}

static bool read_length(struct part value, struct h1_framing *framing)
{
	bool twice = framing->has_length;

	framing->has_length = true;
	return !twice && number(value, &framing->length);
}

static bool read_encoding(struct part value, struct h1_framing *framing)
{
	bool twice = framing->chunked;

	framing->chunked = true;
	if (!twice && part_is(value, "chunked"))
		return true;
	framing->coding = twice ? "" : value.text;
	return false;
}

static bool named(struct part name, const char *word)
{
	return memcmp(name.text, word, name.size) == 0;
}

/* What only requests have. */
static void read_request_field(struct part name, struct part value, struct h1_framing *framing)
{
	if (name.size == 2 && named(name, "te"))
		read_te(value.text, framing);
	else if (name.size == 4 && named(name, "host"))
		framing->hosts++, framing->host = value.text;
	else if (name.size == 6 && named(name, "expect"))
		framing->expect = framing->expect == NULL ? value.text : "";
}

/* An answer that opens a tunnel has no body to delimit (RFC 9110, section 9.3.6). name is
 * lower-case; its size tells most fields from those that matter. */
static bool read_framing(struct part name, struct part value, struct h1_framing *framing)
{
	switch (name.size) {
	case 2:
	case 4:
	case 6:
		read_request_field(name, value, framing);
		break;
	case 7:
		if (named(name, "upgrade"))
			framing->upgrade = framing->upgrade == NULL ? value.text : "";
		break;
	case 10:
		if (named(name, "connection"))
			read_connection(value.text, framing);
		else if (named(name, "keep-alive"))
			read_keep_alive(value.text, framing);
		break;
	case 14:
		return framing->tunnel || !named(name, "content-length") ||
		       read_length(value, framing);
	case 17:
		return framing->tunnel || !named(name, "transfer-encoding") ||
		       read_encoding(value, framing);
	default:
		break;
	}
	return true;
}

/* ---- lines */

/* Its CR is the only one in it, which the check of its bytes shows. */
char *h1_line_end(char *line)
{
	char *end = memchr(line, '\n', SIZE_MAX >> 1);

	return end > line && end[-1] == '\r' ? end - 1 : NULL;
}

enum { LINES_SPARE = 2 }; /* bytes that are seen behind a step */

/* Of H1_STEP bytes: which byte is the first LF of "\n\r\n"; H1_STEP = there is none. */
static size_t find_in_step(const char *text, uint32_t may_be)
{
	size_t at = may_be == 0 ? H1_STEP : (size_t)__builtin_ctz(may_be);

	while (at < H1_STEP && memcmp(text + at, "\n\r\n", 3) != 0)
		at++;
	return at;
}

/* A bit for each of H1_STEP bytes that may be that LF. */
static uint32_t may_be_in_step(const char *text)
{
#ifdef __SSE2__
	__m128i lf = _mm_set1_epi8('\n');
	__m128i first = _mm_cmpeq_epi8(h1_load(text), lf);
	__m128i third = _mm_cmpeq_epi8(h1_load(text + LINES_SPARE), lf);

	return (uint32_t)_mm_movemask_epi8(_mm_and_si128(first, third));
#else
	return memchr(text, '\n', H1_STEP) != NULL;
#endif
}

/* Two steps at a time while there is none. */
size_t h1_lines_size(const char *text, size_t size)
{
	size_t at = 0, last = size - H1_STEP - LINES_SPARE;

	if (size >= 2 && memcmp(text, "\r\n", 2) == 0)
		return 2;
	if (size < H1_STEP + LINES_SPARE)
		return 0;
	while (last - at >= 2 * H1_STEP &&
	       (may_be_in_step(text + at) | may_be_in_step(text + at + H1_STEP)) == 0)
		at += 2 * H1_STEP;
	for (;;) {
		size_t found = find_in_step(text + at, may_be_in_step(text + at));

		if (found < H1_STEP)
			return at + found + 3;
		if (at == last)
			return 0;
		at = last - at > H1_STEP ? at + H1_STEP : last;
	}
}

static bool reserve_field(struct h1_message *message)
{
	uint32_t capacity = message->field_capacity == 0 ? 8 : message->field_capacity * 2;
	struct kolk_http_field *fields;

	if (message->field_count < message->field_capacity)
		return true;
	fields = realloc(message->fields, capacity * sizeof *fields);
	if (fields == NULL)
		return false;
	message->fields = fields;
	message->field_capacity = capacity;
	return true;
}

/* Whether there may be another field, and there is memory for it. */
static enum kolk_err add_field(struct h1_message *message)
{
	if (message->field_count == message->fields_max) {
		message->too_large = true;
		return h1_message_break(message);
	}
	return reserve_field(message) ? KOLK_OK : KOLK_E_MEMORY;
}

/* Where the value that begins here ends: at the first byte that no value has. */
static char *value_end(char *at)
{
	for (;;) {
		uint32_t odd = h1_odd(at);

		if (odd == 0) {
			at += H1_STEP;
			continue;
		}
		at += __builtin_ctz(odd);
		if (*at != '\t')
			return at;
		at++;
	}
}

/* Each byte of a line is looked at once: a name ends at its colon, a value at its CR. *line moves
 * on. The name is written last: a value that was read behind it would wait for that. */
static enum kolk_err split_field(struct h1_message *message, char **line,
				 struct h1_framing *framing)
{
	char *name = *line, *colon, *value, *end, lower;
	size_t named = h1_name_size(name);
	enum kolk_err err;

	colon = name + named;
	for (; (lower = lowered[(uint8_t)*colon]) != 0; colon++)
		*colon = lower;
	if (*colon != ':' || colon == name)
		return h1_message_break(message); /* a blank before the colon or at the start, too */
	for (value = colon + 1; is_blank(*value); value++)
		;
	end = value_end(value);
	if (end[0] != '\r' || end[1] != '\n')
		return h1_message_break(message);
	*line = end + 2;
	h1_lower(name, named);
	while (end > value && is_blank(end[-1]))
		end--;
	err = add_field(message);
	if (err != KOLK_OK)
		return err;
	*colon = *end = '\0';
	if (!read_framing(part_between(name, colon), part_between(value, end), framing))
		return h1_message_break(message);
	message->fields[message->field_count++] =
		(struct kolk_http_field){ .name = name, .value = value };
	return KOLK_OK;
}

enum kolk_err h1_split_fields(struct h1_message *message, char *line, struct h1_framing *framing)
{
	message->field_count = 0;
	while (line[0] != '\r' || line[1] != '\n') {
		enum kolk_err err = split_field(message, &line, framing);

		if (err == KOLK_OK)
			continue;
		if (err == KOLK_E_PROTOCOL && !h1_lines_end_well(message, line)) {
			message->too_large = false;
			framing->coding = NULL;
		}
		return err;
	}
	return framing->chunked && framing->has_length ? h1_message_break(message) : KOLK_OK;
}

/* "HTTP/1.1 200 OK"; the blank before an empty reason may be missing. */
static bool split_status(struct h1_parser *parser, const char *line, size_t size)
{
	struct kolk_http_head *head = &parser->head;

	if (size < 12 || memcmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') ||
	    line[8] != ' ' || !is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]))
		return false;
	if (size > 12 && (line[12] != ' ' || !h1_is_value(line + 13, size - 13)))
		return false;
	head->version = line[7] == '1' ? 11 : 10;
	head->status = (uint32_t)((line[9] - '0') * 100 + (line[10] - '0') * 10 + line[11] - '0');
	return head->status >= 100 && head->status < 600;
}

enum kolk_err h1_split_head(struct h1_parser *parser, struct h1_framing *framing)
{
	struct h1_message *message = &parser->message;
	char *end = h1_line_end(message->text);
	enum kolk_err err;

	if (end == NULL || !split_status(parser, message->text, (size_t)(end - message->text)))
		return KOLK_E_PROTOCOL;
	framing->tunnel = parser->connect && parser->head.status / 100 == 2;
	err = h1_split_fields(message, end + 2, framing);
	parser->head.fields = message->fields;
	parser->head.field_count = message->field_count;
	if (err == KOLK_OK && framing->chunked && parser->head.version == 10)
		err = KOLK_E_PROTOCOL; /* RFC 9112, section 6.1 */
	return err;
}
