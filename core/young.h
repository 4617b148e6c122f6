/* SPDX-License-Identifier: Apache-2.0 */
/* young.h - connections that die young: a dial that succeeded and was of no use. See young.c. */
#ifndef KOLK_YOUNG_H
#define KOLK_YOUNG_H

#include "core/engine.h"

/* A connection that the peer ends sooner than this, and that nobody used, is a failed dial. */
#define KOLK__YOUNG_NS KOLK_S_NS

/* Must a connection that becomes ready now prove itself? */
static inline bool kolk__young_doubted(const struct kolk_key *key)
{
	return kolk__load_relaxed(&key->doubted) ||
	       kolk__load_relaxed(&kolk__own(&key->pool)->peer.doubted);
}

/* When it is old enough to be proven; KOLK_FOREVER when it need not be. */
static inline uint64_t kolk__young_until(const struct kolk__conn *conn)
{
	return kolk__load_relaxed(&conn->unproven) ?
		       kolk__load_relaxed(&conn->ready_at_ns) + KOLK__YOUNG_NS : KOLK_FOREVER;
}

/* Is an end for this reason now the end of a dial that was of no use? [home loop] */
bool kolk__young_died(const struct kolk__conn *conn, enum kolk_reason reason, uint64_t now_ns);
/* Its socket is closed: count what that says of its dial. [home loop], no lock held. */
void kolk__young_ended(struct kolk__conn *conn, uint64_t now_ns);
/* An unproven connection served a lease, to its end. The holder's, no lock held. */
void kolk__young_served(struct kolk__conn *conn, uint64_t now_ns);
/* An unproven connection of this key may be old enough. Any thread, no lock held. */
void kolk__young_look(struct kolk__conn *conn, struct kolk_key *key, uint64_t now_ns);

#endif
