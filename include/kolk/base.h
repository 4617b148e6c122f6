/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/base.h - what every other header builds on: export macros, units, values with a name.
 *
 * Time is monotonic and absolute (CLOCK_MONOTONIC, nanoseconds in a uint64_t); a name that
 * ends in _ns is a duration or a point in time, never milliseconds.
 * An options struct starts from zero (KOLK_INIT). Zero means "the default", so a true zero and "no
 * limit" have constants of their own, below.
 *
 * Structs whose first field is `size` may grow at their end: a program and a library that were
 * compiled with different headers work together.
 *   options  Fields that a shorter struct lacks have their defaults. A longer struct is accepted if
 *            the part that this library does not know is zero. Otherwise the call fails with
 *            E_OPTIONS, and its kolk_failure, if any, names "size" or the field that points to the
 *            struct.
 *   results  The library writes the fields that both sides know, never beyond the caller's size,
 *            and leaves size as it is. A field that the library is too old to write keeps the 0
 *            that KOLK_INIT gave it.
 * A size that is not set, below 8 or above 64 KiB is E_OPTIONS: of results too, and of the
 * kolk_failure of an options struct. In a struct that the library provides (to a callback, or
 * through a returned pointer), size says how much of it is there. All other structs keep their
 * layout for as long as the library keeps its soname.
 *
 * Unloading (dlclose(3)): once every engine, client and admin server is closed. Threads that used
 * the library may live on. If one has memory that is freed when the thread ends, the library stays
 * loaded until then.
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

/* A count without a limit; a count of exactly zero. */
#define KOLK_UNLIMITED UINT32_MAX
#define KOLK_NONE (UINT32_MAX - 1)
/* A duration without an end (of a feature: off); a duration of exactly zero. */
#define KOLK_FOREVER UINT64_MAX
#define KOLK_AT_ONCE (UINT64_MAX - 1)

struct kolk_engine;
struct kolk_loop;
struct kolk_pool;
struct kolk_key;
struct kolk_lease;
struct kolk_sys;

KOLK_BEGIN
/* Return the version of the library, such as "0.1.0"; static; any thread. */
KOLK_API const char *kolk_version_text(void);
/* Return the TLS library in use, such as "mbedTLS 3.6.6, TLS 1.3"; static; any thread. */
KOLK_API const char *kolk_tls_text(void);
/* Return the deadline that is this far ahead on CLOCK_MONOTONIC; any thread. */
KOLK_API uint64_t kolk_in_ns(uint64_t ns);
KOLK_API uint64_t kolk_in_us(uint64_t us);
KOLK_API uint64_t kolk_in_ms(uint64_t ms);
KOLK_END

#endif
