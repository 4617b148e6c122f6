/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.h - the floor of a proxy: bytes from a client's connection to one upstream connection of its
 * own and back, and nothing read into them. One thread.
 *
 *   relay.c         arguments, sockets
 *   relay_epoll.c   read and write when epoll says so
 *   relay_uring.c   receives and sends of io_uring, all of a round in one system call
 */
#ifndef KOLK_BENCH_GATEWAY_RELAY_H
#define KOLK_BENCH_GATEWAY_RELAY_H

#include <stdint.h>

enum { RELAY_PIECE = 32768 }; /* bytes taken at a time */

/* Neither returns; what cannot go on ends the program. */
void relay_epoll(int listener, uint16_t upstream_port);
void relay_uring(int listener, uint16_t upstream_port);

/* A connection to the upstream on the loopback, whose kernel completes it at once; -1. */
int relay_dial(uint16_t port);
/* Both ends of a pair send what they have at once. */
void relay_nodelay(int fd);
_Noreturn void relay_die(const char *what);

#endif
