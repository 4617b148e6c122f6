/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/kit/counting.h"

#include "core/base/atomic.h"

static kolk__atomic_i64 bytes;

static void *allocate(void *context, size_t alignment, size_t size)
{
	void *memory = kolk_sys_linux()->allocate(context, alignment, size);

	kolk__add_relaxed(&bytes, memory != NULL ? (int64_t)size : 0);
	return memory;
}

static void deallocate(void *context, void *memory, size_t size)
{
	kolk__sub_relaxed(&bytes, (int64_t)size);
	kolk_sys_linux()->deallocate(context, memory, size);
}

const struct kolk_sys *counting_sys(void)
{
	static struct kolk_sys sys;

	sys = *kolk_sys_linux();
	sys.allocate = allocate;
	sys.deallocate = deallocate;
	return &sys;
}

int64_t counting_bytes(void)
{
	return kolk__load_relaxed(&bytes);
}
