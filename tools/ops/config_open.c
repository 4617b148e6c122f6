/* SPDX-License-Identifier: Apache-2.0 */
/* config_open.c - from a configuration to an engine that works by it. */
#define _GNU_SOURCE /* strerrordesc_np */
#include "tools/ops/config_open.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/sized.h"
#include "tools/ops/config_check.h"
#include "tools/ops/config_protocol.h"
#include "tools/ops/config_schema.h"
#include "tools/ops/config_yaml.h"

/* ---- errors */

enum kolk_err kolk__refused(const struct kolk_config *config, const struct kolk__node *at,
			    enum kolk_err err, struct kolk_config_error *error,
			    const char *suggestion, const char *format, ...)
{
	struct kolk__reading r = { .name = config->name, .error = error };
	char text[sizeof error->message];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof text, format, list);
	va_end(list);
	kolk__wrong(&r, at, suggestion, "%s", text);
	if (error->mistakes == 1)
		error->err = err;
	return err;
}

/* A file of TLS: that it is not there is what happens most. */
static enum kolk_err file_refused(const struct kolk_config *config,
				  const struct kolk__config_pool *pool,
				  const struct kolk__setting *setting, const struct kolk__node *at,
				  struct kolk_config_error *error, const char *code)
{
	const char *path = NULL;

	if (setting->kind == KOLK__STRING)
		memcpy(&path, (const char *)pool + setting->offset, sizeof path);
	if (path != NULL && access(path, R_OK) != 0)
		return kolk__refused(config, at, KOLK_E_TLS, error,
				     strcmp(setting->name, "ca_directory") == 0 ?
					     "write the path of a directory of PEM files" :
					     "write the path of a PEM file that this user may read",
				     "'%s' names %s: %s", setting->name,
				     kolk__show(path, strlen(path)).text, strerrordesc_np(errno));
	return kolk__refused(config, at, KOLK_E_TLS, error, "a PEM file is wanted here",
			     "what '%s' names cannot be read or understood%s", setting->name, code);
}

enum kolk_err kolk__pool_refused(const struct kolk_config *config,
				 const struct kolk__config_pool *pool, enum kolk_err err,
				 const struct kolk_failure *failure,
				 struct kolk_config_error *error)
{
	const struct kolk__setting *setting = NULL;
	const struct kolk__node *at = pool->node;
	char code[32] = "";

	if (failure->field != NULL)
		at = kolk__pool_place(pool, failure->field, &setting);
	if (setting == NULL)
		return kolk__refused(config, at, err, error, "", "the pool is refused: %s%s%s",
				     kolk_err_text(err), failure->field != NULL ? ": " : "",
				     failure->field != NULL ? failure->field : "");
	if (failure->tls_error != 0)
		snprintf(code, sizeof code, " (mbedTLS: -0x%04x)",
			 (unsigned)-failure->tls_error);
	if (err == KOLK_E_TLS)
		return file_refused(config, pool, setting, at, error, code);
	return kolk__refused(config, at, err, error, "", "'%s' is refused: %s%s", setting->name,
			     kolk_err_text(err), code);
}

/* ---- the engine */

/* What the file or the environment sets, over what the program gives. */
static void merge(const struct kolk_config *config, struct kolk_engine_options *o)
{
	const struct kolk__section *section = kolk__setting_find(&kolk__schema, "engine")->section;
	const size_t base = offsetof(struct kolk_config, engine);

	for (size_t i = 0; i < section->count; i++) {
		const struct kolk__setting *setting = &section->settings[i];
		size_t offset = setting->offset - base;

		if (setting->offset < base || offset >= sizeof *o)
			continue; /* not the engine's, but ours */
		if (kolk__tree_find(kolk__tree_find(config->overlay, "engine"), setting->name) ||
		    kolk__tree_find(kolk__tree_find(config->file, "engine"), setting->name))
			memcpy((char *)o + offset, (const char *)config + setting->offset,
			       setting->size);
	}
}

static enum kolk_err engine_make(const struct kolk_config *config,
				 const struct kolk_engine_options *base,
				 struct kolk_engine **engine, struct kolk_config_error *error)
{
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	enum kolk_err err;

	if (base != NULL && !kolk__sized_read(&o, base))
		return kolk__refused(config, config->file, KOLK_E_OPTIONS, error, "",
				     "the program's options ask for what this library does not know");
	merge(config, &o);
	o.failure = &failure;
	err = kolk_engine_create(&o, engine);
	if (err == KOLK_OK)
		return KOLK_OK;
	return kolk__refused(config,
			     kolk__config_place(config, "engine",
						failure.field != NULL ? failure.field : ""),
			     err, error, "", "the engine is refused: %s%s%s", kolk_err_text(err),
			     failure.field != NULL ? ": " : "",
			     failure.field != NULL ? failure.field : "");
}

/* ---- pools and the keys to warm */

enum kolk_err kolk__pool_add(struct kolk_engine *engine, const struct kolk_config *config,
			     const struct kolk__config_pool *pool, struct kolk_pool **made,
			     struct kolk_config_error *error)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool_options o = pool->options;
	enum kolk_err err;

	o.failure = &failure;
	err = kolk__protocol_add(engine, pool->protocol, &o, made);
	return err == KOLK_OK ? KOLK_OK : kolk__pool_refused(config, pool, err, &failure, error);
}

static enum kolk_err key_open(struct kolk_pool *pool, const struct kolk__config_key *key,
			      struct kolk_key **made)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);

	o.tenant = key->tenant;
	o.session = key->session;
	o.credential = key->credential.bytes;
	o.credential_size = (uint32_t)key->credential.size;
	return kolk_key_open(pool, &o, made);
}

static enum kolk_err key_begin(struct kolk_pool *pool, const struct kolk_config *config,
			       const struct kolk__config_key *key, bool dial,
			       struct kolk_config_error *error)
{
	struct kolk_key *made;
	enum kolk_err err = key_open(pool, key, &made);

	if (err == KOLK_OK && dial) {
		err = kolk_key_warm(made, 0);
		if (err != KOLK_OK)
			kolk_key_close(made);
	}
	return err == KOLK_OK ? KOLK_OK :
				kolk__refused(config, key->node, err, error, "",
					      "this key cannot be opened: %s", kolk_err_text(err));
}

enum kolk_err kolk__key_warm_begin(struct kolk_pool *pool, const struct kolk_config *config,
				   const struct kolk__config_key *key,
				   struct kolk_config_error *error)
{
	return key_begin(pool, config, key, true, error);
}

/* The handle is found again by opening the key once more: the same key has the same handle. */
void kolk__key_warm_end(struct kolk_pool *pool, const struct kolk__config_key *key)
{
	struct kolk_key *again;

	if (key_open(pool, key, &again) != KOLK_OK)
		return;
	kolk_key_close(again);
	kolk_key_close(again);
}

static enum kolk_err pool_open(struct kolk_engine *engine, const struct kolk_config *config,
			       const struct kolk__config_pool *pool, bool dial,
			       struct kolk_config_error *error)
{
	const struct kolk__config_key *keys = pool->warm.items;
	struct kolk_pool *made;
	enum kolk_err err = kolk__pool_add(engine, config, pool, &made, error);

	for (uint32_t i = 0; err == KOLK_OK && i < pool->warm.count; i++)
		err = key_begin(made, config, &keys[i], dial, error);
	return err;
}

/* ---- all of it */

/* It has no other user, so its dials end. */
static void engine_end(struct kolk_engine *engine)
{
	while (kolk_engine_destroy(engine) == KOLK_E_TIMEOUT) /* NULL is allowed */
		;
}

static enum kolk_err engine_open(const struct kolk_config *config,
				 const struct kolk_engine_options *base, bool dial,
				 struct kolk_engine **engine, struct kolk_config_error *error)
{
	enum kolk_err err;

	*engine = NULL;
	err = engine_make(config, base, engine, error);
	for (uint32_t i = 0; err == KOLK_OK && i < config->tenants.count; i++) {
		const struct kolk__config_tenant *tenant = kolk__config_tenant_at(config, i);

		err = kolk_tenant_limits_set(*engine, tenant->name, &tenant->limits);
		if (err != KOLK_OK)
			kolk__refused(config, tenant->node, err, error, "",
				      "this tenant's limits are refused: %s", kolk_err_text(err));
	}
	for (uint32_t i = 0; *engine != NULL && i < config->pools.count; i++) {
		enum kolk_err each = pool_open(*engine, config, kolk__config_pool_at(config, i),
					       dial && err == KOLK_OK, error);

		err = err == KOLK_OK ? each : err; /* the others' mistakes are reported, too */
	}
	if (err != KOLK_OK) {
		engine_end(*engine);
		*engine = NULL;
	}
	return err;
}

enum kolk_err kolk_config_open(const struct kolk_config *config,
			       const struct kolk_engine_options *base,
			       struct kolk_engine **engine, struct kolk_config_error *error)
{
	struct kolk_config_error own_error = KOLK_INIT(kolk_config_error);
	enum kolk_err err;

	*engine = NULL;
	if (!kolk__config_error_fits(error))
		return KOLK_E_OPTIONS;
	err = engine_open(config, base, true, engine, &own_error);
	(void)kolk__sized_write(error, &own_error);
	return err;
}

enum kolk_err kolk_config_try(const struct kolk_config *config, struct kolk_config_error *error)
{
	struct kolk_config_error own_error = KOLK_INIT(kolk_config_error);
	struct kolk_engine *engine;
	enum kolk_err err;

	if (!kolk__config_error_fits(error))
		return KOLK_E_OPTIONS;
	err = engine_open(config, NULL, false, &engine, &own_error);
	(void)kolk__sized_write(error, &own_error);
	if (err == KOLK_OK)
		engine_end(engine);
	return err;
}
