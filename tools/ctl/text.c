/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - see text.h. */
#define _XOPEN_SOURCE 700
#include "tools/ctl/text.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

bool text_is_utf8(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* Marks that are "printable" and yet change what is seen around them. */
static bool is_deceptive(wchar_t c)
{
	return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0x061c || c == 0xfeff || c == 0x00ad;
}

/* The next character, harmless, in at most 16 bytes; how many bytes it was, its columns. */
static size_t next(const char *text, char out[16], int *columns)
{
	mbstate_t state = { 0 };
	wchar_t wide = 0;
	size_t size = mbrtowc(&wide, text, strlen(text), &state);
	bool is_text = size != (size_t)-1 && size != (size_t)-2 && size > 0;

	if (is_text && iswprint((wint_t)wide) && !is_deceptive(wide) && wcwidth(wide) > 0) {
		memcpy(out, text, size);
		out[size] = 0;
		*columns = wcwidth(wide);
		return size;
	}
	if (is_text && wide > 0x7f)
		*columns = snprintf(out, 16, "\\u%04x", (unsigned)wide);
	else
		*columns = snprintf(out, 16, "\\x%02x", (unsigned char)*text);
	return is_text ? size : 1;
}

/* Two columns are kept back, so that ".." fits when it has to be cut. */
const char *text_clean(const char *text, char *out, size_t capacity, int columns)
{
	size_t used = 0, cut = 0;
	int width = 0;

	while (*text != 0) {
		char piece[16];
		int piece_columns = 0;
		size_t size = next(text, piece, &piece_columns), bytes = strlen(piece);

		if (columns == 0 || width + piece_columns <= columns - 2)
			cut = used + bytes;
		width += piece_columns;
		if (used + bytes + 3 > capacity || (columns > 0 && width > columns)) {
			used = cut < used ? cut : used;
			memcpy(out + used, "..", 2);
			used += 2;
			break;
		}
		memcpy(out + used, piece, bytes);
		used += bytes;
		text += size;
	}
	out[used] = 0;
	return out;
}

int text_width(const char *clean)
{
	mbstate_t state = { 0 };
	wchar_t wide;
	int width = 0;

	for (size_t size; *clean != 0; clean += size) {
		size = mbrtowc(&wide, clean, strlen(clean), &state);
		if (size == (size_t)-1 || size == (size_t)-2 || size == 0)
			return width;
		width += wcwidth(wide) > 0 ? wcwidth(wide) : 0;
	}
	return width;
}

const char *text_count(uint64_t count, char out[TEXT_NUMBER])
{
	char plain[TEXT_NUMBER], *to = out;
	size_t size = (size_t)snprintf(plain, sizeof plain, "%llu", (unsigned long long)count);

	/* 20 digits and 6 spaces do not fit; nobody counts that far. */
	if (size > 16)
		return memcpy(out, plain, size + 1);
	for (size_t i = 0; i < size; i++) {
		if (i > 0 && (size - i) % 3 == 0)
			*to++ = ' ';
		*to++ = plain[i];
	}
	*to = 0;
	return out;
}

const char *text_rate(double per_s, char out[TEXT_NUMBER])
{
	if (per_s < 0.05)
		snprintf(out, TEXT_NUMBER, "0");
	else if (per_s < 9.95)
		snprintf(out, TEXT_NUMBER, "%.1f", per_s);
	else if (per_s < 9999.5)
		snprintf(out, TEXT_NUMBER, "%.0f", per_s);
	else if (per_s < 999950)
		snprintf(out, TEXT_NUMBER, "%.1fk", per_s / 1e3);
	else
		snprintf(out, TEXT_NUMBER, "%.1fM", per_s / 1e6);
	return out;
}

static const char *long_duration(double s, char out[TEXT_NUMBER])
{
	unsigned long m = (unsigned long)s / 60;

	if (m < 60)
		snprintf(out, TEXT_NUMBER, "%lu m %lu s", m, (unsigned long)s % 60);
	else if (m < 1440)
		snprintf(out, TEXT_NUMBER, "%lu h %lu m", m / 60, m % 60);
	else
		snprintf(out, TEXT_NUMBER, "%lu d %lu h", m / 1440, m / 60 % 24);
	return out;
}

const char *text_duration(double s, char out[TEXT_NUMBER])
{
	static const char *const units[] = { "s", "ms", "us", "ns" };
	int unit = 0;

	if (s >= 60)
		return long_duration(s < 3e9 ? s : 3e9, out);
	if (s < 1e-9)
		return strcpy(out, "0");
	while (s < 0.9995 && unit < 3) {
		s *= 1000;
		unit++;
	}
	snprintf(out, TEXT_NUMBER, "%.*f %s", s < 9.995 && unit < 3 ? 1 : 0, s, units[unit]);
	return out;
}

const char *text_bytes(uint64_t bytes, char out[TEXT_NUMBER])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes / 1024;
	int unit = 0;

	if (bytes < 1024) {
		snprintf(out, TEXT_NUMBER, "%u B", (unsigned)bytes);
		return out;
	}
	for (; value >= 1023.95 && unit < 3; unit++)
		value /= 1024;
	snprintf(out, TEXT_NUMBER, "%.1f %s", value, units[unit]);
	return out;
}

void text_bar(double ratio, int columns, char *out, size_t capacity)
{
	static const char *const eighths[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
	bool fine = text_is_utf8();
	int parts = fine ? 8 : 1;
	int filled = (int)((ratio < 0 ? 0 : ratio > 1 ? 1 : ratio) * columns * parts + 0.5);
	int i = 0;
	size_t used = 0;

	out[0] = 0;
	for (; i < columns; i++, filled -= parts) {
		const char *piece = filled >= parts ? (fine ? "█" : "#")
				    : filled > 0    ? eighths[filled]
				    : fine	    ? "·"
						    : ".";

		if (used + strlen(piece) + 1 > capacity)
			return;
		used += (size_t)snprintf(out + used, capacity - used, "%s", piece);
	}
}

bool text_to_ms(const char *text, uint64_t *ms)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = { { "ms", 1 }, { "s", 1e3 }, { "m", 6e4 }, { "h", 36e5 }, { "d", 864e5 } };
	char *end;
	double value = strtod(text, &end);

	if (end == text || !(*text >= '0' && *text <= '9') || value > 1e9)
		return false;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (strcmp(end, units[i].unit) == 0) {
			*ms = (uint64_t)(value * units[i].ms);
			return true;
		}
	}
	return false;
}

void text_write(const char *bytes, size_t size, FILE *file, bool clean)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (clean && (c < 0x20 || c >= 0x7f) && c != '\n' && c != '\t')
			fprintf(file, "\\x%02x", c);
		else
			fputc(c, file);
	}
}
