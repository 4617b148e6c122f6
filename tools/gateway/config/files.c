/* SPDX-License-Identifier: Apache-2.0 */
/* files.c - what of this machine the file names, and a start would find out one by one. */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/gateway/config/tools.h"

static const char *const wanted[] = {
	[KOLK_PATH_READ] = "write the path of a file that this user may read",
	[KOLK_PATH_RUN] = "write the path of a program that this user may run",
	[KOLK_PATH_ENTER] = "write the path of a directory that this user may enter",
	[KOLK_PATH_WRITE] = "write a path in a directory in which this user may write",
	[KOLK_PATH_BIND] = "write a path in a directory in which this user may write",
};

/* A path, or an address, as a key of the file names it; text NULL = it does not. */
struct named {
	const struct kolk_config_place *at;
	const char *key, *text;
	enum kolk_path_use use;
};

static void path_check(struct gw_check *c, const struct named *named)
{
	const char *flaw = named->text != NULL ? kolk_config_path_flaw(named->text, named->use) : NULL;

	if (flaw != NULL)
		gw_wrong(c, named->at, wanted[named->use], "'%s' names '%s': %s", named->key,
			 named->text, flaw);
}

/* ---- what a program uses while it runs */

static const struct kolk_config_place *pool_at(const struct gw_check *c, uint32_t i, const char *key)
{
	return kolk_config_place_of(c->config, "pools", i, key);
}

static void address_check(struct gw_check *c, const struct named *named)
{
	const char *flaw = named->text != NULL ? kolk_config_address_flaw(named->text) : NULL;

	if (flaw != NULL)
		gw_wrong(c, named->at, "write an address of it", "'%s' is %s: %s", named->key,
			 named->text, flaw);
}

static void child_check(struct gw_check *c, const struct kolk_child_options *child, uint32_t i)
{
	path_check(c, &(struct named){ pool_at(c, i, "command"), "command", child->command[0],
				       KOLK_PATH_RUN });
	path_check(c, &(struct named){ pool_at(c, i, "directory"), "directory", child->directory,
				       KOLK_PATH_ENTER });
}

static void tool_check(struct gw_check *c, const struct gw_tool *tool)
{
	if (tool->command == NULL)
		return;
	path_check(c, &(struct named){ kolk_config_place(tool->place, "command"), "command",
				       tool->command[0], KOLK_PATH_RUN });
	path_check(c, &(struct named){ kolk_config_place(tool->place, "directory"), "directory",
				       tool->directory, KOLK_PATH_ENTER });
}

void gw_used_check(struct gw_check *c, bool children)
{
	const struct kolk_pool_options *pool;

	for (uint32_t i = 0; (pool = kolk_config_pool(c->config, i)) != NULL; i++) {
		address_check(c, &(struct named){ pool_at(c, i, "bind_address"), "bind_address",
						  pool->bind_address, 0 });
		if (children && pool->child != NULL)
			child_check(c, pool->child, i);
	}
	for (uint32_t i = 0; i < c->file->config.tool_count; i++)
		tool_check(c, &c->file->config.tools[i]);
}

/* ---- what a start opens */

/* The directories that kolk-gateway.service makes as it starts: before that a check finds none. */
static bool comes_with_service(const char *path)
{
	static const char *const made[] = { "/run/kolk/", "/var/lib/kolk/", "/var/log/kolk/" };

	for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
		if (strncmp(path, made[i], strlen(made[i])) == 0 && access(made[i], F_OK) != 0)
			return true;
	return false;
}

/* What is made at a path: warnings NULL = now. */
static void made_check(struct gw_check *c, struct kolk_config_error *warnings,
		       const struct named *named)
{
	if (warnings == NULL || !comes_with_service(named->text))
		path_check(c, named);
	else
		kolk_config_wrong(c->config, warnings, named->at,
				  "kolk-gateway.service makes it as it starts",
				  "'%s' names '%s', whose directory is not there yet", named->key,
				  named->text);
}

static bool number_is_good(const char *text)
{
	return *text != '\0' && text[strspn(text, "0123456789")] == '\0' && strlen(text) <= 10 &&
	       strtoull(text, NULL, 10) < UINT32_MAX;
}

/* "user" or "user:group", each by name or number. */
static void owner_check(struct gw_check *c, const struct gw_listener *l)
{
	const struct kolk_config_place *at = kolk_config_place(l->place, "unix_owner");
	const char *owner = l->options.unix_owner, *group;
	char user[256];

	if (owner == NULL)
		return;
	snprintf(user, sizeof user, "%.*s", (int)strcspn(owner, ":"), owner);
	group = strchr(owner, ':');
	if (getpwnam(user) == NULL && !number_is_good(user))
		gw_wrong(c, at, "a user, or user:group", "there is no user '%s'", user);
	if (group != NULL && getgrnam(group + 1) == NULL && !number_is_good(group + 1))
		gw_wrong(c, at, "a user, or user:group", "there is no group '%s'", group + 1);
}

static void listen_check(struct gw_check *c, struct kolk_config_error *warnings, struct named named)
{
	bool tls;

	named.text = gw_address_without_scheme(named.text, &tls);
	if (strncmp(named.text, "unix:", 5) != 0) {
		address_check(c, &named);
	} else if (named.text[5] == '/') {
		named.text += 5;
		made_check(c, warnings, &named);
	}
}

void gw_opened_check(struct gw_check *c, struct kolk_config_error *warnings)
{
	const struct kolk_admin_options *admin = kolk_config_admin(c->config);
	const char *log = c->file->config.access_log.path;

	for (uint32_t i = 0; i < c->file->config.listener_count; i++) {
		const struct gw_listener *l = &c->file->config.listeners[i];

		if (l->socket_name == NULL) /* which a service manager may open */
			listen_check(c, warnings,
				     (struct named){ kolk_config_place(l->place, "address"), "address",
						     l->options.address, KOLK_PATH_BIND });
		owner_check(c, l);
	}
	if (admin->listen != NULL)
		listen_check(c, warnings,
			     (struct named){ kolk_config_place_of(c->config, "admin", 0, "listen"),
					     "listen", admin->listen, KOLK_PATH_BIND });
	if (log != NULL && log[0] == '/')
		made_check(c, warnings,
			   &(struct named){ gw_place(c->file->place, "access_log", "path"), "path", log,
					    KOLK_PATH_WRITE });
}

/* ---- what may come later */

/* A file of tokens is looked for at each request, and without its state nothing is made ahead. */
void gw_later_check(struct gw_check *c)
{
	const struct named state = { kolk_config_place(c->file->place, "warm_state_file"),
				     "warm_state_file", c->file->config.warm.state_file,
				     KOLK_PATH_WRITE };

	for (uint32_t i = 0; kolk_config_pool(c->config, i) != NULL; i++)
		path_check(c, &(struct named){ pool_at(c, i, "token_file"), "token_file",
					       kolk_config_mcp_token_file(c->config, i),
					       KOLK_PATH_READ });
	if (state.text != NULL)
		made_check(c, c->error, &state);
}
