/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - the section `gateway`: from a file to a configuration, and its end. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "tools/gateway/config/file.h"
#include "tools/gateway/rate.h"
#include "tools/gateway/tenant.h"

/* ---- what the checks share */

const struct kolk_config_place *gw_place(const struct kolk_config_place *outer, const char *map,
					 const char *key)
{
	return kolk_config_place(kolk_config_place(outer, map), key);
}

char *gw_copy_lower(struct gw_check *check, const char *text, size_t size)
{
	char *copy = kolk_config_memory(check->config, check->error, size + 1);

	for (size_t i = 0; copy != NULL && i < size; i++)
		copy[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + ('a' - 'A')) : text[i];
	return copy;
}

bool gw_is_token(const char *text)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	return text[0] != 0 && text[strspn(text, token)] == 0;
}

bool gw_is_printable(const char *text)
{
	while (*text >= ' ' && *text <= '~')
		text++;
	return *text == 0;
}

/* ---- loading */

/* What contradicts something else; nothing of it needs more than the file. */
static void check(void *user, struct kolk_config *config, void *own,
		  struct kolk_config_error *error)
{
	struct gw_file *file = own;
	struct gw_check c = { .config = config, .file = file, .error = error };
	bool listens = user == NULL;

	file->config.pools = config;
	file->config.tools = file->tools.items;
	file->config.tool_count = file->tools.count;
	if (file->place == NULL)
		return; /* `gateway:` without a key, which is reported below */
	file->config.listeners = file->listen.items;
	file->config.listener_count = file->listen.count;
	file->config.balancers = file->balancers.items;
	file->config.balancer_count = file->balancers.count;
	file->config.routes = file->routes.items;
	file->config.route_count = file->routes.count;
	if (listens || file->listen.count > 0)
		gw_listeners_check(&c);
	gw_balancers_check(&c);
	gw_tools_check(&c);
	gw_routes_check(&c);
	for (uint32_t i = 0; i < file->config.route_count; i++)
		file->config.routes[i].identity = gw_rate_identity(&file->config.routes[i]);
	gw_tracing_check(&c);
	gw_warm_check(&c);
	gw_tenants_check(&c);
}

/* What the file names: certificates, tokens, keys. */
static void files_read(struct gw_check *c)
{
	if (c->file->place == NULL)
		gw_wrong(c, NULL, "write gateway: {listen: [...], routes: [...]}",
			 "'gateway' has no keys");
	gw_listeners_files_check(c);
	if (c->error->mistakes == 0)
		gw_tenants_load(c);
	if (c->error->mistakes == 0)
		gw_route_tools_make(c);
}

static enum kolk_err load(const char *path, bool listens, struct gw_config **config,
			  struct kolk_config_error *error)
{
	struct kolk_config_error own_error = KOLK_INIT(kolk_config_error);
	struct kolk_config_program program = KOLK_INIT(kolk_config_program);
	static bool silent = true;
	struct gw_check c = { .error = error != NULL ? error : &own_error };
	enum kolk_err err;

	*config = NULL;
	program.file = listens ? &gw_file_section : &gw_file_section_silent;
	program.check = check;
	program.user = listens ? NULL : &silent;
	err = kolk_config_load_for(&program, path, &c.config, c.error);
	if (err != KOLK_OK)
		return err;
	c.file = (struct gw_file *)(uintptr_t)kolk_config_own(c.config);
	files_read(&c);
	if (c.error->mistakes > 0) {
		err = c.error->err;
		gw_config_free(&c.file->config);
		return err;
	}
	*config = &c.file->config;
	return KOLK_OK;
}

enum kolk_err gw_config_load(const char *path, struct gw_config **config,
			     struct kolk_config_error *error)
{
	return load(path, true, config, error);
}

enum kolk_err gw_config_load_silent(const char *path, struct gw_config **config,
				    struct kolk_config_error *error)
{
	return load(path, false, config, error);
}

static struct gw_check check_of(const struct gw_config *config, struct kolk_config_error *error)
{
	return (struct gw_check){ config->pools, (struct gw_file *)(uintptr_t)kolk_config_own(config->pools),
				  error };
}

enum kolk_err gw_config_try(const struct gw_config *config, bool listens,
			    struct kolk_config_error *error, struct kolk_config_error *warnings)
{
	struct gw_check c = check_of(config, error), later = check_of(config, warnings);
	enum kolk_err err = kolk_config_try(config->pools, error);

	gw_used_check(&c, false);
	if (listens)
		gw_opened_check(&c, warnings);
	gw_later_check(&later);
	return err == KOLK_OK && error->mistakes > 0 ? error->err : err;
}

enum kolk_err gw_config_usable(const struct gw_config *config, bool opens,
			       struct kolk_config_error *error)
{
	struct gw_check c = check_of(config, error);

	gw_used_check(&c, true);
	if (opens)
		gw_opened_check(&c, NULL);
	return error->mistakes > 0 ? error->err : KOLK_OK;
}

/* It is in the memory of the rest of the file. */
void gw_config_free(struct gw_config *config)
{
	if (config == NULL)
		return;
	gw_tenants_free(config->tenants);
	for (uint32_t i = 0; i < config->route_count; i++)
		gw_tool_rules_unref(config->routes[i].access.tool_rules);
	kolk_config_free(config->pools);
}

const struct kolk_pool_options *gw_config_pool(const struct kolk_config *pools, const char *name,
					       uint32_t *index)
{
	const struct kolk_pool_options *pool;
	uint32_t i = 0;

	while ((pool = kolk_config_pool(pools, i)) != NULL &&
	       (pool->name == NULL || strcmp(pool->name, name) != 0))
		i++;
	if (index != NULL)
		*index = i;
	return pool;
}

/* ---- trusted proxies */

bool gw_address_read(const char *text, uint8_t address[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	memcpy(address, mapped, sizeof mapped);
	return inet_pton(AF_INET, text, address + sizeof mapped) == 1 ||
	       inet_pton(AF_INET6, text, address) == 1;
}

static bool is_in(const uint8_t address[16], const struct gw_network *network)
{
	const uint32_t bytes = network->bits / 8, rest = network->bits % 8;

	return memcmp(address, network->address, bytes) == 0 &&
	       (rest == 0 ||
		((address[bytes] ^ network->address[bytes]) & (0xff00 >> rest & 0xff)) == 0);
}

bool gw_config_trusts(const struct gw_config *config, const struct kolk_stream_peer *peer)
{
	uint8_t bytes[16];

	if (peer->address[0] == 0)
		return peer->proxied == 0;
	if (config->trusted_count == 0 || !gw_address_read(peer->address, bytes))
		return false;
	for (uint32_t i = 0; i < config->trusted_count; i++)
		if (is_in(bytes, &config->trusted[i]))
			return true;
	return false;
}
