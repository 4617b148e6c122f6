/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counted.c - preloaded into a program, it counts what is allocated by all of it, its libraries too,
 * in a file that the test has mapped (counted.h). Of glibc.
 */
#include "tests/gateway/counted/counted.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

/* Until the file is mapped; what is there by then is copied, before there is a second thread. */
static struct counted before, *counted = &before;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv(COUNTED_FILE);
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	struct counted *mapped = MAP_FAILED;

	if (fd >= 0)
		mapped = mmap(NULL, sizeof *mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (mapped == MAP_FAILED)
		return;
	kolk__store_relaxed(&mapped->bytes, kolk__load_relaxed(&before.bytes));
	kolk__store_relaxed(&mapped->blocks, kolk__load_relaxed(&before.blocks));
	kolk__store_relaxed(&mapped->made, kolk__load_relaxed(&before.made));
	counted = mapped;
}

static void *add(void *memory)
{
	if (memory == NULL)
		return NULL;
	kolk__add_relaxed(&counted->bytes, malloc_usable_size(memory));
	kolk__add_relaxed(&counted->blocks, 1);
	kolk__add_relaxed(&counted->made, 1);
	return memory;
}

static void subtract(size_t bytes)
{
	kolk__sub_relaxed(&counted->bytes, bytes);
	kolk__sub_relaxed(&counted->blocks, 1);
}

#pragma GCC visibility push(default)

void *malloc(size_t size)
{
	return add(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
	return add(__libc_calloc(count, size));
}

void *realloc(void *memory, size_t size)
{
	size_t had = memory != NULL ? malloc_usable_size(memory) : 0;
	void *moved = __libc_realloc(memory, size);

	if (memory != NULL && (moved != NULL || size == 0))
		subtract(had);
	return add(moved);
}

void free(void *memory)
{
	if (memory == NULL)
		return;
	subtract(malloc_usable_size(memory));
	__libc_free(memory);
}

void *memalign(size_t alignment, size_t size)
{
	return add(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
	void *made = memalign(alignment, size);

	if (made == NULL)
		return ENOMEM;
	*memory = made;
	return 0;
}
