/* SPDX-License-Identifier: Apache-2.0 */
/* manual.h - the tables of docs/configuration.md and kolk-config.5, made from the schema. */
#ifndef KOLK_TESTS_MANUAL_H
#define KOLK_TESTS_MANUAL_H

#include <stdbool.h>

/* A page as it must be: its rows made anew, everything else as it stands. Freed with free. */
char *manual_page(const char *text, bool man);
/* The whole of a file; NULL = it cannot be read. Freed with free. */
char *manual_read(const char *path);

#endif
