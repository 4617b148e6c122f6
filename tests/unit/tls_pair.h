/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_pair.h - a TLS client and a TLS server of Kolk that talk through memory: what one has to send is
 * what the other has received, when the test says so. The clock is the test's.
 */
#ifndef KOLK_TESTS_TLS_PAIR_H
#define KOLK_TESTS_TLS_PAIR_H

#include <kolk/listen.h>

#include "tests/kit/certs.h"
#include "tests/unit/unit.h"
#include "transport/input.h"
#include "transport/tls_state.h"
#include "transport/upstream.h"

struct pair_world {
	struct kolk__transport *transport;
	struct kolk__io_loop loop;
	struct kit_certs certs;
};

struct pair_end {
	struct kolk__link link;
	struct kolk__progress progress;
	uint64_t sent; /* bytes */
};

struct pair {
	struct pair_world *world;
	struct kolk__upstream *upstream; /* of the client */
	struct pair_end client, server;
	uint64_t shaken; /* bytes of the server until the client was done */
	kolk__tls_sessions_ptr sessions; /* of the client, unless the test has some */
};

/* cmocka fixtures for a group: *state is a struct pair_world. */
int pair_world_open(void **state);
int pair_world_close(void **state);
uint64_t pair_now_ns(void);
void pair_pass_ns(uint64_t ns); /* time */

/* Options that serve the first certificate, and those of a client that verifies first.test. The
 * certificates are the array, filled. */
struct kolk_listener_tls pair_listener(struct pair_world *world,
				       struct kolk_certificate certificates[1]);
struct kolk_tls_options pair_client(struct pair_world *world);
/* Must open. */
struct kolk__tls_server *pair_server(struct pair_world *world, const struct kolk_listener_tls *o);

/* sessions: what the client keeps for its next handshakes, NULL = nothing; to be closed by
 * kolk__tls_sessions_close. */
void pair_open(struct pair *pair, struct pair_world *world, const struct kolk_tls_options *o,
	       kolk__tls_sessions_ptr *sessions);
void pair_accept(struct pair *pair, struct kolk__tls_server *server);
/* No more than TLS 1.2, where mbedTLS has more. */
void pair_only_12(struct kolk__tls_server *server);
void pair_close(struct pair *pair);
/* What one has to send arrives at the other. Returns how many bytes. */
size_t pair_move(struct pair_end *from, struct pair_end *to);
/* Until both have an outcome, or nothing moves any more. */
void pair_shake(struct pair *pair);
enum kolk_err pair_outcome(const struct pair_end *end);
/* The one sends text, and the other reads it. */
bool pair_say(struct pair_end *from, struct pair_end *to, const char *text);
/* "" if there is none. */
const char *pair_detail(const struct pair_end *end);
struct kolk_stream_peer pair_peer(const struct pair *pair);

#endif
