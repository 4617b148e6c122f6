/* SPDX-License-Identifier: Apache-2.0 */
/* served.h - an HTTP server on a socket, for tests: what it answers, and what it has seen.
 *
 *   GET /bytes/N   N bytes: served_byte
 *   /echo          the request's body, as it comes
 *   /upgrade       101, then what comes
 *   /hold          nothing, until the test answers `held`
 *   anything else  "hello"
 */
#ifndef KOLK_TESTS_SERVED_H
#define KOLK_TESTS_SERVED_H

#include <kolk/http_server.h>
#include <kolk/kolk.h>
#include <stdint.h>

#include "core/base/atomic.h"

struct served {
	struct kolk_engine *engine;
	struct kolk_http_server *server;
	struct kolk_listener *listener;
	uint16_t port;
	kolk__atomic_u32 requests, ends, gone, refused;
	kolk__atomic_u64 pulled;
	struct kolk_http_server_exchange *held; /* of GET /hold */
	kolk__atomic_bool holding;
};

/* So far, of the whole program (http_server_memory_test.c). */
extern kolk__atomic_u64 allocations;
/* Its callee, which allocates once per request. */
extern const struct kolk_http_server_handler served_handler;
/* The n-th byte of what is sent. */
char served_byte(uint64_t at);
/* A server with two loops and one listener. options NULL = defaults. */
void served_open(struct served *served, enum kolk_backend backend,
		 const struct kolk_http_server_options *options);
void served_open_tls(struct served *served, enum kolk_backend backend,
		     const struct kolk_listener_tls *tls);
void served_wait_for(kolk__atomic_u32 *count, uint32_t value);
/* All streams have ended; each request once. */
void served_wait_quiet(struct served *served);
void served_close(struct served *served);

#endif
