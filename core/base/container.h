/* SPDX-License-Identifier: Apache-2.0 */
/* container.h - from a member to the struct that it is in. */
#ifndef KOLK_CONTAINER_H
#define KOLK_CONTAINER_H

#include <stddef.h>

#define kolk__container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))

#endif
