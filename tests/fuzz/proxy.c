/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.c - fuzz target: PROXY headers. What is read of a whole input is what is read of it byte by
 * byte, and never more than there is. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "transport/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct kolk__proxy whole, part;
	int32_t result = kolk__proxy_read(bytes, size, &whole), cut = 0;

	if (result > 0 && ((size_t)result > size || result > KOLK__PROXY_MAX))
		abort();
	for (size_t i = 0; i <= size && cut == 0; i++)
		cut = kolk__proxy_read(bytes, i, &part);
	if (cut != result || (result > 0 && memcmp(&whole, &part, sizeof whole) != 0))
		abort();
	return 0;
}
