/* SPDX-License-Identifier: Apache-2.0 */
/* assert.c - what happens when an assertion fails. See assert.h. */
#include "core/base/assert.h"
#include "core/base/atomic.h"

#ifdef KOLK__ASSERTIONS
void (*kolk__fatal)(const char *text, const char *file, int line);
void (*kolk__on_access)(void);

void kolk__assert_failed(const char *text, const char *file, int line)
{
	if (kolk__fatal != 0)
		kolk__fatal(text, file, line);
	__builtin_trap();
}

uintptr_t kolk__thread_self(void)
{
	static _Thread_local char self;

	return (uintptr_t)&self;
}
#else
typedef int kolk__no_assertions; /* a translation unit is not empty */
#endif
