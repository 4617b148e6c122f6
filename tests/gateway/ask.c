/* SPDX-License-Identifier: Apache-2.0 */
/* ask.c - see ask.h. */
#include "tests/gateway/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/kit/cmocka/run.h"

uint32_t ask(const struct gw_config *config, struct request *r)
{
	r->head.fields = r->fields;
	while (r->head.field_count < 4 && r->fields[r->head.field_count].name != NULL)
		r->head.field_count++;
	return gw_tenant_of(config, &r->head, &r->peer, r->tenant);
}

uint32_t ask_bearer(const struct gw_config *config, const char *token,
		    char tenant[GW_TENANT_SIZE])
{
	char *value = malloc(strlen(token) + 16);
	struct request r = { .fields = { { .name = "authorization", .value = value } } };
	uint32_t status;

	sprintf(value, "Bearer %s", token);
	status = ask(config, &r);
	strcpy(tenant, r.tenant);
	free(value);
	return status;
}

void file_put(char *path, const char *text)
{
	int fd = mkstemp(strcpy(path, "/tmp/kolk-tenants-XXXXXX"));

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

struct gw_tenants *must_make(const struct gw_tenants_options *o)
{
	struct gw_trouble trouble;
	struct gw_tenants *tenants = gw_tenants_make(o, &trouble);

	if (tenants == NULL)
		fail_msg("%s", trouble.what);
	return tenants;
}
