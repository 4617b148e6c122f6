/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - hash tables of the drivers: of what is found by an address, or by an id. */
#ifndef KOLK_DRIVERS_TABLE_H
#define KOLK_DRIVERS_TABLE_H

#include "core/base/hash_table.h"

/* kolk__hash_add; an array that was outgrown is freed. False = no memory. */
bool kolk__table_add(struct kolk__hash_table *table, struct kolk__hash_node *node);
void kolk__table_free(struct kolk__hash_table *table);

/* Of an address, or of ids that count up. */
static inline uint32_t kolk__table_hash(uint64_t number)
{
	return (uint32_t)(number * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

#endif
