/* SPDX-License-Identifier: Apache-2.0 */
/* uring.h - what uring.c and uring_probe.c share. */
#ifndef KOLK_URING_H
#define KOLK_URING_H

#include <stdbool.h>

struct io_uring;

/* Enables a ring that was made disabled; false and errno. */
bool kolk__uring_enable(struct io_uring *ring);
/* False, and *why says why not. */
bool kolk__uring_works(const char **why);

#endif
