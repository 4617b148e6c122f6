/* SPDX-License-Identifier: Apache-2.0 */
/* child_config.c - a pool's child options: checked, completed, copied. */
#define _GNU_SOURCE /* environ */
#include <string.h>
#include <unistd.h>

#include "transport/child.h"
#include "transport/tls_compat.h"

enum { ARGS_MAX = 256, NAMES_MAX = 64, BYTES_MAX = 128 * 1024 };

static enum kolk_err refuse(struct kolk_failure *failure, const char *field)
{
	failure->err = KOLK_E_OPTIONS;
	failure->phase = KOLK_PHASE_OPTIONS;
	failure->field = field;
	return KOLK_E_OPTIONS;
}

/* ---- checks */

/* How many there are; more than max = too many. */
static uint32_t count_of(const char *const *list, uint32_t max)
{
	uint32_t count = 0;

	while (list != NULL && count <= max && list[count] != NULL)
		count++;
	return count;
}

static size_t bytes_of(const char *const *list)
{
	size_t bytes = 0;

	for (; list != NULL && *list != NULL; list++)
		bytes += strlen(*list) + 1;
	return bytes;
}

static bool are_pairs(const char *const *list)
{
	for (; list != NULL && *list != NULL; list++)
		if ((*list)[0] == '=' || strchr(*list, '=') == NULL)
			return false;
	return true;
}

static bool are_names(const char *const *list)
{
	for (; list != NULL && *list != NULL; list++)
		if ((*list)[0] == 0 || strchr(*list, '=') != NULL)
			return false;
	return true;
}

static bool is_absolute(const char *path)
{
	return path != NULL && path[0] == '/' && strlen(path) < BYTES_MAX;
}

static bool is_list(const char *const *list, uint32_t max)
{
	return count_of(list, max) <= max && bytes_of(list) <= BYTES_MAX;
}

static enum kolk_err check(const struct kolk_child_options *o, struct kolk_failure *failure)
{
	if (o->command == NULL || !is_absolute(o->command[0]) || !is_list(o->command, ARGS_MAX))
		return refuse(failure, "command");
	if (!is_list(o->environment, ARGS_MAX) || !are_pairs(o->environment))
		return refuse(failure, "environment");
	if (!is_list(o->inherit, NAMES_MAX) || !are_names(o->inherit))
		return refuse(failure, "inherit");
	if (o->directory != NULL && !is_absolute(o->directory))
		return refuse(failure, "directory");
	return KOLK_OK;
}

/* ---- the environment */

static bool same_name(const char *pair, const char *name)
{
	size_t size = strlen(name);

	return strncmp(pair, name, size) == 0 && pair[size] == '=';
}

static const char *find(const char *const *pairs, const char *name)
{
	for (; pairs != NULL && *pairs != NULL; pairs++)
		if (same_name(*pairs, name))
			return *pairs;
	return NULL;
}

/* Borrowed: the given variables, then the inherited ones that are not given. A name that is listed
 * twice appears twice, with the same value. */
static void compose(const struct kolk_child_options *o, const char **to)
{
	const char *const *ours = (const char *const *)environ;

	for (const char *const *pair = o->environment; pair != NULL && *pair != NULL; pair++)
		*to++ = *pair;
	for (const char *const *name = o->inherit; name != NULL && *name != NULL; name++)
		if (find(o->environment, *name) == NULL && find(ours, *name) != NULL)
			*to++ = find(ours, *name);
	*to = NULL;
}

/* ---- open and close */

static const char *put_text(char **to, const char *text)
{
	char *copy = *to;
	size_t size = strlen(text) + 1;

	memcpy(copy, text, size);
	*to += size;
	return copy;
}

static const char *const *put_list(const char ***pointers, char **texts, const char *const *list)
{
	const char **copy = *pointers;

	while (*list != NULL)
		*(*pointers)++ = put_text(texts, *list++);
	*(*pointers)++ = NULL;
	return copy;
}

static struct kolk__child_config *copy(struct kolk__transport *transport,
				       const struct kolk_child_options *o,
				       const char *const *environment)
{
	uint32_t pointers = count_of(o->command, ARGS_MAX) +
			    count_of(environment, ARGS_MAX + NAMES_MAX) + 2;
	size_t texts = bytes_of(o->command) + bytes_of(environment) +
		       (o->directory != NULL ? strlen(o->directory) + 1 : 0);
	size_t bytes = sizeof(struct kolk__child_config) + pointers * sizeof(char *) + texts;
	struct kolk__child_config *config = kolk__alloc(transport, bytes);
	const char **pointer;
	char *text;

	if (config == NULL)
		return NULL;
	pointer = (const char **)(void *)(config + 1);
	text = (char *)(pointer + pointers);
	config->bytes = bytes;
	config->spec.command = put_list(&pointer, &text, o->command);
	config->spec.environment = put_list(&pointer, &text, environment);
	if (o->directory != NULL)
		config->spec.directory = put_text(&text, o->directory);
	return config;
}

/* Each text with the 0 that ends it, so that no two lists are the same bytes. */
static int digest(const char *const *list, uint8_t sum[32])
{
	mbedtls_sha256_context context;
	int result;

	mbedtls_sha256_init(&context);
	result = kolk__sha256_starts(&context);
	for (; result == 0 && *list != NULL; list++)
		result = kolk__sha256_update(&context, (const uint8_t *)*list, strlen(*list) + 1);
	if (result == 0)
		result = kolk__sha256_finish(&context, sum);
	mbedtls_sha256_free(&context);
	return result;
}

/* The environment may hold secrets. */
void kolk__child_config_close(struct kolk__transport *transport,
			      struct kolk__child_config *config)
{
	size_t bytes;

	if (config == NULL)
		return;
	bytes = config->bytes;
	mbedtls_platform_zeroize(config, bytes);
	kolk__dealloc(transport, config, bytes);
}

enum kolk_err kolk__child_config_open(struct kolk__transport *transport,
				      const struct kolk_child_options *o,
				      struct kolk_failure *failure,
				      struct kolk__child_config **out)
{
	const char *environment[ARGS_MAX + NAMES_MAX + 1];
	struct kolk__child_config *config;
	enum kolk_err err = check(o, failure);

	if (err == KOLK_OK && transport->sys->child_spawn == NULL)
		err = failure->err = KOLK_E_UNSUPPORTED;
	if (err != KOLK_OK)
		return err;
	compose(o, environment);
	config = copy(transport, o, environment);
	if (config == NULL) {
		failure->err = KOLK_E_MEMORY;
		return KOLK_E_MEMORY;
	}
	config->spec.files_max = o->files_max;
	if (digest(config->spec.environment, config->digest) != 0) {
		kolk__child_config_close(transport, config);
		failure->err = KOLK_E_MEMORY;
		return KOLK_E_MEMORY;
	}
	*out = config;
	return KOLK_OK;
}
