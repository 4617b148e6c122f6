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
#include "tools/ops/config_schema.h"
#include "tools/ops/config_yaml.h"

/* ---- reading */

static bool fill(struct kolk__reading *r, struct kolk_config *config, const char *text,
		 size_t size)
{
	config->file = kolk__tree_parse(r, text, size);
	if (config->file == NULL)
		return false;
	if (!kolk__section_read(r, &kolk__schema, config->file, config))
		return false;
	config->overlay = kolk__environment_tree(r);
	return config->overlay != NULL &&
	       kolk__section_read(r, &kolk__schema, config->overlay, config) &&
	       kolk__environment_pools(r, config) && kolk__config_check(r, config);
}

/* NULL and the error filled in. */
static struct kolk_config *parse(struct kolk__reading *r, const char *text, size_t size)
{
	struct kolk_config *config = calloc(1, sizeof *config);
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
		if (fill(r, config, text, size))
			return config;
	}
	kolk_config_free(config);
	return NULL;
}

enum kolk_err kolk_config_parse(const char *name, const char *text, size_t size,
				const char *const *environment, struct kolk_config **out,
				struct kolk_config_error *error)
{
	struct kolk_config_error own_error = KOLK_INIT(kolk_config_error);
	struct kolk__reading r = { .name = name, .error = &own_error, .environment = environment };

	*out = NULL;
	if (!kolk__config_error_fits(error))
		return KOLK_E_OPTIONS;
	if (r.environment == NULL)
		r.environment = (const char *const *)environ;
	*out = parse(&r, text, size);
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

enum kolk_err kolk_config_load(const char *path, const char *const *environment,
			       struct kolk_config **config, struct kolk_config_error *error)
{
	struct kolk_config_error own_error = KOLK_INIT(kolk_config_error);
	const char *why;
	enum kolk_err err;
	size_t size = 0;
	char *text;

	*config = NULL;
	if (!kolk__config_error_fits(error))
		return KOLK_E_OPTIONS;
	text = file_read(path, &size, &err, &why);
	if (text == NULL) {
		own_error.err = err;
		snprintf(own_error.file, sizeof own_error.file, "%s", path);
		snprintf(own_error.message, sizeof own_error.message, "cannot be read: %s", why);
		(void)kolk__sized_write(error, &own_error);
		return err;
	}
	err = kolk_config_parse(path, text, size, environment, config, error);
	explicit_bzero(text, size);
	free(text);
	return err;
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
