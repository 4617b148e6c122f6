/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.c - a small town to look at: upstreams good and bad, tenants that come and go, and the
 * admin server, until somebody says stop. It works by a configuration file, and loads it again
 * at SIGHUP or when the admin server is told to.
 */
#include "tools/demo/serve.h"

#include <dirent.h>
#include <errno.h>
#include <kolk/ops/admin.h>
#include <kolk/ops/config.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/demo/demo.h"

#define SERVE_ADDRESS "127.0.0.1:7871"

enum { TOKEN_BYTES = 24 };

/* What can be seen at each: plain life, a queue, a peer that hangs up, nobody at home. */
static const struct shop shops[SHOPS] = {
	{ "search", true, true, KIT_ECHO, 0, 3, 12, 30 },
	{ "mail", false, true, KIT_ECHO, 0, 4, 90, 60 },
	{ "crm", false, true, KIT_CLOSE, 25, 1, 15, 80 },
	{ "billing", false, false, KIT_ECHO, 0, 1, 5, 400 },
};

struct town {
	char directory[40], ca[64], socket[64], config[64], token_file[64];
	char token[2 * TOKEN_BYTES + 1];
	struct kit_cert authority, server;
	struct kit_origin *origins[SHOPS];
	struct kolk_config_source source;
	struct kolk_admin *on_socket, *on_tcp;
	struct crowd crowds[SHOPS];
	pthread_mutex_t reloading; /* SIGHUP and two admin servers */
};

/* It is ours alone: what an editor left there goes too. */
static void directory_remove(const struct town *town)
{
	DIR *directory = opendir(town->directory);
	const struct dirent *entry;

	while (directory != NULL && (entry = readdir(directory)) != NULL)
		(void)unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory != NULL)
		closedir(directory);
	rmdir(town->directory);
}

static void die(const struct town *town, const char *what, const char *why)
{
	fprintf(stderr, "kolk-demo: %s: %s\n", what, why);
	directory_remove(town);
	exit(1);
}

/* ---- building the town */

static void keep_secret(struct town *town)
{
	unsigned char bytes[TOKEN_BYTES];

	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		die(town, "token", strerror(errno));
	for (int i = 0; i < TOKEN_BYTES; i++)
		snprintf(town->token + 2 * i, 3, "%02x", bytes[i]);
}

/* Where it can be told beforehand; another one when somebody else's is there. */
static void directory_make(struct town *town)
{
	serve_directory(town->directory, sizeof town->directory);
	if (mkdir(town->directory, 0700) == 0)
		return;
	snprintf(town->directory, sizeof town->directory, "/tmp/kolk-demo-XXXXXX");
	if (mkdtemp(town->directory) == NULL) {
		fprintf(stderr, "kolk-demo: %s: %s\n", town->directory, strerror(errno));
		exit(1);
	}
}

static void files_make(struct town *town)
{
	const struct kit_cert_spec authority = { .subject = "kolk demo authority",
						.authority = true };
	const struct kit_cert_spec server = {
		.subject = "localhost", .dns = "localhost", .ip = "127.0.0.1" };

	directory_make(town);
	snprintf(town->ca, sizeof town->ca, "%s/ca.pem", town->directory);
	snprintf(town->socket, sizeof town->socket, "%s/admin.sock", town->directory);
	snprintf(town->config, sizeof town->config, "%s/kolk.yaml", town->directory);
	snprintf(town->token_file, sizeof town->token_file, "%s/token", town->directory);
	keep_secret(town);
	if (!kit_cert_make(&authority, NULL, &town->authority) ||
	    !kit_cert_make(&server, &town->authority, &town->server))
		die(town, "certificate", "mbedTLS refuses");
	if (!kit_file_write(town->ca, town->authority.pem) ||
	    !kit_file_write(town->token_file, town->token))
		die(town, town->directory, strerror(errno));
}

static uint16_t shop_open(struct town *town, int number)
{
	const struct shop *shop = &shops[number];
	struct kit_origin_options origin = { .cert = shop->tls ? &town->server : NULL,
					    .behaviour = shop->behaviour,
					    .after = shop->after };

	town->crowds[number].shop = shop;
	town->crowds[number].first = (uint32_t)number * 100 + 1;
	if (!shop->is_there)
		return 1; /* nobody lives at that port */
	town->origins[number] = kit_origin_open(&origin);
	if (town->origins[number] == NULL)
		die(town, "origin server", "cannot listen on loopback");
	return kit_origin_port(town->origins[number]);
}

static void engine_make(struct town *town, uint32_t backend)
{
	struct places places = { town->config, town->socket, town->ca, { 0 } };
	struct kolk_engine_options base = KOLK_INIT(kolk_engine_options);
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config_source *source = &town->source;
	char told[600];

	for (int i = 0; i < SHOPS; i++)
		places.ports[i] = shop_open(town, i);
	if (!config_write(&places))
		die(town, town->config, strerror(errno));
	base.backend = backend;
	source->path = town->config;
	if (kolk_config_load(source->path, NULL, &source->config, &error) == KOLK_OK &&
	    kolk_config_open(source->config, &base, &source->engine, &error) == KOLK_OK)
		return;
	kolk_config_error_text(&error, told, sizeof told);
	die(town, "configuration", told);
}

/* ---- at work: visitors go where a pool is */

static void visitors_follow(struct town *town)
{
	for (int i = 0; i < SHOPS; i++) {
		struct kolk_pool *pool = kolk_pool_find(town->source.engine, shops[i].name);

		if (pool != NULL && town->crowds[i].count == 0)
			visitors_come(&town->crowds[i], pool);
	}
}

/* Free pools that were drained: a later file may have one of the same name. */
static void pools_free(struct town *town)
{
	struct kolk_engine *engine = town->source.engine;
	struct kolk_pool *pool;
	uint32_t number = 0;

	while ((pool = kolk_engine_pool(engine, number)) != NULL) {
		struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);

		if (kolk_pool_inspect(pool, &info) != KOLK_OK || info.suspended) {
			number++; /* an operator's resume opens it again */
			continue;
		}
		for (int i = 0; i < SHOPS && kolk_pool_is_closed(pool); i++)
			if (strcmp(shops[i].name, kolk_pool_name(pool)) == 0)
				visitors_leave(&town->crowds[i]);
		if (!kolk_pool_is_closed(pool) ||
		    kolk_admin_pool_close(pool, kolk_engine_now(engine)) != KOLK_OK)
			number++;
	}
}

static enum kolk_err reload(void *user, char *text, size_t capacity)
{
	struct town *town = user;
	enum kolk_err err;

	pthread_mutex_lock(&town->reloading);
	pools_free(town);
	err = kolk_config_reload(&town->source, text, capacity);
	visitors_follow(town);
	printf("%s%s\n", err == KOLK_OK ? "" : "nothing changed: ", text);
	fflush(stdout);
	pthread_mutex_unlock(&town->reloading);
	return err;
}

static void admin_make(struct town *town)
{
	struct kolk_admin_options options = *kolk_config_admin(town->source.config);

	options.reload = reload;
	options.reload_user = town;
	if (kolk_admin_open(town->source.engine, &options, &town->on_socket) != KOLK_OK)
		die(town, "admin server", options.listen);
	/* A second one for browsers is not in the file: its token is another one each time. */
	options.listen = SERVE_ADDRESS;
	options.token = town->token;
	options.token_size = (uint32_t)strlen(town->token);
	if (kolk_admin_open(town->source.engine, &options, &town->on_tcp) == KOLK_OK)
		return;
	options.listen = "127.0.0.1:0"; /* that port is taken */
	if (kolk_admin_open(town->source.engine, &options, &town->on_tcp) != KOLK_OK)
		die(town, "admin server", options.listen);
}

static void town_close(struct town *town)
{
	kolk_admin_close(town->on_tcp);
	kolk_admin_close(town->on_socket);
	/* Whoever waits for a connection is told that there will be none. */
	(void)kolk_engine_drain(town->source.engine, kolk_in_ms(200));
	for (int i = 0; i < SHOPS; i++)
		visitors_leave(&town->crowds[i]);
	(void)kolk_engine_destroy(town->source.engine);
	kolk_config_free(town->source.config);
	for (int i = 0; i < SHOPS; i++)
		kit_origin_close(town->origins[i]);
	directory_remove(town);
}

/* A program of this build, for another terminal: its whole path, quoted where a shell would split
 * it; its name alone where it is not built. */
static const char *program(const char *name, char text[PATH_MAX + 64])
{
	char path[PATH_MAX], whole[PATH_MAX + 32];
	ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);

	path[size > 0 ? size : 0] = 0;
	if (strrchr(path, '/') != NULL)
		*strrchr(path, '/') = 0;
	snprintf(whole, sizeof whole, "%s/%s/%s", path, name + strlen("kolk-"), name);
	if (access(whole, X_OK) != 0)
		snprintf(text, PATH_MAX + 64, "%s", name);
	else
		snprintf(text, PATH_MAX + 64, strpbrk(whole, " \t*?()&;$\"") ? "'%s'" : "%s", whole);
	return text;
}

static void invite(const struct town *town)
{
	char top[PATH_MAX + 64], ctl[PATH_MAX + 64];

	program("kolk-top", top);
	program("kolk-ctl", ctl);
	printf("\n%d tenants at %d upstreams, one of which is down, one hangs up, one has a "
	       "queue.\n\n"
	       "  live page  http://%s/  (token in %s)\n"
	       "  terminal   %s --socket %s\n"
	       "  commands   %s --socket %s status\n\n"
	       "  configuration  %s\n"
	       "                 (edit it, then kill -HUP %d or %s --socket %s reload)\n\n"
	       "Ctrl-C ends it.\n",
	       TENANTS, SHOPS, kolk_admin_address(town->on_tcp), town->token_file, top,
	       town->socket, ctl, town->socket, town->config, (int)getpid(), ctl, town->socket);
	fflush(stdout);
}

void serve_directory(char *path, size_t capacity)
{
	snprintf(path, capacity, "/tmp/kolk-demo-%u", (unsigned)getuid());
}

void serve_hint(void)
{
	char directory[40], top[PATH_MAX + 64];

	serve_directory(directory, sizeof directory);
	printf("\n  to look inside while it works: tools/run --serve\n"
	       "    live page  http://" SERVE_ADDRESS "/\n"
	       "    terminal   %s --socket %s/admin.sock\n", program("kolk-top", top), directory);
}

/* Reload at each SIGHUP. A terminal that is gone sends one too: nobody reads any more then. */
static void serve_until_told(struct town *town, const sigset_t *signals)
{
	char text[600];
	int signal;

	do {
		if (sigwait(signals, &signal) != 0 || signal != SIGHUP)
			return;
		(void)reload(town, text, sizeof text);
	} while (!ferror(stdout));
}

void serve_run(uint32_t backend)
{
	static struct town town = { .reloading = PTHREAD_MUTEX_INITIALIZER };
	sigset_t signals;

	/* Before the first thread: all of them leave these to us. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN); /* whoever read what it prints may be gone */
	/* In a shell they say where kolk-ctl asks, not where this one listens. */
	unsetenv("KOLK_ADMIN_LISTEN");
	unsetenv("KOLK_ADMIN_TOKEN");
	files_make(&town);
	engine_make(&town, backend);
	visitors_follow(&town);
	admin_make(&town);
	invite(&town);
	serve_until_told(&town, &signals);
	town_close(&town);
}
