/* SPDX-License-Identifier: Apache-2.0 */
/* fields.h - a list of header fields that is being written, and trailers that are kept. */
#ifndef KOLK_GATEWAY_FIELDS_H
#define KOLK_GATEWAY_FIELDS_H

#include <kolk/http.h>

/* A loop has one, which is written anew for each head: the library copies it. */
struct gw_fields {
	struct kolk_http_field *at;
	uint8_t *marks;      /* of the fields that it is made from */
	char *text;          /* values that are made here */
	size_t count, capacity, text_size, text_capacity;
	uint32_t checked;    /* so many of the first were checked when they were read */
};

/* Begin a list that is made from count fields, with room for GW_FIELDS_OWN of the gateway's and for
 * so many bytes of text. False = no memory. Nothing that follows can fail. */
enum { GW_FIELDS_OWN = 16 };
bool gw_fields_begin(struct gw_fields *fields, size_t count, size_t text_size);
void gw_fields_add(struct gw_fields *fields, const char *name, const char *value);
/* Add a value that is printed; what is longer than the text that is left is cut. */
void gw_fields_print(struct gw_fields *fields, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void gw_fields_free(struct gw_fields *fields);

/* Trailers on their way: the library reads them when the body before them has ended. More than so
 * many are none. */
enum { GW_TRAILERS_MAX = 32 };
struct gw_trailers {
	struct kolk_http_field at[GW_TRAILERS_MAX]; /* up to a NULL name */
	char *text;
};
/* Keep those with the mark 0. False = no memory, or too many. */
bool gw_trailers_keep(struct gw_trailers *trailers, const struct kolk_http_field *fields,
		      size_t count, const uint8_t *marks);
void gw_trailers_reset(struct gw_trailers *trailers);

#endif
