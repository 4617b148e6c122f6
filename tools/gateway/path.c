/* SPDX-License-Identifier: Apache-2.0 */
/* path.c - paths as they are read: servers do not agree on it. */
#include "tools/gateway/path.h"

#include <string.h>

#include "core/base/ascii.h"
#include "tools/gateway/fnv.h"

enum { END = -1 };

static bool is_end(char c)
{
	return c == '\0' || c == '?';
}

/* The first byte, decoded, with '\' as '/', and *path moves behind it. END = there is none. */
static int take(const char **path)
{
	const char *at = *path;
	int c = (unsigned char)*at, high, low;

	if (is_end(*at))
		return END;
	*path += 1;
	if (c == '%' && (high = kolk__hex_digit(at[1])) >= 0 && (low = kolk__hex_digit(at[2])) >= 0) {
		*path += 2;
		c = high << 4 | low;
	}
	return c == '\\' ? '/' : c;
}

/* ---- who reads it otherwise */

/* RFC 3986, section 2.3. */
static bool is_unreserved(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

/* Of one spelling of a byte: so many characters, for c. */
static bool is_two_ways(const char *spelling, size_t size, int c)
{
	if (*spelling == '%')
		return size == 1 || c == '/' || c == '\0' || is_unreserved(c);
	return *spelling == '\\';
}

/* A segment, as far as it was read, without its parameters. */
struct segment {
	size_t size, dots;
	bool parameters;
};

static bool is_dots(const struct segment *segment)
{
	return segment->size == segment->dots && (segment->dots == 1 || segment->dots == 2);
}

/* Bytes that mean what they are, whatever is beside them. */
static const bool ordinary[256] = {
	['\x01' ... '$'] = true, ['&' ... '-'] = true, ['0' ... ':'] = true, ['<' ... '>'] = true,
	['@' ... '['] = true, [']' ... 0xff] = true,
};

/* The first of "//" and the others from here on, or the end. */
static const char *find_special(const char *path)
{
	for (;; path++) {
		while (ordinary[(uint8_t)*path])
			path++;
		if (path[0] != '/' || path[1] == '/')
			return path;
	}
}

/* Nobody reads it otherwise: most paths are so. */
static bool is_plain(const char *path)
{
	return is_end(*find_special(path));
}

enum gw_path_reading gw_path_reading(const char *path)
{
	struct segment segment = { .size = 1 }; /* before the first '/' */
	const char *from = path;
	bool two_ways = false;
	int c;

	if (is_plain(path))
		return GW_PATH_PLAIN;
	while ((c = take(&path)) != END) {
		two_ways |= is_two_ways(from, (size_t)(path - from), c);
		from = path;
		if (c == '/' || c == '\0') {
			if (is_dots(&segment))
				return GW_PATH_DOTS;
			two_ways |= segment.size == 0;
			segment = (struct segment){ 0 };
		} else if (c == ';') {
			segment.parameters = true;
		} else if (!segment.parameters) {
			segment.size++;
			segment.dots += c == '.';
		}
	}
	return is_dots(&segment) ? GW_PATH_DOTS : two_ways ? GW_PATH_TWO_WAYS : GW_PATH_PLAIN;
}

bool gw_path_ends_empty(const char *path)
{
	bool empty = true, parameters = false;
	int c;

	while ((c = take(&path)) != END) {
		parameters = c != '/' && (parameters || c == ';');
		empty = c == '/' || (empty && parameters);
	}
	return empty;
}

bool gw_path_begins_well(const char *path)
{
	if (*path != '/')
		return is_end(*path) || *path == '*';
	path++;
	return take(&path) != '/';
}

/* ---- where it begins with another */

bool gw_path_is_literal(const char *path)
{
	for (path = find_special(path); *path == '.'; path = find_special(path + 1))
		;
	return is_end(*path);
}

/* Without parameters, with one '/' for several, up to an encoded NUL. */
static int next(struct gw_path_reader *reader)
{
	int c;

	do {
		c = take(&reader->at);
		for (bool parameters = c == ';'; parameters && c != '/' && c > '\0';)
			c = take(&reader->at);
	} while (c == '/' && reader->last == '/');
	reader->last = c;
	return c == '\0' ? END : c;
}

size_t gw_path_match(const char *prefix, size_t size, const char *path)
{
	struct gw_path_reader wanted = { .at = prefix }, given = { .at = path };
	const char *behind;
	int c;

	while (wanted.at < prefix + size)
		if (next(&wanted) != next(&given))
			return GW_PATH_NO_MATCH;
	behind = given.at;
	c = next(&given);
	return c == '/' || c == END ? (size_t)(behind - path) : GW_PATH_NO_MATCH;
}

void gw_path_segments_begin(struct gw_path_segments *segments, const char *path)
{
	segments->reader = (struct gw_path_reader){ .at = path };
	segments->next = next(&segments->reader);
}

bool gw_path_segment_hash(struct gw_path_segments *segments, uint64_t *hash)
{
	int first = segments->next, c = first != END ? next(&segments->reader) : END;

	segments->next = c;
	if (first == END || (first == '/' && c == END))
		return false;
	*hash = gw_fnv_add(*hash, first);
	for (; c != '/' && c != END; c = next(&segments->reader))
		*hash = gw_fnv_add(*hash, c);
	segments->next = c;
	return true;
}
