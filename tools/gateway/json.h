/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - the members of an object of JSON, in text that was checked before (kolk_mcp_read, or
 * the library, of what a server said). Nothing is copied: parts are in the text.
 */
#ifndef KOLK_GATEWAY_JSON_H
#define KOLK_GATEWAY_JSON_H

#include <kolk/mcp.h>

struct gw_json_member {
	struct kolk_mcp_part name;   /* a string, as it is written */
	struct kolk_mcp_part value;
};

/* The next member: rest is the object at first, then what is left of it. False: no more, or it is no
 * object. */
bool gw_json_next(struct kolk_mcp_part *rest, struct gw_json_member *member);
/* The next value of an array, likewise. */
bool gw_json_entry_next(struct kolk_mcp_part *rest, struct kolk_mcp_part *entry);
/* Whether a string of JSON says this. */
bool gw_json_says(struct kolk_mcp_part string, const char *text);
/* A whole number from 0 on of at most 18 digits, as it is written without a fraction and an exponent.
 * False: it is none. */
bool gw_json_number(struct kolk_mcp_part text, uint64_t *number);
/* The value of the first member of that name; size 0 = there is none. */
struct kolk_mcp_part gw_json_member_of(struct kolk_mcp_part object, const char *name);

#endif
