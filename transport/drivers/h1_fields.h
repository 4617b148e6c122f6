/* SPDX-License-Identifier: Apache-2.0 */
/* h1_fields.h - splits heads of HTTP/1.1: status line, fields, and what they say about framing. One
 * source of the rules of fields for requests and answers. */
#ifndef KOLK_DRIVERS_H1_FIELDS_H
#define KOLK_DRIVERS_H1_FIELDS_H

#include "transport/drivers/h1.h"

/* What the fields of a message say about its end and about the connection. */
struct h1_framing {
	bool has_length, chunked, close, keep_alive;
	bool last;           /* Keep-Alive: max or timeout allows no other request */
	bool tunnel;         /* the head opens a tunnel: nothing in it says where a body ends */
	uint64_t length;
	uint64_t idle_s;     /* Keep-Alive: timeout */
	const char *upgrade; /* the field; NULL = none; "" = several */
	const char *coding;  /* a Transfer-Encoding that was refused; NULL = none */
	const char *host;    /* the last Host; NULL = none */
	uint32_t hosts;      /* how many there are */
	const char *expect;  /* as upgrade */
	bool switching;      /* Connection: upgrade */
	bool trailers;       /* TE: trailers */
};

/* Split the head that is gathered in message.text, in place, into parser->head. */
enum kolk_err h1_split_head(struct h1_parser *parser, struct h1_framing *framing);
/* The same for fields alone, from here to the empty line, into message->fields. H1_TEXT_SPARE bytes
 * behind that line can be read. E_PROTOCOL: it is broken, and too_large says whether by fields_max;
 * E_MEMORY. */
enum kolk_err h1_split_fields(struct h1_message *message, char *line, struct h1_framing *framing);

/* Whether a field of this name, in lower case, may be a trailer: none that says what the head alone
 * says (RFC 9110, section 6.5.1). */
bool h1_is_trailer(const char *name);
/* Digits alone, at most 2^63 - 1. */
bool h1_length(const char *value, uint64_t *length);
/* The next member of a list, without blanks around it; *list moves on. NULL = there is none. */
const char *h1_next_member(const char **list, size_t *size);

/* Whether the Upgrade field of a 101 names the protocol that was asked for. */
bool h1_upgrade_is(const char *field, const char *asked);

/* Hexadecimal digits at the beginning of a chunk's line, at most 2^63 - 1. */
bool h1_chunk_size(const char *line, size_t size, uint64_t *chunk, size_t *digits);
/* What follows them: nothing, or extensions in the spelling of RFC 9112, section 7.1.1. */
bool h1_chunk_extensions(const char *text, size_t size);

/* The end of a line that was gathered: its CR; NULL = its LF has none. */
char *h1_line_end(char *line);
/* The bytes of lines up to and with the first empty one; 0 = it is not there, or they are so few
 * that looking at each by itself is as good. */
size_t h1_lines_size(const char *text, size_t size);

/* Whether it is a token (RFC 9110, section 5.6.2) of 1 byte or more. */
bool h1_is_token(const char *text, size_t size);
/* The bytes of the token that a string begins with; 0 = none. */
size_t h1_token_size(const char *text);
/* Copy a name, which is a token, in lower case with its NUL; returns the end of the copy. */
char *h1_copy_name(char *to, const char *name);
/* h1_target.c: so many bytes at its beginning are visible ASCII, none of them "#"; or none of
 * /?#@,\"<> either. */
size_t h1_target_size(const char *text);
size_t h1_authority_size(const char *text);
/* Whether it may be a field's value: blanks, visible characters, bytes above 127. */
bool h1_is_value(const char *text, size_t size);

#endif
