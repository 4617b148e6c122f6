/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h - what the wire tests share: an engine on the back end under test, a pool, an origin. */
#ifndef KOLK_TESTS_WIRE_H
#define KOLK_TESTS_WIRE_H

#include <kolk/kolk.h>

#include "core/base/atomic.h"
#include "tests/kit/origin.h"
#include "tests/kit/tap.h"

extern uint32_t wire_backend; /* enum kolk_backend */
extern uint64_t wire_churn;   /* connections of process_test.c; --churn N */
extern uint64_t wire_stride;  /* bytes between the faults of handshake_test.c; above 8, less is
				  tried of unsolicited_test.c, too, and tests that wait for
				  seconds are skipped; --stride N */
extern uint64_t wire_children; /* processes of child_end_test.c; --children N */
extern uint64_t wire_nonces;   /* requests of child_answer_test.c and loop_test.c; --nonces N */
extern uint64_t wire_trials;  /* leases of closing_test.c; --trials N */

/* The certificates of the run: an authority, what it signed, and files of them. */
struct wire_certs {
	struct kit_cert authority, good, expired, other_name, unknown_issuer, self_signed;
	char ca_path[64];
};
extern struct wire_certs wire_certs;
bool wire_certs_make(void);
void wire_certs_remove(void);

struct wire {
	struct kit_origin *origin;
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
	char address[128];
	kolk__atomic_u32 closed_events;
};

/* Each step may be done by the test itself instead; NULL options = the defaults. */
bool wire_engine(struct wire *wire, const struct kolk_engine_options *options);
bool wire_origin(struct wire *wire, const struct kit_origin_options *options);
/* address NULL = the origin's */
bool wire_pool(struct wire *wire, const struct kolk_pool_options *options);
/* Whether a fork's child can have threads; if not, the test is skipped. */
bool wire_may_fork(void);
/* Whether a test that mostly waits, for many seconds, is to run; if not, it is skipped. */
bool wire_has_time(void);
/* All three, with plain defaults. */
bool wire_open(struct wire *wire);
/* The audit, then everything is closed. */
void wire_close(struct wire *wire);

/* A request and its answer by the blocking calls; KOLK_OK = the same line came back. What comes
 * behind it is not read: it is the release's to find. */
enum kolk_err wire_exchange(const struct kolk_lease *lease, const char *line);
/* Acquire, exchange, release. */
enum kolk_err wire_request(struct kolk_key *key, const char *line);
/* For a bound of time, which other load on the machine breaks, too: whether it holds in one of three
 * runs. What breaks it three times in a row is Kolk's doing. */
bool wire_holds_in_three(bool (*holds)(void));
struct kolk_stats wire_stats(struct kolk_pool *pool);
void wire_report(struct kolk_pool *pool);

#endif
