/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sized.h - public structs that begin with their size: one reader for what callers give, one writer
 * for what they get.
 *
 * A caller may have been compiled with other headers than the library. Fields are only ever
 * added at the end, so what both know is the shorter struct.
 */
#ifndef KOLK_SIZED_H
#define KOLK_SIZED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	KOLK__SIZED_MIN = 8,        /* the size and a first field */
	KOLK__SIZED_MAX = 64 * 1024 /* more is no size: it was not set */
};

/* The size that the struct says it has; 0 when that is none. */
static inline uint32_t kolk__sized_size(const void *sized)
{
	uint32_t size = 0;

	if (sized != NULL)
		memcpy(&size, sized, sizeof size);
	return size >= KOLK__SIZED_MIN && size <= KOLK__SIZED_MAX && size % 4 == 0 ? size : 0;
}

/* Whether all that is longer than a struct of this library is zero: the default. */
static inline bool kolk__sized_known(const void *sized, size_t known)
{
	uint32_t size = kolk__sized_size(sized);

	for (size_t i = known; i < size; i++)
		if (((const uint8_t *)sized)[i] != 0)
			return false;
	return size != 0;
}

/* Copy a caller's struct into one of this library. What a shorter one does not have is zero, the
 * default. False: it has no size, or asks for what this library does not know; what it does know
 * was copied then, too, so that the refusal can be reported. */
static inline bool kolk__sized_copy(void *to, uint32_t to_size, const void *from)
{
	uint32_t size = kolk__sized_size(from);

	if (size == to_size) {
		memcpy(to, from, to_size);
		return true;
	}
	memset(to, 0, to_size);
	if (size != 0)
		memcpy(to, from, size < to_size ? size : to_size);
	memcpy(to, &to_size, sizeof to_size);
	return kolk__sized_known(from, to_size);
}

/* The caller's struct itself when it is as long as this library's, else a copy in to. NULL: what
 * kolk__sized_copy says no to, and it is in to. */
static inline const void *kolk__sized_view_bytes(void *to, uint32_t to_size, const void *from)
{
	if (kolk__sized_size(from) == to_size)
		return from;
	return kolk__sized_copy(to, to_size, from) ? to : NULL;
}

/* Copy a struct of this library into a caller's, as far as that goes; it keeps its own size. False:
 * it has none, and nothing was written. */
static inline bool kolk__sized_write_bytes(void *to, const void *from, uint32_t from_size)
{
	uint32_t size = kolk__sized_size(to);

	if (size == 0)
		return false;
	size = size < from_size ? size : from_size;
	memcpy((char *)to + sizeof size, (const char *)from + sizeof size, size - sizeof size);
	return true;
}

/* The same for two pointers to one type: of two the compiler warns. */
#define kolk__sized_view(to, from)                                                            \
	kolk__sized_view_bytes((to), (uint32_t)sizeof *(1 ? (to) : (from)), (from))
#define kolk__sized_read(to, from)                                                            \
	kolk__sized_copy((to), (uint32_t)sizeof *(1 ? (to) : (from)), (from))
#define kolk__sized_write(to, from)                                                           \
	kolk__sized_write_bytes((to), (from), (uint32_t)sizeof *(1 ? (to) : (from)))

#endif
