/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - fuzz: any bytes as a configuration file. What comes before a zero byte is one
 * environment variable's value, what follows is the file. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kolk/ops/config.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int right)
{
	if (!right)
		abort();
}

/* An error is short lines, and says at least something. */
static void error_check(const struct kolk_config_error *error)
{
	char text[4000];
	size_t length = kolk_config_error_text(error, text, sizeof text);

	must(length > 0 && length < sizeof text && error->message[0] != 0);
	must(error->err != KOLK_OK && (error->line == 0) == (error->column == 0));
	for (const char *c = error->message; *c != 0; c++)
		must(*c >= ' ' && *c < 0x7f);
}

static void config_check(const struct kolk_config *config)
{
	const struct kolk_pool_options *pool;

	must(kolk_config_engine(config)->size == sizeof(struct kolk_engine_options));
	for (uint32_t i = 0; (pool = kolk_config_pool(config, i)) != NULL; i++) {
		must(pool->size == sizeof *pool && pool->driver != NULL);
		must(pool->name[0] != 0 && strlen(pool->name) < 64);
		must((pool->address != NULL) != (pool->child != NULL));
		must(pool->address == NULL || pool->address[0] != 0);
		must(pool->tls == NULL || pool->tls->size == sizeof *pool->tls);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
	size_t value = zero != NULL && zero - data < 200 ? (size_t)(zero - data) : 0;
	char variable[256], engine[256];
	const char *environment[] = { variable, "NUMBER=17", engine, NULL };
	struct kolk_config *config;
	enum kolk_err err;

	snprintf(variable, sizeof variable, "ANY=%.*s", (int)value, (const char *)data);
	snprintf(engine, sizeof engine, "KOLK_ENGINE_%.*s", (int)value, (const char *)data);
	if (value > 0) {
		data += value + 1;
		size -= value + 1;
	}
	err = kolk_config_parse("fuzz", (const char *)data, size, environment, &config, &error);
	must((err == KOLK_OK) == (config != NULL));
	if (err == KOLK_OK)
		config_check(config);
	else
		error_check(&error);
	kolk_config_free(config);
	return 0;
}
