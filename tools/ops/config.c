/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - a configuration: read from a file or a text, queried, freed. */
#define _GNU_SOURCE /* environ, strerrordesc_np */
#include "tools/ops/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/sized.h"
#include "tools/ops/config_check.h"
#include "tools/ops/config_env.h"
#include "tools/ops/config_error.h"
#include "tools/ops/config_protocol.h"
#include "tools/ops/config_schema.h"
#include "tools/ops/config_yaml.h"
#include "tools/ops/section.h"

/* ---- reading */

/* What the whole of the file says, together. */
static bool check(struct kolk__reading *r, struct kolk_config *config)
{
	const struct kolk_config_program *program = &config->program;
	bool ok = kolk__config_check(r, config);

	if (program->check != NULL && !kolk__reading_failed(r))
		program->check(program->user, config, config->own, r->error);
	return ok && r->error->mistakes == 0;
}

static bool fill(struct kolk__reading *r, struct kolk_config *config, const char *text,
		 size_t size)
{
	config->file = kolk__tree_parse(r, text, size);
	if (config->file == NULL)
		return false;
	kolk__section_begin(config->schema, config);
	if (!kolk__section_read(r, config->schema, config->file, config))
		return false;
	config->overlay = kolk__environment_tree(r);
	return config->overlay != NULL &&
	       kolk__section_read(r, &kolk__schema, config->overlay, config) &&
	       kolk__environment_pools(r, config) && check(r, config);
}

static bool schema_choose(struct kolk__reading *r, struct kolk_config *config)
{
	config->schema = config->own == NULL ? &kolk__schema :
		kolk__program_schema(r, &config->program,
				     (size_t)((char *)config->own - (char *)config));
	r->schema = config->schema;
	return config->schema != NULL;
}

/* What is read: a text that has a name. */
struct source {
	const char *name, *text;
	size_t size;
	const char *const *environment;
	const struct kolk_config_program *program; /* NULL = the library's keys alone */
};

/* The program's struct is behind it. */
static struct kolk_config *config_make(const struct kolk_config_program *program)
{
	const size_t align = sizeof(max_align_t);
	const size_t own = (sizeof(struct kolk_config) + align - 1) / align * align;
	struct kolk_config *config =
		calloc(1, own + (program != NULL ? program->file->struct_size : 0));

	if (config != NULL && program != NULL) {
		config->program = *program;
		config->own = (char *)config + own;
	}
	return config;
}

/* NULL and the error filled in. */
static struct kolk_config *parse(struct kolk__reading *r, const struct source *source)
{
	struct kolk_config *config = config_make(source->program);
	char *kept;

	if (config == NULL) {
		kolk__no_memory(r);
		return NULL;
	}
	r->arena = &config->arena;
	kept = kolk__arena_get(r->arena, strlen(r->name) + 1);
	if (kept == NULL) {
		kolk__no_memory(r);
	} else {
		config->name = strcpy(kept, r->name);
		if (schema_choose(r, config) && fill(r, config, source->text, source->size))
			return config;
	}
	kolk_config_free(config);
	return NULL;
}

static enum kolk_err source_read(const struct source *source, struct kolk_config **out,
				 struct kolk_config_error *error)
{
	struct kolk_config_error own_error = KOLK_INIT(kolk_config_error);
	struct kolk__reading r = { .name = source->name, .error = &own_error,
				   .environment = source->environment };

	if (r.environment == NULL)
		r.environment = (const char *const *)environ;
	*out = parse(&r, source);
	(void)kolk__sized_write(error, &own_error);
	return own_error.err;
}

/* Also opens what may stand in the file's place: a pipe without a writer is empty, and not waited
 * for. */
static int file_open(const char *path, struct stat *about)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd >= 0 && (fstat(fd, about) != 0 || fcntl(fd, F_SETFL, 0) != 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool has_changed(int fd, const struct stat *before)
{
	struct stat now;

	return fstat(fd, &now) != 0 ||
	       (S_ISREG(now.st_mode) && (now.st_size != before->st_size ||
					 now.st_mtim.tv_sec != before->st_mtim.tv_sec ||
					 now.st_mtim.tv_nsec != before->st_mtim.tv_nsec));
}

/* One byte more than is allowed is read, so that parse sees what is too long. Returns why it
 * cannot be read, or NULL. */
static const char *fd_read(int fd, char *text, size_t *size)
{
	const size_t max = KOLK__TEXT_MAX + 1;
	ssize_t got = 1;

	*size = 0;
	while (got > 0 && *size < max) {
		got = read(fd, text + *size, max - *size);
		if (got > 0)
			*size += (size_t)got;
		else if (got < 0 && errno == EINTR)
			got = 1;
	}
	return got < 0 ? strerrordesc_np(errno) : NULL;
}

/* The file's bytes, for the caller to wipe and free; NULL, *err and *why. */
static char *file_read(const char *path, size_t *size, enum kolk_err *err, const char **why)
{
	struct stat about;
	int fd = file_open(path, &about);
	char *text;

	if (fd < 0) {
		*err = errno == ENOENT ? KOLK_E_NOT_FOUND : KOLK_E_IO;
		*why = strerrordesc_np(errno);
		return NULL;
	}
	text = malloc(KOLK__TEXT_MAX + 1);
	*err = text != NULL ? KOLK_E_IO : KOLK_E_MEMORY;
	*why = text != NULL ? fd_read(fd, text, size) : kolk_err_text(KOLK_E_MEMORY);
	/* A writer of the file decides where credentials are sent. */
	if (*why == NULL && S_ISREG(about.st_mode) && about.st_mode & 0002)
		*why = "everybody on this machine may write it";
	if (*why == NULL && has_changed(fd, &about))
		*why = "it is being written";
	close(fd);
	if (*why != NULL && text != NULL) {
		explicit_bzero(text, *size);
		free(text);
		text = NULL;
	}
	return text;
}

struct kolk__node *kolk__tree_load(struct kolk__reading *r)
{
	struct kolk__place at = kolk__at_file(r);
	struct kolk__node *root;
	const char *why;
	size_t size;
	char *text = file_read(r->name, &size, &at.err, &why);

	if (text == NULL) {
		kolk__wrong(at, "", "cannot be read: %s", why);
		return NULL;
	}
	root = kolk__tree_parse(r, text, size);
	explicit_bzero(text, size);
	free(text);
	return root;
}

/* The same of a file, whose name is the source's. */
static enum kolk_err source_load(const struct source *source, struct kolk_config **config,
				 struct kolk_config_error *error)
{
	struct kolk_config_error own_error = KOLK_INIT(kolk_config_error);
	struct source whole = *source;
	const char *why;
	enum kolk_err err;
	char *text;

	text = file_read(source->name, &whole.size, &err, &why);
	if (text == NULL) {
		own_error.err = err;
		snprintf(own_error.file, sizeof own_error.file, "%s", source->name);
		snprintf(own_error.message, sizeof own_error.message, "cannot be read: %s", why);
		(void)kolk__sized_write(error, &own_error);
		return err;
	}
	whole.text = text;
	err = source_read(&whole, config, error);
	explicit_bzero(text, whole.size);
	free(text);
	return err;
}

enum kolk_err kolk_config_parse(const char *name, const char *text, size_t size,
				const char *const *environment, struct kolk_config **config,
				struct kolk_config_error *error)
{
	const struct source source = { name, text, size, environment, NULL };

	*config = NULL;
	return kolk__config_error_fits(error) ? source_read(&source, config, error) :
						KOLK_E_OPTIONS;
}

enum kolk_err kolk_config_load(const char *path, const char *const *environment,
			       struct kolk_config **config, struct kolk_config_error *error)
{
	const struct source source = { .name = path, .environment = environment };

	*config = NULL;
	return kolk__config_error_fits(error) ? source_load(&source, config, error) :
						KOLK_E_OPTIONS;
}

/* The caller's program in this library's struct. */
static bool program_read(struct kolk_config_program *own, const struct kolk_config_program *program)
{
	return kolk__sized_read(own, program) && own->file != NULL && own->reserved == 0;
}

enum kolk_err kolk_config_parse_for(const struct kolk_config_program *program, const char *name,
				    const char *text, size_t size, struct kolk_config **config,
				    struct kolk_config_error *error)
{
	struct kolk_config_program own;
	const bool fits = program_read(&own, program) && kolk__config_error_fits(error);
	const struct source source = { name, text, size, own.environment, &own };

	*config = NULL;
	return fits ? source_read(&source, config, error) : KOLK_E_OPTIONS;
}

enum kolk_err kolk_config_load_for(const struct kolk_config_program *program, const char *path,
				   struct kolk_config **config, struct kolk_config_error *error)
{
	struct kolk_config_program own;
	const bool fits = program_read(&own, program) && kolk__config_error_fits(error);
	const struct source source = { .name = path, .environment = own.environment,
				       .program = &own };

	*config = NULL;
	return fits ? source_load(&source, config, error) : KOLK_E_OPTIONS;
}

void kolk_config_free(struct kolk_config *config)
{
	if (config == NULL)
		return;
	kolk__arena_free(&config->arena);
	free(config);
}

/* ---- what it says */

const struct kolk_engine_options *kolk_config_engine(const struct kolk_config *config)
{
	return &config->engine;
}

const struct kolk_admin_options *kolk_config_admin(const struct kolk_config *config)
{
	return &config->admin;
}

/* NULL = none of this index, or of another protocol. */
static const struct kolk__config_pool *mcp_pool(const struct kolk_config *config, uint32_t index)
{
	return index < config->pools.count &&
			       kolk__config_pool_at(config, index)->protocol == KOLK__PROTOCOL_MCP ?
		       kolk__config_pool_at(config, index) : NULL;
}

const struct kolk_mcp_options *kolk_config_mcp(const struct kolk_config *config, uint32_t index)
{
	const struct kolk__config_pool *pool = mcp_pool(config, index);

	return pool != NULL ? &pool->mcp : NULL;
}

const char *kolk_config_mcp_token_file(const struct kolk_config *config, uint32_t index)
{
	const struct kolk__config_pool *pool = mcp_pool(config, index);

	return pool != NULL ? pool->mcp_token_file : NULL;
}

const struct kolk_pool_options *kolk_config_pool(const struct kolk_config *config, uint32_t index)
{
	return index < config->pools.count ? &kolk__config_pool_at(config, index)->options : NULL;
}

const char *kolk_config_tenant(const struct kolk_config *config, uint32_t index,
			       struct kolk_tenant_limits *limits)
{
	const struct kolk__config_tenant *tenant;

	if (index >= config->tenants.count)
		return NULL;
	tenant = kolk__config_tenant_at(config, index);
	if (limits != NULL && !kolk__sized_write(limits, &tenant->limits))
		return NULL;
	return tenant->name;
}

uint64_t kolk_config_drain_grace_ns(const struct kolk_config *config)
{
	return config->drain_grace_ns;
}
