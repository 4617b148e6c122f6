/* SPDX-License-Identifier: Apache-2.0 */
/* config_open.c - from a configuration to an engine that works by it. */
#include "tools/ops/config_open.h"

#include <kolk/ops/section.h>
#include <stdio.h>
#include <string.h>

#include "core/base/sized.h"
#include "tools/ops/config_check.h"
#include "tools/ops/config_protocol.h"
#include "tools/ops/config_schema.h"
#include "tools/ops/config_yaml.h"

/* ---- errors */

/* A file of TLS: that it is not there is what happens most. */
static enum kolk_err file_refused(struct kolk__place at, const struct kolk__config_pool *pool,
				  const struct kolk__setting *setting, const char *code)
{
	const bool directory = strcmp(setting->name, "ca_directory") == 0;
	const char *path = NULL, *flaw = NULL;

	if (setting->kind == KOLK__STRING)
		memcpy(&path, (const char *)pool + setting->offset, sizeof path);
	if (path != NULL)
		flaw = kolk_config_path_flaw(path, directory ? KOLK_PATH_ENTER : KOLK_PATH_READ);
	if (flaw != NULL)
		return kolk__refused(at, directory ?
					     "write the path of a directory of PEM files" :
					     "write the path of a PEM file that this user may read",
				     "'%s' names %s: %s", setting->name,
				     kolk__show(path, strlen(path)).text, flaw);
	return kolk__refused(at, "a PEM file is wanted here",
			     "what '%s' names cannot be read or understood%s", setting->name, code);
}

enum kolk_err kolk__pool_refused(struct kolk__opening *o, const struct kolk__config_pool *pool,
				 enum kolk_err err, const struct kolk_failure *failure)
{
	const struct kolk__setting *setting = NULL;
	const struct kolk__node *node = pool->node;
	struct kolk__place at;
	char code[32] = "";

	if (failure->field != NULL)
		node = kolk__pool_node(pool, failure->field, &setting);
	at = kolk__at_err(&o->reading, node, err);
	if (setting == NULL)
		return kolk__refused(at, "", "the pool is refused: %s%s%s",
				     kolk_err_text(err), failure->field != NULL ? ": " : "",
				     failure->field != NULL ? failure->field : "");
	if (failure->tls_error != 0)
		snprintf(code, sizeof code, " (mbedTLS: -0x%04x)",
			 (unsigned)-failure->tls_error);
	if (err == KOLK_E_TLS)
		return file_refused(at, pool, setting, code);
	if (failure->tls_error != 0 && strcmp(failure->field, "key_file") == 0)
		return kolk__refused(at, "", "'key_file' is not the key of 'certificate_file'%s", code);
	return kolk__refused(at, "", "'%s' is refused: %s%s", setting->name,
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

static enum kolk_err engine_refused(struct kolk__opening *o, enum kolk_err err, const char *field)
{
	const struct kolk__node *node =
		kolk__config_node(o->config, "engine", field != NULL ? field : "");

	return kolk__refused(kolk__at_err(&o->reading, node, err), "",
			     "the engine is refused: %s%s%s", kolk_err_text(err),
			     field != NULL ? ": " : "", field != NULL ? field : "");
}

static enum kolk_err engine_make(struct kolk__opening *o, const struct kolk_engine_options *base)
{
	struct kolk_engine_options options = KOLK_INIT(kolk_engine_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	enum kolk_err err;

	if (base != NULL && !kolk__sized_read(&options, base))
		return kolk__refused(kolk__at(&o->reading, o->config->file), "",
				     "the program's options ask for what this library does not know");
	merge(o->config, &options);
	options.failure = &failure;
	err = kolk_engine_create(&options, &o->engine);
	return err == KOLK_OK ? KOLK_OK : engine_refused(o, err, failure.field);
}

/* ---- pools and the keys to warm */

enum kolk_err kolk__pool_add(struct kolk__opening *o, const struct kolk__config_pool *pool,
			     struct kolk_pool **made)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool_options options = pool->options;
	enum kolk_err err;

	options.failure = &failure;
	err = kolk__protocol_add(o->engine, pool->protocol, &options, made);
	return err == KOLK_OK ? KOLK_OK : kolk__pool_refused(o, pool, err, &failure);
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

enum kolk_err kolk__key_warm_begin(struct kolk__opening *o, struct kolk_pool *pool,
				   const struct kolk__config_key *key)
{
	struct kolk_key *made;
	enum kolk_err err = key_open(pool, key, &made);

	if (err == KOLK_OK && o->dial) {
		err = kolk_key_warm(made, 0);
		if (err != KOLK_OK)
			kolk_key_close(made);
	}
	return err == KOLK_OK ? KOLK_OK :
				kolk__refused(kolk__at_err(&o->reading, key->node, err), "",
					      "this key cannot be opened: %s", kolk_err_text(err));
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

static enum kolk_err pool_open(struct kolk__opening *o, const struct kolk__config_pool *pool)
{
	const struct kolk__config_key *keys = pool->warm.items;
	struct kolk_pool *made;
	enum kolk_err err = kolk__pool_add(o, pool, &made);

	for (uint32_t i = 0; err == KOLK_OK && i < pool->warm.count; i++)
		err = kolk__key_warm_begin(o, made, &keys[i]);
	return err;
}

/* ---- all of it */

/* It has no other user, so its dials end. */
static void engine_end(struct kolk_engine *engine)
{
	while (kolk_engine_destroy(engine) == KOLK_E_TIMEOUT) /* NULL is allowed */
		;
}

static enum kolk_err tenants_open(struct kolk__opening *o)
{
	enum kolk_err err = KOLK_OK;

	for (uint32_t i = 0; err == KOLK_OK && i < o->config->tenants.count; i++) {
		const struct kolk__config_tenant *tenant = kolk__config_tenant_at(o->config, i);

		err = kolk_tenant_limits_set(o->engine, tenant->name, &tenant->limits);
		if (err != KOLK_OK)
			kolk__refused(kolk__at_err(&o->reading, tenant->node, err), "",
				      "this tenant's limits are refused: %s", kolk_err_text(err));
	}
	return err;
}

/* Once something is refused, pools are only tried: their mistakes are reported, too. */
static enum kolk_err engine_open(struct kolk__opening *o, const struct kolk_engine_options *base)
{
	enum kolk_err err = engine_make(o, base);

	if (err == KOLK_OK)
		err = tenants_open(o);
	for (uint32_t i = 0; o->engine != NULL && i < o->config->pools.count; i++) {
		enum kolk_err each;

		o->dial = o->dial && err == KOLK_OK;
		each = pool_open(o, kolk__config_pool_at(o->config, i));
		err = err == KOLK_OK ? each : err;
	}
	if (err != KOLK_OK) {
		engine_end(o->engine);
		o->engine = NULL;
	}
	return err;
}

enum kolk_err kolk_config_open(const struct kolk_config *config,
			       const struct kolk_engine_options *base,
			       struct kolk_engine **engine, struct kolk_config_error *error)
{
	struct kolk_config_error own_error = KOLK_INIT(kolk_config_error);
	struct kolk__opening o = { .reading = { .name = config->name, .error = &own_error },
				   .config = config, .dial = true };
	enum kolk_err err;

	*engine = NULL;
	if (!kolk__config_error_fits(error))
		return KOLK_E_OPTIONS;
	err = engine_open(&o, base);
	*engine = o.engine;
	(void)kolk__sized_write(error, &own_error);
	return err;
}

/* A path of a child. */
struct child_path {
	const char *key, *path; /* path NULL = it is not in the file */
	enum kolk_path_use use;
	const char *suggestion;
};

static enum kolk_err path_try(struct kolk__opening *o, const struct kolk__config_pool *pool,
			      const struct child_path *named)
{
	const char *flaw = named->path != NULL ? kolk_config_path_flaw(named->path, named->use) : NULL;
	const struct kolk__setting *setting;
	struct kolk__place at;

	if (flaw == NULL)
		return KOLK_OK;
	at = kolk__at_err(&o->reading, kolk__pool_node(pool, named->key, &setting), KOLK_E_SPAWN);
	return kolk__refused(at, named->suggestion, "'%s' names %s: %s", named->key,
			     kolk__show(named->path, strlen(named->path)).text, flaw);
}

/* An engine begins without a child's program, and says so at the first dial. */
static enum kolk_err child_try(struct kolk__opening *o, const struct kolk__config_pool *pool)
{
	const struct kolk_child_options *child = pool->options.child;
	enum kolk_err program, directory;

	if (child == NULL)
		return KOLK_OK;
	program = path_try(o, pool, &(struct child_path){
		"command", child->command[0], KOLK_PATH_RUN,
		"write the path of a program that this user may run" });
	directory = path_try(o, pool, &(struct child_path){
		"directory", child->directory, KOLK_PATH_ENTER,
		"write the path of a directory that this user may enter" });
	return program != KOLK_OK ? program : directory;
}

enum kolk_err kolk_config_try(const struct kolk_config *config, struct kolk_config_error *error)
{
	struct kolk_config_error own_error = KOLK_INIT(kolk_config_error);
	struct kolk__opening o = { .reading = { .name = config->name, .error = &own_error },
				   .config = config };
	enum kolk_err err;

	if (!kolk__config_error_fits(error))
		return KOLK_E_OPTIONS;
	err = engine_open(&o, NULL);
	for (uint32_t i = 0; i < config->pools.count; i++) {
		enum kolk_err each = child_try(&o, kolk__config_pool_at(config, i));

		err = err == KOLK_OK ? each : err;
	}
	(void)kolk__sized_write(error, &own_error);
	engine_end(o.engine);
	return err;
}
