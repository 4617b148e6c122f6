/* SPDX-License-Identifier: Apache-2.0 */
/* head.h - whether a request's head has only one interpretation. */
#ifndef KOLK_OPS_HEAD_H
#define KOLK_OPS_HEAD_H

#include <stddef.h>

enum { KOLK__HEAD_MAX = 16 * 1024 };

enum kolk__head {
	KOLK__HEAD_MORE, /* so far it is good, and not all of it is there */
	KOLK__HEAD_GOOD,
	KOLK__HEAD_DOUBTFUL
};

/* Checks a request's first bytes. Bytes behind the head are counted, not read. */
enum kolk__head kolk__head_check(const char *bytes, size_t size);

#endif
