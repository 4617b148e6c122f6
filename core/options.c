/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - options as callers give them: their sizes, their failures, refusals by field. */
#include "core/options.h"

bool kolk__failure_fits(const struct kolk_failure *failure)
{
	return failure == NULL || kolk__sized_size(failure) != 0;
}

enum kolk_err kolk__refuse_as(struct kolk_failure *failure, enum kolk_err err, const char *field)
{
	const struct kolk_failure refusal = { .size = (uint32_t)sizeof refusal,
					      .err = err,
					      .err_class = kolk_err_class(err),
					      .phase = KOLK_PHASE_OPTIONS,
					      .field = field };

	(void)kolk__sized_write(failure, &refusal);
	return err;
}

enum kolk_err kolk__refuse(struct kolk_failure *failure, const char *field)
{
	return kolk__refuse_as(failure, KOLK_E_OPTIONS, field);
}
