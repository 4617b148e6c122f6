/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path.h - paths as they are read: servers do not agree on it.
 *
 * One decodes "%2f" and then splits, another splits first; one takes '\' for '/', drops what follows
 * a ';' in a segment (a parameter of RFC 3986, section 3.3), makes one '/' of several. A route is
 * chosen by the reading that does all of it, so that no spelling of a path leads past its route.
 * What a reader could take for another path than the gateway did is told by gw_path_reading.
 *
 * All of it takes a target as it came, and ends at its query.
 */
#ifndef KOLK_GATEWAY_PATH_H
#define KOLK_GATEWAY_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gw_path_reading {
	GW_PATH_PLAIN = 0,   /* all read it alike */
	GW_PATH_TWO_WAYS,    /* an empty segment; a '\'; a '%' without two digits; or encoded: '/', '\',
			      * NUL, or what needs no encoding (RFC 3986, section 2.3) */
	GW_PATH_DOTS         /* a segment "." or "..", in any spelling */
};
enum gw_path_reading gw_path_reading(const char *path);
/* Whether nothing stands behind its last '/', or parameters alone: "/users/" is another resource than
 * one of the users. */
bool gw_path_ends_empty(const char *path);

/* Whether each byte of it stands for itself: gw_path_match is strncmp then. */
bool gw_path_is_literal(const char *path);
/* How much of a path a prefix of whole segments covers; prefix has so many bytes, the last of them
 * no '/', and is GW_PATH_PLAIN. GW_PATH_NO_MATCH = the path does not begin with it. */
#define GW_PATH_NO_MATCH ((size_t)-1)
size_t gw_path_match(const char *prefix, size_t size, const char *path);

/* A path, segment by segment, as gw_path_match reads it. */
struct gw_path_reader {
	const char *at;
	int last;
};
struct gw_path_segments {
	struct gw_path_reader reader;
	int next;            /* the first byte of the next one */
};
void gw_path_segments_begin(struct gw_path_segments *segments, const char *path);
/* Add the next one, "/x", to a hash. False = there is none: a '/' at the end begins none. */
bool gw_path_segment_hash(struct gw_path_segments *segments, uint64_t *hash);

/* Whether a path begins with one '/', or is empty, or "*": "//host/x" could be read as another
 * host's. */
bool gw_path_begins_well(const char *path);

#endif
