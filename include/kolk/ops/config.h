/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/ops/config.h - a gateway's configuration: a YAML file, the environment, reload.
 *
 * A configuration is read whole, checked whole, and then does not change. Nothing is applied
 * unless everything is right; what is wrong is told with file, line, column and what was
 * probably meant. The keys, their units and defaults: docs/configuration.md.
 *
 * What counts, the stronger one last: Kolk's defaults, the file, MAX_TOTAL_CONNECTIONS and
 * MAX_CONNECTIONS_PER_USER and CLEANUP_INTERVAL, then KOLK_ENGINE_* and KOLK_ADMIN_*.
 * CONNECTION_TIMEOUT is weaker than the file: it serves the pools whose timeouts.idle is not
 * set. An empty variable counts as not set.
 *
 * Threads: a configuration is read from any; load, open and apply block.
 * Secrets: are in a configuration's memory until it is freed, and wiped then. No error shows one.
 */
#ifndef KOLK_OPS_CONFIG_H
#define KOLK_OPS_CONFIG_H

#include <kolk/engine.h>
#include <kolk/ops/admin.h>
#include <kolk/pool.h>
#include <kolk/tenant.h>

struct kolk_config; /* what a file said, checked */
struct kolk_mcp_options;

struct kolk_config_error {
	uint32_t size;         /* sizeof; set by KOLK_INIT */
	enum kolk_err err;     /* what was returned */
	uint32_t line, column; /* from 1; 0 = not a place in the file */
	char file[256];        /* or the name of the environment variable */
	char message[256];     /* what is wrong; one line */
	char suggestion[128];  /* what to do about it: "did you mean 'address'?"; "" = nothing */
	uint32_t mistakes;     /* how many there are; all above is of the first */
	uint32_t reserved;     /* zero */
	char more[2048];       /* the others, a line each, as far as there is room; "" = none */
};

KOLK_BEGIN

/* Read a file of at most 1 MiB, or a text; name is what errors call it. environment is a
 * NULL-terminated list of "NAME=value"; NULL = the process's. *config is set only on KOLK_OK
 * and is then the caller's. error may be NULL; otherwise its size must be set.
 * Errors: E_OPTIONS (it is wrong), E_NOT_FOUND (no such file), E_IO, E_MEMORY. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_config_load(const char *path, const char *const *environment, struct kolk_config **config,
		 struct kolk_config_error *error);
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_config_parse(const char *name, const char *text, size_t size,
		  const char *const *environment, struct kolk_config **config,
		  struct kolk_config_error *error);
/* Wipe and free it; an engine that was made from it does not need it, but the next
 * kolk_config_apply does. NULL is allowed. */
KOLK_API void kolk_config_free(struct kolk_config *config);

/* Write "file:line:column: message: suggestion" into text, as snprintf does; a line for each
 * mistake. */
KOLK_API size_t kolk_config_error_text(const struct kolk_config_error *error, char *text,
				       size_t size);

/* What it says. All live as long as the configuration; 0 in a field = the default. Their size is
 * the library's: copy no more of them. */
KOLK_API const struct kolk_engine_options *kolk_config_engine(const struct kolk_config *config);
/* For kolk_admin_open, without hooks; listen NULL = no admin server is wanted. */
KOLK_API const struct kolk_admin_options *kolk_config_admin(const struct kolk_config *config);
/* Pools in the order of the file; NULL beyond the last. */
KOLK_API const struct kolk_pool_options *kolk_config_pool(const struct kolk_config *config,
							  uint32_t index);
/* What a pool of `protocol: mcp` says of its sessions, for kolk_mcp_open by the program, and the
 * path of the file with its token (NULL = none): kolk_config_open adds the pool of connections or
 * children alone. NULL = the pool of this index is of another protocol, or there is none. */
KOLK_API const struct kolk_mcp_options *kolk_config_mcp(const struct kolk_config *config,
							uint32_t index);
KOLK_API const char *kolk_config_mcp_token_file(const struct kolk_config *config, uint32_t index);
/* The name of a tenant with limits of its own, and these (limits may be NULL; otherwise its size
 * must be set, or NULL is returned); NULL beyond the last. */
KOLK_API const char *kolk_config_tenant(const struct kolk_config *config, uint32_t index,
					struct kolk_tenant_limits *limits);
/* How long the leases of a pool that is removed may go on (engine.drain_grace). */
KOLK_API uint64_t kolk_config_drain_grace_ns(const struct kolk_config *config);

/* Make the engine, its tenants' limits and its pools, and begin to dial the keys to warm. base
 * gives what no file can: hooks, loop_owner, sys, seed; NULL = none. What both say, the
 * configuration decides. On an error nothing is left.
 * Errors: as kolk_engine_create, kolk_pool_add, kolk_key_open. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_config_open(const struct kolk_config *config, const struct kolk_engine_options *base,
		 struct kolk_engine **engine, struct kolk_config_error *error);

/* Find out what kolk_config_open would answer here, certificates' files and all, on an engine that
 * dials nothing and is gone afterwards; and whether child processes can be run, by their programs
 * and directories.
 * Errors: as kolk_config_open; E_SPAWN. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_config_try(const struct kolk_config *config,
						       struct kolk_config_error *error);

/* Reload: bring an engine that works by `before` to `after`. All or nothing: everything is
 * checked first, and a step that fails undoes those before it. Pools of both are updated
 * (kolk_pool_update: handles stay good; one that is suspended stays so), new ones added, missing
 * ones drained. A setting that
 * an engine has for life (backend, log_level, ...) must be the same in both, and so must the admin
 * server's. Undoing reads the certificates of `before` again: keep its files until then.
 * One thread at a time. Afterwards `before` can be freed.
 * Errors: as above; E_NAME_TAKEN (a pool that was removed is not closed yet). */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_config_apply(struct kolk_engine *engine, const struct kolk_config *before,
		  const struct kolk_config *after, struct kolk_config_error *error);

/* What a program keeps to reload its file, by PUT /api/config (kolk_admin_options.reload) or at
 * SIGHUP: all three are the program's, and config is replaced. */
struct kolk_config_source {
	const char *path;
	struct kolk_engine *engine;
	struct kolk_config *config; /* in force; the program frees the last one */
};

/* Load the file again and apply it. Writes one line without secrets: what is in force now, or
 * what is wrong, and then nothing changed. source is a struct kolk_config_source. Threads: any;
 * one reload waits for the other. */
KOLK_API enum kolk_err kolk_config_reload(void *source, char *text, size_t capacity);

/* Free the pools that are closed: those that an earlier reload removed, not those that wait for
 * kolk_pool_resume. Call it when no
 * handle to them is held any more; requests of admin servers are waited for. Returns how many
 * were freed. Blocks; not on a loop. */
KOLK_API size_t kolk_config_reap(struct kolk_engine *engine);

KOLK_END

#endif
