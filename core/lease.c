/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease.c - what a holder asks and sets of its lease. Only the holder is answered: the lease word
 * is compared before and after.
 */
#include "core/options.h"
#include "core/pool.h"
#include "core/probation.h"
#include "core/release.h"

bool kolk__lease_is_held(const struct kolk_lease *lease)
{
	const struct kolk__conn *conn = lease->connection;
	uint64_t word = conn != NULL ? kolk__conn_word(conn) : 0;

	return conn != NULL &&
	       (word == lease->ticket || word == kolk__word_with(lease->ticket, KOLK__BUSY));
}

/* The connection of a valid lease, or NULL. */
static struct kolk__conn *holder(const struct kolk_lease *lease)
{
	struct kolk__conn *conn = lease->connection;

	if (conn == NULL || kolk__lease_is_held(lease))
		return conn;
	(void)kolk__lease_stale(lease);
	return NULL;
}

enum kolk_err kolk_lease_tag(const struct kolk_lease *lease, uint64_t tag)
{
	struct kolk__conn *conn = holder(lease);

	if (conn == NULL)
		return KOLK_E_LEASE_STALE;
	kolk__release_flags_add(conn, KOLK__TAGGED);
	kolk__store_relaxed(&conn->tag, tag);
	return KOLK_OK;
}

enum kolk_err kolk_lease_pin(const struct kolk_lease *lease)
{
	struct kolk__conn *conn = holder(lease);

	if (conn == NULL)
		return KOLK_E_LEASE_STALE;
	kolk__release_flags_add(conn, KOLK__PINNED);
	return KOLK_OK;
}

enum kolk_err kolk_lease_peer_idle(const struct kolk_lease *lease, uint64_t idle_ns)
{
	struct kolk__conn *conn = holder(lease);
	struct kolk_pool *pool;

	if (conn == NULL)
		return KOLK_E_LEASE_STALE;
	if (idle_ns < KOLK_MS_NS)
		return KOLK_E_OPTIONS;
	pool = kolk__pool_of(conn);
	kolk__health_idle_announced(pool, idle_ns, kolk__now(pool->engine));
	return KOLK_OK;
}

enum kolk_err kolk_lease_timeouts(const struct kolk_lease *lease, uint64_t *socket_ns,
				  uint64_t *request_ns)
{
	const struct kolk__conn *conn = lease->connection;

	if (!kolk__lease_is_held(lease))
		return KOLK_E_LEASE_STALE; /* not counted: the caller goes on to use it */
	*socket_ns = kolk__setting(kolk__pool_of(conn), socket_timeout_ns);
	*request_ns = kolk__setting(kolk__pool_of(conn), request_timeout_ns);
	return KOLK_OK;
}

static void info_fill(const struct kolk__conn *conn, uint64_t lease_word,
		      struct kolk_lease_info *info)
{
	struct kolk_lease_info filled;
	uint64_t uses = kolk__conn_uses(conn, lease_word);
	uint64_t idle_since_ns = kolk__load_relaxed(&conn->idle_since_ns);
	uint64_t leased_at_ns = kolk__load_relaxed(&conn->leased_at_ns);
	uint64_t now_ns = kolk__now(kolk__own(&conn->key)->engine);

	filled = (struct kolk_lease_info){
		.size = (uint32_t)sizeof filled,
		.reused = uses > 1 || !conn->waited_for,
		.written = kolk__load_relaxed(&conn->release_flags) & KOLK__DID_IO &&
			   kolk__link_written(conn->link, false),
		.loop = kolk__own(&conn->home),
		.uses = uses,
		.age_ns = now_ns - kolk__own(&conn->ready_at_ns),
		.idle_ns = leased_at_ns > idle_since_ns ? leased_at_ns - idle_since_ns : 0,
		.connection = conn->number,
		.key = kolk__own(&conn->key),
		.outdated = kolk__load_acquire(&conn->retire_reason) != 0 ||
			    now_ns >= kolk__load_relaxed(&conn->retire_at_ns) ||
			    kolk__load_acquire(&kolk__own(&conn->key)->refuse_err) != KOLK_OK,
	};
	(void)kolk__sized_write(info, &filled);
}

/* Its operations run on a loop of this thread: the link is not freed until this thread steps it. */
static bool is_inside(const struct kolk__conn *conn, uint64_t lease_word)
{
	struct kolk_loop *user = kolk__user(conn);

	return kolk__conn_word(conn) == kolk__word_with(lease_word, KOLK__BUSY) &&
	       user != NULL && kolk__is_owner(user);
}

enum kolk_err kolk_lease_info(const struct kolk_lease *lease, struct kolk_lease_info *info)
{
	struct kolk__conn *conn = lease->connection;
	enum kolk_err err;

	if (kolk__sized_size(info) == 0)
		return KOLK_E_OPTIONS;
	if (conn != NULL && is_inside(conn, lease->ticket)) {
		info_fill(conn, lease->ticket, info);
		return KOLK_OK;
	}
	err = kolk__operation_begin(lease, NULL);
	if (err != KOLK_OK)
		return err;
	info_fill(conn, lease->ticket, info);
	return kolk__operation_end(conn) ? KOLK_OK : KOLK_E_REVOKED;
}

enum kolk_err kolk_lease_tcp(const struct kolk_lease *lease, uint64_t *rtt_ns, uint64_t *resent)
{
	struct kolk__conn *conn = lease->connection;
	uint32_t rtt_us = 0, segments = 0;
	enum kolk_err err;

	if (conn != NULL && is_inside(conn, lease->ticket)) {
		err = kolk__link_tcp(conn->link, &rtt_us, &segments);
	} else {
		err = kolk__operation_begin(lease, NULL);
		if (err != KOLK_OK)
			return err;
		err = kolk__link_tcp(conn->link, &rtt_us, &segments);
		if (!kolk__operation_end(conn))
			err = KOLK_E_REVOKED;
	}
	*rtt_ns = rtt_us * KOLK_US_NS;
	*resent = segments;
	return err;
}

enum kolk_err kolk_lease_session(const struct kolk_lease *lease, const struct kolk_driver *driver,
				 kolk_session_fn *run, void *user)
{
	struct kolk__conn *conn = lease->connection;
	bool inside = conn != NULL && is_inside(conn, lease->ticket);
	enum kolk_err err = inside ? KOLK_OK : kolk__operation_begin(lease, NULL);
	void *session;

	if (err != KOLK_OK)
		return err;
	session = kolk__link_session(conn->link, driver);
	err = session != NULL ? run(user, session) : KOLK_E_UNSUPPORTED;
	return inside || kolk__operation_end(conn) ? err : KOLK_E_REVOKED;
}

enum kolk_err kolk_lease_served(const struct kolk_lease *lease)
{
	struct kolk__conn *conn = holder(lease);
	bool inside = conn != NULL && is_inside(conn, lease->ticket);
	enum kolk_err err;

	if (conn == NULL)
		return KOLK_E_LEASE_STALE;
	if (KOLK_LIKELY(!kolk__load_relaxed(&conn->unproven)))
		return KOLK_OK;
	err = inside ? KOLK_OK : kolk__operation_begin(lease, NULL);
	if (err != KOLK_OK)
		return err;
	kolk__probation_passed(conn, kolk__now(kolk__own(&conn->key)->engine));
	return inside || kolk__operation_end(conn) ? KOLK_OK : KOLK_E_REVOKED;
}

/* A resource is not revoked (drain.c), so the link stays. */
void *kolk_lease_resource(const struct kolk_lease *lease)
{
	struct kolk__conn *conn = holder(lease);

	return conn != NULL && kolk__pool_of(conn)->resource ? kolk__link_resource(conn->link) :
							       NULL;
}
