/* SPDX-License-Identifier: Apache-2.0 */
/* counting.h - this machine's table of functions with a counter of bytes in use. */
#ifndef KOLK_KIT_COUNTING_H
#define KOLK_KIT_COUNTING_H

#include <kolk/sys/sys.h>

const struct kolk_sys *counting_sys(void);
int64_t counting_bytes(void);

#endif
