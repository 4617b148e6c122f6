/* SPDX-License-Identifier: Apache-2.0 */
/* fatal.c - an assertion of the library that fails says so on stderr, in every test program. */
#include <stdio.h>
#include <unistd.h>

#include "core/base/assert.h"

#ifdef KOLK__ASSERTIONS
static void say(const char *text, const char *file, int line)
{
	char buffer[512];
	int size = snprintf(buffer, sizeof buffer, "\nassertion failed: %s, %s:%d\n", text, file,
			    line);

	if (write(2, buffer, size < (int)sizeof buffer ? (size_t)size : sizeof buffer) < 0)
		_exit(3);
}

static __attribute__((constructor)) void begin(void)
{
	kolk__fatal = say;
}
#endif
