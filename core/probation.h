/* SPDX-License-Identifier: Apache-2.0 */
/* probation.h - connections that the peer closes early, after a successful dial. See
 * probation.c. */
#ifndef KOLK_PROBATION_H
#define KOLK_PROBATION_H

#include "core/pool.h"

/* An unused connection that the peer ends sooner than this is a failed dial. */
#define KOLK__PROBATION_NS KOLK_S_NS

/* Return whether a connection that becomes ready now must prove itself. */
static inline bool kolk__on_probation(const struct kolk_key *key)
{
	return kolk__load_relaxed(&key->probation) ||
	       kolk__load_relaxed(&kolk__own(&key->pool)->health.probation);
}

/* Return when it is old enough to be proven; KOLK_FOREVER if it need not be proven. */
static inline uint64_t kolk__probation_until(const struct kolk__conn *conn)
{
	return kolk__load_relaxed(&conn->unproven) ?
		       kolk__load_relaxed(&conn->ready_at_ns) + KOLK__PROBATION_NS : KOLK_FOREVER;
}

/* Return whether a connection that ends now for this reason makes its dial a failed one. [home
 * loop] */
bool kolk__closed_early(const struct kolk__conn *conn, enum kolk_reason reason, uint64_t now_ns);
/* Its socket is closed: count its dial as failed or good, if its end says which. [home loop], no
 * lock held. */
void kolk__probation_ended(struct kolk__conn *conn, uint64_t now_ns);
/* An unproven connection served a lease, to its end or (kolk_lease_served) so far. The holder's, no
 * lock held. */
void kolk__probation_passed(struct kolk__conn *conn, uint64_t now_ns);
/* An unproven connection of this key may be old enough. Any thread, no lock held. */
void kolk__probation_check(struct kolk__conn *conn, struct kolk_key *key, uint64_t now_ns);

#endif
