/* SPDX-License-Identifier: Apache-2.0 */
/* walk_conn.c - a walk inside a key: its connections, in parts (walk.h). */
#include "core/conn_table.h"
#include "core/pool.h"

static void leave(struct kolk__walk *walk, struct kolk_key *key)
{
	struct kolk__conn_table *table = kolk__own(&key->table);

	KOLK__HELD(&key->lock);
	walk->next = key;
	walk->inside = true;
	walk->wanted = kolk__lock_is_wanted(&key->lock);
	walk->listed = walk->conns_gone != NULL;
	if (walk->listed) {
		walk->beside = table->walks;
		table->walks = walk;
	}
}

/* Walks inside one key at a time are few. */
static void come_back(struct kolk__walk *walk, struct kolk_key *key)
{
	struct kolk__walk **link = &kolk__own(&key->table)->walks;

	KOLK__HELD(&key->lock);
	while (*link != walk)
		link = &(*link)->beside;
	*link = walk->beside;
	walk->listed = false;
}

struct kolk__conn *kolk__walk_conn(struct kolk__walk *walk, struct kolk_key *key)
{
	uint32_t before = walk->left;
	struct kolk__conn *conn;

	KOLK__HELD(&walk->pool->lock);
	if (walk->listed)
		come_back(walk, key);
	conn = kolk__conn_next(key, &walk->at, &walk->left);
	for (; before > walk->left; before--)
		KOLK__STEP(&walk->pool->lock);
	if (conn == NULL && walk->at != KOLK__NOWHERE)
		leave(walk, key);
	return conn;
}

void kolk__walks_pass_conn(const struct kolk_key *key, const struct kolk__conn *conn,
			   uint64_t uses)
{
	struct kolk__walk *walk = kolk__own(&key->table)->walks;

	KOLK__HELD(&key->lock);
	for (; walk != NULL; walk = walk->beside)
		if (kolk__own(&conn->position) >= walk->at) {
			kolk__add_relaxed(&walk->conns_gone->uses, uses);
			kolk__add_relaxed(&walk->conns_gone->first_uses, uses != 0);
		}
}
