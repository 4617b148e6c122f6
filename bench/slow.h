/* SPDX-License-Identifier: Apache-2.0 */
/* slow.h - an upstream that takes its time: each request is answered so much later. */
#ifndef KOLK_BENCH_SLOW_H
#define KOLK_BENCH_SLOW_H

#include <stdint.h>

enum { SLOW_SIZE = 64 }; /* bytes of a request, and of its answer */

struct slow;
struct slow *slow_open(uint64_t delay_ns);
void slow_close(struct slow *slow);
uint16_t slow_port(const struct slow *slow);

#endif
