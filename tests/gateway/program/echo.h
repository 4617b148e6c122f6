/* SPDX-License-Identifier: Apache-2.0 */
/*
 * echo.h - an upstream of HTTP/1.1 and HTTP/2 that answers with the nonce of the request, in a field,
 * in every 16 bytes of the body, and in the trailers; in pieces and with pauses. Some connections end
 * within an answer. It restarts at random instants.
 */
#ifndef KOLK_TESTS_GATEWAY_ECHO_H
#define KOLK_TESTS_GATEWAY_ECHO_H

#include <kolk/http_server.h>
#include <kolk/kolk.h>
#include <pthread.h>

#include "core/base/atomic.h"

enum { ECHO_NONCE = 16 }; /* characters */

struct echo {
	struct kolk_engine *engine;
	struct kolk_http_server *server;
	char address[32];
	pthread_t restarter;
	kolk__atomic_u32 stop, restarts;
	/* Requests, their ends; those whose field, target and body do not agree: must be 0. */
	kolk__atomic_u64 requests, ends, mixed;
};

bool echo_open(struct echo *echo);
/* Restarts from now on, until the end; the end of them. It runs then. */
void echo_restart_often(struct echo *echo);
void echo_restart_no_more(struct echo *echo);
void echo_close(struct echo *echo);

/* A generator's next number; state is never 0. */
uint64_t echo_random(uint64_t *state);

#endif
