/* SPDX-License-Identifier: Apache-2.0 */
/* proto_kolk.h - Kolk's side of a protocol's scenario: a pool for a load, on a loop that the bench
 * steps. */
#ifndef KOLK_BENCH_PROTO_KOLK_H
#define KOLK_BENCH_PROTO_KOLK_H

#include "bench/proto.h"

struct side {
	struct load *load;
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
	struct kolk_loop *loop; /* NULL when threads block */
};

/* alpn NULL = none. A fresh load's connections serve one lease. */
void side_open(struct side *side, struct load *load, const struct kolk_driver *driver,
	       void *driver_user, const char *const *alpn);
/* The same for threads that block: the engine runs its loop itself. */
void side_open_blocking(struct side *side, struct load *load, const struct kolk_driver *driver,
			void *driver_user);
/* Step the loop until the load is over. */
void side_run(struct side *side);
void side_close(struct side *side);
/* KOLK_OK and KOLK_PENDING are good; anything else ends the bench. */
void side_check(enum kolk_err err, const char *what);

#endif
