/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - an allocator that fails on request: at the n-th call, or at random.
 *
 * The engine allocates by its table of functions; its transport, mbedTLS and c-ares use the C
 * library. Calls of the first kind that are compiled into this program are wrapped by the linker
 * (tests/CMakeLists.txt), c-ares has a hook, and for mbedTLS the program defines calloc.
 */
#include "tests/fault/fault.h"

#include <ares.h>
#include <errno.h>
#include <stdlib.h>

#include "core/base/atomic.h"

static kolk__atomic_u64 counted, fail_at, live;
static kolk__atomic_bool fail_calloc;
static kolk__atomic_u64 random_state, failed;
static kolk__atomic_u32 chance;         /* one of so many, 0 = none */
static _Thread_local bool spared;

static bool is_nth(void)
{
	return kolk__add_relaxed(&counted, 1) + 1 == kolk__load_relaxed(&fail_at);
}

/* splitmix64 (Steele, Lea, Flood, 2014). */
static bool is_chosen(uint32_t weight)
{
	uint64_t one_of = (uint64_t)kolk__load_relaxed(&chance) * weight;
	uint64_t z;

	if (one_of == 0)
		return false;
	z = kolk__add_relaxed(&random_state, UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	if ((z ^ z >> 31) % one_of != 0)
		return false;
	kolk__add_relaxed(&failed, 1);
	return true;
}

/* A handshake makes up to 80 000 in mbedTLS: at the same chance none would ever succeed. */
enum { ALONE = 1, OF_MANY = 40 };

/* The C library's: errno as malloc(3) sets it. */
static bool is_out(bool counts, uint32_t weight)
{
	if (!(counts && is_nth()) && (spared || !is_chosen(weight)))
		return false;
	errno = ENOMEM;
	return true;
}

/* ---- the table of functions */

static const struct kolk_sys *linux_sys;
const struct kolk_sys *fault_sys;

static void *allocate(void *context, size_t alignment, size_t size)
{
	void *memory = NULL;

	if (is_nth() || is_chosen(ALONE))
		errno = ENOMEM;
	else
		memory = linux_sys->allocate(context, alignment, size);
	kolk__add_relaxed(&live, memory != NULL);
	return memory;
}

static void deallocate(void *context, void *memory, size_t size)
{
	kolk__add_relaxed(&live, (uint64_t)-1);
	linux_sys->deallocate(context, memory, size);
}

/* ---- the C library's, as this program's objects call it */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
	return is_out(true, ALONE) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return is_out(true, ALONE) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return is_out(true, ALONE) ? NULL : __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return is_out(true, ALONE) ? NULL : __real_aligned_alloc(alignment, size);
}

/* ---- mbedTLS's: ours is asked first, the C library's is behind it */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
const bool fault_has_calloc = false; /* the sanitizer has taken the place */
#else
const bool fault_has_calloc = true;
extern void *__libc_calloc(size_t count, size_t size);

/* The linker's wrapping renames no definition. */
__attribute__((visibility("default"))) void *calloc(size_t count, size_t size)
{
	return is_out(kolk__load_relaxed(&fail_calloc), OF_MANY) ? NULL : __libc_calloc(count, size);
}
#endif

/* ---- what fails */

bool fault_memory_open(void)
{
	static struct kolk_sys sys;

	linux_sys = kolk_sys_linux();
	sys = *linux_sys;
	sys.allocate = allocate;
	sys.deallocate = deallocate;
	fault_sys = &sys;
	return ares_library_init_mem(ARES_LIB_INIT_ALL, __wrap_malloc, free, __wrap_realloc) ==
	       ARES_SUCCESS;
}

int64_t fault_live(void)
{
	return (int64_t)kolk__load_relaxed(&live);
}

void fault_nth(uint64_t n, bool with_calloc)
{
	kolk__store_relaxed(&counted, 0);
	kolk__store_relaxed(&fail_at, n);
	kolk__store_relaxed(&fail_calloc, with_calloc);
}

uint64_t fault_counted(void)
{
	return kolk__load_relaxed(&counted);
}

void fault_random(uint64_t seed, uint32_t one_of)
{
	kolk__store_relaxed(&random_state, seed);
	kolk__store_relaxed(&chance, one_of);
}

uint64_t fault_failed(void)
{
	return kolk__load_relaxed(&failed);
}

void fault_spare_me(void)
{
	spared = true;
}
