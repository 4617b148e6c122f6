/* SPDX-License-Identifier: Apache-2.0 */
/* echo.h - the peer of the I/O scenarios: sends back what comes, on the last CPU. */
#ifndef KOLK_BENCH_ECHO_H
#define KOLK_BENCH_ECHO_H

#include <stdint.h>

#include "tests/kit/origin.h"

struct echo;
struct echo *echo_open(void);
void echo_close(struct echo *echo);
uint16_t echo_port(const struct echo *echo);

/* The same over TLS, for lines; with the file of the authority that signed it. */
struct bench_origin {
	struct kit_origin *origin;
	struct kit_cert authority, server;
	char ca_path[40];
};
void bench_origin_open(struct bench_origin *origin);
/* On a thread of low priority. */
void bench_origin_open_nice(struct bench_origin *origin);
void bench_origin_close(struct bench_origin *origin);

/* A connected, blocking socket with TCP_NODELAY. */
int dial_port(uint16_t port);
/* The calling thread, as far as the system lets it. */
void pin_to_cpu(int cpu);

#endif
