/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/base.h - what every other header stands on: export marks, units, spelled values.
 *
 * Time is monotonic and absolute (CLOCK_MONOTONIC, nanoseconds in a uint64_t); a name that
 * ends in _ns is a duration or a point in time, never milliseconds.
 * An options struct starts from zero (KOLK_INIT); zero means "the default", so values that
 * are really zero or really endless are spelled with the constants below.
 *
 * Structs whose first field is `size` may grow at their end: a program and a library that were
 * compiled with different headers work together.
 *   options  Of a shorter struct the missing fields are the default. A longer one is accepted if
 *            what this library does not know is zero. Otherwise: E_OPTIONS, and where there is a
 *            kolk_failure its field is "size", or the field that points to the struct.
 *   results  As much is written as both know, never beyond the caller's size, which stays. A
 *            newer field that an older library does not write keeps what KOLK_INIT gave it: 0.
 * A size below 8 or above 64 KiB, or one that was not set, is E_OPTIONS, for a result too, the
 * kolk_failure of an options struct included. Of a struct that the library itself shows (to a
 * callback, or by a pointer that a function returns), size tells how much of it is there.
 * All other structs keep their layout as long as the library keeps its soname.
 *
 * Unloading (dlclose(3)): when every engine, client and admin server is closed. Threads that used
 * the library may live on; where one has memory that is freed at its end, the library stays in
 * memory until then.
 */
#ifndef KOLK_BASE_H
#define KOLK_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define KOLK_BEGIN extern "C" {
#define KOLK_END }
#else
#define KOLK_BEGIN
#define KOLK_END
#endif

#define KOLK_API __attribute__((visibility("default")))
#define KOLK_MUST_CHECK __attribute__((warn_unused_result))

/* A struct with its size set and everything else zero: options at their default, or a result. */
#ifdef __cplusplus
#define KOLK_INIT(type) [] { struct type o{}; o.size = (uint32_t)sizeof o; return o; }()
#else
/* clang-format off */
#define KOLK_INIT(type) { .size = (uint32_t)sizeof(struct type) }
/* clang-format on */
#endif

#define KOLK_US_NS UINT64_C(1000)
#define KOLK_MS_NS UINT64_C(1000000)
#define KOLK_S_NS UINT64_C(1000000000)

/* A count without a bound; a count that is really zero. */
#define KOLK_UNLIMITED UINT32_MAX
#define KOLK_NONE (UINT32_MAX - 1)
/* A duration without an end (a feature that is off); a duration that is really zero. */
#define KOLK_FOREVER UINT64_MAX
#define KOLK_AT_ONCE (UINT64_MAX - 1)

struct kolk_engine;
struct kolk_loop;
struct kolk_pool;
struct kolk_key;
struct kolk_lease;
struct kolk_sys;

KOLK_BEGIN
/* Say which library this is, as "0.1.0"; any thread; never freed. */
KOLK_API const char *kolk_version_text(void);
/* Say which TLS is built in, as "mbedTLS 3.6.6, TLS 1.3"; any thread; never freed. */
KOLK_API const char *kolk_tls_text(void);
/* Return the deadline that lies this far ahead on CLOCK_MONOTONIC; any thread. */
KOLK_API uint64_t kolk_in_ns(uint64_t ns);
KOLK_API uint64_t kolk_in_us(uint64_t us);
KOLK_API uint64_t kolk_in_ms(uint64_t ms);
KOLK_END

#endif
