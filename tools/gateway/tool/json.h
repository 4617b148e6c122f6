/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - text that grows, and JSON written to it. Without memory it fails, and stays so. */
#ifndef KOLK_GATEWAY_TOOL_JSON_H
#define KOLK_GATEWAY_TOOL_JSON_H

#include <stdint.h>

#include "tools/gateway/pipe.h"

struct gw_text {
	struct gw_pipe pipe;
	bool failed;
};

static inline const char *gw_text_data(const struct gw_text *text)
{
	return text->pipe.size > 0 ? text->pipe.data + text->pipe.begin : "";
}

static inline size_t gw_text_size(const struct gw_text *text)
{
	return text->pipe.size;
}

void gw_text_put(struct gw_text *text, const char *data, size_t size);
void gw_text_say(struct gw_text *text, const char *words);
void gw_text_number(struct gw_text *text, int64_t number);
/* A string of JSON; what is inside of one. A byte that is no UTF-8 becomes U+FFFD. */
void gw_text_string(struct gw_text *text, const char *data, size_t size);
void gw_text_inside(struct gw_text *text, const char *data, size_t size);
void gw_text_free(struct gw_text *text);

/* Whether a text is a number of JSON. */
bool gw_is_json_number(const char *text, size_t size);
/* Whether a text is one value of JSON that no two readers read differently, at most GW_JSON_DEPTH levels deep,
 * so that it may stand in a message (whose limit is 128); with `whole` an object or an array. */
enum { GW_JSON_DEPTH = 64 };
bool gw_is_json(const char *text, size_t size, bool whole);

#endif
