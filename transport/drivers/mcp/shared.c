/* SPDX-License-Identifier: Apache-2.0 */
/* shared.c - texts that many sessions of an upstream have in common. */
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

enum { LOOKED_AT_MAX = 8 };

static struct mcp_shared *find(struct kolk_mcp *mcp, const char *text, size_t size)
{
	struct mcp_link *at = mcp->shared.next;

	for (int i = 0; i < LOOKED_AT_MAX && at != &mcp->shared; i++, at = at->next) {
		struct mcp_shared *shared = mcp_container_of(at, struct mcp_shared, link);

		if (shared->size == size && memcmp(shared->text, text, size) == 0)
			return shared;
	}
	return NULL;
}

static struct mcp_shared *make(const char *text, size_t size)
{
	struct mcp_shared *shared = malloc(sizeof *shared + size + 1);

	if (shared == NULL)
		return NULL;
	mcp_list_init(&shared->link);
	shared->refs = 0;
	shared->size = size;
	memcpy(shared->text, text, size);
	shared->text[size] = '\0';
	return shared;
}

struct mcp_shared *kolk__mcp_share(struct kolk_mcp *mcp, const char *text, size_t size)
{
	struct mcp_shared *shared = find(mcp, text, size);

	if (shared == NULL)
		shared = make(text, size);
	if (shared == NULL)
		return NULL;
	shared->refs++;
	mcp_list_del(&shared->link);
	mcp_list_add(mcp->shared.next, &shared->link);
	return shared;
}

void kolk__mcp_unshare(struct mcp_shared *shared)
{
	if (shared == NULL || --shared->refs > 0)
		return;
	mcp_list_del(&shared->link);
	free(shared);
}
