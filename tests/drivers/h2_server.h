/* SPDX-License-Identifier: Apache-2.0 */
/* h2_server.h - a server of nghttp2's that misbehaves on request: the path says how. */
#ifndef KOLK_TESTS_H2_SERVER_H
#define KOLK_TESTS_H2_SERVER_H

#include "core/base/atomic.h"
#include "tests/kit/mock.h"

enum { H2_BIG = 4 << 20 }; /* bytes of /big */

struct h2_server {
	KOLK__ATOMIC(kit_mock_fn *) greet; /* after the first answer; NULL = nothing */
	uint32_t window;            /* for uploads; 0 = the usual */
	kolk__atomic_bool full;           /* it allows no stream at first */
	kolk__atomic_u32 full_us;        /* for so long; 0 = for ever */
	kolk__atomic_u32 pings, pongs, goaways, resets;
	kolk__atomic_u32 holds;          /* requests for /hold */
	kolk__atomic_u64 sent;          /* bytes of bodies */
};

/* What the mock plays; its user is a struct h2_server. */
void h2_server_run(struct kit_mock_conn *conn, void *user);

#endif
