/* SPDX-License-Identifier: Apache-2.0 */
/* child.h - a pool whose connections are child processes, and what is left of them: processes of
 * ours, and any process with this run's marker. */
#ifndef KOLK_TESTS_WIRE_CHILD_H
#define KOLK_TESTS_WIRE_CHILD_H

#include "tests/wire/wire.h"

extern const char *const child_cat[];

/* Of every child: this run's marker, and a PATH. */
const char *const *child_environment(void);
struct kolk_child_options child_of(const char *const *command);
/* The pool w->pool, whose failed dials are tried again at once. */
bool child_pool(struct wire *w, const struct kolk_child_options *child, const char *name);

/* Processes with the marker, and the number of one of them. */
int child_survivors(int *pid);
/* No child of this process lives, or is to be reaped. */
bool child_none_left(void);
/* Descriptors of this process. */
int child_open_files(void);
/* wire_close; then nothing is left. */
void child_close(struct wire *w);

#endif
