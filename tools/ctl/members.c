/* SPDX-License-Identifier: Apache-2.0 */
/* members.c - members of kolk-gateway's balancers in a status, and the names that resolved to them. */
#include <string.h>

#include "tools/ctl/view.h"

const json_t *view_program_list(const json_t *status, const char *name)
{
	return json_object_get(json_object_get(status, "program"), name);
}

static bool same_text(const json_t *a, const json_t *b, const char *name)
{
	return strcmp(view_text(a, name), view_text(b, name)) == 0;
}

const json_t *view_member_of(const json_t *status, const json_t *member)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(view_program_list(status, "members"), i, entry)
		if (same_text(entry, member, "balancer") && same_text(entry, member, "pool"))
			return entry;
	return NULL;
}

const json_t *view_member_name(const json_t *status, const json_t *member)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(view_program_list(status, "names"), i, entry) {
		const char *pool = view_text(entry, "pool"), *own = view_text(member, "pool");
		const size_t size = strlen(pool);

		if (same_text(entry, member, "balancer") && strncmp(own, pool, size) == 0 &&
		    own[size] == '@')
			return entry;
	}
	return NULL;
}
