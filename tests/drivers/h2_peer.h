/* SPDX-License-Identifier: Apache-2.0 */
/* h2_peer.h - the other side of an HTTP/2 connection, frame by frame, however wrong. */
#ifndef KOLK_TESTS_H2_PEER_H
#define KOLK_TESTS_H2_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/drivers/h2_session.h"

/* The callbacks that an owner got. */
struct h2_owner {
	struct h2_stream *stream;
	struct h2_end end;
	unsigned status, heads, informational, ends, trailers, fields;
	size_t body, unconsumed;
	bool consumes;        /* at once */
	const char *upload;   /* what it sends; NULL = later */
	size_t uploaded;
	bool last;            /* upload is all there is */
	bool leaves;          /* on its first byte */
	uint64_t sum;         /* of the body's bytes */
};

/* A client session, and what the peer is about to say to it. */
struct h2_pair {
	struct h2_session *session;
	uint64_t now_ns;
	uint8_t out[1 << 20]; /* the peer's words */
	size_t size;
	uint8_t in[1 << 20];  /* the client's, since the last pair_take */
	size_t in_size;
};

extern const struct h2_limits h2_usual;

/* Made, and ready if it is to be. */
struct h2_pair *pair_open(const struct h2_limits *limits, bool ready);
void pair_close(struct h2_pair *pair);

/* Say: put a frame, a head of ":status", some bytes, ... */
void pair_frame(struct h2_pair *pair, uint8_t type, uint8_t flags, int32_t id,
		const void *payload, size_t size);
void pair_settings(struct h2_pair *pair, uint16_t what, uint32_t value);
void pair_head(struct h2_pair *pair, int32_t id, unsigned status, bool last);
void pair_data(struct h2_pair *pair, int32_t id, size_t size, bool last);
void pair_reset(struct h2_pair *pair, int32_t id, uint32_t code);
void pair_goaway(struct h2_pair *pair, int32_t last, uint32_t code);
void pair_window(struct h2_pair *pair, int32_t id, uint32_t more);

/* Feed what was said, all at once or byte by byte. */
enum kolk_err pair_say(struct h2_pair *pair);
enum kolk_err pair_say_slowly(struct h2_pair *pair);
/* Take what the client says; the count of frames of a type in it, of a stream (-1 = any). */
void pair_take(struct h2_pair *pair);
unsigned pair_count(const struct h2_pair *pair, uint8_t type, int32_t id);
/* How much window it gives in it, to a stream or (0) the connection. */
uint32_t pair_granted(const struct h2_pair *pair, int32_t id);
/* Say, then take; KOLK_OK is asserted. What was granted. */
uint32_t pair_turn(struct h2_pair *pair, int32_t id);
/* The code of the first RST_STREAM or GOAWAY in it; -1 = none. */
int64_t pair_code(const struct h2_pair *pair, uint8_t type);
/* Content of DATA frames in it. */
size_t pair_content(const struct h2_pair *pair, int32_t id);

enum kolk_err pair_get(struct h2_pair *pair, struct h2_owner *owner);
enum kolk_err pair_post(struct h2_pair *pair, struct h2_owner *owner);
void pair_leave(struct h2_pair *pair, struct h2_owner *owner);

#endif
