/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - points where perf, bpftrace and systemtap can attach: USDT, provider "kolk".
 *
 * A probe is one nop and a record in the binary, and only where <sys/sdt.h> is there at build time;
 * its arguments are values that the code has already, so that none is computed for it. The list of
 * probes: docs/profiling.md.
 */
#ifndef KOLK_PROBE_H
#define KOLK_PROBE_H

#ifdef KOLK_HAVE_SDT
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
#define KOLK__PROBE(name, ...) STAP_PROBEV(kolk, name, __VA_ARGS__)
#else
#define KOLK__PROBE(name, ...) ((void)0)
#endif

#endif
