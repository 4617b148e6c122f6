/* SPDX-License-Identifier: Apache-2.0 */
/* conn_table.c - a key's connection table: how a connection enters and leaves it (key.h). */
#include "core/conn_table.h"

#include <string.h>

#include "core/engine.h"

static struct kolk__conn_table *table_grow(struct kolk_key *key)
{
	struct kolk__conn_table *old = kolk__own(&key->table);
	uint32_t capacity = old != NULL ? old->capacity * 2 : 4;
	struct kolk__conn_table *table = kolk__allocate(
		key->engine, sizeof *table + capacity * sizeof table->entry[0]);

	KOLK__HELD(&key->lock);
	if (table == NULL)
		return NULL;
	table->capacity = capacity;
	table->outgrown = old;
	if (old != NULL) {
		memcpy(table->entry, old->entry, kolk__own(&old->used) * sizeof table->entry[0]);
		kolk__store_relaxed(&table->used, kolk__own(&old->used));
	}
	kolk__store_release(&key->table, table); /* KEY.R1 -> KEY.A1 */
	return table;
}

enum kolk_err kolk__conn_table_add(struct kolk_key *key, struct kolk__conn *conn)
{
	struct kolk__conn_table *table = kolk__own(&key->table);
	uint32_t i = 0;

	KOLK__HELD(&key->lock);
	KOLK__STATE(conn, KOLK__IS_DIALING);
	while (table != NULL && i < kolk__own(&table->used) && kolk__own(&table->entry[i]) != NULL)
		i++;
	if (table == NULL || i == table->capacity)
		table = table_grow(key);
	if (table == NULL)
		return KOLK_E_MEMORY;
	kolk__store_relaxed(&conn->position, i);
	kolk__store_release(&table->entry[i], conn); /* KEY.R2 -> KEY.A2 */
	if (i == kolk__own(&table->used))
		kolk__store_release(&table->used, i + 1);
	kolk__own_add(&key->open, 1);
	return KOLK_OK;
}

void kolk__conn_table_remove(struct kolk_key *key, struct kolk__conn *conn)
{
	struct kolk__conn_table *table = kolk__own(&key->table);
	uint32_t used = kolk__own(&table->used);

	KOLK__HELD(&key->lock);
	kolk__store_release(&table->entry[kolk__own(&conn->position)], NULL);
	while (used > 0 && kolk__own(&table->entry[used - 1]) == NULL)
		kolk__store_release(&table->used, --used);
	kolk__own_sub(&key->open, 1);
}

bool kolk__conn_table_has(const struct kolk_key *key, const struct kolk__conn *conn)
{
	const struct kolk__conn_table *table = kolk__own(&key->table);
	uint32_t position = kolk__load_relaxed(&conn->position);

	KOLK__HELD(&key->lock);
	return table != NULL && kolk__load_relaxed(&conn->key) == key &&
	       position < kolk__own(&table->used) &&
	       kolk__own(&table->entry[position]) == conn;
}

uint32_t kolk__idle_count(const struct kolk_key *key)
{
	const struct kolk__conn_table *table = kolk__own(&key->table);
	uint32_t count = 0;

	KOLK__HELD(&key->lock);
	for (uint32_t i = 0; table != NULL && i < kolk__own(&table->used); i++) {
		const struct kolk__conn *conn = kolk__own(&table->entry[i]);
		enum kolk__state state = conn == NULL ? KOLK__FREE :
				       kolk__conn_state(conn);

		count += state == KOLK__IDLE || state == KOLK__PINGING || state == KOLK__TAKEN;
	}
	return count;
}

void kolk__conn_tables_free(struct kolk_key *key)
{
	struct kolk__conn_table *table = kolk__own(&key->table);

	KOLK__HELD(&key->lock);
	kolk__store_release(&key->table, NULL);
	while (table != NULL) {
		struct kolk__conn_table *outgrown = table->outgrown;

		kolk__deallocate(key->engine, table,
				 sizeof *table + table->capacity * sizeof table->entry[0]);
		table = outgrown;
	}
}
