/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease.c - what a lease can tell and be told. Every question is answered only to who holds
 * it: the ticket is compared before and after.
 */
#include "core/release.h"

/* The connection of a valid lease (LEASED or BUSY), or NULL. */
static struct kolk__conn *holder(const struct kolk_lease *lease)
{
	struct kolk__conn *conn = lease->connection;
	uint64_t word;

	if (conn == NULL)
		return NULL;
	word = kolk__load_acquire(&conn->hand);
	if (word == lease->ticket || word == kolk__word_with(lease->ticket, KOLK__BUSY))
		return conn;
	kolk__misuse(conn->home->engine, KOLK_E_LEASE_STALE);
	return NULL;
}

enum kolk_err kolk_lease_tag(const struct kolk_lease *lease, uint64_t tag)
{
	struct kolk__conn *conn = holder(lease);

	if (conn == NULL)
		return KOLK_E_LEASE_STALE;
	conn->attention |= KOLK__TAGGED;
	kolk__store_relaxed(&conn->tag, tag);
	return KOLK_OK;
}

enum kolk_err kolk_lease_info(const struct kolk_lease *lease, struct kolk_lease_info *info)
{
	struct kolk__conn *conn = holder(lease);
	uint64_t uses, since_ns, now_ns;

	if (info->size != sizeof *info)
		return KOLK_E_OPTIONS;
	if (conn == NULL)
		return KOLK_E_LEASE_STALE;
	uses = kolk__conn_uses(conn, lease->ticket);
	since_ns = kolk__load_relaxed(&conn->idle_since_ns);
	now_ns = kolk__now(conn->key->engine);
	*info = (struct kolk_lease_info){
		.size = (uint32_t)sizeof *info,
		.reused = uses > 1,
		.written = conn->link != NULL && (conn->attention & KOLK__TOUCHED) &&
			   kolk__link_written(conn->link, false),
		.loop = conn->home->index,
		.uses = uses,
		.age_ns = now_ns - conn->ready_at_ns,
		.idle_ns = conn->leased_at_ns > since_ns ? conn->leased_at_ns - since_ns : 0,
		.connection = conn->number,
		.key = conn->key,
	};
	return KOLK_OK;
}

void *kolk_lease_resource(const struct kolk_lease *lease)
{
	struct kolk__conn *conn = holder(lease);

	return conn != NULL ? kolk__link_resource(conn->link) : NULL;
}
