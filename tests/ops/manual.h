/* SPDX-License-Identifier: Apache-2.0 */
/* manual.h - the tables of docs/configuration.md and kolk-config.5, made from the schema. */
#ifndef KOLK_TESTS_MANUAL_H
#define KOLK_TESTS_MANUAL_H

#include <kolk/ops/section.h>
#include <stdbool.h>

/* A page as it must be: its rows made anew, everything else as it stands. Freed with free. */
char *manual_page(const char *text, bool man);
/* The same for a program's own section, which is the file's first part: below "### NAME" its keys,
 * and below "### NAME: LIST" those of an item. Keys of its maps have the map's name in front. */
char *manual_program_page(const char *text, const struct kolk_section *file);
/* The whole of a file; NULL = it cannot be read. Freed with free. */
char *manual_read(const char *path);

#endif
