/* SPDX-License-Identifier: Apache-2.0 */
#include "core/options.h"

#include <string.h>

bool kolk__options_read(void *target, uint32_t target_size, const void *source)
{
	uint32_t size;

	if (source == NULL)
		return false;
	memcpy(&size, source, sizeof size);
	/* Whole fields, and not so many that it is no size at all. */
	if (size < 8 || size % 4 != 0 || size > 64 * 1024)
		return false;
	for (uint32_t i = target_size; i < size; i++)
		if (((const uint8_t *)source)[i] != 0)
			return false;
	memset(target, 0, target_size);
	memcpy(target, source, size < target_size ? size : target_size);
	memcpy(target, &target_size, sizeof target_size);
	return true;
}

enum kolk_err kolk__refuse(struct kolk_failure *failure, const char *field)
{
	if (failure != NULL)
		*failure = (struct kolk_failure){ .size = (uint32_t)sizeof *failure,
						  .err = KOLK_E_OPTIONS,
						  .err_class = KOLK_CLASS_USAGE,
						  .phase = KOLK_PHASE_OPTIONS,
						  .field = field };
	return KOLK_E_OPTIONS;
}
