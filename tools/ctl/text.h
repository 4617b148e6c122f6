/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - names made harmless, numbers made readable. */
#ifndef KOLK_CTL_TEXT_H
#define KOLK_CTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Show what can be shown in this locale; control characters, marks that turn the direction of
 * writing and bytes that are no text become \x1b or \u202e. At most so many columns (0 = as
 * many as fit), then "..". Returns out. */
const char *text_clean(const char *text, char *out, size_t capacity, int columns);
/* Columns on a terminal of a text that is clean. */
int text_width(const char *clean);
/* May blocks and dots be drawn? */
bool text_is_utf8(void);

enum { TEXT_NUMBER = 24 };
const char *text_count(uint64_t count, char out[TEXT_NUMBER]);   /* 1 234 567 */
const char *text_rate(double per_s, char out[TEXT_NUMBER]);      /* 0, 3.2, 12.4k */
const char *text_duration(double s, char out[TEXT_NUMBER]);      /* 45 ns, 1.2 ms, 3 h 5 m */
const char *text_bytes(uint64_t bytes, char out[TEXT_NUMBER]);   /* 12.0 KiB */
/* A bar of so many columns, filled by ratio. */
void text_bar(double ratio, int columns, char *out, size_t capacity);

/* "250ms", "10s", "5m", "1h", "1d"; a number needs its unit. */
bool text_to_ms(const char *text, uint64_t *ms);

/* A body as it came; to a terminal, clean. */
void text_write(const char *bytes, size_t size, FILE *file, bool clean);

#endif
