/* SPDX-License-Identifier: Apache-2.0 */
/* config_text.c - configurations that must be right, and the environment of each. */
#include "tests/ops/config_text.h"

#include <stdio.h>
#include <string.h>

#include "tests/kit/cmocka/run.h"

const char *const config_nothing[] = { NULL };
const char *const config_world[] = {
	"TEST_WORD=hunter2", "TEST_STRUCTURE=shared\n    bind_address: 10.0.0.1",
	"TEST_NUMBER=64", "TEST_EMPTY=", NULL
};

struct kolk_config *must_parse(const char *text, const char *const *environment)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config;
	char told[600];

	if (kolk_config_parse("test", text, strlen(text), environment, &config, &error) != KOLK_OK) {
		kolk_config_error_text(&error, told, sizeof told);
		fail_msg("%s", told);
	}
	return config;
}

struct kolk_config *must_load(const char *name)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config;
	char path[300], told[600];

	snprintf(path, sizeof path, CONFIG_FILES "good/%s", name);
	if (kolk_config_load(path, config_world, &config, &error) != KOLK_OK) {
		kolk_config_error_text(&error, told, sizeof told);
		fail_msg("%s", told);
	}
	return config;
}

/* ---- no memory */

uint32_t config_allocations_left = UINT32_MAX;

void *__real_kolk__arena_get(struct kolk__arena *arena, size_t size);
void *__wrap_kolk__arena_get(struct kolk__arena *arena, size_t size);

void *__wrap_kolk__arena_get(struct kolk__arena *arena, size_t size)
{
	if (config_allocations_left == 0)
		return NULL;
	if (config_allocations_left != UINT32_MAX)
		config_allocations_left--;
	return __real_kolk__arena_get(arena, size);
}
