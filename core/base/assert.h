/* SPDX-License-Identifier: Apache-2.0 */
/* assert.h - what cannot be unless this code is wrong: builds without NDEBUG stop there. */
#ifndef KOLK_ASSERT_H
#define KOLK_ASSERT_H

#ifdef NDEBUG
#define KOLK__ASSERT(x) ((void)sizeof(x))
#else
#define KOLK__ASSERT(x) ((x) ? (void)0 : __builtin_trap())
#endif

#endif
