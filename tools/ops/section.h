/* SPDX-License-Identifier: Apache-2.0 */
/* section.h - a program's own keys: what reading and reload ask of section.c. */
#ifndef KOLK_OPS_SECTION_INTERNAL_H
#define KOLK_OPS_SECTION_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

struct kolk__node;
struct kolk__reading;
struct kolk__section;
struct kolk_config_program;

/* The schema of a file of this program: the library's keys and its own, whose struct is at this offset
 * behind struct kolk_config. In the arena; NULL and the error said. */
const struct kolk__section *kolk__program_schema(struct kolk__reading *r,
						 const struct kolk_config_program *program,
						 size_t offset);
/* The sizes of the structs in one of a section that is zero otherwise. */
void kolk__section_begin(const struct kolk__section *section, void *target);
/* The bounds of its tables, once a map is read. */
bool kolk__section_check(struct kolk__reading *r, const struct kolk__section *section,
			 const struct kolk__node *map, const void *target);

#endif
