/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assert.h - what must be true unless this code is wrong.
 *
 * Checked without NDEBUG (presets dev, asan, tsan), and by the simulators in every build. With
 * NDEBUG nothing is left of it: no instruction, no field.
 *
 *   KOLK__ASSERT(x)                           x is true
 *   KOLK__HELD, KOLK__NOT_HELD, KOLK__NO_LOCK which locks this thread holds (lock.h)
 *   KOLK__STATE(conn, states)                 the connection is in one of these (conn.h)
 *   KOLK__OWNER, KOLK__IN_TURN(loop)          on which thread this runs (shard.h)
 *   KOLK__HOME, KOLK__PHASE(link, phases)     the same of the transport (link.h)
 */
#ifndef KOLK_ASSERT_H
#define KOLK_ASSERT_H

#include <stdint.h>

#ifdef NDEBUG
#define KOLK__ASSERT(x) ((void)sizeof(x))
#else
#define KOLK__ASSERTIONS 1
#define KOLK__ASSERT(x) ((x) ? (void)0 : kolk__assert_failed(#x, __FILE__, __LINE__))
/* Called with what is not true, then the process traps. NULL = trap without a word. */
extern void (*kolk__fatal)(const char *text, const char *file, int line);
_Noreturn void kolk__assert_failed(const char *text, const char *file, int line);
/* Tells threads apart. */
uintptr_t kolk__thread_self(void);
#endif

#endif
