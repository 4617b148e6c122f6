/* SPDX-License-Identifier: Apache-2.0 */
/* echo.h - the peer of the I/O scenarios: sends back what comes, on the last CPU. */
#ifndef KOLK_BENCH_ECHO_H
#define KOLK_BENCH_ECHO_H

#include <stdint.h>

struct echo;
struct echo *echo_open(void);
void echo_close(struct echo *echo);
uint16_t echo_port(const struct echo *echo);

/* A connected, blocking socket with TCP_NODELAY. */
int dial_port(uint16_t port);
/* The calling thread, as far as the system lets it. */
void pin_to_cpu(int cpu);

#endif
