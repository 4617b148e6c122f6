/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.c - a demonstration for dashboards: good and bad upstreams, clients of several tenants, and
 * the admin server, until a signal. It works by a configuration file, and reloads it at SIGHUP or
 * by the admin server.
 */
#include "tools/demo/serve.h"

#include <dirent.h>
#include <errno.h>
#include <kolk/ops/admin.h>
#include <kolk/ops/config.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/demo/demo.h"

#define SERVE_ADDRESS "127.0.0.1:7871"

enum { TOKEN_BYTES = 24, GATEWAY_PORT = 7872 };

/* What each shows: normal traffic, a queue, a peer that closes connections, an upstream that is
 * down. */
static const struct upstream upstreams[UPSTREAMS] = {
	{ "search", true, true, KIT_ECHO, 0, 3, 12, 30 },
	{ "mail", false, true, KIT_ECHO, 0, 4, 90, 60 },
	{ "crm", false, true, KIT_CLOSE, 25, 1, 15, 80 },
	{ "billing", false, false, KIT_ECHO, 0, 1, 5, 400 },
};

struct demo {
	char directory[40], ca[64], socket[64], config[64], token_file[64], gateway_file[64];
	char token[2 * TOKEN_BYTES + 1];
	struct kit_cert authority, server;
	struct kit_origin *origins[UPSTREAMS];
	struct kolk_config_source source;
	struct kolk_admin *on_socket, *on_tcp;
	struct group groups[UPSTREAMS];
	pthread_mutex_t reloading; /* SIGHUP and two admin servers */
	struct kit_origin *site;   /* behind the gateway */
	struct gateway gateway;
};

/* It is ours alone: files of an editor are removed too. */
static void directory_remove(const struct demo *demo)
{
	DIR *directory = opendir(demo->directory);
	const struct dirent *entry;

	while (directory != NULL && (entry = readdir(directory)) != NULL)
		(void)unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory != NULL)
		closedir(directory);
	rmdir(demo->directory);
}

static void die(const struct demo *demo, const char *what, const char *why)
{
	fprintf(stderr, "kolk-demo: %s: %s\n", what, why);
	directory_remove(demo);
	exit(1);
}

/* ---- setup */

static void token_make(struct demo *demo)
{
	unsigned char bytes[TOKEN_BYTES];

	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		die(demo, "token", strerror(errno));
	for (int i = 0; i < TOKEN_BYTES; i++)
		snprintf(demo->token + 2 * i, 3, "%02x", bytes[i]);
}

/* A path that can be announced beforehand; another one when the directory exists. */
static void directory_make(struct demo *demo)
{
	serve_directory(demo->directory, sizeof demo->directory);
	if (mkdir(demo->directory, 0700) == 0)
		return;
	snprintf(demo->directory, sizeof demo->directory, "/tmp/kolk-demo-XXXXXX");
	if (mkdtemp(demo->directory) == NULL) {
		fprintf(stderr, "kolk-demo: %s: %s\n", demo->directory, strerror(errno));
		exit(1);
	}
}

static void files_make(struct demo *demo)
{
	const struct kit_cert_spec authority = { .subject = "kolk demo authority",
						.authority = true };
	const struct kit_cert_spec server = {
		.subject = "localhost", .dns = "localhost", .ip = "127.0.0.1" };

	directory_make(demo);
	snprintf(demo->ca, sizeof demo->ca, "%s/ca.pem", demo->directory);
	snprintf(demo->socket, sizeof demo->socket, "%s/admin.sock", demo->directory);
	snprintf(demo->config, sizeof demo->config, "%s/kolk.yaml", demo->directory);
	snprintf(demo->token_file, sizeof demo->token_file, "%s/token", demo->directory);
	snprintf(demo->gateway_file, sizeof demo->gateway_file, "%s/gateway.yaml", demo->directory);
	token_make(demo);
	if (!kit_cert_make(&authority, NULL, &demo->authority) ||
	    !kit_cert_make(&server, &demo->authority, &demo->server))
		die(demo, "certificate", "mbedTLS refuses");
	if (!kit_file_write(demo->ca, demo->authority.pem) ||
	    !kit_file_write(demo->token_file, demo->token))
		die(demo, demo->directory, strerror(errno));
}

static uint16_t upstream_open(struct demo *demo, int number)
{
	const struct upstream *upstream = &upstreams[number];
	struct kit_origin_options origin = { .cert = upstream->tls ? &demo->server : NULL,
					    .behaviour = upstream->behaviour,
					    .after = upstream->after };

	demo->groups[number].upstream = upstream;
	demo->groups[number].first = (uint32_t)number * 100 + 1;
	if (!upstream->is_up)
		return 1; /* no server listens at that port */
	demo->origins[number] = kit_origin_open(&origin);
	if (demo->origins[number] == NULL)
		die(demo, "origin server", "cannot listen on loopback");
	return kit_origin_port(demo->origins[number]);
}

static void engine_make(struct demo *demo, uint32_t backend)
{
	struct places places = { demo->config, demo->socket, demo->ca, { 0 } };
	struct kolk_engine_options base = KOLK_INIT(kolk_engine_options);
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config_source *source = &demo->source;
	char problem[600];

	for (int i = 0; i < UPSTREAMS; i++)
		places.ports[i] = upstream_open(demo, i);
	if (!config_write(&places))
		die(demo, demo->config, strerror(errno));
	base.backend = backend;
	source->path = demo->config;
	if (kolk_config_load(source->path, NULL, &source->config, &error) == KOLK_OK &&
	    kolk_config_open(source->config, &base, &source->engine, &error) == KOLK_OK)
		return;
	kolk_config_error_text(&error, problem, sizeof problem);
	die(demo, "configuration", problem);
}

/* ---- at work: each pool gets its clients */

static void clients_follow(struct demo *demo)
{
	for (int i = 0; i < UPSTREAMS; i++) {
		struct kolk_pool *pool = kolk_pool_find(demo->source.engine, upstreams[i].name);

		if (pool != NULL && demo->groups[i].count == 0)
			clients_start(&demo->groups[i], pool);
	}
}

/* Free pools that were drained: a later file may have one of the same name. */
static void pools_free(struct demo *demo)
{
	struct kolk_engine *engine = demo->source.engine;
	struct kolk_pool *pool;
	uint32_t number = 0;

	while ((pool = kolk_engine_pool(engine, number)) != NULL) {
		struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);

		if (kolk_pool_inspect(pool, &info) != KOLK_OK || info.suspended) {
			number++; /* an operator's resume opens it again */
			continue;
		}
		for (int i = 0; i < UPSTREAMS && kolk_pool_is_closed(pool); i++)
			if (strcmp(upstreams[i].name, kolk_pool_name(pool)) == 0)
				clients_stop(&demo->groups[i]);
		if (!kolk_pool_is_closed(pool) ||
		    kolk_admin_pool_close(pool, kolk_engine_now(engine)) != KOLK_OK)
			number++;
	}
}

static enum kolk_err reload(void *user, char *text, size_t capacity)
{
	struct demo *demo = user;
	enum kolk_err err;

	pthread_mutex_lock(&demo->reloading);
	pools_free(demo);
	err = kolk_config_reload(&demo->source, text, capacity);
	clients_follow(demo);
	printf("%s%s\n", err == KOLK_OK ? "" : "nothing changed: ", text);
	fflush(stdout);
	pthread_mutex_unlock(&demo->reloading);
	return err;
}

static void admin_make(struct demo *demo)
{
	struct kolk_admin_options options = *kolk_config_admin(demo->source.config);

	options.reload = reload;
	options.reload_user = demo;
	if (kolk_admin_open(demo->source.engine, &options, &demo->on_socket) != KOLK_OK)
		die(demo, "admin server", options.listen);
	/* A second one for browsers is not in the file: its token is another one each time. */
	options.listen = SERVE_ADDRESS;
	options.token = demo->token;
	options.token_size = (uint32_t)strlen(demo->token);
	if (kolk_admin_open(demo->source.engine, &options, &demo->on_tcp) == KOLK_OK)
		return;
	options.listen = "127.0.0.1:0"; /* that port is taken */
	if (kolk_admin_open(demo->source.engine, &options, &demo->on_tcp) != KOLK_OK)
		die(demo, "admin server", options.listen);
}

#ifdef GATEWAY_PROGRAM
/* No other program listens there. Listeners of the gateway would share the port with it. */
static uint16_t gateway_port(void)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
					     .sin_port = htons(GATEWAY_PORT),
					     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	bool is_free = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
		       bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;

	close(fd);
	return is_free ? GATEWAY_PORT : 0;
}

static void gateway_make(struct demo *demo, const struct options *options)
{
	const struct kit_origin_options site = { .cert = &demo->server, .behaviour = KIT_HTTP };
	struct gateway_places places = { demo->ca, 0, gateway_port() };

	demo->site = kit_origin_open(&site);
	if (demo->site == NULL)
		die(demo, "origin server", "cannot listen on loopback");
	places.upstream = kit_origin_port(demo->site);
	if (!config_write_gateway(demo->gateway_file, options, &places))
		die(demo, demo->gateway_file, strerror(errno));
	if (!gateway_start(&demo->gateway, demo->gateway_file))
		die(demo, "the gateway does not start", demo->gateway.said);
}
#else
#define gateway_make(demo, options) ((void)(options))
#define gateway_stop(gateway) ((void)(gateway))
#endif

static void demo_close(struct demo *demo)
{
	gateway_stop(&demo->gateway);
	kolk_admin_close(demo->on_tcp);
	kolk_admin_close(demo->on_socket);
	/* Clients that wait for a connection are refused. */
	(void)kolk_engine_drain(demo->source.engine, kolk_in_ms(200));
	for (int i = 0; i < UPSTREAMS; i++)
		clients_stop(&demo->groups[i]);
	(void)kolk_engine_destroy(demo->source.engine);
	kolk_config_free(demo->source.config);
	for (int i = 0; i < UPSTREAMS; i++)
		kit_origin_close(demo->origins[i]);
	kit_origin_close(demo->site);
	directory_remove(demo);
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

static void print_addresses(const struct demo *demo)
{
	char top[PATH_MAX + 64], ctl[PATH_MAX + 64];

	program("kolk-top", top);
	program("kolk-ctl", ctl);
	printf("\n%d tenants at %d upstreams, one of which is down, one closes early, one has a "
	       "queue.\n\n"
	       "  live page  http://%s/  (token in %s)\n"
	       "  terminal   %s --socket %s\n"
	       "  commands   %s --socket %s status\n",
	       TENANTS, UPSTREAMS, kolk_admin_address(demo->on_tcp), demo->token_file, top,
	       demo->socket, ctl, demo->socket);
	if (HAS_GATEWAY)
		printf("  gateway    curl -i http://%s/\n", demo->gateway.address);
	printf("\n  configuration  %s\n"
	       "                 (edit it, then kill -HUP %d or %s --socket %s reload)\n",
	       demo->config, (int)getpid(), ctl, demo->socket);
	if (HAS_GATEWAY)
		printf("  the gateway's  %s\n"
		       "                 (edit it, then kill -HUP %d)\n",
		       demo->gateway_file, (int)demo->gateway.pid);
	printf("\nCtrl-C ends it.\n");
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
	if (HAS_GATEWAY)
		printf("    gateway    curl -i http://127.0.0.1:%d/\n", GATEWAY_PORT);
}

/* Reload at each SIGHUP. A terminal that is closed sends one too: then there is no reader any
 * more. */
static void serve_until_signal(struct demo *demo, const sigset_t *signals)
{
	char text[600];
	int signal;

	do {
		if (sigwait(signals, &signal) != 0 || signal != SIGHUP)
			return;
		(void)reload(demo, text, sizeof text);
	} while (!ferror(stdout));
}

void serve_run(const struct options *options)
{
	static struct demo demo = { .reloading = PTHREAD_MUTEX_INITIALIZER };
	sigset_t signals;

	/* Before the first thread: all of them leave these to us. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN); /* the reader of its output may have ended */
	/* In a shell they say where kolk-ctl asks, not where this one listens. */
	unsetenv("KOLK_ADMIN_LISTEN");
	unsetenv("KOLK_ADMIN_TOKEN");
	files_make(&demo);
	engine_make(&demo, options->backend);
	gateway_make(&demo, options);
	clients_follow(&demo);
	admin_make(&demo);
	print_addresses(&demo);
	serve_until_signal(&demo, &signals);
	demo_close(&demo);
}
