/* SPDX-License-Identifier: Apache-2.0 */
/* h2_budget.h - limits of an HTTP/2 connection, and the frames that are counted. */
#ifndef KOLK_H2_BUDGET_H
#define KOLK_H2_BUDGET_H

#include <kolk/kolk.h>
#include <nghttp2/nghttp2.h>

struct h2_session;

struct h2_limits {
	uint32_t streams_max;       /* of ours, at once */
	uint32_t streams_total_max; /* in the connection's life */
	uint32_t head_bytes_max;    /* of one head, decoded: names, values and 32 for each field */
	uint32_t fields_max;        /* of one head */
	uint32_t informational_max; /* 1xx heads before the answer */
	uint32_t window_bytes;      /* what a peer may send ahead of the consumer, a stream */
	uint32_t connection_window_bytes; /* all streams */
	uint32_t resets_burst, resets_per_s; /* of ours; beyond it zombies end by themselves */
	uint32_t empty_frames_burst, empty_frames_per_s; /* frames that carry nothing, beyond what
	                                                  * ours earn */
};

/* A token bucket. */
struct h2_bucket {
	uint64_t filled_ns;
	uint32_t left, burst, per_s;
};

/* Where frames begin in what comes. */
struct h2_frames {
	uint8_t head[9];
	uint32_t size; /* of the head, as far as it was received */
	bool begun;    /* by the last cut: a frame, whose head is hd */
	size_t left;   /* of the payload */
	nghttp2_frame_hd hd;
};

/* How much of data is of one frame, and without another frame's head. */
size_t h2_frames_cut(struct h2_frames *frames, const uint8_t *data, size_t size);
void h2_bucket_fill(struct h2_bucket *bucket, uint32_t count);

/* Take count tokens; false = there are fewer. */
bool h2_bucket_take(struct h2_bucket *bucket, uint32_t count, uint64_t now_ns);
/* A frame that carried nothing; an error = too many, the session has failed. */
enum kolk_err h2_empty_frame(struct h2_session *session, size_t size);
/* Fail the session and tell the peer why. Returns its error. */
enum kolk_err h2_session_refuse(struct h2_session *session, enum kolk_err err, uint32_t code);
/* How much of data nghttp2 may be fed: a frame at most, when it was counted. */
size_t h2_frames_next(struct h2_session *session, const uint8_t *data, size_t size);
void h2_window_received(struct h2_session *session, const nghttp2_window_update *frame);
/* A stream is reset that the peer may be answering. */
void h2_late_frames_allow(struct h2_session *session);
void h2_frame_sent(struct h2_session *session, const nghttp2_frame_hd *hd);
uint32_t h2_continuations_max(const struct h2_session *session);

#endif
