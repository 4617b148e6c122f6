/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - hash tables of an upstream: of what is found by its address, and what they outgrew. */
#include "transport/drivers/mcp/inside.h"

uint32_t kolk__mcp_hash_of(const void *address)
{
	return (uint32_t)((uint64_t)(uintptr_t)address * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

bool kolk__mcp_table_add(struct kolk__hash_table *table, struct kolk__hash_node *node)
{
	const struct kolk_sys *sys = kolk_sys_linux();
	bool added = kolk__hash_add(table, sys, node);
	size_t size;
	void *array = kolk__hash_take_outgrown(table, &size);

	if (array != NULL)
		sys->deallocate(sys->context, array, size);
	return added;
}
