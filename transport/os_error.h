/* SPDX-License-Identifier: Apache-2.0 */
/* os_error.h - what an error of the operating system means to a caller. */
#ifndef KOLK_OS_ERROR_H
#define KOLK_OS_ERROR_H

#include <kolk/error.h>
#include <stdint.h>

/* Of -errno; of 0, the end of a stream: E_CLOSED. */
enum kolk_err kolk__err_of(int64_t result);

#endif
