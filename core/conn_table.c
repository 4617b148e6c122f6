/* SPDX-License-Identifier: Apache-2.0 */
/* conn_table.c - a key's connection table: how a connection enters and leaves it (conn_table.h). */
#include "core/conn_table.h"

#include "core/engine.h"
#include "core/idle_list.h"

#define FAR_SIZE ((KOLK__SEGMENTS - KOLK__SEGMENTS_NEAR) * sizeof(kolk__segment_ptr))

static size_t segment_size(uint32_t capacity)
{
	return sizeof(struct kolk__segment) + capacity * sizeof(kolk__atomic_u64);
}

/* The table's memory comes with its first segment. NULL = there is no memory. */
static struct kolk__conn_table *table_of(struct kolk_key *key)
{
	struct kolk__conn_table *table = kolk__own(&key->table);

	KOLK__HELD(&key->lock);
	if (table == NULL) {
		table = kolk__allocate(key->engine, sizeof *table);
		if (table != NULL)
			kolk__store_release(&key->table, table); /* KEY.R1 -> KEY.A1 */
	}
	return table;
}

static struct kolk__segment *segment_new(struct kolk_key *key, uint32_t index)
{
	uint32_t capacity = (uint32_t)KOLK__SEGMENT_MIN << index;
	struct kolk__segment *segment = kolk__allocate(key->engine, segment_size(capacity));

	if (segment == NULL)
		return NULL;
	segment->capacity = capacity;
	if (kolk__segment_begin(index) >= KOLK__BIT_TOKENS) {
		segment->idle = kolk__idle_list_new(key->engine, capacity);
		if (segment->idle == NULL) {
			kolk__deallocate(key->engine, segment, segment_size(capacity));
			return NULL;
		}
	}
	return segment;
}

static struct kolk__segment *segment_add(struct kolk_key *key, struct kolk__conn_table *table,
					 uint32_t index)
{
	kolk__segment_ptr *far = kolk__own(&table->far);
	struct kolk__segment *segment;

	KOLK__HELD(&key->lock);
	if (index >= KOLK__SEGMENTS_NEAR && far == NULL) {
		far = kolk__allocate(key->engine, FAR_SIZE);
		if (far == NULL)
			return NULL;
		kolk__store_release(&table->far, far); /* KEY.R1 -> KEY.A1 */
	}
	segment = segment_new(key, index);
	if (segment == NULL)
		return NULL;
	kolk__store_release(index < KOLK__SEGMENTS_NEAR ? &table->near[index] :
							  &far[index - KOLK__SEGMENTS_NEAR],
			    segment); /* KEY.R1 -> KEY.A1 */
	return segment;
}

/* Find the lowest segment with a free position, and that position; NULL = there is no memory. */
static struct kolk__segment *free_position(struct kolk_key *key, uint32_t *position)
{
	struct kolk__conn_table *table = table_of(key);
	struct kolk__segment *segment = NULL;

	KOLK__HELD(&key->lock);
	for (uint32_t i = 0; table != NULL && i < KOLK__SEGMENTS; i++) {
		segment = kolk__segment_at(table, i);
		if (segment == NULL)
			segment = segment_add(key, table, i);
		if (segment == NULL)
			return NULL;
		if (segment->open < segment->capacity) {
			*position = kolk__segment_begin(i) +
				    (segment->free != 0 ? segment->free - 1 : segment->used);
			return segment;
		}
	}
	return NULL;
}

enum kolk_err kolk__conn_table_add(struct kolk_key *key, struct kolk__conn *conn)
{
	uint32_t position;
	struct kolk__segment *segment = free_position(key, &position);
	kolk__atomic_u64 *entry;
	uint64_t hole;

	KOLK__HELD(&key->lock);
	KOLK__STATE(conn, KOLK__IS_DIALING);
	if (segment == NULL)
		return KOLK_E_MEMORY;
	entry = kolk__conn_entry(kolk__own(&key->table), position);
	hole = kolk__load_relaxed(entry);
	if (segment->free != 0)
		segment->free = (uint32_t)(hole >> KOLK__HOLE_NEXT_SHIFT);
	else
		segment->used++;
	segment->open++;
	kolk__own_add(&key->open, 1);
	kolk__store_relaxed(&conn->position, position);
	/* Losing means that the thread that has the token dropped it: LISTED is clear now. */
	if ((hole & KOLK__LISTED) &&
	    kolk__cas_acq_rel(entry, &hole, (uintptr_t)conn)) /* KEY.R2 -> KEY.A2 */
		return KOLK_OK;
	kolk__conn_no_token(conn);
	kolk__store_release(entry, (uintptr_t)conn); /* KEY.R2 -> KEY.A2 */
	return KOLK_OK;
}

void kolk__conn_table_remove(struct kolk_key *key, struct kolk__conn *conn)
{
	uint32_t position = kolk__own(&conn->position), i = kolk__segment_of(position);
	struct kolk__segment *segment = kolk__segment_at(kolk__own(&key->table), i);
	uint64_t hole = (uint64_t)segment->free << KOLK__HOLE_NEXT_SHIFT | KOLK__HOLE;

	KOLK__HELD(&key->lock);
	kolk__store_relaxed(&conn->position, KOLK__NOWHERE);
	if (kolk__conn_leave(conn)) /* its word publishes the position, see take_by_token */
		hole |= KOLK__LISTED;
	kolk__store_release(kolk__conn_entry(kolk__own(&key->table), position), hole);
	segment->free = position - kolk__segment_begin(i) + 1;
	segment->open--;
	kolk__own_sub(&key->open, 1);
}

bool kolk__conn_table_has(const struct kolk_key *key, const struct kolk__conn *conn)
{
	struct kolk__conn_table *table = kolk__own(&key->table);
	uint32_t position = kolk__load_relaxed(&conn->position);

	KOLK__HELD(&key->lock);
	return table != NULL && position != KOLK__NOWHERE &&
	       kolk__load_relaxed(&conn->key) == key &&
	       kolk__segment_at(table, kolk__segment_of(position)) != NULL &&
	       kolk__conn_of_entry(kolk__own(kolk__conn_entry(table, position))) == conn;
}

/* False = the budget is used up. */
static bool step(struct kolk_key *key, uint32_t *steps)
{
	if (steps == NULL)
		return true;
	if (*steps == 0)
		return false;
	--*steps;
	KOLK__STEP(&key->lock);
	return true;
}

struct kolk__conn *kolk__conn_next(struct kolk_key *key, uint32_t *at, uint32_t *steps)
{
	struct kolk__conn_table *table = kolk__own(&key->table);
	struct kolk__conn *conn = NULL;

	KOLK__HELD(&key->lock);
	for (uint32_t i = kolk__segment_of(*at); table != NULL && i < KOLK__SEGMENTS; i++) {
		const struct kolk__segment *segment = kolk__segment_at(table, i);
		uint32_t begin = kolk__segment_begin(i);

		if (segment == NULL)
			break;
		while (segment->open > 0 && *at - begin < segment->used && conn == NULL) {
			if (!step(key, steps))
				return NULL;
			conn = kolk__conn_of_entry(kolk__own(&segment->entry[(*at)++ - begin]));
		}
		if (conn != NULL)
			return conn;
		*at = kolk__segment_begin(i + 1);
	}
	*at = KOLK__NOWHERE;
	return NULL;
}

static bool is_listed(uint64_t entry)
{
	const struct kolk__conn *conn = kolk__conn_of_entry(entry);

	return conn != NULL ? kolk__conn_has_token(conn) :
			      (entry & KOLK__LISTED) != 0;
}

uint32_t kolk__conn_table_listed(const struct kolk_key *key)
{
	const struct kolk__conn_table *table = kolk__own(&key->table);
	uint32_t count = 0;

	KOLK__HELD(&key->lock);
	for (uint32_t i = 0; table != NULL && i < KOLK__SEGMENTS; i++) {
		const struct kolk__segment *segment = kolk__segment_at(table, i);

		if (segment == NULL)
			break;
		for (uint32_t n = 0; n < segment->used; n++)
			count += is_listed(kolk__own(&segment->entry[n]));
	}
	return count;
}

void kolk__conn_table_free(struct kolk_key *key)
{
	struct kolk__conn_table *table = kolk__own(&key->table);

	KOLK__HELD(&key->lock);
	kolk__store_release(&key->table, NULL);
	for (uint32_t i = 0; table != NULL && i < KOLK__SEGMENTS; i++) {
		struct kolk__segment *segment = kolk__segment_at(table, i);

		if (segment == NULL)
			break;
		kolk__idle_list_free(key->engine, segment->idle);
		kolk__deallocate(key->engine, segment, segment_size(segment->capacity));
	}
	if (table != NULL)
		kolk__deallocate(key->engine, kolk__own(&table->far), FAR_SIZE);
	kolk__deallocate(key->engine, table, sizeof *table);
}
