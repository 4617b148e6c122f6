/* SPDX-License-Identifier: Apache-2.0 */
/* os_error.h - what an error of the operating system means to a caller. */
#ifndef KOLK_OS_ERROR_H
#define KOLK_OS_ERROR_H

#include <kolk/error.h>
#include <stdint.h>

/* Of -errno; of 0, the end of a stream: E_CLOSED. */
enum kolk_err kolk__err_of(int64_t result);
/* What an error alone does not say; static; NULL = nothing. os_error: -errno; >= 0 = none. */
const char *kolk__os_error_detail(enum kolk_err err, int64_t os_error);

#endif
