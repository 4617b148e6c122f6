/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes.h - a run of bytes: where it begins and its size. By value it is passed in two registers,
 * as the two would be.
 */
#ifndef KOLK_BYTES_H
#define KOLK_BYTES_H

#include <stddef.h>

struct kolk__bytes { /* to read */
	const void *start;
	size_t size;
};

struct kolk__space { /* to fill */
	void *start;
	size_t size;
};

#endif
