/* SPDX-License-Identifier: Apache-2.0 */
/* http2.h - many HTTP requests on one loop, which the test's own thread steps. */
#ifndef KOLK_TESTS_HTTP2_H
#define KOLK_TESTS_HTTP2_H

#include <kolk/http.h>
#include <kolk/kolk.h>

#include "tests/peers/peers.h"

struct load_options {
	const char *address;
	const char *ca_file;      /* NULL = plain */
	const char *const *alpn;  /* NULL = h2 and http/1.1; TLS only */
	struct kolk_http_driver_options http;
	uint32_t connections_max; /* 0 = 10 */
};

/* What is asked for, and what may happen to it. */
struct load_plan {
	uint64_t requests;
	uint32_t at_once;
	uint32_t cancel_percent;  /* so many at a moment of kit/moment.h */
	const char *target;       /* printf format with the nonce, or plain */
	const char *method;       /* NULL = GET */
	bool nonce;               /* the answer's body is the request's nonce */
	size_t body_size;         /* of each request's body */
	size_t answer_size;       /* of each answer's body; 0 = not checked */
	void (*each)(void *user, uint64_t done); /* after each end; NULL = nothing */
	void *each_user;
	uint64_t deadline_ms;     /* of each request; 0 = 60 s */
};

struct load_result {
	uint64_t ok, cancelled, failed, foreign, bad_status, short_answers, retried;
	uint64_t version[3];      /* answers of HTTP/1.0, 1.1, 2 */
	enum kolk_err last_err;
	uint64_t body_bytes;
};

struct load;

/* NULL = it could not be opened; the check failed. */
struct load *load_open(const struct load_options *options);
struct load_result load_run(struct load *load, const struct load_plan *plan);
struct kolk_stats load_stats(struct load *load);
struct kolk_loop *load_loop(struct load *load);
struct kolk_pool *load_pool(struct load *load);
/* One turn of the loop. */
void load_step(struct load *load);
void load_close(struct load *load);

#endif
