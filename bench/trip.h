/* SPDX-License-Identifier: Apache-2.0 */
/* trip.h - requests and their answers over so many connections, one outstanding on each. */
#ifndef KOLK_BENCH_TRIP_H
#define KOLK_BENCH_TRIP_H

#include "bench/kit.h"

struct kit_cert;

struct trip {
	/* what to do */
	uint16_t port;
	uint32_t connections, backend;
	size_t size;                /* bytes of a request and of its answer; the last is '\n' */
	const struct kit_cert *authority; /* NULL = plain */
	const char *ca_path;
	uint64_t duration_ns;
	/* what came of it */
	uint64_t began_ns, cpu_ns, wall_ns, ops;
	const char *backend_name;   /* kolk's */
	struct hist latency;
};

/* Drivers: connect, then begin, then one of done for each answer until it says so. */
void trip_begin(struct trip *trip);
/* An answer came to a request of sent_ns; the time now, 0 = enough. */
uint64_t trip_done(struct trip *trip, uint64_t sent_ns);
void trip_end(struct trip *trip);

void trip_kolk(struct trip *trip);
/* The same by hand: what there is to reach. */
void trip_io_uring(struct trip *trip);
void trip_epoll(struct trip *trip);
void trip_blocking(struct trip *trip);
void trip_bare_tls(struct trip *trip); /* mbedTLS on blocking sockets */

#endif
