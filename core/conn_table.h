/* SPDX-License-Identifier: Apache-2.0 */
/* conn_table.h - the connections of a key, and so its idle list (key.h). */
#ifndef KOLK_CONN_TABLE_H
#define KOLK_CONN_TABLE_H

#include "core/key.h"

struct kolk__conn_table {
	uint32_t capacity;
	kolk__atomic_u32 used;      /* W: under key.lock. R: anyone: entries beyond are empty */
	struct kolk__conn_table *outgrown; /* kept for late readers until the key is recycled */
	KOLK__ATOMIC(struct kolk__conn *) entry[]; /* W: under key.lock. R: anyone. NULL = a hole */
};

/* Under key.lock. */
enum kolk_err kolk__conn_table_add(struct kolk_key *key, struct kolk__conn *conn);
void kolk__conn_table_remove(struct kolk_key *key, struct kolk__conn *conn);
void kolk__conn_tables_free(struct kolk_key *key);
/* Is this a connection of the key? Then both stay while the lock is held. */
bool kolk__conn_table_has(const struct kolk_key *key, const struct kolk__conn *conn);
/* IDLE, PINGING or TAKEN: a moment's truth, other threads take and release meanwhile. */
uint32_t kolk__idle_count(const struct kolk_key *key);

#endif
