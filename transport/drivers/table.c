/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - see table.h. */
#include "transport/drivers/table.h"

bool kolk__table_add(struct kolk__hash_table *table, struct kolk__hash_node *node)
{
	const struct kolk_sys *sys = kolk_sys_linux();
	bool added = kolk__hash_add(table, sys, node);
	size_t size;
	void *array = kolk__hash_take_outgrown(table, &size);

	if (array != NULL)
		sys->deallocate(sys->context, array, size);
	return added;
}

void kolk__table_free(struct kolk__hash_table *table)
{
	kolk__hash_free(table, kolk_sys_linux());
}
