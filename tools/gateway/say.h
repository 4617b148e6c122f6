/* SPDX-License-Identifier: Apache-2.0 */
/* say.h - standard error while the gateway serves: it may be a pipe that is not read, and nothing waits
 * for it. */
#ifndef KOLK_GATEWAY_SAY_H
#define KOLK_GATEWAY_SAY_H

#include <stddef.h>
#include <sys/types.h>

/* A line: "kolk-gateway: " and the text. Any thread. What standard error does not take at once is
 * dropped. */
void gw_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for each line of a text, which is cut into them; before is said in front of each. */
void gw_say_lines(const char *before, char *text);

/* As write(2) to standard error, of so much as it takes at once; -1 with EAGAIN: nothing now. Any
 * thread. */
ssize_t gw_say_bytes(const char *bytes, size_t size);

#endif
