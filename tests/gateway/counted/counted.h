/* SPDX-License-Identifier: Apache-2.0 */
/* counted.h - what a program that runs has allocated and not freed, told by counted.c. */
#ifndef KOLK_TESTS_GATEWAY_COUNTED_H
#define KOLK_TESTS_GATEWAY_COUNTED_H

#include "core/base/atomic.h"

/* The variable of the environment that names the file: as large as this. */
#define COUNTED_FILE "KOLK_TEST_COUNTED"

struct counted {
	kolk__atomic_u64 bytes, blocks;
	kolk__atomic_u64 made; /* allocations in all; a block that grows is one more */
};

#endif
